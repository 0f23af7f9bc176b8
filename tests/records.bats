#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# gateshift-records(5) against the schemas that the commands use.

load helpers

SCHEMAS=$BATS_TEST_DIRNAME/../common/record/schema.c
PAGE=$BATS_TEST_DIRNAME/../man/gateshift-records.5

# "RECORD COLUMN" for every column of every schema, in order.
schema_columns()
{
  awk '
    /^static const struct rec_column/ { n = 0 }
    { line = $0
      while (match(line, /\{"[a-z0-9_]+", REC_/)) {
        name[++n] = substr(line, RSTART + 2, RLENGTH - 9)
        line = substr(line, RSTART + RLENGTH)
      } }
    /^const struct rec_schema/ {
      split($0, quoted, "\"")
      for (i = 1; i <= n; i++) print quoted[2], name[i]
    }' "$SCHEMAS"
}

# The same, as the page has it: configuration files by the name of their record.
page_columns()
{
  sed -e 's/^\.Ss \(gateway\|volume\|site\|distance\)s\.csv$/.Ss \1/' \
    -e 's/^\.Ss calendar\.csv$/.Ss calendar/' -e 's/^\.Ss health\.csv$/.Ss health-limit/' "$PAGE" |
    awk '
      /^\.S[sh] / { record = $2 }
      /^\.It Cm / { for (i = 3; i <= NF; i++) if ($i != ",") print record, $i }'
}

@test "gateshift-records(5): has the columns of every record, in their order" {
  schema_columns | sort -s -k 1,1 >"$BATS_TEST_TMPDIR/schemas"
  page_columns | sort -s -k 1,1 >"$BATS_TEST_TMPDIR/page"
  [[ -s $BATS_TEST_TMPDIR/schemas ]]
  diff "$BATS_TEST_TMPDIR/schemas" "$BATS_TEST_TMPDIR/page"
}

@test "gateshift-records(5): has every word that a column takes" {
  local word
  while read -r word; do
    grep -qE "^\.Cm (.* )?$word( |\$)|^\.Pq .*Cm $word\$" "$PAGE" || {
      echo "no $word"
      return 1
    }
  done < <(awk '/_words\[\] =/ {on = 1} on; /NULL}/ {on = 0}' "$SCHEMAS" |
    grep -oE '"[a-z-]+"' | tr -d '"')
}
