#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What the director tells of the requests that it passes on: its access log and its statistics.
load helpers

HEADER=time,volume,gateway,client,op,offset,length,latency_us,error

# One gateway with volume v (1 MiB of zeros), one director.
serve()
{
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
  start_director "$@"
}

# load N: N reads of 4 KiB, many in flight.
load_volume()
{
  fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randread --bs=4k --size=1M --io_size=100G \
    --norandommap --number_ios="$1" --iodepth=32 --output=fio.log
}

# metric NAME [VOLUME]: its value in the director's statistics of gw-a, or of volume v.
metric()
{
  route-director --stats | awk -F, -v m="$1" -v v="${2-}" '$3 == m && $5 == v {print $4}'
}

# Every file of the log, the packed ones unpacked, without their headers, which are checked.
records()
{
  local file first
  for file in access.csv*; do
    if [[ $file == *.lz4 ]]; then lz4 -dcq "$file" >plain; else cp "$file" plain; fi
    [[ -s plain ]] || continue # begun, and killed before its first record
    read -r first <plain
    [[ $first == "$HEADER" || $first == "$HEADER,count" ]] || return
    tail -n +2 plain
  done
}

# A client that stays, for what is only there while the volume is open; "say COMMAND" to its qemu-io,
# which looks at one at a time, returns when it is answered.
keep_client()
{
  mkfifo one.in
  exec 4<>one.in
  start one bash -c "exec qemu-io -f raw '$(director_uri v)' <one.in" 4>&-
  wait_for 10 control status v
}

answers()
{
  grep -cE 'ops/sec|failed' one.log || true
}

more_answers()
{
  (($(answers) > $1))
}

say()
{
  local before
  before=$(answers)
  echo "$1" >&4
  wait_for 20 more_answers "$before"
}

# ---- the access log ----

@test "route-director: the access log holds a valid record of each request" {
  serve --access-log "$GS/access.csv"
  qemu-io -f raw -c 'write 0 64k' -c 'read 4k 8k' -c 'write -z 128k 64k' -c flush \
    "$(director_uri v)" >/dev/null
  stop director
  [[ $(head -n 1 access.csv) == time,volume,gateway,client,op,offset,length,latency_us,error ]]
  grep -Eq "^[0-9.]+,v,gw-a,uid:$(id -u),write,0,65536,[0-9]+,\$" access.csv
  grep -Eq "^[0-9.]+,v,gw-a,uid:$(id -u),read,4096,8192,[0-9]+,\$" access.csv
  grep -Eq "^[0-9.]+,v,gw-a,uid:$(id -u),zero,131072,65536,[0-9]+,\$" access.csv
  grep -Eq "^[0-9.]+,v,gw-a,uid:$(id -u),flush,0,0,[0-9]+,\$" access.csv
  run --separate-stderr -0 affinity-profile access.csv
  [[ $output == time,volume,gateway,das,* && -z $stderr ]]
}

@test "route-director: SIGHUP goes on in a new access log after a rename" {
  serve --access-log "$GS/access.csv"
  qemu-io -f raw -c 'write 0 4k' "$(director_uri v)" >/dev/null
  mv access.csv old.csv
  kill -HUP "${PIDS[director]}"
  wait_for 5 test -e access.csv
  qemu-io -f raw -c 'write 8k 4k' "$(director_uri v)" >/dev/null
  stop director
  grep -q ',write,0,4096,' old.csv
  run ! grep -q ',write,8192,' old.csv
  [[ $(head -n 1 access.csv) == time,volume,* ]]
  grep -q ',write,8192,4096,' access.csv
}

@test "route-director: a record of the access log is written within a second or so" {
  serve --access-log "$GS/access.csv"
  keep_client
  say 'write 0 4k'
  wait_for 5 grep -q ',write,0,4096,' access.csv
}

@test "route-director: an access log is gone on with behind its last whole line" {
  printf '%s\n1700000000,v,gw-a,uid:1,read,0,1,1,\n17000' "$HEADER" >access.csv
  serve --access-log "$GS/access.csv"
  load_volume 10
  stop director
  [[ $(grep -c "^$HEADER\$" access.csv) == 1 && $(wc -l <access.csv) == 12 ]]
  run --separate-stderr -0 affinity-profile access.csv
  [[ -z $stderr ]]
}

