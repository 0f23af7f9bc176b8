# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A driver of the director's control protocol for bats files ("load mover" after "load helpers"): it
# moves volume "v" from gateway gw-a to gw-b, copying between the gateways' files by itself, a step
# at a time, so that a test can put anything between two steps.

# move_setup [SIZE [DIRECTOR-ARGUMENT...]]: volume v of SIZE (1M) random bytes on gw-a, zeros on
# gw-b, and a director.
move_setup()
{
  local size=${1:-1M}
  shift || true
  make_volume gw-a v "$size"
  make_volume gw-b v "$size"
  head -c "$size" /dev/urandom >"$GS/gw-a/v"
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size "$(stat -c %s "$GS/gw-a/v")" >/dev/null
  start_director "$@"
}

# driver_start, driver_kill: a control connection that stays open ($REPLY_LINE: its last reply).
driver_start()
{
  coproc DRIVER { exec socat - "UNIX-CONNECT:$GATESHIFT_RUN/director.sock" 2>/dev/null 3>&-; }
  # shellcheck disable=SC2034,SC2154
  PIDS[driver]=$DRIVER_PID
}

driver_kill()
{
  kill_hard driver
}

# say VERB...: sends a verb.  hear: reads its reply to $REPLY_LINE; fails unless it is "ok".
say()
{
  echo "$*" >&"${DRIVER[1]}"
}

hear()
{
  REPLY_LINE=
  while IFS= read -r -t 20 REPLY_LINE <&"${DRIVER[0]}"; do
    case $REPLY_LINE in
      ok | 'ok '*) return 0 ;;
      'err '*) break ;;
    esac
  done
  : "${REPLY_LINE:=no reply}"
  echo "the driver was told: $REPLY_LINE" >&2
  return 1
}

drive()
{
  say "$@"
  hear
}

# refuses ERRNO VERB...: the verb fails just so.
refuses()
{
  local errno=$1
  shift
  ! drive "$@"
  [[ $REPLY_LINE == "err $errno "* ]] || {
    echo "$*: $REPLY_LINE" >&2
    return 1
  }
}

# copy_extent OFFSET LENGTH: from gw-a's file to gw-b's.  same_extent: are they equal there?
copy_extent()
{
  dd if="$GS/gw-a/v" of="$GS/gw-b/v" bs=1M conv=notrunc status=none \
    iflag=skip_bytes,count_bytes oflag=seek_bytes skip="$1" seek="$1" count="$2"
}

same_extent()
{
  cmp -s -i "$1" -n "$2" "$GS/gw-a/v" "$GS/gw-b/v"
}

# copy_all, prove_all: until nothing is left to claim.
copy_all()
{
  local claim
  while drive claim v copy 1048576; do
    read -ra claim <<<"$REPLY_LINE"
    [[ ${claim[1]} != none ]] || return 0
    copy_extent "${claim[2]}" "${claim[3]}"
    drive synced v "${claim[1]}" || return
  done
  return 1
}

prove_all()
{
  local claim
  while drive claim v prove 1048576; do
    read -ra claim <<<"$REPLY_LINE"
    [[ ${claim[1]} != none ]] || return 0
    if same_extent "${claim[2]}" "${claim[3]}"; then
      drive proved v "${claim[1]}" || return
    else
      drive differs v "${claim[1]}" || return
    fi
  done
  return 1
}

# converge: a move that is mirrored, copied and proved, all but held.
converge()
{
  driver_start
  drive begin v 1 gw-b
  drive mirror v
  copy_all
  prove_all
}

# status_of KEY: of volume v, from a connection of its own.  status_is KEY VALUE.
status_of()
{
  local reply
  reply=$(control status v) || return
  grep -o "\b$1=[^ ]*" <<<"${reply%%$'\n'*}" | cut -d= -f2
}

status_is()
{
  [[ $(status_of "$1") == "$2" ]]
}

# owner_is GATEWAY EPOCH STATE: what the route store says.
owner_is()
{
  [[ $(route-set v | tail -n 1 | cut -d, -f2-4) == "$1,$2,$3" ]]
}

# put PATTERN OFFSET LENGTH: one write by a client of its own, acknowledged.
put()
{
  qemu-io -f raw -c "write -P $1 $2 $3" "$(director_uri v)" >/dev/null
}

# holds GATEWAY PATTERN OFFSET LENGTH: the gateway's file has the pattern there.
holds()
{
  qemu-io -r -f raw -c "read -P $2 $3 $4" "$GS/$1/v" | grep -q '^read ' &&
    ! qemu-io -r -f raw -c "read -P $2 $3 $4" "$GS/$1/v" | grep -q failed
}

# write_three PATTERN: three blocks of the volume of BYTES, in three places, by a client; the same in "original".
write_three()
{
  local at
  for at in 65536 3145728 $((BYTES - 65536)); do
    put "$1" "$at" 64k
    qemu-io -f raw -c "write -P $1 $at 64k" original >/dev/null
  done
}
