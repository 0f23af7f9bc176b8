#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# S9: gateways that do not promise one cache to several connections.  They get one, the director's,
# and what copies goes through a private export of the director.
# shellcheck disable=SC2034,SC2154 # faults.bash uses them, run sets them
load helpers
load mover
load client
load verifier
load faults

teardown()
{
  # It goes into the background by itself: in the foreground it takes one client and ends.
  [[ ! -e nbd-server.pid ]] || kill "$(<nbd-server.pid)" || true
  common_teardown
}

# lone NAME: qemu-nbd as it is by default, which takes one connection, with the volume's file.
lone()
{
  [[ " ${GATEWAYS[*]} " == *" $1 "* ]] || GATEWAYS+=("$1")
  rm -f "$GATESHIFT_RUN/$1.sock"
  start "$1" qemu-nbd --persistent --cache=writeback -f raw -x v --socket "$GATESHIFT_RUN/$1.sock" "$1/v"
  wait_for 10 test -S "$GATESHIFT_RUN/$1.sock"
}

# lone_fleet SIZE [DIRECTOR-ARGUMENT...]: v of SIZE random bytes on gw-a, an export of zeros on gw-b,
# both of one connection, without hooks; a director.
lone_fleet()
{
  make_volume gw-a v "$1"
  make_volume gw-b v "$1"
  head -c "$1" /dev/urandom >gw-a/v
  cp gw-a/v expected
  lone gw-a
  lone gw-b
  write_gateways
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
  route-set v gw-a --size "$(stat -c %s expected)" >/dev/null
  start_director --quarantine 200ms "${@:2}"
}

# ---- the director's private exports ----

# mono NAME [NBDKIT-ARGUMENT...]: nbdkit, which does not promise multi-conn.
mono()
{
  start_gateway "$1" --filter=multi-conn multi-conn-mode=disable "${@:2}"
}

# mono_setup [DIRECTOR-ARGUMENT...]: as move_setup, 1 MiB, with gateways that do not promise it.
mono_setup()
{
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  mono gw-a
  mono gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director "$@"
}

# word KEY: of the last reply.  private SIDE: the URI of the private export that begin handed out.
word()
{
  grep -o "\b$1=[^ ]*" <<<"$REPLY_LINE" | cut -d= -f2
}

begin()
{
  drive begin v 1 gw-b
  SOURCE="nbd+unix:///$(word source)?socket=$GATESHIFT_RUN/director.copy"
  TARGET="nbd+unix:///$(word target)?socket=$GATESHIFT_RUN/director.copy"
}

# says WORDS COMMAND...: qemu-io's answer to a command on an export holds the words.
says()
{
  local words=$1 uri=$2 out ro=""
  shift 2
  [[ $uri != *-source?* ]] || ro=-r
  out=$(qemu-io ${ro:+"$ro"} -t none -f raw -c "$*" "$uri" 2>&1) || true
  [[ $out == *"$words"* ]] || {
    echo "$*: $out" >&2
    return 1
  }
}

@test "S9: begin hands out private exports of sides without multi-conn, and of no others" {
  mono_setup
  driver_start
  drive begin v 1 gw-b
  [[ $REPLY_LINE =~ ^ok\ 65536\ 1048576\ new\ source=0-[0-9a-f]{32}-source\ target=0-[0-9a-f]{32}-target\ at\ (.*)$ ]]
  [[ ${BASH_REMATCH[1]} == "$GATESHIFT_RUN/director.copy" ]]
  [[ $(stat -c %a run/director.copy) == 600 ]]
  status_is private both
  drive abort v
  kill_hard gw-b
  start_gateway gw-b
  drive begin v 1 gw-b
  [[ $REPLY_LINE == *" new source=0-"*" at $GATESHIFT_RUN/director.copy" && $REPLY_LINE != *target=* ]]
  status_is private source
  driver_kill
  wait_for 10 status_is private source
}

