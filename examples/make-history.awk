# SPDX-License-Identifier: GPL-3.0-or-later
# make-history.awk - access records of a volume that two clients use in turn, weeks of them
#
# The records are made up: hourly sums (column "count") of two clients with a daily and a weekly
# rhythm, whose hours of most work lie where peak1 and peak2 say.  The same arguments give the same
# records with every awk.
#
#   awk -v end=TIME [-v NAME=VALUE ...] -f make-history.awk </dev/null
#
#   seed      of the random numbers, 1 ... 2147483646 (1)
#   weeks     of history (4)
#   end       Unix time: every hour that ended by then is in (needed)
#   volume    (vol), gateway (gw-a)
#   client1   (10.1.0.1), peak1: UTC hour of its most work (12)
#   client2   (10.2.0.1), peak2 (0)
#   requests  an hour at the peak (20000)
#   size      of the volume in bytes (1073741824)

function default_to(value, otherwise) { return value == "" ? otherwise : value }

# Park and Miller's generator: exact in doubles, so alike everywhere.
function uniform()
{
	state = (16807 * state) % 2147483647
	return state / 2147483647
}

# 1 on average, give or take 10 %.
function noise() { return 0.8 + 0.1 * (uniform() + uniform() + uniform() + uniform()) }

# 0 ... 1 by hour of the day, quieter at the weekend; the epoch began on a Thursday.
function rhythm(hour, peak,    wave, day)
{
	wave = cos((hour % 24 - peak) * 3.14159265358979 / 12)
	day = int(hour / 24 + 4) % 7
	return (wave > 0 ? 0.02 + 0.98 * wave : 0.02) * (day == 0 || day == 6 ? 0.4 : 1)
}

function put(time, client, op, offset, len, latency, count)
{
	if (count > 0)
		printf "%d,%s,%s,%s,%s,%d,%d,%d,,%d\n", time, volume, gateway, client, op, offset, \
			len, latency, count
}

# An hour of one client: most of it on a hot eighth of the volume, which moves with the client.
function put_hour(hour, client, peak, hot,    n, time, part)
{
	n = int(requests * rhythm(hour, peak) * noise())
	time = hour * 3600 + 1800
	for (part = 0; part < 4; part++) {
		put(time + part, client, "read", hot + int(part * size / 32), 4096, 200, int(n * 0.14))
		put(time + part, client, "write", hot + int(part * size / 32), 8192, 400, int(n * 0.06))
	}
	put(time + 4, client, "read", int(int(uniform() * 64) * size / 64), 65536, 900, int(n * 0.17))
	put(time + 5, client, "flush", 0, 0, 1500, int(n * 0.03))
}

BEGIN {
	if (end == "") {
		print "make-history.awk: end is needed: -v end=$(date +%s)" > "/dev/stderr"
		exit 64
	}
	state = default_to(seed, 1)
	weeks = default_to(weeks, 4)
	volume = default_to(volume, "vol")
	gateway = default_to(gateway, "gw-a")
	client1 = default_to(client1, "10.1.0.1")
	client2 = default_to(client2, "10.2.0.1")
	peak1 = default_to(peak1, 12)
	peak2 = default_to(peak2, 0)
	requests = default_to(requests, 20000)
	size = default_to(size, 1073741824)
	last = int(end / 3600)
	print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
	for (hour = last - weeks * 168; hour < last; hour++) {
		put_hour(hour, client1, peak1, 0)
		put_hour(hour, client2, peak2, int(size / 2))
	}
}
