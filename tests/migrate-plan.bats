#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-plan: what moves, what stays, and why.  The decisions themselves have unit tests too
# (tests/unit/plan.c, plan_random.c); here they are made from records.

load helpers
load planner

# ---- the table of small fleets ----

@test "migrate-plan: an equal fleet stays: a header and no rows" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.9 v,gw-b,0.9
  plan --explain=verdicts.csv
  [[ $output == "$HEADER" && -z $stderr ]]
  expect_verdict v gw-b 4-margin stay
}

@test "migrate-plan: 0.2 ms nearer is not worth a move" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.8333 v,gw-b,1
  plan --explain=verdicts.csv
  [[ $output == "$HEADER" ]]
  expect_verdict v gw-b 4-margin stay
}

@test "migrate-plan: a volume leaves a gateway at 0.8 for one at 0.97" {
  health gw-a,0.8,0 gw-b,0.97,0
  plan
  [[ $output == "$HEADER
$NOW,v,gw-a,gw-b,1,optional,0.6700,0.3300,0.8000,0.9700,0.5000,1048576,,\"optional: gw-a health 0.80, \
gw-b healthy 0.97; affinity 0.50 to 0.50; benefit 0.67; copies 1.0 MiB in about 1 s\"" ]]
  [[ -z $stderr ]]
}

@test "migrate-plan: strong affinity does not hold a volume on a failing gateway" {
  health "gw-a,0.15,0.83,nbd_read_us rising" gw-b,0.97,0
  affinity v,gw-a,1 v,gw-b,0.1
  plan
  expect_moves "v gw-a gw-b mandatory"
  [[ $output == *"mandatory: gw-a p_fail 0.83 (nbd_read_us rising), gw-b healthy 0.97;"* ]]
}

@test "migrate-plan: a healthy gateway drains" {
  gateways gw-a,drain gw-b,active
  health gw-a,0.98,0 gw-b,0.7,0
  affinity v,gw-a,1 v,gw-b,0.1
  plan
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: a sicker target is refused" {
  health gw-a,0.9,0 gw-b,0.7,0
  affinity v,gw-a,0 v,gw-b,1
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 2-health refused
}

@test "migrate-plan: the reason tells what the source would be but for its load" {
  printf '%s\n' time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason,unloaded \
    $((NOW - 10)),gw-a,0.80,,0,86400,0.9,,,0.98 $((NOW - 10)),gw-b,0.97,,0,86400,0.9,,,0.97 >health.csv
  plan
  expect_moves "v gw-a gw-b optional"
  [[ ${lines[1]} == *'"optional: gw-a health 0.80 (0.98 but for its load), gw-b healthy 0.97; '* ]]
}

@test "migrate-plan: a silent gateway is neither left nor a target" {
  routes v,gw-a w,gw-b
  health gw-a,, gw-b,0.3,0
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 2-health refused
  expect_verdict w gw-a 1-placement refused
}

@test "migrate-plan: a boomerang after the repair is refused" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.2 v,gw-b,0.9
  history "48 gw-b gw-a mandatory: gw-b health 0.10; affinity 0.90 to 0.20"
  plan --history history.csv --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 5-cooldown refused
  plan --history history.csv --return-after 47h
  expect_moves "v gw-a gw-b optional"
}

@test "migrate-plan: a history that its writer left empty, or with a torn last line, holds up no plan" {
  health "gw-a,0.15,0.83,nbd_read_us rising" gw-b,0.97,0
  : >history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  history "48 gw-b gw-a mandatory: gw-b health 0.10"
  truncate -s -3 history.csv
  plan --history history.csv
  [[ $stderr == *"history.csv:3: "*": left out, as it has no newline yet"* ]]
  # Not so a whole one.
  echo >>history.csv
  run --separate-stderr -65 migrate-plan --now "$NOW" --routes routes.csv --health health.csv \
    --history history.csv
  [[ $stderr == "migrate-plan: history.csv:3: "* ]]
}

@test "migrate-plan: what must leave goes elsewhere rather than back to where it was of late" {
  gateways gw-a,active gw-b,active gw-c,active
  health "gw-a,0.15,0.83,nbd_read_us rising" gw-b,0.97,0 gw-c,0.97,0
  affinity v,gw-a,0.9 v,gw-b,0.8 v,gw-c,0.6
  history "10 gw-b gw-a optional: x; affinity 0.80 to 0.90"
  plan --history history.csv --explain=verdicts.csv
  expect_moves "v gw-a gw-c mandatory"
  grep -q ',stay,gw-c is the better target: gw-b was left of late$' verdicts.csv
  plan --history history.csv --return-after 9h
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: following the sun goes both ways" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.2 v,gw-b,0.9
  history "24 gw-a gw-b optional: x; affinity 0.20 to 0.90" \
    "12 gw-b gw-a optional: x; affinity 0.90 to 0.20"
  plan --history history.csv
  expect_moves
  history "24 gw-a gw-b optional: x; affinity 0.20 to 0.90" \
    "12 gw-b gw-a optional: x; affinity 0.20 to 0.90"
  plan --history history.csv
  expect_moves "v gw-a gw-b optional"
}

