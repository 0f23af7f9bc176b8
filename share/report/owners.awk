# SPDX-License-Identifier: GPL-3.0-or-later
# Which gateway owned which volume when.  Input: ROUTES, route records, oldest first.

BEGIN {
  SECTION = "owners"
  ROWS = 40
  PATTERNS = split("none up dots down cross #ccc", pattern, " ")
}

FNR == 1 {header(); next}

{
  fields()
  v = get("volume")
  t = get("time") + 0
  if (t > NOW) next
  if (!(v in n)) {volume[++volumes] = v; name[v] = v}
  g = get("gateway")
  epoch[v] = get("epoch"); state[v] = get("state")
  size_of[v] = get("size_bytes"); kept[v] = get("target")
  # A record of the same owner tells of its state only.
  if (n[v] && owner[v, n[v]] == g) next
  i = ++n[v]
  owner[v, i] = g
  at[v, i] = t
  if (t >= SINCE) changes[v]--
}

function pattern_of(g) {
  if (!(g in known)) known[g] = pattern[known_n++ % PATTERNS + 1]
  return known[g]
}

function draw(    i, k, v, y, h, x, end) {
  h = shown * 24 + 46 + 22
  chart(h, "Owners of the volumes over time", "A lane a volume, a part a gateway; the table says the same.")
  time_scale(160, WIDTH - 24, SINCE, NOW)
  time_axis(4, h - 54)
  for (i = 1; i <= shown; i++) {
    v = volume[i]
    y = 8 + (i - 1) * 24
    text(152, y + 12, "end", label(v, 24))
    for (k = 1; k <= n[v]; k++) {
      end = k < n[v] ? at[v, k + 1] : NOW
      if (end < SINCE) continue
      x = x_of(at[v, k])
      box(x, y, x_of(end) - x > 1 ? x_of(end) - x : 1, 17, pattern_of(owner[v, k]))
      if (x_of(end) - x > 7 * length(owner[v, k]) + 8)
        halo(x + 5, y + 12.5, "start", html(owner[v, k]))
    }
  }
  draw_key(h - 18)
  end_chart()
}

# Which pattern is which gateway, as far as the line goes.
function draw_key(y,    g, x, list, k, i, by) {
  k = 0
  for (g in known) {list[++k] = g; by[g] = g}
  sort_keys(list, k, by)
  x = 160
  for (i = 1; i <= k && x < WIDTH - 110; i++) {
    box(x, y, 22, 12, known[list[i]])
    text(x + 28, y + 10, "start", label(list[i], 20))
    x += 28 + 7 * (length(list[i]) > 20 ? 20 : length(list[i])) + 20
  }
}

END {
  if (!volumes) {
    nothing("No volume has a route.")
    exit
  }
  sort_keys(volume, volumes, name)
  # Those that moved come first.
  sort_keys(volume, volumes, changes)
  shown = volumes > ROWS ? ROWS : volumes
  draw()
  table("Volumes" (shown < volumes ? ", " shown " of " volumes : ""), \
    "volume|gateway|since|epoch|state|kept or moving to|size")
  for (i = 1; i <= shown; i++) {
    v = volume[i]
    row(v)
    cell(html(owner[v, n[v]])); cell(when(at[v, n[v]]))
    number(html(epoch[v])); cell(html(state[v])); cell(html(kept[v]))
    number(size_of[v] == "" ? "" : size(size_of[v] + 0))
    end_row()
  }
  end_table()
}
