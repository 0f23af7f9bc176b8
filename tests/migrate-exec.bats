#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-exec: carries a plan out, and picks it up again after any death.

# shellcheck disable=SC2016
load helpers

EVENT_HEADER=time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail

setup_file()
{
  make_inject
}

# plan SOURCE TARGET EPOCH [TIME [KIND [NOT_BEFORE]]]: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "${4-$(date +%s)},v,$1,$2,$3,${5-optional},,,,,,,${6-},"
}

# fleet SIZE [GW-B-ARGUMENT...]: volume v with random data on gw-a, an empty gw-b, a director.
fleet()
{
  make_volume gw-a v "$1"
  head -c "$1" /dev/urandom >gw-a/v
  cp gw-a/v original
  start_gateway gw-a
  start_gateway gw-b "${@:2}"
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
}

# owner: "GATEWAY EPOCH STATE" of v in the store.
owner()
{
  route-set v | sed -n '2s/^v,\([^,]*\),\([^,]*\),\([^,]*\),.*/\1 \2 \3/p'
}

# steps: the phases and events of the event records in $output, a line.
steps()
{
  [[ ${lines[0]} == "$EVENT_HEADER" ]]
  printf '%s\n' "${lines[@]:1}" | cut -d, -f6,7 | tr '\n' ' '
}

# last_event [ID]: phase and event of the migration's last event.
last_event()
{
  migrate-exec --status "${1-v-2}" | tail -n 1 | cut -d, -f6,7
}

# in_phase PHASE EVENT [ID]
in_phase()
{
  [[ $(last_event "${3-v-2}") == "$1,$2" ]]
}

# begun ID: that the migration has begun, however far it has come since.
begun()
{
  grep -q ",$1,.*,redirect,begin," state/history.csv
}

# Has it begun, so that the director would keep it without who began it?
moving()
{
  [[ $(owner) == "gw-a 1 moving" ]] && control status v | grep -qE ' phase=(replicate|mirror|hold) '
}

# ends_with STATUS NAME: the background process NAME ends by itself, with STATUS.
ends_with()
{
  local status=0
  wait "${PIDS[$2]}" || status=$?
  unset "PIDS[$2]"
  [[ $status -eq $1 ]]
}

# writer SECONDS [RATE]: fio writes v through the director, 4 KiB at random, RATE (500) a second,
# and verifies every block at the end.  Comes back when the first write is on gw-a.
writer()
{
  local rate=${2-500}
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randwrite --bs=4k \
    --iodepth=4 --size="$(stat -c %s gw-a/v)" --rate_iops="$rate" \
    --io_size=$(($1 * rate * 4096)) --verify=crc32c --norandommap --randrepeat=1
  wait_for 10 written
}

written()
{
  ! cmp -s original gw-a/v
}

# The writer's end: no error and no wrong byte.
writer_done()
{
  ends_with 0 fio
}

# The old owner's file, wherever commit has put it, is what the new owner got.
copied()
{
  cmp original "$1/v"
}

@test "migrate-exec: an empty plan is a header and no rows" {
  fleet 64K
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 | head -n 1)
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
}

@test "migrate-exec: a row moves the volume, and says each step" {
  fleet 2M
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  [[ -z $stderr ]]
  [[ $(steps) == "redirect,begin replicate,pass replicate,mirror handover,hold handover,switched " ]]
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
  [[ ${lines[-1]} =~ ,2097152,2097152,[0-9]+, ]]
  # The journal has the same and the end of the source's connections, the history the same.
  cmp <(printf '%s\n' "$output") state/history.csv
  [[ $(grep -v "takes the export on the target" state/migrations/v-2.csv | head -n 6) == "$output" ]]
  [[ $(last_event) == retire,switched ]]
}

@test "migrate-exec: the plan comes from standard input too" {
  fleet 64K
  run --separate-stderr -0 migrate-exec - < <(plan gw-a gw-b 1)
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "migrate-exec: holes stay holes on a new target" {
  make_volume gw-a v 8M
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  spoil gw-a/v 5000000
  run -0 migrate-exec <(plan gw-a gw-b 1)
  cmp gw-a/v gw-b/v
  [[ $(stat -c %b gw-b/v) -le 256 ]]
}

@test "migrate-exec: what the target has already is not sent" {
  fleet 2M
  cp gw-a/v gw-b/v
  spoil gw-b/v 300000
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ $output == *"2097152 bytes handled, 4096 sent"* ]]
  copied gw-b
}

# bytes_read GATEWAY: of the logging GATEWAY, by everybody.
bytes_read()
{
  local sum=0 n
  while read -r n; do
    sum=$((sum + n))
  done < <(sed -n 's/.* Read id=.* count=\(0x[0-9a-f]*\).*/\1/p' "$1.requests")
  echo "$sum"
}

@test "S6: zeroes of a sparse source are known by block status after the claim, and not read" {
  make_volume gw-a v 64M
  spoil gw-a/v 50000000
  start_gateway gw-a --filter=log logfile=gw-a.requests
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  run -0 migrate-exec <(plan gw-a gw-b 1)
  cmp gw-a/v gw-b/v
  # Read once in full, by the proof: the rest is what was copied.
  local read
  read=$(bytes_read gw-a)
  [[ $read -ge $((64 << 20)) && $read -lt $((70 << 20)) ]]
}

@test "migrate-exec: a hole that is not said to read as zero is read" {
  make_volume gw-a v 4M
  head -c 4M /dev/urandom >gw-a/v
  start gw-a nbdkit -f --unix "$GATESHIFT_RUN/gw-a.sock" eval \
    get_size="stat -c %s $GS/gw-a/v" can_write='exit 0' can_flush='exit 0' flush='exit 0' \
    can_multi_conn='exit 0' can_extents='exit 0' extents="echo \$4 \$3 hole" \
    pread="dd if=$GS/gw-a/v bs=64K iflag=skip_bytes,count_bytes count=\$3 skip=\$4 status=none" \
    pwrite="dd of=$GS/gw-a/v bs=64K conv=notrunc oflag=seek_bytes seek=\$4 status=none"
  wait_for 10 nbdinfo "$(gateway_uri gw-a v)"
  start_gateway gw-b
  GATEWAYS+=(gw-a)
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  run -0 migrate-exec <(plan gw-a gw-b 1)
  cmp gw-a/v gw-b/v
}

@test "migrate-exec: --compare says whether what is equal is sent" {
  fleet 4M
  cp gw-a/v gw-b/v
  run -0 migrate-exec --overwrite --compare=never <(plan gw-a gw-b 1)
  [[ $output == *"pass 1: 4194304 bytes handled, 4194304 sent"* ]]
  run -0 migrate-exec --commit v-2
  run --separate-stderr -64 migrate-exec --compare=maybe <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: compare is auto, always or never, not 'maybe'"* ]]
}

@test "migrate-exec: --compare=always reads a new target too" {
  fleet 4M --filter=log logfile=gw-b.requests
  run -0 migrate-exec --compare=always <(plan gw-a gw-b 1)
  copied gw-b
  [[ $(bytes_read gw-b) -ge $((8 << 20)) ]]
}

