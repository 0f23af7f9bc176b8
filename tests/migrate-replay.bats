#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-replay: the simulated world adds up, and the policies decide as they promise.

load helpers
load replayer

@test "migrate-replay: counts the requests that met a failed and a degraded gateway" {
  steady 4 4 >access.csv
  scenario "gw-a - 60 90 sudden" "gw-b 120 150 180 linear" >scenario.csv
  run --separate-stderr -0 replay --policy none --scenario scenario.csv access.csv
  [[ $(field requests) -eq 576000 ]]
  [[ $(field failed) -eq 36000 ]]   # half an hour of each of two volumes
  [[ $(field unwarned) -eq 18000 ]] # one of them
  [[ $(field degraded) -eq 18000 ]]
  [[ $(field health_moves),$(field affinity_moves),$(field bytes) == 0,0,0 ]]
}

@test "migrate-replay: latency is the way, and that of a queue with the gateway's use" {
  awk -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h < 2; h++) printf "%d,v,gw-c,10.1.0.1,read,0,1,0,,1800000\n", t0 + 3600 * h
  }' >access.csv
  # 500 of 1000 requests a second: 1 ms / (1 - 0.5) behind 90 ms.
  run --separate-stderr -0 replay --policy none --service 1ms access.csv
  [[ $(field mean_us) == 92000 ]]
  # 99 of 100 exponentially distributed answers take less than ln(100) of the mean; bins of 2.3 %.
  awk -v p99="$(field p99_us)" 'BEGIN { is = 90000 + 2000 * log(100)
    exit !(p99 > is * 0.97 && p99 < is * 1.03) }'
}

@test "migrate-replay: reactive leaves what got slow, and waits where a gateway has failed" {
  steady 4 40 >access.csv
  scenario "gw-a 1800 2160 2220 linear" "gw-b - 1800 1860 sudden" >scenario.csv
  run --separate-stderr -0 replay --policy none,reactive --scenario scenario.csv --events moves.csv access.csv
  [[ $(field health_moves reactive),$(field mismigrations reactive) == 1,0 ]]
  [[ $(field unwarned reactive) -eq $(field unwarned none) ]]
  [[ $(field degraded reactive) -lt $(($(field degraded none) / 4)) ]]
  # At least 15 minutes after the onset, and never because gw-b was down.
  awk -F, -v onset=$((T0 + 1800 * 60)) '
    $7 == "begin" { n++; if ($1 < onset + 900 || $4 != "gw-a") bad = 1 }
    END { exit bad || n != 1 }' moves.csv
}

@test "migrate-replay: predictive leaves for the trend, for a reason that it tells; a copy takes its time" {
  steady 4 60 >access.csv
  scenario "gw-a 2400 2880 3000 linear" >scenario.csv
  run --separate-stderr -0 replay --policy none,predictive,oracle --scenario scenario.csv \
    --affinity-every 0 --copy-rate 10M --events moves.csv access.csv
  [[ $(field failed predictive) -eq 0 && $(field failed none) -gt 0 ]]
  [[ $(field degraded predictive) -lt $((8 * $(field degraded none) / 10)) ]]
  [[ $(field failed oracle),$(field degraded oracle),$(field mismigrations oracle) == 0,0,0 ]]
  grep '^[^,]*,predictive-1-1,vol-0,gw-a,gw-b,redirect,begin,.*,"[a-z]*: gw-a .*, gw-b healthy' moves.csv
  # 6000 MiB at 10 MiB/s.
  awk -F, '
    $7 == "begin" { begun[$2] = $1 }
    $7 == "switched" { n++; if ($1 != begun[$2] + 600) bad = 1 }
    END { exit bad || n < 2 }' moves.csv
}

# twenty HOURS BUSY: vol-0 … vol-19, all on gw-a, 400 requests a second each, then for an hour BUSY.
twenty()
{
  awk -v hours="$1" -v busy="$2" -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h <= hours; h++)
      for (v = 0; v < 20; v++)
        printf "%d,vol-%d,gw-a,10.1.0.1,read,0,4096,0,,%d\n", t0 + 3600 * h, v, 3600 * (h < hours ? 400 : busy)
  }'
}

