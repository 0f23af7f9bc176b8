#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A standby that is lost again and again is not made anew at once each time.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load ahead

# lose: gw-b goes away under the mirror, the director gives it up, and it comes back.
lose()
{
  stop_gateway gw-b
  put 7 0 4k
  wait_for 30 owner_is gw-a 1 steady
  start_gateway gw-b
}

# losses: how many the journal knows of.
losses()
{
  grep -c ',stalled,.*"\?lost its mirror (' state/migrations/v-2.csv
}

@test "migrate-exec: a standby that was lost is mirrored again at once, the next time after a pause" {
  ahead
  lose
  run --separate-stderr -0 migrate-exec --resume
  [[ -z $stderr && ${lines[1]} == *",resumed; was lost 1 time in a row" ]]
  stands
  [[ $(losses) == 1 ]]
  run -1 grep 'lost its mirror' state/history.csv
  lose
  cp state/history.csv history.before
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" ]]
  [[ $stderr == "migrate-exec: 'v-2': gw-b does not stand by: it was lost 2 times in a row: again in "*" s" ]]
  [[ $(losses) == 2 ]]
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $output == "$EVENT_HEADER" && $stderr == *"it was lost 2 times in a row: again in "*" s" ]]
  [[ $(losses) == 2 ]]
  owner_is gw-a 1 steady
  cmp state/history.csv history.before
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[1]} == *",stalled,"*"lost its mirror (2 in a row): stood by for "*" s; not mirrored again before 1"* ]]
  pause_over
  run --separate-stderr -0 migrate-exec --resume
  [[ -z $stderr && ${lines[1]} == *",resumed; was lost 2 times in a row" ]]
  [[ $(steps) == "v-2,redirect,begin "*"v-2,replicate,deferred " ]]
  stands
  cmp gw-a/v gw-b/v
  # What a director's end leaves was not lost.
  stop director
  serve
  run --separate-stderr -0 migrate-exec --resume
  [[ ${lines[1]} == *",redirect,begin,"*",resumed" ]]
  stands
  [[ $(losses) == 2 ]]
}

@test "migrate-exec: a volume that has to leave does not wait for the pause of a lost standby" {
  local to
  ahead
  lose
  run -0 migrate-exec --resume
  stands
  lose
  run --separate-stderr -0 migrate-exec --resume
  [[ $stderr == *"again in "*" s" ]]
  cp -r state state.before
  cp gw-a/v original
  for to in gw-b gw-c; do
    run --separate-stderr -0 migrate-exec <(plan gw-a $to 1 mandatory)
    [[ -z $stderr ]]
    owner_is $to 2 uncommitted
    served
    stop director
    rm -r state
    cp -r state.before state
    serve
  done
}

@test "I4: kill -9 while a loss is noted: it is noted once" {
  needs_preload migrate-exec
  ahead
  lose
  local n
  for n in 1 2 3; do
    GS_FAULT=sync:$n:kill LD_PRELOAD=$INJECT migrate-exec --resume >out 2>&1 || true
    [[ $(losses) != 1 ]] || break
  done
  [[ $(losses) == 1 ]]
  owner_is gw-a 1 steady
  run --separate-stderr -0 migrate-exec --resume
  [[ -z $stderr && ${lines[1]} == *",resumed; was lost 1 time in a row" ]]
  [[ $(losses) == 1 ]]
  stands
}

@test "migrate-exec: a standby row whose attempts fail is left for a while, other rows are not" {
  fleet
  stop_gateway gw-b
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $(steps) == "v-2,redirect,begin v-2,redirect,failed " ]]
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $(steps) == "v-2.2,redirect,begin v-2.2,redirect,failed " ]]
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1 standby)
  [[ $stderr == "migrate-exec: left 'v': its standby on gw-b has failed 2 times in a row: not before 1"* ]]
  [[ $output == "$EVENT_HEADER" && ! -e state/migrations/v-2.3.csv ]]
  # An hour later.
  start_gateway gw-b
  for id in v-2 v-2.2; do
    awk -F, -v OFS=, 'NR > 1 { $1 -= 3600 } 1' OFMT=%.6f CONVFMT=%.6f state/migrations/$id.csv >aged
    cp aged state/migrations/$id.csv
  done
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1 standby)
  stands
  run -0 migrate-exec --abort v-2.3
  stop_gateway gw-b
  for _ in 1 2; do
    run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 1 standby)
  done
  run --separate-stderr -75 migrate-exec <(plan gw-a gw-b 1 standby)
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 1 standby)
  stands gw-c
}

@test "migrate-exec: a standby row waits for its gateway's failures, whatever was tried elsewhere" {
  fleet
  stop_gateway gw-b
  stop_gateway gw-c
  local to
  for to in gw-b gw-c gw-b gw-c; do
    run --separate-stderr -1 migrate-exec <(plan gw-a $to 1 standby)
  done
  for to in gw-b gw-c; do
    run --separate-stderr -75 migrate-exec <(plan gw-a $to 1 standby)
    [[ $stderr == "migrate-exec: left 'v': its standby on $to has failed 2 times in a row: not before 1"* ]]
  done
  [[ ! -e state/migrations/v-2.5.csv ]]
}
