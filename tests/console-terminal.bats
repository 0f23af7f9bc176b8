#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The console in a real terminal, that of tmux: what stands on its screen, key by key.

load helpers
load sandbox

setup()
{
  common_setup
  export HOME=$GS/home TMPDIR=$GS/tmp
  mkdir -p "$HOME" "$TMPDIR" "$GATESHIFT_STATE/loop"
}

teardown()
{
  [[ -n ${BATS_TEST_COMPLETED-} ]] || screen || true
  tm kill-server 2>/dev/null || true
  common_teardown
}

# tm ARGUMENT...: a tmux of this console alone: one that was told to end may still answer.
TM=1
tm()
{
  env -u TMUX LC_ALL=C.UTF-8 tmux -u -S "$GS/tmux.$TM" -f /dev/null "$@" 3>&-
}

# console COLUMNS LINES [ASSIGNMENT...] [-- ARGUMENT...]: starts one in a new terminal of that size;
# its end is said on the screen, and how the terminal was before and after it is in stty.before and
# stty.after.
console()
{
  local columns=$1 lines=$2 env=(LC_ALL=C.UTF-8)
  shift 2
  while [[ $# -gt 0 && $1 != -- ]]; do
    env+=("$1")
    shift
  done
  tm kill-server 2>/dev/null || true
  TM=$((TM + 1))
  printf '%s\n' 'stty -a >stty.before; echo $$ >shell.pid' \
    "env ${env[*]@Q} migrate-console ${*:2}" 'echo "ended $?"; stty -a >stty.after' 'exec sleep 600' >in-terminal
  tm new-session -d -x "$columns" -y "$lines" "bash $GS/in-terminal"
  shows 'alarm'
}

screen()
{
  tm capture-pane -p "$@"
}

# on_screen TEXT, shows TEXT: is it there, or comes within a minute; gone TEXT: goes.
on_screen()
{
  screen | grep -qF -- "$1"
}

shows()
{
  wait_for 60 on_screen "$1" || { screen; return 1; }
}

not_on_screen()
{
  ! on_screen "$1"
}

gone()
{
  wait_for 60 not_on_screen "$1"
}

# keys KEY...: as tmux names them; says TEXT: the text and Enter.
keys()
{
  tm send-keys "$@"
}

says()
{
  tm send-keys -l "$1"
  tm send-keys Enter
}

# clear_screen: so that what comes can be told from what was.
clear_screen()
{
  keys C-l
  wait_for 60 cleared
}

cleared()
{
  [[ $(screen | grep -c .) -le 2 ]]
}

console_pid()
{
  pgrep -P "$(<shell.pid)" migrate-console
}

# fleet: the example fleet, health records with a gateway that is to be left, and one of hostile text.
fleet()
{
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  route-set db-1 gw-a --size 1G >/dev/null
  route-set vm-1 gw-a >/dev/null
  printf '%s\n' time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason \
    "$(date +%s),gw-a,0.3000,0.9,0.6,86400,0.9,nbd_read_us,$1" \
    "$(date +%s),gw-b,0.9500,0.9,0.01,86400,0.9,," >"$GATESHIFT_STATE/loop/health.csv"
}

@test "console: the prompt tells of director, moves and alarms; names are completed from what there is" {
  fleet 'slow reads'
  console 80 24
  shows 'director away, 0 moves, 1 alarm>'
  keys -l 'rou'
  keys Tab
  shows '> routes'
  keys -l 'vm-1x'
  keys BSpace Tab Enter
  shows '+ route-set vm-1'
  shows 'vm-1    gw-a'
  clear_screen
  keys -l 'affinity '
  keys Tab Tab
  shows 'db-1  vm-1  vm-2'
  keys C-u
  keys -l 'cordon gw-'
  keys Tab Tab
  shows 'gw-a  gw-b  gw-c'
  keys C-u
  keys -l 'routes; health; plan --drai'
  keys Tab
  shows 'plan --drain='
  keys C-c
  shows '^C'
  mkdir "$GATESHIFT_STATE/migrations"
  touch "$GATESHIFT_STATE/migrations/db-1-2.csv"
  echo 'for the weekend' >"$GATESHIFT_STATE/frozen"
  says 'status'
  shows 'ALARM frozen: for the weekend'
  shows 'ALARM gateway gw-a: health 0.30 is below 0.40'
  shows 'director away, 0 moves, 2 alarms>'
  keys -l 'commit d'
  keys Tab
  shows 'commit db-1-2'
}

@test "console: tables fit the terminal, in 80 columns and in 200" {
  fleet '"a reason that is rather long, and goes on and on, so that no terminal of eighty columns holds it: THEEND"'
  console 80 24
  says health
  shows 'gw-b       0.95'
  on_screen 'gw-a       0.30'
  on_screen '…'
  not_on_screen THEEND
  # No line was broken in two: the command, its line, three of the table, the prompt.
  shows "alarm>"
  [[ $(screen | grep -c .) -eq 6 ]]
  # Why, is asked for its whole answer.
  says 'plan; explain 1'
  shows 'is on gw-a.'
  shows "MiB in"
  console 200 60
  says health
  shows THEEND
  # The C locale has no ellipsis and no other character beyond ASCII.
  console 80 24 LC_ALL=C
  says health
  shows '~'
  not_on_screen '…'
}

@test "console: only a yes is a yes: not Enter, Ctrl-C, Ctrl-D or n, nor a y without its Enter" {
  local key
  fleet 'slow reads'
  cp "$GATESHIFT_CONFIG/gateways.csv" before.csv
  console 80 24
  for key in Enter C-c C-d n; do
    clear_screen
    says 'drain gw-a'
    shows 'Go on? [y/N]'
    on_screen 'gw-a is to be left: its volumes (2, of 1.0G bytes)'
    keys "$key"
    [[ $key != n ]] || keys Enter
    shows 'migrate-console: not done'
    cmp before.csv "$GATESHIFT_CONFIG/gateways.csv"
  done
  # Ctrl-D behind a letter hands it on, and the line is not over.
  for key in C-d C-c; do
    clear_screen
    says 'drain gw-a'
    shows 'Go on? [y/N]'
    keys y C-d
    shows 'Go on? [y/N] y'
    keys "$key"
    shows 'migrate-console: not done'
    cmp before.csv "$GATESHIFT_CONFIG/gateways.csv"
  done
  clear_screen
  says 'drain gw-a'
  shows 'Go on? [y/N]'
  says y
  shows "+ sed -i '2c"
  shows '1 alarm>'
  grep -q '^gw-a,.*,drain,' "$GATESHIFT_CONFIG/gateways.csv"
  clear_screen
  says 'uncordon gw-a; gateways'
  shows 'gw-a     active'
  cmp before.csv "$GATESHIFT_CONFIG/gateways.csv"
}

@test "console: a move is watched live, survives its view and its terminal, and ends in events" {
  make_volume gw-a v 4M
  head -c 4M /dev/urandom >gw-a/v
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 4M >/dev/null
  start_director
  printf '%s\n' time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason \
    "$(date +%s),gw-a,0.9,0.9,0.01,86400,0.9,," "$(date +%s),gw-b,0.9,0.9,0.01,86400,0.9,," \
    >"$GATESHIFT_STATE/loop/health.csv"
  console 80 24
  says 'plan --drain gw-a'
  shows '1  v '
  says 'run 1 --bwlimit=256K'
  shows '1: v moves from gw-a to gw-b: 4.0M bytes are written to its export on gw-b'
  says y
  shows '1 move open  director up'
  shows 'v-2 '
  shows '█'
  [[ $(tm display-message -p '#{alternate_on} #{cursor_flag}') == '1 0' ]]
  # Another size is followed at once: source and target have room.
  tm resize-window -x 200 -y 60
  shows 'gw-a  gw-b'
  # A size without room for anything is none to fall over.
  tm resize-window -x 20 -y 2
  tm resize-window -x 80 -y 24
  gone 'gw-a  gw-b'
  keys q
  shows 'run goes on as process '
  [[ $(tm display-message -p '#{alternate_on} #{cursor_flag}') == '0 1' ]]
  says watch
  shows '1 move open'
  keys C-c
  gone '1 move open'
  shows ', 1 move, '
  # The terminal goes away; what was begun does not.
  tm kill-server
  migrate-exec --modify --bwlimit=0 v-2
  wait_for 90 grep -q ',v-2,.*,switched,' "$GATESHIFT_STATE/history.csv"
  wait_for 20 test -z "$(ls "$TMPDIR")"
  console 80 24
  says 'commit v-2'
  shows 'the old copy of v on gw-a, 4.0M bytes, is made cold.'
  says y
  shows 'commit: done'
  shows ' committed '
  shows '0 moves, 0 alarms>'
}

@test "console: the terminal is given back as it was, whatever ends the view" {
  local signal
  fleet 'slow reads'
  for signal in TERM HUP; do
    console 80 24
    says watch
    shows 'no move is open'
    shows 'route-director: cannot reach the director'
    kill -"$signal" "$(console_pid)"
    shows "ended $((128 + $(kill -l "$signal")))"
    [[ $(tm display-message -p '#{alternate_on} #{cursor_flag}') == '0 1' ]]
    wait_for 10 cmp stty.before stty.after
    [[ -z $(ls "$TMPDIR") ]]
  done
  console 80 24
  keys -l 'hea'
  shows '> hea'
  kill -TERM "$(console_pid)"
  shows 'ended 143'
  wait_for 10 cmp stty.before stty.after
  console 80 24
  says 'quit'
  shows 'ended 0'
  wait_for 10 cmp stty.before stty.after
  console 80 24
  keys C-d
  shows 'ended 0'
}

@test "console: Ctrl-Z stops it with its command, and is nothing where nobody could go on with it" {
  fleet 'slow reads'
  console 80 24
  keys -l 'hel'
  shows '> hel'
  keys C-z
  keys -l 'p quit'
  keys Enter
  shows 'leave; moves'
  tm kill-server
  # A shell with job control; its job is gone on with in the foreground.
  printf '%s\n' 'set -m' migrate-console 'echo "stopped $?"; read -r; fg >/dev/null; echo "ended $?"' 'exec sleep 600' >in-terminal
  tm new-session -d -x 80 -y 24 "bash $GS/in-terminal"
  shows 'alarm>'
  says '! echo begun; exec sleep 600'
  shows begun
  keys C-z
  shows 'stopped 148'
  keys Enter
  keys C-c
  shows 'alarm>'
  says quit
  shows 'ended 0'
}

@test "console: what others wrote does not reach the terminal as a command" {
  local locale esc=$'\e'
  fleet "${esc}[2J${esc}]0;owned"$'\a \xe2\x80\xae bidi'
  printf '%s\n' time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail \
    "1000,vm-1-2,vm-1,gw-a,gw-b,redirect,failed,0,1024,,x,hook: ${esc}[31mred${esc}[2J $(printf '\302\233')2J" >"$GATESHIFT_STATE/history.csv"
  mkdir -p "$GATESHIFT_STATE/migrations"
  echo "${esc}[2Jwhy" >"$GATESHIFT_STATE/frozen"
  for locale in C.UTF-8 C; do
    console 120 30 LC_ALL=$locale
    says 'health; log; status'
    shows 'ALARM frozen: \x1b[2Jwhy'
    on_screen '\x1b[2J\x1b]0;owned\x07 \xe2\x80\xae bidi'
    on_screen 'hook: \x1b[31mred\x1b[2J \xc2\x9b2J'
    [[ $(tm display-message -p '#{pane_title}') != owned ]]
  done
}

@test "console: lines that were typed are there the next time, for their user alone" {
  fleet 'slow reads'
  console 80 24
  says 'routes # first'
  shows '+ route-set'
  says 'quit'
  shows 'ended 0'
  [[ $(stat -c %a "$HOME/.local/state/gateshift/console_history") == 600 ]]
  [[ $(<"$HOME/.local/state/gateshift/console_history") == $'routes # first\nquit' ]]
  console 80 24 XDG_STATE_HOME="$GS/xdg"
  says 'help quit'
  shows 'leave; moves'
  [[ $(<"$GS/xdg/gateshift/console_history") == 'help quit' ]]
  # A console that is killed has lost nothing.
  kill -KILL "$(console_pid)"
  console 80 24 XDG_STATE_HOME="$GS/xdg"
  keys Up
  shows '> help quit'
  # Without a place for it there is none, and that is all.
  console 80 24 HOME=/dev/null/none XDG_STATE_HOME=
  shows 'no history is kept'
  # Debian's users without a home have /nonexistent, also where root takes their place.
  console 80 24 HOME="$GS/nonexistent" XDG_STATE_HOME=
  shows 'no history is kept'
  [[ ! -e $GS/nonexistent ]]
  says 'help quit'
  shows 'leave; moves'
}

@test "console: heat map and forecast have colours, and without them shades or ASCII" {
  sandbox_fill
  export GATESHIFT_STATE=$GS/affinity-state
  console 80 30
  says 'forecast db-1'
  shows 'requests predicted in 48 hours'
  shows 'UTC '
  [[ $(screen -e) == *$'\e[48;5;'* ]]
  console 80 30 NO_COLOR=1
  says 'forecast db-1'
  shows '▓'
  says 'heat vm-1'
  shows 'gw-c |'
  on_screen '█'
  [[ $(screen -e) != *$'\e[48;5;'* ]]
  console 80 30 NO_COLOR=1 LC_ALL=C
  says 'forecast db-1'
  shows '@@@@'
  [[ -z $(screen | LC_ALL=C tr -d '\n -~') ]]
}
