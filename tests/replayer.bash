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

# world SEED: random accesses, gateways in trouble and an operator who cordons and drains.
world()
{
  awk -v seed="$1" -v t0="$T0" -v header="$HEADER" 'BEGIN {
    srand(seed)
    volumes = 6 + int(rand() * 8)
    print header >"access.csv"
    for (h = 0; h < 84; h++)
      for (v = 0; v < volumes; v++)
        for (s = 1; s <= 2; s++)
          printf "%d,vol-%d,gw-%c,10.%d.0.1,read,0,1,0,,%d\n", t0 + 3600 * h, v, 97 + v % 4, s,
            3600 * (h % 24 < 12 == (s == 1) ? 20 : 1) * rand() >"access.csv"
    print "gateway,onset,failure,repair,kind" >"scenario.csv"
    split("linear curved errors leak", kinds)
    for (g = 0; g < 4; g++) {
      at = t0 + (40 + 10 * g + rand() * 8) * 3600
      warning = (1 + 5 * rand()) * 3600
      x = rand()
      if (x < 0.3)
        printf "gw-%c,,%d,%d,sudden\n", 97 + g, at, at + 3600 >"scenario.csv"
      else
        printf "gw-%c,%d,%s,%d,%s\n", 97 + g, at, x < 0.7 ? int(at + warning) : "",
          at + warning + 3600, kinds[1 + int(rand() * 4)] >"scenario.csv"
      at = t0 + rand() * 80 * 3600
      printf "gw-%c,%d,,%d,%s\n", 97 + g, at, at + 20 * 3600, rand() < 0.7 ? "cordon" : "drain" >"scenario.csv"
    }
  }'
}

# Of the event records in FILE: one owner, one move of a volume at a time, the limits, no move to a
# gateway that the operator has closed, and a rest before moves that can wait.  What is handed over to
# a mirrored copy copies nothing and is not limited; what such a copy takes over nobody has begun.
guards_hold()
{
  awk -F, -v most="$2" -v rest="$3" '
    FNR == NR {
      if ($5 == "cordon" || $5 == "drain") { n++; closed[n] = $1; from[n] = $2; to[n] = $4 }
      next
    }
    FNR == 1 { next }
    { split($2, id, "-"); run = id[1] "-" id[2]; v = run " " $3 }
    function complain(what) { print what ": " $0; bad = 1 }
    $7 == "begin" {
      begins++
      if (v in owner && owner[v] != $4) complain("two owners")
      if (open[v]) complain("moves already")
      if ($4 == $5) complain("goes nowhere")
      if ($9 && ++from_[run, $4] > 1) complain("too many from there")
      if ($9 && ++to_[run, $5] > 1) complain("too many to there")
      if ($9 && ++all[run] > most) complain("too many moves")
      for (i = 1; i <= n; i++)
        if (closed[i] == $5 && $1 >= from[i] && $1 < to[i]) complain("target is closed")
      if ($0 ~ /optional: / && v in last && $1 - last[v] < rest) complain("no rest")
      open[v] = 1
      owner[v] = $4
    }
    /takes over/ {
      takeovers++
      if (open[v] || (v in owner && owner[v] != $4)) complain("taken over from somebody else")
      owner[v] = $5
      last[v] = $1
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
      if ($7 == "switched") { owner[v] = $5; last[v] = $1 }
    }
    END { print begins + 0 " moves begun"; exit bad }' scenario.csv "$1"
}
