#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# director.sh: route-director between an NBD client and its gateway, against no proxy at all
# (direct), HAProxy as a TCP proxy, nbdkit's nbd plugin, qemu-storage-daemon, and itself while it
# writes an access log (logging).  Client: fio's nbd engine; gateway: nbdkit's memory plugin.
set -u

rounds=${BENCH_ROUNDS:-5} seconds=${BENCH_SECONDS:-2}
bin=${BUILD:-$PWD/build}/bin
dir=$(mktemp -d)
pids=()
finish()
{
  [[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$dir"
}
trap finish EXIT

listening()
{
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# serve NAME COMMAND...: starts COMMAND with %p replaced by a port that nobody listens on, and
# sets port and pid once it answers there; the next port is tried when the program ends instead.
serve()
{
  local name=$1 deadline
  shift
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 40000))
    ! listening "$port" || continue
    "${@//%p/$port}" >"$dir/$name.log" 2>&1 &
    pid=$!
    deadline=$((SECONDS + 5))
    while kill -0 "$pid" 2>/dev/null && [[ $SECONDS -le $deadline ]]; do
      if listening "$port"; then
        pids+=("$pid")
        return
      fi
      sleep 0.05
    done
    kill "$pid" 2>/dev/null
  done
  echo "director: $name does not start:" >&2
  cat "$dir/$name.log" >&2
  exit 69
}

start_haproxy()
{
  cat >"$dir/haproxy.cfg" <<END
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen nbd
  bind "127.0.0.1:\${LISTEN_PORT}"
  server gateway 127.0.0.1:$gateway_port
END
  # One thread, as the director has.
  serve haproxy env LISTEN_PORT=%p haproxy -db -f "$dir/haproxy.cfg"
}

start_nbdkit()
{
  serve nbdkit nbdkit -f -i 127.0.0.1 -p %p nbd uri="nbd://127.0.0.1:$gateway_port/vol"
}

start_qemu-storage-daemon()
{
  serve qemu-storage-daemon qemu-storage-daemon \
    --blockdev driver=nbd,node-name=vol,export=vol,server.type=inet,server.host=127.0.0.1,server.port="$gateway_port" \
    --nbd-server addr.type=inet,addr.host=127.0.0.1,addr.port=%p,max-connections=0 \
    --export type=nbd,id=vol,node-name=vol,name=vol,writable=on
}

# start_director NAME OPTION...: each with a route store of its own.
start_director()
{
  local own=$dir/$1
  mkdir -p "$own/config" "$own/state" "$own/run"
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\n%s\n' \
    "gw-a,nbd://127.0.0.1:$gateway_port,,,,active," >"$own/config/gateways.csv"
  local dirs=(--config "$own/config" --state "$own/state" --run "$own/run")
  "$bin/route-set" "${dirs[@]}" vol gw-a >/dev/null || exit
  serve "$1" "$bin/route-director" --listen 127.0.0.1:%p "${@:2}" "${dirs[@]}"
}

# The processor time that process PID has used, in clock ticks.
ticks()
{
  sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'
}

# measure PEER PORT PID RW BLOCK DEPTH: prints "PEER RATE CPU_US" (I/Os a second; µs an I/O).
measure()
{
  local before after
  before=$(ticks "$3")
  fio --name=bench --ioengine=nbd --uri="nbd://127.0.0.1:$2/vol" --rw="$4" --bs="$5" \
    --iodepth="$6" --size=256M --time_based --runtime="$seconds" --norandommap \
    --output-format=json --output="$dir/fio.json" 2>"$dir/fio.log" || {
    echo "director: fio through $1 failed:" >&2
    cat "$dir/fio.log" >&2
    exit 69
  }
  after=$(ticks "$3")
  jq -r --arg peer "$1" --argjson ticks $((after - before)) --argjson hz "$(getconf CLK_TCK)" '
    .jobs[0] | (.read, .write) | select(.total_ios > 0)
    | "\($peer) \(.iops) \($ticks / $hz * 1e6 / .total_ios)"' "$dir/fio.json"
}

# summary LABEL: from lines "ROUND PEER RATE CPU", medians of the ratios within each round.
summary()
{
  awk -v label="$1" '
    function sorted(a, n,   i, j, t) {
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
    }
    function middle(a, n) { return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2 }
    function column(what, peer,   r, n, v) {
      n = 0
      for (r = 1; r <= rounds; r++)
        v[++n] = what == "cpu" ? cpu[r, peer] : rate[r, "director"] / rate[r, peer]
      sorted(v, n)
      return what == "cpu" ? sprintf("%.1f", middle(v, n)) \
                           : sprintf("%.2f (%.2f-%.2f)", middle(v, n), v[1], v[n])
    }
    { rate[$1, $2] = $3; cpu[$1, $2] = $4; seen[$2] = 1; rounds = $1 }
    END {
      for (peer in seen)
        if (peer != "director")
          printf "%-14s %-20s %-18s %8s %8s\n", label, peer, column("rate", peer),
            column("cpu", "director"), peer == "direct" ? "-" : column("cpu", peer) | "sort"
    }' "$dir/samples"
}

for tool in nbdkit fio jq; do
  command -v "$tool" >/dev/null || { echo "director: skipped, no $tool"; exit 0; }
done

serve gateway nbdkit -f -i 127.0.0.1 -p %p --filter=noextents memory 256M
gateway_port=$port
peers=("direct $port $pid")
for peer in haproxy nbdkit qemu-storage-daemon; do
  if command -v "$peer" >/dev/null; then
    "start_$peer"
    peers+=("$peer $port $pid")
  else
    echo "director: $peer: skipped, not installed"
  fi
done
start_director director
peers+=("director $port $pid")
start_director logging --access-log "$dir/access.csv"
peers+=("logging $port $pid")

echo "director: I/O rate through route-director as a ratio to each peer's, TCP, $rounds rounds of $seconds s"
printf '%-14s %-20s %-18s %8s %8s\n' workload peer 'ratio (min-max)' 'CPU µs' "peer's"
for workload in 'randread 4k 32' 'randwrite 4k 32' 'read 1M 4' 'write 1M 4'; do
  read -r rw block depth <<<"$workload"
  : >"$dir/samples"
  for ((round = 1; round <= rounds; round++)); do
    for peer in "${peers[@]}"; do
      read -r name at process <<<"$peer"
      measure "$name" "$at" "$process" "$rw" "$block" "$depth" | sed "s/^/$round /" >>"$dir/samples"
    done
  done
  summary "$block ${rw#rand} x$depth"
done
