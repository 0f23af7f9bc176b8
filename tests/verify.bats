#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2119,SC2120
# What is proved of a move: --verify before the switch, the rest before the old copy is let go.

load helpers
load client
load mover

teardown()
{
  local pid
  for pid in nbd-server.*.pid; do
    [[ ! -e $pid ]] || kill "$(<"$pid")" || true
  done
  common_teardown
}

# plan SOURCE TARGET EPOCH [KIND]: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,${4-optional},,,,,,,,"
}

# mostly_equal [SIZE]: volume v on gw-a and, but for its last 64 KiB, the same on gw-b.
mostly_equal()
{
  move_setup "${1:-256K}" --quarantine 200ms
  cp gw-a/v original
  head -c -64K gw-a/v | dd of=gw-b/v conv=notrunc status=none
}

# without_hooks: exports are made by hand, and a copy that is let go stays in service.
without_hooks()
{
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
}

# record: state, target and verify of v in the store.
record()
{
  route-set v | sed -n 2p | cut -d, -f4,5,8
}

journal()
{
  grep -c -- "$2" "state/migrations/$1.csv"
}

last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

# served: what clients read is the volume's content.
served()
{
  nbdcopy "$(director_uri v)" served && cmp original served
}

# extent KIND MAX: claims one; $CLAIM is its number, $OFFSET and $LENGTH what it has.
extent()
{
  local words
  drive claim v "$1" "$2" || return
  read -ra words <<<"$REPLY_LINE"
  CLAIM=${words[1]} OFFSET=${words[2]} LENGTH=${words[3]}
}

# ---- the director ----

@test "S8: verify=delta asks for proofs of what was sent, and of nothing that was equal" {
  mostly_equal
  driver_start
  drive begin v 1 gw-b verify=delta
  [[ $(record) == moving,gw-b,delta ]]
  drive mirror v
  extent copy 196608
  same_extent "$OFFSET" "$LENGTH"
  drive synced v "$CLAIM" equal
  copy_all
  [[ $(status_of unproved) == 65536 && $(status_of exempt) == 196608 && $(status_of verify) == delta ]]
  drive flush v
  drive hold v 2000
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *" 0 bytes not synced, 65536 not proved" ]]
  drive unhold v
  # What clients write over an equal block is to be proved, too.
  put 7 4096 4k
  status_is unproved $((65536 + 4096))
  prove_all
  drive flush v
  drive hold v 2000
  drive switch v 1
  [[ $(record) == uncommitted,gw-a,delta ]]
}

@test "S8: verify=delta where all was sent, and proved, is a full proof" {
  move_setup 256K --quarantine 200ms
  driver_start
  drive begin v 1 gw-b verify=delta
  drive mirror v
  copy_all
  prove_all
  drive flush v
  drive hold v 2000
  drive switch v 1
  [[ $(record) == uncommitted,gw-a, ]]
}

@test "S8: verify=none asks for no proof, but for every block and a flush" {
  move_setup 256K --quarantine 200ms
  driver_start
  drive begin v 1 gw-b verify=none
  drive mirror v
  extent copy 65536
  copy_extent "$OFFSET" "$LENGTH"
  drive synced v "$CLAIM"
  drive flush v
  drive hold v 2000
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *" 196608 bytes not synced, 0 not proved" ]]
  drive unhold v
  copy_all
  drive hold v 2000
  refuses EBUSY switch v 1
  [[ $REPLY_LINE == *" 0 not proved, target not flushed" ]]
  drive flush v
  drive switch v 1
  [[ $(record) == uncommitted,gw-a,none ]]
}

@test "S8: without a word, and with verify=full, what was equal is proved like the rest" {
  local words
  mostly_equal
  for words in '' verify=full; do
    driver_start
    drive begin v 1 gw-b $words
    [[ $(record) == moving,gw-b, && $(status_of verify) == full ]]
    extent copy 196608
    drive synced v "$CLAIM" equal
    [[ $(status_of unproved) == 196608 && $(status_of exempt) == 0 ]]
    drive abort v
    driver_kill
  done
}

