#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# share/report's page, without a browser (that is "make check-report"): structure, text, and what it
# says about records whose answer is known.

load helpers
load report

setup()
{
  common_setup
  END=$(($(date +%s) / 60 * 60 + 60))
  REPORT=$SRC/share/report/report
}

# xpath FILE EXPRESSION: prints what it yields.
xpath()
{
  xmllint --xpath "$2" "$1" 2>/dev/null
}

REPLAY=policy,setting,requests,failed,degraded,mean_us,p99_us,health_moves,affinity_moves,bytes,mismigrations

@test "report: an empty state gives a page that says so" {
  run --separate-stderr -0 "$REPORT" --now 1700000000
  [[ -z $stderr ]]
  echo "$output" >page.html
  xmllint --noout page.html
  [[ $output == *"There is nothing to report yet"*"No health records"*"No forecasts"*"No heat map"* ]]
  [[ $output == *"No migrations"*"No volume has a route"* && $output != *"<svg"* ]]
  [[ $output == *"As of 2023-11-14 22:13:20 UTC"* ]]
}

@test "report: a forecast of hours in another age is left out, and names of files mean themselves" {
  local file='a\tb\0101.csv'
  printf '%s\n' volume,site,start,duration_s,requests,lower,upper,model v,eu,1699999200,3600,7,0,9,m \
    v,eu,1e15,3600,1,0,2,m v,eu,0,3600,1,0,2,m v,eu,-1e15,3600,1,0,2,m >"$file"
  run --separate-stderr -0 timeout 60 "$REPORT" --now 1700000000 --forecast "$file" --title '\tx'
  [[ -z $stderr && $output == *'<h1>\tx</h1>'* && $output == *'2023-11-14 22:00'* && $output != *1970* ]]
  run --separate-stderr -66 "$REPORT" --forecast 'no\nfile'
  [[ $stderr == "report: cannot open 'no\\nfile': No such file or directory" ]]
  run --separate-stderr -64 "$REPORT" --now 09
  run --separate-stderr -64 "$REPORT" --since 09h
}

@test "report: the page can be read by programs: well-formed, headings in order, charts with words" {
  report_fleet "$END"
  report_page "$END" >page.html
  xmllint --noout page.html
  [[ $(xpath page.html 'string(/html/@lang)') == en && $(xpath page.html 'count(//h1)') == 1 ]]
  [[ $(xpath page.html 'count(//main)') == 1 && $(xpath page.html 'count(//title[parent::head])') == 1 ]]
  # No heading skips a level.
  [[ $(xpath page.html 'count(//h3[not(preceding::h2)])') == 0 && $(xpath page.html 'count(//h4|//h5|//h6)') == 0 ]]
  [[ $(xpath page.html 'count(//h2[not(preceding::h1)])') == 0 ]]
  # Every chart is announced with a title and a description of its own.
  [[ $(xpath page.html 'count(//svg)') -ge 7 ]]
  [[ $(xpath page.html 'count(//svg[not(@role="img") or not(@aria-labelledby)])') == 0 ]]
  [[ $(xpath page.html 'count(//svg[not(title[@id]) or not(desc[@id])])') == 0 ]]
  grep -oE ' id="[^"]*"' page.html | sort | uniq -d >twice
  [[ ! -s twice ]]
  grep -oE 'aria-labelledby="[^"]*"' page.html | cut -d'"' -f2 | tr ' ' '\n' | while read -r id; do
    grep -q " id=\"$id\"" page.html
  done
  # Every section has its numbers as a table, with heads.
  [[ $(xpath page.html 'count(//table)') -ge 7 && $(xpath page.html 'count(//table[not(caption)])') == 0 ]]
  [[ $(xpath page.html 'count(//table[not(thead/tr/th[@scope="col"])])') == 0 ]]
  [[ $(xpath page.html 'count(//tbody/tr[not(th[@scope="row"])])') == 0 ]]
  # Each link of the contents leads somewhere.
  grep -oE 'href="#[^"]*"' page.html | cut -d'"' -f2 | tr -d '#' | while read -r id; do
    grep -q "id=\"$id\"" page.html
  done
}

@test "report: the page needs nothing but itself" {
  report_fleet "$END"
  report_page "$END" >page.html
  run -1 grep -nEi 'https?:|//[a-z]|src=|<script|<link|<iframe|<img|@import|@font-face|url\([^#)]|javascript:| on[a-z]+=' page.html
  run -1 grep -nE 'href="[^#]' page.html
}