@test "S9: the source's private export is read-only and shows the volume" {
  mono_setup
  driver_start
  begin
  nbdcopy "$SOURCE" seen
  cmp seen gw-a/v
  [[ $(nbdinfo --size "$SOURCE") -eq 1048576 ]]
  nbdinfo --is readonly "$SOURCE"
  nbdinfo --can multi-conn "$SOURCE"
  put 7 64k 4k
  local before
  before=$(status_of requests)
  says "read 4096" "$SOURCE" read -P 7 64k 4k
  # A copier is no client.
  status_is requests "$before"
  status_is clients 0
}

@test "S9: the target's private export takes writes only where the driver has a claim" {
  mono_setup
  driver_start
  begin
  says "Operation not permitted" "$TARGET" write -P 5 0 64k
  drive claim v copy 131072
  [[ $REPLY_LINE == "ok "*" 0 131072" ]]
  says "wrote 65536" "$TARGET" write -P 5 64k 64k
  says "wrote 65536" "$TARGET" write -z 0 64k
  says "read 65536" "$TARGET" read -P 5 64k 64k
  says "Operation not permitted" "$TARGET" write -P 5 64k 128k
  drive synced v "$(cut -d' ' -f2 <<<"$REPLY_LINE")"
  says "Operation not permitted" "$TARGET" write -P 6 64k 64k
  status_is synced 131072
  holds gw-b 5 64k 64k
}

@test "S9: a private export is its driver's: it ends with it, and the next one gets another" {
  mono_setup
  driver_start
  begin
  local old=$SOURCE
  run -0 nbdinfo --list --json "nbd+unix:///?socket=$GATESHIFT_RUN/director.copy"
  [[ $output == *'"exports": []'* ]]
  run -1 nbdinfo "nbd+unix:///v?socket=$GATESHIFT_RUN/director.copy"
  run -1 nbdinfo "$(director_uri "$(word source)")"
  start reader qemu-io -r -f raw -c 'sleep 100000' "$SOURCE"
  wait_for 10 nbdinfo --size "$SOURCE"
  driver_kill
  wait_for 10 status_is phase replicate
  wait_for 10 refused "$old"
  driver_start
  begin
  [[ $SOURCE != "$old" ]]
  nbdinfo --size "$SOURCE"
  refused "$old"
}

refused()
{
  ! nbdinfo --size "$1" 2>/dev/null
}

# slow_target: gw-b's writes are not answered while $GS/stay is there.
slow_target()
{
  kill_hard gw-b
  rm -f run/gw-b.sock
  # shellcheck disable=SC2016 # nbdkit expands it
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" eval thread_model='echo parallel' \
    get_size="stat -c %s '$GS/gw-b/v'" can_flush='exit 0' can_write='exit 0' flush='exit 0' \
    pread="dd if='$GS/gw-b/v' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=64K status=none" \
    pwrite="touch '$GS/came'; while test -e '$GS/stay'; do sleep 0.02; done
      dd of='$GS/gw-b/v' oflag=seek_bytes seek=\$4 bs=64K conv=notrunc status=none"
  wait_for 10 nbdinfo --size "$(gateway_uri gw-b v)"
}

# copy_privately, prove_privately: all of the volume in one claim, through the private exports.
copy_privately()
{
  local claim
  drive claim v copy 1048576
  read -ra claim <<<"$REPLY_LINE"
  [[ "${claim[2]} ${claim[3]}" == "0 1048576" ]]
  nbdcopy "$SOURCE" "$TARGET"
  drive synced v "${claim[1]}"
}

prove_privately()
{
  local claim
  drive claim v prove 1048576
  read -ra claim <<<"$REPLY_LINE"
  [[ "${claim[2]} ${claim[3]}" == "0 1048576" ]]
  nbdcopy "$SOURCE" source.img
  nbdcopy "$TARGET" target.img
  cmp source.img target.img
  drive proved v "${claim[1]}"
}

@test "S9: a hold does not hold copiers, and the switch ends what they have" {
  mono_setup
  driver_start
  begin
  drive mirror v
  copy_privately
  client_start
  drive hold v 20000
  tell write -P 9 0 4k
  wait_for 10 status_is held 1
  prove_privately
  drive flush v
  drive switch v 1
  wait_for 15 prompted
  holds gw-b 9 0 4k
  refused "$SOURCE"
  refused "$TARGET"
  owner_is gw-b 2 uncommitted
  no_failure
}

