#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds and checks the CUDA backend on a machine with a GPU, with compilers alone: no CMake, LAPACK or Criterion is
# needed.  `run_gpu.sh --help` says more.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/gpu
simt=0 fma=0 quick=0 kernels='' build_dir='' arch='' stages='' deadline='' slow=1 began=$(date +%s)
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

usage() {
  cat <<'EOT'
usage: run_gpu.sh [options] [stages]

stages, in this order; by default all but profile:
  build      the library, the tests and the bench, for the GPU of this machine
  smoke      a few matrices for every kernel family and type, against the ref backend (smoke.c): seconds
  test       the tests of all backends on the CUDA one, for the algorithm JACOBI, then VENDOR
  device     graphs, streams, threads, large batches (test_device.c)
  bench      the timing program, ours then cuSOLVER, and the frameworks that python3 can import: torch, cupy, jax
  report     table and plot of the results
  profile    counters of the kernels of every family, by ncu
  sanitize   memcheck, racecheck and synccheck of compute-sanitizer over a few small tests

options:
  --build-dir DIR  default build/gpu; what is built there runs on another machine with the same architecture of GPU
                   and processor, too, without obj/ and *.a: where there is no nvcc, `build` takes what it finds
  --arch sm_NN     default: that of the first GPU
  --jobs N         compilers at once
  --deadline S     seconds for all of it, 570 by default, with --simt an hour: what is left over then is not run, and counts
                   as failed
  --quick          smaller tables; fewer shapes and repetitions in the bench
  --fma            with --simt: kernels that contract a * b + c where nvcc may, so that no test needs the one or the other
  --kernels DIR    with --simt: where another build of the same sources has just made the kernels, inst_*.cu.o, for the CPU
                   run: they are taken as they are
  --simt           the CPU run of CUDA (tests/simt) in place of a GPU: proves this script and the code's path; no timing

Where a command may take ten minutes, three calls do it all, each with the build of the first:
  run_gpu.sh build smoke test device
  run_gpu.sh bench report
  run_gpu.sh profile sanitize

A stage that fails does not keep the next from running; every program has a time limit.  The last line is "N passed,
N failed"; the status is 0 if nothing failed.  Results go to $OUT if that is set, with the logs packed after each stage,
else to bench/results; logs are in <build-dir>/logs.
EOT
}

while [ $# -gt 0 ]; do
  case $1 in
  --build-dir) build_dir=$2 && shift ;;
  --arch) arch=$2 && shift ;;
  --kernels) kernels=$2 && shift ;;
  --jobs) jobs=$2 && shift ;;
  --deadline) deadline=$2 && shift ;;
  --quick) quick=1 ;;
  --fma) fma=1 ;;
  --simt) simt=1 ;;
  -h | --help) usage && exit 0 ;;
  build | smoke | test | device | sanitize | bench | report | profile) stages="$stages $1" ;;
  *) usage >&2 && exit 2 ;;
  esac
  shift
done
[ -n "$stages" ] || stages="build smoke test device bench report sanitize"
if [ -z "$build_dir" ]; then
  build_dir=$root/build/gpu
  [ $simt = 0 ] || build_dir=$root/build/gpu-simt
  [ $fma = 0 ] || build_dir=$build_dir-fma
fi
# Minutes count on a machine with a GPU; the CPU run must pass on a slow machine, too.
[ $simt = 0 ] || slow=4
[ -n "$deadline" ] || deadline=$((simt ? 3600 : 570))
results=${OUT:-$root/bench/results}
mkdir -p "$build_dir/obj" "$results" || exit 2
build_dir=$(cd "$build_dir" && pwd)
logs=$build_dir/logs
mkdir -p "$logs"
[ $quick = 0 ] && [ $simt = 0 ] || export TEST_TABLE="${TEST_TABLE:-small}"
end=$((began + deadline))
tests_at_once=$jobs
[ "$tests_at_once" -le 8 ] || tests_at_once=8
passed=0 failed=0 failures=''
: >"$build_dir/queue"

say() { echo "==> $*"; }
pass() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  failures="$failures
  $*"
}

# limited <seconds> <name> <command...>: runs it (limited.sh) and counts what it says.
limited() {
  seconds=$(($1 * slow)) name=$2
  shift 2
  sh "$here/limited.sh" "$logs/$name" "$seconds" "$end" "$@"
  tally "$name"
}

