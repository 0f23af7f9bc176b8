#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later

load helpers
load health

# degrading: twenty healthy samples 10 s apart, then a latency that rises by 0.5 ms a sample.
degrading()
{
  header
  # shellcheck disable=SC2046
  metrics gw-a nbd_read_us 1000 10 $(repeat 20 400) $(seq 900 500 15000)
}

@test "health-score: a healthy gateway scores 1, and the reason says so" {
  # shellcheck disable=SC2046
  { header; metrics gw-a nbd_connect_us 1000 1 $(repeat 16 400); } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ -z $stderr && ${#lines[@]} == 2 ]]
  [[ ${lines[0]} == time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason,anomaly,lead_low_s,lead_high_s,shift,unloaded ]]
  [[ ${lines[1]} == '1015,gw-a,1.0000,1.0000,0.0000,86400,0.5714,nbd_connect_us,"all within limits, nearest nbd_connect_us 400 us",0.0000,,,0.0000,1.0000' ]]
}

@test "health-score: a trend towards critical is told before warn is reached" {
  degrading >in.csv
  run --separate-stderr -0 health-score --stream in.csv
  # The first record with p_fail over 0.2 comes below 10 ms.
  awk -F, 'NR > 1 && $5 > 0.2 {print; exit}' <<<"$output" >first
  [[ $(<first) =~ \ -\>\ ([0-9.]+)\ ms\ since\ 00:[0-5][0-9]Z,\ reaches\ 50\ ms\ in\ about\ [0-9]+\ (s|min|h) ]]
  awk "BEGIN {exit !(${BASH_REMATCH[1]} < 10)}"
  # And it ends as an alarm, far from critical.
  awk "BEGIN {exit !($(field 5) > 0.5 && $(field 4) > 0.8)}"
}

@test "health-score: a worst vital metric caps the gateway" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a nbd_error_ratio 1000 1 $(repeat 10 1)
    # shellcheck disable=SC2046
    metrics gw-a disk_await_us 1000 1 $(repeat 10 100)
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ $(field 4) == 0.0500 && $(field 8) == nbd_error_ratio ]]
  [[ $output == *'"nbd_error_ratio 1, critical is 0.5",0.0000,,,0.0000,'"$(field 3)" ]]
}

@test "health-score: what a gateway would be but for its load is told beside what it is" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a nbd_connect_us 1000 1 $(repeat 10 400)
    # shellcheck disable=SC2046
    metrics gw-a cpu_busy 1000 1 $(repeat 10 0.97)
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  awk "BEGIN {exit !($(field 3) < 0.9)}"
  [[ $output == *,1.0000 ]]
}

@test "health-score: a silent gateway has no score, and the reason says for how long" {
  {
    header
    metrics gw-a nbd_connect_us 1000 5 400 400
    metrics gw-b nbd_connect_us 1100 5 400 400
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == "1105,gw-a,,,,86400,0.0000,,silent for 100 s,0.0000,,,0.0000," ]]
  [[ ${lines[2]} == 1105,gw-b,1.0000,* ]]
  run --separate-stderr -0 health-score --now 1200 /dev/stdin <<<"$(header)"
  [[ ${lines[2]} == "1200,gw-b,,,,86400,0.0000,,silent for 95 s,0.0000,,,0.0000," ]]
  run --separate-stderr -0 health-score --now 1200 --silent-after 5m /dev/stdin <<<"$(header)"
  [[ ${lines[2]} == 1105,gw-b,1.0000,* ]]
}

