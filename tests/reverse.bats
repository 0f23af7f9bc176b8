#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2119,SC2120
# The reverse mirror: after a switch the kept copy goes on getting the writes, as long as it keeps
# up, and the way back has nothing to copy.

load helpers
load mover
load client
load verifier

SIZE=8M
BYTES=$((8 << 20))
BLOCK=65536
# A machine that is busy with other things must not look like a slow gateway, and a gateway that is
# started again late keeps its volume (standby.bats has what follows else).
PATIENT=(--quarantine 200ms --reverse-timeout 60s --promote-after never)

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# away [OPTION...]: volume v of random data, on gw-a and gw-b, moved from the one to the other by
# v-2; the same data in "original".
away()
{
  head -c "$SIZE" /dev/urandom >"$GS/gw-a/v"
  cp "$GS/gw-a/v" original
  run -0 migrate-exec "$@" --overwrite <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
}

# mirrored [DIRECTOR-ARGUMENT...]: the same, and the copy is mirrored.
mirrored()
{
  move_setup "$SIZE" "${@:-${PATIENT[@]}}"
  away --keep-mirrored
  status_is reverse on
}

# passes WORD: the sum over the passes of the last run's events.
passes()
{
  grep -o "[0-9]* $1" <<<"$output" | awk '{n += $1} END {print n + 0}'
}

# revert_sends SENT UNCHANGED [ID]: just so much is sent, and so much not even looked at.
revert_sends()
{
  run --separate-stderr -0 migrate-exec "${REVERT_OPTIONS[@]}" --revert "${3-v-2}"
  echo "sent $(passes sent), unchanged $(passes unchanged)" >&2
  [[ $(passes sent) -eq $1 && $(passes unchanged) -eq $2 ]]
}

# notes ID: the details of the journal's notes on the kept copy.
notes()
{
  grep ,retire,switched, "$GATESHIFT_STATE/migrations/$1.csv"
}

same_as_original()
{
  cmp original "$GS/$1/v"
}

