/* SPDX-License-Identifier: BSD-3-Clause */
#include "dilation.h"

#include <math.h>

static void swap_rows(dense_t *M, z_t *b, int64_t i, int64_t j) {
  for (int64_t c = 0; c < M->n; c++) {
    const z_t t = M->at[c * M->m + i];
    M->at[c * M->m + i] = M->at[c * M->m + j];
    M->at[c * M->m + j] = t;
  }
  const z_t t = b[i];
  b[i] = b[j];
  b[j] = t;
}

/* b <- M^-1 b by Gaussian elimination with partial pivoting; M is lost. */
static void solve(dense_t *M, z_t *b) {
  const int64_t n = M->m;
  for (int64_t c = 0; c < n; c++) {
    int64_t pivot = c;
    for (int64_t i = c; i < n; i++)
      pivot = cabsl(M->at[c * n + i]) > cabsl(M->at[c * n + pivot]) ? i : pivot;
    swap_rows(M, b, c, pivot);
    for (int64_t i = c + 1; i < n; i++) {
      const z_t factor = M->at[c * n + i] / M->at[c * n + c];
      for (int64_t j = c; j < n && factor != 0; j++)
        M->at[j * n + i] -= factor * M->at[j * n + c];
      b[i] -= factor * b[c];
    }
  }
  for (int64_t c = n - 1; c >= 0; c--) {
    for (int64_t j = c + 1; j < n; j++)
      b[c] -= M->at[j * n + c] * b[j];
    b[c] /= M->at[c * n + c];
  }
}

/* [s I - H, w; w^H, 0] with w = [u; v]: its inverse has the pseudo-inverse in its leading block. */
static dense_t bordered(const dense_t *A, long double s, const z_t *u, const z_t *v) {
  const int64_t m = A->m, n = A->n, all = m + n + 1;
  dense_t M = dense_zero(all, all);
  for (int64_t i = 0; i < m + n; i++) {
    const z_t w = i < m ? u[i] : v[i - m];
    M.at[i * all + i] = s;
    M.at[(all - 1) * all + i] = w;
    M.at[i * all + all - 1] = conjl(w);
  }
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      M.at[(m + j) * all + i] = -A->at[j * m + i];
      M.at[i * all + m + j] = -conjl(A->at[j * m + i]);
    }
  return M;
}

dense_t dilation_gradient(const dense_t *A, const long double *s, const dense_t *U, const dense_t *V,
                          const long double *gS, const dense_t *gU, const dense_t *gV) {
  const int64_t m = A->m, n = A->n;
  dense_t gA = dense_zero(m, n), h = dense_zero(m + n + 1, 1);
  for (int64_t c = 0; c < U->n; c++) {
    const z_t *u = U->at + c * m, *v = V->at + c * n;
    dense_t M = bordered(A, s[c], u, v);
    for (int64_t i = 0; i < m; i++)
      h.at[i] = gU->at[c * m + i];
    for (int64_t i = 0; i < n; i++)
      h.at[m + i] = gV->at[c * n + i];
    h.at[m + n] = 0;
    solve(&M, h.at);
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < m; i++)
        gA.at[j * m + i] += ((gS ? gS[c] : 0) * u[i] + h.at[i]) * conjl(v[j]) + u[i] * conjl(h.at[m + j]);
    dense_free(&M);
  }
  dense_free(&h);
  return gA;
}
