# SPDX-License-Identifier: GPL-3.0-or-later
# The gateways' health over time, with alarms, the failures that they foretold, and those that came.
# Input: FAILURES, then HEALTH, records in order of time.  Alarms are what makes moves mandatory
# (migrate-plan(1)); those of a gateway less than an hour apart are one.

BEGIN {
  SECTION = "health"
  CRITICAL = 0.40
  P_LIMIT = 0.50
}

FNR == 1 {file++; header(); next}

file == 1 {
  fields()
  if (get("time") + 0 >= SINCE && get("time") + 0 <= NOW) {
    g = get("gateway")
    see(g)
    i = ++failures[g]
    failed_at[g, i] = get("time") + 0
    failed_kind[g, i] = get("kind")
  }
  next
}

{
  fields()
  g = get("gateway")
  t = get("time") + 0
  if (g == "" || t > NOW) next
  see(g)
  ghs = get("ghs")
  # What was true when the chart begins.
  if (t < SINCE) t = SINCE
  if (n[g] && at[g, n[g]] == t) n[g]--
  i = ++n[g]
  at[g, i] = t
  score[g, i] = ghs
  risk[g, i] = get("p_fail")
  current[g] = get("current"); p_fail[g] = get("p_fail"); now_ghs[g] = ghs
  worst[g] = get("worst_metric"); reason[g] = get("reason")
  if (ghs != "" && (!(g in low) || ghs + 0 < low[g])) {low[g] = ghs + 0; low_at[g] = t}
  if (ghs != "" && (ghs + 0 < CRITICAL || get("p_fail") + 0 > P_LIMIT)) {
    if (!alarms[g] || t - alarm_end[g] > 3600) {
      k = ++alarms[g]
      alarm_at[g, k] = t
      alarm_why[g, k] = get("reason")
      alarm_horizon[g, k] = get("horizon_s") + 0
      if (get("lead_low_s") != "") alarm_low[g, k] = t + get("lead_low_s")
      if (get("lead_high_s") != "") alarm_high[g, k] = t + get("lead_high_s")
    }
    alarm_end[g] = t
  }
}

function see(g) {
  if (g in n) return
  n[g] = 0
  name[g] = g
  gateway[++gateways] = g
}

function y_of(v) {return BOTTOM - (v < 0 ? 0 : v > 1 ? 1 : v) * (BOTTOM - TOP)}

# The line of VALUE[g, 1 … n]: steps, since a record holds until the next, with at most two points
# a pixel; what has no value is a gap.
function step_line(g, value, class,    i, x, y, d, open, px, low_y, high_y) {
  d = ""
  open = 0
  px = -9
  for (i = 1; i <= n[g]; i++) {
    x = x_of(at[g, i])
    if (value[g, i] == "") {
      if (open) d = d sprintf(" H%.1f", x)
      open = 0
      continue
    }
    y = y_of(value[g, i])
    if (!open) d = d sprintf(" M%.1f,%.1f", x, y)
    else if (x - px < 0.5) d = d sprintf(" V%.1f", y)
    else d = d sprintf(" H%.1f V%.1f", x, y)
    px = x
    open = 1
  }
  if (open) d = d sprintf(" H%.1f", x_of(NOW))
  if (d != "") print "<path class=\"" class "\" d=\"" d "\"/>"
}

function silences(g,    i, from) {
  from = ""
  for (i = 1; i <= n[g] + 1; i++) {
    if (i <= n[g] && score[g, i] == "") {
      if (from == "") from = at[g, i]
    } else if (from != "") {
      box(x_of(from), TOP, x_of(i <= n[g] ? at[g, i] : NOW) - x_of(from), BOTTOM - TOP, "dots")
      from = ""
    }
  }
}

# The first failure of g from t on, or 0; and the last alarm before a failure, within the horizon.
function failure_after(g, t,    i) {
  for (i = 1; i <= failures[g]; i++)
    if (failed_at[g, i] >= t && failed_kind[g, i] == "failure") return failed_at[g, i]
  return 0
}

function came(g, k,    f) {
  f = failure_after(g, alarm_at[g, k])
  if (f && f - alarm_at[g, k] <= alarm_horizon[g, k])
    return "failed " when(f) ", " duration(f - alarm_at[g, k]) " later"
  if (NOW - alarm_at[g, k] < alarm_horizon[g, k]) return "no failure so far"
  return "no failure within " duration(alarm_horizon[g, k])
}