@test "migrate-replay: what leaves a gateway that has too much to do flees from nothing" {
  sed -i s/,1000,/,10000,/ config/gateways.csv
  twenty 4 475 >access.csv
  run --separate-stderr -0 replay --policy predictive --affinity-every 0 --volume-size 1000M --copy-rate 10M \
    --events events.csv access.csv
  [[ $(field health_moves predictive),$(field mismigrations predictive) == 0,0 ]]
  [[ $(field affinity_moves predictive) -gt 0 ]]
  grep -q 'optional: gw-a health 0.[0-9]* (1.00 but for its load), gw-. healthy' events.csv
  [[ $(<events.csv) != *mandatory* ]]
}

@test "migrate-replay: standby: a mirrored copy takes over from an owner that dies, and is handed over to" {
  steady 4 60 >access.csv
  scenario "gw-a 1500 - 1740 linear" "gw-b - 2400 2640 sudden" "gw-a 3000 3120 3300 linear" >scenario.csv
  run --separate-stderr -0 replay --policy predictive,standby --scenario scenario.csv \
    --affinity-every 0 --events moves.csv access.csv
  # What left gw-a for gw-b was there when that died.
  [[ $(field takeovers predictive) -eq 0 && $(field takeovers standby) -gt 0 ]]
  [[ $(field unwarned standby) -lt $(field unwarned predictive) ]]
  awk -F, '/takes over/ { n++; if ($4 != "gw-b" || $9 != 0) bad = 1 }
    END { exit bad || !n }' moves.csv
  # Each volume has one before anything happens.
  [[ $(awk -F, -v onset=$((T0 + 1500 * 60)) '$7 == "deferred" && $1 < onset { print $3 }' moves.csv | sort -u | wc -l) -eq 4 ]]
  # What would leave gw-b in time copies nothing, and does not wait for others.
  scenario "gw-a 1500 - 1740 linear" "gw-b 2400 2640 2700 linear" >scenario.csv
  run --separate-stderr -0 replay --policy predictive,standby --scenario scenario.csv \
    --affinity-every 0 --events moves.csv access.csv
  [[ $(field takeovers standby),$(field failed standby) == 0,0 ]]
  grep '^[^,]*,standby-1-.*,gw-a,gw-b,redirect,begin,0,0,,.*to the copy that stands by there' moves.csv
  grep '^[^,]*,standby-1-.*,gw-b,gw-a,redirect,begin,0,0,,.*mandatory.*back to the copy that is kept there' moves.csv
}

@test "migrate-replay: standby: hand-overs of one gateway read what was written one after the other" {
  steady 1 60 | awk -F, -v OFS=, 'NR > 1 { $5 = "write"; $NF *= 10 }
    NR == 1 { print; next }
    { for (v = 0; v < 4; v++) { $2 = "vol-" v; print } }' >access.csv
  printf '%s\n' volume,size_bytes,policy,gateways vol-{0..3},8000000000,auto,"gw-a gw-b" >config/volumes.csv
  scenario "gw-a 2400 2700 2760 linear" >scenario.csv
  run --separate-stderr -0 replay --policy standby --scenario scenario.csv --affinity-every 0 \
    --events moves.csv access.csv
  # More is written than is proved all the while: some 5 GB of each are left, most of a step.
  awk -F, '$7 == "begin" && /mandatory/ { begun[$1]++; n++; ours[$2] }
    $7 == "switched" && $2 in ours { ended[$1]++; m++ }
    END {
      for (t in ended) if (ended[t] > 2) exit 1
      for (t in begun) most = begun[t] > most ? begun[t] : most
      exit !(n == 4 && m == 4 && most == 4)
    }' moves.csv
}

