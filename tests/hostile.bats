#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# One table of hostile circumstances for every command in $BUILD/bin.  A command that is not named
# below is held to read records: NAME FILE.

load helpers
load sandbox

setup()
{
  common_setup
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  route-set vm-2 gw-a >/dev/null
  mkdir folder
  ln -s loop loop
  READERS=()
  COMMANDS=()
  local path
  for path in "$BUILD"/bin/*; do
    COMMANDS+=("${path##*/}")
    case ${path##*/} in
    route-director | gateway-probe | migrate-console) ;;
    *) READERS+=("${path##*/}") ;;
    esac
  done
}

# reader NAME: the options before a FILE of records in ARGS, the header it needs in HEADER.
reader()
{
  ARGS=()
  case $1 in
  affinity-profile)
    ARGS=(--state "$GS/state/affinity")
    HEADER=time,volume,gateway,client,op,offset,length,latency_us,error
    ;;
  health-score)
    ARGS=(--state "$GS/state/health")
    HEADER=time,gateway,metric,value
    ;;
  migrate-exec)
    HEADER=time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das
    HEADER+=,bytes,not_before,reason
    ;;
  migrate-plan)
    ARGS=(--health)
    HEADER=time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason
    ;;
  migrate-replay)
    HEADER=time,volume,gateway,client,op,offset,length,latency_us,error
    ;;
  route-set)
    ARGS=(--import)
    HEADER=volume,gateway
    ;;
  *)
    HEADER=
    ;;
  esac
}

# refused NAME STATUS...: the last run ended with one of these and with one line about it; on stdout
# there is at most a header.
refused()
{
  local name=$1 s
  shift
  echo "$name ended $status; stdout '$output'; stderr '$stderr'"
  # A header has no digits, a record always has.
  [[ $stderr == "$name: "* && $stderr != *$'\n'* && $output != *[0-9]* ]] || return
  for s in "$@"; do
    [[ $status -ne $s ]] || return 0
  done
  return 1
}

@test "hostile: a file that is not there, a folder and a loop of links end 66" {
  local name file
  for name in "${READERS[@]}"; do
    reader "$name"
    for file in missing folder loop; do
      run --separate-stderr "$name" "${ARGS[@]}" "$file"
      refused "$name" 66
      [[ $stderr == *"'$file'"* ]]
    done
  done
}

@test "hostile: a file that may not be read ends 66" {
  [[ $EUID -ne 0 ]] || skip "root may read everything"
  local name
  touch secret
  chmod 0 secret
  for name in "${READERS[@]}"; do
    reader "$name"
    run --separate-stderr "$name" "${ARGS[@]}" secret
    refused "$name" 66
  done
}

@test "hostile: an empty input has no header: 65 and the line" {
  local name
  touch empty
  for name in "${READERS[@]}"; do
    reader "$name"
    run --separate-stderr "$name" "${ARGS[@]}" empty
    refused "$name" 65
    [[ $stderr == "$name: empty:1: "* ]]
    run --separate-stderr "$name" "${ARGS[@]}" - </dev/null
    refused "$name" 65
  done
}

@test "hostile: a header without records is no error" {
  local name
  for name in "${READERS[@]}"; do
    reader "$name"
    echo "$HEADER" >header
    run --separate-stderr -0 "$name" "${ARGS[@]}" header
    [[ -z $stderr || $name == migrate-plan ]] # which explains itself when asked to by a terminal
  done
}

# bad_input NAME FILE: refused as malformed, with file and line.
bad_input()
{
  run --separate-stderr timeout 20 "$1" "${ARGS[@]}" "$2"
  refused "$1" 65 74
  [[ $stderr == "$1: $2:"[0-9]* || $status -eq 74 ]]
}

