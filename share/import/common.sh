# shellcheck shell=sh disable=SC2154 # what the importer has set
# SPDX-License-Identifier: GPL-3.0-or-later
# What the importers of this folder share; gateshift-import(7) says what they promise.  An importer
# has, as its name, that of its format.  It sets
#   volume   the volumes' name by default; %s in it stands for what the trace calls the volume
#   client   the client by default
#   program  an awk program, which calls put() for each request and bad() for each bad line
# and calls import "$@".  The program runs once for each file.

# What every program may use.  Numbers from a trace stay text wherever a double could not hold them.
# shellcheck disable=SC2016
prelude='
  BEGIN {
    volume = ENVIRON["IMPORT_VOLUME"]; gateway = ENVIRON["IMPORT_GATEWAY"]
    client = quoted(ENVIRON["IMPORT_CLIENT"]); start = ENVIRON["IMPORT_START"]
    skip = ENVIRON["IMPORT_SKIP"] != ""; file = ENVIRON["IMPORT_FILE"]
    # What a double holds exactly.
    sector_limit = 2 ^ 53
  }
  {sub(/\r$/, "")}
  function quoted(s) {
    if (s !~ /[,"]/) return s
    gsub(/"/, "\"\"", s)
    return "\"" s "\""
  }
  # The line cannot be used.  Without --skip-bad it is the last one; to be followed by "next".
  function bad(reason) {
    if (!bads++) first_bad = file ":" FNR ": " reason
    if (!skip) exit
  }
  function is_count(s) {return s ~ /^[0-9]+$/ && length(s) <= 18}
  function is_sectors(s) {return s ~ /^[0-9]+$/ && length(s) <= 16 && s + 0 < sector_limit}
  function bytes(sectors) {return sprintf("%.0f", sectors * 512)}
  # Seconds and millionths, both whole, as a time.
  function at(s, us,    t) {
    if (us + 0 == 0) return s ""
    t = sprintf("%06d", us)
    sub(/0+$/, "", t)
    return s "." t
  }
  # A time of the trace, in millionths from its start: less than 2^53.
  function since_start(us,    s) {
    s = int(us / 1000000)
    return at(sprintf("%.0f", start + s), us - s * 1000000)
  }
  # The volume that the trace calls TEXT; empty if that makes no name.
  function named(text,    s, i) {
    if (text in name_of) return name_of[text]
    s = volume
    i = index(s, "%s")
    if (i) {
      if (text == "") text = "default"
      s = substr(s, 1, i - 1) text substr(s, i + 2)
    }
    gsub(/[^A-Za-z0-9._:@+-]/, "_", s)
    sub(/^[.-]/, "_", s)
    return name_of[text] = length(s) <= 128 ? s : ""
  }
  # One request; LATENCY in microseconds, 0 if the trace does not know.
  function put(time, vol, who, op, offset, len, latency, error) {
    if (vol == "") {bad("no name for a volume"); return}
    if (time + 0 < last) unsorted = 1
    last = time + 0
    good++
    print time "," vol "," gateway "," who "," op "," offset "," len "," latency "," error
  }
  # What is wrong, or worth a word, goes to the shell: FIELD and VALUE, a line each.
  function tally(field, value) {print field, value >>ENVIRON["IMPORT_TALLY"]}
  END {
    if (!NR) {bads++; first_bad = file ": no lines"}
    if (bads) {tally("bad", bads); tally("first", first_bad)}
    if (good) tally("good", good)
    if (unsorted) tally("unsorted", 1)
  }'

complain()
{
  printf '%s: %s\n' "$me" "$1" >&2
}

usage()
{
  complain "$1"
  printf "Try '%s --help'.\n" "$me" >&2
  exit 64
}

help()
{
  cat <<END
Usage: $me [OPTION...] [FILE...]
Access records from a trace of the format "$me", from files or standard input.

      --client=TEXT      the client of requests of which the trace does not say it
                         ($client)
      --gateway=NAME     the gateway that answered (none)
      --skip-bad         leave bad lines out and say how many, instead of ending with 65
      --start=TIME       Unix time, in whole seconds, of the start of a trace whose times begin
                         there (0)
      --volume=NAME      the volumes' name; %s in it is what the trace calls the volume
                         ($volume)
      --help             print this
END
}

# The value of an option --NAME=VALUE or --NAME VALUE; shift_by says how many words it took.
take_value()
{
  case $1 in
  *=*)
    value=${1#*=}
    shift_by=1
    ;;
  *)
    [ $# -ge 2 ] || usage "option '$1' requires an argument"
    value=$2
    shift_by=2
    ;;
  esac
}

check_name()
{
  case $2 in
  '' | [.-]* | *[!A-Za-z0-9._:@+-]*) usage "$1 '$2' is not a name" ;;
  esac
}

check_options()
{
  # What the trace says may make any name, so long as the rest could be part of one.
  case $volume in
  *%s*) check_name volume "${volume%%%s*}x${volume#*%s}" ;;
  *) check_name volume "$volume" ;;
  esac
  [ -z "$gateway" ] || check_name gateway "$gateway"
  case $client in
  '' | *[[:cntrl:]]*) usage 'client must be text' ;;
  esac
  case $start in
  '' | *[!0-9]* | ????????????*) usage "start '$start' is not a number of seconds" ;;
  esac
}

