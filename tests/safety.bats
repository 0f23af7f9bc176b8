#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The rules that keep data safe while the director moves a volume, by their labels in
# gateshift-safety(7).
# shellcheck disable=SC2030,SC2031
load helpers
load mover
load raw
load standby

# slow_setup: as move_setup, with a source that does not end a write while there is a file "stuck".
slow_setup()
{
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  GATEWAYS+=(gw-a)
  start gw-a nbdkit -f --unix "$GATESHIFT_RUN/gw-a.sock" eval get_size="stat -c %s '$GS/gw-a/v'" \
    pread="dd if='$GS/gw-a/v' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none" \
    pwrite="while test -e '$GS/stuck'; do sleep 0.02; done
      dd of='$GS/gw-a/v' oflag=seek_bytes seek=\$4 conv=notrunc status=none" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' flush='exit 0'
  wait_for 10 nbdinfo --size "$(gateway_uri gw-a v)"
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director
}

# slow_write: a client's write to block 3, in flight when this returns.  end_write: it ends.
slow_write()
{
  touch "$GS/stuck"
  start client qemu-io -f raw -c 'write -P 7 200k 4k' "$(director_uri v)"
  wait_for 5 status_is inflight 1
}

end_write()
{
  rm "$GS/stuck"
  wait "${PIDS[client]}"
}

# ---- the commit ----

@test "S1: a hold that runs out before the commit ends on the owner" {
  move_setup
  converge
  drive hold v 50
  wait_for 5 status_is phase mirror
  refuses ETIMEDOUT switch v 1
  owner_is gw-a 1 moving
  put 7 0 4k
  holds gw-a 7 0 4k
  drive abort v
  owner_is gw-a 1 steady
}

@test "S1: a commit sent in time outlasts the deadline, and waiting requests go on at the target" {
  move_setup
  converge
  exec 5<"$GATESHIFT_STATE/routes.log"
  flock -x 5 # the store is slow
  drive hold v 300
  drive flush v
  prove_all
  say switch v 1
  wait_for 5 status_is phase commit
  start client qemu-io -f raw -c 'write -P 7 0 4k' "$(director_uri v)" 5<&- # held
  wait_for 5 status_is held 1
  sleep 0.4
  status_is phase commit
  status_is held 1
  exec 5<&-
  hear
  [[ $REPLY_LINE == "ok 2 "* ]]
  owner_is gw-b 2 uncommitted
  wait "${PIDS[client]}"
  holds gw-b 7 0 4k
  run ! holds gw-a 7 0 4k
}

# The director's processor time so far, in ticks of 10 ms.
ticks()
{
  local stat
  read -ra stat <"/proc/${PIDS[director]}/stat"
  echo $((stat[13] + stat[14]))
}

@test "S1: a target that is lost during the commit does not keep the CPU busy" {
  move_setup
  converge
  exec 5<"$GATESHIFT_STATE/routes.log"
  flock -x 5
  drive hold v 20000
  drive flush v
  say switch v 1
  wait_for 5 status_is phase commit
  stop_gateway gw-b
  local before
  before=$(ticks)
  sleep 0.5
  (($(ticks) - before < 20))
  exec 5<&-
  hear
  owner_is gw-b 2 uncommitted
}

@test "S1: a director that was stopped over the deadline does not commit" {
  move_setup
  converge
  drive hold v 300
  drive flush v
  kill -STOP "${PIDS[director]}"
  say switch v 1
  sleep 0.5
  kill -CONT "${PIDS[director]}"
  hear || true
  [[ $REPLY_LINE == "err ETIMEDOUT "* ]]
  owner_is gw-a 1 moving
  status_is phase mirror
}

@test "S1: a hold whose drain takes too long is released" {
  slow_setup
  driver_start
  drive begin v 1 gw-b
  slow_write
  refuses ETIMEDOUT hold v 50
  status_is phase replicate
  end_write
}

@test "I1: the epoch that switch names must be the route's" {
  move_setup
  driver_start
  refuses ESTALE begin v 2 gw-b
  drive begin v 1 gw-b
  copy_all
  drive hold v 2000
  drive flush v
  prove_all
  refuses ESTALE switch v 2
  drive switch v 1
  owner_is gw-b 2 uncommitted
}

