#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The director in front of real gateways, with real clients and with raw bytes.  Its moves are in
# safety.bats.
load helpers
load raw

# One gateway with volume v (1 MiB of zeros), one director.
serve()
{
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
  start_director "$@"
}

warnings()
{
  grep -c "^route-director: " "$GS/director.log"
}

# closed_with REASON: the only line in the log names it, and the director still serves.
closed_with()
{
  wait_for 5 grep -q "^route-director: client uid:[0-9]*: $1\$" "$GS/director.log"
  [[ $(warnings) == 1 ]]
  nbdinfo --size "$(director_uri v)" >/dev/null
}

# unserved VOLUME: nobody has it open any more.
unserved()
{
  ! control status "$1"
}

# ---- clients ----

@test "route-director: nbdinfo sees the volume as its gateway offers it" {
  serve
  run --separate-stderr -0 nbdinfo --size "$(director_uri v)"
  [[ $output == 1048576 ]]
  local flag
  for flag in flush fua trim zero multi-conn; do
    nbdinfo --can "$flag" "$(director_uri v)"
  done
  run -2 nbdinfo --is read-only "$(director_uri v)"
  [[ $(warnings) == 0 ]]
}

@test "route-director: the volumes with a route are listed" {
  make_volume gw-a w 1M
  serve
  route-set w gw-a >/dev/null
  run --separate-stderr -0 nbdinfo --list --json "nbd+unix:///?socket=$GATESHIFT_RUN/nbd.sock"
  [[ $(jq -r '.exports[]."export-name"' <<<"$output" | sort | xargs) == "v w" ]]
}

@test "route-director: what nbdcopy and qemu-img write is what they read" {
  serve
  head -c 1M /dev/urandom >in
  nbdcopy --connections=4 --requests=16 in "$(director_uri v)"
  cmp in gw-a/v
  nbdcopy --connections=4 "$(director_uri v)" out
  cmp in out
  head -c 1M /dev/urandom >in
  qemu-img convert -n -f raw -O raw in "$(director_uri v)"
  run -0 qemu-img compare -f raw -F raw in "$(director_uri v)"
  cmp in gw-a/v
}

@test "route-director: trim, zeroes, flush and FUA go through" {
  serve
  run -0 qemu-io -f raw -c 'write -P 5 0 1M' -c 'write -z 64k 64k' -c 'discard 256k 64k' \
    -c 'write -f -P 6 512k 4k' -c flush -c 'read -P 0 64k 64k' -c 'read -P 6 512k 4k' \
    -c 'read -P 5 128k 128k' "$(director_uri v)"
  [[ $output != *failed* ]]
}

@test "route-director: fio verifies what it wrote with many requests in flight" {
  serve
  fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bsrange=4k-128k --size=1M \
    --loops=5 --iodepth=32 --verify=crc32c --verify_fatal=1 --output=fio.log
}

@test "route-director: a volume without a route is refused, others are not" {
  serve
  run -1 nbdinfo "$(director_uri nowhere)"
  run -1 nbdinfo "$(director_uri ../v)"
  run -1 nbdinfo "$(director_uri "")"
  [[ $(sort -u director.log) == "route-director: volume 'nowhere': has no route" ]]
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
}

@test "route-director: listens on several sockets, and on TCP" {
  local port tries
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + RANDOM))
    start_director --listen "unix:$GS/second.sock" --listen "127.0.0.1:$port" || true
    ! kill -0 "${PIDS[director]}" || break
  done
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
  nbdinfo --size "nbd+unix:///v?socket=$GS/second.sock"
  nbdinfo --size "nbd://127.0.0.1:$port/v"
  stop director
  [[ ! -e $GS/second.sock && ! -e $GATESHIFT_RUN/nbd.sock && ! -e $GATESHIFT_RUN/director.sock ]]
}

@test "route-director: two clients see each other's writes" {
  serve
  mkfifo one.in
  exec 4<>one.in
  start one bash -c "exec qemu-io -f raw '$(director_uri v)' <one.in" 4>&-
  echo 'write -P 1 0 4k' >&4
  wait_for 10 grep -q 'wrote 4096' one.log
  run -0 qemu-io -f raw -c 'read -P 1 0 4k' -c 'write -P 2 0 4k' "$(director_uri v)"
  [[ $output != *failed* ]]
  echo 'read -P 2 0 4k' >&4
  wait_for 10 grep -q 'read 4096' one.log
  run ! grep failed one.log
  [[ $(control status v) == *" clients=1 "* ]]
}

