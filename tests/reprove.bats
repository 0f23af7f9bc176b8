#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A copy that stands by is proved anew while nobody works at it.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load raw
load standby
load ahead

# proved: v's standby, of which all is synced and proved.
proved()
{
  status_is unproved 0 && status_is dirty 0 && status_is copying 0
}

# is_proved VOLUME: so is all of this one's.
is_proved()
{
  [[ $(control status "$1") == *" dirty=0 copying=0 "*" unproved=0 "* ]]
}

# write_at OFFSET PATTERN [LENGTH [VOLUME]]: a client writes, 64 KiB.
write_at()
{
  qemu-io -f raw -c "write -P $2 $1 ${3-64k}" -c flush "$(director_uri "${4-v}")" >/dev/null
}

# nothing_in_flight: of v, which may be closed by now.
nothing_in_flight()
{
  [[ $(status_of inflight) =~ ^0?$ ]]
}

# slow_at NOT: a script of reads that wait while there is a file "slow", but for those at NOT.
slow_at()
{
  echo "(test ! -e '$GS/slow' || test \$4 = $1 || { echo >>'$GS/begun'; while test -e '$GS/slow'; do sleep 0.05; done; })"
}

# unproved_at OFFSET: the copy can't be read, so what is written there is not proved.
unproved_at()
{
  touch mute
  write_at "$1" 7
  wait_for 30 status_is unproved 65536
}

@test "S8: what was written to a copy that stands by is proved anew, and none of it by a driver" {
  stands_by true true "(test ! -e '$GS/mute')"
  unproved_at 128k
  rm mute
  wait_for 60 proved
  status_is promotable yes
  # A driver that comes has nothing to prove.
  driver_start
  drive begin v 1 gw-b
  drive claim v prove 1048576
  [[ $REPLY_LINE == "ok none 0 0 0 0" ]]
  cmp gw-a/v gw-b/v
}

@test "S8: what a copy has lost is told of, and copied again" {
  stands_by true "(test ! -e '$GS/lie' || { cat >/dev/null; exit 0; })" true
  wait_for 30 proved
  touch lie
  write_at 256k 9
  wait_for 30 grep -q "^route-director: volume 'v': 65536 bytes at 262144 of the copy on 'gw-b' are not what 'gw-a' has" director.log
  rm lie
  wait_for 60 cmp -s gw-a/v gw-b/v
  status_is promotable yes
}

@test "S8: what cannot be read is tried again after pauses, and harms nothing" {
  stands_by true true "(test ! -e '$GS/mute' || { echo >>'$GS/tries'; false; })"
  unproved_at 0
  wait_for 60 eval '(($(wc -l <tries) > 2))'
  status_is promotable yes
  owner_is gw-a 1 deferred
  write_at 512k 11
  rm mute
  wait_for 60 proved
  (($(wc -l <tries) < 40))
  cmp gw-a/v gw-b/v
}

@test "S8: a write that comes while a piece is read makes its proof worth nothing" {
  stands_by true true "(test ! -e '$GS/slow' || { echo >>'$GS/begun'; while test -e '$GS/slow'; do sleep 0.05; done; })"
  wait_for 30 proved
  touch slow
  write_at 64k 3
  wait_for 30 test -s begun
  write_at 64k 4
  rm slow
  wait_for 60 proved
  [[ ! $(<director.log) == *"of the copy on"* ]]
  cmp gw-a/v gw-b/v
}

@test "S8: a piece that cannot be read keeps no other from being proved" {
  stands_by true true "(test ! -e '$GS/bad' || test \$4 != 0)"
  wait_for 30 proved
  touch bad
  write_at 0 7 4k
  write_at 512k 8
  write_at 768k 9
  wait_for 60 status_is unproved 4096
  rm bad
  wait_for 120 proved
}

@test "S8: of several volumes one at a time is proved at a gateway" {
  # On a busy machine a read may take so long that it counts as one that hangs.
  stands_by true true "(test ! -e '$GS/watch' || {
    mkdir '$GS/in' || test -z \"\$(find '$GS/in' -newermt '2 seconds ago')\" || echo >>'$GS/both'
    sleep 0.3; rmdir '$GS/in'; })"
  another_stands_by w
  another_stands_by x
  wait_for 60 eval 'is_proved v && is_proved w && is_proved x'
  touch watch
  local volume pids=()
  for volume in v w x; do
    write_at 0 3 64k $volume &
    pids+=($!)
  done
  wait "${pids[@]}"
  wait_for 60 eval 'is_proved v && is_proved w && is_proved x'
  [[ ! -e both ]]
}

@test "S8: a piece that hangs keeps no other volume from being proved" {
  stands_by true true "(test ! -e '$GS/slow' || test \$2 != v || { echo >>'$GS/begun'; while test -e '$GS/slow'; do sleep 0.05; done; })" \
    --gateway-timeout 120s
  another_stands_by w
  wait_for 60 eval 'is_proved v && is_proved w'
  touch slow
  write_at 0 3
  wait_for 30 test -s begun
  write_at 0 4 64k w
  wait_for 60 is_proved w
  status_is unproved 65536
  rm slow
  wait_for 120 proved
}

