/* SPDX-License-Identifier: BSD-3-Clause */
/* The element type of a typed file.  A typed file is compiled once for each element type (cmake/SvdgradTyped.cmake),
 * with SVDGRAD_TYPE defined as f32, f64, c64 or c128.  Without that definition, as in an editor, the type is f64.
 *
 *   T, R            element type, and its real type
 *   W, WR           the same types one precision wider; their range holds the square of every T (where long double
 *                   is wider than double).  The reference backend computes in them
 *   IS_COMPLEX      0 or 1
 *   IS_DOUBLE       0 or 1: R is double
 *   EPSILON         relative spacing of R;  W_EPSILON that of WR
 *   CONJ, RE, IM    of a T or a W;  ABS2(x) = |x|^2
 *   TYPED(name)     name_f32, name_f64, name_c64, name_c128: for the few names that are visible to other files
 *   LAPACK(name)    sname_, dname_, cname_, zname_
 * (lapack_names.h) */
#ifndef SVDGRAD_TYPE_H
#define SVDGRAD_TYPE_H
#include "lapack_names.h"

#include <complex.h>
#include <float.h>
#include <math.h>
#include <tgmath.h>

#ifndef SVDGRAD_TYPE
#define SVDGRAD_TYPE f64
#endif

#define TYPE_PASTE_(a, b) a##_##b
#define TYPE_PASTE(a, b)  TYPE_PASTE_(a, b)
#define TYPED(name)       TYPE_PASTE(name, SVDGRAD_TYPE)

/* For the preprocessor: f32 is 0, f64 1, c64 2, c128 3. */
#define TYPE_NUMBER_f32  0
#define TYPE_NUMBER_f64  1
#define TYPE_NUMBER_c64  2
#define TYPE_NUMBER_c128 3
#define TYPE_NUMBER      TYPED(TYPE_NUMBER)

#if TYPE_NUMBER >= 2
#define IS_COMPLEX 1
#else
#define IS_COMPLEX 0
#endif
#if TYPE_NUMBER % 2
#define IS_DOUBLE 1
#else
#define IS_DOUBLE 0
#endif

#if IS_DOUBLE
typedef double R;
typedef long double WR;
#define EPSILON   DBL_EPSILON
#define W_EPSILON LDBL_EPSILON
#else
typedef float R;
typedef double WR;
#define EPSILON   FLT_EPSILON
#define W_EPSILON DBL_EPSILON
#endif

#if IS_COMPLEX && IS_DOUBLE
typedef double _Complex T;
typedef long double _Complex W;
#define LAPACK(name) LAPACK_SYMBOL(z##name##_)
#elif IS_COMPLEX
typedef float _Complex T;
typedef double _Complex W;
#define LAPACK(name) LAPACK_SYMBOL(c##name##_)
#elif IS_DOUBLE
typedef R T;
typedef WR W;
#define LAPACK(name) LAPACK_SYMBOL(d##name##_)
#else
typedef R T;
typedef WR W;
#define LAPACK(name) LAPACK_SYMBOL(s##name##_)
#endif

#if IS_COMPLEX
#define CONJ(x) conj(x)
#define RE(x)   creal(x)
#define IM(x)   cimag(x)
#define ABS2(x) (RE(x) * RE(x) + IM(x) * IM(x))
#else
#define CONJ(x) (x)
#define RE(x)   (x)
#define IM(x)   ((void)(x), (WR)0)
#define ABS2(x) ((x) * (x))
#endif

#endif
