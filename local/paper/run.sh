#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# The paper's tables and figures; run.py has the options. Run it from a recipe's folder: local/paper/run.sh --set mini
set -euo pipefail

# shellcheck source=path.sh
if [ -f path.sh ]; then . ./path.sh; fi
python=${PYTHON:-python3} option=
for word in "$@"; do
  if [ "$option" = --python ]; then python=$word; fi
  option=$word
done
exec "$python" "$(dirname "$(readlink -f "$0")")/run.py" "$@"
