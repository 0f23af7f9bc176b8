#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan: a target to which an attempt has failed is not tried again at once.
# shellcheck disable=SC2154

load helpers
load planner

# attempts "MINUTES_AGO TARGET EVENT [BEGIN [DETAIL]]"...: of v, from gw-a, into history.csv.
attempts()
{
  local row ago to event begin detail id=0
  {
    echo time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
    for row in "$@"; do
      read -r ago to event begin detail <<<"$row"
      id=$((id + 1))
      echo "$((NOW - 60 * ago - 30)),m$id,v,gw-a,$to,redirect,begin,0,1048576,,root: x,$begin"
      [[ $event == open ]] ||
        echo "$((NOW - 60 * ago)),m$id,v,gw-a,$to,replicate,$event,0,1048576,,root: x,$detail"
    done
  } >history.csv
}

three()
{
  gateways gw-a,active gw-b,active gw-c,active
  printf '%s\n' volume,gateway,bytes >changed.csv
}

@test "migrate-plan: a volume that must leave does not go at once to where it has just failed to" {
  three
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.7,0
  attempts "5 gw-b failed"
  plan --history history.csv --explain=verdicts.csv
  expect_moves "v gw-a gw-c mandatory"
  [[ ${lines[1]} == *"; not to gw-b, where it failed 5 min ago"* ]]
  expect_verdict v gw-b "" stay
  [[ $(<verdicts.csv) == *"gw-c is the better target: to gw-b it failed 5 min ago, not again for 55 min"* ]]
  # After the pause it may again; and at once where the last attempt has worked since.
  attempts "60 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  [[ ${lines[1]} != *"failed"* ]]
  attempts "9 gw-b failed" "5 gw-b switched"
  plan --history history.csv --return-after 0
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: one that must leave goes to where it failed if nobody else can have it" {
  three
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.5,0
  attempts "5 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  [[ ${lines[1]} == *"; it failed there 5 min ago, and nothing better passes"* ]]
  # And to where it did so less often.
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.7,0
  attempts "9 gw-b failed" "8 gw-c failed" "5 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-c mandatory"
  [[ ${lines[1]} == *"; not to gw-b, where it failed 2 times in a row, the last 5 min ago"* ]]
}

@test "migrate-plan: a target that failed goes behind others, though a copy is kept there" {
  three
  routes v,gw-a,uncommitted,gw-b
  health gw-a,0.2,0 gw-b,0.8,0 gw-c,0.97,0
  attempts "5 gw-b aborted"
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  attempts "5 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-c mandatory"
}

@test "migrate-plan: the pause after failures in a row is twice that before, up to a day" {
  three
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.7,0
  local ago to
  for ago in 119,gw-c 120,gw-b; do
    attempts "$((${ago%,*} + 300)) gw-b failed" "${ago%,*} gw-b failed"
    plan --history history.csv
    expect_moves "v gw-a ${ago#*,} mandatory"
  done
  # More than a day before the last is forgotten, and no pause is longer.
  attempts "$((119 + 1440)) gw-b failed" "119 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  for to in 1439,gw-c 1440,gw-b; do
    local rows=()
    for ago in 5 4 3 2 1 0; do
      rows+=("$((${to%,*} + ago)) gw-b failed")
    done
    attempts "${rows[@]}"
    plan --history history.csv
    expect_moves "v gw-a ${to#*,} mandatory"
  done
}

@test "migrate-plan: a move that can wait is not tried again at once" {
  three
  health gw-a,0.7,0 gw-b,0.99,0 gw-c,0.8,0
  attempts "5 gw-b failed"
  plan --history history.csv --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 5-cooldown refused
  [[ $(<verdicts.csv) == *"the move to gw-b failed 5 min ago: not again within 60 min"* ]]
  attempts "61 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-b optional"
}

@test "migrate-plan: a standby is not made at once where it could not be, and made there for want of others" {
  three
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.7,0
  attempts "5 gw-b failed standby"
  plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-c standby"
  [[ ${lines[1]} == *"; not to gw-b, where it failed 5 min ago"* ]]
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.3,0
  plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-b standby"
  [[ ${lines[1]} == *"; it failed there 5 min ago, and nothing better passes"* ]]
}

@test "migrate-plan: a standby that is lost again goes elsewhere, not the first time" {
  three
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.7,0
  sed -i "s/^v,.*/v,gw-a,1,steady,,1048576,$((NOW - 100))/" routes.csv
  attempts "5 gw-b deferred standby stands by: mirrored"
  plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-b standby"
  echo "$((NOW - 200)),m1,v,gw-a,gw-b,redirect,begin,0,1048576,,x,resumed; was lost 1 time in a row" >>history.csv
  plan --standby --changed changed.csv --history history.csv
  expect_moves "v gw-a gw-c standby"
}

@test "migrate-plan: a group goes elsewhere if one of it has failed" {
  three
  routes v,gw-a w,gw-a
  groups v,g w,g
  health gw-a,0.2,0 gw-b,0.97,0 gw-c,0.7,0
  attempts "5 gw-b failed"
  plan --history history.csv
  expect_moves "v gw-a gw-c mandatory" "w gw-a gw-c mandatory"
}