# Both gateways' files are equal, once the mirror has ended in order.
both_are_equal()
{
  control reverse v off
  status_is reverse ended
  status_is changed 0
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

restart_director()
{
  start_director "${PATIENT[@]}"
}

# ---- nothing to copy ----

@test "S16: a revert of what was mirrored copies nothing" {
  mirrored
  write_three 7
  status_is reverse on
  status_is changed 0
  [[ $(notes v-2) == *"copy kept on gw-a, flushed; mirrored; retained until "* ]]
  revert_sends 0 "$BYTES"
  [[ -z $stderr ]]
  owner_is gw-a 3 uncommitted
  same_as_original gw-a
}

@test "S16: no copy is mirrored unless that is asked for" {
  move_setup "$SIZE" "${PATIENT[@]}"
  away
  client_start
  write_three 7
  status_is reverse -
  holds gw-b 7 65536 64k
  revert_sends $((3 * BLOCK)) $((BYTES - 3 * BLOCK))
}

@test "I7: A to B to A to B, mirrored all the time: no way has anything to copy" {
  local id=v-2 to=gw-a at
  REVERT_OPTIONS=(--keep-mirrored)
  mirrored
  for at in 1 2 3 4; do
    write_three "$at"
    revert_sends 0 "$BYTES" "$id"
    status_is reverse on
    same_as_original "$to"
    id=v-$((at + 2))
    owner_is "$to" $((at + 2)) uncommitted
    [[ $to == gw-a ]] && to=gw-b || to=gw-a
  done
}

@test "S8: what was mirrored is compared all the same, and what differs is copied" {
  mirrored
  write_three 7
  control reverse v off
  spoil "$GS/gw-a/v" 3145999
  revert_sends 0 "$BYTES" # in passes; the comparison before the switch finds it
  same_as_original gw-a
}

@test "S16: overlapping writes reach the copy in their order, however slow it is" {
  mirrored
  control reverse v off
  stop_gateway gw-a
  start_gateway gw-a --filter=delay wdelay=3ms
  control reverse v
  fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bsrange=512-16k \
    --bs_unaligned=1 --iodepth=32 --size=256K --io_size=16M --norandommap --randrepeat=1 \
    --randseed=7 >fio.log
  status_is reverse on
  wait_for 20 status_is changed 0
  both_are_equal
}

@test "S16: a mirror that begins under writes catches up with what was written before" {
  move_setup "$SIZE" "${PATIENT[@]}"
  away
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bsrange=4k-64k \
    --iodepth=8 --size="$SIZE" --io_size=64M --rate_iops=600 --norandommap --randrepeat=1 --randseed=7
  wait_for 10 is_busy
  control reverse v
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
  wait_for 20 status_is changed 0
  both_are_equal
  revert_sends 0 "$BYTES"
}

# slow_reader: gw-b reads the block at 1M at once, and answers when $GS/stay is gone.
slow_reader()
{
  local f="$GS/gw-b/v"
  stop_gateway gw-b
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" eval thread_model='echo parallel' \
    get_size="stat -c %s '$f'" \
    pread="dd if='$f' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=64K status=none
      while [ \$4 = 1048576 ] && [ -e '$GS/stay' ]; do touch '$GS/reading'; sleep 0.02; done" \
    pwrite="dd of='$f' oflag=seek_bytes seek=\$4 bs=64K conv=notrunc status=none" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' flush='exit 0'
  wait_for 10 nbdinfo --list "$(gateway_uri gw-b)"
}

@test "S6: a write that comes while its block is being read for the copy makes that worth nothing" {
  move_setup "$SIZE" "${PATIENT[@]}"
  slow_reader
  away
  client_start
  ask "write -P 5 1M 64k"
  touch stay
  control reverse v
  wait_for 10 test -e reading
  ask "write -P 7 1M 4k"
  rm stay
  wait_for 20 status_is changed 0
  both_are_equal
  holds gw-a 7 1M 4k
  no_failure
}

@test "S20: a trim, and zeroes with no hole, are not mirrored but copied afterwards" {
  mirrored
  control reverse v off
  stop_gateway gw-a
  start_gateway gw-a --filter=log "logfile=$GS/ops"
  control reverse v
  client_start
  ask "write -P 5 0 256k"
  ask "write -z -u 0 64k"
  ask "write -z 64k 64k"
  ask "discard 128k 64k"
  wait_for 20 status_is changed 0
  both_are_equal
  no_failure
  grep -q " Zero id=.* offset=0x0 count=0x10000 " ops
  run ! grep -E " Trim | Zero .* offset=0x10000 " ops
  grep -q " Write id=.* offset=0x10000 count=0x10000 " ops
  grep -q " Write id=.* offset=0x20000 count=0x10000 " ops
}

is_busy()
{
  (($(status_of requests) > 200))
}

@test "S16: --revert under writes: nothing is lost, and what is written meanwhile is copied" {
  mirrored
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k \
    --iodepth=4 --size="$SIZE" --rate_iops=500 --io_size=8M --verify=crc32c --norandommap \
    --randrepeat=1
  wait_for 10 is_busy
  run --separate-stderr -0 migrate-exec --window 1000 --revert v-2
  owner_is gw-a 3 uncommitted
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
}

# ---- a copy that is in trouble ----

@test "S16: a copy that stops answering is mirrored no more, and the client notices nothing" {
  mirrored --quarantine 200ms --reverse-timeout 200ms
  client_start
  kill -STOP "${PIDS[gw-a]}"
  ask "write -P 7 0 4k"
  ask "read -P 7 0 4k"
  ask flush
  wait_for 10 status_is reverse dropped-slow
  status_is changed "$BLOCK"
  grep -q "the copy on 'gw-a' is not mirrored any more: .*--reverse-timeout" director.log
  kill -CONT "${PIDS[gw-a]}"
  ask "write -P 8 1M 4k"
  no_failure
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ $(passes unchanged) -eq $((BYTES - 2 * BLOCK)) ]]
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "S16: a copy that is slower than the owner is mirrored no more" {
  move_setup "$SIZE" --quarantine 200ms --reverse-timeout 200ms
  away
  stop_gateway gw-a
  start_gateway gw-a --filter=delay wdelay=2
  [[ $(control reverse v) == "ok 0" ]]
  client_start
  ask "write -P 7 0 4k"
  wait_for 10 status_is reverse dropped-slow
  ask "write -P 8 1M 4k"
  no_failure
  status_is changed $((2 * BLOCK))
  # nbdkit forgets what it delays when the connection ends.
  revert_sends $((2 * 4096)) $((BYTES - 2 * BLOCK))
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "S16: a copy that fails a write is mirrored no more, and the client notices nothing" {
  move_setup "$SIZE" "${PATIENT[@]}"
  away
  stop_gateway gw-a
  start_gateway gw-a --filter=error error-pwrite-rate=100% "error-file=$GS/bad"
  control reverse v
  client_start
  ask "write -P 7 0 4k"
  touch bad
  ask "write -P 8 1M 4k"
  wait_for 10 status_is reverse dropped-error
  ask "write -P 9 2M 4k"
  no_failure
  status_is changed $((3 * BLOCK))
  rm bad
  revert_sends $((2 * 4096)) $((BYTES - 3 * BLOCK))
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "S16: a copy that loses its cache is mirrored no more: what it had answered is copied" {
  make_volume gw-a v "$SIZE"
  make_volume gw-b v "$SIZE"
  cached_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size "$BYTES" >/dev/null
  start_director "${PATIENT[@]}"
  away --keep-mirrored
  client_start
  ask "write -P 7 0 64k"
  ask "write -P 8 1M 64k"
  status_is changed 0
  kill_hard gw-a
  wait_for 10 status_is reverse dropped-lost
  ask "read -P 7 0 64k"
  status_is changed $((2 * BLOCK))
  cached_gateway gw-a
  revert_sends $((2 * BLOCK)) $((BYTES - 2 * BLOCK))
  no_failure
}

@test "S16: a write that the owner fails is no write of the copy either" {
  make_volume gw-a v "$SIZE"
  make_volume gw-b v "$SIZE"
  start_gateway gw-a
  start_gateway gw-b --filter=error error-pwrite-rate=100% "error-file=$GS/bad"
  write_gateways
  route-set v gw-a --size "$BYTES" >/dev/null
  start_director "${PATIENT[@]}"
  away --keep-mirrored
  touch bad
  run qemu-io -f raw -c "write -P 7 0 4k" "$(director_uri v)"
  [[ $output == *"write failed"* ]]
  # It may have it already; then it is given what the owner has.
  wait_for 20 status_is changed 0
  rm bad
  both_are_equal
  revert_sends 0 "$BYTES"
  same_as_original gw-a
}

# ---- ends ----

@test "S10: kill -9 of the director: what was written since the switch counts as changed" {
  mirrored
  write_three 7
  kill_hard director
  restart_director
  revert_sends 0 $((BYTES - 3 * BLOCK))
  same_as_original gw-a
}

@test "S10: nor does an end of the director in order hand on what only it could say" {
  mirrored
  write_three 7
  stop director
  restart_director
  client_start
  ask "write -P 9 0 4k"
  status_is reverse -
  status_is changed $((4 * BLOCK))
  qemu-io -f raw -c "write -P 9 0 4k" original >/dev/null
  revert_sends 4096 $((BYTES - 4 * BLOCK))
  same_as_original gw-a
}

@test "S16: a mirror can be begun later, and again" {
  move_setup "$SIZE" "${PATIENT[@]}"
  away
  put 5 0 4k
  [[ $(control reverse v) == "ok $BLOCK" ]]
  wait_for 20 status_is changed 0
  [[ $(control reverse v) == "ok 0" ]]
  put 6 1M 4k
  control reverse v off
  [[ $(control reverse v off) == ok ]]
  put 7 2M 4k
  status_is changed "$BLOCK"
  [[ $(control reverse v) == "ok $BLOCK" ]]
  put 8 1M 4k
  wait_for 20 status_is changed 0
  revert_sends 0 "$BYTES"
  cmp "$GS/gw-a/v" "$GS/gw-b/v"
}

@test "S16: there is nothing to mirror without a kept copy whose changes are known" {
  move_setup "$SIZE" "${PATIENT[@]}"
  run -1 control reverse v
  [[ $output == "err EINVAL no copy of an uncommitted move is kept" ]]
  run -1 control reverse v off
  [[ $output == "err ENOENT "* ]]
  run -1 control reverse v on
  [[ $output == "err EINVAL "* ]]
  run -1 control reverse w
  [[ $output == "err EHOSTUNREACH "* ]]
  away
  stop director
  rm "$GATESHIFT_STATE/changes/v"
  restart_director
  run -1 control reverse v
  [[ $output == "err EINVAL what has changed since the copy was left is not known" ]]
}

@test "S16: the mirror ends before a way back begins, and no other move begins" {
  mirrored
  driver_start
  refuses EBUSY begin v 2 gw-c
  status_is reverse on
  put 7 0 4k
  refuses EAGAIN begin v 2 gw-a back
  wait_for 10 status_is reverse ended
  drive begin v 2 gw-a back
  run -1 control reverse v
  [[ $output == "err EBUSY a move of the volume is open" ]]
  # What was written is equal, but not proved; what was not is.
  drive claim v copy 65536
  [[ $REPLY_LINE == "ok 1 0 $BLOCK unchanged" ]]
  drive synced v 1 unchanged
  drive claim v copy 65536
  [[ $REPLY_LINE == "ok 2 $BLOCK $((BYTES - BLOCK)) unchanged" ]]
  drive synced v 2 unchanged
  status_is synced "$BYTES"
  status_is unproved "$BLOCK"
  # A way back that is not gone leaves what is known.
  drive abort v
  put 8 1M 4k
  status_is changed "$BLOCK"
  [[ $(control reverse v) == "ok $BLOCK" ]]
}

@test "S16: --commit ends the mirror first, and nothing reaches the copy any more" {
  mirrored
  client_start
  ask "write -P 7 0 64k"
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *",committed,"*"cold on gw-a"* && $output != *unknown* ]]
  status_is reverse -
  ask "write -P 8 0 64k"
  no_failure
  local cold
  cold=$(find "$GS/gw-a/.cold" -type f -size "$SIZE" -print -quit)
  qemu-io -r -f raw -c "read -P 7 0 64k" "$cold" | tee copy.log
  run ! grep failed copy.log
}

