#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A move meets every fault in every phase: kill -9 of each process, gateways that break in each way,
# full disks, stopped processes, and targets that won't do.  Both gateways are behind a write-back
# cache that a kill -9 empties, and a client writes and verifies all the while.
# shellcheck disable=SC2016,SC2154 # nbdkit's shell expands them; run sets them
load helpers
load verifier
load faults

@test "I4: kill -9 of migrate-exec in redirect: one owner, all that was acknowledged" {
  survives exec redirect
}

@test "I4: kill -9 of the director in redirect: one owner, all that was acknowledged" {
  survives director redirect
}

@test "I4: kill -9 of the source gateway in redirect: one owner, all that was acknowledged" {
  survives gw-a redirect
}

@test "I4: kill -9 of the target gateway in redirect: one owner, all that was acknowledged" {
  survives gw-b redirect
}

@test "I4: kill -9 of migrate-exec in replicate: one owner, all that was acknowledged" {
  survives exec replicate
}

@test "I4: kill -9 of the director in replicate: one owner, all that was acknowledged" {
  survives director replicate
}

@test "I4: kill -9 of the source gateway in replicate: one owner, all that was acknowledged" {
  survives gw-a replicate
}

@test "I4: kill -9 of the target gateway in replicate: one owner, all that was acknowledged" {
  survives gw-b replicate
}

@test "I4: kill -9 of migrate-exec in mirror: one owner, all that was acknowledged" {
  survives exec mirror
}

@test "I4: kill -9 of the director in mirror: one owner, all that was acknowledged" {
  survives director mirror
}

@test "I4: kill -9 of the source gateway in mirror: one owner, all that was acknowledged" {
  survives gw-a mirror
}

@test "I4: kill -9 of the target gateway in mirror: one owner, all that was acknowledged" {
  survives gw-b mirror
}

@test "I4: kill -9 of migrate-exec in hold: one owner, all that was acknowledged" {
  survives exec hold
}

@test "I4: kill -9 of the director in hold: one owner, all that was acknowledged" {
  survives director hold
}

@test "I4: kill -9 of the source gateway in hold: one owner, all that was acknowledged" {
  survives gw-a hold
}

@test "I4: kill -9 of the target gateway in hold: one owner, all that was acknowledged" {
  survives gw-b hold
}

@test "I4: kill -9 of migrate-exec in commit: one owner, all that was acknowledged" {
  survives exec commit
}

@test "I4: kill -9 of the director in commit: one owner, all that was acknowledged" {
  survives director commit
}

@test "I4: kill -9 of the source gateway in commit: one owner, all that was acknowledged" {
  survives gw-a commit
}

@test "I4: kill -9 of the target gateway in commit: one owner, all that was acknowledged" {
  survives gw-b commit
}

@test "I4: kill -9 of migrate-exec in retire: one owner, all that was acknowledged" {
  survives exec retire
}

@test "I4: kill -9 of the director in retire: one owner, all that was acknowledged" {
  survives director retire
}

@test "I4: kill -9 of the source gateway in retire: one owner, all that was acknowledged" {
  survives gw-a retire
}

@test "I4: kill -9 of the target gateway in retire: one owner, all that was acknowledged" {
  survives gw-b retire
}

# gives_up_in PHASE: the target is killed there and does not come back.
gives_up_in()
{
  fleet
  move_until "$1"
  kill_hard gw-b
  release
  exit_status exec
  ((REPLY == 1 || REPLY == 75))
  [[ $REPLY -eq 1 ]] || migrate-exec --abort v-2 >/dev/null
  owned gw-a 1 steady
  [[ $(last_event) =~ ,(failed|aborted)$ ]]
  migrate-exec --status v-2 | grep -q 'left on gw-b: export v'
  client_done
  complete
}

@test "I5: a target that is killed in redirect and stays away leaves the source serving" {
  gives_up_in redirect
}

@test "I5: a target that is killed in replicate and stays away leaves the source serving" {
  gives_up_in replicate
}

@test "I5: a target that is killed in mirror and stays away leaves the source serving" {
  gives_up_in mirror
}

@test "I5: a target that is killed in hold and stays away leaves the source serving" {
  gives_up_in hold
}

# ---- gateways that break in the ways that flexnbd's tests have names for ----

