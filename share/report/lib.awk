# SPDX-License-Identifier: GPL-3.0-or-later
# What the sections of a report share: fields of records, text for HTML, times, and the parts that
# charts have in common.  Charts are told apart by lines, patterns and words, never by colour alone.

BEGIN {
  NOW = ENVIRON["REPORT_NOW"] + 0
  SINCE = ENVIRON["REPORT_SINCE"] + 0
  WIDTH = 760 # of every chart, in its own units
  split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", MONTH, " ")
}

# ---- records ----

# The fields of $0 in F[1 … NFIELDS]: only lines with quotes need more than split().
function fields(    s, i) {
  s = $0
  sub(/\r$/, "", s)
  if (!index(s, "\"")) {
    NFIELDS = split(s, F, ",")
    return
  }
  for (NFIELDS = 1; ; NFIELDS++) {
    if (substr(s, 1, 1) == "\"") {
      match(s, /^"([^"]|"")*"/)
      F[NFIELDS] = substr(s, 2, RLENGTH - 2)
      gsub(/""/, "\"", F[NFIELDS])
      s = substr(s, RLENGTH + 1)
      if (substr(s, 1, 1) != ",") return
    } else {
      i = index(s, ",")
      F[NFIELDS] = i ? substr(s, 1, i - 1) : s
      if (!i) return
      s = substr(s, i)
    }
    s = substr(s, 2)
  }
}

