#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What every command promises about its own documentation.

load helpers
load sandbox

setup()
{
  common_setup
  cd "$SRC" || return
  COMMANDS=()
  local dir
  for dir in cmd/*/; do
    dir=${dir%/}
    [[ ! -e $dir/${dir##*/}.c ]] || COMMANDS+=("${dir##*/}")
  done
}

# What an example of the tour started, had it failed half-way.
teardown()
{
  local file
  for file in "$GS"/hour/*.pid; do
    [[ ! -e $file ]] || kill "$(<"$file")" 2>/dev/null || true
  done
  common_teardown
}

# complete_words WORD...: the completions of the last word, sorted, on one line.
complete_words()
{
  (
    compopt() { :; }
    # shellcheck source=completions/gateshift.bash
    source "$SRC/completions/gateshift.bash"
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _gateshift "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
  )
}

@test "help: every command prints its usage and options to stdout" {
  local name option
  for name in "${COMMANDS[@]}"; do
    run --separate-stderr -0 "$name" --help
    [[ $output == "Usage: $name"* && -z $stderr ]]
    while read -r option; do
      [[ $output == *"$option"* ]]
    done < <("$name" --long-options)
  done
}

@test "help: every command prints its version" {
  local name
  for name in "${COMMANDS[@]}"; do
    run --separate-stderr -0 "$name" --version
    [[ $output =~ ^"$name (gateshift) "[0-9.]+$ && -z $stderr ]]
  done
}

@test "help: every command refuses an unknown option with 64" {
  local name
  for name in "${COMMANDS[@]}"; do
    run --separate-stderr -64 "$name" --no-such-option
    [[ -z $output && $stderr == "$name: "*"--no-such-option"* ]]
  done
}

@test "help: every command notices that stdout is full or closed" {
  local name
  for name in "${COMMANDS[@]}"; do
    run -74 bash -c "$name --help >/dev/full"
    [[ $output == "$name: "* && ${#lines[@]} -eq 1 ]]
    run -74 bash -c "$name --help >&-"
    [[ $output == "$name: "* && ${#lines[@]} -eq 1 ]]
  done
}

@test "help: every command's options are those of its page, and are completed" {
  tests/lint/options "$BUILD/bin"
}

@test "help: the README's table and the overview have every command, and no other" {
  diff <(printf '%s\n' "${COMMANDS[@]}" | sort) \
    <(sed -n '/^## The commands/,/^## /s/^| `\([a-z-]*\)` |.*/\1/p' README.md | sort)
  diff <(printf '%s\n' "${COMMANDS[@]}" | sort) \
    <(sed -n '/^\.Sh COMMANDS/,/^\.El/s/^\.It Xr \([a-z-]*\) .*/\1/p' man/gateshift.7 | sort)
}

@test "help: every page is free of mandoc's warnings" {
  command -v mandoc || skip "no mandoc"
  mandoc -T lint -W warning man/*.[1578]
}

@test "help: the examples in the pages do what they show" {
  cd "$GS"
  sandbox_fill
  "$SRC/tests/page-examples" "$SRC"/man/*.[1578]
}

@test "completion: options come from the command" {
  run -0 complete_words route-set --expe
  [[ $output == --expect-epoch= ]]
}

@test "completion: volumes and gateways come from the configuration" {
  cp share/config/*.csv "$GATESHIFT_CONFIG"
  run -0 complete_words route-set v
  [[ $output == 'vm-1 vm-2' ]]
  run -0 complete_words route-set --expect-epoch 3 vm-1 g
  [[ $output == 'gw-a gw-b gw-c' ]]
  run -0 complete_words gateway-probe gw-a gw-b gw-
  [[ $output == 'gw-a gw-b gw-c' ]]
}

@test "completion: the configuration is that of --config" {
  mkdir "$GS/other"
  printf 'size_bytes,volume\r\n1,elsewhere\r\n' >"$GS/other/volumes.csv"
  run -0 complete_words route-set --config = "$GS/other" e
  [[ $output == elsewhere ]]
}

@test "completion: what stands for a name in the configuration is not carried out" {
  # shellcheck disable=SC2016
  printf '%s\n' volume,size_bytes '$(touch owned),1' '`touch owned`,1' '"v,1",1' vm-1,1 '' >"$GATESHIFT_CONFIG/volumes.csv"
  cd "$GS"
  run -0 complete_words route-set ''
  [[ $output == vm-1 && ! -e owned ]]
  mkdir -p "$GATESHIFT_STATE/migrations"
  # shellcheck disable=SC2016
  touch "$GATESHIFT_STATE/migrations/v-2.csv" "$GATESHIFT_STATE/migrations/"'$(touch owned).csv'
  run -0 complete_words migrate-exec --status ''
  [[ $output == v-2 && ! -e owned ]]
}

@test "completion: other arguments are files" {
  cd "$GS"
  touch plan.csv
  run -0 complete_words migrate-exec pl
  [[ $output == plan.csv ]]
}
