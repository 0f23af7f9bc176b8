# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2034,SC2154
# Records for bats files of migrate-plan ("load planner" after "load helpers"): small fleets in few
# words, and what was planned.  A test begins with volume v, of 1 MiB, on gw-a of gw-a and gw-b.

HEADER=time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes
HEADER+=,not_before,reason
NOW=1000000

setup()
{
  common_setup
  gateways gw-a,active gw-b,active
  routes v,gw-a
}

# gateways NAME,STATE[,CAPACITY[,IOPS]]...
gateways()
{
  local row fields
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "${fields[0]},nbd://192.0.2.1,,${fields[2]-},${fields[3]-},${fields[1]},"
    done
  } >"$GATESHIFT_CONFIG/gateways.csv"
}

# routes VOLUME,GATEWAY[,STATE,TARGET]...: of 1 MiB each, at epoch 1, into routes.csv.
routes()
{
  local row fields
  {
    echo volume,gateway,epoch,state,target,size_bytes,time
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "${fields[0]},${fields[1]},1,${fields[2]-steady},${fields[3]-},1048576,1000"
    done
  } >routes.csv
}

# health GATEWAY,GHS,P_FAIL[,REASON]...: into health.csv, 10 s old.
health()
{
  local row fields
  {
    echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "$((NOW - 10)),${fields[0]},${fields[1]},,${fields[2]},86400,0.9,,${fields[3]-}"
    done
  } >health.csv
}

# affinity VOLUME,GATEWAY,DAS[,REQUESTS]...: over 6 h, into affinity.csv.
affinity()
{
  local row fields
  {
    echo time,volume,gateway,das,share,requests,confidence,horizon_s,model
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "$((NOW - 60)),${fields[0]},${fields[1]},${fields[2]},0,${fields[3]-100},0.9,21600,x"
    done
  } >affinity.csv
}

# plan [OPTION...]: what was written above, with affinity if there is any.
plan()
{
  local files=(--routes routes.csv --health health.csv)
  [[ ! -e affinity.csv ]] || files+=(--affinity affinity.csv)
  run --separate-stderr "${EXPECT:--0}" migrate-plan --now "$NOW" "${files[@]}" "$@"
}

# expect_moves "VOLUME SOURCE TARGET KIND"...: the plan is these, in this order.
expect_moves()
{
  local IFS=$'\n'
  [[ ${lines[0]} == "$HEADER" ]]
  [[ $(tail -n +2 <<<"$output" | cut -d, -f2-4,6 | tr , ' ') == "$*" ]]
}

# expect_verdict VOLUME TARGET GUARD VERDICT: what verdicts.csv says.
expect_verdict()
{
  [[ $(awk -F, -v v="$1" -v t="$2" '$2 == v && $4 == t { print $11, $12 }' verdicts.csv) == "$3 $4" ]]
}

# history "HOURS_AGO SOURCE TARGET DETAIL"...: switched moves of v, into history.csv.
history()
{
  local move hours from to detail id=0
  {
    echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
    for move in "$@"; do
      read -r hours from to detail <<<"$move"
      id=$((id + 1))
      echo "$((NOW - hours * 3600 - 60)),m$id,v,$from,$to,redirect,begin,,,,,\"$detail\""
      echo "$((NOW - hours * 3600)),m$id,v,$from,$to,handover,switched,,,,,"
    done
  } >history.csv
}

# groups VOLUME,GROUP[,POLICY[,ANTI]]...: what volumes.csv says.
groups()
{
  local row fields
  {
    echo volume,size_bytes,policy,gateways,group,anti
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "${fields[0]},,${fields[2]:-auto},,${fields[1]},${fields[3]-}"
    done
  } >"$GATESHIFT_CONFIG/volumes.csv"
}

# calendar RULE,FROM,UNTIL...: calendar.csv.
calendar()
{
  { echo rule,from,until; printf '%s\n' "$@"; } >"$GATESHIFT_CONFIG/calendar.csv"
}

# expect_start VOLUME TIME: the plan's not_before of VOLUME.
expect_start()
{
  [[ $(awk -F, -v v="$1" '$2 == v { print $13 }' <<<"$output") == "$2" ]]
}

# forecast VOLUME REQUESTS...: in each hour from the one of NOW on, into forecast.csv, appended.
forecast()
{
  local start=$((NOW - NOW % 3600)) requests
  [[ -e forecast.csv ]] || echo volume,site,start,duration_s,requests,lower,upper,model >forecast.csv
  for requests in "${@:2}"; do
    echo "$1,eu,$start,3600,$requests,0,$requests,x" >>forecast.csv
    start=$((start + 3600))
  done
}
