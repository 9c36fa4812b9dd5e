#!/usr/bin/env bash
# Stage 3: cuts speech regions into sub-segments. <speech-dir> -> <subsegments-dir>; see --help.
# extract_xvectors.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/make_subsegments.py" "$@"
