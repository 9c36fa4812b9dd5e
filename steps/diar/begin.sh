# Copyright 2026  ssdiar authors
# Apache 2.0

# Start of every stage script: sources path.sh of the current recipe if there is one, and sets `here`, the physical folder
# of the script, and `python`: --python <path>, else $PYTHON, else .venv of the current folder, else that of the repository,
# else python3. The script then ends with: exec "$python" "$here/NAME.py" "$@"
# A shell script with options of its own, such as local/prepare_data.sh, sets their defaults and help_message first
# (utils/parse_options.sh); its options are then parsed, and it gets `script`, `utils`, die and say.
# shellcheck shell=bash disable=SC2034

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
set -euo pipefail

_root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../..
here=$(dirname "$(readlink -f "${BASH_SOURCE[1]}")")
script=${0##*/}
utils=$(cd "$_root/utils" && pwd)

# die <text>: report an error and exit.
die() {
  printf '%s: error: %s\n' "$script" "$1" >&2
  exit 1
}
# say <text>: report progress.
say() { if [ "${verbose:-1}" != 0 ]; then printf '%s: %s\n' "$script" "$1" >&2; fi; }

_python=${PYTHON:-} _last=
for _word in "$@"; do
  if [ "$_last" = --python ]; then _python=$_word; fi
  _last=$_word
done
for python in "$_python" "$PWD/.venv/bin/python3" "$_root/.venv/bin/python3" python3; do
  if [ -n "$python" ] && { [ "$python" = "$_python" ] || command -v "$python" >/dev/null; }; then break; fi
done
command -v "$python" >/dev/null || die "$python: no such Python (--python, PYTHON)"

if [ -n "${help_message:-}" ]; then
  # shellcheck source=utils/parse_options.sh
  . "$utils/parse_options.sh" || exit 1
fi
