#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands in a row, as an operator pipes them.

load helpers
load sandbox

setup()
{
  common_setup
  make_volume gw-a v 1M
  mkdir -p gw-b
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
}

# health GATEWAY,GHS,P_FAIL...: scored now, into health.csv.
health()
{
  local row ghs p_fail
  {
    echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    for row in "$@"; do
      IFS=, read -r name ghs p_fail <<<"$row"
      echo "$(date +%s),$name,$ghs,,$p_fail,86400,0.9,,"
    done
  } >health.csv
}

# affinity DAS_A DAS_B: of v, now, into affinity.csv.
affinity()
{
  local now
  now=$(date +%s)
  cat >affinity.csv <<END
time,volume,gateway,das,share,requests,confidence,horizon_s,model
$now,v,gw-a,$1,1,1000,0.9,21600,seasonal
$now,v,gw-b,$2,0,1000,0.9,21600,seasonal
END
}

# guard: which one refuses v now, "" if none does.
guard()
{
  migrate-plan --health health.csv --affinity affinity.csv --explain=verdicts.csv >/dev/null &&
    awk -F, 'NR > 1 { print $11 }' verdicts.csv
}

@test "pipeline: health and affinity become a plan, and the plan a dry run" {
  health gw-a,0.15,0.83 gw-b,0.97,0
  affinity 0.9 0.5
  migrate-plan --health health.csv --affinity affinity.csv >plan.csv
  [[ $(tail -n +2 plan.csv | cut -d, -f2-6) == v,gw-a,gw-b,1,mandatory ]]
  run --separate-stderr -0 migrate-exec --dry-run plan.csv
  [[ $(tail -n +2 <<<"$output" | cut -d, -f3-7) == v,gw-a,gw-b,redirect,begin ]]
  run -0 route-set v
  [[ $output == *v,gw-a,1,steady,* ]]
}

@test "pipeline: nothing to move is nothing to do" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity 0.9 0.9
  run -0 bash -c 'set -o pipefail
    migrate-plan --health health.csv --affinity affinity.csv | migrate-exec | wc -l'
  [[ $output -le 1 ]]
}

@test "pipeline: what is frozen is neither planned nor carried out" {
  health gw-a,0.15,0.83 gw-b,0.97,0
  echo maintenance >"$GATESHIFT_STATE/frozen"
  run --separate-stderr -75 bash -c 'set -o pipefail
    migrate-plan --health health.csv | migrate-exec'
  [[ $stderr == *"frozen by '$GATESHIFT_STATE/frozen': maintenance"* ]]
  run -0 route-set v
  [[ $output == *v,gw-a,1,steady,* ]]
}

# An hour of probes of gw-a, whose reads get slower all the time, and of gw-b, up to time $1.
ailing_metric()
{
  awk -v now="$1" 'BEGIN {
    print "time,gateway,metric,value"
    for (t = now - 3600; t <= now; t += 30) {
      slow = 200 * 1.05 ^ ((t - now + 3600) / 30)
      printf "%d,gw-a,nbd_connect_us,%d\n%d,gw-b,nbd_connect_us,%d\n", t, 300, t, 310
      printf "%d,gw-a,nbd_read_us,%d\n%d,gw-b,nbd_read_us,%d\n", t, slow, t, 200 + t / 30 % 7
      printf "%d,gw-a,nbd_error_ratio,0\n%d,gw-b,nbd_error_ratio,0\n", t, t
    }
  }'
}

@test "pipeline: metrics and accesses become a plan away from the failing gateway" {
  local now
  now=$(date +%s)
  ailing_metric "$now" >metric.csv
  sandbox_access "$now" | sed 's/,vm-1,/,v,/' >access.csv
  health-score --state "$GS/health" metric.csv >health.csv
  affinity-profile --state "$GS/affinity" --train access.csv >affinity.csv
  run --separate-stderr -0 migrate-plan --health health.csv --affinity affinity.csv
  [[ $(tail -n +2 <<<"$output" | cut -d, -f2-4,6) == v,gw-a,gw-b,mandatory ]]
}

@test "pipeline: a planned move is made, remembered, and not taken back after the repair" {
  start_director
  health gw-a,0.15,0.83 gw-b,0.97,0
  affinity 0.9 0.5
  run --separate-stderr -0 bash -c 'set -o pipefail
    migrate-plan --health health.csv --affinity affinity.csv | migrate-exec'
  run -0 route-set v
  [[ $output == *v,gw-b,2,uncommitted,gw-a,* ]]
  grep -q "begin,.*mandatory: gw-a p_fail 0.83.*affinity 0.90 to 0.50" "$GATESHIFT_STATE/history.csv"

  health gw-a,0.97,0 gw-b,0.97,0
  [[ $(guard) == 1-placement ]]
  migrate-exec --commit "$(migrate-exec --status | tail -n 1 | cut -d, -f2)"
  [[ $(guard) == 5-cooldown ]]
}
