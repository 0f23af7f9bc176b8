# SPDX-License-Identifier: GPL-3.0-or-later
# sun.awk - hourly accesses of volumes that three sites use by their local day
#
#   awk -v seed=N -v volumes=N -v weeks=N -v truth=FILE -f sun.awk </dev/null
#
# Access records, an hour, volume and site a record, of so many weeks that end on 2025-11-10, in
# order of time.  Europe's and America's clocks went back on 26 October and 2 November 2025; at a
# site's own weekend it works a third.  TRUTH gets "VOLUME HOUR SITE SITE SITE": what each site is
# expected to ask for, without the noise.

# Park and Miller's generator: exact in doubles, so alike everywhere.
function uniform() { state = (16807 * state) % 2147483647; return state / 2147483647 }

# 1 on average, give or take 15 %.
function noise() { return 0.7 + 0.15 * (uniform() + uniform() + uniform() + uniform()) }

# Hours that a site's clock is ahead of UTC.
function ahead(site, hour)
{
	if (site == 1) return 9
	if (site == 2) return hour < 1761440400 / 3600 ? 2 : 1
	return hour < 1762063200 / 3600 ? -4 : -5
}

# Work of a site in an hour: a bell around 13 o'clock of its own; the epoch began on a Thursday.
function work(site, hour,    here, day, x)
{
	here = hour + ahead(site, hour)
	day = int(here / 24 + 4) % 7
	x = (here % 24 - 12.5) / width
	return (0.03 + exp(-x * x)) * (day == 0 || day == 6 ? 0.35 : 1)
}

BEGIN {
	state = seed
	width = 3.5
	last = 1762732800 / 3600
	print "time,volume,gateway,client,op,offset,length,latency_us,error,count"
	for (v = 0; v < volumes; v++)
		for (s = 1; s <= 3; s++)
			size[v, s] = 2000 * (0.8 + 0.4 * uniform())
	for (hour = last - weeks * 168; hour < last; hour++)
		for (v = 0; v < volumes; v++) {
			line = "vol-" v " " hour
			for (s = 1; s <= 3; s++) {
				want = size[v, s] * work(s, hour)
				line = line " " want
				printf "%d,vol-%d,gw-2,10.%d.0.1,read,%d,4096,100,,%d\n", hour * 3600 + 60 * s, v, s,
					int(uniform() * 1000) * 1048576, want * noise() + 0.5
			}
			print line >truth
		}
}
