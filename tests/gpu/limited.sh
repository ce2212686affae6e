#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# limited.sh <log> <seconds> <end> <command...>: runs the command for so many seconds, and not beyond <end> (seconds since
# 1970).  Its output goes to <log>.log; <log>.status gets "<status> <seconds taken>", where the status is `late` if there
# was no time to begin.
log=$1 seconds=$2 end=$3
shift 3
started=$(date +%s)
left=$((end - started))
[ "$seconds" -le "$left" ] || seconds=$left
rm -f "$log.status"
: >"$log.log"
if [ "$seconds" -lt 5 ]; then
  echo "late 0" >"$log.status"
  exit 0
fi
timeout -k 10 "$seconds" "$@" >"$log.log" 2>&1
echo "$? $(($(date +%s) - started))" >"$log.status"
