#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2119,SC2120
# The way back: what changes after a switch is tracked, and only that travels.

load helpers
load mover
load routelog

SIZE=8M
BYTES=$((8 << 20))
BLOCK=65536

# away [DIRECTOR-ARGUMENT...]: volume v of random data, moved from gw-a to gw-b by v-2.
away()
{
  move_setup "$SIZE" --quarantine 200ms "$@"
  cp "$GS/gw-a/v" original
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
}

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# sent, unchanged: the sum over the passes of the last run's events.
passes()
{
  grep -o "[0-9]* $1" <<<"$output" | awk '{n += $1} END {print n + 0}'
}

# expect_sent MAX UNCHANGED: so much was sent at most, so much was not even looked at.
expect_sent()
{
  echo "sent $(passes sent), unchanged $(passes unchanged)" >&2
  [[ $(passes sent) -le $1 && $(passes unchanged) -eq $2 ]]
}

# stay: a client that keeps the volume open.
stay()
{
  start client qemu-io -f raw "$(director_uri v)" -c "sleep 60000"
  wait_for 5 status_is clients 1
}

# restart_director: with whatever arguments move_setup's had.
restart_director()
{
  start_director --quarantine 200ms
}

same_as_original()
{
  cmp original "$GS/$1/v"
}

last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

@test "I7: --revert sends only what changed since the switch" {
  away
  stay
  status_is changed 0
  write_three 7
  status_is changed $((3 * BLOCK))
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ -z $stderr ]]
  expect_sent $((3 * BLOCK)) $((BYTES - 3 * BLOCK))
  owner_is gw-a 3 uncommitted
  same_as_original gw-a
  [[ $(last_event v-3) == retire,switched && $(last_event v-2) == retire,reverted ]]
  run -1 migrate-exec --revert v-2
  [[ $output == *"is reverted already"* ]]
}

@test "I7: A to B to A to B, with writes between: each way sends what changed on it" {
  local id=v-2 to=gw-a at
  away
  for at in 1 2 3 4; do
    write_three "$at"
    run --separate-stderr -0 migrate-exec --revert "$id"
    expect_sent $((3 * BLOCK)) $((BYTES - 3 * BLOCK))
    same_as_original "$to"
    id=v-$((at + 2))
    owner_is "$to" $((at + 2)) uncommitted
    [[ $to == gw-a ]] && to=gw-b || to=gw-a
  done
}

@test "I7: --revert under writes: nothing is lost, and what is written meanwhile is sent too" {
  away
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k \
    --iodepth=4 --size="$SIZE" --rate_iops=500 --io_size=6M --verify=crc32c --norandommap \
    --randrepeat=1
  wait_for 10 changes_are_seen
  run --separate-stderr -0 migrate-exec --window 1000 --revert v-2
  owner_is gw-a 3 uncommitted
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
}

changes_are_seen()
{
  [[ $(status_of changed) -gt 0 ]]
}

@test "I7: --revert --verify=full compares also what has not changed, and finds what differs" {
  away
  write_three 7
  spoil "$GS/gw-a/v" 5000000
  run --separate-stderr -0 migrate-exec --verify=full --revert v-2
  owner_is gw-a 3 uncommitted
  same_as_original gw-a
}

@test "S10: a director that ends in order leaves the map to the next one" {
  away
  write_three 7
  stop director
  restart_director
  put 9 0 4k
  qemu-io -f raw -c "write -P 9 0 4k" original >/dev/null
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK + 4096)) $((BYTES - 4 * BLOCK))
  same_as_original gw-a
}

@test "S10: kill -9 of the director: every write that may have left counts as changed" {
  away
  write_three 7
  kill_hard director
  restart_director
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK)) $((BYTES - 3 * BLOCK))
  same_as_original gw-a
}

@test "S10: without its map, or with a damaged one, everything is compared" {
  away
  write_three 7
  stop director
  rm "$GATESHIFT_STATE/changes/v"
  restart_director
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK)) 0
  same_as_original gw-a
  write_three 8
  stop director
  spoil "$GATESHIFT_STATE/changes/v" 9
  restart_director
  run --separate-stderr -0 migrate-exec --revert v-3
  expect_sent $((3 * BLOCK)) 0
  same_as_original gw-b
}