# gate NAME [NBDKIT-ARGUMENT...]: gateway NAME behind a socket that does to the connections that are
# made while $GS/NAME.armed is there what $GS/NAME.fault says, looked at before each piece of what
# the server says: hang, close, half (send half of it, then close), garble (what may be a magic);
# hello-KIND: the greeting passes.
gate()
{
  local name=$1
  shift
  start_gateway "$name" "$@"
  mv "$GATESHIFT_RUN/$name.sock" "$GATESHIFT_RUN/$name.real"
  cat >gate.sh <<'END'
real=$GATESHIFT_RUN/$1.real
[[ -e $GS/$1.armed ]] || exec socat -t 60 - "UNIX-CONNECT:$real"
chunk=$(mktemp -p "$GS") passed=0
exec 4<&0 5< <(exec socat -t 60 - "UNIX-CONNECT:$real" 2>/dev/null)
while kind=$(cat "$GS/$1.fault" 2>/dev/null); do
  [[ $kind != hello-* || $passed -eq 0 ]] || kind=${kind#hello-}
  [[ $kind != hang ]] || exec tail --pid=$PPID -f /dev/null
  dd bs=64K count=1 of="$chunk" status=none <&5
  [[ -s $chunk ]] || break
  kind=$(cat "$GS/$1.fault")
  [[ $kind != hello-* || $passed -eq 0 ]] || kind=${kind#hello-}
  passed=1
  case $kind in
    hang) exec tail --pid=$PPID -f /dev/null ;;
    close) break ;;
    half) head -c $(($(stat -c %s "$chunk") / 2)) "$chunk"; break ;;
    garble) tr 'NIg\003' 'XXXX' <"$chunk" ;;
    *) cat "$chunk" ;;
  esac
done
pkill -P $$ || true # not $!, which may be another process by now
END
  start "$name-gate" socat "UNIX-LISTEN:$GATESHIFT_RUN/$name.sock,fork" "EXEC:bash gate.sh $name"
  wait_for 10 nbdinfo --list "$(gateway_uri "$name")"
}

# broken_fleet: v of 2 MiB on gw-a, an empty gw-b, both behind gates, a director that has v open.
broken_fleet()
{
  make_volume gw-a v 2M
  head -c 2M /dev/urandom >gw-a/v
  cp gw-a/v expected
  gate gw-a
  gate gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms --proxied
  start idle qemu-io -f raw -c 'sleep 100000' "$(director_uri v)"
  wait_for 10 status_is phase steady
  echo none >gw-a.fault
  echo none >gw-b.fault
}

# breaks NAME KIND: gateway NAME is so before the move begins.  Who meets one that hangs waits for as
# long as $PATIENCE says.
PATIENCE=()
breaks()
{
  [[ $2 != *hang ]] || PATIENCE=(--io-timeout 2s)
  echo "$2" >"$1.fault"
  touch "$1.armed"
}

# breaks_later NAME KIND: or becomes so while it is copied; exec is that move.
breaks_later()
{
  [[ $2 != *hang ]] || PATIENCE=(--io-timeout 4s)
  touch "$1.armed"
  start exec migrate-exec "${PATIENCE[@]}" --bwlimit 256K <(plan gw-a gw-b 1)
  wait_for 20 copying
  echo "$2" >"$1.fault"
}

copying()
{
  status_is phase replicate && ! status_is synced 0
}

# The source serves all, to who is connected and to who comes.
source_serves()
{
  [[ $(owner) == "gw-a 1 "* ]]
  qemu-io -f raw -c 'write -P 7 64k 4k' "$(director_uri v)" | grep -q 'wrote 4096'
  head -c 4096 /dev/zero | tr '\0' '\7' | dd of=expected bs=4096 seek=16 conv=notrunc status=none
  nbdcopy --flush "$(director_uri v)" served
  cmp served expected
  kill -0 "${PIDS[idle]}"
}

# ends_failed WORDS: exec failed so, the source serves, and what is left behind is named.
ends_failed()
{
  exit_status exec
  [[ $REPLY -eq 1 && $(last_event) == *,failed && $(owner) == "gw-a 1 steady" ]]
  [[ $(grep "^[0-9]" exec.log | tail -n 1) == *"$1"*"left on gw-b: export v"* ]]
  source_serves
}

# target_refused KIND WORDS: the move fails at once, and the next one is carried out.
target_refused()
{
  broken_fleet
  breaks gw-b "$1"
  start exec migrate-exec "${PATIENCE[@]}" <(plan gw-a gw-b 1)
  ends_failed "$2"
  rm gw-b.armed
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  owned gw-b 2 uncommitted
  cmp gw-b/v expected
}

@test "I5: a target that closes when it is connected to fails the move" {
  target_refused close "cannot connect to gw-b"
}

@test "I5: a target that breaks after its hello fails the move" {
  target_refused hello-close "cannot connect to gw-b"
}

@test "I5: a target that hangs after it is connected to fails the move" {
  target_refused hang "cannot connect to gw-b"
}

