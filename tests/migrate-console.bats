#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The console without a terminal: verbs, scripts, statuses, questions.

load helpers
load sandbox
load mover

setup()
{
  common_setup
  export HOME=$GS/home TMPDIR=$GS/tmp
  mkdir -p "$HOME" "$TMPDIR" "$GATESHIFT_STATE/loop"
}

# Nothing may be left in the folder for temporary files, and nothing is remembered of what was typed.
teardown()
{
  if [[ -n ${BATS_TEST_COMPLETED-} ]]; then
    [[ -z $(find "$HOME" "$TMPDIR" -mindepth 1) ]]
  fi
  common_teardown
}

# con COMMANDS: runs them, by option, with no input.
con()
{
  run --separate-stderr migrate-console -c "$1" </dev/null
}

# shown: the command lines of the last run.
shown()
{
  sed -n 's/^+ //p' <<<"$stderr"
}

# two_gateways: volume v, 1 MiB, on gw-a of two, a director, and health records that say all is well.
two_gateways()
{
  make_volume gw-a v 1M
  head -c 1M /dev/urandom >gw-a/v
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a --size 1M >/dev/null
  start_director
  awk -v now="$(date +%s)" 'BEGIN {
    print "time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason"
    print now ",gw-a,0.9,0.9,0.01,86400,0.9,,"
    print now ",gw-b,0.9,0.9,0.01,86400,0.9,,"
  }' >"$GATESHIFT_STATE/loop/health.csv"
}

# ends_with STATUS NAME: what was started as NAME ends so.
ends_with()
{
  local pid=${PIDS[$2]} status=0
  unset "PIDS[$2]"
  wait "$pid" || status=$?
  [[ $status -eq $1 ]]
}

@test "console: verbs print the records of the commands, and the command lines that do the same" {
  local verb
  sandbox_fill
  for verb in routes 'routes vm-1' gateways volumes status health; do
    run --separate-stderr migrate-console --health health.csv -c "$verb" </dev/null
    [[ -n $(shown) && $output == "$(eval "$(shown)" 2>/dev/null)" ]]
  done
  run --separate-stderr -0 migrate-console -q --health health.csv -c routes </dev/null
  [[ -z $stderr && $output == "$(route-set)" ]]
  # Folders that were given are passed on.
  run --separate-stderr -0 env -u GATESHIFT_STATE migrate-console --state "$GATESHIFT_STATE" -c 'routes vm-2' </dev/null
  [[ $stderr == "+ route-set --state $GATESHIFT_STATE vm-2" && ${lines[1]} == vm-2,gw-b,1,* ]]
}

