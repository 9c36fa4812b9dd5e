#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 1 for any folder of audio, or one file. <audio> -> <data-root>/<set>; see --help. detect_speech.sh comes next.

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../steps/diar/begin.sh"
exec "$python" "$here/prepare_audio.py" "$@"
