#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# idle.sh: what an idle client costs route-director: bytes of its resident memory, without the
# kernel's for the socket.
set -u

build=${BUILD:-$PWD/build} clients=${BENCH_CLIENTS:-2000}
export PATH=$build/bin:$PATH
dir=$(mktemp -d)
export GATESHIFT_CONFIG=$dir/config GATESHIFT_STATE=$dir/state GATESHIFT_RUN=$dir/run
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

command -v nbdkit >/dev/null || { echo "idle: skipped, no nbdkit"; exit 0; }
ulimit -n "$(ulimit -H -n)"
object=$build/tests/bench/idle_clients.o
make -s BUILD="$build" "${object#"$PWD"/}" "${build#"$PWD"/}/libcommon.a" &&
  "${CC:-cc}" -o "$dir/idle_clients" "$object" "$build/libcommon.a" -lcsv -llz4 -lxxhash -lm || exit

mkdir -p "$GATESHIFT_CONFIG" "$GATESHIFT_RUN"
printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\n%s\n' \
  "gw-a,nbd+unix:///?socket=$dir/gw-a.sock,,,,active," >"$GATESHIFT_CONFIG/gateways.csv"
route-set v gw-a >/dev/null || exit
nbdkit -f -U "$dir/gw-a.sock" memory 64M &
route-director --listen "unix:$dir/nbd.sock" &
pid=$!
for _ in {1..100}; do
  [[ -S $dir/nbd.sock && -S $dir/gw-a.sock ]] && break
  sleep 0.05
done
echo "idle: $("$dir/idle_clients" "$dir/nbd.sock" v "$clients" "$pid") bytes of memory for each of $clients idle clients"
