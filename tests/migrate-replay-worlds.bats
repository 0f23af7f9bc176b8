#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# migrate-replay: in random worlds the guards hold, and nobody sees what is to come.

load helpers
load replayer

@test "migrate-replay: in random worlds the guards hold: one owner, limits, cooldown, cordons" {
  local seed=10 trouble moves few policy affinity forecast
  for trouble in each each each site site all all clusters clusters; do
    world $((++seed)) $trouble
    moves=$((1 + seed % 3)) few=$((1 + seed % 2))
    # Who follows the sun may go to and fro; all others must not.
    affinity=$((seed % 2)) forecast=()
    ((seed % 4 != 1)) || forecast=(--forecast)
    run --separate-stderr -0 replay --policy none,reactive,predictive,standby,onset,oracle --seeds $seed \
      --scenario scenario.csv --max-moves $moves --max-per-source $few --max-per-target $few --retain 1h \
      --probe-every 20s --affinity-every ${affinity}h "${forecast[@]}" --events events.csv access.csv
    run guards_hold events.csv $moves $few 21600 $((affinity ? 0 : 72 * 3600))
    echo "seed $seed, $trouble: $output"
    [[ $status -eq 0 ]]
    printf '%s\n' "$output" >>begun.txt
  done
  # All had their chance to break them.
  for policy in reactive predictive standby onset oracle; do
    [[ $(awk -v policy=$policy '$1 == policy { n += $2 } END { print n + 0 }' begun.txt) -gt 10 ]]
  done
}

# moves_before TIME FILE POLICY…
moves_before()
{
  awk -F, -v cut="$1" -v only=" ${*:3} " 'NR > 1 && $1 < cut {
    split($2, id, "-")
    if (index(only, " " id[1] " ")) print
  }' "$2"
}

# cuts SEED POLICY…: of the moves in all.csv three at which to cut right behind, and an onset to cut
# right before.
cuts()
{
  moves_before 1e12 all.csv "${@:2}" | awk -F, '$7 == "begin" { print $1 + 1 }' | sort -un |
    awk -v seed="$1" 'BEGIN { srand(seed) } { at[NR] = $1 }
      END { for (i = 0; i < 3; i++) print at[int(NR * (i + rand()) / 3) + 1] }'
  awk -F, 'NR > 1 && $2 != "" { print $2 }' trouble.csv | sort -n | sed -n "$((1 + $1 % 2))p"
}

@test "migrate-replay: nobody looks ahead: without the rest of the input, the moves before are the same" {
  local seed=20 trouble cut foreseen=0 n=0 policies="reactive predictive standby onset" options
  for trouble in each site all clusters; do
    world $((++seed)) $trouble
    options=(--policy "${policies// /,},oracle" --seeds "$seed" --retain 1h --probe-every 20s)
    ((seed % 2)) || options+=(--forecast)
    run --separate-stderr -0 replay "${options[@]}" --scenario scenario.csv --metrics metrics.csv --events all.csv access.csv
    # shellcheck disable=SC2086
    for cut in $(cuts $seed $policies); do
      for file in access metrics; do awk -F, -v cut="$cut" 'NR == 1 || $1 < cut' $file.csv >$file-cut.csv; done
      # What has begun goes on as it would have.
      awk -F, -v cut="$cut" 'NR == 1 || ($2 == "" ? $3 : $2) < cut' scenario.csv >scenario-cut.csv
      run --separate-stderr -0 replay "${options[@]}" --scenario scenario-cut.csv --metrics metrics-cut.csv \
        --events some.csv access-cut.csv
      echo "seed $seed, $trouble, cut at $cut"
      # shellcheck disable=SC2086
      diff <(moves_before "$cut" all.csv $policies) <(moves_before "$cut" some.csv $policies)
      cmp -s <(moves_before "$cut" all.csv oracle) <(moves_before "$cut" some.csv oracle) || foreseen=$((foreseen + 1))
      n=$((n + $(moves_before "$cut" some.csv predictive standby | wc -l)))
    done
  done
  # Something was decided, and the one that may look ahead shows that it would have been seen.
  echo "$n moves told, $foreseen cuts that the oracle foresaw"
  [[ $n -gt 100 && $foreseen -gt 0 ]]
}
