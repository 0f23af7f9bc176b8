#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan --standby: copies that stand by before there is a reason to move.
# shellcheck disable=SC2154

load helpers
load planner

standbys()
{
  health "$@"
  plan --standby --changed changed.csv
}

# stand_by VOLUME,GATEWAY...: their copies are there, and mirrored.
stand_by()
{
  { echo volume,gateway,bytes; [[ $# == 0 ]] || printf '%s,0\n' "$@"; } >changed.csv
}

@test "migrate-plan --standby: each volume that stays gets a copy, if it is asked for" {
  gateways gw-a,active gw-b,active gw-c,active
  stand_by
  health gw-a,0.97,0 gw-b,0.9,0 gw-c,0.97,0
  plan
  expect_moves
  standbys gw-a,0.97,0 gw-b,0.9,0 gw-c,0.97,0
  expect_moves "v gw-a gw-c standby"
  [[ ${lines[1]} == *',standby for gw-a: gw-c healthy 0.97; affinity 0.50 to 0.50; copies 1.0 MiB in about '* ]]
}

@test "migrate-plan --standby: it goes where the volume would like to be, and spreads" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a v2,gw-a v3,gw-a
  stand_by
  affinity v1,gw-a,0.9,100 v1,gw-b,0.5 v1,gw-c,0.5 v2,gw-a,0.9,100 v2,gw-b,0.5 v2,gw-c,0.5 \
    v3,gw-a,0.9,300 v3,gw-b,0.8 v3,gw-c,0.5
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.97,0
  plan --standby --affinity affinity.csv --max-per-source 9 --max-per-target 9
  # Most is asked of v3, for its size; who likes both alike takes what stands by for less.
  expect_moves "v3 gw-a gw-b standby" "v1 gw-a gw-c standby" "v2 gw-a gw-c standby"
}

@test "migrate-plan --standby: moves come first, and the limits are on both" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a v2,gw-a v3,gw-b
  stand_by
  standbys gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  expect_moves "v1 gw-a gw-b optional" "v3 gw-b gw-c standby"
  plan --standby --max-moves 1
  expect_moves "v1 gw-a gw-b optional"
}

@test "migrate-plan --standby: one is enough, and what the last move left is one" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a,deferred,gw-b v2,gw-a,uncommitted,gw-b v3,gw-a,moving,gw-b v4,gw-a,deferred,gw-b
  stand_by v1,gw-b
  standbys gw-a,0.97,0 gw-b,0.97,0 gw-c,0.97,0
  expect_moves
}

@test "migrate-plan --standby: one whose gateway has to be left is made anew" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b
  stand_by v,gw-b
  standbys gw-a,0.97,0 gw-b,0.3,0.7 gw-c,0.97,0
  expect_moves "v gw-a gw-c standby"
  [[ ${lines[1]} == *"; the copy on gw-b is let go first" ]]
  # Which needs that gateway: one without any health may be dead.
  standbys gw-a,0.97,0 gw-b,0.01,0.99 gw-c,0.97,0
  expect_moves
  # A kept copy is kept for as long as was promised.
  routes v,gw-a,uncommitted,gw-b
  health gw-a,0.97,0 gw-b,0.3,0.7 gw-c,0.97,0
  plan --standby --retain 12d
  expect_moves
  plan --standby --retain 11d
  expect_moves "v gw-a gw-c standby"
}

@test "migrate-plan --standby: what is to stay as it is gets none" {
  gateways gw-a,active gw-b,active
  routes manual,gw-a pinned,gw-a silent,gw-b
  printf '%s\n' volume,size_bytes,policy,gateways,group,anti manual,,manual,,, pinned,,pinned,,, \
    >"$GATESHIFT_CONFIG/volumes.csv"
  stand_by
  standbys gw-a,0.97,0 gw-b,,
  expect_moves
  standbys gw-a,0.97,0 gw-b,0.97,0
  expect_moves "silent gw-b gw-a standby"
  health gw-a,0.97,0 gw-b,0.97,0
  plan --standby --shadow
  expect_moves
}

