#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# share/hooks/dir: the provisioning hook for a folder of files.

load helpers

setup()
{
  common_setup
  mkdir exports
}

# hook ACTION [VOLUME [SIZE]]
hook()
{
  "$SRC/share/hooks/dir" exports "$1" "${2-v}" "${3-1048576}" gw-a
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

@test "hook-dir: names that lead elsewhere and missing arguments are refused" {
  local name
  for name in ../v .v -v a/b ''; do
    run -64 hook create "$name"
  done
  run -64 hook create v 1x
  run -64 "$SRC/share/hooks/dir" exports create v
  run -1 "$SRC/share/hooks/dir" nowhere create v 1 gw-a
  [[ -z $(ls -A exports) ]]
}
