#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A volume whose owner goes away and comes back, and what must hold then, by the labels of
# gateshift-safety(7).
# shellcheck disable=SC2030,SC2031
load helpers
load client
load mover
load raw

# setup_with COMMAND... [-- DIRECTOR-ARGUMENT...]: volume v of 1M on gw-a, started by the command.
setup_with()
{
  local command=()
  while (($#)) && [[ $1 != -- ]]; do
    command+=("$1")
    shift
  done
  make_volume gw-a v 1M
  "${command[@]}"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director "${@:2}"
}

# file_holds PATTERN OFFSET LENGTH: on gw-a's disk.
file_holds()
{
  holds gw-a "$@"
}

file_lacks()
{
  run -1 holds gw-a "$@"
}

# ---- opening ----

# occupied MS: somebody else has the only connection that gw-a grants.
occupied()
{
  local try
  for try in {1..20}; do # the one before it may not have ended yet
    start other qemu-io -r -f raw -c "sleep $1" "$(gateway_uri gw-a v)"
    sleep 0.2
    ! kill -0 "${PIDS[other]}" 2>/dev/null || return 0
  done
  echo "the gateway took none of $try" >&2
  return 1
}

@test "route-director: a gateway that takes no further connection just now is asked again" {
  setup_with start_gateway gw-a --filter=limit limit=1
  occupied 1000
  run -0 nbdinfo --size "$(director_uri v)"
  [[ $output == 1048576 ]]
}

@test "route-director: a gateway that goes on taking none is said to, and the next client asks again" {
  setup_with start_gateway gw-a --filter=limit limit=1
  occupied 60000
  run -1 nbdinfo --size "$(director_uri v)"
  grep -q "volume 'v': gw-a: the gateway closed the connection" director.log
  kill_hard other
  run -0 nbdinfo --size "$(director_uri v)"
}

# ---- I2: nothing that was acknowledged is lost ----

@test "I2: a write that was acknowledged and not flushed outlives a gateway that loses its cache" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 4k
  ask write -P 2 100 64k
  ask write -z 32k 4k
  stop_gateway gw-a
  file_lacks 1 0 100
  cached_gateway gw-a
  ask read -P 1 0 100
  ask read -P 2 100 20000
  ask read -P 0 32k 4k
  no_failure
  wait_for 5 file_holds 2 40000 20000 # and was flushed by the director
  status_is reconnects 1
}

@test "I2: requests wait for a gateway that is away, and are answered when it is back" {
  setup_with start_gateway gw-a
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-a
  ask aio_write -P 2 4k 4k
  ask aio_write -P 3 8k 4k
  ask aio_read 0 512
  wait_for 5 status_is inflight 3
  start_gateway gw-a
  ask aio_flush
  wait_for 10 status_is inflight 0
  no_failure
  file_holds 2 4k 4k
  file_holds 3 8k 4k
}

@test "I2: a gateway that is killed again in the middle of a replay is given all of it again" {
  setup_with cached_gateway gw-a
  client_start
  for i in {1..8}; do
    ask write -P "$i" "$((i * 64))k" 64k
  done
  wait_for 15 prompted
  stop_gateway gw-a
  start_gateway gw-a --filter=cache --filter=delay cache=writeback wdelay=200ms
  wait_for 5 grep -q 'connect' director.log
  sleep 0.1
  stop_gateway gw-a
  cached_gateway gw-a
  for i in {1..8}; do
    ask read -P "$i" "$((i * 64))k" 64k
  done
  wait_for 15 prompted
  no_failure
}

@test "I2: a long read that was cut in its middle is completed" {
  make_volume gw-a v 8M
  head -c 8M /dev/urandom >gw-a/v
  start_gateway gw-a --filter=rate rate=40M
  write_gateways
  route-set v gw-a --size 8M >/dev/null
  start_director
  hex "$(go v)" "$(request 0 0 0 $((8 << 20)))" >read.in
  : >read.out
  start reader socat OPEN:read.in,rdonly,ignoreeof!!OPEN:read.out,wronly \
    "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 eval '(($(stat -c %s read.out) > 1000000))'
  stop_gateway gw-a
  start_gateway gw-a
  wait_for 10 eval '(($(stat -c %s read.out) >= HANDSHAKE_BYTES + 16 + (8 << 20)))'
  tail -c $((8 << 20)) read.out | cmp - gw-a/v
}

@test "I2: a gateway that is stopped delays its clients, and loses nothing" {
  setup_with cached_gateway gw-a -- --gateway-timeout 300ms --connect-timeout 300ms --quarantine 500ms
  client_start
  ask write -P 1 0 4k
  kill -STOP "${PIDS[gw-a]}"
  tell write -P 2 4k 4k
  wait_for 5 grep -q 'has not answered for' director.log
  kill -CONT "${PIDS[gw-a]}"
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  no_failure
}

@test "I2: an orderly end of the director flushes what was acknowledged" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 4k
  file_lacks 1 0 4k
  stop director
  file_holds 1 0 4k
}

