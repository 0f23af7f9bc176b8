#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2030,SC2031,SC2154
# S17 of gateshift-safety(7): the owner of a volume dies whose kept copy is mirrored.
load helpers
load client
load mover

SIZE=1M
BYTES=$((1 << 20))
BLOCK=65536

setup_file()
{
  export FLUSH=$BATS_FILE_TMPDIR/flush.so
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$FLUSH" "$BATS_TEST_DIRNAME/fault/flush.c"
}

# gateway NAME: one that loses what was not flushed when it is killed, behind FILTERS.
gateway()
{
  start_gateway "$1" "${FILTERS[@]}" --filter=cache cache=writeback
}

# waiting_gateway NAME: the same, whose flush waits while $GS/stay.NAME is there (fault/flush.c).
waiting_gateway()
{
  GS_FLUSH=$GS/stay.$1 LD_PRELOAD=$FLUSH gateway "$1"
}

# waiting_director [ARGUMENT...]: the same of the director, at whose commit the route store waits.
waiting_director()
{
  GS_FLUSH=$GS/stay.director LD_PRELOAD=$FLUSH start_director "$@"
}

# limited_director [ARGUMENT...]: a director whose files can be limited, but for its log.
limited_director()
{
  local words
  read -ra words <<<"${DIRECTOR_ARGS-}"
  start director bash -c 'trap "" XFSZ; exec route-director "$@" 2> >(exec cat >&2)' - \
    --listen "unix:$GATESHIFT_RUN/nbd.sock" --control "$GATESHIFT_RUN/director.sock" \
    "${words[@]}" "$@"
  wait_for 30 accepts "$GATESHIFT_RUN/nbd.sock"
  wait_for 30 control help
}

# limit BYTES: from now on no file that it writes grows beyond.
limit()
{
  prlimit --pid "${PIDS[director]}" --fsize="$1:"
}

# fleet [DIRECTOR-ARGUMENT...]: volume v on gw-b, moved there from gw-a by v-2, its copy mirrored.
# DIRECTOR is what starts the director.
fleet()
{
  make_volume gw-a v "$SIZE"
  make_volume gw-b v "$SIZE"
  head -c "$SIZE" /dev/urandom >gw-a/v
  waiting_gateway gw-a
  gateway gw-b
  write_gateways
  route-set v gw-a --size "$BYTES" >/dev/null
  # A machine that is busy with other things must not look like a slow gateway.
  "${DIRECTOR:-start_director}" --quarantine 200ms --reverse-timeout 60s "$@"
  {
    echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
    echo "$(date +%s),v,gw-a,gw-b,1,optional,,,,,,,,"
  } >plan.csv
  run -0 migrate-exec --overwrite --keep-mirrored plan.csv
  owner_is gw-b 2 uncommitted
}

# standby [ARGUMENT...]: the same, and the copy could take over.
standby()
{
  fleet "$@"
  wait_for 30 status_is promotable yes
}

# promoted: gw-a is the owner, and nobody waits.
promoted()
{
  wait_for 30 owner_is gw-a 3 uncommitted
  wait_for 30 status_is owner gw-a
  wait_for 30 status_is inflight 0
}

# is_not_promoted_in SECONDS
is_not_promoted_in()
{
  sleep "$1" # there is nothing to wait for: it must not happen
  owner_is gw-b 2 uncommitted
  status_is owner gw-b
}

# away: the director has noticed that the owner is gone.
away()
{
  [[ $(status_of away_ms) -gt 0 ]]
}

# said PATTERN: in the director's log.
said()
{
  grep -q "$1" director.log
}

@test "S17: an owner that dies is replaced by its mirrored copy without an error" {
  standby --promote-after 100ms
  client_start
  ask write -P 1 0 4k
  ask flush
  ask write -P 2 4k 64k # in the caches alone
  ask write -z -u 128k 4k
  stop_gateway gw-b
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
  status_is promotable no
  status_is unproved "$BYTES"
  status_is reverse -
  status_is changed -
  [[ $(route-set v | tail -n 1 | cut -d, -f5) == gw-b ]]
  said "'gw-b' is dead, and 'gw-a' has all that it acknowledged"
  said "'gw-a' is the owner at epoch 3; $BYTES bytes of it are not proved"
  # A copy of which nothing is known: nothing is mirrored there, and the way back compares all.
  gateway gw-b
  run -1 control reverse v
  wait_for 30 eval 'driver_start && drive begin v 3 gw-b back'
  drive claim v copy "$BYTES"
  [[ $REPLY_LINE == "ok 1 0 $BYTES" ]]
}

