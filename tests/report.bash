# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A fleet with a past, for share/report: what the tests of the page and the look at it in a browser
# have in common.

# report_fleet END: in the current folder, two weeks of demand, six hours of probes in which gw-a
# gets slower until it fails, three migrations, and owners, all ending at Unix time END: access.csv,
# metric.csv, failures.csv, and the state in $GATESHIFT_STATE.
report_fleet()
{
  local end=$1 examples=$SRC/examples
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG/"
  awk -v end="$end" -v weeks=2 -v volume=db-1 -v client1=192.0.2.7 -v client2=198.51.100.9 \
    -f "$examples/make-history.awk" </dev/null >access.csv
  affinity-profile access.csv >affinity.csv
  # Each probe of gw-a takes 5 % longer, in the last hour; then there are none.
  {
    awk -v end="$((end - 7200))" -v hours=4 -v slow=none -f "$examples/make-probes.awk" </dev/null
    awk -v end="$((end - 3600))" -f "$examples/make-probes.awk" </dev/null | sed 1d
    awk -v end="$end" -v slow=none -f "$examples/make-probes.awk" </dev/null | grep -v ',gw-a,' | sed 1d
  } >metric.csv
  printf '%s\n' time,gateway,kind "$((end - 3500)),gw-a,failure" >failures.csv
  printf '%s\n' time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail \
    "$((end - 9000)),vm-1-2,vm-1,gw-a,gw-b,redirect,begin,0,536870912,,root: migrate-exec plan.csv," \
    "$((end - 8000)),vm-1-2,vm-1,gw-a,gw-b,handover,switched,536870912,536870912,8120,root: migrate-exec plan.csv," \
    "$((end - 5000)),db-1-2,db-1,gw-a,gw-c,redirect,begin,0,1073741824,,cron: migrate-exec," \
    "$((end - 4400)),db-1-2,db-1,gw-a,gw-c,handover,switched,1073741824,1073741824,23400,cron: migrate-exec,\"a, b\"" \
    "$((end - 3900)),vm-2-2,vm-2,gw-a,gw-b,redirect,begin,0,1073741824,,cron: migrate-exec," \
    "$((end - 3800)),vm-2-2,vm-2,gw-a,gw-b,replicate,failed,73741824,1073741824,,cron: migrate-exec,no space" \
    >"$GATESHIFT_STATE/history.csv"
  # The store has the time of this machine: the moves' owners are those of now.
  printf '%s\n' volume,gateway,size_bytes db-1,gw-c,1073741824 vm-1,gw-b,536870912 vm-2,gw-a,536870912 |
    route-set --import - >/dev/null
}

# report_page END [OPTION...]: the page of that fleet.
report_page()
{
  "$SRC/share/report/report" --now "$1" --since 12h --access access.csv --metrics metric.csv \
    --failures failures.csv "${@:2}"
}
