#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A kept copy on a gateway that is silent: its volume leaves it behind, and what is owed to the copy
# is done when the gateway is back.

# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load helpers
load mover
load routelog

EVENT_HEADER=time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail

setup_file()
{
  make_inject
}

# plan SOURCE TARGET EPOCH [KIND]: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,${4-mandatory},,,,,,,,"
}

# fleet: volume v of random data on gw-a, gw-b and gw-c beside it, a director.  Their hook does what
# "dir" does, unless $GS/away.NAME is there; what it was asked for is in $GS/tried.NAME, what of it it
# was there for in $GS/asked.NAME, and before ACTION it carries $GS/ACTION.NAME out, if that is there.
# With $GS/shared.NAME it says that the gateway shares its storage.
fleet()
{
  make_volume gw-a v 256K
  head -c 256K /dev/urandom >gw-a/v
  cp gw-a/v original
  start_gateway gw-a
  start_gateway gw-b
  start_gateway gw-c
  write_gateways
  cat >hook <<END
#!/bin/sh
echo \$2 >>'$GS/tried.'\$1
[ ! -e '$GS/away.'\$1 ] || { echo no route to host >&2; exit 1; }
echo \$2 >>'$GS/asked.'\$1
[ \$2 != shared ] || [ ! -e '$GS/shared.'\$1 ] || { echo shared && exit 0; }
[ ! -x '$GS/'\$2.\$1 ] || '$GS/'\$2.\$1
dir=\$1
shift
exec '$GATESHIFT_HOOKS/dir' '$GS/'\$dir "\$@"
END
  chmod +x hook
  sed -i "s|,dir $GS/|,$GS/hook |" config/gateways.csv
  route-set v gw-a >/dev/null
  start_director --quarantine 200ms --reverse-timeout 60s
}

# moved [OPTION...]: as fleet, and v moved to gw-b by v-2, with its copy on gw-a.
moved()
{
  fleet
  run -0 migrate-exec "$@" <(plan gw-a gw-b 1 optional)
  owner_is gw-b 2 uncommitted
}

# away NAME: the gateway is gone, its machine too.  back NAME.
away()
{
  touch "away.$1"
  stop_gateway "$1"
}

back()
{
  : >"asked.$1"
  rm "away.$1"
  start_gateway "$1"
}

# on_action ACTION NAME COMMAND...: what the hook carries out first.
on_action()
{
  printf '#!/bin/sh\n%s\n' "${*:3}" >"$1.$2"
  chmod +x "$1.$2"
}

# left: v was left with its copy on gw-a behind, and is on gw-c.
left()
{
  moved
  away gw-a
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  owner_is gw-c 3 uncommitted
}

last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

# steps: migration, phase and event of the event records in $output, a line.
steps()
{
  [[ ${lines[0]} == "$EVENT_HEADER" ]]
  printf '%s\n' "${lines[@]:1}" | cut -d, -f2,6,7 | tr '\n' ' '
}

# asked NAME: what the gateway's hook was asked to do.
asked()
{
  grep -vE '^(size|shared)$' "asked.$1" | tr '\n' ' '
}

# served: what clients read is the volume's content.
served()
{
  nbdcopy "$(director_uri v)" served && cmp original served
}

@test "S17: a copy that took over leaves its dead owner behind, and a verifying client notices nothing" {
  moved --standby
  wait_for 60 status_is promotable yes
  start fio fio --name=t --ioengine=nbd --uri="$(director_uri v)" --rw=randrw --bsrange=4k-16k \
    --size=256K --time_based --runtime=600 --rate=2M --iodepth=4 --fsync=40 --verify=crc32c \
    --verify_fatal=1 --verify_backlog=32 --serialize_overlap=1 --output=fio.out
  wait_for 30 eval '(($(status_of requests) > 60))'
  away gw-b
  wait_for 60 owner_is gw-a 3 uncommitted
  wait_for 60 status_is owner gw-a
  run --separate-stderr -0 migrate-exec <(plan gw-a gw-c 3)
  [[ $(steps) == *" v-3,retire,deferred v-4,redirect,begin "*" v-4,handover,switched " ]]
  owner_is gw-c 4 uncommitted
  # The dead one comes back, with what it had, and serves it; nobody is led there.
  back gw-b
  run --separate-stderr -0 migrate-exec --resume
  [[ $(steps) == "v-3,retire,committed " && $(asked gw-b) == "fence cold " ]]
  [[ ! -e gw-b/v && -e gw-b/.cold/v.1 ]]
  run -1 nbdinfo --size "$(gateway_uri gw-b v)"
  status_is errors 0
  kill -INT "${PIDS[fio]}"
  wait "${PIDS[fio]}" || true
  unset "PIDS[fio]"
  run -1 grep -iE 'error|bad' fio.out
}

