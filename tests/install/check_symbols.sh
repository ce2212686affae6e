#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_symbols.sh <nm> <library...>: every symbol that a library defines for others begins with svdgrad_, and the version
# of the shared one's is the only other name.
set -eu
nm=$1
shift
for library in "$@"; do
  [ -n "$library" ] || continue
  case $library in
  *.a) symbols=$("$nm" --extern-only --defined-only "$library") ;;
  *) symbols=$("$nm" --dynamic --extern-only --defined-only "$library") ;;
  esac
  names=$(echo "$symbols" | awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort -u)
  echo "$names" | grep -q '^svdgrad_' || { echo "$library defines nothing" && exit 1; }
  others=$(echo "$names" | grep -v -e '^svdgrad_' -e '^SVDGRAD_0$' || true)
  [ -z "$others" ] || { echo "$library defines" $others && exit 1; }
  echo "$library: $(echo "$names" | wc -l) symbols"
done
