/* SPDX-License-Identifier: BSD-3-Clause */
/* Divide and conquer of a bidiagonal matrix from and to the caller's memory: bidiagonal_problem_t. */
#ifndef SVDGRAD_CONQUER_WHOLE_H
#define SVDGRAD_CONQUER_WHOLE_H
#include "cpu/cpu_kernels.h"
#include "conquer.h"

/* Without memory in `scratch` it only measures.  Returns 0 if it did not converge. */
static int conquer_whole(const bidiagonal_problem_t *p, arena_t *scratch) {
  const int64_t n = p->n;
  conquer_t c = conquer_take(scratch, n, p->ops);
  c.leading = p->leading;
  c.d = take_reals(scratch, n), c.e = take_reals(scratch, n);
  if (!scratch->base)
    return 1;
  memcpy(c.d, p->d, (size_t)n * sizeof(R));
  memcpy(c.e, p->e, (size_t)(n - 1) * sizeof(R));
  if (!conquer(&c))
    return 0;
  for (int64_t j = 0; j < n; j++)
    ((R *)p->S)[j] = c.d[conquered_column(&c, j)];
  for (int64_t j = 0; j < p->leading; j++) {
    const int64_t column = conquered_column(&c, j);
    memcpy((R *)p->U + j * n, c.U + column * c.stride, (size_t)n * sizeof(R));
    for (int64_t i = 0; i < n; i++)
      ((R *)p->Vh)[i * n + j] = c.V[column * c.stride + i];
  }
  return 1;
}

#endif
