#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# replay.sh: what the predictive policy leaves of the requests that meet a failed or degraded gateway,
# against one that reacts, on real demand; then what a large fleet costs.
#   BITBRAINS=DIR     holds hourly_dev.csv: vm,unix_ts,disk_read_KBps,disk_write_KBps,… (GWA-T-12)
#   SSD_FAILURES=DIR  holds ssd_failure_tag.csv: model,failure_time,…,node_id,rack_id,machine_room_id
#   REPLAY_PARTS      of whole, quarter (of the volumes, in their first 35 days), arrivals (the same
#                     with failures that come as SSD_FAILURES came, and three policies) and fleets
#                     (all)
#   REPLAY_SEEDS      scenarios of 12 failures each (1:20)
#   REPLAY_OPTIONS    further options of migrate-replay, for another day than the reported one
#   REPLAY_POLICIES   other policies than all six
#   REPLAY_FLEETS     VOLUMESxGATEWAYS … of the last part (1000x10 10000x100); 100000x1000 takes a
#                     minute
#
# The constants were fixed before the seeds 1 to 20 were run; what was looked at on the way had the
# seeds 101 to 110, on other volumes and weeks.  They are the commands' defaults, but for --retain,
# which is the cooldown's: a volume that follows the sun moves more often than once a day.
set -u -o pipefail

cd "$(dirname "$0")/../.." || exit 71
export PATH=${BUILD:-$PWD/build}/bin:$PATH LC_ALL=C
seeds=${REPLAY_SEEDS:-1:20} fleets=${REPLAY_FLEETS:-1000x10 10000x100}
parts=${REPLAY_PARTS:-whole quarter arrivals fleets}
read -ra more <<<"${REPLAY_OPTIONS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GATESHIFT_CONFIG=$work/config
mkdir "$work/config"
gateways=(eu-1 eu-2 eu-3 us-1 us-2 us-3 ap-1 ap-2)

# rtt_us SITE SITE
rtt_us()
{
  case $1-$2 in
  eu-us | us-eu) echo 90000 ;;
  us-ap | ap-us) echo 130000 ;;
  eu-ap | ap-eu) echo 160000 ;;
  *) echo 300 ;;
  esac
}

# Eight gateways in three sites, and volumes of 8 to 32 GiB.
configure()
{
  local g s
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook
    for g in "${gateways[@]}"; do echo "gw-$g,nbd://192.0.2.1,${g%-*},,10000,active,"; done
  } >"$work/config/gateways.csv"
  printf '%s\n' client,site,tz 10.1.0.0/16,eu, 10.2.0.0/16,us, 10.3.0.0/16,ap, >"$work/config/sites.csv"
  {
    echo site,gateway,rtt_us
    for s in eu us ap; do
      for g in "${gateways[@]}"; do echo "$s,gw-$g,$(rtt_us "$s" "${g%-*}")"; done
    done
  } >"$work/config/distances.csv"
  {
    echo volume,size_bytes,policy,gateways,group,anti
    awk -F, 'NR > 1 && !seen[$1]++ { printf "vm%s,%.0f,auto,,,\n", $1, (1 + $1 % 4) * 8 * 2 ^ 30 }' "$1"
  } >"$work/config/volumes.csv"
}

# Disk KB/s of each machine and hour as requests of 8 KiB, at most 2500 a second, shared among three
# sites by their time of day: each mostly asks around 13:00.
access()
{
  awk -F, -v list="${gateways[*]}" '
    function told(time, s, op, n) {
      if (n) printf "%d,vm%s,gw-%s,10.%d.0.1,%s,0,8192,0,,%d\n", time, $1,
        name[number[$1] % gateways + 1], s, op, n
    }
    BEGIN {
      print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
      tz[1] = 1; tz[2] = -6; tz[3] = 8
      gateways = split(list, name, " ")
    }
    NR == 1 { next }
    !($1 in number) { number[$1] = machines++ }
    {
      rate = ($3 + $4) / 8
      if (rate > 2500) rate = 2500
      all = 0
      for (s = 1; s <= 3; s++) {
        sun = cos((int($2 / 3600) % 24 + tz[s] - 13) * 3.14159265 / 12)
        all += part[s] = 0.03 + (sun > 0 ? sun * sun : 0)
      }
      for (s = 1; s <= 3; s++) {
        n = int(rate * 3600 * part[s] / all + 0.5)
        writes = n ? int(n * $4 / ($3 + $4) + 0.5) : 0
        told($2, s, "read", n - writes)
        told($2, s, "write", writes)
      }
    }' "$1"
}