@test "I1: a route that somebody forced elsewhere defeats the commit" {
  move_setup
  converge
  drive hold v 5000
  drive flush v
  route-set v gw-a --force >/dev/null 2>&1 || true # a new epoch, the same owner
  run ! drive switch v 1
  [[ $(route-set v | tail -n 1) == v,gw-a,2,* ]]
}

# ---- what a switch needs ----

@test "I1: a route that is forced elsewhere while its owner hangs is not served from there" {
  move_setup
  nbdinfo --size "$(director_uri v)" # the store is open now
  wait_for 5 test ! -s "$GATESHIFT_STATE/serving/v"
  kill -STOP "${PIDS[gw-a]}"
  start client qemu-io -f raw -c 'write -P 7 0 4k' "$(director_uri v)"
  wait_for 5 test -s "$GATESHIFT_STATE/serving/v"
  wait_for 5 route-set v gw-b --force
  kill -CONT "${PIDS[gw-a]}"
  wait "${PIDS[client]}" || true
  run ! holds gw-a 7 0 4k
  put 8 0 4k
  holds gw-b 8 0 4k
  run ! holds gw-a 8 0 4k
}

@test "S5: switch is refused until the target is flushed after its last write" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive flush v
  copy_all # written after the flush
  drive mirror v
  prove_all
  drive hold v 5000
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *"target not flushed"* ]]
  drive flush v
  drive switch v 1
  drive retire v
  cmp gw-a/v gw-b/v
}

# flush_gateway NAME SCRIPT: gateway NAME serves $GS/NAME/v, and flushes as SCRIPT does.
flush_gateway()
{
  local f="$GS/$1/v"
  GATEWAYS+=("$1")
  start "$1" nbdkit -f --unix "$GATESHIFT_RUN/$1.sock" eval get_size="stat -c %s '$f'" \
    pread="dd if='$f' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none" \
    pwrite="dd of='$f' oflag=seek_bytes seek=\$4 conv=notrunc status=none" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' flush="$2"
  wait_for 10 nbdinfo --size "$(gateway_uri "$1" v)"
}

# flush_setup SCRIPT-OF-GW-A SCRIPT-OF-GW-B [DIRECTOR-ARGUMENT...]
flush_setup()
{
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  flush_gateway gw-a "$1"
  flush_gateway gw-b "$2"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  shift 2
  start_director "$@"
}

@test "S5: a flush that fails ends the move, whatever the next one says" {
  flush_setup 'exit 0' "rm '$GS/bad' || exit 0; echo EIO >&2; exit 1"
  converge
  touch bad
  drive hold v 20000
  refuses ECONNABORTED flush v
  [[ $REPLY_LINE == *"could not flush"* ]]
  refuses ECONNABORTED flush v
  refuses ECONNABORTED switch v 1
  wait_for 5 owner_is gw-a 1 steady
  put 7 0 4k
  holds gw-a 7 0 4k
}

# A flush of gw-b takes as long as the file "stuck" is there, fails if "bad" is, and is counted.
slow_flush='echo >>"$GS/flushes"; while test -e "$GS/stuck"; do sleep 0.05; done; ! test -e "$GS/bad"'

# mirrored_write: everything is copied and flushed, and then a write is mirrored.  EACH: the lines in
# "flushes" of one flush on all connections.
mirrored_write()
{
  converge
  : >flushes
  drive flush v
  EACH=$(wc -l <flushes)
  put 7 0 4k
  : >flushes
}

@test "S5: the flush that a hold begins ends before the switch" {
  export GS
  flush_setup 'exit 0' "$slow_flush"
  mirrored_write
  touch stuck
  drive hold v 20000
  wait_for 5 test -s flushes
  prove_all
  say switch v 1
  status_is phase hold
  route-set v | grep '^v,gw-a,1,moving,gw-b,'
  rm stuck
  hear
  route-set v | grep '^v,gw-b,2,uncommitted,gw-a,'
  drive retire v
  cmp gw-a/v gw-b/v
}

# copied_behind_a_flush: in a hold whose flush is stuck the target differs, and is copied to.
copied_behind_a_flush()
{
  mirrored_write
  touch stuck
  drive hold v 20000
  wait_for 5 test -s flushes
  spoil gw-b/v 100
  drive claim v prove 1048576
  refuses EILSEQ differs v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  copy_all
}