@test "S12: the label of a copy that was mirrored, by whom ever, has no digest of the switch" {
  move_setup "$SIZE" "${PATIENT[@]}"
  away
  grep -q ",handover,switched,.*; digest=" state/migrations/v-2.csv
  [[ $(control reverse v) == "ok 0" ]]
  put 7 0 64k
  run --separate-stderr -0 migrate-exec --commit v-2
  head -n 1 gw-a/.cold/v.1.label
  [[ $(head -n 1 gw-a/.cold/v.1.label) =~ ^v,2,[0-9a-f]{16},$BYTES,-$ ]]
}

@test "S16: --commit of a copy whose mirror was dropped says that it is unknown" {
  mirrored --quarantine 200ms --reverse-timeout 200ms
  client_start
  kill -STOP "${PIDS[gw-a]}"
  ask "write -P 7 0 4k"
  wait_for 10 status_is reverse dropped-slow
  kill -CONT "${PIDS[gw-a]}"
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *"it is unknown"* ]]
  [[ $(notes v-2) == *"copy on gw-a is unknown: dropped: "* ]]
}

# ---- kills ----

# under_writes: gateways that lose what is not flushed when they are killed, v mirrored, and a client
# that writes and verifies all the while.
under_writes()
{
  make_volume gw-a v "$SIZE"
  make_volume gw-b v "$SIZE"
  cached_gateway gw-a
  cached_gateway gw-b
  write_gateways
  route-set v gw-a --size "$BYTES" >/dev/null
  restart_director
  away --keep-mirrored
  cp original expected
  verifier_start 200
  verifier_goes_on
  status_is reverse on
}

