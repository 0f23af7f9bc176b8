#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A volume that has to leave does not wait until its standby is copied.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load ahead

# copying: a process copies the standby of v to gw-b, as v-2, and takes its time.
copying()
{
  start exec migrate-exec --bwlimit 32K <(plan gw-a gw-b 1 standby "gw-a may die")
  wait_for 30 status_is phase replicate
}

# gave_way: it has ended, and says for whom.
gave_way()
{
  local code=0
  wait "${PIDS[exec]}" || code=$?
  unset "PIDS[exec]"
  ((code == 75))
  grep -q "^migrate-exec: 'v-2' stalled: gives way to .*: migrate-exec .*; go on with: migrate-exec --resume v-2$" exec.log
  grep -q '^[^,]*,v-2,v,gw-a,gw-b,replicate,stalled,.*gives way to .*: migrate-exec ' state/history.csv
  [[ ! -e state/migrations/v-2.giveway ]]
}

# waited_at_most: the row's standard error, $stderr, says at most whom it waits for.
waited_at_most()
{
  ! grep -v 'which is asked to give way: ' <<<"$stderr" | grep -q .
}

@test "migrate-exec: a mandatory row to a third gateway has a standby that is being copied given up" {
  fleet
  copying
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 1 mandatory "mandatory: gw-a drains")
  waited_at_most
  [[ $(steps) == "v-2,"*",aborted v-2.2,redirect,begin "*"v-2.2,handover,switched " ]]
  [[ $output == *",aborted,"*"for a row of a plan; left on gw-b: export v"* ]]
  gave_way
  owner_is gw-c 2 uncommitted
  served
  cmp original gw-c/v
}

@test "migrate-exec: a mandatory row to where the standby is being copied goes on with the copy" {
  fleet
  copying
  wait_for 30 eval '(($(status_of synced) > 0))'
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 mandatory "mandatory: gw-a drains")
  waited_at_most
  [[ $(steps) == "v-2,redirect,begin "*"v-2,handover,switched " ]]
  [[ ${lines[1]} == *",resumed to hand over; mandatory: gw-a drains" ]]
  # What had been copied was not read again.
  local handled
  handled=$(grep -o '"pass 1: [0-9]*' <<<"$output" | grep -o '[0-9]*$')
  ((handled < 262144))
  gave_way
  owner_is gw-b 2 uncommitted
  served
  cmp original gw-b/v
}

