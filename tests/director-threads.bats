#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The director with several threads: volumes in each of them, clients that are handed over from the
# thread that let them in, control connections that reach all of them.  A volume's name decides where
# it lives: v is in another thread than the main one of 3, and in the main one of 2 and 4.
load helpers
load mover
load raw
load standby

teardown()
{
  # A finding of a thread sanitizer, also where nothing looked at how the director ended.
  [[ ! -e $GS/director.log ]] || ! grep -q 'WARNING: ThreadSanitizer' "$GS/director.log"
  local findings=$?
  common_teardown
  return "$findings"
}

# volumes_setup N [DIRECTOR-ARGUMENT...]: volumes v1 … vN of 1 MiB on gw-a, and a director.
volumes_setup()
{
  local i n=$1
  shift
  for ((i = 1; i <= n; i++)); do
    make_volume gw-a "v$i" 1M
  done
  start_gateway gw-a
  write_gateways
  for ((i = 1; i <= n; i++)); do
    route-set "v$i" gw-a --size 1M >/dev/null
  done
  start_director "$@"
}

threads()
{
  local tasks=("/proc/${PIDS[director]}/task/"*)
  echo "${#tasks[@]}"
}

descriptors()
{
  local open=("/proc/${PIDS[director]}/fd/"*)
  echo "${#open[@]}"
}

# wait_all PID...: however they end.
wait_all()
{
  local pid
  for pid; do
    wait "$pid" || true
  done
}

no_more_descriptors_than()
{
  (($(descriptors) <= $1))
}

# all_closed: no volume is open any more.
all_closed()
{
  [[ $(control status) == ok ]]
}

# How many of the director's threads went to sleep more than 100 times: those that had work.
busy_threads()
{
  awk '/^voluntary_ctxt_switches/ && $2 > 100 {n++} END {print n + 0}' \
    "/proc/${PIDS[director]}/task/"*/status
}

# fio_start NAME VOLUME [OPTION...]: two connections that verify what they wrote.
fio_start()
{
  local name=$1 volume=$2
  shift 2
  start "$name" fio --name="$name" --ioengine=nbd --uri="$(director_uri "$volume")" --rw=randrw \
    --bsrange=4k-64k --size=512k --offset_increment=512k --numjobs=2 --iodepth=8 --verify=crc32c \
    --verify_fatal=1 --verify_backlog=32 --serialize_overlap=1 --output="$name.out" "$@"
}

# fio_ends NAME: it has verified everything.
fio_ends()
{
  wait "${PIDS[$1]}"
  run ! grep -i 'error\|bad' "$1.out"
}

