#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A volume whose last move has left a copy: rows of a plan for it, standbys, and what became of a
# copy that took the place of a dead owner.

# shellcheck disable=SC2016,SC2030,SC2031
load helpers
load mover
load routelog

EVENT_HEADER=time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail

setup_file()
{
  make_inject
}

# plan SOURCE TARGET EPOCH [KIND [REASON]]: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,${4-optional},,,,,,,,${5-}"
}

# fleet: volume v of random data on gw-a, gw-b and gw-c, a director.  With $HAS that gateway has the
# same data from the beginning.
fleet()
{
  make_volume gw-a v 256K
  head -c 256K /dev/urandom >gw-a/v
  cp gw-a/v original
  [[ -z ${HAS-} ]] || { mkdir "$HAS" && cp original "$HAS/v"; }
  start_gateway gw-a
  start_gateway gw-b
  start_gateway gw-c
  write_gateways
  route-set v gw-a >/dev/null
  serve
}

# serve: a director for which a busy machine is no slow gateway.
serve()
{
  start_director --quarantine 200ms --reverse-timeout 60s
}

# away [OPTION...]: as fleet, and v moved to gw-b by v-2.
away()
{
  fleet
  leave "$@"
}

leave()
{
  run -0 migrate-exec "$@" <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
}

# last_event ID: phase and event of the migration's last event.
last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

# steps: migration, phase and event of the event records in $output, a line.
steps()
{
  [[ ${lines[0]} == "$EVENT_HEADER" ]]
  printf '%s\n' "${lines[@]:1}" | cut -d, -f2,6,7 | tr '\n' ' '
}

# times ID EVENT: how often the history has that.
times()
{
  grep -c ",$1,v,.*,$2," state/history.csv
}

# served: what clients read is the volume's content.
served()
{
  nbdcopy "$(director_uri v)" served && cmp original served
}

# change PATTERN OFFSET LENGTH: a write by a client; the same in "original".
change()
{
  put "$@"
  qemu-io -f raw -c "write -P $1 $2 $3" original >/dev/null
}

@test "S17: no copy is let go while its owner is away: it may be all there is" {
  away --retain 0 --keep-mirrored
  kill_hard director
  start_director --quarantine 200ms --promote-after never
  start client qemu-io -f raw "$(director_uri v)" -c "read 0 4k" -c "sleep 120000"
  wait_for 30 status_is clients 1
  stop_gateway gw-b
  wait_for 30 status_is gateway away
  run --separate-stderr -75 migrate-exec --commit v-2
  [[ $stderr == *"cannot commit 'v-2': the owner's gateway gw-b is away, and the copy on gw-a may be all there is" ]]
  run --separate-stderr -75 migrate-exec --expire
  [[ -e gw-a/v ]]
  owner_is gw-b 2 uncommitted
  start_gateway gw-b
  wait_for 30 status_is gateway here
  run --separate-stderr -0 migrate-exec --expire
  owner_is gw-b 2 steady
}

# ---- back to where the copy is ----

@test "migrate-exec: a row to where the copy is kept is the revert of the last move" {
  away
  change 7 0 64k
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-b gw-a 2)
  [[ ${lines[1]} == *",v-3,v,gw-b,gw-a,redirect,begin,"*',"dry run: revert of v-2: at most 262144 bytes'* ]]
  owner_is gw-b 2 uncommitted
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2 mandatory "mandatory: gw-b drains")
  [[ -z $stderr && ${lines[1]} == *",redirect,begin,"*",reverts v-2; mandatory: gw-b drains" ]]
  [[ $output == *" 65536 sent, 196608 unchanged"* ]]
  owner_is gw-a 3 uncommitted
  cmp original gw-a/v
  [[ $(last_event v-2) == retire,reverted && $(last_event v-3) == retire,switched ]]
  # And again: what a row has begun is known like any other.
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 3)
  [[ ${lines[1]} == *",v-4,"*",reverts v-3" && $(last_event v-3) == retire,reverted ]]
  owner_is gw-b 4 uncommitted
  served
}

@test "I4: kill -9 of such a row while it copies, then --resume" {
  away
  change 7 0 256K
  start exec migrate-exec --bwlimit 32K <(plan gw-b gw-a 2 optional "it is better there")
  wait_for 30 grep -q ",v-3,.*,redirect,begin,.*reverts v-2; it is better there" state/history.csv
  kill_hard exec
  run -75 migrate-exec <(plan gw-b gw-a 2)
  [[ $output == *"--resume v-3"* ]]
  run --separate-stderr -0 migrate-exec --resume v-3
  owner_is gw-a 3 uncommitted
  [[ $(last_event v-2) == retire,reverted ]]
  cmp original gw-a/v
}

