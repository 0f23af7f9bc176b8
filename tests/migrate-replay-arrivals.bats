#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-replay --arrivals: failures that come as others came before, in clusters.

load helpers
load replayer

# past BURST GAP_H: 60 failures of 4 rooms, BURST at a time in one of them and half an hour apart, the
# next ones GAP_H later in another.
past()
{
  awk -v burst="$1" -v gap="$2" 'BEGIN {
    print "time,gateway,kind,site"
    for (i = 0; i < 60; i++) {
      at = 1500000000 + 3600 * gap * int(i / burst) + 1800 * (i % burst)
      room = int(i / burst) % 4
      printf "%d,node-%d-%d,failure,room-%d\n", at, room, i % 7, room
    }
  }'
}

# drawn SEED ARGUMENT…: a scenario, as records.
drawn()
{
  local seed=$1
  shift
  run --separate-stderr -0 replay --print-scenario --failures 9 --seeds "$seed" "$@" access.csv
}

# near: of the failures in $output, how many have another one of their site within a day.
near()
{
  awk -F, '
    NR > 1 && $3 != "" { time[++n] = $3; site[n] = $1 == "gw-a" || $1 == "gw-b" }
    END {
      for (i = 1; i <= n; i++)
        for (j = 1; j <= n; j++)
          if (i != j && site[i] == site[j] && (time[i] - time[j]) ^ 2 < 86400 ^ 2) { near++; break }
      print near + 0
    }' <<<"$output"
}

@test "migrate-replay: --arrivals: as many of each kind as without, in the time that there is; the seed decides" {
  local seed first
  steady 1 2000 >access.csv
  past 1 48 >past.csv
  for seed in 1 2 3 4 5; do
    drawn "$seed" --arrivals past.csv
    [[ -z $stderr ]]
    awk -F, -v seed=$seed -v from=$((T0 + 7 * 86400)) -v to=$((T0 + 2000 * 3600)) '
      NR == 1 { next }
      ($2 == "" ? $3 : $2) < from || $4 > to { bad = 1 }
      $5 == "sudden" { sudden++; next }
      $3 == "" { recover++; next }
      { warned++; if ($3 - $2 < 3600 || $3 - $2 > 12 * 3600) bad = 1 }
      END { if (bad || sudden != 3 || warned != 6 || recover != 3) { print "seed", seed; exit 1 } }' <<<"$output"
    first=$output
    drawn "$seed" --arrivals past.csv
    [[ $output == "$first" ]]
    drawn $((seed + 5)) --arrivals past.csv
    [[ $output != "$first" ]]
  done
}

@test "migrate-replay: --arrivals: what came in clusters comes in clusters, and at one site" {
  local seed evenly=0 apart=0 bursts=0 n=0
  steady 1 2000 >access.csv
  past 1 48 >apart.csv
  past 3 144 >bursts.csv
  for seed in {1..12}; do
    drawn "$seed"
    evenly=$((evenly + $(near)))
    drawn "$seed" --arrivals apart.csv
    apart=$((apart + $(near)))
    drawn "$seed" --arrivals bursts.csv
    bursts=$((bursts + $(near)))
    n=$((n + $(grep -cE ',[0-9.]+,[0-9.]+,' <<<"$output")))
  done
  echo "near another of their site: $evenly evenly, $apart of those apart, $bursts of $n in bursts"
  [[ $bursts -ge $((n * 6 / 10)) && $apart -le $((bursts / 3)) && $evenly -le $((bursts / 2)) ]]
}

@test "migrate-replay: --arrivals: the nodes of a place are the gateways of one site, and a node stays one" {
  local seed
  steady 1 2000 >access.csv
  # The same two nodes in turn, of one room; the other rooms have only had one failure.
  awk 'BEGIN {
    print "time,gateway,kind,site"
    for (i = 0; i < 400; i++) printf "%d,node-%d,failure,room-1\n", 1500000000 + 86400 * i, i % 2
    print "1500000000,else,failure,room-2"
  }' >past.csv
  for seed in 1 2 3; do
    drawn "$seed" --arrivals past.csv
    # In order of time, as they all fail or would: its gateways alternate.
    awk -F, -v OFS=, 'NR > 1 { print ($3 == "" ? $2 : $3), $1 }' <<<"$output" | sort >order.txt
    [[ $(cut -d, -f2 order.txt | sort -u | paste -sd ' ') =~ ^(gw-a gw-b|gw-c gw-d)$ ]]
    [[ $(grep -c 'gw-[ac]' order.txt) -eq 6 ]]
  done
}