@test "I5: a target that hangs after its hello fails the move" {
  target_refused hello-hang "cannot connect to gw-b"
}

@test "I5: a target whose hello has a wrong magic fails the move" {
  target_refused garble "cannot connect to gw-b"
}

@test "I5: a target that closes after a write fails the move" {
  broken_fleet
  breaks_later gw-b close
  ends_failed ""
}

@test "I5: a target that closes in the middle of a reply fails the move" {
  broken_fleet
  breaks_later gw-b half
  ends_failed ""
}

@test "I5: a target whose reply has a wrong magic fails the move" {
  broken_fleet
  breaks_later gw-b garble
  ends_failed ""
}

@test "I5: a target that hangs after a write fails the move after its deadline" {
  broken_fleet
  breaks_later gw-b hang
  ends_failed ""
}

# source_stalls KIND: a source that is so for the copier stalls the move, which is resumed.
source_stalls()
{
  broken_fleet
  breaks_later gw-a "$1"
  exit_status exec
  [[ $REPLY -eq 75 && $(last_event) == *,stalled ]]
  [[ $(tail -n 1 exec.log) == *"go on with: migrate-exec --resume v-2" ]]
  source_serves
  rm gw-a.armed
  migrate-exec --resume v-2 >/dev/null
  owned gw-b 2 uncommitted
  cmp gw-b/v expected
}

@test "I5: a source that closes in the middle of a read stalls the move" {
  source_stalls half
}

@test "I5: a source that hangs in a read stalls the move after its deadline" {
  source_stalls hang
}

# source_refused KIND: a source that is so to migrate-exec fails the move, and goes on serving.
source_refused()
{
  broken_fleet
  breaks gw-a "$1"
  start exec migrate-exec "${PATIENCE[@]}" <(plan gw-a gw-b 1)
  exit_status exec
  [[ $REPLY -eq 1 && $(owner) == "gw-a 1 steady" && ! -e gw-b/v ]]
  grep -q "cannot connect to gw-a" exec.log
  source_serves
}

@test "I5: a source that breaks after its hello fails the move, and goes on serving" {
  source_refused hello-close
}

@test "I5: a source that hangs after its hello fails the move, and goes on serving" {
  source_refused hello-hang
}

# ---- targets and disks that won't do ----

# plain_fleet SIZE [GW-B-ARGUMENT...]: v on gw-a, an empty gw-b, a director that has v open.
plain_fleet()
{
  make_volume gw-a v "$1"
  head -c "$1" /dev/urandom >gw-a/v
  cp gw-a/v expected
  start_gateway gw-a
  start_gateway gw-b "${@:2}"
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
  start idle qemu-io -f raw -c 'sleep 100000' "$(director_uri v)"
  wait_for 10 status_is phase steady
}

# fio_done: ends fio, which has found nothing wrong.
fio_done()
{
  kill -INT "${PIDS[fio]}"
  exit_status fio
  ((REPLY == 0 || REPLY == 128)) # 128: it was told to end
  run -1 grep -iE 'verify.*(bad|fail)|err= *[1-9]' fio.log
}

# bad_target PWRITE: gw-b's writes are this script of nbdkit's; its export is not made by a hook.
bad_target()
{
  stop_gateway gw-b
  truncate -s "$(stat -c %s gw-a/v)" gw-b/v
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" eval get_size="stat -c %s '$GS/gw-b/v'" \
    pread="dd if='$GS/gw-b/v' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=64K status=none" \
    pwrite="$1 || exit 1; dd of='$GS/gw-b/v' oflag=seek_bytes seek=\$4 bs=64K conv=notrunc status=none" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0'
  wait_for 10 nbdinfo --size "$(gateway_uri gw-b v)"
}

@test "I5: a target that answers a write with an error fails the move" {
  plain_fleet 2M
  bad_target '(test $4 -lt 1000000 || { cat >/dev/null; echo EIO bad >&2; false; })'
  start exec migrate-exec --overwrite <(plan gw-a gw-b 1)
  ends_failed "put/output error"
}

@test "I5: a target that is full fails the move, and is moved to when it has room" {
  plain_fleet 2M
  bad_target "(test ! -e '$GS/full' || test \$4 -lt 1000000 || { cat >/dev/null; echo ENOSPC >&2; false; })"
  touch full
  start exec migrate-exec --overwrite <(plan gw-a gw-b 1)
  ends_failed "o space left"
  rm full
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  owned gw-b 2 uncommitted
  cmp gw-b/v expected
}

