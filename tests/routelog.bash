# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Lines that nobody but a director would write into the route store ("load routelog" after "load
# helpers").

# log_route RECORD: appends it to the store's log, ended with its checksum as common/route has it.
log_route()
{
  local sum=$BATS_FILE_TMPDIR/xxh3
  [[ -x $sum ]] || ${CC:-cc} -o "$sum" -x c - -lxxhash <<'END'
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
int main(int argc, char **argv)
{
    return argc != 2 || printf("%s,%016" PRIx64 "\n", argv[1],
                               (uint64_t)XXH3_64bits(argv[1], strlen(argv[1]))) < 0;
}
END
  "$sum" "$1" >>"$GATESHIFT_STATE/routes.log"
}