# waiting_switch WINDOW_MS: a switch has been asked for in a hold whose flush is stuck.
waiting_switch()
{
  export GS
  flush_setup 'exit 0' "$slow_flush"
  mirrored_write
  touch stuck
  drive hold v "$1"
  wait_for 5 test -s flushes
  prove_all
  say switch v 1
}

@test "S1, S5: a switch that waits for a flush ends with the hold, on the owner" {
  waiting_switch 1000
  hear || true
  [[ $REPLY_LINE == "err ETIMEDOUT "* ]]
  rm stuck
  wait_for 5 status_is inflight 0
  owner_is gw-a 1 moving
  put 8 0 4k
  copy_all
  prove_all
  drive flush v
  drive hold v 20000
  drive switch v 1
  owner_is gw-b 2 uncommitted
  drive retire v
  cmp gw-a/v gw-b/v
}

@test "S1, S5: a switch that waits for a flush ends with its driver" {
  waiting_switch 20000
  driver_kill
  wait_for 5 status_is phase mirror
  rm stuck
  wait_for 5 status_is inflight 0
  owner_is gw-a 1 moving
  put 8 0 4k
}

@test "S1, S5: a switch that waits for a flush is over with an abort" {
  waiting_switch 20000
  control abort v
  hear || true
  [[ $REPLY_LINE == "err ECONNABORTED "* ]]
  rm stuck
  wait_for 5 owner_is gw-a 1 steady
  put 8 0 4k
}

@test "S5: the flush that a hold begins ends the move if it fails" {
  export GS
  flush_setup 'exit 0' "$slow_flush"
  mirrored_write
  touch bad
  drive hold v 20000
  wait_for 5 owner_is gw-a 1 steady
  refuses ECONNABORTED switch v 1
  [[ $REPLY_LINE == *"could not flush"* ]]
  put 8 0 4k
}

@test "S5: a flush under way does not count for what is written after it began" {
  export GS
  flush_setup 'exit 0' "$slow_flush"
  copied_behind_a_flush
  say flush v
  rm stuck
  hear
  [[ $(wc -l <flushes) -eq $((2 * EACH)) ]]
  prove_all
  drive switch v 1
  cmp gw-a/v gw-b/v
}

@test "S5: a flush that was to follow another does not count if a stall comes first" {
  export GS
  local before
  flush_setup 'exit 0' "$slow_flush" --promote-after never
  copied_behind_a_flush
  say flush v
  status_is phase hold # the verb has been read by now
  stop_gateway gw-a
  hear && return 1
  [[ $REPLY_LINE == "err EAGAIN "* ]]
  flush_gateway gw-a 'exit 0'
  wait_for 10 status_is phase mirror
  rm stuck
  wait_for 10 status_is inflight 0
  before=$(wc -l <flushes)
  drive flush v
  [[ $(wc -l <flushes) -gt $before ]]
}

@test "S3: what is found equal is flushed: a write that outlived its copier may have made it so" {
  export GS
  local claim before
  flush_setup 'exit 0' "$slow_flush"
  mirrored_write
  spoil gw-b/v 100
  drive claim v prove 1048576
  refuses EILSEQ differs v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  drive hold v 20000
  drive flush v
  before=$(wc -l <flushes)
  copy_extent 0 65536 # lands late
  drive claim v copy 65536
  claim=$(cut -d' ' -f2 <<<"$REPLY_LINE")
  drive synced v "$claim" equal
  prove_all
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *"target not flushed"* ]]
  drive flush v
  [[ $(wc -l <flushes) -gt $before ]]
  drive switch v 1
  drive retire v
  cmp gw-a/v gw-b/v
}

@test "S5, S17: a flush that was to follow another comes before a promotion, too" {
  export GS
  flush_setup 'exit 0' "$slow_flush" --promote-after 0
  copied_behind_a_flush
  say flush v
  status_is phase hold # the verb has been read by now
  stop_gateway gw-a
  hear && return 1
  wait_for 10 grep -q 'takes its place' director.log
  rm stuck
  wait_for 10 owner_is gw-b 2 uncommitted
  [[ $(wc -l <flushes) -eq $((2 * EACH)) ]]
}

