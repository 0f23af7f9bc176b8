#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later

load helpers

# A midnight UTC; the histories end there or some hours later.
MIDNIGHT=1760054400

setup()
{
  common_setup
  cat >"$GATESHIFT_CONFIG/gateways.csv" <<EOF
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-eu,nbd+unix:///?socket=/tmp/eu,europe,,,active,
gw-us,nbd+unix:///?socket=/tmp/us,america,,,active,
EOF
  printf 'client,site,tz\n10.1.0.0/16,europe,\n10.2.0.0/16,america,\n' \
    >"$GATESHIFT_CONFIG/sites.csv"
  cat >"$GATESHIFT_CONFIG/distances.csv" <<EOF
site,gateway,rtt_us
europe,gw-eu,1000
europe,gw-us,80000
america,gw-us,1000
america,gw-eu,80000
EOF
}

# history END [NAME=VALUE...]: made-up access records up to END.
history()
{
  local end=$1 pair arguments=()
  shift
  for pair in "$@"; do
    arguments+=(-v "$pair")
  done
  awk -v end="$end" "${arguments[@]}" -f "$SRC/examples/make-history.awk" </dev/null
}

# suits GATEWAY MORE-THAN LESS-THAN: by the affinity records in $output.
suits()
{
  awk -F, -v gateway="$1" -v low="$2" -v high="$3" \
    '$3 == gateway { n += $4 > low && $4 < high } END { exit n != 1 }' <<<"$output"
}

# state_of DIR: a digest of the counts kept there, by file.
state_of()
{
  (cd "$1/affinity" && sha256sum index demand-* heat-*)
}

# files_of DIR: what stands there, without the digests in the names.
files_of()
{
  (cd "$1/affinity" && printf '%s\n' * | sed 's/-[0-9]*-[0-9a-f]*$//' | sort -u | xargs)
}

header='time,volume,gateway,client,op,offset,length,latency_us,error'

