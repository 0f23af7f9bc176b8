#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# 40-replay.sh [SVG]: what would have been, had these volumes been moved?
#
# Four weeks of a made-up fleet: 8 volumes on 6 gateways, used from Europe, America and Asia in
# turn.  Later on gateways fail six times, twice without warning, and two get slow and recover.  The
# picture goes to SVG, if that is given; README shows it.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/config"
export GATESHIFT_CONFIG="$work/config"

cat >"$work/config/gateways.csv" <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-eu-1,nbd://192.0.2.1,eu,,2000,active,
gw-eu-2,nbd://192.0.2.2,eu,,2000,active,
gw-us-1,nbd://198.51.100.1,us,,2000,active,
gw-us-2,nbd://198.51.100.2,us,,2000,active,
gw-ap-1,nbd://203.0.113.1,ap,,2000,active,
gw-ap-2,nbd://203.0.113.2,ap,,2000,active,
END
cat >"$work/config/sites.csv" <<'END'
client,site,tz
192.0.2.0/24,eu,Europe/Berlin
198.51.100.0/24,us,America/Chicago
203.0.113.0/24,ap,Asia/Singapore
END
awk 'BEGIN {
  print "site,gateway,rtt_us"
  split("eu us ap", site)
  for (s = 1; s <= 3; s++)
    for (g = 1; g <= 6; g++) {
      at = site[int((g + 1) / 2)]
      printf "%s,gw-%s-%d,%d\n", site[s], at, 2 - g % 2, at == site[s] ? 500 : 90000
    }
}' >"$work/config/distances.csv"

# An hour of requests a record, most of them around one in the afternoon of each site.
awk 'function uniform() { state = (16807 * state) % 2147483647; return state / 2147483647 }
BEGIN {
  state = 40
  print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
  split("eu-1 eu-2 us-1 us-2 ap-1 ap-2", gateway)
  split("192.0.2.7 198.51.100.7 203.0.113.7", client)
  split("1 -6 8", zone)
  for (h = 0; h < 672; h++)
    for (v = 0; v < 8; v++)
      for (s = 1; s <= 3; s++) {
        sun = cos((h + zone[s] - 13) * 3.14159265 / 12)
        n = 3600 * (20 + 10 * (v % 7)) * (0.02 + (sun > 0 ? sun : 0)) * (0.7 + 0.6 * uniform())
        printf "%d,vol-%02d,gw-%s,%s,read,0,4096,0,,%d\n", 1700006400 + 3600 * h, v,
          gateway[v % 6 + 1], client[s], n
      }
}' >"$work/access.csv"

# An hour of requests is spread over the hour; a volume that follows the sun moves more than once a
# day, so the copy it leaves is not kept for a day.
replay()
{
  migrate-replay --spread 1h --retain 1h --step 2m --probe-every 1m --volume-size 8G --failures 6 --warm-up 18d "$@" \
    "$work/access.csv"
}

echo "# the policies side by side"
replay --chart ${1:+--svg "$1"}

echo "# what would a more, or a less, hesitant planner have done?"
replay --policy predictive --sweep margin=0.2:0.8:0.6 | cut -d, -f2,5,6,9,10,13,14
