#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Standbys that are made ahead of any move: rows of a plan of the kind standby, and what comes then.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load ahead

# taken_over: gw-b is the owner since gw-a died, and the journal says so.
taken_over()
{
  owner_is gw-b 2 uncommitted
  [[ $(last_event v-2) == retire,switched ]]
  grep -q '^[^,]*,v-2,v,gw-a,gw-b,handover,switched,.*; promoted as the source is dead, ' state/history.csv
  grep -q 'copy on gw-a is unknown' state/migrations/v-2.csv
}

@test "migrate-exec: a standby row leaves its target mirrored, and the owner where it is" {
  fleet
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1 standby)
  [[ ${lines[1]} == *',v-2,v,gw-a,gw-b,redirect,begin,'*',"dry run: standby: at most 262144 bytes'* ]]
  [[ ! -e gw-b/v ]]
  owner_is gw-a 1 steady
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby "gw-a may die")
  [[ -z $stderr && $(steps) == "v-2,redirect,begin v-2,replicate,pass "*"v-2,replicate,mirror v-2,replicate,deferred " ]]
  [[ ${lines[1]} == *",standby; gw-a may die" ]]
  [[ ${lines[-1]} == *',"stands by: mirrored, to take the place of gw-a when it is dead, or at --cutover"' ]]
  stands
  cmp original gw-b/v
  change 7 64k 64k
  cmp original gw-a/v
  cmp original gw-b/v
  run --separate-stderr -0 migrate-exec --status
  [[ ${lines[1]} == *",deferred,"*"stands by: mirrored, "* ]]
  # There is nothing more to do, whoever asks.
  cp state/history.csv history.before
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  quiet
  run --separate-stderr -0 migrate-exec --resume
  quiet
  run --separate-stderr -0 migrate-exec --resume v-2
  quiet
  run --separate-stderr -0 migrate-exec --expire
  quiet
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1 standby)
  [[ $stderr == "migrate-exec: nothing to do for 'v': v-2 stands by on gw-b" && $output == "$EVENT_HEADER" ]]
  cmp state/history.csv history.before
  stands
  served
}

@test "migrate-exec: --abort gives a standby up" {
  ahead
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[1]} == *",aborted,"*"by an operator; left on gw-b: export v"* ]]
  owner_is gw-a 1 steady
  # The next one takes what is left there.
  change 7 64k 64k
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $(steps) == "v-2.2,redirect,begin "*"v-2.2,replicate,deferred " && $output == *" 65536 sent"* ]]
  stands
  cmp original gw-b/v
}

@test "migrate-exec: rows that a standby has nothing to do with are refused as ever" {
  ahead
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 2 mandatory)
  [[ $stderr == "migrate-exec: refused 'v': the row is of epoch 2, the route at 1" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-c gw-b 1 mandatory)
  [[ $stderr == "migrate-exec: refused 'v': the volume is on gw-a, not on gw-c" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-d 1 mandatory)
  [[ $stderr == "migrate-exec: refused 'v': gateway 'gw-d' is not in gateways.csv" ]]
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': it has not switched: deferred" ]]
  echo "under repair" >state/frozen
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1 mandatory)
  rm state/frozen
  stands
  # A move that is deferred for reasons of its own is nobody's standby.
  run --separate-stderr -0 migrate-exec --abort v-2
  sed -i '/standby, to be mirrored/d' state/migrations/v-2.csv
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  stands
  run -1 alarms
  sed -i '/standby, to be mirrored/d; s/stands by: mirrored/5 attempts failed/' state/migrations/v-2.2.csv
  run -0 alarms
  [[ $output == *"volume v: its move is deferred"* ]]
  for kind in standby optional mandatory; do
    run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1 "$kind")
    [[ $stderr == "migrate-exec: refused 'v': a deferred move is open: see migrate-exec --status and --cutover" ]]
  done
}

@test "migrate-console: a standby is told by its journal's last whole record" {
  ahead
  run -1 alarms
  printf '1700000000,v-2,v,gw-a,gw-b,replicate,' >>state/migrations/v-2.csv # a crash
  run -1 alarms
  # What others say of standbys is no standby.
  echo 'stalled,0,0,,"root: x,deferred,y","stands by: no"' >>state/migrations/v-2.csv
  run -0 alarms
  [[ $output == *"volume v: its move is deferred"* ]]
}