@test "migrate-exec: a terminal sees the progress, and the line is wiped at the end" {
  fleet 8M
  plan gw-a gw-b 1 >rows
  script -qec "migrate-exec rows >events" terminal >/dev/null </dev/null
  grep -q 'v-2 copy \[' terminal
  grep -q 'v-2 proof \[.*% *, [0-9.]* MiB left' terminal
  [[ $(tr '\r\n' '  ' <terminal | sed 's/.*MiB left//') == *$'\e[K'* ]]
  grep -q 'handover,switched' events
}

# digest EVENTS: of the event "switched" in them.
digest()
{
  grep ',handover,switched,' <<<"$1" | grep -o 'digest=[0-9a-f]\{32\}$'
}

@test "S8: the digest is of what was switched to, whatever was written meanwhile" {
  fleet 16M
  writer 2
  run -0 migrate-exec <(plan gw-a gw-b 1)
  local under_writes
  under_writes=$(digest "$output")
  [[ -n $under_writes ]]
  # gw-a is as it was at the switch: once more from there, with nobody writing.
  writer_done
  cp gw-a/v gw-b/v
  kill_hard director
  rm -r state/*
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ $(digest "$output") == "$under_writes" ]]
}

# waits_known: the director can say how long clients wait for reads, after some hundred of them, and
# it is less than a millisecond, whatever else this machine does.
waits_known()
{
  grep -q ' requests=[0-9]\{3\}.* read_us_now=[1-9][0-9]\{0,2\} ' <<<"$(control status v)"
}

@test "migrate-exec: --max-slowdown backs off while clients wait longer" {
  make_volume gw-a v 24M
  head -c 24M /dev/urandom >gw-a/v
  # Whoever reads much makes the others wait: 6 ms for 4 KiB once what it has saved up is spent.
  start_gateway gw-a --filter=rate rate=40M
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  start fio fio --name=v --ioengine=nbd --uri="$(director_uri v)" --rw=randread --bs=4k \
    --iodepth=1 --size=24M --rate_iops=200 --time_based --runtime=150
  wait_for 60 waits_known
  run -0 migrate-exec --max-slowdown=1 <(plan gw-a gw-b 1)
  [[ $output =~ "pass 1: "[0-9]+" bytes handled, "[0-9]+" sent; for clients slowed to "[0-9]+ ]]
  kill_hard fio
  cmp gw-a/v gw-b/v
}

@test "migrate-exec: --heat has what will be written soon copied last" {
  fleet 8M --filter=log logfile=gw-b.requests
  local now
  now=$(date +%s)
  {
    echo volume,segment,offset,length,gateway,start,duration_s,reads,writes,bytes
    echo "v,0,0,1048576,gw-a,$now,3600,0,90,368640"
    echo "v,1,1048576,1048576,gw-a,$now,3600,0,7,28672"
    echo "v,3,3145728,1048576,gw-a,$((now + 86400)),3600,0,1000,4096000"
    echo "w,4,4194304,1048576,gw-a,$now,3600,0,1000,4096000"
  } >heat
  run --separate-stderr -0 migrate-exec --heat=heat --connections=1 --bwlimit 16M <(plan gw-a gw-b 1)
  [[ -z $stderr ]]
  copied gw-b
  # 0x200000 and more first, then the second MiB, then the first.
  sed -n 's/.* Write id=.* offset=0x\([0-9a-f]*\) .*/\1/p' gw-b.requests >offsets
  # (Under the limit extents come one after the other, but for the replies to neighbours.)
  [[ $(head -n 3 offsets | grep -c '^[2-7].....$') -eq 3 ]]
  [[ $(tail -n 1 offsets) =~ ^1?[0-9a-f]{1,5}$ ]]
  run -0 awk '
    { kind = length($1) < 6 ? "hot" : $1 ~ /^1/ ? "warm" : "cold"; n[kind]++; sum[kind] += NR }
    END { print sum["cold"] / n["cold"] < sum["warm"] / n["warm"], sum["warm"] / n["warm"] < sum["hot"] / n["hot"] }
  ' offsets
  [[ $output == "1 1" ]]
  run --separate-stderr -66 migrate-exec --heat=absent <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: cannot open 'absent': no such file or directory" ]]
}

@test "migrate-exec: heat that cannot be read is told of, and done without" {
  fleet 1M
  echo volume,segment,offset >heat
  run --separate-stderr -0 migrate-exec --heat=heat <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: 'v' is copied without regard to heat: heat:1: "* ]]
  copied gw-b
}

# lanes GATEWAY REQUEST: over how many connections the logging GATEWAY got such requests.
lanes()
{
  grep " $2 id=" "$1.requests" | grep -o 'connection=[0-9]*' | sort -u | wc -l
}

@test "migrate-exec: it copies over several connections, or as many as --connections says" {
  fleet 16M --filter=log logfile=gw-b.requests
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  [[ -z $stderr && $(lanes gw-b Write) -eq 4 && $(lanes gw-b Flush) -ge 4 ]]
  copied gw-b
  run -0 migrate-exec --commit v-2
  stop gw-a
  start_gateway gw-a --filter=log logfile=gw-a.requests
  run --separate-stderr -0 migrate-exec --connections=1 <(plan gw-b gw-a 2)
  [[ -z $stderr && $(lanes gw-a Read) -le 2 ]]
  copied gw-a
}

@test "migrate-exec: a gateway that takes few connections is used over one" {
  fleet 8M --filter=log --filter=limit limit=4 logfile=gw-b.requests
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  [[ -z $stderr && $(lanes gw-b Write) -eq 1 ]]
  copied gw-b
}

@test "migrate-exec: to and fro under a verifying writer, no error and no wrong byte" {
  fleet 16M
  writer 6
  local from=gw-a to=gw-b epoch=1
  while kill -0 "${PIDS[fio]}" 2>/dev/null && ((epoch < 5)); do
    migrate-exec <(plan "$from" "$to" "$epoch")
    epoch=$((epoch + 1))
    [[ $(owner) == "$to $epoch uncommitted" ]]
    migrate-exec --commit "v-$epoch"
    [[ $(owner) == "$to $epoch steady" ]]
    read -r from to <<<"$to $from"
  done
  ((epoch >= 3))
  writer_done
}

