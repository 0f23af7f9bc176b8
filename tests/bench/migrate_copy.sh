#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate_copy.sh: the bulk copy of an idle volume by migrate-exec, from its event "begin" to the
# end of its first pass, and the whole move, proof and hand-over included, against nbdcopy, which
# proves nothing.  Both gateways are nbdkit on tmpfs, both targets new.  BENCH_MIB: volume's size.
set -u

rounds=${BENCH_ROUNDS:-5} mib=${BENCH_MIB:-1024}
bin=${BUILD:-$PWD/build}/bin
export GATESHIFT_HOOKS=${GATESHIFT_HOOKS:-$PWD/share/hooks}
[[ -d /dev/shm && -w /dev/shm ]] && dir=$(mktemp -d /dev/shm/gateshift.XXXXXX) || dir=$(mktemp -d)
declare -A pids=()
finish()
{
  [[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$dir"
}
trap finish EXIT

# serve NAME SOCKET COMMAND...: starts COMMAND and waits until it listens.
serve()
{
  local name=$1 socket=$2 deadline=$((SECONDS + 10))
  shift 2
  "$@" >"$dir/$name.log" 2>&1 &
  pids[$name]=$!
  until nbdinfo --list "nbd+unix:///?socket=$socket" >/dev/null 2>&1; do
    if [[ $SECONDS -ge $deadline ]] || ! kill -0 "${pids[$name]}" 2>/dev/null; then
      echo "migrate_copy: $name does not start:" >&2
      cat "$dir/$name.log" >&2
      exit 69
    fi
    sleep 0.02
  done
}

gateway()
{
  mkdir -p "$dir/$1"
  serve "$1" "$dir/$1.sock" nbdkit -f --unix "$dir/$1.sock" --filter=noextents \
    file dir="$dir/$1"
}

# warm: has memory for another copy at hand (tests/bench/migrate.sh says why).
warm()
{
  head -c "$((mib + mib / 4))M" /dev/zero >"$dir/warm"
  rm "$dir/warm"
}

# nbdcopy's seconds, onto a new file.
measure_nbdcopy()
{
  local TIMEFORMAT=%R
  rm -f "$dir/gw-b/v"
  truncate -s "${mib}M" "$dir/gw-b/v"
  warm
  { time nbdcopy "nbd+unix:///v?socket=$dir/gw-a.sock" "nbd+unix:///v?socket=$dir/gw-b.sock" \
    2>"$dir/nbdcopy.log"; } 2>"$dir/time" || {
    echo "migrate_copy: nbdcopy failed:" >&2
    cat "$dir/nbdcopy.log" >&2
    exit 69
  }
  cat "$dir/time"
}

# "COPY WHOLE": seconds of migrate-exec, each move from a route store of its own.
measure_ours()
{
  local own=$dir/own begin
  rm -rf "$own" "$dir/gw-b/v"
  mkdir -p "$own/config" "$own/state" "$own/run"
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\n' >"$own/config/gateways.csv"
  for gateway in gw-a gw-b; do
    echo "$gateway,nbd+unix:///?socket=$dir/$gateway.sock,,,,active,dir $dir/$gateway"
  done >>"$own/config/gateways.csv"
  local dirs=(--config "$own/config" --state "$own/state" --run "$own/run")
  "$bin/route-set" "${dirs[@]}" v gw-a >/dev/null || exit 69
  serve director "$own/run/nbd.sock" "$bin/route-director" --listen "unix:$own/run/nbd.sock" \
    "${dirs[@]}"
  warm
  begin=$EPOCHREALTIME
  "$bin/migrate-exec" "${dirs[@]}" >"$own/events" 2>"$own/log" <<END || {
time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
$EPOCHSECONDS,v,gw-a,gw-b,1,optional,,,,,,,,
END
    echo "migrate_copy: migrate-exec failed:" >&2
    cat "$own/events" "$own/log" >&2
    exit 69
  }
  awk -F, -v from="$begin" -v to="$EPOCHREALTIME" '
    $7 == "begin" {begin = $1}
    $7 == "pass" {pass = $1}
    END {printf "%.3f %.3f\n", pass - begin, to - from}' "$own/events"
  kill "${pids[director]}" && wait "${pids[director]}" 2>/dev/null
  unset "pids[director]"
  cmp -s "$dir/gw-a/v" "$dir/gw-b/v" || {
    echo "migrate_copy: the copy differs" >&2
    exit 70
  }
}

# From lines "NBDCOPY COPY WHOLE" of a round each: medians, and medians of the rounds' ratios.
summary()
{
  awk '
    function middle(a, n,   i, j, t) {
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
      return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
    }
    function column(label, x, y,   r, v, w) {
      for (r = 1; r <= NR; r++) { v[r] = y[r] / x[r]; w[r] = x[r] }
      t = middle(v, NR)
      printf "%-22s %-20s %8.2f\n", label, sprintf("%.2f (%.2f-%.2f)", t, v[1], v[NR]),
        middle(w, NR)
    }
    { peer[NR] = $1; copy[NR] = $2; whole[NR] = $3 }
    END {
      column("nbdcopy", peer, peer)
      column("copy", copy, peer)
      column("copy, proof, switch", whole, peer)
    }' "$dir/samples"
}

for tool in nbdkit nbdcopy nbdinfo; do
  command -v "$tool" >/dev/null || { echo "migrate_copy: skipped, no $tool"; exit 0; }
done

gateway gw-a
gateway gw-b
head -c "${mib}M" /dev/urandom >"$dir/gw-a/v"
echo "migrate_copy: rate of a move of $mib MiB as a ratio to nbdcopy's, $rounds rounds"
printf '%-22s %-20s %8s\n' work 'ratio (min-max)' seconds
for ((round = 1; round <= rounds; round++)); do
  if ((round % 2)); then
    peer=$(measure_nbdcopy) && ours=$(measure_ours) || exit
  else
    ours=$(measure_ours) && peer=$(measure_nbdcopy) || exit
  fi
  echo "$peer $ours" >>"$dir/samples"
done
summary
