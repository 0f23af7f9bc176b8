#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# S17 of gateshift-safety(7): the owner dies while a move is open.
# shellcheck disable=SC2030,SC2031,SC2154
load helpers
load client
load mover

# both_setup GW-A-ARGUMENT... -- [DIRECTOR-ARGUMENT...]: as move_setup, both gateways behind a cache
# that is lost when they are killed.
both_setup()
{
  local arguments=()
  while (($#)) && [[ $1 != -- ]]; do
    arguments+=("$1")
    shift
  done
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  cached_gateway gw-a "${arguments[@]}"
  cached_gateway gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director "${@:2}"
}

# mirrored: a move that could be promoted.
mirrored()
{
  converge
  drive flush v
  status_is promotable yes
}

# promoted: gw-b is the owner, and nobody waits.
promoted()
{
  wait_for 10 owner_is gw-b 2 uncommitted
  wait_for 10 status_is owner gw-b
  wait_for 10 status_is inflight 0
}

@test "S17: an owner that dies when all is mirrored is replaced without an error" {
  both_setup -- --promote-after 100ms
  mirrored
  client_start
  ask write -P 1 0 4k
  ask flush
  ask write -P 2 4k 64k # in the caches alone
  ask write -z -u 128k 4k
  stop_gateway gw-a
  tell aio_write -P 3 8k 4k
  ask aio_read 0 512
  promoted
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  ask read -P 2 12k 56k
  ask read -P 0 128k 4k
  no_failure
  status_is promoted yes
  refuses EIO retire v
  cmp -i 512k gw-a/v gw-b/v
  grep -q "'gw-b' is the owner at epoch 2" director.log
}

@test "S17: what was acknowledged is durable on the target before it is the owner" {
  both_setup -- --promote-after 0
  mirrored
  client_start
  ask write -P 2 4k 64k
  stop_gateway gw-a
  wait_for 10 owner_is gw-b 2 uncommitted
  kill_hard director
  stop_gateway gw-b
  holds gw-b 2 4k 64k
}

@test "S17: a director that is killed right after the promotion leaves one owner that has it all" {
  both_setup -- --promote-after 0
  mirrored
  client_start
  ask write -P 2 4k 64k
  stop_gateway gw-a
  wait_for 10 owner_is gw-b 2 uncommitted
  kill_hard director
  cached_gateway gw-a # it comes back, and is not asked
  start_director
  run -0 qemu-io -r -f raw -c 'read -P 2 4k 64k' "$(director_uri v)"
  [[ $output != *failed* ]]
  put 7 256k 4k
  run -1 holds gw-a 7 256k 4k
  owner_is gw-b 2 uncommitted
}

@test "S17: writes that the owner did not answer are answered by the target, in their order" {
  both_setup -- --promote-after 200ms
  mirrored
  client_start
  kill -STOP "${PIDS[gw-a]}"
  tell aio_write -P 1 0 64k
  tell aio_write -P 2 32k 64k # waits for the first
  wait_for 5 status_is inflight 2
  stop_gateway gw-a
  promoted
  ask aio_flush
  ask read -P 1 0 32k
  ask read -P 2 32k 64k
  no_failure
}

@test "S17: a verifying client notices nothing of its owner's death" {
  both_setup -- --promote-after 300ms
  mirrored
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-64k \
    --size=1M --io_size=8M --rate=2M --iodepth=8 --fsync=40 --verify=crc32c --verify_fatal=1 \
    --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  wait_for 10 written 200
  stop_gateway gw-a
  promoted_live
  wait "${PIDS[fio]}"
  run ! grep -iE 'error|bad' fio.out
  status_is errors 0
}

# written N: the volume has taken N requests.
written()
{
  (($(status_of requests) > $1))
}

promoted_live()
{
  wait_for 10 owner_is gw-b 2 uncommitted
  wait_for 10 status_is owner gw-b
}

# is_not_promoted_in SECONDS
is_not_promoted_in()
{
  sleep "$1" # there is nothing to wait for: it must not happen
  owner_is gw-a 1 moving
  status_is owner gw-a
}

@test "S17: with a dirty block there is no promotion; the move goes on when the owner is back" {
  both_setup -- --promote-after 0
  mirrored
  client_start
  ask write -P 1 0 4k
  ask discard 64k 64k # to the owner alone
  status_is dirty 65536
  stop_gateway gw-a
  tell aio_write -P 3 8k 4k
  wait_for 5 status_is phase stalled
  status_is promotable no
  is_not_promoted_in 0.5
  cached_gateway gw-a
  ask aio_flush
  wait_for 5 status_is phase mirror
  ask read -P 1 0 4k
  ask read -P 3 8k 4k
  no_failure
  status_is dirty 65536
  stop_gateway gw-b # to be read as files
  wait_for 5 owner_is gw-a 1 steady
}

# deferred: a move that could be promoted, and is left to itself.
deferred()
{
  mirrored
  drive defer v
  owner_is gw-a 1 deferred
  driver_kill
  status_is promotable yes
}

@test "S17: a deferred move keeps up with what is not mirrored, and its owner is replaced" {
  both_setup -- --promote-after 0
  deferred
  client_start
  ask write -P 1 0 4k
  ask discard 64k 256k
  ask write -P 2 100k 4k
  ask discard 1000k 4k
  ask flush
  wait_for 30 status_is promotable yes
  wait_for 30 status_is unproved 0 # five blocks, and the page that was written
  ask write -P 3 8k 4k
  stop_gateway gw-a
  promoted
  ask read -P 1 0 4k
  ask read -P 2 100k 4k
  ask read -P 3 8k 4k
  no_failure
  kill_hard director
  stop_gateway gw-b
  holds gw-b 2 100k 4k
  cmp -i 512k -n 300k gw-a/v gw-b/v
}

@test "S7: writes beside blocks that a deferred move keeps up with are on both sides" {
  both_setup
  deferred
  # They are claimed while clients write there.
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k --size=1M \
    --io_size=4M --rate=2M --iodepth=4 --output=fio.out
  while kill -0 "${PIDS[fio]}" 2>/dev/null; do
    qemu-io -f raw -c "discard $((RANDOM % 16 * 64))k 64k" "$(director_uri v)" >/dev/null
  done
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
  wait_for 30 status_is promotable yes
  qemu-io -f raw -c flush "$(director_uri v)"
  nbdcopy "$(director_uri v)" clients
  driver_start
  drive begin v 1 gw-b
  drive flush v
  driver_kill
  cmp clients gw-b/v
}

@test "S3: a target that is lost while a deferred move keeps up ends it; S2: in quarantine" {
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  start_gateway gw-a
  start_gateway gw-b --filter=pause pause-control=pause.sock
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 60s
  deferred
  client_start
  printf p | socat -t 5 - UNIX-CONNECT:pause.sock
  ask discard 64k 64k
  wait_for 30 status_is copying 65536
  stop_gateway gw-b
  wait_for 30 owner_is gw-a 1 steady
  start_gateway gw-b
  driver_start
  refuses EAGAIN begin v 1 gw-b
  [[ $REPLY_LINE == *"may still land"* ]]
  ask read 64k 64k
  no_failure
}

@test "S17: an owner that is lost while a deferred move keeps up is waited for" {
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  start_gateway gw-a
  start_gateway gw-b --filter=pause pause-control=pause.sock
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director --promote-after 0
  deferred
  client_start
  printf p | socat -t 5 - UNIX-CONNECT:pause.sock
  ask discard 64k 64k
  wait_for 30 status_is copying 65536
  stop_gateway gw-a
  wait_for 30 status_is phase stalled
  printf r | socat -t 5 - UNIX-CONNECT:pause.sock
  wait_for 30 status_is dirty 65536
  status_is promotable no
  owner_is gw-a 1 deferred
  start_gateway gw-a
  wait_for 30 status_is promotable yes
  no_failure
}

@test "S17: what the driver wrote and did not flush is not relied upon" {
  both_setup -- --promote-after 0
  converge
  status_is dirty 0
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  is_not_promoted_in 0.3
}

@test "S17: an owner that is back in time keeps the volume" {
  both_setup -- --promote-after 30s
  mirrored
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  tell aio_write -P 3 8k 4k
  wait_for 5 status_is held 1
  cached_gateway gw-a
  ask aio_flush
  wait_for 5 status_is phase mirror
  ask read -P 1 0 4k
  ask read -P 3 8k 4k
  no_failure
  owner_is gw-a 1 moving
  ask flush
  copy_all
  drive flush v
  prove_all
  drive hold v 5000
  drive flush v
  drive switch v 1
  drive retire v
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: an owner that hangs is not dead" {
  both_setup -- --promote-after 0 --gateway-timeout 200ms
  mirrored
  client_start
  kill -STOP "${PIDS[gw-a]}"
  tell aio_write -P 3 8k 4k
  wait_for 5 status_is phase stalled
  is_not_promoted_in 0.5
  kill -CONT "${PIDS[gw-a]}"
  ask aio_flush
  no_failure
}

@test "S17: --promote-after never" {
  both_setup -- --promote-after never
  mirrored_never
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  is_not_promoted_in 0.5
}

mirrored_never()
{
  converge
  drive flush v
  status_is promotable no
}

@test "S17: a promotion that the store delays, and writes wait" {
  both_setup -- --promote-after 0
  mirrored
  client_start
  exec 5<"$GATESHIFT_STATE/routes.log"
  flock -x 5
  stop_gateway gw-a
  wait_for 5 status_is phase commit
  refuses EAGAIN claim v copy 1
  tell aio_write -P 3 8k 4k
  wait_for 5 status_is held 1
  owner_is gw-a 1 moving
  exec 5<&-
  promoted
  ask aio_flush
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: a target that is lost as well is no owner" {
  both_setup -- --promote-after 1s
  mirrored
  client_start
  stop_gateway gw-a
  wait_for 5 status_is phase stalled
  stop_gateway gw-b
  wait_for 5 owner_is gw-a 1 steady
  tell aio_write -P 3 8k 4k
  cached_gateway gw-a
  ask aio_flush
  ask read -P 3 8k 4k
  no_failure
}

# killed_in PHASE VERB...: the source dies in this phase, after the verbs.
killed_in()
{
  local phase=$1 verb
  both_setup -- --promote-after 0
  driver_start
  drive begin v 1 gw-b
  shift
  for verb; do
    $verb
  done
  status_is phase "$phase"
  stop_gateway gw-a
}

mirror_all()
{
  drive mirror v
  copy_all
  drive flush v
  put 1 0 4k
}

hold_long()
{
  drive hold v 60000
}

@test "S17: a source that dies in the phase replicate stalls the move" {
  killed_in replicate copy_all
  wait_for 5 status_is phase stalled
  is_not_promoted_in 0.3
  cached_gateway gw-a
  wait_for 5 status_is phase replicate
  drive claim v copy 65536
}

@test "S17: a source that dies in the phase mirror is replaced" {
  killed_in mirror mirror_all
  promoted
  status_is unproved 1048576
  kill_hard director
  stop_gateway gw-b
  holds gw-b 1 0 4k
  cmp -i 4096 gw-a/v gw-b/v
}

@test "S17: a source that dies in the phase hold is replaced" {
  killed_in hold mirror_all prove_all hold_long
  promoted
  kill_hard director
  stop_gateway gw-b
  holds gw-b 1 0 4k
}
