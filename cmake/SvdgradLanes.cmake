# SPDX-License-Identifier: BSD-3-Clause
# The SIMD kernels, src/cpu/simd: typed files (SvdgradTyped.cmake), once for each instruction set of the processor family,
# with its flags.  Which instruction set runs is decided at run time (choice.c).

# The same bits either way; without them the kernels compile three times as fast.
option(SVDGRAD_FIXED_SIZES "SVD kernels of their own for square matrices of 5 to 9 columns: 5 to 19 percent faster" ON)

# The kernels that a rest of a batch takes, too, with registers half as wide (exported.h).
set(SVDGRAD_NARROW_SOURCES
  src/cpu/simd/many/svd.c
  src/cpu/simd/many/fixed_sizes.c
  src/cpu/simd/many/small_sizes.c
  src/cpu/simd/many/values.c
  src/cpu/simd/many/vectors.c
  src/cpu/simd/many/backward.c)
set(SVDGRAD_LANES_SOURCES
  ${SVDGRAD_NARROW_SOURCES}
  src/cpu/simd/kernels.c
  src/cpu/simd/many/small_norm.c
  src/cpu/simd/many/power.c
  src/cpu/simd/many/programs.c
  src/cpu/simd/one/product.c
  src/cpu/simd/one/reflectors.c
  src/cpu/simd/one/rows.c
  src/cpu/simd/one/secular.c)
set(SVDGRAD_LANES_OBJECTS)

# svdgrad_lanes(<instruction set> SOURCES <files...> OPTIONS <flags...>) makes the target svdgrad_lanes_<instruction set>.
function(svdgrad_lanes isa)
  cmake_parse_arguments(arg "" "" "SOURCES;OPTIONS" ${ARGN})
  # No contraction: a matrix gets the same bits in every lane, and FMA is written where it is meant.
  set(options -ffp-contract=off -fno-math-errno ${arg_OPTIONS})
  # Large functions: instrumented, or optimized by clang, they take a compiler many minutes.
  if(SVDGRAD_SANITIZE)
    list(APPEND options -fno-sanitize=all $<$<C_COMPILER_ID:Clang>:-O0>)
  endif()
  svdgrad_typed(svdgrad_lanes_${isa} SOURCES ${arg_SOURCES} OPTIONS ${options}
    DEFINITIONS SVDGRAD_ISA=${isa} SVDGRAD_FIXED_SIZES=$<BOOL:${SVDGRAD_FIXED_SIZES}>)
  set(SVDGRAD_LANES_OBJECTS ${SVDGRAD_LANES_OBJECTS} ${svdgrad_lanes_${isa}_OBJECTS} PARENT_SCOPE)
endfunction()

# The widest that this machine's processor has: for a program that runs nowhere else.
function(svdgrad_native_isa result)
  set(${result} portable PARENT_SCOPE)
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -march=native -dM -E -x c /dev/null OUTPUT_VARIABLE macros ERROR_QUIET)
  if(macros MATCHES "__AVX512F__" AND macros MATCHES "__AVX512DQ__" AND macros MATCHES "__AVX512VL__")
    set(${result} avx512 PARENT_SCOPE)
  elseif(macros MATCHES "__AVX2__" AND macros MATCHES "__FMA__")
    set(${result} avx2 PARENT_SCOPE)
  elseif(macros MATCHES "__aarch64__")
    set(${result} neon PARENT_SCOPE)
  endif()
endfunction()

set(SVDGRAD_ISAS "" CACHE STRING
  "Instruction sets to compile SIMD kernels for; empty: all of the processor family; native: the widest of this machine")
if(SVDGRAD_ISAS STREQUAL "native")
  svdgrad_native_isa(isas)
  message(STATUS "svdgrad: SIMD kernels for ${isas} alone")
elseif(SVDGRAD_ISAS)
  set(isas ${SVDGRAD_ISAS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(isas portable avx2 avx512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(isas portable neon)
else()
  set(isas portable)
endif()

# gcc 12 folds masks into comparisons of 64-bit integers, which SSE2 does not have, and stops with an internal error.
set(flags_portable $<$<C_COMPILER_ID:GNU>:-fno-tree-forwprop>)
set(flags_avx2 -mavx2 -mfma)
set(flags_avx512 -mavx2 -mfma -mavx512f -mavx512dq)
set(flags_neon)
set(SVDGRAD_LANES_ISAS ${isas}) # the widest last
foreach(isa ${isas})
  svdgrad_lanes(${isa} SOURCES ${SVDGRAD_LANES_SOURCES} OPTIONS ${flags_${isa}})
  string(TOUPPER ${isa} upper)
  target_compile_definitions(svdgrad_objects PRIVATE SVDGRAD_HAVE_${upper}=1)
endforeach()
if("avx512" IN_LIST isas)
  svdgrad_lanes(avx512_narrow SOURCES ${SVDGRAD_NARROW_SOURCES} OPTIONS ${flags_avx512} -mavx512vl)
endif()