@test "S5: what a copier has in flight, or wrote since the flush, keeps the switch from being made" {
  mono_setup
  slow_target
  driver_start
  begin
  drive mirror v
  copy_privately
  prove_privately
  drive flush v
  put 3 0 4k # mirrored: not proved
  drive claim v prove 4096
  drive hold v 20000
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *"4096 not proved"* ]]
  # A claim to copy is what a write needs; a trim makes the block dirty.
  drive unhold v
  qemu-io -f raw -c 'discard 64k 64k' "$(director_uri v)" >/dev/null
  drive claim v copy 65536
  touch stay
  rm -f came
  start writer qemu-io -f raw -c 'write -P 4 64k 64k' "$TARGET"
  wait_for 10 test -e came
  refuses ETIMEDOUT hold v 300
  rm stay
}

@test "S2: a copier's write that outlives it is waited for before its block is given out again" {
  mono_setup --quarantine 0s
  slow_target
  driver_start
  begin
  drive claim v copy 65536
  touch stay
  start writer qemu-io -f raw -c 'write -P 4 0 64k' "$TARGET"
  wait_for 10 test -e came
  driver_kill
  wait_for 10 status_is haunted 65536
  driver_start
  begin
  [[ $REPLY_LINE == *" attached "* ]]
  # The quarantine is over, but the write is not.
  drive claim v copy 1048576
  [[ $REPLY_LINE == "ok "*" 65536 983040" ]]
  sleep 0.3 # several looks at what is haunted
  status_is haunted 65536
  says "Operation not permitted" "$TARGET" write -P 5 0 64k
  rm stay
  wait_for 10 status_is haunted 0
  drive claim v copy 65536
  [[ $REPLY_LINE == "ok "*" 0 65536" ]]
  holds gw-b 4 0 64k
}

@test "S3: a target that is lost ends its private export and the move, and nothing else" {
  mono_setup
  driver_start
  begin
  client_start
  ask write -P 1 0 4k
  kill_hard gw-b
  wait_for 10 status_is phase failed
  refused "$TARGET"
  refuses ECONNABORTED claim v copy 65536
  ask write -P 2 0 4k
  no_failure
  owner_is gw-a 1 steady
}

@test "S17: a source that is away ends its copiers' connections, and lets them in when it is back" {
  mono_setup --quarantine 0s
  driver_start
  begin
  kill_hard gw-a
  wait_for 10 status_is phase stalled
  refused "$SOURCE"
  nbdinfo --size "$TARGET"
  mono gw-a
  wait_for 10 status_is phase replicate
  nbdinfo --size "$SOURCE"
}

