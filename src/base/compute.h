/* SPDX-License-Identifier: BSD-3-Clause */
/* The type in which a typed file (type.h) computes: compute_t, with real type compute_real_t.  It is the element type,
 * or one precision wider in files that define COMPUTE_WIDE before they include this one. */
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