@test "report: text of records stays text" {
  local evil='<script>alert(1)</script>' quote='"><img src=x onerror=alert(2)>'
  cp "$SRC"/share/config/gateways.csv "$GATESHIFT_CONFIG/"
  printf '%s\n' time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail \
    "$((END - 90)),$evil,$evil,$evil,\"${quote//\"/\"\"}\",redirect,begin,0,1,,$evil," \
    "$((END - 60)),$evil,$evil,$evil,x,handover,switched,1,1,$evil,$evil,\"${quote//\"/\"\"}&amp;\"" \
    >"$GATESHIFT_STATE/history.csv"
  printf '%s\n' time,gateway,ghs,current,p_fail,horizon_s,confidence,worst_metric,reason \
    "$((END - 90)),$evil,$evil,$evil,0.9,86400,1,$evil,\"${quote//\"/\"\"}\"" >health.csv
  printf '%s\n' volume,site,start,duration_s,requests,lower,upper,model \
    "$evil,$evil,$((END / 3600 * 3600)),3600,5,1,9,$evil" >forecast.csv
  printf '%s\n' time,gateway,kind "$((END - 30)),$evil,failure" >failures.csv
  printf '%s\n' time,volume "$((END - 7200)),$evil" >access.csv
  printf '%s\n' time,volume,source,target,benefit,reverse_benefit,guard,verdict,reason \
    "$((END - 90)),$evil,$evil,$evil,$evil,$evil,$evil,$evil,\"${quote//\"/\"\"}\"" >verdicts.csv
  printf '%s\n' "$REPLAY" "$evil,\"${quote//\"/\"\"}\",1,1,1,1,1,1,1,1,1" >replay.csv
  "$REPORT" --now "$END" --title "$evil$quote" --health health.csv --forecast forecast.csv --failures failures.csv \
    --access access.csv --verdicts verdicts.csv --replay replay.csv >page.html
  xmllint --noout page.html
  [[ $(xpath page.html 'count(//script|//img|//@onerror)') == 0 ]]
  run -1 grep -nE '<script|<img' page.html
  # It is there, though, as it was.
  [[ $(xpath page.html 'string(//h1)') == "$evil$quote" ]]
  [[ $(xpath page.html 'string(//section[1]|//table[caption="Migrations"]/tbody/tr/td[1])') == "$evil" ]]
  [[ $(xpath page.html 'string(//table[caption="Migrations"]/tbody/tr/td[9])') == "$quote&amp;" ]]
  [[ $(xpath page.html 'string(//h3[1])') == "$evil" ]]
}

@test "report: the same files and --now make the same page, and the state stays as it is" {
  report_fleet "$END"
  find "$GATESHIFT_STATE" -type f -exec cksum {} + | sort >before
  report_page "$END" >one.html
  report_page "$END" --output two.html
  cmp one.html two.html
  find "$GATESHIFT_STATE" -type f -exec cksum {} + | sort | diff before -
  # Nothing is left behind.
  [[ $(echo two.html*) == two.html ]]
  mkdir tmp
  TMPDIR=$GS/tmp report_page "$END" >/dev/null
  [[ -z $(ls tmp) ]]
}

