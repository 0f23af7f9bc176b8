# SPDX-License-Identifier: GPL-3.0-or-later
# What moving has saved, and what it cost.  Input: FAILURES; ROUTES, oldest first; HISTORY; CAME,
# "volume,start,requests" an hour; AHEAD, forecast records; SITES, distance records.

BEGIN {
  SECTION = "saved"
  HORIZON = 86400
  KNOWN = ENVIRON["REPORT_ACCESS"] != ""
  LABELS = ENVIRON["REPORT_FAILURES"] != ""
}

FNR == 1 {file++; header(); next}
{fields()}

file == 1 {
  t = get("time") + 0
  if (get("kind") != "failure" || t < SINCE || t > NOW) next
  failed_g[++failures] = get("gateway")
  failed_at[failures] = t
}

file == 2 {
  v = get("volume")
  t = get("time") + 0
  if (t > NOW) next
  g = get("gateway")
  if (!n[v]) volume[++volumes] = v
  else if (owner[v, n[v]] == g) next
  owner[v, ++n[v]] = g
  at[v, n[v]] = t
}

file == 3 && get("event") == "switched" {
  t = get("time") + 0
  if (t > NOW || t < SINCE - HORIZON) next
  i = ++moves
  move_v[i] = get("volume"); move_from[i] = get("source"); move_at[i] = t
  if (t >= SINCE) {pauses += get("pause_us"); in_time++}
}

file == 4 {came[get("volume"), get("start") + 0] += get("requests")}

file == 5 {demand[get("volume"), get("site")] += get("requests"); site[get("site")] = 1}

file == 6 {rtt[get("site"), get("gateway")] = get("rtt_us")}

# Was move i off the gateway of failure f, within the horizon before it?
function foretold(i, f) {
  return move_from[i] == failed_g[f] && failed_at[f] >= move_at[i] && failed_at[f] - move_at[i] <= HORIZON
}

# The gateway that v was on at time t; empty if on none.
function owner_at(v, t,    i, g) {
  g = ""
  for (i = 1; i <= n[v] && at[v, i] <= t; i++) g = owner[v, i]
  return g
}

# Requests of v in the hour from t on, by the hours that it touches.
function hour_from(v, t,    h) {
  h = t - t % 3600
  return came[v, h] * (1 - (t - h) / 3600) + came[v, h + 3600] * (t - h) / 3600
}

# The mean round trip of v's clients to g, by the demand that is predicted; -1 if not known.
function mean_rtt(v, g,    s, sum, all) {
  sum = all = 0
  for (s in site) {
    if (!((v, s) in demand) || demand[v, s] <= 0) continue
    if (!((s, g) in rtt)) return -1
    sum += demand[v, s] * rtt[s, g]
    all += demand[v, s]
  }
  return all > 0 ? sum / all : -1
}

function put_failures(    i, j, k, v, f, left, hit, spared, names, rest, seen_v) {
  print "<h3>Failures</h3>"
  if (!failures) {
    nothing(LABELS ? "No failure in this time." : \
      "Which gateways failed is not known: give failure records (<code>--failures</code>).")
    return
  }
  table("Failures, and the volumes that had left in the " HORIZON / 3600 " hours before", \
    "gateway|failed|had left|still there" (KNOWN ? "|requests in the hour after" : ""))
  for (f = 1; f <= failures; f++) {
    left = hit = spared = 0
    names = rest = ""
    split("", seen_v)
    for (i = moves; i >= 1; i--) {
      v = move_v[i]
      if (!foretold(i, f) || v in seen_v || owner_at(v, failed_at[f]) == failed_g[f]) continue
      seen_v[v] = 1
      left++
      names = names (names == "" ? "" : ", ") html(v) " (" duration(failed_at[f] - move_at[i]) " before)"
      spared += hour_from(v, failed_at[f])
    }
    for (j = 1; j <= volumes; j++)
      if (owner_at(volume[j], failed_at[f]) == failed_g[f]) {
        hit++
        rest = rest (rest == "" ? "" : ", ") html(volume[j])
      }
    all_left += left
    all_hit += hit
    all_spared += spared
    row(failed_g[f])
    cell(when(failed_at[f])); words(names == "" ? "none" : names); words(rest == "" ? "none" : rest)
    if (KNOWN) number(sprintf("%.0f", spared))
    end_row()
  }
  end_table()
  brief("volumes that had left before a failure", all_left " of " all_left + all_hit)
  print "<p><strong>" all_left " of " plural(all_left + all_hit, "volume", "volumes") \
    "</strong> had left a gateway before it failed" (KNOWN && all_left ? "; their clients made <strong>" \
    sprintf("%.0f", all_spared) "</strong> requests in the hour after" : "") ".</p>"
}

function put_closer(    i, j, v, was, now_g, a, b, k) {
  print "<h3>Distance to the clients</h3>"
  k = 0
  for (j = 1; j <= volumes; j++) {
    v = volume[j]
    was = owner_at(v, SINCE)
    if (was == "") was = owner[v, 1]
    now_g = owner[v, n[v]]
    if (was == now_g) continue
    a = mean_rtt(v, was)
    b = mean_rtt(v, now_g)
    if (a < 0 || b < 0) continue
    if (!k++)
      table("Volumes that are elsewhere now, and the mean round trip of the clients predicted for the next hours", \
        "volume|was on|is on|round trip was|is")
    row(v)
    cell(html(was)); cell(html(now_g)); number(duration(a / 1000000)); number(duration(b / 1000000))
    end_row()
  }
  if (k) end_table()
  else nothing("No volume is elsewhere now, or distances and demand are not known.")
}

function put_price(    i, f, right) {
  print "<h3>What it cost</h3>"
  right = 0
  for (i = 1; i <= moves; i++) {
    if (move_at[i] < SINCE) continue
    for (f = 1; f <= failures; f++)
      if (foretold(i, f)) {
        right++
        break
      }
  }
  print "<p>" plural(in_time + 0, "move", "moves") ", which paused their clients for " \
    duration(pauses / 1000000) " in all" (LABELS ? "; the gateway that was left failed within " \
    HORIZON / 3600 " hours after " right " of them" : "") ".</p>"
}

END {
  put_failures()
  put_closer()
  put_price()
}
