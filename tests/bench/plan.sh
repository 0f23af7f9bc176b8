#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# plan.sh: migrate-plan on a large fleet, a tenth of whose gateways fail: processor time and memory,
# with affinity for every pair, then with a day's forecast too.  Goals: below 10 s and 1 GiB.
#
# BENCH_VOLUMES, BENCH_GATEWAYS  how large (100000 and 100)
# BENCH_DIR                      where the records are made: 1 GB or so (/dev/shm)
set -u

bin=${BUILD:-$PWD/build}/bin
volumes=${BENCH_VOLUMES:-100000} gateways=${BENCH_GATEWAYS:-100}
if [[ ! -x /usr/bin/time ]]; then
  echo "plan: skipped, no /usr/bin/time"
  exit 0
fi
dir=$(mktemp -d -p "${BENCH_DIR:-/dev/shm}") || exit
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit

awk -v volumes="$volumes" -v gateways="$gateways" 'BEGIN {
  srand(7)
  print "gateway,uri,site,capacity_bytes,iops_limit,state,hook" > "gateways.csv"
  print "time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason" > "health.csv"
  for (g = 0; g < gateways; g++) {
    printf "gw-%03d,nbd://192.0.2.1,,200000000000000,50000,active,\n", g > "gateways.csv"
    printf "999990,gw-%03d,%.4f,,%.4f,86400,0.9,,\n", g, g % 10 ? 0.9 + rand() / 10 : 0.2,
      rand() / 10 > "health.csv"
  }
  print "volume,gateway,epoch,state,target,size_bytes,time" > "routes.csv"
  print "time,volume,gateway,das,share,requests,confidence,horizon_s,model" > "affinity.csv"
  print "volume,site,start,duration_s,requests,lower,upper,model" > "forecast.csv"
  for (v = 0; v < volumes; v++) {
    printf "vol-%06d,gw-%03d,1,steady,,107374182400,1000\n", v, v % gateways > "routes.csv"
    for (g = 0; g < gateways; g++)
      printf "999900,vol-%06d,gw-%03d,%.4f,0,%d,0.9,21600,seasonal\n", v, g, rand(), v % 5000 \
        > "affinity.csv"
    for (h = 0; h < 24; h++)
      printf "vol-%06d,eu,%d,3600,%d,0,9999,seasonal\n", v, 997200 + 3600 * h, rand() * 5000 \
        > "forecast.csv"
  }
}' || exit

# measure NAME OPTION...: a line of what the run took.
measure()
{
  /usr/bin/time -o used -f "%U %S %M" "$bin/migrate-plan" --now 1000000 --config . \
    --routes routes.csv --health health.csv --max-moves 1000 --max-per-source 10 \
    --max-per-target 10 "${@:2}" >plan.csv || exit
  awk -v name="$1" -v moves="$(($(wc -l <plan.csv) - 1))" '{
    cpu = $1 + $2; mib = $3 / 1024
    printf "plan: %-28s %6.2f s of processor time, %5.0f MiB, %d moves: %s\n", name, cpu, mib, moves,
      cpu < 10 && mib < 1024 ? "goal met" : "goal missed"
  }' used
}

echo "plan: $volumes volumes, $gateways gateways"
measure "health and routes"
measure "with affinity" --affinity affinity.csv
measure "with affinity and forecast" --affinity affinity.csv --forecast forecast.csv