@test "S16: a target that answers reads, and no writes, is given up all the same" {
  stands_by true "(while test -e '$GS/hang'; do sleep 0.05; done)" true --leg-timeout 1s
  wait_for 30 proved
  touch hang
  write_at 0 7 4k
  wait_for 60 grep -q "move to 'gw-b' given up: the target is too slow for mirrored writes" director.log
  rm hang
}

@test "S17: a read of the copy that is under way when that is promoted ends with it" {
  stands_by true true "$(slow_at 0)"
  wait_for 30 proved
  touch slow
  write_at 64k 3
  wait_for 30 test -s begun
  kill_hard gw-a
  wait_for 30 status_is owner gw-b
  # And then it is lost itself.
  kill_hard gw-b
  rm slow
  scripted_gateway gw-b true true
  wait_for 60 grep -q "'gw-b' is back" director.log
  wait_for 30 nothing_in_flight
}

# away READ WRITE [ARGUMENT...]: v has moved to gw-b, whose reads do $OWNERS_READ (true), and its copy
# on gw-a, whose scripts these are, is mirrored.
away()
{
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  scripted_gateway gw-a "$1" "$2"
  scripted_gateway gw-b "${OWNERS_READ-true}" true
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 200ms --reverse-timeout 60s "${@:3}"
  run -0 migrate-exec --keep-mirrored --overwrite <(plan gw-a gw-b 1)
  status_is reverse on
}

@test "S8: what the mirror of a kept copy gave it is proved, and the way back need not read it" {
  away "(test ! -e '$GS/note' || echo \$4 >>'$GS/reads')" true --promote-after never
  write_at 64k 5
  write_at 512k 6
  wait_for 60 proved
  touch note
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ $output == *",handover,switched,"* && ! -e reads ]]
}

@test "S8: what the kept copy has lost is told of, and given to it again" {
  away true "(test ! -e '$GS/lie' || { cat >/dev/null; exit 0; })" --promote-after never
  touch lie
  write_at 256k 5
  wait_for 30 grep -q "^route-director: volume 'v': 65536 bytes at 262144 of the copy on 'gw-a' are not what 'gw-b' has" director.log
  rm lie
  wait_for 60 cmp -s gw-a/v gw-b/v
  status_is reverse on
}

@test "S17: so does one of the kept copy, and the new owner is not lost by its answer" {
  away "$(slow_at 0)" true --promote-after 500ms
  wait_for 30 status_is promotable yes
  touch slow
  write_at 64k 5
  wait_for 30 test -s begun
  kill_hard gw-b
  wait_for 30 status_is owner gw-a
  rm slow
  wait_for 30 nothing_in_flight
  [[ $(<director.log) != *": gw-a: "* ]]
}

# ends_in_order: the director does, though a read that it makes to prove v is not answered.
ends_in_order()
{
  touch slow
  write_at 64k 5
  wait_for 30 test -s begun
  stop director
  [[ $(<director.log) != *"ends with "* ]]
  rm slow
}

@test "S18: a read that proves a copy, and is not answered, is in the way of no end of the director" {
  stands_by true true "$(slow_at 0)"
  wait_for 30 proved
  ends_in_order
}

@test "S18: nor is one of the owner, whose volume is closed in order" {
  OWNERS_READ=$(slow_at 0) away true true --promote-after never
  wait_for 30 proved
  ends_in_order
  [[ ! -s state/serving/v ]]
}

@test "route-director: what was on its way at its end is made durable, and nobody is served any more" {
  OWNERS_WRITE="(test ! -e '$GS/slow' || { echo >>'$GS/begun'; while test -e '$GS/slow'; do sleep 0.05; done; })" \
    stands_by true true
  # Who has come, and not said yet for what.
  local heard
  coproc LATE { exec socat - "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock" 3>&-; }
  PIDS[late]=$LATE_PID
  exec {heard}<&"${LATE[0]}" # a coprocess's own are not there in a pipeline
  hex "$GREETED" >&"${LATE[1]}"
  [[ $(head -c 18 <&"$heard" | wc -c) -eq 18 ]]
  touch slow
  qemu-io -t writeback -f raw -c 'write -P 5 64k 64k' "$(director_uri v)" >/dev/null &
  local client=$! director=${PIDS[director]} asks
  wait_for 30 test -s begun
  kill -TERM "$director"
  wait "$client" || true # it is let go
  asks=$(go v)
  hex "${asks#"$GREETED"}" >&"${LATE[1]}"
  [[ $(head -c 20 <&"$heard" | od -An -tx1 -v | tr -d ' \n') == 0003e889045565a90000000780000007* ]]
  rm slow
  unset "PIDS[director]"
  wait "$director"
  [[ $(<director.log) != *"ends with "* ]]
  cmp gw-a/v gw-b/v
}
