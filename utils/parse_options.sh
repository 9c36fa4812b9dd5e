#!/usr/bin/env bash
# Command line options of a shell script, in Kaldi's manner. This file is sourced, not run:
#
#   # Begin configuration section.
#   nj=4                     # every variable in this section is an option
#   overwrite=false          # a default of true or false makes a boolean
#   # End configuration section.
#   help_message="Usage: ..."
#   . utils/parse_options.sh # afterwards "$@" holds only the positional arguments
#
# --some-name VALUE (or --some_name VALUE) sets $some_name. --config FILE reads name=value lines, before the command line;
# the file can set only options, and nothing in it is expanded. --help prints $help_message and exits with 0. Any other
# option is an error of one line and exit code 1, with the text of a line "old_name ..: text" of $moved_options if it is
# one of these names. Without the two comment lines, every variable is an option. Works under `set -euo pipefail`.

_po_die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# The names of the options, between blanks: those in the marked section of the script, or of the script that sources it.
_po_section='/^# Begin configuration section/,/^# End configuration section/'
_po_names=
for _po_file in "${BASH_SOURCE[@]:1}"; do
  [[ -z $_po_names && -f $_po_file ]] || continue
  _po_names=$(sed -n "$_po_section s/^\([a-z][a-z0-9_]*\)=.*/ \1 /p" "$_po_file")
done

# _po_is_option <--name>: set _po_name to its variable; fail if it is no option.
_po_is_option() {
  local LC_ALL=C
  _po_name=${1#--}
  _po_name=${_po_name//-/_}
  [[ $1 == --* && $_po_name =~ ^[a-z][a-z0-9_]*$ && $_po_name != help_message && -n ${!_po_name+set} ]] || return 1
  [[ -z $_po_names || $_po_names == *" $_po_name "* ]]
}

# _po_assign <file:line: or nothing> <--name> <value>
declare -A _po_default=() # a string that was set to "true" once has not become a boolean
_po_assign() {
  local _po_line
  if ! _po_is_option "$2"; then
    while IFS= read -r _po_line; do
      [[ " ${_po_line%%:*} " != *" $_po_name "* ]] || _po_die "$1$2 is not used any more; ${_po_line#*: }"
    done <<<"${moved_options:-}"
    _po_die "$1unknown option $2 (see ${0##*/} --help)"
  fi
  : "${_po_default[$_po_name]=${!_po_name}}"
  [[ ! ${_po_default[$_po_name]} =~ ^(true|false)$ || $3 =~ ^(true|false)$ ]] ||
    _po_die "$1bad value of $2; expected true or false, got '$3'"
  [[ $_po_name != cmd || -n $3 ]] || _po_die "$1empty value of $2; expected run.pl or the like"
  printf -v "$_po_name" '%s' "$3"
}

# _po_read_config <file>
_po_read_config() {
  # shellcheck disable=SC2016 # the text of a pattern
  local _po_line _po_number=0 _po_text _po_value='([^[:space:]"'\''$`\]*|"[^"$`\]*"|'\''[^'\'']*'\'')'
  [[ -f $1 && -r $1 ]] || _po_die "$1: no such config file"
  while IFS= read -r _po_line || [[ -n $_po_line ]]; do
    _po_number=$((_po_number + 1))
    [[ ! ${_po_line%$'\r'} =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ ${_po_line%$'\r'} =~ ^[[:space:]]*(--)?([^=[:space:]]+)=$_po_value([[:space:]]+#.*|[[:space:]]*)$ ]] ||
      _po_die "$1:$_po_number: expected name=value, one word or quoted text without expansions, got '$_po_line'"
    _po_text=${BASH_REMATCH[3]}
    [[ $_po_text != [\"\']* ]] || _po_text=${_po_text:1:-1}
    _po_assign "$1:$_po_number: " "--${BASH_REMATCH[2]}" "$_po_text"
  done <"$1"
}

# Config files are read at once and options assigned later, so that the command line wins wherever it has --config.
_po_given=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --help | -h) printf '%s\n' "${help_message:-${0##*/}: no help message}" && exit 0 ;;
    --) _po_die "bare '--'; expected --name value" ;;
    --*=* | -[A-Za-z]*) _po_die "options are given as --name value, got '$1'" ;;
    --*)
      if [[ $1 == --config ]] || _po_is_option "$1"; then
        [[ $# -ge 2 ]] || _po_die "option $1 needs a value"
        ! _po_is_option "$2" || _po_die "option $1 needs a value, got the option $2"
      fi
      if [[ $1 == --config ]]; then _po_read_config "$2"; else _po_given+=("$1" "${2-}"); fi
      ;;
    *) break ;;
  esac
  shift $(($# > 1 ? 2 : 1))
done
for ((_po_i = 0; _po_i < ${#_po_given[@]}; _po_i += 2)); do _po_assign "" "${_po_given[@]:_po_i:2}"; done