@test "migrate-plan: the plan's own reason in the history is enough to follow the sun" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.2 v,gw-b,0.9
  plan
  local reason=${lines[1]##*,\"}
  history "12 gw-b gw-a ${reason%\"}"
  plan --history history.csv
  expect_moves "v gw-a gw-b optional"
}

@test "migrate-plan: a gain that two decimals would round to the margin is told in four" {
  health gw-a,0.97,0 gw-b,0.97,0
  affinity v,gw-a,0.2044 v,gw-b,0.5046
  plan
  [[ ${lines[1]} == *"; affinity 0.2044 to 0.5046; "* ]]
  local reason=${lines[1]##*,\"}
  affinity v,gw-b,0.2 v,gw-a,0.9
  routes v,gw-b
  history "12 gw-a gw-b ${reason%\"}"
  plan --history history.csv
  expect_moves "v gw-b gw-a optional"
}

# ---- limits and projection ----

@test "migrate-plan: moves at once are limited, and the limits are options" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a v2,gw-a v3,gw-a
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0
  plan
  expect_moves "v1 gw-a gw-b mandatory"
  plan --max-per-source 3
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-c mandatory"
  plan --max-per-source 3 --max-per-target 3
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-b mandatory" "v3 gw-a gw-b mandatory"
  plan --max-per-source 3 --max-per-target 3 --max-moves 2
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-b mandatory"
}

@test "migrate-plan: one goes elsewhere so that another can leave too" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a w,gw-a
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0
  printf '%s\n' volume,size_bytes,policy,gateways v,,auto, w,,auto,"gw-a gw-b" \
    >"$GATESHIFT_CONFIG/volumes.csv"
  plan --max-per-source 2 --improve 0
  expect_moves "v gw-a gw-b mandatory"
  plan --max-per-source 2 --explain=verdicts.csv
  expect_moves "v gw-a gw-c mandatory" "w gw-a gw-b mandatory"
  expect_verdict v gw-c "" move
  expect_verdict w gw-b "" move
}

@test "migrate-plan: kept copies and planned moves take room, which a kept copy has already" {
  gateways gw-a,active gw-b,active,3145728 gw-c,active
  routes v1,gw-a v2,gw-a v3,gw-a kept,gw-c,uncommitted,gw-b
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.5,0
  plan --max-per-source 9 --max-per-target 9 --retain 12d --explain=verdicts.csv
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-b mandatory"
  expect_verdict v3 gw-b 1-placement refused
  expect_verdict kept "" 1-placement refused
  gateways gw-a,active gw-b,active,1048576
  routes kept,gw-a,uncommitted,gw-b v1,gw-a
  plan --max-per-source 9 --max-per-target 9
  expect_moves "kept gw-a gw-b mandatory"
}

@test "migrate-plan: a volume that has just come flees back to its kept copy, or lets it go" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-b,uncommitted,gw-a
  health gw-a,0.8,0 gw-b,0.1,0.9 gw-c,0.97,0
  plan --retain 12d
  expect_moves "v gw-b gw-a mandatory"
  [[ ${lines[1]} == *"; back to the copy that is kept there\"" ]]
  health gw-a,0.5,0 gw-b,0.1,0.9 gw-c,0.97,0
  plan --retain 12d
  expect_moves "v gw-b gw-c mandatory"
  [[ ${lines[1]} == *"; the copy on gw-a is let go first\"" ]]
  # Neither can be done with a gateway that is silent.
  health gw-a,,, gw-b,0.1,0.9 gw-c,0.97,0
  plan --retain 12d
  expect_moves "v gw-b gw-c mandatory"
  [[ ${lines[1]} == *"; the copy on gw-a is left behind if its gateway is dead\"" ]]
  health gw-a,,, gw-b,0.7,0 gw-c,0.97,0
  plan --retain 0 --explain=verdicts.csv
  expect_moves
  expect_verdict v "" 1-placement refused
}

@test "migrate-plan: what can wait does until a kept copy was kept for --retain" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-b,uncommitted,gw-a
  health gw-a,0.9,0 gw-b,0.7,0 gw-c,0.97,0
  plan --retain 998999s --explain=verdicts.csv
  expect_moves "v gw-b gw-c optional"
  plan --retain 999001s --explain=verdicts.csv
  expect_moves
  expect_verdict v "" 1-placement refused
  # A gateway that may be dead would hold it up.
  health gw-a,0.1,0.9 gw-b,0.7,0 gw-c,0.97,0
  plan
  expect_moves
}

@test "migrate-plan: those that only go back to their copies do not wait for one another" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-b,uncommitted,gw-a v2,gw-b,uncommitted,gw-a v3,gw-b,uncommitted,gw-a v4,gw-b v5,gw-b
  health gw-a,0.8,0 gw-b,0.1,0.9 gw-c,0.97,0
  printf '%s\n' volume,gateway,bytes v1,gw-a,0 v2,gw-a,4096 v3,gw-a,1099511627776 >changed.csv
  plan --changed changed.csv
  expect_moves "v1 gw-b gw-a mandatory" "v2 gw-b gw-a mandatory" "v4 gw-b gw-c mandatory"
  plan --changed changed.csv --max-moves 0
  expect_moves "v1 gw-b gw-a mandatory" "v2 gw-b gw-a mandatory"
  # What is not known may be anything.
  printf '%s\n' volume,gateway,bytes v1,gw-a,0 >changed.csv
  plan --changed changed.csv --max-moves 0
  expect_moves "v1 gw-b gw-a mandatory"
}