@test "route-director: a file with anything else in it is refused as access log, and left alone" {
  echo precious >file
  run --separate-stderr -73 route-director --listen "unix:$GS/s" --access-log "$GS/file"
  [[ $stderr == "route-director: cannot open access log '$GS/file': what is in it is no such log" ]]
  [[ $(cat file) == precious ]]
}

@test "route-director: a pipe that nobody reads costs records, not requests" {
  mkfifo pipe
  serve --access-log "$GS/pipe"
  # More than the pipe and the queue take; each is some 60 bytes long.
  timeout 60 fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randread --bs=512 --size=1M \
    --io_size=100G --norandommap --number_ios=120000 --iodepth=64 --output=fio.log
  local requests dropped
  requests=$(metric director_requests)
  dropped=$(route-director --stats | sed -n 's/.*,@director,director_log_dropped,\([0-9]*\),$/\1/p')
  ((requests >= 120000 && dropped > 0))
  # What was not dropped comes when somebody reads, in whole lines.
  cat pipe >access.csv &
  stop director
  wait $!
  [[ $(head -n 1 access.csv) == "$HEADER" ]]
  (($(wc -l <access.csv) - 1 + dropped == requests))
  run ! grep -Evq -e "^$HEADER\$" -e '^[0-9.]+,v,gw-a,uid:[0-9]+,(read|flush),[0-9]+,[0-9]+,[0-9]+,$' \
    access.csv
  [[ ! -s director.log ]]
}

@test "route-director: a pipe that takes nothing does not keep it from ending" {
  mkfifo pipe
  serve --access-log "$GS/pipe"
  load_volume 5000
  stop director
  [[ $(cat director.log) == \
    "route-director: access log '$GS/pipe' takes nothing: its last records are lost" ]]
}

@test "route-director: a disk that is full costs records, says so once, and once when it is over" {
  serve --access-log "$GS/access.csv"
  keep_client
  prlimit --pid "${PIDS[director]}" --fsize=200:
  local i
  for i in {1..20}; do say "read $((i * 512)) 512"; done
  wait_for 10 grep -q 'records are dropped' director.log
  prlimit --pid "${PIDS[director]}" --fsize=unlimited:
  # Those that fail to the end of this are counted, too.
  wait_for 10 eval 'say "read 0 4k"; grep -q "is written again" director.log'
  stop director
  [[ $(head -n 1 director.log) == \
    "route-director: cannot write access log '$GS/access.csv': file too large: records are dropped" ]]
  [[ $(tail -n 1 director.log) =~ "is written again: "([0-9]+)" records were dropped"$ ]]
  local dropped=${BASH_REMATCH[1]}
  [[ $(wc -l <director.log) == 2 ]]
  ((dropped > 0))
  grep -q ',read,0,4096,' access.csv
  run --separate-stderr -0 affinity-profile access.csv
}

# ---- moving aside ----

@test "route-director: an access log that is moved aside by its size loses no record" {
  serve --access-log "$GS/access.csv" --access-log-size 64K
  load_volume 30000
  local requests
  requests=$(metric director_requests)
  wait_for 10 eval '(($(ls access.csv.*.lz4 | wc -l) >= 10))'
  stop director
  run ! ls access.csv*.part access.csv.new
  records >all
  ((requests >= 30000 && $(wc -l <all) == requests))
  # Ours read what lz4 reads.
  run --separate-stderr -0 affinity-profile access.csv.*.lz4
  [[ -z $stderr && ! -s director.log ]]
  [[ $(stat -c %a access.csv*.lz4 | sort -u) == $(stat -c %a access.csv) ]]
}

@test "route-director: SIGHUP under load, and moving aside, lose no record" {
  serve --access-log "$GS/access.csv" --access-log-size 64K
  load_volume 30000 &
  local i
  for i in {1..20}; do
    wait_for 10 test -s access.csv
    mv access.csv "access.csv.old$i"
    kill -HUP "${PIDS[director]}"
    wait_for 10 test -e access.csv
  done
  wait $!
  local requests
  requests=$(metric director_requests)
  stop director
  records >all
  (($(wc -l <all) == requests))
  [[ ! -s director.log ]]
}

@test "route-director: of the logs that were moved aside only the last ones are kept" {
  serve --access-log "$GS/access.csv" --access-log-size 16K --access-log-keep 2
  load_volume 10000
  qemu-io -f raw -c 'write 0 4k' "$(director_uri v)" >/dev/null
  load_volume 10000
  wait_for 10 eval '[[ $(ls access.csv.* | wc -l) == 2 && $(ls access.csv.*.lz4 | wc -l) == 2 ]]'
  stop director
  records >kept
  (($(wc -l <kept) > 100))
  run ! grep -q ,write, kept
  [[ ! -s director.log ]]
}

