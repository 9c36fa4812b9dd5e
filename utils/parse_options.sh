#!/usr/bin/env bash
# Command line options of a shell script, with Kaldi's conventions. This file is sourced, not run:
#
#   # Begin configuration section.
#   nj=4                     # every option is a variable that has its default before the options are parsed
#   overwrite=false          # a default of true or false makes the option a boolean
#   # End configuration section.
#   help_message="Usage: ..."
#   . utils/parse_options.sh # afterwards "$@" holds the positional arguments only
#
# --some-name VALUE (or --some_name VALUE) sets $some_name, to any text: empty, with spaces, non-ASCII. --config FILE
# reads options from a file before the command line, which therefore wins wherever it stands. --help (or -h) prints
# $help_message on stdout and leaves with 0. Anything else that looks like an option is refused, in one line and with
# 1: a name that the script did not define or that is not lower case (so that PATH or IFS cannot be set), a forgotten
# value, a boolean that is neither true nor false, --name=value, a bare --, an empty --cmd.
#
# A config file holds one option a line, name=value or --name=value, with '#' comments. Values with spaces are quoted
# ("..." or '...'). The file is read, not run: it can set options and nothing else, and nothing in it is expanded.
#
# A script that once had other options may say so in $moved_options, a line each: "old_name: what to give instead"
# (a config file goes by its name). Who still uses one is told that, instead of "unknown option".
#
# In a script with Kaldi's two comment lines around its defaults, the variables between them are the options; in one
# without, every variable is, as with Kaldi's parse_options.sh. Works under `set -euo pipefail`.

_po_die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# _po_moved <file:line: or nothing> <what the user gave> <its name>: die if the script says what became of it.
_po_moved() {
  local _po_line
  while IFS= read -r _po_line; do
    [[ $_po_line != "$3: "* ]] || _po_die "$1$2 is not used any more; ${_po_line#*: }"
  done <<<"${moved_options:-}"
}

# _po_unknown <file:line: or nothing> <--name>
_po_unknown() {
  local _po_name=${2#--}
  _po_moved "$1" "$2" "${_po_name//-/_}"
  _po_die "$1unknown option $2 (see ${0##*/} --help)"
}

# " nj overwrite " of a script whose configuration section is marked.
_po_options=
_po_read_options() {
  local LC_ALL=C _po_line _po_names=
  [[ -f $1 && -r $1 ]] || return 0
  while IFS= read -r _po_line; do
    case $_po_line in
      '# Begin configuration section'*) _po_names=' ' ;;
      '# End configuration section'*) _po_options=$_po_names && return ;;
      *) [[ -z $_po_names || ! $_po_line =~ ^[[:space:]]*([a-z][a-z0-9_]*)= ]] || _po_names+="${BASH_REMATCH[1]} " ;;
    esac
  done <"$1"
}
# The section is in the script itself, or in the one that sources it.
for _po_file in "${BASH_SOURCE[@]:1}"; do
  _po_read_options "$_po_file"
  [[ -z $_po_options ]] || break
done

# _po_is_option <--name>: whether it names a variable of the script that is an option.
_po_is_option() {
  local LC_ALL=C _po_variable=${1#--}
  _po_variable=${_po_variable//-/_}
  [[ -z $_po_options || $_po_options == *" $_po_variable "* ]] || return 1
  [[ $1 == --* && $_po_variable =~ ^[a-z][a-z0-9_]*$ && $_po_variable != help_message && -n ${!_po_variable+set} ]]
}

# The value that an option had at first: a string option that was set to "true" once has not become a boolean.
declare -A _po_default=()

# _po_assign <file:line: or nothing> <--name> <value>
_po_assign() {
  local _po_variable=${2#--}
  _po_variable=${_po_variable//-/_}
  _po_is_option "$2" || _po_unknown "$1" "$2"
  : "${_po_default[$_po_variable]=${!_po_variable}}"
  if [[ ${_po_default[$_po_variable]} =~ ^(true|false)$ && ! $3 =~ ^(true|false)$ ]]; then
    _po_die "$1bad value of $2; expected true or false, got '$3'"
  fi
  if [[ $_po_variable == cmd && -z $3 ]]; then
    _po_die "$1empty value of $2; expected run.pl or the like"
  fi
  printf -v "$_po_variable" '%s' "$3"
}

# _po_read_config <file>
_po_read_config() {
  local _po_line _po_number=0 _po_name _po_value
  local _po_option='^[[:space:]]*(--)?([^=[:space:]]+)=(.*)$' _po_end='([[:space:]]+#.*|[[:space:]]*)$'
  # shellcheck disable=SC2016 # the text of the patterns, nothing to expand
  local _po_bare='^([^[:space:]"'"'"'$`\]*)' _po_double='^"([^"$`\]*)"' _po_single="^'([^']*)'"
  [[ -e $1 ]] || _po_moved "" "$1" "${1##*/}"
  [[ -e $1 ]] || _po_die "$1: no such config file"
  [[ -r $1 && ! -d $1 ]] || _po_die "$1: cannot read the config file"
  while IFS= read -r _po_line || [[ -n $_po_line ]]; do
    _po_number=$((_po_number + 1))
    _po_line=${_po_line%$'\r'}
    [[ ! $_po_line =~ ^[[:space:]]*(#.*)?$ ]] || continue
    [[ $_po_line =~ $_po_option ]] || _po_die "$1:$_po_number: not an option; expected name=value, got '$_po_line'"
    _po_name=${BASH_REMATCH[2]} _po_value=${BASH_REMATCH[3]}
    [[ $_po_value =~ $_po_bare$_po_end || $_po_value =~ $_po_double$_po_end || $_po_value =~ $_po_single$_po_end ]] ||
      _po_die "$1:$_po_number: bad value of $_po_name;\
 expected one word or quoted text without expansions, got '$_po_value'"
    _po_assign "$1:$_po_number: " "--$_po_name" "${BASH_REMATCH[1]}"
  done <"$1"
}

# First the help and the config files, so that what the command line says comes after and wins.
_po_position=1
while [[ $_po_position -le $# ]]; do
  case "${!_po_position}" in
    --help | -h)
      printf '%s\n' "${help_message:-${0##*/}: no help message}"
      exit 0
      ;;
    --config)
      _po_position=$((_po_position + 1))
      [[ $_po_position -le $# ]] || _po_die "option --config needs a value"
      config=${!_po_position}
      _po_read_config "$config"
      ;;
    --*=*) ;;
    --*) _po_position=$((_po_position + 1)) ;;
    *) break ;;
  esac
  _po_position=$((_po_position + 1))
done

while [[ $# -gt 0 ]]; do
  case "$1" in
    --) _po_die "bare '--'; expected --name value" ;;
    --*=*) _po_die "options are given as --name value, got '$1'" ;;
    --config) ;;
    --*)
      _po_is_option "$1" || _po_unknown "" "$1"
      [[ $# -ge 2 ]] || _po_die "option $1 needs a value"
      ! _po_is_option "$2" || _po_die "option $1 needs a value, got the option $2"
      _po_assign "" "$1" "$2"
      ;;
    -[A-Za-z]*) _po_die "unknown option $1; options are given as --name value" ;;
    *) break ;;
  esac
  shift 2
done

unset -f _po_die _po_moved _po_unknown _po_read_options _po_is_option _po_assign _po_read_config
unset -v _po_position _po_options _po_default _po_file
true
