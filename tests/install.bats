#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What make puts outside the build folder.

load helpers

# Runs make with what is built already, as a user would, not as a part of the make that runs us.
tree_make()
{
  env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" -o all BUILD="$BUILD" PREFIX=/usr/local "$@"
}

@test "install: DESTDIR gets commands, pages, completion and share, and uninstall takes every file back" {
  local path name top=$GS/top
  tree_make DESTDIR="$top" install
  for path in "$SRC"/cmd/*/; do
    name=$(basename "$path")
    [[ $("$top/usr/local/bin/$name" --version) == "$name (gateshift) "* ]]
    [[ -e $top/usr/local/share/bash-completion/completions/$name ]]
    [[ -e $top/usr/local/share/fish/vendor_completions.d/$name.fish ]]
  done
  for path in "$SRC"/man/*; do
    cmp "$path" "$top/usr/local/share/man/man${path##*.}/${path##*/}"
  done
  (cd "$SRC/share" && find . -type f ! -name install-deps ! -path './packaging/*') | while read -r path; do
    cmp "$SRC/share/$path" "$top/usr/local/share/gateshift/$path"
  done
  [[ -x $top/usr/local/share/gateshift/hooks/dir ]]
  tree_make DESTDIR="$top" uninstall
  [[ -z $(find "$top" ! -type d) && ! -e $top/usr/local/share/gateshift ]]
}

@test "install: another PREFIX is what pages, units and the crontab name" {
  local top=$GS/opt
  tree_make PREFIX="$top" install
  run -1 grep -rIE '/usr/local/(bin|share/gateshift)' "$top"
  grep -qx "ExecStart=$top/share/gateshift/loop %i" "$top/share/gateshift/units/gateshift-loop@.service"
  grep -q " $top/share/gateshift/loop probe$" "$top/share/gateshift/crontab"
  tree_make PREFIX="$top" uninstall
  [[ -z $(find "$top" ! -type d) ]]
}

@test "install: objects built with SOURCE_DATE_EPOCH are equal, wherever they were built" {
  local dir
  for dir in one another-one; do
    mkdir "$dir"
    cp -r "$SRC/Makefile" "$SRC/common" "$dir"
    env -u MAKEFLAGS -u MAKELEVEL make -s -C "$dir" BUILD=build SOURCE_DATE_EPOCH=1000000000 \
      CFLAGS='-O2 -g' build/common/base/opts.o
  done
  cmp {one,another-one}/build/common/base/opts.o
  run -1 grep -a "$GS" one/build/common/base/opts.o
}

@test "dist: the same commit gives the same bytes, of what is tracked" {
  [[ $(git -C "$SRC" rev-parse --show-toplevel 2>/dev/null) == "$SRC" ]] || skip "no git work tree"
  local dir
  for dir in one two; do
    env -u MAKEFLAGS -u MAKELEVEL make -s -C "$SRC" BUILD="$GS/$dir" dist
  done
  cmp {one,two}/gateshift-*.tar.gz
  diff <(tar -tzf one/gateshift-*.tar.gz | sed 's|^gateshift-[^/]*/||' | grep -v '/$' | grep . | sort) \
    <(git -C "$SRC" ls-tree -r --name-only HEAD | sort)
}

@test "package: version and dependencies are those of the tree" {
  local packaging=$SRC/share/packaging/debian
  [[ $(head -n 1 "$packaging/changelog") == "gateshift ($(sed -n 's/^VERSION := //p' "$SRC/Makefile")) "* ]]
  # What install-deps installs to build with, less the compiler that every Debian package is built with.
  diff <(sed -n "s/^build='\(.*\)'/\1/p" "$SRC/share/install-deps" | tr ' ' '\n' | grep -vxE 'gcc|make|libc6-dev' | sort) \
    <(sed -n '/^Build-Depends/,/^$/p' "$packaging/control" | grep -oE 'lib[a-z0-9-]+' | sort)
}
