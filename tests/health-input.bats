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
