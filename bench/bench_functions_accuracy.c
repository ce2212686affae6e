/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_functions_accuracy.h"

#include <math.h>

/* S as a vector, U, V and Vh of matrix b. */
typedef struct factors {
  dense_t U, V, Vh, S;
} factors_t;

static factors_t factors_of(const fixture_t *f, int64_t b) {
  factors_t x = {.U = buffer_load(&f->U, b), .Vh = buffer_load(&f->Vh, b), .S = buffer_load(&f->S, b)};
  x.V = dense_conjugate_transpose(&x.Vh);
  return x;
}

static void factors_free(factors_t *x) {
  dense_free(&x->U);
  dense_free(&x->V);
  dense_free(&x->Vh);
  dense_free(&x->S);
}

static double spread(const factors_t *x) { return (double)creall(x->S.at[0] / x->S.at[x->S.m - 1]); }

static dense_t scaled(const dense_t *X, const dense_t *s, int power) { /* X diag(s)^power */
  dense_t Y = dense_copy(X);
  for (int64_t i = 0; i < Y.m * Y.n; i++)
    Y.at[i] *= power > 0 ? s->at[i / Y.m] : 1 / s->at[i / Y.m];
  return Y;
}

/* |X^H dX + (X^H dX)^H|_F */
static double stretch(const dense_t *X, const dense_t *dX) {
  LOCAL(dense) turn = dense_h_product(X, dX);
  LOCAL(dense) adjoint = dense_conjugate_transpose(&turn);
  LOCAL(dense) sum = dense_sum(1, &turn, 1, &adjoint);
  return (double)dense_norm(&sum);
}

double jvp_error(const functions_t *x, int64_t b) {
  LOCAL(factors) s = factors_of(&x->f, b);
  LOCAL(dense) dU = buffer_load(&x->dU, b);
  LOCAL(dense) dVh = buffer_load(&x->dVh, b);
  LOCAL(dense) dS = buffer_load(&x->dS, b);
  LOCAL(dense) dA = buffer_load(&x->dA, b);
  LOCAL(dense) dV = dense_conjugate_transpose(&dVh);
  LOCAL(dense) dUS = scaled(&dU, &s.S, 1);
  LOCAL(dense) UdS = scaled(&s.U, &dS, 1);
  LOCAL(dense) US = scaled(&s.U, &s.S, 1);
  LOCAL(dense) left = dense_sum(1, &dUS, 1, &UdS);
  LOCAL(dense) first = dense_product(&left, &s.Vh);
  LOCAL(dense) second = dense_product(&US, &dVh);
  LOCAL(dense) made = dense_sum(1, &first, 1, &second);
  LOCAL(dense) error = dense_sum(1, &made, -1, &dA);
  const double size = (double)(dense_norm(&dU) + dense_norm(&dVh)), s1 = (double)creall(s.S.at[0]);
  return larger((double)dense_norm(&error) / s1, larger(stretch(&s.U, &dU), stretch(&s.V, &dV))) / size;
}

/* U (2 skew(P)_ij / (s_i + s_j)) Vh + (I - U U^H) G V S^-1 Vh + U S^-1 U^H G (I - V V^H), P = U^H G V. */
static dense_t polar_gradient(const factors_t *s, const dense_t *G) {
  const int64_t k = s->S.m;
  LOCAL(dense) GV = dense_product(G, &s->V);
  LOCAL(dense) GhU = dense_h_product(G, &s->U);
  LOCAL(dense) P = dense_h_product(&s->U, &GV);
  LOCAL(dense) inside_U = dense_product(&s->U, &P);
  LOCAL(dense) inside_V = dense_product_h(&s->V, &P);
  LOCAL(dense) M = dense_zero(k, k);
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < k; i++)
      M.at[j * k + i] = (P.at[j * k + i] - conjl(P.at[i * k + j])) / (s->S.at[i] + s->S.at[j]);
  LOCAL(dense) rest_U = dense_sum(1, &GV, -1, &inside_U);
  LOCAL(dense) rest_V = dense_sum(1, &GhU, -1, &inside_V);
  LOCAL(dense) over_U = scaled(&rest_U, &s->S, -1);
  LOCAL(dense) over_V = scaled(&rest_V, &s->S, -1);
  LOCAL(dense) UM = dense_product(&s->U, &M);
  LOCAL(dense) left = dense_sum(1, &UM, 1, &over_U);
  LOCAL(dense) first = dense_product(&left, &s->Vh);
  LOCAL(dense) second = dense_product_h(&s->U, &over_V);
  return dense_sum(1, &first, 1, &second);
}

static double relative_to(const dense_t *X, const dense_t *Y) {
  LOCAL(dense) error = dense_sum(1, X, -1, Y);
  return (double)(dense_norm(&error) / dense_norm(Y));
}

double polar_error(const functions_t *x, int64_t b) {
  LOCAL(factors) s = factors_of(&x->f, b);
  LOCAL(dense) G = buffer_load(&x->gY, b);
  LOCAL(dense) gA = buffer_load(&x->f.gA, b);
  LOCAL(dense) exact = polar_gradient(&s, &G);
  return relative_to(&gA, &exact) / spread(&s);
}

double nuclear_error(const functions_t *x, int64_t b) {
  LOCAL(factors) s = factors_of(&x->f, b);
  LOCAL(dense) gA = buffer_load(&x->f.gA, b);
  LOCAL(dense) exact = dense_product(&s.U, &s.Vh);
  return relative_to(&gA, &exact) / spread(&s);
}