@test "health-score: nothing on standard input is no new samples, an empty file is an error" {
  run --separate-stderr -0 health-score </dev/null
  [[ -z $stderr && $output == time,gateway,ghs,* && ${#lines[@]} == 1 ]]
  { header; metrics gw-a nbd_connect_us 1000 5 400 400; } | health-score - >latest
  cp state/health.state before
  run --separate-stderr -0 health-score </dev/null
  [[ -z $stderr ]]
  cmp latest - <<<"$output"
  cmp before state/health.state
  # Who should have written has failed.
  run --separate-stderr -0 health-score < <(:)
  [[ $stderr == "health-score: stdin:1: no header: no new samples" ]]
  cmp latest - <<<"$output"
  for file in empty -; do
    : >empty
    run --separate-stderr -65 health-score "$file" </dev/null
    [[ -z $output && $stderr == "health-score: ${file/-/stdin}:1: no header" ]]
  done
  # What is no record is refused, where there is no FILE as well.
  run --separate-stderr -65 health-score <<<''
  [[ -z $output && $stderr == "health-score: stdin:1: "* ]]
}

@test "health-score: --stream tells that a gateway went silent" {
  {
    header
    metrics gw-a nbd_connect_us 1000 5 400 400
    # shellcheck disable=SC2046
    metrics gw-b nbd_connect_us 1005 5 $(repeat 30 400)
  } >in.csv
  run --separate-stderr -0 health-score --stream in.csv
  [[ $(grep -c "gw-a,,,,86400,0.0000,,silent for 65 s" <<<"$output") == 1 ]]
}

@test "health-score: the same stream in one run or in many gives the same bytes" {
  degrading >in.csv
  health-score --state whole --stream in.csv >whole.out
  sed 1d in.csv | split -l 7 - part.
  for part in part.*; do
    { header; cat "$part"; } | health-score --state parts --stream | sed 1d >>parts.out
  done
  cmp whole/health.state parts/health.state
  cmp <(sed 1d whole.out) parts.out
  header >none.csv
  cmp <(health-score --state whole none.csv) <(health-score --state parts none.csv)
}

@test "health-score: late and duplicate samples change nothing" {
  degrading >in.csv
  health-score --state once in.csv >once.out
  health-score --state twice in.csv >/dev/null
  health-score --state twice in.csv >twice.out
  cmp once.out twice.out
  cmp once/health.state twice/health.state
}

@test "health-score: a damaged state is refused, and stays as it is" {
  degrading >in.csv
  health-score in.csv >/dev/null
  spoil state/health.state 200
  cp state/health.state before
  run --separate-stderr -65 health-score in.csv
  [[ -z $output ]]
  [[ $stderr == "health-score: state '$GATESHIFT_STATE/health.state' is refused: its checksum does not match; restore it, or move it away to begin anew" ]]
  cmp state/health.state before
  echo 'time,gateway,metric,value' >state/health.state
  run --separate-stderr -65 health-score in.csv
  [[ $stderr == *"it is not a health state; restore it, "* ]]
}

@test "health-score: a second run on the same state is turned away with 75" {
  mkfifo pipe
  start first health-score --stream pipe
  exec 8>pipe
  wait_for 10 test -e state/health.lock
  wait_for 10 bash -c '! flock -n state/health.lock true'
  run --separate-stderr -75 health-score /dev/null
  [[ $stderr == "health-score: cannot lock '$GATESHIFT_STATE/health.lock': another run holds it" ]]
  header >&8
  exec 8>&-
  wait "${PIDS[first]}"
  unset "PIDS[first]"
}

@test "health-score: --per-metric scores each input record, in order" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a anything 1000 1 $(repeat 10 "100 101 99") 500
    metrics gw-b other 1000 1 7
  } >in.csv
  run --separate-stderr -0 health-score --per-metric in.csv
  [[ ${lines[0]} == time,gateway,metric,value,score ]]
  cmp <(cut -d, -f1-4 <<<"$output") in.csv
  [[ ${lines[31]} =~ ^1030,gw-a,anything,500,0\.[89] && ${lines[32]} == *,0.0000 ]]
}

@test "health-score: a stdout that is full leaves the state, so that the run can be repeated" {
  degrading >in.csv
  head -n 10 in.csv | health-score >/dev/null
  cp state/health.state before
  run -74 bash -c 'health-score --per-metric in.csv >/dev/full'
  cmp state/health.state before
  run -74 bash -c 'health-score in.csv >/dev/full'
  cmp state/health.state before
}

@test "health-score: --per-metric and --stream exclude each other" {
  run --separate-stderr -64 health-score --per-metric --stream
  [[ ${stderr_lines[0]} == "health-score: only one of --chart, --explain, --format, --grade, --per-metric and --stream" ]]
}

@test "health-score: limits come from --limits, from the configuration, or are those of share/" {
  run --separate-stderr -0 health-score --print-limits
  [[ $output == "$(<"$SRC/share/health.csv")" ]]
  printf 'metric,group,weight,warn,critical,vital\nbattery,power,1,0.5,0.1,yes\n' >config/health.csv
  run --separate-stderr -0 health-score --print-limits
  [[ ${lines[1]} == battery,power,1,0.5,0.1,yes && ${#lines[@]} == 2 ]]
  run --separate-stderr -0 health-score --limits "$SRC/share/health.csv" --print-limits
  [[ $output == "$(<"$SRC/share/health.csv")" ]]
  # shellcheck disable=SC2046
  { header; metrics gw-a battery 1000 1 $(repeat 9 0.3); } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ $(field 4) == 0.5250 ]]
}

@test "health-score: bad limits are bad configuration" {
  printf 'metric,group,weight,warn,critical,vital\na,g,1,1,2,no\na,g,1,1,2,no\n' >twice.csv
  run --separate-stderr -78 health-score --limits twice.csv /dev/null
  [[ $stderr == "health-score: twice.csv:3: metric 'a' is listed twice" ]]
  printf 'metric,group,weight,warn,critical,vital\na,g,2,1,2,no\n' >heavy.csv
  run --separate-stderr -78 health-score --limits heavy.csv /dev/null
  [[ $stderr == "health-score: heavy.csv:2: weight must lie above 0"* ]]
  run --separate-stderr -66 health-score --limits none.csv /dev/null
}

@test "health-score: a malformed record ends it with 65 and leaves the state" {
  degrading >in.csv
  health-score in.csv >/dev/null
  cp state/health.state before
  { header; echo 9000,gw-a,nbd_read_us,nan; echo 9001,gw-a,nbd_read_us,1; } >bad.csv
  run --separate-stderr -65 health-score bad.csv
  [[ -z $output && $stderr == "health-score: bad.csv:2: "* ]]
  cmp state/health.state before
  run --separate-stderr -65 health-score --keep-going bad.csv
  [[ $stderr == "health-score: bad.csv:2: "* && ${lines[1]} == 9001,gw-a,* ]]
}

@test "health-score: a metric without limits has no say" {
  { header; metrics gw-a anything 1000 1 1 2 3; } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == "1002,gw-a,,,,86400,0.0000,,no metric with limits,0.0000,,,0.0000," ]]
}

