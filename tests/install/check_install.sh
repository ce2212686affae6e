#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs the built library into a temporary prefix, builds the consumer of this folder in every way
# that a user may, runs each, and looks at the symbols and dependencies of the shared library.
# usage: check_install.sh <source dir> <build dir> <cmake> <C compiler> <libdir> <configuration> <shared|static>
# The last says what svdgrad::svdgrad is.
# shellcheck disable=SC2046,SC2086 # lists of words: names, flags
set -eu
source=$1 build=$2 cmake=$3 cc=$4 libdir=$5 config=$6 kind=$7

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
prefix=$tmp/prefix
lib=$prefix/$libdir/libsvdgrad.so

fail() {
  echo "check_install: $*" >&2
  exit 1
}

step() { # step <name> <command...>: quiet unless it fails
  name=$1
  shift
  "$@" >"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    fail "$name failed"
  }
}

needs() { # what the file asks of the dynamic linker, one name a line
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

run_consumer() { # run_consumer <way> <program> <shared|static>
  out=$(LD_LIBRARY_PATH=$prefix/$libdir "$2") || fail "$1: the program failed"
  case $cuda,$out in # a device, or a reason that the linked-in or loaded backend gives
  1,*'cuda: available'* | 1,*'cuda: unavailable: svdgrad_create: no CUDA device'*) ;;
  0,*'cuda: unavailable: svdgrad_create: the cuda backend is not compiled'*) ;;
  *) fail "$1: with svdgrad_HAVE_CUDA=$cuda the program says: $out" ;;
  esac
  if needs "$2" | grep -q '^libsvdgrad'; then linked=shared; else linked=static; fi
  [ "$linked" = "$3" ] || fail "$1: links the $linked library, expected the $3 one"
  echo "$1: $out"
}

step install "$cmake" --install "$build" --prefix "$prefix" --config "$config"
for file in include/svdgrad/svdgrad.h include/svdgrad/version.h include/svdgrad/export.h \
  "$libdir/libsvdgrad.a" "$libdir/libsvdgrad.so" "$libdir/libsvdgrad.so.0"; do
  [ -e "$prefix/$file" ] || fail "$file was not installed"
done
cuda=$(sed -n 's/^set(svdgrad_HAVE_CUDA \([01]\))$/\1/p' "$prefix/$libdir/cmake/svdgrad/svdgradConfig.cmake")

# The library itself.
bad=$(nm -D --defined-only "$lib" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | grep -v '^svdgrad_' || true)
[ -z "$bad" ] || fail "exported, but not svdgrad_*:" $bad
nm -D --defined-only "$lib" | grep -q ' svdgrad_svd' || fail "svdgrad_svd is not exported"
soname=$(readelf -d "$lib" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = libsvdgrad.so.0 ] || fail "SONAME is '$soname'"
if needs "$lib" | grep -Ei '^lib(cu|nv)'; then fail "the library needs a CUDA library"; fi
echo "library: $soname needs" $(needs "$lib")

# What compiles the library once more takes the kernels from the build, to see that they are configured and link.
take="sh;$source/tests/install/take_objects.sh;$build"
isas=$(sed -n 's/^SVDGRAD_ISAS:STRING=//p' "$build/CMakeCache.txt")

# The module of the CUDA backend: one symbol, a CUDA runtime of its own, and cuSOLVER only when it is asked for.
module=$prefix/$libdir/libsvdgrad_cuda.so.0
if [ "$cuda" = 1 ]; then
  [ -e "$module" ] || fail "$module was not installed"
  symbols=$(nm -D --defined-only "$module" | awk '$2 != "A" { print $3 }')
  [ "$symbols" = svdgrad_cuda_module ] || fail "the module exports" $symbols
  soname=$(readelf -d "$module" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
  [ "$soname" = libsvdgrad_cuda.so.0 ] || fail "the module's SONAME is '$soname'"
  if needs "$module" | grep -Ei '^lib(cu|nv)'; then fail "the module needs a CUDA library"; fi
  echo "module: $soname needs" $(needs "$module")
  cuda_options="-DSVDGRAD_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90-real
    -DCMAKE_CUDA_COMPILER_LAUNCHER=$take"
else
  [ ! -e "$module" ] || fail "$module was installed"
  cuda_options=-DSVDGRAD_CUDA=OFF
fi

# CMake consumers.
subdirectory_options="$cuda_options -DCMAKE_BUILD_TYPE=Debug -DSVDGRAD_ISAS=${isas:-portable} -DSVDGRAD_FIXED_SIZES=OFF
  -DCMAKE_C_COMPILER_LAUNCHER=$take"
for way in package static subdirectory without_lapack; do
  case $way in
  subdirectory) options="-DCONSUMER=subdirectory $subdirectory_options" ;;
  without_lapack)
    options="-DCONSUMER=subdirectory $subdirectory_options -DSVDGRAD_CUDA=OFF -DSVDGRAD_LAPACK=OFF
      -DCMAKE_DISABLE_FIND_PACKAGE_LAPACK=ON -DCMAKE_DISABLE_FIND_PACKAGE_BLAS=ON" ;;
  *) options="-DCONSUMER=$way -DCMAKE_BUILD_TYPE=Release" ;;
  esac
  step "$way: configure" "$cmake" -S "$source/tests/install" -B "$tmp/$way" \
    -DCMAKE_PREFIX_PATH="$prefix" -DSVDGRAD_SOURCE_DIR="$source" -DCMAKE_C_COMPILER="$cc" $options
  step "$way: build" "$cmake" --build "$tmp/$way" --config Release --parallel 2
