# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Volumes with copies that stand by, on gateways of which reads and writes are scripted.

# shellcheck disable=SC2016,SC2154

# scripted_gateway NAME READ WRITE [VOLUME]: before a read, or a write, its gateway does that, in nbdkit's
# shell, where the volume is $2, and fails if it fails; before a flush, $FLUSH (nothing).  VOLUME (v)
# is one of its exports.
scripted_gateway()
{
  local file="$GS/$1/\$2"
  rm -f "$GATESHIFT_RUN/$1.sock"
  start "$1" nbdkit -f --unix "$GATESHIFT_RUN/$1.sock" eval open='echo "$3"' get_size="stat -c %s \"$file\"" \
    thread_model='echo parallel' flush="${FLUSH-exit 0}" \
    pread="$2 || { echo EIO >&2; exit 1; }
      dd if=\"$file\" iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=64K status=none" \
    pwrite="$3 || { cat >/dev/null; echo EIO >&2; exit 1; }
      dd of=\"$file\" oflag=seek_bytes seek=\$4 bs=64K conv=notrunc status=none" \
    trim='exit 0' can_multi_conn='exit 0' can_flush='exit 0' can_write='exit 0' can_trim='exit 0'
  GATEWAYS+=("$1")
  wait_for 10 nbdinfo --size "$(gateway_uri "$1" "${4-v}")"
}

# stands_by READ WRITE [COPY_READ [ARGUMENT...]]: v, of $SIZE (1M), has a standby on gw-b; scripts
# of its owner's reads, and of gw-b's writes and reads, and the director's arguments.  The owner's
# writes do $OWNERS_WRITE (true).
stands_by()
{
  local size=${SIZE-1M}
  make_volume gw-a v "$size"
  make_volume gw-b v "$size"
  head -c "$size" /dev/urandom >gw-a/v
  scripted_gateway gw-a "$1" "${OWNERS_WRITE-true}"
  scripted_gateway gw-b "${3:-true}" "$2"
  write_gateways
  route-set v gw-a --size "$size" >/dev/null
  start_director --promote-after 100ms --leg-timeout 60s "${@:4}"
  converge
  drive flush v
  drive defer v
  driver_kill
  wait_for 30 status_is promotable yes
}

# another_stands_by VOLUME: so does this one, all zeros.
another_stands_by()
{
  local claim
  make_volume gw-a "$1" 1M
  make_volume gw-b "$1" 1M
  route-set "$1" gw-a --size 1M >/dev/null
  driver_start
  drive begin "$1" 1 gw-b
  drive mirror "$1"
  while drive claim "$1" copy 1048576; do
    read -ra claim <<<"$REPLY_LINE"
    [[ ${claim[1]} != none ]] || break
    drive synced "$1" "${claim[1]}"
  done
  drive flush "$1"
  drive defer "$1"
  driver_kill
}