@test "health-score: wild values crash nothing and are kept" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a nbd_read_us 1000 1 $(repeat 40 "1e308 -1e308 0")
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  run --separate-stderr -0 health-score in.csv
  [[ -z $stderr && ${#lines[@]} == 2 ]]
}

@test "health-score: sees a real gateway being throttled before its reads are at critical" {
  make_volume gw-a v1 1M
  echo 100M >rate
  start_gateway gw-a --filter=rate rate-file="$GS/rate" rate=100M
  write_gateways
  gateway-probe --interval 50ms --reads 1 --count 40 >healthy.csv
  # The filter lets two seconds' worth pass at once: enough is read for that to be used up.
  for rate in 16M 8M 4M 2M 1M 512K; do
    echo $rate >rate
    gateway-probe --interval 50ms --reads 8 --count 8 | sed 1d
  done >degraded.csv
  run --separate-stderr -0 health-score healthy.csv
  awk "BEGIN {exit !($(field 3) > 0.6 && $(field 7) >= 0.5)}"
  { header; cat degraded.csv; } >in.csv
  run --separate-stderr -0 health-score --stream in.csv
  awk "BEGIN {exit !($(field 5) > 0.5)}"
}

@test "health-score: --explain tells what each metric has to do with the score" {
  degrading >in.csv
  metrics gw-a anything 1580 10 1 2 >>in.csv
  run --separate-stderr -0 health-score --explain in.csv
  [[ ${lines[0]} == time,gateway,metric,value,usual,z,samples,silent,weight,subscore,p_fail,level,drift,trend,burst,slow ]]
  [[ ${#lines[@]} == 3 && ${lines[1]} == *,gw-a,nbd_read_us,* && ${lines[2]} == *,gw-a,anything,*,no,,,,,,,, ]]
  # What the metric's probability is made of.
  awk -F, 'NR == 2 {p = 1 - (1 - $12) * (1 - $13) * (1 - $14) * (1 - $15) * (1 - $16); exit !(p > $11 - 0.001 && p < $11 + 0.001)}' <<<"$output"
}

@test "health-score: --chart draws a line for each metric" {
  degrading >in.csv
  run --separate-stderr -0 health-score --chart in.csv
  [[ ${#lines[@]} == 1 ]]
  [[ $output =~ ^gw-a\ +nbd_read_us\ +▁+.*█\ +[0-9.]+\ us\ …\ [0-9.]+\ ms,\ now\ [0-9.]+\ ms,\ [0-9]+\ min$ ]]
}

@test "health-score: --format prom prints gauges, and no health of a silent gateway" {
  {
    header
    metrics gw-a nbd_connect_us 1000 5 400 400
    metrics gw-b nbd_connect_us 1100 5 400 400
  } >in.csv
  run --separate-stderr -0 health-score --format prom in.csv
  [[ $(grep -c '^# TYPE gateshift_gateway_[a-z_]* gauge$' <<<"$output") == 9 ]]
  [[ $(grep '^gateshift_gateway_health{' <<<"$output") == 'gateshift_gateway_health{gateway="gw-b"} 1' ]]
  [[ $(grep '^gateshift_gateway_known{' <<<"$output") == 'gateshift_gateway_known{gateway="gw-a"} 0
gateshift_gateway_known{gateway="gw-b"} 1' ]]
  grep -qx 'gateshift_gateway_lead_seconds{gateway="gw-b"} +Inf' <<<"$output"
  run -0 awk '!/^#/ && !/^gateshift_[a-z_]+\{gateway="gw-[ab]"\} ([0-9.e+-]+|\+Inf)$/' <<<"$output"
  [[ -z $output ]]
  run --separate-stderr -64 health-score --format xml in.csv
  [[ ${stderr_lines[0]} == "health-score: format: 'xml' is neither csv nor prom" ]]
}

@test "health-score: the rules and the dashboard in share know only metrics that it prints" {
  local names
  header >in.csv
  names=$(health-score --format prom in.csv | sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p')
  jq -e . "$SRC/share/grafana/gateshift.json" >dashboard
  run -0 grep -hoE 'gateshift_gateway_[a-z_]+' "$SRC/share/prometheus/gateshift.rules.yml" dashboard
  [[ -n $output ]]
  run -1 grep -vxF "$names" <<<"$output"
}

@test "health-score: a counter becomes a rate, over resets, but not over gaps" {
  {
    header
    metrics gw-a disk_error_total 1000 10 100 120 140 10 30
    metrics gw-a disk_error_total 9000 10 1000 1020
    echo 9005,gw-a,disk_error_total,5
  } >in.csv
  run --separate-stderr -0 health-score --per-metric in.csv
  [[ ${#lines[@]} == 9 ]]
  run --separate-stderr -0 health-score --explain - <<<"$(header)"
  [[ ${#lines[@]} == 2 ]]
  # Rates of 2, 2, 1, 2 and, after the gap, 2: the median of five.
  [[ ${lines[1]} == 9010,gw-a,disk_error_rate,2,*,5,no,* ]]
}

@test "health-score: --max-series bounds what many names can cost" {
  { header; seq -f '1000,gw-%.0f,nbd_read_us,1' 1 50; } >in.csv
  run --separate-stderr -0 health-score --max-series 50 in.csv
  cp state/health.state before
  echo 1000,gw-51,nbd_read_us,1 >>in.csv
  run --separate-stderr -65 health-score --max-series 50 in.csv
  [[ -z $output ]]
  [[ $stderr == "health-score: in.csv:52: metric 'nbd_read_us' of gateway 'gw-51' would be one more than --max-series, 50" ]]
  cmp state/health.state before
  run --separate-stderr -65 health-score --max-series 49 in.csv
  [[ $stderr == "health-score: state '$GATESHIFT_STATE/health.state' has more metrics than --max-series" ]]
}

@test "health-score: a clock that is a day ahead for a moment is not believed" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a nbd_connect_us 1000 10 $(repeat 20 400)
    metrics gw-a nbd_connect_us 91000 10 400 400
    # shellcheck disable=SC2046
    metrics gw-a nbd_connect_us 1200 10 $(repeat 20 400)
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == 1390,gw-a,1.0000,* ]]
  { header; metrics gw-a nbd_connect_us 91000 10 400 400 400; } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == 91020,gw-a,1.0000,* ]]
}

@test "health-score: errors that come and go are told, though most samples are well" {
  {
    header
    # shellcheck disable=SC2046
    metrics gw-a nbd_error_ratio 1000 60 $(repeat 60 0) $(repeat 30 "0 0 1")
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  awk "BEGIN {exit !($(field 4) == 1 && $(field 5) > 0.2)}"
  [[ $output == *"nbd_error_ratio 0, but far beyond 0.01 again and again"* ]]
}

# fleet: 20 gateways for six days, every five minutes; every second one fails once, after its read
# latency has risen for six hours.  The failures go to failure.csv, some planned outages, too.
fleet()
{
  mawk 'BEGIN {
    srand(5)
    print "time,gateway,metric,value"
    print "time,gateway,kind" >"failure.csv"
    for (g = 0; g < 20; g++) fails[g] = g % 2 ? 0 : 1760100000 + int(g * 19000)
    for (t = 1760000000; t < 1760518400; t += 300)
      for (g = 0; g < 20; g++) {
        left = fails[g] - t
        ramp = fails[g] && left > 0 && left < 21600 ? 45000 * (1 - left / 21600) : 0
        if (fails[g] && left <= 0 && left > -3600) continue
        printf "%d,gw-%d,nbd_read_us,%.0f\n", t, g, 800 + 400 * rand() + ramp
        printf "%d,gw-%d,nbd_error_ratio,0\n", t, g
      }
    for (g = 0; g < 20; g++) if (fails[g]) printf "%d,gw-%d,failure\n", fails[g], g >"failure.csv"
    print "1760300000,gw-1,outage\n1760300000,gw-3,evacuated" >"failure.csv"
  }' >fleet.csv
}

# measure PREDICTOR NAME: from $output.
measure()
{
  awk -F, -v p="$1" -v m="$2" '$1 == p && $2 == m {print $3}' <<<"$output"
}

@test "health-score: --grade tells how good the scores were, beside plain alarms" {
  fleet
  run --separate-stderr -0 health-score --grade failure.csv fleet.csv
  [[ ${lines[0]} == predictor,measure,value ]]
  [[ $(measure health-score failures) == 10 && $(measure beyond-warn failures) == 10 ]]
  awk "BEGIN {exit !($(measure health-score recall) >= 0.9 && $(measure health-score 'migration rate') >= 0.9)}"
  [[ $(measure health-score 'mismigration rate') == 0 ]]
  awk "BEGIN {exit !($(measure health-score 'lead median s') > 1800)}"
  # Every known sample is in one bin, and the Brier score is theirs, within the bins' width.
  awk -F, '$1 == "beyond-warn" && /samples with/ {n += $3} $1 == "health-score" && /samples with/ {m += $3}
           END {exit !(n == m && n > 10000)}' <<<"$output"
}

@test "health-score: --failures fits p_fail, keeps the fit, and is graded on time held back" {
  fleet
  run --separate-stderr -0 health-score --state a --grade failure.csv fleet.csv
  local rules
  rules=$(measure health-score brier)
  run --separate-stderr -0 health-score --state b --failures failure.csv --grade failure.csv fleet.csv
  [[ -z $stderr ]]
  # Only the failures of the last third, and better probabilities than those of the rules.
  [[ $(measure health-score failures) -lt 10 && $(measure health-score failures) -gt 0 ]]
  awk "BEGIN {exit !($(measure health-score brier) < $rules)}"
  # The fit stays in the state: the base rate is known now, where the rules said 0.
  run --separate-stderr -0 health-score --state b - <<<"$(header)"
  awk -F, '$2 == "gw-1" {found = $5 > 0} END {exit !found}' <<<"$output"
}

@test "health-score: too few failures to be fitted on are said, and change nothing" {
  degrading >in.csv
  printf 'time,gateway,kind\n1450,gw-a,failure\n' >failure.csv
  run --separate-stderr -0 health-score --failures failure.csv in.csv
  [[ $stderr == "health-score: not fitted: 1 failures in the time of the records, 5 are needed" ]]
  health-score --state plain in.csv | cmp - <(echo "$output")
  echo 1450,gw-a,fire >>failure.csv
  run --separate-stderr -65 health-score --failures failure.csv in.csv
  [[ $stderr == "health-score: failure.csv:3: "* ]]
}

@test "health-score: what a killed save left is gone after the next, and nothing else" {
  { header; metrics gw-a nbd_read_us 1000 10 400 400; } >in.csv
  health-score in.csv
  touch state/health.state.aB3xY9 state/health.state.bak state/health.state.longer1 state/health.stateX123456
  { header; metrics gw-a nbd_read_us 1020 10 400; } >in.csv
  health-score in.csv
  [[ $(cd state && echo health.state*) == "health.state health.state.bak health.state.longer1 health.stateX123456" ]]
}