@test "report: what the planner answered last, and what other policies would have come to" {
  mkdir "$GATESHIFT_STATE/loop"
  printf '%s\n' time,volume,source,target,benefit,reverse_benefit,source_ghs,target_ghs,source_das,target_das,guard,verdict,reason \
    "$((END - 7200)),db-1,gw-a,gw-b,1,0,,,,,3-benefit,stay,of an hour ago" \
    "$((END - 60)),db-1,gw-a,gw-c,,,,,,,1-placement,refused,no health of gw-c is known" \
    "$((END - 60)),db-1,gw-a,gw-b,1.25,-0.5,,,,,,move,\"gw-a fails, gw-b does not\"" \
    "$((END - 300)),vm-1,gw-b,,,,,,,,1-placement,refused,uncommitted" >"$GATESHIFT_STATE/loop/plan-verdicts.csv"
  printf '%s\n' "$REPLAY" never,,1000,100,50,2000,9000,0,0,0,0 \
    predictive,,1000,10,5,1500,8000,4,2,2048,1 predictive,,1000,20,15,2500,9500,6,0,4096,1 >replay.csv
  "$REPORT" --now "$END" --since 12h --replay replay.csv >page.html
  xmllint --noout page.html
  answers='//table[caption="Answers"]/tbody'
  [[ $(xpath page.html "count($answers/tr)") == 3 ]]
  [[ $(xpath page.html "string($answers/tr[1]/td[3])") == gw-b && $(xpath page.html "string($answers/tr[1]/td[6])") == 1.25 ]]
  [[ $(xpath page.html "string($answers/tr[1]/td[8])") == "gw-a fails, gw-b does not" ]]
  run -1 grep 'of an hour ago' page.html
  policies='//table[caption="What policies came to in a simulation"]/tbody'
  # Of two seeds the means, and the worst p99.
  [[ $(xpath page.html "count($policies/tr)") == 2 && $(xpath page.html "string($policies/tr[2]/td[1])") == 2 ]]
  [[ $(xpath page.html "string($policies/tr[2]/td[3])") == "1.5 %" && $(xpath page.html "string($policies/tr[1]/td[3])") == "10 %" ]]
  [[ $(xpath page.html "string($policies/tr[2]/td[6])") == "9.5 ms" && $(xpath page.html "string($policies/tr[2]/td[10])") == "3 KiB" ]]
  [[ $(xpath page.html 'string(//svg[title="Requests in trouble, by policy"]/desc)') == *predictive* ]]
  # Others than the loop's.
  "$REPORT" --now "$END" --since 1m --verdicts "$GATESHIFT_STATE/loop/plan-verdicts.csv" >page.html
  [[ $(xpath page.html "count($answers/tr)") == 2 ]]
  "$REPORT" --now "$((END + 86400))" --since 1h >page.html
  grep -q 'No verdicts of a plan in this time' page.html
  run -1 grep -q 'id="replayed"' page.html
}

@test "report: what came of a forecast is what the access records say" {
  local hour=$((END / 3600 * 3600 - 7200)) came
  report_fleet "$END"
  # Compressed ones are read, too.
  lz4 -q access.csv access.lz4
  report_page "$END" --access access.lz4 >page.html
  # Given twice, each record counts twice.
  came=$(awk -F, -v h="$hour" 'NR > 1 && $1 >= h && $1 < h + 3600 {n += 2 * $10} END {printf "%d", n}' access.csv)
  ((came > 0))
  [[ $(xpath page.html "string(//table/tbody/tr[th='$(date -u -d "@$hour" '+%Y-%m-%d %H:%M')']/td[4])") == "$came"* ]]
  # What was predicted is what affinity-profile says as of then.
  report_page "$END" >page.html
  affinity-profile --now $((END / 3600 * 3600 - 86400)) --forecast --ahead 24h </dev/null >forecast.csv
  said=$(awk -F, -v h="$hour" '$3 == h {n += $5} END {printf "%.0f", n}' forecast.csv)
  [[ $(xpath page.html "string(//table/tbody/tr[th='$(date -u -d "@$hour" '+%Y-%m-%d %H:%M')']/td[1])") == "$said" ]]
  grep -q '<p>[0-9]* of 24 hours lay within the interval' page.html
}

@test "report: an hour that the access records do not reach is unknown, not empty" {
  local h=$((END / 3600 * 3600 - 5 * 3600)) i
  {
    echo volume,site,start,duration_s,requests,lower,upper,model
    for i in 0 1 2 3 4; do echo "v,s,$((h + i * 3600)),3600,10,5,15,mean"; done
  } >forecast.csv
  # The log begins in the first hour, has nothing of the third, and ends in the fourth.
  printf '%s\n' time,volume,count "$((h + 1800)),v,7" "$((h + 3700)),v,12" "$((h + 3 * 3600)),v,20" >access.csv
  run --separate-stderr -0 "$REPORT" --now "$END" --forecast forecast.csv --access <(cat access.csv)
  [[ -z $stderr ]]
  echo "$output" >page.html
  got=
  for i in 0 1 2 3 4; do
    got+=$(xpath page.html "string(//tbody/tr[th='$(date -u -d "@$((h + i * 3600))" '+%Y-%m-%d %H:%M')']/td[4])")/
  done
  [[ $got == 'unknown/12/0.0 (outside)/20 (outside)/unknown/' ]]
  grep -q '1 of 3 hours lay within the interval; the forecast was off by 7.3 requests an hour on average' page.html
  grep -q 'the forecast is the one that was given' page.html
}

