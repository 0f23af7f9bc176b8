#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-exec --check: what moves need, looked at apart from any move.

load helpers

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# fleet: volume v on gw-a, an empty gw-b, a director.
fleet()
{
  make_volume gw-a v 64K
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 65536 >/dev/null
  start_director
}

# The state as it was: a checksum of all that is in it.
state()
{
  find state gw-a gw-b config -type f -exec sha256sum {} + | sort -k 2
}

@test "migrate-exec --check: all that moves need, and nothing is changed" {
  fleet
  state >before
  run --separate-stderr -0 migrate-exec --check v
  [[ -z $stderr && $output != *fail* ]]
  local line
  for line in "ok    configuration: 2 gateways and 0 volumes listed" "ok    frozen: no" \
    "ok    state folder: '$GS/state' can be written" "ok    routes: 1 volumes" \
    "ok    gateway gw-a: answers in" "ok    route of v: gw-a at epoch 1, steady" \
    "ok    director: answers at '$GS/run/director.sock'" "ok    hook of gw-a: has v with 65536 bytes" \
    "ok    v on gw-a: 65536 bytes, flush, multi-conn, zeroes, blocks of 1 to 33554432, 5 connections at once" \
    "ok    hook of gw-b: has no v" "ok    v on gw-b: no export yet: the hook makes it"; do
    [[ $output == *"$line"* ]] || { echo "missing: $line" && return 1; }
  done
  state | cmp before
  [[ ! -e state/migrations && ! -e state/history.csv && ! -e gw-b/v ]]
}

@test "migrate-exec --check: without words it looks at the owners and all gateways" {
  fleet
  run --separate-stderr -0 migrate-exec --check
  [[ $output == *"v on gw-a: 65536 bytes"* && $output == *"gateway gw-b: answers"* ]]
  [[ $output != *"v on gw-b"* ]]
}

@test "migrate-exec --check: a plan's rows are looked at as they would be carried out" {
  fleet
  run --separate-stderr -0 migrate-exec --check <(plan gw-a gw-b 1)
  [[ $output == *"ok    row of v: may be carried out"* && $output == *"ok    v on gw-b: "* ]]
  run --separate-stderr -1 migrate-exec --check - < <(plan gw-a gw-b 3)
  [[ $output == *"fail  row of v: the row is of epoch 3, the route at 1"* ]]
  run --separate-stderr -66 migrate-exec --check "$GS/nowhere"
  [[ $stderr == "migrate-exec: cannot open '$GS/nowhere': no such file or directory" ]]
  [[ $(route-set v | tail -n 1) == v,gw-a,1,steady,* && ! -e gw-b/v ]]
}

@test "migrate-exec --check: bad configuration is 78, what is not there is 1" {
  fleet
  run --separate-stderr -1 migrate-exec --check w
  [[ $output == *"fail  w: the volume has no route"* ]]
  kill_hard director
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  director: none answers in '$GS/run': connection refused; start it: "* ]]
  run --separate-stderr -1 migrate-exec --state "$GS/nowhere" --check
  [[ $output == *"fail  state folder: cannot write '$GS/nowhere': no such file or directory"* ]]
  echo "gw-c" >>config/gateways.csv
  run --separate-stderr -78 migrate-exec --check
  [[ $output == *"fail  configuration: $GS/config/gateways.csv:4: "*"; an example is "*"/config/gateways.csv'"* ]]
  sed -i '$d' config/gateways.csv
  echo rubbish >config/volumes.csv
  run --separate-stderr -78 migrate-exec --check
  [[ $output == *"fail  configuration: $GS/config/volumes.csv:1: "*"; an example is "*"/config/volumes.csv'"* ]]
}

@test "migrate-exec --check: a frozen folder and a cordoned gateway are warnings" {
  fleet
  echo "audit until Monday" >state/frozen
  sed -i '/^gw-b/s/,active,/,cordoned,/' config/gateways.csv
  run --separate-stderr -0 migrate-exec --check
  [[ $output == *"warn  frozen: nothing is started: audit until Monday"* ]]
  [[ $output == *"warn  gateway gw-b: answers, but is cordoned in gateways.csv"* ]]
}

@test "migrate-exec --check: a hook that is not there, or not to be run, is named" {
  fleet
  sed -i '/^gw-b/s/,dir /,nowhere /' config/gateways.csv
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  hook of gw-b: cannot run '$GATESHIFT_HOOKS/nowhere': no such file "* ]]
  touch hook
  sed -i "/^gw-b/s|,nowhere |,$GS/hook |" config/gateways.csv
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  hook of gw-b: cannot run '$GS/hook': permission denied"* ]]
}

