#!/usr/bin/env bash
# The recipe on CALLHOME: stages and options of the root run.sh; local/prepare_data.sh prepares the corpus (README.md).
#   ./run.sh --data "--corpus-dir ~/LDC --crop uem"
set -eu # sh may not know pipefail

here=$(cd -P "$(dirname "$0")" && pwd)
if [ "$(pwd -P)" != "$here" ]; then
  echo "run.sh: error: $PWD is not this recipe's folder; run it as in cd '$here' && ./run.sh" >&2
  exit 1
fi
exec ../../run.sh "$@"