@test "route-director: killed while it moves logs aside it leaves whole files, and the next one tidies up" {
  local file
  make_volume gw-a v 1M
  start_gateway gw-a
  write_gateways
  route-set v gw-a >/dev/null
  for _ in {1..8}; do
    # nbdkit 1.32 may end when a busy client is gone all at once.
    kill -0 "${PIDS[gw-a]}" 2>/dev/null || start_gateway gw-a
    start_director --access-log "$GS/access.csv" --access-log-size 32K
    ls access.csv.* >before 2>/dev/null || true
    load_volume 1000000 &
    wait_for 10 eval '! ls access.csv.* | cmp -s - before'
    kill_hard director
    wait $! || true
    for file in access.csv.*.lz4; do
      [[ ! -e $file ]] || lz4 -tq "$file"
    done
  done
  start_director --access-log "$GS/access.csv" --access-log-size 32K
  wait_for 10 eval '! ls access.csv.* | grep -v "\.lz4\$"'
  stop director
  run -0 affinity-profile access.csv*
  records >all
  (($(wc -l <all) > 1000))
  run ! grep -Evq '^[0-9.]+,v,gw-a,uid:[0-9]+,(read|flush),[0-9]+,[0-9]+,[0-9]+,[A-Z]*$' all
}

@test "route-director: options of the access log that make no sense are refused" {
  local options
  for options in "--access-log f --access-sample 10" "--access-log f --access-sample 1/0" \
    "--access-log f --access-sample 1/1000001" "--access-log f --access-sample 1/" \
    "--access-sample 1/10" "--access-log f --access-log-size 1K" "--access-log-size 1M" \
    "--access-log - --access-log-size 1M" "--access-log f --access-log-keep 3"; do
    # shellcheck disable=SC2086
    run --separate-stderr -64 route-director --listen "unix:$GS/s" $options
  done
  [[ ! -e f ]]
}

# ---- sampling ----

# demand FILE: the requests that affinity-profile expects after it, spread over days: a record each
# 10 seconds for each request it stands for.
demand()
{
  awk -F, -v OFS=, 'NR > 1 {$1 = now += 10 * ($10 ? $10 : 1)} {print}' now=1700000000 "$1" >spread
  rm -rf profile
  affinity-profile --state "$GS/profile" spread | awk -F, 'NR == 2 {print $6}'
}

@test "route-director: a sampled access log stands for about as many requests as there were" {
  serve --access-log "$GS/access.csv" --access-sample 1/10
  load_volume 40000
  stop director
  [[ $(head -n 1 access.csv) == "$HEADER,count" ]]
  run ! grep -vq -e '^time' -e ',10$' access.csv
  # 4000 records, with a standard deviation of 60.
  local n
  n=$(($(wc -l <access.csv) - 1))
  ((n > 3600 && n < 4400))
  mv access.csv sampled.csv
  start_director --access-log "$GS/access.csv"
  load_volume 40000
  stop director
  local all some
  all=$(demand access.csv)
  some=$(demand sampled.csv)
  awk -v a="$all" -v s="$some" 'BEGIN {exit !(a > 0 && s > 0.85 * a && s < 1.15 * a)}'
}

@test "route-director: a pattern in the requests shows in a sample" {
  serve --access-log "$GS/access.csv" --access-sample 1/4
  # Every fourth request is a write: taking each fourth would see only those, or none.
  local i commands=()
  for ((i = 0; i < 1000; i++)); do
    commands+=(-c 'read 0 512' -c 'read 0 512' -c 'read 0 512' -c 'write 0 512')
  done
  qemu-io -f raw "${commands[@]}" "$(director_uri v)" >/dev/null
  stop director
  # 750 reads and 250 writes, with standard deviations of 24 and 14.
  local reads writes
  reads=$(grep -c ,read, access.csv)
  writes=$(grep -c ,write, access.csv)
  ((reads > 550 && reads < 950 && writes > 130 && writes < 370))
}

@test "route-director: a log without counts is moved aside when sampling begins" {
  serve --access-log "$GS/access.csv"
  load_volume 10
  stop director
  start_director --access-log "$GS/access.csv" --access-sample 1/1
  load_volume 10
  stop director
  [[ $(head -n 1 access.csv) == "$HEADER,count" && $(grep -c ',1$' access.csv) == 10 ]]
  [[ $(head -n 1 access.csv.2*Z) == "$HEADER" && $(wc -l <"$(echo access.csv.2*Z)") == 11 ]]
}

