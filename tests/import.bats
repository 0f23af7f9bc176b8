#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What share/import makes of traces is what affinity-profile reads.  Logs of programs that are here
# are made by them; the other samples are made up after what those who publish such traces say of
# their formats.

load helpers

HEADER=time,volume,gateway,client,op,offset,length,latency_us,error

# importer NAME ARGUMENT...
importer()
{
  local name=$1
  shift
  "$SRC/share/import/$name" "$@"
}

# readable: what the last run printed is a stream of access records.
readable()
{
  printf '%s\n' gateway,uri,site,capacity_bytes,iops_limit,state,hook gw-a,nbd://192.0.2.1,,,,active, \
    >"$GATESHIFT_CONFIG/gateways.csv"
  affinity-profile --state "$GS/readable" - <<<"$output" >affinity.csv
}

@test "import: MSR Cambridge, in Windows file time" {
  cat >hm_1.csv <<'END'
128166372003061629,hm,1,Read,383496192,32768,41286
128166372016853725,hm,1,Write,0,512,100
END
  run --separate-stderr -0 importer msr hm_1.csv
  [[ $output == "$HEADER
1172163600.306162,hm_1,,hm,read,383496192,32768,4128.6,
1172163601.685372,hm_1,,hm,write,0,512,10," && -z $stderr ]]
  readable
}

@test "import: Alibaba's block traces, in microseconds" {
  run --separate-stderr -0 importer alibaba --gateway gw-a <<'END'
device_id,opcode,offset,length,timestamp
419,W,8792731648,16384,1577808144360767
0,R,126703644672,4096,1577808145000000
END
  [[ $output == "$HEADER
1577808144.360767,ebs-419,gw-a,alibaba,write,8792731648,16384,0,
1577808145,ebs-0,gw-a,alibaba,read,126703644672,4096,0," && -z $stderr ]]
  readable
}

@test "import: Tencent's block traces, in sectors" {
  run --separate-stderr -0 importer tencent --volume vol-%s --client 192.0.2.7 <<'END'
1538323200,12910952,8,0,1063
1538323200,17592186044415,128,1,9
END
  [[ $output == "$HEADER
1538323200,vol-1063,,192.0.2.7,read,6610407424,4096,0,
1538323200,vol-9,,192.0.2.7,write,9007199254740480,65536,0," && -z $stderr ]]
  readable
}

@test "import: vSCSI traces, in both forms" {
  run --separate-stderr -0 importer vscsi --start 1700000000 <<'END'
#Vscsi Cmd Trace. (Trace Format Version 1)
#Serial Number,IO Data Length,Num SG Entries,Command Type,LBN,Time Stamp (microseconds)
7,4096,1,write,1000,2500001
8,512,1,read,8,2500002
9,0,0,0x35,0,3000000
10,36,1,0x12,0,3000001
END
  [[ $output == "$HEADER
1700000002.500001,vm,,vscsi,write,512000,4096,0,
1700000002.500002,vm,,vscsi,read,4096,512,0,
1700000003,vm,,vscsi,flush,0,0,0," && -z $stderr ]]
  readable
  run --separate-stderr -0 importer vscsi --volume w89 <<'END'
version,time,op,size,lbn
1,100,2a,512,42
2,101,88,6656,8589934592
1,101,12,36,0
END
  [[ $output == "$HEADER
100,w89,,vscsi,write,21504,512,0,
101,w89,,vscsi,read,4398046511104,6656,0," && -z $stderr ]]
}

@test "import: fio writes an I/O log, and it becomes the requests that fio made" {
  fio --name=a --filename="$GS/a b.img" --size=1m --rw=randrw --bs=8k --number_ios=40 --fsync=4 \
    --randseed=7 --write_iolog=io.log --allow_file_create=1 --output=fio.log
  [[ $(head -n 1 io.log) == "fio version 3 iolog" ]]
  run --separate-stderr -0 importer fio-iolog --volume vm-1 --start 1700000000 io.log
  [[ ${lines[0]} == "$HEADER" && -z $stderr ]]
  # Every action with its offset and length, but for the times; fio's "sync" has an offset.
  diff <(sed 1d <<<"$output" | cut -d, -f2,5-7) \
    <(awk '$(NF-2) ~ /^(read|write)$/ {print "vm-1," $(NF-2) "," $(NF-1) "," $NF}
           $(NF-2) == "sync" {print "vm-1,flush,0,0"}' io.log)
  [[ $output == *,read,* && $output == *,write,* && $output == *,flush,* ]]
  readable
}

@test "import: fio's second version has times by its waits" {
  run --separate-stderr -0 importer fio-iolog <<'END'
fio version 2 iolog
/srv/a disk add
/srv/a disk open
/srv/a disk write 4096 8192
/srv/a disk wait 2500000 0
/srv/a disk trim 0 4096
/srv/a disk datasync 0 0
/srv/a disk sync_file_range 0 4096
/srv/a disk close
END
  [[ $output == "$HEADER
0,srv_a_disk,,fio,write,4096,8192,0,
2.5,srv_a_disk,,fio,trim,0,4096,0,
2.5,srv_a_disk,,fio,flush,0,0,0," && -z $stderr ]]
  readable
}

@test "import: blkparse's queued requests, each once, whatever becomes of them" {
  run --separate-stderr -0 importer blkparse --start 1700000000 --volume db-1 <<'END'
  8,16   1        1     0.000000000   697  Q  WS 223490 + 8 [kjournald]
  8,16   1        2     0.000001829   697  G  WS 223490 + 8 [kjournald]
  8,16   1        0     0.000003105     0  m   N cfq697 insert_request
  8,16   3        3     0.000004777   701  Q   R 8 + 256 [fio]
  8,16   3        4     0.009507758     0  C  WS 223490 + 8 [0]
  8,16   0        5     1.500000001   697  Q FWS [kjournald]
  8,16   0        6     1.500100000   697  Q   D 0 + 2048 [fstrim]
CPU1 (8,16):
 Reads Queued:           1,      128KiB	 Writes Queued:           1,        4KiB

Total (8,16):
 Reads Queued:           1,      128KiB	 Writes Queued:           1,        4KiB

Throughput (R/W): 85KiB/s / 3KiB/s
Events (8,16): 7 entries
Skips: 0 forward (0 -   0.0%)
END
  [[ $output == "$HEADER
1700000000,db-1,,blkparse,write,114426880,4096,0,
1700000000.000004,db-1,,blkparse,read,4096,131072,0,
1700000001.5,db-1,,blkparse,flush,0,0,0,
1700000001.5001,db-1,,blkparse,trim,0,1048576,0," && -z $stderr ]]
  readable
}

# little BYTES NUMBER: in the order in which x86 has them.
little()
{
  local i
  for ((i = 0; i < $1; i++)); do
    printf '%b' "\\x$(printf %02x $(($2 >> 8 * i & 255)))"
  done
}

# traced SEQUENCE NANOSECONDS SECTOR BYTES KIND ACTION PID: an event of 8,16, as the kernel writes it
# (struct blk_io_trace); KIND is bits of its enum blktrace_cat.
traced()
{
  little 4 0x65617407
  little 4 "$1"
  little 8 "$2"
  little 8 "$3"
  little 4 "$4"
  little 4 $(($5 << 16 | $6))
  little 4 "$7"
  little 4 $((8 << 20 | 16))
  little 8 0 # processor, error, no data behind it
}

@test "import: what blkparse itself prints of a kernel's trace" {
  command -v blkparse >/dev/null || skip "no blkparse"
  [[ $(printf '\1\0' | od -An -t d2) -eq 1 ]] || skip "not little-endian"
  local read=1 write=2 flush=4 sync=8 queue=16 ahead=0x800 meta=0x1000 discard=0x2000 fua=0x8000
  local queued=1 merged=3 completed=8
  {
    traced 1 0 223490 4096 $((write | sync | queue)) "$queued" 697
    traced 2 1829 223498 4096 $((write | sync | queue)) "$merged" 697
    traced 3 4777 8 131072 $((read | queue)) "$queued" 701
    traced 4 9507758 223490 8192 $((write | sync)) "$completed" 0
    traced 5 1500000001 0 0 $((write | flush | sync | queue)) "$queued" 697
    traced 6 1500100000 0 1048576 $((discard | queue)) "$queued" 697
    traced 7 1500200000 4096 4096 $((write | flush | sync | fua | meta | queue)) "$queued" 697
    traced 8 1500300000 4104 4096 $((read | ahead | meta | queue)) "$queued" 697
  } >sdb.blktrace.0
  blkparse -i sdb >sdb.txt 2>&1
  [[ $(<sdb.txt) == *' Q FWFSM 4096 + 8 '*$'\nThroughput '* ]]
  run --separate-stderr -0 importer blkparse sdb.txt
  [[ $output == "$HEADER
0,blk-8.16,,blkparse,write,114426880,4096,0,
0.000004,blk-8.16,,blkparse,read,4096,131072,0,
1.5,blk-8.16,,blkparse,flush,0,0,0,
1.5001,blk-8.16,,blkparse,trim,0,1048576,0,
1.5002,blk-8.16,,blkparse,write,2097152,4096,0,
1.5003,blk-8.16,,blkparse,read,2101248,4096,0," && -z $stderr ]]
  readable
}

@test "import: nbdkit's log filter writes a log, and it becomes the client's requests" {
  make_volume gw-a vm-1 1M
  start_gateway gw-a --filter=log --filter=error logfile="$GS/gw.log" error-pwrite-rate=100% \
    error-file="$GS/fail"
  qemu-io -f raw -c 'read 4k 8k' -c 'discard 64k 64k' -c 'write -z 128k 64k' -c flush \
    "$(gateway_uri gw-a vm-1)" >/dev/null
  touch fail
  run qemu-io -f raw -c 'write 0 512' "$(gateway_uri gw-a vm-1)"
  # The filter writes each line at once.
  run --separate-stderr -0 importer nbdkit-log --gateway gw-a gw.log
  [[ -z $stderr ]]
  cut -d, -f2-7,9 <<<"$output" | grep -v ',flush,' >requests
  diff - requests <<'END'
volume,gateway,client,op,offset,length,error
vm-1,gw-a,nbdkit,read,4096,8192,
vm-1,gw-a,nbdkit,trim,65536,65536,
vm-1,gw-a,nbdkit,zero,131072,65536,
vm-1,gw-a,nbdkit,write,0,512,EIO
END
  grep -q '^[0-9.]*,vm-1,gw-a,nbdkit,flush,0,0,' <<<"$output"
  # In UTC, as nbdkit writes, and now.
  now=$(date +%s)
  first=$(sed -n '2s/[.,].*//p' <<<"$output")
  ((first <= now && first > now - 600))
  readable
}

@test "import: nbdkit's requests come in the order of their calls, each with its latency" {
  run --separate-stderr -0 importer nbdkit-log <<'END'
2024-02-29 23:59:59.900000 connection=1 ...Read id=9 return=0
2024-02-29 23:59:59.900000 connection=1 Connect export="a" tls=0 size=0x100000 write=1
2024-02-29 23:59:59.950000 connection=2 Connect export='' tls=0 size=0x100000 write=1
2024-02-29 23:59:59.999999 connection=1 Read id=1 offset=0x10 count=0x200 ...
2024-03-01 00:00:00.000100 connection=2 Write id=1 offset=0xFFF00000000 count=0x1000 fua=1 ...
2024-03-01 00:00:00.000200 connection=2 ...Write id=1 return=0
2024-03-01 00:00:00.000999 connection=1 ...Read id=1 return=-1 error=ESHUTDOWN
2024-03-01 00:00:01.000000 connection=1 Flush id=2 ...
END
  [[ $output == "$HEADER
1709251199.999999,a,,nbdkit,read,16,512,1000,ESHUTDOWN
1709251200.0001,default,,nbdkit,write,17587891077120,4096,100," ]]
  [[ $stderr == "nbdkit-log: stdin: 1 requests without a return
nbdkit-log: stdin: 1 returns without a request" ]]
  readable
}

# bad_line NAME LINE-NUMBER REASON <SAMPLE: the sample's other lines are good, and it has such.
bad_line()
{
  cat >"$1.trace"
  run --separate-stderr -65 importer "$1" "$1.trace"
  [[ -z $output && $stderr == "$1: $1.trace:$2: $3" ]] || { echo "$stderr" && false; }
  run --separate-stderr -0 importer "$1" --skip-bad "$1.trace"
  [[ $(wc -l <<<"$output") -ge 2 ]]
  [[ $stderr == "$1: 1 bad lines left out, the first $1.trace:$2: $3" ]]
}

@test "import: a bad line is named, and nothing is printed; --skip-bad counts it" {
  bad_line msr 2 'no Windows file time' <<'END'
128166372003061629,hm,1,Read,383496192,32768,41286
12816637201685372x,hm,1,Write,0,512,100
END
  bad_line alibaba 1 'no offset and length' <<'END'
419,W,-1,16384,1577808144360767
419,W,0,16384,1577808144360767
END
  bad_line tencent 2 'neither 0 (read) nor 1 (write)' <<'END'
1538323200,12910952,8,0,1063
1538323200,12910952,8,2,1063
END
  bad_line vscsi 3 'not 5 fields' <<'END'
version,time,op,size,lbn
1,100,2a,512,42
1,100,2a,512
1,100,2a,512,43
END
  bad_line fio-iolog 3 'no action of fio' <<'END'
fio version 3 iolog
10 /a read 0 4096
11 /a scribble 0 4096
END
  bad_line blkparse 2 'no event of blkparse' <<'END'
  8,16   1        1     0.000000000   697  Q  WS 223490 + 8 [kjournald]
  8,16   1        1     0.0000
END
  bad_line nbdkit-log 2 'no offset and count' <<'END'
2024-03-01 00:00:00.000100 connection=2 Connect export="a" tls=0
2024-03-01 00:00:00.000100 connection=2 Write id=1 offset=zero count=0x1000 fua=1 ...
2024-03-01 00:00:00.000300 connection=2 Write id=2 offset=0x0 count=0x1000 fua=1 ...
2024-03-01 00:00:00.000400 connection=2 ...Write id=2 return=0
END
}

@test "import: another file than a trace, an empty one and a missing one are refused by each" {
  local path name
  echo 'hello, world' >other
  : >empty
  for path in "$SRC"/share/import/*; do
    name=${path##*/}
    [[ $name != common.sh ]] || continue
    run --separate-stderr -65 importer "$name" other
    [[ -z $output && $stderr == "$name: other:1: "* && $(wc -l <<<"$stderr") == 1 ]]
    run --separate-stderr -65 importer "$name" --skip-bad other
    [[ -z $output && $stderr == *"$name: no line could be used" ]]
    run --separate-stderr -65 importer "$name" <empty
    [[ -z $output && $stderr == "$name: stdin: no lines" ]]
    run --separate-stderr -66 importer "$name" missing
    [[ -z $output && $stderr == "$name: cannot open 'missing': No such file or directory" ]]
    run --separate-stderr -66 importer "$name" .
    [[ $stderr == "$name: cannot open '.': Is a directory" ]]
    run --separate-stderr -64 importer "$name" --volume ../x
    run --separate-stderr -64 importer "$name" --no-such
    run --separate-stderr -0 importer "$name" --help
    [[ $output == "Usage: $name "* && -z $stderr ]]
  done
}

@test "import: records of several files come in order of time; names are made names" {
  echo '5,W,0,512,2000000' >b.csv
  echo '5,R,0,512,1000000' >a=1.csv
  run --separate-stderr -0 importer alibaba --client 'x,"y"' b.csv a=1.csv
  [[ $output == "$HEADER
1,ebs-5,,\"x,\"\"y\"\"\",read,0,512,0,
2,ebs-5,,\"x,\"\"y\"\"\",write,0,512,0," ]]
  readable
  run --separate-stderr -0 importer msr <<<"128166372003061629,-h/m;,1,Read,0,512,0"
  [[ ${lines[1]} == 1172163600.306162,_h_m__1,,-h/m\;,read,0,512,0, ]]
  readable
}

@test "import: a full disk and a reader that went away are told" {
  echo '5,W,0,512,2000000' >a.csv
  run --separate-stderr -74 bash -c '"$1" a.csv >/dev/full' _ "$SRC/share/import/alibaba"
  [[ $stderr == 'alibaba: cannot write standard output' ]]
  run --separate-stderr -0 bash -c 'mawk "BEGIN {for (; i < 20000; i++) print \"5,W,0,512,\" i + 1000000}" |
    "$1" | head -n 1' _ "$SRC/share/import/alibaba"
  [[ $output == "$HEADER" && -z $stderr ]]
  # Nothing stays behind.
  mkdir tmp
  TMPDIR=$GS/tmp importer alibaba a.csv >/dev/null
  run --separate-stderr -65 env TMPDIR="$GS/tmp" "$SRC/share/import/alibaba" <<<x
  [[ -z $(ls tmp) ]]
  run --separate-stderr -73 env TMPDIR="$GS/nowhere" "$SRC/share/import/alibaba" a.csv
}
