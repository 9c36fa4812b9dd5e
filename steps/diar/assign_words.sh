#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Gives the words of a transcript their speakers. <transcript> <rttm> -> <out-dir>; see --help. Not a stage of run.sh.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh"
exec "$python" "$here/assign_words.py" "$@"
