# SPDX-License-Identifier: GPL-3.0-or-later
# degrade.awk -v from=TIME HEALTH METRIC: when a gateway that gets slower from TIME on was told, and
# when its clients waited twice as long, from the records of health-score --stream and the metric
# records it had.  Prints a word and a number a line:
#   quiet     records before TIME that told something: a shift over 0.56, or an alarm
#   told      seconds from TIME until the first shift over 0.56; -1: never
#   doubled   seconds from TIME until the median of six client_latency_us in a row was twice that of
#             all before TIME; -1: never
#   ratio     that median, when it was told, to that of all before TIME
function median(v, first, last,    n, i, j, x, s)
{
  n = 0
  for (i = first; i <= last; i++) {
    x = v[i] + 0
    for (j = n++; j > 0 && s[j - 1] > x; j--) s[j] = s[j - 1]
    s[j] = x
  }
  return n % 2 ? s[(n - 1) / 2] : (s[n / 2 - 1] + s[n / 2]) / 2
}

BEGIN {FS = ","; told = -1; doubled = -1}
FNR == 1 {file++; next}
# Reasons, in the middle, may hold commas: only columns before and behind are taken.
file == 1 && $1 < from && ($(NF - 1) > 0.56 || ($3 != "" && ($3 < 0.4 || $5 > 0.5))) {quiet++}
file == 1 && $1 >= from && $(NF - 1) > 0.56 && told < 0 {told = $1 - from}
file == 2 && $3 == "client_latency_us" {at[++n] = $1; us[n] = $4; if ($1 < from) before = n}
END {
  base = median(us, 1, before)
  for (i = before + 6; i <= n; i++) {
    m = median(us, i - 5, i)
    if (told >= 0 && at[i] - from <= told) ratio = m / base
    if (doubled < 0 && m >= 2 * base) doubled = at[i] - from
  }
  printf "quiet %d\ntold %.0f\ndoubled %.0f\nratio %.2f\n", quiet, told, doubled, ratio
}