@test "migrate-plan: a volume whose standby is being copied leaves the gateway that begins to fail" {
  fleet
  copying
  {
    echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    printf "$(date +%s),%s,,0.1,86400,0.9,,\n" gw-a,0.2 gw-b,0.3 gw-c,0.97
  } >health.csv
  run --separate-stderr -0 migrate-plan --health health.csv
  [[ ${#lines[@]} == 2 && ${lines[1]} == *",v,gw-a,gw-c,1,mandatory,"*"; the copy that is being made on gw-b is given up"* ]]
  printf '%s\n' "${lines[@]}" >rows
  run --separate-stderr -0 migrate-exec rows
  gave_way
  owner_is gw-c 2 uncommitted
  served
}

@test "migrate-exec: no other row than a mandatory one, and none that could not begin, stops a copying" {
  fleet
  copying
  cp state/history.csv history.before
  local target kind
  for target in gw-b gw-c; do
    for kind in optional standby; do
      run --separate-stderr -75 migrate-exec <(plan gw-a $target 1 $kind)
      [[ $stderr == "migrate-exec: 'v-2' is driven by another process: "* ]]
    done
  done
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-c 1 mandatory)
  make_volume gw-c v 256K
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-c 1 mandatory)
  [[ $stderr == *"; v-2 goes on standing by" ]]
  cmp state/history.csv history.before
  status_is phase replicate
  run -0 migrate-exec --modify --bwlimit 0 v-2
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  stands
}

# asked: a row asks who copies the standby, which is stopped, to give way.
asked()
{
  fleet
  copying
  kill -STOP "${PIDS[exec]}"
  start row migrate-exec <(plan gw-a gw-c 1 mandatory)
  wait_for 30 test -s state/migrations/v-2.giveway
}

# unheeded: it goes on, takes away what it was asked, and brings the copy to its end.
unheeded()
{
  kill -CONT "${PIDS[exec]}"
  wait_for 30 eval '[[ ! -e state/migrations/v-2.giveway ]]'
  status_is phase replicate
  run -0 migrate-exec --modify --bwlimit 0 v-2
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  stands
}

@test "migrate-exec: who copies a standby takes no notice of a row that died" {
  asked
  kill_hard row
  unheeded
}

@test "migrate-exec: who copies a standby takes no notice of a row that hangs" {
  asked
  kill -STOP "${PIDS[row]}"
  touch -d '61 seconds ago' state/migrations/v-2.giveway
  unheeded
  kill_hard row
}

@test "migrate-exec: a row is not turned away for one that asked before it and has gone" {
  needs_preload migrate-exec
  fleet
  mkdir -p state/migrations
  : >state/migrations/v-2.giveway # of one that asked
  GS_FAULT=ask:1:stop GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
    start exec migrate-exec --bwlimit 32K <(plan gw-a gw-b 1 standby)
  wait_for 30 test -e mark # who copies has opened that
  rm state/migrations/v-2.giveway
  start row migrate-exec <(plan gw-a gw-c 1 mandatory)
  wait_for 30 test -s state/migrations/v-2.giveway
  kill -CONT "${PIDS[exec]}"
  wait "${PIDS[row]}"
  unset "PIDS[row]"
  gave_way
  owner_is gw-c 2 uncommitted
  served
}

@test "migrate-exec --status: what has stalled says what to type, in the console, too" {
  asked
  kill_hard row
  stop_gateway gw-a
  kill -CONT "${PIDS[exec]}"
  local code=0 said="; go on with: migrate-exec --resume v-2"
  wait "${PIDS[exec]}" || code=$?
  unset "PIDS[exec]"
  ((code == 75))
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[1]} == *",stalled,"*"$said"* ]]
  [[ $(tail -n 1 state/migrations/v-2.csv) != *"$said"* ]] # not what the history has
  run migrate-console -c "abort v-2" </dev/null
  [[ $output == *"$said"* ]]
  start_gateway gw-a
  # So it is when the director has its owner again.
  typed()
  {
    migrate-exec --resume v-2 >>out 2>&1 && owner_is gw-a 1 deferred
  }
  wait_for 30 typed
  stands
}

@test "migrate-exec: a row that waits for who copies a standby says so, and goes on when that is killed" {
  asked
  wait_for 30 grep -q "^migrate-exec: 'v-2' is driven by another process, which is asked to give way: .*: migrate-exec " row.log
  kill_hard exec
  wait "${PIDS[row]}"
  unset "PIDS[row]"
  owner_is gw-c 2 uncommitted
  served
  [[ ! -e state/migrations/v-2.giveway ]]
}

@test "migrate-exec: a row whose standby is given up while it waits moves the volume all the same" {
  fleet
  copying
  kill_hard exec
  exec 7<>state/migrations/v-2.csv
  flock 7 # as who copies it
  start row migrate-exec <(plan gw-a gw-b 1 mandatory) 7>&-
  wait_for 30 test -s state/migrations/v-2.giveway
  echo abort v | socat -t 20 - "UNIX-CONNECT:$GATESHIFT_RUN/director.sock"
  wait_for 30 owner_is gw-a 1 steady
  tail -n 1 state/migrations/v-2.csv | sed -E 's/,(redirect|replicate),[^,]*,/,\1,aborted,/' >last
  cat last >>state/migrations/v-2.csv
  exec 7>&-
  wait "${PIDS[row]}"
  unset "PIDS[row]"
  [[ $(migrate-exec --status v-2.2 | tail -n 1) == *,retire,switched,* ]]
  owner_is gw-b 2 uncommitted
  served
}