@test "S8: a driver that goes on may ask for more, and what counted without proof counts no longer" {
  mostly_equal
  driver_start
  drive begin v 1 gw-b verify=delta
  drive mirror v
  extent copy 196608
  drive synced v "$CLAIM" equal
  copy_all
  driver_kill
  wait_for 10 attached verify=full
  [[ $(status_of unproved) == 262144 && $(status_of exempt) == 0 && $(status_of verify) == full ]]
  prove_all
  drive flush v
  drive hold v 2000
  drive switch v 1
  [[ $(record) == uncommitted,gw-a, ]]
}

# attached WORD...: begin finds the move.
attached()
{
  driver_start
  drive begin v 1 gw-b "$@" && [[ $REPLY_LINE == *" attached" ]]
}

@test "route-director: begin refuses words that it does not know, or twice" {
  move_setup 64K
  driver_start
  refuses EINVAL begin v 1 gw-b verify=most
  refuses EINVAL begin v 1 gw-b verify=
  refuses EINVAL begin v 1 gw-b verify
  refuses EINVAL begin v 1 gw-b back back
  refuses EINVAL begin v 1 gw-b verify=full verify=delta
  refuses EINVAL synced v 1 equal unchanged
  refuses ENOENT synced v 1 equal
}

@test "S10: changed tells of the bytes since the switch, to whoever asks at its epoch" {
  mostly_equal
  run -1 control changed v 1 0 4096
  [[ $output == "err ESTALE "* ]]
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  put 7 65536 4k
  [[ $(control changed v 2 0 262144) == "ok 65536 unchanged" ]]
  [[ $(control changed v 2 65536 196608) == "ok 65536 changed" ]]
  [[ $(control changed v 2 131072 100) == "ok 100 unchanged" ]]
  run -1 control changed v 1 0 4096
  [[ $output == "err ESTALE "* ]]
  run -1 control changed v 2 262143 2
  [[ $output == "err EINVAL "* ]]
  run -1 control changed v 2 0 0
  [[ $output == "err EINVAL "* ]]
  # Nobody has it open any more: it is opened for the question.
  wait_for 10 closed
  [[ $(control changed v 2 65536 4096) == "ok 4096 changed" ]]
  wait_for 10 closed
  # A map that is not there says nothing.
  rm state/changes/v
  [[ $(control changed v 2 0 262144) == "ok 262144 unknown" ]]
}

closed()
{
  ! control status v
}

# ---- migrate-exec: before the switch ----

@test "migrate-exec: --verify=none needs --force, and other words are refused" {
  run --separate-stderr -64 migrate-exec --verify=none /dev/null
  [[ ${stderr_lines[0]} == "migrate-exec: --verify=none proves nothing: it needs --force" ]]
  run --separate-stderr -64 migrate-exec --verify=most /dev/null
  [[ ${stderr_lines[0]} == "migrate-exec: verify is full, delta or none, not 'most'" ]]
}

@test "S8: a mandatory move proves what it sends; the digest and the proof of all are there if that is all" {
  move_setup 256K --quarantine 200ms
  cp gw-a/v original
  rm gw-b/v
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 mandatory)
  [[ $output == *",handover,switched,"*"; digest="* && $output != *"verify="* ]]
  [[ $(record) == uncommitted,gw-a, && $(journal v-2 '"verify delta"\|,verify delta$') == 1 ]]
  # It is nothing for the history.
  [[ $(<state/history.csv) != *"verify delta"* ]]
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output != *proof* && $(record) == steady,, ]]
  served
}

