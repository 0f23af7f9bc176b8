#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan: what moves that came to nothing have left on their targets takes room there.
# shellcheck disable=SC2154

load helpers
load planner

# setting: gw-a must be left, and gw-b has room for one and a half volumes.
setting()
{
  gateways gw-a,active gw-b,active,1572864 gw-c,active,1572864
  routes v,gw-a w,gw-a
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.5,0
  { echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail; } >history.csv
}

# event MINUTES_AGO MIGRATION VOLUME SOURCE TARGET EVENT [DETAIL]: into history.csv.
event()
{
  echo "$((NOW - 60 * $1)),$2,$3,$4,$5,replicate,$6,0,1048576,,root: x,${7-}" >>history.csv
}

planned()
{
  plan --history history.csv --max-per-source 9 --max-per-target 9 --return-after 0 "$@"
}

@test "migrate-plan: what an aborted or failed move has left on a gateway takes room there" {
  local end
  for end in aborted failed; do
    setting
    event 3001 m1 v gw-a gw-b begin
    event 3000 m1 v gw-a gw-b $end "by an operator; left on gw-b: export v"
    planned --explain=verdicts.csv
    # It is v's, which needs no more.
    expect_moves "v gw-a gw-b mandatory"
    expect_verdict w gw-b 1-placement refused
    [[ $(<verdicts.csv) == *"no room on gw-b: 1.0 MiB there or coming (1.0 MiB left by moves that came to nothing), 1.0 MiB more, capacity 1.5 MiB"* ]]
    planned --standby
    [[ $output != *,standby,* ]]
  done
}

@test "migrate-plan: what a move has not left, or is gone, or was used since, takes no room" {
  setting
  event 3001 m1 v gw-a gw-b begin
  event 3000 m1 v gw-a gw-b failed "hook of gw-b: no"
  planned
  expect_moves "v gw-a gw-b mandatory"
  # Of v, which can't leave, nothing is there: w has the room.
  setting
  groups v,,pinned
  event 3001 m1 v gw-a gw-b begin
  event 3000 m1 v gw-a gw-b aborted "by an operator; left on gw-b: export v"
  planned
  expect_moves
  cp history.csv left.csv
  event 2000 m1 v gw-a gw-b aborted "gone from gw-b: export v"
  planned
  expect_moves "w gw-a gw-b mandatory"
  # It was the owner since, and has been left, and then gone back to.
  cp left.csv history.csv
  event 2000 m2 v gw-a gw-b switched
  event 1500 m3 v gw-b gw-a switched
  planned
  expect_moves "w gw-a gw-b mandatory"
  # And again.
  event 1000 m4 v gw-a gw-b aborted "by an operator; left on gw-b: export v"
  planned
  expect_moves
}

@test "migrate-plan: a standby that was lost, or that gives way, takes room where it is" {
  setting
  groups v,,pinned
  sed -i "s/^v,.*/v,gw-a,1,steady,,1048576,$((NOW - 100))/" routes.csv
  event 5 m1 v gw-a gw-b begin standby
  event 4 m1 v gw-a gw-b deferred "stands by: mirrored"
  planned
  expect_moves
  setting
  rm "$GATESHIFT_CONFIG/volumes.csv"
  routes v,gw-a,moving,gw-b w,gw-a
  event 5 m1 v gw-a gw-b begin standby
  # w comes first, but has no room beside v's copy.
  affinity v,gw-a,0.5,100 v,gw-b,0.5 v,gw-c,0.5 w,gw-a,0.5,9000 w,gw-b,0.5 w,gw-c,0.5
  planned
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: the owner, a kept copy and a move under way are counted once" {
  setting
  gateways gw-a,active gw-b,active,2097152 gw-c,active,1572864
  event 3001 m1 v gw-a gw-b begin
  event 3000 m1 v gw-a gw-b aborted "by an operator; left on gw-b: export v"
  local route
  for route in gw-a,steady gw-b,steady gw-a,uncommitted,gw-b gw-a,moving,gw-b gw-a,deferred,gw-b; do
    routes "v,$route" w,gw-a
    groups v,,pinned
    planned
    expect_moves "w gw-a gw-b mandatory"
  done
}
