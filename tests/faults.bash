# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Moves that lose a process by kill -9 in a phase of a test's choice ("load faults" after "load
# helpers" and "load verifier"): gateways behind a write-back cache that dies with them and whose flush a test can hold
# up, a client that writes and verifies all the while, and what must hold in the end.
# A file that serves its gateways in another way defines gateway() and kill_gateway() behind that.

declare -ga EXEC_ARGS=()

# gateway NAME: starts it.  kill_gateway NAME: kill -9.
gateway()
{
  cached "$1"
}

kill_gateway()
{
  kill_hard "$1"
}

# plan SOURCE TARGET EPOCH: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,optional,,,,,,,,"
}

# owner: "GATEWAY EPOCH STATE" of v in the store.  owned GATEWAY EPOCH STATE
owner()
{
  route-set v | sed -n '2s/^v,\([^,]*\),\([^,]*\),\([^,]*\),.*/\1 \2 \3/p'
}

owned()
{
  [[ $(owner) == "$*" ]]
}

# status_is KEY VALUE: what the director says of v.
status_is()
{
  control status v | grep -q " $1=$2\b"
}

# in_journal PHASE EVENT: has any migration of v come there?
in_journal()
{
  grep -qs ",$1,$2," state/migrations/*.csv
}

# last_event [ID]: phase and event of the migration's last event.
last_event()
{
  migrate-exec --status "${1-v-2}" | tail -n 1 | cut -d, -f6,7
}

# exit_status NAME: waits for the process to end by itself, and sets REPLY.
exit_status()
{
  REPLY=0
  wait "${PIDS[$1]}" || REPLY=$?
  unset "PIDS[$1]"
}

# ---- gateways whose flush a test can hold up ----

setup_file()
{
  export FLUSH=$BATS_FILE_TMPDIR/flush.so
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$FLUSH" "$BATS_TEST_DIRNAME/fault/flush.c"
}

# cached NAME: a gateway with a write-back cache that dies with it, whose flush waits while
# $GS/stay.NAME is there and the director is in the phase that the file names.
cached()
{
  mkdir -p "$GS/$1"
  rm -f "$GATESHIFT_RUN/$1.sock"
  start "$1" env GS_FLUSH="$GS/stay.$1" LD_PRELOAD="$FLUSH" nbdkit -f \
    --unix "$GATESHIFT_RUN/$1.sock" --filter=cache file dir="$GS/$1" cache=writeback
  wait_for 10 test -S "$GATESHIFT_RUN/$1.sock"
}

# A hook that makes the export only when $GS/stay.hook is gone.
slow_hook()
{
  printf '%s\n' '#!/bin/sh' "[ \"\$1\" != create ] || while [ -e '$GS/stay.hook' ]; do sleep 0.02; done" \
    "exec '$GATESHIFT_HOOKS/dir' \"\$@\"" >hook
  chmod +x hook
}

# ---- the client ----

client_done()
{
  touch enough
  exit_status client
  [[ $REPLY -eq 0 && ! -s client.log ]]
}

# The one owner has all: what the director serves, and, once its cache is gone, its disk.
complete()
{
  local gateway
  read -r gateway _ < <(owner)
  nbdcopy --flush "$(director_uri v)" served
  cmp served expected
  qemu-io -f raw -c flush "$(director_uri v)" >/dev/null
  kill_gateway "$gateway"
  cmp "$gateway/v" expected
}

# ---- the table ----

# fleet: v of 1 MiB on gw-a, an empty gw-b, a director, and the client.
fleet()
{
  GATEWAYS+=(gw-a gw-b)
  mkdir gw-a gw-b
  head -c 1M /dev/urandom >gw-a/v
  cp gw-a/v expected
  gateway gw-a
  gateway gw-b
  slow_hook
  write_gateways
  sed -i "s|,dir |,$GS/hook |" config/gateways.csv
  route-set v gw-a --size 1M >/dev/null
  start_director --quarantine 200ms
  start client verifier 256
  wait_for 10 test -s acknowledged
}

# move_until PHASE: begins the move, with EXEC_ARGS, and comes back when it is there and will stay
# there a while.
move_until()
{
  local slow=()
  case $1 in
    redirect) touch stay.hook ;;
    replicate | mirror) slow=(--bwlimit 256K) ;;
    commit) slow=(--bwlimit 512K) ;;
    hold) echo hold >stay.gw-b ;;
    retire) echo retire >stay.gw-a ;;
  esac
  start exec migrate-exec --window 20000 "${slow[@]}" "${EXEC_ARGS[@]}" <(plan gw-a gw-b 1)
  case $1 in
    redirect) wait_for 20 in_journal redirect begin ;;
    commit)
      wait_for 20 in_journal replicate mirror
      start lock flock -o "$GATESHIFT_STATE/routes.log" sleep 60
      wait_for 30 status_is phase commit
      ;;
    *) wait_for 30 status_is phase "$1" ;;
  esac
}

release()
{
  rm -f stay.*
  [[ ! -v PIDS[lock] ]] || kill_hard lock
}

# Goes on until the volume is on gw-b: with what is open, or else with a new move.
arrive()
{
  local status=0
  owned gw-b 2 uncommitted && [[ $(last_of_owner) == retire,switched ]] && return
  migrate-exec --window 20000 --resume >>resumed.log 2>&1 || status=$?
  ((status == 0 || status == 1 || status == 75))
  if owned gw-a 1 steady; then
    migrate-exec --window 20000 --overwrite <(plan gw-a gw-b 1) >>resumed.log 2>&1 || true
  fi
  return 1
}

# last_of_owner: the last event of the migration that switched.
last_of_owner()
{
  local id
  id=$(awk -F, '$7 == "switched" { print $2; exit }' state/history.csv)
  [[ $id ]] && last_event "$id"
}

kill_victim()
{
  if [[ $1 == gw-* ]]; then kill_gateway "$1"; else kill_hard "$1"; fi
}

# survives VICTIM PHASE: kill -9 of VICTIM in PHASE.
survives()
{
  fleet
  move_until "$2"
  kill_victim "$1"
  [[ $1 == exec ]] || gap
  release
  case $1 in
    director) start_director --quarantine 200ms ;;
    gw-*) gateway "$1" ;;
  esac
  if [[ $1 != exec ]]; then
    exit_status exec
    ((REPLY == 0 || REPLY == 1 || REPLY == 75))
  fi
  wait_for 60 arrive
  client_done
  complete
  # The journal tells of one switch, and so does what the planner reads.
  [[ $(cat state/migrations/*.csv | grep -c ',handover,switched,') -eq 1 ]]
  [[ $(grep -c ',handover,switched,' state/history.csv) -eq 1 ]]
}

# gap: a while in which the others meet the absence of the victim.
gap()
{
  sleep 0.3
}
