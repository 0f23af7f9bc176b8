# SPDX-License-Identifier: GPL-3.0-or-later
# What gets hot next, as affinity-profile --top prints it.

BEGIN {SECTION = "heat"}
FNR == 1 {
  header()
  table("What gets hot next", "volume|when|requests then|an hour of late|mostly from|best on|hottest part|its share")
  next
}
{
  fields()
  row(get("volume"))
  cell(when(get("start") + 0)); number(requests(get("requests") + 0)); number(requests(get("recent") + 0))
  cell(html(get("site"))); cell(html(get("gateway")))
  cell(get("length") == "" ? "" : size(get("length") + 0) " at " size(get("offset") + 0))
  number(get("part") == "" ? "" : sprintf("%.0f %%", get("part") * 100))
  end_row()
}
END {if (NR) end_table()}