@test "migrate-exec: what shares its storage has no standby" {
  fleet
  printf '%s\n' '#!/bin/sh' '[ "$1" != shared ] || { echo shared && exit 0; }' 'exit 3' >hook
  chmod +x hook
  sed -i "/^gw-b,/s|,dir .*|,$GS/hook|" config/gateways.csv
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $stderr == "migrate-exec: skipped 'v': gw-a and gw-b share their storage: there is nothing to stand by" ]]
  [[ $output == "$EVENT_HEADER" && ! -e state/migrations ]]
  cp gw-a/v gw-b/v
  run -0 migrate-exec --check <(plan gw-a gw-b 1 standby)
  [[ $output == *"gw-a and gw-b share their storage: there is nothing to stand by"* ]]
}

# ---- hand over ----

@test "migrate-exec: a mandatory row to its target cuts over, and copies nothing" {
  ahead
  change 7 64k 64k
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1 mandatory)
  [[ ${lines[1]} == *',"dry run: cutover of v-2: at most 262144 bytes'* ]]
  run -0 migrate-exec --check <(plan gw-a gw-b 1 mandatory)
  [[ $output == *"may be carried out: it hands over to the standby v-2"* ]]
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 mandatory "mandatory: gw-a drains")
  [[ -z $stderr && ${lines[1]} == *",v-2,"*",redirect,begin,"*",resumed to hand over; mandatory: gw-a drains" ]]
  [[ $output == *'"pass 1: 0 bytes handled, 0 sent"'* ]]
  owner_is gw-b 2 uncommitted
  [[ $(last_event v-2) == retire,switched ]]
  served
  cmp original gw-b/v
}

@test "migrate-exec: an optional row, too, and --standby has the old owner stand by then" {
  ahead
  run --separate-stderr -0 migrate-exec --standby <(plan gw-a gw-b 1 optional)
  owner_is gw-b 2 uncommitted
  grep -q 'copy kept on gw-a, flushed; mirrored; standby; retained until ' state/migrations/v-2.csv
  status_is reverse on
  change 7 0 64k
  # Which is the standby that a row asks for.
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2 standby)
  quiet
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-b gw-a 2 standby)
  [[ $stderr == "migrate-exec: nothing to do for 'v': the copy of v-2 stands by on gw-a" ]]
  run -0 migrate-exec --check <(plan gw-b gw-a 2 standby)
  [[ $output == *"the copy of the last move stands by there, or is committed first"* ]]
  # One elsewhere waits for the copy's time, like an optional move.
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2 standby)
  [[ $stderr == *"its last move is not committed: v-2 keeps its copy on gw-a until "* ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2 mandatory)
  owner_is gw-a 3 uncommitted
  served
}

@test "migrate-exec: a row for a volume with a standby whose time has not come is left, or waited for" {
  ahead
  local later=$(($(date +%s) + 1000))
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1 mandatory "" $later)
  [[ $stderr == "migrate-exec: left 'v': not before $later" && $output == "$EVENT_HEADER" ]]
  stands
  run --separate-stderr -0 migrate-exec --wait \
    <(plan gw-a gw-b 1 optional "" $(($(date +%s) + 1)))
  owner_is gw-b 2 uncommitted
}

@test "S15: a standby's hand-over that was in doubt is recorded as the switch that it is" {
  ahead
  local lock
  exec {lock}<>state/routes.log
  flock "$lock" # no commit gets through
  start exec migrate-exec --window 30000 --cutover v-2
  wait_for 30 status_is phase commit
  kill_hard exec
  run --separate-stderr -75 migrate-exec --quarantine 0 --cutover v-2
  [[ $(steps) == "v-2,redirect,begin v-2,redirect,stalled " ]]
  start exec migrate-exec --quarantine 1h --cutover v-2
  wait_for 30 eval '(($(grep -c ",v-2,.*,redirect,begin,.*,resumed to hand over$" state/history.csv) == 3))'
  kill -TERM "${PIDS[exec]}"
  wait "${PIDS[exec]}" || true
  unset "PIDS[exec]"
  [[ $(last_event v-2) == redirect,deferred ]]
  owner_is gw-a 1 deferred
  flock -u "$lock"
  exec {lock}>&-
  wait_for 30 owner_is gw-b 2 uncommitted
  stop director # who no longer lives cannot tell what it was
  serve
  run --separate-stderr -0 migrate-exec --resume
  [[ $(steps) == "v-2,handover,switched " && $output != *promoted* ]]
  served
}

