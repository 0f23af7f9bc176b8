# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Volume v with a standby that is made ahead of any move ("load ahead", after helpers, client and
# mover).

# shellcheck disable=SC2034,SC2119,SC2120,SC2154
EVENT_HEADER=time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail

setup_file()
{
  make_inject
}

# plan SOURCE TARGET EPOCH [KIND [REASON [NOT-BEFORE]]]: a plan of one row.
plan()
{
  echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
  echo "$(date +%s),v,$1,$2,$3,${4-optional},,,,,,,${6-},${5-}"
}

# fleet: volume v of random data on gw-a, gw-b and gw-c, a director.  START starts a gateway.
fleet()
{
  make_volume gw-a v 256K
  head -c 256K /dev/urandom >gw-a/v
  cp gw-a/v original
  "${START:-start_gateway}" gw-a
  "${START:-start_gateway}" gw-b
  "${START:-start_gateway}" gw-c
  write_gateways
  route-set v gw-a >/dev/null
  serve
}

# serve [ARGUMENT...]: a director for which a busy machine is no slow gateway.
serve()
{
  start_director --quarantine "${QUARANTINE:-200ms}" --leg-timeout 60s --promote-after 100ms "$@"
}

# ahead [OPTION...]: as fleet, and gw-b stands by, as v-2.
ahead()
{
  fleet
  run --separate-stderr -0 migrate-exec "$@" <(plan gw-a gw-b 1 standby)
  [[ -z $stderr ]]
  stands
}

# stands [GATEWAY]: it stands by.
stands()
{
  owner_is gw-a 1 deferred
  [[ $(route-set v | tail -n 1 | cut -d, -f5) == "${1-gw-b}" ]]
  status_is target "${1-gw-b}"
  wait_for 30 status_is promotable yes
}

# owner_is_of VOLUME GATEWAY EPOCH
owner_is_of()
{
  [[ $(route-set "$1" | tail -n 1 | cut -d, -f2,3) == "$2,$3" ]]
}

# last_event ID: phase and event of the migration's last event.
last_event()
{
  migrate-exec --status "$1" | tail -n 1 | cut -d, -f6,7
}

# steps: migration, phase and event of the event records in $output, a line.
steps()
{
  [[ ${lines[0]} == "$EVENT_HEADER" ]]
  printf '%s\n' "${lines[@]:1}" | cut -d, -f2,6,7 | tr '\n' ' '
}

# alarms: what the console tells of the volume.
alarms()
{
  HOME=$GS script -qec 'migrate-console -c status </dev/null' /dev/null </dev/null | grep 'ALARM volume v'
}

# quiet: nothing was to be done.
quiet()
{
  [[ $output == "$EVENT_HEADER" && -z $stderr ]]
}

# served: what clients read is the volume's content.
served()
{
  nbdcopy "$(director_uri v)" served && cmp original served
}

# change PATTERN OFFSET LENGTH: a write by a client; the same in "original".
change()
{
  put "$@"
  qemu-io -f raw -c "write -P $1 $2 $3" original >/dev/null
}

# pause_over: the pause that the journal of v-2 has, after a loss, ends now.
pause_over()
{
  sed -i "s/; not mirrored again before [0-9]*/; not mirrored again before $(($(date +%s) - 1))/" state/migrations/v-2.csv
}

# lone_gateway NAME: one that does not promise that several connections see the same data.
lone_gateway()
{
  start_gateway "$1" --filter=multi-conn multi-conn-mode=disable
}
