#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The director as a service: sockets that were passed, notifying, an unprivileged user; and who may
# come in.
load helpers
load mover
load raw

setup_file()
{
  export ACTIVATE=$BATS_FILE_TMPDIR/activate
  ${CC:-cc} -O1 -o "$ACTIVATE" "$BATS_TEST_DIRNAME/service/activate.c"
}

setup()
{
  common_setup
  [[ $GS == "$BATS_TEST_TMPDIR" ]] || return 0
  # Other users must reach it.
  GS=$(mktemp -d /tmp/gs.XXXXXX)
  export GS GATESHIFT_CONFIG=$GS/config GATESHIFT_STATE=$GS/state GATESHIFT_RUN=$GS/run
  mkdir -p "$GATESHIFT_CONFIG" "$GATESHIFT_STATE" "$GATESHIFT_RUN"
  cd "$GS" || return
}

# The user nobody, with a copy of the director: the tree may be out of its reach.
NOBODY=65534

need_root()
{
  [[ $(id -u) == 0 ]] || skip "needs root"
  chmod 755 "$GS"
}

as_nobody()
{
  setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups "$@"
}

# Volume v on gateway gw-a.
prepare()
{
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
}

serve()
{
  prepare
  start_director "$@"
}

# activated DIRECTOR-ARGUMENT...: a director that got both sockets passed.
activated()
{
  start director "$ACTIVATE" "clients=unix:$GATESHIFT_RUN/nbd.sock" \
    "control=unix:$GATESHIFT_RUN/director.sock" -- route-director "$@"
  wait_for 10 control help
}

# ends STATUS LINE ACTIVATE-ARGUMENT...: a director that is started so does not serve.
ends()
{
  local status=$1 line=$2
  shift 2
  run --separate-stderr "-$status" timeout 10 "$ACTIVATE" "$@"
  [[ -z $output && $stderr == "route-director: $line" ]]
}

# volumes LINE...: volumes.csv.  At once, or the director reads a half.
volumes()
{
  printf '%s\n' volume,size_bytes,policy,gateways,clients "$@" >volumes.new
  mv volumes.new "$GATESHIFT_CONFIG/volumes.csv"
}

# lines PATTERN: how many the director wrote.
lines()
{
  grep -c "$1" "$GS/director.log"
}

# ---- sockets that were passed ----

@test "route-director: sockets that were passed are its doors, by their names" {
  prepare
  activated
  [[ $(nbdinfo --size "$(director_uri v)") == 1048576 ]]
  raw_start c1 "$(go v)"
  wait_for 10 control status v
  [[ $(head -n 1 "$GATESHIFT_STATE/serving/v") == "$GATESHIFT_RUN/director.sock" ]]
}

@test "route-director: a socket that was passed is there after the end, one of its own is not" {
  prepare
  activated --listen "unix:$GS/own.sock"
  wait_for 10 nbdinfo --size "nbd+unix:///v?socket=$GS/own.sock"
  stop director
  [[ -S $GATESHIFT_RUN/nbd.sock && -S $GATESHIFT_RUN/director.sock && ! -e $GS/own.sock ]]
}

@test "route-director: without a control socket among those passed it makes its own" {
  prepare
  start director "$ACTIVATE" "x=unix:$GATESHIFT_RUN/nbd.sock" -- route-director
  wait_for 10 control help
  nbdinfo --size "$(director_uri v)"
  stop director
  [[ -S $GATESHIFT_RUN/nbd.sock && ! -e $GATESHIFT_RUN/director.sock ]]
}

@test "route-director: sockets that were passed are close-on-exec and non-blocking" {
  prepare
  activated
  local fd
  for fd in 3 4; do
    (( (0$(sed -n 's/^flags:[[:space:]]*//p' "/proc/${PIDS[director]}/fdinfo/$fd") & 02004000) == 02004000 ))
  done
}

