# SPDX-License-Identifier: GPL-3.0-or-later
# Access records, of which columns.awk has left time, volume and count, as requests by volume and
# hour, from REPORT_FIRST on.  Reads time,volume,count; prints volume,start,requests without a header.

FNR == 1 {header(); next}
{
  fields()
  if (F[1] < first || F[1] > NOW) next
  sum[quoted_name(F[2]) "," int(F[1] / 3600) * 3600] += F[3] == "" ? 1 : F[3]
}
BEGIN {first = ENVIRON["REPORT_FIRST"] + 0}
function quoted_name(s) {
  if (s !~ /[,"]/) return s
  gsub(/"/, "\"\"", s)
  return "\"" s "\""
}
END {for (k in sum) printf "%s,%.0f\n", k, sum[k]}
