#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2153
# route-set: the owner of record.

load helpers

HEADER=volume,gateway,epoch,state,target,size_bytes,time,verify

setup()
{
  common_setup
  cat >"$GATESHIFT_CONFIG/gateways.csv" <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd://192.0.2.1,,,,active,
gw-b,nbd://192.0.2.2,,,,active,
gw-c,nbd://192.0.2.3,,,,active,
END
}

# expect_records RECORD...: the output is the header and these, what stands behind the size left out.
expect_records()
{
  local IFS=$'\n'
  [[ $(cut -d, -f1-6 <<<"$output") == "${HEADER%,time,verify}"$'\n'"$*" ]]
}

# serve VOLUME: a director with gateways gw-a and gw-b, and a client that has VOLUME open.
serve()
{
  local name
  for name in gw-a gw-b; do
    make_volume "$name" "$1" 1M
    start_gateway "$name"
  done
  write_gateways
  route-set "$1" gw-a --size 1M
  start_director
  mkfifo client.in
  exec 4<>client.in # opening only one end would wait for the other
  start client bash -c "exec qemu-io -f raw '$(director_uri "$1")' <client.in" 4>&-
  wait_for 10 served "$1"
}

served()
{
  control status "$1"
}

@test "route-set: no record yet is a header and no rows" {
  run --separate-stderr -0 route-set
  [[ $output == "$HEADER" && -z $stderr ]]
}

@test "route-set: a volume without a record is a header and status 1" {
  run --separate-stderr -1 route-set v
  [[ $output == "$HEADER" && -z $stderr ]]
}

@test "route-set: a state folder that is not there cannot be read" {
  run --separate-stderr -66 route-set --state "$GS/none"
  [[ -z $output ]]
  [[ $stderr == "route-set: cannot open '$GS/none/routes.log': no such file or directory" ]]
}

@test "route-set: sets the first owner at epoch 1 and makes the state folder" {
  run --separate-stderr -0 route-set --state "$GS/new/state" v gw-a
  expect_records v,gw-a,1,steady,,
  [[ -z $stderr ]]
  run --separate-stderr -0 route-set --state "$GS/new/state" v
  expect_records v,gw-a,1,steady,,
}

@test "route-set: each change of owner takes a new epoch" {
  route-set v gw-a
  route-set v gw-b
  run --separate-stderr -0 route-set v gw-a
  expect_records v,gw-a,3,steady,,
}

@test "route-set: setting the owner that it already is changes nothing" {
  route-set v gw-a --size 1M
  cp "$GATESHIFT_STATE/routes.log" before
  run --separate-stderr -0 route-set v gw-a
  expect_records v,gw-a,1,steady,,1048576
  run --separate-stderr -0 route-set v gw-a --size 1024K
  expect_records v,gw-a,1,steady,,1048576
  cmp before "$GATESHIFT_STATE/routes.log"
}

@test "route-set: a size alone stays within the epoch, and outlives a change of owner" {
  route-set v gw-a
  run --separate-stderr -0 route-set v gw-a --size 1G
  expect_records v,gw-a,1,steady,,1073741824
  run --separate-stderr -0 route-set v gw-b
  expect_records v,gw-b,2,steady,,1073741824
}

@test "route-set: lists all volumes, sorted" {
  route-set b gw-a
  route-set a gw-b
  route-set c gw-c
  run --separate-stderr -0 route-set
  expect_records a,gw-b,1,steady,, b,gw-a,1,steady,, c,gw-c,1,steady,,
}

@test "route-set: --expect-epoch of another epoch changes nothing and ends 1" {
  route-set v gw-a
  run --separate-stderr -1 route-set v gw-b --expect-epoch 0
  [[ -z $output ]]
  [[ $stderr == "route-set: volume 'v' not changed: it is at epoch 1, not 0" ]]
  run --separate-stderr -1 route-set w gw-b --expect-epoch 1
  run --separate-stderr -0 route-set v gw-b --expect-epoch 1
  expect_records v,gw-b,2,steady,,
}

@test "route-set: a gateway that is not in gateways.csv is refused" {
  run --separate-stderr -78 route-set v gw-x
  [[ -z $output ]]
  [[ $stderr == "route-set: unknown gateway 'gw-x': not in '$GATESHIFT_CONFIG/gateways.csv'" ]]
  [[ ! -e $GATESHIFT_STATE/routes.log ]]
}