@test "migrate-replay: --arrivals: without a site a failure was at its gateway's, or at one of its own" {
  local past
  steady 1 2000 >access.csv
  for past in gw-a,gw-b gw-x,gw-y; do
    awk -v pair=$past 'BEGIN {
      print "time,gateway,kind"
      split(pair, name, ",")
      for (i = 0; i < 400; i++) printf "%d,%s,failure\n", 1500000000 + 86400 * i, name[1 + i % 2]
    }' >past.csv
    drawn 1 --arrivals past.csv
    awk -F, 'NR > 1 { print ($1 == "gw-a" || $1 == "gw-b") }' <<<"$output" | sort -u >sites.txt
    [[ $(wc -l <sites.txt) -eq $([[ $past == gw-a* ]] && echo 1 || echo 2) ]]
  done
}

@test "migrate-replay: --arrivals: outages and evacuations are no failures; too few of those is an error" {
  steady 1 2000 >access.csv
  {
    past 1 48 | head -n 12
    printf '%s\n' 1600000000,a,outage,room-1 1600000000,b,evacuated,room-1
  } >past.csv
  run --separate-stderr -65 replay --failures 9 --arrivals past.csv access.csv
  [[ $stderr == "migrate-replay: too few failures in 'past.csv': 11, and --failures 9 draws 12 events" ]]
  [[ -z $output ]]
  run --separate-stderr -65 replay --failures 100000 --arrivals past.csv access.csv
  [[ $stderr == *"--failures 100000 draws 133333 events" ]]
  run --separate-stderr -0 replay --failures 8 --policy none --arrivals past.csv access.csv
  [[ -z $stderr ]]
}

@test "migrate-replay: --arrivals: a bad record is named with its line; wrong usage; no such file" {
  local bad
  steady 1 1 >access.csv
  for bad in "soon,n,failure,r" "1500000000,,failure,r" "1500000000,n,fire,r" "1500000000,n,failure" \
    "-1,n,failure,r" "1500000000,n,failure,r,s"; do
    printf '%s\n' time,gateway,kind,site 1500000000,n,failure,r "$bad" >past.csv
    run --separate-stderr -65 replay --failures 1 --arrivals past.csv access.csv
    echo "$bad: $stderr"
    [[ $stderr == "migrate-replay: past.csv:3: "* && $stderr != *$'\n'* && -z $output ]]
  done
  printf 'time,kind\n' >past.csv
  run --separate-stderr -65 replay --failures 1 --arrivals past.csv access.csv
  [[ $stderr == "migrate-replay: past.csv:1: "*gateway* ]]
  run --separate-stderr -66 replay --failures 1 --arrivals nowhere.csv access.csv
  run --separate-stderr -64 replay --arrivals past.csv access.csv
  [[ $stderr == "migrate-replay: --arrivals needs --failures"* ]]
  run --separate-stderr -64 replay --arrivals past.csv --failures 1 --scenario past.csv access.csv
}

@test "migrate-replay: failures that find no room are left out, and told" {
  steady 1 200 >access.csv
  # All at once: a gateway can fail once, and have recovered once before.
  awk 'BEGIN { print "time,gateway,kind,site"; for (i = 0; i < 20; i++) print "1500000000,n" i ",failure,r" i }' >past.csv
  drawn 1 --arrivals past.csv --warm-up 0
  [[ $(cut -d, -f3 <<<"$output" | grep -c '^[0-9]') -eq 4 ]]
  [[ $stderr == "migrate-replay: $((13 - $(wc -l <<<"$output"))) of 12 drawn failures and degradations found no room, and are left out" ]]
  run --separate-stderr -0 replay --failures 9 --arrivals past.csv --warm-up 0 --seeds 1:3 --policy none access.csv
  [[ $stderr == "migrate-replay: "[0-9]*" of 36 drawn "* ]]
  # No time at all, with and without.
  drawn 1 --arrivals past.csv --warm-up 20d
  [[ $(wc -l <<<"$output") -eq 1 && $stderr == "migrate-replay: 12 of 12 drawn "* ]]
  drawn 1 --warm-up 20d
  [[ $(wc -l <<<"$output") -eq 1 && $stderr == "migrate-replay: 12 of 12 drawn "* ]]
}