# Of replay records: what each policy came to, over the seeds.
summary()
{
  awk -F, '
    NR == 1 { next }
    { seeds[$3]; policies[$1]
      sum[$1, "bad"] += $5 + $6; sum[$1, "all"] += $4; sum[$1, "unwarned"] += $16
      sum[$1, "health"] += $9; sum[$1, "affinity"] += $10; sum[$1, "failed"] += $11
      sum[$1, "pingpong"] += $13; sum[$1, "needless"] += $14; sum[$1, "gained"] += $15
      sum[$1, "mean"] += $7; sum[$1, "bytes"] += $12; sum[$1, "takeovers"] += $17 }
    END {
      for (s in seeds) n++
      for (p in policies)
        printf "  %-10s %.3f %% on failed or degraded gateways (%.3f %% failed without warning), mean %.1f ms, %d moves for health (%d needless, %d ping-pongs), %d for affinity (gain %.1f ms), %d failed, %d taken over, %.1f TB a seed\n",
          p, 100 * sum[p, "bad"] / sum[p, "all"], 100 * sum[p, "unwarned"] / sum[p, "all"],
          sum[p, "mean"] / n / 1000, sum[p, "health"] / n, sum[p, "needless"] / n, sum[p, "pingpong"],
          sum[p, "affinity"] / n, sum[p, "gained"] / n / 1000, sum[p, "failed"] / n,
          sum[p, "takeovers"] / n, sum[p, "bytes"] / n / 1e12
    }' "$1"
}