# info NAME: the option that only asks about a volume, as hex, without greeting.  INFO_BYTES: what
# answers it (export, then the end).
info()
{
  local asked
  asked=$(go "$1")
  asked=${asked#"$GREETED"}
  # shellcheck disable=SC2153
  echo "$OPTION$(be32 6)${asked:24}"
}
INFO_BYTES=$((20 + 12 + 20))

# ---- threads ----

@test "route-director: --threads 1 has no thread but the store's besides, and N has N times that" {
  volumes_setup 1
  local one
  one=$(threads) # a sanitizer has a thread of its own
  ((one == 2 || one == 3))
  stop director
  start_director --threads 5
  [[ $(threads) == $((one + 8)) ]]
  stop director
}

@test "route-director: --threads is a number from 1 to 64" {
  local n
  for n in 0 65 -1 x 18446744073709551617; do
    run --separate-stderr -64 route-director --listen "unix:$GS/x.sock" --threads "$n"
    [[ -z $output && $stderr == *"--threads"* ]]
  done
}

@test "route-director: at its end all threads have their gateways flush at once" {
  local i
  for i in {1..6}; do
    make_volume gw-a "v$i" 1M
  done
  # No flush ends before all have been asked for.
  FLUSH="echo >'$GS/flushed.'\$2; while test \$(ls '$GS' | grep -c ^flushed) -lt 6; do sleep 0.05; done" \
    scripted_gateway gw-a true true v1
  write_gateways
  for i in {1..6}; do
    route-set "v$i" gw-a --size 1M >/dev/null
  done
  start_director --threads 4
  for i in {1..6}; do
    raw_start "client$i" "$(go "v$i")" "$(request 1 0 0 4)" 01020304
  done
  all_written()
  {
    (($(control status | grep -c ' unflushed=[1-9]') == 6))
  }
  wait_for 20 all_written
  stop director
  [[ $(<director.log) != *"ends with "* ]]
  cmp gw-a/v1 gw-a/v6
}

@test "route-director: many clients of many volumes in several threads verify what they wrote" {
  volumes_setup 6 --threads 4
  local i
  for i in {1..6}; do
    fio_start "fio$i" "v$i" --loops=10
  done
  for i in {1..6}; do
    fio_ends "fio$i"
  done
  (($(busy_threads) >= 2))
  for i in {1..6}; do
    nbdcopy "$(director_uri "v$i")" out
    cmp out "gw-a/v$i"
  done
}

@test "route-director: SIGTERM ends all threads under load, and the next director serves" {
  volumes_setup 4 --threads 3
  local i
  for i in {1..4}; do
    fio_start "fio$i" "v$i" --loops=1000
    wait_for 10 control status "v$i"
  done
  stop director
  [[ ! -e $GATESHIFT_RUN/nbd.sock && ! -e $GATESHIFT_RUN/director.sock ]]
  run ! grep . director.log
  for i in {1..4}; do
    wait "${PIDS[fio$i]}" || true # its connections are closed
  done
  # nbdkit may fail an assertion when connections go under load.
  stop_gateway gw-a
  start_gateway gw-a
  start_director --threads 2
  for i in {1..4}; do
    qemu-io -f raw -c 'write -P 7 0 4k' "$(director_uri "v$i")" >/dev/null
    qemu-io -r -f raw -c 'read -P 7 0 4k' "gw-a/v$i" | grep -q '^read '
  done
}

# ---- clients that are handed over ----

@test "route-director: what a client sent behind its option is served by the volume's thread" {
  volumes_setup 8 --threads 4
  local i all
  for i in {1..8}; do
    all=$(raw $((HANDSHAKE_BYTES + 32)) "$(go "v$i")" "$(request 1 0 4096 512)" \
      "$(printf "0$i%.0s" {1..512})" "$(request 3 0 0 0)")
    [[ ${all:$((2 * HANDSHAKE_BYTES))} == "$(error 0)$(error 0)" ]]
    qemu-io -r -f raw -c "read -P $i 4k 512" "gw-a/v$i" | grep -q '^read 512/512'
  done
}

@test "route-director: a client that asks about one volume after the other is served the last" {
  volumes_setup 8 --threads 4
  local all options=
  for i in 1 4 7 2 3 8; do
    options+=$(info "v$i")
  done
  all=$(raw $((HANDSHAKE_BYTES + 6 * INFO_BYTES + 16)) "$GREETED" "$options" \
    "$(go v5 | cut -c9-)" "$(request 1 0 0 4)" 07070707)
  [[ ${#all} == $((2 * (HANDSHAKE_BYTES + 6 * INFO_BYTES + 16))) && $all == *"$(error 0)" ]]
  qemu-io -r -f raw -c "read -P 7 0 4" gw-a/v5 | grep -q '^read 4/4'
  [[ $(cat gw-a/v[1-46-8] | tr -d '\0' | wc -c) == 0 ]]
}

@test "route-director: a client in any thread gets the list, and no for what is not there" {
  volumes_setup 4 --threads 4
  local all volume
  for volume in v1 v2 v3 v4; do
    # INFO, LIST (four entries of 4 + 2 bytes), INFO of nothing
    all=$(raw $((18 + INFO_BYTES + 4 * 26 + 20)) "$GREETED$(info "$volume")" "$OPTION$(be32 3)$(be32 0)" \
      "$(info nothing)")
    for i in 1 2 3 4; do
      [[ $all == *"$(be32 2)$(be32 6)$(be32 2)763$i"* ]]
    done
  done
  wait_for 5 grep -q "^route-director: volume 'nothing': has no route$" director.log
}

@test "route-director: --handshake-timeout goes on in the volume's thread" {
  volumes_setup 4 --threads 4 --handshake-timeout 1s
  local i
  for i in 1 2 3 4; do
    raw_start "idle$i" "$GREETED$(info "v$i")"
  done
  wait_for 5 timed_out 4
}

timed_out()
{
  [[ $(grep -c 'asked for no export in time$' director.log) == "$1" ]]
}

@test "route-director: clients that go while they are handed over leave nothing" {
  volumes_setup 8 --threads 4 --handshake-timeout 60s
  local before i pids=()
  for i in {1..8}; do # each thread has the store open now
    nbdinfo --size "$(director_uri "v$i")"
  done
  wait_for 10 all_closed
  before=$(descriptors)
  for _ in {1..6}; do
    for i in {1..8}; do
      raw_end "$(go "v$i")" &
      pids+=($!)
      raw_end "$GREETED$(info "v$i")" "$(info "v$((9 - i))")" "$(go v1 | cut -c9-)" \
        "$(request 0 0 0 65536)" 25609513 &
      pids+=($!)
    done
    wait_all "${pids[@]}"
    pids=()
  done
  wait_for 10 all_closed
  wait_for 10 no_more_descriptors_than "$before"
  for i in {1..8}; do
    nbdinfo --size "$(director_uri "v$i")"
  done
  run ! grep -v 'malformed request' director.log
}

# ---- control connections ----

# open_volumes N: a client of each, v1 … vN, until the test ends.
open_volumes()
{
  local i
  for ((i = 1; i <= $1; i++)); do
    raw_start "client$i" "$(go "v$i")"
    wait_for 10 control status "v$i"
  done
}

@test "route-director: status tells of the volumes of all threads, with one ok" {
  volumes_setup 8 --threads 4
  open_volumes 8
  run -0 control status
  [[ ${#lines[@]} == 9 && ${lines[8]} == ok ]]
  local names=("${lines[@]%% *}")
  [[ $(printf '%s\n' "${names[@]::8}" | sort | xargs) == "$(printf 'volume=v%d ' {1..8} | xargs)" ]]
}

@test "route-director: verbs sent at once to several threads are answered in their order" {
  volumes_setup 8 --threads 4
  open_volumes 8
  local i
  for _ in {1..5}; do
    for i in 5 1 8 3 2 7 4 6; do
      printf 'status v%d\nnonsense\nmirror v%d\n' "$i" "$i"
    done
  done >verbs
  for _ in {1..5}; do
    for i in 5 1 8 3 2 7 4 6; do
      printf 'volume=v%d\nok\nerr EINVAL\nerr ENOENT\n' "$i"
    done
  done >expected
  for i in {1..4}; do
    start "conn$i" socat -t 20 OPEN:verbs!!"OPEN:answers$i,creat" \
      "UNIX-CONNECT:$GATESHIFT_RUN/director.sock"
  done
  for i in {1..4}; do
    wait "${PIDS[conn$i]}"
    sed -E 's/^(volume=[^ ]*) .*/\1/; s/^(err [A-Z]*) .*/\1/' "answers$i" | cmp - expected
  done
}

# move_verified: converges and switches while fio runs; then all is proved by fio.
move_verified()
{
  fio_start fio v --time_based --runtime=10 --rate=1M
  wait_for 10 status_is clients 2
  driver_start
  drive begin v 1 gw-b
  drive mirror v
  copy_all
  local attempt switched=
  for attempt in 1 2 3 4 5 6 7 8; do
    drive hold v 4000 || continue
    copy_all && drive flush v && prove_all && drive switch v 1 && switched=$attempt && break
  done
  [[ -n $switched ]]
  drive retire v
  owner_is gw-b 2 uncommitted
  status_is clients 2 # still the same connections
  fio_ends fio
}

@test "I3: reads return the last acknowledged write over a switch in another thread" {
  move_setup 1M --threads 3
  move_verified
}

@test "I3: reads return the last acknowledged write over a switch in the main thread of four" {
  move_setup 1M --threads 4
  move_verified
}

@test "S15: a second driver is refused in another thread, and only the first one's end is its end" {
  move_setup 1M --threads 3
  converge
  drive hold v 60000
  run -1 control begin v 1 gw-b
  [[ $output == "err EBUSY the volume is being moved "* ]]
  run -1 control unhold v
  [[ $output == "err EBUSY this connection did not begin the move of 'v'" ]]
  status_is phase hold
  driver_kill
  wait_for 5 status_is phase mirror
  put 7 0 4k
  holds gw-a 7 0 4k
}

@test "S2: claims of a dead driver in another thread are haunted until the quarantine is over" {
  move_setup 1M --threads 3 --quarantine 700ms
  driver_start
  drive begin v 1 gw-b
  drive claim v copy 131072
  driver_kill
  wait_for 5 status_is haunted 131072
  wait_for 5 status_is haunted 0
  status_is dirty 1048576
}

# leave_with LINE...: a control connection that sends them and hears no answer.
leave_with()
{
  printf '%s\n' "$@" | socat -u - "UNIX-CONNECT:$GATESHIFT_RUN/director.sock"
}

@test "S15: drivers of volumes in several threads that go in mid-verb leave nothing" {
  start deaf socat -u "UNIX-LISTEN:$GATESHIFT_RUN/gw-z.sock,fork" OPEN:/dev/null
  wait_for 5 test -e "$GATESHIFT_RUN/gw-z.sock"
  GATEWAYS+=(gw-z)
  volumes_setup 8 --threads 4
  open_volumes 8
  local before i pids=()
  before=$(descriptors)
  for _ in {1..4}; do
    for i in {1..8}; do
      leave_with "begin v$i 1 gw-z" "reload v$i" &
      pids+=($!)
      leave_with status "reload v$i" "status v$i" "begin v$((9 - i)) 1 gw-z" &
      pids+=($!)
      leave_with "reload v$i" &
      pids+=($!)
    done
    wait_all "${pids[@]}"
    pids=()
  done
  wait_for 10 no_more_descriptors_than "$before"
  run -0 control status
  [[ $(grep -c ' phase=steady target=- .* clients=1 ' <<<"$output") == 8 ]]
  for i in {1..8}; do
    [[ $(route-set "v$i" | tail -n 1) == "v$i,gw-a,1,steady,"* ]]
  done
}