@test "route-director: sockets that are meant for another process are none" {
  LISTEN_PID=1 run --separate-stderr -64 "$ACTIVATE" "x=unix:$GS/x.sock" -- route-director
  [[ ${stderr_lines[0]} == "route-director: --listen is missing" ]]
}

@test "route-director: what was passed and is no listening stream socket ends it with 78" {
  ends 78 "passed descriptor 3, 'clients': not a listening stream socket" \
    "clients=dgram:$GS/a.sock" -- route-director
  ends 78 "passed descriptor 4, 'b': not a listening stream socket" \
    "a=unix:$GS/b.sock" "b=idle:$GS/c.sock" -- route-director
  ends 78 "passed descriptor 3, 'f': not a listening stream socket" "f=file:/dev/null" -- route-director
}

@test "route-director: passed sockets that do not fit together are refused" {
  ends 78 "passed descriptor 4: a second control socket" \
    "control=unix:$GS/a.sock" "control=unix:$GS/b.sock" -- route-director
  ends 64 "--listen is missing, and no socket for clients was passed" \
    "control=unix:$GS/c.sock" -- route-director
  ends 64 "--control is '/x', the control socket that was passed is '$GS/d.sock'" \
    "control=unix:$GS/d.sock" -- route-director --control /x --listen "unix:$GS/e.sock"
  ends 78 "LISTEN_FDNAMES has not as many names as LISTEN_FDS says" \
    "a:b=unix:$GS/f.sock" -- route-director
  ends 78 "LISTEN_FDS is 'x', not a number up to 17" \
    "a=unix:$GS/g.sock" -- env LISTEN_FDS=x route-director
}

# ---- notifying ----

# notified DIRECTOR-START...: with a manager that writes what it is told into manager.log.
notified()
{
  start manager socat -u "UNIX-RECV:$GS/notify.sock" STDOUT
  wait_for 10 test -S notify.sock
  NOTIFY_SOCKET=$GS/notify.sock "$@"
}

@test "route-director: tells its manager that it is ready, how it fares, and that it stops" {
  prepare
  notified start_director
  wait_for 10 grep -q '^READY=1$' manager.log
  grep -qx 'STATUS=0 clients connected, 0 turned away' manager.log
  run ! grep -q WATCHDOG manager.log
  stop director
  wait_for 10 grep -q '^STOPPING=1$' manager.log
}

@test "route-director: says that it lives as often as its manager wants" {
  prepare
  WATCHDOG_USEC=100000 notified start_director
  raw_start c1 "$(go v)"
  wait_for 10 grep -q 'STATUS=1 clients connected, 0 turned away' manager.log
  wait_for 10 five_signs
}

five_signs()
{
  (($(grep -c '^WATCHDOG=1$' manager.log) >= 5))
}

@test "route-director: a watchdog of another process is not its own" {
  prepare
  WATCHDOG_USEC=20000 WATCHDOG_PID=1 notified start_director
  stop director
  wait_for 10 grep -q '^STOPPING=1$' manager.log
  run ! grep -q WATCHDOG manager.log
}

@test "route-director: a manager's socket may have an abstract name" {
  prepare
  local name=gs-notify-$$-$RANDOM
  start manager socat -u "ABSTRACT-RECV:$name" STDOUT
  wait_for 10 grep -q "@$name" /proc/net/unix
  NOTIFY_SOCKET=@$name start_director
  wait_for 10 grep -q '^READY=1$' manager.log
}

@test "route-director: a manager that cannot be told is one line, and it serves" {
  NOTIFY_SOCKET=$GS/nobody.sock serve
  nbdinfo --size "$(director_uri v)"
  [[ $(<director.log) == "route-director: cannot notify '$GS/nobody.sock': no such file or directory" ]]
}

# ---- users ----

