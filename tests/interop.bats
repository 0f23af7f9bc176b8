#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The director between the clients and the servers that people run: each must find it no other than
# a server of its own.  What it makes up where a gateway lacks something is held to here as well.
load helpers

LOGGED=requests.log # of nbdkit's log filter: what the director sent to the gateway

setup()
{
  common_setup
  SOCKET=$GATESHIFT_RUN/gw-a.sock
  DIRECT=$(gateway_uri gw-a v)
  URI=$(director_uri v)
}

teardown()
{
  [[ ! -e nbd-server.pid ]] || kill "$(<nbd-server.pid)" || true
  common_teardown
}

# behind_director COMMAND...: starts a server that offers v on $SOCKET, and a director before it.
behind_director()
{
  start gw-a "$@"
  wait_for 10 nbdinfo --size "$DIRECT"
  direct_it
}

direct_it()
{
  GATEWAYS+=(gw-a)
  write_gateways
  route-set v gw-a >/dev/null
  start_director
}

# behind_nbdkit ARGUMENT...: the same with nbdkit.
behind_nbdkit()
{
  behind_director nbdkit -f --unix "$SOCKET" "$@"
}

# behind_qemu_nbd ARGUMENT...: the same with qemu-nbd, which goes on when a client goes.
behind_qemu_nbd()
{
  behind_director qemu-nbd --persistent --socket="$SOCKET" --export-name=v "$@"
}

# behind_nbd_server: the same with nbd-server, told no more than what it must be told.  It goes
# into the background by itself: in the foreground it takes one client only.
behind_nbd_server()
{
  cat >nbd-server.conf <<END
[generic]
unixsock = $SOCKET
[v]
exportname = $GS/image
END
  nbd-server -C nbd-server.conf -p "$GS/nbd-server.pid" >nbd-server.log 2>&1 3>&-
  wait_for 10 nbdinfo --size "$DIRECT"
  direct_it
}

unserved()
{
  ! control status "$1"
}

# on_volume COMMAND...: runs qemu-io's commands on the volume; none may fail.
on_volume()
{
  local command arguments=()
  for command in "$@"; do
    arguments+=(-c "$command")
  done
  run -0 qemu-io -f raw "${arguments[@]}" "$URI"
  [[ $output != *[Ff]ailed* && $output != *rror* ]]
}

# sparse_image FILE: 64 MiB of holes, data and odd places.
sparse_image()
{
  truncate -s 64M "$1"
  head -c 300000 /dev/urandom | dd of="$1" bs=4k seek=256 conv=notrunc status=none
  head -c 4096 /dev/urandom | dd of="$1" bs=4k seek=8191 conv=notrunc status=none
  head -c 1000 /dev/urandom | dd of="$1" bs=4k seek=16000 conv=notrunc status=none
}

