/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_choice.h"

#include <limits.h>
#include <stddef.h>

/* LAPACK counts in 32-bit integers; its largest array here is the 4 min(m,n)^2 + 7 min(m,n) of gesdd's workspace. */
static int fits_lapack(const problem_t *p) {
  if (p->mn == 0 || p->batch_count == 0)
    return 1;
  const double mn = (double)p->mn, mx = (double)(p->m > p->n ? p->m : p->n);
  return mx < INT_MAX / 64.0 && (4 * mn + 64) * mn + 2 * mx < INT_MAX;
}

/* AUTO takes what measured fastest.  JACOBI, one matrix per SIMD lane, belongs here once it exists. */
cpu_algorithm_t cpu_choose(svdgrad_op_t op, const problem_t *p) {
  switch (op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS: return p->algo != SVDGRAD_ALGO_JACOBI && fits_lapack(p) ? CPU_GESDD : CPU_NONE;
  case SVDGRAD_OP_SVD_BACKWARD: return fits_lapack(p) ? CPU_BACKWARD : CPU_NONE;
  case SVDGRAD_OP_SVD_JVP: break;
  }
  return CPU_NONE;
}

const char *cpu_algorithm_string(cpu_algorithm_t algorithm) {
  switch (algorithm) {
  case CPU_GESDD: return "lapack-gesdd";
  case CPU_BACKWARD: return "blas-backward";
  case CPU_NONE: break;
  }
  return NULL;
}