@test "route-director: serves as an unprivileged user what root set up" {
  need_root
  prepare
  chmod 777 "$GATESHIFT_RUN" "$GATESHIFT_RUN/gw-a.sock"
  chown -R $NOBODY:$NOBODY "$GATESHIFT_STATE"
  # Root's files in the folder of another user are that user's.
  make_volume gw-a w 1M
  rm -r "${GATESHIFT_STATE:?}"/*
  route-set v gw-a >/dev/null
  route-set w gw-a >/dev/null
  install "$BUILD/bin/route-director" .
  start director setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups \
    ./route-director --listen "unix:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 control help
  nbdcopy "$(director_uri v)" - | cmp - gw-a/v
  # Root goes on with the same files, and the director after it.
  stop director
  route-set w gw-a --size 512K >/dev/null
  start director setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups \
    ./route-director --listen "unix:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 control help
  [[ $(nbdinfo --size "$(director_uri w)") == 524288 ]]
  run -0 find "$GATESHIFT_STATE" ! -user $NOBODY
  [[ -z $output ]]
}

@test "route-director: a state folder that it may not write is refused at once, one within it by name" {
  need_root
  prepare
  chmod 777 "$GATESHIFT_RUN" "$GATESHIFT_RUN/gw-a.sock"
  install "$BUILD/bin/route-director" .
  run --separate-stderr -73 as_nobody ./route-director --listen "unix:$GATESHIFT_RUN/nbd.sock"
  [[ $stderr == "route-director: cannot use state folder '$GATESHIFT_STATE': permission denied" ]]
  mkdir -p "$GATESHIFT_STATE/serving"
  chown $NOBODY "$GATESHIFT_STATE" "$GATESHIFT_STATE/routes.log"
  start director setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups \
    ./route-director --listen "unix:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 control help
  run -1 nbdinfo --size "$(director_uri v)"
  wait_for 5 grep -qF "volume 'v': cannot lock it in '$GATESHIFT_STATE/serving': permission denied" director.log
}

@test "route-director: the control socket is for root and its own user" {
  need_root
  serve
  [[ $(stat -c %a "$GATESHIFT_RUN/director.sock") == 600 ]]
  run as_nobody bash -c "echo help | socat -t 5 - UNIX-CONNECT:'$GATESHIFT_RUN/director.sock'"
  ((status != 0))
  [[ $output == *ermission\ denied* ]]
  [[ ! -s director.log ]]
  # Also when the socket's mode lets it.
  chmod 666 "$GATESHIFT_RUN/director.sock"
  run as_nobody bash -c "echo help | socat -t 5 - UNIX-CONNECT:'$GATESHIFT_RUN/director.sock' 2>/dev/null"
  [[ -z $output ]]
  wait_for 5 grep -qx 'route-director: control connection of another user refused' director.log
  control help
}

# ---- who may open what ----

# refused_to URI: by the director's policy.
refused_to()
{
  run -1 nbdinfo --size "$1"
  [[ $output == *"server policy prevents"* ]]
}

@test "route-director: volumes.csv says which clients open a volume" {
  make_volume gw-a w 1M
  make_volume gw-a x 1M
  volumes "v,,auto,,uid:$(($(id -u) + 1)) 192.0.2.0/24" "w,,auto,,uid:$(id -u)" x,,auto,,
  serve
  route-set w gw-a >/dev/null
  route-set x gw-a >/dev/null
  refused_to "$(director_uri v)"
  [[ $(<director.log) == \
    "route-director: client uid:$(id -u): volume 'v' refused: volumes.csv does not admit the client" ]]
  nbdinfo --size "$(director_uri w)"
  nbdinfo --size "$(director_uri x)"
  # Option reply NBD_REP_ERR_POLICY to GO, with the reason.
  [[ $(raw 61 "$(go v)") == *"0003e889045565a9$(be32 7)80000002$(be32 23)$(printf %s \
    'not open to this client' | od -An -tx1 -v | tr -d ' \n')" ]]
}

@test "route-director: a TCP client is admitted by its address, and noticed when it is dead" {
  local port tries
  prepare
  volumes v,,auto,,127.0.0.0/8
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + RANDOM))
    start_director --listen "127.0.0.1:$port" || true
    ! kill -0 "${PIDS[director]}" || break
  done
  refused_to "$(director_uri v)"
  hex "$(go v)" >tcp.in
  start tcp socat "OPEN:tcp.in,rdonly,ignoreeof!!OPEN:tcp.out,creat,wronly" "TCP:127.0.0.1:$port"
  wait_for 10 control status v
  # The timer that runs is the one of keep-alive (proc_net_tcp: 02).
  wait_for 10 kept_alive "$(printf %04X "$port")"
  volumes v,,auto,,192.0.2.1
  refused_to "nbd://127.0.0.1:$port/v"
}

# kept_alive PORT: the director's end of a connection.
kept_alive()
{
  awk -v port="$1" '$2 ~ ":" port "$" && $4 == "01" && $6 ~ /^02:/ {n++} END {exit !n}' /proc/net/tcp
}

@test "route-director: a list shows a client what it may open" {
  make_volume gw-a w 1M
  volumes "v,,auto,,uid:$(($(id -u) + 1))"
  serve
  route-set w gw-a >/dev/null
  run --separate-stderr -0 nbdinfo --list --json "nbd+unix:///?socket=$GATESHIFT_RUN/nbd.sock"
  [[ $(jq -r '.exports[]."export-name"' <<<"$output" | xargs) == w ]]
}

@test "route-director: a change of volumes.csv counts from the next client on" {
  serve
  raw_start c1 "$(go v)"
  wait_for 10 control status v
  volumes "v,,auto,,uid:$(($(id -u) + 1))"
  refused_to "$(director_uri v)"
  volumes "v,,auto,,uid:$(id -u)"
  nbdinfo --size "$(director_uri v)"
  rm "$GATESHIFT_CONFIG/volumes.csv"
  nbdinfo --size "$(director_uri v)"
  # Who is in stays in.
  [[ $(control status v) == *" clients=1 "* ]]
}

@test "route-director: a volumes.csv that is broken admits nobody, with the reason" {
  serve
  volumes v,,auto,,uid:x
  run -1 nbdinfo --size "$(director_uri v)"
  [[ $output == *"server policy prevents"* ]]
  [[ $(<director.log) == "route-director: client uid:$(id -u): volume 'v' refused: \
$GATESHIFT_CONFIG/volumes.csv:2: client 'uid:x' is not an address, a prefix, uid:N or *" ]]
  run --separate-stderr -0 nbdinfo --list --json "nbd+unix:///?socket=$GATESHIFT_RUN/nbd.sock"
  [[ $(jq '.exports | length' <<<"$output") == 0 ]]
  wait_for 5 grep -q 'no volume is listed$' director.log
  volumes v,,auto,,
  nbdinfo --size "$(director_uri v)"
}

@test "route-director: refusals are a line a second, with the number of the others" {
  volumes v,,auto,,uid:4000000000
  serve
  local begin=$SECONDS n=0
  # Until a line counts some: one a second has to.
  until grep -q 'more since the last line)$' director.log; do
    refused_to "$(director_uri v)"
    n=$((n + 1))
    ((SECONDS - begin < 20))
  done
  (($(lines "volume 'v' refused") <= SECONDS - begin + 1))
  (($(lines "volume 'v' refused") < n))
}

# ---- limits ----

@test "route-director: no more clients than --max-clients, and one goes for another to come" {
  serve --max-clients 2
  raw_start c1 "$(go v)"
  raw_start c2 "$(go v)"
  wait_for 10 two_clients
  [[ -z $(raw 1 "$GREETED") ]]
  [[ $(<director.log) == "route-director: a client was turned away: 2 are connected (--max-clients)" ]]
  control help # is not counted
  kill_hard c1
  wait_for 10 nbdinfo --size "$(director_uri v)"
}

two_clients()
{
  [[ $(control status v) == *" clients=2 "* ]]
}

@test "route-director: takes all the descriptors it may have, and says if they do not suffice" {
  prepare
  start director prlimit --nofile=64:100 route-director --max-clients 90 \
    --listen "unix:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 control help
  grep -qE '^Max open files +100 +100 ' "/proc/${PIDS[director]}/limits"
  [[ $(<director.log) == \
    "route-director: 90 clients (--max-clients) do not fit in the limit of 100 open files" ]]
}

# ---- changes of routes ----

# Both gateways hold volume v, c1 has it open, and the director cannot be told.
serve_unreachable()
{
  make_volume gw-b v 1M
  start_gateway gw-b
  serve
  mv "$GATESHIFT_RUN/director.sock" moved.sock
  hex "$(go v)" >c1.in
  start c1 socat "OPEN:c1.in,rdonly,ignoreeof!!OPEN:c1.out,creat,wronly" \
    "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock"
  wait_for 10 served_by gw-a
}

served_by()
{
  echo "status v" | socat -t 30 - "UNIX-CONNECT:$GS/moved.sock" | grep -q "^volume=v owner=$1 "
}

# force GATEWAY: whether route-set still finds somebody to tell, and fails, is a race.
force()
{
  route-set v "$1" --force >force.out 2>&1 || (($? == 69))
  route-set v | grep -q "^v,$1,"
}

not_running()
{
  ! kill -0 "${PIDS[$1]}"
}

@test "route-director: a route that was changed by force is followed at once, also untold" {
  serve_unreachable
  force gw-b
  wait_for 10 not_running c1
  [[ $(<director.log) == \
    "route-director: volume 'v': the route was changed: its 1 client connections are closed" ]]
  qemu-io -f raw -c 'write -P 7 0 4k' "$(director_uri v)" >/dev/null
  run -0 qemu-io -f raw -r -c 'read -P 7 0 4k' gw-b/v
  [[ $output != *failed* ]]
  run -0 qemu-io -f raw -r -c 'read -P 0 0 4k' gw-a/v
  [[ $output != *failed* ]]
}

@test "route-director: changes of other volumes' routes, and a new log file, disturb nobody" {
  serve_unreachable
  local inode
  inode=$(stat -c %i "$GATESHIFT_STATE/routes.log")
  for _ in {1..150}; do
    route-set w gw-a >/dev/null
    route-set w gw-b >/dev/null
  done
  [[ $(stat -c %i "$GATESHIFT_STATE/routes.log") != "$inode" ]] # it was compacted
  not_running c1 && return 1
  [[ ! -s director.log ]]
  # The watch has followed it.
  force gw-b
  wait_for 10 not_running c1
  [[ $(lines 'the route was changed') == 1 ]]
}

@test "route-director: a change by force ends a move that is open, and clients go on at the new owner" {
  make_volume gw-c v 1M
  start_gateway gw-c
  move_setup
  local driver=$GATESHIFT_RUN/director.sock
  driver_start
  raw_start c1 "$(go v)"
  wait_for 10 status_is clients 1
  drive begin v 1 gw-b
  mv "$driver" moved.sock
  force gw-c
  wait_for 10 grep -q "volume 'v': the route was changed" director.log
  say claim v copy 65536
  hear && return 1
  [[ $REPLY_LINE == "err ECONNABORTED the route was changed" ]]
  driver_kill
  wait_for 10 nbdinfo --size "$(director_uri v)"
  raw_start c2 "$(go v)"
  wait_for 10 served_by gw-c
  route-set v | grep -q '^v,gw-c,2,steady,'
}

@test "route-director: what its unit calls for a reload has it open its log again" {
  local command
  command=$(sed -n 's/^ExecReload=//p' "$SRC/share/units/gateshift-director.service")
  serve --access-log "$GS/access.csv"
  wait_for 10 test -s access.csv
  mv access.csv rotated.csv
  # systemd makes one $ of two.
  MAINPID=${PIDS[director]} bash -c "${command//'$$'/'$'}"
  wait_for 10 test -s access.csv
}