# back_whole GATEWAY: the volume goes back there by --revert, and nothing was lost.
back_whole()
{
  run --separate-stderr -0 migrate-exec --window 2000 --revert v-2
  owner_is "$1" 3 uncommitted
  verifier_goes_on
  verifier_end "$1"
}

@test "I4: mirrored, a revert under writes" {
  under_writes
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of the director, then a revert" {
  under_writes
  kill_hard director
  restart_director
  verifier_goes_on
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of the old owner, then a revert" {
  under_writes
  kill_hard gw-a
  verifier_goes_on
  grep -q "the copy on 'gw-a' is not mirrored any more" director.log
  cached_gateway gw-a
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of the owner, then a revert" {
  under_writes
  kill_hard gw-b
  cached_gateway gw-b
  verifier_goes_on
  status_is reverse on
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of both gateways, then a revert" {
  under_writes
  kill_hard gw-a
  kill_hard gw-b
  cached_gateway gw-a
  cached_gateway gw-b
  verifier_goes_on
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of all three, then a revert" {
  under_writes
  # What the director alone knew is lost if the owner's cache is, too: the client flushes each write.
  kill -STOP "${PIDS[verifier]}"
  control status v >/dev/null
  kill_hard director
  kill_hard gw-a
  kill_hard gw-b
  cached_gateway gw-a
  cached_gateway gw-b
  restart_director
  kill -CONT "${PIDS[verifier]}"
  verifier_goes_on
  back_whole gw-a
}