@test "hostile: garbage, endless lines and cut archives are refused with file and line" {
  local name
  head -c 3000000 /dev/zero | tr '\0' x >long
  awk 'BEGIN { srand(1); for (i = 0; i < 100000; i++) printf "%c", int(256 * rand()) }' >noise
  for name in "${READERS[@]}"; do
    reader "$name"
    { echo "$HEADER" && cat noise; } >body
    { echo "$HEADER" && cat long; } >long-body
    { echo "$HEADER" && tr , '\0' <<<"$HEADER"; } >nul
    echo "${HEADER%,*}" >short
    { echo "$HEADER" && echo ',"'; } >quote
    local file
    for file in long noise body long-body nul short quote; do
      bad_input "$name" "$file"
    done
    { echo "$HEADER" && cat noise; } | lz4 -q | head -c 60000 >cut.lz4
    bad_input "$name" cut.lz4
  done
}

@test "hostile: a full or closed stdout ends 74 with one line" {
  local name
  for name in "${READERS[@]}"; do
    reader "$name"
    echo "$HEADER" >header
    run --separate-stderr bash -c '"$@" >/dev/full' - "$name" "${ARGS[@]}" header
    refused "$name" 74
    run --separate-stderr bash -c '"$@" >&-' - "$name" "${ARGS[@]}" header
    refused "$name" 74
  done
}

@test "hostile: a stdout that is full in the middle of the records is told once, with the reason" {
  awk 'BEGIN { print "time,gateway,metric,value"
    for (i = 0; i < 2000; i++) print 1700000000 + i ",gw-a,nbd_read_us," i }' >metric.csv
  awk 'BEGIN { print "time,volume,gateway,client,op,offset,length,latency_us,error"
    for (i = 0; i < 5000; i++) print 1700000000 + i ",vm-2,gw-a,10.0.0.1:1,read," 65536 * i ",512,9," }' \
    >access.csv
  mkdir "$GATESHIFT_STATE/migrations"
  printf '%s\n' time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail \
    1700000000,vm-2-2,vm-2,gw-a,gw-b,redirect,aborted,0,0,,root, >"$GATESHIFT_STATE/migrations/vm-2-2.csv"
  local line
  for line in 'health-score --per-metric metric.csv' 'affinity-profile --heatmap access.csv' \
    'gateway-probe --count 1 --timeout 100ms gw-a' 'migrate-exec --status'; do
    run --separate-stderr -74 bash -c "$line >/dev/full"
    [[ $(grep -v probe.of <<<"$stderr") == "${line%% *}: write failed 'stdout': no space left on device" ]] ||
      { echo "$line: $stderr" && false; }
  done
}

@test "hostile: a closed stdin cannot be read, and no other file takes its place" {
  local name
  for name in "${READERS[@]}"; do
    reader "$name"
    run --separate-stderr bash -c '"$@" <&-' - "$name" "${ARGS[@]}" -
    refused "$name" 65 66 74
  done
}

@test "hostile: a closed stderr changes no status and no file" {
  local name before
  before=$(<"$GATESHIFT_STATE/routes.log")
  for name in "${READERS[@]}"; do
    reader "$name"
    run -66 bash -c '"$@" 2>&-' - "$name" "${ARGS[@]}" missing
  done
  # The store is the first file that this one opens, and there is something to say.
  run -1 bash -c 'route-set vm-2 gw-b --expect-epoch 7 2>&-'
  [[ $(<"$GATESHIFT_STATE/routes.log") == "$before" ]]
}

# upstream READER COMMAND...: runs COMMAND | READER; its status, but 0 for SIGPIPE (128 + 13).
upstream()
{
  local reader=$1 status
  shift
  "$@" | $reader
  status=${PIPESTATUS[0]}
  return $((status == 141 ? 0 : status))
}

# writer NAME FILE: has the command write FILE, which an option names.
writer()
{
  case $1 in
  affinity-profile) affinity-profile --state "$GS/state/affinity" --svg "$2" access.csv ;;
  migrate-plan) migrate-plan --now 1700000000 --health health.csv --explain="$2" >plan.csv ;;
  migrate-replay) migrate-replay --policy none --svg "$2" access.csv >report.csv ;;
  route-set) route-set --export "$2" ;;
  esac
}

