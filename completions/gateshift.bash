# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# bash completion for gateshift's commands.  Options come from "CMD --long-options", names of
# gateways from the configuration folder, of volumes from there and the route store, of migrations
# from the state folder; everything else is a file name.  gateshift.fish and _gateshift (zsh) do the
# same.

# _gateshift_folder --config|--state DEFAULT: the folder that the command line being typed would use.
_gateshift_folder()
{
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == "$1" ]] || continue
    # "--config=DIR" is three words to readline.
    [[ ${COMP_WORDS[i + 1]} == '=' ]] && i=$((i + 1))
    echo "${COMP_WORDS[i + 1]}"
    return
  done
  echo "$2"
}

# _gateshift_names KIND: the names in column KIND of KINDs.csv (names need no quotes in CSV).  What
# is no name is left out: compgen would carry out a $(…) in it.
_gateshift_names()
{
  local file column=0 header fields
  file=$(_gateshift_folder --config "${GATESHIFT_CONFIG:-/etc/gateshift}")/$1s.csv
  [[ -r $file ]] || return
  {
    IFS=, read -ra header
    while [[ $column -lt ${#header[@]} && ${header[column]%$'\r'} != "$1" ]]; do
      column=$((column + 1))
    done
    while IFS=, read -ra fields || [[ ${#fields[@]} -gt 0 ]]; do
      [[ ${fields[column]-} =~ ^[A-Za-z0-9._:@+-]+$'\r'?$ ]] || continue
      echo "${fields[column]%$'\r'}"
    done
  } <"$file"
}

# Volumes that are listed, and those that have a route.
_gateshift_volumes()
{
  {
    _gateshift_names volume
    route-set --state "$(_gateshift_state)" 2>/dev/null | sed '1d; s/,.*//'
  } | sort -u
}

_gateshift_state()
{
  _gateshift_folder --state "${GATESHIFT_STATE:-/var/lib/gateshift}"
}

# Migrations that have a journal; what is no name is left out here, too.
_gateshift_migrations()
{
  local file
  for file in "$(_gateshift_state)"/migrations/*.csv; do
    file=${file##*/}
    [[ ! ${file%.csv} =~ ^[A-Za-z0-9._:@+-]+$ ]] || echo "${file%.csv}"
  done
}

# What the words before say of the argument being typed, of a command that is given an ID or a VOLUME
# by what it is to do.
_gateshift_has()
{
  local option
  for option; do
    [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " != *" $option "* ]] || return 0
  done
  return 1
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
  if [[ " $options " == *" $before= "* ]]; then
    case ${command##*/}:$before in
    affinity-profile:--explain | affinity-profile:--volume)
      _gateshift_reply "$word" -W "$(_gateshift_volumes)"
      ;;
    gateway-probe:--volume) _gateshift_reply "$word" -W "$(_gateshift_volumes)" ;;
    migrate-plan:--drain) _gateshift_reply "$word" -W "$(_gateshift_names gateway)" ;;
    esac
  else
    case ${command##*/}:$(_gateshift_position "$options") in
    route-set:0) _gateshift_reply "$word" -W "$(_gateshift_volumes)" ;;
    route-set:1 | gateway-probe:*) _gateshift_reply "$word" -W "$(_gateshift_names gateway)" ;;
    route-director:0) _gateshift_reply "$word" -W "$(_gateshift_volumes)" ;;
    migrate-exec:*)
      if _gateshift_has --check; then
        _gateshift_reply "$word" -W "$(_gateshift_volumes)"
      elif _gateshift_has --abort --commit --cutover --missing --modify --resume --revert --status; then
        _gateshift_reply "$word" -W "$(_gateshift_migrations)"
      fi
      ;;
    esac
  fi
  [[ ${#COMPREPLY[@]} -eq 0 ]] || return
  compopt -o filenames
  _gateshift_reply "$word" -f
}

complete -F _gateshift affinity-profile gateway-probe health-score migrate-console migrate-exec \
  migrate-plan migrate-replay route-director route-set
