#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# S17 of gateshift-safety(7): what the target lacks when a source is gone for good.
# shellcheck disable=SC2030,SC2031,SC2154
load helpers
load client
load mover

# plan: volume v from gw-a to gw-b.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,gw-a,gw-b,1,optional,,,,,,,,"
}

synced_some()
{
  local n
  n=$(status_of synced) && ((n >= 524288))
}

# half_way: v, of 2 MiB and a bit, was being copied when gw-a died; migrate-exec has ended.
half_way()
{
  make_volume gw-a v 2100000
  head -c 2100000 /dev/urandom >gw-a/v
  mkdir gw-b
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 2100000 >/dev/null
  start_director --quarantine 200ms
  start exec migrate-exec --bwlimit 400K <(plan)
  wait_for 20 synced_some
  # Blocks of which the director knows then what must be there.
  qemu-io -r -f raw -c 'read 0 4k' -c 'read 1M 4k' "$(director_uri v)" >/dev/null
  stop_gateway gw-a
  local code=0
  wait "${PIDS[exec]}" || code=$?
  unset 'PIDS[exec]'
  [[ $code == 75 ]]
}

# extents: "OFFSET LENGTH" of the records in $output.
extents()
{
  tail -n +2 <<<"$output" | cut -d, -f2,3 | tr , ' '
}

# Whatever is not listed is equal on both; what is listed is in order and sums up to $1.
list_is_true()
{
  local offset length at=0 sum=0
  while read -r offset length; do
    ((offset >= at && offset % 65536 == 0 && length > 0)) || return
    cmp -i "$at" -n $((offset - at)) gw-a/v gw-b/v || return
    sum=$((sum + length)) at=$((offset + length))
  done < <(extents)
  cmp -i "$at" gw-a/v gw-b/v && ((sum == $1))
}

@test "S17: a source that dies half way leaves a list of what the target lacks" {
  half_way
  local lacks
  lacks=$(grep -o 'gw-b lacks [0-9]* bytes: [0-9]*+[0-9]*' state/migrations/v-2.csv | tail -n 1)
  [[ -n $lacks && $(tail -n 1 state/migrations/v-2.csv) == *,replicate,stalled,* ]]
  run --separate-stderr -0 migrate-exec --status v-2
  [[ $output == *"$lacks"*"; go on with: migrate-exec --resume v-2"* ]]
  run --separate-stderr -0 migrate-exec --missing v-2
  [[ ${lines[0]} == volume,offset,length && -z $stderr && ${lines[1]} == v,* ]]
  local bytes
  bytes=$(awk '{print $3}' <<<"$lacks")
  ((bytes > 0 && bytes <= 2100000 - 524288))
  list_is_true "$bytes"
  # With this list and what else there is of the source the target can be completed by hand.
  local offset length
  while read -r offset length; do
    dd if=gw-a/v of=gw-b/v bs=64k conv=notrunc status=none iflag=skip_bytes,count_bytes \
      oflag=seek_bytes skip="$offset" seek="$offset" count="$length"
  done < <(extents)
  cmp gw-a/v gw-b/v
}

@test "S17: the list is there in manual recovery, too, and ends with the director" {
  half_way
  cp gw-a/v was
  head -c 2100000 /dev/urandom >gw-a/v
  start_gateway gw-a
  wait_for 10 status_is phase manual-recovery
  wait_for 10 owner_is gw-a 1 manual-recovery
  run --separate-stderr -70 migrate-exec --resume v-2
  [[ ${lines[-1]} == *",manual-recovery,"*"; gw-b lacks "*" bytes: "* ]]
  run --separate-stderr -0 migrate-exec --missing v-2
  cp was gw-a/v
  list_is_true $((2100000 - $(status_of synced)))
  kill_hard director
  run --separate-stderr -69 migrate-exec --missing v-2
  [[ $output == volume,offset,length && $stderr == "migrate-exec: nobody knows what gw-b lacks of 'v-2': "* ]]
}

@test "missing: a page at a time, and only of a move that is open" {
  move_setup 1M
  driver_start
  run -1 control missing v 0 10
  [[ $output == "err ENOENT no move of volume 'v' is open" ]]
  drive begin v 1 gw-b
  local claim
  for claim in 1 2 3; do
    drive claim v copy 65536
    read -ra claim <<<"$REPLY_LINE"
    drive claimin v $((claim[2] + 131072)) 1048576 65536
    copy_extent "${claim[2]}" 65536
    drive synced v "${claim[1]}"
  done
  run -0 control missing v 0 1
  [[ ${lines[1]} == "ok gw-b "*" 851968" && ${#lines[@]} == 2 ]]
  local all=() from=0 words
  while run -0 control missing v "$from" 1; do
    read -ra words <<<"${lines[-1]}"
    ((words[2] > from)) || break
    ((${#lines[@]} == 1)) || all+=("${lines[0]}")
    from=${words[2]}
  done
  ((from == 1048576))
  run -0 control missing v 0 1024
  [[ "${lines[*]::${#lines[@]}-1}" == "${all[*]}" ]]
  run -1 control missing v 0 1025
  [[ $output == "err EINVAL "* ]]
  run --separate-stderr -1 migrate-exec --missing w-2
  [[ $stderr == "migrate-exec: no such migration 'w-2'" ]]
  run --separate-stderr -64 migrate-exec --missing
}

# Kills what passes the director's bytes on to gw-a, and what would take new connections of it.
director_loses_source()
{
  local pid
  kill_hard front
  for pid in $DIRECTORS; do
    kill -KILL "$pid"
  done
}

copying_some()
{
  local n
  n=$(status_of copying) && ((n >= 524288))
}

@test "S2: a driver whose director has lost the source ends all its claims, and leaves nothing haunted" {
  make_volume gw-a v 16M
  head -c 16M /dev/urandom >gw-a/v
  mkdir gw-b
  start_gateway gw-a --filter=delay rdelay=500ms
  start_gateway gw-b
  write_gateways
  sed -i "s|/gw-a.sock,|/front.sock,|" config/gateways.csv
  start front socat "UNIX-LISTEN:$GATESHIFT_RUN/front.sock,fork" "UNIX-CONNECT:$GATESHIFT_RUN/gw-a.sock"
  wait_for 10 nbdinfo --list "$(gateway_uri front)"
  route-set v gw-a --size 16M >/dev/null
  start_director --quarantine 1h
  client_start
  DIRECTORS=$(pgrep -P "${PIDS[front]}")
  start exec migrate-exec --connections 1 <(plan)
  wait_for 20 copying_some
  director_loses_source
  local code=0
  wait "${PIDS[exec]}" || code=$?
  unset 'PIDS[exec]'
  cat exec.log
  [[ $code == 75 ]]
  status_is copying 0
  status_is haunted 0
}