@test "S5: a flush may take longer than --leg-timeout" {
  flush_setup 'exit 0' 'sleep 1' --leg-timeout 200ms
  converge
  drive flush v
  drive hold v 20000
  drive flush v
  drive switch v 1
  drive retire v
}

@test "S5: an old owner that hangs in its flush is let go after --retry-for" {
  flush_setup "test ! -e '$GS/bad' || sleep 30" 'exit 0' --retry-for 500ms
  touch bad
  converge
  drive hold v 20000
  drive flush v
  drive switch v 1
  put 7 0 4k
  refuses EIO retire v
  wait_for 5 status_is phase steady
  status_is inflight 0
}

@test "S5: how the old owner's flush ended is told its driver, whoever begins meanwhile" {
  move_setup
  converge
  drive hold v 20000
  drive flush v
  drive switch v 1
  wait_for 5 status_is phase steady
  run -1 control begin v 2 gw-a
  [[ $output == "err EBUSY "* ]]
  drive retire v
}

@test "S8: switch is refused while a block is not proved; a write clears its proof" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive mirror v
  copy_all
  drive hold v 5000
  drive flush v
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *" 0 bytes not synced, 1048576 not proved"* ]]
  prove_all
  drive unhold v
  put 7 8k 4k
  drive hold v 5000
  drive flush v
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *" 4096 not proved"* ]]
  prove_all
  drive switch v 1
}

@test "S8: a target that does not hold what was written to it is found out" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  copy_all
  spoil gw-b/v 70000
  drive claim v prove 1048576
  refuses EILSEQ differs v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  status_is dirty 1048576
  copy_all
  prove_all
  cmp gw-a/v gw-b/v
}

# ---- writes and claims ----

@test "S6: a write that arrives during a claim voids it" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 1048576
  put 7 200k 4k
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  [[ $REPLY_LINE == "ok 65536" ]]
  drive claim v copy 1048576
  [[ $REPLY_LINE == "ok "*" 196608 65536" ]]
}

@test "S6: of claims that are made and ended together each is voided by its own writes" {
  local claims
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536 3
  [[ $REPLY_LINE =~ ^ok\ ([0-9]+)\ 0\ 65536\;([0-9]+)\ 65536\ 65536\;([0-9]+)\ 131072\ 65536$ ]]
  claims=("${BASH_REMATCH[@]:1}")
  put 7 70k 4k
  drive synced v "${claims[0]},${claims[1]},${claims[2]}"
  [[ $REPLY_LINE == "ok $((1048576 - 2 * 65536))" ]]
  refuses ESTALE synced v "${claims[0]},${claims[1]}"
  drive claim v prove 65536 48
  [[ $REPLY_LINE =~ ^ok\ ([0-9]+)\ 0\ 65536\;([0-9]+)\ 131072\ 65536$ ]]
  put 7 140k 4k # not mirrored: its block is dirty again
  drive proved v "${BASH_REMATCH[1]},${BASH_REMATCH[2]}"
  [[ $REPLY_LINE == "ok 0" ]]
  status_is dirty $((1048576 - 65536))
  refuses EINVAL claim v copy 65536 49
  refuses EINVAL synced v "1,,2"
  refuses EINVAL proved v "$(seq -s, 49)"
  refuses EINVAL claim v copy 65536 1 1
}

@test "S6: a write that ends during a claim voids it" {
  slow_setup
  driver_start
  slow_write
  drive begin v 1 gw-b
  drive claim v copy 1048576
  status_is inflight 1
  end_write
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  [[ $REPLY_LINE == "ok 65536" ]]
}

@test "S6: a write makes its blocks dirty when it arrives, and again when it ends" {
  slow_setup
  driver_start
  drive begin v 1 gw-b
  copy_all
  slow_write
  status_is dirty 65536
  drive claim v copy 1048576
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  [[ $REPLY_LINE == "ok 65536" ]] # still in flight
  end_write
  status_is dirty 65536
}