@test "migrate-plan: the forecast's peak must fit the target's iops_limit" {
  gateways gw-a,active gw-b,active,,10
  health gw-a,0.1,0.9 gw-b,0.97,0
  affinity v,gw-a,0.5,216000 v,gw-b,0.5,216000
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 1-placement refused
  plan --peak-factor 1
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: volumes.csv gives policy, allowed gateways and size" {
  gateways gw-a,active gw-b,active gw-c,active
  routes manual,gw-a pinned,gw-a choosy,gw-a
  cat >"$GATESHIFT_CONFIG/volumes.csv" <<'END'
volume,size_bytes,policy,gateways
manual,,manual,
pinned,,pinned,
choosy,,auto,gw-a gw-c
END
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0
  plan --max-per-source 9 --max-per-target 9
  expect_moves "choosy gw-a gw-c mandatory" "manual gw-a gw-b shadow"
  plan --max-per-source 9 --max-per-target 9 --force
  expect_moves "pinned gw-a gw-b mandatory" "choosy gw-a gw-c mandatory" "manual gw-a gw-b shadow"
}

@test "migrate-plan: --shadow plans the same moves, but none to be executed" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a w,gw-c x,gw-c
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.75,0
  plan --max-per-target 9 --record tape
  expect_moves "v gw-a gw-b mandatory" "w gw-c gw-b optional"
  plan --max-per-target 9 --shadow
  expect_moves "v gw-a gw-b shadow" "w gw-c gw-b shadow"
  run --separate-stderr -0 migrate-plan --replay tape --shadow
  expect_moves "v gw-a gw-b shadow" "w gw-c gw-b shadow"
}

@test "migrate-plan: volumes that are to be kept apart are, also when they must move" {
  gateways gw-a,active gw-b,active gw-c,active gw-d,active
  routes db1,gw-a db2,gw-a db3,gw-b web,gw-a
  printf '%s\n' volume,size_bytes,policy,gateways,anti db1,,auto,,db db2,,auto,,db db3,,auto,,db \
    >"$GATESHIFT_CONFIG/volumes.csv"
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0 gw-d,0.5,0
  plan --max-per-source 9 --max-per-target 9 --explain=verdicts.csv
  expect_moves "web gw-a gw-b mandatory" "db1 gw-a gw-c mandatory"
  expect_verdict db2 gw-c 1-placement refused
  grep -q "gw-b has or gets a volume to keep apart from: anti 'db'" verdicts.csv
}

# ---- draining and groups ----

@test "migrate-plan: --drain evacuates a gateway and says how far that is" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a v2,gw-a kept,gw-b,uncommitted,gw-a other,gw-c
  health gw-a,0.98,0 gw-b,0.9,0 gw-c,0.9,0
  plan --drain gw-a
  expect_moves "v1 gw-a gw-b mandatory"
  [[ $stderr == "migrate-plan: drain: gw-a has 2 volumes and 1 kept copies; 1 leave by this plan" ]]
  plan --drain gw-a --max-per-source 9
  expect_moves "v1 gw-a gw-b mandatory" "v2 gw-a gw-c mandatory"
  [[ ${lines[1]} == *"mandatory: gw-a drains, gw-b healthy 0.90;"* ]]
  EXPECT=-64 plan --drain gw-x
  [[ -z $output && $stderr == "migrate-plan: cannot drain 'gw-x': it is not in gateways.csv" ]]
}

@test "migrate-plan: --drain copies nothing from a gateway that is down" {
  gateways gw-a,down gw-b,active
  health gw-b,0.9,0
  plan --drain gw-a --explain=verdicts.csv
  expect_moves
  [[ $stderr == *"gw-a is down and has 1 volumes"* ]]
  grep -q "source unreachable: gw-a is down" verdicts.csv
}

@test "migrate-plan: --drain leaves the only healthy copy with --force only" {
  health gw-a,0.98,0 gw-b,0.55,0
  plan --drain gw-a --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 2-health refused
  grep -q "gw-b health 0.55 is below the floor 0.60: gw-a has the only healthy copy" verdicts.csv
  plan --drain gw-a --force
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: --replay drains what --record drained, or what it is told" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-a w,gw-b
  health gw-a,0.98,0 gw-b,0.97,0 gw-c,0.9,0
  plan --drain gw-a --record tape
  expect_moves "v gw-a gw-b mandatory"
  run --separate-stderr -0 migrate-plan --replay tape
  expect_moves "v gw-a gw-b mandatory"
  run --separate-stderr -0 migrate-plan --replay tape --drain gw-b
  expect_moves "w gw-b gw-a mandatory"
}

