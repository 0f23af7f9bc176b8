#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# health.sh: how early health-score sees a simulated gateway's end coming, how often it cries for
# nothing, and what a sample costs.  BENCH_MONTHS, BENCH_RAMPS: healthy
# gateway-months and degradations, a third of which recover.  The seeds are fixed.
set -u

build=${BUILD:-$PWD/build} months=${BENCH_MONTHS:-60} ramps=${BENCH_RAMPS:-60}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

object=$build/tests/bench/health_lead.o
make -s BUILD="$build" "${object#"$PWD"/}" "${build#"$PWD"/}/libcommon.a" &&
  "${CC:-cc}" -o "$dir/health_lead" "$object" "$build/libcommon.a" -lxxhash -lm || exit
echo "== health: lead time and false alarms (simulated, seeded)"
"$dir/health_lead" "$months" "$ramps" || exit

object=$build/tests/bench/health_speed.o
make -s BUILD="$build" "${object#"$PWD"/}" &&
  "${CC:-cc}" -o "$dir/health_speed" "$object" "$build/libcommon.a" -lxxhash -lm || exit
echo
echo "== health: what a sample and a run cost (CPU time, one thread)"
# Few metrics that are watched for long, so that their state is full; many that are not.
"$dir/health_speed" 10 4 25000 && "$dir/health_speed" 1000 4 250 || exit

# A run of the command, in cron's manner: state and a minute's samples in, scores and state out.
# BENCH_FLEET: gateways, with 20 metrics each.
fleet=${BENCH_FLEET:-1000}
mawk 'BEGIN {
  print "metric,group,weight,warn,critical,vital"
  for (m = 0; m < 20; m++) printf "metric-%d_us,disk,1,2000,5000,no\n", m
}' >"$dir/limits.csv"
# rounds FIRST LAST: metric records of the fleet, a round a minute.
rounds()
{
  mawk -v first="$1" -v last="$2" -v fleet="$fleet" 'BEGIN {
    srand(first)
    print "time,gateway,metric,value"
    for (t = first; t <= last; t++)
      for (g = 0; g < fleet; g++)
        for (m = 0; m < 20; m++)
          printf "%d,gw-%d,metric-%d_us,%.3f\n", 1760000000 + 60 * t, g, m, 1000 * rand()
  }'
}
score=("$build/bin/health-score" --state "$dir/state" --limits "$dir/limits.csv")
rounds 1 "${BENCH_FLEET_ROUNDS:-100}" | "${score[@]}" >"$dir/out" || exit
rounds 1001 1001 >"$dir/metric.csv"
TIMEFORMAT='%R %U %S'
{ time "${score[@]}" "$dir/metric.csv" >"$dir/out"; } 2>"$dir/time" || exit
awk -v n="$fleet" '{printf "a run for a minute of %d gateways with 20 metrics: %.2f s, %.2f CPU s\n", n, $1, $2 + $3}' \
  "$dir/time"
du -b "$dir/state/health.state" | awk -v n="$fleet" \
  '{printf "its state: %.0f MiB, %.0f bytes a metric\n", $1 / 1048576, $1 / (20 * n)}'
