#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan --grade: which planned moves would have paid off, by what came after them.

load helpers

NOW=1000000
HORIZON=86400

setup()
{
  common_setup
  printf '%s\n' gateway,uri,site,capacity_bytes,iops_limit,state,hook \
    gw-a,nbd://192.0.2.1,eu,,,active, gw-b,nbd://192.0.2.2,us,,,active, \
    >"$GATESHIFT_CONFIG/gateways.csv"
  printf '%s\n' client,site 192.0.2.0/24,eu 198.51.100.0/24,us >"$GATESHIFT_CONFIG/sites.csv"
  printf '%s\n' site,gateway,rtt_us eu,gw-a,1000 eu,gw-b,99000 us,gw-a,99000 us,gw-b,1000 \
    >"$GATESHIFT_CONFIG/distances.csv"
  failures
}

# planned TIME,VOLUME,SOURCE,TARGET[,KIND[,SOURCE_DAS[,TARGET_DAS[,NOT_BEFORE[,REASON]]]]]...: into
# plan.csv; of 1 MiB at epoch 3, healths 0.8 and 0.9.
planned()
{
  local row f
  {
    echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,\
bytes,not_before,reason
    for row in "$@"; do
      IFS=, read -ra f <<<"$row"
      awk -v t="${f[0]}" -v way="${f[1]},${f[2]},${f[3]}" -v kind="${f[4]:-shadow}" \
        -v s="${f[5]:-0.5}" -v d="${f[6]:-0.5}" -v nb="${f[7]-}" -v why="${f[8]-}" 'BEGIN {
        printf "%d,%s,3,%s,%.4f,%.4f,0.8,0.9,%.4f,1048576,%s,%s\n", t, way, kind, 0.1 + d, s - 0.1,
          d, nb, why }'
    done
  } >plan.csv
}

# failures TIME,GATEWAY[,KIND]...: into failures.csv.
failures()
{
  local row
  {
    echo time,gateway,kind
    for row in "$@"; do
      [[ $row == *,*,* ]] || row+=,failure
      echo "$row"
    done
  } >failures.csv
}

# health TIME,GATEWAY,CURRENT...: into health.csv; CURRENT "": silent.
health()
{
  local row f
  {
    echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    for row in "$@"; do
      IFS=, read -ra f <<<"$row"
      echo "${f[0]},${f[1]},${f[2]-},${f[2]-},,86400,0.9,,"
    done
  } >health.csv
}

# access TIME,VOLUME,CLIENT,COUNT...: into access.csv.
access()
{
  local row f
  {
    echo time,volume,gateway,client,op,offset,length,latency_us,error,count
    for row in "$@"; do
      IFS=, read -ra f <<<"$row"
      echo "${f[0]},${f[1]},gw-a,${f[2]},read,0,4096,100,,${f[3]}"
    done
  } >access.csv
}

# grade [OPTION...]: two days later, with the failures.
grade()
{
  run --separate-stderr "${EXPECT:--0}" migrate-plan --grade plan.csv --failures failures.csv \
    --now $((NOW + 2 * HORIZON)) --explain=outcomes.csv "$@"
}

# expect_outcomes "VOLUME OUTCOME REASON"...: what outcomes.csv says.
expect_outcomes()
{
  local IFS=$'\n'
  [[ $(head -n 1 outcomes.csv) == time,volume,source,target,kind,outcome,after_s,reason ]]
  [[ $(tail -n +2 outcomes.csv | cut -d, -f2,6,8- | tr -d '"' | sed 's/,/ /; s/,/ /') == "$*" ]]
}

# measure KIND MEASURE: its value in $output.
measure()
{
  awk -F, -v k="$1" -v m="$2" '$1 == k && $2 == m { print $3 }' <<<"$output"
}

