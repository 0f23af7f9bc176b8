#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The NBD protocol, byte by byte, as the director speaks it with its clients: options in good and
# in bad order, structured replies and what depends on them.
load helpers
load raw

# Options, their replies and the errors among them; commands.
EXPORT_NAME=1 ABORT=2 LIST=3 STARTTLS=5 INFO=6 GO=7 STRUCTURED=8 LIST_CONTEXTS=9 SET_CONTEXTS=10
ACK=1 SERVER=2 INFORMATION=3 CONTEXT=4
UNSUP=1 POLICY=2 INVALID=3 UNKNOWN=6
READ=0 WRITE=1 DISC=2 FLUSH=3 TRIM=4 CACHE=5 ZEROES=6 STATUS=7
FUA=1 DF=4 REQ_ONE=8 FAST_ZERO=16

# What is told of v: without and with structured replies.
SIMPLE_FLAGS=0d6d STRUCTURED_FLAGS=0ded

# serve [NBDKIT-ARGUMENT...]: one gateway with volume v, 1 MiB of zeros, and one director.
serve()
{
  make_volume gw-a v 1M
  start_gateway gw-a "$@"
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  BYE=$(option $ABORT)
  BYE_REPLY=$(option_reply $ABORT $ACK)
  DISCONNECT=$(request $DISC 0 0 0)
}

# export_told FLAGS OPTION: the export's size and flags, and the end of the answer.
export_told()
{
  option_reply "$2" $INFORMATION "0000$(be64 1048576)$1"
  option_reply "$2" $ACK
}

# says EXPECTED HEX...: after a good beginning of the handshake, this is all that is said.
says()
{
  local expected said
  expected=$(tr -d ' \n' <<<"$1")
  shift
  said=$(conversation "$GREETED" "$@")
  [[ $said == "$expected" ]] || { echo "said $said, not $expected" && false; }
}

# structured_says EXPECTED HEX...: the same in the transmission phase, after structured replies and
# base:allocation were negotiated; a good-bye follows by itself.
structured_says()
{
  local expected=$1
  shift
  says "$(option_reply $STRUCTURED $ACK)
    $(option_reply $SET_CONTEXTS $CONTEXT "$(be32 1)$(text base:allocation)")
    $(option_reply $SET_CONTEXTS $ACK)
    $(export_told $STRUCTURED_FLAGS $GO)$expected" \
    "$(option $STRUCTURED)" "$(contexts $SET_CONTEXTS v base:allocation)" \
    "$(about_export $GO v)" "$@" "$DISCONNECT"
}

# simple_says EXPECTED HEX...: the same for a client that negotiated nothing.
simple_says()
{
  local expected=$1
  shift
  says "$(export_told $SIMPLE_FLAGS $GO)$expected" "$(about_export $GO v)" "$@" "$DISCONNECT"
}

quiet()
{
  run ! grep -q "^route-director: client" director.log
}

# ---- options ----

@test "protocol: INFO, and then GO" {
  serve
  says "$(export_told $SIMPLE_FLAGS $INFO)$(export_told $SIMPLE_FLAGS $GO)$(error 0)" \
    "$(about_export $INFO v)" "$(about_export $GO v)" "$(request $FLUSH 0 0 0)" "$DISCONNECT"
  quiet
}

@test "protocol: INFO tells name and block sizes to who asks" {
  serve
  says "$(option_reply $INFO $INFORMATION "0000$(be64 1048576)$SIMPLE_FLAGS")
    $(option_reply $INFO $INFORMATION "0001$(text v)")
    $(option_reply $INFO $INFORMATION "0003$(be32 1)$(be32 4096)$(be32 $((32 << 20)))")
    $(option_reply $INFO $ACK)$BYE_REPLY" "$(about_export $INFO v 0 1 2 3 999)" "$BYE"
  quiet
}