@test "S8: a mandatory move onto an old copy claims no digest, and is proved before the old one is let go" {
  mostly_equal
  run --separate-stderr -0 migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory)
  [[ $output == *",handover,switched,"*"; verify=delta"* && $output != *digest=* ]]
  [[ $(record) == uncommitted,gw-a,delta ]]
  cmp original gw-b/v
  put 7 65536 4k
  put 0 0 64k
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ -z $stderr && $(record) == steady,, ]]
  [[ $output == *"retire,pass,"*"proof of all 262144 bytes, 69632 changed since the switch"*retire,committed,* ]]
  [[ $output != *"not proved"* && -e gw-a/.cold/v.1 ]]
}

@test "S8: an optional move proves all of an old copy, or as it is told" {
  mostly_equal
  run --separate-stderr -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ $output == *"; digest="* && $(record) == uncommitted,gw-a, ]]
  migrate-exec --commit v-2 >/dev/null
  run --separate-stderr -0 migrate-exec --verify=delta --overwrite <(plan gw-b gw-a 2)
  [[ $(journal v-3 'verify full, cold copy') == 1 && $(record) == uncommitted,gw-b, ]]
}

@test "S12: a move onto a cold copy proves all, whatever is asked for" {
  move_setup 256K --quarantine 200ms
  rm gw-b/v
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  migrate-exec --commit v-2 >/dev/null
  run --separate-stderr -0 migrate-exec --verify=none --force <(plan gw-b gw-a 2 mandatory)
  [[ $output == *"the cold copy on gw-a"*"; digest="* && $(record) == uncommitted,gw-b, ]]
}

@test "S8: a move that is resumed proves what the first run was to" {
  mostly_equal 4M
  start exec migrate-exec --overwrite --bwlimit 256K <(plan gw-a gw-b 1 mandatory)
  wait_for 10 is_copying
  kill_hard exec
  wait_for 10 migrate-exec --resume v-2
  [[ $(record) == uncommitted,gw-a,delta ]]
  grep -q ',handover,switched,.*; verify=delta' state/migrations/v-2.csv
}

is_copying()
{
  [[ $(status_of synced) -gt 0 && $(status_of verify) == delta ]]
}

@test "S8: --verify with --resume asks for more than the first run" {
  mostly_equal 4M
  start exec migrate-exec --overwrite --bwlimit 256K <(plan gw-a gw-b 1 mandatory)
  wait_for 10 is_copying
  kill_hard exec
  wait_for 10 migrate-exec --resume --verify=full v-2
  [[ $(record) == uncommitted,gw-a, && $(journal v-2 'verify full$') == 1 ]]
}

# lying_target: gw-b answers every write, and keeps none.
lying_target()
{
  stop_gateway gw-b
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" null 256K
  wait_for 10 nbdinfo "$(gateway_uri gw-b v)"
  without_hooks
}

@test "S8: with --verify=delta, too, a target that does not keep what it is told is not switched to" {
  move_setup 256K --quarantine 200ms
  lying_target
  run --separate-stderr -1 migrate-exec --overwrite --verify=delta <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,failed,*"the target still differs after 3 copies"* ]]
  owner_is gw-a 1 steady
}

# ---- before the copy is let go ----

@test "S8: what --verify=none let pass is found out by --commit, which leaves the old copy" {
  move_setup 256K --quarantine 200ms
  cp gw-a/v original
  lying_target
  run --separate-stderr -0 migrate-exec --overwrite --verify=none --force <(plan gw-a gw-b 1)
  [[ $output == *"; verify=none"* && $output != *digest=* && $(record) == uncommitted,gw-a,none ]]
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == *"gw-a and gw-b differ at 0, where no client wrote since the switch"* ]]
  [[ $stderr == *"--revert without --verify=full goes back to what gw-a has"* ]]
  [[ ${lines[-1]} == *,retire,stalled,*"proof: gw-a and gw-b differ at 0,"* ]]
  [[ $(record) == uncommitted,gw-a,none ]]
  # As it says.
  run --separate-stderr -0 migrate-exec --revert v-2
  owner_is gw-a 3 uncommitted
  served
}

