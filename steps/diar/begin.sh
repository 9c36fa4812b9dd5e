# Start of every stage script: sources path.sh of the current recipe if there is one, and sets `here`, the physical folder
# of the script, and `python`: --python <path>, else $PYTHON, else .venv of the current folder, else that of the repository,
# else python3. PYTHON is then the Python that the user named, or empty.
# The script ends with: exec "$python" "$here/NAME.py" "$@"
# shellcheck shell=bash

# Under sh, or in bash without its own features, the script starts again.
if [ -z "${BASH_VERSION:-}" ] || [ -n "${POSIXLY_CORRECT+set}" ]; then
  unset POSIXLY_CORRECT
  exec bash "$0" "$@"
fi
unset PYTHONSAFEPATH # programs import their neighbours

# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
set -euo pipefail

_root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../..
# shellcheck disable=SC2034
here=$(dirname "$(readlink -f "${BASH_SOURCE[1]}")")

_python=${PYTHON:-} _last=
for _word in "$@"; do
  if [ "$_last" = --python ]; then _python=$_word; fi
  _last=$_word
done
export PYTHON=$_python
for python in "$_python" "$PWD/.venv/bin/python3" "$_root/.venv/bin/python3" python3; do
  if [ -n "$python" ] && { [ "$python" = "$_python" ] || command -v "$python" >/dev/null; }; then break; fi
done
if ! command -v "$python" >/dev/null; then
  echo "${0##*/}: error: $python: no such Python (--python, PYTHON)" >&2
  exit 1
fi