@test "migrate-exec: who has a standby catch up gives way with the same status" {
  needs_preload migrate-exec
  fleet
  # It stands by, by its journal, and the route does not say so: the director does not have it keep up.
  local n
  for ((n = 5; n < 20; n++)); do
    GS_FAULT=sync:$n:kill LD_PRELOAD=$INJECT migrate-exec <(plan gw-a gw-b 1 standby) >out 2>&1 || true
    [[ $(last_event v-2) != replicate,deferred ]] || break
    stop director
    rm -rf state/* gw-b/v gw-b/.[!.]*
    route-set v gw-a >/dev/null
    serve
  done
  owner_is gw-a 1 moving
  qemu-io -f raw -c "discard 0 256k" "$(director_uri v)" >/dev/null
  cp gw-a/v original
  start exec migrate-exec --bwlimit 32K --resume v-2
  wait_for 30 eval '(($(status_of dirty) < 262144))'
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 1 mandatory)
  waited_at_most
  local code=0
  wait "${PIDS[exec]}" || code=$?
  unset "PIDS[exec]"
  ((code == 75))
  grep -q "^migrate-exec: 'v-2': gw-b does not stand by: gives way to .*: migrate-exec " exec.log
  owner_is gw-c 2 uncommitted
  served
}

@test "migrate-exec: a row's interrupt leaves the standby to who copies it" {
  fleet
  copying
  kill -STOP "${PIDS[exec]}"
  start row migrate-exec <(plan gw-a gw-b 1 mandatory)
  wait_for 30 test -s state/migrations/v-2.giveway
  kill -TERM "${PIDS[row]}"
  local code=0
  wait "${PIDS[row]}" || code=$?
  unset "PIDS[row]"
  ((code == 75))
  grep -q "'v-2' is driven by another process, interrupted: .*: migrate-exec .*" row.log
  [[ ! -e state/migrations/v-2.giveway ]]
  kill -CONT "${PIDS[exec]}"
  run -0 migrate-exec --modify --bwlimit 0 v-2
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  stands
}

@test "migrate-exec: who hands a standby over gives way to nobody" {
  ahead
  change 7 64k 64k
  kill_hard director
  serve
  start exec migrate-exec --bwlimit 32K --cutover v-2
  wait_for 30 status_is phase replicate
  # That is in the history before any hold, for migrate-plan.
  [[ $(tail -n 1 state/history.csv) == *,v-2,v,gw-a,gw-b,redirect,begin,*",resumed to hand over" ]]
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-c 1 mandatory)
  [[ $stderr == *"migrate-exec: 'v-2' is driven by another process, it is handing over: "* ]]
  [[ ! -e state/migrations/v-2.giveway ]]
  run -0 migrate-exec --modify --bwlimit 0 v-2
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  owner_is gw-b 2 uncommitted
  served
}

@test "S9: where gateways take one connection a copying gives way, too" {
  START=lone_gateway
  fleet
  copying
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 1 mandatory)
  owner_is gw-c 2 uncommitted
  gave_way
  served
}

@test "I4: kill -9 at every other sync of a row that a copying gives way to: --resume and the row go on" {
  needs_preload migrate-exec
  fleet
  local n
  for ((n = 1; n < 20; n += 2)); do
    rm -f mark
    copying
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --window 10000 <(plan gw-a gw-c 1 mandatory) >out 2>&1 || true
    migrate-exec --modify --bwlimit 0 v-2 >/dev/null 2>&1 || true # if it copies still
    wait "${PIDS[exec]}" || true
    unset "PIDS[exec]"
    [[ -e mark ]] || break
    # Whatever was left, a standby never hands over by itself, and the row can be carried out.
    owner_is_of v gw-c 2 || owner_is_of v gw-a 1
    migrate-exec --resume >>out 2>&1
    if owner_is_of v gw-a 1; then
      migrate-exec --window 10000 <(plan gw-a gw-c 1 mandatory) >>out 2>&1
    fi
    owner_is gw-c 2 uncommitted
    cmp original gw-c/v
    run -1 grep -E 'manual-recovery|promoted|,gw-b,.*,switched' state/history.csv
    # Anew.
    stop director
    rm -rf state/* gw-[abc]/v gw-[abc]/.[!.]*
    cp original gw-a/v
    route-set v gw-a >/dev/null
    serve
  done
  ((n > 3 && n < 20))
}