@test "S10: a map that was closed in order is void once the volume was served without it" {
  away
  write_three 7
  stop director
  mv "$GATESHIFT_STATE/changes/v" kept-map
  restart_director
  put 9 0 4k
  qemu-io -f raw -c "write -P 9 0 4k" original >/dev/null
  kill_hard director
  mv kept-map "$GATESHIFT_STATE/changes/v"
  restart_director
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK + 4096)) 0
  same_as_original gw-a
}

@test "S10: the map ends with --commit" {
  away
  put 7 0 4k
  [[ -e $GATESHIFT_STATE/changes/v ]]
  stay
  run -0 migrate-exec --commit v-2
  [[ ! -e $GATESHIFT_STATE/changes/v ]]
  status_is changed -
  run -1 migrate-exec --revert v-2
  [[ $output == *"committed already"* ]]
}

@test "S11: a write that nobody answered before the kill counts as changed" {
  away
  stay
  kill -STOP "${PIDS[gw-b]}"
  start writer qemu-io -f raw "$(director_uri v)" -c "write -P 5 1048576 4k"
  wait_for 10 status_is changed "$BLOCK"
  kill_hard director
  kill -CONT "${PIDS[gw-b]}"
  kill_hard client
  kill_hard writer
  restart_director
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ $(passes unchanged) -eq $((BYTES - BLOCK)) ]]
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "S10: nothing is unchanged where the copy could not be flushed" {
  move_setup "$SIZE" --quarantine 200ms
  converge
  drive hold v 5000
  drive flush v
  kill -STOP "${PIDS[gw-a]}"
  drive switch v 1
  kill_hard gw-a
  refuses EIO retire v
  start_gateway gw-a
  driver_kill
  driver_start
  drive begin v 2 gw-a back
  status_is changed "$BYTES"
  drive claim v copy 65536
  [[ $REPLY_LINE == "ok "*" 0 65536" ]]
}

@test "S10: only the live map says unchanged: a claim that a write touched is not adopted" {
  away
  driver_start
  refuses EBUSY begin v 2 gw-a
  refuses EINVAL begin v 2 gw-a forth
  drive begin v 2 gw-a back
  drive claim v copy 65536
  read -ra claim <<<"$REPLY_LINE"
  [[ ${claim[*]:2} == "0 $BYTES unchanged" ]]
  put 7 65536 4k
  drive synced v "${claim[1]}" unchanged
  [[ $REPLY_LINE == "ok 65536" ]]
  drive claim v copy 65536
  read -ra claim <<<"$REPLY_LINE"
  [[ ${claim[*]:2} == "65536 65536" ]]
  refuses EINVAL synced v "${claim[1]}" unchanged
  drive release v "${claim[1]}"
  # What was adopted is proved by the map, what was written is not.
  [[ $(status_of unproved) == 0 && $(status_of dirty) == 65536 ]]
}

@test "S10: synced without the word leaves the blocks to be proved" {
  away
  driver_start
  drive begin v 2 gw-a back
  drive claim v copy 65536
  read -ra claim <<<"$REPLY_LINE"
  drive synced v "${claim[1]}"
  status_is unproved "$BYTES"
}

@test "I5: a revert that is aborted leaves the owner, the kept copy's record and the map" {
  away
  write_three 7
  driver_start
  drive begin v 2 gw-a back
  drive claim v copy 65536
  drive abort v
  owner_is gw-b 2 uncommitted
  driver_kill
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK)) $((BYTES - 3 * BLOCK))
  same_as_original gw-a
}

@test "I4: a revert that is deferred outlives the director, and its record still names the kept copy" {
  away
  write_three 7
  driver_start
  drive begin v 2 gw-a back
  drive mirror v
  drive defer v
  owner_is gw-b 2 uncommitted
  driver_kill
  kill_hard director
  restart_director
  driver_start
  wait_for 10 drive begin v 2 gw-a back # after the quarantine
  drive defer v
  drive abort v
  owner_is gw-b 2 uncommitted
  driver_kill
  run --separate-stderr -0 migrate-exec --revert v-2
  owner_is gw-a 3 uncommitted
  same_as_original gw-a
}