@test "S17: a verifying client notices nothing of the death of an owner whose copy is mirrored" {
  standby --promote-after 300ms
  client_start # the volume stays open
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-64k \
    --size=1M --io_size=5M --rate=2M --iodepth=8 --fsync=40 --verify=crc32c --verify_fatal=1 \
    --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  wait_for 30 eval '(($(status_of requests) > 60))'
  stop_gateway gw-b
  wait_for 30 owner_is gw-a 3 uncommitted
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
  run ! grep -iE 'error|bad' fio.out
  status_is errors 0
  status_is promoted yes
}

@test "S17: what was acknowledged is durable on the copy before it is the owner" {
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k
  stop_gateway gw-b
  wait_for 30 owner_is gw-a 3 uncommitted
  kill_hard director
  stop_gateway gw-a
  holds gw-a 2 4k 64k
}

@test "S17: writes that the owner did not answer are answered by the copy, in their order" {
  standby --promote-after 200ms
  client_start
  kill -STOP "${PIDS[gw-b]}"
  tell aio_write -P 1 0 64k
  tell aio_write -P 2 32k 64k # waits for the first
  wait_for 30 status_is inflight 2
  stop_gateway gw-b
  promoted
  ask aio_flush
  ask read -P 1 0 32k
  ask read -P 2 32k 64k
  no_failure
}

@test "S9: a copy on a gateway of one connection takes the place of its owner, too" {
  FILTERS=(--filter=multi-conn multi-conn-mode=disable)
  standby --promote-after 0
  status_is private source
  client_start
  ask write -P 1 0 64k
  kill -STOP "${PIDS[gw-b]}"
  tell aio_write -P 2 32k 64k
  wait_for 30 status_is inflight 1
  stop_gateway gw-b
  promoted
  status_is private source
  ask aio_flush
  ask read -P 1 0 32k
  ask read -P 2 32k 64k
  no_failure
}

# ---- no promotion ----

@test "S17: a copy of which a block lags is not promoted, and the volume goes on with its owner" {
  standby --promote-after 0
  client_start
  ask write -P 1 0 4k
  kill -STOP "${PIDS[gw-b]}"
  tell aio_write -z 64k 4k # with no hole allowed: to the owner alone
  wait_for 30 status_is changed "$BLOCK"
  status_is promotable no
  stop_gateway gw-b
  wait_for 30 away
  is_not_promoted_in 0.5
  gateway gw-b
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 0 64k 4k
  no_failure
  wait_for 30 status_is promotable yes # it has caught up
  stop_gateway gw-b
  ask read -P 0 64k 4k
  promoted
  no_failure
}

@test "S17: an owner that is back before --promote-after keeps the volume, and the mirror goes on" {
  standby --promote-after 60s
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-b
  wait_for 30 away
  tell aio_write -P 3 8k 4k
  wait_for 30 status_is held 1
  gateway gw-b
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 3 8k 4k
  no_failure
  owner_is gw-b 2 uncommitted
  status_is reverse on
  status_is promotable yes
  control reverse v off
  ask flush
  cmp gw-a/v gw-b/v
}

@test "S17: an owner that hangs is not replaced by its copy" {
  standby --promote-after 0 --gateway-timeout 200ms
  client_start
  kill -STOP "${PIDS[gw-b]}"
  tell aio_write -P 3 8k 4k
  wait_for 30 away
  is_not_promoted_in 0.5
  kill -CONT "${PIDS[gw-b]}"
  ask aio_flush
  no_failure
  status_is reverse on
}