@test "I2: the last client's unflushed writes are flushed before the volume is closed" {
  setup_with cached_gateway gw-a
  [[ $(replies 1 "$(request 1 0 0 512)" "$(printf '07%.0s' {1..512})") == "$(error 0)" ]]
  wait_for 10 file_holds 7 0 512
  wait_for 5 unserved v
}

unserved()
{
  [[ $(control status) == ok ]]
}

# ---- S2: writes of dead connections ----

# stall_setup DIRECTOR-ARGUMENT...: gw-a carries out a write at once, or 1 s late while $GS/stall is
# there; the director reaches it through a proxy that can be killed.
stall_setup()
{
  make_volume gw-a v 1M
  local f="$GS/gw-a/v"
  start real nbdkit -f --unix "$GATESHIFT_RUN/real.sock" eval get_size="stat -c %s '$f'" \
    pread="dd if='$f' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none" \
    pwrite="cat >'$GS/w.'\$\$; if test -e '$GS/stall'; then rm '$GS/stall'; touch '$GS/stalled'; sleep 1; fi
      dd if='$GS/w.'\$\$ of='$f' oflag=seek_bytes seek=\$4 conv=notrunc status=none; rm '$GS/w.'\$\$" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' flush='exit 0' thread_model='echo parallel'
  wait_for 10 nbdinfo --size "nbd+unix:///v?socket=$GATESHIFT_RUN/real.sock"
  GATEWAYS+=(gw-a)
  proxy_start
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director "$@"
}

proxy_start()
{
  rm -f "$GATESHIFT_RUN/gw-a.sock"
  start proxy socat "UNIX-LISTEN:$GATESHIFT_RUN/gw-a.sock,fork" "UNIX-CONNECT:$GATESHIFT_RUN/real.sock"
  wait_for 5 test -S "$GATESHIFT_RUN/gw-a.sock"
}

# The proxy's children hold the connections.
proxy_kill()
{
  pkill -KILL -P "${PIDS[proxy]}" || true
  kill_hard proxy
}

@test "S2: a write that an ended connection may still carry out is not overtaken by a newer one" {
  stall_setup --proxied --quarantine 2s
  client_start
  touch stall
  ask aio_write -P 1 0 4k
  wait_for 5 test -e stalled
  proxy_kill
  proxy_start
  wait_for 10 status_is reconnects 1
  ask aio_flush
  wait_for 5 status_is inflight 0 # replayed and acknowledged
  ask aio_write -P 2 0 4k # waits until the old one has landed
  ask aio_write -P 3 8k 4k # does not
  wait_for 5 file_holds 3 8k 4k
  file_lacks 2 0 4k
  ask aio_flush
  wait_for 10 file_holds 2 0 4k
  sleep 1.2 # whatever is on its way has come
  file_holds 2 0 4k
  no_failure
}

@test "S2: behind a unix socket the end of the server's process ends the wait" {
  setup_with start_gateway gw-a --filter=delay wdelay=60 -- --quarantine 60s
  client_start
  ask aio_write -P 1 0 4k
  wait_for 5 status_is inflight 1
  stop_gateway gw-a
  start_gateway gw-a
  wait_for 5 file_holds 1 0 4k
  ask aio_write -P 2 0 4k
  wait_for 5 file_holds 2 0 4k
}

@test "S2: while writes of a dead connection may land no move begins" {
  stall_setup --proxied --quarantine 60s
  make_volume gw-b v 1M
  start_gateway gw-b
  write_gateways
  client_start
  touch stall
  ask aio_write -P 1 0 4k
  wait_for 5 test -e stalled
  proxy_kill
  proxy_start
  wait_for 10 status_is reconnects 1
  driver_start
  refuses EAGAIN begin v 1 gw-b
}

@test "S2: after a director was killed, newer writes wait where its own may still land" {
  stall_setup --quarantine 3s
  client_start
  touch stall
  ask aio_write -P 1 0 4k
  wait_for 5 test -e stalled
  kill_hard director
  rm -f "$GATESHIFT_RUN"/{nbd,director}.sock
  start_director --quarantine 3s
  start late qemu-io -f raw -c 'write -P 2 0 4k' "$(director_uri v)"
  run -0 qemu-io -f raw -c 'write -P 3 512k 4k' "$(director_uri v)" # elsewhere nothing waits
  file_holds 3 512k 4k
  file_lacks 2 0 4k
  wait_for 10 file_holds 1 0 4k # the dead director's write lands …
  wait "${PIDS[late]}"
  file_holds 2 0 4k # … and is overwritten, not the other way round
}

