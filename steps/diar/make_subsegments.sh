#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 3: cuts speech regions into sub-segments. <speech-dir> -> <subsegments-dir>; see --help.
# extract_xvectors.sh comes next.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh"
exec "$python" "$here/make_subsegments.py" "$@"
