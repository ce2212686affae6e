/* SPDX-License-Identifier: BSD-3-Clause */
/* The routines of LAPACK and the BLAS, for the element type of a typed file (type.h). */
#ifndef SVDGRAD_DENSE_LAPACK_H
#define SVDGRAD_DENSE_LAPACK_H
#include "base/type.h"

#include <stddef.h>

#include "cpu/lapack.inc" /* a file of its own: bench/ includes it once for each type */

#endif
