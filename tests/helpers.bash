# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Helpers of the bats files ("load helpers").  Each test has a folder of its own, $GS, with
#   $GS/config, $GS/state, $GS/run   what GATESHIFT_CONFIG, _STATE and _RUN point to
#   $GS/NAME/                        the exports of gateway NAME, one file a volume
#   $GS/run/NAME.sock                gateway NAME's socket
#   $GS/run/nbd.sock                 where the director listens, $GS/run/director.sock its control
#   $GS/NAME.log, $GS/director.log   what they wrote; shown when a test fails
# A file with a setup() or teardown() of its own calls common_setup or common_teardown first.
bats_require_minimum_version 1.5.0

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$(cd "${BUILD:-$SRC/build}" && pwd)
export SRC BUILD LC_ALL=C TZ=UTC0
export GATESHIFT_HOOKS=$SRC/share/hooks
export PATH=$BUILD/bin:$PATH
# Reports of sanitizers must be told from the statuses that a command ends with.
export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99} UBSAN_OPTIONS=${UBSAN_OPTIONS:-exitcode=99}
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99}

# Process ids by name ("director" or a gateway's) of what runs now; the gateways started so far.
declare -gA PIDS=()
declare -ga GATEWAYS=()

# needs_preload COMMAND: the test is skipped if that was built with a sanitizer, which wants to be the
# first library that is loaded.
needs_preload()
{
  ! grep -q __asan_init "$BUILD/bin/$1" || skip "built with a sanitizer"
}

# make_inject: $INJECT, a library that has calls fail or processes die (tests/fault/inject.c).  To be
# called by setup_file.
make_inject()
{
  export INJECT=$BATS_FILE_TMPDIR/inject.so
  ${CC:-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$INJECT" "$SRC/tests/fault/inject.c"
}

common_setup()
{
  GS=$BATS_TEST_TMPDIR
  # A unix socket's path ends at 107 bytes.
  [[ ${#GS} -le 80 ]] || GS=$(mktemp -d /tmp/gs.XXXXXX)
  export GS GATESHIFT_CONFIG=$GS/config GATESHIFT_STATE=$GS/state GATESHIFT_RUN=$GS/run
  mkdir -p "$GATESHIFT_CONFIG" "$GATESHIFT_STATE" "$GATESHIFT_RUN"
  cd "$GS" || return
}

common_teardown()
{
  local name log
  for name in "${!PIDS[@]}"; do
    kill_hard "$name"
  done
  if [[ -z ${BATS_TEST_COMPLETED-} ]]; then
    for log in "$GS"/*.log; do
      [[ ! -s $log ]] || { echo "--- ${log##*/}" && tail -n 40 "$log"; }
    done
  fi
  [[ $GS == "$BATS_TEST_TMPDIR" ]] || rm -rf "$GS"
}

setup()
{
  common_setup
}

teardown()
{
  common_teardown
}

# wait_for SECONDS COMMAND...: polls until COMMAND succeeds; fails at the deadline.
wait_for()
{
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      echo "gave up waiting for: $*" >&2
      return 1
    fi
    sleep 0.02
  done
}

# start NAME COMMAND...: runs COMMAND in the background, its output in $GS/NAME.log.
start()
{
  local name=$1
  shift
  "$@" >>"$GS/$name.log" 2>&1 3>&- &
  PIDS[$name]=$!
}

# stop NAME: SIGTERM, and the status it ends with.  kill_hard NAME: kill -9.
stop()
{
  local pid=${PIDS[$1]}
  unset "PIDS[$1]"
  kill -TERM "$pid" && wait "$pid"
}

kill_hard()
{
  local pid=${PIDS[$1]}
  unset "PIDS[$1]"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# gateway_uri NAME [VOLUME]
gateway_uri()
{
  echo "nbd+unix:///${2-}?socket=$GATESHIFT_RUN/$1.sock"
}

# start_gateway NAME [NBDKIT-ARGUMENT...]: nbdkit serving the files of $GS/NAME.  Arguments with a
# dash (--filter=…) go before the plugin, the others (rate=…) behind it.
start_gateway()
{
  local name=$1 arg options=() parameters=()
  shift
  for arg in "$@"; do
    if [[ $arg == -* ]]; then options+=("$arg"); else parameters+=("$arg"); fi
  done
  mkdir -p "$GS/$name"
  rm -f "$GATESHIFT_RUN/$name.sock"
  [[ " ${GATEWAYS[*]} " == *" $name "* ]] || GATEWAYS+=("$name")
  start "$name" nbdkit -f --unix "$GATESHIFT_RUN/$name.sock" "${options[@]}" \
    file dir="$GS/$name" "${parameters[@]}"
  wait_for 10 nbdinfo --list "$(gateway_uri "$name")"
}

# stop_gateway NAME: takes it away as a crash does (nbdkit waits for open connections on SIGTERM).
stop_gateway()
{
  kill_hard "$1"
  rm -f "$GATESHIFT_RUN/$1.sock"
}

# write_gateways: gateways.csv with all that were started, each with the hook "dir".
write_gateways()
{
  local name
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook
    for name in "${GATEWAYS[@]}"; do
      echo "$name,$(gateway_uri "$name"),,,,active,dir $GS/$name"
    done
  } >"$GATESHIFT_CONFIG/gateways.csv"
}

# make_volume GATEWAY VOLUME SIZE: an export of zeros.
make_volume()
{
  mkdir -p "$GS/$1"
  truncate -s "$3" "$GS/$1/$2"
}

# spoil FILE OFFSET: the byte there becomes another one.
spoil()
{
  local was
  was=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf %b "\\x$(printf %02x $((was ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

accepts()
{
  socat -u OPEN:/dev/null "UNIX-CONNECT:$1"
}

# start_director [ARGUMENT...]: waits until its NBD and its control socket answer.  Words in
# $DIRECTOR_ARGS come before the arguments: with "--threads 3" all tests can be run so.
start_director()
{
  local words
  read -ra words <<<"${DIRECTOR_ARGS-}"
  start director route-director --listen "unix:$GATESHIFT_RUN/nbd.sock" \
    --control "$GATESHIFT_RUN/director.sock" "${words[@]}" "$@"
  wait_for 10 accepts "$GATESHIFT_RUN/nbd.sock"
  wait_for 10 control help
}

# director_uri VOLUME: where clients connect.
director_uri()
{
  echo "nbd+unix:///$1?socket=$GATESHIFT_RUN/nbd.sock"
}

# control VERB [ARGUMENT...]: one request on a connection of its own; prints the whole reply and
# fails unless it ends in "ok".
control()
{
  local reply
  reply=$(echo "$*" | socat -t 30 - "UNIX-CONNECT:$GATESHIFT_RUN/director.sock") || return
  echo "$reply"
  [[ ${reply##*$'\n'} == ok || ${reply##*$'\n'} == "ok "* ]]
}