done
run_consumer "find_package" "$tmp/package/consumer" "$kind"
run_consumer "find_package, static" "$tmp/static/consumer" static
run_consumer "add_subdirectory" "$tmp/subdirectory/consumer" static # BUILD_SHARED_LIBS is not set
if needs "$tmp/without_lapack/consumer" | grep -Ei 'lapack|blas'; then fail "without LAPACK a program needs it"; fi
lapack=$(nm -u "$tmp/without_lapack/consumer" | grep -E '(gemm|gesdd|gesvd|geqrf|gqr)_' || true)
[ -z "$lapack" ] || fail "without LAPACK a program calls" $lapack
cuda_here=$cuda cuda=0
run_consumer "add_subdirectory, no LAPACK" "$tmp/without_lapack/consumer" static
cuda=$cuda_here

# The lines for CMake of the documentation, as they stand there.
mkdir "$tmp/documented"
{
  echo 'cmake_minimum_required(VERSION 3.24)
project(documented LANGUAGES C)'
  echo "add_executable(program \"$source/tests/install/main.c\")"
  sed -n '/^```cmake$/,/^```$/p' "$source/docs/embedding.md" | grep -v '^```'
} >"$tmp/documented/CMakeLists.txt"
step "documented: configure" "$cmake" -S "$tmp/documented" -B "$tmp/documented/build" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Release
step "documented: build" "$cmake" --build "$tmp/documented/build"
run_consumer "documented" "$tmp/documented/build/program" "$kind"

# pkg-config consumers.
if command -v pkg-config >/dev/null; then
  PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
  export PKG_CONFIG_PATH
  step "pkg-config: build" "$cc" -std=c11 "$source/tests/install/main.c" -o "$tmp/pc_shared" \
    $(pkg-config --cflags --libs svdgrad)
  # Both libraries lie side by side and -lsvdgrad would take the shared one.
  step "pkg-config --static: build" "$cc" -std=c11 "$source/tests/install/main.c" -o "$tmp/pc_static" \
    $(pkg-config --static --cflags --libs svdgrad | sed 's/-lsvdgrad/-l:libsvdgrad.a/')
  run_consumer "pkg-config" "$tmp/pc_shared" shared
  run_consumer "pkg-config --static" "$tmp/pc_static" static
fi

# A module that does not load, or is of another version, is a reason like any other.
expect_reason() { # expect_reason <pattern>
  out=$(LD_LIBRARY_PATH=$prefix/$libdir "$tmp/pc_shared") || fail "the program failed with $1"
  case $out in
  *"cuda: unavailable: svdgrad_create: libsvdgrad_cuda.so "$1*) echo "$out" ;;
  *) fail "expected '$1', the program says: $out" ;;
  esac
}
if [ "$cuda" = 1 ] && [ -e "$tmp/pc_shared" ]; then
  rm "$prefix/$libdir"/libsvdgrad_cuda.so*
  : >"$module"
  expect_reason "cannot be loaded: "
  echo 'int nothing;' >"$tmp/module.c"
  step "module without entry: build" "$cc" -shared -fPIC -o "$module" "$tmp/module.c"
  expect_reason "has no svdgrad_cuda_module"
  sed 's/CUDA_MODULE_INTERFACE/(& - 1)/g' "$source/src/cuda/cuda_module.c" >"$tmp/module.c"
  echo 'const backend_t cuda_backend = {0};' >>"$tmp/module.c"
  step "module of another version: build" "$cc" -std=c11 -shared -fPIC -I"$source/src" -I"$source/src/cuda" -I"$prefix/include" \
    -o "$module" "$tmp/module.c" "$source/src/cuda/cuda_error.c"
  expect_reason "is of version "
fi

# The header is also for C++.
if command -v c++ >/dev/null; then
  echo '#include <svdgrad/svdgrad.h>' >"$tmp/header.cpp"
  step "C++ header" c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only "$tmp/header.cpp"
fi