# judge POLICY FILE: the ratios that are the goals, over the seeds.
judge()
{
  awk -F, -v ours="$1" '
    NR == 1 { next }
    { bad[$1, $3] = $5 + $6; warned[$1, $3] = $5 + $6 - $16; moves[$1, $3] = $9; seeds[$3]
      sum[$1, "bad"] += $5 + $6; sum[$1, "all"] += $4; sum[$1, "unwarned"] += $16
      sum[$1, "health"] += $9; sum[$1, "pingpong"] += $13; sum[$1, "needless"] += $14 }
    function order(v, n,   i, j, t) {
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    }
    function told(what, v, n, goal) {
      order(v, n)
      printf "  %-62s median %.2f, %.2f to %.2f; goal %s\n", what, (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2,
        v[1], v[n], goal
    }
    END {
      for (s in seeds) n++
      if (!sum["reactive", "all"] || !sum[ours, "all"]) exit
      printf " %s\n", ours
      for (s in seeds) {
        i++
        if (sum["onset", "all"]) {
          least[i] = bad["onset", s] / bad["reactive", s]
          over[i] = bad[ours, s] / bad["onset", s]
        }
        a[i] = bad[ours, s] / bad["reactive", s]
        b[i] = warned[ours, s] / warned["reactive", s]
        c[i] = moves[ours, s] / (moves["reactive", s] ? moves["reactive", s] : 1)
      }
      told("requests left, of what reactive leaves", a, i, "<= 0.35")
      told("the same without failures that had no warning", b, i, "none")
      printf "  of all seeds together %.2f, and %.2f without those failures, which are %.0f %% of what reactive leaves\n",
        sum[ours, "bad"] / sum["reactive", "bad"],
        (sum[ours, "bad"] - sum[ours, "unwarned"]) / (sum["reactive", "bad"] - sum["reactive", "unwarned"]),
        100 * sum["reactive", "unwarned"] / sum["reactive", "bad"]
      if (sum["onset", "all"]) {
        told("left by who knows each onset at once, of what reactive leaves", least, i, "none")
        told("requests left, of what that leaves", over, i, "none")
        printf "  onset of all seeds together %.2f of what reactive leaves, and %.2f without failures that had no warning\n",
          sum["onset", "bad"] / sum["reactive", "bad"],
          (sum["onset", "bad"] - sum["onset", "unwarned"]) / (sum["reactive", "bad"] - sum["reactive", "unwarned"])
      }
      told("moves for health, of reactive'\''s", c, i, "<= 2")
      printf "  ping-pongs %d in all seeds; goal 0\n", sum[ours, "pingpong"]
      printf "  mismigrations %.1f %% of the moves for health; goal <= 10 %%\n",
        100 * sum[ours, "needless"] / (sum[ours, "health"] ? sum[ours, "health"] : 1)
    }' "$2"
}

# mission FILE ARGUMENT…
mission()
{
  local TIMEFORMAT='  %U + %S CPU s in all' out=${REPLAY_OUT:-$work/out.csv} file=$1
  shift
  configure "$file"
  { access "$file" | head -n 1; access "$file" | tail -n +2 | sort -t, -k1,1n -s; } >"$work/access.csv"
  echo "Bitbrains' disk I/O, $(($(wc -l <"$work/config/volumes.csv") - 1)) volumes, 8 gateways, 12 failures; seeds $seeds:"
  time migrate-replay --spread 1h --retain 6h --policy "${REPLAY_POLICIES:-none,reactive,predictive,standby,onset,oracle}" \
    --failures 12 --seeds "$seeds" "$@" "${more[@]}" "$work/access.csv" | tee "$out" || return
  summary "$out"
  judge predictive "$out"
  judge standby "$out"
}

# Every fourth machine, in its first 35 days.
every_fourth()
{
  awk -F, '
    NR == 1 { print; next }
    NR == 2 { end = $2 + 35 * 86400 }
    $1 % 4 == 0 && $2 < end' "$1"
}

# Tickets of disks as failures of their nodes: what a node has within a day of another is one.  A
# machine room is a site.
failures()
{
  echo time,gateway,kind,site
  tail -n +2 "$1" | sort -t, -k2,2 | awk -F, '{
    split($2, at, /[- :]/)
    # Days since 1970, by years that begin in March.
    year = at[1] - (at[2] <= 2)
    day = int((153 * ((at[2] + 9) % 12) + 2) / 5) + at[3] - 1
    day += 365 * year + int(year / 4) - int(year / 100) + int(year / 400) - 719468
    time = day * 86400 + at[4] * 3600 + at[5] * 60 + at[6]
    node = $(NF - 2)
    if (!(node in last) || time - last[node] >= 86400)
      printf "%d,node-%s,failure,room-%s\n", time, node, $NF
    last[node] = time
  }'
}