# What `name` ended with: $status, `late` where it could not begin, and $took; $counts is its "N passed, N failed".
look_at() {
  read -r status took <"$logs/$1.status" || status=missing took=0
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/$1.log" | tail -n 1)
}

# tally <name>: adds up its counts; a program that says nothing of the kind counts as one.
tally() {
  name=$1
  look_at "$name"
  if [ "$status" = late ]; then
    echo "    $name: no time left"
    fail "$name: no time left"
    return 1
  fi
  if [ -n "$counts" ]; then
    tally_counts
  elif [ "$status" = 0 ]; then
    pass
  fi
  if [ "$status" != 0 ] && { [ -z "$counts" ] || [ "${counts#*, }" = "0 failed" ]; }; then
    reason=''
    [ "$status" != 124 ] || reason=' (time limit)'
    fail "$name: status $status$reason"
  fi
  echo "    $name: ${counts:-status $status}, $took s"
  if [ "$status" != 0 ]; then
    grep -vE '^passed ' "$logs/$name.log" | tail -n 25 | cut -c 1-240 | sed 's/^/      | /'
  fi
  grep -E '^ratio ' "$logs/$name.log" | sed 's/^/      /'
  [ "$status" = 0 ]
}

tally_counts() {
  passed=$((passed + ${counts%% *}))
  more=${counts#*, }
  [ "${more%% *}" -gt 0 ] || return 0
  failed=$((failed + ${more%% *}))
  failures="$failures
$(grep -E '^FAILED' "$logs/$name.log" | sed "s/^FAILED/  $name:/")"
}

# Several at once: `queued <seconds> <name> <command...>` for each, then run_queued.  No argument may have a quote in it.
queued() {
  printf "sh '%s/limited.sh' '%s/%s' '%s' '%s'" "$here" "$logs" "$2" "$(($1 * slow))" "$end" >>"$build_dir/queue"
  names="$names $2"
  : >"$logs/$2.log"
  echo "missing 0" >"$logs/$2.status" # none of an earlier run
  shift 2
  printf " '%s'" "$@" >>"$build_dir/queue"
  printf '\0' >>"$build_dir/queue"
}

run_queued() {
  [ ! -s "$build_dir/queue" ] || xargs -0 -n 1 -P "$tests_at_once" sh -c <"$build_dir/queue"
  : >"$build_dir/queue"
}

# The programs of $names, all in one process first, which saves the start of CUDA for every test.  Where that fails, once
# more with a process for every test, so that a kernel that ends the context does not hide the others.
run_tests() {
  run_queued
  programs=$names again='' longest=60 # seconds of one test
  [ $simt = 0 ] || longest=240
  for name in $programs; do
    look_at "$name"
    case $status in
    0 | late | 124) tally "$name" ;; # what ran out of time would again
    *) again="$again $name" ;;
    esac
  done
  [ -n "$again" ] || return 0
  say "one process for every test:$again"
  names=''
  for name in $again; do
    mv "$logs/$name.log" "$logs/${name}_in_process.log"
    queue_test "$((4 * longest))" "$name" "TEST_SECONDS=$longest"
  done
  run_queued
  for name in $again; do
    tally "$name" || continue
    fail "$name: fails in one process for all tests (${name}_in_process.log), else passes"
    tail -n 5 "$logs/${name}_in_process.log" | cut -c 1-240 | sed 's/^/      | /'
  done
}

# queue_test <seconds> <name> <VARIABLE=value...>: the name says program and algorithm, or the part of the smoke test.
queue_test() {
  limit=$1 name=$2
  shift 2
  case $name in
  smoke_*) queued "$limit" "$name" env "TEST_FILTER=smoke::${name#smoke_}" "$@" "$build_dir/smoke" ;;
  *) queued "$limit" "$name" env "TEST_ALGO=${name##*_}" "$@" "$build_dir/${name%_*}" ;;
  esac
}

pack_logs() { # what is there comes back, even if the next stage never ends
  [ -n "${OUT:-}" ] || return 0
  tar -czf "$OUT/logs.tmp" -C "$build_dir" logs 2>/dev/null
  mv "$OUT/logs.tmp" "$OUT/logs.tar.gz"
}

# ---- what is here ---------------------------------------------------------------------------------

