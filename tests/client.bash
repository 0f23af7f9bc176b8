# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A client that stays connected, and a gateway that forgets, for bats files ("load client" after
# "load helpers").

# cached_gateway NAME [NBDKIT-ARGUMENT...]: one that loses what was not flushed when it is killed.
cached_gateway()
{
  start_gateway "$1" --filter=cache cache=writeback "${@:2}"
}

# client_start: a qemu-io that stays connected and flushes only when told.  tell COMMAND: gives it a
# command; ask COMMAND: and waits until it is done.
client_start()
{
  mkfifo client.in
  exec 4<>client.in
  TOLD=0
  start client bash -c "exec qemu-io -t writeback -f raw '$(director_uri v)' <client.in" 4>&-
  wait_for 10 prompted
}

prompted()
{
  (($(grep -o 'qemu-io> ' client.log | wc -l) > TOLD))
}

tell()
{
  wait_for 15 prompted
  echo "$*" >&4
  TOLD=$((TOLD + 1))
}

ask()
{
  tell "$@"
  wait_for 15 prompted
}

no_failure()
{
  run -1 grep -E 'failed|error' client.log
}
