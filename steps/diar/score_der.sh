#!/usr/bin/env bash
# Stage 7: computes the diarization error rate of an RTTM. <data-dir> <exp-dir> -> <exp-dir>/score; see --help.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/score_der.py" "$@"
