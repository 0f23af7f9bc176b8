#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A short run of the soak test (make soak), and whether it would notice.
load helpers

soak()
{
  "$BUILD/soak/soak" --big 8M "$@"
}

# notices PATTERN OPTION...: the run fails, and its verdict is of that pattern.
notices()
{
  run --separate-stderr -1 soak --seed 1 --fault-every 1s --seconds 60 "${@:2}"
  [[ ${lines[0]} == "soak: seed 1, in /tmp/soak."* ]]
  [[ ${lines[1]} =~ ^'soak: FAILED after '[0-9.]+' s, seed 1: v-0 '$1$ ]]
  [[ ${lines[-1]} == "soak: FAILED: seed 1, "* ]]
  [[ -z $stderr ]]
}

# What is wrong with a unit.
at='unit [0-9]+ \(byte [0-9]+\): .+'

@test "soak: while gateways hang, clients vanish and the director is killed, each answer is right" {
  soak --seconds 8 --fault-every 1s --gateways cache,cache,file,qemu \
    --faults kill,twice,stop,director,crash,client,stall
}

@test "soak: while volumes move and each process fails, one owner has what was acknowledged" {
  soak --seconds 12 --fault-every 2s
}

@test "soak: the checker notices a lost write" {
  notices "\(cache\): connection [0-9]+: read of .*: $at" --direct --gateways cache --faults kill
  [[ $output == *$'\n  allowed: '* ]]
}

@test "soak: the checker notices a lost write that was flushed" {
  notices "\(unsafe\): .*: $at" --gateways unsafe --faults crash
  [[ $output == *", durable"* ]]
}

@test "soak: the checker notices that a gateway's disk lacks a write" {
  notices "\(unsafe\): the gateway's file: $at" --gateways unsafe --faults none --seconds 1
}

@test "soak: the checker notices that the disk of who became the owner lacks a write" {
  notices "\\(unsafe\\+unsafe\\): the disk of the owner, gw-0b?: $at" --gateways unsafe+unsafe --faults none
  [[ $output == *$'\n''the end of the route store:'* ]]
}

@test "soak: the checker notices a stale read" {
  notices "\(stale\): connection [0-9]+: read of .*: $at" --direct --gateways stale --faults none
}

@test "soak: the checker notices an error that was not due" {
  notices "\(failing\): connection [0-9]+: an error where none was due: .* got EIO" \
    --gateways failing --faults none
}

@test "soak: the checker notices that an answer does not come in time" {
  notices "\(file\): connection [0-9]+: no answer within 1 s: .*" \
    --gateways file --faults stop --hang-time 1s
}

# runs_in DIR: does a process name DIR in its command line?
runs_in()
{
  grep -qsF "$1/" /proc/[0-9]*/cmdline
}

@test "soak: an interrupted run leaves no process and no folder" {
  start soak "$BUILD/soak/soak" --seconds 60 --faults none
  wait_for 10 grep -q 'in /tmp/soak' soak.log
  local dir pid=${PIDS[soak]}
  dir=$(sed -n '1s/.*, in //p' soak.log)
  wait_for 10 runs_in "$dir"
  unset "PIDS[soak]"
  kill -INT "$pid"
  local status=0
  wait "$pid" || status=$?
  [[ $status -eq 75 ]]
  [[ $(tail -n 1 soak.log) == "soak: interrupted, seed "* ]]
  [[ ! -e $dir ]]
  wait_for 5 eval '! runs_in '"$dir"
}

@test "soak: a run that is killed leaves no process" {
  start soak "$BUILD/soak/soak" --seconds 60 --faults none
  wait_for 10 grep -q 'in /tmp/soak' soak.log
  local dir
  dir=$(sed -n '1s/.*, in //p' soak.log)
  wait_for 10 runs_in "$dir"
  kill_hard soak
  wait_for 10 eval '! runs_in '"$dir"
  rm -r "$dir"
}
