#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What commands do when the n-th call of a kind fails, for n = 1, 2, … until none does
# (tests/fault/inject.c).

load helpers

HEADER=volume,gateway,epoch,state,target,size_bytes,time,verify

setup_file()
{
  # The library is small and the compiler is needed for the commands anyway.
  make_inject
}

setup()
{
  common_setup
  # With a sanitizer's own malloc() in the program nothing could be injected.
  needs_preload route-set
  cat >"$GATESHIFT_CONFIG/gateways.csv" <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd://192.0.2.1,,,,active,
gw-b,nbd://192.0.2.2,,,,active,
END
}

# inject FAULT COMMAND...: fails when the fault did not strike any more; else the command's status
# is in $status, what it wrote in the files out and err.
inject()
{
  rm -f mark
  local fault=$1
  shift
  status=0
  GS_FAULT=$fault GS_FAULT_MARK=mark LD_PRELOAD=$INJECT "$@" >out 2>err || status=$?
  [[ -e mark ]]
}

# The owner and epoch of volume v, "" if it has no record.
owner()
{
  route-set v 2>&1 | sed -n '2s/^v,\([^,]*,[^,]*\),.*/\1/p'
}

# Puts the state folder back to what save_state saw.
save_state()
{
  rm -rf saved
  cp -a "$GATESHIFT_STATE" saved
}

restore_state()
{
  rm -rf "$GATESHIFT_STATE"
  cp -a saved "$GATESHIFT_STATE"
}

# fail_each KIND OLD NEW ARGUMENT...: every failure of KIND in "route-set ARGUMENT..." ends with one
# line and a fitting status, and with either the old or the new record.
fail_each()
{
  local kind=$1 old=$2 new=$3 n now
  shift 3
  for ((n = 1; n < 500; n++)); do
    restore_state
    inject "$kind:$n" route-set "$@" || break
    now=$(owner)
    if [[ $status -eq 0 ]]; then
      [[ $now == "$new" && ! -s err ]]
      continue
    fi
    # Opening has statuses of its own: 66 to read, 73 to create.
    [[ $status -eq 71 || $status -eq 74 || $kind == open && $status -eq 66 || $status -eq 73 ]]
    [[ $(wc -l <err) -eq 1 && $(<err) == "route-set: "* ]]
    [[ ! -s out || $(<out) == "$HEADER" ]]
    # The change may only be there when nothing but printing it has failed.
    [[ $now == "$old" || $now == "$new" && $(<err) == "route-set: cannot print: "* ]]
    [[ $(find "$GATESHIFT_STATE" -name 'routes.log.*' ! -name routes.log.1 | wc -l) -eq 0 ]]
  done
  # It struck at least once, and the loop has ended by itself.
  [[ $n -gt 1 && $n -lt 500 ]]
}