@test "migrate-exec: a row that does not fit the volume's record is refused, whatever is kept" {
  away
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-a 1)
  [[ $stderr == "migrate-exec: refused 'v': the row is of epoch 1, the route at 2" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-c 2 mandatory)
  [[ $stderr == "migrate-exec: refused 'v': the volume is on gw-b, not on gw-a" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2)
  [[ $stderr == "migrate-exec: refused 'v': its last move is not committed: v-2 keeps its copy on gw-a until "* ]]
  run --separate-stderr -1 migrate-exec --dry-run <(plan gw-b gw-c 2)
  [[ $stderr == *"v-2 keeps its copy on gw-a until "* ]]
  mv state/migrations/v-2.csv v-2.csv
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-a 2 mandatory)
  [[ $stderr == "migrate-exec: refused 'v': its last move is not committed: no readable journal is of it; find the gateway whose copy is whole, then route-set --force" ]]
  [[ $output == "$EVENT_HEADER" && ! -e gw-c/v ]]
  owner_is gw-b 2 uncommitted
  cmp original gw-a/v
}

# ---- to a third gateway ----

@test "migrate-exec: a mandatory row to a third gateway lets the copy go first" {
  away
  change 7 0 64k
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-b gw-c 2 mandatory)
  [[ ${lines[1]} == *',"dry run: commit of v-2, then a move: at most 262144 bytes'* && -e gw-a/v ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ -z $stderr && $(steps) == "v-2,retire,committed v-3,redirect,begin "*" v-3,handover,switched " ]]
  owner_is gw-c 3 uncommitted
  [[ ! -e gw-a/v && -e gw-a/.cold/v.1 ]]
  served
}

@test "S8: what was not proved is before the copy is let go for a row, too, or nothing is moved" {
  HAS=gw-b
  away --overwrite --verify=delta
  spoil gw-b/v 100000
  run --separate-stderr -1 migrate-exec --force <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == *"cannot commit 'v-2': "*"differ at 98304"* && ! -e gw-c/v ]]
  owner_is gw-b 2 uncommitted
  cmp original gw-a/v
  # The way back is still open.
  spoil gw-b/v 100000
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  owner_is gw-a 3 uncommitted
}

@test "migrate-exec: without what a move needs no copy is let go for it" {
  away
  make_volume gw-c v 256K
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == "migrate-exec: cannot move 'v': gw-c has an export 'v' that no move "*"; its copy on gw-a is kept" ]]
  rm gw-c/v
  # A hook that does not answer could not take the copy out of service.
  cp config/gateways.csv good
  sed -i '/^gw-a,/s|,dir .*|,/nowhere/hook|' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == *"refused 'v': its last move is not committed: its copy cannot be let go: hook of gw-a, size: "* ]]
  cp good config/gateways.csv
  sed -i '/^gw-c,/s|,dir .*|,/nowhere/hook|' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == *"its copy on gw-a is kept" ]]
  cp good config/gateways.csv
  [[ $output == "$EVENT_HEADER" && $(last_event v-2) == retire,switched ]]
  owner_is gw-b 2 uncommitted
  stop director
  run --separate-stderr -69 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ -e gw-a/v ]]
}

@test "migrate-exec: a commit that fails leaves the row undone, and the next one goes on with it" {
  away
  printf '%s\n' '#!/bin/sh' "[ \"\$1\" != cold ] || [ ! -e '$GS/burns' ] || { echo on fire >&2; exit 1; }" \
    "exec '$GATESHIFT_HOOKS/dir' '$GS/gw-a' \"\$@\"" >hook
  chmod +x hook
  sed -i "/^gw-a,/s|,dir .*|,$GS/hook|" config/gateways.csv
  touch burns
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2 mandatory)
  [[ $stderr == *"cannot commit 'v-2': hook of gw-a, cold: on fire"* && $(last_event v-2) == retire,stalled ]]
  owner_is gw-b 2 uncommitted
  [[ -e gw-a/v && ! -e gw-c/v ]]
  rm burns
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2 mandatory)
  owner_is gw-c 3 uncommitted
  [[ ! -e gw-a/v ]]
  served
}

@test "I4: kill -9 at any sync of a commit and a move for one row, then the row or --resume" {
  needs_preload migrate-exec
  away --retain 0
  local n from=gw-b to=gw-c next=gw-a epoch=2
  for ((n = 1; n < 40; n += 3)); do
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --retain 0 <(plan "$from" "$to" "$epoch") >out 2>&1 || true
    # What the row has begun is ended, or the row is carried out anew.
    ((n % 2)) || migrate-exec --retain 0 --resume >/dev/null 2>&1
    if owner_is "$from" "$epoch" uncommitted || owner_is "$from" "$epoch" steady; then
      migrate-exec --retain 0 <(plan "$from" "$to" "$epoch") >>out 2>&1 ||
        migrate-exec --retain 0 --resume >>out 2>&1
    fi
    migrate-exec --retain 0 --resume >>out
    owner_is "$to" $((epoch + 1)) uncommitted
    [[ $(last_event "v-$epoch") == retire,committed && ! -e $next/v ]]
    run -1 grep manual-recovery state/history.csv
    cmp original "$to/v"
    epoch=$((epoch + 1))
    read -r from to next <<<"$to $next $from"
    [[ -e mark ]] || break
  done
  ((n > 8 && n < 40))
}

