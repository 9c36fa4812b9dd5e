#!/usr/bin/env bash
# Stage 1: from a CALLHOME corpus to a data directory; see --help and README.md.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/../../../steps/diar/begin.sh"
exec "$python" "$here/prepare_data.py" "$@"
