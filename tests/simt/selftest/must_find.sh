#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# must_find.sh <pattern> <command...>: the command must fail, and its output match the extended pattern.
set -u
pattern=$1
shift
if output=$("$@" 2>&1); then
  echo "the seeded bug was not found by: $*" >&2
  exit 1
fi
printf '%s\n' "$output" | grep -Eq -e "$pattern" && exit 0
printf '%s\n' "$output" >&2
echo "failed, but without '$pattern': $*" >&2
exit 1
