#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# 30-shards.sh: counts a log that is too large for one process, or one machine, in shards.
#
# Each shard is counted into a state folder of its own, by GNU parallel where that is installed, and
# the folders are joined into the very state that one run over everything makes.  On a cluster the
# same is an array job, and one more that waits for it:
#
#     sbatch --array=1-100 --wrap 'affinity-profile --count-only --state state.$SLURM_ARRAY_TASK_ID \
#         /shared/log/access.$SLURM_ARRAY_TASK_ID.csv.lz4'
#     sbatch --dependency=singleton --wrap 'affinity-profile --train --merge state.*'
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir config
export GATESHIFT_CONFIG="$work/config"
cat >config/gateways.csv <<'END'
gateway,uri,site,capacity_bytes,iops_limit,state,hook
gw-eu,nbd://192.0.2.1,europe,,,active,
gw-us,nbd://192.0.2.2,america,,,active,
END
printf 'client,site,tz\n10.1.0.0/16,europe,\n10.2.0.0/16,america,\n' >config/sites.csv

# A made-up log of four weeks, in eight files, as a rotation leaves them.
awk -v end=1700000000 -f "$here/make-history.awk" </dev/null >access.csv
tail -n +2 access.csv >lines
split -n l/8 --additional-suffix .csv lines part-
for part in part-*.csv; do
  { head -n 1 access.csv && cat "$part"; } >"access-$part"
done

echo "# Eight shards, counted apart:"
if command -v parallel >/dev/null; then
  parallel --will-cite affinity-profile --count-only --state 'state-{/.}' '{}' ::: access-part-*.csv
else
  for part in access-part-*.csv; do
    affinity-profile --count-only --state "state-${part%.csv}" "$part" &
  done
  wait
fi
du -sk state-* | awk '{ n++; sum += $1 } END { printf "%d folders, %d KiB\n", n, sum }'

echo "# Joined, and scored:"
affinity-profile --state merged --train --merge state-*

echo "# The same bytes as one run over everything:"
affinity-profile --state whole --count-only access.csv
for file in whole/affinity/index whole/affinity/demand-* whole/affinity/heat-*; do
  cmp "$file" "merged/affinity/${file##*/}"
done
echo yes