@test "protocol: EXPORT_NAME, with and without the zeros behind it" {
  serve
  says "$(be64 1048576)$SIMPLE_FLAGS$(error 0)" \
    "$(option $EXPORT_NAME "$(text v)")" "$(request $FLUSH 0 0 0)" "$DISCONNECT"
  local said
  said=$(conversation 00000001 "$(option $EXPORT_NAME "$(text v)")" "$(request $FLUSH 0 0 0)" \
    "$DISCONNECT")
  [[ $said == "$(be64 1048576)$SIMPLE_FLAGS$(printf '00%.0s' {1..124})$(error 0)" ]]
  quiet
}

@test "protocol: EXPORT_NAME of what is not there closes the connection" {
  serve
  says "" "$(option $EXPORT_NAME "$(text nowhere)")" "$BYE"
  says "" "$(option $EXPORT_NAME "$(text ../v)")" "$BYE"
}

@test "protocol: EXPORT_NAME after structured replies and a context has both" {
  serve
  says "$(option_reply $STRUCTURED $ACK)
    $(option_reply $SET_CONTEXTS $CONTEXT "$(be32 1)$(text base:allocation)")
    $(option_reply $SET_CONTEXTS $ACK)$(be64 1048576)$STRUCTURED_FLAGS
    $(chunk 1 5 "$(be32 1)$(be32 4096)$(be32 3)")" \
    "$(option $STRUCTURED)" "$(contexts $SET_CONTEXTS v base:allocation)" \
    "$(option $EXPORT_NAME "$(text v)")" "$(request $STATUS $REQ_ONE 0 4096)" "$DISCONNECT"
}

@test "protocol: ABORT is acknowledged, and ends it" {
  serve
  says "$BYE_REPLY" "$BYE" "$(about_export $GO v)"
  quiet
}

@test "protocol: LIST names the volumes" {
  serve
  says "$(option_reply $LIST $SERVER "$(be32 1)$(text v)")$(option_reply $LIST $ACK)
    $(option_error $LIST $INVALID "LIST takes no data")$BYE_REPLY" \
    "$(option $LIST)" "$(option $LIST 00)" "$BYE"
  quiet
}

@test "protocol: STARTTLS is refused by policy, unknown options as unknown, and both go on" {
  serve
  says "$(option_error $STARTTLS $POLICY "TLS is not offered here")
    $(option_error 4 $UNSUP "unknown option")
    $(option_error 11 $UNSUP "unknown option")
    $(option_error 0x7fffffff $UNSUP "unknown option")
    $(export_told $SIMPLE_FLAGS $GO)" \
    "$(option $STARTTLS)" "$(option 4)" "$(option 11)" "$(option 0x7fffffff "$(text data)")" \
    "$(about_export $GO v)" "$DISCONNECT"
  quiet
}

@test "protocol: options that contradict themselves are invalid, and the next is taken" {
  serve
  says "$(option_error $GO $INVALID "malformed option")
    $(option_error $GO $INVALID "malformed option")
    $(option_error $INFO $INVALID "malformed option")
    $(option_error $INFO $INVALID "export name is not text")
    $(option_error $GO $UNKNOWN "has no route")
    $(option_error $STRUCTURED $INVALID "STRUCTURED_REPLY takes no data")
    $(export_told $SIMPLE_FLAGS $GO)" \
    "$(option $GO)" "$(option $GO ffffffff760000)" "$(option $INFO 00000001760001)" \
    "$(option $INFO 0000000276000000)" "$(about_export $GO nowhere)" \
    "$(option $STRUCTURED 00)" "$(about_export $GO v)" "$DISCONNECT"
  quiet
}

# ---- structured replies and metadata contexts ----

@test "protocol: structured replies can be asked for twice" {
  serve
  says "$(option_reply $STRUCTURED $ACK)$(option_reply $STRUCTURED $ACK)
    $(export_told $STRUCTURED_FLAGS $INFO)$BYE_REPLY" \
    "$(option $STRUCTURED)" "$(option $STRUCTURED)" "$(about_export $INFO v)" "$BYE"
}

