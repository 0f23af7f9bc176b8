#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# reader.sh: an access log counted by volume and hour: the record reader, which checks every field,
# against plain libcsv and mawk, which check none.  BENCH_RECORDS: length of the log.  Then the same
# log profiled (affinity-profile with one thread: counted by site, hour, segment and gateway, saved)
# against the same peers, which only count.
set -u

rounds=${BENCH_ROUNDS:-5} records=${BENCH_RECORDS:-2000000} seed=1
build=${BUILD:-$PWD/build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# program NAME: builds tests/bench/NAME.c with the flags of the tree.
program()
{
  local object=$build/tests/bench/$1.o
  make -s BUILD="$build" "${object#"$PWD"/}" "${build#"$PWD"/}/libcommon.a" &&
    "${CC:-cc}" -o "$dir/$1" "$object" "$build/libcommon.a" -lcsv -llz4 -lxxhash -lm || exit
}

by_mawk()
{
  # shellcheck disable=SC2016 # awk's own fields
  mawk -F, 'NR > 1 {n[$2 " " int($1 / 3600)]++} END {for (k in n) print k, n[k]}' "$1"
}

# measure ROUND PEER COMMAND...: appends "ROUND PEER CPU_SECONDS" and keeps the sorted result.
measure()
{
  local round=$1 peer=$2 TIMEFORMAT='%U %S'
  shift 2
  { time "$@" >"$dir/out" 2>"$dir/err"; } 2>"$dir/time" || {
    echo "reader: $peer failed:" >&2
    cat "$dir/err" >&2
    exit 70
  }
  awk -v round="$round" -v peer="$peer" '{print round, peer, $1 + $2}' "$dir/time" >>"$dir/samples"
  sort "$dir/out" >"$dir/$peer.out"
  cmp -s "$dir/$peer.out" "$dir/ours.out" || { echo "reader: $peer counts otherwise" >&2; exit 70; }
}

# profile ROUND: appends what profiling the log costs.
profile()
{
  local TIMEFORMAT='%U %S'
  rm -rf "$dir/state"
  { time "$build/bin/affinity-profile" --config "$dir/config" --state "$dir/state" --count-only \
      --threads 1 "$dir/access.csv" 2>"$dir/err"; } 2>"$dir/time" || {
    echo 'reader: affinity-profile failed:' >&2
    cat "$dir/err" >&2
    exit 70
  }
  awk -v round="$1" '{print round, "profile", $1 + $2}' "$dir/time" >>"$dir/samples"
}

# summary LABEL BASE: from lines "ROUND PEER CPU", medians of the ratios within each round.
summary()
{
  awk -v label="$1" -v base="$2" '
    function sorted(a, n,   i, j, t) {
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
    }
    function middle(a, n) { return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2 }
    function column(what, peer,   r, v) {
      for (r = 1; r <= rounds; r++)
        v[r] = what == "cpu" ? cpu[r, peer] : cpu[r, peer] / cpu[r, base]
      sorted(v, rounds)
      return what == "cpu" ? sprintf("%.2f", middle(v, rounds)) \
                           : sprintf("%.2f (%.2f-%.2f)", middle(v, rounds), v[1], v[rounds])
    }
    { cpu[$1, $2] = $3; seen[$2] = 1; rounds = $1 }
    END {
      for (peer in seen)
        if (peer != "ours" && peer != "profile")
          printf "%-18s %-10s %-20s %8s %8s\n", label, peer, column("ratio", peer),
            column("cpu", base), column("cpu", peer) | "sort"
    }' "$dir/samples"
}

for name in reader_log reader_group reader_libcsv; do
  program "$name"
done
"$dir/reader_log" "$records" "$seed" >"$dir/access.csv" || exit
bytes=$(stat -c %s "$dir/access.csv")
mkdir "$dir/config"
printf 'client,site,tz\n192.0.2.0/27,near,\n192.0.2.32/27,far,\n' >"$dir/config/sites.csv"
peers=(ours libcsv)
if command -v mawk >/dev/null; then
  peers+=(mawk)
else
  echo 'reader: mawk: skipped, not installed'
fi

: >"$dir/samples"
for ((round = 1; round <= rounds; round++)); do
  for peer in "${peers[@]}"; do
    case $peer in
    ours) measure "$round" ours "$dir/reader_group" "$dir/access.csv" ;;
    libcsv) measure "$round" libcsv "$dir/reader_libcsv" "$dir/access.csv" ;;
    mawk) measure "$round" mawk by_mawk "$dir/access.csv" ;;
    esac
  done
  profile "$round"
done

echo "reader: records a CPU second as a ratio to each peer's; $records records," \
  "$((bytes / 1000000)) MB, seed $seed, $rounds rounds"
printf '%-18s %-10s %-20s %8s %8s\n' workload peer 'ratio (min-max)' 'CPU s' "peer's"
summary 'group plain' ours
summary 'profile' profile