@test "S7: a mirrored write goes to both legs only if all its blocks are synced" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 131072
  copy_extent 0 131072
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  put 1 0 4k # not asked to mirror yet
  holds gw-a 1 0 4k
  run ! holds gw-b 1 0 4k
  status_is dirty $((1048576 - 65536))
  drive mirror v
  put 2 68k 4k # synced: both
  holds gw-a 2 68k 4k
  holds gw-b 2 68k 4k
  put 3 512k 4k # dirty: the owner
  holds gw-a 3 512k 4k
  run ! holds gw-b 3 512k 4k
  status_is synced 65536
  put 4 120k 16k # over a synced and a dirty one: the owner, and both are dirty
  holds gw-a 4 120k 16k
  run ! holds gw-b 4 120k 4k
  status_is synced 0
  copy_all
  prove_all
  cmp gw-a/v gw-b/v
}

@test "S20: a trim while mirroring goes to the owner and makes its blocks dirty" {
  move_setup
  converge
  qemu-io -f raw -c 'discard 64k 64k' "$(director_uri v)" >/dev/null
  status_is dirty 65536
  copy_all
  prove_all
  status_is dirty 0
  cmp gw-a/v gw-b/v
}

@test "S15: a move that its driver defers stays open, mirrored, and says so in the route" {
  move_setup
  converge
  drive hold v 5000
  refuses EBUSY defer v
  drive unhold v
  drive defer v
  owner_is gw-a 1 deferred
  status_is phase mirror
  drive defer v # it is so already
  put 9 0 4k
  holds gw-b 9 0 4k
  # Another driver attaches, and can switch.
  driver_kill
  driver_start
  wait_for 10 drive begin v 1 gw-b
  [[ $REPLY_LINE == *attached ]]
  owner_is gw-a 1 deferred
  copy_all
  drive flush v
  prove_all
  drive hold v 5000
  drive flush v
  drive switch v 1
  owner_is gw-b 2 uncommitted
}

@test "S15: what a driver has proved when it defers the move is proved for the next, but for what is written" {
  stands_by true true "(test ! -e '$GS/mute')"
  status_is unproved 0
  touch mute # or the director would prove it itself
  put 9 64k 4k
  driver_start
  wait_for 10 drive begin v 1 gw-b
  status_is unproved 4096
  rm mute
  drive flush v
  prove_all
  # One that is killed leaves no proof, and what it was to prove decides, too.
  driver_kill
  driver_start
  wait_for 10 drive begin v 1 gw-b
  status_is unproved 1048576
  prove_all
  drive defer v
  driver_kill
  driver_start
  wait_for 10 drive begin v 1 gw-b verify=delta
  [[ $(status_of unproved) -ne 0 || $(status_of exempt) -ne 0 ]]
}

@test "S16: a deferred move whose target is lost ends on the owner" {
  move_setup
  converge
  drive defer v
  driver_kill
  stop_gateway gw-b
  wait_for 10 owner_is gw-a 1 steady
  put 7 0 4k
}

@test "I4: a deferred move is begun again by the next director" {
  move_setup
  converge
  drive defer v
  kill_hard director
  start_director --quarantine 0
  owner_is gw-a 1 deferred
  driver_start
  wait_for 10 drive begin v 1 gw-b
  [[ $REPLY_LINE == *new ]]
  owner_is gw-a 1 moving
  drive abort v
  owner_is gw-a 1 steady
}

@test "S2: blocks of a dead copier are haunted until the quarantine is over" {
  move_setup 1M --quarantine 1500ms
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 131072
  driver_kill
  wait_for 5 status_is haunted 131072
  driver_start
  drive begin v 1 gw-b
  [[ $REPLY_LINE == "ok 65536 1048576 attached" ]]
  copy_all
  status_is haunted 131072
  drive hold v 500
  refuses EBUSY switch v 1
  drive unhold v
  wait_for 5 status_is haunted 0
  status_is dirty 131072
  copy_all
  cmp gw-a/v gw-b/v
}

@test "S2: after an abort with a copy under way no move begins until the quarantine is over" {
  move_setup 1M --quarantine 700ms
  start client qemu-io -f raw -c 'sleep 8000' "$(director_uri v)" # keeps the volume open
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536
  drive abort v
  refuses EAGAIN begin v 1 gw-b
  wait_for 5 drive begin v 1 gw-b
}

@test "S2: the quarantine outlives the director's last user, and the director" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536
  drive abort v
  driver_kill
  sleep 0.1 # the volume would be closed now
  stop director
  start_director
  driver_start
  refuses EAGAIN begin v 1 gw-b
}

