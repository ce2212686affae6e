#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# must_miss_barrier.sh <file> <barrier> <count> <program> [args]: runs the program without the barrier in the <count>th
# line of the file that has one; the thread sanitizer (exit status 66) has to find a race, and to name that file, so that
# no other race stands for the seeded one.
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
# Of the two accesses, where they are and who called them; what follows is where threads and memory come from.
accesses=$(printf '%s\n' "$output" | awk '/WARNING: ThreadSanitizer: data race/ { on = 1 } /^  (Thread|Location)/ { on = 0 } on')
summary=$(printf '%s\n' "$output" | grep '^SUMMARY: ThreadSanitizer: data race' || :)
case $status:$accesses in
66:*"/$(basename "$file"):"*) echo "the race without $barrier in $SIMT_SKIP was found: $summary" ;;
66:*)
  printf '%s\n' "$output" | tail -n 60
  echo "without $barrier in $SIMT_SKIP another race was found: ${summary:-no data race}"
  exit 1
  ;;
*)
  printf '%s\n' "$output" | tail -n 20
  echo "without $barrier in $SIMT_SKIP nothing was found: exit status $status"
  exit 1
  ;;
esac