@test "protocol: contexts before structured replies are refused" {
  serve
  says "$(option_error $LIST_CONTEXTS $INVALID "structured replies come first")
    $(option_error $SET_CONTEXTS $INVALID "structured replies come first")$BYE_REPLY" \
    "$(contexts $LIST_CONTEXTS v)" "$(contexts $SET_CONTEXTS v base:allocation)" "$BYE"
  quiet
}

@test "protocol: contexts are listed, all or those that are looked for" {
  serve
  local one
  one=$(option_reply $LIST_CONTEXTS $CONTEXT "$(be32 0)$(text base:allocation)")
  says "$(option_reply $STRUCTURED $ACK)
    $one$(option_reply $LIST_CONTEXTS $ACK)$one$(option_reply $LIST_CONTEXTS $ACK)
    $one$(option_reply $LIST_CONTEXTS $ACK)$(option_reply $LIST_CONTEXTS $ACK)$BYE_REPLY" \
    "$(option $STRUCTURED)" "$(contexts $LIST_CONTEXTS v)" \
    "$(contexts $LIST_CONTEXTS v qemu:dirty-bitmap:x base:)" \
    "$(contexts $LIST_CONTEXTS v base:allocation)" \
    "$(contexts $LIST_CONTEXTS v qemu: base:nothing)" "$BYE"
}

@test "protocol: malformed contexts are invalid, and what was selected is forgotten" {
  serve
  says "$(option_reply $STRUCTURED $ACK)
    $(option_reply $SET_CONTEXTS $CONTEXT "$(be32 1)$(text base:allocation)")
    $(option_reply $SET_CONTEXTS $ACK)
    $(option_error $SET_CONTEXTS $INVALID "malformed option")
    $(export_told $STRUCTURED_FLAGS $GO)$(chunk_error 22)" \
    "$(option $STRUCTURED)" "$(contexts $SET_CONTEXTS v base:allocation)" \
    "$(option $SET_CONTEXTS 0000000176000000)" "$(about_export $GO v)" \
    "$(request $STATUS 0 0 512)" "$DISCONNECT"
}

@test "protocol: a context of another export, and none that is known, select nothing" {
  serve
  says "$(option_reply $STRUCTURED $ACK)
    $(option_reply $SET_CONTEXTS $CONTEXT "$(be32 1)$(text base:allocation)")
    $(option_reply $SET_CONTEXTS $ACK)
    $(export_told $STRUCTURED_FLAGS $GO)$(chunk_error 22)" \
    "$(option $STRUCTURED)" "$(contexts $SET_CONTEXTS w base:allocation)" \
    "$(about_export $GO v)" "$(request $STATUS 0 0 512)" "$DISCONNECT"
  says "$(option_reply $STRUCTURED $ACK)$(option_reply $SET_CONTEXTS $ACK)
    $(export_told $STRUCTURED_FLAGS $GO)$(chunk_error 22)" \
    "$(option $STRUCTURED)" "$(contexts $SET_CONTEXTS v qemu:allocation-depth)" \
    "$(about_export $GO v)" "$(request $STATUS 0 0 512)" "$DISCONNECT"
}

# ---- commands ----

@test "protocol: data come in one chunk, and as a simple reply to who negotiated nothing" {
  serve
  printf abcd | dd of=gw-a/v conv=notrunc status=none
  structured_says "$(chunk 1 1 "$(be64 0)61626364")" "$(request $READ 0 0 4)"
  structured_says "$(chunk 1 1 "$(be64 2)6364")" "$(request $READ $DF 2 2)"
  simple_says "$(error 0)61626364" "$(request $READ 0 0 4)"
  simple_says "$(error 22)$(error 0)" "$(request $READ $DF 0 4)" "$(request $FLUSH 0 0 0)"
}