@test "S2: the quarantine begins when the copier of an aborted move is gone" {
  move_setup 1M --quarantine 300ms
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536 # and is stopped here, its writes not sent yet
  control abort v
  sleep 0.6
  run -1 control begin v 1 gw-b
  [[ $output == "err EAGAIN "* ]]
  driver_kill
  wait_for 5 control begin v 1 gw-b
}

@test "S15: a new driver takes over what is synced, but no proof" {
  move_setup 1M
  converge
  status_is unproved 0
  driver_kill
  wait_for 5 drive_anew
  [[ $REPLY_LINE == *" attached" ]]
  status_is synced 1048576
  status_is unproved 1048576
}

drive_anew()
{
  driver_start
  drive begin v 1 gw-b
}

@test "S15: a driver that goes in mid-verb leaves a move that can be aborted, or none" {
  move_setup 1M --quarantine 50ms
  local verbs
  for verbs in 'begin v 1 gw-b' 'begin v 1 gw-b\nclaim v copy 65536\nhold v 1000\nflush v' \
    'begin v 1 gw-b\nabort v' 'begin v 1 gw-b\nmirror v\nhold v 1000\nswitch v 1'; do
    # shellcheck disable=SC2059
    printf "$verbs\n" | socat -t 0 - "UNIX-CONNECT:$GATESHIFT_RUN/director.sock" >/dev/null
    put 7 0 4k
    wait_for 10 aborted
  done
  holds gw-a 7 0 4k
  owner_is gw-a 1 steady
}

# No move is left; asks for its end if there is one.
aborted()
{
  driver_start
  drive abort v || true
  driver_kill
  owner_is gw-a 1 steady && [[ $REPLY_LINE != "err EAGAIN"* ]]
}

@test "S15: a second driver is refused" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  run -1 control begin v 1 gw-b
  [[ $output == "err EBUSY "* ]]
  run -1 control claim v copy 1
  [[ $output == "err EBUSY this connection did not begin the move of 'v'" ]]
  drive claim v copy 65536
}

@test "I5: a driver that dies in the hold leaves the clients on the owner" {
  move_setup
  converge
  drive hold v 60000
  driver_kill
  wait_for 5 status_is phase mirror
  put 7 0 4k
  holds gw-a 7 0 4k
}

# ---- targets that cannot ----

# begin_refused WORDS: begin ends with EOPNOTSUPP and the route is as it was.
begin_refused()
{
  driver_start
  refuses EOPNOTSUPP begin v 1 gw-b
  [[ $REPLY_LINE == *"$1"* ]]
  owner_is gw-a 1 steady
}

# target_setup NBDKIT-ARGUMENT...: as move_setup, gw-b with these.
target_setup()
{
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  start_gateway gw-a
  start_gateway gw-b "$@"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director
}

@test "S22: what clients were offered holds on a target that lacks it" {
  target_setup --filter=nozero
  head -c 1M /dev/urandom >gw-a/v
  mkfifo client.in
  exec 4<>client.in
  start client bash -c "exec qemu-io -f raw '$(director_uri v)' <client.in" 4>&-
  echo 'write -z 0 64k' >&4
  wait_for 10 grep -q 'wrote 65536' client.log
  converge
  drive hold v 5000
  drive flush v
  drive switch v 1
  echo 'write -z 128k 256k' >&4
  wait_for 10 grep -q 'wrote 262144' client.log
  holds gw-b 0 0 64k
  holds gw-b 0 128k 256k
  run -1 grep failed client.log
}

@test "S22: a target with a larger minimum block size is refused by begin" {
  target_setup --filter=blocksize-policy blocksize-minimum=4096
  begin_refused "narrower block-size limits"
}

@test "S23: a target that cannot flush is refused by begin" {
  make_volume gw-a v 1M
  start_gateway gw-a
  GATEWAYS+=(gw-b)
  # shellcheck disable=SC2016
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" eval get_size='echo 1048576' \
    pread='head -c $3 /dev/zero' pwrite='cat >/dev/null' can_multi_conn='exit 0'
  wait_for 10 nbdinfo --size "$(gateway_uri gw-b v)"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director
  begin_refused "cannot flush"
}