@test "S8: a byte that rots on the owner after a delta proof keeps the old copy" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  put 7 131072 4k
  spoil gw-b/v 100000
  run --separate-stderr -1 migrate-exec --commit --remove --force v-2
  [[ $stderr == *"differ at 98304, where"*"; what is not proved is not removed" ]]
  [[ $(record) == uncommitted,gw-a,delta && -e gw-a/v ]]
  # Put right, the proof goes on.
  dd if=original of=gw-b/v bs=1 seek=100000 skip=100000 count=1 conv=notrunc status=none
  run --separate-stderr -0 migrate-exec --commit --remove v-2
  [[ $output == *"proof of all 262144 bytes, 4096 changed"*"removed on gw-a"* && ! -e gw-a/v ]]
}

@test "S8: what a mirror brought to the old copy is no proof, and the copy is not removed" {
  mostly_equal
  cp gw-a/v gw-b/v
  migrate-exec --overwrite --verify=none --force <(plan gw-a gw-b 1) >/dev/null
  # As if the move had spoilt it: nobody has looked.  The mirror brings all of a block that a client
  # has written a part of, and with it what is wrong.
  spoil gw-b/v 100000
  put 7 65536 4k
  control reverse v
  wait_for 20 status_is changed 0
  control reverse v off
  cmp gw-a/v gw-b/v
  run --separate-stderr -1 migrate-exec --commit --remove v-2
  [[ $stderr == *"the copy on gw-a was written to since the switch"*"what is not proved is not removed" ]]
  [[ $(record) == uncommitted,gw-a,none && -e gw-a/v ]]
}

@test "S8: the proof before --commit goes on where an interrupt stopped it" {
  mostly_equal 8M
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  stop_gateway gw-a
  start_gateway gw-a --filter=log logfile="$GS/reads"
  start commit migrate-exec --commit --bwlimit 1M v-2
  wait_for 10 grep -q ' Read ' reads
  kill -INT "${PIDS[commit]}"
  local status=0
  wait "${PIDS[commit]}" || status=$?
  unset "PIDS[commit]"
  [[ $status == 75 ]]
  grep -q "its proof was interrupted by SIGINT at [0-9]* of 8388608 bytes; --commit goes on" commit.log
  [[ $(record) == uncommitted,gw-a,delta && $(journal v-2 'proof until [0-9]* bytes, 0 changed') == 1 ]]
  [[ $(<state/history.csv) != *"proof until"* ]]
  # Nothing else is to be resumed; and what was compared is not looked at again.
  run --separate-stderr -0 migrate-exec --resume
  [[ $output != *$'\n'* ]]
  printf x | dd of=gw-a/v bs=1 conv=notrunc status=none
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *"proof of all 8388608 bytes, 0 changed"* && $(record) == steady,, ]]
}

@test "S8: clients that write during the proof before --commit neither spoil it nor are spoilt" {
  mostly_equal 8M
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bsrange=4k-64k \
    --iodepth=8 --size=8M --io_size=24M --rate=8M --verify=crc32c --verify_fatal=1 --randrepeat=1
  wait_for 10 changes_are_seen
  run --separate-stderr -0 migrate-exec --commit --bwlimit 4M v-2
  [[ $output == *"proof of all 8388608 bytes, "[1-9]*" changed since"* && $(record) == steady,, ]]
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
}

changes_are_seen()
{
  [[ $(status_of changed) -gt 0 ]]
}

@test "S8: without a change map a difference can't be explained: the copy stays, or goes unproved by --force" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  put 7 65536 4k
  stop director
  rm state/changes/v
  start_director --quarantine 200ms
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == *"gw-a and gw-b differ at 65536, and what changed is not tracked; --force lets"* ]]
  run --separate-stderr -1 migrate-exec --commit --force --remove v-2
  [[ $stderr == *"; what is not proved is not removed" && -e gw-a/v ]]
  run --separate-stderr -0 migrate-exec --commit --force v-2
  [[ ${lines[-1]} == *"retire,committed,"*"; not proved"* && -e gw-a/.cold/v.1 ]]
  [[ $(record) == steady,, ]]
}

