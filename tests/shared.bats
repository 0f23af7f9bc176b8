#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Moves between two gateways that export the same bytes (S14 of gateshift-safety(7)).
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load helpers
load client
load mover

# The hook of both gateways, "$GS/san": each has one nbdkit, whose end is the fence.  Files in $GS
# change what it does: ACTION.fails is a status to end with, ACTION.stays makes it wait behind what
# it has done until the file is gone; calls.log has what it was called for.
san_hook()
{
  cat >"$GS/san" <<'END'
#!/bin/sh
set -eu
action=$1 volume=$2 gateway=$4
cd "$GS"
echo "$action $gateway" >>calls.log
unset LD_PRELOAD GS_FAULT
alive()
{
  [ -s "$gateway.pid" ] && grep -qs '^State:.[^Z]' "/proc/$(cat "$gateway.pid")/status"
}
if [ -e "$action.fails" ]; then
  echo 'out of order' >&2
  exit "$(cat "$action.fails")"
fi
case $action in
  size) [ -e "$gateway/$volume" ] || exit 4 && stat -L -c %s "$gateway/$volume" ;;
  shared) echo shared ;;
  fence)
    if alive; then kill -KILL "$(cat "$gateway.pid")"; fi
    while alive; do sleep 0.01; done
    rm -f "$gateway.pid" "run/$gateway.sock"
    ;;
  unfence)
    if ! alive; then
      rm -f "run/$gateway.sock"
      # shellcheck disable=SC2046
      nbdkit -P "$gateway.pid" --unix "run/$gateway.sock" $(cat "$gateway.filters") \
        file dir="$gateway" $(cat "$gateway.args")
    fi
    ;;
  *) exit 3 ;;
esac
while [ -e "$action.stays" ]; do sleep 0.01; done
END
  chmod +x "$GS/san"
}