find_cuda() {
  nvcc=$(command -v nvcc || true)
  for directory in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
    [ -n "$nvcc" ] || { [ -x "$directory/bin/nvcc" ] && nvcc=$directory/bin/nvcc; }
  done
  cuda=''
  [ -z "$nvcc" ] || cuda=$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)
  # cuSOLVER and CUPTI are opened at run time; they may come with the toolkit or with Python's packages.
  found="$cuda/lib64:$cuda/extras/CUPTI/lib64:/usr/local/cuda/lib64:/usr/local/cuda/extras/CUPTI/lib64"
  wheels=$(python3 -c 'import os, nvidia; print("\n".join(nvidia.__path__))' 2>/dev/null || true)
  for place in $wheels; do
    for library in "$place"/*/lib; do
      [ -d "$library" ] && found=$found:$library
    done
  done
  LD_LIBRARY_PATH=$found${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
  gpu='' gpu_file=gpu
  if [ $simt = 1 ]; then
    gpu='CPU run of the kernels, no timing' gpu_file=simt
    unset LD_LIBRARY_PATH
  else
    ask_device
    gpu_file=$(echo "$gpu" | tr 'A-Z ' 'a-z_' | tr -cd 'a-z0-9_.-')
    [ -n "$gpu_file" ] || gpu_file=gpu
  fi
  [ -n "$arch" ] || arch=sm_90
  say "device: ${gpu:-none}; nvcc: ${nvcc:-none}; architecture: $arch"
}

# Name and architecture of the first GPU: from nvidia-smi, or else from the runtime of CUDA.
ask_device() {
  capability=''
  if command -v nvidia-smi >/dev/null; then
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ')
  fi
  case $capability in
  *[!0-9]* | '') capability='' gpu='' ;; # an error message
  esac
  if [ -z "$capability" ] && [ -n "$nvcc" ]; then
    cat >"$build_dir/device.cu" <<'EOT'
#include <cstdio>
int main() {
  cudaDeviceProp p;
  if (cudaGetDeviceProperties(&p, 0) != cudaSuccess)
    return 1;
  std::printf("%d%d %s\n", p.major, p.minor, p.name);
}
EOT
    "$nvcc" -o "$build_dir/device" "$build_dir/device.cu" >"$logs/device.log" 2>&1 &&
      "$build_dir/device" >"$build_dir/device.txt" 2>>"$logs/device.log" &&
      read -r capability gpu <"$build_dir/device.txt"
  fi
  [ -n "$arch" ] || [ -z "$capability" ] || arch=sm_$capability
}

# The header of cuSOLVER: the toolkit's, that of Python's packages, or the stand-in, which has the prototypes of CUDA 13.
# The library is opened at run time; without it, there is no VENDOR.
find_cusolver() {
  cusolver_include=''
  for directory in "$cuda/include" $(for place in $wheels; do echo "$place/cu13/include $place/cusolver/include"; done); do
    [ -n "$cusolver_include" ] || [ ! -f "$directory/cusolverDn.h" ] || cusolver_include=$directory
  done
  cusolver_major=12
  if [ -z "$cusolver_include" ]; then
    cusolver_include=$root/tests/simt/cusolver/nocuda
  elif [ -f "$cusolver_include/cusolver_common.h" ]; then
    cusolver_major=$(sed -n 's/.*define *CUSOLVER_VER_MAJOR *\([0-9]*\).*/\1/p' "$cusolver_include/cusolver_common.h")
  fi
}

has_vendor() { # has_vendor <stage>
  [ $simt = 0 ] || return 0
  find_cusolver
  for directory in $(echo "$LD_LIBRARY_PATH" | tr : ' '); do
    [ ! -f "$directory/libcusolver.so.$cusolver_major" ] || return 0
  done
  if ldconfig -p 2>/dev/null | grep -q "libcusolver.so.$cusolver_major "; then return 0; fi
  say "$1: libcusolver.so.$cusolver_major is missing, so VENDOR is left out"
  return 1
}

# ---- build ----------------------------------------------------------------------------------------

# The sources say what is built, by where they lie: every test that goes over test_backends or the settings is one of all
# backends, every tests/gpu/test_*.c is a program of its own, and the bench takes from bench/bench_*.c what it needs.
# Left out: the tests that ask for backends which are not linked here, and the one that compares with LAPACK's QR.
tests_of_all=$(cd "$root/tests" && grep -lwE 'test_backends|settings_for_\w+' test_*.c | sed 's/^test_//; s/\.c$//' | grep -vxE 'arguments|strides|empty|handle|backends|environment|fork|stack|threads|short_groups|tall|cuda_absent|integers')
tests_of_device=$(cd "$root/tests/gpu" && ls test_*.c | sed 's/\.c$//')