# ---- bytes that no client sends ----

@test "route-director: who does not speak NBD is closed with one line" {
  serve
  raw 1000 "$(printf 'GET / HTTP/1.1\r\n\r\n' | od -An -tx1 -v | tr -d ' \n')"
  closed_with "unknown client flags"
}

@test "route-director: an old-style client is closed with one line" {
  serve
  raw 1000 00000000
  closed_with "client does not speak fixed newstyle"
}

@test "route-director: an option with a wrong magic number is closed with one line" {
  serve
  raw 1000 "$GREETED" deadbeefdeadbeef 00000007 00000000
  closed_with "wrong option magic"
}

@test "route-director: an option that is too long is closed with one line" {
  serve
  raw 1000 "$GREETED$OPTION$(be32 7)ffffffff"
  closed_with "option too long"
}

@test "route-director: clients that find no descriptor free wait for one, and the CPU is left alone" {
  serve --handshake-timeout 2s
  prlimit --pid "${PIDS[director]}" --nofile=24
  local i
  for i in {1..20}; do
    raw_start "idle$i" "$GREETED"
  done
  wait_for 5 out_of_descriptors
  local before
  before=$(ticks)
  sleep 0.5
  (($(ticks) - before < 20)) # of 100 a second
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
}

# All 24, but one perhaps; the processor time so far, in ticks.
out_of_descriptors()
{
  local open=("/proc/${PIDS[director]}/fd/"*)
  ((${#open[@]} >= 23))
}

ticks()
{
  local stat
  read -ra stat <"/proc/${PIDS[director]}/stat"
  echo $((stat[13] + stat[14]))
}

@test "route-director: a client that asks without reading answers is closed with one line" {
  serve
  hex "$GREETED" >flood.in
  client_bytes 262144 "$OPTION$(be32 99)$(be32 0)" >>flood.in # an unknown option
  start flood socat -u OPEN:flood.in,rdonly,ignoreeof "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock"
  wait_for 5 grep -q 'asks without reading answers' director.log
}

@test "route-director: a handshake that stops half-way is nobody's business" {
  serve
  raw_end "$GREETED" "${OPTION:0:6}"
  raw_end ""
  raw_end "$GREETED$OPTION$(be32 3)00000000" # goes before it has the list,
  raw_end "$(go v)"                          # or the volume, or the data
  raw_end "$(go v)" "$(request 0 0 0 1048576)" "$(request 0 0 0 1048576)"
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
  [[ $(warnings) == 0 ]]
}

@test "route-director: a client that never asks is closed after --handshake-timeout" {
  serve --handshake-timeout 1s
  start silent socat -u "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock" STDOUT
  closed_with "asked for no export in time"
  wait "${PIDS[silent]}"
}

@test "route-director: a request with a wrong magic number is closed with one line" {
  serve
  [[ $(replies 1 deadbeef "$(request 0 0 0 512)") == "" ]]
  closed_with "malformed request: wrong magic number"
}

@test "route-director: a write of more than 32 MiB is closed with one line" {
  serve
  [[ $(replies 1 "$(request 1 0 0 $((32 * 1048576 + 1)))") == "" ]]
  closed_with "write of more than 32 MiB"
}

@test "route-director: requests that cannot be get the protocol's errors, and the next is served" {
  serve
  local last
  last=$(request 3 0 0 0)
  [[ $(replies 2 "$(request 0 0 1048576 1)" "$last") == "$(error 22)$(error 0)" ]] # read behind the end
  [[ $(replies 2 "$(request 1 0 1048575 2)" abcd "$last") == "$(error 28)$(error 0)" ]]
  [[ $(replies 2 "$(request 6 0 1048576 1)" "$last") == "$(error 28)$(error 0)" ]]
  [[ $(replies 2 "$(request 4 0 0xffffffffffffffff 1)" "$last") == "$(error 22)$(error 0)" ]]
  [[ $(replies 2 "$(request 3 0 1 0)" "$last") == "$(error 22)$(error 0)" ]]
  [[ $(replies 2 "$(request 99 0 0 512)" "$last") == "$(error 22)$(error 0)" ]]
  [[ $(replies 2 "$(request 7 0 0 512)" "$last") == "$(error 22)$(error 0)" ]]
  [[ $(replies 2 "$(request 0 0x8000 0 512)" "$last") == "$(error 22)$(error 0)" ]]
  [[ $(warnings) == 0 ]]
}

@test "route-director: what was asked before a disconnect is answered" {
  serve
  local answer
  answer=$(raw 100000 "$(go v)" "$(request 0 0 0 4096)" "$(request 3 0 0 0)" "$(request 2 0 0 0)")
  [[ ${#answer} == $((2 * (HANDSHAKE_BYTES + 16 + 4096 + 16))) ]]
  [[ $answer == *"$(error 0)"* ]]
  wait_for 5 unserved v
}

# client_bytes COUNT HEX...: the bytes, COUNT times.
client_bytes()
{
  local n=$1
  shift
  hex "$@" >unit
  for ((; n > 1; n = (n + 1) / 2)); do
    cat unit unit >twice
    mv twice unit
  done
  cat unit
}

@test "route-director: what waits for the end of a long read takes little memory" {
  make_volume gw-a v 32M
  start_gateway gw-a --filter=delay rdelay=300ms
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  hex "$(go v)" "$(request 0 0 0 $((32 << 20)))" >read.in
  client_bytes 16384 "$(request 9 0 0 0)" >many.in # an unknown command
  local before
  before=$(memory_kib)
  mkfifo client.in
  start client socat -u OPEN:client.in "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock"
  exec 4>client.in
  cat read.in >&4
  wait_for 5 eval '[[ $(control status v) == *" inflight=1 "* ]]'
  # The gateway is stopped when it has sent a part of the answer.
  kill -STOP "${PIDS[director]}"
  sleep 0.7
  kill -STOP "${PIDS[gw-a]}"
  kill -CONT "${PIDS[director]}"
  cat many.in >&4
  wait_for 5 grep -q "rchar: 4[5-9][0-9]\\{4\\}" "/proc/${PIDS[client]}/io"
  control status v
  (($(memory_kib) - before < 500000))
}

memory_kib()
{
  sed -n 's/^VmPeak:[^0-9]*\([0-9]*\).*/\1/p' "/proc/${PIDS[director]}/status"
}

@test "route-director: unaligned requests are refused where the gateway has a minimum block size" {
  make_volume gw-a v 1M
  start_gateway gw-a --filter=blocksize-policy blocksize-minimum=4096 blocksize-error-policy=error
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  run --separate-stderr -0 nbdinfo --json "$(director_uri v)"
  [[ $(jq '.exports[0].block_size_minimum' <<<"$output") == 4096 ]]
  # A client that does not ask for block sizes is told that it must.
  [[ $(raw $((18 + 20)) "$(go v)") == *"0003e889045565a9$(be32 7)80000008"* ]]
  run qemu-io -f raw -c 'write -P 3 512 512' -c 'read -P 3 512 512' "$(director_uri v)"
  [[ $output != *failed* ]] # qemu reads, modifies and writes
}

@test "route-director: a client that dies in the middle of a write leaves nothing of it" {
  serve
  qemu-io -f raw -c 'write -P 9 0 64k' "$(director_uri v)" >/dev/null
  raw_end "$(go v)" "$(request 1 0 0 65536)" "$(printf '00%.0s' {1..1000})"
  run -0 qemu-io -f raw -c 'read -P 9 0 64k' "$(director_uri v)"
  [[ $output != *failed* ]]
  wait_for 5 unserved v
}

# ---- gateways ----

@test "route-director: a gateway that hangs in the handshake holds nobody else up" {
  start deaf socat -u "UNIX-LISTEN:$GATESHIFT_RUN/gw-z.sock,fork" OPEN:/dev/null
  GATEWAYS+=(gw-z)
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
  route-set w gw-z >/dev/null
  wait_for 5 test -e "$GATESHIFT_RUN/gw-z.sock"
  start_director --connect-timeout 400ms
  start waiter nbdinfo "$(director_uri w)"
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
  wait_for 5 grep -q "^route-director: volume 'w': gw-z: no answer within 400 ms$" director.log
  wait_for 5 grep -q "server replied with error" waiter.log
}

@test "route-director: a gateway that is not there is named, and asked again by the next client" {
  make_volume gw-a v 1M
  GATEWAYS=(gw-a)
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  run -1 nbdinfo "$(director_uri v)"
  grep -q "^route-director: volume 'v': gw-a: cannot connect to " director.log
  start_gateway gw-a
  wait_for 10 nbdinfo --size "$(director_uri v)" # once the idle ones are gone
}

@test "route-director: a gateway whose export is smaller than the volume is refused" {
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a --size 2M >/dev/null
  start_director
  run -1 nbdinfo "$(director_uri v)"
  grep -q "^route-director: volume 'v': gw-a: export has 1048576 bytes, the volume 2097152$" director.log
}

# ---- the control socket ----

@test "route-director: help lists the verbs, and each with wrong words is refused with its usage" {
  serve
  local verb usage words
  run -0 control help
  [[ ${#lines[@]} == 24 && ${lines[-1]} == ok ]]
  for usage in "${lines[@]::23}"; do
    verb=${usage%% *}
    run -1 control "$verb" a b c d e
    [[ $output == "err EINVAL usage: $usage" ]]
  done
  for verb in abort begin claim detach flush hold mirror reload retire switch; do
    run -1 control "$verb"
    [[ $output == "err EINVAL usage: "* ]]
    words=$(($(control help | grep "^$verb " | sed "s, \[.*,," | wc -w) - 2))
    # shellcheck disable=SC2046
    run -1 control "$verb" ../v $(seq "$words")
    [[ $output == "err EINVAL not a volume's name" ]]
  done
}

@test "route-director: unknown verbs, empty lines and too many words are refused" {
  serve
  run -1 control frobnicate v
  [[ $output == "err EINVAL unknown verb 'frobnicate'; 'help' lists them" ]]
  run -1 control ""
  [[ $output == "err EINVAL empty line; 'help' lists the verbs" ]]
  run -1 control begin 1 2 3 4 5 6 7 8
  [[ $output == "err EINVAL too many words" ]]
}

@test "route-director: a line that never ends closes the control connection" {
  serve
  run -0 bash -c "head -c 5000 /dev/zero | tr '\0' x | socat -t 5 - 'UNIX-CONNECT:$GATESHIFT_RUN/director.sock'"
  [[ -z $output ]]
  wait_for 5 grep -q '^route-director: control connection: not a line of text$' director.log
  control help
}

@test "route-director: verbs sent at once are answered in their order" {
  serve
  run -0 bash -c "printf 'status v\nhelp\nnonsense\nstatus\n' |
    socat -t 5 - 'UNIX-CONNECT:$GATESHIFT_RUN/director.sock'"
  [[ ${lines[0]} == "err ENOENT "* && ${lines[1]} == "abort VOLUME" ]]
  [[ ${lines[-2]} == "err EINVAL unknown verb"* && ${lines[-1]} == ok ]]
}

@test "route-director: status tells what a volume is doing" {
  serve
  run -1 control status v
  [[ $output == "err ENOENT volume 'v' is not being served" ]]
  mkfifo one.in
  exec 4<>one.in
  start one bash -c "exec qemu-io -f raw '$(director_uri v)' <one.in" 4>&-
  wait_for 10 control status v
  run -0 control status v
  [[ ${lines[0]} == "volume=v owner=gw-a epoch=1 phase=steady target=- size=1048576 block=65536 \
blocks=16 dirty=0 copying=0 haunted=0 synced=0 unproved=0 clients=1 inflight=0 held=0 "* ]]
  [[ ${lines[1]} == ok ]]
}

@test "route-director: verbs of a move need one, and its own connection" {
  serve
  local verb
  for verb in "claim v copy 1" "synced v 1" "mirror v" "hold v 1" "flush v" "switch v 1" "unhold v" \
    "retire v" "abort v"; do
    # shellcheck disable=SC2086
    run -1 control $verb
    [[ $output == "err ENOENT no move of volume 'v'" ]]
  done
}