function draw(g,    i, k, x) {
  TOP = 22; BOTTOM = 122
  chart(158, "Health of " g, g ": score " (now_ghs[g] == "" ? "none, silent" : now_ghs[g]) " now, lowest " \
    (g in low ? low[g] " at " date(low_at[g]) : "unknown") "; " plural(alarms[g] + 0, "alarm", "alarms") ", " \
    plural(failures[g] + 0, "failure", "failures") ".")
  time_scale(40, WIDTH - 24, SINCE, END_TIME)
  time_axis(TOP, BOTTOM)
  for (i = 0; i <= 4; i++) text(34, y_of(i / 4) + 4, "end", i / 4)
  line(X0, y_of(CRITICAL), X1, y_of(CRITICAL), "limit")
  silences(g)
  for (k = 1; k <= alarms[g]; k++)
    if ((g, k) in alarm_low && alarm_low[g, k] < END_TIME)
      box(x_of(alarm_low[g, k]), BOTTOM - 7, x_of((g, k) in alarm_high ? alarm_high[g, k] : END_TIME) - \
        x_of(alarm_low[g, k]), 7, "up")
  step_line(g, risk, "second")
  step_line(g, score, "main")
  if (END_TIME > NOW) line(x_of(NOW), TOP, x_of(NOW), BOTTOM, "axis")
  for (k = 1; k <= alarms[g]; k++) {
    x = x_of(alarm_at[g, k])
    printf "<path d=\"M%.1f,%d l-5,-9 h10 z\" fill=\"#fff\" stroke=\"#000\"/>\n", x, TOP
    halo(x, TOP - 12, x > WIDTH - 80 ? "end" : "middle", "alarm")
  }
  for (i = 1; i <= failures[g]; i++) {
    x = x_of(failed_at[g, i])
    line(x, TOP, x, BOTTOM, "mark")
    printf "<path d=\"M%.1f,%d l-4,-4 m4,4 l4,-4 m-4,4 l-4,4 m4,-4 l4,4\" stroke=\"#000\" " \
      "stroke-width=\"2\"/>\n", x, BOTTOM - 14
    halo(x + 8, BOTTOM - 10, x > WIDTH - 80 ? "end" : "start", label(failed_kind[g, i], 12))
  }
  end_chart()
}

END {
  if (!gateways) {
    nothing("No health records. Give metric records (<code>--metrics</code>) or the health records of a time " \
      "(<code>--health</code>).")
    exit
  }
  sort_keys(gateway, gateways, name)
  # Room for the time in which a failure is expected, up to a quarter of the chart.
  END_TIME = NOW
  for (i = 1; i <= gateways; i++)
    for (k = 1; k <= alarms[gateway[i]]; k++)
      if ((gateway[i], k) in alarm_high && alarm_high[gateway[i], k] > END_TIME)
        END_TIME = alarm_high[gateway[i], k]
  if (END_TIME > NOW + (NOW - SINCE) / 3) END_TIME = NOW + (NOW - SINCE) / 3
  print "<p class=\"key\">Solid line: health score, 1 is well; dotted limit: critical, " CRITICAL ". Dashed line: " \
    "probability of a failure within the horizon. Triangle: an alarm, the score below critical or the " \
    "probability above " P_LIMIT "; hatched bar: when the failure is expected. Cross: a failure that came. " \
    "Dots: silent, no score.</p>"
  for (i = 1; i <= gateways; i++) {
    g = gateway[i]
    print "<h3>" html(g) "</h3>"
    draw(g)
  }
  table("Gateways, as last told", "gateway|score|now|p(failure)|lowest|alarms|failures|worst metric|reason")
  for (i = 1; i <= gateways; i++) {
    g = gateway[i]
    row(g)
    number(now_ghs[g] == "" ? "none" : html(now_ghs[g]))
    number(html(current[g])); number(html(p_fail[g]))
    cell(g in low ? low[g] ", " when(low_at[g]) : "")
    number(alarms[g] + 0); number(failures[g] + 0)
    cell(html(worst[g])); words(html(reason[g]))
    end_row()
  }
  end_table()
  for (i = 1; i <= gateways; i++) all += alarms[gateway[i]]
  for (i = 1; i <= gateways; i++) {
    g = gateway[i]
    quiet += now_ghs[g] == ""
    ill += now_ghs[g] != "" && (now_ghs[g] + 0 < CRITICAL || p_fail[g] + 0 > P_LIMIT)
    fell += failures[g]
  }
  brief("gateways without alarm now", gateways - ill - quiet " of " gateways (quiet ? ", " quiet " silent" : ""))
  brief("alarms", all + 0)
  if (fell) brief("failures, outages", fell)
  if (!all) {
    nothing("No alarms.")
    exit
  }
  table("Predicted failures", "gateway|alarm|why|expected between|came")
  for (i = 1; i <= gateways; i++)
    for (k = 1; k <= alarms[gateway[i]]; k++) {
      g = gateway[i]
      row(g)
      cell(when(alarm_at[g, k])); words(html(alarm_why[g, k]))
      cell((g, k) in alarm_low ? when(alarm_low[g, k]) " and " \
        ((g, k) in alarm_high ? when(alarm_high[g, k]) : "unknown") : "")
      words(came(g, k))
      end_row()
    }
  end_table()
}
