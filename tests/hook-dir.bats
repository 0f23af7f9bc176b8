#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# share/hooks/dir: the provisioning hook for a folder of files.

# shellcheck disable=SC2016
load helpers

setup()
{
  common_setup
  mkdir exports
}

# hook ACTION [VOLUME [SIZE [LABEL]]]
hook()
{
  "$SRC/share/hooks/dir" exports "$1" "${2-v}" "${3-1048576}" gw-a "${@:4}"
}

@test "hook-dir: create makes a sparse file of the size, reading as zeros" {
  run --separate-stderr -0 hook create
  [[ -z $output && -z $stderr ]]
  cmp -n 1048576 exports/v /dev/zero
  [[ $(stat -c '%s %b' exports/v) == "1048576 0" ]]
  [[ $(ls -A exports) == v ]]
}

@test "hook-dir: create refuses an export that is there, and leaves it alone" {
  echo precious >exports/v
  run --separate-stderr -1 hook create
  [[ $stderr == "dir: export 'v' exists in 'exports'" ]]
  [[ $(cat exports/v) == precious && $(ls -A exports) == v ]]
}

@test "hook-dir: size prints the bytes; 4 says that there is no such export" {
  run --separate-stderr -4 hook size
  [[ -z $output && $stderr == "dir: no export 'v' in 'exports'" ]]
  hook create v 12345
  run --separate-stderr -0 hook size
  [[ $output == 12345 && -z $stderr ]]
}

@test "hook-dir: shared says no, of a folder that cannot be reached, too" {
  run --separate-stderr -3 "$GATESHIFT_HOOKS/dir" ssh://nobody@nowhere.invalid/x shared v 4096 gw-a gw-b
  [[ $stderr == "dir: a folder is one gateway's" && -z $output ]]
}

@test "hook-dir: fence says that it cannot" {
  hook create
  run --separate-stderr -3 hook fence
  [[ $stderr == "dir: files of 'exports' cannot be fenced: open connections may still write" ]]
  run --separate-stderr -3 hook shave
  [[ $stderr == "dir: unknown action 'shave'" ]]
}

@test "hook-dir: cold takes the file out of service and replaces no earlier one" {
  echo one >exports/v
  hook cold
  echo two >exports/v
  hook cold
  [[ ! -e exports/v && $(cat exports/.cold/v.1) == one && $(cat exports/.cold/v.2) == two ]]
  run -4 hook cold
}

@test "hook-dir: a cold copy of another volume with a like name is not ours" {
  echo one >exports/v
  hook cold
  echo other >exports/v.1
  hook cold v.1
  run -4 hook remove v.2
  hook remove v
  [[ $(cat exports/.cold/v.1.1) == other && ! -e exports/.cold/v.1 ]]
}

@test "hook-dir: unfence brings the newest cold copy back, never over a served one" {
  echo one >exports/v
  hook cold
  echo two >exports/v
  hook cold
  hook unfence
  [[ $(cat exports/v) == two && $(ls exports/.cold) == v.1 ]]
  run --separate-stderr -1 hook unfence
  [[ $(cat exports/v) == two && $stderr == "dir: export 'v' exists in 'exports'" ]]
}

@test "hook-dir: what a killed call left half done is finished by the next one" {
  mkdir exports/.cold
  # cold, killed when the file has both names.
  echo one >exports/v
  ln exports/v exports/.cold/v.1
  hook cold
  [[ ! -e exports/v && $(ls exports/.cold) == v.1 && $(cat exports/.cold/v.1) == one ]]
  # unfence, killed likewise.
  ln exports/.cold/v.1 exports/v
  hook unfence
  [[ $(cat exports/v) == one && -z $(ls exports/.cold) ]]
}

@test "S12: a label is kept with the cold copy, and given back once" {
  echo one >exports/v
  hook cold v 4 v,2,5f,4,-
  [[ $(head -n 1 exports/.cold/v.1.label) == v,2,5f,4,- ]]
  run --separate-stderr -0 hook unfence
  [[ $output == v,2,5f,4,- && -z $stderr && $(cat exports/v) == one && -z $(ls exports/.cold) ]]
  # What is made cold without one has none.
  hook cold
  run --separate-stderr -0 hook unfence
  [[ -z $output && $(cat exports/v) == one ]]
}

# labelled: a cold copy "one" with a label.
labelled()
{
  rm -rf exports
  mkdir exports
  echo one >exports/v
  hook cold v 4 v,2,5f,4,-
}

