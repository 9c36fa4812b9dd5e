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
# the file can set only options, and nothing in it is expanded. --help prints $help_message and exits with 0. Anything
# else that looks like an option is refused in one line and with 1. A line "old_name ..: what to use instead" of
# $moved_options is shown to those who still use the old name. Without the two comment lines, every variable is an option.
# Works under `set -euo pipefail`.

_po_die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# The names of the options, between blanks: those of the marked section of the script, or of the script that sources it.
_po_names=
for _po_file in "${BASH_SOURCE[@]:1}"; do
  [[ -z $_po_names && -f $_po_file ]] || continue
  _po_section=
  while IFS= read -r _po_name; do
    case $_po_name in
      '# Begin configuration section'*) _po_section=1 ;;
      '# End configuration section'*) break ;;
      [a-z]*=*) [[ -z $_po_section ]] || _po_names+="${_po_name%%=*} " ;;
    esac
  done <"$_po_file"
done

# _po_is_option <--name>: set _po_name to its variable; fail if it is no option.
_po_is_option() {
  local LC_ALL=C
  _po_name=${1#--}
  _po_name=${_po_name//-/_}
  [[ $1 == --* && $_po_name =~ ^[a-z][a-z0-9_]*$ && $_po_name != help_message && -n ${!_po_name+set} ]] || return 1
  [[ -z $_po_names || " $_po_names" == *" $_po_name "* ]]
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
  local _po_line _po_number=0 _po_value='([^[:space:]"'\''$`\]*|"[^"$`\]*"|'\''[^'\'']*'\'')'
  [[ -f $1 && -r $1 ]] || _po_die "$1: no such config file"
  while IFS= read -r _po_line || [[ -n $_po_line ]]; do
    _po_number=$((_po_number + 1))
    [[ ! ${_po_line%$'\r'} =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ ${_po_line%$'\r'} =~ ^[[:space:]]*(--)?([^=[:space:]]+)=$_po_value([[:space:]]+#.*|[[:space:]]*)$ ]] ||
      _po_die "$1:$_po_number: expected name=value, one word or quoted text without expansions, got '$_po_line'"
    _po_value_text=${BASH_REMATCH[3]}
    [[ $_po_value_text != [\"\']* ]] || _po_value_text=${_po_value_text:1:-1}
    _po_assign "$1:$_po_number: " "--${BASH_REMATCH[2]}" "$_po_value_text"
  done <"$1"
}

# Help and config files come first, so that the command line wins wherever they stand.
_po_args=("$@")
for ((_po_i = 0; _po_i < $#; _po_i++)); do
  case "${_po_args[_po_i]}" in
    --help | -h) printf '%s\n' "${help_message:-${0##*/}: no help message}" && exit 0 ;;
    --config)
      [[ $((_po_i + 1)) -lt $# ]] || _po_die "option --config needs a value"
      _po_read_config "${_po_args[++_po_i]}"
      ;;
    --*=*) ;;
    --*) _po_i=$((_po_i + 1)) ;;
    *) break ;;
  esac
done

while [[ $# -gt 0 ]]; do
  case "$1" in
    --) _po_die "bare '--'; expected --name value" ;;
    --*=*) _po_die "options are given as --name value, got '$1'" ;;
    --config) ;;
    --*)
      if _po_is_option "$1"; then
        [[ $# -ge 2 ]] || _po_die "option $1 needs a value"
        ! _po_is_option "$2" || _po_die "option $1 needs a value, got the option $2"
      fi
      _po_assign "" "$1" "${2-}"
      ;;
    -[A-Za-z]*) _po_die "unknown option $1; options are given as --name value" ;;
    *) break ;;
  esac
  shift 2
done
unset -f _po_die _po_is_option _po_assign _po_read_config
unset -v _po_names _po_file _po_section _po_name _po_default _po_value_text _po_args _po_i
true
