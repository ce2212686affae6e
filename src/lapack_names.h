/* SPDX-License-Identifier: BSD-3-Clause */
/* The symbol of a function of LAPACK or the BLAS, whose names some libraries put a prefix and a suffix to (scipy_dgesdd_):
 * SVDGRAD_LAPACK_PREFIX and _SUFFIX of the build. */
#ifndef SVDGRAD_LAPACK_NAMES_H
#define SVDGRAD_LAPACK_NAMES_H

#ifndef SVDGRAD_LAPACK_PREFIX
#define SVDGRAD_LAPACK_PREFIX
#endif
#ifndef SVDGRAD_LAPACK_SUFFIX
#define SVDGRAD_LAPACK_SUFFIX
#endif

#define LAPACK_PASTE_(prefix, name, suffix) prefix##name##suffix
#define LAPACK_PASTE(prefix, name, suffix)  LAPACK_PASTE_(prefix, name, suffix)
#define LAPACK_SYMBOL(name)                 LAPACK_PASTE(SVDGRAD_LAPACK_PREFIX, name, SVDGRAD_LAPACK_SUFFIX)

#endif
