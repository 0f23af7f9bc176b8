#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# affinity-profile: histories that say little, or strange things, and folders that are not its own.

load helpers

# A midnight UTC.
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
}

header='time,volume,gateway,client,op,offset,length,latency_us,error,count'

# hourly [NAME=VALUE...]: WEEKS weeks that end at midnight, an hour a record, busy at noon; hours
# from GAP_FROM to GAP_TO (before the end) are missing.
hourly()
{
  awk -v h="$header" -v end=$MIDNIGHT -v weeks=5 "${@/#/-v}" 'BEGIN {
    print h
    n = weeks * 168
    for (i = 0; i < n; i++)
      if (!(n - i <= gap_from && n - i > gap_to))
        printf "%d,vol,gw-eu,10.1.0.1,read,0,4096,9,,%d\n", end - (n - i) * 3600, 1000 - 900 * cos(i % 24 * 0.2618)
  }'
}

# forecast_is_sound: $output holds forecasts that are numbers in order.
forecast_is_sound()
{
  awk -F, 'NR > 1 && !($5 == $5 + 0 && $6 >= 0 && $6 <= $5 && $5 <= $7) { bad = 1 } END { exit bad || NR < 2 }' \
    <<<"$output"
}

@test "affinity-profile: a gap of days leaves the rhythm as it was" {
  hourly gap_from=168 gap_to=96 >access.csv
  run --separate-stderr -0 affinity-profile --forecast --ahead 24h --now $MIDNIGHT access.csv
  [[ -z $stderr && ${#lines[@]} -eq 25 ]]
  forecast_is_sound
  # Noon is at least twice as busy as midnight.
  awk -F, 'NR == 2 { night = $5 } NR == 14 { exit !($5 > 2 * night) }' <<<"$output"
}

@test "affinity-profile: a demand of nothing but zeros predicts nothing and is neutral" {
  hourly | awk -F, -v OFS=, 'NR > 1 { $10 = 0 } { print }' >access.csv
  run --separate-stderr -0 affinity-profile --now $MIDNIGHT access.csv
  [[ -z $stderr && ${lines[1]} == "$MIDNIGHT,vol,gw-eu,0.5000,0.0000,0,0.0000,21600,"* ]]
  # In two runs, too.
  head -n 300 access.csv | affinity-profile --state twice --count-only -
  affinity-profile --state twice --count-only access.csv
  diff -r "$GATESHIFT_STATE/affinity" twice/affinity
  run --separate-stderr -0 affinity-profile --heatmap --now $MIDNIGHT
  run --separate-stderr -0 affinity-profile --train --budget 1 --backtest --now $MIDNIGHT
  [[ -z $stderr && ${lines[-1]} == all,all,* ]]
}

@test "affinity-profile: a single record answers every question, modestly" {
  printf '%s\n%d,vol,gw-eu,10.1.0.1,read,0,4096,9,,\n' "$header" $((MIDNIGHT - 1800)) >access.csv
  run --separate-stderr -0 affinity-profile --now $MIDNIGHT access.csv
  awk -F, 'NR > 1 && !($7 < 0.3) { exit 1 }' <<<"$output"
  for question in --forecast --heatmap --chart --backtest '--top 3' '--explain vol' '--train --budget 1'; do
    # shellcheck disable=SC2086 # options and their arguments
    run --separate-stderr -0 affinity-profile $question --now $MIDNIGHT
    [[ -z $stderr && -n $output ]]
  done
}

@test "affinity-profile: one record a year is soon forgotten, or remembered for ten" {
  awk -v h="$header" -v end=$MIDNIGHT 'BEGIN { print h; for (i = 9; i >= 0; i--)
    printf "%d,vol,gw-eu,10.1.0.1,read,%d,4096,9,,\n", end - i * 365 * 86400 - 1800, i * 2^40 }' >access.csv
  run --separate-stderr -0 affinity-profile --forecast --ahead 2h --now $MIDNIGHT access.csv
  forecast_is_sound
  [[ $(find "$GATESHIFT_STATE/affinity" -name 'demand-*' | wc -l) -eq 1 ]]
  run --separate-stderr -0 affinity-profile --state ten --keep 520w --forecast --ahead 2h --now $MIDNIGHT access.csv
  forecast_is_sound
  [[ -z $stderr && $(find ten/affinity -name 'demand-*' | wc -l) -eq 10 ]]
}

@test "affinity-profile: a folder of somebody else's is refused and left as it is" {
  mkdir -p "$GATESHIFT_STATE/affinity"
  echo 'an index of something else' >"$GATESHIFT_STATE/affinity/index"
  hourly >access.csv
  run --separate-stderr -65 affinity-profile access.csv
  [[ $stderr == "affinity-profile: cannot use '$GATESHIFT_STATE/affinity/index': not a state file of this version" ]]
  [[ -z $output && $(<"$GATESHIFT_STATE/affinity/index") == 'an index of something else' ]]
  [[ $(find "$GATESHIFT_STATE/affinity" -type f ! -name lock | wc -l) -eq 1 ]]
}
