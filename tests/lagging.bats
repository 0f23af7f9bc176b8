#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# S16 of gateshift-safety(7): nobody waits for a target that only stands by, and nothing is lost by it.
# shellcheck disable=SC2030,SC2031,SC2154
load helpers
load client
load mover

# standby_setup [DIRECTOR-ARGUMENT...]: volume v on gw-a, with a standby on gw-b, both behind a cache
# that is lost when they are killed; and a client.
standby_setup()
{
  make_volume gw-a v 32M
  make_volume gw-b v 32M
  head -c 1M /dev/urandom >gw-a/v
  truncate -s 32M gw-a/v
  cached_gateway gw-a
  cached_gateway gw-b
  write_gateways
  route-set v gw-a --size 32M >/dev/null
  start_director --promote-after 100ms "$@"
  converge
  drive flush v
  drive defer v
  driver_kill
  wait_for 10 status_is promotable yes
  owner_is gw-a 1 deferred
  client_start
}

# written N: the client was told so of N writes.
written()
{
  (($(grep -c 'wrote ' client.log) == $1))
}

promoted()
{
  wait_for 10 owner_is gw-b 2 uncommitted
  wait_for 10 status_is owner gw-b
  wait_for 10 status_is inflight 0
}

@test "S16: a client does not wait for a target that stands by" {
  standby_setup --leg-timeout 10m
  kill -STOP "${PIDS[gw-b]}"
  ask write -P 1 0 4k
  ask write -P 2 64k 64k
  ask write -z -u 256k 4k
  written 3
  ask read -P 1 0 4k
  ask flush
  status_is inflight 3
  # What overlaps waits for its turn.
  tell aio_write -P 3 0 4k
  wait_for 10 status_is inflight 4
  kill -CONT "${PIDS[gw-b]}"
  wait_for 10 status_is inflight 0
  ask aio_flush
  no_failure
  status_is promotable yes
}

@test "S17: what lags is on the target before that takes its owner's place" {
  standby_setup --leg-timeout 10m
  kill -STOP "${PIDS[gw-b]}"
  ask write -P 1 0 4k
  ask write -P 2 64k 64k
  stop_gateway gw-a
  tell aio_write -P 3 128k 4k
  wait_for 10 status_is held 1
  owner_is gw-a 1 deferred
  kill -CONT "${PIDS[gw-b]}"
  promoted
  ask aio_flush
  ask read -P 1 0 4k
  ask read -P 2 64k 64k
  ask read -P 3 128k 4k
  no_failure
}

@test "S17: a target that is lost with what lags takes no place, and nothing else is lost" {
  standby_setup --leg-timeout 10m
  kill -STOP "${PIDS[gw-b]}"
  ask write -P 1 0 4k
  ask write -P 2 64k 64k
  stop_gateway gw-b
  wait_for 10 owner_is gw-a 1 steady
  wait_for 10 status_is inflight 0
  ask read -P 1 0 4k
  ask read -P 2 64k 64k
  no_failure
  written 2
}

@test "S16: a target that is too late is given up, whoever waits for it" {
  standby_setup --leg-timeout 300ms
  kill -STOP "${PIDS[gw-b]}"
  ask write -P 1 0 4k
  wait_for 10 owner_is gw-a 1 steady
  ask read -P 1 0 4k
  no_failure
  kill -CONT "${PIDS[gw-b]}"
}

@test "S16: what may lag is bounded: then clients wait" {
  standby_setup --leg-timeout 10m
  kill -STOP "${PIDS[gw-b]}"
  for i in 0 1 2 3; do
    ask write -P 1 "${i}M" 1M
  done
  written 4
  tell aio_write -P 1 4M 4k
  wait_for 10 status_is inflight 5
  written 4
  kill -CONT "${PIDS[gw-b]}"
  ask aio_flush
  written 5
  no_failure
  wait_for 10 status_is inflight 0
}

@test "S13: what lags hides nothing from the witnesses of what is durable" {
  standby_setup --leg-timeout 10m --promote-after 10m
  kill -STOP "${PIDS[gw-b]}"
  for i in 1 2 3 4; do
    ask write -P "$i" "${i}M" 64k
    ask flush
  done
  stop_gateway gw-a
  rm gw-a/v
  make_volume gw-a v 32M # it comes back empty
  cached_gateway gw-a
  wait_for 10 owner_is gw-a 1 manual-recovery
  kill -CONT "${PIDS[gw-b]}"
}

@test "S16: a target that is slow but answers stands by through a burst" {
  make_volume gw-a v 32M
  make_volume gw-b v 32M
  start_gateway gw-a
  start_gateway gw-b --threads=1 --filter=delay delay-write=50ms
  write_gateways
  route-set v gw-a --size 32M >/dev/null
  start_director --leg-timeout 400ms
  converge
  drive flush v
  drive defer v
  driver_kill
  local writes=()
  for ((i = 0; i < 60; i++)); do # 3 s of the target's
    writes+=(-c "write -P 1 $((4 * i))k 4k")
  done
  run -0 qemu-io -f raw "${writes[@]}" "$(director_uri v)"
  [[ $output != *failed* ]]
  wait_for 30 status_is inflight 0
  owner_is gw-a 1 deferred
  status_is phase mirror
  wait_for 10 cmp -s -n 240k gw-a/v gw-b/v
}

@test "S1: who hands over to it waits for what lags" {
  standby_setup --leg-timeout 10m
  kill -STOP "${PIDS[gw-b]}"
  ask write -P 1 0 4k
  ask write -P 2 64k 64k
  ask flush
  driver_start
  drive begin v 1 gw-b
  [[ $REPLY_LINE == *attached* ]]
  say hold v 20000
  wait_for 10 status_is phase hold
  kill -CONT "${PIDS[gw-b]}"
  hear
  drive flush v
  prove_all
  drive switch v 1
  wait_for 10 status_is owner gw-b
  ask read -P 1 0 4k
  ask read -P 2 64k 64k
  no_failure
}