@test "migrate-plan: volumes.csv says of a volume that it has a standby, or none" {
  gateways gw-a,active gw-b,active
  routes v1,gw-a v2,gw-a v3,gw-a
  printf '%s\n' volume,size_bytes,policy,gateways,standby v1,,auto,,yes v2,,auto,,no v3,,auto,, \
    >"$GATESHIFT_CONFIG/volumes.csv"
  health gw-a,0.97,0 gw-b,0.97,0
  plan --max-per-source 9 --max-per-target 9
  expect_moves "v1 gw-a gw-b standby"
  plan --max-per-source 9 --max-per-target 9 --standby
  expect_moves "v1 gw-a gw-b standby" "v3 gw-a gw-b standby"
  echo v4,,auto,,maybe >>"$GATESHIFT_CONFIG/volumes.csv"
  EXPECT=-65 plan
  [[ $stderr == *"volumes.csv:5: "*standby* ]]
}

@test "migrate-plan --standby: no target that a move could not have" {
  stand_by
  for gw_b in 0.59,0 ',' 0.97,0.6; do
    standbys gw-a,0.97,0 "gw-b,$gw_b"
    expect_moves
  done
  gateways gw-a,active gw-b,cordoned
  standbys gw-a,0.97,0 gw-b,0.97,0
  expect_moves
  gateways gw-a,active gw-b,active,1048575
  standbys gw-a,0.97,0 gw-b,0.97,0
  expect_moves
  gateways gw-a,active gw-b,active,1048576
  standbys gw-a,0.97,0 gw-b,0.97,0
  expect_moves "v gw-a gw-b standby"
}

@test "migrate-plan: a volume that must leave is handed over to where its copy stands by" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a,deferred,gw-b v2,gw-a,deferred,gw-b v3,gw-a,deferred,gw-b
  stand_by v1,gw-b v2,gw-b
  standbys gw-a,0.1,0.9 gw-b,0.8,0 gw-c,0.97,0
  # As many as there are; of the third nothing is known but that its move was deferred.
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-b mandatory" "v3 gw-a gw-c mandatory"
  [[ ${lines[1]} == *"; to the copy that stands by there\"" ]]
  # Or away from both.
  standbys gw-a,0.1,0.9 gw-b,0.1,0.9 gw-c,0.97,0
  expect_moves "v1 gw-a gw-c mandatory"
  [[ ${lines[1]} == *"; the copy on gw-b is let go first\"" ]]
}

@test "migrate-plan: of hand-overs those go first that most requests wait for" {
  gateways gw-a,active gw-b,active
  routes v1,gw-a,deferred,gw-b v2,gw-a,deferred,gw-b v3,gw-a,deferred,gw-b
  stand_by v1,gw-b v2,gw-b v3,gw-b
  affinity v1,gw-a,0.5 v1,gw-b,0.5 v2,gw-a,0.5,900 v2,gw-b,0.5,900 v3,gw-a,0.5,300 v3,gw-b,0.5,300
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --changed changed.csv --affinity affinity.csv
  expect_moves "v2 gw-a gw-b mandatory" "v3 gw-a gw-b mandatory" "v1 gw-a gw-b mandatory"
}

@test "migrate-plan: what mostly has too much to do is left by as many at once as copies would be" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a,deferred,gw-b v2,gw-a,deferred,gw-b
  stand_by v1,gw-b v2,gw-b
  health gw-a,0.3,0.6 gw-b,0.8,0 gw-c,0.97,0
  sed -i -e '1s/$/,unloaded/' -e '/gw-a/s/$/,0.66/' -e '/gw-b/s/$/,0.8/' -e '/gw-c/s/$/,0.97/' health.csv
  plan --changed changed.csv --explain=verdicts.csv
  expect_moves "v1 gw-a gw-b mandatory"
  expect_verdict v2 gw-b 7-limits refused
  # Not where the load accounts for less than half of what is wrong.
  sed -i 's/,0.66$/,0.64/' health.csv
  plan --changed changed.csv
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-b mandatory"
}

