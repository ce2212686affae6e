#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# must_fail.sh <program> [args]: the thread sanitizer (exit status 66) has to find the bug that was seeded.
status=0
"$@" >/dev/null 2>&1 || status=$?
if [ "$status" -ne 66 ]; then
  echo "the seeded bug was NOT found: exit status $status"
  exit 1
fi
echo "the seeded bug was found"