@test "S14: what is owed to a copy that was left behind is told, and done when its gateway is back" {
  moved
  away gw-a
  run --separate-stderr -0 migrate-exec --dry-run <(plan gw-b gw-c 2)
  [[ ${lines[1]} == *',"dry run: copy of v-2 left behind, then a move: at most 262144 bytes'* ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  [[ -z $stderr && ${lines[1]} == *",v-2,v,gw-a,gw-b,retire,deferred,"*",left behind: gw-a does not answer; its copy is fenced and made cold when it is back" ]]
  owner_is gw-c 3 uncommitted
  run --separate-stderr -0 migrate-exec --status v-2
  [[ ${lines[1]} == *",retire,deferred,"*",left behind: gw-a does not answer"* ]]
  run -1 migrate-exec --check v
  [[ $output == *"warn  copy of v on gw-a: left behind by v-2, as gw-a did not answer; "* ]]
  # A line for each run, and no failure; who asks for it is told that it is not done.
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': its copy on gw-a is left behind still: hook of gw-a, size: no route to host" ]]
  run --separate-stderr -75 migrate-exec --commit v-2
  run --separate-stderr -0 migrate-exec --expire
  run --separate-stderr -1 migrate-exec --revert v-2
  [[ $stderr == "migrate-exec: cannot revert 'v-2': its copy was left behind" ]]
  run --separate-stderr -1 migrate-exec --cutover v-2
  back gw-a
  run --separate-stderr -0 migrate-exec --resume
  [[ -z $stderr && ${lines[1]} == *",v-2,v,gw-a,gw-b,retire,committed,"*',"was left behind: cold on gw-a, unfenced"' ]]
  [[ $(asked gw-a) == "fence cold " && ! -e gw-a/v && $(last_event v-2) == retire,committed ]]
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
  cmp original gw-a/.cold/v.1
  served
}

@test "migrate-exec: a silent gateway is asked once in a run, for however many copies" {
  left
  # The same of another volume.
  route-set w gw-c --size 262144 >/dev/null
  route-set w gw-b >/dev/null
  route-set w gw-c >/dev/null
  sed 's/,v-2,v,/,w-2,w,/' state/migrations/v-2.csv >state/migrations/w-2.csv
  : >tried.gw-a
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && $stderr == "migrate-exec: 'v-2': its copy on gw-a is left behind still: hook of gw-a, size: no route to host" ]]
  [[ $(<tried.gw-a) == size ]]
  run --separate-stderr -0 migrate-exec --resume --jobs 2
  back gw-a
  make_volume gw-c w 256K
  run --separate-stderr -0 migrate-exec --resume
  [[ $(steps) == "v-2,retire,committed w-2,retire,committed " ]]
  [[ ${lines[2]} == *',was left behind: no copy on gw-a' && -z $stderr ]]
}

@test "S14: a gateway whose hook or server answers is not left behind, nor for a row that can wait" {
  moved
  touch away.gw-a
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2)
  [[ $stderr == *"refused 'v': its last move is not committed: its copy cannot be let go: hook of gw-a, size: no route to host" ]]
  rm away.gw-a
  stop_gateway gw-a # its machine is there
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  [[ $(steps) == "v-2,retire,committed v-3,"* && ! -e gw-a/v ]]
  owner_is gw-c 3 uncommitted
  start_gateway gw-a
  away gw-b
  run --separate-stderr -1 migrate-exec <(plan gw-c gw-a 3 optional)
  run --separate-stderr -1 migrate-exec <(plan gw-c gw-a 3 standby)
  [[ $output == "$EVENT_HEADER" ]]
  owner_is gw-c 3 uncommitted
  # A copy whose time is over goes for any row, but not behind.
  back gw-b
  run --separate-stderr -0 migrate-exec --commit v-3
  run --separate-stderr -0 migrate-exec --retain 0 <(plan gw-c gw-a 3)
  away gw-c
  run --separate-stderr -1 migrate-exec <(plan gw-a gw-b 4 optional)
  [[ $stderr == *"its copy cannot be let go: hook of gw-c, "* ]]
  owner_is gw-a 4 uncommitted
}

