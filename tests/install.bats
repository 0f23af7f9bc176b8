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
  (cd "$SRC/share" && find . -type f ! -name install-deps) | while read -r path; do
    cmp "$SRC/share/$path" "$top/usr/local/share/gateshift/$path"
  done
  [[ -x $top/usr/local/share/gateshift/hooks/dir ]]
  tree_make DESTDIR="$top" uninstall
  [[ -z $(find "$top" ! -type d) && ! -e $top/usr/local/share/gateshift ]]
}
