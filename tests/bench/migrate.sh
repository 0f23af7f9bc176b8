#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate.sh: a volume that a client writes to is moved from one gateway to another, by migrate-exec
# through route-director, and by qemu-storage-daemon's blockdev-mirror and job-complete, in both its
# copy modes, in turn.  The client is fio's nbd engine, 4 KiB random writes at a given rate with
# crc32c verified at its end; the gateways are nbdkit's file plugin on a tmpfs.
#
# Figures come from fio's log of every write's latency, in Unix time: the rate kept is that of the
# writes that ended between the begin of the move and that of the cutover, by the rate asked for; the
# pause is the longest latency of a write that ended between the cutover's begin (the first hold;
# job-complete) and a tenth of a second after its end (switched; BLOCK_JOB_COMPLETED).
#
# Then volumes are handed over to and fro without a rest, ours and qemu-storage-daemon's in turn,
# under mixed reads and writes; the pauses are those of a job of 4 KiB writes beside them.  What is
# none of a hand-over (letting go of the old copy, the next one's copying) begins when its tenth of a
# second is over.  For comparison: what the same writes take at most in a tenth of a second at rest.
#
# BENCH_SIZE bytes (1G), BENCH_RATES writes a second (10000 4000 1000), BENCH_MOVE_SECONDS (12) until
# a move counts as one that never ends, BENCH_HANDOVERS (60), BENCH_ROUNDS.
set -u

rounds=${BENCH_ROUNDS:-5} size=$(numfmt --from=iec "${BENCH_SIZE:-1G}")
limit=${BENCH_MOVE_SECONDS:-12} handovers=${BENCH_HANDOVERS:-60}
read -ra rates <<<"${BENCH_RATES-10000 4000 1000}"
bin=${BUILD:-$PWD/build}/bin
export GATESHIFT_HOOKS=$PWD/share/hooks
dir=$(mktemp -d) data=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo /tmp)")
declare -A pids=()

for tool in nbdkit fio jq socat; do
  command -v "$tool" >/dev/null || { echo "migrate: skipped, no $tool"; exit 0; }
done

end()
{
  kill -KILL "${pids[$1]}" 2>/dev/null
  wait "${pids[$1]}" 2>/dev/null
  unset "pids[$1]"
}

finish()
{
  local name
  for name in "${!pids[@]}"; do
    end "$name"
  done
  rm -rf "$dir" "$data"
}
trap finish EXIT

fail()
{
  echo "migrate: $1" >&2
  tail -n 20 "$dir"/*.log >&2
  exit 69
}

# until_true COMMAND...: polls it for ten seconds.
until_true()
{
  local deadline=$((SECONDS + 10))
  until "$@" >/dev/null 2>&1; do
    [[ $SECONDS -le $deadline ]] || return
    sleep 0.02
  done
}

accepts()
{
  socat -u OPEN:/dev/null "UNIX-CONNECT:$1"
}

# launch NAME SOCKET COMMAND...: in the background, until it listens on $dir/SOCKET.
launch()
{
  local name=$1 socket=$2
  shift 2
  "$@" >"$dir/$name.log" 2>&1 &
  pids[$name]=$!
  until_true accepts "$dir/$socket" || fail "$name does not start"
}

start_gateways()
{
  local name
  for name in "$@"; do
    mkdir -p "$data/$name"
    rm -f "$dir/$name.sock"
    launch "$name" "$name.sock" nbdkit -f --unix "$dir/$name.sock" --filter=noextents \
      file dir="$data/$name"
  done
}

# ---- the two ways; each sets front (the client's URI), and move FROM TO prints a line "TIME WHAT"
# ---- for what = begin, cutover, end (or error) ----

start_director()
{
  local name
  mkdir -p "$dir/config" "$dir/run"
  rm -rf "$dir/state" "$dir/run"/*
  mkdir -p "$dir/state"
  dirs=(--config "$dir/config" --state "$dir/state" --run "$dir/run")
  {
    echo gateway,uri,site,capacity_bytes,iops_limit,state,hook
    for name in gw-a gw-b; do
      echo "$name,nbd+unix:///?socket=$dir/$name.sock,,,,active,dir $data/$name"
    done
  } >"$dir/config/gateways.csv"
  "$bin/route-set" "${dirs[@]}" vol gw-a >/dev/null || exit
  rm -f "$dir/front.sock"
  launch director front.sock "$bin/route-director" --listen "unix:$dir/front.sock" \
    --quarantine 200ms "${dirs[@]}"
  front="nbd+unix:///vol?socket=$dir/front.sock"
}

epoch()
{
  "$bin/route-set" "${dirs[@]}" vol | sed -n '2s/^\([^,]*,\)\{2\}\([^,]*\).*/\2/p'
}