# kill_each FAULT OLD NEW ARGUMENT...: killed at each call of a kind, it leaves the old or the new
# record, and run again it ends with the new one.
kill_each()
{
  local kind=${1%:*} how=${1#*:} old=$2 new=$3 n now
  shift 3
  for ((n = 1; n < 500; n++)); do
    restore_state
    inject "$kind:$n:$how" route-set "$@" || break
    [[ $status -eq 137 && ! -s out ]]
    now=$(owner)
    [[ $now == "$old" || $now == "$new" ]]
    route-set "$@" >/dev/null
    [[ $(owner) == "$new" ]]
  done
  [[ $n -gt 1 && $n -lt 500 ]]
}

@test "fault: a new route survives no failed call half-way" {
  save_state
  local kind
  for kind in malloc read write sync truncate open; do
    fail_each "$kind" "" gw-a,1 v gw-a
  done
}

@test "fault: a change of owner survives no failed call half-way" {
  route-set v gw-a
  save_state
  local kind
  for kind in malloc read write sync open; do
    fail_each "$kind" gw-a,1 gw-b,2 v gw-b --size 1M
  done
}

@test "fault: a torn tail is cut off or stays, whatever fails" {
  route-set v gw-a
  printf 'v,gw-b,2,stea' >>"$GATESHIFT_STATE/routes.log"
  save_state
  local kind
  for kind in write sync truncate; do
    fail_each "$kind" gw-a,1 gw-b,2 v gw-b
  done
}

@test "fault: listing fails as a whole" {
  route-set v gw-a
  save_state
  local kind
  for kind in malloc read open sync; do
    fail_each "$kind" gw-a,1 gw-a,1
    fail_each "$kind" gw-a,1 gw-a,1 v
  done
}

@test "fault: kill -9 at any write, sync or truncation leaves the old or the new owner" {
  route-set v gw-a
  save_state
  local fault
  for fault in write:kill write:torn sync:kill truncate:kill; do
    kill_each "$fault" gw-a,1 gw-b,2 v gw-b
  done
}

@test "fault: kill -9 at any step of a compaction loses nothing" {
  # 255 lines: the next one makes a log long enough to be compacted.
  local i
  for ((i = 0; i < 127; i++)); do
    route-set v gw-a --force
    route-set v gw-b --force
  done >/dev/null
  [[ $(wc -l <"$GATESHIFT_STATE/routes.log") -eq 255 ]]
  save_state
  local fault
  for fault in write:kill write:torn sync:kill rename:kill; do
    kill_each "$fault" gw-b,254 gw-a,255 v gw-a
  done
  for fault in malloc write sync rename; do
    fail_each "$fault" gw-b,254 gw-a,255 v gw-a
  done
  restore_state
  route-set v gw-a
  [[ $(wc -l <"$GATESHIFT_STATE/routes.log") -eq 2 ]]
}

@test "fault: what is known of gateways survives no failed call half-way" {
  local kind n
  printf 'time,gateway,metric,value\n1000,gw-a,nbd_read_us,400\n1010,gw-a,nbd_read_us,400\n' >in.csv
  health-score in.csv >/dev/null
  save_state
  printf 'time,gateway,metric,value\n1020,gw-a,nbd_read_us,400\n' >in.csv
  health-score in.csv >good
  cp "$GATESHIFT_STATE/health.state" new.state
  for kind in malloc read write sync rename open write:kill sync:kill rename:kill; do
    for ((n = 1; n < 300; n++)); do
      restore_state
      inject "${kind%:*}:$n${kind#"${kind%:*}"}" health-score in.csv || break
      if [[ $kind == *:kill ]]; then
        [[ $status -eq 137 ]]
      elif [[ $status -ne 0 ]]; then
        [[ $status -eq 66 || $status -eq 71 || $status -eq 73 || $status -eq 74 ]]
        [[ $(wc -l <err) -eq 1 && $(<err) == "health-score: "* ]]
        [[ $(find "$GATESHIFT_STATE" -name 'health.state.*' | wc -l) -eq 0 ]]
      fi
      # The old or the new one, and from either the run can be done again.
      cmp -s saved/health.state "$GATESHIFT_STATE/health.state" ||
        cmp "$GATESHIFT_STATE/health.state" new.state
      health-score in.csv | cmp good -
    done
    [[ $n -gt 1 && $n -lt 300 ]]
  done
}

@test "fault: a director that could not sync the store settles it and goes on" {
  local volume n
  for volume in v w; do
    make_volume gw-a "$volume" 1M
    make_volume gw-b "$volume" 1M
  done
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  for ((n = 1; n < 30; n++)); do
    rm -rf "$GATESHIFT_STATE" mark
    route-set v gw-a --size 1M >/dev/null
    route-set w gw-a --size 1M >/dev/null
    start director env GS_FAULT="sync:$n" GS_FAULT_MARK=mark LD_PRELOAD="$INJECT" route-director \
      --listen "unix:$GATESHIFT_RUN/nbd.sock" --control "$GATESHIFT_RUN/director.sock" --quarantine 0
    wait_for 10 control help
    control begin v 1 gw-b || true
    wait_for 10 nbdinfo --size "$(director_uri w)"
    wait_for 10 control begin v 1 gw-b
    kill_hard director
    [[ -e mark ]] || break
  done
  ((n > 3 && n < 30))
}
