#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 7: the diarization error rate of one system, from its RTTM (make_rttm.sh) and the data directory's reference.
# This is the only stage that reads ref.rttm. For each protocol it writes <exp-dir>/score/<protocol>.json, which
# make_report.sh collects, and <protocol>.txt, a table of recordings with the worst first.
#
# Protocols: forgiving = collar 0.25 s on each side of every reference boundary, overlapped speech ignored;
# fair = the same collar, overlapped speech scored; full = no collar, overlapped speech scored.
# Beside the DER stands the JER, the mean over speakers of what of each is wrong; it has no collar and counts overlapped
# speech under every protocol. All scorers follow NIST's md-eval.pl; DERs are pooled over time, never averaged over
# recordings.

# Begin configuration section.
protocols="forgiving fair full"
collar=
ignore_overlap=
uem=
ref=
scorer=ssdiar
speech_source=
num_spk_source=
xvector_model=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

help_message="Usage: $0 [options] <data-dir> <exp-dir>
 e.g.: $0 data/mini exp/mini/xvector_ahc
Reads <data-dir>/{ref.rttm,all.uem} and <exp-dir>/rttm, writes <exp-dir>/score/{forgiving,fair,full}.{json,txt}.
  --protocols '<names>|forgiving fair full'  # which of the three
  --collar <seconds|''>              # score one protocol 'custom' instead, with this collar on each side (default 0)
  --ignore-overlap <true|false|''>   # same, leaving overlapped speech out or not (default false)
  --uem <file|data-dir/all.uem>      # regions to score; without any, the extent of each reference
  --ref <file|data-dir/ref.rttm>     # reference
  --scorer <ssdiar|md-eval|dscore>   # our scorer (default), or the official program: md-eval.pl on PATH, in MDEVAL or
                                     # from sctk; github nryant/dscore in DSCORE_ROOT
  --speech-source <text|''>          # noted in the score: where speech regions came from
  --num-spk-source <text|''>         # noted in the score: where speaker counts came from
  --xvector-model <text|''>          # noted in the score: which model made the x-vectors
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

command_line="$0 $*"

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f "$utils/parse_options.sh" ] || utils=$here/../../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
set -euo pipefail
if [ "$verbose" != 0 ]; then echo "$command_line" >&2; fi

if [ $# != 2 ]; then
  printf '%s: error: expected <data-dir> <exp-dir>, got %d arguments\n%s\n' "${0##*/}" $# "$help_message" >&2
  exit 1
fi
data=$1
dir=$2

if [ -z "$ref" ]; then
  ref=$data/ref.rttm
  if [ ! -f "$ref" ]; then
    echo "${0##*/}: error: $ref: no such file; expected the reference (or give --ref <file>)" >&2
    exit 1
  fi
fi
if [ -z "$uem" ] && [ -f "$data/all.uem" ]; then uem=$data/all.uem; fi
if [ ! -f "$dir/rttm" ]; then
  echo "${0##*/}: error: $dir/rttm: no such file; expected what make_rttm.sh writes" >&2
  exit 1
fi

opts=(--protocols="$protocols" --scorer="$scorer" --verbose="$verbose")
opts+=(--speech-source="$speech_source" --num-spk-source="$num_spk_source" --xvector-model="$xvector_model")
if [ -n "$uem" ]; then opts+=(--uem="$uem"); fi
if [ -n "$collar" ]; then opts+=(--collar="$collar"); fi
if [ -n "$ignore_overlap" ]; then opts+=(--ignore-overlap="$ignore_overlap"); fi

"$python" "$here/score_der.py" "${opts[@]}" -- "$ref" "$dir/rttm" "$dir/score"
