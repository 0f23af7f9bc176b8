#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a migration that came to nothing has left on its target, until somebody removes it.

# shellcheck disable=SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load ahead

# left: v's standby on gw-b, v-2, was given up, and its export is there.
left()
{
  ahead
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ ${lines[1]} == *",aborted,"*"by an operator; left on gw-b: export v" ]]
  [[ -e gw-b/v ]]
}

# full GATEWAY: it has room for v and half a volume more.
full()
{
  awk -F, -v OFS=, -v g="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "capacity_bytes") n = i }
    $1 == g { $n = 393216 } 1' config/gateways.csv >with-capacity
  mv with-capacity config/gateways.csv
}

# w_goes [GATEWAY]: where w, which is as large as v, may go.
w_goes()
{
  {
    echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    printf "$(date +%s),%s,,0.1,86400,0.9,,\n" gw-a,0.2 gw-b,0.97 gw-c,0.55
  } >health.csv
  {
    echo volume,gateway,epoch,state,target,size_bytes,time
    echo "v,gw-c,3,steady,,262144,1000"
    echo "w,gw-a,1,steady,,262144,1000"
  } >routes.csv
  run --separate-stderr -0 migrate-plan --health health.csv --routes routes.csv --max-evacuate 0.1
  [[ ${lines[0]} == time,volume,* ]]
  [[ $(cut -d, -f2-4 <<<"$output" | grep ^w,) == "${1:+w,gw-a,$1}" ]]
}

@test "migrate-exec --expire: what was left on a gateway takes room there until it is removed" {
  left
  full gw-b
  w_goes
  cp state/history.csv history.before
  run --separate-stderr -0 migrate-exec --expire
  quiet
  cmp state/history.csv history.before
  # Who does not answer has not said that it is gone.
  mv gw-b away
  run --separate-stderr -0 migrate-exec --expire
  quiet
  cmp state/history.csv history.before
  mv away gw-b
  rm gw-b/v
  run --separate-stderr -0 migrate-exec --expire
  [[ -z $stderr && $(steps) == "v-2,replicate,aborted " && ${lines[1]} == *",gone from gw-b: export v" ]]
  w_goes gw-b
  run --separate-stderr -0 migrate-exec --expire
  quiet
  owner_is gw-a 1 steady
  run --separate-stderr -0 migrate-exec --abort v-2
  [[ $stderr == "migrate-exec: 'v-2' has ended: aborted" ]]
}

@test "I4: kill -9 while it is noted that what was left is gone: it is noted once" {
  needs_preload migrate-exec
  left
  rm gw-b/v
  local n
  for n in 1 2 3; do
    GS_FAULT=sync:$n:kill LD_PRELOAD=$INJECT migrate-exec --expire >out 2>&1 || true
    ! grep -q ',gone from gw-b: export v' state/migrations/v-2.csv || break
  done
  migrate-exec --expire >out
  [[ $(grep -c ',gone from gw-b: export v' state/migrations/v-2.csv) == 1 ]]
  [[ $(grep -c ',gone from gw-b: export v' state/history.csv) == 1 ]]
  owner_is gw-a 1 steady
}
