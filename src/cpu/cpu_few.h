/* SPDX-License-Identifier: BSD-3-Clause */
/* Which batches have too few matrices for the lanes.  A group takes as long with one matrix as with all its lanes filled,
 * so that AUTO computes up to a number of matrices one at a time; where full groups take longer as well, all.  Where up to
 * half a group goes into registers half as wide (simd/kernels.h), there are two such numbers: 1 to 3 matrices may go one at
 * a time, 4 to 8 into lanes, 9 to 12 one at a time again, and more into lanes. */
#ifndef SVDGRAD_CPU_FEW_H
#define SVDGRAD_CPU_FEW_H
#include "calls.h"

/* What has lanes of its own, values alone by Jacobi or by qd; all other operations are programs (functions/machine.h). */
typedef enum cpu_few { CPU_FEW_SVD, CPU_FEW_VALUES, CPU_FEW_QD_VALUES, CPU_FEW_GRADIENTS, CPU_FEW_PROGRAMS } cpu_few_t;

/* Whether a batch of problem->chosen_for matrices is computed one matrix at a time; `lanes` is the number in a full group. */
int cpu_is_few(cpu_few_t what, const problem_t *problem, int lanes);

/* The largest number of matrices below problem->chosen_for for which cpu_is_few() may say something else; 0: none. */
int64_t cpu_few_below(cpu_few_t what, const problem_t *problem, int lanes);

#endif