@test "migrate-plan: what mostly has too much to do is not left for where its volume came from, for a copy's sake" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b
  stand_by v,gw-b
  health gw-a,0.3,0.6 gw-b,0.97,0 gw-c,0.97,0
  sed -i -e '1s/$/,unloaded/' -e '/gw-a/s/$/,0.66/' -e '/gw-[bc]/s/$/,0.97/' health.csv
  {
    echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
    echo "$((NOW - 36000)),v-1,v,gw-b,gw-a,handover,switched,1048576,1048576,9,,"
    echo "$((NOW - 900)),v-2,v,gw-a,gw-b,replicate,deferred,,1048576,,,stands by: mirrored"
  } >history.csv
  plan --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-c mandatory"
  # It is where the other is worse by the margin; …
  sed -i '/gw-c/s/0.97/0.66/' health.csv
  plan --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  sed -i '/gw-c/s/0.66/0.97/' health.csv
  # … where it came from elsewhere, or longer ago; …
  sed 's/,v,gw-b,gw-a,/,v,gw-c,gw-a,/' history.csv >elsewhere.csv
  plan --changed changed.csv --history elsewhere.csv
  expect_moves "v gw-a gw-b mandatory"
  plan --changed changed.csv --history history.csv --return-after 9h
  expect_moves "v gw-a gw-b mandatory"
  # … and where the load accounts for less than half of what is wrong.
  sed -i 's/,0.66$/,0.64/' health.csv
  plan --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-b mandatory"
}

# copying DETAIL [EVENT,DETAIL]...: by the history m1 brings v to gw-b, and DETAIL is that of its begin.
copying()
{
  local row
  echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
  echo "$((NOW - 600)),m1,v,gw-a,gw-b,redirect,begin,0,1048576,,root: x,$1"
  for row in "${@:2}"; do
    echo "$((NOW - 300)),m1,v,gw-a,gw-b,replicate,${row%%,*},0,1048576,,root: x,${row#*,}"
  done
}

@test "migrate-plan: a volume that must leave does not wait for the copying of its standby" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,moving,gw-b w,gw-a
  health gw-a,0.2,0 gw-b,0.3,0 gw-c,0.97,0
  copying standby >history.csv
  plan --history history.csv
  # Nor does another one, where one move at once may leave.
  expect_moves "v gw-a gw-c mandatory"
  [[ ${lines[1]} == *"; the copy that is being made on gw-b is given up"* ]]
  routes v,gw-a,moving,gw-b
  # What is copied counts for more than a little health.
  health gw-a,0.2,0 gw-b,0.9,0 gw-c,0.97,0
  copying "standby; standby for gw-a: gw-b healthy 0.97" >history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  [[ ${lines[1]} == *"; goes on with the copy that is being made there"* ]]
  # By the history alone, too, while the route does not say so yet, or does not any more.
  routes v,gw-a
  copying standby stalled,"gateway away" >history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: what need not leave waits for the copying, and nothing gives way that hands over" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,moving,gw-b
  health gw-a,0.6,0 gw-b,0.9,0 gw-c,0.99,0
  copying standby >history.csv
  plan --history history.csv --margin 0 --threshold 0
  expect_moves
  health gw-a,0.2,0 gw-b,0.9,0 gw-c,0.97,0
  copying standby hold,"attempt 1 of 5" >history.csv
  plan --history history.csv
  expect_moves
  copying "mandatory: gw-a drains" >history.csv
  plan --history history.csv
  expect_moves
  plan # nobody can tell what it is
  expect_moves
  # Moves that are of another's do not free a place.
  routes v,gw-a,moving,gw-b w,gw-a
  plan --history history.csv
  expect_moves
}

# over [EVENT,DETAIL]...: the copying of v's standby on gw-b has given way to a mandatory row, which
# goes on with it, before any hold; and what came later.
over()
{
  local row
  copying standby stalled,"gives way to root: x"
  for row in begin,"resumed; mandatory: gw-a drains" "$@"; do
    echo "$((NOW - 200 + ++n)),m1,v,gw-a,gw-b,redirect,${row%%,*},0,1048576,,root: x,${row#*,}"
  done
}