@test "migrate-replay: onset leaves at the first moment, busiest first, and no sooner" {
  awk -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h < 40; h++)
      for (v = 0; v < 3; v++)
        printf "%d,vol-%d,gw-a,10.1.0.1,read,0,1,0,,%d\n", t0 + 3600 * h, v, 3600 * (v + 1)
  }' >access.csv
  scenario "gw-a 1800 2160 2220 linear" "gw-b - 300 360 sudden" >scenario.csv
  run --separate-stderr -0 replay --policy reactive,onset,oracle --scenario scenario.csv --events moves.csv access.csv
  [[ $(field health_moves onset),$(field mismigrations onset),$(field unwarned onset) == 3,0,0 ]]
  [[ $(field degraded onset) -lt $(field degraded reactive) && $(field degraded onset) -gt 0 ]]
  [[ $(field degraded oracle) -eq 0 ]]
  [[ $(awk -F, '$2 ~ /^onset/ && $7 == "begin" { print $3 }' moves.csv | paste -sd ' ') == "vol-2 vol-1 vol-0" ]]
  awk -F, -v onset=$((T0 + 1800 * 60)) '$2 ~ /^onset/ && $1 < onset { exit 1 }' moves.csv
}

@test "migrate-replay: the more often gateways are probed, the more is known of a short degradation" {
  steady 4 60 >access.csv
  scenario "gw-a 2400 2640 3000 linear" >scenario.csv
  run --separate-stderr -0 replay --policy predictive --scenario scenario.csv --affinity-every 0 access.csv
  local degraded
  degraded=$(field degraded predictive)
  run --separate-stderr -0 replay --policy predictive --scenario scenario.csv --affinity-every 0 --probe-every 1m \
    access.csv
  [[ $degraded -lt $(field degraded predictive) ]]
  run --separate-stderr -64 replay --probe-every 0 access.csv
}

@test "migrate-replay: predictive follows the sun, once it knows the rhythm; what that gains is told" {
  sun 480 >access.csv
  run --separate-stderr -0 replay --policy none,predictive --retain 0 --events moves.csv access.csv
  [[ $(field affinity_moves predictive) -ge 5 ]]
  [[ $(field health_moves predictive),$(field pingpongs predictive) == 0,0 ]]
  awk -v none="$(field mean_us none)" -v us="$(field mean_us predictive)" \
    -v gained="$(field gained_us predictive)" 'BEGIN {
    exit !(us < 0.95 * none && gained > 0) }'
  # While the old copy is kept, the volume stays.
  run --separate-stderr -0 replay --policy predictive --retain 9d --events moves.csv access.csv
  [[ $(field affinity_moves predictive) -eq 1 ]]
}

# begins: the hour of the day in which each move of moves.csv began.
begins()
{
  awk -F, '$7 == "begin" { printf "%s%d", s, $1 / 3600 % 24; s = " " }' moves.csv
}

@test "migrate-replay: with forecasts, what follows the sun does not wait for an hour when that has moved on" {
  # In the middle of each half of a day few ask.
  sun 480 | awk -F, -v OFS=, 'NR > 1 { off = $1 / 3600 % 12 - 6; $NF = 600 * (1 + (off < 0 ? -off : off)) }
    { print }' >access.csv
  run --separate-stderr -0 replay --policy predictive --retain 0 --forecast --events moves.csv access.csv
  [[ $(begins) == "10 22 10 22"* ]]
}

@test "migrate-replay: with forecasts, a long copy that gains little waits for a quiet hour" {
  awk -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h < 230; h++)
      for (site = 1; site <= 2; site++)
        printf "%d,v,gw-a,10.%d.0.1,read,0,1,0,,%d\n", t0 + 3600 * h, site, (h % 24 < 4 ? 12 : 1200) * (1 + site / 2)
  }' >access.csv
  # The better gateways can be had from 22:00 on; a copy takes an hour.
  printf '%s\n' gateway,onset,failure,repair,kind gw-{c,d},"$T0",,$((T0 + 190 * 3600)),cordon >scenario.csv
  local options=(--policy predictive --scenario scenario.csv --min-confidence 0 --margin 0.1 --copy-rate 1700K)
  run --separate-stderr -0 replay "${options[@]}" --events moves.csv access.csv
  [[ $(begins) == 22 ]]
  run --separate-stderr -0 replay "${options[@]}" --events moves.csv --forecast access.csv
  [[ $(begins) == 0 ]]
}

