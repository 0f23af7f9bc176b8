# SPDX-License-Identifier: GPL-3.0-or-later
# Requests by volume and hour, of access records of which columns.awk has left volume, time and
# count.  Prints volume,start,requests without a header.

FNR == 1 {header(); next}
{
  fields()
  sum[quoted(F[1]) "," int(F[2] / 3600) * 3600] += F[3] == "" ? 1 : F[3]
}
END {for (k in sum) printf "%s,%.0f\n", k, sum[k]}