@test "migrate-exec: --dry-run says what it would do, and does nothing" {
  fleet 2M
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-a gw-b 1)
  [[ -z $stderr && ${#lines[@]} -eq 2 && ${lines[1]} == *",0,2097152,"*"dry run: at most 2097152 bytes"* ]]
  [[ $(owner) == "gw-a 1 steady" && ! -e gw-b/v && ! -e state/migrations && ! -e state/history.csv ]]
  [[ ${lines[1]} =~ ', about '[0-9.]+' s to copy and compare at '[0-9.]+' MiB/s; pause about '[0-9.]+' ms, 6 round trips, at most 100 ms' ]]
}

@test "migrate-exec: --dry-run goes by the bandwidth limit, and by the pauses of earlier moves" {
  fleet 2M
  migrate-exec <(plan gw-a gw-b 1)
  migrate-exec --commit v-2
  local pause
  pause=$(awk -F, '$7 == "switched" && $10 { printf "%.1f", $10 / 1000 }' state/history.csv)
  run --separate-stderr -0 migrate-exec --dry-run --bwlimit 64K --window 50 <(plan gw-b gw-a 2)
  [[ ${lines[1]} == *", about 64.0 s to copy and compare at 0.1 MiB/s; pause about $pause ms, the median of 1, at most 50 ms"* ]]
  [[ $(owner) == "gw-b 2 steady" ]]
}

@test "migrate-exec: rows that no longer hold are refused, with the reason" {
  fleet 64K
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 7)
  [[ $stderr == "migrate-exec: refused 'v': the row is of epoch 7, the route at 1" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-a 1)
  [[ $stderr == "migrate-exec: refused 'v': the volume is on gw-a, not on gw-b" ]]
  run --separate-stderr -1 migrate-exec --max-age 1m <(plan gw-a gw-b 1 $(($(date +%s) - 3000)))
  [[ $stderr == "migrate-exec: refused 'v': the row is 300"?" s old" ]]
  # One from a clock that was ahead would be fresh until it is caught up with.
  run --separate-stderr -1 migrate-exec --max-age 1m <(plan gw-a gw-b 1 $(($(date +%s) + 3000)))
  [[ $stderr == "migrate-exec: refused 'v': the row is dated "[0-9]*" s ahead: clocks apart" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1 | sed 's/,v,/,w,/')
  [[ $stderr == "migrate-exec: refused 'w': the volume has no route" ]]
  [[ $output == "$EVENT_HEADER" && $(owner) == "gw-a 1 steady" && ! -e state/migrations ]]
}

@test "migrate-exec: shadow rows are skipped" {
  fleet 64K
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 "$(date +%s)" shadow)
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: skipped 'v': a shadow row" ]]
}

@test "migrate-exec: a row whose time has not come is left, or waited for" {
  fleet 64K
  local later=$(($(date +%s) + 1000))
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1 "$(date +%s)" optional $later)
  [[ $stderr == "migrate-exec: left 'v': not before $later" && $(owner) == "gw-a 1 steady" ]]
  run --separate-stderr -0 migrate-exec --wait \
    <(plan gw-a gw-b 1 "$(date +%s)" optional $(($(date +%s) + 1)))
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "migrate-exec: a row does not grow too old by waiting for its time" {
  fleet 64K
  run --separate-stderr -0 migrate-exec --wait --max-age 2s \
    <(plan gw-a gw-b 1 "$(date +%s)" optional $(($(date +%s) + 4)))
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "migrate-exec: a target that is unknown or takes no new volume is refused, dry or not" {
  fleet 64K
  local dry
  for dry in "" --dry-run; do
    # shellcheck disable=SC2086 # one argument or none
    run --separate-stderr -1 migrate-exec $dry <(plan gw-a gw-z 1)
    [[ $stderr == "migrate-exec: refused 'v': gateway 'gw-z' is not in gateways.csv" ]]
  done
  sed -i '/^gw-b/s/,active,/,cordoned,/' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: refused 'v': gateways.csv has gw-b as cordoned: it takes no new volume" ]]
  [[ $(owner) == "gw-a 1 steady" && ! -e state/migrations ]]
}

@test "migrate-exec: a hook that is not there is named" {
  fleet 64K
  sed -i '/^gw-b/s/,dir /,nowhere /' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"hook of gw-b, shared: cannot run '$GATESHIFT_HOOKS/nowhere': no such file "* ]]
}

@test "migrate-exec: a frozen state folder starts nothing, and says why" {
  fleet 64K
  echo "audit until Monday" >state/frozen
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: frozen by '$GS/state/frozen': audit until Monday" ]]
  [[ $output == "$EVENT_HEADER" && $(owner) == "gw-a 1 steady" && ! -e state/migrations ]]
}

@test "migrate-exec: without a director nothing is begun" {
  fleet 64K
  kill_hard director
  run --separate-stderr -69 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: cannot move 'v': no director answers in '$GS/run': connection refused" ]]
  [[ ! -e gw-b/v ]]
  [[ $output == "$EVENT_HEADER" && $(owner) == "gw-a 1 steady" ]]
}

@test "migrate-exec: a hook that leaves a server running is done when it ends itself" {
  fleet 64K
  # The server holds the hook's output open.
  cat >serving <<END
#!/bin/sh
"$GATESHIFT_HOOKS/dir" "\$@" || exit
sleep 100 &
echo \$! >>$GS/left
END
  chmod +x serving
  sed -i "/^gw-b/s|,dir |,$GS/serving |" config/gateways.csv
  run --separate-stderr -0 timeout 60 migrate-exec <(plan gw-a gw-b 1)
  xargs kill <left
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "migrate-exec: a hook that cannot create ends the move before it has begun" {
  fleet 64K
  sed -i 's|dir [^,]*/gw-b|dir /nonexistent|' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ $(steps) == "redirect,begin redirect,failed " && $(owner) == "gw-a 1 steady" ]]
  [[ ${lines[-1]} == *"hook of gw-b, size: dir: no folder '/nonexistent'"* ]]
  # The next attempt has a journal of its own.
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[1]} == *,v-2.2,* ]]
}

@test "migrate-exec: an export that no move of the volume left is not overwritten" {
  fleet 64K
  head -c 64K /dev/urandom >gw-b/v
  cp gw-b/v other
  for _ in 1 2; do # a refusal is no reason to take it the next time
    run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
    [[ ${lines[-1]} == *"redirect,failed,"*"gw-b has an export 'v' that no move of the volume left there; "* ]]
    [[ $stderr =~ ^"migrate-exec: 'v-2"(\.2)?"' failed: gw-b has an export 'v' that no move of the volume left there; --overwrite takes it"$ ]]
    [[ $(owner) == "gw-a 1 steady" ]]
    cmp other gw-b/v
  done
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  copied gw-b
}

@test "migrate-exec: no export is taken by a journal of the volume that cannot be read" {
  fleet 64K
  run -0 migrate-exec <(plan gw-a gw-b 1)
  migrate-exec --commit v-2
  run -0 migrate-exec <(plan gw-b gw-a 2)
  migrate-exec --commit v-3
  cp gw-a/v gw-b/v # by hand; what may be done with it only the journals say
  { echo "$EVENT_HEADER" && echo rubbish; } | tee state/migrations/v-1.csv >state/migrations/w-v-2.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 3)
  [[ ${lines[-1]} == *"redirect,failed,"*"the journal of 'v-1' cannot be read: a damaged record; "* ]]
  [[ $(owner) == "gw-a 3 steady" ]]
  rm state/migrations/v-1.csv
  run -0 migrate-exec <(plan gw-a gw-b 3)
}

@test "I4: kill -9 before an export is found to be another's: --resume does not overwrite it" {
  needs_preload migrate-exec
  fleet 64K
  head -c 64K /dev/urandom >gw-b/v
  cp gw-b/v other
  local n
  for ((n = 1; n < 20; n++)); do
    rm -rf mark "$GATESHIFT_STATE/migrations"
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec <(plan gw-a gw-b 1) >out 2>&1 || true
    migrate-exec --resume >out 2>&1 || true
    cmp other gw-b/v
    [[ $(owner) == "gw-a 1 steady" ]]
    [[ -e mark ]] || break
  done
  ((n > 1 && n < 20))
}

