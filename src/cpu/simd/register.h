/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements in registers.  V is a register of reals, M one of masks, E one element of T from each of LANES matrices (or
 * rows): one register, or two for a complex T.  In memory an array of E is an array of R: element e begins at real
 * e * PARTS * LANES.  A group of fewer than LANES matrices leaves lanes over, which hold copies of its
 * last matrix (memory/operands.h); nothing of them goes back to the caller.
 *
 * The compiler must neither contract nor reorder anything here, so that a matrix gets the same bits in every lane.
 *
 * SVDGRAD_ISA is the instruction set: portable (where a file is opened alone), avx2, avx512, avx512_narrow or neon. */
#ifndef SVDGRAD_SIMD_REGISTER_H
#define SVDGRAD_SIMD_REGISTER_H
#include "base/type.h"

#ifndef SVDGRAD_ISA
#define SVDGRAD_ISA portable
#endif

/* For the preprocessor. */
#define ISA_NUMBER_portable      0
#define ISA_NUMBER_avx2          1
#define ISA_NUMBER_avx512        2
#define ISA_NUMBER_neon          3
#define ISA_NUMBER_avx512_narrow 4
#define ISA_NUMBER               TYPE_PASTE(ISA_NUMBER, SVDGRAD_ISA)

#if ISA_NUMBER == 1
#include "isa/avx2.h"
#elif ISA_NUMBER == 2
#include "isa/avx512.h"
#elif ISA_NUMBER == 3
#include "isa/neon.h"
#elif ISA_NUMBER == 4
#include "isa/avx512_narrow.h"
#else
#include "isa/portable.h"
#endif

#include <string.h>

/* The name under which a table goes to other files: name_<instruction set>_<type>. */
#define EXPORTED(name) TYPED(TYPE_PASTE(name, SVDGRAD_ISA))
#if IS_DOUBLE
#define REAL_EXPORTED(name) TYPE_PASTE(TYPE_PASTE(name, SVDGRAD_ISA), f64) /* that of the real type */
#else
#define REAL_EXPORTED(name) TYPE_PASTE(TYPE_PASTE(name, SVDGRAD_ISA), f32)
#endif

#define UNROLL _Pragma("GCC unroll 8") /* of loops over the columns of two blocks: arrays then live in registers */

enum { LANES = LANES_BYTES / (int)sizeof(R), PARTS = 1 + IS_COMPLEX };
enum { CHUNK = 16 / (int)sizeof(R) }; /* reals of 16 bytes */

/* ---- range of R ---- */

#if IS_DOUBLE
enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1023, SCALED_EXPONENT = 200, PRODUCT_EXPONENT = 400 };
#define SMALLEST_NORMAL DBL_MIN
#define LARGEST         DBL_MAX
#define LARGEST_POWER   0x1p1022 /* of two, such that its inverse is a normal number too */
#define PRODUCT_FLOOR   0x1p-550 /* 2^PRODUCT_EXPONENT over it is finite */
#else
enum { MANTISSA_BITS = 23, EXPONENT_BIAS = 127, SCALED_EXPONENT = 20, PRODUCT_EXPONENT = 20 };
#define SMALLEST_NORMAL FLT_MIN
#define LARGEST         FLT_MAX
#define LARGEST_POWER   0x1p126F
#define PRODUCT_FLOOR   0x1p-103F
#endif
#define SMALLEST_SQUARE (SMALLEST_NORMAL / EPSILON)

/* ---- reals ---- */

INLINE V broadcast(R x) { return x - (V){0}; } /* not x + (V){0}, which would lose the sign of -0 */
INLINE V choose_real(M mask, V yes, V no) { return (V)((mask & (M)yes) | (~mask & (M)no)); }
INLINE V absolute(V x) { return (V)((M)x & ~(M)broadcast((R)-0.0)); }
INLINE V with_sign(V x, V sign) { return (V)((M)x ^ ((M)sign & (M)broadcast((R)-0.0))); }

INLINE V load_real(const R *x) {
  V v;
  memcpy(&v, x, sizeof v);
  return v;
}

INLINE void store_real(R *x, V v) { memcpy(x, &v, sizeof v); }

/* 2^exponent. */
INLINE V power_of_two(M exponent) { return (V)((exponent + EXPONENT_BIAS) << MANTISSA_BITS); }

typedef R chunk_t __attribute__((vector_size(16)));

/* The sum of all lanes. */
INLINE R sum_lanes(V x) {
  chunk_t parts[LANES / CHUNK];
  memcpy(parts, &x, sizeof x);
  UNROLL
  for (int i = 1; i < LANES / CHUNK; i++)
    parts[0] += parts[i];
  R sum = parts[0][0];
  UNROLL
  for (int i = 1; i < CHUNK; i++)
    sum += parts[0][i];
  return sum;
}

/* ---- elements ---- */

#if IS_COMPLEX
typedef struct element_register {
  V re, im;
} E;
#else
typedef V E;
#endif