@test "migrate-exec: --cutover hands over to a standby, whether or not it is mirrored just now" {
  ahead
  kill_hard director
  serve
  change 7 64k 64k
  run --separate-stderr -0 migrate-exec --cutover v-2
  owner_is gw-b 2 uncommitted
  served
  cmp original gw-b/v
}

@test "migrate-exec: a standby row for a volume that has moved commits the last move, once it may" {
  fleet
  run -0 migrate-exec --retain 0 <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-b gw-a 2 standby)
  [[ ${lines[1]} == *"dry run: commit of v-2, then a standby: "* ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2 standby)
  [[ $(steps) == "v-2,retire,committed v-3,redirect,begin "*"v-3,replicate,deferred " ]]
  owner_is gw-b 2 deferred
  cmp original gw-a/v
}

# ---- elsewhere ----

@test "migrate-exec: a row to another gateway gives the standby up first" {
  ahead
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-c 1 mandatory)
  [[ ${lines[1]} == *',"dry run: abort of v-2, then a move: at most 262144 bytes'* ]]
  run -0 migrate-exec --check <(plan gw-a gw-c 1 mandatory)
  [[ $output == *"may be carried out: it gives up the standby v-2 on gw-b first"* ]]
  # Not for what could not begin.
  make_volume gw-c v 256K
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-c 1 mandatory)
  [[ $stderr == "migrate-exec: cannot move 'v': gw-c has an export 'v' that no move "*"; v-2 goes on standing by" ]]
  [[ $output == "$EVENT_HEADER" ]]
  stands
  rm gw-c/v
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 1 standby)
  [[ $(steps) == "v-2,"*",aborted v-2.2,redirect,begin "*"v-2.2,replicate,deferred " ]]
  [[ $output == *",aborted,"*"for a row of a plan; left on gw-b: export v"* ]]
  stands gw-c
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 mandatory)
  [[ $(steps) == "v-2.2,"*",aborted v-2.3,redirect,begin "*"v-2.3,handover,switched " ]]
  owner_is gw-b 2 uncommitted
  served
}

@test "migrate-exec: a standby that takes the place of one that a row was to give up is left alone" {
  ahead
  printf '%s\n' '#!/bin/sh' '[ "$1" = size ] || exit 3' ": >'$GS/asked'" \
    "while [ -e '$GS/asked' ]; do sleep 0.02; done" 'exit 4' >hook
  chmod +x hook
  make_volume gw-c v 0
  sed -i "/^gw-c,/s|,dir .*|,$GS/hook|" config/gateways.csv
  migrate-exec <(plan gw-a gw-c 1 mandatory) >row.out 2>row.err 3>&- &
  PIDS[row]=$!
  wait_for 30 test -e asked
  run --separate-stderr -0 migrate-exec --abort v-2
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  rm gw-c/v asked
  local code=0
  wait "${PIDS[row]}" || code=$?
  unset "PIDS[row]"
  ((code == 1))
  [[ $(<row.err) == "migrate-exec: refused 'v': its route was changed meanwhile" ]]
  [[ $(<row.out) == "$EVENT_HEADER" && $(last_event v-2.2) == replicate,deferred ]]
  stands
  run --separate-stderr -1 migrate-exec --cutover v-2
  [[ $stderr == "migrate-exec: 'v-2' is not deferred: aborted" ]]
  run --separate-stderr -0 migrate-exec --cutover v-2.2
  owner_is gw-b 2 uncommitted
}

@test "migrate-exec: no standby is given up while its owner is away" {
  ahead
  kill_hard director
  serve --promote-after never
  run --separate-stderr -0 migrate-exec --resume
  client_start
  stop_gateway gw-a
  wait_for 30 status_is phase stalled
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-c 1 mandatory)
  [[ $stderr == *"v-2 goes on standing by" ]]
  run --separate-stderr -0 migrate-exec --resume
  [[ $stderr == "migrate-exec: 'v-2': gw-b does not stand by: its owner is away" ]]
  owner_is gw-a 1 deferred
  start_gateway gw-a
  wait_for 30 status_is phase mirror
}

# ---- interruptions ----

