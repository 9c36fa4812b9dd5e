#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 8: the report of an experiment set. Collects what score_der.sh wrote, <exp-set-dir>/*/score/*.json, into
# <out-dir>/table.md: for each protocol a row per system with miss, false alarm, confusion and DER, and where its
# speech, speaker counts and x-vectors came from. The same table is printed on stdout. A system without score (there
# was no reference) has a row that says so.

# Begin configuration section.
systems=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

help_message="Usage: $0 [options] <exp-set-dir> <out-dir>
 e.g.: $0 exp/mini exp/mini/report
Reads <exp-set-dir>/*/{rttm,meta.json,score/*.json}, writes <out-dir>/table.md and prints it.
  --systems '<names>|'      # which systems, in this order; default: every folder that has an rttm, by name
  --python <path|$python>   # Python that has the requirements
  --verbose <0|1|2>         # 0: warnings only, 1: progress (default), 2: details
  --config <file>           # options as name=value lines, read before the others"

echo "$0 $*" >&2

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f "$utils/parse_options.sh" ] || utils=$here/../../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
set -euo pipefail

if [ $# != 2 ]; then
  printf '%s: error: expected <exp-set-dir> <out-dir>, got %d arguments\n%s\n' "${0##*/}" $# "$help_message" >&2
  exit 1
fi

"$python" "$here/make_report.py" --systems="$systems" --verbose="$verbose" -- "$1" "$2"