@test "S16: a target that fails in a mirrored write fails the move, and the client notices nothing" {
  plain_fleet 2M
  bad_target "(test ! -e '$GS/bad' || { cat >/dev/null; echo EIO >&2; false; })"
  start exec migrate-exec --overwrite --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 30 status_is phase mirror
  touch bad
  source_serves # its write is mirrored
  ends_failed ""
}

@test "S1: a target that is slower than the writer is not switched to, or is, but never loses a byte" {
  plain_fleet 4M --filter=delay wdelay=20ms
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k --iodepth=8 \
    --size=4M --rate_iops=1500 --time_based --runtime=170 --norandommap --randrepeat=1 \
    --verify=crc32c --verify_backlog=64 --verify_fatal=1 --serialize_overlap=1
  wait_for 10 status_is clients 2
  local status=0
  migrate-exec --attempts 2 <(plan gw-a gw-b 1) >/dev/null 2>exec.log || status=$?
  case $status in
    0) owned gw-b 2 uncommitted ;;
    1) owned gw-a 1 steady ;;
    75) owned gw-a 1 deferred ;;
    *) false ;;
  esac
  fio_done
  [[ $status -ne 75 ]] || migrate-exec --window 5000 --resume >/dev/null
  nbdcopy --flush "$(director_uri v)" served
  cmp served "$(owner | cut -d' ' -f1)/v"
}

@test "I5: a target of the source's own name, a smaller one and one with other data are refused" {
  plain_fleet 1M
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-a 1)
  [[ $(owner) == "gw-a 1 steady" ]]
  source_serves
  truncate -s 1000K gw-b/v
  run --separate-stderr -1 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"its export is smaller than the volume"* ]]
  source_serves
  head -c 1M /dev/urandom >gw-b/v
  cp gw-b/v other
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"--overwrite takes it"* ]]
  cmp gw-b/v other
  source_serves
}

@test "S15: a journal that cannot grow stops the move before it acts, and room lets it go on" {
  plain_fleet 2M
  local kept status id
  # What it writes must end there, as on a full disk.
  for kept in 0 100 200 300 400 600; do
    plan gw-a gw-b 1 >plan.csv
    status=0
    prlimit --fsize="$kept" env --ignore-signal=XFSZ migrate-exec plan.csv 2>&1 | cat >out
    status=${PIPESTATUS[0]}
    echo "$kept: $status $(cat out)"
    ((status == 1 || status == 74 || status == 75))
    grep -q "ile too large" out
    [[ $(owner) == "gw-a 1 "* ]]
    source_serves
    # What is open can be ended when there is room.
    for id in $(migrate-exec --status | awk -F, 'NR > 1 && $7 !~ /^(aborted|failed)$/ { print $2 }'); do
      migrate-exec --abort "$id" >/dev/null
    done
    owned gw-a 1 steady
  done
  wait_for 20 migrate-exec --overwrite <(plan gw-a gw-b 1)
  owned gw-b 2 uncommitted
  cmp gw-b/v expected
}

# ---- stopped processes ----

# stopped_over_the_hold NAME: process NAME is stopped while a hold whose window is short is kept open
# by a slow store, and goes on when it is over.  One owner, nothing lost.
stopped_over_the_hold()
{
  plain_fleet 1M
  start lock flock -o "$GATESHIFT_STATE/routes.log" true
  exit_status lock
  start exec migrate-exec --window 500 --bwlimit 512K --attempts 2 <(plan gw-a gw-b 1)
  wait_for 20 in_journal replicate mirror
  start lock flock -o "$GATESHIFT_STATE/routes.log" sleep 60
  wait_for 30 status_is phase commit
  kill -STOP "${PIDS[$1]}"
  sleep 0.7 # over the window
  kill_hard lock
  sleep 0.2
  kill -CONT "${PIDS[$1]}"
  exit_status exec
  ((REPLY == 0 || REPLY == 1 || REPLY == 75))
  [[ $REPLY -ne 75 ]] || migrate-exec --window 5000 --resume >/dev/null
  one_owner_has_all
}

# The owner's file is what is served, and a write goes there and nowhere else.
one_owner_has_all()
{
  local now other
  read -r now _ < <(owner)
  other=$([[ $now == gw-a ]] && echo gw-b || echo gw-a)
  qemu-io -f raw -c 'write -P 9 64k 4k' "$(director_uri v)" | grep -q 'wrote 4096'
  head -c 4096 /dev/zero | tr '\0' '\11' | dd of=expected bs=4096 seek=16 conv=notrunc status=none
  nbdcopy --flush "$(director_uri v)" served
  cmp served expected
  cmp "$now/v" expected
  ! owned "$now" 2 uncommitted || [[ ! -e $other/v ]] || run -1 cmp "$other/v" expected
}

