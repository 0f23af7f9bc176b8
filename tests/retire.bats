#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The end of a move: what --commit does with the old copy, and what becomes of it on the way back.

# shellcheck disable=SC2016,SC2030,SC2031
load helpers

setup_file()
{
  make_inject
  export DIGEST=$BATS_FILE_TMPDIR/digest
  ${CC:-cc} -o "$DIGEST" -x c - -lxxhash <<'END'
#include <stdio.h>
#include <xxhash.h>
static char data[4 << 20];
int main(void)
{
    XXH128_hash_t h = XXH3_128bits(data, fread(data, 1, sizeof(data), stdin));
    printf("%016llx%016llx\n", (unsigned long long)h.high64, (unsigned long long)h.low64);
    return 0;
}
END
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
  [[ $label =~ ^v,2,[0-9a-f]{16},65536,[0-9a-f]{32}$ && $(head -n 1 gw-a/.cold/v.1.label) == "$label" ]]
  grep -q ", label $label" seen
  # Its digest is that of the switch.
  grep -q ",handover,switched,.*; digest=${label##*,}\"\?$" state/migrations/v-2.csv
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
  [[ $(label_in_journal v-2) == v,2,*,262144,- ]] # the digest of the switch is not of this copy
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
  needs_preload migrate-exec
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

# xxh128 FILE: its digest by the library, all at once.
xxh128()
{
  "$DIGEST" <"$1"
}

# without_archive GATEWAY: its hook cannot archive.
without_archive()
{
  printf '%s\n' '#!/bin/sh' '[ "$2" != archive ] || exit 3' 'exec "$GATESHIFT_HOOKS/dir" "$@"' >hook
  chmod +x hook
  use_hook "$1"
}

@test "migrate-exec: --commit --archive has the hook compress the copy, and keeps its digest" {
  fleet 3M
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  run --separate-stderr -0 migrate-exec --commit v-2 --archive
  [[ $output == *"retire,pass,"*"read, XXH3-128 $(xxh128 original)"* && -z $stderr ]]
  [[ ${lines[-1]} == *"retire,committed,"*"archived on gw-a, unfenced"* && ! -e gw-a/.cold/v.1 ]]
  lz4 -dc gw-a/.cold/v.1.lz4 | cmp - original
  grep -q "XXH3-128 $(xxh128 original)" state/migrations/v-2.csv
  [[ $(owner) == "gw-b 2 steady" && ! -e state/archive ]]
}

@test "migrate-exec: --commit --archive packs what the hook cannot, and only then has it removed" {
  fleet 3M
  without_archive gw-a
  echo old >gw-a/w
  "$GATESHIFT_HOOKS/dir" gw-a cold w 4 gw-a
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  run --separate-stderr -0 migrate-exec --commit v-2 --archive
  [[ $output == *"packed as archive/v-2.lz4, XXH3-128 $(xxh128 original)"* && -z $stderr ]]
  [[ ${lines[-1]} == *"committed,"*"packed as archive/v-2.lz4, removed on gw-a, unfenced"* ]]
  lz4 -dc state/archive/v-2.lz4 | cmp - original
  # In the frame's flags: independent blocks, the content's size and checksum.
  [[ $(od -An -tx1 -j4 -N1 state/archive/v-2.lz4) == " 6c" ]]
  [[ $(ls gw-a/.cold) == w.1 && $(ls state/archive) == v-2.lz4 && $(owner) == "gw-b 2 steady" ]]
  served
}

@test "migrate-exec: an odd size and a volume of zeros are archived to the byte" {
  fleet 1000007
  without_archive gw-a
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  migrate-exec --commit v-2 --archive >/dev/null
  lz4 -dc state/archive/v-2.lz4 | cmp - original
  kill_hard director
  stop_gateway gw-a
  stop_gateway gw-b
  rm -rf gw-a gw-b state/* run/*
  make_volume gw-a v 64M
  start_gateway gw-a
  start_gateway gw-b
  route-set v gw-a >/dev/null
  start_director
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  migrate-exec --commit v-2 --archive >/dev/null
  lz4 -dc state/archive/v-2.lz4 | cmp -n 67108864 - /dev/zero
  [[ $(lz4 -dc state/archive/v-2.lz4 | wc -c) -eq 67108864 ]]
  [[ $(stat -c %s state/archive/v-2.lz4) -lt 1000000 ]]
}

@test "migrate-exec: an archive that cannot be written leaves the copy where it is" {
  fleet 256K
  without_archive gw-a
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  echo >state/archive # no folder
  run --separate-stderr -1 migrate-exec --commit v-2 --archive
  [[ $stderr == "migrate-exec: cannot commit 'v-2': cannot archive the copy on gw-a: "* ]]
  [[ $(last_event v-2) == retire,stalled && $(owner) == "gw-b 2 uncommitted" ]]
  cmp original gw-a/v
  served
  rm state/archive
  migrate-exec --commit v-2 --archive >/dev/null
  [[ $(owner) == "gw-b 2 steady" && ! -e gw-a/v ]]
  lz4 -dc state/archive/v-2.lz4 | cmp - original
}

@test "migrate-exec: kill -9 at any sync of --commit --archive, and the rerun has the archive" {
  needs_preload migrate-exec
  fleet 64K
  without_archive gw-a
  sed -i "/^gw-b,/s|,dir |,$GS/hook |" config/gateways.csv
  local n from=gw-a to=gw-b epoch=1
  for ((n = 1; n < 30; n++)); do
    migrate-exec <(plan "$from" "$to" "$epoch") >/dev/null
    epoch=$((epoch + 1))
    rm -f mark
    GS_FAULT=sync:$n:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT \
      migrate-exec --commit "v-$epoch" --archive >out 2>&1 || true
    [[ -e "$from/v" ]] || lz4 -dc "state/archive/v-$epoch.lz4" | cmp - original
    migrate-exec --commit "v-$epoch" --archive >out
    [[ $(owner) == "$to $epoch steady" && $(last_event "v-$epoch") == retire,committed ]]
    [[ ! -e "$from/v" && $(ls state/archive) != *.part* && -z $(ls "$from/.cold") ]]
    lz4 -dc "state/archive/v-$epoch.lz4" | cmp - original
    cmp original "$to/v"
    read -r from to <<<"$to $from"
    [[ -e mark ]] || break
  done
  ((n > 4 && n < 30))
}

@test "migrate-exec: --commit --remove deletes this copy, and no other cold one" {
  fleet 64K
  there
  mv gw-a/.cold/v.1 gw-a/v.other # an operator's
  mv gw-a/v.other gw-a/.cold/v.7
  rm gw-a/.cold/v.1.label
  printf '%s\n' '#!/bin/sh' '[ "$2" != unfence ] || exit 4' 'exec "$GATESHIFT_HOOKS/dir" "$@"' >hook
  chmod +x hook
  use_hook gw-a
  migrate-exec <(plan gw-b gw-a 2) >/dev/null
  migrate-exec --commit v-3 >/dev/null
  migrate-exec <(plan gw-a gw-b 3) >/dev/null
  run --separate-stderr -0 migrate-exec --commit v-4 --remove
  [[ ${lines[-1]} == *"retire,committed,"*"removed on gw-a, unfenced"* && -z $stderr ]]
  [[ $(ls gw-a/.cold) == v.7 && ! -e gw-a/v && $(owner) == "gw-b 4 steady" ]]
  served
  # Nor is that one taken for what was removed.
  sed -i "s|,$GS/hook |,dir |" config/gateways.csv
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 4)
  [[ $output != *"cold copy"* && $(ls gw-a/.cold) == v.7 ]]
}

@test "migrate-exec: --archive and --remove are for --commit, one of them" {
  run --separate-stderr -64 migrate-exec --archive </dev/null
  [[ $stderr == *"--archive and --remove are for --commit"* ]]
  run --separate-stderr -64 migrate-exec --commit v-2 --archive --remove
  [[ $stderr == *"only one of --archive and --remove"* ]]
  run --separate-stderr -64 migrate-exec --hook-timeout 0 </dev/null
}

@test "migrate-exec: --remove where the hook cannot is refused, and can be had cold" {
  fleet 64K
  printf '%s\n' '#!/bin/sh' '[ "$2" != remove ] || exit 3' 'exec "$GATESHIFT_HOOKS/dir" "$@"' >hook
  chmod +x hook
  use_hook gw-a
  migrate-exec <(plan gw-a gw-b 1) >/dev/null
  run --separate-stderr -1 migrate-exec --commit v-2 --remove
  [[ $stderr == "migrate-exec: cannot commit 'v-2': the hook of gw-a has no action 'remove'; its copy is cold" ]]
  [[ $(owner) == "gw-b 2 uncommitted" ]]
  run --separate-stderr -0 migrate-exec --commit v-2
  [[ ${lines[-1]} == *"cold on gw-a already"* && $(owner) == "gw-b 2 steady" ]]
}

@test "S12: there and back with folders that are reached over ssh" {
  fleet 1M
  mkdir bin
  printf '%s\n' '#!/bin/sh' 'while [ "$1" != -- ]; do shift; done' 'shift 2' 'cd /' \
    'exec sh -c "$*"' >bin/ssh
  chmod +x bin/ssh
  PATH=$PWD/bin:$PATH
  sed -i 's|,dir /|,dir ssh://far/|' config/gateways.csv
  there
  cmp original gw-b/v
  [[ ! -e gw-a/v && $(head -n 1 gw-a/.cold/v.1.label) == "$(label_in_journal v-2)" ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-a 2)
  [[ $output == *"the cold copy on gw-a is the one that was left there"*" 0 sent"* ]]
  run --separate-stderr -0 migrate-exec --commit v-3 --archive
  [[ ${lines[-1]} == *"archived on gw-b"* && $(owner) == "gw-a 3 steady" ]]
  lz4 -dc gw-b/.cold/v.1.lz4 | cmp - original
}

# ---- hooks that fail, hang, and hang or fail behind what they have done ----

# faulty ACTION HOW: the hook of both gateways from now on; "" ends it.  A hook that hangs ignores
# SIGTERM and has a child.
faulty()
{
  echo "$1" >action
  echo "$2" >how
  cat >hook <<'END'
#!/bin/sh
[ "$2" = "$(cat "$GS/action")" ] || exec "$GATESHIFT_HOOKS/dir" "$@"
how=$(cat "$GS/how")
[ "${how#late}" = "$how" ] || "$GATESHIFT_HOOKS/dir" "$@" >/dev/null 2>&1
[ "${how%fail}" = "$how" ] || { echo "out of order" >&2; exit 1; }
trap '' TERM
sleep 1000 &
echo $$ $! >"$GS/hung"
wait
END
  chmod +x hook
  sed -i "s|,dir |,$GS/hook |" config/gateways.csv
}

# nothing_hangs: what hung was killed, with its child.
nothing_hangs()
{
  local pid
  [[ -e hung ]] || return 0
  for pid in $(<hung); do
    ! kill -0 "$pid" 2>/dev/null || return
  done
  rm hung
}

declare -gA reasons=([fail]="out of order" [hang]="killed after 3 s" [late-fail]="out of order"
  [late-hang]="killed after 3 s")

# spoils_move ACTION: a move whose target's hook fails there ends with the source serving, and the
# next one is as if nothing had been.
spoils_move()
{
  local how epoch=1 from=gw-a to=gw-b id
  fleet 64K
  if [[ $1 == unfence ]]; then
    there
    epoch=2 from=gw-b to=gw-a
  fi
  for how in fail hang late-fail late-hang; do
    [[ $1 != create ]] || rm -rf "$to/.cold"
    faulty "$1" "$how"
    run --separate-stderr -1 migrate-exec --hook-timeout 3s <(plan "$from" "$to" "$epoch")
    [[ ${lines[-1]} == *",redirect,failed,"*"hook of $to, $1: ${reasons[$how]}"* ]]
    [[ $(owner) == "$from $epoch steady" ]]
    wait_for 5 nothing_hangs
    served
    faulty "" ""
    run --separate-stderr -0 migrate-exec <(plan "$from" "$to" "$epoch")
    id=$(cut -d, -f2 <<<"${lines[-1]}")
    epoch=$((epoch + 1))
    [[ $id == "v-$epoch.2" && $(owner) == "$to $epoch uncommitted" ]]
    cmp original "$to/v"
    migrate-exec --commit "$id" >/dev/null
    read -r from to <<<"$to $from"
  done
}

# spoils_commit ACTION [OPTION]: a commit whose hook fails there leaves the target serving, says so in
# an event, and can be run again.
spoils_commit()
{
  local how epoch=1 from=gw-a to=gw-b
  fleet 64K
  for how in fail hang late-fail late-hang; do
    migrate-exec <(plan "$from" "$to" "$epoch") >/dev/null
    epoch=$((epoch + 1))
    faulty "$1" "$how"
    # shellcheck disable=SC2086 # one option or none
    run --separate-stderr -1 migrate-exec --hook-timeout 3s --commit "v-$epoch" ${2-}
    [[ $stderr == "migrate-exec: cannot commit 'v-$epoch': hook of $from, $1: ${reasons[$how]}" ]]
    [[ ${lines[-1]} == *",retire,stalled,"*"commit: hook of $from, $1: ${reasons[$how]}"* ]]
    [[ $(owner) == "$to $epoch uncommitted" && $(last_event "v-$epoch") == retire,stalled ]]
    wait_for 5 nothing_hangs
    served
    faulty "" ""
    # One that was killed is gone on with by --resume, too, with what the commit said.
    if [[ $how == *hang ]]; then
      migrate-exec --resume >out
    else
      # shellcheck disable=SC2086
      migrate-exec --commit "v-$epoch" ${2-} >out
    fi
    [[ $(owner) == "$to $epoch steady" && $(last_event "v-$epoch") == retire,committed ]]
    [[ ! -e $from/v ]]
    served
    read -r from to <<<"$to $from"
  done
}

@test "hooks: size that fails or hangs ends the move on the source" {
  spoils_move size
}

@test "hooks: create that fails or hangs ends the move on the source" {
  spoils_move create
}

@test "hooks: unfence that fails or hangs ends the move on the source" {
  spoils_move unfence
}

@test "hooks: fence that fails or hangs ends the commit, the target serves" {
  spoils_commit fence
}

@test "hooks: cold that fails or hangs ends the commit, the target serves" {
  spoils_commit cold
}

@test "hooks: archive that fails or hangs ends the commit, the target serves" {
  spoils_commit archive --archive
}

@test "hooks: remove that fails or hangs ends the commit, the target serves" {
  spoils_commit remove --remove
}
