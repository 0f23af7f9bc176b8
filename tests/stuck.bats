#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What can't be copied to a target that stands by: told of once, tried again, in nobody's way.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helpers
load client
load mover
load standby

# lacks OFFSET [LENGTH]: what can't be mirrored makes the 64 KiB there dirty.
lacks()
{
  qemu-io -f raw -c "discard $1 ${2-64k}" "$(director_uri v)" >/dev/null
}

# told REGEX: how many lines of the director's log are so.
told()
{
  grep -cE "^route-director: volume 'v': $1" director.log || true
}

@test "S17: a block that cannot be read at the owner is told of once, and is in no other's way" {
  stands_by "(test ! -e '$GS/bad' || test \$4 != 65536 || { echo >>'$GS/tries'; false; })" true
  touch bad
  lacks 64k
  wait_for 30 status_is stuck 65536
  [[ $(told "65536 bytes at 65536 cannot be read from 'gw-a': input/output error: the standby on 'gw-b' lacks them") == 1 ]]
  # Others are copied meanwhile, and this is tried again.
  lacks 256k
  lacks 512k
  wait_for 30 status_is dirty 65536
  wait_for 30 eval '(($(wc -l <tries) > 3))'
  status_is stuck 65536
  status_is promotable no
  [[ $(told '') == 1 ]]
  rm bad
  wait_for 60 status_is promotable yes
  status_is stuck 0
  [[ $(told '') == 2 && $(told "the standby on 'gw-b' has all again that could not be copied") == 1 ]]
  cmp gw-a/v gw-b/v
}

@test "S17: what another has copied meanwhile is stuck no more" {
  stands_by "(test ! -e '$GS/bad' || test \$4 != 65536)" true
  touch bad
  lacks 64k
  wait_for 30 status_is stuck 65536
  # A driver comes just when it can be read again.
  driver_start
  drive begin v 1 gw-b
  rm bad
  copy_all
  drive flush v
  drive defer v
  driver_kill
  wait_for 30 status_is promotable yes
  wait_for 30 status_is stuck 0
  [[ $(told "the standby on 'gw-b' has all again") == 1 ]]
}

@test "S17: a block that cannot be written to the target is told of, too" {
  stands_by true "(test ! -e '$GS/bad' || test \$4 != 65536)"
  touch bad
  lacks 64k
  wait_for 30 status_is stuck 65536
  [[ $(told "65536 bytes at 65536 cannot be written to 'gw-b': input/output error") == 1 ]]
  owner_is gw-a 1 deferred
  rm bad
  wait_for 60 status_is promotable yes
  [[ $(told '') == 2 ]]
}

@test "S17: neighbours that cannot be read, however many, are in no other's way" {
  SIZE=8M stands_by "(test ! -e '$GS/bad' || test \$4 -ge 5242880)" true
  touch bad
  lacks 0 5m
  wait_for 120 status_is stuck 5242880
  lacks 6m
  wait_for 30 status_is dirty 5242880
  status_is stuck 5242880
  rm bad
  wait_for 120 status_is promotable yes
  status_is stuck 0
  [[ $(told '') == 2 ]]
  cmp gw-a/v gw-b/v
}
