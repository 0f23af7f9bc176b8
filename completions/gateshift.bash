# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# bash completion for gateshift's commands.  Options come from "CMD --long-options", names of
# volumes and gateways from the configuration folder, everything else is a file name.

# The folder of configuration that the command line being typed would use.
_gateshift_config()
{
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == --config ]] || continue
    # "--config=DIR" is three words to readline.
    [[ ${COMP_WORDS[i + 1]} == '=' ]] && i=$((i + 1))
    echo "${COMP_WORDS[i + 1]}"
    return
  done
  echo "${GATESHIFT_CONFIG:-/etc/gateshift}"
}

# _gateshift_names KIND: the names in column KIND of KINDs.csv (names need no quotes in CSV).
_gateshift_names()
{
  local file column=0 header fields
  file=$(_gateshift_config)/$1s.csv
  [[ -r $file ]] || return
  {
    IFS=, read -ra header
    while [[ $column -lt ${#header[@]} && ${header[column]%$'\r'} != "$1" ]]; do
      column=$((column + 1))
    done
    while IFS=, read -ra fields || [[ ${#fields[@]} -gt 0 ]]; do
      echo "${fields[column]%$'\r'}"
    done
  } <"$file"
}

# How many arguments that are no options stand before the word being typed.
_gateshift_position()
{
  local i n=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -*) ;;
    '=') i=$((i + 1)) ;;
    # The argument of an option that wants one, given as the next word.
    *) [[ " $1 " == *" ${COMP_WORDS[i - 1]}= "* ]] || n=$((n + 1)) ;;
    esac
  done
  echo "$n"
}

# Fills COMPREPLY with what starts like the word being typed.
_gateshift_reply()
{
  local word=$1 IFS=$'\n'
  shift
  mapfile -t COMPREPLY < <(compgen "$@" -- "$word")
}

_gateshift()
{
  COMPREPLY=()
  local command=$1 word=${COMP_WORDS[COMP_CWORD]} before=$3 options
  options=$("$command" --long-options 2>/dev/null | tr '\n' ' ')
  if [[ $word == '=' ]]; then
    word=
    before=${COMP_WORDS[COMP_CWORD - 1]}
  elif [[ $before == '=' ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $before in
  --config | --state | --run | --record | --replay)
    compopt -o filenames
    _gateshift_reply "$word" -d
    return
    ;;
  esac
  if [[ $word == -* ]]; then
    _gateshift_reply "$word" -W "${options// /$'\n'}"
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
    return
  fi
  # An option's argument is no volume and no gateway.
  if [[ " $options " != *" $before= "* ]]; then
    case ${command##*/}:$(_gateshift_position "$options") in
    route-set:0) _gateshift_reply "$word" -W "$(_gateshift_names volume)" ;;
    route-set:1 | gateway-probe:*) _gateshift_reply "$word" -W "$(_gateshift_names gateway)" ;;
    esac
    [[ ${#COMPREPLY[@]} -eq 0 ]] || return
  fi
  compopt -o filenames
  _gateshift_reply "$word" -f
}

complete -F _gateshift affinity-profile gateway-probe health-score migrate-console migrate-exec migrate-plan \
  migrate-replay route-director route-set