# Prints the time of each event that matters, as it comes.
stamp_events()
{
  local event held=
  while IFS=, read -r _ _ _ _ _ _ event _; do
    case $event in
      hold)
        [[ $held ]] || echo "$EPOCHREALTIME cutover"
        held=1
        ;;
      switched) echo "$EPOCHREALTIME end" ;;
      failed | stalled | deferred | aborted) echo "$EPOCHREALTIME $event" ;;
    esac
  done
}

move_ours()
{
  local at
  at=$(epoch)
  {
    echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
    echo "$(date +%s),vol,$1,$2,$at,optional,,,,,,,,"
  } >"$dir/plan.csv"
  echo "$EPOCHREALTIME begin"
  # shellcheck disable=SC2086 # words
  timeout "$limit" "$bin/migrate-exec" "${dirs[@]}" --on-fail retry ${3-} "$dir/plan.csv" \
    2>>"$dir/exec.log" | stamp_events
}

commit_ours()
{
  "$bin/migrate-exec" "${dirs[@]}" --commit "vol-$(epoch)" >/dev/null 2>>"$dir/exec.log"
}

start_qsd()
{
  local gateways=${1-gw-a}
  rm -f "$dir/qsd.sock" "$dir/qmp.sock"
  launch qsd qsd.sock qemu-storage-daemon \
    --blockdev "driver=nbd,node-name=node0,server.type=unix,server.path=$dir/$gateways.sock,export=vol" \
    --nbd-server "addr.type=unix,addr.path=$dir/qsd.sock" \
    --export type=nbd,id=e,node-name=node0,name=vol,writable=on \
    --chardev "socket,path=$dir/qmp.sock,server=on,wait=off,id=m" --monitor chardev=m
  front="nbd+unix:///vol?socket=$dir/qsd.sock"
  node=0
  coproc QMP { exec socat - "UNIX-CONNECT:$dir/qmp.sock" 2>/dev/null; }
  pids[qmp]=$QMP_PID
  qmp '{"execute": "qmp_capabilities"}' return
}

# qmp COMMAND WORD: sends it, and reads until a line with WORD comes; fails at an error, or when the
# time is up.
qmp()
{
  local line
  [[ -z $1 ]] || echo "$1" >&"${QMP[1]}"
  while IFS= read -r -t "$limit" line <&"${QMP[0]}"; do
    [[ $line != *'"error"'* ]] || return 1
    [[ $line != *"\"$2\""* ]] || return 0
  done
  return 1
}

# move_qsd TO COPY-MODE
move_qsd()
{
  local old=node$node
  node=$((node + 1))
  echo "$EPOCHREALTIME begin"
  if ! qmp '{"execute": "blockdev-add", "arguments": {"driver": "nbd", "node-name": "node'"$node"'",
    "server": {"type": "unix", "path": "'"$dir/$1"'.sock"}, "export": "vol"}}' return ||
    ! qmp '{"execute": "blockdev-mirror", "arguments": {"job-id": "m", "device": "'"$old"'",
    "target": "node'"$node"'", "sync": "full", "copy-mode": "'"$2"'"}}' BLOCK_JOB_READY; then
    echo "$EPOCHREALTIME never"
    return
  fi
  echo "$EPOCHREALTIME cutover"
  qmp '{"execute": "job-complete", "arguments": {"id": "m"}}' BLOCK_JOB_COMPLETED || {
    echo "$EPOCHREALTIME never"
    return
  }
  echo "$EPOCHREALTIME end"
  qmp '{"execute": "blockdev-del", "arguments": {"node-name": "'"$old"'"}}' return || true
}

