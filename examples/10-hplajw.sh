#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# 10-hplajw.sh [TRACE]: profiles a week of a real machine's disks.
#
# "hplajw" is a disk trace of a small office machine, taken in 1992 (Ruemmler and Wilkes, "UNIX disk
# access patterns", USENIX Winter 1993), here as lines of
#     time_s,device,offset_bytes,size_bytes,op,queue_us,service_us
# Without TRACE a made-up excerpt in the same format is used.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start=703555200 # 1992-04-18, a Saturday

# Two disks over seven days: one follows office hours, one a nightly job.
make_excerpt()
{
  awk 'function uniform() { state = (16807 * state) % 2147483647; return state / 2147483647 }
  BEGIN {
    state = 1992
    print "time_s,device,offset_bytes,size_bytes,op,queue_us,service_us"
    for (hour = 0; hour < 168; hour++) {
      office = hour >= 48 && hour % 24 >= 8 && hour % 24 < 18
      n = (office ? 40 : 5) * (0.6 + 0.8 * uniform())
      for (i = 0; i < n; i++)
        printf "%.6f,8000008,%d,8192,%s,%d,%d\n", hour * 3600 + i * 60 + uniform(),
          int(uniform() * 40000) * 8192, uniform() < 0.7 ? "W" : "R", uniform() * 500, 20000
      n = (hour % 24 == 2 ? 30 : 2) * (0.5 + uniform())
      for (i = 0; i < n; i++)
        printf "%.6f,800000f,%d,2048,R,%d,%d\n", hour * 3600 + i * 75 + 30 + uniform(),
          i * 131072, uniform() * 90, 15000
    }
  }'
}

# The converter: trace lines to access records, a device to a volume.
to_access()
{
  awk -F, -v start="$start" '
    NR == 1 { print "time,volume,gateway,client,op,offset,length,latency_us,error"; next }
    { printf "%.6f,disk-%s,gw-a,hplajw,%s,%s,%s,%d,\n", start + $1, $2,
        $5 == "R" ? "read" : "write", $3, $4, $6 + $7 }' "$1"
}

trace=${1-$work/trace.csv}
[ $# -gt 0 ] || make_excerpt >"$trace"
to_access "$trace" >"$work/access.csv"

mkdir "$work/config"
cat >"$work/config/gateways.csv" <<EOF
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd://192.0.2.1,office,,,active,
gw-b,nbd://192.0.2.2,branch,,,active,
EOF
printf 'client,site,tz\n*,office,\n' >"$work/config/sites.csv"
profile="affinity-profile --config $work/config --state $work/state --now $((start + 7 * 86400))"

echo "# Affinity after $(($(wc -l <"$work/access.csv") - 1)) records:"
$profile "$work/access.csv"

echo "# The busiest hours predicted for the next day:"
$profile --forecast --ahead 24h </dev/null | sort -t, -k5,5gr | head -n 5

echo "# How good such forecasts would have been on the last three days:"
$profile --backtest --ahead 24h --origins 3 </dev/null

echo "# Where on the disks:"
$profile --chart --ahead 24h </dev/null
