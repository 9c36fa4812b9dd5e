#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# The recipe on CALLHOME: all stages and options are those of the root run.sh, the corpus is prepared by local/ of this
# folder. README.md says which three corpora go by that name and what you must own.
#   ./run.sh --corpus-dir ~/LDC --subset two-speaker
set -euo pipefail

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "$(pwd -P)" != "$here" ]; then
  echo "run.sh: error: $PWD is not this recipe's folder; run it as in cd '$here' && ./run.sh" >&2
  exit 1
fi
exec ../../run.sh "$@"
