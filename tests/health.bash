# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Helpers of the tests of health-score ("load health", after "load helpers").
# shellcheck disable=SC2154 # output is set by run

# metrics GATEWAY METRIC FIRST_TIME STEP VALUE...: metric records, without header.
metrics()
{
  local gateway=$1 metric=$2 time=$3 step=$4 value
  shift 4
  for value; do
    echo "$time,$gateway,$metric,$value"
    time=$((time + step))
  done
}

# repeat N VALUE
repeat()
{
  local i
  for ((i = 0; i < $1; i++)); do echo "$2"; done
}

header()
{
  echo time,gateway,metric,value
}

# field N: field N of the last line of $output.
field()
{
  awk -F, -v n="$1" 'END {print $n}' <<<"$output"
}
