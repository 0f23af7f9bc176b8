#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# anomaly.sh: how well --per-metric finds what was labelled in the Numenta Anomaly Benchmark, and
# the health record's anomaly column what was labelled in ASD (12 server machines, 19 metrics).
#
# BENCH_DATA is a folder with the unpacked sets, nab/ and asd/; BENCH_NAB_SCORE a program that scores
# a folder of results: SCORER NAB_DIR RESULTS_DIR DETECTOR [FILTER,...].  What is missing is skipped.
# Nothing of health-score is set for a file; labels are read by the scorers only.
set -u

build=${BUILD:-$PWD/build} data=${BENCH_DATA:-} scorer=${BENCH_NAB_SCORE:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# nab_records: a file of NAB on stdin as metric records.
nab_records()
{
  TZ=UTC mawk -F, '
    {sub(/\r$/, "")}
    NR == 1 {print "time,gateway,metric,value"; next}
    {t = $1; gsub(/[-:]/, " ", t); printf "%.0f,nab,value,%s\n", mktime(t), $2}'
}

# nab_results FILE CATEGORY: its scores, as the detectors "score" (as they are) and "told" (1 where
# health-score tells an event, else 0: a threshold fixed beforehand).
nab_results()
{
  local name
  name=$(basename "$1")
  mkdir -p "$dir/nab/score/$2" "$dir/nab/told/$2"
  nab_records <"$1" | "$build/bin/health-score" --state "$dir/state" --per-metric >"$dir/anomaly.csv"
  rm -rf "$dir/state"
  mawk -F, -v score="$dir/nab/score/$2/score_$name" -v told="$dir/nab/told/$2/told_$name" '
    {sub(/\r$/, "")}
    NR == FNR {if (FNR > 1) a[FNR] = $5; next}
    FNR == 1 {print "timestamp,value,anomaly_score" >score; print "timestamp,value,anomaly_score" >told; next}
    {print $1 "," $2 "," a[FNR] >score; print $1 "," $2 "," (a[FNR] > 0.56) >told}' \
    "$dir/anomaly.csv" "$1"
}

nab()
{
  local f half
  for f in "$data"/nab/data/*/*.csv; do
    nab_results "$f" "$(basename "$(dirname "$f")")" || return
  done
  "$scorer" "$data/nab" "$dir/nab" score && "$scorer" "$data/nab" "$dir/nab" told || return
  for half in 0 1; do
    printf 'half %d: ' "$half"
    "$scorer" "$data/nab" "$dir/nab" told \
      "$(cd "$data/nab/data" && printf '%s\n' */*.csv | mawk -v h="$half" 'NR % 2 == h' | paste -sd,)"
  done
}

asd()
{
  local object=$build/tests/bench/anomaly_asd.o
  make -s BUILD="$build" "${object#"$PWD"/}" "${build#"$PWD"/}/libcommon.a" &&
    "${CC:-cc}" -o "$dir/asd" "$object" "$build/libcommon.a" -lxxhash -lm &&
    "$dir/asd" "$data"/asd/*_train.csv
}

echo '== anomaly: NAB, all files; "told" with the threshold fixed beforehand'
if [[ -d $data/nab && -x $scorer ]]; then
  nab || exit
else
  echo 'skipped: BENCH_DATA/nab or BENCH_NAB_SCORE is not there'
fi
echo '== anomaly: ASD, test part, thresholds fixed beforehand'
if [[ -d $data/asd ]]; then
  asd || exit
else
  echo 'skipped: BENCH_DATA/asd is not there'
fi