@test "S23: a target that hangs in the handshake is given up" {
  make_volume gw-a v 1M
  start_gateway gw-a
  GATEWAYS+=(gw-b)
  start gw-b socat -u "UNIX-LISTEN:$GATESHIFT_RUN/gw-b.sock,fork" OPEN:/dev/null
  wait_for 5 test -e "$GATESHIFT_RUN/gw-b.sock"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director --connect-timeout 300ms
  driver_start
  refuses ETIMEDOUT begin v 1 gw-b
  owner_is gw-a 1 steady
}

@test "S24: the volume keeps its size on a larger gateway; a smaller target is refused" {
  move_setup 1000001
  truncate -s 999999 gw-b/v
  driver_start
  refuses EOPNOTSUPP begin v 1 gw-b
  [[ $REPLY_LINE == *"is smaller than the volume"* ]]
  driver_kill
  truncate -s 2M gw-b/v
  converge
  drive hold v 5000
  drive flush v
  drive switch v 1
  drive retire v
  [[ $(nbdinfo --size "$(director_uri v)") == 1000001 ]]
  cmp -n 1000001 gw-a/v gw-b/v
  run -1 put 7 1000001 1
  nbdcopy "$(director_uri v)" out
  cmp gw-a/v out
}

@test "S16: a target that hangs is dropped, and the client goes on" {
  move_setup 1M --leg-timeout 200ms --quarantine 1s
  converge
  kill -STOP "${PIDS[gw-b]}"
  put 7 0 4k
  kill -CONT "${PIDS[gw-b]}"
  holds gw-a 7 0 4k
  refuses ECONNABORTED hold v 100
  [[ $REPLY_LINE == *"too slow for mirrored writes"* ]]
  wait_for 5 owner_is gw-a 1 steady
}

@test "S16: a write that waited for the end of a hold is not late on the target" {
  target_setup --filter=delay wdelay=300ms
  converge
  drive hold v 60000
  start client qemu-io -f raw -c 'write -P 7 0 4k' "$(director_uri v)"
  wait_for 5 status_is held 1
  sleep 1.2 # longer than --leg-timeout
  drive unhold v
  wait "${PIDS[client]}"
  status_is phase mirror
  holds gw-b 7 0 4k
}

@test "S16: a target that is killed is dropped, and the client notices nothing" {
  move_setup
  converge
  mkfifo client.in
  exec 4<>client.in
  start client bash -c "exec qemu-io -f raw '$(director_uri v)' <client.in" 4>&-
  echo 'write -P 1 0 4k' >&4
  wait_for 10 grep -q 'wrote 4096' client.log
  stop_gateway gw-b
  echo 'write -P 2 4k 8k' >&4
  wait_for 10 grep -q 'wrote 8192' client.log
  refuses ECONNABORTED claim v copy 1
  wait_for 5 owner_is gw-a 1 steady
  run ! grep failed client.log
  holds gw-a 2 4k 8k
}

@test "I4: a source that is killed stalls the move, which goes on when it is back" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536
  copy_extent 0 65536
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  drive mirror v
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  refuses EAGAIN claim v copy 1
  refuses EAGAIN hold v 100
  start client qemu-io -f raw -c 'write -P 7 512k 4k' "$(director_uri v)"
  wait_for 5 status_is inflight 1
  start_gateway gw-a
  wait "${PIDS[client]}"
  holds gw-a 7 512k 4k
  wait_for 5 status_is phase mirror
  status_is synced 65536
  status_is unproved 65536
  owner_is gw-a 1 moving
  copy_all
  drive hold v 5000
  drive flush v
  prove_all
  drive switch v 1
  drive retire v
  cmp gw-a/v gw-b/v
}

@test "S3: what was claimed when the owner went away is not synced by it" {
  move_setup 1M --quarantine 0
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 131072
  local claim
  claim=$(cut -d' ' -f2 <<<"$REPLY_LINE")
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  status_is copying 131072
  drive synced v "$claim"
  [[ $REPLY_LINE == "ok 1048576" ]]
  drive_is_gone_in stalled
  start_gateway gw-a
  wait_for 5 status_is phase replicate
  drive begin v 1 gw-b
  [[ $REPLY_LINE == *" attached" ]]
  copy_all
  cmp gw-a/v gw-b/v
}

# drive_is_gone_in PHASE: another driver comes, and the move is kept for it.
drive_is_gone_in()
{
  driver_kill
  driver_start
  refuses EAGAIN begin v 1 gw-b
  status_is phase "$1"
}

