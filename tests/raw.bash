# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# NBD by hand for bats files ("load raw" after "load helpers"): bytes are written as hex.

# hex HEX...: the bytes.  be32, be64 NUMBER: as hex.
hex()
{
  local IFS="" out="" i
  local all="$*"
  for ((i = 0; i < ${#all}; i += 2)); do
    out+="\\x${all:i:2}"
  done
  printf '%b' "$out"
}

be32()
{
  printf '%08x' "$1"
}

be64()
{
  printf '%016x' "$1"
}

GREETED=00000003
OPTION=49484156454f5054

# go NAME: a client that asks for an export, as hex.
go()
{
  local name
  name=$(printf %s "$1" | od -An -tx1 -v | tr -d ' \n')
  echo "$GREETED$OPTION$(be32 7)$(be32 $((6 + ${#name} / 2)))$(be32 $((${#name} / 2)))${name}0000"
}

# request TYPE FLAGS OFFSET LENGTH: as hex, with cookie 0123456789abcdef.
COOKIE=0123456789abcdef
request()
{
  echo "25609513$(printf '%04x%04x' "$2" "$1")$COOKIE$(be64 "$3")$(be32 "$4")"
}

# raw BYTES HEX...: sends the bytes on a connection of their own; the answer, as hex, once so many
# BYTES of it came or the director closed.
raw()
{
  local bytes=$1 pid
  shift
  hex "$@" >raw.in
  : >raw.out # not the last answer
  socat OPEN:raw.in,rdonly,ignoreeof!!OPEN:raw.out,wronly "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock" 3>&- &
  pid=$!
  wait_for 10 raw_over "$pid" "$bytes"
  kill "$pid" 2>/dev/null || true
  wait "$pid" || true
  od -An -tx1 -v raw.out | tr -d ' \n'
}

raw_over()
{
  ! kill -0 "$1" || (($(stat -c %s raw.out) >= $2))
}

# raw_start NAME HEX...: sends the bytes and keeps the connection open, as process NAME.
raw_start()
{
  local name=$1
  shift
  hex "$@" >"$name.in"
  start "$name" socat -u "OPEN:$name.in,rdonly,ignoreeof" "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock"
}

# raw_end HEX...: the same, without an answer: the client goes when it has sent them.
raw_end()
{
  hex "$@" | socat -t 0 - "UNIX-CONNECT:$GATESHIFT_RUN/nbd.sock" >/dev/null
}

# What the director sends until the transmission phase: greeting, export information, the end.
HANDSHAKE_BYTES=$((18 + 20 + 12 + 20))

# replies N HEX...: after go v, N replies of the transmission phase without data.
replies()
{
  local n=$1 all
  shift
  all=$(raw $((HANDSHAKE_BYTES + 16 * n)) "$(go v)" "$@")
  echo "${all:$((2 * HANDSHAKE_BYTES))}"
}

# error ERRNO: a simple reply, as hex.
error()
{
  echo "67446698$(be32 "$1")$COOKIE"
}

# ---- options and chunks ----

# text WORDS: as hex.
text()
{
  printf %s "$*" | od -An -tx1 -v | tr -d ' \n'
}

# option NUMBER [DATA]: as hex, as all here.
option()
{
  echo "$OPTION$(be32 "$1")$(be32 $((${#2} / 2)))${2-}"
}

# about_export NUMBER NAME [INFORMATION...]: GO or INFO, asking for these kinds of information.
about_export()
{
  local number=$1 name kind data
  name=$(text "$2")
  shift 2
  data=$(be32 $((${#name} / 2)))$name$(printf %04x $#)
  for kind; do
    data+=$(printf %04x "$kind")
  done
  option "$number" "$data"
}

# contexts NUMBER NAME [QUERY...]: LIST_ or SET_META_CONTEXT.
contexts()
{
  local number=$1 name query data
  name=$(text "$2")
  shift 2
  data=$(be32 $((${#name} / 2)))$name$(be32 $#)
  for query; do
    query=$(text "$query")
    data+=$(be32 $((${#query} / 2)))$query
  done
  option "$number" "$data"
}

# option_reply OPTION TYPE [DATA], and with TEXT as data: option_error OPTION ERROR TEXT.
option_reply()
{
  echo "0003e889045565a9$(be32 "$1")$(be32 "$2")$(be32 $((${#3} / 2)))${3-}"
}

option_error()
{
  option_reply "$1" $((0x80000000 | $2)) "$(text "$3")"
}

# chunk FLAGS TYPE [PAYLOAD]: of a structured reply.
chunk()
{
  echo "668e33ef$(printf '%04x%04x' "$1" "$2")$COOKIE$(be32 $((${#3} / 2)))${3-}"
}

# chunk_error ERRNO: a whole answer.
chunk_error()
{
  chunk 1 32769 "$(be32 "$1")0000"
}

# conversation HEX...: what the director says behind its greeting until it closes the connection.
conversation()
{
  local all
  all=$(raw 1000000000 "$@")
  echo "${all:36}"
}