# ---- standbys ----

@test "migrate-exec: a standby is mirrored, and --expire lets it stay" {
  away --standby --retain 0
  status_is reverse on
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && -z $stderr && -e gw-a/v ]]
  run -0 migrate-exec --status v-2
  [[ ${lines[1]} == *"copy kept on gw-a, flushed; mirrored; standby; retained until "*" s old, kept as standby"* ]]
  change 7 0 64k
  status_is changed 0
  # Its time is the least that it is kept: an optional row may have it go then.
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  [[ $(steps) == "v-2,retire,committed v-3,"* && ! -e gw-a/v ]]
  owner_is gw-c 3 uncommitted
  served
}

@test "migrate-exec: --resume has a standby mirrored again" {
  away --standby
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  stop director
  serve
  change 7 0 64k
  run --separate-stderr -0 migrate-exec --resume
  [[ $stderr == "migrate-exec: 'v-2': its copy on gw-a is mirrored again, 65536 bytes are behind" ]]
  wait_for 30 status_is changed 0
  control reverse v off
  cmp original gw-a/v
  stop_gateway gw-a
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ $stderr == "migrate-exec: 'v-2': its copy on gw-a does not stand by: "* ]]
  owner_is gw-b 2 uncommitted
}

@test "migrate-exec: --resume mirrors a standby that could not be at first, and its end is known" {
  fleet
  printf 'volume,size_bytes,policy,gateways,group,anti\nv,262144,auto,gw-b,,\n' >config/volumes.csv
  leave --standby --retain 0
  grep -q 'copy kept on gw-a, not mirrored: .*; standby; retained until ' state/migrations/v-2.csv
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && -e gw-a/v ]]
  stop director
  rm config/volumes.csv
  serve
  run --separate-stderr -0 migrate-exec --resume --jobs 2
  [[ $stderr == *"is mirrored again, 0 bytes are behind" ]]
  [[ $(tail -n 1 state/migrations/v-2.csv) == *"copy kept on gw-a; mirrored; standby; retained until "* ]]
  # Nobody sees the mirror's end: who lets the copy go knows that there was one.
  kill_hard director
  serve
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *",committed,"*"it is unknown"* ]]
}

@test "migrate-exec: a standby goes with --commit, and --revert is quick" {
  away --standby
  change 7 0 64k
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2)
  run --separate-stderr -0 migrate-exec --standby --revert v-2
  [[ $output == *", 0 sent, 262144 unchanged"* ]]
  owner_is gw-a 3 uncommitted
  status_is reverse on
  run --separate-stderr -0 migrate-exec --commit v-3
  owner_is gw-a 3 steady
  [[ ! -e gw-b/v ]]
  cmp original gw-a/v
}

# ---- a copy that took over ----

# taken_over: the store as a director leaves it that has made the copy on gw-a the owner, since gw-b
# died.
taken_over()
{
  local line
  stop_gateway gw-b
  stop director
  line=$(tail -n 1 state/routes.log)
  [[ $line == v,gw-b,2,uncommitted,gw-a,* ]]
  line=${line/v,gw-b,2,uncommitted,gw-a,/v,gw-a,3,uncommitted,gw-b,}
  log_route "${line%,*}"
  owner_is gw-a 3 uncommitted
  serve
}

# dead: gw-b dies, and the director makes the copy on gw-a the owner.
dead()
{
  stop_gateway gw-b
  wait_for 60 owner_is gw-a 3 uncommitted
  wait_for 60 status_is owner gw-a
}

@test "S17: a standby takes over, is recorded, and what is left on the dead owner goes when it is back" {
  away --standby
  change 7 0 64k
  wait_for 60 status_is promotable yes
  dead
  change 8 64k 64k
  run -0 migrate-exec --status v-2
  [[ $output == *"the copy on gw-a took the place of gw-b, which died, at epoch 3; "* ]]
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == *"took the place of gw-b"* ]]
  run --separate-stderr -0 migrate-exec --standby --resume
  recorded
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  start_gateway gw-b
  run --separate-stderr -0 migrate-exec --expire
  run --separate-stderr -0 migrate-exec --commit v-3
  owner_is gw-a 3 steady
  [[ ! -e gw-b/v ]]
  served
}

