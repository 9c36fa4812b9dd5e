#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Data preparation for any folder of audio: writes <data-root>/<set>/{wav.scp,utt2spk,spk2utt,reco2dur}, and what is given besides:
# reco2channel (which channel of each recording counts), ref.rttm, reco2num_spk, all.uem. A recording is named after its
# file, without the extension, every character other than letters, digits and '_.-' replaced by '_'. Reference and UEM
# may use either name. detect_speech.sh comes next.

# Begin configuration section.
set=
data_root=data
rttm=
uem=
num_spk_file=
channel=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0")

help_message="Usage: $0 [options] --set <name> <audio-dir>
 e.g.: $0 --set calls --rttm calls.rttm ~/calls
Takes every audio file in the folder and below it (wav, flac, mp3, sph, and what ffmpeg knows), of any sample rate.
  --set <name>                       # name of the data directory (required)
  --data-root <dir|data>             # where data directories are
  --rttm <file|none>                 # reference: written as ref.rttm, speakers counted into reco2num_spk
  --uem <file|none>                  # scored regions, written as all.uem; with a reference and no UEM, whole recordings
  --num-spk-file <file|none>         # <recording> <number of speakers>: written as reco2num_spk instead of the count
  --channel <n|none>                 # take this channel, from 1; by default all are mixed to mono
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

command_line="$0 $*"

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f "$utils/parse_options.sh" ] || utils=$here/../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
set -euo pipefail
if [ "$verbose" != 0 ]; then echo "$command_line" >&2; fi

if [ $# != 1 ] || [ -z "$set" ]; then
  printf '%s: error: expected --set <name> and <audio-dir>, got %d arguments\n%s\n' "$script" $# "$help_message" >&2
  exit 1
fi

options=()
if [ -n "$rttm" ]; then options+=(--rttm "$rttm"); fi
if [ -n "$uem" ]; then options+=(--uem "$uem"); fi
if [ -n "$num_spk_file" ]; then options+=(--num-spk-file "$num_spk_file"); fi
if [ -n "$channel" ]; then options+=(--channel "$channel"); fi
"$python" "$here/prepare_audio.py" --verbose "$verbose" --set "$set" --data-root "$data_root" \
  ${options[@]+"${options[@]}"} "$1" || exit 1
