#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Every script of examples/ runs as it stands, in an empty folder of its own.

load helpers

# The README's blocks of shell code under heading $1, without the line that builds.
readme_code()
{
  awk -v heading="## $1" '
    /^## / { inside = $0 == heading }
    /^```/ { code = inside && $0 == "```sh"; next }
    code && $0 != "make"' "$SRC/README.md"
}

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

@test "examples: the README's pipelines run as they are pasted, and the plan names the slow gateway" {
  unset GATESHIFT_CONFIG GATESHIFT_STATE GATESHIFT_RUN
  ln -s "$SRC/share" "$SRC/examples" .
  mkdir build
  ln -s "$BUILD/bin" build/bin
  readme_code 'Three pipelines to paste' >pasted
  bash -o pipefail -e pasted
  # Which of the others is nearer to the clients depends on the time of day.
  grep -q '^[^,]*,db-1,gw-a,gw-[bc],1,mandatory,' build/plan.csv
}

@test "examples: README's pictures are made from a real session, and are pictures" {
  local picture
  run --separate-stderr -0 bash "$SRC/examples/pictures.sh" "$GS" 3>&-
  [[ -z $output && -z $stderr ]]
  for picture in session.svg heat-map.svg; do
    xmllint --noout "$picture"
    [[ $(xmllint --xpath 'string(/*/@role)' "$picture") == img && -e $SRC/examples/$picture ]]
    grep -q "(examples/$picture)" "$SRC/README.md"
  done
  grep -q '>vm-1-2,handover,switched,67108864,67108864,[1-9][0-9]*<' session.svg
  [[ $(grep -c '<rect' heat-map.svg) -gt 1000 ]]
}