# as_told KEY...: these keys of what the volume is told to be are true, and all others false.
as_told()
{
  local told
  told=$(nbdinfo --json "$URI" | jq -r '.exports[0] | to_entries[]
    | select(.value == true) | .key' | sort | xargs)
  [[ $told == "$(printf '%s\n' "$@" | sort | xargs)" ]] || { echo "told: $told" && false; }
}

# ---- clients ----

@test "interop: nbdcopy up and down, on several connections, keeps every byte" {
  truncate -s 64M image
  behind_nbdkit file "$GS/image"
  sparse_image in
  nbdcopy --flush --connections=4 --requests=64 in "$URI"
  cmp in image
  nbdcopy --connections=4 --threads=2 "$URI" out
  cmp in out
  nbdcopy --synchronous "$URI" - | cmp in
  nbdcopy --request-size=$((32 << 20)) --connections=1 in "$URI"
  nbdcopy --request-size=$((32 << 20)) --connections=4 "$URI" out
  cmp in out
}

@test "interop: nbdcopy leaves holes where there were holes" {
  truncate -s 64M image
  behind_nbdkit file "$GS/image"
  sparse_image in
  nbdcopy --destination-is-zero in "$URI"
  cmp in image
  (($(du -k image | cut -f 1) < 2048))
  [[ $(nbdinfo --map "$URI") == "$(nbdinfo --map "$DIRECT")" ]]
  nbdcopy --sparse=4096 "$URI" out
  cmp in out
  (($(du -k out | cut -f 1) < 2048))
  nbdcopy --allocated in "$URI" # now all of it
  cmp in image
  (($(du -k image | cut -f 1) >= 65536))
}

@test "interop: nbdcopy from one volume to another" {
  mkdir files
  sparse_image files/v
  truncate -s 64M files/w
  behind_nbdkit file dir="$GS/files"
  route-set w gw-a >/dev/null
  nbdcopy --connections=4 "$URI" "$(director_uri w)"
  cmp files/v files/w
}

@test "interop: nbdinfo is told what the gateway has and what the director adds" {
  truncate -s 3M image
  behind_nbdkit file "$GS/image"
  run --separate-stderr -0 nbdinfo --json "$URI"
  [[ $(jq -c '[.structured, .TLS, .exports[0]."export-size", .exports[0].contexts]' \
    <<<"$output") == '[true,false,3145728,["base:allocation"]]' ]]
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  local what
  for what in cache df fast-zero flush fua multi-conn trim zero structured-reply read write; do
    nbdinfo --can "$what" "$URI"
  done
  run --separate-stderr -0 nbdinfo --list --json "nbd+unix:///?socket=$GATESHIFT_RUN/nbd.sock"
  [[ $(jq -r '.exports[]."export-name"' <<<"$output") == v ]]
  run --separate-stderr -0 nbdinfo --content "$URI"
  [[ $output == *"content: data"* ]]
}

@test "interop: nbdinfo's maps through the director are the gateway's" {
  sparse_image image
  behind_nbdkit file "$GS/image"
  run --separate-stderr -0 nbdinfo --map --json "$URI"
  [[ $output == "$(nbdinfo --map --json "$DIRECT")" ]]
  (($(jq length <<<"$output") >= 6))
  [[ $(nbdinfo --map --totals "$URI") == "$(nbdinfo --map --totals "$DIRECT")" ]]
}

@test "interop: qemu-img converts, compares, maps and benches" {
  truncate -s 64M image
  behind_nbdkit file "$GS/image"
  sparse_image in
  qemu-img convert -n -W -m 16 -f raw -O raw in "$URI"
  cmp in image
  run -0 qemu-img compare -f raw -F raw in "$URI"
  qemu-img convert -f raw -O qcow2 "$URI" out.qcow2
  run -0 qemu-img compare -f qcow2 -F raw out.qcow2 "$URI"
  run -0 qemu-img compare -s -f raw -F raw "$DIRECT" "$URI" # also in what is allocated
  [[ $(qemu-img map -f raw --output=json "$URI") == \
    "$(qemu-img map -f raw --output=json "$DIRECT")" ]]
  [[ $(qemu-img info -f raw --output=json "$URI" | jq '."virtual-size"') == 67108864 ]]
  run -0 qemu-img bench -f raw -c 300 -d 16 -s 8k "$URI"
  run -0 qemu-img bench -f raw -w -c 300 -d 16 -s 8k --flush-interval=50 "$URI"
}

@test "interop: qemu-io writes, zeroes, discards, flushes and reads at any place" {
  truncate -s 64M image
  behind_nbdkit file "$GS/image"
  on_volume 'write -P 1 0 1M' 'write -z 64k 64k' 'write -z -u 256k 64k' 'discard 512k 64k' \
    'write -f -P 2 768k 4k' 'write -f -z 800k 4k' flush 'write -P 3 1 1' 'write -P 4 65537 513' \
    'writev -P 5 832k 512 1024 4k' 'aio_write -P 6 2M 64k' 'aio_write -f -P 7 3M 64k' \
    'aio_write -z 4M 64k' 'aio_read -P 1 128k 4k' aio_flush \
    'read -P 1 0 1' 'read -P 3 1 1' 'read -P 1 2 65534' 'read -P 0 64k 1' 'read -P 4 65537 513' \
    'read -P 0 66050 65022' 'read -P 0 256k 64k' 'read -P 0 512k 64k' 'read -P 2 768k 4k' \
    'read -P 0 800k 4k' 'readv -P 5 832k 512 1024 4k' 'read -P 6 2M 64k' 'read -P 7 3M 64k' \
    'read -P 0 4M 64k' 'alloc 0 64M' map length
}

@test "interop: qemu-io's requests of 32 MiB" {
  truncate -s 64M image
  behind_nbdkit file "$GS/image"
  on_volume 'write -P 1 0 32M' 'write -P 2 32M 32M' 'write -f -P 3 16M 32M' 'read -P 1 0 16M' \
    'read -P 3 16M 32M' 'read -P 2 48M 16M' 'write -z 0 64M' 'read -P 0 0 32M' 'discard 0 64M' \
    'aio_write -P 4 0 32M' 'aio_write -P 5 32M 32M' aio_flush 'read -P 4 0 32M' 'read -P 5 32M 32M'
}

@test "interop: fio verifies small and large blocks on several connections" {
  truncate -s 256M image
  behind_nbdkit file "$GS/image"
  fio --ioengine=nbd --uri="$URI" --verify=crc32c --verify_fatal=1 --output=fio.log \
    --name=small --rw=randwrite --bsrange=512-256k --offset=0 --size=16M --iodepth=32 \
    --name=other --rw=randwrite --bsrange=4k-1M --offset=32M --size=32M --iodepth=8 \
    --name=large --rw=write --bs=32M --offset=128M --size=128M --iodepth=2 \
    --name=trims --rw=randrw --bs=64k --offset=64M --size=16M --iodepth=4
}

# ---- servers ----

@test "interop: qemu-nbd with one connection, which answers in fragments and holes" {
  qemu-img create -q -f qcow2 image.qcow2 64M
  qemu-io -f qcow2 -c 'write -P 7 1M 64k' -c 'write -P 8 3M 4k' -c 'write -P 9 40M 1M' \
    image.qcow2 >/dev/null
  behind_qemu_nbd --format=qcow2 image.qcow2
  qemu-img convert -f qcow2 -U -O raw image.qcow2 in
  nbdcopy --connections=4 --no-extents "$URI" out
  cmp in out
  nbdcopy --request-size=$((32 << 20)) --no-extents "$URI" out
  cmp in out
  nbdinfo --map --json "$URI" >map
  (($(jq length map) == 7))
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  on_volume 'write -P 1 100k 3M' 'write -z 1M 1M' 'discard 2M 64k' 'write -f -P 2 8M 32M' \
    'read -P 1 100k 100k' 'read -P 0 1M 1M' 'read -P 2 8M 32M' flush
  wait_for 10 unserved v
  [[ $(nbdinfo --map --json "$DIRECT") != "$(<map)" ]]
}

@test "interop: qemu-nbd's maps are passed on as they are" {
  qemu-img create -q -f qcow2 image.qcow2 64M
  qemu-io -f qcow2 -c 'write -P 7 1M 64k' -c 'write -z 3M 128k' -c 'write -P 9 40M 1M' \
    image.qcow2 >/dev/null
  behind_qemu_nbd --format=qcow2 --shared=4 image.qcow2
  run --separate-stderr -0 nbdinfo --map --json "$URI"
  [[ $output == "$(nbdinfo --map --json "$DIRECT")" ]]
  [[ $(qemu-img map -f raw --output=json "$URI") == \
    "$(qemu-img map -f raw --output=json "$DIRECT")" ]]
}

@test "interop: qemu-nbd that shares among four serves more clients than it has connections" {
  qemu-img create -q -f qcow2 image.qcow2 64M
  behind_qemu_nbd --format=qcow2 --shared=4 image.qcow2
  sparse_image in
  nbdcopy --flush --connections=8 in "$URI" # qemu-nbd lets no fifth in, nor those probed with
  run -0 qemu-img compare -f raw -F raw in "$URI"
  nbdcopy --connections=8 --no-extents "$URI" out
  cmp in out
  fio --ioengine=nbd --uri="$URI" --verify=crc32c --verify_fatal=1 --output=fio.log \
    --rw=randwrite --bsrange=512-1M --size=8M --iodepth=16 --name=one --offset=0 \
    --name=two --offset=8M --name=three --offset=16M
}

@test "interop: nbd-server, which neither flushes nor trims" {
  truncate -s 64M image
  behind_nbd_server
  as_told can_cache can_df can_fast_zero can_multi_conn can_trim can_zero
  sparse_image in
  nbdcopy --connections=4 in "$URI"
  cmp in image
  nbdcopy --connections=4 --request-size=$((32 << 20)) "$URI" out
  cmp in out
  on_volume 'write -P 1 0 32M' 'discard 0 64k' 'write -z 1M 1M' 'read -P 1 0 1M' \
    'read -P 0 1M 1M' 'read -P 1 2M 30M'
  run --separate-stderr -0 nbdinfo --map --json "$URI" # nobody knows: data
  [[ $(jq -c 'map([.offset, .length, .type])' <<<"$output") == '[[0,67108864,0]]' ]]
  fio --ioengine=nbd --uri="$URI" --verify=crc32c --verify_fatal=1 --output=fio.log \
    --rw=randwrite --bsrange=512-1M --size=8M --iodepth=16 --name=one
}

@test "interop: nbdkit's sparse-random, which refuses to be written otherwise, reads as itself" {
  behind_nbdkit sparse-random 256M percent=20 seed=7
  nbdcopy --connections=4 "$URI" "$DIRECT"
  [[ $(nbdinfo --map --json "$URI") == "$(nbdinfo --map --json "$DIRECT")" ]]
}

# through_filter NBDKIT-ARGUMENT...: writes and reads of all kinds, on a volume of 8 MiB.
through_filter()
{
  behind_nbdkit "$@"
  on_volume 'write -P 1 0 2M' 'write -f -P 2 1M 64k' 'write -z 64k 64k' 'write -z -u 256k 64k' \
    'discard 1536k 64k' flush 'write -P 4 4097 511' 'aio_write -P 5 4M 1M' 'aio_write -P 6 5M 1M' \
    aio_flush 'read -P 1 0 4097' 'read -P 4 4097 511' 'read -P 0 64k 64k' 'read -P 0 256k 64k' \
    'read -P 2 1M 64k' 'read -P 5 4M 1M' 'read -P 6 5M 1M'
  head -c 8M /dev/urandom >in
  nbdcopy --flush --connections=4 in "$URI"
  nbdcopy --connections=4 "$URI" out
  cmp in out
}

@test "interop: nbdkit in memory" {
  through_filter memory 8M
}

@test "interop: nbdkit without structured replies" {
  through_filter --no-sr memory 8M
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  run --separate-stderr -0 nbdinfo --map --json "$URI"
  [[ $(jq -c 'map([.offset, .length, .type])' <<<"$output") == '[[0,8388608,0]]' ]]
}

@test "interop: nbdkit with a block size of 4096" {
  through_filter --filter=blocksize-policy memory 8M blocksize-minimum=4096 \
    blocksize-error-policy=error
}

@test "interop: nbdkit with requests of 64 KiB at most" {
  behind_nbdkit --filter=blocksize-policy memory 8M blocksize-maximum=65536 \
    blocksize-error-policy=error
  [[ $(nbdinfo --json "$URI" | jq '.exports[0].block_size_maximum') == 65536 ]]
  on_volume 'write -P 1 0 8M' 'write -z 1M 1M' 'read -P 1 0 1M' 'read -P 0 1M 1M'
}

@test "interop: nbdkit that takes one request at a time" {
  through_filter --filter=noparallel memory 8M serialize=all-requests
}

@test "interop: nbdkit that is slow" {
  through_filter --filter=delay memory 8M rdelay=3ms wdelay=2ms
}

@test "interop: nbdkit with a cache that writes back" {
  through_filter --filter=cache memory 8M cache=writeback
}

@test "interop: nbdkit without multi-conn" {
  through_filter --filter=multi-conn memory 8M multi-conn-mode=disable
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
}

@test "interop: nbdkit whose FUA is a flush" {
  through_filter --filter=fua memory 8M fuamode=emulate
}

# ---- what a gateway lacks ----

# logged WHAT: how many lines of the gateway's log hold this.
logged()
{
  grep -cE "$1" "$LOGGED"
}

@test "interop: FUA on a gateway without it is a flush behind the write" {
  through_filter --filter=log --filter=fua memory 8M logfile="$GS/$LOGGED"
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  run ! grep -q 'fua=1' "$LOGGED"
  local before
  before=$(wc -l <"$LOGGED")
  on_volume 'write -f -P 1 4M 4k' # and a flush of qemu-io's own, when it closes
  run -0 bash -c "tail -n +$((before + 1)) '$LOGGED' | grep -oE ' (Write|Flush) id='"
  [[ $output == $' Write id=\n Flush id=\n Flush id=' ]]
}

@test "interop: WRITE_ZEROES on a gateway without it are writes of zeros" {
  behind_nbdkit --filter=log --filter=nozero memory 96M zeromode=none logfile="$GS/$LOGGED"
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  on_volume 'write -P 1 0 32M' 'write -P 1 32M 32M' 'write -P 2 64M 32M' 'write -z 512 64M' \
    'read -P 1 0 512' 'read -P 0 512 32M' 'read -P 0 40M 24M' 'read -P 0 64M 512' \
    'read -P 2 67109376 512'
  [[ $(logged ' Zero id=') == 0 ]]
}

@test "interop: fast zeros on a gateway without them are refused, and nothing is written" {
  behind_nbdkit --filter=nozero memory 8M zeromode=none
  on_volume 'write -P 1 0 64k'
  run qemu-io -f raw -c 'write -n -z 0 64k' "$URI"
  [[ $output == "write failed: Operation not supported" ]]
  on_volume 'read -P 1 0 64k'
}

@test "interop: TRIM and CACHE on a gateway without them do nothing, and well" {
  behind_nbdkit --filter=log --filter=nocache eval logfile="$GS/$LOGGED" cachemode=none \
    get_size='echo 1048576' can_write='exit 0' can_flush='exit 0' flush='exit 0' \
    pread='head -c $3 /dev/zero' pwrite='cat >/dev/null'
  as_told can_cache can_df can_fast_zero can_flush can_fua can_multi_conn can_trim can_zero
  on_volume 'discard 0 64k' 'read -P 0 0 64k'
  run ! grep -qE ' (Trim|Cache) id=' "$LOGGED"
}

# ---- errors ----

@test "interop: a gateway's errors are the client's, and the next request is served" {
  behind_nbdkit --filter=error memory 8M error-rate=100% error-file="$GS/broken" error=ENOSPC \
    error-pread=EIO
  on_volume 'write -P 1 0 64k'
  touch broken
  run -1 qemu-io -f raw -c 'read 0 64k' "$URI"
  [[ $output == "read failed: Input/output error" ]]
  run qemu-io -f raw -c 'write -P 2 0 64k' "$URI"
  [[ $output == *"write failed: No space left on device"* ]]
  run qemu-io -f raw -c 'write -z 0 64k' "$URI"
  [[ $output == *"write failed: No space left on device"* ]]
  run -1 nbdcopy "$URI" out
  run -1 nbdinfo --map "$URI"
  rm broken
  on_volume 'read -P 1 0 64k'
}

@test "interop: durable zeros on a gateway without WRITE_ZEROES are made durable" {
  behind_nbdkit --filter=log --filter=nozero memory 8M zeromode=none logfile="$GS/$LOGGED"
  on_volume 'write -f -z 0 64k'
  # By its own FUA, or by a flush behind it: the client's own flush, at the end, is one.
  (($(logged ' Write id=.*fua=1') >= 1 || $(logged ' Flush id=') >= 2))
}

@test "interop: a read that qemu-nbd hangs up on fails, and does not come again for ever" {
  # It ends the connection where a structured answer fails half-way; with DF it would not.
  qemu-img create -q -f qcow2 image.qcow2 64M
  qemu-io -f qcow2 -c 'write -P 7 0 8M' image.qcow2 >/dev/null
  cat >blkdebug.conf <<END
[inject-error]
event = "read_aio"
errno = "5"
sector = "16000"
END
  local file=file.driver=blkdebug,file.config=blkdebug.conf,file.image.driver=file
  behind_qemu_nbd --image-opts "driver=qcow2,$file,file.image.filename=image.qcow2"
  run timeout 30 qemu-io -f raw -c 'read 0 8M' -c 'read -P 7 0 1M' "$URI"
  [[ $output == *"read failed: Input/output error"* ]]
  [[ $output == *"read 1048576/1048576 bytes"* ]]
}
