#!/usr/bin/env bash
# Stage 2: finds speech regions, overlapped speech and changes of speaker. <data-dir> -> <speech-dir>; see --help.
# make_subsegments.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/detect_speech.py" "$@"