@test "S8: without a director equal copies are proved, and others are not" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  stop director
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == *"proof of all 262144 bytes, 0 changed"* && $(record) == steady,, ]]
}

@test "S8: a source that is gone keeps --commit from its proof; --force does without" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1 mandatory) >/dev/null
  stop_gateway gw-a
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == *"cannot commit 'v-2': cannot connect to gw-a"*"; --force lets the copy go unproved" ]]
  [[ $(last_event v-2) == retire,stalled && $(record) == uncommitted,gw-a,delta ]]
  run --separate-stderr -0 migrate-exec --commit --force v-2
  [[ ${lines[-1]} == *"; not proved"* && $(record) == steady,, ]]
}

@test "S8: --expire proves before it lets go, too" {
  mostly_equal
  migrate-exec --overwrite --retain 0s <(plan gw-a gw-b 1 mandatory) >/dev/null
  spoil gw-b/v 5
  wait_for 5 retained_no_longer
  run --separate-stderr -1 migrate-exec --expire
  [[ $stderr == *"differ at 0,"* && $(record) == uncommitted,gw-a,delta ]]
  dd if=original of=gw-b/v bs=1 seek=5 skip=5 count=1 conv=notrunc status=none
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == *"proof of all 262144 bytes"* && $(record) == steady,, ]]
}

# retained_no_longer: the journal's time, a whole second, is over.
retained_no_longer()
{
  (($(date +%s) > $(grep -o 'retained until [0-9]*' state/migrations/v-2.csv | cut -d' ' -f3)))
}

@test "S10: what a revert took from the change map is proved before the other copy is let go" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1) >/dev/null
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ $output == *"; verify=delta"* && $(record) == uncommitted,gw-b,delta ]]
  put 7 0 4k
  run --separate-stderr -1 migrate-exec --commit --remove v-3
  [[ $stderr == *"4096 bytes were written since the switch before they were compared; what is not proved"* ]]
  run --separate-stderr -0 migrate-exec --commit v-3
  [[ $(record) == steady,, && -e gw-b/.cold/v.1 && $(grep -c 'proof of all' state/history.csv) == 1 ]]
}

@test "S10: --revert --verify=full is a full proof, with its digest" {
  mostly_equal
  migrate-exec --overwrite <(plan gw-a gw-b 1) >/dev/null
  run --separate-stderr -0 migrate-exec --revert --verify=full v-2
  [[ $output == *"; digest="* && $(record) == uncommitted,gw-b, ]]
  run --separate-stderr -0 migrate-exec --commit --remove v-3
  [[ $output != *proof* ]]
}

# ---- gateways that cannot flush ----

# nbd_server NAME [LINE]: gateway NAME is nbd-server, told no more than what it must be told, and
# LINE; its file v is there.  It goes into the background by itself: in the foreground it takes one
# client only.
nbd_server()
{
  stop_gateway "$1"
  cat >"$1.conf" <<END
[generic]
unixsock = $GATESHIFT_RUN/$1.sock
${2-}
[v]
exportname = $GS/$1/v
END
  nbd-server -C "$1.conf" -p "$GS/nbd-server.$1.pid" >>"nbd-server.$1.log" 2>&1 3>&-
  wait_for 10 nbdinfo --size "$(gateway_uri "$1" v)"
}

@test "S23: a target that cannot flush is refused, and nothing is changed" {
  move_setup 256K --quarantine 200ms
  nbd_server gw-b
  run --separate-stderr -1 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,redirect,failed,*"gw-b cannot take part: it cannot flush"* ]]
  owner_is gw-a 1 steady
  driver_start
  refuses EOPNOTSUPP begin v 1 gw-b
  [[ $REPLY_LINE == *"target 'gw-b' cannot flush"* ]]
  owner_is gw-a 1 steady
  drive begin v 1 gw-b no-flush
  driver_kill
  # Whoever goes on must want it, too.
  driver_start
  wait_for 10 attach_is_refused
  drive begin v 1 gw-b no-flush
}