@test "I4: kill -9 at any sync while a standby is made, then --resume: it stands by, and no more" {
  needs_preload migrate-exec
  fleet
  local n lacks lacked=
  for ((n = 1; n < 40; n++)); do
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec <(plan gw-a gw-b 1 standby) >out 2>&1 || true
    [[ -e mark ]] || break
    owner_is gw-a 1 steady || owner_is gw-a 1 moving || owner_is gw-a 1 deferred
    # Killed before the route was marked: it lacks what is not mirrored until it is caught up with.
    lacks=
    if owner_is gw-a 1 moving && migrate-exec --status | grep -q ',deferred,'; then
      lacks=yes
      qemu-io -f raw -c "discard 64k 64k" "$(director_uri v)" >/dev/null
      status_is dirty 65536
    fi
    # The row goes on with it as --resume does, if its journal knows of anything.
    if ((n % 2)); then
      migrate-exec --resume >>out 2>&1
    fi
    migrate-exec <(plan gw-a gw-b 1 standby) >>out 2>&1
    stands
    if [[ $lacks ]]; then
      lacked=yes
      grep -q "'v-2[.0-9]*': gw-b, which stands by, has caught up 65536 bytes" out
    fi
    cmp gw-a/v gw-b/v
    run -1 grep -E 'switched|manual-recovery|,hold,' state/history.csv
    migrate-exec --status | grep -q ',deferred,.*stands by'
    run -0 migrate-exec --abort "$(migrate-exec --status | grep ',deferred,' | cut -d, -f2)"
  done
  [[ $lacked ]] && ((n > 6 && n < 40))
}

@test "I4: kill -9 at any sync of a standby's hand-over for a row: --resume brings it to either end" {
  needs_preload migrate-exec
  fleet
  local n from=gw-a to=gw-b epoch=1 stood=0
  for ((n = 1; n < 40; n += 2)); do
    rm -f mark
    run -0 migrate-exec --retain 0 <(plan "$from" "$to" "$epoch" standby)
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --retain 0 <(plan "$from" "$to" "$epoch" mandatory) >out 2>&1 || true
    migrate-exec --retain 0 --resume >>out 2>&1
    if owner_is "$from" "$epoch" deferred; then
      stood=$((stood + 1))
      migrate-exec --retain 0 <(plan "$from" "$to" "$epoch" mandatory) >>out
    fi
    epoch=$((epoch + 1))
    owner_is "$to" "$epoch" uncommitted
    [[ $(last_event "v-$epoch") == retire,switched ]]
    run -1 grep -E 'manual-recovery|promoted' state/history.csv
    cmp original "$to/v"
    read -r from to <<<"$to $from"
    [[ -e mark ]] || break
  done
  ((stood > 1 && n > 8 && n < 40))
}

@test "migrate-exec: a row goes on with a standby whose copying was killed" {
  fleet
  start exec migrate-exec --bwlimit 32K <(plan gw-a gw-b 1 standby)
  wait_for 30 status_is phase replicate
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-c 1 optional)
  [[ $stderr == "migrate-exec: 'v-2' is driven by another process: "* ]]
  kill_hard exec
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 mandatory)
  [[ $(steps) == "v-2,redirect,begin "*"v-2,handover,switched " ]]
  owner_is gw-b 2 uncommitted
  served
}

@test "migrate-exec: the standbys of a plan come behind its moves" {
  fleet
  make_volume gw-a w 256K
  route-set w gw-a >/dev/null
  {
    plan gw-a gw-b 1 standby
    plan gw-a gw-c 1 mandatory | sed -n '2s/,v,/,w,/p'
  } >rows
  run --separate-stderr -0 migrate-exec rows
  [[ $(steps) == "w-2,"*" w-2,handover,switched v-2,redirect,begin "*"v-2,replicate,deferred " ]]
  stands
  run --separate-stderr -0 migrate-exec --abort v-2
  run --separate-stderr -0 migrate-exec --commit w-2
  sed -i 's/,w,gw-a,gw-c,1,/,w,gw-c,gw-a,2,/' rows
  run --separate-stderr -0 migrate-exec --jobs 2 --per-gateway 2 rows
  stands
  owner_is_of w gw-a 3
}

