#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# degrade.sh: is a gateway that gets slower by and by told before its clients wait twice as long?
# A real one: nbdkit behind its rate filter, which is turned down step by step; a client that reads
# all the time (fio); gateway-probe, with the host's node_exporter; stress-ng, which comes and goes,
# as load.  First all is left alone, then the gateway gets slower, to two and a half times.  What
# is recorded, with what the client saw as client_latency_us, is judged afterwards (degrade.awk),
# record by record, at the defaults.
#
# BENCH_DEGRADE                seconds to get slower in: without it, this bench is skipped, as it
#                              takes long; the record in tests/golden is of 1500
# BENCH_QUIET                  seconds before (default as many)
# BENCH_INTERVAL               from probe to probe, and of the client's means, in seconds (5)
# BENCH_RECORD                 a file for the metric records
set -u

build=${BUILD:-$PWD/build}
here=$(cd "$(dirname "$0")" && pwd)
degrade=${BENCH_DEGRADE:-0}
quiet=${BENCH_QUIET:-$degrade} interval=${BENCH_INTERVAL:-5}
export PATH=$build/bin:$PATH LC_ALL=C

((degrade > 0)) || { echo "degrade: skipped, BENCH_DEGRADE=1500 runs it, for 50 minutes"; exit 0; }
for tool in nbdkit fio prometheus-node-exporter; do
  command -v "$tool" >/dev/null || { echo "degrade: skipped, no $tool"; exit 0; }
done

dir=$(mktemp -d) || exit
record=${BENCH_RECORD:-$dir/record.csv}
export GATESHIFT_CONFIG=$dir/config GATESHIFT_STATE=$dir/state GATESHIFT_RUN=$dir/run
pids=()
finish()
{
  [[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$dir"
}
trap finish EXIT
mkdir -p "$GATESHIFT_CONFIG"

# wait_for COMMAND...: polls until it succeeds, for ten seconds.
wait_for()
{
  for _ in {1..200}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  echo "degrade: gave up waiting for: $*" >&2
  exit 1
}

# 4 KiB at 8 Mbit/s take 4.1 ms: a client that always has one read under way waits for the filter.
rate_at_first=8000000
echo $rate_at_first >"$dir/rate"
nbdkit -f -U "$dir/gw.sock" --filter=rate memory 64M rate=$rate_at_first rate-file="$dir/rate" &
pids+=($!)
prometheus-node-exporter --web.listen-address=127.0.0.1:0 2>"$dir/exporter.log" &
pids+=($!)
wait_for test -S "$dir/gw.sock"
wait_for grep -q 'Listening on.*address=127' "$dir/exporter.log"
address=$(sed -n 's/.*Listening on.*address=\(127[0-9.:]*\).*/\1/p' "$dir/exporter.log")
printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook,metrics\n%s\n' \
  "gw-a,nbd+unix:///?socket=$dir/gw.sock,,,,active,,http://$address/metrics" \
  >"$GATESHIFT_CONFIG/gateways.csv"

began=$(date +%s.%N)
fio --name=client --ioengine=nbd --uri="nbd+unix:///?socket=$dir/gw.sock" --rw=randread --bs=4k \
  --iodepth=1 --size=64M --time_based --runtime=$((quiet + degrade)) --norandommap \
  --write_lat_log="$dir/client" --log_avg_msec=$((interval * 1000)) >"$dir/fio.log" 2>&1 &
client=$!
pids+=("$client")
gateway-probe --interval "${interval}s" >"$dir/metric.csv" 2>"$dir/probe.log" &
pids+=($!)
if command -v stress-ng >/dev/null; then
  while sleep 180; do
    stress-ng --quiet --cpu 1 --cpu-load 50 --timeout 60
  done &
  pids+=($!)
fi

sleep "$quiet"
from=$(date +%s.%N)
# A hundred steps of 0.9 %: 2.5 times in the end.
for ((step = 1; step <= 100; step++)); do
  awk -v r=$rate_at_first -v s=$step 'BEGIN {printf "%.0f\n", r * exp(-s * log(2.5) / 100)}' \
    >"$dir/rate.new" && mv "$dir/rate.new" "$dir/rate"
  sleep "$(awk -v d="$degrade" 'BEGIN {print d / 100}')"
done
wait "$client" || { cat "$dir/fio.log" >&2; exit 1; }
{
  head -n 1 "$dir/metric.csv"
  awk -F'[, ]+' -v began="$began" \
    '{printf "%.3f,gw-a,client_latency_us,%.0f\n", began + $1 / 1000, $2 / 1000}' \
    "$dir"/client_clat.*.log | cat - <(sed '1d; $d' "$dir/metric.csv") | sort -t, -k1,1n
} >"$record"
echo '== degrade: a gateway that gets slower, told from what was recorded; seconds from then on'
health-score --stream "$record" >"$dir/health.csv" &&
  awk -v from="$from" -f "$here/degrade.awk" "$dir/health.csv" "$record"