# ---- one move under a writer ----

# warm: has memory for another copy of the volume at hand.  A virtual machine's host takes back what
# has been free for a while, and giving it again costs more than the copy itself, whoever makes it.
warm()
{
  head -c $((size + size / 4)) /dev/zero >"$data/warm"
  rm "$data/warm"
}

# client RATE: writes through $front for some seconds more than a move may take.
client()
{
  rm -f "$dir"/lat*.log
  fio --name=client --ioengine=nbd --uri="$front" --rw=randwrite --bs=4k --iodepth=32 \
    --size="$size" --rate_iops="$1" --time_based --runtime=$((limit + 20)) --norandommap \
    --verify=crc32c --write_lat_log="$dir/lat" --log_unix_epoch=1 --output-format=json \
    --output="$dir/fio.json" >"$dir/fio.out" 2>&1 &
  pids[fio]=$!
}

# figures RATE: from the stamps and fio's log, "SECONDS KEPT PAUSE", "-" for what there is not.
figures()
{
  awk -v rate="$1" '
    FNR == NR { at[$2] = $1 * 1000; next }
    !stop {
      start = at["begin"]; cut = ("cutover" in at) ? at["cutover"] : 0
      stop = ("end" in at) ? at["end"] : 0
      if (!stop) stop = -1
      last = cut ? cut : start + 1000 * limit
    }
    { t = $1 + 0 }
    t >= start && t < last { during++ }
    stop > 0 && t >= cut && t <= stop + 100 && $2 > pause { pause = $2 }
    END {
      kept = 100 * during / ((last - start) / 1000) / rate
      if (stop > 0) printf "%.2f %.0f %.2f\n", (stop - start) / 1000, kept, pause / 1e6
      else printf "never %.0f -\n", kept
    }' limit="$limit" "$dir/stamps" FS='[, ]+' "$dir"/lat_lat.1.log
}

# one WAY RATE: prints "WAY SECONDS KEPT PAUSE ERRORS".
one()
{
  local errors=0
  rm -rf "$data"/gw-*
  mkdir -p "$data/gw-a" "$data/gw-b"
  cp "$data/original" "$data/gw-a/vol"
  [[ $1 == gateshift ]] || truncate -s "$size" "$data/gw-b/vol"
  start_gateways gw-a gw-b
  if [[ $1 == gateshift ]]; then start_director; else start_qsd; fi
  client "$2"
  sleep 2 # its rate has settled
  warm
  if [[ $1 == gateshift ]]; then move_ours gw-a gw-b; else move_qsd gw-b "${1#qsd-}"; fi >"$dir/stamps"
  wait "${pids[fio]}" || errors=1
  unset "pids[fio]"
  [[ $errors -eq 0 ]] || cat "$dir/fio.out" >>"$dir/client-errors.log"
  echo "$1 $(figures "$2") $errors"
  if [[ $1 == gateshift ]]; then end director; else end qmp && end qsd; fi
  end gw-a
  end gw-b
}

