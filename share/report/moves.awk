# SPDX-License-Identifier: GPL-3.0-or-later
# The migrations and how long their clients waited.  Input: HISTORY, event records.

BEGIN {SECTION = "moves"; ROWS = 40}

FNR == 1 {header(); next}

{
  fields()
  m = get("migration")
  t = get("time") + 0
  if (m == "" || t > NOW) next
  if (!(m in began)) {
    move[++moves] = m
    began[m] = t
    volume[m] = get("volume"); source[m] = get("source"); target[m] = get("target")
  }
  e = get("event")
  last[m] = t
  if (e != "modified") state[m] = e
  detail[m] = get("detail")
  who[m] = get("who")
  if (get("bytes_done") + 0 > done[m]) done[m] = get("bytes_done") + 0
  if (e == "switched") {switched[m] = t; pause[m] = get("pause_us")}
  if (e ~ /^(failed|aborted|manual-recovery|committed|reverted)$/) over[m] = t
}

function is_bad(s) {return s ~ /^(failed|aborted|stalled|manual-recovery)$/}

function title(m) {return volume[m] ": " source[m] " to " target[m]}

function draw(    i, m, y, x, end, h) {
  h = shown * 22 + 60
  chart(h, "Migrations over time", SAYING)
  time_scale(220, WIDTH - 90, t0, NOW)
  time_axis(8, h - 34)
  for (i = from; i <= moves; i++) {
    m = move[i]
    y = 14 + (i - from) * 22
    text(212, y + 11, "end", label(title(m), 34))
    x = x_of(began[m])
    end = m in switched ? switched[m] : m in over ? over[m] : NOW
    box(x, y, x_of(end) - x > 2 ? x_of(end) - x : 2, 14, "up")
    if (m in switched) {
      line(x_of(end), y + 7, x_of(m in over ? over[m] : NOW), y + 7, "kept")
      printf "<path d=\"M%.1f,%.1f l6,6 l-6,6 l-6,-6 z\"/>\n", x_of(end), y + 1
      halo(x_of(end) + 9, y + 11, "start", pause[m] == "" ? "switched" : duration(pause[m] / 1000000))
    } else halo(x_of(end) + 9, y + 11, "start", label(state[m], 16))
  }
  end_chart()
}

# The pauses, longest first.
function draw_pauses(    i, m, n, by, list, most, y) {
  n = 0
  for (i = 1; i <= moves; i++) {
    m = move[i]
    if (!(m in switched) || pause[m] == "" || switched[m] < SINCE) continue
    list[++n] = m
    by[m] = -pause[m]
  }
  if (!n) return
  sort_keys(list, n, by)
  most = -by[list[1]]
  if (n > 20) n = 20
  print "<h3>How long clients waited</h3>"
  chart(n * 20 + 12, "Pauses at the switch", "The longest was " duration(most / 1000000) ", of " \
    title(list[1]) "; the table has all.")
  for (i = 1; i <= n; i++) {
    m = list[i]
    y = 4 + (i - 1) * 20
    text(212, y + 12, "end", label(title(m), 34))
    box(220, y, most > 0 ? 1 - by[m] / most * (WIDTH - 330) : 1, 14, "up")
    text(228 + (most > 0 ? -by[m] / most * (WIDTH - 330) : 0), y + 12, "start", duration(-by[m] / 1000000))
  }
  end_chart()
}

END {
  # Those that touch the time of the report.
  for (i = k = 0; ++i <= moves;) {
    m = move[i]
    if (m in over && over[m] < SINCE) continue
    move[++k] = m
    if (m in switched && switched[m] >= SINCE) {
      sum++
      if (pause[m] + 0 > longest) longest = pause[m] + 0
      sent += done[m]
    }
    if (is_bad(state[m])) bad++
  }
  moves = k
  if (!moves) {
    nothing("No migrations in this time.")
    exit
  }
  sort_keys(move, moves, began)
  SAYING = plural(moves, "migration", "migrations") ", " sum + 0 " switched" \
    (sum ? ", with a pause of at most " duration(longest / 1000000) : "") \
    (bad ? "; " bad " failed, stalled, aborted or in manual recovery" : "") "."
  print "<p>" SAYING "</p>"
  brief("volumes switched", sum + 0)
  if (sum) brief("longest pause of a client", duration(longest / 1000000))
  if (bad) brief("moves in trouble", bad)
  from = moves > ROWS ? moves - ROWS + 1 : 1
  shown = moves - from + 1
  # From the first of them on, with some room.
  t0 = began[move[from]]
  t0 -= (NOW - t0) / 50
  if (t0 < SINCE) t0 = SINCE
  print "<p class=\"key\">Hatched: copying. Diamond: switched, with how long clients waited. Dotted: the old copy is kept.</p>"
  draw()
  draw_pauses()
  table("Migrations" (from > 1 ? ", the latest " shown " of " moves : ""), \
    "migration|volume|from|to|began|took|equal|clients waited|now|detail|who")
  for (i = from; i <= moves; i++) {
    m = move[i]
    row(m)
    cell(html(volume[m])); cell(html(source[m])); cell(html(target[m])); cell(when(began[m]))
    number(m in switched ? duration(switched[m] - began[m]) : "")
    number(done[m] ? size(done[m]) : "")
    number(m in switched && pause[m] != "" ? duration(pause[m] / 1000000) : "")
    cell(html(state[m])); words(html(detail[m])); words(html(who[m]))
    end_row()
  }
  end_table()
}