@test "report: an alarm, the failure that it foretold, and the volumes that had left" {
  report_fleet "$END"
  report_page "$END" >page.html
  row='//table[caption="Predicted failures"]/tbody/tr'
  [[ $(xpath page.html "count($row)") == 1 && $(xpath page.html "string($row/th)") == gw-a ]]
  [[ $(xpath page.html "string($row/td[2])") == nbd_read_us* && $(xpath page.html "string($row/td[4])") == failed*later ]]
  row='//table[starts-with(caption, "Failures, and")]/tbody/tr'
  [[ $(xpath page.html "string($row/th)") == gw-a ]]
  [[ $(xpath page.html 'string(//table[caption="Migrations"]/tbody/tr[th="db-1-2"]/td[7])') == "23.4 ms" ]]
  grep -q '3 migrations, 2 switched, with a pause of at most 23.4 ms; 1 failed' page.html
  grep -q '2 moves, which paused their clients for 31.5 ms in all; the gateway that was left failed within 24 hours after 2 of them' page.html
}

@test "report: a real move is on the page, with its pause and its new owner" {
  make_volume gw-a v 1M
  mkdir gw-b
  start_gateway gw-a
  start_gateway gw-b
  write_gateways
  route-set v gw-a >/dev/null
  start_director
  qemu-io -f raw -c "write -P 7 0 1M" "$(director_uri v)" >/dev/null
  printf "%s\n" time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,bytes,not_before,reason \
    "$(date +%s),v,gw-a,gw-b,1,optional,,,,,,,," >plan.csv
  migrate-exec plan.csv >event.csv
  pause=$(awk -F, '$7 == "switched" {print $10}' event.csv)
  run --separate-stderr -0 "$REPORT" --now "$(($(date +%s) + 1))" --since 1h
  [[ -z $stderr ]]
  echo "$output" >page.html
  row='//table[caption="Migrations"]/tbody/tr'
  [[ $(xpath page.html "string($row/td[1])") == v && $(xpath page.html "string($row/td[3])") == gw-b ]]
  [[ -n $pause && $(xpath page.html "string($row/td[7])") == *s ]]
  [[ $(xpath page.html 'string(//table[caption="Volumes"]/tbody/tr[th="v"]/td[1])') == gw-b ]]
  [[ $(xpath page.html 'string(//table[caption="Volumes"]/tbody/tr[th="v"]/td[4])') == uncommitted ]]
}

@test "report: bad records and unusable files are named, and no page is made" {
  echo 'the old page' >page.html
  printf '%s\n' time,gateway,kind 100,gw-a,failure 200,gw-a >failures.csv
  run --separate-stderr -65 "$REPORT" --failures failures.csv --output page.html
  [[ $stderr == "report: failures.csv:3: 2 fields instead of 3" && $(<page.html) == 'the old page' ]]
  run --separate-stderr -65 "$REPORT" --health failures.csv
  [[ -z $output && $stderr == "report: failures.csv: no column 'ghs'" ]]
  printf '%s\n' time,gateway,kind now,gw-a,failure >failures.csv
  run --separate-stderr -65 "$REPORT" --failures failures.csv
  [[ $stderr == "report: failures.csv:2: no time" ]]
  run --separate-stderr -65 "$REPORT" --failures /dev/null
  [[ $stderr == "report: /dev/null: no lines" ]]
  run --separate-stderr -66 "$REPORT" --access missing
  [[ -z $output && $stderr == "report: cannot open 'missing': No such file or directory" ]]
  run --separate-stderr -66 "$REPORT" --access .
  run --separate-stderr -73 "$REPORT" --output nowhere/page.html
  run --separate-stderr -74 bash -c '"$1" >/dev/full' _ "$REPORT"
  [[ $stderr == "report: cannot write standard output" ]]
  for words in --no-such --top=0 --top=x --now=1e9 --since=1y --ahead=90m --access= page.html; do
    run --separate-stderr -64 "$REPORT" "$words"
    [[ -z $output && $stderr == "report: "* ]]
  done
  run --separate-stderr -0 "$REPORT" --help
  [[ $output == "Usage: report "* ]]
}

@test "report: what a command cannot read is said on the page, and the rest is there" {
  report_fleet "$END"
  echo damaged >"$GATESHIFT_STATE/affinity/index"
  run --separate-stderr -1 report_page "$END"
  [[ $stderr == "report: affinity-profile: "*index* ]]
  echo "$output" >page.html
  xmllint --noout page.html
  grep -q '<p class="none">Not complete: affinity-profile: ' page.html
  [[ $(xpath page.html 'count(//table[caption="Migrations"])') == 1 ]]
}
