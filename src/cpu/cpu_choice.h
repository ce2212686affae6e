/* SPDX-License-Identifier: BSD-3-Clause */
/* Which algorithm the cpu backend takes: a pure function of the operation, the descriptor and the number of lanes. */
#ifndef SVDGRAD_CPU_CHOICE_H
#define SVDGRAD_CPU_CHOICE_H
#include "backend.h"

typedef enum cpu_algorithm {
  CPU_NONE,
  CPU_GESDD,
  CPU_BIDIAGONAL,
  CPU_LANES,
  CPU_VALUE_LANES,
  CPU_VECTOR_LANES,
  CPU_LANES_BACKWARD,
  CPU_PROGRAM,
  CPU_PROGRAM_LANES,
  CPU_POWER_ITERATION
} cpu_algorithm_t;

cpu_algorithm_t cpu_choose(svdgrad_op_t op, const problem_t *problem, int lanes);
/* The largest batch_count below the problem's for which AUTO takes other algorithms for the operation, or for one that
 * it is composed of; 0: there is none. */
int64_t cpu_choice_below(svdgrad_op_t op, const problem_t *problem, int lanes);
/* Whether VENDOR needs our own QR factorization first (dense/tall.h), and whether the bidiagonal path is faster with it. */
int cpu_is_beyond_lapack(const problem_t *problem);
int cpu_goes_by_rows(const problem_t *problem, int vectors);
const char *cpu_limit_string(svdgrad_op_t op, const problem_t *problem); /* the limit that the problem exceeds */
const char *cpu_algorithm_string(cpu_algorithm_t algorithm);             /* NULL for CPU_NONE */

#endif