@test "migrate-plan: a group moves together, as one move, or not at all" {
  routes db,gw-a log,gw-a web,gw-a
  groups db,shop log,shop
  health gw-a,0.97,0 gw-b,0.97,0
  # The demand of both together has 0.27 there and 0.83 here: 0.2 to 0.9 of db weighs ten times.
  affinity db,gw-a,0.2,1000 db,gw-b,0.9,1000 log,gw-a,0.9,100 log,gw-b,0.1,100 \
    web,gw-a,0.9 web,gw-b,0.1
  plan
  expect_moves "db gw-a gw-b optional" "log gw-a gw-b optional"
  [[ ${lines[2]} == *"affinity 0.26 to 0.83; benefit 0.83; copies 1.0 MiB in about 1 s; group 'shop' of 2\"" ]]
  affinity db,gw-a,0.2,100 db,gw-b,0.9,100 log,gw-a,0.9,1000 log,gw-b,0.1,1000 \
    web,gw-a,0.9 web,gw-b,0.1
  plan
  expect_moves
}

@test "migrate-plan: a pinned volume holds its group, but not on a failing gateway" {
  routes db,gw-a log,gw-a
  groups db,shop log,shop,pinned
  health gw-a,0.7,0 gw-b,0.97,0
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict db "" 1-placement refused
  grep -q "group 'shop' moves together; log: pinned" verdicts.csv
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan
  expect_moves "db gw-a gw-b mandatory"
}

@test "migrate-plan: a group needs room for all of it, and must not keep apart" {
  gateways gw-a,active gw-b,active,1048576
  routes db,gw-a log,gw-a
  groups db,shop log,shop
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict log gw-b 1-placement refused
  grep -q "group 'shop' moves together; log: no room on gw-b" verdicts.csv
  gateways gw-a,active gw-b,active
  plan
  expect_moves "db gw-a gw-b mandatory" "log gw-a gw-b mandatory"
  groups db,shop,,x log,shop,,x
  plan
  expect_moves
}

# ---- when ----

@test "migrate-plan: what can wait waits for a window, what must move does not" {
  # Now is 13:46:40 on 1970-01-12.
  health gw-a,0.7,0 gw-b,0.97,0
  calendar window,22:30,05:00
  plan
  expect_moves "v gw-a gw-b optional"
  expect_start v 1031400
  calendar window,22:30,05:00 window,13:00,14:00
  plan
  expect_start v ""
  calendar window,22:30,05:00
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan
  expect_moves "v gw-a gw-b mandatory"
  expect_start v ""
}

@test "migrate-plan: nothing that can wait starts on a blackout date" {
  health gw-a,0.7,0 gw-b,0.97,0
  calendar blackout,1970-01-12,1970-01-13
  plan
  expect_start v 1123200
  calendar blackout,1970-01-01,1999-12-31
  plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 8-calendar refused
  calendar window,22:30,22:30
  EXPECT=-78 plan
  [[ -z $output ]]
  [[ $stderr == "migrate-plan: $GATESHIFT_CONFIG/calendar.csv:2: no window HH:MM to HH:MM '22:30' to '22:30'" ]]
}

@test "migrate-plan: with a forecast, what can wait starts when its copy meets the fewest requests" {
  # The hours start at 997200.  A copy takes an hour.
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v 100 100 100 5 100 100 100 100 1 100
  plan --forecast forecast.csv --copy-rate 292
  expect_start v 1008000
  plan --forecast forecast.csv --copy-rate 292 --start-window 0
  expect_start v ""
  plan --forecast forecast.csv --copy-rate 292 --start-window 2h
  expect_start v ""
  calendar window,18:00,23:00
  plan --forecast forecast.csv --copy-rate 292
  expect_start v 1015200
  plan --forecast forecast.csv --copy-rate 292 --start-window 9h
  expect_start v 1026000
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --forecast forecast.csv --copy-rate 292
  expect_moves "v gw-a gw-b mandatory"
  expect_start v ""
}

@test "migrate-plan: the quiet time is as long as the copy, at the rate that was measured" {
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v 100 100 100 5 100 1 1 100 100 100
  plan --forecast forecast.csv --copy-rate 292
  expect_start v 1008000
  # 1 MiB in two hours.
  plan --forecast forecast.csv --copy-rate 145
  expect_start v 1015200
  cat >history.csv <<'END'
time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
1000,m1,other,gw-a,gw-b,redirect,begin,,8738,,,
1060,m1,other,gw-a,gw-b,handover,switched,8738,8738,9,,
END
  plan --forecast forecast.csv --history history.csv
  expect_start v 1015200
}

@test "migrate-plan: what a move gains does not wait for a quiet hour that saves less" {
  health gw-a,0.7,0 gw-b,0.97,0
  # 222 requests until 1008000 gain 0.27 each, 60 in all: as many as an hour's copy may save.
  forecast v 100 100 100 41 100
  plan --forecast forecast.csv --copy-rate 292
  expect_start v ""
  sed -i '/,41,/s/41/39/g' forecast.csv
  plan --forecast forecast.csv --copy-rate 292
  expect_start v 1008000
  # A copy of a second saves next to nothing, however quiet the night is.
  plan --forecast forecast.csv --copy-rate 1M
  expect_start v ""
  # What follows the demand gains more.
  affinity v,gw-a,0.3 v,gw-b,0.4
  plan --forecast forecast.csv --copy-rate 292
  expect_start v ""
}

