# SPDX-License-Identifier: BSD-3-Clause
# The kernels that put a matrix into each SIMD lane: src/cpu/lanes/lanes.c once for each element type and each
# instruction set of the processor family, with its flags.  Which one runs is decided at run time (lanes_choice.c).
set(SVDGRAD_LANES_OBJECTS)

# The same bits either way; without them the kernels compile three times as fast.
option(SVDGRAD_FIXED_SIZES "SVD kernels of their own for square matrices of 5 to 9 columns: 4 to 15 percent faster" ON)

# No contraction: a matrix gets the same bits in every lane, and FMA is written where it is meant.
function(svdgrad_lanes isa)
  set(stubs)
  foreach(type f32 f64 c64 c128) # a translation unit each, so that no core waits for one large file
    set(stub "${CMAKE_CURRENT_BINARY_DIR}/lanes/lanes_${isa}_${type}.c")
    file(CONFIGURE OUTPUT "${stub}" CONTENT
      "#define LANES_TYPE @type@\n#define ONE_TYPE\n#define ONLY_@type@\n#include \"cpu/lanes/lanes.c\"\n" @ONLY)
    list(APPEND stubs "${stub}")
  endforeach()
  add_library(svdgrad_lanes_${isa} OBJECT ${stubs})
  set_target_properties(svdgrad_lanes_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  target_compile_definitions(svdgrad_lanes_${isa} PRIVATE
    LANES_ISA=${isa} LANES_HEADER="isa_${isa}.h"
    SVDGRAD_FIXED_SIZES=$<BOOL:${SVDGRAD_FIXED_SIZES}>)
  target_include_directories(svdgrad_lanes_${isa} PRIVATE src include "${CMAKE_CURRENT_BINARY_DIR}/include")
  svdgrad_flags(svdgrad_lanes_${isa})
  target_compile_options(svdgrad_lanes_${isa} PRIVATE -ffp-contract=off -fno-math-errno
    ${ARGN})
  # One large function per type: instrumented, or optimized by clang, it takes a compiler many minutes.
  if(SVDGRAD_SANITIZE)
    target_compile_options(svdgrad_lanes_${isa} PRIVATE -fno-sanitize=all $<$<C_COMPILER_ID:Clang>:-O0>)
  endif()
  set(SVDGRAD_LANES_OBJECTS ${SVDGRAD_LANES_OBJECTS} $<TARGET_OBJECTS:svdgrad_lanes_${isa}> PARENT_SCOPE)
endfunction()

# The widest that this machine's processor has: for a program that runs nowhere else.
function(svdgrad_native_isa result)
  set(${result} portable PARENT_SCOPE)
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -march=native -dM -E -x c /dev/null OUTPUT_VARIABLE macros ERROR_QUIET)
  if(macros MATCHES "__AVX512F__" AND macros MATCHES "__AVX512DQ__")
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
  svdgrad_lanes(${isa} ${flags_${isa}})
  string(TOUPPER ${isa} upper)
  target_compile_definitions(svdgrad_objects PRIVATE SVDGRAD_HAVE_${upper}=1)
endforeach()