@test "route-set: a gateway that volumes.csv forbids is refused but for --force" {
  printf '%s\n' volume,size_bytes,policy,gateways,group,anti 'v,,auto,gw-a gw-b,,' \
    >"$GATESHIFT_CONFIG/volumes.csv"
  run --separate-stderr -78 route-set v gw-c
  [[ $stderr == "route-set: gateway 'gw-c' is not allowed for volume 'v': '$GATESHIFT_CONFIG/volumes.csv'" ]]
  run --separate-stderr -0 route-set v gw-c --force
  expect_records v,gw-c,1,steady,,
}

@test "route-set: no gateways.csv ends 66" {
  rm "$GATESHIFT_CONFIG/gateways.csv"
  run --separate-stderr -66 route-set v gw-a
  [[ -z $output && $stderr == "route-set: cannot open "* && $stderr != *$'\n'* ]]
}

@test "route-set: wrong names and options that do not fit together end 64" {
  local args
  for args in '../v gw-a' 'v gw/a' 'v,w gw-a' 'v gw-a x' '--force' 'v --size 1G' 'v --expect-epoch 1' \
    'v gw-a --size 0' 'v gw-a --size -1' 'v gw-a --expect-epoch x' '--import f v' '--import f --size 1'; do
    # shellcheck disable=SC2086
    run --separate-stderr -64 route-set $args
    [[ -z $output && $stderr == "route-set: "* ]]
  done
  [[ ! -e $GATESHIFT_STATE/routes.log ]]
}

@test "route-set: damage in the store ends 65 and names the line" {
  route-set v gw-a
  route-set v gw-b
  sed -i '2s/gw-a/gw-c/' "$GATESHIFT_STATE/routes.log"
  cp "$GATESHIFT_STATE/routes.log" before
  local args
  for args in '' v 'v gw-a' 'w gw-a' 'v gw-a --force'; do
    # shellcheck disable=SC2086
    run --separate-stderr -65 route-set $args
    [[ -z $output || $output == "$HEADER" ]]
    [[ $stderr == "route-set: $GATESHIFT_STATE/routes.log:2: checksum does not fit; nothing was changed: see \
route-set(1), FILES" ]]
  done
  cmp before "$GATESHIFT_STATE/routes.log"
}

@test "route-set: a torn last line never happened" {
  route-set v gw-a
  printf 'v,gw-b,2,stea' >>"$GATESHIFT_STATE/routes.log"
  run --separate-stderr -0 route-set v
  expect_records v,gw-a,1,steady,,
  run --separate-stderr -0 route-set v gw-c
  expect_records v,gw-c,2,steady,,
  [[ $(wc -l <"$GATESHIFT_STATE/routes.log") -eq 3 ]] # a header and two records
}

@test "route-set: of many that expect the same epoch one wins" {
  route-set v gw-a
  local i wins=0 pids=()
  for i in 1 2 3 4 5 6 7 8; do
    route-set v gw-b --expect-epoch 1 >"out.$i" 2>"err.$i" 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    if wait "$i"; then wins=$((wins + 1)); fi
  done
  run --separate-stderr -0 route-set v
  expect_records v,gw-b,2,steady,,
  [[ $wins -eq 1 ]]
}

@test "route-set: --import sets many, and its own output changes nothing" {
  printf '%s\n' gateway,volume,remark,size_bytes gw-a,a,x,4096 gw-b,b,y, >list.csv
  run --separate-stderr -0 route-set --import list.csv
  expect_records a,gw-a,1,steady,,4096 b,gw-b,1,steady,,
  cp "$GATESHIFT_STATE/routes.log" before
  route-set >all.csv
  run --separate-stderr -0 route-set --import - <all.csv
  [[ $output == "$(<all.csv)" ]]
  cmp before "$GATESHIFT_STATE/routes.log"
}

@test "route-set: --import never changes an owner but by --force" {
  route-set b gw-a
  printf '%s\n' volume,gateway a,gw-a b,gw-b >list.csv
  run --separate-stderr -65 route-set --import list.csv
  [[ $stderr == "route-set: list.csv:3: volume 'b' is owned by 'gw-a', not 'gw-b'" ]]
  run --separate-stderr -1 route-set a # nothing of the list was set
  run --separate-stderr -0 route-set --import list.csv --force
  expect_records a,gw-a,1,steady,, b,gw-b,2,steady,,
}

