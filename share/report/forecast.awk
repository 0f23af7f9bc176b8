# SPDX-License-Identifier: GPL-3.0-or-later
# What was predicted, what came, and what is predicted now, by volume.
# Input: BEFORE, forecast records made as of FROM, or given; CAME, "volume,start,requests" an hour; AHEAD,
# forecast records made now.  The sites of a volume are added up, their intervals, too.

BEGIN {
  SECTION = "demand"
  FROM = ENVIRON["REPORT_FROM"] + 0
  YEAR = 366 * 86400
  TOP_N = ENVIRON["REPORT_TOP"] + 0
  KNOWN = ENVIRON["REPORT_ACCESS"] != ""
  GIVEN = ENVIRON["REPORT_FORECAST"] != ""
}

FNR == 1 {file++; header(); next}

{
  fields()
  v = get("volume")
  h = get("start") + 0
  x = get("requests") + 0
  if (!(v in name)) {name[v] = v; volume[++volumes] = v}
}

file == 1 || file == 3 {
  # What is years away is no forecast of this fleet, and a chart has no room for it.
  if (!(h >= NOW - YEAR && h <= NOW + YEAR)) next
  # Later forecasts of an hour that was predicted before are the same question asked again.
  if (file == 3 && h < NOW - NOW % 3600) next
  said[v, h] += x; lower[v, h] += get("lower"); upper[v, h] += get("upper")
  weight[v] -= x
  model[v] = get("model")
  # A forecast that was kept begins when it does.
  if (file == 1 && GIVEN && (!begun++ || h < FROM)) FROM = h
  if (h + 3600 > END_TIME) END_TIME = h + 3600
  next
}

file == 2 {
  # The hour of the report is not over.
  if (h + 3600 > NOW) next
  got[v, h] = x
  if (!first || h < first) first = h
  if (h > last) last = h
  if (h >= FROM) weight[v] -= x
}

function y_of(v) {return BOTTOM - v * (BOTTOM - TOP) / MOST}

# What has quarters that are easy to read, and is at least x.
function round_up(x,    p, i, n, step) {
  n = split("1 2 3 4 6 8 10", step, " ")
  for (p = 1; p * 10 < x; p *= 10);
  for (i = 1; i < n && p * step[i] < x; i++);
  return p * step[i]
}

function draw(v,    h, d, u, i) {
  TOP = 12; BOTTOM = 152
  MOST = 1
  for (h = FROM; h < END_TIME; h += 3600) {
    if ((v, h) in upper && upper[v, h] > MOST) MOST = upper[v, h]
    if ((v, h) in got && got[v, h] > MOST) MOST = got[v, h]
  }
  MOST = round_up(MOST)
  chart(188, "Requests an hour to " v, SAYING)
  time_scale(70, WIDTH - 24, FROM, END_TIME)
  # The interval, as a band behind the lines.
  d = u = ""
  for (h = FROM; h < END_TIME; h += 3600)
    if ((v, h) in said) {
      d = d sprintf("%s%.1f,%.1f H%.1f", d == "" ? "M" : " L", x_of(h), y_of(upper[v, h]), \
        x_of(h + 3600))
      u = sprintf(" L%.1f,%.1f H%.1f", x_of(h + 3600), y_of(lower[v, h]), x_of(h)) u
    }
  if (d != "") print "<path d=\"" d u " Z\" fill=\"#ddd\" stroke=\"#777\" stroke-width=\"0.5\"/>"
  time_axis(TOP, BOTTOM)
  for (i = 0; i <= 4; i++) text(64, y_of(MOST * i / 4) + 4, "end", MOST * i / 4)
  line(x_of(NOW), TOP, x_of(NOW), BOTTOM, "axis")
  halo(x_of(NOW) + 4, TOP + 8, "start", "now")
  draw_line(v, said, "second")
  draw_line(v, got, "main")
  for (h = FROM; h < END_TIME; h += 3600)
    if ((v, h) in got)
      printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", x_of(h + 1800), y_of(got[v, h])
  end_chart()
}

