# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A small fleet, its clients and its troubles, for the tests of migrate-replay ("load replayer", after
# "load helpers").
# shellcheck disable=SC2154 # output is set by run

setup()
{
  common_setup
  cat >config/gateways.csv <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd://192.0.2.1,eu,,1000,active,
gw-b,nbd://192.0.2.2,eu,,1000,active,
gw-c,nbd://192.0.2.3,us,,1000,active,
gw-d,nbd://192.0.2.4,us,,1000,active,
END
  printf '%s\n' client,site,tz 10.1.0.0/16,eu, 10.2.0.0/16,us, >config/sites.csv
  printf '%s\n' site,gateway,rtt_us eu,gw-a,1000 eu,gw-b,1000 eu,gw-c,90000 eu,gw-d,90000 \
    us,gw-a,90000 us,gw-b,90000 us,gw-c,1000 us,gw-d,1000 >config/distances.csv
}

HEADER=time,volume,gateway,client,op,offset,length,latency_us,error,count
T0=1700006400 # 2023-11-15 00:00:00 UTC

# steady VOLUMES HOURS: volumes vol-0 … on gw-a, gw-b, … in turn, each with 36000 requests an hour.
steady()
{
  awk -v volumes="$1" -v hours="$2" -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h < hours; h++)
      for (v = 0; v < volumes; v++)
        printf "%d,vol-%d,gw-%c,10.1.0.1,read,0,4096,0,,36000\n", t0 + 3600 * h, v, 97 + v % 4
  }'
}

# sun HOURS: a volume on gw-a, asked for from one site until noon, and then from the other.
sun()
{
  awk -v hours="$1" -v t0="$T0" -v header="$HEADER" 'BEGIN {
    print header
    for (h = 0; h < hours; h++)
      printf "%d,v,gw-a,10.%d.0.1,read,0,1,0,,3600\n", t0 + 3600 * h, h % 24 < 12 ? 1 : 2
  }'
}

# scenario RECORD…: times in minutes after the start, "-" for none.
scenario()
{
  local record
  echo gateway,onset,failure,repair,kind
  for record in "$@"; do
    awk -v t0="$T0" '{
      for (i = 2; i <= 4; i++) $i = $i == "-" ? "" : t0 + 60 * $i
      OFS = ","
      $1 = $1
      print
    }' <<<"$record"
  done
}

# replay ARGUMENT…: with records of an hour and no volume's size unknown.
replay()
{
  migrate-replay --spread 1h --volume-size 6000M "$@"
}

# field NAME [POLICY]: of the replay record of that policy in $output.
field()
{
  awk -F, -v name="$1" -v policy="${2:-none}" '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
    $1 == policy { print $at }' <<<"$output"
}

