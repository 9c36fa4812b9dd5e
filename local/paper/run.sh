#!/usr/bin/env bash
# Tables and figures of the paper, into <exp-root>/<set>/paper; see --help. Run it from a recipe's folder.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/../../steps/diar/begin.sh"
exec "$python" "$here/run.py" "$@"