# Of lines "WAY SECONDS KEPT PAUSE ERRORS": a line for each way, and whether ours met the goals.
summary()
{
  awk -v rate="$1" '
    function sorted(s, a,   n, i, j, t) {
      n = split(s, a, " ")
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
      return n
    }
    function middle(s,   a, n) {
      n = sorted(s, a)
      return n == 0 ? "-" : n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
    }
    function range(s,   a, n) {
      n = sorted(s, a)
      return n == 0 ? "-" : sprintf("%.2f (%.2f-%.2f)", middle(s), a[1], a[n])
    }
    !($1 in runs) { order[++ways] = $1 }
    {
      runs[$1]++; errors[$1] += $5; kept[$1] = kept[$1] " " $3
      if ($2 == "never") never[$1]++
      else { time[$1] = time[$1] " " $2; pause[$1] = pause[$1] " " $4 }
    }
    END {
      for (i = 1; i <= ways; i++) {
        w = order[i]
        printf "%-8s %-20s %-20s %-22s %-20s %5d %s\n", rate, w, range(time[w]), range(kept[w]),
          range(pause[w]), errors[w], never[w] ? "never converged in " never[w] " of " runs[w] : ""
      }
      w = "gateshift"
      printf "%-8s goals: converges %s, 80 %% of the rate kept %s, no error %s\n", rate,
        never[w] ? "NOT MET" : "met", (middle(kept[w]) < 80) ? "NOT MET" : "met",
        errors[w] ? "NOT MET" : "met"
    }' "$dir/samples"
}

ways=(gateshift)
if command -v qemu-storage-daemon >/dev/null; then
  ways+=(qsd-background qsd-write-blocking)
else
  echo "migrate: qemu-storage-daemon: skipped, not installed"
fi

