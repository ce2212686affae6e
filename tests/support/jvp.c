/* SPDX-License-Identifier: BSD-3-Clause */
#include "jvp.h"

#include <stdlib.h>

/* K for sign = 1, N for sign = -1. */
static dense_t inner_part(const dense_t *E, const long double *s, long double sign) {
  const int64_t k = E->n;
  dense_t K = dense_zero(k, k);
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < k; i++) {
      const z_t e = E->at[j * k + i], eh = conjl(E->at[i * k + j]);
      K.at[j * k + i] = sign * (e - eh) / 2 / (s[i] + s[j]);
      if (i != j)
        K.at[j * k + i] += (e + eh) / 2 / (s[j] - s[i]);
    }
  return K;
}

/* U K + (I - U U^H) W S^-1 */
static dense_t assemble(const dense_t *U, const dense_t *K, const dense_t *W, const long double *s) {
  dense_t UK = dense_product(U, K), UhW = dense_h_product(U, W), UUhW = dense_product(U, &UhW);
  dense_t outside = dense_sum(1, W, -1, &UUhW);
  for (int64_t j = 0; j < outside.n; j++)
    for (int64_t i = 0; i < outside.m; i++)
      outside.at[j * outside.m + i] = U->m > U->n ? outside.at[j * outside.m + i] / s[j] : 0;
  dense_t dU = dense_sum(1, &UK, 1, &outside);
  dense_free(&UK);
  dense_free(&UhW);
  dense_free(&UUhW);
  dense_free(&outside);
  return dU;
}

tangent_t tangent_of(const dense_t *U, const long double *S, const dense_t *V, const dense_t *dA) {
  dense_t dAV = dense_product(dA, V), dAhU = dense_h_product(dA, U), E = dense_h_product(U, &dAV);
  dense_t K = inner_part(&E, S, 1), N = inner_part(&E, S, -1);
  tangent_t t = {assemble(U, &K, &dAV, S), assemble(V, &N, &dAhU, S), calloc((size_t)E.n + 1, sizeof(long double))};
  if (!t.dS)
    abort();
  for (int64_t i = 0; i < E.n; i++)
    t.dS[i] = creall(E.at[i * E.n + i]);
  dense_t *const all[] = {&dAV, &dAhU, &E, &K, &N};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  return t;
}

void tangent_free(tangent_t *tangent) {
  dense_free(&tangent->dU);
  dense_free(&tangent->dV);
  free(tangent->dS);
}
