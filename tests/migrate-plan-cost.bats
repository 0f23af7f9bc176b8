#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan: what moves cost, and how that and other gateways' load decide.

load helpers
load mover
load planner

# sizes VOLUME,GATEWAY,BYTES...: routes of these sizes.
sizes()
{
  local row fields
  {
    echo volume,gateway,epoch,state,target,size_bytes,time
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "${fields[0]},${fields[1]},1,steady,,${fields[2]-},1000"
    done
  } >routes.csv
}

# storage GATEWAY,STATE,STORAGE...: gateways.csv.
storage()
{
  local row fields
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook,metrics,storage
    for row in "$@"; do
      IFS=, read -ra fields <<<"$row"
      echo "${fields[0]},nbd://192.0.2.1,,,,${fields[1]},,,${fields[2]-}"
    done
  } >"$GATESHIFT_CONFIG/gateways.csv"
}

# changed VOLUME,GATEWAY,BYTES...: changed.csv.
changed()
{
  { echo volume,gateway,bytes; printf '%s\n' "$@"; } >changed.csv
}

changed_is()
{
  [[ $(route-set | "$SRC/share/collectors/changed") == "volume,gateway,bytes
v,gw-a,$1" ]]
}

# bytes VOLUME: those of its plan record.
bytes()
{
  awk -F, -v v="$1" '$2 == v { print $12 }' <<<"$output"
}

@test "migrate-plan: the reason says how long the copy takes, at the rate that was measured" {
  sizes v,gw-a,128849018880
  health gw-a,0.8,0 gw-b,0.97,0
  plan --copy-rate 100M
  [[ ${lines[1]} == *"; benefit 0.67; copies 120.0 GiB in about 20 min\"" ]]
  cat >history.csv <<'CSV'
time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
1000,m1,other,gw-a,gw-b,redirect,begin,,1073741824,,,
1010,m1,other,gw-a,gw-b,handover,switched,1073741824,1073741824,9,,
CSV
  plan --history history.csv --explain=verdicts.csv
  [[ ${lines[1]} == *"; copies 120.0 GiB in about 20 min\"" ]]
  sed -i 's/^1010/1100/' history.csv
  plan --history history.csv --explain=verdicts.csv
  [[ ${lines[1]} == *"; copies 120.0 GiB in about 3.3 h\"" ]]
  grep -q ",move,.*; copies 120.0 GiB in about 3.3 h" verdicts.csv
  sizes v,gw-a
  plan
  [[ ${lines[1]} == *"; benefit 0.67\"" && -z $(bytes v) ]]
}

@test "migrate-plan: with a forecast the reason says what meets the copy" {
  # 1 MiB in 1800 s: half an hour of the quietest.
  health gw-a,0.8,0 gw-b,0.97,0
  forecast v 1000 1000 1000 100 1000
  plan --forecast forecast.csv --copy-rate 583
  expect_start v 1008000
  [[ ${lines[1]} == *"; copies 1.0 MiB in about 30 min, some 50 requests meanwhile\"" ]]
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --forecast forecast.csv --copy-rate 583
  expect_start v ""
  [[ ${lines[1]} == *"; copies 1.0 MiB in about 30 min, some 500 requests meanwhile\"" ]]
}

@test "migrate-plan: only what changed is sent to a copy that is known, and it is preferred" {
  gateways gw-a,active gw-b,active gw-c,active
  health gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  changed v,gw-c,65536 v,gw-b,2097152
  plan
  expect_moves "v gw-a gw-b optional"
  [[ $(bytes v) == 1048576 ]]
  plan --changed changed.csv --record tape
  expect_moves "v gw-a gw-c optional"
  [[ $(bytes v) == 65536 ]]
  [[ ${lines[1]} == *"; sends 64.0 KiB of 1.0 MiB in at most 1 s\"" ]]
  rm changed.csv
  run --separate-stderr -0 migrate-plan --replay tape
  expect_moves "v gw-a gw-c optional"
  # Not more than all of it.
  changed v,gw-b,2097152
  plan --changed changed.csv
  expect_moves "v gw-a gw-b optional"
  [[ $(bytes v) == 1048576 ]]
}

@test "migrate-plan: changed records are checked, and a kept copy's is told" {
  routes v,gw-a w,gw-a,uncommitted,gw-b
  health gw-a,0.8,0 gw-b,0.97,0
  changed w,gw-b,65536
  plan --changed changed.csv --explain=verdicts.csv --retain 12d
  grep -q "uncommitted: the copy on gw-b is kept, 64.0 KiB differ, for 10.5 h more; commit or revert first" \
    verdicts.csv
  changed v,gw-b,1 v,gw-b,2
  EXPECT=-65 plan --changed changed.csv
  [[ $stderr == "migrate-plan: changed.csv:3: contradicts an earlier record of the same copy" ]]
  changed v,gw-x,1 v,gw-b,1 x,gw-b,1
  plan --changed changed.csv
  expect_moves "v gw-a gw-b optional"
  [[ $stderr == "migrate-plan: changed.csv:2: gateway 'gw-x' is not in gateways.csv: ignored" ]]
}

@test "migrate-plan: a director's change map becomes changed records" {
  local now
  move_setup 8M --quarantine 200ms
  now=$(date +%s)
  { echo "$HEADER"; echo "$now,v,gw-a,gw-b,1,optional,,,,,,,,"; } >plan.csv
  run -0 migrate-exec --overwrite plan.csv
  route-set >routes.csv
  run --separate-stderr -0 "$SRC/share/collectors/changed" <routes.csv
  [[ $output == volume,gateway,bytes ]]
  start client qemu-io -f raw "$(director_uri v)" -c "write -P 7 0 4k" -c "write -P 7 4M 4k" \
    -c "sleep 60000"
  wait_for 10 changed_is 131072
  "$SRC/share/collectors/changed" "$GATESHIFT_RUN/director.sock" <routes.csv >changed.csv
  health gw-a,0.97,0 gw-b,0.97,0
  plan --changed changed.csv --explain=verdicts.csv
  grep -q "uncommitted: the copy on gw-a is kept, 128.0 KiB differ" verdicts.csv
  run --separate-stderr -69 "$SRC/share/collectors/changed" "$GS/none.sock" <routes.csv
  [[ -z $output ]]
  run --separate-stderr -65 "$SRC/share/collectors/changed" <health.csv
  run --separate-stderr -65 "$SRC/share/collectors/changed" </dev/null
  run --separate-stderr -64 "$SRC/share/collectors/changed" a b <routes.csv
}

@test "migrate-plan: the small ones leave first, unless the order is by benefit" {
  gateways gw-a,active gw-b,active gw-c,active
  sizes big,gw-a,1073741824 small,gw-a,1048576 unknown,gw-a
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.5,0
  affinity big,gw-a,0.5 big,gw-b,0.9 small,gw-a,0.5 small,gw-b,0.1 unknown,gw-a,0.5 unknown,gw-b,1
  plan --max-per-source 9 --max-per-target 9
  expect_moves "small gw-a gw-b mandatory" "big gw-a gw-b mandatory" "unknown gw-a gw-b mandatory"
  plan --max-per-source 9 --max-per-target 9 --order benefit --record tape
  expect_moves "unknown gw-a gw-b mandatory" "big gw-a gw-b mandatory" "small gw-a gw-b mandatory"
  local plan=$output
  run --separate-stderr -0 migrate-plan --replay tape
  [[ $output == "$plan" ]]
  run --separate-stderr -0 migrate-plan --replay tape --order per-byte
  expect_moves "small gw-a gw-b mandatory" "big gw-a gw-b mandatory" "unknown gw-a gw-b mandatory"
  EXPECT=-64 plan --order bytes
}

@test "migrate-plan: what is asked for most leaves a failing gateway first, for its bytes" {
  sizes idle,gw-a,1048576 busy,gw-a,4194304 large,gw-a,1073741824
  health gw-a,0.1,0.9 gw-b,0.97,0
  affinity idle,gw-{a,b},0.5,100 {busy,large},gw-{a,b},0.5,4000
  plan --max-per-source 9 --max-per-target 9
  expect_moves "busy gw-a gw-b mandatory" "idle gw-a gw-b mandatory" "large gw-a gw-b mandatory"
}

@test "migrate-plan: a gateway that the last move could not leave comes after others" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a w,gw-b
  health gw-a,0.1,0.9 gw-b,0.1,0.9 gw-c,0.97,0
  plan
  expect_moves "v gw-a gw-c mandatory"
  # failed MINUTES_AGO: a move of v from gw-a.
  failed()
  {
    echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
    printf "$((NOW - 60 * $1)),m,v,gw-a,gw-c,replicate,%s,,,,,\n" begin failed
  }
  failed 9 >history.csv
  plan --history history.csv
  expect_moves "w gw-b gw-c mandatory"
  # It does not wait where nobody else wants to move, nor for ever.
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.97,0
  plan --history history.csv
  [[ ${lines[1]} == *,v,gw-a,* && ${#lines[@]} == 2 ]]
  health gw-a,0.1,0.9 gw-b,0.1,0.9 gw-c,0.97,0
  failed 70 >history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-c mandatory"
}

@test "migrate-plan: on shared storage nothing is sent, and such a target is preferred" {
  storage gw-a,active,san gw-b,active, gw-c,active,san
  health gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  plan
  expect_moves "v gw-a gw-c optional"
  [[ $(bytes v) == 0 && ${lines[1]} == *"; on shared storage, copies nothing\"" ]]
  # The benefit comes first all the same.
  health gw-a,0.8,0 gw-b,0.98,0 gw-c,0.97,0
  plan
  expect_moves "v gw-a gw-b optional"
  [[ $(bytes v) == 1048576 ]]
}

@test "migrate-plan: a gateway that is down is left on shared storage, and nowhere else" {
  storage gw-a,down,san gw-b,active, gw-c,active,san
  health gw-b,0.98,0 gw-c,0.97,0
  affinity v,gw-a,1 v,gw-b,0.5
  plan --explain=verdicts.csv
  expect_moves "v gw-a gw-c mandatory"
  [[ ${lines[1]} == *"mandatory: gw-a is down, gw-c healthy 0.97;"*"; on shared storage, copies nothing\"" ]]
  expect_verdict v gw-b 1-placement refused
  grep -q "source unreachable: gw-a is down, and gw-b does not share its storage" verdicts.csv
  health gw-b,0.98,0 gw-c,0.5,0
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-c 2-health refused
  storage gw-a,down,san gw-b,active,nas gw-c,cordoned,san
  plan
  expect_moves
  storage gw-a,down gw-b,active gw-c,active
  plan --explain=verdicts.csv
  expect_moves
  grep -q "source unreachable: gw-a is down" verdicts.csv
}

@test "migrate-plan: a gateway without limit does not become busier than its source was" {
  gateways gw-a,active gw-b,active
  routes v,gw-a w1,gw-b w2,gw-b
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v 3600 3600
  forecast w1 1800 1800
  forecast w2 0 1800
  # 3600 a peak hour there and 3600 more, against 3600 here.
  plan --forecast forecast.csv
  expect_moves "v gw-a gw-b optional"
  plan --forecast forecast.csv --busier 1.9 --explain=verdicts.csv --record tape
  expect_moves
  expect_verdict v gw-b 1-placement refused
  grep -q "gw-b would be busier than gw-a is: 4.0 against 2.0 requests/s at peak, and not both have \
an iops_limit" verdicts.csv
  run --separate-stderr -0 migrate-plan --replay tape
  expect_moves
  plan --forecast forecast.csv --busier 1.9 --growth 1
  expect_moves "v gw-a gw-b optional"
  gateways gw-a,active,,100 gw-b,active,,100
  plan --forecast forecast.csv --busier 1.9
  expect_moves "v gw-a gw-b optional"
  gateways gw-a,active,,100 gw-b,active
  plan --forecast forecast.csv --busier 1.9
  expect_moves
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --forecast forecast.csv --busier 1.9
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: a little more than a busy gateway serves now is no matter, but all of a plan counts" {
  gateways gw-a,active gw-b,active
  routes v1,gw-a v2,gw-a w,gw-b
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v1 60
  forecast v2 60
  forecast w 1000
  plan --forecast forecast.csv --max-per-source 9 --max-per-target 9 --explain=verdicts.csv
  expect_moves "v1 gw-a gw-b optional"
  expect_verdict v2 gw-b 1-placement refused
  plan --forecast forecast.csv --max-per-source 9 --max-per-target 9 --growth 0.12
  expect_moves "v1 gw-a gw-b optional" "v2 gw-a gw-b optional"
}

@test "migrate-plan: a recording of all there is decides alike, however it was asked for" {
  gateways gw-a,active gw-b,active,,50 gw-c,active gw-d,active
  sizes v1,gw-a,1048576 v2,gw-a,2097152 v3,gw-c,4194304 v4,gw-c,65536 v5,gw-d,1048576
  groups v1,g v2,g
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.7,0 gw-d,0.6,0.6
  affinity v1,gw-a,0.5,3600 v1,gw-b,0.6,3600 v1,gw-c,0.4,3600 v1,gw-d,0.4,3600 v3,gw-a,0.9,10 \
    v3,gw-b,0.8,10 v3,gw-c,0.1,10 v3,gw-d,0.1,10 v4,gw-a,0.9,10 v4,gw-b,0.9,10 v4,gw-c,0.1,10 \
    v4,gw-d,0.1,10 v5,gw-a,0.5,10 v5,gw-b,0.5,10 v5,gw-c,0.5,10 v5,gw-d,0.5,10
  forecast v1 10 20 30
  forecast v3 10 5 30
  calendar window,14:00,23:00 blackout,1970-01-13,1970-01-14
  history "90 gw-b gw-c optional: x; affinity 0.20 to 0.90"
  changed v4,gw-a,4096 v3,gw-b,65536
  local from=(--forecast forecast.csv --history history.csv --changed changed.csv --drain gw-a
    --max-per-source 9 --max-per-target 9 --max-moves 9 --max-evacuate 1 --improve 1000
    --order benefit --busier 3 --growth 0.5 --start-window 3h --copy-rate 1M --force)
  plan "${from[@]}" --explain=verdicts.csv
  local plan=$output
  [[ ${#lines[@]} -eq 6 ]]
  plan "${from[@]}" --record tape --explain=recorded.csv
  [[ $output == "$plan" ]]
  cmp verdicts.csv recorded.csv
  mv verdicts.csv verdicts
  rm ./*.csv "$GATESHIFT_CONFIG"/*.csv
  echo "not for replays" >"$GATESHIFT_STATE/frozen"
  run --separate-stderr -0 migrate-plan --replay tape --explain=replayed.csv --notify false
  [[ $output == "$plan" ]]
  cmp replayed.csv verdicts
}