@test "S17: a stalled move can be aborted" {
  move_setup
  driver_start
  drive begin v 1 gw-b
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  drive abort v
  owner_is gw-a 1 steady
  start_gateway gw-a
  put 7 0 4k
  holds gw-a 7 0 4k
  drive begin v 1 gw-b
  [[ $REPLY_LINE == *" new" ]]
}

@test "S3: a target that lost its connections has lost what was synced, too" {
  move_setup
  converge
  stop_gateway gw-b
  wait_for 5 owner_is gw-a 1 steady
  start_gateway gw-b
  drive begin v 1 gw-b
  [[ $REPLY_LINE == *" new" ]]
  status_is dirty 1048576
  status_is phase replicate
}

@test "S25: a client that has sent half a write does not hold up the hold, and loses nothing" {
  move_setup
  converge
  raw_start half "$(go v)" "$(request 1 0 0 65536)" 0102030405060708
  wait_for 5 status_is clients 1
  drive hold v 1000
  status_is inflight 0
  drive flush v
  prove_all
  drive switch v 1
  kill_hard half
  put 7 64k 4k
  cmp -n 65536 gw-a/v gw-b/v # nothing of it was written
}

# ---- one owner, one director ----

@test "I1: a second director refuses the volume" {
  move_setup
  start client qemu-io -f raw -c 'sleep 9000' "$(director_uri v)"
  wait_for 5 control status v
  start second route-director --listen "unix:$GS/second.sock" --control "$GS/second.ctl"
  wait_for 5 accepts "$GS/second.sock"
  run -1 nbdinfo "nbd+unix:///v?socket=$GS/second.sock"
  grep -q "^route-director: volume 'v': another director serves it$" second.log
  kill_hard client
  # The first lets go with its last client.
  wait_for 5 nbdinfo --size "nbd+unix:///v?socket=$GS/second.sock"
}

@test "I1: route-set does not change a volume in a move without --force" {
  move_setup
  converge
  run -75 route-set v gw-b
  owner_is gw-a 1 moving
  drive claim v copy 65536
}

@test "I4: the director is killed during a move; the next one serves the owner" {
  move_setup 1M --quarantine 600ms
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 65536
  put 7 512k 4k
  kill_hard director
  kill_hard driver
  owner_is gw-a 1 moving
  start_director --quarantine 600ms
  run -0 qemu-io -f raw -c 'read -P 7 512k 4k' "$(director_uri v)"
  [[ $output != *failed* ]]
  driver_start
  refuses EAGAIN begin v 1 gw-b # S2: the dead director's writes, too
  wait_for 5 drive begin v 1 gw-b
  [[ $REPLY_LINE == *" new" ]]
  copy_all
  drive hold v 5000
  drive flush v
  prove_all
  drive switch v 1
  cmp gw-a/v gw-b/v
}

@test "I4: the director is ended during a move; the next one serves the owner" {
  move_setup
  converge
  drive hold v 60000
  stop director
  owner_is gw-a 1 moving
  start_director
  put 7 0 4k
  holds gw-a 7 0 4k
}

@test "I3: reads return the last acknowledged write over a switch" {
  move_setup 8M
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-1M \
    --size=4M --offset_increment=4M --numjobs=2 --io_size=24M --rate=6M --iodepth=8 \
    --verify=crc32c --verify_fatal=1 --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  wait_for 10 status_is clients 2
  driver_start
  drive begin v 1 gw-b
  copy_all
  drive mirror v
  copy_all
  prove_all || true
  local attempt switched=
  for attempt in 1 2 3 4 5; do
    drive hold v 4000 || continue
    copy_all && drive flush v && prove_all && drive switch v 1 && switched=$attempt && break
  done
  [[ -n $switched ]]
  drive retire v
  owner_is gw-b 2 uncommitted
  wait "${PIDS[fio]}" # on the same connections: it opens no others
  run ! grep -i 'error\|bad' fio.out
}

@test "I7: a volume whose last move is not committed is not moved" {
  move_setup
  converge
  drive hold v 5000
  drive flush v
  drive switch v 1
  drive retire v
  put 7 0 4k
  refuses EBUSY begin v 2 gw-a # a copy is kept: not committed
  [[ $REPLY_LINE == *"not committed"* ]]
}