compile() { # compile <object> <source> <command...>: queues the command unless the object is newer than everything
  object=$build_dir/obj/$1 source=$2
  shift 2
  objects="$objects $object"
  # shellcheck disable=SC3013 # dash has -nt, too
  if [ $all_old = 0 ] && [ "$object" -nt "$source" ]; then return; fi
  # An old object must not stand for one that does not compile any more.
  queue=$build_dir/commands
  case $source in *.cu) queue=$build_dir/kernels ;; esac # begun first, for they take longest
  printf '%s\0' "rm -f '$object'; $launcher $* -c '$source' -o '$object'" >>"$queue"
}

run_queue() { # run_queue <name>: all of it, whatever fails
  cat "$build_dir/kernels" "$build_dir/commands" >"$build_dir/all"
  : >"$build_dir/kernels"
  [ -s "$build_dir/all" ] || return 0
  limited 540 "$1" xargs -0 -n 1 -P "$jobs" sh -c <"$build_dir/all"
}

prepare_headers() {
  mkdir -p "$build_dir/include/svdgrad"
  version=$(sed -n 's/^project(svdgrad VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
  major=${version%%.*} rest=${version#*.}
  sed "s/@PROJECT_VERSION_MAJOR@/$major/; s/@PROJECT_VERSION_MINOR@/${rest%%.*}/
    s/@PROJECT_VERSION_PATCH@/${rest#*.}/; s/@PROJECT_VERSION@/$version/" \
    "$root/include/svdgrad/version.h.in" >"$build_dir/version.h"
  cmp -s "$build_dir/version.h" "$build_dir/include/svdgrad/version.h" ||
    cp "$build_dir/version.h" "$build_dir/include/svdgrad/version.h"
  cmp -s "$root/include/svdgrad/export.h.in" "$build_dir/include/svdgrad/export.h" ||
    cp "$root/include/svdgrad/export.h.in" "$build_dir/include/svdgrad/export.h"
}

compile_all() {
  all_old=1
  flags="$arch $simt $fma $cuda"
  if [ -f "$build_dir/stamp" ] && [ "$(cat "$build_dir/stamp")" = "$flags" ]; then
    newer=$(find "$root/src" "$root/include" "$root/tests" "$root/bench" -newer "$build_dir/stamp" \
      \( -name '*.h' -o -name '*.cuh' -o -name '*.hpp' -o -name '*.in' \) | head -n 1)
    [ -n "$newer" ] || all_old=0
  fi
  : >"$build_dir/commands"
  : >"$build_dir/kernels"
  includes="-I'$root/src' -I'$root/include' -I'$build_dir/include' -I'$root/src/cuda' -I'$root/tests/gpu'"
  warnings="-Wall -Wextra -Wshadow -Wconversion"
  defines="-DSVDGRAD_HAVE_CUDA=1 -DSVDGRAD_HAVE_OPENMP=0 -DSVDGRAD_HAVE_LAPACK=0 -DTEST_HAVE_CUDA=1 -DTEST_ONLY_CUDA=1 -DTEST_SIMT=$simt -DTEST_SAMPLED=$simt"
  if [ $simt = 1 ]; then
    includes="$includes -I'$root/tests/simt' -isystem '$root/tests/simt/nocuda' -isystem '$root/tests/simt/cusolver/nocuda'"
    defines="$defines '-DSVDGRAD_CUSOLVER_LIBRARY=\"$build_dir/libfake_cusolver.so\"'"
    kernel_compiler="g++ -x c++ -std=c++17 -O1 -w -fPIC $includes"
    [ $fma = 0 ] || kernel_compiler="$kernel_compiler -mfma -ffp-contract=fast"
    launcher=$(command -v ccache || true)
  else
    includes="$includes -isystem '$cuda/include'"
    find_cusolver
    [ "$cusolver_include" = "$cuda/include" ] || includes="$includes -isystem '$cusolver_include'"
    defines="$defines '-DSVDGRAD_CUSOLVER_LIBRARY=\"libcusolver.so.$cusolver_major\"'"
    kernel_compiler="'$nvcc' -std=c++17 -O3 -DNDEBUG -Xcompiler=-fPIC $includes"
    # No PTX: it would take as much room as the code for this GPU.
    kernel_compiler="$kernel_compiler -gencode=arch=compute_${arch#sm_},code=$arch"
    # Passes over the kernels of one file at once, where the compiler can (CUDA 12.1).
    if "$nvcc" --help | grep -q -e --split-compile; then kernel_compiler="$kernel_compiler -split-compile=4"; fi
    launcher=''
  fi
  cc="gcc -std=c11 -O2 -fPIC -fcx-limited-range -D_POSIX_C_SOURCE=200809L $warnings $defines $includes"
  compile_library
  compile_tests
  compile_bench
  run_queue compile && printf '%s' "$flags" >"$build_dir/stamp"
}

# The library with the backend linked in, and what is in its place where the backend is a module.
compile_library() {
  objects=''
  for source in "$root"/src/*.c "$root"/src/api/*.c "$root"/src/base/*.c "$root"/src/functions/*.c "$root"/src/ref/*.c "$root/tests/gpu/no_cpu_backend.c"; do
    case $source in */module.c) continue ;; esac
    case $source in
    */ref/kernels.c | */ref/machine.c) # typed files: src/base/type.h
      for type in f32 f64 c64 c128; do
        compile "lib_$(basename "$source" .c)_$type.o" "$source" "$cc -DSVDGRAD_TYPE=$type"
      done
      ;;
    *) compile "lib_$(basename "$source" .c).o" "$source" "$cc" ;;
    esac
  done
  if [ $simt = 1 ]; then
    for source in "$root"/tests/simt/shim/*.cpp; do
      compile "simt_$(basename "$source" .cpp).o" "$source" g++ -std=c++17 -O3 -fPIC "-I'$root/tests/simt/shim' $includes"
    done
  fi
  core=$objects objects=''
  for source in "$root"/src/cuda/*.c; do
    case $source in *_module.c | *_error.c | *_linked.c) continue ;; esac
    compile "cuda_$(basename "$source" .c).o" "$source" "$cc"
  done
  for type in c64 c128 f64 f32; do # the slowest first
    if [ -n "$kernels" ] && [ -f "$kernels/inst_$type.cu.o" ]; then
      objects="$objects '$kernels/inst_$type.cu.o'"
    else
      compile "cuda_inst_$type.o" "$root/src/cuda/kernels/inst_$type.cu" "$kernel_compiler"
    fi
  done
  backend=$objects objects=''
  compile cuda_linked.o "$root/src/cuda/cuda_linked.c" "$cc"
  linked=$objects objects=''
  compile cuda_module.o "$root/src/cuda/cuda_module.c" "$cc"
  compile cuda_error.o "$root/src/cuda/cuda_error.c" "$cc"
  module=$objects objects=''
  compile module.o "$root/src/module.c" "$cc"
  loader=$objects
}

compile_tests() {
  includes_of_tests="-I'$root/tests/stand_in' -I'$root/tests' -I'$root/tests/support' -I'$root/tests/vectors'"
  objects=''
  for source in "$root"/tests/cases.c "$root"/tests/vectors/*.c "$root"/tests/support/*.c; do
    case $source in */qr_values.c) continue ;; esac # calls LAPACK
    compile "support_$(basename "$source" .c).o" "$source" "$cc $includes_of_tests"
  done
  support=$objects objects=''
  for test in $tests_of_all; do
    compile "test_$test.o" "$root/tests/test_$test.c" "$cc $includes_of_tests"
  done
  for test in $tests_of_device; do
    compile "$test.o" "$root/tests/gpu/$test.c" "$cc $includes_of_tests"
  done
  compile smoke.o "$root/tests/gpu/smoke.c" "$cc $includes_of_tests"
  compile shared_handle.o "$root/tests/gpu/shared_handle.c" "$cc"
  objects=''
  for source in "$root"/tests/gpu/*.c; do
    case $source in */test_*.c | */smoke.c | */shared_handle.c | */no_cpu_backend.c) continue ;; esac
    compile "gpu_$(basename "$source" .c).o" "$source" "$cc $includes_of_tests"
  done
  for source in "$root"/tests/gpu/*.cu; do
    compile "gpu_$(basename "$source" .cu).o" "$source" "$kernel_compiler"
  done
  device_support=$objects
}

compile_bench() {
  includes_of_bench="$includes_of_tests -I'$root/bench' -I'$root/bench/gpu' '-DBENCH_COMPILER=\"gcc\"'"
  objects=''
  for source in "$root"/bench/gpu/*.c; do
    compile "bench_gpu_$(basename "$source" .c).o" "$source" "$cc $includes_of_bench"
  done
  for source in "$root"/bench/gpu/*.cu; do
    compile "bench_gpu_$(basename "$source" .cu).o" "$source" "$kernel_compiler $includes_of_bench -DTEST_SIMT=$simt"
  done
  bench=$objects objects=''
  for source in "$root"/bench/bench_*.c; do
    compile "$(basename "$source" .c).o" "$source" "$cc $includes_of_bench"
  done
  bench_support=$objects
}

# archive <file> <objects>
archive() {
  file=$1
  shift
  printf '%s\0' "rm -f '$file'; ar rcs '$file' $*" >>"$build_dir/commands"
}

link() { # link <program> <objects and archives>
  program=$1
  shift
  printf '%s\0' "rm -f '$build_dir/$program'; g++ -o '$build_dir/$program' $* $library $libraries" \
    >>"$build_dir/commands"
}

# What programs are linked with: on a GPU a shared library, so that they stay small, with the shared runtime of CUDA, so
# that there is one runtime in a program; where that is missing, and for the CPU run, an archive.
choose_libraries() {
  library="'$build_dir/libsvdgrad.a'"
  # cuSOLVER's handles take long to make: the tests of VENDOR share one.
  wrap="-Wl,--wrap=svdgrad_create,--wrap=svdgrad_destroy"
  support_library="$support '$objects_dir/shared_handle.o' $wrap"
  if [ $simt = 1 ]; then
    libraries="-rdynamic -ldl -lpthread -lm"
    printf '%s\0' "g++ -shared -fPIC -std=c++17 -O2 -w -I'$root/tests/simt' -I'$root/tests/simt/cusolver' \
      -isystem '$root/tests/simt/nocuda' -isystem '$root/tests/simt/cusolver/nocuda' \
      '$root/tests/simt/cusolver/fake_cusolver.cpp' -o '$build_dir/libfake_cusolver.so' -llapack -lblas" \
      >>"$build_dir/commands"
    return
  fi
  libraries="-L'$cuda/lib64' -L'$cuda/lib' -lcudart -ldl -lrt -lpthread -lm"
  if [ ! -e "$cuda/lib64/libcudart.so" ] && [ ! -e "$cuda/lib/libcudart.so" ]; then
    libraries="-L'$cuda/lib64' -L'$cuda/lib' -lcudart_static -ldl -lrt -lpthread -lm"
    return
  fi
  # Copied, so that the folder runs elsewhere.
  printf '%s\0' "for file in '$cuda'/lib64/libcudart.so.[0-9]* '$cuda'/lib/libcudart.so.[0-9]*; do
    [ ! -e \"\$file\" ] || cp -L \"\$file\" '$build_dir' || exit; done" >>"$build_dir/commands"
  libraries="$libraries '-Wl,-rpath,\$ORIGIN'"
  library="'$build_dir/libsvdgrad_gpu.so'" support_library="'$build_dir/libsvdgrad_tests.so'"
  printf '%s\0' "g++ -shared -o '$build_dir/libsvdgrad_gpu.so' $core $backend $linked $libraries &&
    g++ -shared -o $support_library $support '$objects_dir/shared_handle.o' $wrap $library $libraries" \
    >>"$build_dir/commands"
}

# Each part is a queue of its own: where the bench does not build, the tests do.
link_all() {
  : >"$build_dir/commands"
  objects_dir=$build_dir/obj
  archive "$build_dir/libsvdgrad.a" "$core $backend $linked"
  archive "$build_dir/libbench.a" "$bench_support" # the linker takes what the bench calls
  choose_libraries
  run_queue archive
  : >"$build_dir/commands"
  for test in $tests_of_all; do
    link "test_$test" "'$objects_dir/test_$test.o' $support_library $wrap"
  done
  link smoke "'$objects_dir/smoke.o' $support_library"
  run_queue link_tests
  : >"$build_dir/commands"
  for test in $tests_of_device; do
    link "$test" "'$objects_dir/$test.o' $device_support $support_library"
  done
  # As users have it: the program opens the backend, which lies beside it.  Of the CPU run there is one runtime for both.
  runtime_of_module=$libraries
  [ $simt = 0 ] || runtime_of_module=''
  major=$(sed -n 's/^project(svdgrad VERSION \([0-9]*\)\..*/\1/p' "$root/CMakeLists.txt")
  printf '%s\0' "g++ -shared -o '$build_dir/libsvdgrad_cuda.so.$major' $module $backend $runtime_of_module \
    -Wl,--version-script='$root/cmake/svdgrad_cuda.map'" >>"$build_dir/commands"
  printf '%s\0' "g++ -o '$build_dir/test_module' '$objects_dir/test_host_code.o' $device_support $support $core \
    $loader $libraries" >>"$build_dir/commands"
  run_queue link_device
  : >"$build_dir/commands"
  link gpu_bench "$bench '$build_dir/libbench.a' $support_library"
  run_queue link_bench
}