# ---- statistics ----

# word KEY: its value in the status of volume v.
word()
{
  local words
  words=" $(control status v | head -n 1) "
  words=${words##*" $1="}
  echo "${words%% *}"
}

@test "route-director: latencies are those of the gateway" {
  make_volume gw-a v 1M
  start_gateway gw-a --filter=delay rdelay=50ms
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  keep_client
  local i
  for i in {1..10}; do say "read 0 4k"; done
  say "write 0 4k"
  [[ $(word write_us_p50) != - ]]
  # A bucket's middle may be 1/32 below.
  (($(word read_us_p50) > 48000 && $(word read_us_p50) <= $(word read_us_p95)))
  (($(word read_us_p95) <= $(word read_us_p99) && $(word read_us_p99) < 20000000))
  [[ $(word flush_us_p50) == - ]]
  (($(metric director_read_us_p50 v) == $(word read_us_p50)))
  (($(metric director_read_us_p99) == $(word read_us_p99)))
  [[ -z $(metric director_flush_us_p99 v) ]]
}

@test "route-director: stats are metric records of volumes, gateways and the director" {
  serve
  keep_client
  say "read 0 4k"
  say "read 0 4k"
  [[ $(metric director_requests) == 2 ]]
  run --separate-stderr -0 route-director --stats
  [[ ${lines[0]} == time,gateway,metric,value,volume ]]
  local name
  for name in errors inflight held replayed reconnects expired; do
    grep -Eq "^[0-9.]+,gw-a,director_$name,0,v\$" <<<"$output"
    grep -Eq "^[0-9.]+,gw-a,director_$name,0,\$" <<<"$output"
  done
  grep -Eq '^[0-9.]+,gw-a,director_requests,2,v$' <<<"$output"
  grep -Eq '^[0-9.]+,@director,director_log_dropped,0,$' <<<"$output"
  run --separate-stderr -0 health-score --per-metric - <<<"$output"
  [[ -z $stderr && $(wc -l <<<"$output") == $(route-director --stats | wc -l) ]]
  [[ $output == *,gw-a,director_read_us_p50,* ]]
  run --separate-stderr -0 route-director --stats v
  [[ ${lines[0]} == time,gateway,metric,value,volume ]]
  run ! grep -v ',v$' <(printf '%s\n' "${lines[@]:1}")
}

@test "route-director: errors are counted, and their latencies are not" {
  make_volume gw-a v 1M
  start_gateway gw-a --filter=error error-pread=EIO error-pread-rate=100%
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  keep_client
  say "read 0 4k"
  say "read 0 4k"
  [[ $(metric director_errors v) == 2 && $(metric director_errors) == 2 ]]
  [[ $(word errors) == 2 && $(word read_us_p50) == - ]]
}

@test "route-director: requests that wait are in flight" {
  make_volume gw-a v 1M
  start_gateway gw-a --filter=delay rdelay=5
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  keep_client
  echo "aio_read 0 4k" >&4 # of which it says nothing yet
  wait_for 10 eval '[[ $(metric director_inflight v) == 1 && $(metric director_inflight) == 1 ]]'
}

@test "route-director: --status and --stats ask the director that runs" {
  run --separate-stderr -69 route-director --status
  [[ $stderr == "route-director: cannot reach the director on '$GATESHIFT_RUN/director.sock': "* ]]
  run --separate-stderr -69 route-director --stats v --control "$GS/nowhere.sock"
  [[ $stderr == "route-director: cannot reach the director on '$GS/nowhere.sock': "* ]]
  serve
  run --separate-stderr -0 route-director --status
  [[ -z $output && -z $stderr ]]
  run --separate-stderr -1 route-director --status v
  [[ -z $output && $stderr == *": volume 'v' is not being served" ]]
  run --separate-stderr -1 route-director --stats v
  [[ -z $output && $stderr == *": volume 'v' is not being served" ]]
  keep_client
  run --separate-stderr -0 route-director --status v
  [[ $output == "volume=v owner=gw-a epoch=1 "* && ${#lines[@]} == 1 && -z $stderr ]]
  run --separate-stderr -64 route-director --status 'v w'
  run --separate-stderr -64 route-director --status v w
  run --separate-stderr -74 bash -c 'route-director --status v >/dev/full'
}
