# SPDX-License-Identifier: GPL-3.0-or-later
# make-probes.awk - metric records of gateways, of which one gets slower
#
# The records are made up: a probe of each gateway every half minute, as gateway-probe(1) prints
# them.  Reads from gateway "slow" take 5 % longer from probe to probe.
#
#   awk -v end=TIME [-v NAME=VALUE ...] -f make-probes.awk </dev/null
#
#   end       Unix time of the last probe (needed)
#   hours     of probes (1)
#   gateways  their names, blank-separated (gw-a gw-b gw-c)
#   slow      the one that gets slower (gw-a)

BEGIN {
	hours = hours == "" ? 1 : hours
	slow = slow == "" ? "gw-a" : slow
	n = split(gateways == "" ? "gw-a gw-b gw-c" : gateways, names, " ")
	print "time,gateway,metric,value"
	for (t = end - hours * 3600; t <= end; t += 30) {
		for (i = 1; i <= n; i++) {
			read_us = 200 + t % 7
			if (names[i] == slow)
				read_us *= 1.05 ^ ((t - end) / 30 + hours * 120)
			printf "%d,%s,nbd_connect_us,%d\n", t, names[i], 300 + t % 11
			printf "%d,%s,nbd_read_us,%d\n", t, names[i], read_us
			printf "%d,%s,nbd_error_ratio,0\n", t, names[i]
		}
	}
}
