#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What health-score makes of samples that flap, and of those that can't be right.

load helpers
load health

# turns N METRIC VALUE...: metric records of gw-a, ten seconds apart, the values N times over.
turns()
{
  local n=$1 metric=$2 i values=()
  shift 2
  for ((i = 0; i < n; i++)); do values+=("$@"); done
  header
  metrics gw-a "$metric" 1000 10 "${values[@]}"
}

# flips N: how often field N of the records in $output changed, from the tenth record on.
flips()
{
  awk -F, -v n="$1" 'NR > 10 && $n != last {flips++} {last = $n} END {print flips + 0}' <<<"$output"
}

@test "health-score: a metric that flaps does not make the score flap" {
  turns 100 nbd_error_ratio 0 1 >in.csv
  run --separate-stderr -0 health-score --stream --delta 0 in.csv
  [[ ${#lines[@]} -gt 50 && $(flips 4) == 0 ]]
  # What rises is the probability, slowly, and it does not go back.
  awk -F, 'NR > 10 && $3 > last + 0.01 {exit 1} {last = $3} END {exit !($5 > 0)}' <<<"$output"
  # With a mere majority of the samples each turn would be one of the score.
  run --separate-stderr -0 health-score --state other --damping 3/5 --stream --delta 0 in.csv
  [[ $(flips 4) -gt 100 ]]
}

@test "health-score: entering and leaving a state takes M of the last N samples, and no fewer" {
  local bad
  for bad in 3 4; do
    # shellcheck disable=SC2046
    {
      turns 20 nbd_error_ratio 0
      metrics gw-a nbd_error_ratio 1200 10 $(repeat $bad 1)
    } >in.csv
    run --separate-stderr -0 health-score --state "enter$bad" in.csv
    [[ $(field 4) == $([[ $bad == 4 ]] && echo 0.0500 || echo 1.0000) ]]
    # shellcheck disable=SC2046
    {
      turns 20 nbd_error_ratio 1
      metrics gw-a nbd_error_ratio 1200 10 $(repeat $bad 0)
    } >in.csv
    run --separate-stderr -0 health-score --state "leave$bad" in.csv
    [[ $(field 4) == $([[ $bad == 4 ]] && echo 1.0000 || echo 0.0500) ]]
  done
}

@test "health-score: damping is part of the state: one run or many, the same bytes" {
  turns 40 nbd_read_us 400 400 60000 400 60000 60000 60000 300 >in.csv
  health-score --damping 6/8 --state whole --stream in.csv >whole.out
  sed 1d in.csv | split -l 7 - part.
  for part in part.*; do
    { header; cat "$part"; } | health-score --damping 6/8 --state parts --stream | sed 1d >>parts.out
  done
  cmp <(sed 1d whole.out) parts.out
  cmp whole/health.state parts/health.state
}

@test "health-score: --damping wants a majority of at most 16" {
  local bad
  header >in.csv
  for bad in 2/5 0/0 6/5 17/17 5 5/ /5 a/b 3/5/7 -3/5 99999999999/5; do
    run --separate-stderr -64 health-score --damping "$bad" in.csv
    [[ ${stderr_lines[0]} == "health-score: --damping takes M/N, more than half of at most 16 samples, not '$bad'" ]]
  done
  run --separate-stderr -0 health-score --damping 16/16 in.csv
}

# two_days VALUE [METRIC...]: VALUE, give or take 5 %, of gw-a's metrics (nbd_read_us), every five
# minutes for two days from 1000000 on.
two_days()
{
  local value=$1
  shift
  header
  awk -v v="$value" -v metrics="${*:-nbd_read_us}" 'BEGIN {
    n = split(metrics, m, " ")
    for (t = 1000000; t < 1172800; t += 300)
      for (i = 1; i <= n; i++) printf "%d,gw-a,%s,%.0f\n", t, m[i], v * (0.95 + (t / 300 % 11) / 100)
  }'
}

@test "health-score: a metric that is told in another unit has no say, and confidence says so" {
  two_days 4000 nbd_read_us nbd_connect_us >in.csv
  run --separate-stderr -0 health-score in.csv
  local before
  before=$(field 7)
  # shellcheck disable=SC2046
  {
    header
    metrics gw-a nbd_read_us 1172800 300 $(repeat 12 4)
    metrics gw-a nbd_connect_us 1172800 300 $(repeat 12 4000)
  } >ms.csv
  run --separate-stderr -0 health-score ms.csv
  [[ $(field 3) == 1.0000 && $(field 8) == nbd_read_us ]]
  [[ $output == *'"nbd_read_us 4 us, usually 4 ms: is it told in another unit?"'* ]]
  awk "BEGIN {exit !($(field 7) < 0.51 * $before)}"
  run --separate-stderr -0 health-score --explain - <<<"$(header)"
  [[ ${lines[1]} =~ nbd_read_us,4,[0-9.]+,[-0-9.]+,588,no,1,,,,,,,$ ]]
  [[ ${lines[2]} =~ nbd_connect_us,4000,.*,588,no,1,1.0000, ]]
  # In the right unit again it is as it was.
  sed 's/,4$/,4000/; s/^117/118/' ms.csv >us.csv
  run --separate-stderr -0 health-score us.csv
  awk "BEGIN {exit !($(field 7) > 0.99 * $before)}"
}

@test "health-score: where all that is known is in doubt, there is no score" {
  two_days 4000 >in.csv
  # shellcheck disable=SC2046
  metrics gw-a nbd_read_us 1172800 300 $(repeat 12 4) >>in.csv
  run --separate-stderr -0 health-score in.csv
  [[ -z $(field 3) && $(field 7) == 0.0000 && $output == *"is it told in another unit?"* ]]
}

@test "health-score: a thousand times as slow is believed" {
  two_days 400 >in.csv
  # shellcheck disable=SC2046
  metrics gw-a nbd_read_us 1172800 300 $(repeat 5 400000) >>in.csv
  run --separate-stderr -0 health-score in.csv
  awk "BEGIN {exit !($(field 3) < 0.1 && $(field 7) > 0.2)}"
}

@test "health-score: what is no number ends it, what can't be is left out" {
  local bad
  for bad in nan NaN inf -inf Infinity 1e999 0x10 '' 5us; do
    { header; echo "1000,gw-a,nbd_read_us,$bad"; } >in.csv
    run --separate-stderr -65 health-score in.csv
    [[ -z $output && $stderr == "health-score: in.csv:2: "* && $(wc -l <<<"$stderr") == 1 ]]
  done
  {
    header
    metrics gw-a disk_error_rate 1000 10 -1 -1
    metrics gw-a nbd_read_us 1000 10 -400
    metrics gw-a nbd_error_ratio 1000 10 -0.5
    metrics gw-a reset_total 1000 10 -7
  } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == *,gw-a,,,,86400,0.0000,,* && ${#lines[@]} == 2 ]]
  # Nor is a counter taken to have grown from there; and a temperature may be negative.
  { header; metrics gw-a reset_total 1100 10 20 30 -5 50; metrics gw-a celsius 1100 10 -12; } >in.csv
  run --separate-stderr -0 health-score in.csv
  run --separate-stderr -0 health-score --explain - <<<"$(header)"
  [[ ${#lines[@]} == 3 && ${lines[1]} == 1130,gw-a,reset_rate,1,*,2,no,* ]]
  [[ ${lines[2]} == 1100,gw-a,celsius,-12,* ]]
}

@test "health-score: a clock that is set back a day is told, and nothing is made up" {
  # shellcheck disable=SC2046
  { header; metrics gw-a nbd_connect_us 1000000 10 $(repeat 20 400); } >in.csv
  health-score in.csv >before
  # shellcheck disable=SC2046
  { header; metrics gw-a nbd_connect_us 913600 10 $(repeat 20 900000); } >back.csv
  run --separate-stderr -0 health-score back.csv
  cmp before - <<<"$output"
  [[ $stderr == "health-score: back.csv:2: a day or more older than what is known of 'gw-a': left out, as are more of these; was a clock set back?" ]]
  # Judged at the time that the clock shows now, there is no score.
  run --separate-stderr -0 health-score --now 913800 - <<<"$(header)"
  [[ ${lines[1]} == "913800,gw-a,,,,86400,0.0000,,its samples are 86390 s ahead of now,0.0000,,,0.0000," ]]
}

@test "health-score: a gateway's clock that is ahead neither silences the others nor, put right, itself" {
  local now
  now=$(date +%s)
  # shellcheck disable=SC2046
  { header; metrics gw-a nbd_read_us $((now - 1000)) 10 $(repeat 90 400); } | health-score - >/dev/null
  # shellcheck disable=SC2046
  { header; metrics gw-b nbd_read_us $((now + 86400)) 10 $(repeat 9 400); } | health-score - >ahead
  # Who was heard within the hour of this machine's clock says another time …
  grep "^$((now - 110)),gw-b,,,,86400,0.0000,,its samples are 86590 s ahead of now," ahead
  # … and where nobody does, it is taken to be that one.
  { header; metrics gw-b nbd_read_us $((now + 86400)) 10 400 400 400; } |
    health-score --state alone - | grep "^$((now + 86420)),gw-b,1.0000,"
  { header; metrics gw-a nbd_read_us $((now - 100)) 10 400 400 400; } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ -z $stderr && ${lines[1]} == $((now - 80)),gw-a,1.0000,* ]]
  [[ ${lines[2]} == "$((now - 80)),gw-b,,,,86400,0.0000,,its samples are 86560 s ahead of now,"* ]]
  { header; metrics gw-b nbd_read_us $((now - 90)) 10 400 400; } >in.csv
  run --separate-stderr -0 health-score in.csv
  [[ ${lines[1]} == $((now - 80)),gw-a,1.0000,* && ${lines[2]} == $((now - 80)),gw-b,1.0000,* ]]
  [[ $stderr == "health-score: in.csv:2: what is known of 'gw-b' lay ahead of this machine's clock: that is taken back, as is more of this; was a clock set back?" ]]
  run --separate-stderr -0 health-score --explain - <<<"$(header)"
  [[ ${lines[2]} == $((now - 80)),gw-b,nbd_read_us,400,400,0,11,no,* ]]
}

@test "health-score: time that runs backwards within a file changes nothing" {
  # shellcheck disable=SC2046
  { header; metrics gw-a nbd_read_us 1000 10 $(repeat 30 400); } >in.csv
  health-score --state forwards in.csv >forwards.out
  # Each sample is followed by an older one, which is wild.
  awk -F, 'NR > 2 {print; printf "%d,%s,%s,1e15\n", $1 - 5 * (NR % 4), $2, $3; next} {print}' in.csv >zigzag.csv
  run --separate-stderr -0 health-score --state zigzag zigzag.csv
  cmp forwards.out - <<<"$output"
  cmp forwards/health.state zigzag/health.state
}

@test "health-score: a hundred thousand names stop at --max-series, and soon" {
  { header; seq -f '1000,gw-%.0f,nbd_read_us,1' 1 100000; } >in.csv
  run --separate-stderr -65 health-score --max-series 1000 in.csv
  [[ -z $output && ! -e state/health.state ]]
  [[ $stderr == "health-score: in.csv:1002: metric 'nbd_read_us' of gateway 'gw-1001' would be one more than --max-series, 1000" ]]
}
