#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later

load helpers

# add_gateway NAME SOCKET [STATE]: a line of gateways.csv.
add_gateway()
{
  local file=$GATESHIFT_CONFIG/gateways.csv
  [[ -e $file ]] || echo gateway,uri,site,capacity_bytes,iops_limit,state,hook >"$file"
  echo "$1,nbd+unix:///?socket=$2,,,,${3-active}," >>"$file"
}

# values GATEWAY METRIC: of the records in $output, one a line.
values()
{
  awk -F, -v g="$1" -v m="$2" '$2 == g && $3 == m {print $4}' <<<"$output"
}

# at_least N FILE: has FILE N lines?
at_least()
{
  [[ $(wc -l <"$2") -ge $1 ]]
}

@test "gateway-probe: connect time, read time and error ratio of each gateway" {
  make_volume gw-a v1 1M
  make_volume gw-b v2 1M
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  run --separate-stderr -0 gateway-probe --count 2 --interval 50ms
  [[ -z $stderr ]]
  [[ ${lines[0]} == time,gateway,metric,value && ${#lines[@]} == 13 ]]
  for name in gw-a gw-b; do
    [[ $(values $name nbd_error_ratio) == $'0\n0' ]]
    [[ $(values $name nbd_connect_us | wc -l) == 2 && $(values $name nbd_read_us | wc -l) == 2 ]]
  done
}

@test "gateway-probe: probes only the gateways named, and refuses unknown ones" {
  make_volume gw-a v1 1M
  make_volume gw-b v2 1M
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  run --separate-stderr -0 gateway-probe --count 1 gw-b
  [[ $output != *gw-a* && ${#lines[@]} == 4 ]]
  run --separate-stderr -64 gateway-probe --count 1 gw-c
  [[ -z $output && $stderr == "gateway-probe: no gateway 'gw-c' in '$GATESHIFT_CONFIG/gateways.csv'" ]]
}

@test "gateway-probe: the read time is that of the gateway, delay included" {
  make_volume gw-a v1 1M
  start_gateway gw-a --filter=delay delay-read=30ms
  write_gateways
  run --separate-stderr -0 gateway-probe --count 1
  [[ $(values gw-a nbd_read_us) -ge 30000 && $(values gw-a nbd_connect_us) -gt 0 ]]
}

@test "gateway-probe: failed reads are counted and have no latency" {
  make_volume gw-a v1 1M
  start_gateway gw-a --filter=error error-pread=EIO error-pread-rate=100%
  write_gateways
  run --separate-stderr -0 gateway-probe --count 1
  [[ $stderr == "gateway-probe: probe of gateway 'gw-a' failed: input/output error" ]]
  [[ $(values gw-a nbd_error_ratio) == 1 && -z $(values gw-a nbd_read_us) ]]
  [[ -n $(values gw-a nbd_connect_us) ]]
}

@test "gateway-probe: a dead gateway has an error ratio of 1 and nothing made up" {
  add_gateway gw-a "$GS/nobody.sock"
  run --separate-stderr -0 gateway-probe --count 2 --interval 20ms
  [[ ${#lines[@]} == 3 && $(values gw-a nbd_error_ratio) == $'1\n1' ]]
  # It is said once.
  [[ $stderr == "gateway-probe: probe of gateway 'gw-a' failed: no such file or directory" ]]
}

@test "gateway-probe: a gateway that accepts and never answers delays nobody" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  write_gateways
  start hang socat "UNIX-LISTEN:$GS/hang.sock,fork" EXEC:"tail -f /dev/null"
  wait_for 10 test -S "$GS/hang.sock"
  add_gateway gw-hang "$GS/hang.sock"
  start probe gateway-probe --interval 20ms --timeout 60s
  wait_for 10 at_least 30 "$GS/probe.log"
  run -1 grep gw-hang "$GS/probe.log"
  stop probe
}

@test "gateway-probe: a gateway that never answers fails at its deadline" {
  start hang socat "UNIX-LISTEN:$GS/hang.sock,fork" EXEC:"tail -f /dev/null"
  wait_for 10 test -S "$GS/hang.sock"
  add_gateway gw-hang "$GS/hang.sock"
  run --separate-stderr -0 timeout 20 gateway-probe --count 1 --timeout 200ms
  [[ ${#lines[@]} == 2 && $(values gw-hang nbd_error_ratio) == 1 ]]
  [[ $stderr == *"connection timed out" ]]
}

@test "gateway-probe: reads that hang fail at the deadline, the connection counts" {
  make_volume gw-a v1 1M
  start_gateway gw-a --filter=delay delay-read=30
  write_gateways
  run --separate-stderr -0 timeout 20 gateway-probe --count 1 --timeout 300ms
  [[ $(values gw-a nbd_error_ratio) == 1 && -n $(values gw-a nbd_connect_us) ]]
  [[ -z $(values gw-a nbd_read_us) ]]
}

@test "gateway-probe: something that is no NBD server fails" {
  start chat socat "UNIX-LISTEN:$GS/chat.sock,fork" EXEC:"echo SSH-2.0-what-is-this-now-and-then"
  wait_for 10 test -S "$GS/chat.sock"
  add_gateway gw-chat "$GS/chat.sock"
  run --separate-stderr -0 timeout 20 gateway-probe --count 1 --timeout 5s
  [[ $(values gw-chat nbd_error_ratio) == 1 && ${#lines[@]} == 2 ]]
  [[ $stderr == "gateway-probe: probe of gateway 'gw-chat' failed: "* ]]
}

@test "gateway-probe: --volume chooses the export, and its absence is an error" {
  make_volume gw-a v1 1M
  make_volume gw-a v2 1M
  start_gateway gw-a
  write_gateways
  run --separate-stderr -0 gateway-probe --count 1 --volume v2
  [[ $(values gw-a nbd_error_ratio) == 0 && -n $(values gw-a nbd_read_us) ]]
  run --separate-stderr -0 gateway-probe --count 1 --volume v3
  [[ $(values gw-a nbd_error_ratio) == 1 && ${#lines[@]} == 2 ]]
}

@test "gateway-probe: a gateway without any export is well" {
  start_gateway gw-a
  write_gateways
  run --separate-stderr -0 gateway-probe --count 2 --interval 20ms
  [[ -z $stderr && $(values gw-a nbd_error_ratio) == $'0\n0' && -z $(values gw-a nbd_read_us) ]]
}

@test "gateway-probe: an export that is gone is replaced by another one" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  write_gateways
  start probe gateway-probe --interval 20ms
  wait_for 10 at_least 4 "$GS/probe.log"
  mv "$GS/gw-a/v1" "$GS/gw-a/v9"
  local n
  n=$(wc -l <"$GS/probe.log")
  wait_for 10 at_least $((n + 12)) "$GS/probe.log"
  stop probe
  [[ $(grep -c 'nbd_error_ratio,0$' "$GS/probe.log") -ge 4 ]]
  run -1 grep failed "$GS/probe.log"
}

@test "gateway-probe: a gateway whose state is down is not probed" {
  add_gateway gw-a "$GS/nobody.sock" down
  run --separate-stderr -0 gateway-probe --count 1
  [[ $output == time,gateway,metric,value && -z $stderr ]]
  # Who asks for it is told.
  run --separate-stderr -0 gateway-probe --count 1 gw-a
  [[ $output == time,gateway,metric,value ]]
  [[ $stderr == "gateway-probe: gateway 'gw-a' is down by '$GATESHIFT_CONFIG/gateways.csv': not probed" ]]
}

@test "gateway-probe: a gateway that is named twice is probed once" {
  add_gateway gw-a "$GS/nobody.sock"
  run --separate-stderr -0 gateway-probe --count 1 gw-a gw-a
  [[ ${#lines[@]} == 2 && ${lines[1]} == *,gw-a,nbd_error_ratio,1 ]]
}

@test "gateway-probe: says when a gateway comes back" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  write_gateways
  stop_gateway gw-a
  start probe gateway-probe --interval 20ms
  wait_for 10 grep -q nbd_error_ratio,1 "$GS/probe.log"
  start_gateway gw-a
  wait_for 10 grep -q "gateway 'gw-a' answers again" "$GS/probe.log"
  wait_for 10 grep -q nbd_error_ratio,0 "$GS/probe.log"
  stop probe
}

@test "gateway-probe: SIGINT and SIGTERM end it between records with 0" {
  local signal
  make_volume gw-a v1 1M
  start_gateway gw-a
  write_gateways
  for signal in INT TERM; do
    # A background job of a script ignores SIGINT unless told otherwise.
    start probe env --default-signal=INT gateway-probe --interval 10ms
    wait_for 10 at_least 20 "$GS/probe.log"
    kill -"$signal" "${PIDS[probe]}"
    wait "${PIDS[probe]}"
    unset "PIDS[probe]"
    [[ $(tail -c 1 "$GS/probe.log" | wc -l) == 1 ]]
    [[ $(awk -F, 'NF != 4' "$GS/probe.log") == "" ]]
    rm "$GS/probe.log"
  done
}

@test "gateway-probe: an address that it can't use is bad configuration" {
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\ngw-a,http://x/,,,,active,\n' \
    >"$GATESHIFT_CONFIG/gateways.csv"
  run --separate-stderr -78 gateway-probe --count 1
  [[ -z $output && $stderr == "gateway-probe: "*"http://x/"* ]]
}

# with_metrics URL: gateways.csv of the gateways started, the hosts of all at URL.
with_metrics()
{
  write_gateways
  sed -i "1s|\$|,metrics|; 2,\$s|\$|,$1|" "$GATESHIFT_CONFIG/gateways.csv"
}

# host_answers TEXT: an HTTP server that answers every request with TEXT (status line and all).
host_answers()
{
  printf '%b' "$1" >"$GS/answer"
  cat >"$GS/serve" <<'END'
#!/bin/sh
while IFS= read -r line && [ "${#line}" -gt 1 ]; do :; done
cat "$1"
END
  chmod +x "$GS/serve"
  start http socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork EXEC:"$GS/serve $GS/answer"
  wait_for 10 grep -q 'listening on' "$GS/http.log"
  PORT=$(sed -n 's/.*listening on AF=2 127.0.0.1:\([0-9]*\).*/\1/p' "$GS/http.log")
}

@test "gateway-probe: asks a real node_exporter for the host's metrics" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  start exporter prometheus-node-exporter --web.listen-address=127.0.0.1:0
  wait_for 10 grep -q 'Listening on.*address=127' "$GS/exporter.log"
  with_metrics "http://$(sed -n 's/.*Listening on.*address=\(127[0-9.:]*\).*/\1/p' "$GS/exporter.log")/metrics"
  run --separate-stderr -0 timeout 60 gateway-probe --count 3 --interval 1s
  [[ -z $stderr ]]
  [[ $(values gw-a nbd_error_ratio) == $'0\n0\n0' ]]
  [[ $(values gw-a mem_used | wc -l) == 3 && $(values gw-a cpu_busy | wc -l) == 2 ]]
  awk -F, '$3 == "cpu_busy" || $3 == "mem_used" {if ($4 < 0 || $4 > 1) exit 1}' <<<"$output"
  health-score --explain - <<<"$output" >explained
  grep -q ,gw-a,cpu_busy, explained
}

@test "gateway-probe: a host that can't be asked is said once, and hinders no probe" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  with_metrics http://127.0.0.1:1/metrics
  run --separate-stderr -0 timeout 60 gateway-probe --count 3 --interval 50ms
  [[ ${#lines[@]} == 10 && $(values gw-a nbd_error_ratio) == $'0\n0\n0' ]]
  [[ $(wc -l <<<"$stderr") == 1 && $stderr == "gateway-probe: metrics of gateway 'gw-a' failed: "* ]]
  with_metrics file:///etc/passwd
  run --separate-stderr -0 timeout 60 gateway-probe --count 1
  [[ ${#lines[@]} == 4 && $stderr == "gateway-probe: metrics of gateway 'gw-a' failed: "* ]]
}

@test "gateway-probe: answers that are no metrics are failures" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  local answer
  for answer in 'HTTP/1.0 404 Not Found\r\n\r\nnode_memory_MemTotal_bytes 5\n' \
    'HTTP/1.0 200 OK\r\n\r\n<html>\n' 'HTTP/1.0 200 OK\r\n\r\n' 'SSH-2.0-x\r\n'; do
    host_answers "$answer"
    with_metrics "http://127.0.0.1:$PORT/metrics"
    run --separate-stderr -0 timeout 60 gateway-probe --count 1
    [[ ${#lines[@]} == 4 && $(wc -l <<<"$stderr") == 1 ]]
    [[ $stderr == "gateway-probe: metrics of gateway 'gw-a' failed: "* ]]
    stop http || true
    rm "$GS/http.log"
  done
}

@test "gateway-probe: a host that never answers ends at the deadline" {
  make_volume gw-a v1 1M
  start_gateway gw-a
  host_answers ''
  echo 'exec sleep 1000' >>"$GS/serve"
  with_metrics "http://127.0.0.1:$PORT/metrics"
  run --separate-stderr -0 timeout 60 gateway-probe --count 1 --timeout 500ms
  [[ $(values gw-a nbd_error_ratio) == 0 && $(wc -l <<<"$stderr") == 1 ]]
}
