/* SPDX-License-Identifier: BSD-3-Clause */
/* How many matrices are too few for the lanes.  A group takes as long with one matrix as with all its lanes filled, so
 * that AUTO computes up to this many one at a time. */
#ifndef SVDGRAD_CPU_FEW_H
#define SVDGRAD_CPU_FEW_H
#include "calls.h"

/* What has lanes of its own, values alone by Jacobi or by qd; all other operations are programs (functions/machine.h). */
typedef enum cpu_few { CPU_FEW_SVD, CPU_FEW_VALUES, CPU_FEW_QD_VALUES, CPU_FEW_GRADIENTS, CPU_FEW_PROGRAMS } cpu_few_t;

/* Largest number of matrices; 0: lanes are the faster from one matrix on.  Less than `lanes`: a full group never waits. */
int64_t cpu_few_limit(cpu_few_t what, const problem_t *problem, int lanes);

#endif