@test "migrate-exec: a gateway without a hook must have the export" {
  fleet 64K
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"cannot connect to gw-b: "* ]]
  truncate -s 64K gw-b/v
  run --separate-stderr -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ ${lines[1]} == *,v-2.2,* ]]
  copied gw-b
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': it has not switched: failed" ]]
  run --separate-stderr -0 migrate-exec --commit v-2.2
  [[ ${lines[-1]} == *",committed,"*"gw-a has no hook: its copy stays as it is, unfenced"* ]]
  [[ -e gw-a/v && $(owner) == "gw-b 2 steady" ]]
}

@test "migrate-exec: --status prints the latest event of each migration" {
  fleet 64K
  run --separate-stderr -0 migrate-exec --status
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  migrate-exec <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --status
  [[ ${#lines[@]} -eq 2 && ${lines[1]} == *,v-2,v,gw-a,gw-b,retire,switched,* ]]
  run --separate-stderr -66 migrate-exec --state "$GS/nowhere" --status
  [[ $stderr == "migrate-exec: cannot open '$GS/nowhere': no such file or directory" ]]
  run --separate-stderr -1 migrate-exec --status v-9
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: no such migration 'v-9'" ]]
}

@test "migrate-exec: --commit makes the old copy cold, and once is enough" {
  fleet 64K
  migrate-exec <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $(steps) == "retire,committed " && ${lines[1]} == *'"cold on gw-a, unfenced"' ]]
  [[ ! -e gw-a/v && $(owner) == "gw-b 2 steady" ]]
  cmp original gw-a/.cold/v.1
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2' is committed already" ]]
}

@test "migrate-exec: --expire commits what was retained long enough, and nothing else" {
  fleet 64K
  run -0 migrate-exec --retain 1h <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[1]} =~ 'copy kept on gw-a, flushed; retained until '[0-9]+': 65536 bytes, '[0-9]+' s old, 3'[0-9]{3}' s left' ]]
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && -z $stderr && -e gw-a/v && $(owner) == "gw-b 2 uncommitted" ]]
  migrate-exec --commit v-2
  run -0 migrate-exec --retain 0 <(plan gw-b gw-a 2)
  run --separate-stderr -0 migrate-exec --status v-3
  [[ ${lines[1]} == *"65536 bytes, "*" s old, to be committed"* ]]
  echo audit >state/frozen
  run --separate-stderr -75 migrate-exec --expire
  [[ -e gw-b/v && $(owner) == "gw-a 3 uncommitted" ]]
  rm state/frozen
  # What it cannot read it leaves, says so, and goes on.
  echo rubbish >state/migrations/v-1.csv
  run --separate-stderr -70 migrate-exec --expire
  [[ $(steps) == "retire,committed " && ! -e gw-b/v && $(owner) == "gw-a 3 steady" ]]
  [[ $stderr == "migrate-exec: cannot read the journal of 'v-1': $GS/state/migrations/v-1.csv:1: column 'time' of event records is missing" ]]
  rm state/migrations/v-1.csv
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
}

@test "migrate-exec: a journal that is empty is no success, and --check says what is left to do" {
  fleet 64K
  run -0 migrate-exec <(plan gw-a gw-b 1)
  run --separate-stderr -0 migrate-exec --check v
  [[ $output == *"warn  route of v: gw-b at epoch 2, uncommitted; migrate-exec --commit or --revert ends that"* ]]
  : >state/migrations/v-2.csv
  local verb
  for verb in --commit --revert --abort --resume --cutover; do
    run --separate-stderr -1 migrate-exec $verb v-2
    [[ $stderr == "migrate-exec: no such migration 'v-2': its journal is empty" && $(owner) == "gw-b 2 uncommitted" ]]
  done
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  route of v: gw-b at epoch 2, uncommitted, and no journal is of it; find the gateway whose copy is whole, then route-set --force"* ]]
  # One that cannot be read may be of it.
  echo rubbish >state/migrations/v-2.csv
  run --separate-stderr migrate-exec --check v
  [[ $output == *"warn  route of v: "* ]]
  rm state/migrations/v-2.csv
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  route of v: "*"no journal is of it"* ]]
  route-set --force v gw-b >/dev/null
  run --separate-stderr -0 migrate-exec --check v
}

@test "migrate-exec: --expire leaves what an operator has routed elsewhere since" {
  fleet 64K
  run -0 migrate-exec --retain 0 <(plan gw-a gw-b 1)
  route-set v gw-a --force >/dev/null
  run --separate-stderr -0 migrate-exec --expire
  [[ $output == "$EVENT_HEADER" && -e gw-a/v && -e gw-b/v && $(owner) == "gw-a 3 steady" ]]
}

@test "migrate-exec: --commit never takes away the copy that the new owner serves" {
  fleet 64K
  # Two gateways on one folder.
  stop_gateway gw-b
  rm -rf gw-b
  ln -s gw-a gw-b
  start_gateway gw-b
  migrate-exec --overwrite <(plan gw-a gw-b 1)
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': without the copy on gw-a, "*"; it is back in service" ]]
  cmp original gw-b/v
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "migrate-exec: a hook that fails ends the commit, and its reason can be printed" {
  fleet 64K
  migrate-exec <(plan gw-a gw-b 1)
  # shellcheck disable=SC2016 # the hook expands it
  printf '%s\n' '#!/bin/sh' '[ "$1" != cold ] || { printf "on \033[31mfire\n" >&2; exit 1; }' \
    'exit 3' >burning
  chmod +x burning
  sed -i "/^gw-a/s|,dir [^,]*|,$GS/burning|" config/gateways.csv
  run --separate-stderr -1 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': hook of gw-a, cold: on ?[31mfire" ]]
  [[ $(owner) == "gw-b 2 uncommitted" && -e gw-a/v ]]
}

@test "migrate-exec: --commit keeps the old copy while the new owner is away" {
  fleet 64K
  migrate-exec <(plan gw-a gw-b 1)
  stop_gateway gw-b
  run --separate-stderr -75 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2': cannot connect to gw-b: "* ]]
  cmp original gw-a/v
  start_gateway gw-b
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ $(owner) == "gw-b 2 steady" && ! -e gw-a/v ]]
}

@test "migrate-exec: a second run on an open migration is sent away" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: refused 'v': a move is open: see migrate-exec --status" ]]
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == "migrate-exec: 'v-2' is driven by another process: "*": migrate-exec --bwlimit 100K "* ]]
}

@test "migrate-exec: requests keep to the largest block of gateways" {
  local limits=(--filter=blocksize-policy blocksize-minimum=512 blocksize-preferred=4096
    blocksize-maximum=20480 blocksize-error-policy=error)
  make_volume gw-a v 1000448
  head -c 1000448 /dev/urandom >gw-a/v
  cp gw-a/v original
  start_gateway gw-a "${limits[@]}"
  start_gateway gw-b "${limits[@]}"
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
  run -0 migrate-exec <(plan gw-a gw-b 1)
  copied gw-b
}

