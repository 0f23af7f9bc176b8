#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What shells make of a word that is being typed.  Bash's side of options and files is in help.bats.

load helpers

setup()
{
  common_setup
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  route-set unlisted gw-b >/dev/null
  mkdir "$GATESHIFT_STATE/migrations"
  touch "$GATESHIFT_STATE/migrations/db-1-2.csv" "$GATESHIFT_STATE/migrations/vm-1-7.2.csv" plan.csv
}

teardown()
{
  tm kill-server 2>/dev/null || true
  common_teardown
}

# Lines, and what their last word may be: the same for every shell.
cases()
{
  cat <<'END'
route-set vm-|vm-1 vm-2
route-set unl|unlisted
route-set vm-1 g|gw-a gw-b gw-c
route-set --expect-epoch 3 vm-1 gw-|gw-a gw-b gw-c
route-set --state nowhere unl|
gateway-probe gw-a gw-|gw-a gw-b gw-c
migrate-exec --commit d|db-1-2
migrate-exec --status v|vm-1-7.2
migrate-exec --check db|db-1
migrate-exec pl|plan.csv
migrate-plan --drain gw-|gw-a gw-b gw-c
affinity-profile --explain d|db-1
affinity-profile --volume unl|unlisted
route-director --status vm-|vm-1 vm-2
migrate-console --heal|--health
END
}

# check_cases COMMAND: prints the completions of a line.
check_cases()
{
  local line wanted got
  while IFS='|' read -r line wanted; do
    got=$("$1" "$line" </dev/null | xargs)
    [[ $got == "$wanted" ]] || {
      echo "$line: '$got', not '$wanted'"
      return 1
    }
  done < <(cases)
}

in_bash()
{
  (
    compopt() { :; }
    # shellcheck source=completions/gateshift.bash
    source "$SRC/completions/gateshift.bash"
    read -ra COMP_WORDS <<<"$1"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _gateshift "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]%=}" | sort -u
  )
}

in_fish()
{
  HOME=$GS fish --no-config -c "source $SRC/completions/gateshift.fish; complete -C '$1'" | cut -f1 | sort -u
}

@test "completion: bash knows volumes, gateways and migrations" {
  check_cases in_bash
}

@test "completion: fish knows volumes, gateways and migrations" {
  command -v fish >/dev/null || skip "no fish"
  check_cases in_fish
}

# tm ARGUMENT...: a tmux of this test alone.
tm()
{
  env -u TMUX LC_ALL=C.UTF-8 tmux -u -S "$GS/tmux" -f /dev/null "$@" 3>&-
}

on_screen()
{
  tm capture-pane -p | grep -qF -- "$1"
}

@test "completion: zsh knows volumes, gateways and migrations" {
  command -v zsh >/dev/null || skip "no zsh"
  local line wanted word
  cat >.zshrc <<END
fpath=($SRC/completions \$fpath)
autoload -U compinit
compinit -u -D
unsetopt beep
setopt no_auto_menu
LISTMAX=1000
PS1='ready> '
END
  tm new-session -d -x 120 -y 50 "ZDOTDIR=$GS zsh -i"
  wait_for 60 on_screen 'ready>'
  while IFS='|' read -r line wanted; do
    [[ -n $wanted ]] || continue
    # The end of the line that is typed, so that what is found can't be what was typed.
    tm send-keys -l " $line"
    tm send-keys Tab Tab
    for word in $wanted; do
      wait_for 60 on_screen "$word" || { tm capture-pane -p; return 1; }
    done
    wait_for 60 is_cleared || { tm capture-pane -p; return 1; }
  done < <(cases)
}

# What is typed while a completion is at work, or with an interrupt, may be lost: until it is heard.
is_cleared()
{
  tm send-keys C-c
  sleep 0.1
  tm send-keys C-l
  sleep 0.1
  [[ $(tm capture-pane -p | grep .) == 'ready>' ]]
}