head -c "$size" /dev/urandom >"$data/original"
if [[ ${#rates[@]} -gt 0 ]]; then
  echo "migrate: $size bytes moved under 4 KiB random writes, $rounds rounds: median (min-max)"
  printf '%-8s %-20s %-20s %-22s %-20s %5s\n' writes/s way 'seconds to switch' 'rate kept %' 'pause ms' errors
fi
for rate in "${rates[@]}"; do
  : >"$dir/samples"
  for ((round = 1; round <= rounds; round++)); do
    for way in "${ways[@]}"; do
      one "$way" "$rate" >>"$dir/samples"
    done
  done
  summary "$rate"
done
[[ ! -s $dir/client-errors.log ]] || cat "$dir/client-errors.log"

# ---- hand-overs without a rest ----

# mixed NAME: reads and writes of three sizes, each in a part of its own, verified, and a probe.
mixed()
{
  local part=$((64 << 20)) common
  common=(--ioengine=nbd --uri="$front" --time_based --runtime=3600 --verify=crc32c
    --verify_backlog=64 --verify_fatal=1 --serialize_overlap=1 --size="$part")
  fio --name=small "${common[@]}" --rw=randrw --bs=4k --iodepth=4 --rate_iops=200 \
    --name=middle "${common[@]}" --rw=randrw --bs=256k --iodepth=2 --rate_iops=10 --offset=$part \
    --name=large "${common[@]}" --rw=randrw --bs=1M --iodepth=2 --rate_iops=3 --offset=$((2 * part)) \
    --name=probe "${common[@]}" --rw=randwrite --bs=4k --iodepth=2 --rate_iops=500 \
    --offset=$((3 * part)) --write_lat_log="$dir/$1" --log_unix_epoch=1 \
    --output="$dir/$1.fio" >"$dir/$1.out" 2>&1 &
  pids[$1]=$!
}

# at_rest: prints stamps as if a hand-over that takes no time were made every 0.2 s.
at_rest()
{
  local i
  for ((i = 0; i < 20; i++)); do
    echo "$EPOCHREALTIME cutover"
    echo "$EPOCHREALTIME end"
    sleep 0.2
  done
}

# pauses NAME STAMPS: of each hand-over in $dir/STAMPS.stamps the longest latency of a probe, in ms.
pauses()
{
  awk '
    FNR == NR && $2 == "cutover" { from[++n] = $1 * 1000 }
    FNR == NR && $2 == "end" { to[n] = $1 * 1000 + 100 }
    FNR == NR { next }
    {
      for (i = 1; i <= n; i++)
        if ($1 >= from[i] && $1 <= to[i] && $2 > pause[i]) pause[i] = $2
    }
    END { for (i = 1; i <= n; i++) if (to[i]) printf "%.2f\n", pause[i] / 1e6 }' \
    "$dir/$2.stamps" FS='[, ]+' "$dir/$1"_lat.*.log | sort -n
}

# stop_mixed NAME: 0 if it had no error.
stop_mixed()
{
  local status=0
  kill -INT "${pids[$1]}"
  wait "${pids[$1]}" || status=$?
  unset "pids[$1]"
  # 128: it was told to end.
  [[ $status -eq 0 || $status -eq 128 ]] && ! grep -qi 'verify.*\(bad\|fail\)\|error=' "$dir/$1".{fio,out}
}

# line NAME STAMPS: prints median, p95 and the number of hand-overs.
line()
{
  pauses "$@" | awk '
    { v[NR] = $1 }
    END {
      if (!NR) { print "- - 0"; exit }
      print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[int((NR * 95 + 99) / 100)], NR
    }'
}

hand_overs()
{
  local n from=gw-a to=gw-b qfrom=gw-c qto=gw-d qsd=$1 errors=0 qerrors=0 way figures ours theirs=(- -)
  size=$((256 << 20)) limit=60
  rm -rf "$data"/gw-*
  mkdir -p "$data"/gw-{a,b,c,d}
  head -c "$size" "$data/original" >"$data/gw-a/vol" # zeros behind that
  truncate -s "$size" "$data/gw-a/vol"
  cp "$data/gw-a/vol" "$data/gw-c/vol"
  truncate -s "$size" "$data/gw-d/vol"
  start_gateways gw-a gw-b gw-c gw-d
  start_director
  mixed gateshift
  if [[ $qsd ]]; then
    start_qsd gw-c
    mixed qsd
  fi
  sleep 2
  at_rest >"$dir/rest.stamps"
  for ((n = 1; n <= handovers; n++)); do
    move_ours "$from" "$to" >>"$dir/gateshift.stamps"
    sleep 0.2
    commit_ours || errors=$((errors + 1))
    rm -rf "$data/$from/.cold"
    read -r from to <<<"$to $from"
    [[ $qsd ]] || continue
    move_qsd "$qto" background >>"$dir/qsd.stamps"
    sleep 0.2
    read -r qfrom qto <<<"$qto $qfrom"
  done
  stop_mixed gateshift || errors=$((errors + 1))
  [[ ! $qsd ]] || stop_mixed qsd || qerrors=1
  echo "migrate: $handovers hand-overs to and fro, mixed 4k, 256k and 1M reads and writes"
  printf '%-20s %-10s %-10s %-10s %s\n' way 'median ms' 'p95 ms' switched errors
  for way in gateshift ${qsd:+qsd}; do
    read -r -a figures < <(line "$way" rest)
    printf '%-20s %-10s %s\n' "$way at rest" "${figures[@]:0:2}"
  done
  read -r -a ours < <(line gateshift gateshift)
  printf '%-20s %-10s %-10s %-10s %s\n' gateshift "${ours[@]}" "$errors"
  if [[ $qsd ]]; then
    read -r -a theirs < <(line qsd qsd)
    printf '%-20s %-10s %-10s %-10s %s\n' qsd-background "${theirs[@]}" "$qerrors"
  fi
  awk -v median="${ours[0]}" -v p95="${ours[1]}" -v n="${ours[2]}" -v all="$handovers" \
    -v errors="$errors" -v theirs="${theirs[1]}" 'BEGIN {
      printf "goals: every hand-over without an error %s, median <= 5 ms %s, p95 <= theirs %s\n",
        n == all && !errors ? "met" : "NOT MET", median <= 5 ? "met" : "NOT MET",
        theirs == "-" ? "unknown" : p95 <= theirs ? "met" : "NOT MET" }'
}

if ((handovers > 0)); then
  hand_overs "$([[ ${#ways[@]} -eq 1 ]] || echo qsd)"
fi
