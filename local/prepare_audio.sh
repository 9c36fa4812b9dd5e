#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Data preparation for any folder of audio, or one file: writes <data-root>/<set>/{wav.scp,utt2spk,spk2utt,reco2dur} and
# recordings.tsv (file, length, channels and remarks of every recording); if they apply, reco2channel and reco2parties
# (the channel to use, the channels with a party each), left_out.tsv (files that cannot be used, and why), ref.rttm,
# reco2num_spk, all.uem. Every file is decoded to its end. The next stage is detect_speech.sh.

# Begin configuration section.
set=
data_root=data
rttm=
uem=
num_spk_file=
channels=auto
bad_files=skip
nj=1
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] --set <name> <audio>
 e.g.: $0 --set calls --rttm calls.rttm ~/calls
Takes every audio file in the folder and below it, of any format and sample rate (docs/audio.md has the formats). <audio>
may also be one file. Exit status: 0 if the data directory is made, even if files were left out (left_out.tsv lists them);
1 if none can be used, or with --bad-files stop if any cannot.
  --set <name>                       # name of the data directory (required)
  --data-root <dir|data>             # where data directories are
  --rttm <file|none>                 # reference: written as ref.rttm, speakers counted into reco2num_spk
  --uem <file|none>                  # scored regions, written as all.uem; with a reference and no UEM, whole recordings
  --num-spk-file <file|none>         # <recording> <number of speakers>: written as reco2num_spk instead of the count
  --channels <auto|mix|parties|n>    # auto (default): one party per channel if channels hardly share speech, else mixed
                                     # without silent, noise-only or cancelling channels; mix: average of all; parties:
                                     # one per channel in every file; n: only this channel, from 1
  --bad-files <skip|stop>            # files that cannot be used: list them and continue (default), or stop
  --nj <n|1>                         # files to read at a time
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck disable=SC2034 # parse_options.sh reads it
moved_options="channel: give --channels <n>"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../steps/diar/begin.sh" || exit 1

options=(--set="$set" --data-root="$data_root" --rttm="$rttm" --uem="$uem" --num-spk-file="$num_spk_file"
  --channels="$channels" --bad-files="$bad_files" --nj="$nj")
run_python "$@"