@test "migrate-plan --grade: a move off a source that failed within the horizon has paid off" {
  planned "$NOW,v,gw-a,gw-b" "$NOW,w,gw-b,gw-a"
  failures $((NOW + 7200)),gw-a $((NOW - 1)),gw-b $((NOW + HORIZON + 1)),gw-b
  grade
  expect_outcomes "v paid-off gw-a failed 2.0 h later" "w mismigration gw-a failed 2.0 h later"
  [[ $output == "predictor,measure,value
shadow,moves,2
shadow,unknown,0
shadow,paid off,1
shadow,source failed,1
shadow,source degraded,0
shadow,demand came,0
shadow,mismigrations,1
shadow,paid off rate,0.5
shadow,lead median s,7200
shadow,paid off bytes,1048580
shadow,mismigrated bytes,1048580" ]]
  grade --grade-horizon 1h
  expect_outcomes "v mismigration gw-a did well" "w mismigration gw-b did well"
}

@test "migrate-plan --grade: so has one off a source that was measured below critical" {
  planned "$NOW,v,gw-a,gw-b" "$NOW,w,gw-b,gw-a"
  health $((NOW + 3600)),gw-a,0.41 $((NOW + 5400)),gw-a,0.39 $((NOW + HORIZON)),gw-a,0.9
  grade --health health.csv
  expect_outcomes "v paid-off gw-a was degraded 90 min later" \
    "w mismigration gw-a was degraded 90 min later"
  grade --health health.csv --critical 0.3
  expect_outcomes "v mismigration gw-a did well" "w mismigration gw-b did well"
}

@test "migrate-plan --grade: which of source and target was in trouble first decides" {
  planned "$NOW,v,gw-a,gw-b"
  failures $((NOW + 7200)),gw-a $((NOW + 3600)),gw-b
  grade
  expect_outcomes "v mismigration gw-b failed 60 min later"
  failures $((NOW + 3600)),gw-a $((NOW + 7200)),gw-b
  grade
  expect_outcomes "v paid-off gw-a failed 60 min later"
  failures $((NOW + 3600)),gw-a $((NOW + 3600)),gw-b
  grade
  expect_outcomes "v mismigration gw-b failed 60 min later"
}

@test "migrate-plan --grade: the demand came, or it did not" {
  planned "$NOW,came,gw-a,gw-b,shadow,0.1,0.9" "$NOW,less,gw-a,gw-b,shadow,0.1,0.9" \
    "$NOW,none,gw-a,gw-b,shadow,0.1,0.9" "$NOW,well,gw-a,gw-b,shadow,0.5,0.5"
  # What is outside the horizon does not count, whatever it is.
  access $NOW,came,192.0.2.7:1,9999 $((NOW + 60)),came,198.51.100.7:1,90 \
    $((NOW + 99)),came,192.0.2.7:1,10 $((NOW + 60)),less,198.51.100.7:1,50 \
    $((NOW + 99)),less,192.0.2.7:1,50 $((NOW + 6 * 3600 + 1)),none,198.51.100.7:1,50
  grade --access access.csv
  expect_outcomes "came paid-off the demand came: affinity 0.12 to 0.90 of 100 requests" \
    "less mismigration gw-a did well, the demand did not come: affinity 0.51 to 0.51 of 100 requests" \
    "none mismigration gw-a did well, no requests came" \
    "well mismigration gw-a did well, no requests came"
  [[ $(measure shadow "demand came") == 1 && $(measure shadow "paid off rate") == 0.25 ]]
  grade --access access.csv --demand-horizon 7h
  grep -q "^$NOW,none,.*,unknown,,whether the demand came is not known" outcomes.csv
  # Nearer by 0.78, and healthier by 0.1: worth a margin of 0.9, but not one of 1.
  grade --access access.csv --margin 0.9
  [[ $(measure shadow "paid off") == 1 ]]
  grade --access access.csv --margin 1
  [[ $(measure shadow "paid off") == 0 ]]
}

@test "migrate-plan --grade: what is not known is not guessed" {
  planned "$NOW,demand,gw-a,gw-b,shadow,0.1,0.9" \
    "$NOW,drained,gw-b,gw-a,shadow,0.5,0.5,,\"mandatory: gw-b drains; gw-a healthy\"" \
    "$((NOW + 2 * HORIZON)),late,gw-a,gw-b" "$NOW,out,gw-b,gw-a"
  failures $((NOW + 60)),gw-b,outage
  grade
  expect_outcomes "demand unknown whether the demand came is not known" \
    "drained unknown gw-b was drained by the operator" \
    "out unknown gw-b was silent, out or evacuated 60 s later" \
    "late unknown the horizon is not over"
  [[ $(measure shadow unknown) == 4 && -z $(measure shadow "paid off rate") ]]
  # Accesses that end within the horizon do not tell either; nor does health.
  access $((NOW + 60)),demand,198.51.100.7:1,90
  grade --access access.csv
  grep -q "^$NOW,demand,.*,unknown,,whether the demand came is not known" outcomes.csv
  health $((NOW + 60)),gw-a,0.9
  grade --health health.csv
  [[ $(grep -c "the horizon is not over" outcomes.csv) -eq 3 ]]
}

@test "migrate-plan --grade: silence tells nothing, unless failures are labelled" {
  planned "$NOW,v,gw-a,gw-b"
  health $((NOW + 60)),gw-a, $((NOW + HORIZON)),gw-b,0.9
  run --separate-stderr -0 migrate-plan --grade plan.csv --health health.csv \
    --now $((NOW + 2 * HORIZON)) --explain=outcomes.csv
  expect_outcomes "v unknown gw-a was silent, out or evacuated 60 s later"
  grade --health health.csv
  expect_outcomes "v mismigration gw-a did well"
}

@test "migrate-plan --grade: of a source whose records end nobody knows that it did well" {
  planned "$NOW,v,gw-a,gw-b" "$NOW,w,gw-b,gw-a" "$NOW,x,gw-c,gw-b"
  health $((NOW + 60)),gw-a,0.9 $((NOW + HORIZON - 300)),gw-b,0.9 $((NOW + HORIZON)),gw-d,0.9
  run --separate-stderr -0 migrate-plan --grade plan.csv --health health.csv \
    --now $((NOW + 2 * HORIZON)) --explain=outcomes.csv
  expect_outcomes "v unknown gw-a was silent, out or evacuated 60 s later" \
    "w mismigration gw-b did well" "x unknown gw-c was silent, out or evacuated 0 s later"
  # Labels of failures are complete.
  failures
  grade --health health.csv
  expect_outcomes "v mismigration gw-a did well" "w mismigration gw-b did well" \
    "x mismigration gw-c did well"
}

@test "migrate-plan --grade: the same move, planned again within the horizon, is one" {
  planned "$((NOW + 300)),v,gw-a,gw-b,optional" "$NOW,v,gw-a,gw-b" \
    "$((NOW + HORIZON)),v,gw-a,gw-b" "$((NOW + 60)),v,gw-b,gw-a"
  failures $((NOW + 100)),gw-a
  grade
  expect_outcomes "v paid-off gw-a failed 100 s later" "v mismigration gw-a failed 40 s later" \
    "v mismigration gw-a did well"
  mv plan.csv first.csv
  planned "$NOW,w,gw-a,gw-b,optional"
  grade --grade first.csv
  [[ $(measure shadow moves) == 3 && $(measure optional moves) == 1 ]]
}

@test "migrate-plan --grade: a move counts from its not_before on" {
  planned "$NOW,v,gw-a,gw-b,shadow,,,$((NOW + 7200))"
  failures $((NOW + 3600)),gw-a
  grade
  expect_outcomes "v mismigration gw-a did well"
}

@test "migrate-plan --grade: a plan of its own can be graded, and an empty one" {
  routes='volume,gateway,epoch,state,target,size_bytes,time'
  printf '%s\n' "$routes" v,gw-a,1,steady,,1048576,1000 >routes.csv
  health $((NOW - 10)),gw-a,0.2 $((NOW - 10)),gw-b,0.97
  migrate-plan --now "$NOW" --routes routes.csv --health health.csv --shadow >plan.csv
  failures $((NOW + 600)),gw-a
  grade
  expect_outcomes "v paid-off gw-a failed 10 min later"
  migrate-plan --now "$NOW" --routes routes.csv --health health.csv --drain gw-a --shadow \
    >plan.csv 2>/dev/null
  grade
  expect_outcomes "v unknown gw-a was drained by the operator"
  printf '%s\n' "$routes" >routes.csv
  migrate-plan --now "$NOW" --routes routes.csv --health health.csv --shadow >plan.csv
  grade
  [[ $output == predictor,measure,value ]]
}

@test "migrate-plan --grade: on a terminal it is a table, and --explain is one on stderr" {
  planned "$NOW,v,gw-a,gw-b"
  failures $((NOW + 7200)),gw-a
  run --separate-stderr -0 migrate-plan --grade plan.csv --failures failures.csv --explain \
    --now $((NOW + 2 * HORIZON))
  [[ ${lines[0]} == predictor,measure,value ]]
  [[ $stderr == "\
time     volume  source  target  kind    outcome   reason
1000000  v       gw-a    gw-b    shadow  paid-off  gw-a failed 2.0 h later" ]]
  run -0 script -qec "migrate-plan --grade plan.csv --failures failures.csv --now $((NOW * 2))" \
    /dev/null
  [[ ${lines[0]%$'\r'} == "kind    paid off  failed  degraded  demand  mismigration  unknown  rate  lead" ]]
  [[ ${lines[1]%$'\r'} == "shadow  1         1       0         0       0             0        100%  2.0 h" ]]
}

@test "migrate-plan --grade: wrong usage and input end 64 and 65, and leave no half file" {
  planned "$NOW,v,gw-a,gw-b"
  run --separate-stderr -64 migrate-plan --grade plan.csv
  [[ $stderr == "migrate-plan: --grade needs --failures or --health"* ]]
  EXPECT=-64 grade --routes routes.csv
  EXPECT=-64 grade --drain gw-a
  EXPECT=-64 grade --grade - --access -
  run --separate-stderr -64 migrate-plan --health x --access y
  [[ $stderr == "migrate-plan: --failures and --access need --grade"* ]]
  EXPECT=-66 grade --grade none.csv
  rm outcomes.csv 2>/dev/null || true
  echo time,gateway,kind >failures.csv
  echo "$NOW,gw-a,broken" >>failures.csv
  EXPECT=-65 grade
  [[ $stderr == "migrate-plan: failures.csv:2: "* && ! -e outcomes.csv ]]
  failures
  EXPECT=-73 grade --explain=none/outcomes.csv
  EXPECT=-74 grade --explain=/dev/full
}
