# SPDX-License-Identifier: GPL-3.0-or-later
# What other policies would have come to, as migrate-replay prints it: the means of several seeds.

BEGIN {SECTION = "replayed"}

FNR == 1 {header(); next}

{
  fields()
  p = get("policy") (get("setting") == "" ? "" : ", " get("setting"))
  if (!(p in seeds)) policy[++policies] = p
  seeds[p]++
  n = split("requests failed degraded health_moves affinity_moves bytes mismigrations", name, " ")
  for (i = 1; i <= n; i++) sum[p, name[i]] += get(name[i])
  mean[p] += get("mean_us")
  if (get("p99_us") + 0 > p99[p]) p99[p] = get("p99_us") + 0
}

function of(p, name) {return sum[p, name] / seeds[p]}
function percent(p, name) {
  return sum[p, "requests"] > 0 ? sprintf("%.3g %%", 100 * sum[p, name] / sum[p, "requests"]) : ""
}

# Those that met a failed gateway, and behind them those that met a degraded one.
function draw(    i, p, y, x, most) {
  for (i = 1; i <= policies; i++) {
    p = policy[i]
    if (of(p, "failed") + of(p, "degraded") > most) most = of(p, "failed") + of(p, "degraded")
  }
  chart(policies * 20 + 12, "Requests in trouble, by policy", "The fewest with " best() "; the table has all.")
  for (i = 1; i <= policies; i++) {
    p = policy[i]
    y = 4 + (i - 1) * 20
    x = most ? of(p, "failed") / most * (WIDTH - 330) : 0
    text(212, y + 12, "end", label(p, 34))
    box(220, y, x, 14, "cross")
    box(220 + x, y, most ? of(p, "degraded") / most * (WIDTH - 330) : 0, 14, "dots")
    text(228 + x + (most ? of(p, "degraded") / most * (WIDTH - 330) : 0), y + 12, "start", \
      requests(of(p, "failed") + of(p, "degraded")))
  }
  end_chart()
}

function best(    i, p, b) {
  for (i = 1; i <= policies; i++) {
    p = policy[i]
    if (b == "" || of(p, "failed") + of(p, "degraded") < of(b, "failed") + of(b, "degraded")) b = p
  }
  return b
}

END {
  if (!policies) {
    nothing("No replay was given.")
    exit
  }
  print "<p class=\"key\">Crossed: requests that met a failed gateway. Dotted: those that met a degraded one.</p>"
  draw()
  table("What policies came to in a simulation", "policy|seeds|requests|met a failed gateway|met a degraded one|" \
    "mean latency|highest p99|moves for health|of these needless|moves for affinity|copied")
  for (i = 1; i <= policies; i++) {
    p = policy[i]
    row(p)
    number(seeds[p]); number(requests(of(p, "requests"))); number(percent(p, "failed")); number(percent(p, "degraded"))
    number(duration(mean[p] / seeds[p] / 1000000)); number(duration(p99[p] / 1000000))
    number(requests(of(p, "health_moves"))); number(requests(of(p, "mismigrations")))
    number(requests(of(p, "affinity_moves"))); number(size(of(p, "bytes")))
    end_row()
  }
  end_table()
}