@test "S12: a cold copy that was changed, replaced, cut or put back has no label any more" {
  local change
  for change in 'echo two >v.1' 'cp v.1 x; mv x v.1' 'truncate -s 0 v.1' 'touch v.1' \
    'mv v.1 ../v' 'rm v.1.label' 'echo v,2,5f,4,- >v.1.label' ': >v.1.label'; do
    labelled
    (cd exports/.cold && eval "$change")
    [[ ! -e exports/v ]] || hook cold # somebody took it into service and out again
    run --separate-stderr -0 hook unfence
    [[ -z $output && -e exports/v && -z $(ls exports/.cold) ]] || { echo "$change" && false; }
  done
}

@test "S12: a write by a connection that was open before takes the label away" {
  echo one >exports/v
  exec 9<>exports/v
  hook cold v 4 v,2,5f,4,-
  echo two >&9
  exec 9>&-
  run --separate-stderr -0 hook unfence
  [[ -z $output && $(cat exports/v) == two ]]
}

@test "S12: the label is gone from the disk before the copy is writable" {
  labelled
  # What is synced, and what is there then.
  mkdir bin
  printf '%s\n' '#!/bin/sh' '/bin/sync "$@"' 'echo "$(ls exports) $(ls exports/.cold)" | xargs' \
    >bin/sync
  chmod +x bin/sync
  PATH=$PWD/bin:$PATH run --separate-stderr -0 hook unfence
  [[ ${lines[0]} == v.1 && ${lines[1]} == "v v.1" && ${lines[-1]} == v,2,5f,4,- ]]
}

@test "S12: cold and unfence, killed at any sync, never give a label to a changed copy" {
  local n label
  mkdir bin
  # The n-th sync kills the hook.
  printf '%s\n' '#!/bin/sh' 'echo >>count' '[ "$(wc -l <count)" -ne "$N" ] || kill -9 "$PPID"' \
    'exec /bin/sync "$@"' >bin/sync
  chmod +x bin/sync
  for ((n = 1; n < 20; n++)); do
    rm -rf exports count
    mkdir exports
    echo one >exports/v
    N=$n PATH=$PWD/bin:$PATH hook cold v 4 v,2,5f,4,- || true
    hook cold v 4 v,2,5f,4,- || [[ $? -eq 4 ]]
    [[ ! -e exports/v && $(cat exports/.cold/v.1) == one ]]
    [[ $(hook unfence) == v,2,5f,4,- ]]
    labelled
    rm -f count
    N=$n PATH=$PWD/bin:$PATH hook unfence >out || true
    [[ ! -e exports/v ]] || echo two >exports/v # as soon as it is there it is written to
    label=$(hook unfence 2>err) || [[ $(cat err) == *exists* ]]
    [[ -z $label || $(cat exports/v) == one ]]
    [[ $(wc -l <count) -ge $n ]] || break
  done
  ((n > 2 && n < 20))
}

@test "hook-dir: an archive that was cut short is finished by the next call" {
  command -v lz4 || skip "no lz4"
  echo one >exports/v
  hook cold
  # Killed before the copy was deleted, and before the temporary name was.
  lz4 -q exports/.cold/v.1 exports/.cold/v.1.part
  ln exports/.cold/v.1.part exports/.cold/v.1.lz4
  hook archive
  [[ $(ls exports/.cold) == v.1.lz4 && $(lz4 -dc exports/.cold/v.1.lz4) == one ]]
}

@test "hook-dir: archive compresses what is cold, and numbers go on behind it" {
  command -v lz4 || skip "no lz4"
  run -4 hook archive
  head -c 100000 /dev/zero >exports/v
  hook cold
  hook archive
  [[ $(ls exports/.cold) == v.1.lz4 ]]
  [[ $(lz4 -dc exports/.cold/v.1.lz4 | wc -c) -eq 100000 ]]
  echo two >exports/v
  hook cold
  [[ $(cat exports/.cold/v.2) == two ]]
}

@test "hook-dir: remove deletes what is cold, not what is served" {
  echo one >exports/v
  hook cold
  echo two >exports/v
  hook remove
  [[ -z $(ls exports/.cold) && $(cat exports/v) == two ]]
  run -4 hook remove
}

@test "hook-dir: remove with a label deletes the copy that has it, and no other" {
  echo one >exports/v
  hook cold v 4 v,2,5f,4,-
  echo two >exports/v
  hook cold v 4 v,4,6e,4,-
  run -4 hook remove v 4 v,4,6f,4,-
  hook remove v 4 v,4,6e,4,-
  [[ $(cd exports/.cold && echo *) == "v.1 v.1.label" ]]
  run -4 hook remove v 4 v,4,6e,4,-
}

