#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# same_in_all_orders.sh <command...>: its output must not depend on the order in which threads run.
set -eu
first=$(SIMT_ORDER=fwd "$@")
printf '%s\n' "$first"
for order in rev rand:1 rand:2; do
  now=$(SIMT_ORDER=$order "$@")
  [ "$now" = "$first" ] && continue
  printf 'SIMT_ORDER=%s gives other results\n%s\n' "$order" "$now" >&2
  exit 1
done
