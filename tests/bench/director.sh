#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# director.sh: route-director between an NBD client and its gateway, against no proxy at all
# (direct), HAProxy as a TCP proxy, nbdkit's nbd plugin, qemu-storage-daemon, and itself: with an
# access log (logging), without a replay log (no-replay), with two threads (threads-2).  Client:
# fio's nbd engine; gateway: nbdkit's file plugin on tmpfs.  All take turns in every round, and what
# is compared is of one round.  Ends with what of the goals is met.
#
# BENCH_ROUNDS, BENCH_SECONDS  how often and how long each is measured
# BENCH_ROWS                   which rows, of: 4k-read-32 4k-write-32 1M-read-4 1M-write-4 4k-read-1
#                              two-volumes
# BENCH_PEERS                  which others, of: direct haproxy nbdkit-nbd qemu-storage-daemon
#                              logging no-replay threads-2
# BENCH_GATEWAY, BENCH_DIR     file (in BENCH_DIR: /dev/shm) or memory
set -u

rounds=${BENCH_ROUNDS:-5} seconds=${BENCH_SECONDS:-3}
bin=${BUILD:-$PWD/build}/bin
here=$(dirname "$0")
# Of two threads, these two live in different ones.
volumes=(vol-a vol-b)
gateway=${BENCH_GATEWAY:-file}
read -ra rows <<<"${BENCH_ROWS:-4k-read-32 4k-write-32 1M-read-4 1M-write-4 4k-read-1 two-volumes}"
read -ra wanted <<<"${BENCH_PEERS:-direct haproxy nbdkit-nbd qemu-storage-daemon logging no-replay threads-2}"

for tool in nbdkit fio jq; do
  command -v "$tool" >/dev/null || { echo "director: skipped, no $tool"; exit 0; }
done

dir=$(mktemp -d -p "${BENCH_DIR:-/dev/shm}") || exit
pids=()
finish()
{
  [[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$dir"
}
trap finish EXIT

# shellcheck source=tests/bench/director_peers.bash
. "$here/director_peers.bash"

# The processor time that process PID has used, with what its ended threads did, in clock ticks.
ticks()
{
  sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'
}

# measure PEER PORT PID RW BLOCK DEPTH VOLUME...: prints "PEER RATE CPU_US" (I/Os a second; µs an
# I/O); each volume has a client of its own.
measure()
{
  local before after volume jobs=()
  for volume in "${@:7}"; do
    jobs+=(--name="$volume" --uri="nbd://127.0.0.1:$2/$volume")
  done
  before=$(ticks "$3")
  fio --ioengine=nbd --rw="$4" --bs="$5" --iodepth="$6" --size=256M --time_based \
    --runtime="$seconds" --norandommap --output-format=json --output="$dir/fio.json" \
    "${jobs[@]}" 2>"$dir/fio.log" || {
    echo "director: fio through $1 failed:" >&2
    cat "$dir/fio.log" >&2
    exit 69
  }
  after=$(ticks "$3")
  jq -r --arg peer "$1" --argjson ticks $((after - before)) --argjson hz "$(getconf CLK_TCK)" '
    [.jobs[] | (.read, .write)] | (map(.iops) | add) as $rate | (map(.total_ios) | add) as $n
    | "\($peer) \($rate) \($ticks / $hz * 1e6 / $n)"' "$dir/fio.json"
}

# belongs PEER ROW: is there anything to learn from PEER in ROW?
belongs()
{
  case $1:$2 in
  director:*) true ;;
  threads-2:two-volumes) true ;;
  threads-2:* | *:two-volumes) false ;;
  no-replay:*read*) false ;;
  *) true ;;
  esac
}

# run_row ROW: appends lines "ROW ROUND PEER RATE CPU_US" to $dir/samples.
run_row()
{
  local row=$1 round i n=${#peers[@]} name at process rw block depth clients=("${volumes[0]}")
  if [[ $row == two-volumes ]]; then
    rw=randread block=4k depth=32 clients=("${volumes[@]}")
  else
    IFS=- read -r block rw depth <<<"$row"
    [[ $block != 4k ]] || rw=rand$rw
  fi
  for ((round = 1; round <= rounds; round++)); do
    # Another begins in each round, so that the time of day is nobody's advantage.
    for ((i = round; i < round + n; i++)); do
      read -r name at process <<<"${peers[i % n]}"
      belongs "$name" "$row" || continue
      measure "$name" "$at" "$process" "$rw" "$block" "$depth" "${clients[@]}" |
        sed "s/^/$row $round /" >>"$dir/samples"
      [[ ${PIPESTATUS[0]} -eq 0 ]] || exit 69
    done
  done
}

start_gateway "$gateway"
gateway_pid=$pid
peers=()
for peer in "${wanted[@]}"; do
  case $peer in
  direct) port=$gateway_port pid=$gateway_pid ;;
  logging | no-replay | threads-2) start_variant "$peer" ;;
  *)
    if ! "has_$peer"; then
      echo "director: $peer: skipped, not installed"
      continue
    fi
    "start_$peer"
    ;;
  esac
  peers+=("$peer $port $pid")
done
start_variant director
peers+=("director $port $pid")

echo "director: I/O rate through route-director as a ratio to each peer's, and CPU µs of an I/O;" \
  "TCP, gateway nbdkit $gateway, $rounds rounds of $seconds s, median (min-max) of the ratios"
: >"$dir/samples"
for row in "${rows[@]}"; do
  run_row "$row"
  awk -f "$here/director.awk" -v what=table -v row="$row" "$dir/samples"
done
echo
awk -f "$here/director.awk" -v what=goals "$dir/samples"
