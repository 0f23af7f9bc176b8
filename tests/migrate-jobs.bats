#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-exec --jobs: several rows of a plan at once.

load helpers

EVENT_HEADER=time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail

# plan VOLUME:SOURCE:TARGET[:EPOCH]...: a plan of as many rows.
plan()
{
  local row volume source target epoch
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  for row in "$@"; do
    IFS=: read -r volume source target epoch <<<"$row"
    echo "$(date +%s),$volume,$source,$target,${epoch:-1},optional,,,,,,,,"
  done
}

# fleet SIZE VOLUME:GATEWAY...: volumes of random data, gateways gw-a … gw-d, a director.
fleet()
{
  local size=$1 row gw
  shift
  for gw in gw-a gw-b gw-c gw-d; do
    start_gateway $gw
  done
  write_gateways
  for row in "$@"; do
    head -c "$size" /dev/urandom >"${row#*:}/${row%:*}"
    route-set "${row%:*}" "${row#*:}" >/dev/null
  done
  start_director --quarantine 200ms
}

# state VOLUME: of its route.
state()
{
  route-set "$1" | tail -n 1 | cut -d, -f4
}

both_moving()
{
  [[ $(state v) == moving && $(state w) == moving ]]
}

is_moving()
{
  [[ $(state "$1") == moving ]]
}

# steps: "VOLUME EVENT" of what migrate-exec in the background has begun and switched so far.
steps()
{
  cut -d, -f3,7 exec.log | grep -E ",(begin|switched)$" | tr , ' '
}

has_step()
{
  steps | grep -qx "$1 $2"
}

# order EVENT...: the first such events of the history, "VOLUME EVENT" a line.
order()
{
  cut -d, -f3,7 state/history.csv | grep -E ",(begin|switched)$" | tr , ' '
}

@test "migrate-exec --jobs: rows between different gateways are carried out at once" {
  fleet 2M v:gw-a w:gw-c
  start exec migrate-exec --jobs 2 --bwlimit 1M <(plan v:gw-a:gw-b w:gw-c:gw-d)
  wait_for 20 both_moving
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  cmp gw-a/v gw-b/v
  cmp gw-c/w gw-d/w
  [[ $(state v) == uncommitted && $(state w) == uncommitted ]]
  # One header, whole records, the same as in the history.
  [[ $(head -n 1 exec.log) == "$EVENT_HEADER" && $(grep -c "^time," exec.log) -eq 1 ]]
  cmp <(tail -n +2 exec.log | sort) <(tail -n +2 state/history.csv | sort)
}

@test "migrate-exec --jobs: a gateway has one move from it and one to it, unless told otherwise" {
  fleet 256K v:gw-a w:gw-a x:gw-c y:gw-d
  run --separate-stderr -0 migrate-exec --jobs 4 \
    <(plan v:gw-a:gw-b w:gw-a:gw-c x:gw-c:gw-d y:gw-d:gw-b)
  # w waits for v's source, y for v's target; x for nobody.
  [[ $(order | grep -E "^(v|w) ") == $'v begin\nv switched\nw begin\nw switched' ]]
  [[ $(order | grep -E "^(v|y) ") == $'v begin\nv switched\ny begin\ny switched' ]]
  cmp gw-a/w gw-c/w
}

@test "migrate-exec --jobs: a terminal shows one line for all moves" {
  fleet 2M v:gw-a w:gw-c
  plan v:gw-a:gw-b w:gw-c:gw-d >rows
  script -qec "migrate-exec --jobs 2 --bwlimit 1M rows >events" terminal >/dev/null </dev/null
  # Of both, and of copying and comparing: 8 MiB.
  grep -q '2 of 2 moves, all \[[# ]*\] *[0-9]*%, [0-7]\.[0-9] MiB left' terminal
  grep -q '2 of 2 moves, all \[###########*#* *\] *[5-9][0-9]%, [0-3]\.[0-9] MiB left' terminal
  run -1 grep -E '(v|w)-2 (copy|proof)' terminal
  [[ $(tr '\r\n' '  ' <terminal | sed 's/.*MiB left//') == *$'\e[K'* ]]
  [[ $(grep -c ',handover,switched,' events) == 2 && $(state v) == uncommitted && $(state w) == uncommitted ]]
}

