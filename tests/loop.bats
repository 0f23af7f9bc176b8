#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The unattended loop: the command lines of the crontab as it is installed, run with no time between
# them, against real gateways and a director.

load helpers

# What "make install" puts below a prefix of its own, with what is built already.
setup_file()
{
  local top=$BATS_FILE_TMPDIR/opt
  env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" -o all BUILD="$BUILD" PREFIX="$top" install
  export SHARE=$top/share/gateshift
}

# cron STEP: runs the command of the crontab's line that ends in STEP, as cron does.
cron()
{
  local line
  line=$(sed -nE "/ $1\$/s/^([0-9*][^ ]* +)([^ ]+ +){5}//p" "$SHARE/crontab")
  [[ -n $line ]] || return 127
  PATH=/usr/bin:/bin /bin/sh -c "$line" </dev/null
}

# group STEP: the same in the background.  kill_group STEP: kills it with all that it has started.
group()
{
  start "$1" bash -c "$(declare -f cron); cron $1"
}

descendants()
{
  local pid
  for pid in $(pgrep -P "$1"); do
    echo "$pid"
    descendants "$pid"
  done
}

kill_group()
{
  local all
  mapfile -t all < <(descendants "${PIDS[$1]}")
  kill -KILL "${PIDS[$1]}" "${all[@]}"
  kill_hard "$1"
}

steps_of_crontab()
{
  awk '/^[0-9*]/ { print $NF }' "$SHARE/crontab" | sort
}

# settings LINE...: loop.conf, with time made short.
settings()
{
  printf '%s\n' probe_interval=20ms "access_log=$GS/access.csv" 'train_options="--budget 0"' "$@" \
    >"$GATESHIFT_CONFIG/loop.conf"
}

# fleet [ARGUMENT...]: volume v on gw-a, an empty gw-b, a director that logs.
fleet()
{
  make_volume gw-a v 256K
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director --access-log "$GS/access.csv" "$@"
  qemu-io -f raw -c 'write -P 7 0 256k' "$(director_uri v)" >/dev/null
  wait_for 10 grep -q ,write, access.csv
}

# ailing: gw-a goes on with reads that are too slow, and the director with it.
ailing()
{
  stop_gateway gw-a
  start_gateway gw-a --filter=delay delay-read=60ms
  nbdinfo "$(director_uri v)" >/dev/null
}

route()
{
  route-set v | tail -n 1 | cut -d, -f2-4
}

# One of each step; what they say goes to stderr.
cycle()
{
  local step
  for step in probe profile leave plan resume expire; do
    cron "$step" || return
  done
}

