/* SPDX-License-Identifier: BSD-3-Clause */
/* The type in which a typed file (type.h) computes: compute_t, and its real type compute_real_t.  That is the element
 * type itself, or, in files that define COMPUTE_WIDE before they include this one, the type one precision wider. */
#ifndef SVDGRAD_COMPUTE_H
#define SVDGRAD_COMPUTE_H
#include "type.h"

#ifdef COMPUTE_WIDE
typedef W compute_t;
typedef WR compute_real_t;
#else
typedef T compute_t;
typedef R compute_real_t;
#endif

#define CMPLX_OF(re, im) ((re) + (im)*I)

#endif