@test "migrate-plan: a copy that a mandatory row goes on with is a move, before its hold, too" {
  gateways gw-a,active gw-b,active,2000000 gw-c,active,1048576 gw-d,active
  routes v,gw-a,moving,gw-b w,gw-d
  health gw-a,0.2,0 gw-b,0.9,0 gw-c,0.97,0 gw-d,0.2,0
  local n=0 all=(--history history.csv --max-per-source 9 --max-per-target 9 --max-evacuate 1)
  over >history.csv
  plan "${all[@]}"
  # Nor is there room for two on gw-b.
  expect_moves "w gw-d gw-c mandatory"
  # With a hold or without: when nobody hands it over any more it gives way again.
  local end
  for end in stalled,"the source is gone" begin,resumed; do
    over hold,"attempt 1 of 5" "$end" >history.csv
    plan "${all[@]}"
    expect_moves "w gw-d gw-c mandatory" "v gw-a gw-b mandatory"
  done
}

@test "migrate-plan: a copying that no move can take the place of has its room" {
  gateways gw-a,active gw-b,active,2000000 gw-d,active
  routes v,gw-a,moving,gw-b w,gw-d
  health gw-a,0.2,0 gw-b,0.9,0 gw-d,0.2,0
  copying standby >history.csv
  local policy
  for policy in pinned manual; do
    groups "v,,$policy"
    plan --history history.csv --max-per-target 9 --max-evacuate 1
    expect_moves
    plan --history history.csv --max-evacuate 1
    expect_moves
  done
  groups v,,pinned
  plan --history history.csv --max-evacuate 1 --force
  expect_moves "v gw-a gw-b mandatory"
  rm "$GATESHIFT_CONFIG/volumes.csv"
  gateways gw-a,down gw-b,active,2000000 gw-d,active
  plan --history history.csv --max-per-target 9 --max-evacuate 1
  expect_moves
}

@test "migrate-plan: a standby that could not be made has no gateway that must be left come last" {
  gateways gw-a,active gw-b,active gw-d,active
  routes v,gw-a w,gw-d
  health gw-a,0.2,0 gw-b,0.9,0 gw-d,0.2,0
  copying standby failed,"the target is away" >history.csv
  plan --history history.csv --max-evacuate 0.1
  expect_moves "v gw-a gw-b mandatory"
  copying "mandatory: gw-a drains" failed,"the target is away" >history.csv
  plan --history history.csv --max-evacuate 0.1
  expect_moves "w gw-d gw-b mandatory"
}

@test "migrate-plan --standby: a volume whose standby fails takes no other's turn" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a w,gw-a
  stand_by
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.97,0
  copying standby failed,"gw-b has an export 'v' that no move of the volume left there" >history.csv
  plan --standby --changed changed.csv --history history.csv
  expect_moves "w gw-a gw-b standby"
  # Nor does one that was lost.
  copying standby deferred,"stands by: mirrored" >lost.csv
  sed -i "s/^v,.*/v,gw-a,1,steady,,1048576,$((NOW - 100))/" routes.csv
  plan --standby --changed changed.csv --history lost.csv
  expect_moves "w gw-a gw-b standby"
  # But it gets one, elsewhere, where nobody else asks, and after a while in any case.
  stand_by w,gw-b
  sed -i 's/^w,.*/w,gw-a,1,deferred,gw-b,1048576,1000/' routes.csv
  plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-c standby"
  stand_by
  routes v,gw-a w,gw-a
  local later=$((NOW + 3600))
  NOW=$later health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.97,0
  NOW=$later plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-b standby"
}

@test "migrate-plan: what is under way is no standby for one of an earlier epoch that never ended" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,moving,gw-b
  health gw-a,0.2,0 gw-b,0.9,0 gw-c,0.97,0
  copying standby deferred,"stands by: mirrored" >old.csv
  copying "mandatory: gw-a drains" | sed '1d; s/,m1,/,v-2,/' >new.csv
  local id
  for id in v-1 v-3; do
    sed "s/,m1,/,$id,/" old.csv | cat - new.csv >history.csv
    plan --history history.csv
    expect_moves
  done
}

@test "migrate-plan: an optional move of a volume with a standby goes there or anywhere" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b
  stand_by v,gw-b
  standbys gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  expect_moves "v gw-a gw-b optional"
  standbys gw-a,0.7,0 gw-b,0.8,0 gw-c,0.97,0
  expect_moves "v gw-a gw-c optional"
}

