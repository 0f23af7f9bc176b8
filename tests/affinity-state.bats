#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# affinity-profile: what is counted, exactly once: sources, shards, threads, crashes, bad input.

load helpers

# A midnight UTC.
MIDNIGHT=1760054400

setup_file()
{
  make_inject
}

setup()
{
  common_setup
  printf 'client,site,tz\n10.1.0.0/16,europe,\n10.2.0.0/16,america,\n' \
    >"$GATESHIFT_CONFIG/sites.csv"
}

header='time,volume,gateway,client,op,offset,length,latency_us,error'

history()
{
  awk -v end=$MIDNIGHT -v "weeks=${1-1}" -f "$SRC/examples/make-history.awk" </dev/null
}

# count STATE ARGUMENT...
count()
{
  local state=$1
  shift
  affinity-profile --state "$state" --count-only "$@"
}

# same STATE OTHER: do both hold the same, byte by byte, under the same names?
same()
{
  diff <(cd "$1/affinity" && sha256sum index demand-* heat-*) \
    <(cd "$2/affinity" && sha256sum index demand-* heat-*)
}

# records FILE FROM TO: the header and those lines of FILE.
records()
{
  { head -n 1 "$1" && sed -n "$2,$3p" "$1"; }
}

@test "affinity-profile: --count-only prints nothing and needs no gateways" {
  history >access.csv
  run --separate-stderr -0 count one access.csv
  [[ -z $output && -z $stderr ]]
  affinity-profile --forecast --state two access.csv >/dev/null
  same one two
}

@test "affinity-profile: any number of threads counts the same" {
  # Over 8 MiB, so that it is cut.
  history 30 >part.csv
  { cat part.csv && for _ in 1 2 3; do tail -n +2 part.csv; done; } >access.csv
  [[ $(stat -c %s access.csv) -gt $((16 << 20)) ]]
  count one --threads 1 access.csv
  count three --threads 3 access.csv
  same one three
  lz4 -q access.csv access.lz4
  count packed --threads 3 access.lz4
  same one packed
  count piped --threads 3 < <(cat access.csv)
  same one piped
}

@test "affinity-profile: a malformed record in a part of a file is named by its line" {
  history 60 >access.csv
  echo '1760000000,vol,,10.1.0.1,chew,0,1,1,,' >>access.csv
  run --separate-stderr -65 count one --threads 3 access.csv
  [[ $stderr == "affinity-profile: access.csv:$(wc -l <access.csv): op 'chew' is not one of"* ]]
  [[ $(ls one/affinity) == $'index\nlock' ]]
}

@test "affinity-profile: --merge of shards, in any order, is one run over everything" {
  local n
  history 6 >access.csv
  n=$(wc -l <access.csv)
  count whole access.csv
  records access.csv 2 $((n / 3)) >a.csv
  records access.csv $((n / 3 + 1)) $((n / 2)) >b.csv
  records access.csv $((n / 2 + 1)) "$n" | lz4 -q - c.lz4
  for n in a.csv b.csv c.lz4; do
    count "shard-${n%.*}" $n
  done
  affinity-profile --count-only --state one --merge shard-a shard-b shard-c
  affinity-profile --count-only --state two --merge shard-c shard-a shard-b
  same whole one
  same whole two
  # Merging again, or the same twice, would count twice.
  run --separate-stderr -73 affinity-profile --count-only --state one --merge shard-a
  [[ $stderr == "affinity-profile: cannot merge into 'one': it holds counts already" ]]
  run --separate-stderr -64 affinity-profile --count-only --state three --merge shard-a ./shard-a
  [[ $stderr == "affinity-profile: 'shard-a' and './shard-a' are the same folder" ]]
  run --separate-stderr -66 affinity-profile --count-only --state three --merge nowhere
  same whole one
}

@test "affinity-profile: --merge keeps sources, and refuses a file that two have counted" {
  history >access.csv
  records access.csv 2 500 >a.csv
  records access.csv 501 1000 >b.csv
  count one --source log a.csv
  count two --source log b.csv
  affinity-profile --count-only --state both --merge two one
  count whole --source log a.csv b.csv
  same both whole
  count both --source log a.csv b.csv
  same both whole
  cp -r one three
  run --separate-stderr -65 affinity-profile --count-only --state four --merge one three
  [[ $stderr == "affinity-profile: cannot merge 'three': its source 'log' was counted by another one too" ]]
}