# A field as it stands in a record.
function quoted(s) {
  if (s !~ /[,"]/) return s
  gsub(/"/, "\"\"", s)
  return "\"" s "\""
}

# The header of a file: which column stands where.
function header(    i) {
  fields()
  split("", COLUMN)
  for (i = 1; i <= NFIELDS; i++) COLUMN[F[i]] = i
}

# A field of the record by its column's name; empty where there is no such column.
function get(name) {return name in COLUMN ? F[COLUMN[name]] : ""}

# Sorts a[1 … n], which are keys, by by[key], text or numbers; equal ones stay in order.
function sort_keys(a, n, by,    i, j, k) {
  for (i = 2; i <= n; i++) {
    k = a[i]
    for (j = i - 1; j >= 1 && by[a[j]] > by[k]; j--) a[j + 1] = a[j]
    a[j + 1] = k
  }
}

# ---- text ----

function html(s) {
  gsub(/&/, "\\&amp;", s)
  gsub(/</, "\\&lt;", s)
  gsub(/>/, "\\&gt;", s)
  gsub(/"/, "\\&quot;", s)
  gsub(/\047/, "\\&#39;", s)
  gsub(/[\001-\037\177]/, "?", s)
  return s
}

# Text for a chart, where there is room for so many characters.
function label(s, room) {
  if (length(s) > room) {
    s = substr(s, 1, room - 1)
    # Not the half of a character.
    sub(/[\300-\377][\200-\277]*$/, "", s)
    s = s "…"
  }
  return html(s)
}

function plural(n, one, many) {return n " " (n == 1 ? one : many)}

# Days since 1970 to YEAR, MON, DAY.
function civil(days,    z, era, doe, yoe, doy, mp) {
  z = days + 719468
  era = int(z / 146097)
  doe = z - era * 146097
  yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
  doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100))
  mp = int((5 * doy + 2) / 153)
  DAY = doy - int((153 * mp + 2) / 5) + 1
  MON = mp < 10 ? mp + 3 : mp - 9
  YEAR = yoe + era * 400 + (MON <= 2)
}

function day_text(t) {civil(int(t / 86400)); return DAY " " MONTH[MON]}
function clock(t) {return sprintf("%02d:%02d", int(t % 86400 / 3600), int(t % 3600 / 60))}
function clock_s(t) {return clock(t) sprintf(":%02d", int(t % 60))}
function date(t) {
  civil(int(t / 86400))
  return sprintf("%04d-%02d-%02d %s", YEAR, MON, DAY, clock_s(t))
}
# Seconds matter only to a report of few hours.
function when(t) {
  return "<time>" (NOW - SINCE > 6 * 3600 ? substr(date(t), 1, 16) : date(t)) "</time>"
}

function duration(s) {
  if (s < 0) return "-" duration(-s)
  if (s < 0.0995) return sprintf("%.3g ms", s * 1000)
  if (s < 99.5) return sprintf("%.3g s", s)
  if (s < 99.5 * 60) return sprintf("%.0f min", s / 60)
  if (s < 48 * 3600) return sprintf("%.1f h", s / 3600)
  return sprintf("%.1f d", s / 86400)
}

function size(b,    i, unit) {
  split("B KiB MiB GiB TiB PiB", unit, " ")
  for (i = 1; b >= 1024 && i < 6; i++) b /= 1024
  return sprintf(b < 99.5 && i > 1 ? "%.3g" : "%.0f", b) " " unit[i]
}

# A count of requests, which a forecast may have made a broken one.
function requests(x) {return sprintf(x < 10 ? "%.1f" : "%.0f", x)}

# ---- tables ----

# A table with a caption and, apart by "|", its column heads.
function table(caption, heads,    i, n, h) {
  print "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" html(caption) "\">"
  printf "<table>\n<caption>%s</caption>\n<thead><tr>", html(caption)
  n = split(heads, h, "|")
  for (i = 1; i <= n; i++) printf "<th scope=\"col\">%s</th>", h[i]
  print "</tr></thead>\n<tbody>"
}
function row(head) {printf "<tr><th scope=\"row\">%s</th>", html(head)}
function cell(s) {printf "<td>%s</td>", s}
# A sentence, which may be broken.
function words(s) {printf "<td class=\"w\">%s</td>", s}
function number(s) {printf "<td class=\"n\">%s</td>", s}
function end_row() {print "</tr>"}
function end_table() {print "</tbody></table></div>"}

# ---- charts ----

# What a screen reader says stands in TITLE and DESC.
function chart(height, title, desc) {
  CHARTS++
  CHART_ID = SECTION "-" CHARTS
  print "<div class=\"scroll\" tabindex=\"0\"><svg class=\"chart\" role=\"img\" viewBox=\"0 0 " WIDTH " " height \
    "\" aria-labelledby=\"" CHART_ID "-t " CHART_ID "-d\">"
  print "<title id=\"" CHART_ID "-t\">" html(title) "</title><desc id=\"" CHART_ID "-d\">" html(desc) "</desc>"
  # Patterns instead of colours.
  print "<defs>" \
    "<pattern id=\"" CHART_ID "-up\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">" \
    "<path d=\"M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2\" stroke=\"#000\" stroke-width=\"1\"/></pattern>" \
    "<pattern id=\"" CHART_ID "-down\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">" \
    "<path d=\"M-1,5 l2,2 M0,0 l6,6 M5,-1 l2,2\" stroke=\"#000\" stroke-width=\"1\"/></pattern>" \
    "<pattern id=\"" CHART_ID "-dots\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">" \
    "<circle cx=\"2\" cy=\"2\" r=\"1\"/></pattern>" \
    "<pattern id=\"" CHART_ID "-cross\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">" \
    "<path d=\"M0,3 h6 M3,0 v6\" stroke=\"#000\" stroke-width=\"0.7\"/></pattern></defs>"
}
function end_chart() {print "</svg></div>"}
function fill(name) {return name == "none" ? "#fff" : name ~ /^#/ ? name : "url(#" CHART_ID "-" name ")"}

function text(x, y, anchor, s) {
  printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, s
}
# Text on a chart's lines, which must be read all the same.
function halo(x, y, anchor, s) {
  printf "<text class=\"halo\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, s
}
function line(x1, y1, x2, y2, class) {
  printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2
}
function box(x, y, w, h, pattern) {
  printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" stroke=\"#000\"/>\n", \
    x, y, w, h, fill(pattern)
}

# The time axis of a chart: X0 … X1 are T0 … T1.
function time_scale(x0, x1, t0, t1) {X0 = x0; X1 = x1; T0 = t0; T1 = t1 > t0 ? t1 : t0 + 1}
function x_of(t,    x) {
  x = X0 + (t - T0) * (X1 - X0) / (T1 - T0)
  return x < X0 ? X0 : x > X1 ? X1 : x
}

# Ticks at round times, at most eight, from Y0 to Y1, with their labels below.
function time_axis(y0, y1,    step, i, n, s, t, d, last_day) {
  n = split("1 2 5 10 15 30 60 120 300 600 900 1800 3600 7200 10800 21600 43200 " \
    "86400 172800 604800 1209600 2592000 7776000", s, " ")
  for (i = 1; i < n && (T1 - T0) / s[i] > 8; i++);
  step = s[i] + 0
  last_day = ""
  for (t = int((T0 + step - 1) / step) * step; t <= T1; t += step) {
    line(x_of(t), y0, x_of(t), y1, "grid")
    d = day_text(t)
    if (step < 86400) text(x_of(t), y1 + 12, "middle", step < 60 ? clock_s(t) : clock(t))
    if (d != last_day) text(x_of(t), y1 + (step < 86400 ? 24 : 12), "middle", d)
    last_day = d
  }
  line(X0, y1, X1, y1, "axis")
}

# What the top of the page says in short.
function brief(term, value) {
  print "<div><dt>" term "</dt><dd>" value "</dd></div>" >>ENVIRON["REPORT_BRIEF"]
}

# A sentence in place of what is not there.
function nothing(s) {print "<p class=\"none\">" s "</p>"}
