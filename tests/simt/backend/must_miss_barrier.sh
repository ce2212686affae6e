#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# must_miss_barrier.sh <file> <barrier> <count> <program> [args]: runs the program without the barrier in the <count>th
# line of the file that has one; the thread sanitizer (exit status 66) has to find that.
set -eu
file=$1 barrier=$2 count=$3
shift 3
line=$(awk -v barrier="$barrier" -v count="$count" \
  'index($0, barrier) && ++seen == count { print NR; exit }' "$file")
[ -n "$line" ] || { echo "$file has fewer than $count $barrier" && exit 1; }
SIMT_SKIP=$(basename "$file"):$line
export SIMT_SKIP
status=0
output=$("$@" 2>&1) || status=$?
if [ "$status" -ne 66 ]; then
  printf '%s\n' "$output" | tail -n 20
  echo "without $barrier in $SIMT_SKIP nothing was found: exit status $status"
  exit 1
fi
echo "the race without $barrier in $SIMT_SKIP was found"