@test "loop: in shadow mode nothing moves, live a failing gateway is left" {
  settings
  fleet
  for _ in 1 2; do
    run --separate-stderr -0 cycle
    [[ -z $output && -z $stderr ]]
  done
  # The health of a gateway counts from its tenth sample on.
  cron probe
  run --separate-stderr -0 cron train
  [[ -z $output && -z $stderr ]]
  [[ $(wc -l <state/loop/leave.csv) == 1 && $(wc -l <state/loop/affinity.csv) == 3 ]]
  ailing
  # The health knows a value by its last five samples.
  cron probe
  run --separate-stderr -0 cycle
  [[ $(cut -d, -f2-4,6 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-b,shadow ]]
  [[ $(route) == gw-a,1,steady && ! -e state/migrations && ! -e gw-b/v ]]

  settings mode=live
  run --separate-stderr -0 cycle
  [[ $(cut -d, -f2-4,6 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-b,mandatory ]]
  [[ $(route) == gw-b,2,uncommitted ]]
  # What was moved stays: its way back waits for its old copy to be let go.
  cron probe
  cron leave
  cron plan
  [[ $(route) == gw-b,2,uncommitted && $(grep -c ,switched, state/history.csv) == 1 ]]
  qemu-io -f raw -c 'read -P 7 0 256k' "$(director_uri v)" | grep -q '^read 262144/262144 '
}

@test "loop: live, an old copy whose time is over is let go, in shadow mode it is not" {
  settings
  fleet
  sed -i '/^gw-a/s/,active,/,drain,/' config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  settings mode=live 'exec_options="--retain 0"'
  cron leave
  [[ $(route) == gw-b,2,uncommitted ]]
  settings
  cron expire
  [[ $(route) == gw-b,2,uncommitted && -e gw-a/v ]]
  settings mode=live
  cron expire
  [[ $(route) == gw-b,2,steady && ! -e gw-a/v ]]
}

@test "loop: live, a move whose migrate-exec was killed is gone on with" {
  settings mode=live 'exec_options="--bwlimit 32K"'
  fleet --quarantine 1s
  sed -i '/^gw-a/s/,active,/,drain,/' config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  group leave
  wait_for 20 grep -q ',begin,' state/history.csv
  kill_group leave
  [[ $(route) == gw-a,1,* ]]
  settings mode=live
  run -0 cron resume
  [[ $(route) == gw-b,2,uncommitted ]]
}

@test "loop: all that a step has started is told to end, and the step ends when its move has ended" {
  settings mode=live 'exec_options="--bwlimit 32K"'
  fleet
  sed -i '/^gw-a/s/,active,/,drain,/' config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  PATH=$SHARE/../../bin:$PATH start leave setsid "$SHARE/loop" leave
  wait_for 20 grep -q ',begin,' state/history.csv
  kill -TERM -- "-${PIDS[leave]}"
  local pid=${PIDS[leave]}
  unset 'PIDS[leave]'
  local status=0
  wait "$pid" || status=$?
  [[ $status == 75 ]]
  # Nothing of it is left, so nobody was told twice.
  run -1 kill -0 -- "-$pid"
  [[ $(route) == gw-a,1,steady ]]
  grep -q ',aborted,.*interrupted by SIGTERM' state/history.csv
}

@test "loop: told to end alone, as by systemd, a step ends its move, and what a hook has started stays" {
  settings mode=live 'exec_options="--bwlimit 32K"'
  fleet
  printf '%s\n' '#!/bin/sh' 'sleep 600 & echo $! >>"$(dirname "$0")/left"' \
    "exec '$GATESHIFT_HOOKS/dir' \"\$@\"" >hook
  chmod +x hook
  sed -i "s|,dir |,$GS/hook |; /^gw-a/s/,active,/,drain,/" config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  PATH=$SHARE/../../bin:$PATH start leave "$SHARE/loop" leave
  wait_for 20 grep -q ',begin,' state/history.csv
  local pid=${PIDS[leave]} status=0
  unset 'PIDS[leave]'
  kill -TERM "$pid"
  wait "$pid" || status=$?
  [[ $status == 75 && $(route) == gw-a,1,steady ]]
  grep -q ',aborted,.*interrupted by SIGTERM' state/history.csv
  local left
  mapfile -t left <left
  [[ ${#left[@]} -gt 0 ]]
  kill "${left[@]}"
}

@test "loop: what must be left is decided with what plan is about to begin" {
  settings mode=live 'exec_options=--dry-run'
  fleet
  make_volume gw-c w 64K
  start_gateway gw-c
  write_gateways
  route-set w gw-c >/dev/null
  sed -i '/^gw-a/s/,active,/,drain,/' config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  cron leave
  [[ $(cut -d, -f2-4 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-b ]]
  head -n 1 state/loop/leave.csv >state/loop/current.csv
  sed -n '2s/,v,gw-a,gw-b,1,/,w,gw-c,gw-b,1,/p' state/loop/leave.csv >>state/loop/current.csv
  # No step plan is under way: what it once began does not count.
  touch state/loop/plan.lock
  cron leave
  [[ $(cut -d, -f2-4 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-b ]]
  exec 7<state/loop/plan.lock
  flock 7
  cron leave 7<&-
  [[ $(cut -d, -f2-4 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-c ]]
  # What waits for a later hour holds back nothing that must be left.
  awk -F, -v later="$(date -d '+1 hour' +%s)" -v OFS=, 'NR == 2 { $13 = later } { print }' \
    state/loop/current.csv >later.csv
  mv later.csv state/loop/current.csv
  cron leave 7<&-
  [[ $(cut -d, -f2-4 state/loop/leave.csv | tail -n +2) == v,gw-a,gw-b ]]
  exec 7<&-
  [[ -e state/loop/leave.begun ]]
  # What is a person's to decide is said, and begins nothing.
  rm state/loop/leave.begun
  printf '%s\n' volume,size_bytes,policy,gateways,group,anti v,,manual,,, >config/volumes.csv
  run -0 cron leave
  [[ $(tail -n +2 state/loop/leave.csv | cut -d, -f2,6) == v,shadow && ! -e state/loop/leave.begun ]]
}

@test "loop: what could wait is left where something that must be left was begun since" {
  settings mode=live 'exec_options=--dry-run'
  fleet
  make_volume gw-c w 64K
  start_gateway gw-c
  start_gateway gw-d
  write_gateways
  route-set w gw-c >/dev/null
  for _ in 1 2 3; do
    cron probe
  done
  {
    echo time,volume,gateway,das,share,requests,confidence,horizon_s,model
    printf "$(date +%s),%s,%s,%s,0,3600,1,21600,seasonal\n" v gw-a 0.1 v gw-b 1 v gw-c 0.1 v gw-d 0.1 \
      w gw-a 0.1 w gw-b 0.1 w gw-c 0.1 w gw-d 1
  } >state/loop/affinity.csv
  echo volume,site,start,duration_s,requests,lower,upper,model >state/loop/forecast.csv
  run -0 cron plan
  [[ $(cut -d, -f2-4,6 state/loop/plan.csv | sort) == \
    $'v,gw-a,gw-b,optional\nvolume,source,target,kind\nw,gw-c,gw-d,optional' ]]
  [[ $(wc -l <state/loop/optional.csv) == 1 && ! -e state/loop/current.csv ]]
  touch -d '+1 hour' state/loop/leave.begun
  run -0 cron plan
  [[ $(wc -l <state/loop/optional.csv) == 3 ]]
}

@test "loop: standbys are made by the step plan, behind what moves, and not by the step leave" {
  settings mode=live 'exec_options=--dry-run'
  fleet
  cron probe
  cp -r "$SHARE/../.." top
  # A planner of three volumes.
  cat >top/bin/migrate-plan <<'END'
#!/usr/bin/env sh
for a; do
  [ "${a#--explain=}" = "$a" ] || : >"${a#--explain=}"
done
echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
for row in a,gw-a,gw-b,1,standby v,gw-a,gw-b,1,mandatory c,gw-a,gw-b,1,optional; do
  echo "$(date +%s),$row,,,,,,,,"
done
END
  run -1 top/share/gateshift/loop leave
  [[ $(cut -d, -f2,6 state/loop/mandatory.csv) == $'volume,kind\nv,mandatory\nc,optional' ]]
  touch -d '+1 hour' state/loop/leave.begun
  run -0 top/share/gateshift/loop plan
  [[ $(cut -d, -f2,6 state/loop/optional.csv) == $'volume,kind\nc,optional\na,standby' ]]
}

@test "loop: folders may be named as seen from where it is called" {
  settings
  fleet
  GATESHIFT_CONFIG=config GATESHIFT_STATE=state GATESHIFT_RUN=run run --separate-stderr -0 cron probe
  [[ -z $stderr && $(cut -d, -f2 state/loop/health.csv | sort) == $'gateway\ngw-a\ngw-b' ]]
}

@test "loop: root runs a step as the owner of the state, and others are told whose it is" {
  [[ $(id -u) == 0 ]] || skip "needs root"
  settings
  cp -r "$SHARE/../.." top
  sed -i "s|^\(access_log=\).*|\1/tmp/access.csv|" config/loop.conf
  chown nobody state
  # The folders above are root's own.
  local work
  work=$(mktemp -d /tmp/loop.XXXXXX)
  mv config state top "$work"
  chmod 755 "$work"
  run --separate-stderr -0 env GATESHIFT_CONFIG="$work/config" GATESHIFT_STATE="$work/state" \
    "$work/top/share/gateshift/loop" expire
  [[ $(stat -c %U "$work/state/loop" "$work/state/loop/expire.lock" | sort -u) == nobody ]]
  : >"$work/state/loop/health.csv.new"
  run --separate-stderr -73 env GATESHIFT_CONFIG="$work/config" GATESHIFT_STATE="$work/state" \
    "$work/top/share/gateshift/loop" expire
  [[ $stderr == "loop: cannot write '$work/state/loop/health.csv.new', which is root's: chown it" ]]
  rm -r "$work"
}

@test "loop: a process that a notify hook leaves behind holds neither the step nor its lock" {
  settings
  fleet
  stop_gateway gw-a
  for _ in 1 2 3; do
    cron probe
  done
  printf '%s\n' '#!/bin/sh' 'sleep 120 & echo $! >"$0.pid"' >notify
  chmod +x notify
  GATESHIFT_NOTIFY=$GS/notify run -0 timeout 60 bash -c "$(declare -f cron); cron leave"
  run -0 cron leave
  kill "$(<notify.pid)"
}

@test "loop: runs of a step never overlap, and the steps do not wait for each other" {
  settings probe_count=1000000
  fleet
  group probe
  wait_for 10 test -s state/loop/metric.new
  run --separate-stderr -75 cron probe
  [[ -z $output && -z $stderr ]]
  run --separate-stderr -0 cron profile
  run --separate-stderr -75 cron leave
  [[ $stderr == "loop: no '$GS/state/loop/health.csv' yet: 'loop probe' makes it" ]]
  kill_group probe
  settings
  wait_for 10 cron probe
  [[ -s state/loop/health.csv ]]
}

@test "loop: what a step says is said once, and once more when it was silent between" {
  settings
  fleet
  cron probe
  echo audit >state/frozen
  run --separate-stderr -75 cron leave
  [[ $stderr == "migrate-plan: frozen by "*"audit: nothing is planned" ]]
  run --separate-stderr -75 cron leave
  [[ -z $stderr ]]
  touch -d '25 hours ago' state/loop/leave.said
  run --separate-stderr -75 cron leave
  [[ $stderr == *audit* ]]
  rm state/frozen
  run --separate-stderr -0 cron leave
  echo audit >state/frozen
  run --separate-stderr -75 cron leave
  [[ $stderr == *audit* ]]
}

@test "loop: without a director nothing is lost and the status says so" {
  settings mode=live
  fleet
  sed -i '/^gw-a/s/,active,/,drain,/' config/gateways.csv
  for _ in 1 2 3; do
    cron probe
  done
  kill_hard director
  run --separate-stderr -69 cron leave
  [[ $(route) == gw-a,1,steady ]]
}

@test "loop: settings that are no settings end it with 78, unknown steps with 64" {
  settings 'mode=on'
  run --separate-stderr -78 cron probe
  [[ $stderr == "loop: mode 'on' in '$GATESHIFT_CONFIG/loop.conf' is neither shadow nor live" ]]
  settings 'if'
  run --separate-stderr -78 cron probe
  [[ ${stderr##*$'\n'} == "loop: '$GATESHIFT_CONFIG/loop.conf' is no shell code" ]]
  settings jobs=all
  run --separate-stderr -78 cron probe
  [[ $stderr == "loop: jobs 'all' in "*" is not a number from 1 to 64" ]]
  settings access_log=access.csv
  run --separate-stderr -78 cron probe
  [[ $stderr == "loop: access_log 'access.csv' in "*" does not begin with /" ]]
  run --separate-stderr -64 "$SHARE/loop"
  [[ -z $output && $stderr == "usage: "* || $stderr == "loop: usage: "* ]]
  run --separate-stderr -64 "$SHARE/loop" dance
}

@test "loop: a line that a killed run left half is dropped from the kept samples" {
  settings
  fleet
  cron probe
  local day
  day=$(echo state/loop/metric-*.csv)
  printf '1795668832.18,gw-' >>"$day"
  cron probe
  [[ $(cut -d, -f2 "$day" | sort -u) == $'gateway\ngw-a\ngw-b' && $(grep -c ^time "$day") == 1 ]]
  health-score --state again "$day" >/dev/null
}

@test "loop: crontab, timers and script know the same steps, and the example has the defaults" {
  diff <(steps_of_crontab) <(sed -n 's/^Unit=.*@\(.*\)\.service$/\1/p' "$SHARE"/units/*.timer | sort)
  diff <(steps_of_crontab) <(sed -n 's/.*usage: $name \([a-z|]*\)".*/\1/p' "$SHARE/loop" | tr '|' '\n' | sort)
  diff <(grep -E '^[a-z_]+=' "$SHARE/config/loop.conf" | sort) \
    <(sed -n '/^# ---- settings/,/^# It is shell/p' "$SHARE/loop" | grep -E '^[a-z_]+=' | sort)
}

@test "loop: systemd takes the units, and the target has all timers" {
  command -v systemd-analyze >/dev/null || skip "no systemd-analyze"
  run systemd-analyze --man=no verify "$SHARE"/units/*.{service,socket,target,timer}
  [[ $status == 0 && -z $output ]]
  command -v systemctl >/dev/null || skip "no systemctl"
  mkdir -p root/etc/systemd/system
  cp "$SHARE"/units/*.{service,socket,target,timer} root/etc/systemd/system
  systemctl --root="$GS/root" --quiet enable gateshift-loop.target
  diff <(cd "$SHARE/units" && ls ./*.timer) \
    <(cd root/etc/systemd/system/gateshift-loop.target.wants && ls ./*.timer)
}