@test "route-set: a foreign store is refused, too" {
  cp "$GATESHIFT_CONFIG/gateways.csv" "$GATESHIFT_STATE/routes.log"
  local args
  for args in '' v 'v gw-a' 'v gw-a --force' '--history v' '--verify'; do
    # shellcheck disable=SC2086
    run --separate-stderr -65 route-set $args
    [[ $stderr == "route-set: "*"$GATESHIFT_STATE/routes.log"*"see route-set(1), FILES" ]]
  done
  cmp "$GATESHIFT_CONFIG/gateways.csv" "$GATESHIFT_STATE/routes.log"
}

@test "route-set: an import into a new store goes on with the epochs that were saved" {
  route-set a gw-a
  route-set a gw-b --size 4096
  route-set b gw-a
  route-set b gw-a --as manual-recovery --force
  route-set --export saved.csv
  rm -r "$GATESHIFT_STATE"
  run --separate-stderr -0 route-set --import saved.csv
  expect_records a,gw-b,2,steady,,4096 b,gw-a,2,manual-recovery,,
  # Those that have a record keep what they have.
  route-set a gw-b --size 8192
  printf '%s\n' volume,gateway,epoch,state a,gw-b,9,manual-recovery b,gw-a,1,steady >list.csv
  run --separate-stderr -0 route-set --import list.csv
  expect_records a,gw-b,2,steady,,8192 b,gw-a,2,manual-recovery,,
  printf '%s\n' volume,gateway,epoch c,gw-a,0 >list.csv
  run --separate-stderr -65 route-set --import list.csv
  [[ $stderr == "route-set: list.csv:2: epoch is from 1 to 9223372036854775807" ]]
}

@test "route-set: an import that names a volume twice sets nothing" {
  printf '%s\n' volume,gateway a,gw-a b,gw-a a,gw-b >list.csv
  run --separate-stderr -65 route-set --import list.csv --force
  [[ $stderr == "route-set: list.csv:4: a second record of volume 'a'" ]]
  run --separate-stderr -1 route-set b
}

@test "route-set: a malformed row of --import sets nothing" {
  printf '%s\n' volume,gateway a,gw-a b >list.csv
  run --separate-stderr -65 route-set --import list.csv
  [[ $stderr == "route-set: list.csv:3: "* ]]
  run --separate-stderr -1 route-set a
}

@test "route-set: while a director serves the volume only the same owner can be set" {
  serve v
  run --separate-stderr -75 route-set v gw-b
  [[ -z $output ]]
  [[ $stderr == "route-set: volume 'v' not changed: a director serves it" ]]
  run --separate-stderr -0 route-set v gw-a
  expect_records v,gw-a,1,steady,,1048576
  exec 4>&-
  wait_for 10 route-set v gw-b
}

@test "route-set: --force tells the director, and clients go on at the new owner" {
  serve v
  run --separate-stderr -0 route-set v gw-b --force
  expect_records v,gw-b,2,steady,,1048576
  run -0 qemu-io -f raw -c 'write -P 7 0 64k' "$(director_uri v)"
  cmp -n 65536 gw-b/v <(head -c 65536 /dev/zero | tr '\0' '\7')
  cmp gw-a/v <(head -c 1M /dev/zero)
  exec 4>&-
}

@test "route-set: while a move is open the record stays; --force ends it with a new epoch" {
  serve v
  # A move ends with the connection that began it.
  mkfifo driver.in
  exec 5<>driver.in
  start driver bash -c "exec socat - 'UNIX-CONNECT:$GATESHIFT_RUN/director.sock' <driver.in" 4>&- 5>&-
  echo begin v 1 gw-b >&5
  wait_for 10 grep '^ok ' driver.log
  exec 4>&-
  run --separate-stderr -75 route-set v gw-b
  [[ $stderr == "route-set: volume 'v' not changed: it is moving" ]]
  kill_hard director
  run --separate-stderr -75 route-set v gw-a
  run --separate-stderr -0 route-set v gw-a --force
  expect_records v,gw-a,2,steady,,1048576
}