@test "S16: a mirror to a copy that is left behind is over first, and who answers it is not silent" {
  moved --keep-mirrored
  rm "$GATESHIFT_RUN/gw-a.sock" # nobody connects any more
  touch away.gw-a
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-c 2)
  [[ $stderr == *"cannot leave the copy of 'v-2' behind on gw-a: it answers the director" ]]
  owner_is gw-b 2 uncommitted
  [[ $(last_event v-2) == retire,switched && ! -e gw-c/v ]]
  away gw-a
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  owner_is gw-c 3 uncommitted
  served
}

@test "S14: a gateway is used again only when what it was left with is fenced" {
  left
  cp gw-a/v before
  run --separate-stderr -1 migrate-exec <(plan gw-c gw-a 3)
  [[ $output == "$EVENT_HEADER" && $stderr == *"gw-a is not used: what 'v-2' has left behind there comes first" ]]
  run --separate-stderr -1 migrate-exec <(plan gw-c gw-a 3 standby)
  owner_is gw-c 3 uncommitted
  cmp before gw-a/v
  back gw-a
  # Somebody is about to fence it.
  on_action cold gw-a "echo here >'$GS/cold.here'; while [ -e '$GS/stay' ]; do sleep 0.02; done"
  touch stay
  start resume migrate-exec --resume
  wait_for 30 test -e cold.here
  run --separate-stderr -75 migrate-exec <(plan gw-c gw-a 3)
  [[ $stderr == *"'v-2' is driven by another process: "*"gw-a is not used: "* ]]
  rm stay
  wait "${PIDS[resume]}"
  unset "PIDS[resume]"
  [[ $(asked gw-a) == "fence cold " ]]
  run --separate-stderr -0 migrate-exec <(plan gw-c gw-a 3)
  owner_is gw-a 4 uncommitted
  served
}

@test "S14: a row back to a gateway that was left behind does first what is owed to its copy" {
  left
  run -0 migrate-exec --commit v-3
  back gw-a
  run --separate-stderr -0 migrate-exec <(plan gw-c gw-a 3)
  [[ $(steps) == "v-2,retire,committed v-4,redirect,begin "* ]]
  [[ $output == *"the cold copy on gw-a is the one that was left there"* ]]
  owner_is gw-a 4 uncommitted
  cmp original gw-a/v
  # And it stays, whoever looks for what is owed.
  run --separate-stderr -0 migrate-exec --resume
  [[ $output == "$EVENT_HEADER" && -e gw-a/v ]]
}

@test "S14: a pending fence does not hit a gateway that an operator has made the owner" {
  left
  back gw-a
  touch shared.gw-a # nor one whose export may be the owner's, too
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == *"its copy on gw-a is left behind still: it shares its storage with the owner" ]]
  rm shared.gw-a
  route-set v gw-a --force >/dev/null
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ ${lines[1]} == *",retire,committed,"*"what was left behind on gw-a stays as it is: that is the owner by the store, at epoch 4, steady"* ]]
  [[ -z $(asked gw-a) && -e gw-a/v ]]
  owner_is gw-a 4 steady
}

@test "S14: a gateway that is made the owner while it is fenced gets its export back" {
  left
  back gw-a
  on_action cold gw-a "PATH=$PATH route-set v gw-a --force >/dev/null"
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ $(asked gw-a) == "fence cold unfence " && -e gw-a/v && $(last_event v-2) == retire,committed ]]
  owner_is gw-a 4 steady
}

