#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# seed_bug.sh <kernels> <copy> <file> <pattern> <count>: a copy of the kernels in which the <count>th line of <file> that
# matches <pattern> is gone.
set -eu
rm -rf "$2"
mkdir -p "$2/cuda"
cp -r "$1" "$2/cuda/kernels"
cp "$1"/../launch.h "$2/cuda/"
mkdir -p "$2/src/functions"
cp "$1"/../../src/*_rules.inc "$2/src/"
cp "$1"/../../src/functions/forms.h "$2/src/functions/"
awk -v pattern="$4" -v count="$5" 'index($0, pattern) && ++seen == count { gone = 1; next } { print }
  END { exit !gone }' "$1/$3" >"$2/cuda/kernels/$3"