@test "migrate-exec: --resume brings moves to their end before it has standbys mirrored again" {
  ahead
  make_volume gw-a w 256K
  head -c 256K /dev/urandom >gw-a/w
  route-set w gw-a >/dev/null
  local jobs epoch=1
  for jobs in 1 2; do
    start exec migrate-exec --bwlimit 32K <(plan gw-a gw-c "$epoch" mandatory | sed 's/,v,/,w,/')
    wait_for 30 eval 'control status w | grep -q " phase=replicate "'
    kill_hard exec
    stop director
    serve
    run --separate-stderr -0 migrate-exec --jobs "$jobs" --resume
    epoch=$((epoch + 1))
    [[ $(steps) == "w-$epoch,"*" w-$epoch,handover,switched v-2,redirect,begin "*"v-2,replicate,deferred " ]]
    stands
    run -0 migrate-exec --revert "w-$epoch"
    epoch=$((epoch + 1))
    run -0 migrate-exec --commit "w-$epoch"
  done
}

@test "S9: where gateways take one connection a standby is made, keeps up and takes over, too" {
  START=lone_gateway
  ahead
  client_start
  ask discard 64k 64k
  ask write -P 7 128k 4k
  ask flush
  stands
  ask write -P 8 128k 4k
  stop_gateway gw-a
  wait_for 60 owner_is gw-b 2 uncommitted
  ask read -P 8 128k 4k
  no_failure
  run --separate-stderr -0 migrate-exec --resume v-2
  taken_over
}

@test "migrate-exec: an interrupted standby is aborted; one that stood is left to the next --resume" {
  fleet
  start exec migrate-exec --bwlimit 32K <(plan gw-a gw-b 1 standby)
  wait_for 30 grep -q ',v-2,.*,redirect,begin,' state/history.csv
  wait_for 30 status_is phase replicate
  kill -TERM "${PIDS[exec]}"
  wait "${PIDS[exec]}" || true
  unset "PIDS[exec]"
  [[ $(last_event v-2) == *,aborted ]]
  owner_is gw-a 1 steady
  run -0 migrate-exec <(plan gw-a gw-b 1 standby)
  kill_hard director
  serve
  start exec migrate-exec --bwlimit 32K --resume v-2.2
  wait_for 30 status_is phase replicate
  kill -TERM "${PIDS[exec]}"
  wait "${PIDS[exec]}" || true
  unset "PIDS[exec]"
  [[ $(last_event v-2.2) == *,deferred ]]
  run --separate-stderr -0 migrate-exec --resume
  [[ ${lines[-1]} == *",deferred,"*"stands by: "* ]]
  stands
}

@test "migrate-exec: --resume has a standby mirrored again after the director's end" {
  ahead
  stop director
  serve
  change 7 64k 64k
  run --separate-stderr -0 migrate-exec --resume
  [[ -z $stderr && $(steps) == "v-2,redirect,begin "*"v-2,replicate,deferred " && $output == *" 65536 sent"* ]]
  stands
  cmp original gw-b/v
  kill_hard director
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': gw-b does not stand by: no director answers "* ]]
}

@test "migrate-exec: a standby keeps up with what is not mirrored, and --resume has nothing to do" {
  ahead
  qemu-io -f raw -c "discard 64k 64k" "$(director_uri v)" >/dev/null
  stands
  run --separate-stderr -0 migrate-exec --resume
  quiet
  cmp gw-a/v gw-b/v
}

@test "migrate-exec: --resume has a standby flushed that was not caught up with to the end" {
  QUARANTINE=1h
  ahead
  # Whoever copied the first block did not flush it, and the second is haunted.
  driver_start
  drive begin v 1 gw-b
  qemu-io -f raw -c "discard 64k 128k" "$(director_uri v)" >/dev/null
  drive claim v copy 65536
  copy_extent 65536 65536
  drive synced v "$(cut -d ' ' -f 2 <<<"$REPLY_LINE")"
  drive claim v copy 65536
  driver_kill
  wait_for 30 status_is haunted 65536
  status_is copies unflushed
  run --separate-stderr -0 migrate-exec --resume
  status_is copies flushed
  status_is haunted 65536
  # What it lacks still is the director's business.
  run --separate-stderr -0 migrate-exec --resume
  quiet
}

