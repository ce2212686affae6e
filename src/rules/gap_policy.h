/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap policy for the CPU backends, in double for every type: float differences keep their digits. */
#ifndef SVDGRAD_GAP_POLICY_H
#define SVDGRAD_GAP_POLICY_H
#include <svdgrad/svdgrad.h>

#include <math.h>

#define REAL         double
#define GAP_POLICY   gap_policy_t
#define GAP_FACTORS  gap_factors_t
#define GAP_FUNCTION static inline
#include "rules/gap.inc"
#undef REAL
#undef GAP_POLICY
#undef GAP_FACTORS
#undef GAP_FUNCTION

/* Norms of the cotangents of the singular vectors: Frobenius, and largest column. */
typedef struct cotangent_size {
  double norm, largest_column;
} cotangent_size_t;

#endif