@test "hostile: an output that is a pipe, a link or an open file is written to, and not replaced" {
  printf '%s\n' time,volume,gateway,client,op,offset,length,latency_us,error \
    1700000000,vm-2,gw-a,192.0.2.7,read,0,4096,300, >access.csv
  echo time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason >health.csv
  mkfifo pipe
  local name pid
  for name in affinity-profile migrate-plan migrate-replay route-set; do
    writer "$name" plain
    : >aim && ln -sf aim link
    timeout 10 cat pipe >got &
    pid=$!
    writer "$name" pipe
    [[ -p pipe ]]
    wait "$pid"
    cmp got plain
    writer "$name" link
    [[ -L link ]]
    cmp aim plain
    writer "$name" /proc/self/fd/4 4>open
    cmp open plain
  done
}

@test "hostile: a reader that goes away early is no error" {
  local name
  for name in "${READERS[@]}"; do
    reader "$name"
    echo "$HEADER" >header
    run --separate-stderr -0 upstream "head -1" "$name" "${ARGS[@]}" header
    [[ $stderr != *" failed "* && ${#lines[@]} -le 1 ]]
    # One that carries out moves must not die in the middle of one: it ignores the signal.
    [[ $name != migrate-exec ]] || continue
    run --separate-stderr -0 upstream : "$name" "${ARGS[@]}" header
    [[ $stderr != *" failed "* && -z $output ]]
  done
}

@test "hostile: options without a value, or with one too many, end 64" {
  local name option
  for name in "${COMMANDS[@]}"; do
    while read -r option; do
      case $option in
      --*=)
        run --separate-stderr "$name" "${option%=}"
        [[ $status -eq 64 && -z $output && $stderr == "$name: "* ]]
        ;;
      --explain) ;; # its value may be left out
      *)
        run --separate-stderr "$name" "$option=value"
        [[ $status -eq 64 && -z $output && $stderr == "$name: "* ]]
        ;;
      esac
    done < <("$name" --long-options)
  done
}

# The servers and the prober read configuration, not records: each case is "STATUS... : ARGUMENT...".
refused_each()
{
  local name=$1 case statuses
  shift
  for case in "$@"; do
    read -ra statuses <<<"${case%% : *}"
    read -ra ARGS <<<"${case#* : }"
    run --separate-stderr timeout 20 "$name" "${ARGS[@]}"
    # Wrong usage has a second line, which points to --help.
    stderr=${stderr%%$'\n'Try*}
    refused "$name" "${statuses[@]}"
  done
}

@test "hostile: route-director refuses to start on what cannot work" {
  touch file
  refused_each route-director \
    "64 : --listen" \
    "64 : --listen nonsense" \
    "64 : --listen unix:$GS/s --listen 127.0.0.1:99999" \
    "64 : --listen unix:$GS/s argument" \
    "66 73 : --listen unix:$GS/s --state $GS/file/state" \
    "69 73 : --listen unix:$GS/missing/s" \
    "69 73 : --listen unix:$GS/s --control $GS/missing/c" \
    "66 73 : --listen unix:$GS/s --access-log $GS/missing/access.csv" \
    "66 73 : --listen unix:$GS/s --access-log $GS/folder"
  run --separate-stderr -64 route-director --listen nonsense
  [[ $stderr == "route-director: cannot listen on 'nonsense': it is neither unix:PATH nor HOST:PORT" ]]
}

@test "hostile: gateway-probe refuses what cannot work" {
  refused_each gateway-probe \
    "64 : --count 0x" \
    "64 : --interval -1s" \
    "66 : --config $GS/missing" \
    "64 78 : --count 1 no-such-gateway"
  echo gateway,uri,site,capacity_bytes,iops_limit,state,hook >"$GATESHIFT_CONFIG/gateways.csv"
  echo gw-a,nonsense,,,,active, >>"$GATESHIFT_CONFIG/gateways.csv"
  refused_each gateway-probe "65 78 : --count 1"
}