@test "S2: a director that ended in order, or was killed with nothing in flight, delays nobody" {
  setup_with start_gateway gw-a -- --quarantine 60s
  qemu-io -f raw -c 'write -P 1 0 4k' "$(director_uri v)" >/dev/null
  wait_for 5 unserved v
  [[ ! -e $GATESHIFT_RUN/intents/v ]]
  client_start
  ask write -P 2 0 4k
  kill_hard director
  rm -f "$GATESHIFT_RUN"/{nbd,director}.sock
  start_director --quarantine 60s
  timeout 10 qemu-io -f raw -c 'write -P 3 0 4k' "$(director_uri v)"
  file_holds 3 0 4k
}

# ---- S4: order, and what a flush covers ----

@test "S4: FUA and what it overwrites are replayed in their order" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 64k
  ask write -f -P 2 4k 4k
  ask write -P 3 6k 1k
  ask discard 32k 4k
  ask write -P 4 33k 1k
  stop_gateway gw-a
  cached_gateway gw-a
  ask read -P 1 0 4k
  ask read -P 2 4k 2k
  ask read -P 3 6k 1k
  ask read -P 2 7k 1k
  ask read -P 4 33k 1k
  no_failure
}

# journal_gateway: writes go to $GS/gw-a/cache, flush brings them to $GS/gw-a/v as SCRIPT says.
journal_gateway()
{
  local f="$GS/gw-a/cache"
  [[ -e $f ]] || cp gw-a/v gw-a/cache
  [[ " ${GATEWAYS[*]} " == *" gw-a "* ]] || GATEWAYS+=(gw-a)
  rm -f "$GATESHIFT_RUN/gw-a.sock"
  start gw-a nbdkit -f --unix "$GATESHIFT_RUN/gw-a.sock" eval get_size="stat -c %s '$f'" \
    pread="dd if='$f' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none" \
    pwrite="dd of='$f' oflag=seek_bytes seek=\$4 conv=notrunc status=none" \
    can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' flush="$1" thread_model='echo parallel'
  wait_for 10 nbdinfo --size "$(gateway_uri gw-a v)"
}

@test "S4: after a flush that failed all is replayed before the next one counts" {
  # As Linux does: what could not be written is dropped, and the next flush succeeds.
  setup_with journal_gateway "cd '$GS/gw-a'
    if test -e '$GS/bad'; then rm '$GS/bad'; cp v cache; echo EIO >&2; exit 1; fi; cp cache v"
  client_start
  touch bad
  ask write -P 1 0 4k
  ask flush
  ask read -P 1 0 4k
  no_failure
  [[ ! -e bad ]]
  file_holds 1 0 4k
  grep -q 'could not flush' director.log
}

@test "S4: a flush covers what was answered before it was sent, and no more" {
  setup_with journal_gateway "cd '$GS/gw-a'; cp cache v; touch '$GS/flushing'
    while test -e '$GS/slow'; do sleep 0.05; done"
  client_start
  touch slow
  ask write -P 1 0 4k
  ask aio_write -P 1 4k 4k
  start second eval '[[ $(replies 1 "$(request 3 0 0 0)") == "$(error 0)" ]]'
  wait_for 5 test -e flushing
  ask write -P 2 8k 4k # answered while the flush is under way
  rm slow
  wait "${PIDS[second]}"
  stop_gateway gw-a
  file_lacks 2 8k 4k
  rm gw-a/cache
  journal_gateway "cd '$GS/gw-a'; cp cache v"
  ask read -P 1 0 4k
  ask read -P 2 8k 4k
  no_failure
}

@test "S4: a log that is full makes the director flush by itself" {
  make_volume gw-a v 64M
  start_gateway gw-a --filter=log logfile="$GS/nbdkit.log"
  write_gateways
  route-set v gw-a --size 64M >/dev/null
  start_director --replay-log 2M
  fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=64k --size=64M \
    --iodepth=16 --verify=crc32c --verify_fatal=1 --output=fio.log
  (($(grep -c ' Flush ' nbdkit.log) >= 20))
}

