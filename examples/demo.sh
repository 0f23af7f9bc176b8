#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016 # awk programs are quoted on purpose
# demo.sh - a gateway degrades, is predicted to fail, is left in time, fails; its client never knows
#
# Two NBD gateways (nbdkit) on unix sockets, a director, and a client (fio) that writes and verifies
# all the while.  gw-a gets slower step by step; the pipeline is typed as an operator would, and
# echoed.  Ends 0 only if the volume was moved before gw-a died and the client saw no error and no
# wrong byte.  Everything happens in a temporary folder; no ports are used.
set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
export PATH="$build/bin:$PATH" GATESHIFT_SHARE="${GATESHIFT_SHARE:-$here/../share}"
T=$(mktemp -d /tmp/gateshift-demo.XXXXXX)
export GATESHIFT_CONFIG=$T/config GATESHIFT_STATE=$T/state GATESHIFT_RUN=$T/run
cd "$T" || exit 73
mkdir config state run gw-a gw-b
bold='' plain=''
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] && bold=$'\e[1m' plain=$'\e[0m'
pids=()

finish()
{
  exec 2>/dev/null
  [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}"
  wait
  rm -rf "$T"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# Echoes a command line as it would be typed, then runs it; the rest of its output is indented.
run()
{
  printf '%s$ %s%s\n' "$bold" "$1" "$plain"
  eval "$1" 2>&1 | sed 's/^/  /'
  return "${PIPESTATUS[0]}"
}
die()
{
  printf 'demo: %s\n' "$*" >&2
  tail -n 5 ./*.log >&2
  exit 1
}
now() { date +%s.%N; }
# Polls a command for so many seconds.
wait_for()
{
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
# Field NAME of the last record that AWK-condition picks in a CSV file without quoted commas before it.
field() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  '"$3"' { v = $at[name] } END { print v }' "$1"; }
background()
{
  local log=$1
  shift
  "$@" </dev/null >"$log" 2>&1 &
  pids+=($!)
  disown
}

say '1. Two gateways, a volume, a director, a client'
cat >config/gateways.csv <<EOT
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd+unix:///?socket=$T/a.sock,europe,,,active,dir $T/gw-a
gw-b,nbd+unix:///?socket=$T/b.sock,america,,,active,dir $T/gw-b
EOT
cat >config/sites.csv <<EOT
client,site,tz
10.1.0.0/16,europe,Europe/Berlin
10.2.0.0/16,america,America/New_York
*,europe,Europe/Berlin
EOT
cat >config/distances.csv <<EOT
site,gateway,rtt_us
europe,gw-a,300
europe,gw-b,900
america,gw-a,900
america,gw-b,300
EOT
cp "$GATESHIFT_SHARE/health.csv" config/
truncate -s 8M gw-a/vol1
truncate -s 1M gw-b/probe
echo 400M >a.rate # bits a second, each way; lowered while nbdkit runs
background gw-a.log nbdkit -f -t 64 -U "$T/a.sock" --filter=rate file dir="$T/gw-a" \
  rate=400M rate-file="$T/a.rate"
gw_a=${pids[0]}
background gw-b.log nbdkit -f -U "$T/b.sock" file dir="$T/gw-b"
wait_for 10 nbdinfo --size "nbd+unix:///vol1?socket=$T/a.sock" || die 'gw-a does not start'
wait_for 10 nbdinfo --size "nbd+unix:///probe?socket=$T/b.sock" || die 'gw-b does not start'
run 'cat config/gateways.csv'
run 'route-set vol1 gw-a'
printf '%s$ %s%s\n' "$bold" 'route-director --listen unix:front.sock --access-log access.csv &' "$plain"
background director.log route-director --listen unix:front.sock --access-log access.csv
wait_for 10 nbdinfo --size "nbd+unix:///vol1?socket=front.sock" || die 'the director does not serve'

say 'A made-up history: four weeks of two sites using the volume in turn (seed 1)'
run "awk -v end=$(date +%s) -v volume=vol1 -v size=8388608 -f $here/make-history.awk \
</dev/null | affinity-profile --train - | cut -c1-120"

say 'The client: fio reads and writes 4 KiB blocks at random through the director and verifies them (crc32c)'
fio --name=client --ioengine=nbd --uri="nbd+unix:///vol1?socket=$T/front.sock" --rw=write --bs=4k \
  --iodepth=32 --size=8M --verify=crc32c --verify_state_save=0 >fill.log 2>&1 || die 'filling failed'
background fio.log fio --name=client --ioengine=nbd --uri="nbd+unix:///vol1?socket=$T/front.sock" \
  --rw=randrw --rwmixread=90 --bs=4k --iodepth=64 --size=8M --verify=crc32c --verify_backlog=16 \
  --serialize_overlap=1 --verify_state_save=0 --rate_iops=4000,150 --time_based --runtime=150 \
  --output-format=json --output=fio.json
fio=${pids[3]}
printf '%s$ %s%s\n' "$bold" 'gateway-probe --interval 500ms >metric.csv &' "$plain"
background probe.log bash -c 'exec gateway-probe --interval 500ms >metric.csv'
wait_for 10 test -s access.csv || die 'the client does nothing'

score() { health-score metric.csv >health.new && mv health.new health.csv; }
in_trouble()
{
  score && awk -F, '$2 == "gw-a" && $3 != "" && ($3 < 0.4 || $5 > 0.5) { bad = 1 } END { exit !bad }' \
    health.csv
}

say '2. All is well: eight seconds of it'
sleep 8
run 'health-score metric.csv | tee health.csv'
run 'affinity-profile access.csv | tee affinity.csv'
run 'migrate-plan --health health.csv --affinity affinity.csv --explain >plan.csv; cat plan.csv'

say '3. gw-a gets slower, step by step; each step is a line in its rate file'
trouble=$(now)
predicted=''
for rate in 200 120 95 88 84 80 76 72 68 64 60 56 52 48; do
  echo "${rate}M" >a.rate
  end=$((SECONDS + 2))
  while [ "$SECONDS" -lt "$end" ] && [ -z "$predicted" ]; do
    sleep 0.5
    in_trouble && predicted=$(now)
  done
  printf '  gw-a at %3s Mbit/s: read %8s us, p_fail %s\n' "$rate" \
    "$(field metric.csv value '$2 == "gw-a" && $3 == "nbd_read_us"')" \
    "$(field health.csv p_fail '$2 == "gw-a"')"
  [ -z "$predicted" ] || break
done
[ -n "$predicted" ] || die 'the trouble was not seen coming'

say '4. The pipeline, as cron would run it'
run 'health-score metric.csv | tee health.csv'
run 'affinity-profile access.csv | tee affinity.csv'
run 'migrate-plan --health health.csv --affinity affinity.csv --explain >plan.csv; cat plan.csv'
[ "$(wc -l <plan.csv)" -eq 2 ] || die 'no move was planned'
run 'migrate-exec --dry-run plan.csv'
run 'migrate-exec --window 400 plan.csv | tee event.csv' || die 'the move failed'
switched=$(field event.csv time '$7 == "switched"')
pause=$(field event.csv pause_us '$7 == "switched"')
[ -n "$switched" ] || die 'the volume has not switched'
run 'route-set'

say '5. gw-a dies'
wrote_before=$(wc -l <access.csv)
killed=$(now)
run "kill -9 $gw_a   # gw-a"
sleep 4
run 'health-score metric.csv | tail -n 2'
wrote_after=$(wc -l <access.csv)

say '6. The client ends, and every block is read back and verified once more'
kill -INT "$fio" || die 'the client is not there any more'
wait_for 30 bash -c "! kill -0 $fio" || die 'the client does not end'
sed -n '/^{/,$p' fio.json >fio.only.json
errors=$(jq '.jobs[0].error' fio.only.json) || die 'the client left no report'
slowest_ms=$(jq '[.jobs[0].read.clat_ns.max, .jobs[0].write.clat_ns.max] | max / 1e6 | floor' \
  fio.only.json)
written=$(jq '.jobs[0].write.total_ios' fio.only.json)
verified=no
fio --name=check --ioengine=nbd --uri="nbd+unix:///vol1?socket=$T/front.sock" --rw=read --bs=4k \
  --size=8M --verify=crc32c --verify_state_save=0 >check.log 2>&1 && verified=yes
failed=$(awk -F, 'NR > 1 && $9 != "" { n++ } END { print n + 0 }' access.csv)
run 'migrate-exec --status | cut -d, -f1-10'

say 'Summary'
awk -v trouble="$trouble" -v predicted="$predicted" -v switched="$switched" -v killed="$killed" \
  -v pause="$pause" -v errors="$errors" -v failed="$failed" -v verified="$verified" \
  -v before="$wrote_before" -v after="$wrote_after" -v slowest="$slowest_ms" -v written="$written" '
function check(text, good) { printf "  %-4s %s\n", good ? "ok" : "NOT", text; if (!good) bad = 1 }
BEGIN {
  print "       gw-a began to degrade: 0.0 s"
  check(sprintf("its failure was predicted: %.1f s", predicted - trouble), predicted > trouble)
  check(sprintf("the volume had switched to gw-b: %.1f s", switched - trouble),
        switched > predicted && switched < killed)
  check(sprintf("gw-a died: %.1f s, %.1f s after the switch", killed - trouble, killed - switched),
        killed > switched)
  check(sprintf("longest client pause at the hand-over: %.1f ms", pause / 1000), pause < 1000000)
  check(sprintf("the client went on without gw-a: %d requests in 4 s", after - before),
        after - before > 100)
  check(sprintf("I/O errors: client %d, director %d", errors, failed), errors == 0 && failed == 0)
  check(sprintf("all data verified (crc32c; %d blocks written): %s", written, verified),
        verified == "yes")
  printf "       (the slowest request of the whole run took %d ms, while gw-a was failing)\n", slowest
  exit bad
}' || exit 1
