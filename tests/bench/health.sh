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
make -s BUILD="$build" "$object" "$build/libcommon.a" &&
  "${CC:-cc}" -o "$dir/health_lead" "$object" "$build/libcommon.a" -lxxhash -lm || exit
echo "== health: lead time and false alarms (simulated, seeded)"
"$dir/health_lead" "$months" "$ramps" || exit

# 1000 gateways with 4 metrics, 250 rounds: a million samples, in cron's manner.
mawk 'BEGIN {
  srand(1)
  print "time,gateway,metric,value"
  for (t = 0; t < 250; t++)
    for (g = 0; g < 1000; g++)
      for (m = 0; m < 4; m++)
        printf "%d,gw-%d,metric-%d,%.3f\n", 1760000000 + 10 * t, g, m, 1000 * rand()
}' >"$dir/metric.csv"
printf 'metric,group,weight,warn,critical,vital\n' >"$dir/limits.csv"
printf 'metric-%d,disk,1,2000,5000,no\n' 0 1 2 3 >>"$dir/limits.csv"
TIMEFORMAT='%U %S'
{ time "$build/bin/health-score" --state "$dir/state" --limits "$dir/limits.csv" \
    "$dir/metric.csv" >"$dir/out"; } 2>"$dir/time" || exit
echo
awk '{printf "a million samples of 4000 metrics: %.2f CPU s, reading included\n", $1 + $2}' "$dir/time"
du -b "$dir/state/health.state" | awk '{printf "state: %.0f bytes a metric\n", $1 / 4000}'
