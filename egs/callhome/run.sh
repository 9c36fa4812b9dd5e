#!/usr/bin/env bash
# The recipe on CALLHOME: stages and options of the root run.sh; local/prepare_data.sh prepares the corpus (README.md).
#   ./run.sh --data "--corpus-dir ~/LDC --crop uem"
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # under sh
set -euo pipefail

here=$(cd -P "$(dirname "$0")" && pwd)
if [ "$(pwd -P)" != "$here" ]; then
  echo "run.sh: error: $PWD is not this recipe's folder; run it as in cd '$here' && ./run.sh" >&2
  exit 1
fi
# A part of stage 0.
if [[ ! " $* " =~ " --"(stage|help)" " ]] && ! (. ./path.sh && command -v sph2pipe) >/dev/null; then
  echo "run.sh: WARNING: no sph2pipe on the PATH; shorten-compressed .sph files, as most of the LDC's are, cannot be" \
    'read without it (README.md, "To install")' >&2
fi
exec ../../run.sh "$@"