@test "S1: a migrate-exec that is stopped over the hold's end" {
  stopped_over_the_hold exec
}

@test "S1: a director that is stopped over the hold's end" {
  stopped_over_the_hold director
}

@test "S1: a source gateway that is stopped over the hold's end" {
  stopped_over_the_hold gw-a
}

@test "S1: a target gateway that is stopped over the hold's end" {
  stopped_over_the_hold gw-b
}

@test "S24: a volume that was resized since a move began is not switched to" {
  plain_fleet 1M
  start exec migrate-exec --bwlimit 256K <(plan gw-a gw-b 1)
  wait_for 20 copying
  kill_hard exec
  truncate -s 512K gw-b/v
  run --separate-stderr -75 migrate-exec --resume
  [[ $stderr == *"its export is smaller than the volume"* && $(owner) == "gw-a 1 "* ]]
  migrate-exec --abort v-2 >/dev/null
  source_serves
}

@test "S24: a source that lost its end since a move began is not copied" {
  plain_fleet 1M
  start exec migrate-exec --bwlimit 256K <(plan gw-a gw-b 1)
  wait_for 20 copying
  kill_hard exec
  truncate -s 512K gw-a/v
  run --separate-stderr -75 migrate-exec --resume
  [[ $stderr == *"gw-a cannot take part: its export is smaller than the volume"* ]]
  migrate-exec --abort v-2 >/dev/null
  owned gw-a 1 steady
}

# ---- clocks ----

# jumps SECONDS: the clock jumps by so much while a volume is copied, for migrate-exec and director.
jumps()
{
  needs_preload migrate-exec
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o clock.so "$BATS_TEST_DIRNAME/fault/clock.c"
  export GS_CLOCK=$GS/clock
  LD_PRELOAD=$GS/clock.so plain_fleet 1M
  start exec env LD_PRELOAD="$GS/clock.so" migrate-exec --bwlimit 512K <(plan gw-a gw-b 1)
  wait_for 20 copying
  echo "$1" >clock
  exit_status exec
  ((REPLY == 0))
  owned gw-b 2 uncommitted
  # It did jump, and the planner reads the history all the same.
  local first last
  first=$(sed -n 2p state/history.csv | cut -d. -f1)
  last=$(tail -n 1 state/history.csv | cut -d. -f1)
  ((last - first > $1 - 100 && last - first < $1 + 100))
  LD_PRELOAD=$GS/clock.so migrate-exec --commit v-2 >/dev/null
  owned gw-b 2 steady
  nbdcopy --flush "$(director_uri v)" served
  cmp served expected
}

@test "I4: a clock that jumps a day ahead during a move changes nothing" {
  jumps 86400
}

@test "I4: a clock that jumps a day back during a move changes nothing" {
  jumps -86400
}

# ---- hand-overs without a rest ----

# What a client's writes waited at most in each hand-over is not asked here (tests/bench/migrate.sh).
# serialize_overlap, here and wherever fio verifies as it goes: without it fio now and then sends a
# write of a block while it reads that block to verify it, and NBD lets such a read return some of
# either.
@test "I7: 60 hand-overs to and fro under mixed 4k, 256k and 1M reads and writes" {
  plain_fleet 12M
  local part=$((4 << 20)) all n
  all=(--ioengine=nbd --uri="$(director_uri v)" --rw=randrw --size="$part" --time_based --runtime=170
    --verify=crc32c --verify_backlog=8 --verify_fatal=1 --serialize_overlap=1)
  start fio fio --name=small "${all[@]}" --bs=4k --iodepth=4 --rate_iops=100 \
    --name=middle "${all[@]}" --bs=256k --iodepth=2 --rate_iops=8 --offset="$part" \
    --name=large "${all[@]}" --bs=1M --iodepth=1 --rate_iops=2 --offset=$((2 * part))
  wait_for 10 status_is clients 4
  # There by a plan, back by a revert; then the copy is made cold, and put back into service by the
  # next plan.
  for ((n = 1; n <= 60; n += 2)); do
    migrate-exec --on-fail retry --window 1000 <(plan gw-a gw-b "$n") >>exec.log 2>&1
    owned gw-b $((n + 1)) uncommitted
    migrate-exec --on-fail retry --window 1000 --revert "v-$((n + 1))" >>exec.log 2>&1
    owned gw-a $((n + 2)) uncommitted
    migrate-exec --commit "v-$((n + 2))" >>exec.log 2>&1
  done
  fio_done
  [[ $(grep -c ',handover,switched,' state/history.csv) -eq 60 ]]
  nbdcopy --flush "$(director_uri v)" served
  cmp served gw-a/v
}
