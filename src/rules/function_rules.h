/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of functions, norms and determinants for the CPU backends: in double for every element type. */
#ifndef SVDGRAD_FUNCTION_RULES_H
#define SVDGRAD_FUNCTION_RULES_H
#include "rules/gap_policy.h"

#include <stdint.h>

#define REAL           double
#define GAP_POLICY     gap_policy_t
#define GAP_FUNCTION   static inline
#define FUNCTION_RULE  function_rule_t
#define FUNCTION_POINT function_point_t
#define NORM_SUM       norm_sum_t
#define DETERMINANT    determinant_t
#define TURN           turn_t
#include "rules/function.inc"
#include "rules/norm.inc"
#include "rules/determinant.inc"
#include "rules/special_unitary.inc"
#undef REAL
#undef GAP_POLICY
#undef GAP_FUNCTION
#undef FUNCTION_RULE
#undef FUNCTION_POINT
#undef NORM_SUM
#undef DETERMINANT
#undef TURN

#endif
