# SPDX-License-Identifier: GPL-3.0-or-later
# director.awk: from lines "ROW ROUND PEER RATE CPU_US", medians of the ratios within each round.
# what=table: those of one row; what=goals: which goals are met.

# Sorts a[1…n].
function sorted(a, n,   i, j, t) {
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
}

function middle(a, n) {
  return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

# Sets v[1…] to OURS's of WHICH ("rate", "cpu") in each round as a ratio to PEER's, sorted; how many.
function ratios(which, r, ours, peer, v,   i, n) {
  for (i = 1; i <= rounds; i++)
    if ((r, i, ours, which) in at && at[r, i, peer, which] > 0)
      v[++n] = at[r, i, ours, which] / at[r, i, peer, which]
  sorted(v, n)
  return n
}

function ratio(which, r, ours, peer,   v, n) {
  n = ratios(which, r, ours, peer, v)
  return n ? middle(v, n) : ""
}

function spread(which, r, ours, peer,   v, n) {
  n = ratios(which, r, ours, peer, v)
  return sprintf("%.2f (%.2f-%.2f)", middle(v, n), v[1], v[n])
}

function typical(which, r, peer,   i, v, n) {
  for (i = 1; i <= rounds; i++)
    if ((r, i, peer, which) in at)
      v[++n] = at[r, i, peer, which]
  sorted(v, n)
  return middle(v, n)
}

# One goal: the ratio must be at least (or, with SIGN -1, below) LIMIT.
function goal(text, value, sign, limit) {
  printf "  %-58s %s\n", text, value == "" ? "not measured" : \
    sprintf("%-8s %.3f", (sign > 0 ? value >= limit : value < limit) ? "met" : "NOT MET", value)
}

{
  at[$1, $2, $3, "rate"] = $4
  at[$1, $2, $3, "cpu"] = $5
  if (!(($1, $3) in seen)) {
    seen[$1, $3] = 1
    order[$1, ++n_peers[$1]] = $3
  }
  if (!($1 in known)) {
    known[$1] = 1
    rows[++n_rows] = $1
  }
  if ($2 > rounds)
    rounds = $2
}

function table(row,   i, peer) {
  printf "%-12s %8.0f I/O/s %14s %-18s %-18s %8s %8s\n", row, typical("rate", row, "director"),
    "peer", "rate", "CPU", "CPU µs", "peer's"
  for (i = 1; i <= n_peers[row]; i++) {
    peer = order[row, i]
    if (peer == "director")
      continue
    printf "%40s  %-18s %-18s %8.1f %8s\n", peer, spread("rate", row, "director", peer),
      peer == "direct" ? "-" : spread("cpu", row, "director", peer),
      typical("cpu", row, "director"),
      peer == "direct" ? "-" : sprintf("%.1f", typical("cpu", row, peer))
  }
}

function goals(   i, r) {
  print "goals:"
  for (i = 1; i <= n_rows; i++) {
    r = rows[i]
    if (r == "two-volumes")
      continue
    goal(r ": at least HAProxy's rate", ratio("rate", r, "director", "haproxy"), 1, 1)
    goal(r ": less CPU an I/O than HAProxy", ratio("cpu", r, "director", "haproxy"), -1, 1)
  }
  for (i = 1; i <= n_rows; i++) {
    r = rows[i]
    if (r !~ /^4k-.*-32$/)
      continue
    goal(r ": twice nbdkit-nbd", ratio("rate", r, "director", "nbdkit-nbd"), 1, 2)
    goal(r ": twice qemu-storage-daemon", ratio("rate", r, "director", "qemu-storage-daemon"), 1, 2)
    if (r ~ /read/)
      goal(r ": 0.7 of direct", ratio("rate", r, "director", "direct"), 1, 0.7)
    goal(r ": the access log costs < 3 % of the rate", ratio("rate", r, "logging", "director"), 1, 0.97)
    goal(r ": the access log costs < 3 % of CPU", ratio("cpu", r, "logging", "director"), -1, 1.03)
  }
}

END {
  if (what == "table")
    table(row)
  else
    goals()
}
