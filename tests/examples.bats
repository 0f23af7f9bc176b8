#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Every script of examples/ runs as it stands, in an empty folder of its own.

load helpers

@test "examples: each runs to its end, prints something and complains about nothing" {
  local example name
  for example in "$SRC"/examples/[0-9]*.sh; do
    name=${example##*/}
    mkdir "$GS/$name"
    cd "$GS/$name"
    run --separate-stderr -0 bash "$example" 3>&-
    [[ -n $output ]] || { echo "$name prints nothing" && false; }
    [[ -z $stderr ]] || { echo "$name complains: $stderr" && false; }
  done
}