# world SEED TROUBLE: random accesses, an operator who cordons and drains, a volume that may not be
# everywhere, a gateway whose metrics were recorded, and TROUBLE: each gateway on its own (each), both
# of a site at once (site), all at once (all), or in the clusters of a record (clusters).
world()
{
  awk -v seed="$1" -v trouble="$2" -v t0="$T0" -v header="$HEADER" 'BEGIN {
    srand(seed)
    volumes = 6 + int(rand() * 8)
    print header >"access.csv"
    for (h = 0; h < 84; h++)
      for (v = 0; v < volumes; v++)
        for (s = 1; s <= 2; s++)
          printf "%d,vol-%d,gw-%c,10.%d.0.1,%s,0,1,0,,%d\n", t0 + 3600 * h, v, 97 + v % 4, s,
            rand() < 0.7 ? "read" : "write", 3600 * (h % 24 < 12 == (s == 1) ? 20 : 1) * rand() >"access.csv"
    print "time,gateway,metric,value" >"metrics.csv"
    for (t = 0; t < 84 * 3600; t += 60)
      printf "%d,gw-d,nbd_connect_us,300\n%d,gw-d,nbd_read_us,%d\n", t0 + t, t0 + t,
        t < 50 * 3600 ? 800 + 100 * rand() : 800 + (t - 50 * 3600) * rand() >"metrics.csv"
    print "gateway,onset,failure,repair,kind" >"trouble.csv"
    split("linear curved errors leak", kinds)
    for (g = 0; g < 4; g++) {
      at = trouble == "each" ? 40 + 10 * g + rand() * 8 : trouble == "site" ? 40 + 20 * int(g / 2) + rand() * 4 : 48 + rand() * 2
      at = t0 + at * 3600
      warning = (1 + 5 * rand()) * 3600
      x = trouble == "all" ? 0.5 : rand()
      if (x < 0.3)
        printf "gw-%c,,%d,%d,sudden\n", 97 + g, at, at + 3600 >"trouble.csv"
      else
        printf "gw-%c,%d,%s,%d,%s\n", 97 + g, at, x < 0.7 ? int(at + warning) : "",
          at + warning + 3600, kinds[1 + int(rand() * 4)] >"trouble.csv"
      if (trouble == "all")
        printf "gw-%c,,%d,%d,sudden\n", 97 + g, t0 + 70 * 3600, t0 + (71 + g) * 3600 >"trouble.csv"
      at = t0 + rand() * 80 * 3600
      printf "gw-%c,%d,,%d,%s\n", 97 + g, at, at + 20 * 3600, rand() < 0.7 ? "cordon" : "drain" >"operator.csv"
    }
    print "time,gateway,kind,site" >"past.csv"
    for (i = 0; i < 60; i++)
      printf "%d,n%d,failure,room-%d\n", 1500000000 + 86400 * 3 * int(i / 4) + 7200 * rand(), i,
        int(i / 4) % 3 >"past.csv"
  }'
  printf '%s\n' volume,size_bytes,policy,gateways,group,anti "vol-0,6291456000,auto,gw-a gw-b gw-c,," >config/volumes.csv
  [[ $2 != clusters ]] || replay --print-scenario --failures 8 --kinds all --warm-up 20h --seeds "$1" \
    --arrivals past.csv access.csv >trouble.csv 2>left-out.txt
  cat trouble.csv operator.csv >scenario.csv
}

# guards_hold FILE MOVES PER_GATEWAY REST_S RETURN_S: of the event records in FILE: one owner, one move of a
# volume at a time, the limits, no move to a gateway that the operator has closed or the volume may not
# be on, and for moves that can wait a rest, and no way back before RETURN_S.  What is handed over to a mirrored copy copies nothing
# and is not limited; what such a copy takes over nobody has begun.
guards_hold()
{
  awk -F, -v most="$2" -v few="$3" -v rest="$4" -v away="$5" '
    FNR == NR {
      if ($5 == "cordon" || $5 == "drain") { n++; closed[n] = $1; from[n] = $2; to[n] = $4 }
      next
    }
    FNR == 1 { next }
    { split($2, id, "-"); run = id[1] "-" id[2]; v = run " " $3 }
    function complain(what) { print what ": " $0; bad = 1 }
    $7 == "begin" {
      begins[id[1]]++
      if (v in owner && owner[v] != $4) complain("two owners")
      if (open[v]) complain("moves already")
      if ($4 == $5) complain("goes nowhere")
      if ($9 && ++from_[run, $4] > few) complain("too many from there")
      if ($9 && ++to_[run, $5] > few) complain("too many to there")
      if ($9 && ++all[run] > most) complain("too many moves")
      if ($3 == "vol-0" && $5 == "gw-d") complain("may not be there")
      for (i = 1; i <= n; i++)
        if (closed[i] == $5 && $1 >= from[i] && $1 < to[i]) complain("target is closed")
      if ($0 ~ /optional: / && v in last && $1 - last[v] < rest) complain("no rest")
      if ($0 ~ /optional: / && (v, $5) in left && $1 - left[v, $5] < away) complain("back again")
      open[v] = 1
      owner[v] = $4
    }
    /takes over/ {
      if (open[v] || (v in owner && owner[v] != $4)) complain("taken over from somebody else")
      owner[v] = $5
      last[v] = left[v, $4] = $1
      next
    }
    $7 == "switched" || $7 == "failed" || $7 == "deferred" {
      if (!open[v]) complain("ends what never began")
      open[v] = 0
      if ($9) {
        from_[run, $4]--
        to_[run, $5]--
        all[run]--
      }
      if ($7 == "switched") { owner[v] = $5; last[v] = left[v, $4] = $1 }
    }
    END {
      for (policy in begins) print policy, begins[policy]
      exit bad
    }' scenario.csv "$1"
}
