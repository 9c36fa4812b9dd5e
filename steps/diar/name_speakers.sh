#!/usr/bin/env bash
# Gives speakers their names, or finds the same voice in several recordings. <system-dir> ... -> <system-dir>/names.json; see
# --help. It comes after make_rttm.sh (stage 6), whose results get the names.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/name_speakers.py" "$@"