@test "S23: a gateway that cannot flush is refused" {
  fleet 64K
  stop_gateway gw-b
  # shellcheck disable=SC2016 # nbdkit expands it
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" eval get_size='echo 65536' \
    pread='head -c $3 /dev/zero' pwrite='cat >/dev/null' can_flush='exit 3' can_multi_conn='exit 0'
  wait_for 10 nbdinfo "$(gateway_uri gw-b v)"
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"gw-b cannot take part: it cannot flush"* && $(owner) == "gw-a 1 steady" ]]
}

@test "S23: a gateway that accepts and says nothing costs a deadline, not for ever" {
  fleet 64K
  stop_gateway gw-b
  start gw-b socat -u "UNIX-LISTEN:$GATESHIFT_RUN/gw-b.sock,fork" PIPE
  wait_for 10 test -S "$GATESHIFT_RUN/gw-b.sock"
  run --separate-stderr -1 timeout 30 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"cannot connect to gw-b: "* && $(owner) == "gw-a 1 steady" ]]
}

@test "S24: an odd size is moved to the byte, and nothing beyond it is touched" {
  fleet 1000007
  head -c 1100000 /dev/zero | tr '\0' z >gw-b/v
  run -0 migrate-exec --overwrite <(plan gw-a gw-b 1)
  cmp -n 1000007 original gw-b/v
  cmp <(tail -c +1000008 gw-b/v) <(head -c 99993 /dev/zero | tr '\0' z)
  [[ $(nbdinfo --size "$(director_uri v)") -eq 1000007 ]]
}

@test "S24: a smaller target is refused" {
  fleet 64K
  truncate -s 65024 gw-b/v
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *"gw-b cannot take part: its export is smaller than the volume"* ]]
  [[ $(owner) == "gw-a 1 steady" ]]
}

@test "S5: what is switched to survives the loss of the target's cache" {
  fleet 4M --filter=cache cache=writeback
  writer 2
  migrate-exec <(plan gw-a gw-b 1)
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  # Everything that was copied before the switch is on the disk, whatever the cache lost.
  writer_done
  qemu-io -f raw -c flush "$(director_uri v)"
  nbdcopy "$(director_uri v)" served
  stop_gateway gw-b
  cmp served gw-b/v
}

@test "S5: a quiet volume's copy is on the target's disk when the switch is reported" {
  fleet 4M --filter=cache cache=writeback
  migrate-exec <(plan gw-a gw-b 1)
  stop_gateway gw-b
  copied gw-b
}

@test "S8: a target that does not keep what it is told is found out, and never switched to" {
  fleet 256K
  stop_gateway gw-b
  start gw-b nbdkit -f --unix "$GATESHIFT_RUN/gw-b.sock" null 256K
  wait_for 10 nbdinfo "$(gateway_uri gw-b v)"
  sed -i 's|,dir [^,]*$|,|' config/gateways.csv
  run --separate-stderr -1 migrate-exec --overwrite <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,failed,*"the target still differs after 3 copies"*"left on gw-b: export v"* ]]
  [[ $(owner) == "gw-a 1 steady" && $output != *,switched,* ]]
}

@test "I5: abort leaves the source serving, and the target's leftovers named" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 test -e gw-b/v
  wait_for 10 moving
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[-1]} == *,aborted,*"left on gw-b: export v" ]]
  [[ $(owner) == "gw-a 1 steady" && -e gw-b/v ]]
  ends_with 1 exec
  nbdcopy "$(director_uri v)" served
  cmp original served
  # And again: there is nothing left to abort, and the volume can be moved.
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ $stderr == "migrate-exec: 'v-2' has ended: aborted" ]]
  wait_for 10 migrate-exec <(plan gw-a gw-b 1)
  copied gw-b
}

@test "I5: abort of a killed run, and none after the switch" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[-1]} == *,aborted,*"left on gw-b: export v"* && $(owner) == "gw-a 1 steady" ]]
  migrate-exec <(plan gw-a gw-b 1)
  run --separate-stderr -1 migrate-exec --abort v-2.2
  [[ $stderr == "migrate-exec: cannot abort 'v-2.2': it has switched to gw-b; "* ]]
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "I6: an interrupt is not a success: the move is aborted, what is left is named" {
  fleet 2M
  local signal
  for signal in INT TERM HUP; do
    # A background job of a script ignores SIGINT unless it has a process group of its own, and all
    # ignore SIGHUP where the tests were begun by nohup(1).
    set -m
    start exec env --default-signal=HUP migrate-exec --bwlimit 200K <(plan gw-a gw-b 1)
    set +m
    wait_for 10 moving
    kill -"$signal" "${PIDS[exec]}"
    ends_with 1 exec
    [[ $(grep "^[0-9]" exec.log | tail -n 1) == *",aborted,"*"interrupted by SIG$signal; left on gw-b: export v" ]]
    [[ $(last_event) == *,aborted && $(owner) == "gw-a 1 steady" ]]
    nbdcopy "$(director_uri v)" served
    cmp original served
    rm -rf state/migrations gw-b/v
  done
  # Every reply was waited for: no quarantine keeps the next move waiting.
  run -0 migrate-exec --quarantine 0 <(plan gw-a gw-b 1)
  copied gw-b
}

@test "migrate-exec: the end of its terminal is told twice, and may be ignored" {
  fleet 2M
  start exec env --default-signal=HUP migrate-exec --bwlimit 200K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill -STOP "${PIDS[exec]}"
  kill -HUP "${PIDS[exec]}"
  kill -CONT "${PIDS[exec]}"
  kill -HUP "${PIDS[exec]}"
  ends_with 1 exec
  [[ $(grep "^[0-9]" exec.log | tail -n 1) == *",aborted,"*"interrupted by SIGHUP; left on gw-b: export v" ]]
  rm -rf state/migrations gw-b/v
  start exec nohup migrate-exec --bwlimit 500K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill -HUP "${PIDS[exec]}"
  ends_with 0 exec
  copied gw-b
}

# interrupted NAME SIGNAL: sends one more; fails while NAME runs.
interrupted()
{
  ! kill -"$2" "${PIDS[$1]}"
}

# copying: an extent is in work at the copier.
copying()
{
  [[ $(control status v) =~ \ copying=[1-9] ]]
}

# hang_exec: a run whose target hangs, so that it waits for replies.
hang_exec()
{
  set -m
  start exec migrate-exec --bwlimit 200K <(plan gw-a gw-b 1)
  set +m
  wait_for 10 moving
  kill -STOP "${PIDS[gw-b]}"
  wait_for 10 copying
}

