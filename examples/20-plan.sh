#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# 20-plan.sh: decides about a small made-up fleet at a fixed time, and asks "what if".
#
# gw-eu and gw-us are well; gw-old in Europe has been getting slower for an hour.  "mail" and "db"
# have their clients in Europe, "shop" had them there by day and has them in America now.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir config state
export GATESHIFT_CONFIG="$work/config" GATESHIFT_STATE="$work/state"
now=1700000000 # 2023-11-14 22:13:20 UTC: late evening in Europe, afternoon in New York

cat >config/gateways.csv <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-eu,nbd://192.0.2.1,eu,,,active,
gw-old,nbd://192.0.2.2,eu,,,active,
gw-us,nbd://198.51.100.1,us,,,active,
END
cat >config/distances.csv <<'END'
site,gateway,rtt_us
eu,gw-eu,300
eu,gw-old,300
eu,gw-us,90000
us,gw-eu,90000
us,gw-old,90000
us,gw-us,300
END
cat >config/sites.csv <<'END'
client,site,tz
192.0.2.0/24,eu,Europe/Berlin
198.51.100.0/24,us,America/New_York
END
cat >routes.csv <<END
volume,gateway,epoch,state,target,size_bytes,time
db,gw-old,3,steady,,10737418240,$((now - 1000000))
mail,gw-eu,5,steady,,2147483648,$((now - 1000000))
shop,gw-eu,8,steady,,4294967296,$((now - 1000000))
END

# An hour of probes every 30 s: gw-old's reads take 5 % longer each time.
make_metric()
{
  awk -v now="$now" 'BEGIN {
    print "time,gateway,metric,value"
    n = split("gw-eu gw-old gw-us", names, " ")
    for (t = now - 3600; t <= now; t += 30)
      for (i = 1; i <= n; i++) {
        read_us = names[i] == "gw-old" ? 200 * 1.05 ^ ((t - now + 3600) / 30) : 200 + t % 7
        printf "%d,%s,nbd_connect_us,%d\n", t, names[i], 300 + t % 11
        printf "%d,%s,nbd_read_us,%d\n", t, names[i], read_us
        printf "%d,%s,nbd_error_ratio,0\n", t, names[i]
      }
  }'
}

# make_access FROM UNTIL: accesses hour by hour, already counted.
make_access()
{
  awk -v from="$1" -v until="$2" 'BEGIN {
    print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
    for (t = from; t < until; t += 3600) {
      hour = int(t / 3600) % 24 # UTC
      europe = hour >= 6 && hour < 18
      printf "%d,db,gw-old,192.0.2.7,write,0,4096,400,,%d\n", t, europe ? 4000 : 300
      printf "%d,mail,gw-eu,192.0.2.8,read,0,4096,400,,%d\n", t, europe ? 2000 : 900
      printf "%d,shop,gw-eu,%s,read,0,4096,400,,3000\n", t, europe ? "192.0.2.9" : "198.51.100.9"
    }
  }'
}

make_metric | health-score --state state/health >health.csv
make_access $((now - 14 * 86400)) "$now" | affinity-profile --state state/affinity --train >affinity.csv

echo "# the plan"
migrate-plan --now "$now" --routes routes.csv --health health.csv --affinity affinity.csv \
  --record tape --explain=verdicts.csv | cut -d, -f2-4,6-

echo "# the verdicts"
cut -d, -f2-4,11- verdicts.csv

echo "# what if the way back had to be worse by 1?  (migrate-plan 1, guard 4)"
migrate-plan --replay tape --margin 1 | cut -d, -f2-4,6

echo "# would it have paid off?  Two days later: gw-old failed after two hours"
migrate-plan --replay tape --shadow >shadow.csv
printf '%s\n' time,gateway,kind "$((now + 7200)),gw-old,failure" >failures.csv
make_access "$now" $((now + 2 * 86400)) |
  migrate-plan --grade shadow.csv --failures failures.csv --access - \
    --now $((now + 2 * 86400)) --explain=outcomes.csv
cut -d, -f2-4,6- outcomes.csv