@test "migrate-replay: what can wait begins when calendar.csv says, and what flees at once" {
  sun 480 >access.csv
  printf '%s\n' rule,from,until window,01:00,01:30 window,13:00,13:30 >config/calendar.csv
  scenario "gw-c 26820 27420 27480 linear" >scenario.csv
  run --separate-stderr -0 replay --policy predictive --retain 0 --scenario scenario.csv --events moves.csv access.csv
  awk -F, -v t0="$T0" '$7 == "begin" {
      minute = ($1 - t0) % 86400 / 60 % 720
      if (/mandatory/) fled = $4 == "gw-c" && minute > 90
      else if (minute < 60 || minute >= 90) bad = 1
      else n++
    }
    END { exit bad || !fled || n < 3 }' moves.csv
  echo window,25:00,01:00 >>config/calendar.csv
  run --separate-stderr -78 replay --policy predictive access.csv
  [[ $stderr == "migrate-replay: $GATESHIFT_CONFIG/calendar.csv:4: no window HH:MM to HH:MM '25:00' to '01:00'" ]]
}

@test "migrate-replay: recorded metrics take the simulated ones' place" {
  steady 4 6 >access.csv
  awk -v t0="$T0" 'BEGIN {
    print "time,gateway,metric,value"
    for (t = t0; t < t0 + 21600; t += 30) {
      printf "%d,gw-b,nbd_connect_us,300\n", t
      printf "%d,gw-b,nbd_read_us,%d\n", t, t < t0 + 7200 ? 500 + t % 7 : 90000
    }
  }' >metrics.csv
  run --separate-stderr -0 replay --policy predictive --affinity-every 0 --metrics metrics.csv \
    --events moves.csv access.csv
  [[ $(field health_moves predictive),$(field mismigrations predictive) == 1,1 ]]
  grep ',vol-1,gw-b,.*,begin,.*mandatory: gw-b' moves.csv
}

@test "migrate-replay: a sweep has a record for each value; threads and repetition change nothing" {
  steady 4 30 >access.csv
  run --separate-stderr -0 replay --policy predictive,none --failures 3 --warm-up 12h --seeds 3:4 \
    --sweep margin=0.2:0.6:0.2 --threads 1 access.csv
  [[ $(cut -d, -f1-3 <<<"$output" | tail -n +2 | paste -sd ' ') == \
    "none,margin=0.2,3 predictive,margin=0.2,3 none,margin=0.2,4 predictive,margin=0.2,4 \
none,margin=0.4,3 predictive,margin=0.4,3 none,margin=0.4,4 predictive,margin=0.4,4 \
none,margin=0.6,3 predictive,margin=0.6,3 none,margin=0.6,4 predictive,margin=0.6,4" ]]
  local first=$output
  run --separate-stderr -0 replay --policy predictive,none --failures 3 --warm-up 12h --seeds 3:4 \
    --sweep margin=0.2:0.6:0.2 --threads 3 access.csv
  [[ $output == "$first" ]]
}

@test "migrate-replay: the drawn scenario keeps its promises, and is read back as printed" {
  local seed
  steady 1 2000 >access.csv
  for seed in 1 2 3 4 5; do
    run --separate-stderr -0 replay --print-scenario --failures 12 --seeds $seed access.csv
    awk -F, -v seed=$seed '
      NR == 1 { next }
      $5 == "sudden" { sudden++; next }
      $3 == "" { recover++; next }
      { warned++; if ($3 - $2 < 3600 || $3 - $2 > 12 * 3600) bad = 1 }
      END { if (bad || sudden != 4 || warned != 8 || recover != 4) { print "seed", seed; exit 1 } }' <<<"$output"
  done
  printf '%s\n' "$output" >scenario.csv
  run --separate-stderr -0 replay --policy none --failures 12 --seeds 5 access.csv
  local drawn=$output
  run --separate-stderr -0 replay --policy none --scenario scenario.csv --seeds 5 access.csv
  [[ $(field failed) -eq $(awk -F, '$1 == "none" { print $5 }' <<<"$drawn") ]]
}

