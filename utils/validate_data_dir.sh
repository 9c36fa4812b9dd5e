#!/usr/bin/env bash
# Checks a data directory, with the command line of Kaldi's validate_data_dir.sh; see --help.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE:-$0}")")/../steps/diar/begin.sh"
exec "$python" "$here/validate_data_dir.py" "$@"