# san_gateway NAME [FILTER-ARGUMENT... [-- PARAMETER...]]
san_gateway()
{
  local name=$1 filters=()
  shift
  mkdir -p "$name"
  while (($#)) && [[ $1 != -- ]]; do
    filters+=("$1")
    shift
  done
  echo "${filters[*]}" >"$name.filters"
  echo "${*:2}" >"$name.args"
  "$GS/san" unfence v 0 "$name" x
  wait_for 10 nbdinfo --list "$(gateway_uri "$name")"
  GATEWAYS+=("$name")
}

# san_gateway_again NAME …: as san_gateway(), in place of the one that runs.
san_gateway_again()
{
  "$GS/san" fence v 0 "$1" x
  san_gateway "$@"
  : >calls.log
}

# san: volume v of 1 MiB on storage that gw-a, which owns it, and gw-b share;
# both lose what was not flushed when they are fenced.
san()
{
  san_hook
  mkdir -p disk gw-a gw-b
  head -c 1M /dev/urandom >disk/v
  cp disk/v original
  ln -s ../disk/v gw-a/v
  ln -s ../disk/v gw-b/v
  san_gateway gw-a --filter=cache -- cache=writeback
  san_gateway gw-b --filter=cache --filter=log -- cache=writeback logfile=gw-b.nbd
  write_gateways
  sed -i "s|,dir .*|,$GS/san|" config/gateways.csv
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 200ms
  : >calls.log
  : >gw-b.nbd
}

teardown()
{
  local file
  for file in "$GS"/*.pid; do
    [[ ! -s $file ]] || kill -KILL "$(<"$file")" 2>/dev/null || true
  done
  common_teardown
}

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# ends_with STATUS NAME: what was started so ends so.
ends_with()
{
  local code=0 pid=${PIDS[$2]}
  wait "$pid" || code=$?
  unset "PIDS[$2]"
  [[ $code == "$1" ]] || {
    echo "$2 ended with $code, not $1" >&2
    return 1
  }
}

# called ACTION GATEWAY: was the hook?
called()
{
  grep -qx "$1 $2" calls.log
}

# events ID: phase and event of each, in a line each.
events()
{
  tail -n +2 "state/migrations/$1.csv" | cut -d, -f6,7
}

# reads PATTERN OFFSET LENGTH: what clients read there.
reads()
{
  run -0 qemu-io -r -f raw -c "read -P $1 $2 $3" "$(director_uri v)"
  [[ $output != *failed* ]]
}

# disk_holds PATTERN OFFSET LENGTH: the storage itself does.
disk_holds()
{
  run -0 qemu-io -r -f raw -c "read -P $1 $2 $3" disk/v
  [[ $output != *failed* ]]
}

# serves_at GATEWAY: clients are served there.
serves_at()
{
  status_is owner "$1" && status_is gateway here
}

@test "I2: a hook that ends with 0 for what it does not know has not said that storage is shared" {
  mkdir gw-a gw-b
  head -c 1M /dev/urandom >gw-a/v
  cp gw-a/v original
  truncate -s 1M gw-b/v # what somebody had there: nothing is copied onto it, and it is not served
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  # An operator's own: without a case for the action a shell ends with 0.
  printf '%s\n' '#!/bin/sh' "case \$1 in size) stat -c %s $GS/\$4/\$2 ;; esac" >hook
  chmod +x hook
  sed -i "s|,dir .*|,$GS/hook|" config/gateways.csv
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 200ms
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"redirect,failed,"*"hook of "*", shared: it ends with 0, but does not print 'shared'; one that has no such action ends with 3"* ]]
  [[ $(route-set v) == *v,gw-a,1,steady,* ]]
  run --separate-stderr -1 migrate-exec --check <(plan gw-a gw-b 1)
  [[ $output == *"fail  storage of v: "*"does not print 'shared'"* ]]
  nbdcopy "$(director_uri v)" served
  cmp original served
}

@test "shared: nothing is copied, and who was writing has its bytes on the other gateway" {
  san
  client_start
  ask write -P 1 0 64k # in gw-a's cache alone
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  owner_is gw-b 2 steady
  [[ $(events v-2 | paste -sd ' ') == "redirect,begin redirect,pass handover,hold handover,switched retire,committed" ]]
  [[ $output == *"on shared storage with gw-b: nothing is copied"* ]]
  [[ $(grep ',switched,' <<<"$output") =~ ,1048576,1048576,[0-9]+,.*"epoch 2; on shared storage" ]]
  ask read -P 1 0 64k
  ask write -P 2 64k 64k
  ask flush
  no_failure
  disk_holds 1 0 64k
  disk_holds 2 64k 64k
  cmp -i 128k disk/v original
  # The hook was asked for nothing that touches the copy, and in this order.
  [[ $(grep -v '^s' calls.log | paste -sd ' ') == "unfence gw-b fence gw-a" ]]
  # The old owner is fenced for good.
  run ! nbdinfo --list "$(gateway_uri gw-a)"
}

@test "S14: the source is fenced before the switch, and nothing is read of the target before that" {
  san
  client_start
  ask write -P 1 0 64k
  ask flush
  ask read -P 1 0 4k
  driver_start
  drive begin v 1 gw-b shared
  drive detach v 10000
  status_is gateway away
  run -1 grep -E 'Read|Write' gw-b.nbd
  ./san fence v 0 gw-a
  tell aio_write -P 2 4k 4k # waits
  drive switch v 1
  grep -q Read gw-b.nbd # is it the same storage?
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  no_failure
  owner_is gw-b 2 steady
  drive retire v
  ask flush
  disk_holds 2 4k 4k
}

@test "route-director: a shared move has verbs of its own" {
  san
  driver_start
  drive begin v 1 gw-b
  refuses EINVAL detach v 1000
  drive abort v
  drive begin v 1 gw-b shared
  refuses EBUSY hold v 1000
  refuses EBUSY switch v 1 || [[ $REPLY_LINE == "err ETIMEDOUT "* ]]
  refuses EINVAL claim v copy 65536
  refuses EINVAL claim v prove 65536
  refuses EINVAL mirror v
  refuses EINVAL flush v
  status_is synced 1048576
  driver_kill
  driver_start
  refuses EBUSY begin v 1 gw-b
  drive begin v 1 gw-b shared
  [[ $REPLY_LINE == "ok 65536 1048576 attached" ]]
  drive detach v 60000
  refuses ESTALE switch v 7
  refuses EBUSY detach v 1000
  drive unhold v
  wait_for 10 serves_at gw-a
  wait_for 10 status_is phase replicate
  drive abort v
  owner_is gw-a 1 steady
}

@test "S1: a hold that runs out with the owner detached ends on the owner" {
  san
  client_start
  driver_start
  drive begin v 1 gw-b shared
  drive detach v 100
  tell aio_write -P 3 0 4k
  wait_for 10 serves_at gw-a
  wait_for 10 status_is phase replicate
  refuses ETIMEDOUT switch v 1
  ask aio_flush
  ask flush
  no_failure
  disk_holds 3 0 4k
  owner_is gw-a 1 moving
}

@test "S5: an owner that cannot flush is not detached, and stays the owner" {
  san
  put 1 0 4k
  "$GS/san" fence v 0 gw-a
  # shellcheck disable=SC2016
  start gw-a nbdkit -f --unix run/gw-a.sock eval get_size='echo 1048576' can_multi_conn='exit 0' \
    pread='dd if=$GS/disk/v skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none' \
    pwrite='dd of=$GS/disk/v seek=$4 oflag=seek_bytes conv=notrunc status=none' \
    flush='[ ! -e $GS/noflush ] || { echo EIO >&2; exit 1; }'
  wait_for 10 accepts run/gw-a.sock
  put 2 0 4k
  touch noflush
  driver_start
  drive begin v 1 gw-b shared
  refuses EIO detach v 10000
  owner_is gw-a 1 moving
  status_is gateway here
  rm noflush
  drive detach v 10000
}

@test "S13: a target that is other storage is found out before the commit" {
  san
  rm gw-b/v
  head -c 1M /dev/urandom >gw-b/v
  cp gw-b/v other
  client_start
  ask write -P 1 0 64k
  ask flush
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *",handover,failed,"*"the target does not have what the owner made durable"* ]]
  owner_is gw-a 1 steady
  ask write -P 2 64k 64k
  ask read -P 1 0 64k
  no_failure
  cmp gw-b/v other
  [[ $(grep -v '^s' calls.log | paste -sd ' ') == "unfence gw-b fence gw-a unfence gw-a fence gw-b" ]]
}

@test "S14: a target that was read for a switch that failed is not switched to" {
  san
  san_gateway_again gw-b --filter=cache --filter=delay -- cache=writeback cache-on-read=true rdelay=1
  client_start
  ask write -P 1 0 4k
  ask flush
  driver_start
  drive begin v 1 gw-b shared
  drive detach v 500
  "$GS/san" fence v 0 gw-a
  refuses ETIMEDOUT switch v 1
  "$GS/san" unfence v 0 gw-a
  refuses ECONNABORTED detach v 1000
  [[ $REPLY_LINE == *"the target was read, and is not the owner"* ]]
  wait_for 10 owner_is gw-a 1 steady
  ask write -P 2 0 4k
  ask flush
  no_failure
}

@test "S14: what the target has read for a switch that failed it does not serve after the next" {
  san
  san_gateway_again gw-b --filter=cache --filter=delay -- cache=writeback cache-on-read=true rdelay=1
  client_start
  ask write -P 1 0 4k
  ask flush
  run --separate-stderr -1 migrate-exec --fence-window 500 <(plan gw-a gw-b 1)
  called fence gw-b
  owner_is gw-a 1 steady
  ask write -P 2 0 4k
  ask write -P 3 256k 4k # the witness now; the other is in gw-b's cache as it was
  ask flush
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  owner_is gw-b 2 steady
  ask read -P 2 0 4k
  no_failure
}

@test "S14: a source that cannot be fenced is not moved from, and serves" {
  local code
  san
  client_start
  for code in 3 1 137; do
    echo $code >fence.fails
    run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
    if ((code == 3)); then
      [[ ${lines[-1]} == *",handover,failed,"*"gw-a cannot be fenced: out of order"* ]]
    else
      [[ ${lines[-1]} == *",handover,failed,"*"hook of gw-a, fence: out of order"* ]]
    fi
    owner_is gw-a 1 steady
    ask write -P 1 0 64k
  done
  no_failure
  # One that hangs behind what it has done is killed, and undone.
  rm fence.fails
  touch fence.stays
  run --separate-stderr -1 migrate-exec --fence-window 900 <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *",handover,failed,"*"hook of gw-a, fence: killed after 1 s"* ]]
  owner_is gw-a 1 steady
  ask write -P 2 0 64k
  ask read -P 2 0 64k
  no_failure
}

@test "S1: migrate-exec is stopped until the hold is over: the fence is undone" {
  san
  client_start
  touch fence.stays
  start exec migrate-exec --fence-window 3000 <(plan gw-a gw-b 1)
  wait_for 10 called fence gw-a
  kill -STOP "${PIDS[exec]}"
  wait_for 10 status_is phase stalled
  rm fence.stays
  kill -CONT "${PIDS[exec]}"
  ends_with 1 exec
  owner_is gw-a 1 steady
  ask write -P 1 0 4k
  no_failure
  [[ $(grep -v '^s' calls.log | paste -sd ' ') == "unfence gw-b fence gw-a unfence gw-a" ]]
}

@test "shared: attempts that fail before the fence leave the move deferred, --cutover goes on" {
  san
  san_gateway_again gw-a --filter=delay -- wdelay=2
  start writer qemu-io -f raw -c 'aio_write -P 1 0 4k' -c 'aio_flush' "$(director_uri v)"
  wait_for 10 status_is inflight 1
  run --separate-stderr -75 migrate-exec --fence-window 100 --attempts 2 <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *",handover,deferred,"*"2 attempts failed: requests in flight did not end within the window" ]]
  owner_is gw-a 1 deferred
  run -1 called fence gw-a
  ends_with 0 writer
  run --separate-stderr -0 migrate-exec --cutover v-2
  owner_is gw-b 2 steady
  reads 1 0 4k
}

@test "shared: a source that cannot be unfenced is named, and --resume goes on" {
  san
  client_start
  ask write -P 1 0 64k
  ask flush
  echo 1 >unfence.fails
  rm gw-b/v && cp disk/v gw-b/v && printf x | dd of=gw-b/v conv=notrunc status=none
  sed -i '/^gw-b,/s|,[^,]*$|,|' config/gateways.csv # else its own unfence would fail
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == *"'v-2': PUT gw-a BACK INTO SERVICE: it owns 'v' and may be fenced: hook, unfence: out of order"* ]]
  [[ ${lines[-1]} == *",handover,stalled,"*"gw-a is fenced: hook, unfence: out of order"* ]]
  rm unfence.fails
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[-1]} == *",aborted,"* ]]
  wait_for 10 serves_at gw-a
  owner_is gw-a 1 steady
  ask read -P 1 0 64k
  no_failure
}

# fenced_and_killed VICTIM: kill -9 of exec or director between the fence and the switch.
fenced_and_killed()
{
  touch fence.stays
  start exec migrate-exec --fence-window 30000 <(plan gw-a gw-b 1)
  wait_for 10 called fence gw-a
  wait_for 10 test ! -e gw-a.pid
  kill_hard "$1"
  rm fence.stays
}

@test "I4: migrate-exec is killed between fence and switch: --resume goes on" {
  san
  client_start
  ask write -P 1 0 64k
  fenced_and_killed exec
  wait_for 10 status_is phase stalled
  tell aio_write -P 2 4k 4k
  run --separate-stderr -0 migrate-exec --resume v-2
  owner_is gw-b 2 steady
  run -1 called unfence gw-a
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  no_failure
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "time,"* && ${#lines[@]} == 1 && -z $stderr ]]
}

@test "I4: migrate-exec is killed between fence and switch: --abort unfences the source" {
  san
  client_start
  fenced_and_killed exec
  run --separate-stderr -0 migrate-exec --abort v-2
  called unfence gw-a
  owner_is gw-a 1 steady
  ask write -P 1 0 64k
  no_failure
}

@test "S14: --abort leaves the fence of a source whose volume was given to another gateway since" {
  san
  fenced_and_killed exec
  route-set v gw-b --as manual-recovery --force >/dev/null
  route-set v gw-b --force >/dev/null
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ $stderr == *"gw-a stays fenced, if it is: the store says gw-b at epoch 3"* ]]
  run -1 called unfence gw-a
  owner_is gw-b 3 steady
}

@test "shared: a --resume that the configuration forbids lets the fenced source serve" {
  san
  client_start
  fenced_and_killed exec
  sed -i 's/^\(gw-b,.*\),active,/\1,cordoned,/' config/gateways.csv
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == *"cannot resume 'v-2': gateways.csv has gw-b as cordoned"* ]]
  called unfence gw-a
  ask write -P 1 0 64k
  no_failure
  owner_is gw-a 1 moving
}

@test "I4: the director is killed between fence and switch: --resume unfences, and goes on" {
  san
  put 1 0 64k
  fenced_and_killed director
  ends_with 75 exec
  start_director --quarantine 200ms
  run --separate-stderr -0 migrate-exec --resume v-2
  owner_is gw-b 2 steady
  reads 1 0 64k
  [[ $(grep -v '^s' calls.log | paste -sd ' ') == "unfence gw-b fence gw-a unfence gw-a fence gw-b unfence gw-b fence gw-a" ]]
}

@test "I4: the director is killed right after the switch: the next one serves the target" {
  san
  put 1 0 64k
  driver_start
  drive begin v 1 gw-b shared
  drive detach v 10000
  ./san fence v 0 gw-a
  drive switch v 1
  kill_hard director
  start_director
  reads 1 0 64k
  put 2 0 4k
  owner_is gw-b 2 steady
}

@test "I4: kill -9 at any sync of a shared move, then --resume: one owner, and it serves" {
  needs_preload migrate-exec
  local n epoch=1 from=gw-a to=gw-b inject=$BATS_TEST_TMPDIR/inject.so
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$inject" "$BATS_TEST_DIRNAME/fault/inject.c"
  san
  for ((n = 1; n < 30; n++)); do
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$inject \
      migrate-exec <(plan "$from" "$to" "$epoch") >out 2>&1 || true
    migrate-exec --resume >resumed
    owner_is "$to" $((epoch + 1)) steady || migrate-exec <(plan "$from" "$to" "$epoch") >resumed
    epoch=$((epoch + 1))
    owner_is "$to" "$epoch" steady
    put "$n" 0 4k
    disk_holds "$n" 0 4k
    [[ $(cat "state/migrations/v-$epoch"*.csv | grep -c ,committed,) == 1 ]]
    read -r from to <<<"$to $from"
    [[ -e mark ]] || break
  done
  ((n > 4 && n < 30))
}

@test "I2: a source that died is moved from, and what it had not made durable is not lost" {
  san
  client_start
  ask write -P 1 0 64k
  ask flush
  ask write -P 2 4k 4k # in the cache that dies with it
  kill -KILL "$(<gw-a.pid)"
  tell aio_write -P 3 8k 4k
  wait_for 10 status_is gateway away
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  owner_is gw-b 2 steady
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  ask read -P 3 8k 4k
  no_failure
  run -1 called unfence gw-a
}

@test "shared: --commit has nothing to let go, and --archive and --remove are refused" {
  san
  migrate-exec <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: 'v-2' was on shared storage: there is no copy to let go" ]]
  local option
  for option in --archive --remove; do
    run --separate-stderr -1 migrate-exec --commit "$option" v-2
    [[ $stderr == "migrate-exec: cannot commit 'v-2': what is on gw-a is what gw-b serves: shared storage" ]]
  done
  run --separate-stderr -0 migrate-exec --retain 0 --expire
  run -1 grep -E '^(cold|archive|remove|create) ' calls.log
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[-1]} == *",retire,committed,"*"on shared storage: there is no copy to let go; gw-a stays fenced" ]]
  cmp disk/v original
}

@test "I7: --revert of a shared move is one the other way" {
  san
  client_start
  ask write -P 1 0 64k
  migrate-exec <(plan gw-a gw-b 1)
  ask write -P 2 4k 4k
  run --separate-stderr -0 migrate-exec --revert v-2
  owner_is gw-a 3 steady
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  ask write -P 3 8k 4k
  no_failure
  [[ $(tail -n 1 state/migrations/v-2.csv) == *",retire,reverted,"*"by v-3"* ]]
  run --separate-stderr -1 migrate-exec --revert v-2
  [[ $stderr == "migrate-exec: 'v-2' is reverted already" ]]
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 3)
  owner_is gw-b 4 steady
  ask read -P 3 8k 4k
  no_failure
}

@test "shared: a hook that fails to say is no \"no\": nothing is begun" {
  local code
  san
  for code in 1 2 127; do
    echo $code >shared.fails
    run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
    [[ ${lines[-1]} == *",redirect,failed,"*"hook of gw-b, shared: out of order"* ]]
    owner_is gw-a 1 steady
  done
  # One that has forgotten what it said before is not believed.
  rm shared.fails
  migrate-exec <(plan gw-a gw-b 1)
  echo 3 >shared.fails
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-a 2)
  owner_is gw-b 2 steady
  cmp disk/v original
}

@test "shared: --dry-run and --check know it, and change nothing" {
  san
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *",begin,1048576,1048576,"*"dry run: on shared storage, no bytes to move; pause at most 5000 ms, in which gw-a is fenced"* ]]
  run --separate-stderr -0 migrate-exec --check v
  [[ $output == *"ok    storage of v: gw-a and gw-b share it: nothing is copied, and gw-a is fenced"* ]]
  [[ $(sort -u calls.log | paste -sd ' ') == "shared gw-a shared gw-b size gw-a size gw-b" ]]
  owner_is gw-a 1 steady
}

@test "shared: a verifying client notices nothing of moves to and fro" {
  local epoch from=gw-a to=gw-b
  san
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-64k \
    --size=1M --io_size=24M --rate=3M --iodepth=8 --fsync=40 --verify=crc32c --verify_fatal=1 \
    --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  for epoch in 1 2 3 4; do
    migrate-exec <(plan "$from" "$to" "$epoch")
    read -r from to <<<"$to $from"
  done
  wait "${PIDS[fio]}"
  unset 'PIDS[fio]'
  owner_is gw-a 5 steady
}