stage_build() {
  if [ $simt = 0 ] && [ -z "$nvcc" ]; then
    if [ -x "$build_dir/test_device" ]; then
      say "no nvcc: taking what is in $build_dir"
      pass
    else
      fail "build: no nvcc, and nothing built in $build_dir"
    fi
    return
  fi
  prepare_headers
  compile_all
  link_all
}

# ---- the other stages -----------------------------------------------------------------------------

has_gpu() { # has_gpu <stage>
  [ -z "$gpu" ] || return 0
  say "$1: no GPU here"
  fail "$1: no GPU"
  return 1
}

# A later call may find another machine, without the build of the first.
need_build() { # need_build <program>
  [ ! -x "$build_dir/$1" ] || return 0
  say "$1 is not built: build"
  stage_build
}

smoke_parts() { sed -n 's/^SMOKE(\([a-z_]*\),.*/\1/p' "$here/smoke.c"; }

stage_smoke() {
  has_gpu smoke || return
  need_build smoke
  names=''
  vendor=1
  has_vendor smoke || vendor=0
  for part in $(smoke_parts); do
    case $vendor$part in 0*gesvdj) continue ;; esac
    queue_test 60 "smoke_$part" TEST_IN_PROCESS=1
  done
  run_tests
}

# Where `device` follows, it keeps a fifth of the time.
stage_test() {
  has_gpu test || return
  need_build test_forward
  case $stages in *test*device*) end=$((began + deadline / 5 * 4)) ;; esac
  for algorithm in jacobi vendor; do
    [ $algorithm = jacobi ] || has_vendor test || continue
    names=''
    for test in $tests_of_all; do
      queue_test 300 "test_${test}_$algorithm" TEST_IN_PROCESS=1
    done
    run_tests
    pack_logs
  done
  end=$((began + deadline))
}