@test "migrate-plan: the affinity that asks for a move looks no further than its horizon" {
  health gw-a,0.7,0 gw-b,0.97,0
  # Two hours' copy; 6.2 hours until nobody asks.
  forecast v 10 10 10 10 10 10 10 0 0 10
  plan --forecast forecast.csv --copy-rate 146 --start-window 9h
  expect_start v 1022400
  affinity v,gw-a,0.5 v,gw-b,0.5
  plan --forecast forecast.csv --copy-rate 146 --start-window 9h
  expect_start v ""
}

@test "migrate-plan: load is projected hour by hour" {
  gateways gw-a,active gw-b,active,,10
  routes v,gw-a w,gw-b
  health gw-a,0.1,0.9 gw-b,0.97,0
  forecast w 0 14400 0
  forecast v 0 0 14400
  plan --forecast forecast.csv
  expect_moves "v gw-a gw-b mandatory"
  rm forecast.csv
  forecast w 0 14400 0
  forecast v 0 14400 0
  plan --forecast forecast.csv --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 1-placement refused
  grep -q "gw-b would be overloaded: 160% of 10 requests/s at peak" verdicts.csv
  # Two sites of one volume add up.
  rm forecast.csv
  forecast v 0 0 14400
  forecast v 0 0 14400
  plan --forecast forecast.csv
  expect_moves
}

@test "migrate-plan: a volume without forecast counts with the mean of its affinity" {
  gateways gw-a,active gw-b,active,,10
  routes v,gw-a w,gw-b
  health gw-a,0.1,0.9 gw-b,0.97,0
  affinity w,gw-a,0.5,108000 w,gw-b,0.5,108000
  forecast v 0 3600
  plan --forecast forecast.csv
  expect_moves
  plan --forecast forecast.csv --peak-factor 1.6
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: no optional move makes its target busier than the source was" {
  gateways gw-a,active,,100 gw-b,active,,10
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v 16200 16200
  plan --forecast forecast.csv --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 1-placement refused
  grep -q "gw-b would be busier than gw-a is: 90% against 9% of their limits" verdicts.csv
  plan --forecast forecast.csv --busy 0.95
  expect_moves "v gw-a gw-b optional"
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --forecast forecast.csv
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: a recording has the forecast too, and rows may come in any order" {
  health gw-a,0.7,0 gw-b,0.97,0
  forecast v 100 100 100 5
  plan --forecast forecast.csv --copy-rate 292 --record tape
  expect_start v 1008000
  local first=$output
  rm forecast.csv
  run --separate-stderr -0 migrate-plan --replay tape --copy-rate 292
  [[ $output == "$first" ]]
  { head -n 1 tape/forecast.csv && tail -n +2 tape/forecast.csv | tac; } >forecast.csv
  plan --forecast forecast.csv --copy-rate 292
  [[ $output == "$first" ]]
}

@test "migrate-plan: a recording has the calendar too" {
  health gw-a,0.7,0 gw-b,0.97,0
  calendar window,22:30,05:00
  plan --record tape
  expect_start v 1031400
  calendar window,12:00,15:00
  run --separate-stderr -0 migrate-plan --replay tape
  expect_start v 1031400
}

