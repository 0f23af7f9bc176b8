# SPDX-License-Identifier: GPL-3.0-or-later
# What the planner last said of each volume and gateway.  Input: verdict records in order of time.

BEGIN {SECTION = "decided"; ROWS = 40}

FNR == 1 {header(); next}

# The last plan of a volume counts, with all that it says of it.
{
  fields()
  v = get("volume")
  if (get("time") != asked[v]) {
    asked[v] = get("time")
    rows[v] = 0
    if (!(v in known)) {known[v] = 1; volume[++volumes] = v}
  }
  i = ++rows[v]
  keep(v, i, "source target benefit reverse_benefit guard verdict reason")
}

function keep(v, i, names,    n, k, name) {
  n = split(names, name, " ")
  for (k = 1; k <= n; k++) of[v, i, name[k]] = get(name[k])
}

function ratio(s) {return s == "" ? "" : sprintf("%.2f", s)}

# Moves first, then shadows, then what stays.
function rank(verdict) {return verdict == "move" ? 1 : verdict == "shadow" ? 2 : verdict == "refused" ? 3 : 4}

# How many answers have which reason, as bars.
function draw(    i, y, most) {
  for (i = 1; i <= answers; i++) if (count[answer[i]] > most) most = count[answer[i]]
  chart(answers * 20 + 12, "Answers of the planner", plural(lines, "answer", "answers") " for " \
    plural(volumes, "volume", "volumes") "; the table has them.")
  for (i = 1; i <= answers; i++) {
    y = 4 + (i - 1) * 20
    text(212, y + 12, "end", label(answer[i], 34))
    box(220, y, count[answer[i]] / most * (WIDTH - 330), 14, answer[i] == "move" ? "up" : "dots")
    text(228 + count[answer[i]] / most * (WIDTH - 330), y + 12, "start", count[answer[i]])
  }
  end_chart()
}

END {
  if (!volumes) {
    nothing("No verdicts of a plan in this time.")
    exit
  }
  for (j = 1; j <= volumes; j++) {
    v = volume[j]
    for (i = 1; i <= rows[v]; i++) {
      key[++lines] = v SUBSEP i
      by[key[lines]] = rank(of[v, i, "verdict"])
      a = of[v, i, "verdict"] (of[v, i, "guard"] == "" ? "" : ": " of[v, i, "guard"])
      if (!(a in count)) answer[++answers] = a
      count[a]++
      if (of[v, i, "verdict"] == "move") moves++
    }
  }
  sort_keys(key, lines, by)
  for (i = 1; i <= answers; i++) order[answer[i]] = -count[answer[i]]
  sort_keys(answer, answers, order)
  print "<p>By the last plan that knew them, " plural(moves + 0, "volume", "volumes") " of " volumes \
    " should move.</p>"
  brief("volumes that should move", moves + 0)
  draw()
  table("Answers" (lines > ROWS ? ", the first " ROWS " of " lines : ""), \
    "volume|when|from|to|answer|guard|benefit|of the way back|why")
  for (j = 1; j <= lines && j <= ROWS; j++) {
    split(key[j], part, SUBSEP)
    v = part[1]; i = part[2]
    row(v)
    cell(when(asked[v] + 0)); cell(html(of[v, i, "source"])); cell(html(of[v, i, "target"]))
    cell(html(of[v, i, "verdict"])); cell(html(of[v, i, "guard"]))
    number(ratio(of[v, i, "benefit"])); number(ratio(of[v, i, "reverse_benefit"]))
    words(html(of[v, i, "reason"]))
    end_row()
  }
  end_table()
}
