#!/usr/bin/env bash
# Stage 5: clusters the x-vectors of each recording. <xvector-dir> -> <out-dir>, with a label for each sub-segment; see
# --help. make_rttm.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/cluster_ssl.py" "$@"