@test "migrate-replay: draws the comparison on a terminal and as SVG" {
  steady 4 4 >access.csv
  scenario "gw-a - 60 90 sudden" >scenario.csv
  run --separate-stderr -0 replay --policy none,oracle --scenario scenario.csv --chart --svg out.svg access.csv
  [[ ${lines[0]} == "requests on failed (#) and degraded (+) gateways"* ]]
  [[ ${lines[1]} == "none "*"###"*" 3.125% failed, 0.000% degraded" ]]
  grep -q '<svg .*>' out.svg
  [[ $(grep -c '>none<' out.svg),$(grep -c '>oracle<' out.svg),$(grep -c ' % failed' out.svg) == 1,1,2 ]]
  [[ $(tail -n 1 out.svg) == "</svg>" ]]
}

@test "migrate-replay: a scenario that makes no sense is refused with its line" {
  steady 1 1 >access.csv
  local bad
  for bad in "gw-a 10 20 30 sudden" "gw-a - - 30 sudden" "gw-a - 20 30 linear" "gw-a 20 10 30 linear" \
    "gw-a 10 20 20 linear" "gw-a 10 20 30 cordon" "gw-x 10 20 30 linear" "gw-a 10 20 30 slow"; do
    scenario "$bad" >scenario.csv
    run --separate-stderr -65 replay --scenario scenario.csv access.csv
    echo "$bad: $stderr"
    [[ $stderr == "migrate-replay: scenario.csv:2: "* && $stderr != *$'\n'* ]]
  done
}

@test "migrate-replay: a sweep over what is no limit, or beyond its range, is wrong usage" {
  steady 1 1 >access.csv
  local bad
  for bad in margin margin=1 margin=1:2 margin=2:1:1 margin=0:1:0 nothing=0:1:1 margin=3:5:1 \
    margin=0:1:0.0001; do
    run --separate-stderr -64 replay --policy none --sweep "$bad" access.csv
    [[ $stderr == "migrate-replay: "* && -z $output ]]
  done
}

@test "migrate-replay: no policy, and seeds of another form, are wrong usage" {
  local bad
  steady 1 1 >access.csv
  run --separate-stderr -64 replay --forecast --affinity-every 2d access.csv
  [[ $stderr == "migrate-replay: --forecast needs --affinity-every, of at most 1d"* ]]
  run --separate-stderr -64 replay --policy "" access.csv
  [[ $stderr == "migrate-replay: policy: none is named"* ]]
  for bad in 1-5 : 1:2:3 x -1 2:1 0:100000; do
    run --separate-stderr -64 replay --policy none --seeds "$bad" access.csv
    [[ $stderr == "migrate-replay: "*seeds*"'$bad'"* || $stderr == "migrate-replay: --seeds takes "* ]]
  done
}

@test "migrate-replay: what is wrong with a scenario or arrivals is told before the accesses are read" {
  scenario "gw-x 10 20 30 linear" >scenario.csv
  run --separate-stderr -65 replay --scenario scenario.csv nowhere.csv
  [[ $stderr == "migrate-replay: scenario.csv:2: gateway 'gw-x' is not in gateways.csv" ]]
  run --separate-stderr -65 replay --failures 3 --arrivals scenario.csv nowhere.csv
  [[ $stderr == "migrate-replay: scenario.csv:1: "* ]]
}

@test "migrate-replay: counts of an hour that are not spread are told" {
  steady 2 8 >access.csv
  run --separate-stderr -0 migrate-replay --policy none access.csv
  [[ $stderr == "migrate-replay: all requests are in 8 of 421 steps; if records count those of an hour, use --spread 1h" ]]
  run --separate-stderr -0 migrate-replay --policy none --spread 1h access.csv
  [[ -z $stderr ]]
  # Records of single requests, however few, are as they came.
  cut -d, -f1-9 access.csv >single.csv
  run --separate-stderr -0 migrate-replay --policy none single.csv
  [[ -z $stderr ]]
}