@test "S17: with --promote-after never the owner of a mirrored copy is waited for" {
  fleet --promote-after never
  status_is reverse on
  status_is promotable no
  stop_gateway gw-b
  wait_for 30 away
  is_not_promoted_in 0.3
}

@test "S17: a copy that is lost first, or together with its owner, is no owner" {
  standby --promote-after 0
  client_start
  stop_gateway gw-a
  wait_for 30 status_is reverse dropped-lost
  status_is promotable no
  stop_gateway gw-b
  wait_for 30 away
  tell aio_write -P 3 8k 4k
  is_not_promoted_in 0.3
  gateway gw-b
  ask aio_flush
  gateway gw-a
  wait_for 30 control reverse v
  wait_for 30 status_is promotable yes
  kill -KILL "${PIDS[gw-a]}" "${PIDS[gw-b]}"
  kill_hard gw-a
  kill_hard gw-b
  wait_for 30 away
  is_not_promoted_in 0.3
  gateway gw-b
  ask read -P 3 8k 4k
  no_failure
}

@test "S13: a copy that is another by what is known to be durable is not promoted" {
  standby --promote-after 0
  client_start
  ask read 0 256k # of which something is remembered
  control reverse v off
  stop_gateway gw-a
  head -c "$SIZE" /dev/urandom >gw-a/v
  gateway gw-a
  control reverse v
  status_is promotable yes # nobody has looked yet
  stop_gateway gw-b
  wait_for 30 status_is reverse dropped-error
  said "not mirrored any more: it does not have what the owner made durable"
  is_not_promoted_in 0.3
  gateway gw-b
  ask read 0 4k
  no_failure
}

