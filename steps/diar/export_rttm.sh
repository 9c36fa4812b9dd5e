#!/usr/bin/env bash
# Writes an RTTM in the formats of other tools. <rttm-or-system-dir> -> <out-dir>; see --help. Not a stage of run.sh.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/export_rttm.py" "$@"