@test "migrate-plan: --notify is called for alarms, deferred and manual-recovery volumes" {
  printf '#!/bin/sh\nprintf "<%%s>" "$@" >>%q; echo >>%q; echo said\n' "$PWD/told" "$PWD/told" >tell
  chmod +x tell
  gateways gw-a,active gw-b,active gw-c,active
  routes v,gw-b
  health gw-a,0.97,0 gw-b,0.97,0 gw-c,0.97,0
  plan --notify "$PWD/tell at night"
  [[ ! -e told && -z $stderr ]]
  routes v,gw-b w,gw-b,deferred,gw-a x,gw-b,manual-recovery,gw-a y,gw-b,deferred,gw-a
  health "gw-a,0.15,0.83,reads slow; \$(date)" gw-b,0.97,0 gw-c,,
  plan --notify "$PWD/tell at night"
  [[ $output == "$HEADER" && $stderr == $'said\nsaid\nsaid' ]]
  [[ $(<told) == '<at><night><alarm><2><gw-a: health 0.15, p_fail 0.83, reads slow; $(date); gw-c: silent>
<at><night><manual-recovery><1><x>
<at><night><deferred><2><w; y>' ]]
}

@test "migrate-plan: a notify command that fails or hangs harms no plan" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  plan --notify false
  expect_moves "v gw-a gw-b mandatory"
  [[ $stderr == "migrate-plan: cannot notify of alarm: 'false' ended with status 1" ]]
  GATESHIFT_NOTIFY="sleep 600" plan --notify-timeout 100ms
  expect_moves "v gw-a gw-b mandatory"
  [[ $stderr == *"cannot notify of alarm: 'sleep' ended with status 1" ]]
  printf '#!/bin/sh\nsleep 600 & wait\n' >hang
  chmod +x hang
  plan --notify ./hang --notify-timeout 100ms
  expect_moves "v gw-a gw-b mandatory"
  [[ $stderr == "migrate-plan: cannot notify of alarm: './hang' was killed after 0.1 s" ]]
  plan --notify ./none
  [[ $stderr == "migrate-plan: cannot notify of alarm: './none' ended with status 127" ]]
}

# ---- inputs ----

@test "migrate-plan: a migration that the history has open holds its volume, takes room and counts" {
  gateways gw-a,active gw-b,active,2097152 gw-c,active
  routes v,gw-a w,gw-a x,gw-c y,gw-c
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.7,0
  cat >history.csv <<'CSV'
time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail
999990,v-2,v,gw-a,gw-b,redirect,begin,,,,,
CSV
  plan --history history.csv --explain=verdicts.csv
  expect_moves
  grep -q "migration v-2 is open, says the history: resume or abort it" verdicts.csv
  expect_verdict w gw-b 7-limits refused
  plan --history history.csv --max-per-source 9 --max-per-target 9 --explain=verdicts.csv
  expect_moves "w gw-a gw-b mandatory"
  expect_verdict x gw-b 1-placement refused
  # What has ended, whatever comes after, or is older than the route, is not open.
  echo 999991,v-2,v,gw-a,gw-b,redirect,aborted,,,,, >>history.csv
  echo 999992,v-2,v,gw-a,gw-b,redirect,pass,,,,, >>history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
  sed -i -e '/aborted/d' -e 's/^9999/9/' history.csv
  plan --history history.csv
  expect_moves "v gw-a gw-b mandatory"
}

@test "migrate-plan: routes come from the store, history from the state folder" {
  route-set w gw-a --size 1M
  health gw-a,0.7,0 gw-b,0.97,0
  run --separate-stderr -0 migrate-plan --now "$NOW" --health health.csv
  expect_moves "w gw-a gw-b optional"
  history "1 gw-b gw-a x"
  sed 's/,v,/,w,/' history.csv >"$GATESHIFT_STATE/history.csv"
  run --separate-stderr -0 migrate-plan --now "$NOW" --health health.csv
  expect_moves
}

@test "migrate-plan: without a store there is nothing to plan from" {
  health gw-a,0.7,0 gw-b,0.97,0
  run --separate-stderr -66 migrate-plan --health health.csv
  [[ -z $output ]]
  [[ $stderr == "migrate-plan: cannot open '$GS/state/routes.log': no such file or directory" ]]
}

@test "migrate-plan: a store or a history that cannot be read is told once, and is not none" {
  health gw-a,0.7,0 gw-b,0.97,0
  mkdir "$GATESHIFT_STATE/routes.log"
  run --separate-stderr -66 migrate-plan --health health.csv
  [[ $stderr == "migrate-plan: cannot open '$GS/state/routes.log': is a directory" ]]
  rmdir "$GATESHIFT_STATE/routes.log"
  route-set w gw-a --size 1M
  ln -s history.csv "$GATESHIFT_STATE/history.csv"
  run --separate-stderr -66 migrate-plan --health health.csv
  [[ $stderr == "migrate-plan: cannot open '$GS/state/history.csv': too many levels of symbolic links" ]]
  rm "$GATESHIFT_STATE/history.csv"
  route-set w gw-b --size 1M
  sed -i '2s/gw-a/gw-c/' "$GATESHIFT_STATE/routes.log"
  local args
  for args in '' '--record tape'; do
    # shellcheck disable=SC2086 # words
    run --separate-stderr -65 migrate-plan --health health.csv $args
    [[ $stderr == "migrate-plan: $GS/state/routes.log:2: checksum does not fit; see route-set(1), FILES" ]]
  done
  [[ -z $(find tape -name 'routes.csv*') ]]
}

@test "migrate-plan: the order of rows does not matter, nor do older rows" {
  gateways gw-a,active gw-b,active gw-c,active
  routes v1,gw-a v2,gw-a v3,gw-b
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0
  affinity v1,gw-a,0.5 v1,gw-b,0.6 v1,gw-c,0.7 v2,gw-a,0.1 v2,gw-b,0.2 v2,gw-c,0.3
  plan --explain=forth.csv
  local plan=$output file
  echo "$((NOW - 300)),gw-c,0,,1,86400,0.9,," >>health.csv
  for file in routes.csv health.csv affinity.csv "$GATESHIFT_CONFIG/gateways.csv"; do
    { head -n 1 "$file" && tail -n +2 "$file" | tac; } >turned
    mv turned "$file"
  done
  plan --explain=back.csv
  [[ $output == "$plan" ]]
  cmp forth.csv back.csv
}

@test "migrate-plan: contradicting records are refused with 65" {
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-b,0.5,0
  EXPECT=-65 plan
  [[ -z $output ]]
  [[ $stderr == "migrate-plan: health.csv:4: contradicts an earlier score of the same time" ]]
  health gw-a,0.1,0.9 gw-b,0.97,0
  affinity v,gw-a,0.5 v,gw-a,0.6
  EXPECT=-65 plan
  [[ $stderr == "migrate-plan: affinity.csv:3: contradicts an earlier score of the same time" ]]
  affinity
  routes v,gw-a v,gw-b
  EXPECT=-65 plan
  [[ $stderr == "migrate-plan: routes.csv:3: a second route of volume 'v'" ]]
}

@test "migrate-plan: a gateway that is not listed is named and left out" {
  routes v,gw-a w,gw-x
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-y,0.97,0
  plan --explain=verdicts.csv
  expect_moves "v gw-a gw-b mandatory"
  [[ $stderr == "migrate-plan: routes.csv:3: gateway 'gw-x' of volume 'w' is not in gateways.csv: \
volume left alone
migrate-plan: health.csv:4: gateway 'gw-y' is not in gateways.csv: ignored" ]]
  expect_verdict w "" 1-placement refused
}

@test "migrate-plan: old and future scores move nothing" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  NOW=$((NOW + 291)) plan
  expect_moves
  NOW=$((NOW - 71)) plan --explain=verdicts.csv
  expect_moves
  expect_verdict v gw-b 6-confidence refused
  grep -q "the health of gw-b is dated 61 s ahead: clocks apart" verdicts.csv
}

@test "migrate-plan: a malformed record names file and line" {
  health gw-a,1.5,0.9
  EXPECT=-65 plan
  [[ -z $output && $stderr == "migrate-plan: health.csv:2: "* ]]
}

@test "migrate-plan: one input may be standard input" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  run --separate-stderr -0 migrate-plan --now "$NOW" --routes routes.csv --health - <health.csv
  expect_moves "v gw-a gw-b mandatory"
  run --separate-stderr -64 migrate-plan --now "$NOW" --routes - --health -
}

# ---- explaining, recording, freezing ----

@test "migrate-plan: --explain prints a table to stderr, the plan stays on stdout" {
  gateways gw-a,active gw-b,active gw-c,cordoned
  health gw-a,0.8,0 gw-b,0.97,0 gw-c,0.97,0
  plan --explain
  expect_moves "v gw-a gw-b optional"
  [[ $stderr == "\
volume  source  target  health     affinity   benefit    verdict  guard        reason
v       gw-a    gw-b    0.80 0.97  0.50 0.50  0.67 0.33  move     -            optional: gw-a health \
0.80, gw-b healthy 0.97; affinity 0.50 to 0.50; benefit 0.67; copies 1.0 MiB in about 1 s
v       gw-a    gw-c    0.80 0.97  0.50 0.50  0.67 0.33  refused  1-placement  gw-c is cordoned" ]]
}

@test "migrate-plan: --explain prints nothing that steers a terminal, whoever wrote a reason" {
  health "gw-a,0.15,0.1,$(printf '\033[2J\302\2332J \303\251t\303\251')" gw-b,0.97,0
  plan --explain
  [[ $stderr == *'(?[2J??2J été)'* && $stderr != *$'\e'* && $stderr != *$'\302\233'* ]]
}

@test "migrate-plan: --explain=FILE writes verdict records, and all or none of them" {
  health gw-a,0.97,0 gw-b,0.97,0
  plan --explain=verdicts.csv
  [[ $(<verdicts.csv) == "time,volume,source,target,benefit,reverse_benefit,source_ghs,target_ghs,\
source_das,target_das,guard,verdict,reason
$NOW,v,gw-a,gw-b,0.5000,0.5000,0.9700,0.9700,0.5000,0.5000,3-benefit,stay,\
benefit 0.50 is not above the threshold 0.50" ]]
  EXPECT=-73 plan --explain=none/verdicts.csv
  [[ -z $output && $stderr == "migrate-plan: cannot create 'none/verdicts.csv': no such file or directory" ]]
  EXPECT=-74 plan --explain=/dev/full
  [[ $stderr == "migrate-plan: cannot write '/dev/full': no space left on device" ]]
  [[ $(echo verdicts.csv*) == verdicts.csv ]]
}

@test "migrate-plan: a better target is named to the others" {
  gateways gw-a,active gw-b,active gw-c,active
  health gw-a,0.1,0.9 gw-b,0.97,0 gw-c,0.9,0
  plan --explain=verdicts.csv
  expect_verdict v gw-c "" stay
  grep -q ",stay,gw-b is the better target" verdicts.csv
}

@test "migrate-plan: --replay decides what --record saw, other limits what they would have changed" {
  route-set v gw-a --size 1M
  health gw-a,0.8,0 gw-b,0.97,0
  run --separate-stderr -0 migrate-plan --now "$NOW" --margin 0.33 --record tape --health - <health.csv
  expect_moves "v gw-a gw-b optional"
  local plan=$output
  rm -r "$GATESHIFT_STATE" "$GATESHIFT_CONFIG" health.csv
  run --separate-stderr -0 migrate-plan --replay tape
  [[ $output == "$plan" ]]
  run --separate-stderr -0 migrate-plan --replay tape --margin 0.35
  expect_moves
  run --separate-stderr -73 migrate-plan --record tape --health health.csv
  [[ $stderr == "migrate-plan: cannot record in 'tape': it holds a recording" ]]
  run --separate-stderr -66 migrate-plan --replay none
  run --separate-stderr -64 migrate-plan --replay tape --health health.csv
}

@test "migrate-plan: --record writes over nothing: not its inputs, the configuration or the state" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  routes v,gw-a
  history "1 gw-b gw-a x"
  cp history.csv "$GATESHIFT_STATE/history.csv"
  local before
  before=$(find . -name '*.csv' -exec cksum {} + | sort)
  run --separate-stderr -73 migrate-plan --now "$NOW" --routes routes.csv --health health.csv --record .
  [[ -z $output && $stderr == "migrate-plan: cannot record in '.': it holds health.csv already" ]]
  run --separate-stderr -73 migrate-plan --now "$NOW" --routes routes.csv --health health.csv --record state
  [[ -z $output && $stderr == "migrate-plan: cannot record in 'state': it holds history.csv already" ]]
  run --separate-stderr -73 migrate-plan --now "$NOW" --routes routes.csv --health health.csv --record config
  [[ -z $output && $stderr == "migrate-plan: cannot record in 'config': it holds gateways.csv already" ]]
  [[ $(find . -name '*.csv' -exec cksum {} + | sort) == "$before" ]]
}

@test "migrate-plan: frozen plans nothing and says why" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  echo "storage maintenance until six" >"$GATESHIFT_STATE/frozen"
  EXPECT=-75 plan --explain=verdicts.csv
  [[ $output == "$HEADER" ]]
  [[ $stderr == "migrate-plan: frozen by '$GATESHIFT_STATE/frozen': storage maintenance until six: \
nothing is planned" ]]
}

@test "migrate-plan: a state folder that it may not look into is not frozen, and not unfrozen" {
  local plain=()
  [[ $EUID -ne 0 ]] || plain=(setpriv --bounding-set "-dac_override,-dac_read_search" --)
  health gw-a,0.1,0.9 gw-b,0.97,0
  routes v,gw-a
  chmod 0 "$GATESHIFT_STATE"
  run --separate-stderr -66 "${plain[@]}" migrate-plan --now "$NOW" --routes routes.csv --health health.csv
  chmod 755 "$GATESHIFT_STATE"
  [[ -z $output && $stderr == "migrate-plan: cannot read '$GATESHIFT_STATE': permission denied" ]]
  # One that is there, and may not be read, is a freeze.
  : >"$GATESHIFT_STATE/frozen"
  chmod 0 "$GATESHIFT_STATE/frozen"
  run --separate-stderr -75 "${plain[@]}" migrate-plan --now "$NOW" --routes routes.csv --health health.csv
  [[ $stderr == "migrate-plan: frozen by '$GATESHIFT_STATE/frozen': permission denied: nothing is planned" ]]
}

# ---- hostile surroundings ----

@test "migrate-plan: --health is required, options are checked" {
  run --separate-stderr -64 migrate-plan
  [[ $stderr == "migrate-plan: --health FILE is required"* ]]
  run --separate-stderr -64 migrate-plan --health x --critical 1.5
  run --separate-stderr -64 migrate-plan --health x --cooldown 5y
  run --separate-stderr -64 migrate-plan --health x --max-moves -1
  run --separate-stderr -64 migrate-plan --health x --explain=-
  run --separate-stderr -64 migrate-plan --health x argument
}

@test "migrate-plan: bad surroundings end with the right status and one line" {
  health gw-a,0.1,0.9 gw-b,0.97,0
  local good=(--now "$NOW" --routes routes.csv --health)
  run --separate-stderr -66 migrate-plan "${good[@]}" none.csv
  [[ $stderr == "migrate-plan: cannot open 'none.csv': no such file or directory" ]]
  run --separate-stderr -66 migrate-plan "${good[@]}" "$GATESHIFT_CONFIG"
  run --separate-stderr -65 migrate-plan "${good[@]}" /dev/null
  run --separate-stderr -66 migrate-plan "${good[@]}" health.csv --config none
  run --separate-stderr -74 bash -c "migrate-plan ${good[*]} health.csv >/dev/full"
  [[ $(wc -l <<<"$stderr") -eq 1 ]]
  run --separate-stderr -74 bash -c "migrate-plan ${good[*]} health.csv >&-"
  run --separate-stderr -0 bash -c "migrate-plan ${good[*]} health.csv | head -n 1"
  [[ $output == "$HEADER" ]]
}

@test "migrate-plan: every failed call is reported, and leaves no half plan" {
  needs_preload migrate-plan
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o inject.so "$SRC/tests/fault/inject.c"
  health gw-a,0.1,0.9 gw-b,0.97,0
  affinity v,gw-a,0.5 v,gw-b,0.5 w,gw-a,0.5 w,gw-b,0.5
  routes v,gw-a w,gw-a
  groups v,both w,both
  calendar window,22:30,05:00 blackout,1970-01-12,1970-01-13
  forecast v 1 2 3
  local kind n status
  for kind in malloc read sync rename open; do
    for ((n = 1; n < 500; n++)); do
      rm -f mark verdicts.csv
      status=0
      GS_FAULT=$kind:$n GS_FAULT_MARK=mark LD_PRELOAD=$PWD/inject.so migrate-plan --now "$NOW" \
        --routes routes.csv --health health.csv --affinity affinity.csv --explain=verdicts.csv \
        --forecast forecast.csv \
        >out 2>err || status=$?
      [[ -e mark ]] || break
      # 75: whether it is frozen could not be read.
      [[ $status -eq 0 || $status -eq 66 || $status -eq 71 || $status == 7[345] ]]
      [[ $status -eq 0 || $(wc -l <err) -eq 1 && $(<err) == "migrate-plan: "* ]]
      [[ $(echo verdicts*) == verdicts.csv || $(echo verdicts*) == "verdicts*" ]]
    done
    [[ $n -gt 1 && $n -lt 500 ]]
  done
}
