#!/usr/bin/env bash
# Gives the words of a transcript their speakers. <transcript> <rttm> -> <out-dir>; see --help. Not a stage of run.sh.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/begin.sh"
exec "$python" "$here/assign_words.py" "$@"