@test "S23: --check finds a gateway that takes one connection, and by a deadline one that takes none" {
  make_volume gw-a v 64K
  make_volume gw-b v 64K
  start_gateway gw-a
  GATEWAYS+=(gw-b)
  start gw-b qemu-nbd -t -f raw -x v --socket "$GATESHIFT_RUN/gw-b.sock" gw-b/v
  wait_for 10 test -S "$GATESHIFT_RUN/gw-b.sock"
  write_gateways
  route-set v gw-a --size 65536 >/dev/null
  start_director
  run --separate-stderr -0 migrate-exec --check v
  [[ $output == *"ok    v on gw-b: 65536 bytes, flush, no multi-conn, "*": one connection, a move copies through the director"* ]]
  kill_hard gw-b
  rm -f run/gw-b.sock
  start gw-b socat -u "UNIX-LISTEN:$GATESHIFT_RUN/gw-b.sock,fork" PIPE
  wait_for 10 test -S "$GATESHIFT_RUN/gw-b.sock"
  run --separate-stderr -1 timeout 40 migrate-exec --check
  [[ $output == *"fail  gateway gw-b: "* && $output == *"ok    gateway gw-a: "* ]]
}

@test "S24: --check finds a target that is too small" {
  fleet
  make_volume gw-b v 32K
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  v on gw-b: gw-b cannot take part: its export is smaller than the volume"* ]]
}

@test "migrate-exec --check: from nothing to a fleet that moves, each line says what to do next" {
  local example
  example=$SRC/share/config/gateways.csv
  export GATESHIFT_SHARE=$SRC/share
  rmdir config state run
  run --separate-stderr -78 migrate-exec --check
  [[ ${lines[0]} == "fail  configuration: cannot open '$GS/config/gateways.csv': no such file or directory; an example is '$example'" ]]
  [[ ${lines[2]} == "fail  state folder: cannot write '$GS/state': no such file or directory; make it, owned by the director's user" ]]
  [[ ${#lines[@]} == 3 ]]
  run --separate-stderr -66 route-set --verify
  [[ $stderr == "route-set: cannot open '$GS/config/gateways.csv': "*"; migrate-exec --check says what is missing, and what to do" ]]

  mkdir config state
  head -n 1 "$example" >config/gateways.csv
  run --separate-stderr -78 migrate-exec --check
  [[ ${lines[0]} == "fail  configuration: no gateway is listed in '$GS/config/gateways.csv'; an example is '$example'" ]]

  echo "gw-a,nbd+unix:///?socket=$GS/run/gw-a.sock,,,,active,dir $GS/gw-a" >>config/gateways.csv
  run --separate-stderr -1 migrate-exec --check
  [[ ${lines[4]} == "warn  routes: no volume has one; say who owns each: route-set VOLUME GATEWAY" ]]
  [[ ${lines[5]} == "fail  gateway gw-a: no such file or directory; start its NBD server, or mend uri 'nbd+unix:///?socket=$GS/run/gw-a.sock' in gateways.csv" ]]
  [[ ${lines[6]} == "fail  director: none answers in '$GS/run': no such file or directory; start it: route-director(8), or name its --control or --run" ]]
  [[ ${#lines[@]} == 7 ]]
  run --separate-stderr -1 migrate-exec --check v
  [[ $output == *"fail  v: the volume has no route; say who owns it: route-set v GATEWAY"* ]]
  run --separate-stderr -0 route-set --verify
  [[ $stderr == "route-set: no volume has a route; set one: route-set VOLUME GATEWAY" ]]
  run --separate-stderr -1 route-set --verify v
  [[ $stderr == "route-set: no route of 'v'; set one: route-set v GATEWAY" ]]

  # The director may be there first.
  mkdir run
  start_director
  run --separate-stderr -1 migrate-exec --check
  [[ ${lines[6]} == "ok    director: answers at '$GS/run/director.sock'" ]]
  kill_hard director
  rm -r run

  # A gateway that cannot be reached says nothing of its exports.
  route-set v gw-a >/dev/null
  run --separate-stderr -1 route-set --verify
  [[ ${lines[1]} == *',unknown,"gw-a does not answer: no such file or directory (start it, or mend uri in gateways.csv)"' ||
    ${lines[1]} == *',unknown,gw-a does not answer: no such file or directory (start it, or mend uri in gateways.csv)' ]]
  mkdir run
  start_gateway gw-a
  run --separate-stderr -1 route-set --verify
  [[ ${lines[1]} == *",differs,"*"gw-a, the owner, does not export it: "*" (name the gateway that has it: route-set v GATEWAY)"* ]]
  run --separate-stderr -1 migrate-exec --check
  [[ $output == *"fail  v on gw-a: its hook says that it is not there; bring it there, or name the owner that has it: route-set v GATEWAY"* ]]

  make_volume gw-a v 64K
  sed -i 's/,dir /,nothing /' config/gateways.csv
  start_director
  run --separate-stderr -1 migrate-exec --check
  [[ $(grep -c ^fail <<<"$output") == 1 ]]
  [[ $output == *"fail  hook of gw-a: cannot run '$GATESHIFT_HOOKS/nothing': no such file or directory; mend it, or the column hook 'nothing $GS/gw-a' in gateways.csv"* ]]
  sed -i 's/,nothing /,dir /' config/gateways.csv
  run --separate-stderr -0 migrate-exec --check
  [[ $output != *fail* && $output != *warn* ]]
  run --separate-stderr -0 route-set --verify
  [[ -z $stderr ]]
}
