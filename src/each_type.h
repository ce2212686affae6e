/* SPDX-License-Identifier: BSD-3-Clause */
/* Includes the file that BODY names once for each of the four element types, with these macros:
 *
 *   T, R            element type and its real type: what operands are made of
 *   W, WR           the same one precision wider, with an exponent range that holds the square of every T (where
 *                   long double is wider than double): what the reference backend computes in
 *   IS_COMPLEX      0 or 1
 *   EPSILON         relative spacing of R;  W_EPSILON that of WR
 *   CONJ, RE, IM    of a T or a W;  ABS2(x) = |x|^2
 *   FN(name)        name_f32, name_f64, name_c64, name_c128
 *   LAPACK(name)    sname_, dname_, cname_, zname_;  REAL_LAPACK(name) sname_, dname_, sname_, dname_ (lapack_names.h)
 *
 * A file that is compiled once for each type defines ONE_TYPE and one of ONLY_f32, ONLY_f64, ONLY_c64, ONLY_c128.
 *
 * No include guard: it is meant to be included again. */
#include "lapack_names.h"

#include <complex.h>
#include <float.h>
#include <math.h>
#include <tgmath.h>

#define TYPE_PASTE_(a, b) a##_##b
#define TYPE_PASTE(a, b)  TYPE_PASTE_(a, b)
#define FN(name)          TYPE_PASTE(name, TYPE_SUFFIX)

#define IS_COMPLEX 0
#define CONJ(x)    (x)
#define RE(x)      (x)
#define IM(x)      ((void)(x), (WR)0)
#define ABS2(x)    ((x) * (x))

#if !defined(ONE_TYPE) || defined(ONLY_f32)
#define T                 float
#define R                 float
#define W                 double
#define WR                double
#define EPSILON           FLT_EPSILON
#define W_EPSILON         DBL_EPSILON
#define TYPE_SUFFIX       f32
#define LAPACK(name)      LAPACK_SYMBOL(s##name##_)
#define REAL_LAPACK(name) LAPACK_SYMBOL(s##name##_)
#include BODY
#undef T
#undef R
#undef W
#undef WR
#undef EPSILON
#undef W_EPSILON
#undef TYPE_SUFFIX
#undef LAPACK
#undef REAL_LAPACK
#endif

#if !defined(ONE_TYPE) || defined(ONLY_f64)
#define T                 double
#define R                 double
#define W                 long double
#define WR                long double
#define EPSILON           DBL_EPSILON
#define W_EPSILON         LDBL_EPSILON
#define TYPE_SUFFIX       f64
#define LAPACK(name)      LAPACK_SYMBOL(d##name##_)
#define REAL_LAPACK(name) LAPACK_SYMBOL(d##name##_)
#include BODY
#undef T
#undef R
#undef W
#undef WR
#undef EPSILON
#undef W_EPSILON
#undef TYPE_SUFFIX
#undef LAPACK
#undef REAL_LAPACK
#endif

#undef IS_COMPLEX
#undef CONJ
#undef RE
#undef IM
#undef ABS2
#define IS_COMPLEX 1
#define CONJ(x)    conj(x)
#define RE(x)      creal(x)
#define IM(x)      cimag(x)
#define ABS2(x)    (RE(x) * RE(x) + IM(x) * IM(x))

#if !defined(ONE_TYPE) || defined(ONLY_c64)
#define T                 float _Complex
#define R                 float
#define W                 double _Complex
#define WR                double
#define EPSILON           FLT_EPSILON
#define W_EPSILON         DBL_EPSILON
#define TYPE_SUFFIX       c64
#define LAPACK(name)      LAPACK_SYMBOL(c##name##_)
#define REAL_LAPACK(name) LAPACK_SYMBOL(s##name##_)
#include BODY
#undef T
#undef R
#undef W
#undef WR
#undef EPSILON
#undef W_EPSILON
#undef TYPE_SUFFIX
#undef LAPACK
#undef REAL_LAPACK
#endif

#if !defined(ONE_TYPE) || defined(ONLY_c128)
#define T                 double _Complex
#define R                 double
#define W                 long double _Complex
#define WR                long double
#define EPSILON           DBL_EPSILON
#define W_EPSILON         LDBL_EPSILON
#define TYPE_SUFFIX       c128
#define LAPACK(name)      LAPACK_SYMBOL(z##name##_)
#define REAL_LAPACK(name) LAPACK_SYMBOL(d##name##_)
#include BODY
#undef T
#undef R
#undef W
#undef WR
#undef EPSILON
#undef W_EPSILON
#undef TYPE_SUFFIX
#undef LAPACK
#undef REAL_LAPACK
#endif

#undef IS_COMPLEX
#undef CONJ
#undef RE
#undef IM
#undef ABS2
#undef FN
#undef TYPE_PASTE
#undef TYPE_PASTE_
#undef BODY
