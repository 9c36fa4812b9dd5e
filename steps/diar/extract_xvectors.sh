#!/usr/bin/env bash
# Stage 4: computes an x-vector for each sub-segment. <data-dir> <subsegments-dir> -> <xvector-dir>; see --help.
# cluster_ssl.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/extract_xvectors.py" "$@"
