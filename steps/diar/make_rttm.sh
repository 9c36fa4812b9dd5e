#!/usr/bin/env bash
# Stage 6: writes who speaks when, as RTTM. <subsegments-dir> <labels-dir> -> <labels-dir>/rttm; see --help.
# score_der.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/make_rttm.py" "$@"