# A record is held back until all of the input was read: what is wrong with it is then known.
convert()
{
  shown=$1
  [ "$1" != - ] || shown=stdin
  if [ "$1" != - ]; then
    [ ! -d "$1" ] || { complain "cannot open '$1': Is a directory" && exit 66; }
    [ -e "$1" ] || { complain "cannot open '$1': No such file or directory" && exit 66; }
    [ -r "$1" ] || { complain "cannot open '$1': Permission denied" && exit 66; }
    exec <"$1"
  fi
  LC_ALL=C IMPORT_VOLUME=$volume IMPORT_GATEWAY=$gateway IMPORT_CLIENT=$client \
    IMPORT_START=$start IMPORT_SKIP=$skip IMPORT_FILE=$shown IMPORT_TALLY=$work/tally \
    mawk "$prelude$program" >>"$work/records" 2>"$work/awk" || {
    complain "cannot convert '$shown': $(head -n 1 "$work/awk")"
    exit 74
  }
}

# The sum, or the first, of what the runs told of a field.
told()
{
  sed -n "s/^$1 //p" "$work/tally"
}

judge()
{
  bads=$(told bad | awk '{n += $1} END {printf "%.0f", n}')
  first=$(told first | head -n 1)
  if [ -z "$skip" ] && [ "$bads" -gt 0 ]; then
    complain "$first"
    exit 65
  fi
  [ "$bads" -eq 0 ] || complain "$bads bad lines left out, the first $first"
  told note | while read -r note; do complain "$note"; done
  if [ "$bads" -gt 0 ] && [ -z "$(told good)" ]; then
    complain 'no line could be used'
    exit 65
  fi
}

# Records leave in order of time, as they do from the director.
deliver()
{
  if [ "$files" -gt 1 ] || [ -n "$(told unsorted)" ]; then
    LC_ALL=C sort -T "$work" -s -t , -k 1,1n -o "$work/records" "$work/records" 2>"$work/awk" || {
      complain "cannot sort: $(head -n 1 "$work/awk")"
      exit 74
    }
  fi
  status=0
  { echo time,volume,gateway,client,op,offset,length,latency_us,error && cat "$work/records"; } \
    2>/dev/null || status=$?
  case $status in
  0 | 141) exit "$status" ;; # the reader has gone: as a filter that SIGPIPE ends
  esac
  complain 'cannot write standard output'
  exit 74
}

import()
{
  me=${0##*/} gateway='' start=0 skip=''
  while [ $# -gt 0 ]; do
    shift_by=1
    case $1 in
    --client | --client=*) take_value "$@" && client=$value ;;
    --gateway | --gateway=*) take_value "$@" && gateway=$value ;;
    --start | --start=*) take_value "$@" && start=$value ;;
    --volume | --volume=*) take_value "$@" && volume=$value ;;
    --skip-bad) skip=1 ;;
    --help)
      help 2>/dev/null || { complain 'cannot write standard output' && exit 74; }
      exit 0
      ;;
    --)
      shift
      break
      ;;
    -?*) usage "unrecognized option '$1'" ;;
    *) break ;;
    esac
    shift "$shift_by"
  done
  check_options
  work=$(mktemp -d 2>/dev/null) || { complain 'cannot create a temporary folder' && exit 73; }
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  : >"$work/tally"
  : >"$work/records"
  [ $# -gt 0 ] || set -- -
  files=$#
  for file; do (convert "$file") || exit; done
  judge
  deliver
}