@test "affinity-profile: scores every volume on every gateway" {
  history $MIDNIGHT weeks=1 >access.csv
  run --separate-stderr -0 affinity-profile access.csv
  [[ -z $stderr && ${#lines[@]} -eq 3 ]]
  [[ ${lines[0]} == time,volume,gateway,das,share,requests,confidence,horizon_s,model ]]
  [[ ${lines[1]} == 1760052605,vol,gw-eu,0.* && ${lines[2]} == *,vol,gw-us,0.* ]]
  [[ ${lines[1]} == *-daily* ]]
}

@test "affinity-profile: scores only the gateways that a volume may be on" {
  printf 'volume,size_bytes,policy,gateways\nvol,,auto,gw-us\n' >"$GATESHIFT_CONFIG/volumes.csv"
  history $MIDNIGHT weeks=1 >access.csv
  run --separate-stderr -0 affinity-profile access.csv
  [[ ${#lines[@]} -eq 2 && ${lines[1]} == *,vol,gw-us,* ]]
}

# Europe works from 06 to 18 UTC, America from 18 to 06.
@test "affinity-profile: scores the gateway high where the demand will be, before it is there" {
  local hour
  history $((MIDNIGHT + 86400)) peak1=12 peak2=0 >access.csv
  affinity-profile access.csv >/dev/null
  # At 16 UTC it is still Europe that works, and has been for ten hours.
  hour=$((MIDNIGHT + 16 * 3600))
  run --separate-stderr -0 affinity-profile --now $hour
  suits gw-us 0.6 1 && suits gw-eu 0 0.4
  hour=$((MIDNIGHT + 13 * 3600))
  run --separate-stderr -0 affinity-profile --now $hour
  suits gw-eu 0.9 1
  # And back, before the European morning.
  hour=$((MIDNIGHT + 4 * 3600))
  run --separate-stderr -0 affinity-profile --now $hour
  suits gw-eu 0.6 1 && suits gw-us 0 0.4
}

@test "affinity-profile: without distances the client's own site is near" {
  rm "$GATESHIFT_CONFIG/distances.csv"
  printf '%s\n1000,vol,,10.2.0.9,read,0,4096,1,\n5000,vol,,10.2.0.9,read,0,4096,1,\n' "$header" \
    >access.csv
  run --separate-stderr -0 affinity-profile --now 7200 access.csv
  suits gw-us 0.9999 1.0001 && suits gw-eu 0.4999 0.5001
}

@test "affinity-profile: no demand is neutral, with confidence 0" {
  printf '%s\n1000,vol,,10.2.0.9,read,0,4096,1,\n' "$header" >access.csv
  run --separate-stderr -0 affinity-profile access.csv
  [[ ${lines[1]} == '1000,vol,gw-eu,0.5000,0.0000,0,0.0000,21600,none' ]]
}

@test "affinity-profile: nothing known is a header and no rows" {
  run --separate-stderr -0 affinity-profile </dev/null
  [[ $output == time,volume,gateway,das,share,requests,confidence,horizon_s,model ]]
  run --separate-stderr -0 affinity-profile --forecast < <(echo "$header")
  [[ $output == volume,site,start,duration_s,requests,lower,upper,model ]]
}

@test "affinity-profile: two runs over halves equal one run over all" {
  local n
  history $MIDNIGHT weeks=2 >access.csv
  n=$(($(wc -l <access.csv) / 2 + 3))
  head -n $n access.csv >first.csv
  { head -n 1 access.csv && tail -n +$((n + 1)) access.csv; } >second.csv
  affinity-profile --state one access.csv >one.csv
  affinity-profile --state two first.csv >/dev/null
  affinity-profile --state two second.csv >two.csv
  cmp one.csv two.csv
  [[ $(state_of one) == "$(state_of two)" ]]
}

@test "affinity-profile: a file read again counts nothing twice" {
  history $MIDNIGHT weeks=1 >access.csv
  affinity-profile access.csv >once.csv
  local before
  before=$(state_of "$GATESHIFT_STATE")
  affinity-profile access.csv >/dev/null
  affinity-profile - <access.csv >again.csv
  cmp once.csv again.csv
  [[ $(state_of "$GATESHIFT_STATE") == "$before" ]]
}

@test "affinity-profile: a growing log read from its start counts each record once" {
  local n total
  history $MIDNIGHT weeks=1 >access.csv
  total=$(wc -l <access.csv)
  for n in 2 500 501 1777 "$total"; do
    head -n "$n" access.csv >log.csv
    affinity-profile --state grown log.csv >/dev/null
  done
  affinity-profile --state whole access.csv >/dev/null
  [[ $(state_of grown) == "$(state_of whole)" ]]
}

@test "affinity-profile: the order of records does not matter" {
  history $MIDNIGHT weeks=1 >access.csv
  { head -n 1 access.csv && tail -n +2 access.csv | sort -t, -k6,6n -k10,10n; } >mixed.csv
  affinity-profile --state a access.csv >a.csv
  affinity-profile --state b mixed.csv >b.csv
  cmp a.csv b.csv
  [[ $(state_of a) == "$(state_of b)" ]]
}

@test "affinity-profile: kill -9 at any moment leaves the old or the new state" {
  local i before after now
  history $MIDNIGHT >both.csv
  head -n 5000 both.csv >first.csv
  affinity-profile --state new both.csv >/dev/null
  after=$(sha256sum <new/affinity/index)
  affinity-profile --state old first.csv >/dev/null
  before=$(sha256sum <old/affinity/index)
  for i in 002 004 006 008 010 012 014 016 020 030; do
    rm -rf killed
    cp -r old killed
    timeout -s KILL 0.$i affinity-profile --state killed both.csv >/dev/null || true
    flock killed/affinity/lock true # timeout does not wait for its child's end, which the lock does
    now=$(sha256sum <killed/affinity/index)
    [[ $now == "$before" || $now == "$after" ]]
    affinity-profile --state killed both.csv >/dev/null
    [[ $(state_of killed) == "$(state_of new)" ]]
    [[ $(files_of killed) == 'demand heat index lock' ]]
  done
}

@test "affinity-profile: what a killed run left of its files is removed" {
  local dir=$GATESHIFT_STATE/affinity before
  history $MIDNIGHT weeks=1 >access.csv
  affinity-profile access.csv >/dev/null
  before=$(ls "$dir")
  head -c 100 "$dir/index" >"$dir/index.a1B2c3"
  head -c 100 "$dir"/heat-* >"$dir/heat-002910-0123456789abcdef"
  : >"$dir/demand-002910-0123456789abcdef.a1B2c3"
  affinity-profile </dev/null >/dev/null
  [[ $(ls "$dir") == "$before" ]]
}

# refused FILE PATTERN: with FILE as it is, nothing is read and nothing changed.
refused()
{
  local before
  before=$(cd "$GATESHIFT_STATE/affinity" && sha256sum -- *)
  run --separate-stderr -65 affinity-profile access.csv
  [[ -z $output && $stderr == "affinity-profile: cannot use '$1': "$2 ]]
  [[ $(cd "$GATESHIFT_STATE/affinity" && sha256sum -- *) == "$before" ]]
}

@test "affinity-profile: a damaged state is refused and left alone" {
  local dir=$GATESHIFT_STATE/affinity file
  history $MIDNIGHT weeks=1 >access.csv
  affinity-profile access.csv >/dev/null
  cp -r "$dir" good
  for file in "$dir"/index "$dir"/demand-*; do
    spoil "$file" 99
    refused "$file" "damaged; restore it, or move '$dir' away to start anew"
    cp "good/${file##*/}" "$file"
  done
  file=$(find "$dir" -name "demand-*" | sort | head -n 1)
  rm "$file"
  refused "$file" "it is missing; restore it, or move '$dir' away to start anew"
  cp "good/${file##*/}" "$file"
  rm "$dir/index"
  refused "$dir" "its index is missing; restore it, or move '$dir' away to start anew"
  echo 'something else' >"$dir/index"
  refused "$dir/index" 'not a state file of this version'
}

@test "affinity-profile: heat that is damaged is refused where it is needed" {
  local dir=$GATESHIFT_STATE/affinity file
  history $MIDNIGHT weeks=1 >access.csv
  affinity-profile access.csv >/dev/null
  file=$(find "$dir" -name "heat-*" | sort | head -n 1)
  spoil "$file" 99
  run --separate-stderr -65 affinity-profile --heatmap </dev/null
  [[ $stderr == "affinity-profile: cannot use '$file': damaged"* ]]
  run --separate-stderr -0 affinity-profile </dev/null
}

@test "affinity-profile: a state of an earlier version is refused" {
  history $MIDNIGHT weeks=1 >access.csv
  mkdir "$GATESHIFT_STATE/affinity"
  printf 'GSAFFIN1 and so on' >"$GATESHIFT_STATE/affinity/demand.bin"
  : >"$GATESHIFT_STATE/affinity/lock"
  refused "$GATESHIFT_STATE/affinity/demand.bin" \
    'a state of an earlier version; move it away and count the logs again'
}

@test "affinity-profile: a state in use is a temporary failure" {
  mkdir "$GATESHIFT_STATE/affinity"
  run --separate-stderr -75 flock "$GATESHIFT_STATE/affinity/lock" affinity-profile </dev/null
  [[ $stderr == "affinity-profile: cannot lock '$GATESHIFT_STATE/affinity/lock': another affinity-profile uses it" ]]
}

@test "affinity-profile: a malformed record is named and nothing is counted" {
  printf '%s\n1000,vol,,10.1.0.1,read,0,4096,1,\n1001,vol,,10.1.0.1,chew,0,4096,1,\n' "$header" >bad.csv
  run --separate-stderr -65 affinity-profile bad.csv
  [[ -z $output && $stderr == "affinity-profile: bad.csv:3: "* && $(files_of "$GATESHIFT_STATE") == 'index lock' ]]
  run --separate-stderr -65 affinity-profile --keep-going bad.csv
  [[ ${#lines[@]} -eq 3 && $stderr == "affinity-profile: bad.csv:3: "* ]]
}

@test "affinity-profile: an extent beyond 2^63 is out of range" {
  printf '%s\n1000,vol,,10.1.0.1,write,18446744073709551615,4096,1,\n' "$header" >bad.csv
  run --separate-stderr -65 affinity-profile bad.csv
  [[ $stderr == "affinity-profile: bad.csv:2: offset + length is too large" ]]
}

@test "affinity-profile: a record of the largest length is counted" {
  printf '%s,count\n1000,vol,,10.1.0.1,trim,0,9223372036854775807,1,,18446744073709551615\n' \
    "$header" >huge.csv
  run --separate-stderr -0 affinity-profile --now 253402300799 huge.csv
  run --separate-stderr -0 affinity-profile --now 7200 --heatmap
  [[ ${#lines[@]} -gt 1 ]]
}

@test "affinity-profile: records later than --now are left for later" {
  history $MIDNIGHT weeks=1 >access.csv
  run --separate-stderr -0 affinity-profile --now $((MIDNIGHT - 7200)) access.csv
  [[ $stderr =~ ^'affinity-profile: '[0-9]+' records later than --now were not counted'$ ]]
  run --separate-stderr -0 affinity-profile access.csv
  affinity-profile --state whole access.csv >/dev/null
  [[ -z $stderr && $(state_of "$GATESHIFT_STATE") == "$(state_of whole)" ]]
}

@test "affinity-profile: --forecast prints an hour a record for each site" {
  history $MIDNIGHT >access.csv
  run --separate-stderr -0 affinity-profile --forecast --now $((MIDNIGHT + 600)) access.csv
  [[ ${#lines[@]} -eq 97 && ${lines[1]} == vol,america,$MIDNIGHT,3600,* ]]
  [[ ${lines[49]} == vol,europe,$MIDNIGHT,3600,* ]]
  awk -F, 'NR > 1 && !($6 <= $5 && $5 <= $7 && $6 >= 0) { exit 1 }' <<<"$output"
  run --separate-stderr -0 affinity-profile --forecast --ahead 3h
  [[ ${#lines[@]} -eq 7 ]]
}

@test "affinity-profile: cold start answers modestly" {
  awk -v h="$header" 'BEGIN { print h; for (i = 0; i < 30; i++)
    printf "%d,vol,gw-eu,10.1.0.1,read,%d,4096,9,\n", 1760000000 + i * 3600, i * 65536 }' >short.csv
  run --separate-stderr -0 affinity-profile --now 1760108400 short.csv
  [[ ${lines[1]} =~ ,[56][.0-9]*,0\.1[0-9]*,21600,(mean|last)$ ]]
}

@test "affinity-profile: --heatmap spreads the whole forecast, over at most 1024 segments" {
  local forecast heat
  history $MIDNIGHT size=109951162777600 weeks=3 | grep -v ,flush, >access.csv
  affinity-profile --heatmap access.csv >heat.csv
  affinity-profile --forecast access.csv >forecast.csv
  forecast=$(awk -F, 'NR > 1 { sum += $5 } END { printf "%.0f", sum }' forecast.csv)
  heat=$(awk -F, 'NR > 1 { sum += $8 + $9 } END { printf "%.0f", sum }' heat.csv)
  ((heat - forecast < 50 && forecast - heat < 50 && forecast > 1000))
  awk -F, 'NR > 1 && ($2 >= 1024 || $3 != $2 * $4 || log($4) / log(2) % 1 > 1e-9) { exit 1 }' heat.csv
}

@test "affinity-profile: --heatmap puts a site's requests near it" {
  local near
  history $MIDNIGHT >access.csv
  affinity-profile --heatmap --now $((MIDNIGHT + 12 * 3600)) --ahead 1h access.csv >heat.csv
  near=$(awk -F, 'NR > 1 { sum[$5] += $8 + $9 }
    END { print (sum["gw-eu"] > 10 * sum["gw-us"]) ? "eu" : "us" }' heat.csv)
  [[ $near == eu ]]
}

@test "affinity-profile: --chart draws without colour into a file" {
  history $MIDNIGHT >access.csv
  run --separate-stderr -0 affinity-profile --chart access.csv
  [[ ${lines[0]} =~ ^'vol: '[0-9]+' requests predicted in 48 hours, '[0-9.]+[KMG]' a line; 1 hour a column, past | predicted'$ ]]
  [[ $output == *'gw-eu |'*'|'* && $output != *$'\033'* ]]
}

@test "affinity-profile: --chart honours NO_COLOR on a terminal" {
  history $MIDNIGHT >access.csv
  affinity-profile access.csv >/dev/null
  run -0 script -qec 'affinity-profile --heatmap </dev/null' /dev/null
  [[ $output == *$'\033['* ]]
  run -0 env NO_COLOR=1 script -qec 'affinity-profile --heatmap </dev/null' /dev/null
  [[ $output == *'gw-eu |'* && $output != *$'\033['* ]]
}

@test "affinity-profile: --chart shows the past before the predicted, as wide as there is room" {
  history $MIDNIGHT >access.csv
  affinity-profile --chart --ahead 24h access.csv >chart.txt
  # Europe's hour of most work, 12 UTC, yesterday and today.
  run -0 grep -E '^ +europe \|.*@.*\|.*[@#*].*\|$' chart.txt
  [[ $(grep -c '^ *gw-eu | \{24\}|' chart.txt) -eq 1 ]]
  COLUMNS=200 affinity-profile --chart </dev/null >wide.txt
  grep -q '^ *europe |.\{48\}|.\{48\}|$' wide.txt
  COLUMNS=60 affinity-profile --chart </dev/null >narrow.txt
  grep -q '3 hours a column' narrow.txt && [[ $(grep '|$' narrow.txt | wc -L) -le 60 ]]
}

@test "affinity-profile: --chart is ASCII where the locale is" {
  history $MIDNIGHT weeks=1 >access.csv
  affinity-profile --chart access.csv >chart.txt
  [[ $(LC_ALL=C grep -c '[^ -~]' chart.txt) -eq 0 ]]
  if locale -a | grep -qi '^C.utf-\?8$'; then
    LC_ALL=C.UTF-8 affinity-profile --chart </dev/null >chart.txt
    grep -q '█' chart.txt
  fi
}

@test "affinity-profile: --svg draws into a file, or leaves it as it was" {
  local name
  history $MIDNIGHT >access.csv
  run --separate-stderr -0 affinity-profile --svg heat.svg access.csv
  [[ -z $output && -z $stderr ]]
  [[ $(head -c 5 heat.svg) == '<svg ' && $(tail -n 1 heat.svg) == '</svg>' ]]
  for name in europe america gw-eu gw-us; do
    grep -q "<text .*>$name</text>" heat.svg
  done
  # Two rows of sites, 48 hours each side of now, in many colours.
  [[ $(grep -c '<rect .*<title>' heat.svg) -ge $((2 * 96)) && $(grep -c '<line ' heat.svg) -eq 1 ]]
  [[ $(grep -o 'fill="#[0-9a-f]*"' heat.svg | sort -u | wc -l) -gt 5 ]]
  run --separate-stderr -73 affinity-profile --svg nowhere/heat.svg </dev/null
  [[ $stderr == "affinity-profile: cannot create 'nowhere/heat.svg': "* ]]
}

@test "affinity-profile: --top names the volume that will be hot, when and where" {
  local peak=$((MIDNIGHT + 12 * 3600))
  history $MIDNIGHT volume=calm requests=2000 >calm.csv
  history $MIDNIGHT volume=busy peak1=12 peak2=12 size=1073741824 >busy.csv
  run --separate-stderr -0 affinity-profile --now $MIDNIGHT --ahead 24h --top 5 calm.csv busy.csv
  [[ ${#lines[@]} -eq 3 && ${lines[0]} == volume,start,duration_s,requests,recent,site,gateway,offset,length,part,model ]]
  [[ ${lines[1]} == busy,*,3600,* && ${lines[2]} == calm,* ]]
  awk -F, -v peak=$peak 'NR == 2 && ($2 < peak - 3 * 3600 || $2 > peak + 3 * 3600 || $4 < 2 * $5 || $10 <= 0 || $9 < 65536) { exit 1 }' <<<"$output"
  run --separate-stderr -0 affinity-profile --now $MIDNIGHT --top 1 </dev/null
  [[ ${#lines[@]} -eq 2 && ${lines[1]} == busy,* ]]
  run --separate-stderr -0 affinity-profile --now $MIDNIGHT --top 1 --chart </dev/null
  [[ $output == *busy:* && $output != *calm:* ]]
}

@test "affinity-profile: --volume answers of one volume what all of them hold of it" {
  local answer
  history $MIDNIGHT volume=one >access.csv
  history $MIDNIGHT volume=two | tail -n +2 >>access.csv
  affinity-profile --count-only access.csv
  for answer in --horizon=6h --forecast --heatmap; do
    affinity-profile "$answer" </dev/null | grep -v '^two,\|,two,' >expected.csv
    run --separate-stderr -0 affinity-profile "$answer" --volume one </dev/null
    [[ $output == "$(<expected.csv)" && ${#lines[@]} -gt 1 ]]
  done
  run --separate-stderr -0 affinity-profile --chart --volume two </dev/null
  [[ $output == two:* && $output != *one:* ]]
  run --separate-stderr -1 affinity-profile --forecast --volume three </dev/null
  [[ ${#lines[@]} -eq 1 && $stderr == "affinity-profile: no request for 'three' is remembered" ]]
}

@test "affinity-profile: --explain tells where a score comes from" {
  history $MIDNIGHT peak1=12 peak2=0 >access.csv
  affinity-profile --now $((MIDNIGHT + 9 * 3600)) access.csv >affinity.csv
  run --separate-stderr -0 affinity-profile --now $((MIDNIGHT + 9 * 3600)) --explain vol </dev/null
  [[ ${lines[0]} == "vol at $((MIDNIGHT + 9 * 3600)) (Fri 2025-10-10 09:00 UTC): "*" requests predicted in the next 6 h" ]]
  [[ $output == *$'\neurope '*'%'*'seasonal'*'681 hours of history'* && $output == *$'\namerica '* ]]
  # The very score that the record has.
  [[ $output == *$'\ngw-eu '*" $(awk -F, '$3 == "gw-eu" { print $4 }' affinity.csv) "*'europe 1.000'* ]]
  # Of every site and gateway.
  [[ $(grep -c 'america [01]\.[0-9]* europe [01]\.[0-9]*$' <<<"$output") -eq 2 ]]
  run --separate-stderr -1 affinity-profile --explain nothing </dev/null
  [[ -z $output && $stderr == "affinity-profile: no request for 'nothing' is remembered" ]]
}

@test "affinity-profile: an hourly series becomes records with a count" {
  # As examples of others' data are fed: a value an hour.
  awk -v h="$header" -v end=$MIDNIGHT 'BEGIN { print h ",count"
    for (i = 504; i > 0; i--)
      printf "%d,m4,,10.1.0.1,read,0,1,0,,%d\n", end - i * 3600, 100 + 50 * sin(i * 3.14159265 / 12) }' >series.csv
  run --separate-stderr -0 affinity-profile --forecast --ahead 24h --now $MIDNIGHT series.csv
  awk -F, -v end=$MIDNIGHT 'NR > 1 { i = (end - $3) / 3600; want = 100 + 50 * sin(i * 3.14159265 / 12)
      if ($5 < want - 5 || $5 > want + 5) exit 1 } END { if (NR != 25) exit 1 }' <<<"$output"
}

@test "affinity-profile: --train keeps models that later runs use" {
  history $MIDNIGHT >access.csv
  affinity-profile --train --forecast access.csv >trained.csv
  [[ -s $GATESHIFT_STATE/affinity/models.bin ]]
  affinity-profile --forecast </dev/null >used.csv
  cmp trained.csv used.csv
  # Another seed finds other parameters, unless trained ones are there.
  affinity-profile --forecast --seed 2 </dev/null >used.csv
  cmp trained.csv used.csv
  rm "$GATESHIFT_STATE/affinity/models.bin"
  affinity-profile --forecast --seed 2 </dev/null >fresh.csv
  [[ $(<trained.csv) != "$(<fresh.csv)" ]]
}

@test "affinity-profile: what another version has trained is done without, and trained anew" {
  local dir=$GATESHIFT_STATE/affinity name
  history $MIDNIGHT weeks=6 >access.csv
  affinity-profile --train --budget 1 --forecast --now $MIDNIGHT access.csv >trained.csv
  for name in models.bin nets.bin; do
    cp "$dir/$name" kept
    printf 0 | dd of="$dir/$name" bs=1 seek=7 conv=notrunc status=none
    run --separate-stderr -0 affinity-profile --forecast --now $MIDNIGHT
    [[ $stderr == "affinity-profile: '$dir/$name' is not of this version: done without it, until --train makes it anew" ]]
    [[ ${#lines[@]} -eq $(wc -l <trained.csv) ]]
    # One that is damaged is no such thing.
    head -c 40 kept >"$dir/$name"
    run --separate-stderr -65 affinity-profile --forecast --now $MIDNIGHT
    [[ $stderr == "affinity-profile: cannot use '$dir/$name': damaged; restore or remove it, --train makes it anew" ]]
    cp kept "$dir/$name"
  done
  printf 0 | dd of="$dir/models.bin" bs=1 seek=7 conv=notrunc status=none
  run --separate-stderr -0 affinity-profile --train --budget 1 --now $MIDNIGHT
  [[ $stderr == *"is not of this version"* ]]
  run --separate-stderr -0 affinity-profile --forecast --now $MIDNIGHT
  [[ -z $stderr && ${#lines[@]} -eq $(wc -l <trained.csv) ]]
}

@test "affinity-profile: --backtest scores each series and all, beside the baseline and the gate" {
  history $MIDNIGHT weeks=6 >access.csv
  run --separate-stderr -0 affinity-profile --backtest --origins 3 --budget 2 access.csv
  [[ ${lines[0]} == volume,site,model,origins,hours,smape,mase,coverage,skill,base_smape,base_mase,lstm,lstm_gain ]]
  local number='-?[0-9.e-]+'
  [[ ${#lines[@]} -eq 4 && -z $stderr ]]
  [[ ${lines[3]} =~ ^all,all,,6,288,[0-9.]+,0\.[0-9]+,0\.[0-9]+,0\.[0-9]+,[0-9.]+,0\.[0-9]+,[01]\.[0-9]+,$number$ ]]
  # Without nets the baseline is all there is, and its columns say the same.
  run --separate-stderr -0 affinity-profile --backtest --origins 1 --budget 0 </dev/null
  awk -F, 'NR > 1 && ($6 != $10 || $7 != $11 || $12 != 0) { exit 1 }' <<<"$output"
}

# Two days up, two days down: no smoothing knows what comes, but nets can.
swinging()
{
  awk -v header="$header" -v end="$1" 'BEGIN {
    print header ",count"
    for (hour = 0; hour < 42 * 24; hour++)
      for (v = 0; v < 6; v++) {
        up = int(hour / 24) % 4 < 2 ? 0.5 : 1.5
        day = 1.2 + cos(2 * 3.14159265 * (hour + 5 * v) / 24)
        printf "%d,v%d,,10.1.0.1,read,0,4096,1,,%d\n", end - 42 * 86400 + hour * 3600, v,
          1000 * (v + 1) * up * day + (hour * 7919 + v * 104729) % 100
      }
  }'
}

@test "affinity-profile: --train lets nets answer where they are better, and keeps them" {
  swinging $MIDNIGHT >access.csv
  run --separate-stderr -0 affinity-profile --train --budget 4 --forecast --now $MIDNIGHT access.csv
  [[ -z $stderr && $(grep -c 'lstm$' <<<"$output") -ge 200 ]]
  [[ -s $GATESHIFT_STATE/affinity/models.bin && -s $GATESHIFT_STATE/affinity/nets.bin ]]
  printf '%s\n' "$output" >trained.csv
  affinity-profile --forecast --now $MIDNIGHT </dev/null >used.csv
  cmp trained.csv used.csv
  # Beyond what the nets foresee, the baseline goes on.
  run --separate-stderr -0 affinity-profile --forecast --ahead 72h --now $MIDNIGHT
  awk -F, 'NR > 1 && !($6 <= $5 && $5 <= $7 && $6 >= 0) { exit 1 }' <<<"$output"
}

@test "affinity-profile: a training gives the same files for any number of threads" {
  swinging $MIDNIGHT >access.csv
  affinity-profile --state two --train --budget 1 --now $MIDNIGHT access.csv >two.csv
  taskset -c 0 affinity-profile --state one --train --budget 1 --now $MIDNIGHT access.csv >one.csv
  cmp one/affinity/nets.bin two/affinity/nets.bin
  cmp one/affinity/models.bin two/affinity/models.bin
  cmp one.csv two.csv
}

@test "affinity-profile: --fine-tune goes on with kept nets, and trains anew without" {
  swinging $MIDNIGHT >access.csv
  affinity-profile --fine-tune --budget 1 --now $((MIDNIGHT - 86400)) access.csv >/dev/null 2>&1
  cp "$GATESHIFT_STATE"/affinity/{models,nets}.bin .
  run --separate-stderr -0 affinity-profile --fine-tune --budget 1 --now $MIDNIGHT access.csv
  # Models and what they were trained with stay; the nets have learnt a day more.
  cmp models.bin "$GATESHIFT_STATE/affinity/models.bin"
  run -1 cmp -s nets.bin "$GATESHIFT_STATE/affinity/nets.bin"
  run --separate-stderr -0 affinity-profile --forecast --now $MIDNIGHT
  [[ $output == *lstm* ]]
  # Two weeks on, the models are too old.
  affinity-profile --fine-tune --budget 1 --now $((MIDNIGHT + 14 * 86400)) </dev/null >/dev/null
  run -1 cmp -s models.bin "$GATESHIFT_STATE/affinity/models.bin"
}

@test "affinity-profile: --fine-tune trains anew once the demand has become another" {
  swinging $MIDNIGHT >access.csv
  affinity-profile --train --budget 1 --now $MIDNIGHT --count-only access.csv
  cp "$GATESHIFT_STATE/affinity/models.bin" .
  # Two days in which everybody came twelve hours later.
  swinging $((MIDNIGHT + 2 * 86400 + 43200)) |
    awk -F, -v from=$MIDNIGHT 'NR == 1 || $1 >= from' >later.csv
  run --separate-stderr -0 affinity-profile --fine-tune --budget 1 --count-only \
    --now $((MIDNIGHT + 2 * 86400)) later.csv
  [[ $stderr == *"forecasts since the last training were off by "*": training anew"* ]]
  run -1 cmp -s models.bin "$GATESHIFT_STATE/affinity/models.bin"
}

@test "affinity-profile: --explain says what the gate made of the nets, and from what figures" {
  swinging $MIDNIGHT >access.csv
  affinity-profile --train --budget 1 --now $MIDNIGHT --forecast --ahead 1h access.csv >forecast.csv
  run --separate-stderr -0 affinity-profile --explain v3 --now $MIDNIGHT </dev/null
  [[ ${lines[*]} =~ 'europe '.*"$(awk -F, '$1 == "v3" { print $8 }' forecast.csv)"': 1008 hours of history; held-out error '[0-9.]+' of repeating the day before; weight of the LSTM '(0|50|100)' %, its own error '[0-9.]+' % '(above|below)" the baseline's; the baseline: "(smoothing|median) ]]
}

# An hour's own level, and every so often a burst that nothing announces.
bursts()
{
  awk -v header="$header" -v end="$1" 'BEGIN {
    print header ",count"
    srand(3)
    for (hour = 0; hour < 35 * 24; hour++)
      printf "%d,vol,,10.1.0.1,write,0,4096,1,,%d\n", end - 35 * 86400 + hour * 3600,
        100 + 50 * (hour * 7 % 24) + (rand() < 0.08 ? 1e5 * rand() : 20 * rand())
  }'
}

@test "affinity-profile: demand in bursts is forecast by what its hours usually were, and --explain says so" {
  bursts $MIDNIGHT >access.csv
  affinity-profile --train --budget 0 --forecast --ahead 24h --now $MIDNIGHT access.csv >forecast.csv
  # Bursts are 4000 requests an hour in the mean; a forecast that had learnt them would be far off.
  awk -F, -v from=$MIDNIGHT '
    NR > 1 { level = 110 + 50 * ((($3 - from) / 3600) * 7 % 24)
             off += $5 > level ? $5 - level : level - $5; all += level }
    END { if (NR != 25 || off > 0.25 * all) exit 1 }' forecast.csv
  run --separate-stderr -0 affinity-profile --explain vol --now $MIDNIGHT </dev/null
  [[ $output == *median*': 840 hours of history; '*'; the baseline: '*'median of 7 days '*' %'* ]]
}

@test "affinity-profile: nets of another training are not listened to" {
  swinging $MIDNIGHT >access.csv
  affinity-profile --train --budget 1 --now $MIDNIGHT access.csv >/dev/null
  affinity-profile --state other --train --seed 2 --budget 1 --now $MIDNIGHT access.csv >/dev/null
  cp other/affinity/nets.bin "$GATESHIFT_STATE/affinity/nets.bin"
  run --separate-stderr -0 affinity-profile --forecast --now $MIDNIGHT
  [[ ${#lines[@]} -eq 289 && $output != *lstm* ]]
}

@test "affinity-profile: damaged nets are refused and left alone" {
  local file=$GATESHIFT_STATE/affinity/nets.bin
  swinging $MIDNIGHT >access.csv
  affinity-profile --train --budget 1 --now $MIDNIGHT access.csv >/dev/null
  printf xyz | dd of="$file" bs=1 seek=4999 conv=notrunc status=none
  cp "$file" before
  run --separate-stderr -65 affinity-profile --forecast
  [[ -z $output && $stderr == "affinity-profile: cannot use '$file': damaged; "* ]]
  cmp before "$file"
}

@test "affinity-profile: a BLAS that is not thread-safe is said once, and changes no result" {
  # What a serial OpenBLAS answers when asked how it is built.
  printf 'int openblas_get_parallel(void) { return 0; }\n' >serial.c
  ${CC:-cc} -shared -fPIC -o serial.so serial.c
  needs_preload affinity-profile
  [[ $(nproc) -gt 1 ]] || skip "one processor only: no threads"
  swinging $MIDNIGHT >access.csv
  affinity-profile --state a --train --budget 1 --now $MIDNIGHT access.csv >/dev/null
  run --separate-stderr -0 env LD_PRELOAD="$PWD/serial.so" \
    affinity-profile --state b --train --budget 1 --now $MIDNIGHT access.csv
  [[ $stderr == 'affinity-profile: the installed BLAS is not thread-safe: going on with one thread' ]]
  cmp a/affinity/nets.bin b/affinity/nets.bin
}

@test "affinity-profile: without a BLAS it counts and scores, and says what it cannot train with" {
  # A library of that name which holds nothing.
  mkdir lib
  printf 'int nothing;\n' >nothing.c
  ${CC:-cc} -shared -fPIC -o lib/libopenblas.so.0 nothing.c
  swinging $MIDNIGHT >access.csv
  run --separate-stderr -0 env LD_LIBRARY_PATH="$PWD/lib" \
    affinity-profile --state a --now $MIDNIGHT access.csv
  [[ ${#lines[@]} -gt 1 && -z $stderr ]]
  cp -r a/affinity before
  run --separate-stderr -71 env LD_LIBRARY_PATH="$PWD/lib" \
    affinity-profile --state a --train --budget 1 --now $MIDNIGHT </dev/null
  [[ -z $output ]]
  [[ $stderr == "affinity-profile: cannot load 'libopenblas.so.0': "* ]]
  diff -r before a/affinity
}

@test "affinity-profile: a training shows how far it is on a terminal only" {
  swinging $MIDNIGHT >access.csv
  run -0 script -qec "affinity-profile --train --budget 1 --now $MIDNIGHT access.csv >/dev/null" /dev/null
  [[ $output == *'affinity-profile: '*': '*' %'* ]]
}

@test "affinity-profile: bad options are wrong usage" {
  local option
  for option in --horizon=-1 --horizon=x --ahead=1 --now=abc --keep=1h --origins=0 --rtt-scale=0 \
    --budget=x; do
    run --separate-stderr -64 affinity-profile "$option"
    [[ $stderr == "affinity-profile: ${option%%=*} takes "* ]]
  done
  for option in --forecast --backtest; do
    run --separate-stderr -64 affinity-profile --heatmap "$option"
    [[ $stderr == "affinity-profile: only one of --backtest, --count-only, --explain, --forecast and"* ]]
  done
}

@test "affinity-profile: input and output that fail" {
  history $MIDNIGHT weeks=1 >access.csv
  run --separate-stderr -66 affinity-profile missing.csv
  run --separate-stderr -66 affinity-profile .
  : >empty.csv
  run --separate-stderr -65 affinity-profile empty.csv
  run -74 bash -c 'affinity-profile --heatmap access.csv >/dev/full'
  run -74 bash -c 'affinity-profile access.csv >/dev/full'
  run -0 bash -c 'affinity-profile --heatmap access.csv | head -1'
  rm "$GATESHIFT_CONFIG/gateways.csv"
  run --separate-stderr affinity-profile access.csv
  [[ $status -eq 66 || $status -eq 78 ]]
  run --separate-stderr -0 affinity-profile --forecast access.csv
}
