#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# pictures.sh [FOLDER]: makes README's pictures, session.svg and heat-map.svg, in FOLDER (this one).
#
# The session is typed on a real fleet, as in gateshift(7), and what is shown is what was printed:
# two nbdkit gateways, a director, and a client that writes while its volume is moved.  The heat map
# is that of a made-up history.  Everything else happens in a temporary folder; no ports are used.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here}" && pwd)
export LC_ALL=C TZ=UTC0 PATH="${BUILD:-$here/../build}/bin:$PATH" GATESHIFT_SHARE="${GATESHIFT_SHARE:-$here/../share}"
work=$(mktemp -d /tmp/gateshift-pictures.XXXXXX)
export GATESHIFT_CONFIG=$work/config GATESHIFT_STATE=$work/state GATESHIFT_RUN=$work/run
cd "$work"
mkdir config state run a b

finish()
{
  local file
  for file in "$work"/*.pid; do
    kill "$(<"$file")" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

wait_for()
{
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "pictures: gave up waiting for: $*" >&2 && exit 69; }
    sleep 0.1
  done
}

# ---- the heat map ----

cp "$GATESHIFT_SHARE"/config/*.csv config/
awk -v end=1700000000 -v volume=db-1 -v client1=192.0.2.7 -v client2=198.51.100.9 \
  -f "$here/make-history.awk" </dev/null >history.csv
affinity-profile --state "$work/profile" --count-only history.csv
affinity-profile --state "$work/profile" --now 1700000000 --ahead 48h --svg "$work/heat.svg" </dev/null
# With words for those who cannot see it, and without the number of each cell, for size.
sed 's|^<svg \(.*\)>$|<svg \1 role="img" aria-labelledby="t d">\
<title id="t">Heat map of a volume</title>\
<desc id="d">Requests to db-1 by hour and part of the volume, two days as counted and two as predicted: one part is \
busy in the European day, another in the American one.</desc>|
  s|<title>[0-9.]*</title></rect>|</rect>|; s|></rect>|/>|' heat.svg >"$out/heat-map.svg"

# ---- the session ----

truncate -s 64M a/vm-1
truncate -s 1M a/probe b/probe
nbdkit -P a.pid -U "$GATESHIFT_RUN/gw-a.sock" file dir="$work/a"
nbdkit -P b.pid -U "$GATESHIFT_RUN/gw-b.sock" file dir="$work/b"
cat >config/gateways.csv <<END
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-a,nbd+unix:///?socket=$GATESHIFT_RUN/gw-a.sock,,,,active,dir $work/a
gw-b,nbd+unix:///?socket=$GATESHIFT_RUN/gw-b.sock,,,,active,dir $work/b
END
rm config/volumes.csv
route-set vm-1 gw-a >/dev/null
route-director --listen "unix:$GATESHIFT_RUN/nbd.sock" --access-log access.csv 2>director.log &
echo $! >director.pid
vm="nbd+unix:///vm-1?socket=$GATESHIFT_RUN/nbd.sock"
wait_for 20 nbdinfo --size "$vm"
fio --name=client --ioengine=nbd --uri="$vm" --rw=randrw --bs=4k --size=64M --time_based --runtime=300 --rate_iops=200 \
  --verify=crc32c --verify_backlog=16 --serialize_overlap=1 --verify_state_save=0 >fio.log 2>&1 &
fio=$!
echo $fio >fio.pid
wait_for 20 test -s access.csv
gateway-probe --count 20 --interval 0.1s >metric.csv
health-score --state "$work/health" metric.csv >health.csv

# typed COMMAND: what it looks like when it is typed.
typed()
{
  printf '$ %s\n' "$1"
  eval "$1"
}

{
  typed 'route-set'
  echo
  echo '# gw-a has to be emptied; a client writes to vm-1 all the while, and verifies what it reads.'
  sed -i '/^gw-a/s/active/drain/' config/gateways.csv
  typed 'migrate-plan --health health.csv >plan.csv; cut -d, -f2-6,12 plan.csv'
  echo
  typed 'migrate-exec plan.csv | tee event.csv | cut -d, -f2,6-10'
  echo
  typed 'route-set'
  echo
  echo '# The old copy is kept until you let it go; then gw-a may die.'
  typed 'migrate-exec --commit vm-1-2 | cut -d, -f2,6-9'
  # shellcheck disable=SC2016
  typed 'kill -9 $(cat a.pid)'
  sleep 1
  kill -INT "$fio"
  wait "$fio" 2>/dev/null || true
  typed 'grep -c "err= 0" fio.log   # the client: no error, and every block was what it should be'
} >session.txt 2>&1

# A terminal's text as a picture: a line a <text>, what is typed in bold.
awk '
  function xml(s) {gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s}
  {line[NR] = $0; if (length($0) > width) width = length($0)}
  END {
    w = width * 7.3 + 40
    h = NR * 17 + 40
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" " \
      "aria-labelledby=\"t d\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"12\">\n", w, h, w, h
    print "<title id=\"t\">A recorded session</title>"
    print "<desc id=\"d\">A volume is moved off a gateway while a client writes to it; the text can be selected.</desc>"
    printf "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"#fbfbfb\" stroke=\"#555\"/>\n", w - 1, h - 1
    for (i = 1; i <= NR; i++) {
      if (line[i] == "") continue
      kind = line[i] ~ /^[$]/ ? " font-weight=\"bold\"" : line[i] ~ /^#/ ? " font-style=\"italic\"" : ""
      printf "<text x=\"20\" y=\"%d\" xml:space=\"preserve\" textLength=\"%.1f\" lengthAdjust=\"spacingAndGlyphs\"%s>%s</text>\n", \
        i * 17 + 16, length(line[i]) * 7.3, kind, xml(line[i])
    }
    print "</svg>"
  }' session.txt >"$out/session.svg"
grep -qx 1 session.txt || { cat session.txt >&2 && echo 'pictures: the client saw an error' >&2 && exit 1; }