stage_device() {
  has_gpu device || return
  need_build test_device
  late='' # on the CPU run, work that runs as late as it may
  [ $simt = 0 ] || late=SIMT_ASYNC=1
  for test in $tests_of_device; do
    limited 400 "$test" env $late "$build_dir/$test"
  done
  limited 100 test_module env $late "$build_dir/test_module"
  [ $simt = 0 ] || limited 100 test_host_code_two env SIMT_DEVICES=2 TEST_FILTER=no_context "$build_dir/test_host_code"
  [ $simt = 0 ] || limited 100 test_device_two env SIMT_DEVICES=2 TEST_FILTER=callers_device "$build_dir/test_device"
}

# ---- bench ----------------------------------------------------------------------------------------

# Ours first and the frameworks last, so that what matters most is there if time runs out.
stage_bench() {
  has_gpu bench || return
  need_build gpu_bench
  if [ $simt = 1 ]; then
    limited 480 gpu_bench "$build_dir/gpu_bench" --tiny --output "$results/$gpu_file.csv"
    return
  fi
  options=''
  [ $quick = 0 ] || options="--quick"
  # shellcheck disable=SC2086 # a list of options
  limited 200 gpu_bench "$build_dir/gpu_bench" $options --algo jacobi --seconds 150 --output "$results/$gpu_file.csv"
  pack_logs
  if has_vendor bench; then
    # shellcheck disable=SC2086
    limited 110 gpu_bench_vendor "$build_dir/gpu_bench" $options --algo vendor --reps 3 --seconds 70 \
      --output "$results/${gpu_file}_vendor.csv"
  fi
  bench_frameworks
}

