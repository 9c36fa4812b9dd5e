# Copyright 2026  ssdiar authors
# Apache 2.0

# What every stage script begins with, and those of local/ too. A script sets its options, between the two comment lines
# that parse_options.sh knows, and help_message, whose first line names its arguments; then it sources this file:
#
#   help_message="Usage: $0 [options] --set <name> <data-dir> [<out-dir>]      # an option there must be given
#   ..."
#   . "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1
#
# From then on bash stops at errors, and options and "$@" are what the command line says. `here` is the folder of the
# script, `steps` that of this file, `utils` that of the recipe's own utils/, such as Kaldi's, else of ours, which is on
# PATH; `script` and `stage` are the script's name with and without .sh.
# shellcheck shell=bash disable=SC2034,SC2154

# To be pasted into a shell; in UTF-8, where that is known, umlauts stay readable.
{ LC_ALL=C.UTF-8 printf -v _command_line '%q ' "$0" "$@"; } 2>/dev/null
# shellcheck source=/dev/null
if [ -f path.sh ]; then . ./path.sh; fi
utils=utils
[ -f utils/parse_options.sh ] || utils=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../utils
# shellcheck source=/dev/null
. "$utils/parse_options.sh" || exit 1
set -euo pipefail

utils=$(cd "$utils" && pwd)
PATH=$utils:$PATH
steps=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
here=$(dirname "$(readlink -f "${BASH_SOURCE[1]}")")
script=${0##*/}
stage=${script%.sh}
options=()
if [ "$verbose" != 0 ]; then echo "${_command_line% }" >&2; fi

# die <text>: say what is wrong and leave.
die() {
  printf '%s: error: %s\n' "$script" "$1" >&2
  exit 1
}
# say <text>: tell how things go.
say() { if [ "$verbose" != 0 ]; then printf '%s: %s\n' "$script" "$1" >&2; fi; }

# run_python <argument>...: run the script's Python side with the options in the array `options`. It takes an empty one
# for one that is not given.
run_python() {
  local code=0
  "$python" "$here/$stage.py" --verbose="$verbose" "${options[@]}" -- "$@" || code=$?
  if [ "$code" != 0 ]; then
    tell_signal "$code"
    exit 1
  fi
}

# tell_signal <code>: if the exit code of the Python side is that of a signal, say so, since it cannot do that itself.
tell_signal() {
  local name
  if [ "$1" -le 128 ] || [ "$1" = 130 ]; then return; fi # 130: ctrl-C
  name=$(kill -l "$1" 2>/dev/null || echo "$(($1 - 128))")
  if [ "$name" = KILL ]; then name+="; the system does that where memory runs out: give it more, or fewer jobs (--nj)"; fi
  printf '%s: error: %s.py was ended by signal %s\n' "$script" "$stage" "$name" >&2
}

# config_file <folder> <name>: print the file of conf/ that an option names; a name that ends in .yaml is a file itself.
config_file() {
  if [[ $2 == *.yaml ]]; then printf '%s' "$2"; else printf '%s' "$steps/../../conf/$1/$2.yaml"; fi
}

# apart <input-dir>... <out-dir>: refuse an output directory that is an input too.
apart() {
  local out=${!#}
  while [ $# -gt 1 ]; do
    if [ "$out" -ef "$1" ]; then die "$out: is input and output at once; expected another output directory"; fi
    shift
  done
}

# _expect <argument>...: compare the command line with the first line of help_message.
_expect() {
  local usage=${help_message%%$'\n'*} word option='' least=0 most=0 got="$# arguments"
  usage=${usage#*'[options]'}
  for word in $usage; do
    if [ -n "$option" ]; then # the value of a required option
      if [ -z "${!option}" ]; then got="no --${option//_/-}" least=1000; fi
      option=
    elif [[ $word == --* ]]; then
      option=${word#--}
      option=${option//-/_}
    else
      most=$((most + 1))
      if [[ $word != \[* ]]; then least=$((least + 1)); fi
    fi
  done
  if [ $# -ge "$least" ] && [ $# -le "$most" ]; then return; fi
  if [ "$most" = 0 ] && [ $# != 0 ]; then got=$1; fi
  usage=${usage# }
  printf '%s: error: expected %s, got %s\n%s\n' "$script" "${usage:-options only}" "$got" "$help_message" >&2
  exit 1
}
_expect "$@"

# shellcheck source=steps/diar/jobs.sh
. "$steps/jobs.sh"