@test "migrate-plan: a move that was deferred for another reason is no standby" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b w,gw-a,deferred,gw-b
  stand_by v,gw-b w,gw-b
  cat >history.csv <<'CSV'
time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
900,v-2,v,gw-a,gw-b,handover,deferred,,1048576,,,2 attempts failed: no; mirrored meanwhile
900,w-2,w,gw-a,gw-b,replicate,deferred,,1048576,,,"stands by: mirrored, to take the place of gw-a"
CSV
  health gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  plan --changed changed.csv --history history.csv --explain=verdicts.csv --max-per-source 9 --max-per-target 9
  expect_moves "w gw-a gw-b optional"
  expect_verdict v "" 1-placement refused
}

@test "migrate-plan: a standby is no deferred move to be told of, and is not graded" {
  routes v,gw-a,deferred,gw-b
  stand_by v,gw-b
  health gw-a,0.97,0 gw-b,0.97,0
  cat >notify <<'SH'
#!/bin/sh
echo "$@" >>told
SH
  chmod +x notify
  plan --notify ./notify --changed changed.csv
  [[ ! -e told ]]
  plan --notify ./notify
  [[ $(<told) == "deferred 1 v" ]]
  routes v,gw-a
  plan --standby
  expect_moves "v gw-a gw-b standby"
  printf '%s\n' "$output" >plan.csv
  run --separate-stderr -0 migrate-plan --grade plan.csv --health health.csv --now "$((NOW + 864000))"
  [[ $output != *standby* ]]
}

@test "migrate-plan --standby: volumes of a group stand by together" {
  gateways gw-a,active gw-b,active gw-c,active
  routes g1,gw-a,deferred,gw-c g2,gw-a
  printf '%s\n' volume,size_bytes,policy,gateways,group,anti g1,,auto,,db, g2,,auto,,db, \
    >"$GATESHIFT_CONFIG/volumes.csv"
  stand_by g1,gw-c
  standbys gw-a,0.97,0 gw-b,0.99,0 gw-c,0.9,0
  expect_moves "g2 gw-a gw-c standby"
}

@test "migrate-plan --standby: shared storage is not lost with a gateway" {
  printf '%s\n' gateway,uri,site,capacity_bytes,iops_limit,state,hook,metrics,storage \
    gw-a,nbd://192.0.2.1,,,,active,,,san gw-b,nbd://192.0.2.1,,,,active,,,san >"$GATESHIFT_CONFIG/gateways.csv"
  stand_by
  standbys gw-a,0.97,0 gw-b,0.97,0
  expect_moves
}

@test "migrate-plan: nothing is planned against a hand-over of what stands by, before its hold, too" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b
  stand_by v,gw-b
  copying standby deferred,"stands by: mirrored" >stands.csv
  # handed [EVENT,DETAIL]: somebody hands over, and what came then.
  handed()
  {
    local row n=0
    cat stands.csv
    for row in begin,"resumed to hand over" "$@"; do
      n=$((n + 1))
      echo "$((NOW - 200 + n)),m1,v,gw-a,gw-b,redirect,${row%%,*},0,1048576,,root: x,${row#*,}"
    done
  }
  local ghs
  for ghs in 0.2 0.7; do
    health "gw-a,$ghs,0" gw-b,0.8,0 gw-c,0.99,0
    handed >history.csv
    plan --standby --changed changed.csv --history history.csv --explain=verdicts.csv
    expect_moves
    [[ $(<verdicts.csv) == *"1-placement,refused,a move to gw-b is under way"* ]]
    # Not any more when it has ended without a hand-over, or somebody brings it back.
    for end in deferred,"stands by: mirrored" stalled,"interrupted" begin,resumed; do
      handed "$end" >history.csv
      plan --changed changed.csv --history history.csv
      [[ $output == *",v,gw-a,gw-"* ]]
    done
  done
}

@test "migrate-plan: a hand-over of what was deferred is one of the moves at once" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a,deferred,gw-b w,gw-a
  stand_by v,gw-b
  health gw-a,0.2,0 gw-b,0.8,0 gw-c,0.99,0
  copying "resumed to hand over" | sed 's/standby//' >history.csv
  plan --changed changed.csv --history history.csv
  expect_moves
}