@test "S17: after a takeover a row leads to a third gateway, or back to the one that had died" {
  away --standby
  wait_for 60 status_is promotable yes
  dead
  change 8 64k 64k
  start_gateway gw-b
  run --separate-stderr -0 migrate-exec --standby --jobs 2 <(plan gw-a gw-b 3)
  recorded_before v-4
  owner_is gw-b 4 uncommitted
  cmp original gw-b/v
  change 9 64k 64k
  status_is changed 0
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 4 mandatory)
  owner_is gw-c 5 uncommitted
  served
}

# recorded_before ID: and it was gone on with.
recorded_before()
{
  [[ $(last_event v-3) == retire,reverted && $(times v-3 switched) -eq 1 ]]
  grep -q ",$1,v,gw-a,gw-b,redirect,begin,.*reverts v-3" state/history.csv
}

# mirrored_away: as away, with the copy mirrored and a write on both.
mirrored_away()
{
  away --keep-mirrored --retain 0
  change 7 0 64k
  status_is changed 0
  control reverse v off
  cmp original gw-a/v
}

# recorded: v-3 is the way back, not proved, v-2 has ended.
recorded()
{
  grep -q ',v-3,v,gw-b,gw-a,redirect,begin,.*reverts v-2; the kept copy took the place of a dead owner' state/history.csv
  grep -q ',v-3,v,gw-b,gw-a,handover,switched,.*promoted as the source is dead' state/history.csv
  grep -q 'reverted,.*by v-3: the kept copy took the place of a dead owner' state/migrations/v-2.csv
  [[ $(times v-3 switched) -eq 1 && $(last_event v-3) == retire,switched ]]
  grep -q 'copy on gw-b is unknown' state/migrations/v-3.csv
  owner_is gw-a 3 uncommitted
}

@test "S17: a kept copy that took over is told of by --status, refused by --commit, recorded by --resume" {
  mirrored_away
  taken_over
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[1]} == *"the copy on gw-a took the place of gw-b, which died, at epoch 3; --resume records it"* ]]
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': the copy on gw-a took the place of gw-b, which died, at epoch 3; "* ]]
  run --separate-stderr -0 migrate-exec --resume
  recorded
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  run --separate-stderr -1 migrate-exec --commit --remove v-3
  [[ $stderr == *"was promoted unproved"* ]]
  # When gw-b is back its copy goes.
  start_gateway gw-b
  run --separate-stderr -0 migrate-exec --commit v-3
  owner_is gw-a 3 steady
  [[ ! -e gw-b/v && -e gw-a/v ]]
  served
}

@test "S17: a takeover is recorded by --revert and by --expire, and goes back like any move" {
  mirrored_away
  taken_over
  cp -a state before
  run --separate-stderr -0 migrate-exec --expire
  recorded
  stop director
  rm -r state
  mv before state
  serve
  run --separate-stderr -0 migrate-exec --revert v-2
  recorded
  run --separate-stderr -1 migrate-exec --revert v-2
  [[ $stderr == *"reverted already"* ]]
  change 8 128k 64k
  start_gateway gw-b
  run --separate-stderr -0 migrate-exec --revert v-3
  owner_is gw-b 4 uncommitted
  cmp original gw-b/v
}

@test "S17: a takeover, and a row to a third gateway" {
  mirrored_away
  taken_over
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-c 3)
  [[ $stderr == *"refused 'v': its last move is not committed: v-3 keeps its copy on gw-b until "* ]]
  recorded
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 3 mandatory)
  owner_is gw-c 4 uncommitted
  [[ ! -e gw-b/v && $(last_event v-3) == retire,committed ]]
  served
}

@test "I4: kill -9 at any sync of recording a takeover, then --resume" {
  needs_preload migrate-exec
  mirrored_away
  taken_over
  cp -a state before
  local n
  for ((n = 1; n < 12; n++)); do
    rm -rf mark state/migrations state/history.csv
    cp -a before/migrations before/history.csv state
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --resume v-2 >out 2>&1 || true
    migrate-exec --resume >>out 2>&1
    recorded
    [[ $(last_event v-2) == retire,reverted ]]
    [[ -e mark ]] || break
  done
  ((n > 3 && n < 12))
}

@test "S15: an owner that an operator has set is no takeover" {
  mirrored_away
  stop_gateway gw-b
  route-set v gw-a --force >/dev/null
  owner_is gw-a 3 steady
  run -0 migrate-exec --status v-2
  [[ $output == *"copy kept on gw-a"* ]]
  run --separate-stderr -1 migrate-exec --revert v-2
  [[ $stderr == "migrate-exec: cannot revert 'v-2': the store says gw-a at epoch 3, steady" ]]
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && ! -e state/migrations/v-3.csv ]]
}
