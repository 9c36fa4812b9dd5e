#!/usr/bin/env bash
# Stage 1 for any folder of audio, or one file. <audio> -> <data-root>/<set>; see --help. detect_speech.sh comes next.

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/../steps/diar/begin.sh"
exec "$python" "$here/prepare_audio.py" "$@"