@test "console: heat, forecast and affinity are those of one volume" {
  sandbox_fill
  export GATESHIFT_STATE=$GS/affinity-state
  con 'affinity db-1'
  [[ $status -eq 0 && $output == "$(affinity-profile --explain db-1 </dev/null)" ]]
  con 'heat vm-1'
  [[ $status -eq 0 && $output == vm-1:* && $output != *db-1* ]]
  con 'forecast vm-2'
  [[ $status -eq 0 && $(cut -d, -f1 <<<"$output" | sort -u) == $'vm-2\nvolume' && ${#lines[@]} -gt 24 ]]
  con 'heat nothing'
  [[ $status -eq 1 && $stderr == *"no request for 'nothing' is remembered" ]]
}

@test "console: a script ends with the first command that fails, and its status" {
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  run --separate-stderr -3 migrate-console -q <<<$'! echo one; echo two; exit 3\n! echo three'
  [[ $output == $'one\ntwo' && -z $stderr ]]
  run --separate-stderr -69 migrate-console -q <<<$'! echo one\nstatus; ! echo two\n! echo three'
  [[ $output == one$'\n'time,migration,* && $output != *two* && $output != *three* ]]
  run --separate-stderr -64 migrate-console -q <<<$'gateways # all of them\nnonsense; gateways'
  [[ $output == "$(<"$GATESHIFT_CONFIG/gateways.csv")" && $stderr == "migrate-console: no such verb: nonsense (help lists them)" ]]
  run --separate-stderr -0 migrate-console -q <<<$'\n   ;; # nothing\n\nquit; nonsense\nnonsense'
  [[ -z $output && -z $stderr ]]
  # A script's own commands do not read the script.
  run --separate-stderr -0 migrate-console -q <<<$'! cat\n! echo after'
  [[ $output == after ]]
}

@test "console: lines of --command are commands of their own, and a comment ends with its line" {
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  run --separate-stderr -3 migrate-console -q -c $'# first\n! echo one; echo "two"\ngateways # all\n\n! exit 3\n! echo four' </dev/null
  [[ $output == $'one\ntwo\n'"$(<"$GATESHIFT_CONFIG/gateways.csv")" && -z $stderr ]]
}

@test "console: every verb is in help, says its usage, and takes no option that is not its own" {
  local verb args n=0
  con help
  [[ $status -eq 0 ]]
  while read -r verb args; do
    case $verb in '!' | Several | watch) continue ;; esac
    n=$((n + 1))
    con "$verb --no-such-option x y z"
    [[ $status -ne 0 && -z $output && $(grep -vc '^+ ' <<<"$stderr") -ge 1 ]]
    if [[ $args == [A-Z]* && $verb != run ]]; then
      con "$verb"
      [[ $status -eq 64 && $stderr == "migrate-console: usage: $verb "* ]]
    elif [[ -z $args ]]; then
      con "$verb x"
      [[ $status -eq 64 && $stderr == "migrate-console: usage: $verb" ]]
    fi
  done <<<"$output"
  [[ $n -ge 23 ]]
}

@test "console: a name that nothing has is said in one line" {
  two_gateways
  cp "$GATESHIFT_STATE/loop/health.csv" health.csv
  local verb
  for verb in probe health cordon uncordon drain; do
    con "$verb gw-x"
    [[ $status -eq 64 && -z $output && $stderr == "migrate-console: no such gateway 'gw-x' in gateways.csv" ]]
  done
  for verb in affinity heat forecast routes; do
    con "$verb x"
    [[ $status -eq 1 && $(grep -vc '^+ ' <<<"$stderr") -eq 1 && $stderr == *"'x'"* ]]
  done
  for verb in status resume 'commit --yes' 'revert --yes' 'abort --yes' 'cutover --yes'; do
    con "$verb v-77"
    [[ $status -eq 1 && $(grep -v '^+ ' <<<"$stderr") == "migrate-exec: no such migration 'v-77'" ]]
  done
  con 'help dance'
  [[ $status -eq 64 && $stderr == "migrate-console: no such verb: dance (help lists them)" ]]
  con 'plan; run 1 --yes'
  [[ $status -eq 64 && $stderr == *"migrate-console: the plan has no rows" ]]
}

@test "console: a lost director, a missing program and a missing configuration are one line each" {
  con status
  [[ $status -eq 69 ]]
  [[ $(grep -v '^+ ' <<<"$stderr") == "route-director: cannot reach the director on "* ]]
  mkdir alone
  cp "$BUILD/bin/migrate-console" alone
  PATH=/usr/bin:/bin run --separate-stderr -69 alone/migrate-console -qc routes </dev/null
  [[ $stderr == "migrate-console: cannot run 'route-set': no such file or directory" ]]
  con gateways
  [[ $status -eq 1 && $(grep -vc '^+ ' <<<"$stderr") -eq 1 ]]
  con 'cordon gw-a'
  [[ $status -eq 66 && ${stderr_lines[*]} == "migrate-console: cannot open '$GATESHIFT_CONFIG/gateways.csv': "* ]]
}

@test "console: a plan's rows are carried out as they were shown, once; later ones are refused by their epoch" {
  two_gateways
  run --separate-stderr -0 migrate-console --yes <<<$'plan --drain gw-a\nrun 1 --attempts=7'
  [[ ${lines[0]} == time,volume,source,* && ${lines[1]} == *,v,gw-a,gw-b,1,mandatory,* ]]
  [[ $output == *,handover,switched,* && $output == *'--attempts=7'* ]]
  owner_is gw-b 2 uncommitted
  [[ $(shown | tail -n 1) == "sed -n '1p;2p' $TMPDIR/migrate-console."*'/plan.csv | migrate-exec --attempts=7 -' ]]
  con 'log v'
  [[ $status -eq 0 && $output == "$(<"$GATESHIFT_STATE/history.csv")" ]]
  con 'commit v-2 --yes'
  [[ $status -eq 0 ]]
  # The picture has changed between the plan and its execution.
  run --separate-stderr -1 migrate-console -q --yes <<<$'plan --drain gw-b\n! route-set v gw-a --force >/dev/null; route-set v gw-b --force >/dev/null\nrun all'
  [[ $stderr == *"migrate-exec: refused 'v': the row is of epoch 2, the route at 4" ]]
  owner_is gw-b 4 steady
}

@test "console: numbers are of the last plan, and of no other" {
  two_gateways
  con 'run 1 --yes'
  [[ $status -eq 64 && $stderr == "migrate-console: there is no plan: make one with 'plan'" ]]
  local rows
  for rows in 0 2 1x -- 99999999999999999999 10M; do
    con "plan --drain gw-a; run $rows --yes"
    [[ $status -eq 64 && $stderr != *'| migrate-exec'* ]]
    owner_is gw-a 1 steady
  done
  # Another action of migrate-exec is no option of run.
  con 'plan --drain gw-a; run 1 --yes --abort'
  [[ $status -eq 64 && $stderr == *"migrate-console: --abort is no option here" ]]
  con 'plan'
  [[ $status -eq 0 && ${#lines[@]} -eq 1 ]]
}

@test "console: a plan's standby is told from a move, and is made" {
  two_gateways
  mkdir planner
  cat >planner/migrate-plan <<'END'
#!/usr/bin/env sh
echo time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason
echo "$(date +%s),v,gw-a,gw-b,1,standby,,,,,,1048576,,"
END
  chmod +x planner/migrate-plan
  PATH=$GS/planner:$PATH con 'plan; run all'
  [[ $status -eq 64 && $stderr == *"1: v stays on gw-a, and gw-b stands by: 1.0M bytes are written to its export on gw-b"* ]]
  PATH=$GS/planner:$PATH con 'plan; run --yes all'
  [[ $status -eq 0 && ${lines[-1]} == *",replicate,deferred,"*"stands by: "* ]]
  owner_is gw-a 1 deferred
}

@test "console: without --yes nobody is asked, and nothing is done" {
  two_gateways
  con 'plan --drain gw-a; run all'
  [[ $status -eq 64 && ${stderr_lines[-1]} == "migrate-console: nobody is there to be asked: say --yes" ]]
  [[ $stderr == *"1: v moves from gw-a to gw-b: 1.0M bytes are written to its export on gw-b"* ]]
  owner_is gw-a 1 steady
  migrate-console -q --yes -c 'plan --drain gw-a; run all' </dev/null
  local verb
  for verb in commit revert abort cutover; do
    con "$verb v-2"
    [[ $status -eq 64 && $stderr == "v-2: "*"1.0M bytes"*"nobody is there to be asked: say --yes" ]]
  done
  con "commit v-2 --remove"
  [[ $status -eq 64 && $stderr == *"the old copy of v on gw-a, 1.0M bytes, is made cold and deleted"* ]]
  # migrate-exec takes the beginning of an option for it, and so does the question.
  con "commit v-2 --rem"
  [[ $status -eq 64 && $stderr == *"is made cold and deleted"* ]]
  con "commit v-2 --ar"
  [[ $status -eq 64 && $stderr == *"is made cold and archived"* ]]
  owner_is gw-b 2 uncommitted
  [[ -e gw-a/v ]]
  con 'commit v-2 --remove --yes'
  [[ $status -eq 0 && $(shown) == 'migrate-exec --commit v-2 --remove' ]]
  owner_is gw-b 2 steady
  [[ ! -e gw-a/v ]]
  con 'revert v-9 --yes'
  [[ $status -eq 1 && $stderr == "migrate-exec: no such migration 'v-9'" ]]
}

@test "console: revert and abort do as migrate-exec does" {
  two_gateways
  migrate-console -q --yes -c 'plan --drain gw-a; run all; revert v-2' </dev/null
  owner_is gw-a 3 uncommitted
  con 'commit v-3 --yes'
  [[ $status -eq 0 ]]
  # A move whose process has died goes back to where it came from.
  start exec bash -c "exec migrate-console -q --yes -c 'plan --drain gw-a; run all --bwlimit=64K' </dev/null"
  wait_for 20 grep -q ',v-4,.*,begin,' state/history.csv
  pkill -KILL -P "${PIDS[exec]}"
  ends_with 137 exec
  con 'abort v-4'
  [[ $status -eq 64 && $stderr == "v-4: v stays on gw-a, which alone serves it; what was copied"* ]]
  con 'abort v-4 --yes'
  [[ $status -eq 0 && $output == *,v-4,v,gw-a,gw-b,*,aborted,* ]]
  owner_is gw-a 3 steady
}

@test "console: a gateway's state is changed, and not a byte besides" {
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook,metrics,note\r\n%s\r\n%s\r\n%s' \
    '"gw-a",nbd://h:1,,,,"active","dir /srv/a\b, c",,"x, ""y"""' \
    '  ,' 'gw-b,nbd://h:2,,,,drain,dir /b,,' >"$GATESHIFT_CONFIG/gateways.csv"
  con 'cordon gw-b'
  [[ $status -eq 65 && $stderr == "migrate-console: $GATESHIFT_CONFIG/gateways.csv:3: "* ]]
  sed -i 3d "$GATESHIFT_CONFIG/gateways.csv"
  cp "$GATESHIFT_CONFIG/gateways.csv" before.csv
  local verb state
  for verb in cordon drain uncordon; do
    case $verb in cordon) state=cordoned ;; drain) state=drain ;; *) state=active ;; esac
    con "$verb gw-a --yes"
    [[ $status -eq 0 && $(shown) == 'sed -i '* ]]
    sed "s/\"active\"/$state/" before.csv | cmp - "$GATESHIFT_CONFIG/gateways.csv"
    # The command line that was shown makes the same of the same file.
    (cp before.csv copy.csv && eval "$(shown | sed "s|$GATESHIFT_CONFIG/gateways.csv|copy.csv|")" && cmp copy.csv "$GATESHIFT_CONFIG/gateways.csv")
  done
  con 'uncordon gw-a'
  [[ $status -eq 0 && $stderr == "migrate-console: gw-a is active already" ]]
  # The file may be a link into a folder that is kept elsewhere.
  mv "$GATESHIFT_CONFIG/gateways.csv" kept.csv && ln -s "$GS/kept.csv" "$GATESHIFT_CONFIG/gateways.csv"
  con 'cordon gw-a --yes'
  [[ $status -eq 0 && -L $GATESHIFT_CONFIG/gateways.csv ]]
  sed 's/"active"/cordoned/' before.csv | cmp - kept.csv
  rm "$GATESHIFT_CONFIG/gateways.csv"
  # A cordon does not end a drain, nor does it make a source of what is down.
  for state in drain down; do
    sed "s/,drain,/,$state,/" before.csv >"$GATESHIFT_CONFIG/gateways.csv"
    con 'cordon gw-b'
    [[ $status -eq 0 && $stderr == "migrate-console: gw-b is $state, so that no volume is planned onto it already" ]]
    sed "s/,drain,/,$state,/" before.csv | cmp - "$GATESHIFT_CONFIG/gateways.csv"
  done
  # What is down was said to be so by somebody: it is not made a target without a word, nor a source.
  con 'drain gw-b --yes'
  [[ $status -eq 69 && $stderr == "migrate-console: gw-b is down: nothing can be copied from it, "* ]]
  con 'uncordon gw-b'
  [[ $status -eq 64 && $stderr == "gw-b is down, says gateways.csv. "*": say --yes" ]]
  sed "s/,drain,/,down,/" before.csv | cmp - "$GATESHIFT_CONFIG/gateways.csv"
  con 'uncordon gw-b --yes'
  sed "s/,drain,/,active,/" before.csv | cmp - "$GATESHIFT_CONFIG/gateways.csv"
  cp before.csv "$GATESHIFT_CONFIG/gateways.csv"
  con 'cordon gw-c'
  [[ $status -eq 64 && $stderr == "migrate-console: no such gateway 'gw-c' in gateways.csv" ]]
  con 'drain gw-b'
  [[ $status -eq 0 && $stderr == *"gw-b is drain already" ]]
}

@test "console: names that steer a terminal are refused, lines of any length and NULs survived" {
  local esc=$'\e[2J' verb
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  for verb in affinity heat forecast 'health' cordon drain commit abort status log routes "nosuch$esc"; do
    con "$verb gw$esc"
    [[ $status -eq 64 && -z $output && $stderr != *$'\e'* && $stderr == "migrate-console: "* ]]
  done
  con 'cordon "../x"'
  [[ $status -eq 64 ]]
  head -c 3000000 /dev/zero | tr '\0' x >long
  run --separate-stderr -65 migrate-console <long
  [[ $stderr == "migrate-console: stdin:1: line too long" ]]
  { echo 'routes'; printf 'rou\0tes\n'; } >nul
  run --separate-stderr migrate-console -q <nul
  [[ $status -ne 0 && $status -lt 128 ]]
  printf '\nrou\0tes\n' >nul
  run --separate-stderr -65 migrate-console -q <nul
  [[ $stderr == "migrate-console: stdin:2: NUL in a line" ]]
  run --separate-stderr -66 migrate-console -q <.
  [[ $stderr == "migrate-console: cannot read 'stdin': is a directory" ]]
  con "routes 'vm"
  [[ $status -eq 64 && $stderr == "migrate-console: a quote is not closed, or nothing stands behind the last \\" ]]
}

@test "console: an interrupt ends a line and a script, whatever its command made of it" {
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  # shellcheck disable=SC2016
  local interrupted='! kill -INT $PPID'
  start line bash -c "exec env --default-signal=INT migrate-console -q -c \$'$interrupted\n! touch line.second'"
  ends_with 130 line
  printf '%s\n' "$interrupted" '! touch script.second' >script
  start script bash -c 'exec env --default-signal=INT migrate-console -q <script'
  ends_with 130 script
  [[ ! -e line.second && ! -e script.second ]]
}

@test "console: a script's move hears of an end once, whoever else is told" {
  two_gateways
  local how
  for how in INT TERM; do
    start script setsid env --default-signal=INT migrate-console -q --yes \
      -c 'plan --drain gw-a; run all --bwlimit=64K'
    wait_for 20 grep -q ',begin,' "$GATESHIFT_STATE/history.csv"
    kill -"$how" -- "-${PIDS[script]}"
    ends_with $((128 + $(kill -l "$how"))) script
    grep -q ",aborted,.*interrupted by SIG$how" "$GATESHIFT_STATE/history.csv"
    owner_is gw-a 1 steady
    rm "$GATESHIFT_STATE/history.csv"
  done
}

@test "console: a signal ends a script with what it has begun, and leaves nothing behind" {
  cp "$SRC"/share/config/*.csv "$GATESHIFT_CONFIG"
  mkfifo in
  exec 9<>in
  start console bash -c 'exec migrate-console -q <in'
  echo '! touch begun' >&9
  wait_for 10 test -e begun
  kill -TERM "${PIDS[console]}"
  ends_with 143 console
  exec 9>&-
}
