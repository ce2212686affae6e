#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# take_objects.sh <build directory> <compiler> [arguments]: stands before a compiler (CMAKE_<LANGUAGE>_COMPILER_LAUNCHER) and
# takes the objects that cost minutes, of the kernels, from another build of the same sources.  The compiler only goes
# through the headers, with all its arguments.
set -eu
build=$1
shift
object='' source='' last=''
for argument in "$@"; do
  [ "$last" != -o ] || object=$argument
  case $argument in */inst_*.cu) source=$argument ;; esac
  last=$argument
done
taken=''
case $source,$object in
*.cu,*.o) taken=$build/cuda_kernels/$(basename "$source").o ;;
*/svdgrad_lanes_*.o) taken=$build/CMakeFiles/${object#*CMakeFiles/} ;;
esac
[ -f "$taken" ] || exec "$@"
for argument in "$@"; do # the same ones, but that only the list of headers is made
  shift
  case $argument in
  -c | -o | "$object") ;;
  -MD) set -- "$@" -M ;;
  *) set -- "$@" "$argument" ;;
  esac
done
"$@"
cp "$taken" "$object"