@test "protocol: errors of reads and of status are chunks, all others simple replies" {
  serve
  structured_says "$(chunk_error 22)$(chunk_error 22)$(chunk_error 22)$(error 28)$(error 22)
    $(error 22)$(error 0)" \
    "$(request $READ 0 1048576 1)" "$(request $STATUS 0 1048576 1)" "$(request $READ 0x8000 0 1)" \
    "$(request $WRITE 0 1048576 1)ff" "$(request $TRIM 0 1048576 1)" "$(request 99 0 0 0)" \
    "$(request $FLUSH 0 0 0)"
  quiet
}

@test "protocol: a gateway's read error is a chunk, or a simple reply" {
  serve --filter=error error-pread-rate=100% error-pread=EPERM
  structured_says "$(chunk_error 1)$(chunk_error 1)" \
    "$(request $READ 0 0 4)" "$(request $READ 0 8 4)"
  simple_says "$(error 1)$(error 1)" "$(request $READ 0 0 4)" "$(request $READ 0 8 4)"
  quiet
}

@test "protocol: a read of nothing succeeds, the status of nothing is an error" {
  serve
  structured_says "$(chunk 1 0)$(chunk_error 22)$(chunk 1 0)" "$(request $READ 0 512 0)" \
    "$(request $STATUS 0 512 0)" "$(request $READ 0 1048576 0)"
  simple_says "$(error 0)" "$(request $READ 0 512 0)"
  quiet
}

@test "protocol: block status, as long as asked for or shorter with REQ_ONE" {
  serve
  printf data | dd of=gw-a/v bs=64k seek=1 conv=notrunc status=none
  structured_says "$(chunk 1 5 "$(be32 1)$(be32 4096)$(be32 3)")" \
    "$(request $STATUS $REQ_ONE 0 4096)"
  local one many
  one=$(chunk 1 5 "$(be32 1)$(be32 65536)$(be32 3)")
  many=$(chunk 1 5 "$(be32 1)$(be32 65536)$(be32 3)$(be32 4096)$(be32 0)$(be32 978944)$(be32 3)")
  structured_says "$one" "$(request $STATUS $REQ_ONE 0 1048576)"
  structured_says "$many" "$(request $STATUS 0 0 1048576)"
  simple_says "$(error 22)" "$(request $STATUS 0 0 4096)"
}

@test "protocol: flags where they do not belong are errors, and FUA is welcome everywhere" {
  serve
  structured_says "$(error 22)$(error 22)$(error 22)$(error 22)$(error 22)
    $(error 0)$(error 0)$(error 0)" \
    "$(request $ZEROES $DF 0 1)" "$(request $WRITE $DF 0 1)aa" "$(request $WRITE $REQ_ONE 0 1)aa" \
    "$(request $TRIM $FAST_ZERO 0 1)" "$(request $FLUSH $DF 0 0)" "$(request $FLUSH $FUA 0 0)" \
    "$(request $CACHE $FUA 0 1)" "$(request $WRITE $FUA 0 1)aa"
  structured_says "$(chunk 1 1 "$(be64 0)aa")" "$(request $READ $FUA 0 1)"
}

# transcript FOLDER HEX...: the whole conversation into FOLDER/said.
transcript()
{
  mkdir "$1" && cd "$1" && shift && conversation "$@" >said
}

@test "protocol: a client with structured replies and one without, at the same time" {
  serve --filter=delay rdelay=200ms
  printf abcd | dd of=gw-a/v conv=notrunc status=none
  local reads="" chunks="" simple=""
  for _ in {1..8}; do
    reads+=$(request $READ 0 0 4)
    chunks+=$(chunk 1 1 "$(be64 0)61626364")
    simple+=$(error 0)61626364
  done
  transcript one "$GREETED" "$(option $STRUCTURED)" "$(about_export $GO v)" "$reads" "$DISCONNECT" &
  local one=$!
  transcript two "$GREETED" "$(about_export $GO v)" "$reads" "$DISCONNECT" &
  wait "$one" $!
  [[ $(<one/said) == *"$STRUCTURED_FLAGS$(option_reply $GO $ACK)$chunks" ]]
  [[ $(<two/said) == *"$SIMPLE_FLAGS$(option_reply $GO $ACK)$simple" ]]
}