@test "affinity-profile: --source goes on where a growing file was left" {
  local n total
  history >access.csv
  total=$(wc -c <access.csv)
  : >log.csv
  # Cut anywhere, also within a line.
  for n in 0 10 300 1000 1001 50000 "$((total - 1))" "$total"; do
    head -c "$n" access.csv >log.csv
    count grown --source log log.csv
    count grown --source log log.csv
  done
  count whole --source log access.csv
  same grown whole
}

@test "affinity-profile: --source knows a file that was renamed, packed, or rotated away" {
  history >access.csv
  records access.csv 2 700 >log.csv
  count rotated --source log log.csv
  records access.csv 701 900 | tail -n +2 >>log.csv
  mv log.csv log.1
  records access.csv 901 1000 >log.csv
  count rotated --source log log.1 log.csv
  lz4 -q log.1 log.1.lz4
  cp log.csv log.copy
  count rotated --source log log.1.lz4 log.copy
  records access.csv 2 900 >first.csv
  count whole --source log first.csv log.csv
  same rotated whole
}

@test "affinity-profile: --source goes on in a packed file that grew" {
  history 40 >access.csv
  records access.csv 2 20000 | lz4 -q - log.lz4
  count packed --source log log.lz4
  lz4 -q -f access.csv log.lz4
  count packed --source log log.lz4
  count whole --source log access.csv
  same packed whole
}

@test "affinity-profile: --source takes records that are late by any time" {
  history >access.csv
  records access.csv 800 1000 >log.csv
  count late --source log log.csv
  records access.csv 2 799 | tail -n +2 >>log.csv
  count late --source log log.csv
  count whole --source log log.csv
  same late whole
}

@test "affinity-profile: --source refuses a file that has become shorter" {
  history >access.csv
  count short --source log access.csv
  cp -r short before
  head -n 500 access.csv >shorter.csv
  run --separate-stderr -65 count short --source log shorter.csv
  [[ $stderr == "affinity-profile: cannot read 'shorter.csv': it has become shorter" ]]
  same short before
}

@test "affinity-profile: --source leaves what is later than --now where it is" {
  history >access.csv
  count now --source log --now $((MIDNIGHT - 90000)) access.csv 2>/dev/null
  count now --source log access.csv
  count whole --source log access.csv
  same now whole
}

@test "affinity-profile: --source of a pipe counts complete hours, each once" {
  local total n
  history >access.csv
  total=$(wc -l <access.csv)
  # A pipe that is sent again from its start, ever longer.
  for n in 5 100 101 900 "$total"; do
    head -n "$n" access.csv | count piped --source live
  done
  # Or from some point before the end of what was counted.
  records access.csv $((total - 300)) "$total" | count piped --source live
  # The newest hour is not complete: without it, it is all.
  awk -F, -v last=$((MIDNIGHT / 3600 - 1)) 'NR == 1 || int($1 / 3600) < last' access.csv >complete.csv
  count whole complete.csv
  diff <(cd piped/affinity && sha256sum demand-* heat-*) <(cd whole/affinity && sha256sum demand-* heat-*)
  run --separate-stderr -64 count piped --source live access.csv - </dev/null
  [[ $stderr == "affinity-profile: --source takes files, or one pipe; '-' is no file" ]]
}

# Every call of these kinds at which a run can die; the state is the old or the new one each time.
@test "affinity-profile: killed at any write, sync or rename, each record counts once" {
  local call how n strikes=0 now
  needs_preload affinity-profile
  history 3 >access.csv
  head -n 3000 access.csv >first.csv
  count old --source log first.csv
  cp -r old new
  mv first.csv log.csv
  cp access.csv log.csv
  count new --source log log.csv
  for call in write sync rename; do
    for ((n = 1; ; n++)); do
      for how in kill $([[ $call != write ]] || echo torn); do
        rm -rf killed mark
        cp -r old killed
        GS_FAULT=$call:$n:$how GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
          affinity-profile --state killed --count-only --source log log.csv || true
        [[ -e mark ]] || break 2
        ((++strikes))
        now=$(sha256sum <killed/affinity/index)
        [[ $now == "$(sha256sum <old/affinity/index)" || $now == "$(sha256sum <new/affinity/index)" ]]
        count killed --source log log.csv
        same killed new
        [[ $(ls killed/affinity) == "$(ls new/affinity)" ]]
      done
    done
  done
  ((strikes > 10))
}

