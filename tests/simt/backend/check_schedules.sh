#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_schedules.sh <hash_outputs> <type>: equal hashes under four orders of the threads.
set -eu
seen=
for order in fwd rev rand:1 rand:2; do
  hash=$(SIMT_ORDER=$order "$1" "$2")
  echo "$order: $hash"
  [ -z "$seen" ] || [ "$seen" = "$hash" ] || { echo "the result depends on the schedule"; exit 1; }
  seen=$hash
done