# idle NAME: the gateway has no connection, nor a thread that ends.
idle()
{
  local threads=("/proc/${PIDS[$1]}/task/"*)
  ((${#threads[@]} == 1))
}

# doubted: gw-a hangs, with a write of the mirror, which is dropped.
doubted()
{
  fleet --promote-after 0 --reverse-timeout 1s
  client_start
  control reverse v off
  wait_for 30 idle gw-a
  control reverse v
  kill -STOP "${PIDS[gw-a]}"
  ask write -P 7 0 4k
  wait_for 30 status_is reverse dropped-slow
}

@test "S2: a copy on which an ended connection's writes may still land is not promoted" {
  doubted
  kill -CONT "${PIDS[gw-a]}"
  wait_for 30 control reverse v # once its quarantine is over
  wait_for 30 status_is changed 0
  status_is promotable no
  stop_gateway gw-b
  wait_for 30 away
  is_not_promoted_in 0.3
}

@test "S2: a copy is promoted when the server has ended that had a dropped mirror's writes" {
  doubted
  stop_gateway gw-a
  gateway gw-a
  wait_for 30 control reverse v
  wait_for 30 status_is promotable yes
}

# ---- deaths on the way ----

@test "S17: a copy that dies while it is flushed is no owner" {
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k
  echo steady >stay.gw-a # there is no move yet
  stop_gateway gw-b
  wait_for 30 status_is reverse ending
  stop_gateway gw-a
  rm stay.gw-a
  wait_for 30 status_is reverse dropped-lost
  is_not_promoted_in 0.3
  gateway gw-b
  ask read -P 2 4k 64k
  no_failure
}

@test "I4: kill -9 of the director while the copy is flushed: the owner is who it was" {
  standby --promote-after 0
  put 2 4k 64k
  qemu-io -f raw -c flush "$(director_uri v)" >/dev/null
  echo steady >stay.gw-a
  stop_gateway gw-b
  wait_for 30 status_is reverse ending
  kill_hard director
  rm stay.gw-a
  gateway gw-b
  start_director --quarantine 200ms
  run -0 qemu-io -r -f raw -c 'read -P 2 4k 64k' "$(director_uri v)"
  [[ $output != *failed* ]]
  owner_is gw-b 2 uncommitted
}

@test "I4: kill -9 of the director while the commit is being written: one owner, and it has all" {
  DIRECTOR=waiting_director
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k # acknowledged, not flushed
  echo commit >stay.director
  stop_gateway gw-b
  wait_for 30 status_is phase commit
  wait_for 30 owner_is gw-a 3 uncommitted # can be read, and is not synced
  kill_hard director
  rm stay.director
  gateway gw-b # it comes back, and is not asked
  start_director --quarantine 200ms
  run -0 qemu-io -r -f raw -c 'read -P 2 4k 64k' "$(director_uri v)"
  [[ $output != *failed* ]]
  put 7 256k 4k
  run -1 holds gw-b 7 256k 4k
  owner_is gw-a 3 uncommitted
}

@test "S17: a copy that dies while it becomes the owner is waited for" {
  DIRECTOR=waiting_director
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k
  echo commit >stay.director
  stop_gateway gw-b
  wait_for 30 status_is phase commit
  tell aio_write -P 3 8k 4k
  wait_for 30 status_is held 1
  stop_gateway gw-a
  rm stay.director
  wait_for 30 owner_is gw-a 3 uncommitted
  wait_for 30 status_is owner gw-a
  gateway gw-a
  ask aio_flush
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: a promotion that the store delays, and what changes the volume meanwhile" {
  standby --promote-after 0
  client_start
  driver_start # before the lock, which it must not inherit
  exec 5<"$GATESHIFT_STATE/routes.log"
  flock -x 5
  stop_gateway gw-b
  wait_for 30 status_is phase commit
  tell aio_write -P 3 8k 4k
  wait_for 30 status_is held 1
  run -1 control reverse v off
  [[ $output == "err EAGAIN the copy is taking the place of a dead owner" ]]
  run -1 control reverse v
  [[ $output == "err EBUSY a move of the volume is open" ]]
  run -1 control abort v
  [[ $output == "err EBUSY "* ]]
  refuses EAGAIN begin v 2 gw-a back
  owner_is gw-b 2 uncommitted
  exec 5<&-
  promoted
  ask aio_flush
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: a promotion that the store refuses is tried again" {
  DIRECTOR=limited_director
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k
  limit 1
  stop_gateway gw-b
  wait_for 30 said "'gw-a' could not take the place of 'gw-b': "
  tell aio_write -P 3 8k 4k
  limit unlimited
  promoted
  ask aio_flush
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: an owner that is found before its copy could take its place keeps the volume" {
  DIRECTOR=limited_director
  standby --promote-after 0
  client_start
  ask write -P 2 4k 64k
  limit 1
  stop_gateway gw-b
  wait_for 30 said "'gw-a' could not take the place of 'gw-b': "
  tell aio_write -P 3 8k 4k
  gateway gw-b
  ask aio_flush
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  no_failure
  wait_for 30 said "move to 'gw-a' given up: the owner is found"
  status_is reverse ended
  owner_is gw-b 2 uncommitted
  limit unlimited
  control reverse v
  wait_for 30 status_is promotable yes
  control reverse v off
  ask flush
  cmp gw-a/v gw-b/v
}

# ---- who lets go of the copy ----

@test "S17: --commit does not let go of the copy of an owner that hangs, and may be dead soon" {
  standby --promote-after 0 --gateway-timeout 200ms
  client_start
  ask write -P 2 4k 64k
  kill -STOP "${PIDS[gw-b]}"
  tell aio_write -P 3 8k 4k
  wait_for 30 away
  run -1 control reverse v off
  [[ $output == "err EAGAIN the owner is away, and the copy may take its place" ]]
  run --separate-stderr -75 migrate-exec --commit v-2
  [[ $stderr == *"cannot commit 'v-2': the owner's gateway gw-b is away, and the copy on gw-a may be all there is" ]]
  status_is reverse on
  stop_gateway gw-b
  promoted
  ask aio_flush
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  no_failure
}

@test "S17: --commit does not let go of a copy that has become the owner" {
  standby --promote-after 0
  stop_gateway gw-b
  wait_for 30 owner_is gw-a 3 uncommitted
  run -1 migrate-exec --commit v-2
  [[ $output == *"the copy on gw-a took the place of gw-b"* ]]
  put 7 0 4k
  owner_is gw-a 3 uncommitted
  [[ -e gw-a/v && ! -e gw-a/.cold ]]
}
