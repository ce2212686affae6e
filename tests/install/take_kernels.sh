#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# take_kernels.sh <directory> <compiler> [arguments]: stands before nvcc (CMAKE_CUDA_COMPILER_LAUNCHER) and takes the objects
# of the kernels from the directory, where another build of the same sources has them.  nvcc only goes through the headers,
# with all its arguments: minutes less.
set -eu
directory=$1
shift
object='' source='' last=''
for argument in "$@"; do
  [ "$last" != -o ] || object=$argument
  case $argument in */inst_*.cu) source=$argument ;; esac
  last=$argument
done
[ -n "$object" ] && [ -n "$source" ] || exec "$@"
for argument in "$@"; do # the same ones, but that only the list of headers is made
  shift
  case $argument in
  -c | -o | "$object") ;;
  -MD) set -- "$@" -M ;;
  *) set -- "$@" "$argument" ;;
  esac
done
"$@"
cp "$directory/$(basename "$source").o" "$object"
