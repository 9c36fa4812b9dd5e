#!/usr/bin/env bash
# Stage 0: finds or makes a Python with the packages of requirements.txt, and prints its path.
# Takes .venv beside requirements.txt or the active python3 if one of them has all; otherwise makes or completes .venv.

# Begin configuration section.
python=
choices=
dev=false
overwrite=false
verbose=1
# End configuration section.

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
script=$(basename "$0")

# shellcheck disable=SC2034  # parse_options.sh shows it
help_message="Usage: $0 [options]
 e.g.: $0
  --python <path>            # check this Python and install nothing
  --choices \"<a> <b> ..\"     # install only the packages of these choices of conf/, as in \"best pyannote campplus\"
  --dev <true|false>         # also install the packages of tests and linters (false)
  --overwrite <true|false>   # replace .venv (false)
  --verbose <0|1|2>          # 0: warnings only, 1: progress, 2: details of pip (1)"

# shellcheck source=utils/parse_options.sh
. "$root/utils/parse_options.sh" || exit 1
set -euo pipefail

die() {
  printf '%s: error: %s\n' "$script" "$1" >&2
  exit 1
}
progress() { if [ "$verbose" != 0 ]; then printf '%s: %s\n' "$script" "$*" >&2; fi; }

if [ $# != 0 ]; then die "expected options only, got $1 (see $script --help)"; fi
needed=$root/requirements.txt
if [ -n "$choices" ]; then # the smaller file is enough without networks that train, SpeechBrain and Silero
  files=()
  for choice in $choices; do files+=("${choice%%+*}" "$root"/conf/*/"${choice%%+*}.yaml"); done
  if ! grep -Eqs '^(method: *ssl|loader: *speechbrain|detector: *silero)' "${files[@]}"; then
    needed=$root/requirements-best.txt
  fi
fi
files=("$needed")
if [ "$dev" = true ]; then files+=("$root/requirements-dev.txt"); fi
unmet() { "$1" "$root/utils/check_requirements.py" "${files[@]}"; }

if [ -n "$python" ]; then
  path=$(command -v "$python") || die "$python: no such program (--python)"
  [ "$("$path" -c 'print(6 * 7)' 2>/dev/null)" = 42 ] || die "$python is no Python (--python)"
  missing=$(unmet "$path") || die "$python lacks $(wc -l <<<"$missing") packages: $(paste -sd';' <<<"$missing")"
  printf '%s\n' "$path"
  exit 0
fi

venv=$root/.venv
if [ "$overwrite" = true ]; then rm -rf "$venv"; fi
for candidate in "$venv/bin/python3" python3; do
  if path=$(command -v "$candidate") && unmet "$path" >/dev/null 2>&1; then
    progress "using $path"
    printf '%s\n' "$path"
    exit 0
  fi
done

if [ ! -x "$venv/bin/python3" ]; then
  for base in python3 python3.13 python3.12 python3.11 python3.10 ''; do
    [ -n "$base" ] || die "no Python from 3.10 to 3.13 found on the PATH; install one, or give --python"
    if "$base" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then break; fi
  done
  "$base" -m venv "$venv" >&2 || die "$base cannot make $venv; on Debian: apt-get install python3-venv"
fi
if [ "$needed" != "$root/requirements.txt" ]; then size="0.6 GB and a minute"; else size="some 3 GB and a few minutes"; fi
progress "installing into $venv ($size)"
pip=("$venv/bin/python3" -m pip install --disable-pip-version-check)
if [ "$verbose" = 0 ] || { [ "$verbose" = 1 ] && [ ! -t 2 ]; }; then pip+=(--quiet --progress-bar off); fi
build=
torch=$(unmet "$venv/bin/python3" | sed -n 's/^\(torch[<>=].*\): .*/\1/p') || true
if [ -n "$torch" ] && [ "$(uname -s) $(uname -m)" = "Linux x86_64" ]; then
  build=$("$venv/bin/python3" "$root/utils/check_requirements.py" --cpu-build "$torch") ||
    progress "pip finds no CPU build of PyTorch and takes one with CUDA libraries, some 3 GB more; for the CPU build, stop" \
      "this (Ctrl-C) and type: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu $0"
fi
# install <requirements file> [<requirement>]
install() { "${pip[@]}" -r "$@" >&2 || die "pip could not install ${1##*/} (its message is above)"; }
install "$needed" ${build:+"$build"}
if [ "$dev" = true ]; then install "$root/requirements-dev.txt"; fi
missing=$(unmet "$venv/bin/python3") || die "$venv still lacks: $(paste -sd';' <<<"$missing")"
printf '%s\n' "$venv/bin/python3"
