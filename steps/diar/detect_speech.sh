#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 2: where anybody speaks. Reads a data directory (wav.scp; reco2dur, reco2channel where they exist) and writes a
# speech directory: segments, utt2spk, spk2utt (speech regions; "spk" files name recordings, as Kaldi's diarization
# does), overlap.segments (overlapped speech, kept out of segments), wav.scp, reco2dur, meta.json (source and options).
# make_subsegments.sh comes next. Recordings are done one by one: a rerun does what is missing or no longer valid.

# Begin configuration section.
sad=webrtc
sad_aggressiveness=2
sad_frame=30
sad_majority=7
sad_gap=0.8
sad_min_speech=0.1
sad_pad=0.2
overlap=drop
nj=2
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0")

help_message="Usage: $0 [options] <data-dir> <speech-dir>
 e.g.: $0 --sad webrtc data/mini data/mini_speech
  --sad <webrtc|oracle>              # webrtc: WebRTC's detector (default); oracle: <data-dir>/ref.rttm, or without one
                                     # <data-dir>/segments (somebody else's speech regions)
  --sad-aggressiveness <0-3|2>       # webrtc: a higher number takes less for speech
  --sad-frame <10|20|30>             # webrtc: frame in milliseconds (default 30)
  --sad-majority <n|7>               # webrtc: frames that vote on the middle one; odd, 1 for no vote
  --sad-gap <seconds|0.8>            # webrtc: shorter pauses are closed
  --sad-min-speech <seconds|0.1>     # webrtc: speech that is then shorter is left out
  --sad-pad <seconds|0.2>            # webrtc: then added on both sides
  --overlap <drop|keep>              # oracle: drop (default) moves speech of two or more reference speakers from
                                     # segments to overlap.segments; keep leaves it in segments
  --nj <n|2>                         # parallel jobs, at most one per recording
  --cmd <command|run.pl>             # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>           # true: do all recordings again (default false)
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others; e.g. conf/sad.conf"

echo "$0 $*" >&2

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f "$utils/parse_options.sh" ] || utils=$here/../../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
set -euo pipefail

if [ $# != 2 ]; then
  printf '%s: error: expected <data-dir> <speech-dir>, got %d arguments\n%s\n' "$script" $# "$help_message" >&2
  exit 1
fi
data=$1
out=$2
utils=$(cd "$utils" && pwd)
PATH=$utils:$PATH

jobs=$("$python" "$here/detect_speech.py" --verbose "$verbose" plan --sad "$sad" \
  --sad-aggressiveness "$sad_aggressiveness" --sad-frame "$sad_frame" --sad-majority "$sad_majority" \
  --sad-gap "$sad_gap" --sad-min-speech "$sad_min_speech" --sad-pad "$sad_pad" \
  --overlap "$overlap" --nj "$nj" --overwrite "$overwrite" "$data" "$out") || exit 1

if [ "$jobs" -gt 0 ]; then
  mkdir -p "$out/log"
  # $cmd is unquoted by design: it may hold options, as in --cmd "queue.pl --mem 2G".
  # shellcheck disable=SC2086
  $cmd JOB=1:"$jobs" "$out/log/detect_speech.JOB.log" \
    "$python" "$here/detect_speech.py" --verbose "$verbose" run --job JOB "$out"
else
  echo "$script: nothing to do, all $(grep -c '[^[:space:]]' "$data/wav.scp") recordings are done"
fi
"$python" "$here/detect_speech.py" --verbose "$verbose" gather "$out"