@test "I4: a second interrupt ends the run at once, and what is left can be gone on with" {
  fleet 2M
  local signal
  for signal in INT:130 TERM:143; do
    hang_exec
    wait_for 10 interrupted exec "${signal%:*}"
    ends_with "${signal#*:}" exec
    [[ $(owner) == "gw-a 1 moving" ]]
    kill -CONT "${PIDS[gw-b]}"
    run --separate-stderr -0 migrate-exec --abort v-2
    [[ $(owner) == "gw-a 1 steady" ]]
    rm -rf state/migrations gw-b/v
  done
  hang_exec
  wait_for 10 interrupted exec TERM
  ends_with 143 exec
  kill -CONT "${PIDS[gw-b]}"
  run --separate-stderr -0 migrate-exec --resume
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

@test "I6: an interrupted cutover is deferred again" {
  defer_v
  writer_done
  start exec migrate-exec --bwlimit 100K --cutover v-2
  wait_for 20 in_phase replicate mirror
  stop exec || [[ $? -eq 75 ]]
  [[ $(owner) == "gw-a 1 deferred" && $(last_event) == *,deferred ]]
  run --separate-stderr -0 migrate-exec --window 2000 --cutover v-2
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

@test "S15: --resume goes on after kill -9 while copying" {
  fleet 4M
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  run --separate-stderr -0 migrate-exec --resume
  [[ $(steps) == "redirect,begin replicate,pass "*"handover,switched " ]]
  [[ $output == *,resumed* && $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

@test "migrate-exec: --resume does not go on to a target that was cordoned meanwhile" {
  fleet 4M
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  cp config/gateways.csv before
  sed -i 's/^\(gw-b,.*\),active,/\1,cordoned,/' config/gateways.csv
  run --separate-stderr -75 migrate-exec --resume
  [[ $stderr == "migrate-exec: cannot resume 'v-2': gateways.csv has gw-b as cordoned: "*"migrate-exec --abort v-2 ends it" ]]
  [[ $(owner) == "gw-a 1 moving" ]]
  cp before config/gateways.csv
  run --separate-stderr -0 migrate-exec --resume
  copied gw-b
}

@test "S15: --resume after the death of the director begins again" {
  fleet 4M
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard director
  ends_with 75 exec
  [[ $(last_event) == *,stalled && $(owner) == "gw-a 1 moving" ]]
  start_director --quarantine 200ms
  run -0 migrate-exec --resume v-2
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

@test "S15: a store that says something else is left to the operator" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  kill_hard director
  route-set v gw-a --force >/dev/null # at epoch 1 still, or 2: nobody's move
  route-set v gw-b --force >/dev/null
  route-set v gw-a --force >/dev/null
  cp state/routes.log before
  run --separate-stderr -70 migrate-exec --resume v-2
  [[ ${lines[-1]} == *,manual-recovery,*"nothing touched"* ]]
  cmp state/routes.log before
  cmp gw-a/v original
  # What the operator set is a steady route, so a later run has nothing to say.
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2' is over: the store says gw-a at epoch "* ]]
}

@test "migrate-exec: --expire and --resume say that the route store is damaged, and leave it all" {
  fleet 64K
  run -0 migrate-exec --retain 0 <(plan gw-a gw-b 1)
  cp state/routes.log routes.log
  sed -i '2s/gw-a/gw-c/' state/routes.log
  local words
  for words in --expire --resume '--resume --jobs 2'; do
    # shellcheck disable=SC2086 # words
    run --separate-stderr -65 migrate-exec $words
    [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: $GS/state/routes.log:2: checksum does not fit; what hangs on it is left: see route-set(1), FILES" ]]
  done
  [[ -e gw-a/v && $(last_event) == *,switched ]]
  cp routes.log state/routes.log
  run --separate-stderr -0 migrate-exec --expire
  [[ ! -e gw-a/v && $(owner) == "gw-b 2 steady" ]]
}

@test "S15: manual-recovery is no success the second time either" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  kill_hard director
  mv state/routes.log routes.log
  run --separate-stderr -70 migrate-exec --resume v-2
  run --separate-stderr -70 migrate-exec --resume v-2
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': the store has no readable record "* ]]
  run --separate-stderr -70 migrate-exec --resume
  run --separate-stderr -70 migrate-exec --abort v-2
  # Once the store is back it can be gone on with.
  mv routes.log state/routes.log
  start_director --quarantine 200ms
  run --separate-stderr -0 migrate-exec --resume
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

@test "migrate-exec: what it waits for before a move begins is told" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  kill_hard director
  start_director --quarantine 2s
  run --separate-stderr -0 migrate-exec --resume
  [[ $stderr =~ ^"migrate-exec: 'v-2' waits: writes of a connection that ended may still land: wait "[0-9]+" ms"$ ]]
  copied gw-b
}

@test "I5: abort of a migration that was overtaken leaves the one under way alone" {
  fleet 2M
  start_gateway gw-c
  write_gateways
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  kill_hard director
  route-set v gw-c --force >/dev/null
  route-set v gw-a --force >/dev/null
  start_director --quarantine 200ms
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-c 3)
  wait_for 10 begun v-4
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[-1]} == *,aborted,*"by an operator; nothing touched: gw-a at epoch 3, "* ]]
  ends_with 0 exec
  [[ $(owner) == "gw-c 4 uncommitted" ]]
  copied gw-c
}

@test "I5: an abort that the director could not write to the store is written for it" {
  needs_preload route-director
  fleet 2M
  kill_hard director
  # Its fourth write is the end of the move.
  start director env GS_FAULT=write:4 GS_FAULT_MARK=mark LD_PRELOAD="$INJECT" route-director \
    --listen "unix:$GATESHIFT_RUN/nbd.sock" --control "$GATESHIFT_RUN/director.sock" \
    --quarantine 200ms
  wait_for 10 control help
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ -e mark && $(owner) == "gw-a 1 steady" ]]
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  [[ $(owner) == "gw-b 2 uncommitted" ]]
}

# The one owner's file is complete.
complete_on_owner()
{
  local gateway
  read -r gateway _ < <(owner)
  cmp original "$gateway/v"
}

@test "I4: kill -9 at any write to the journal, then --resume: one owner, its copy complete" {
  needs_preload migrate-exec
  fleet 1M
  local n from=gw-a to=gw-b epoch=1 id
  for ((n = 1; n < 40; n++)); do
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec <(plan "$from" "$to" "$epoch") >out 2>&1 || true
    [[ -e mark ]] || break
    complete_on_owner
    id=v-$((epoch + 1))
    migrate-exec --resume >resumed
    # Killed before the first event was in: nothing was begun, so begin now.
    [[ $(owner) == "$to "* ]] || migrate-exec <(plan "$from" "$to" "$epoch") >resumed
    epoch=$((epoch + 1))
    [[ $(owner) == "$to $epoch uncommitted" ]]
    complete_on_owner
    [[ $(last_event "$id") == retire,switched ]]
    # The planner rests on the history: the switch is in it, once.
    [[ $(grep -c ",$id,.*,handover,switched," state/history.csv) -eq 1 ]]
    migrate-exec --commit "$id"
    read -r from to <<<"$to $from"
  done
  # It struck often enough to have seen begin, pass, mirror, hold, switched and the retirement.
  ((n > 8 && n < 40))
}

