#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-replay: in random worlds the guards hold, and nobody sees what is to come.

load helpers
load replayer

@test "migrate-replay: in random worlds the guards hold: one owner, limits, cooldown, cordons" {
  local seed moves=0
  for seed in 11 12 13 14; do
    world $seed
    run --separate-stderr -0 replay --seeds $seed --scenario scenario.csv --max-moves 2 --retain 1h \
      --events events.csv access.csv
    run -0 guards_hold events.csv 2 21600
    echo "seed $seed: $output"
    moves=$((moves + ${output% moves begun}))
  done
  [[ $moves -gt 20 ]]
}

@test "migrate-replay: nobody looks ahead: without the rest of the input, the moves before are the same" {
  local seed hours cut
  for seed in 21 22; do
    world $seed
    run --separate-stderr -0 replay --policy reactive,predictive --seeds $seed --scenario scenario.csv \
      --retain 1h --events all.csv access.csv
    for hours in 44 61 77; do
      cut=$((T0 + hours * 3600))
      awk -F, -v cut=$cut 'NR == 1 || $1 < cut' access.csv >before.csv
      run --separate-stderr -0 replay --policy reactive,predictive --seeds $seed \
        --scenario scenario.csv --retain 1h --events events.csv before.csv
      diff <(awk -F, -v cut=$cut 'NR > 1 && $1 < cut' all.csv) \
        <(awk -F, -v cut=$cut 'NR > 1 && $1 < cut' events.csv)
    done
    [[ $(wc -l <events.csv) -gt 2 ]]
  done
}