@test "I4: kill -9 of --revert while copying, then --resume; no --commit in between" {
  away
  put 7 0 8M
  start exec migrate-exec --bwlimit 1M --revert v-2
  wait_for 10 copying_back
  kill_hard exec
  run -75 migrate-exec --commit v-2
  [[ $output == *"is being reverted"* ]]
  run -75 migrate-exec --revert v-2
  [[ $output == *"--resume v-3"* ]]
  run --separate-stderr -0 migrate-exec --resume v-3
  owner_is gw-a 3 uncommitted
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
  [[ $(last_event v-2) == retire,reverted ]]
}

copying_back()
{
  [[ $(status_of phase) == replicate && $(status_of synced) -gt 0 ]]
}

@test "I4: kill -9 of the director and of --revert while copying, then --resume" {
  away
  put 7 0 8M
  start exec migrate-exec --bwlimit 1M --revert v-2
  wait_for 10 copying_back
  kill_hard exec
  kill_hard director
  restart_director
  owner_is gw-b 2 uncommitted
  run --separate-stderr -0 migrate-exec --resume v-3
  owner_is gw-a 3 uncommitted
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "I4: --resume of a revert whose copy was committed away meanwhile ends it" {
  away
  put 7 0 8M
  start exec migrate-exec --bwlimit 1M --revert v-2
  wait_for 10 copying_back
  kill_hard exec
  kill_hard director
  restart_director
  run --separate-stderr -0 migrate-exec --commit v-2
  owner_is gw-b 2 steady
  run --separate-stderr -1 migrate-exec --resume v-3
  [[ $output == *",v-3,"*",failed,"*"the copy on gw-a was let go meanwhile" ]]
  run --separate-stderr -0 migrate-exec --resume
  [[ ${#lines[@]} -eq 1 && -z $stderr ]] # the header
  owner_is gw-b 2 steady
}

# taken_back: the store as a revert in doubt leaves it when the director has taken the volume back.
taken_back()
{
  local line
  stop director
  line=$(tail -n 1 "$GATESHIFT_STATE/routes.log")
  [[ $line == v,gw-b,2,uncommitted,gw-a,* ]]
  line=${line/,2,/,3,}
  log_route "${line%,*}"
  owner_is gw-b 3 uncommitted
  restart_director
}

@test "S1: after a revert in doubt, which the director took back, --commit still knows the copy" {
  away
  write_three 7
  taken_back
  run --separate-stderr -0 migrate-exec --commit v-2
  owner_is gw-b 3 steady
  [[ ! -e $GS/gw-a/v ]]
  same_as_original gw-b
}

@test "S1: after a revert in doubt, which the director took back, there is another" {
  away
  write_three 7
  taken_back
  # At another epoch the map is void, and everything is compared.
  run --separate-stderr -0 migrate-exec --revert v-2
  expect_sent $((3 * BLOCK)) 0
  owner_is gw-a 4 uncommitted
  same_as_original gw-a
  run -1 migrate-exec --revert v-2
  [[ $output == *"is reverted already"* ]]
  # Who reverts the revert lets v-2 have nothing to say of it.
  run --separate-stderr -0 migrate-exec --revert v-4
  owner_is gw-b 5 uncommitted
  sed -i '/,reverted,/d' "$GATESHIFT_STATE/migrations/v-2.csv"
  run -70 migrate-exec --commit v-2
  owner_is gw-b 5 uncommitted
}

@test "migrate-exec: --revert of what has not switched, or has no copy any more, is refused" {
  away
  run -1 migrate-exec --revert v-9
  [[ $output == *"no such migration"* ]]
  rm "$GS/gw-a/v"
  run --separate-stderr -1 migrate-exec --revert v-2
  owner_is gw-b 2 uncommitted
}