@test "S9: private exports of a volume that lives in another thread" {
  local n
  for n in 2 3 5 7; do
    mono_setup --threads "$n"
    driver_start
    begin
    copy_privately
    [[ $SOURCE == *"///0-"* ]] || return 0
    driver_kill
    kill_hard director
    kill_hard gw-a
    kill_hard gw-b
    rm -r state/*
  done
  false
}

@test "S9: where no socket for copiers can be made, gateways that need it are refused" {
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  mono gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  mkdir run/director.copy
  start_director
  grep -q "gateways without multi-conn take part in no move: cannot listen on '$GATESHIFT_RUN/director.copy'" director.log
  driver_start
  refuses EOPNOTSUPP begin v 1 gw-b
  kill_hard gw-a
  start_gateway gw-a
  drive begin v 1 gw-b || wait_for 10 drive begin v 1 gw-b
  [[ $REPLY_LINE == "ok 65536 1048576 new" ]]
}

# ---- migrate-exec ----

# fio_start SECONDS: a client that writes at random and verifies all the while.  fio_good: it has
# ended, and met no error and no wrong byte.
fio_start()
{
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k --iodepth=4 \
    --size=8M --rate_iops=400 --time_based --runtime="$1" --verify=crc32c --verify_backlog=64 \
    --verify_fatal=1 --serialize_overlap=1 --norandommap --randrepeat=1
  wait_for 10 status_is clients 1
}

fio_good()
{
  kill -INT "${PIDS[fio]}"
  exit_status fio
  ((REPLY == 0 || REPLY == 128)) # 128: it was told to end
  run -1 grep -iE 'verify.*(bad|fail)|err= *[1-9]' fio.log
}

# served_by GATEWAY: what clients read is what its file has, once it is flushed.
served_by()
{
  qemu-io -f raw -c flush "$(director_uri v)" >/dev/null
  nbdcopy "$(director_uri v)" served
  cmp served "$1/v"
}

@test "S9: qemu-nbd with its one connection as source and target, under a verifying client" {
  lone_fleet 8M
  fio_start 60
  run --separate-stderr -0 migrate-exec --window 20000 --overwrite <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,handover,switched,* && ${lines[-1]} =~ digest=[0-9a-f]{32} ]]
  owner_is gw-b 2 uncommitted
  run --separate-stderr -0 migrate-exec --commit v-2
  owner_is gw-b 2 steady
  run --separate-stderr -0 migrate-exec --window 20000 <(plan gw-b gw-a 2)
  owner_is gw-a 3 uncommitted
  run --separate-stderr -0 migrate-exec --window 20000 --revert v-3
  owner_is gw-b 4 uncommitted
  fio_good
  served_by gw-b
}

@test "S9: gateways that refuse a second connection, under a verifying client" {
  make_volume gw-a v 8M
  head -c 8M /dev/urandom >gw-a/v
  mono gw-a --filter=limit limit=1
  mono gw-b --filter=limit limit=1
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
  fio_start 60
  run --separate-stderr -0 migrate-exec --window 20000 <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
  [[ ${lines[-1]} =~ digest=[0-9a-f]{32} ]]
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ ! -e gw-a/v ]]
  fio_good
  served_by gw-b
}

@test "S9, S16: a copy on a gateway of one connection is mirrored, and reverted to" {
  lone_fleet 8M --reverse-timeout 60s
  fio_start 60
  run --separate-stderr -0 migrate-exec --keep-mirrored --window 20000 --overwrite <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
  status_is reverse on
  run --separate-stderr -0 migrate-exec --window 20000 --revert v-2
  owner_is gw-a 3 uncommitted
  fio_good
  served_by gw-a
}

@test "S9: from nbd-server to a gateway with multi-conn, and back" {
  make_volume gw-a v 4M
  head -c 4M /dev/urandom >gw-a/v
  GATEWAYS+=(gw-a)
  printf '[generic]\nunixsock = %s\n[v]\nexportname = %s\nflush = true\nfua = true\n' \
    "$GATESHIFT_RUN/gw-a.sock" "$GS/gw-a/v" >nbd.conf
  nbd-server -C nbd.conf -p "$GS/nbd-server.pid" >nbd-server.log 2>&1 3>&-
  wait_for 10 nbdinfo --size "$(gateway_uri gw-a v)"
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
  cp gw-a/v expected
  client_start
  ask write -P 1 0 4k
  run --separate-stderr -0 migrate-exec --window 20000 <(plan gw-a gw-b 1)
  owner_is gw-b 2 uncommitted
  ask write -P 2 64k 4k
  run --separate-stderr -0 migrate-exec --window 20000 --revert v-2
  owner_is gw-a 3 uncommitted
  ask write -P 3 128k 4k
  ask flush
  no_failure
  holds gw-a 1 0 4k
  holds gw-a 2 64k 4k
  holds gw-a 3 128k 4k
  cmp -i 132K gw-a/v expected
}

@test "S9: --check and --dry-run with a gateway whose one connection the director has" {
  lone_fleet 1M
  run --separate-stderr -0 migrate-exec --check v
  [[ $output == *"ok    v on gw-a: 1048576 bytes, flush, no multi-conn, "*": one connection, a move copies through the director"* ]]
  [[ $output == *"ok    v on gw-b: 1048576 bytes, flush, no multi-conn, "*": one connection, a move copies through the director"* ]]
  client_start
  run --separate-stderr -0 migrate-exec --check v
  [[ $output == *"ok    gateway gw-a: the director has the one connection that it takes"* ]]
  [[ $output == *"ok    v on gw-a: one connection, which the director has: a move copies through it"* ]]
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"dry run: at most 1048576 bytes to move; pause at most "* ]]
}

@test "S9: route-set --verify asks no gateway whose one connection the director has" {
  lone_fleet 1M
  rm -f "$GATESHIFT_RUN/gw-b.sock"
  kill_hard gw-b
  start_gateway gw-b
  rm gw-b/v
  client_start
  run --separate-stderr -0 route-set --verify --timeout 2s v
  [[ ${lines[1]} == v,gw-a,1,steady,gw-a,1,gw-a,ok, ]]
  # Nor the target of an open move.
  stop_gateway gw-b
  truncate -s 1M gw-b/v
  lone gw-b
  driver_start
  drive begin v 1 gw-b
  run --separate-stderr -0 route-set --verify --timeout 2s v
  [[ ${lines[1]} == v,gw-a,1,moving,gw-a,1,"gw-a gw-b",ok, ]]
}

# ---- kill -9, with qemu-nbd as gateways (faults.bash) ----

# gateway NAME: qemu-nbd, with one connection, and behind it a disk whose write-back cache dies with
# it and whose flush a test can hold up.
gateway()
{
  cached "$1"
  mv "$GATESHIFT_RUN/$1.sock" "$GATESHIFT_RUN/$1.disk"
  PIDS[$1.disk]=${PIDS[$1]}
  start "$1" qemu-nbd --persistent -f raw -x v --socket "$GATESHIFT_RUN/$1.sock" \
    "nbd+unix:///v?socket=$GATESHIFT_RUN/$1.disk"
  wait_for 10 test -S "$GATESHIFT_RUN/$1.sock"
}

kill_gateway()
{
  kill_hard "$1"
  kill_hard "$1.disk"
  rm -f "$GATESHIFT_RUN/$1".{sock,disk}
}

# fleet: as in faults.bash, but the target's export is there, made by hand, of zeros.
fleet()
{
  EXEC_ARGS=(--overwrite)
  DIRECTOR_ARGS="--leg-timeout 20s ${DIRECTOR_ARGS-}" # a machine may be slow, too
  GATEWAYS+=(gw-a gw-b)
  make_volume gw-a v 1M
  make_volume gw-b v 1M
  head -c 1M /dev/urandom >gw-a/v
  cp gw-a/v expected
  gateway gw-a
  gateway gw-b
  write_gateways
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 200ms
  start client verifier 256
  wait_for 10 test -s acknowledged
}

@test "S9, I4: qemu-nbd, kill -9 of migrate-exec in replicate: one owner, all that was acknowledged" {
  survives exec replicate
}

@test "S9, I4: qemu-nbd, kill -9 of the director in replicate: one owner, all that was acknowledged" {
  survives director replicate
}

@test "S9, I4: qemu-nbd, kill -9 of the source gateway in replicate: one owner, all that was acknowledged" {
  survives gw-a replicate
}

@test "S9, I4: qemu-nbd, kill -9 of the target gateway in replicate: one owner, all that was acknowledged" {
  survives gw-b replicate
}

@test "S9, I4: qemu-nbd, kill -9 of migrate-exec in hold: one owner, all that was acknowledged" {
  survives exec hold
}

@test "S9, I4: qemu-nbd, kill -9 of the director in hold: one owner, all that was acknowledged" {
  survives director hold
}

@test "S9, I4: qemu-nbd, kill -9 of the source gateway in hold: one owner, all that was acknowledged" {
  survives gw-a hold
}

@test "S9, I4: qemu-nbd, kill -9 of the target gateway in hold: one owner, all that was acknowledged" {
  survives gw-b hold
}

@test "S9, S17: qemu-nbd, a source that dies in the hold is replaced" {
  DIRECTOR_ARGS="--promote-after 100ms"
  fleet
  move_until hold
  kill_gateway gw-a
  release
  wait_for 20 owned gw-b 2 uncommitted
  exit_status exec
  ((REPLY == 0))
  [[ $(last_event) == retire,switched ]]
  client_done
  complete
}