@test "migrate-exec: a target that is away is waited for" {
  ahead
  client_start
  stop_gateway gw-b
  ask write -P 7 0 4k
  wait_for 30 owner_is gw-a 1 steady
  run -0 migrate-exec --status v-2
  [[ ${lines[1]} == *"does not stand by: the route is steady; --resume has gw-b mirrored again"* ]]
  cp state/history.csv history.before
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': gw-b does not stand by: "* ]]
  cmp state/history.csv history.before
  start_gateway gw-b
  # The planner, which sees a steady volume, asks again.
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $(steps) == "v-2,redirect,begin "*"v-2,replicate,deferred " ]]
  stands
  cmp gw-a/v gw-b/v
  no_failure
}

@test "migrate-exec: where a standby is lost with its director the route says so" {
  local client
  ahead
  for client in '' yes; do
    stop director
    stop_gateway gw-b
    serve
    if [[ $client ]]; then
      client_start
    fi
    owner_is gw-a 1 deferred
    cp state/history.csv history.before
    run --separate-stderr -0 migrate-exec --resume
    [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': gw-b does not stand by: "* ]]
    owner_is gw-a 1 steady
    run -0 migrate-exec --status v-2
    [[ ${lines[1]} == *"does not stand by: the route is steady; --resume has gw-b mirrored again"* ]]
    run --separate-stderr -0 migrate-exec --resume
    owner_is gw-a 1 steady
    cmp state/history.csv history.before
    start_gateway gw-b
    run --separate-stderr -0 migrate-exec --resume
    if [[ $client ]]; then
      [[ $stderr == *"it was lost 2 times in a row: again in "* ]]
      pause_over
      run --separate-stderr -0 migrate-exec --resume
    fi
    stands
  done
  # Who is not asked may have it still.
  stop director
  stop_gateway gw-b
  run --separate-stderr -0 migrate-exec --resume
  [[ $stderr == *"gw-b does not stand by: no director answers"* ]]
  owner_is gw-a 1 deferred
}

# ---- the owner dies ----

@test "S17: a verifying client notices nothing of the death of an owner that has a standby" {
  START=cached_gateway
  ahead
  client_start # the volume stays open
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-16k \
    --size=256K --io_size=4M --rate=2M --iodepth=8 --fsync=40 --verify=crc32c --verify_fatal=1 \
    --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  wait_for 30 eval '(($(status_of requests) > 60))'
  stop_gateway gw-a
  wait_for 30 owner_is gw-b 2 uncommitted
  run -0 migrate-exec --status v-2
  [[ ${lines[1]} == *"gw-b has taken the place of gw-a, which died, at epoch 2; --resume records it"* ]]
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
  run ! grep -iE 'error|bad' fio.out
  status_is errors 0
  run --separate-stderr -0 migrate-exec --resume
  [[ $(steps) == "v-2,handover,switched " ]]
  taken_over
  # The old owner's copy is compared before anybody goes back to it.
  cached_gateway gw-a
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2 mandatory)
  owner_is gw-a 3 uncommitted
}

@test "S17: a standby that took over in the midst of its hand-over has not been switched to" {
  needs_preload migrate-exec
  ahead
  local n
  for ((n = 1; n < 30; n++)); do
    GS_FAULT=sync:$n:kill LD_PRELOAD=$INJECT migrate-exec --cutover v-2 >out 2>&1 || true
    [[ $(tail -n 1 state/migrations/v-2.csv) != *,handover,hold,* ]] || break
  done
  ((n < 30))
  stands
  client_start
  stop_gateway gw-a
  wait_for 60 owner_is gw-b 2 uncommitted
  run --separate-stderr -0 migrate-exec --resume
  taken_over
}

@test "S17: a standby that took over is recorded after everybody's restart: by --expire, and by a row" {
  ahead --retain 0
  change 7 0 4k
  client_start
  stop_gateway gw-a
  wait_for 60 owner_is gw-b 2 uncommitted
  kill_hard director
  serve
  cp -r state state.before
  run --separate-stderr -0 migrate-exec --expire
  [[ $(steps) == "v-2,handover,switched " ]]
  taken_over
  served
  stop director
  rm -r state
  mv state.before state
  serve
  # The hook of gw-a makes cold what is left there.
  run --separate-stderr -75 migrate-exec --dry-run <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == *"left 'v': first migrate-exec --resume v-2: its switch was interrupted" ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ $(steps) == "v-2,handover,switched v-2,retire,committed v-3,redirect,begin "*"v-3,handover,switched " ]]
  owner_is gw-c 3 uncommitted
  served
  [[ ! -e gw-a/v && -e gw-a/.cold/v.1 ]]
}
