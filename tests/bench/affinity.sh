#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# affinity.sh: does the score follow the sun before the sun is there, and what do an hour's update
# and scoring of a large fleet cost?
#   BENCH_SUN_VOLUMES, BENCH_SUN_WEEKS   of the first: volumes, and weeks that are scored (10, 4)
#   BENCH_VOLUMES, BENCH_HISTORY         of the second: volumes, and weeks of history (2000, 4);
#                                        10000 take some minutes, most of them to train the models
set -u -o pipefail

cd "$(dirname "$0")/../.." || exit 71
export PATH=${BUILD:-$PWD/build}/bin:$PATH LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GATESHIFT_CONFIG=$work/config GATESHIFT_STATE=$work/state
mkdir "$work/config"

# Three gateways, each near one of the sites.
configure()
{
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook
    printf 'gw-%d,nbd://192.0.2.%d,site-%d,,,active,\n' 1 1 1 2 2 2 3 3 3
  } >"$work/config/gateways.csv"
  {
    echo client,site,tz
    printf '10.%d.0.0/16,site-%d,\n' 1 1 2 2 3 3
  } >"$work/config/sites.csv"
  {
    echo site,gateway,rtt_us
    for s in 1 2 3; do
      for g in 1 2 3; do
        echo "site-$s,gw-$g,$((s == g ? 1000 : 120000))"
      done
    done
  } >"$work/config/distances.csv"
}

# Every hour of the last WEEKS weeks, as cron would: the log has grown by an hour; once a week the
# models are trained.  Prints affinity records.
every_hour()
{
  local weeks=$1 last=$((1762732800 / 3600)) hour options
  for ((hour = last - weeks * 168; hour < last; hour++)); do
    options=(--source log --now $((hour * 3600)))
    (((last - hour) % 168)) || options+=(--train)
    # What the log holds at that time.
    awk -F, -v to=$((hour * 3600)) 'NR > 1 && $1 >= to { exit } { print }' "$work/week.csv" \
      >"$work/log.csv"
    affinity-profile "${options[@]}" "$work/log.csv" | tail -n +2 || return
  done
}

# From TRUTH and affinity records: a transition is an hour in which another site than before is
# expected to ask for most, and stays so for three hours.
score()
{
  awk -F '[ ,]' -v first="$1" '
    FNR == NR { for (s = 1; s <= 3; s++) want[$1, $2, s] = $(2 + s); seen[$1] = 1; if ($2 > last) last = $2; next }
    { hour = int($1 / 3600); if ($4 > best[$2, hour]) { best[$2, hour] = $4; top[$2, hour] = substr($3, 4) } }
    function most(v, h,   s, m) { m = 1; for (s = 2; s <= 3; s++) if (want[v, h, s] > want[v, h, m]) m = s; return m }
    # The last 24 hours, as a score that only reacts has it.
    function recent(v, h,   s, k, sum, m) {
      for (s = 1; s <= 3; s++) { sum[s] = 0; for (k = h - 24; k < h; k++) sum[s] += want[v, k, s] }
      m = 1
      for (s = 2; s <= 3; s++) if (sum[s] > sum[m]) m = s
      return m
    }
    END {
      for (v in seen)
        for (h = first + 3; h + 3 < last; h++) {
          to = most(v, h)
          if (to == most(v, h - 1) || to != most(v, h + 1) || to != most(v, h + 2)) continue
          n++
          good += top[v, h - 2] == to && top[v, h - 1] == to
          reactive += recent(v, h - 2) == to
          day = int(h / 24 + 4) % 7
          if (day == 0 || day == 6) { weekend++; weekend_good += top[v, h - 2] == to }
          if (h >= 489288 && h < 489288 + 24 * 14) { dst++; dst_good += top[v, h - 2] == to }
        }
      printf "transitions: %d; right gateway first 2 hours before: %.1f %%; last 24 hours'\'' share: %.1f %%\n",
        n, 100 * good / n, 100 * reactive / n
      printf "  of them on Saturday and Sunday (UTC): %d, %.1f %%; in the 2 weeks from 26 October, clocks going back: %d, %.1f %%\n",
        weekend, 100 * weekend_good / weekend, dst, 100 * dst_good / dst
    }' "$work/truth" -
}

follow_the_sun()
{
  local volumes=${BENCH_SUN_VOLUMES:-10} weeks=${BENCH_SUN_WEEKS:-4} first
  first=$((1762732800 / 3600 - weeks * 168))
  awk -v seed=20 -v volumes="$volumes" -v weeks=$((weeks + 6)) -v truth="$work/truth" \
    -f tests/bench/sun.awk </dev/null >"$work/week.csv" || return
  echo "follow the sun: $volumes volumes of three sites, $weeks weeks hour by hour after 6 of history, seed 20"
  every_hour "$weeks" | score "$first"
}

# One hour of accesses to a fleet: ten records a volume.
fleet_hours()
{
  awk -v volumes="$1" -v from="$2" -v to="$3" 'BEGIN {
    print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
    for (h = from; h < to; h++)
      for (v = 0; v < volumes; v++)
        for (s = 1; s <= 2; s++) {
          n = 100 + 80 * sin((h + v + 8 * s) * 3.14159265 / 12)
          for (k = 0; k < (h == to - 1 ? 5 : 1); k++)
            printf "%d,vol-%d,gw-%d,10.%d.0.1,%s,%d,4096,100,,%d\n", h * 3600 + 60 * s + k, v, v % 3 + 1,
              s, k % 2 ? "write" : "read", (v * 7 + h * 3 + k) % 1000 * 1048576, n
        }
  }'
}

cpu_seconds()
{
  local TIMEFORMAT='%U %S'
  { time "$@" >"$work/out.csv"; } 2>&1 | awk '{ printf "%.2f", $1 + $2 }'
}

large_fleet()
{
  local volumes=${BENCH_VOLUMES:-2000} weeks=${BENCH_HISTORY:-4} hour=489000 seconds
  rm -rf "$work/state"
  fleet_hours "$volumes" $((hour - weeks * 168)) $hour |
    affinity-profile --count-only --keep 13w - || return
  seconds=$(cpu_seconds affinity-profile --train --now $((hour * 3600)) </dev/null) || return
  echo "fleet: $volumes volumes of two sites, $weeks weeks of history: $(du -sh "$work/state" | cut -f1) of state, trained and scored in $seconds CPU s"
  fleet_hours "$volumes" $hour $((hour + 1)) >"$work/hour.csv"
  seconds=$(cpu_seconds affinity-profile --now $(((hour + 1) * 3600)) "$work/hour.csv") || return
  echo "fleet: an hour's $(($(wc -l <"$work/hour.csv") - 1)) records counted and $(($(wc -l <"$work/out.csv") - 1)) affinity records: $seconds CPU s"
}

status=0
configure
follow_the_sun || status=1
large_fleet || status=1
exit "$status"