function draw_line(v, value, class,    h, d) {
  d = ""
  for (h = FROM; h < END_TIME; h += 3600)
    if ((v, h) in value)
      d = d sprintf("%s%.1f,%.1f", d == "" ? "M" : " L", x_of(h + 1800), y_of(value[v, h]))
  if (d != "") print "<path class=\"" class "\" d=\"" d "\"/>"
}

# How good the forecast was: SAYING, a sentence.
function judge(v,    h, n, inside, off, same, days) {
  n = inside = off = same = days = 0
  for (h = FROM; h < NOW; h += 3600) {
    if (!((v, h) in got) || !((v, h) in said)) continue
    n++
    inside += got[v, h] >= lower[v, h] && got[v, h] <= upper[v, h]
    off += got[v, h] > said[v, h] ? got[v, h] - said[v, h] : said[v, h] - got[v, h]
    if (h - 86400 < first) continue
    days++
    d = got[v, h] - got[v, h - 86400]
    same += d < 0 ? -d : d
  }
  if (!n) return KNOWN ? "Nothing to compare with: no hour of it is over and has been counted." : ""
  SAYING = inside " of " plural(n, "hour", "hours") " lay within the interval; the forecast was off by " \
    requests(off / n) " requests an hour on average"
  if (days == n) SAYING = SAYING ", repeating the day before would have been by " requests(same / n)
  return SAYING "."
}

function outside(v, h) {
  return got[v, h] < lower[v, h] || got[v, h] > upper[v, h] ? " (outside)" : ""
}

function numbers(v,    h) {
  print "<details><summary>The hours in numbers</summary>"
  table("Requests to " v " by hour (UTC)", "hour|predicted|from|to|came")
  for (h = FROM; h < END_TIME; h += 3600) {
    if (!((v, h) in said)) continue
    row(substr(date(h), 1, 16))
    number(requests(said[v, h])); number(requests(lower[v, h])); number(requests(upper[v, h]))
    number((v, h) in got ? requests(got[v, h]) outside(v, h) : h + 3600 > NOW ? "not yet" : "unknown")
    end_row()
  }
  end_table()
  print "</details>"
}

END {
  if (!END_TIME) {
    nothing("No forecasts: nothing is known of the demand yet.")
    exit
  }
  # Of an hour without a record nothing was asked for, as far as the log goes; the hour in which it
  # begins may be half in it.
  for (i = 1; first && i <= volumes; i++) {
    delete got[volume[i], first]
    for (h = first + 3600; h <= last; h += 3600)
      if (!((volume[i], h) in got)) got[volume[i], h] = 0
  }
  first += 3600
  sort_keys(volume, volumes, name)
  sort_keys(volume, volumes, weight)
  print "<p class=\"key\">Dashed line: predicted; grey band: the interval that should hold 80 % of the hours" \
    ", wider where the intervals of several sites are added up. Solid line with dots: what came. " \
    "Left of <q>now</q> the forecast is the one " \
    (GIVEN ? "that was given" : "made as of " when(FROM) ", from nothing later") ".</p>"
  if (!KNOWN) nothing("What came is not shown: give access records (<code>--access</code>).")
  shown = volumes < TOP_N ? volumes : TOP_N
  for (i = 1; i <= shown; i++) {
    v = volume[i]
    if (!(v in model)) continue
    print "<h3>" html(v) "</h3>"
    SAYING = "Predicted and counted requests an hour."
    s = judge(v)
    if (s != "") print "<p>" html(s) "</p>"
    print "<p class=\"key\">Model: " html(model[v]) ".</p>"
    draw(v)
    numbers(v)
  }
  if (shown < volumes) print "<p>The " shown " busiest of " volumes " volumes.</p>"
}