@test "hook-dir: an archive that does not hold what was compressed is not kept" {
  command -v lz4 || skip "no lz4"
  echo one >exports/v
  hook cold
  mkdir bin
  printf '%s\n' '#!/bin/sh' 'for last; do :; done' 'case "$*" in *" -d "*) exec "$LZ4" "$@" ;; esac' \
    'echo two | "$LZ4" -q -f - "$last"' >bin/lz4
  chmod +x bin/lz4
  LZ4=$(command -v lz4) PATH=$PWD/bin:$PATH run --separate-stderr -1 hook archive
  [[ $stderr == "dir: 'exports/.cold/v.1.part' is not what was compressed" ]]
  [[ $(cat exports/.cold/v.1) == one && ! -e exports/.cold/v.1.lz4 ]]
  hook archive
  [[ $(lz4 -dc exports/.cold/v.1.lz4) == one && ! -e exports/.cold/v.1 ]]
}

# over_ssh: from now on hook() works on the same folder by way of a host "far".  In place of ssh a
# program does as sshd would, on this machine: it gives all words to the user's shell.
over_ssh()
{
  mkdir -p bin
  cat >bin/ssh <<'END'
#!/bin/sh
echo "$*" >>"$GS/ssh.log"
while [ "$1" != -- ]; do shift; done
[ "$2" = ssh://me@far:2222 ] || { echo "ssh: no such host" >&2; exit 255; }
shift 2
cd / && exec sh -c "$*"
END
  chmod +x bin/ssh
  PATH=$PWD/bin:$PATH
  hook()
  {
    "$SRC/share/hooks/dir" "ssh://me@far:2222$GS/exports" "$1" "${2-v}" "${3-1048576}" gw-a "${@:4}"
  }
}

@test "hook-dir: over ssh it does the same, there" {
  command -v lz4 || skip "no lz4"
  over_ssh
  run -4 hook size
  run --separate-stderr -0 hook create v 12345
  [[ -z $output && -z $stderr && $(stat -c %s exports/v) -eq 12345 ]]
  run --separate-stderr -0 hook size
  [[ $output == 12345 ]]
  run --separate-stderr -1 hook create
  [[ $stderr == "dir: export 'v' exists in '$GS/exports'" ]]
  run -3 hook fence
  hook cold v 12345 v,2,5f,12345,-
  [[ $(head -n 1 exports/.cold/v.1.label) == v,2,5f,12345,- ]]
  run --separate-stderr -0 hook unfence
  [[ $output == v,2,5f,12345,- ]]
  hook cold
  hook archive
  [[ $(lz4 -dc exports/.cold/v.1.lz4 | wc -c) -eq 12345 ]]
  hook remove
  [[ -z $(ls exports/.cold) ]]
  run -4 hook cold
  [[ $(grep -c '^-o BatchMode=yes -- ssh://me@far:2222 sh -s -- ' ssh.log) -eq 11 ]]
}

@test "hook-dir: nothing that a shell could take for a command gets to ssh" {
  local word dir=$SRC/share/hooks/dir
  over_ssh
  for word in 'v;touch x' 'v$(touch x)' 'v`touch x`' "v'" 'v"' 'v x' 'v*' 'v\x' $'v\ntouch x' 'v&' \
    'v|x' 'v>x' '~v' 'v#' '{v,w}' 'v=x' 'v!' 'v%'; do
    run -64 hook size "$word"
    run -64 hook "$word"
    run -64 "$dir" "ssh://me@far:2222/$word" size v 1 gw-a
    run -64 "$dir" "ssh://far$word/x" size v 1 gw-a
    run -64 "$dir" "ssh://me@far:2222$GS/exports" size v 1 "$word"
    run -64 "$dir" "ssh://me@far:2222$GS/exports" cold v 1 gw-a "$word"
  done
  for word in ssh:// ssh:///x ssh://far ssh://far/ ssh://-oProxyCommand=x/y ssh://-x/y; do
    run -64 "$dir" "$word" size v 1 gw-a
  done
  [[ ! -e ssh.log && ! -e x && -z $(ls -A exports) ]]
}

@test "hook-dir: a host that cannot be reached is a failure, not an absent export" {
  over_ssh
  run --separate-stderr -1 "$SRC/share/hooks/dir" ssh://near/x size v 1 gw-a
  [[ $stderr == "ssh: no such host
dir: ssh to 'near' ended with status 255" ]]
}

@test "hook-dir: names that lead elsewhere and missing arguments are refused" {
  local name
  for name in ../v .v -v a/b ''; do
    run -64 hook create "$name"
  done
  run -64 hook create v 1x
  run -64 hook cold v 1 'a b'
  run -64 hook cold v 1 ../a
  run -64 "$SRC/share/hooks/dir" exports create v
  run -1 "$SRC/share/hooks/dir" nowhere create v 1 gw-a
  [[ -z $(ls -A exports) ]]
}