@test "route-set: --export writes a file whole, or not at all" {
  route-set a gw-a >/dev/null
  route-set b gw-b --size 4096 >/dev/null
  run --separate-stderr -0 route-set --export routes.csv
  [[ -z $output && $(<routes.csv) == "$(route-set)" ]]
  run --separate-stderr -0 route-set --export -
  [[ $output == "$(<routes.csv)" ]]
  route-set c gw-c >/dev/null
  run --separate-stderr -73 route-set --export none/routes.csv
  [[ $stderr == "route-set: cannot write 'none/routes.csv': no such file or directory" ]]
  run --separate-stderr -0 route-set --import routes.csv
  expect_records a,gw-a,1,steady,, b,gw-b,1,steady,,4096
}

# history_is VOLUME RECORD...: what --history says, times left out.
history_is()
{
  local volume=$1
  shift
  run --separate-stderr -0 route-set --history "$volume"
  expect_records "$@"
}

@test "route-set: --history has every record, also those that a compaction took out of the log" {
  local i expected=()
  route-set other gw-a >/dev/null
  for ((i = 1; i <= 280; i++)); do
    expected+=("v,gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b),$i,steady,,")
    route-set v "$(cut -d, -f2 <<<"${expected[-1]}")" >/dev/null
  done
  [[ -e $GATESHIFT_STATE/routes.log.1 && $(wc -l <"$GATESHIFT_STATE/routes.log") -lt 100 ]]
  history_is v "${expected[@]}"
  history_is other other,gw-a,1,steady,,
  run --separate-stderr -1 route-set --history none
  [[ $output == "$HEADER" ]]
  # As a kill between the two steps of a compaction leaves it.
  ln "$GATESHIFT_STATE/routes.log" "$GATESHIFT_STATE/routes.log.2"
  route-set v gw-c >/dev/null
  history_is v "${expected[@]}" v,gw-c,281,steady,,
}

@test "route-set: old logs are kept up to a number" {
  local i
  route-set v gw-a >/dev/null
  for i in $(seq 70); do
    cp "$GATESHIFT_STATE/routes.log" "$GATESHIFT_STATE/routes.log.$i"
  done
  for i in $(seq 2 257); do
    route-set v "gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b)" >/dev/null
  done
  [[ -e $GATESHIFT_STATE/routes.log.71 && ! -e $GATESHIFT_STATE/routes.log.72 ]]
  [[ -e $GATESHIFT_STATE/routes.log.8 && ! -e $GATESHIFT_STATE/routes.log.7 ]]
}

watched()
{
  [[ $(cut -d, -f1-6 "$GS/watch.log") == "$HEADER_SHORT"$'\n'"$1" ]]
}

@test "route-set: --watch prints each record as it is written" {
  local HEADER_SHORT=${HEADER%,time,verify} seen
  mkdir -p "$GATESHIFT_STATE"
  start watch route-set --watch v
  wait_for 10 grep -q ^volume watch.log
  route-set v gw-a >/dev/null
  route-set other gw-a >/dev/null
  seen=v,gw-a,1,steady,,
  wait_for 10 watched "$seen"
  for i in $(seq 2 257); do # beyond a compaction
    route-set v "gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b)" >/dev/null
    seen+=$'\n'"v,gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b),$i,steady,,"
  done
  [[ -e $GATESHIFT_STATE/routes.log.1 ]]
  wait_for 10 watched "$seen"
  kill_hard watch
  rm watch.log
  start watch route-set --watch
  wait_for 10 watched other,gw-a,1,steady,,$'\n'v,gw-a,257,steady,,
}

@test "route-set: --watch has also what was written and compacted away while it was not looking" {
  local i HEADER_SHORT=${HEADER%,time,verify} seen=v,gw-a,1,steady,,
  route-set v gw-a >/dev/null
  start watch route-set --watch v
  wait_for 10 watched "$seen"
  kill -STOP "${PIDS[watch]}"
  for i in $(seq 2 520); do # beyond two compactions
    route-set v "gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b)" >/dev/null
    seen+=$'\n'"v,gw-$([[ $((i % 2)) -eq 1 ]] && echo a || echo b),$i,steady,,"
  done
  [[ -e $GATESHIFT_STATE/routes.log.2 ]]
  kill -CONT "${PIDS[watch]}"
  wait_for 10 watched "$seen"
}