@test "I4: mirrored, kill -9 of --revert while it compares, then --resume" {
  under_writes
  start exec migrate-exec --bwlimit 64K --revert v-2
  wait_for 30 status_is phase mirror
  kill_hard exec
  run --separate-stderr -0 migrate-exec --window 2000 --resume v-3
  owner_is gw-a 3 uncommitted
  verifier_goes_on
  verifier_end gw-a
}

@test "I4: kill -9 of the director while the mirror ends in order, then a revert" {
  under_writes
  kill -STOP "${PIDS[gw-a]}"
  verifier_goes_on
  start off control reverse v off
  wait_for 10 status_is reverse ending
  kill_hard director
  kill -CONT "${PIDS[gw-a]}"
  restart_director
  back_whole gw-a
}

@test "I4: SIGSTOP of the director while mirrored is no lateness of the copy" {
  mirrored --quarantine 200ms --reverse-timeout 200ms
  client_start
  ask "write -P 7 0 64k"
  kill -STOP "${PIDS[director]}"
  tell "write -P 8 1M 64k"
  sleep 1 # longer than --reverse-timeout
  kill -CONT "${PIDS[director]}"
  ask "write -P 9 2M 64k"
  no_failure
  run ! grep "not mirrored any more" director.log
  both_are_equal
}

@test "migrate-exec: a copy that can't be mirrored is kept all the same, and the journal says why" {
  move_setup "$SIZE" "${PATIENT[@]}"
  printf 'volume,size_bytes,policy,gateways,group,anti\nv,%d,auto,gw-b,,\n' "$BYTES" \
    >"$GATESHIFT_CONFIG/volumes.csv"
  away --keep-mirrored
  [[ $output == *,handover,switched,* ]]
  [[ $(notes v-2) == *"copy kept on gw-a, not mirrored: volumes.csv does not allow"* ]]
  [[ $(notes v-2) == *"; retained until "* ]]
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *,committed,* && $output != *unknown* ]]
}