# survives HOW: the director's n-th sync meets HOW, for each n; whatever comes of it, in the end there
# is one owner, whose copy is complete, and a healthy director goes on from there.
survives()
{
  local n epoch from=gw-a to=gw-b
  fleet 1M
  for ((n = 1; n < 30; n++)); do
    kill_hard director
    rm -f mark
    GS_FAULT=sync:$n$1 GS_FAULT_MARK=$PWD/mark LD_PRELOAD=$INJECT start_director --quarantine 200ms
    read -r from epoch _ <<<"$(owner)"
    to=$([[ $from == gw-a ]] && echo gw-b || echo gw-a)
    timeout 60 migrate-exec --on-fail abort <(plan "$from" "$to" "$epoch") >out 2>err || true
    complete_on_owner
    [[ -e mark ]] || break
    kill_hard director || true
    start_director --quarantine 200ms
    wait_for 20 migrate-exec --resume
    complete_on_owner
    read -r now after state <<<"$(owner)"
    ((after >= epoch && after <= epoch + 2))
    if [[ $state == uncommitted ]]; then
      [[ $now == "$to" ]]
      migrate-exec --commit "$(migrate-exec --status | awk -F, '$7 == "switched" { print $2 }')"
    fi
  done
  ((n > 2 && n < 30))
}

@test "S1: a commit in doubt ends on one side, whichever sync of the director fails" {
  needs_preload route-director
  survives ''
  grep -q 'is in doubt' director.log # that one was among them
}

@test "I4: kill -9 of the director at any of its syncs: one owner, its copy complete" {
  needs_preload route-director
  survives :kill
}

@test "I4: kill -9 at any sync of --commit, then --commit again" {
  needs_preload migrate-exec
  fleet 64K
  local n from=gw-a to=gw-b epoch=1
  for ((n = 1; n < 20; n++)); do
    migrate-exec <(plan "$from" "$to" "$epoch") >/dev/null
    epoch=$((epoch + 1))
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --commit "v-$epoch" >out 2>&1 || true
    migrate-exec --commit "v-$epoch"
    [[ $(owner) == "$to $epoch steady" && $(last_event "v-$epoch") == retire,committed ]]
    [[ $(grep -c ",v-$epoch,.*,retire,committed," state/history.csv) -eq 1 ]]
    [[ ! -e $from/v ]]
    complete_on_owner
    read -r from to <<<"$to $from"
    [[ -e mark ]] || break
  done
  ((n > 2 && n < 20))
}

# commit_cut_short: commits v-2 (gw-a to gw-b), killed when only its last event is missing.
commit_cut_short()
{
  local n
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  for ((n = 1; n < 10; n++)); do
    [[ $(owner) != "gw-b 2 steady" ]] || break
    GS_FAULT=sync:$n:kill LD_PRELOAD=$INJECT migrate-exec --commit v-2 >out 2>&1 || true
  done
  [[ $(owner) == "gw-b 2 steady" && $(last_event) == retire,begin ]]
}

@test "I4: an interrupted --commit that is run again leaves the next move's target alone" {
  needs_preload migrate-exec
  fleet 1M
  commit_cut_short
  start exec migrate-exec --bwlimit 1M <(plan gw-b gw-a 2)
  wait_for 10 begun v-3
  wait_for 10 test -e gw-a/v
  # The next row has said it first, or nobody could once the volume has moved.
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ $output == "$EVENT_HEADER" ]]
  [[ $(grep -c ',v-2,.*,committed,.*let go on gw-a before an interruption' state/history.csv) -eq 1 ]]
  ends_with 0 exec
  [[ $(owner) == "gw-a 3 uncommitted" && -e gw-a/v ]]
  cmp original gw-a/v
}

@test "S15: --commit of a switch that is not in the journal yet says to resume first" {
  fleet 64K
  start exec migrate-exec --bwlimit 4K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  kill_hard director
  # As if the director had committed and both had died before anybody heard of it.
  route-set v gw-b --force >/dev/null
  run --separate-stderr -75 migrate-exec --commit v-2
  [[ $stderr == "migrate-exec: cannot commit 'v-2' before migrate-exec --resume v-2: "* ]]
  [[ -e gw-a/v ]]
}

@test "I4: kill -9 in the hold, under a writer: no byte is lost" {
  fleet 4M
  writer 6 10
  start exec migrate-exec --window 5000 --bwlimit 2M <(plan gw-a gw-b 1)
  wait_for 20 moving
  # The hold lasts: its commit waits for a lock on the store.
  start lock flock -o "$GATESHIFT_STATE/routes.log" sleep 20
  wait_for 20 in_phase handover hold
  kill_hard exec
  kill_hard lock
  # Where the kill came before the switch was sent, the volume is on gw-a and the move goes on.
  wait_for 20 migrate-exec --window 2000 --resume
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  writer_done
}

@test "S1: a hand-over that does not fit into the window is deferred, mirrored, and resumed" {
  fleet 4M --filter=delay rdelay=30ms
  writer 6
  run --separate-stderr -75 migrate-exec --window 2 --attempts 2 <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,handover,deferred,*"mirrored meanwhile"* && $(owner) == "gw-a 1 deferred" ]]
  run --separate-stderr -0 migrate-exec --window 2000 --resume v-2
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  writer_done
}

# defer_v: a move of v that is deferred, under a writer.
defer_v()
{
  fleet 4M --filter=delay rdelay=30ms
  writer 6
  run --separate-stderr -75 migrate-exec --window 2 --attempts 2 <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: 'v-2' deferred: 2 attempts failed: "*"; go on with: migrate-exec --cutover v-2" ]]
  [[ $(owner) == "gw-a 1 deferred" && $(last_event) == handover,deferred ]]
}

@test "migrate-exec: a deferred move is refused to others, and --cutover hands it over" {
  defer_v
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1)
  [[ $stderr == "migrate-exec: refused 'v': a deferred move is open: see migrate-exec --status and --cutover" ]]
  # A cutover that does not fit either leaves it deferred.
  run --separate-stderr -75 migrate-exec --window 2 --attempts 1 --cutover v-2
  [[ $(owner) == "gw-a 1 deferred" ]]
  run --separate-stderr -0 migrate-exec --window 2000 --cutover v-2
  [[ $(steps) == "redirect,begin replicate,pass "*"handover,switched " && $(owner) == "gw-b 2 uncommitted" ]]
  writer_done
  run --separate-stderr -0 migrate-exec --cutover v-2
  [[ $stderr == "migrate-exec: 'v-2' is not deferred: switched" ]]
}

gone_on()
{
  [[ $(last_event) != handover,deferred ]]
}

@test "I4: a deferred move outlives the director and a killed cutover" {
  defer_v
  writer_done
  kill_hard director
  start_director --quarantine 200ms
  # Without the director's knowledge of the blocks it begins again.
  start exec migrate-exec --bwlimit 200K --cutover v-2
  wait_for 20 gone_on
  kill_hard exec
  [[ $(owner) == "gw-a 1 "* ]]
  run --separate-stderr -0 migrate-exec --window 2000 --resume v-2
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  cmp gw-a/v gw-b/v
}

@test "I5: a deferred move can be aborted" {
  defer_v
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[-1]} == *,aborted,*"left on gw-b: export v" && $(owner) == "gw-a 1 steady" ]]
  writer_done
  run --separate-stderr -1 migrate-exec --cutover v-2
  [[ $stderr == "migrate-exec: 'v-2' is not deferred: aborted" ]]
}

