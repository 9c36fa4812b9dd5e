#!/usr/bin/env bash
# Stage 8: writes the page and the table of all systems of a set. <exp-set-dir> -> <out-dir>; see --help.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/make_report.py" "$@"
