# SPDX-License-Identifier: GPL-3.0-or-later
# Records of one file, with the columns REPORT_COLUMNS in that order, for the sections to read; a
# column with "?" may be missing.  Records of after the report, or before REPORT_FIRST, are
# left out.  What is no such record ends with a message and status 65.

function bad(reason) {
  print "report: " ENVIRON["REPORT_FILE"] reason >"/dev/stderr"
  status = 65
  exit 65
}

BEGIN {
  FIRST = ENVIRON["REPORT_FIRST"] + 0
  n = split(ENVIRON["REPORT_COLUMNS"], want, ",")
  for (i = 1; i <= n; i++) {
    optional[i] = sub(/\?$/, "", want[i])
    head = head (i > 1 ? "," : "") want[i]
  }
  print head
}

NR == 1 {
  header()
  width = NFIELDS
  for (i = 1; i <= n; i++)
    if (!(want[i] in COLUMN) && !optional[i]) bad(": no column '" want[i] "'")
  next
}

{
  fields()
  if (NFIELDS != width) bad(":" NR ": " NFIELDS " fields instead of " width)
  if ("time" in COLUMN && get("time") !~ /^[0-9]+(\.[0-9]+)?$/) bad(":" NR ": no time")
  if ("time" in COLUMN && (get("time") + 0 > NOW || get("time") + 0 < FIRST)) next
  s = quoted(get(want[1]))
  for (i = 2; i <= n; i++) s = s "," quoted(get(want[i]))
  print s
}

END {
  if (!NR && !status) bad(": no lines")
  exit status
}
