/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of lanes.h for one element type and one instruction set: compiled once for each pair, with the flags of
 * the instruction set, by a stub that CMake writes (cmake/SvdgradLanes.cmake), which defines
 *
 *   LANES_ISA     avx512, avx2, neon, portable
 *   LANES_HEADER  "isa_avx512.h", ...
 *   LANES_TYPE    f32, f64, c64, c128; and ONE_TYPE, ONLY_f32, ... of each_type.h */
#include "lanes.h"

#include "../../calls.h"
#include "rules/gap_policy.h"
#include LANES_HEADER

#include <string.h>

#include "ahead.h"
#include "chunks.h"

#define INLINE static inline __attribute__((always_inline))

#define UNROLL _Pragma("GCC unroll 8") /* of loops over the columns of two blocks: arrays then live in registers */

#define LANES_PASTE_(a, b) a##_##b
#define LANES_PASTE(a, b)  LANES_PASTE_(a, b)

/* Functions of a register (isa_*.h) by the suffix of the real type. */
#define REAL_f32          f32
#define REAL_f64          f64
#define REAL_c64          f32
#define REAL_c128         f64
#define OF_REAL(function) LANES_PASTE(function, LANES_PASTE(REAL, TYPE_SUFFIX))
#define FMA               OF_REAL(fma)
#define FNMA              OF_REAL(fnma)
#define SQRT              OF_REAL(sqrt)
#define NEARLY            OF_REAL(nearly_of)
#define SMALLER           OF_REAL(smaller_lane)
#define LARGER            OF_REAL(larger_lane)
#define ANY               OF_REAL(any_lane)
#define LOAD_PART         OF_REAL(load_part)
#define STORE_PART        OF_REAL(store_part)
#define VECTOR            OF_REAL(v)
#define INTEGER           OF_REAL(integer)
#define MASK              OF_REAL(mask)

typedef int32_t integer_f32;
typedef int64_t integer_f64;
typedef integer_f32 mask_f32 __attribute__((vector_size(LANES_BYTES)));
typedef integer_f64 mask_f64 __attribute__((vector_size(LANES_BYTES)));

#define MANTISSA_BITS    OF_REAL(MANTISSA)
#define EXPONENT_BIAS    OF_REAL(BIAS)
#define SCALED_EXPONENT  OF_REAL(SCALED)
#define PRODUCT_EXPONENT OF_REAL(PRODUCT)
enum { PRODUCT_f32 = 20, PRODUCT_f64 = 400 };
enum { MANTISSA_f32 = 23, BIAS_f32 = 127, SCALED_f32 = 20, MANTISSA_f64 = 52, BIAS_f64 = 1023, SCALED_f64 = 200 };

#define SMALLEST_NORMAL OF_REAL(smallest_normal)
#define SMALLEST_SQUARE (SMALLEST_NORMAL / EPSILON)
static const float smallest_normal_f32 = 0x1p-126F;
static const double smallest_normal_f64 = 0x1p-1022;

#define PRODUCT_FLOOR OF_REAL(product_floor) /* 2^PRODUCT_EXPONENT over it is finite */
static const float product_floor_f32 = 0x1p-103F;
static const double product_floor_f64 = 0x1p-550;

#define LARGEST       OF_REAL(largest)
#define LARGEST_POWER OF_REAL(largest_power) /* of two, such that its inverse is a normal number too */
static const float largest_f32 = 0x1.fffffep127F, largest_power_f32 = 0x1p126F;
static const double largest_f64 = 0x1.fffffffffffffp1023, largest_power_f64 = 0x1p1022;

#define BODY "cpu/lanes/each.inc"
#include "../../each_type.h"

#define KERNELS(type) KERNELS_(type)
#define KERNELS_(type)                                                                                                 \
  {                                                                                                                    \
    LANES_##type, svd_scratch_##type, svd_##type, backward_scratch_##type, backward_##type,                            \
        {LANES_##type, group_load_##type, group_store_##type, group_multiply_##type, group_scale_columns_##type},      \
        {group_power_scratch_##type, group_power_##type}, {row_largest_##type, row_products_##type, row_sums_##type},  \
        {LANES_##type, bidiagonalize_##type, factor_panel_##type, gram_of_##type},                                     \
  }

const lane_kernels_t LANES_PASTE(LANES_PASTE(lanes, LANES_ISA), LANES_TYPE) = KERNELS(LANES_TYPE);
