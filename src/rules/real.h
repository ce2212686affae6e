/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules (gap.h, function.h, norm.h, determinant.h, special_unitary.h) are one text for C and CUDA:
 *
 *   REAL  the type they compute in
 *   RULE  how their functions are declared
 *
 * The CPU backends compute them in double for every element type: differences of float values keep their digits.  CUDA
 * includes them twice, for float and for double (cuda/kernels/gap.cuh, function.cuh), and defines both macros itself. */
#ifndef REAL
#define REAL double
#define RULE static inline
#endif