@test "migrate-exec: --modify changes the bandwidth of a move that runs" {
  fleet 2M
  start exec migrate-exec --bwlimit 4K <(plan gw-a gw-b 1) # nine minutes
  wait_for 10 moving
  run --separate-stderr -0 migrate-exec --modify --bwlimit 0 v-2
  [[ $output == "$EVENT_HEADER" && -z $stderr && ! -e state/migrations/v-2.modify ]]
  ends_with 0 exec
  grep -qx "migrate-exec: 'v-2' goes on with window 100, attempts 5, bwlimit 0, on-fail defer" exec.log
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

@test "migrate-exec: --modify changes attempts, window and what a failure leads to" {
  fleet 4M --filter=delay rdelay=30ms
  writer 8
  start exec migrate-exec --window 2 --on-fail retry <(plan gw-a gw-b 1)
  wait_for 20 moving
  run --separate-stderr -0 migrate-exec --modify --window=1 --attempts=2 --on-fail=abort v-2
  grep -qx "migrate-exec: 'v-2' goes on with window 1, attempts 2, bwlimit 0, on-fail abort" exec.log
  ends_with 1 exec
  [[ $(last_event) == *,aborted && $(owner) == "gw-a 1 steady" ]]
  writer_done
  # Who has changed what is in the journal and in the history.
  local file
  for file in state/migrations/v-2.csv state/history.csv; do
    [[ $(grep -c ',modified,' "$file") == 1 ]]
    grep ',modified,' "$file" | grep -q \
      ',"\?[^,]*: migrate-exec --modify --window=1 --attempts=2 --on-fail=abort v-2"\?,"attempts 2, on-fail abort, window 1"$'
  done
}

@test "migrate-exec: --modify is for migrations that are driven, and takes nothing damaged" {
  fleet 2M
  run --separate-stderr -1 migrate-exec --modify --bwlimit 1M v-2
  [[ $stderr == "migrate-exec: no such migration 'v-2'" ]]
  run --separate-stderr -64 migrate-exec --modify v-2
  [[ $stderr == *"modify needs --attempts, --bwlimit, --on-fail or --window"* ]]
  start exec migrate-exec --bwlimit 200K <(plan gw-a gw-b 1)
  wait_for 10 moving
  printf 'bwlimit 0\nwindow 0\n' >new
  mv new state/migrations/v-2.modify
  wait_for 10 test ! -e state/migrations/v-2.modify
  grep -q "^migrate-exec: 'v-2' goes on as it was: " exec.log
  kill_hard exec
  run --separate-stderr -1 migrate-exec --modify --bwlimit 1M v-2
  [[ $stderr == "migrate-exec: cannot modify 'v-2': no process drives it" ]]
  [[ ! -e state/migrations/v-2.modify && $(owner) == "gw-a 1 moving" ]]
}

@test "migrate-exec: --cutover is for deferred moves" {
  fleet 2M
  start exec migrate-exec --bwlimit 100K <(plan gw-a gw-b 1)
  wait_for 10 moving
  kill_hard exec
  run --separate-stderr -1 migrate-exec --cutover v-2
  [[ $stderr == "migrate-exec: 'v-2' is not deferred: "*"; go on with: migrate-exec --resume v-2" ]]
  run --separate-stderr -64 migrate-exec --cutover
  [[ $(owner) == "gw-a 1 moving" ]]
}

@test "migrate-exec: --on-fail abort ends on the source, retry tries on" {
  fleet 4M --filter=delay rdelay=30ms
  writer 8
  run --separate-stderr -1 migrate-exec --window 2 --attempts 1 --on-fail abort <(plan gw-a gw-b 1)
  [[ ${lines[-1]} == *,aborted,*"1 attempts failed: "* && $(owner) == "gw-a 1 steady" ]]
  # It gets through when the writer has ended.
  run --separate-stderr -0 migrate-exec --window 2 --attempts 1 --on-fail retry <(plan gw-a gw-b 1)
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  writer_done
}

@test "S6: a block that is written while it is copied is copied again" {
  fleet 4M
  writer 3
  migrate-exec --bwlimit 4M <(plan gw-a gw-b 1)
  writer_done
  nbdcopy "$(director_uri v)" served
  cmp served gw-b/v
}

@test "I5: a target that dies while it is copied to leaves the source serving" {
  fleet 4M
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 10 moving
  stop_gateway gw-b
  ends_with 1 exec
  [[ $(last_event) == *,failed && $(owner) == "gw-a 1 steady" ]]
  [[ $(grep "^[0-9]" exec.log | tail -n 1) == *"left on gw-b: export v"* ]]
  nbdcopy "$(director_uri v)" served
  cmp original served
}

@test "I5: a source that dies while it is copied stalls the move, to be resumed when it is back" {
  fleet 4M
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 10 moving
  stop_gateway gw-a
  ends_with 75 exec
  [[ $(last_event) == *,stalled ]]
  start_gateway gw-a
  run -0 migrate-exec --resume v-2
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  copied gw-b
}

# promotable: the target has all, should the source die.
promotable()
{
  control status v | grep -q promotable=yes
}

# proving: of what is mirrored a part is proved.
proving()
{
  local line
  line=$(control status v)
  [[ $line == *" phase=mirror "* && $line == *" synced=4194304 "* && $line != *" unproved=4194304 "* ]]
}

@test "S17: a source that dies while what is mirrored is proved is switched away from all the same" {
  fleet 4M
  stop_gateway gw-a
  start_gateway gw-a --filter=delay rdelay=200ms
  start exec migrate-exec --bwlimit 1M <(plan gw-a gw-b 1)
  wait_for 30 proving
  stop_gateway gw-a
  ends_with 0 exec
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  grep -q ',handover,switched,.*promoted as the source is dead' state/history.csv
}

@test "S17: a source that dies when all is mirrored is switched away from by the director" {
  fleet 1M
  writer 6
  start exec migrate-exec --window 1 --on-fail retry --attempts 1 <(plan gw-a gw-b 1)
  wait_for 10 promotable
  stop_gateway gw-a
  local status=0
  wait "${PIDS[exec]}" || status=$?
  unset "PIDS[exec]"
  if ((status == 0)); then
    [[ $(owner) == "gw-b 2 uncommitted" ]]
    [[ $(last_event) == retire,switched ]]
    grep -q ',handover,switched,.*promoted as the source is dead' state/history.csv
    grep -q "copy of 'v' left on 'gw-a' is unknown" exec.log
    run -1 migrate-exec --commit v-2 --remove
    [[ $output == *"promoted unproved"* && -e gw-a/v ]]
  else
    # A block was dirty or not flushed just then: nobody is promoted, and nothing is lost.
    grep -q 'stalled: ' exec.log
    start_gateway gw-a
    wait_for 10 eval '[[ $(control status v) == *" phase=mirror "* ]]'
    migrate-exec --window 1000 --resume v-2
    [[ $(owner) == "gw-b 2 uncommitted" ]]
  fi
  writer_done
}
