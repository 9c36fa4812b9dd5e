#!/usr/bin/env bash
# Stage 1 of the root recipe: its own corpus mini; see --help. detect_speech.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/../steps/diar/begin.sh"
exec "$python" "$here/prepare_data.py" "$@"