@test "migrate-exec --resume --jobs: what was begun is gone on with at once, within the limits" {
  fleet 2M v:gw-a w:gw-c x:gw-a
  start exec migrate-exec --jobs 2 --bwlimit 100K <(plan v:gw-a:gw-b w:gw-c:gw-d)
  wait_for 20 both_moving
  kill_hard exec
  start exec migrate-exec --bwlimit 100K <(plan x:gw-a:gw-c)
  wait_for 20 is_moving x
  kill_hard exec
  : >exec.log
  start exec migrate-exec --resume --jobs 3 --bwlimit 1M --attempts 20
  wait_for 20 has_step v begin
  wait_for 20 has_step w begin
  run -1 has_step v switched
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  cmp gw-a/v gw-b/v
  cmp gw-c/w gw-d/w
  cmp gw-a/x gw-c/x
  # x waits for v's source.
  [[ $(steps | grep -E "^(v|x) ") == $'v begin\nv switched\nx begin\nx switched' ]]
  [[ $(head -n 1 exec.log) == "$EVENT_HEADER" && $(grep -c "^time," exec.log) -eq 1 ]]
  run --separate-stderr -0 migrate-exec --resume --jobs 3
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
}

@test "migrate-exec --resume --jobs: a damaged journal is reported, and holds up nobody" {
  fleet 1M v:gw-a w:gw-c
  start exec migrate-exec --jobs 2 --bwlimit 100K <(plan v:gw-a:gw-b w:gw-c:gw-d)
  wait_for 20 both_moving
  kill_hard exec
  sed -i '2s/,/;/' state/migrations/v-2.csv
  run --separate-stderr -70 migrate-exec --resume --jobs 2
  [[ $stderr == *"cannot read the journal of 'v-2': $GS/state/migrations/v-2.csv:2: 11 fields where the header has 12"* ]]
  [[ $(state w) == uncommitted && $(state v) == moving ]]
}

@test "migrate-exec --per-gateway: so many moves share a gateway" {
  fleet 2M v:gw-a w:gw-a
  start exec migrate-exec --jobs 2 --per-gateway 2 --bwlimit 1M <(plan v:gw-a:gw-b w:gw-a:gw-b)
  wait_for 20 both_moving
  wait "${PIDS[exec]}"
  unset "PIDS[exec]"
  cmp gw-a/w gw-b/w
}

@test "migrate-exec --jobs: the status is the worst of the rows, and the others are carried out" {
  fleet 64K v:gw-a w:gw-c
  run --separate-stderr -1 migrate-exec --jobs 3 <(plan v:gw-a:gw-b:7 w:gw-c:gw-d)
  [[ $stderr == "migrate-exec: refused 'v': the row is of epoch 7, the route at 1" ]]
  [[ $(state v) == steady && $(state w) == uncommitted ]]
  # A damaged row: those before it are carried out.
  run --separate-stderr -65 migrate-exec --jobs 3 <(
    plan v:gw-a:gw-b
    echo damage
  )
  [[ $(state v) == uncommitted && $stderr == *":3: "* ]]
}

@test "migrate-exec --jobs: an empty plan is a header and no rows" {
  fleet 64K
  run --separate-stderr -0 migrate-exec --jobs 2 <(plan)
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  run --separate-stderr -64 migrate-exec --jobs 0 <(plan)
}

@test "I4: kill -9 of a run of several moves kills them all, and --resume goes on with them" {
  fleet 2M v:gw-a w:gw-c
  start exec migrate-exec --jobs 2 --bwlimit 200K <(plan v:gw-a:gw-b w:gw-c:gw-d)
  wait_for 20 both_moving
  kill_hard exec
  run --separate-stderr -0 migrate-exec --resume
  [[ $(state v) == uncommitted && $(state w) == uncommitted ]]
  cmp gw-a/v gw-b/v
  cmp gw-c/w gw-d/w
}

@test "I6: a signal to a run of several moves reaches them all" {
  fleet 2M v:gw-a w:gw-c x:gw-a
  start exec migrate-exec --jobs 2 --bwlimit 100K <(plan v:gw-a:gw-b w:gw-c:gw-d x:gw-a:gw-d)
  wait_for 20 both_moving
  local status=0
  stop exec || status=$?
  [[ $status -eq 1 && $(state x) == steady && $(state v) == steady && $(state w) == steady ]]
  run grep -c "SIGTERM" exec.log
  ((output >= 2))
}