/* The array from element e on. */
INLINE R *element_at(const R *x, int64_t e) { return (R *)x + e * (PARTS * LANES); }

INLINE E load(const R *x, int64_t e) {
  const R *from = x + e * (PARTS * LANES);
  V re = load_real(from);
  LOAD_ONCE(re);
#if IS_COMPLEX
  V im = load_real(from + LANES);
  LOAD_ONCE(im);
  return (E){re, im};
#else
  return re;
#endif
}

INLINE void store(R *x, int64_t e, E v) {
  R *to = x + e * (PARTS * LANES);
#if IS_COMPLEX
  store_real(to, v.re);
  store_real(to + LANES, v.im);
#else
  store_real(to, v);
#endif
}

#if IS_COMPLEX

INLINE E from_real(V x) { return (E){x, {0}}; }
INLINE V real_part(E x) { return x.re; }
INLINE E conjugate(E x) { return (E){x.re, -x.im}; }
INLINE E negative(E x) { return (E){-x.re, -x.im}; }
INLINE E choose(M mask, E yes, E no) { return (E){choose_real(mask, yes.re, no.re), choose_real(mask, yes.im, no.im)}; }
INLINE E scaled(V s, E x) { return (E){s * x.re, s * x.im}; }
INLINE E add(E x, E y) { return (E){x.re + y.re, x.im + y.im}; }

/* x + y z */
INLINE E add_product(E x, E y, E z) {
  return (E){fnmadd(y.im, z.im, fmadd(y.re, z.re, x.re)), fmadd(y.im, z.re, fmadd(y.re, z.im, x.im))};
}
/* x + conj(y) z */
INLINE E add_conjugate_product(E x, E y, E z) {
  return (E){fmadd(y.im, z.im, fmadd(y.re, z.re, x.re)), fnmadd(y.im, z.re, fmadd(y.re, z.im, x.im))};
}
/* x - y z */
INLINE E subtract_product(E x, E y, E z) {
  return (E){fmadd(y.im, z.im, fnmadd(y.re, z.re, x.re)), fnmadd(y.im, z.re, fnmadd(y.re, z.im, x.im))};
}
/* x - conj(y) z */
INLINE E subtract_conjugate_product(E x, E y, E z) {
  return (E){fnmadd(y.im, z.im, fnmadd(y.re, z.re, x.re)), fmadd(y.im, z.re, fnmadd(y.re, z.im, x.im))};
}
/* x + s z */
INLINE E add_scaled(E x, V s, E z) { return (E){fmadd(s, z.re, x.re), fmadd(s, z.im, x.im)}; }
/* a + |x|^2 */
INLINE V add_square(V a, E x) { return fmadd(x.im, x.im, fmadd(x.re, x.re, a)); }
/* Re(conj(x) y) */
INLINE V real_product(E x, E y) { return fmadd(x.im, y.im, x.re * y.re); }
/* The larger one of |Re x| and |Im x|. */
INLINE V largest_part(E x) { return larger(absolute(x.re), absolute(x.im)); }
/* 0, or NaN where x is Inf or NaN. */
INLINE V nan_unless_finite(E x) { return x.re * 0 + x.im * 0; }

/* x / |x|, or 1 where |x| is not a normal number.  Squares are those of parts up to 1: where subnormal numbers are taken for
 * zero, a smaller x would lose one part and not the other. */
INLINE E phase(E x) {
  const V one = broadcast(1), size = largest_part(x);
  const M has_phase = (M)(size > broadcast(SMALLEST_NORMAL));
  const E y = scaled(1 / choose_real(has_phase, size, one), x);
  const V square = choose_real(has_phase, add_square((V){0}, y), one);
  return choose(has_phase, scaled(1 / square_root(square), y), from_real(one));
}

#else

INLINE E from_real(V x) { return x; }
INLINE V real_part(E x) { return x; }
INLINE E conjugate(E x) { return x; }
INLINE E negative(E x) { return -x; }
INLINE E choose(M mask, E yes, E no) { return choose_real(mask, yes, no); }
INLINE E scaled(V s, E x) { return s * x; }
INLINE E add(E x, E y) { return x + y; }
INLINE E add_product(E x, E y, E z) { return fmadd(y, z, x); }
INLINE E add_conjugate_product(E x, E y, E z) { return fmadd(y, z, x); }
INLINE E subtract_product(E x, E y, E z) { return fnmadd(y, z, x); }
INLINE E subtract_conjugate_product(E x, E y, E z) { return fnmadd(y, z, x); }
INLINE E add_scaled(E x, V s, E z) { return fmadd(s, z, x); }
INLINE V add_square(V a, E x) { return fmadd(x, x, a); }
INLINE V real_product(E x, E y) { return x * y; }
INLINE V largest_part(E x) { return absolute(x); }
INLINE V nan_unless_finite(E x) { return x * 0; }
INLINE E phase(E x) { return with_sign(broadcast(1), x); }

#endif

#endif