# With the libraries that each brings along itself, and not those of the toolkit.
bench_frameworks() {
  if ! command -v python3 >/dev/null; then
    say "bench: python3 is missing, so the frameworks are left out"
    return
  fi
  file=$results/${gpu_file}_frameworks.csv
  rm -f "$build_dir/torch.csv" "$build_dir/cupy.csv" "$build_dir/jax.csv"
  for framework in torch cupy jax; do
    # shellcheck disable=SC2086
    limited 130 "$framework" env -u LD_LIBRARY_PATH python3 "$root/bench/gpu/frameworks.py" $options --fixed \
      --frameworks $framework --seconds 70 --output "$build_dir/$framework.csv"
    cat "$build_dir"/torch.csv "$build_dir"/cupy.csv "$build_dir"/jax.csv 2>/dev/null | awk '!/^backend,/ || !seen++' >"$file"
  done
}

stage_report() {
  command -v python3 >/dev/null || { say "report: python3 is missing" && return; }
  set --
  for file in "$results/$gpu_file.csv" "$results/${gpu_file}_vendor.csv" "$results/${gpu_file}_frameworks.csv"; do
    [ ! -f "$file" ] || set -- "$@" "$file"
  done
  [ $# -gt 0 ] || { say "report: no results in $results" && return; }
  limited 60 report python3 "$root/bench/gpu/report.py" "$@" --table "$results/$gpu_file.md" \
    --plot "$results/$gpu_file.png"
}

# ---- profile and sanitize -------------------------------------------------------------------------

find_tool() { # find_tool <name>: in $tool, from the PATH or the toolkit
  tool=$(command -v "$1" || true)
  for file in "$cuda/bin/$1" /opt/nvidia/nsight-compute/*/"$1"; do
    [ -n "$tool" ] || [ ! -x "$file" ] || tool=$file
  done
}

# One forward and one backward call for every kernel family; of each the first launches.  Clocks stay as they are, for the
# machine may not be ours alone.
stage_profile() {
  has_gpu profile || return
  if [ $simt = 1 ]; then
    say "profile: the CPU run has no counters"
    return
  fi
  find_tool ncu
  if [ -z "$tool" ]; then
    say "profile: ncu is missing"
    return
  fi
  need_build gpu_bench
  case $stages in *profile*sanitize*) end=$((began + deadline / 2)) ;; esac
  profile_all
  end=$((began + deadline))
}

profile_all() {
  for dtype in f32 f64; do
    for size in 3x3/262144 1024x3/512 8x8/65536 32x32/8192 64x64/2048 256x256/32; do
      for op in svd backward; do
        profiled "$dtype" "$size" "$op" || return
      done
    done
  done
}

# The first that gets no counters ends the stage: the others would not, either.
profiled() { # profiled <dtype> <MxN/batch> <op>
  limited 60 "ncu_$1_${2%/*}_$3" "$tool" --clock-control none --profile-from-start off --launch-count 4 \
    --section SpeedOfLight --section LaunchStats --section Occupancy --section WarpStateStats \
    --section MemoryWorkloadAnalysis "$build_dir/gpu_bench" --dtype "$1" --algo jacobi --case "${2%/*}" --batch "${2#*/}" \
    --once "$3" || return
  if grep -q '^==ERROR==' "$logs/ncu_$1_${2%/*}_$3.log"; then
    fail "ncu: $(grep '^==ERROR==' "$logs/ncu_$1_${2%/*}_$3.log" | head -n 1)"
    return 1
  fi
  grep -E '^  [A-Za-z_].*\([0-9]+, [0-9]+, [0-9]+\)|Duration|Compute \(SM\) Throughput|Memory Throughput +%' \
    "$logs/ncu_$1_${2%/*}_$3.log" | cut -c 1-120 | sed 's/^/      /' || true
}

# Slow, so small problems; in one process, so that the tool need not follow forks.
stage_sanitize() {
  has_gpu sanitize || return
  if [ $simt = 1 ]; then
    say "sanitize: the sanitizers of tests/simt do this on the CPU"
    return
  fi
  find_tool compute-sanitizer
  if [ -z "$tool" ]; then
    say "sanitize: compute-sanitizer is missing"
    return
  fi
  need_build smoke
  for check in memcheck racecheck synccheck; do
    names=''
    for part in $(smoke_parts | grep -v gesvdj); do # of our kernels
      sanitized $check "smoke_$part" smoke "smoke::$part"
    done
    sanitized $check test_device test_device anywhere_in_the_batch
    sanitized $check test_golden test_golden golden
    run_queued
    for name in $names; do
      tally "$name"
    done
    pack_logs
  done
}

sanitized() { # sanitized <check> <name> <program> <filter>
  queued 150 "$1_$2" env TEST_IN_PROCESS=1 TEST_NO_CUPTI=1 TEST_LIGHT=1 TEST_ALGO=jacobi "TEST_FILTER=$4" \
    "$tool" --tool "$1" --error-exitcode 9 "$build_dir/$3"
}

find_cuda
for stage in $stages; do
  say "$stage"
  "stage_$stage"
  pack_logs
done
[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