@test "S3: an owner that lost its cache is given again what no flush covered, of every connection" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 64k
  ask flush
  ask write -P 2 16k 16k
  # Two more clients, on other connections to the gateway, which are gone when it is lost.
  [[ $(replies 1 "$(request 1 0 131072 512)" "$(printf '03%.0s' {1..512})") == "$(error 0)" ]]
  [[ $(replies 1 "$(request 1 0 131584 512)" "$(printf '04%.0s' {1..512})") == "$(error 0)" ]]
  stop_gateway gw-a
  file_holds 1 0 64k
  file_lacks 3 128k 512
  cached_gateway gw-a
  ask read -P 1 0 16k
  ask read -P 2 16k 16k
  ask read -P 1 32k 32k
  ask read -P 3 128k 512
  ask read -P 4 131584 512
  no_failure
  wait_for 5 file_holds 4 131584 512
}

# ---- S13: is it the copy that it was? ----

# memory_gateway: forgets everything when it is killed.
memory_gateway()
{
  [[ " ${GATEWAYS[*]} " == *" gw-a "* ]] || GATEWAYS+=(gw-a)
  rm -f "$GATESHIFT_RUN/gw-a.sock"
  start gw-a nbdkit -f --unix "$GATESHIFT_RUN/gw-a.sock" memory 1M
  wait_for 10 nbdinfo --size "$(gateway_uri gw-a v)"
}

@test "S13: a gateway that comes back empty is not written to; manual recovery" {
  setup_with memory_gateway
  client_start
  ask write -P 1 0 64k
  ask flush
  ask write -P 2 128k 4k
  stop_gateway gw-a
  memory_gateway
  ask read 0 4k
  grep -q 'read failed: Input/output error' client.log
  wait_for 5 owner_is gw-a 1 manual-recovery
  grep -q "came back with other data" director.log
  nbdcopy "$(gateway_uri gw-a v)" now
  cmp -n 1M now /dev/zero # nothing was replayed
  run -1 nbdinfo --size "$(director_uri v)"
  grep -q 'manual recovery' director.log
  status_is phase manual-recovery
  # The way out: an operator looks, and says that it is the copy.
  run -75 route-set v gw-a
  route-set v gw-a --force >/dev/null
  wait_for 10 nbdinfo --size "$(director_uri v)"
  owner_is gw-a 2 steady
  timeout 10 qemu-io -f raw -c 'write -P 5 0 4k' "$(director_uri v)"
}

@test "S13: what was only read tells an older copy, too" {
  make_volume gw-a v 1M
  head -c 1M /dev/urandom >gw-a/v
  setup_with start_gateway gw-a
  client_start
  ask read 0 64k
  stop_gateway gw-a
  head -c 1M /dev/urandom >gw-a/v
  start_gateway gw-a
  ask read 64k 4k
  grep -q 'read failed: Input/output error' client.log
  wait_for 5 owner_is gw-a 1 manual-recovery
}

@test "S13: an export of another size or with other flags is not taken for the owner's" {
  setup_with start_gateway gw-a -- --retry-for 60s
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-a
  truncate -s 2M gw-a/v
  start_gateway gw-a
  wait_for 5 grep -q 'gw-a: came back with another size' director.log
  stop_gateway gw-a
  truncate -s 1M gw-a/v
  start_gateway gw-a
  ask read -P 1 0 4k
  no_failure
}

# ---- S18: when time runs out ----

@test "S18: after --retry-for requests fail, and what was acknowledged waits for the gateway" {
  setup_with cached_gateway gw-a -- --retry-for 500ms
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-a
  ask write -P 2 0 4k
  grep -q 'write failed: Input/output error' client.log
  tell quit
  wait "${PIDS[client]}" || true
  # Another client, and its flush, fail until it is replayed.
  [[ $(replies 1 "$(request 3 0 0 0)") == "$(error 5)" ]]
  cached_gateway gw-a
  wait_for 10 file_holds 1 0 4k
  run -0 qemu-io -f raw -c flush -c 'read -P 1 0 4k' "$(director_uri v)"
  [[ $output != *rror* && $output != *failed* ]]
}

@test "S18: a director that was killed has its successor flush before anything is built on it" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 4k
  kill_hard director
  file_lacks 1 0 4k
  start_director
  nbdinfo --size "$(director_uri v)"
  file_holds 1 0 4k
}

@test "I3: a client that reconnects after the director was killed finds what was acknowledged" {
  setup_with start_gateway gw-a
  mkfifo client.in
  exec 4<>client.in
  # shellcheck disable=SC2034
  TOLD=0
  start client bash -c "exec qemu-io --image-opts \
    driver=nbd,reconnect-delay=30,export=v,server.type=unix,server.path=$GATESHIFT_RUN/nbd.sock <client.in" 4>&-
  ask write -P 1 0 4k
  kill_hard director
  tell write -P 2 4k 4k
  rm -f "$GATESHIFT_RUN"/{nbd,director}.sock
  start_director
  ask read -P 1 0 4k
  ask read -P 2 4k 4k
  no_failure
}

