#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The end of a move: what --commit does with the old copy, and what becomes of it on the way back.

load helpers

setup_file()
{
  export INJECT=$BATS_FILE_TMPDIR/inject.so
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$INJECT" "$BATS_TEST_DIRNAME/fault/inject.c"
}

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# fleet SIZE: volume v with random data on gw-a, an empty gw-b, a director.
fleet()
{
  make_volume gw-a v "$1"
  head -c "$1" /dev/urandom >gw-a/v
  cp gw-a/v original
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms
}

# owner: "GATEWAY EPOCH STATE" of v in the store.
owner()
{
  route-set v | sed -n '2s/^v,\([^,]*\),\([^,]*\),\([^,]*\),.*/\1 \2 \3/p'
}

# last_event ID: phase and event of the migration's last event.
last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

# served: what clients read is the volume's content.
served()
{
  nbdcopy "$(director_uri v)" served && cmp original served
}

# label_in_journal ID: the label that the migration's commit gave to the copy.
label_in_journal()
{
  sed -n 's/.*"commit[^"]*, label \([^" ]*\).*/\1/p' "state/migrations/$1.csv" | tail -n 1
}

# use_hook GATEWAY: its hook runs $GS/hook, with the words of "dir" behind it.
use_hook()
{
  sed -i "/^$1,/s|,dir |,$GS/hook |" config/gateways.csv
}

# there: v moves to gw-b and is committed, so that gw-a has a cold copy.
there()
{
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  migrate-exec --commit v-2 >/dev/null
}

@test "S12: the label of a cold copy is in the journal before it is beside the copy" {
  fleet 64K
  migrate-exec <(plan gw-a gw-b 1)
  # The hook sees what the journal has when it is called.
  printf '%s\n' '#!/bin/sh' '[ "$2" != cold ] || cp state/migrations/v-2.csv seen' \
    'exec "$GATESHIFT_HOOKS/dir" "$@"' >hook
  chmod +x hook
  use_hook gw-a
  run --separate-stderr -0 migrate-exec --commit v-2
  local label
  label=$(label_in_journal v-2)
  [[ $label =~ ^v,2,[0-9a-f]{16},65536,-$ && $(head -n 1 gw-a/.cold/v.1.label) == "$label" ]]
  grep -q ", label $label" seen
  # It is nothing for the history.
  [[ $(<state/history.csv) != *label* ]]
}

@test "S12: on the way back the copy with its label is named as known, and only what changed is sent" {
  fleet 2M
  there
  qemu-io -f raw -c 'write -P 7 300000 100' "$(director_uri v)" >/dev/null
  nbdcopy "$(director_uri v)" original
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  [[ $output == *"redirect,pass,"*"the cold copy on gw-a is the one that was left there"* ]]
  [[ $output == *"2097152 bytes handled, 4096 sent"* && $(owner) == "gw-a 3 uncommitted" ]]
  cmp original gw-a/v
  [[ -z $(ls gw-a/.cold) ]]
}

@test "S12: a cold copy that is another one, or nobody's, is compared in full all the same" {
  local change epoch=1
  fleet 256K
  # Restored from elsewhere; written to; another nonce; no label.
  for change in 'head -c 262144 /dev/urandom >x; mv x v.1' 'printf x >>v.1; truncate -s 256K v.1' \
    'sed -i 1s/,262144/0,262144/ v.1.label' 'rm v.1.label'; do
    migrate-exec <(plan gw-a gw-b "$epoch") >/dev/null
    migrate-exec --commit "v-$((epoch + 1))" >/dev/null
    (cd gw-a/.cold && eval "$change")
    run --separate-stderr -0 migrate-exec <(plan gw-b gw-a $((epoch + 1)))
    [[ $output == *"redirect,pass,"*"the cold copy on gw-a is not known to be the one that was left there"* ]]
    epoch=$((epoch + 2))
    [[ $(owner) == "gw-a $epoch uncommitted" ]]
    cmp original gw-a/v
    migrate-exec --commit "v-$epoch" >/dev/null
    served
  done
}

@test "S12: a cold copy that no commit left there is not touched" {
  fleet 64K
  mkdir gw-b/.cold
  echo precious >gw-b/.cold/v.1
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-b 1)
  [[ $output != *"cold copy"* && $(cat gw-b/.cold/v.1) == precious ]]
  cmp original gw-b/v
}

@test "S12: a cold copy that is too small is put away again, and the export made anew" {
  fleet 256K
  there
  truncate -s 64K gw-a/.cold/v.1
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  [[ $output != *"cold copy"* && $(stat -c %s gw-a/.cold/v.1) -eq 65536 ]]
  cmp original gw-a/v
}

@test "S12: a copy whose flush failed is called unknown, and is not known on the way back" {
  fleet 256K
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  sed -i 's/copy kept on gw-a, flushed/copy on gw-a is unknown: its flush failed/' \
    state/migrations/v-2.csv
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ ${lines[-1]} == *"it is unknown: its flush failed"* ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  [[ $output != *"cold copy"* && -e gw-a/.cold/v.1 ]]
  cmp original gw-a/v
}

@test "S12: a hook that keeps no labels costs a full comparison, nothing else" {
  fleet 256K
  printf '%s\n' '#!/bin/sh' '[ "$2" = unfence ] && exec "$GATESHIFT_HOOKS/dir" "$@" >/dev/null' \
    'exec "$GATESHIFT_HOOKS/dir" "$1" "$2" "$3" "$4" "$5"' >hook
  chmod +x hook
  use_hook gw-a
  there
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  [[ $output == *"not known to be"* && $(owner) == "gw-a 3 uncommitted" ]]
  cmp original gw-a/v
}

@test "S12: kill -9 at any sync of the way back, then --resume: one owner, its copy complete" {
  if grep -q __asan_init "$BUILD/bin/migrate-exec"; then
    skip "built with a sanitizer"
  fi
  fleet 256K
  local n epoch=2 from=gw-b to=gw-a
  there
  for ((n = 1; n < 8; n++)); do
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec <(plan "$from" "$to" "$epoch") >out 2>&1 || true
    [[ -e mark ]]
    migrate-exec --resume >resumed
    [[ $(owner) == "$to "* ]] || migrate-exec <(plan "$from" "$to" "$epoch") >resumed
    epoch=$((epoch + 1))
    [[ $(owner) == "$to $epoch uncommitted" ]]
    cmp original "$to/v"
    migrate-exec --commit "v-$epoch" >/dev/null
    read -r from to <<<"$to $from"
  done
}
