#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# golden/degrading.csv: a real gateway (nbdkit), recorded every ten seconds on a busy machine by
# bench/degrade.sh: left alone for 25 minutes, then slower and slower for 25 more, up to 2.5 times.

load helpers
load health

RECORD=$SRC/tests/golden/degrading.csv

# slower_from: when it began to get slower.
slower_from()
{
  awk -F, 'NR == 2 {printf "%.1f", $1 + 1500}' "$RECORD"
}

# measure NAME: from $output, of degrade.awk.
measure()
{
  awk -v name="$1" '$1 == name {print $2}' <<<"$output"
}

@test "health-score: a gateway that gets slower is told before its clients wait twice as long" {
  health-score --stream "$RECORD" >health.csv
  run -0 mawk -v from="$(slower_from)" -f "$SRC/tests/bench/degrade.awk" health.csv "$RECORD"
  # Nothing was told while it was left alone.
  [[ $(measure quiet) == 0 ]]
  # Its clients did wait twice as long in the end; it was told minutes before.
  [[ $(measure doubled) -gt 600 && $(measure told) -ge 0 ]]
  [[ $(($(measure doubled) - $(measure told))) -ge 300 ]]
  grep -q '; client_latency_us [34].[0-9]* ms -> [4-6].[0-9]* ms since 05:[0-2][0-9]Z, unlike before",' health.csv
}

@test "health-score: a gateway that is left alone is not told to be slower" {
  awk -F, -v until="$(slower_from)" 'NR == 1 || $1 < until' "$RECORD" >quiet.csv
  run --separate-stderr -0 health-score --stream --delta 0 quiet.csv
  [[ ${#lines[@]} -gt 20 ]]
  awk -F, 'NR > 1 && ($(NF - 1) > 0.56 || $3 < 0.4 || $5 > 0.5) {exit 1}' <<<"$output"
}