# ---- gateways that can do less ----

@test "S9: a gateway without multi-conn gets one connection, however many clients there are" {
  setup_with start_gateway gw-a --filter=multi-conn --filter=log multi-conn-mode=disable \
    logfile="$GS/nbdkit.log"
  : >nbdkit.log
  for i in {1..4}; do
    start "c$i" qemu-io -f raw -c "write -P $i $((i * 8))k 8k" -c 'sleep 2000' "$(director_uri v)"
  done
  wait_for 5 status_is clients 4
  wait_for 5 status_is requests 4
  [[ $(grep -c ' Connect ' nbdkit.log) == 1 ]]
  # They see each other's writes through it.
  run -0 qemu-io -f raw -c 'read -P 3 24k 8k' "$(director_uri v)"
  [[ $output != *failed* ]]
}

@test "S14: a second director is refused the volume that a first one serves" {
  setup_with start_gateway gw-a
  client_start
  ask write -P 1 0 4k
  start other route-director --listen "unix:$GS/other.sock" --control "$GS/other-control.sock"
  wait_for 10 accepts "$GS/other.sock"
  run -1 nbdinfo --size "nbd+unix:///v?socket=$GS/other.sock"
  grep -q "volume 'v': another director serves it" other.log
  kill_hard director
  wait_for 10 nbdinfo --size "nbd+unix:///v?socket=$GS/other.sock"
}

@test "S22: a gateway that comes back with less than it had is not taken for the owner" {
  setup_with start_gateway gw-a
  client_start
  ask write -P 1 0 4k
  stop_gateway gw-a
  start_gateway gw-a --filter=nozero
  tell write -z 0 4k
  wait_for 5 grep -q 'came back with less than it had' director.log
  stop_gateway gw-a
  start_gateway gw-a
  wait_for 15 prompted
  no_failure
  file_holds 0 0 4k
}

@test "S23: without FLUSH replies count as durable, and no log is kept that nothing could trim" {
  make_volume gw-a v 1M
  local f="$GS/gw-a/v"
  GATEWAYS+=(gw-a)
  start gw-a nbdkit -f --unix "$GATESHIFT_RUN/gw-a.sock" eval get_size='echo 1048576' \
    pread="dd if='$f' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none" \
    pwrite="dd of='$f' oflag=seek_bytes seek=\$4 conv=notrunc status=none"
  wait_for 10 nbdinfo --size "$(gateway_uri gw-a v)"
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director --replay-log 64K
  run -0 nbdinfo --json "$(director_uri v)"
  [[ $(jq -c '.exports[0] | [.can_flush, .can_fua]' <<<"$output") == '[false,false]' ]]
  head -c 1M /dev/urandom >in
  timeout 60 nbdcopy --connections=1 in "$(director_uri v)"
  cmp in gw-a/v
}

@test "owner: a gateway that is named is looked up; a name that is not found is said so" {
  local port tries
  make_volume gw-a v 1M
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + RANDOM))
    start gw-a nbdkit -f -i 127.0.0.1 -p "$port" file dir="$GS/gw-a"
    if wait_for 3 nbdinfo --size "nbd://127.0.0.1:$port/v"; then break; fi
  done
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\n%s\n%s\n' \
    "gw-a,nbd://localhost:$port,,,,active," "gw-b,nbd://no-such-host.invalid:10809,,,,active," \
    >"$GATESHIFT_CONFIG/gateways.csv"
  route-set v gw-a --size 1M >/dev/null
  route-set w gw-b --size 1M >/dev/null
  start_director --connect-timeout 2s
  start other nbdinfo --size "$(director_uri w)"
  run -0 nbdinfo --size "$(director_uri v)"
  [[ $output == 1048576 ]]
  wait_for 10 grep -q "volume 'w': gw-b: .*no-such-host.invalid" director.log
}

@test "owner: status tells where the gateway is, and what it may lose" {
  setup_with cached_gateway gw-a
  client_start
  ask write -P 1 0 4k
  status_is gateway here
  status_is away_ms 0
  status_is durable by-flush
  (($(status_of unflushed) > 4096))
  stop_gateway gw-a
  wait_for 5 eval '(($(status_of away_ms) > 100))'
  [[ $(status_of gateway) == away || $(status_of gateway) == connecting ]]
  cached_gateway gw-a
  wait_for 5 status_is gateway here
  wait_for 5 status_is unflushed 0
  (($(status_of replayed) >= 1))
}