# scenarios ARGUMENT…: of all seeds, each behind a line with its seed; what is left out was told.
scenarios()
{
  local seed
  for ((seed = ${seeds%:*}; seed <= ${seeds#*:}; seed++)); do
    echo "seed $seed"
    migrate-replay --spread 1h --failures 12 --seeds "$seed" --print-scenario "$@" "$work/access.csv" \
      2> >(grep -v 'found no room' >&2)
  done
}

# clusters WORDS: of scenarios, how their failures come.
clusters()
{
  awk -F, -v words="$1" '
    function site(gateway) { split(gateway, part, "-"); return part[2] }
    function close_seed(   i, j, gaps, sum, squares, gap, near, beside) {
      for (i = 1; i < n; i++)
        for (j = i + 1; j <= n; j++)
          if (at[j] < at[i]) {
            gap = at[i]; at[i] = at[j]; at[j] = gap
            gap = where[i]; where[i] = where[j]; where[j] = gap
          }
      for (i = 2; i <= n; i++) { gap = at[i] - at[i - 1]; gaps++; sum += gap; squares += gap ^ 2 }
      if (gaps) { spread += sqrt(squares / gaps - (sum / gaps) ^ 2) / (sum / gaps); seeds++ }
      for (i = 1; i <= n; i++) {
        near = beside = 0
        for (j = 1; j <= n; j++)
          near += j != i && site(where[j]) == site(where[i]) && (at[j] - at[i]) ^ 2 < 86400 ^ 2
        for (j = 1; j <= m; j++)
          beside += who[j] != where[i] && site(who[j]) == site(where[i]) && from[j] <= at[i] && at[i] < to[j]
        nears += near > 0; besides += beside > 0
      }
      failures += n
      n = m = 0
    }
    /^seed/ { close_seed(); next }
    /^gateway/ { next }
    { who[++m] = $1; from[m] = $2 == "" ? $3 : $2; to[m] = $4 }
    $3 != "" { at[++n] = $3; where[n] = $1 }
    END {
      close_seed()
      printf "  %s: %d failures; gaps deviate by %.2f of their mean; %.0f %% have another one of their site within a day, %.0f %% come while another gateway of their site is in trouble\n",
        words, failures, spread / seeds, 100 * nears / failures, 100 * besides / failures
    }'
}

# mission_as_they_came BITBRAINS SSD_FAILURES
mission_as_they_came()
{
  every_fourth "$1/hourly_dev.csv" >"$work/quarter.csv" && failures "$2/ssd_failure_tag.csv" >"$work/failures.csv" || return
  echo "A quarter of the volumes, with failures that come as $(($(wc -l <"$work/failures.csv") - 1)) of nodes with SSDs came:"
  REPLAY_POLICIES=reactive,predictive,standby mission "$work/quarter.csv" --arrivals "$work/failures.csv" || return
  scenarios | clusters "evenly drawn"
  scenarios --arrivals "$work/failures.csv" | clusters "as they came"
}

# fleet VOLUMES GATEWAYS: a day of it, a request a minute and volume, decided about every hour.
fleet()
{
  local TIMEFORMAT='%U %S' seconds
  rm -rf "$work/config"
  mkdir "$work/config"
  awk -v n="$2" 'BEGIN {
    print "gateway,uri,site,capacity_bytes,iops_limit,state,hook"
    for (g = 0; g < n; g++) printf "gw-%d,nbd://192.0.2.1,s%d,,10000,active,\n", g, g % 3
  }' >"$work/config/gateways.csv"
  awk -v volumes="$1" -v n="$2" 'BEGIN {
    print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
    for (h = 0; h < 24; h++)
      for (v = 0; v < volumes; v++)
        printf "%d,v%d,gw-%d,10.1.0.1,read,0,4096,0,,%d\n", 1700006400 + 3600 * h, v, v % n, 30 + v % 60
  }' >"$work/access.csv"
  seconds=$({ time migrate-replay --spread 1h --policy predictive --affinity-every 0 --every 1h \
    --failures $(($2 / 100 + 1)) --warm-up 6h "$work/access.csv" >"$work/out.csv"; } 2>&1) || {
    echo "$seconds" >&2
    return 1
  }
  awk -v v="$1" -v g="$2" -v s="$seconds" 'BEGIN {
    split(s, part, " ")
    printf "fleet: %d volumes, %d gateways, a day: %.1f CPU s, %.3f ms a volume\n", v, g,
      part[1] + part[2], 1000 * (part[1] + part[2]) / v
  }'
}

whole()
{
  if [[ -n ${BITBRAINS-} ]]; then
    mission "$BITBRAINS/hourly_dev.csv"
  else
    echo "replay: Bitbrains skipped (BITBRAINS is not set)"
  fi
}

quarter()
{
  [[ -n ${BITBRAINS-} ]] || return 0 # that was said
  every_fourth "$BITBRAINS/hourly_dev.csv" >"$work/quarter.csv" && mission "$work/quarter.csv"
}

arrivals()
{
  if [[ -n ${BITBRAINS-} && -n ${SSD_FAILURES-} ]]; then
    mission_as_they_came "$BITBRAINS" "$SSD_FAILURES"
  else
    echo "replay: failures as they came skipped (BITBRAINS and SSD_FAILURES are not both set)"
  fi
}

fleets()
{
  local size
  for size in $fleets; do fleet "${size%x*}" "${size#*x}" || return; done
}

for part in $parts; do
  case $part in
  whole | quarter | arrivals | fleets) "$part" || exit ;;
  *)
    echo "replay: no part '$part'" >&2
    exit 64
    ;;
  esac
done
