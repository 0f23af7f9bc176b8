#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What share/collectors makes of other programs' output is what health-score reads.

load helpers

# collector NAME ARGUMENT...
collector()
{
  local name=$1
  shift
  "$SRC/share/collectors/$name" "$@"
}

@test "collectors: sadf's history becomes metric records" {
  sar -o history -u -r -d -n EDEV 1 2 >/dev/null
  sadf -d -U history -- -u -r -d -n EDEV | collector sadf gw-a >metric.csv
  [[ $(cut -d, -f3 metric.csv | sort -u | tr '\n' ' ') == *"cpu_busy "*"mem_used "*metric* ]]
  [[ $(grep -c cpu_busy metric.csv) == 2 && $(grep -c mem_used metric.csv) == 2 ]]
  run --separate-stderr -0 health-score --explain metric.csv
  [[ $output == *,gw-a,cpu_busy,* && $output == *,gw-a,mem_used,* ]]
}

@test "collectors: the worst disk and all interfaces count for sadf" {
  run --separate-stderr -0 collector sadf gw-a <<'END'
# hostname;interval;timestamp;CPU;%user;%nice;%system;%iowait;%steal;%idle
vm;60;1000;-1;20.00;0.00;10.00;0.00;0.00;70.00
vm;-1;1010;LINUX-RESTART	(2 CPU)
# hostname;interval;timestamp;DEV;tps;rkB/s;wkB/s;dkB/s;areq-sz;aqu-sz;await;%util
vm;60;1000;sda;1.00;1.00;1.00;0.00;8.00;0.10;0.50;3.00
vm;60;1000;sdb;1.00;1.00;1.00;0.00;8.00;0.10;12.50;40.00
vm;60;1060;sda;1.00;1.00;1.00;0.00;8.00;0.10;1.00;5.00
# hostname;interval;timestamp;IFACE;rxerr/s;txerr/s;coll/s;rxdrop/s;txdrop/s;txcarr/s;rxfram/s;rxfifo/s;txfifo/s
vm;60;1000;lo;0.00;0.00;0.00;1.00;0.00;0.00;0.00;0.00;0.00
vm;60;1000;eth0;2.00;0.50;0.00;0.00;0.00;0.00;0.00;0.00;0.00
END
  [[ $output == 'time,gateway,metric,value
1000,gw-a,cpu_busy,0.3
1000,gw-a,disk_await_us,12500
1000,gw-a,disk_util,0.4
1060,gw-a,disk_await_us,1000
1060,gw-a,disk_util,0.05
1000,gw-a,net_error_rate,3.5' ]]
}

@test "collectors: sadf refuses what is not its own" {
  run --separate-stderr -65 collector sadf gw-a <<<"hello;world"
  [[ $output == time,gateway,metric,value && $stderr == "sadf: line 1 is not of sadf -d -U" ]]
  run --separate-stderr -64 collector sadf
}

@test "collectors: no input at all is no history, no answer, no records" {
  run --separate-stderr -65 collector sadf gw-a </dev/null
  [[ $stderr == "sadf: line 1 is not of sadf -d -U" ]]
  run --separate-stderr -65 collector prometheus </dev/null
  [[ $stderr == *": no answer" ]]
  run --separate-stderr -65 collector access </dev/null
  [[ $stderr == "access: line 1 is no access record" ]]
  # A header alone is well: nothing was asked for.
  run --separate-stderr -0 collector access <<<time,volume,gateway,client,op,offset,length,latency_us,error
  [[ -z $stderr && $output == time,gateway,metric,value ]]
}

@test "collectors: a Prometheus range query becomes metric records, in order of time" {
  cat >answer.json <<'END'
{"status":"success","data":{"resultType":"matrix","result":[
 {"metric":{"__name__":"cpu","instance":"gw-a:9100","host":"h1"},"values":[[1000,"0.5"],[1060.5,"NaN"],[1120,"2.5e-1"]]},
 {"metric":{"__name__":"cpu","instance":"gw-b:9100","host":"h2"},"values":[[1000,"1"],[1060,"+Inf"]]}]}}
END
  run --separate-stderr -0 collector prometheus cpu_busy <answer.json
  [[ $output == $'time,gateway,metric,value\n1000,gw-a,cpu_busy,0.5\n1000,gw-b,cpu_busy,1\n1120,gw-a,cpu_busy,0.25' ]]
  health-score --explain - <<<"$output" >explained
  [[ $(wc -l <explained) == 3 ]]
  run --separate-stderr -0 collector prometheus - host <answer.json
  [[ ${lines[1]} == 1000,h1,cpu,0.5 ]]
  run --separate-stderr -65 collector prometheus <<<'{"status":"error","error":"query timed out"}'
  [[ $stderr == *"prometheus says: query timed out"* ]]
  run --separate-stderr -65 collector prometheus <<<'not json'
}

@test "collectors: access records become what the clients saw of each gateway" {
  cat >access.csv <<'END'
time,volume,gateway,client,op,offset,length,latency_us,error,count
1000.5,v,gw-a,"a,""b""",read,0,4096,100,,
1001,v,gw-a,c,read,0,4096,300,,3
1001,v,gw-a,c,read,0,4096,900,EIO,
1002,v,,c,read,0,4096,300,,
1070,v,gw-b,c,read,0,4096,300,EIO,
END
  run --separate-stderr -0 collector access <access.csv
  [[ $output == 'time,gateway,metric,value
960,gw-a,client_latency_us,250
960,gw-a,client_error_ratio,0.2
1020,gw-b,client_error_ratio,1' ]]
  health-score --explain - <<<"$output" >explained
  [[ $(wc -l <explained) == 4 ]]
  run --separate-stderr -65 collector access <<<'time,gateway,metric,value'
  [[ $stderr == "access: line 1 is no access record" ]]
  # The last line of a log that is being written may be half there; no other may.
  printf '1071,v,gw-b,c,re' >>access.csv
  run --separate-stderr -0 collector access <access.csv
  [[ -z $stderr && ${lines[3]} == 1020,gw-b,client_error_ratio,1 && ${#lines[@]} == 4 ]]
  printf '\n1072,v,gw-b,c,read,0,4096,300,,\n' >>access.csv
  run --separate-stderr -65 collector access <access.csv
  [[ $stderr == "access: line 7 is no access record" ]]
  run --separate-stderr -64 collector access 1m
}
