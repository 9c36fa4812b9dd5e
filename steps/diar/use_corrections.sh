#!/usr/bin/env bash
# Puts corrected turns in place of a system's own, or takes them back. <system-dir> <rttm-or-dir>; see --help.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/use_corrections.py" "$@"
