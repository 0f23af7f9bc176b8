# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the examples of man pages find around them: the example fleet of share/config as
# $GATESHIFT_CONFIG, routes, and in the current folder a record file of each kind.

# Two weeks of hourly demand up to time $1: db-1 follows the European day, vm-1 the American one,
# vm-2 a steady batch job.
sandbox_access()
{
  awk -v now="$1" 'BEGIN {
    print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
    for (t = now - 14 * 86400; t < now; t += 3600) {
      hour = int(t / 3600) % 24
      printf "%d,db-1,gw-a,192.0.2.7,read,0,4096,180,,%d\n", t, (hour >= 6 && hour < 18 ? 4000 : 200)
      printf "%d,vm-1,gw-a,198.51.100.9,write,65536,4096,240,,%d\n", t,
        (hour >= 13 || hour < 1 ? 3000 : 100)
      printf "%d,vm-2,gw-b,192.0.2.8,read,1048576,65536,410,,500\n", t
    }
  }'
}

# An hour of probes up to time $1: reads from gw-a get slower all the time.
sandbox_metric()
{
  awk -v now="$1" 'BEGIN {
    print "time,gateway,metric,value"
    for (t = now - 3600; t <= now; t += 60)
      for (g = 1; g <= 3; g++) {
        slow = g == 1 ? 1 + (t - now + 3600) / 120 : 1
        name = substr("abc", g, 1)
        printf "%d,gw-%s,nbd_connect_us,%d\n", t, name, 300 + t / 60 % 7
        printf "%d,gw-%s,nbd_read_us,%d\n", t, name, 400 * slow + t / 60 % 5
        printf "%d,gw-%s,nbd_error_ratio,0\n", t, name
      }
  }'
}

sandbox_fill()
{
  local now
  now=$(date +%s)
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG" || return
  {
    route-set db-1 gw-a
    route-set vm-1 gw-a
    route-set vm-2 gw-b
  } >/dev/null || return
  sandbox_access "$now" >access.csv
  sandbox_metric "$now" >metric.csv
  health-score --state "$GS/health-state" metric.csv >health.csv || return
  affinity-profile --state "$GS/affinity-state" --train access.csv >affinity.csv || return
  migrate-plan --health health.csv --affinity affinity.csv >plan.csv 2>/dev/null
}