@test "affinity-profile: a run that ends in a failure has counted nothing" {
  history >access.csv
  count old access.csv
  cp -r old before
  records access.csv 2 100 >more.csv
  sed -n 2,50p access.csv | sed 's/^[0-9]*/1760060000/' >>more.csv
  echo '1760060001,vol,,10.1.0.1,read,-1,4096,1,,' >>more.csv
  run --separate-stderr -65 count old more.csv
  [[ $stderr == "affinity-profile: more.csv:"*": offset '-1' is not a whole number from 0 to 2^64-1" ]]
  same old before
}

@test "affinity-profile: --keep-going reports what is out of range and counts the rest" {
  cat >bad.csv <<EOF
$header
1000,vol,,10.1.0.1,read,0,4096,1,
1001,vol,,10.1.0.1,read,-5,4096,1,
1002,vol,,10.1.0.1,read,9223372036854775808,4096,1,
1003,vol,,10.1.0.1,read,9223372036854775000,4096,1,
1004,vol,,10.1.0.1,read,99999999999999999999999,4096,1,
99999999999,vol,,10.1.0.1,read,0,4096,1,
1005,vol,,10.1.0.1,read,0,4096,1,
EOF
  run --separate-stderr -65 count kept --keep-going bad.csv
  [[ $(wc -l <<<"$stderr") -eq 5 ]]
  [[ $stderr == *"bad.csv:3: offset '-5' is not "*"bad.csv:4: offset + length is too large"* ]]
  [[ $stderr == *"bad.csv:5: offset + length is too large"*"bad.csv:6: offset '99"* ]]
  [[ $stderr == *"bad.csv:7: time lies in the future"* ]]
  printf '%s\n' "$header" 1000,vol,,10.1.0.1,read,0,4096,1, 1005,vol,,10.1.0.1,read,0,4096,1, >good.csv
  count good good.csv
  same kept good
}

@test "affinity-profile: a million clients and a thousand sites are bounded, and said once" {
  awk 'BEGIN { print "client,site,tz"
    for (i = 0; i < 1000; i++) printf "10.%d.%d.0/24,site-%d,\n", i / 250, i % 250, i }' \
    >"$GATESHIFT_CONFIG/sites.csv"
  awk -v h="$header" 'BEGIN { print h; for (i = 0; i < 20000; i++)
    printf "%d,vol,,10.%d.%d.%d:%d,read,0,4096,1,\n", 1760000000 + i, i % 4, i % 250, i % 256, i }' \
    >access.csv
  run --separate-stderr -0 count one access.csv
  [[ $stderr == "affinity-profile: a volume has more than 32 client sites in a week: the rest is counted as site 'other'" ]]
  run --separate-stderr -0 affinity-profile --state one --forecast --ahead 1h </dev/null
  [[ ${#lines[@]} -eq 34 && $output == *vol,other,* ]]
  # Which they are does not depend on who came first.
  { head -n 1 access.csv && tail -n +2 access.csv | tac; } >back.csv
  count two back.csv 2>/dev/null
  same one two
}

@test "affinity-profile: old weeks are forgotten, and with them their files" {
  history 20 >access.csv
  count all access.csv
  count few --keep 3w access.csv
  [[ $(find all -name 'demand-*' | wc -l) -eq 14 && $(find few -name 'demand-*' | wc -l) -le 4 ]]
  [[ $(find all -name 'heat-*' | wc -l) -eq 4 ]]
}

@test "affinity-profile: a run writes only the weeks it adds to" {
  history 4 >access.csv
  head -n -20 access.csv >most.csv
  count one most.csv
  touch -d '2001-01-01' one/affinity/*
  count one access.csv
  [[ $(find one/affinity -name 'demand-*' -newermt 2002-01-01 | wc -l) -eq 1 ]]
  [[ $(find one/affinity -name 'heat-*' -newermt 2002-01-01 | wc -l) -eq 1 ]]
  [[ $(find one/affinity -name 'demand-*' | wc -l) -eq 5 ]]
}