@test "S15: what is owed to a copy waits while nobody can tell who owns the volume" {
  local line
  left
  stop director
  back gw-a
  cp state/routes.log good
  line=$(tail -n 1 good)
  [[ $line == v,gw-c,3,uncommitted,* ]]
  line=${line/,uncommitted,/,manual-recovery,}
  log_route "${line%,*}"
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == "migrate-exec: 'v-2': its copy on gw-a is left behind still: the volume is in manual recovery" ]]
  rm state/routes.log
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == *"the store has no readable record of the volume" ]]
  head -n 2 good >state/routes.log # restored from a backup, say
  run --separate-stderr -75 migrate-exec --resume v-2
  [[ $stderr == *"the store is behind its journal" && -z $(asked gw-a) && -e gw-a/v ]]
  cp good state/routes.log
  run --separate-stderr -0 migrate-exec --resume v-2
  [[ $(asked gw-a) == "fence cold " && $(last_event v-2) == retire,committed ]]
}

@test "migrate-exec: a gateway that is gone for good is written off by taking its hook away" {
  left
  sed -i '/^gw-a,/s|,[^,]*$|,|' config/gateways.csv
  run --separate-stderr -0 migrate-exec --resume
  [[ ${lines[1]} == *",v-2,"*",retire,committed,"*"gw-a has no hook: its copy stays as it is, unfenced"* ]]
  owner_is gw-c 3 uncommitted
}

# killed N COMMAND...: kill -9 at its N-th sync; "mark" is there if it came to that.
killed()
{
  rm -f mark
  GS_FAULT=sync:$1:kill GS_FAULT_MARK=mark LD_PRELOAD=$INJECT "${@:2}" >out 2>&1 || true
}

@test "I4: kill -9 at any sync of leaving a copy behind, then the row or --resume" {
  needs_preload migrate-exec
  moved
  local n from=gw-b to=gw-c other=gw-a epoch=2
  for ((n = 1; n < 7; n++)); do
    away "$other"
    killed $n migrate-exec <(plan "$from" "$to" "$epoch")
    [[ -e mark ]]
    ((n % 2)) || migrate-exec --resume >>out 2>&1
    if [[ $(route-set v) == *",$from,$epoch,"* ]]; then
      migrate-exec <(plan "$from" "$to" "$epoch") >>out 2>&1 || migrate-exec --resume >>out 2>&1
    fi
    owner_is "$to" $((epoch + 1)) uncommitted
    [[ $(last_event "v-$epoch") == retire,deferred && -e $other/v ]]
    back "$other"
    migrate-exec --resume >>out 2>&1
    [[ $(last_event "v-$epoch") == retire,committed && ! -e $other/v ]]
    run -1 grep manual-recovery state/history.csv
    cmp original "$to/v"
    epoch=$((epoch + 1))
    read -r from to other <<<"$to $other $from"
  done
}

@test "I4: a gateway that is back before its copy was left: the copy goes as with any commit" {
  needs_preload migrate-exec
  moved
  away gw-a
  killed 2 migrate-exec <(plan gw-b gw-c 2)
  owner_is gw-b 2 uncommitted
  [[ $(last_event v-2) == retire,deferred ]]
  back gw-a
  run --separate-stderr -1 migrate-exec <(plan gw-b gw-a 2)
  [[ $stderr == *"cannot revert 'v-2': its copy was left behind" ]]
  run --separate-stderr -0 migrate-exec <(plan gw-b gw-c 2)
  [[ $(steps) == "v-2,retire,committed v-3,"* && $(asked gw-a) == "fence cold " ]]
  owner_is gw-c 3 uncommitted
  served
}

@test "I4: kill -9 at any sync of what is owed, then again" {
  needs_preload migrate-exec
  left
  back gw-a
  cp -a state/migrations/v-2.csv pending.csv
  local n
  for ((n = 1; n < 9; n++)); do
    [[ -e gw-a/v ]] || mv gw-a/.cold/v.1 gw-a/v
    rm -rf gw-a/.cold
    cp pending.csv state/migrations/v-2.csv
    killed $n migrate-exec --resume v-2
    migrate-exec --resume >>out 2>&1
    [[ $(last_event v-2) == retire,committed && ! -e gw-a/v ]]
    cmp original gw-a/.cold/v.1
    [[ -e mark ]] || break
  done
  ((n > 1 && n < 9))
  owner_is gw-c 3 uncommitted
}