@test "route-set: two hundred writers at a time lose no update" {
  local i pids=()
  for i in $(seq 10); do
    route-set "v$i" gw-a >/dev/null
  done
  # writer VOLUME: makes one change, to whatever it finds: the epoch counts them.
  writer()
  {
    local now
    until
      now=$(route-set "$1" | tail -n 1)
      route-set "$1" "gw-$([[ $(cut -d, -f2 <<<"$now") == gw-a ]] && echo b || echo a)" \
        --expect-epoch "$(cut -d, -f3 <<<"$now")"
    do :; done >/dev/null 2>&1
  }
  for i in $(seq 200); do # twenty a volume, all in one store
    writer "v$((i % 10 + 1))" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  [[ $(route-set | grep -c '^v[0-9]*,gw-a,21,steady,') -eq 10 ]]
  [[ $(route-set --history | wc -l) -eq 211 ]]
}

@test "route-set: --as manual-recovery keeps everybody off, until --force" {
  route-set v gw-a >/dev/null
  run --separate-stderr -0 route-set v gw-a --as manual-recovery
  expect_records v,gw-a,2,manual-recovery,,
  run --separate-stderr -75 route-set v gw-b
  [[ $stderr == "route-set: volume 'v' not changed: it is manual-recovery" ]]
  run --separate-stderr -0 route-set v gw-a --force
  expect_records v,gw-a,3,steady,,
  run --separate-stderr -64 route-set v gw-a --as moving
  run --separate-stderr -64 route-set v --as steady
}

# verified STATUS LINE: what --verify says of v.
verified()
{
  run --separate-stderr "-$1" route-set --verify --timeout 5s v
  # shellcheck disable=SC2053 # a pattern
  [[ ${#lines[@]} -eq 2 && ${lines[1]} == $2 ]]
}

@test "route-set: --verify asks who really serves a volume" {
  serve v
  rm gw-b/v
  verified 0 v,gw-a,1,steady,gw-a,1,gw-a,ok,
  [[ ${lines[0]} == volume,gateway,epoch,state,director,director_epoch,exported,verdict,reason ]]
  make_volume gw-b v 1M
  verified 1 'v,gw-a,1,steady,gw-a,1,gw-a gw-b,differs,gw-b exports a copy that the record knows nothing of'
  rm gw-b/v
  # Another store, of whose records the director that serves the volume knows nothing.
  mkdir -p other/serving
  ln "$GATESHIFT_STATE/serving/v" other/serving/v
  route-set --state other v gw-b --force >/dev/null
  rm "$GATESHIFT_CONFIG/gateways.csv"
  write_gateways
  run --separate-stderr -1 route-set --state other --verify
  [[ ${lines[1]} == v,gw-b,1,steady,gw-a,1,gw-a,differs,*"the director serves it from gw-a at epoch 1"* ]]
  [[ ${lines[1]} == *"gw-b, the owner, does not export it"* ]]
  exec 4>&-
}

@test "route-set: --verify of who does not answer says so, and waits once" {
  make_volume gw-a v 1M
  make_volume gw-a w 1M
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 2M >/dev/null
  route-set w gw-a >/dev/null
  # shellcheck disable=SC2153 # PIDS is set by start
  kill -STOP "${PIDS[gw-b]}"
  run --separate-stderr -1 route-set --verify --timeout 300ms
  kill -CONT "${PIDS[gw-b]}"
  [[ ${lines[1]} == "v,gw-a,1,steady,,,gw-a,differs,"*"gw-a exports 1048576 bytes, not 2097152"* ]]
  [[ ${lines[2]} == "w,gw-a,1,steady,,,gw-a,unknown,gw-b does not answer" ]]
  run --separate-stderr -1 route-set --verify none
  [[ ${#lines[@]} -eq 1 ]]
  # A gateway that is known to be down is not asked.
  kill_hard gw-b
  sed -i '/^gw-b/s/active/down/' "$GATESHIFT_CONFIG/gateways.csv"
  route-set v gw-a --size 1M >/dev/null
  run --separate-stderr -0 route-set --verify
}

@test "route-set: a store that may not be made is refused for that, not for missing" {
  # In sysfs nobody makes a file, not even root.
  run --separate-stderr -73 route-set --state /sys/kernel v gw-a
  local reason='(permission denied|operation not permitted|read-only file system)'
  [[ $stderr =~ ^"route-set: cannot create '/sys/kernel/routes.log': "$reason$ ]]
}