attach_is_refused()
{
  refuses EOPNOTSUPP begin v 1 gw-b
}

@test "S23: with --force a volume moves to nbd-server as it is configured by default, and back, under a client" {
  move_setup 4M --quarantine 200ms
  nbd_server gw-b
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bsrange=4k-64k \
    --iodepth=8 --fsync=20 --size=4M --io_size=16M --rate=4M --verify=crc32c --verify_fatal=1 \
    --randrepeat=1
  wait_for 10 status_is clients 1
  run --separate-stderr -0 migrate-exec --overwrite --force --window 2000 <(plan gw-a gw-b 1)
  [[ $output == *"redirect,pass,"*"what it answers counts as durable; no-flush: gw-b"* ]]
  [[ $output == *"handover,switched,"*"; no-flush: gw-b; digest="* ]]
  [[ $(status_of durable) == no-flush && $(journal v-2 'verify full, no-flush target') == 1 ]]
  migrate-exec --status v-2 | grep -q 'copy kept on gw-a, flushed; no-flush: gw-b; retained until'
  run --separate-stderr -0 migrate-exec --revert --window 2000 v-2
  [[ $output == *"; no-flush: gw-b; verify=delta"* && $(status_of durable) == by-flush ]]
  owner_is gw-a 3 uncommitted
  migrate-exec --status v-3 | grep -q 'copy kept on gw-b; no-flush: gw-b; retained until'
  wait "${PIDS[fio]}"
  unset "PIDS[fio]"
  run --separate-stderr -0 migrate-exec --commit v-3
  [[ $(record) == steady,, ]]
}

@test "S23: a client's flush succeeds on an owner that cannot flush, as its replies count as durable" {
  move_setup 256K --quarantine 200ms
  nbd_server gw-b
  client_start
  run --separate-stderr -0 migrate-exec --overwrite --force <(plan gw-a gw-b 1)
  ask write -P 7 0 64k
  ask write -f -P 8 64k 64k
  ask flush
  ask read -P 7 0 64k
  no_failure
  holds gw-b 7 0 64k
  holds gw-b 8 64k 64k
}

@test "S23: from nbd-server as a source, by a run that is killed and resumed without the option" {
  move_setup 2M --quarantine 200ms
  cp gw-a/v original
  nbd_server gw-a
  start exec migrate-exec --overwrite --force --bwlimit 256K <(plan gw-a gw-b 1)
  wait_for 10 is_synced
  kill_hard exec
  wait_for 10 migrate-exec --resume v-2
  owner_is gw-b 2 uncommitted
  [[ $(journal v-2 'handover,switched,.*; no-flush: gw-a; digest=') == 1 ]]
  # What it has is known all the same: the way back sends nothing.
  run --separate-stderr -0 migrate-exec --revert v-2
  [[ $output == *" 0 sent, 2097152 unchanged"* && $output == *"; no-flush: gw-a"* ]]
  served
}

is_synced()
{
  [[ $(status_of synced) -gt 0 ]]
}

@test "S23: --check and --dry-run say no-flush" {
  move_setup 256K --quarantine 200ms
  nbd_server gw-a 'allowlist = true'
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  v on gw-a: gw-a cannot take part: it cannot flush"* ]]
  run --separate-stderr -0 migrate-exec --check --force v
  [[ $output == *"warn  v on gw-a: 262144 bytes, no-flush: its replies count as durable"* ]]
  run --separate-stderr -1 migrate-exec --dry-run <(plan gw-a gw-b 1)
  [[ $stderr == *"it cannot flush"* ]]
  run --separate-stderr -0 migrate-exec --dry-run --force <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"dry run"*"; no-flush: gw-a"* ]]
}
