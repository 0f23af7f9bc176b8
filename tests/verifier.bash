# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A client that writes and verifies through kills of everything ("load verifier" after "load
# helpers"): volume v, whose pages of 4 KiB it writes one after the other, each until it is
# acknowledged, and reads back the one before.  It keeps the file "expected" as the volume has to be.

# verifier_start PAGES, with "expected" in place.
verifier_start()
{
  start verifier verifier "$1"
}

# verifier: what it says in verifier.log is wrong.
verifier()
{
  local n page last="" pattern uri out
  uri=$(director_uri v)
  for ((n = 1; ; n++)); do
    page=$((n * 37 % $1))
    pattern=$((n % 255 + 1))
    until out=$(timeout 20 qemu-io -f raw -c "write -P $pattern $((page * 4096)) 4k" "$uri" 2>&1) &&
      [[ $out == *"wrote 4096"* ]]; do
      sleep 0.02
    done
    head -c 4096 /dev/zero | tr '\0' "\\$(printf %03o "$pattern")" |
      dd of=expected bs=4096 seek="$page" conv=notrunc status=none
    if [[ $last ]]; then
      out=$(timeout 20 qemu-io -r -f raw -c "read -P $last" "$uri" 2>&1) || true
      [[ $out != *"verification failed"* ]] || echo "read -P $last: $out"
    fi
    last="$pattern $((page * 4096)) 4k"
    echo "$n" >acknowledged
    [[ ! -e enough ]] || return 0
  done
}

# verifier_goes_on: it is acknowledged some more.
verifier_goes_on()
{
  local before
  before=$(cat acknowledged 2>/dev/null || echo 0)
  wait_for 30 eval "((\$(cat acknowledged) >= $before + 5))"
}

# verifier_end: it stops, and nothing was wrong; the volume and the file of GATEWAY are as expected.
verifier_end()
{
  touch enough
  wait "${PIDS[verifier]}"
  unset "PIDS[verifier]"
  [[ ! -s verifier.log ]]
  nbdcopy --flush "$(director_uri v)" served
  cmp served expected
  cmp expected "$GS/$1/v"
}
