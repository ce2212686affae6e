/* SPDX-License-Identifier: BSD-3-Clause */
/* The textbook tangent of the thin SVD in long double, with which the adjoint is compared. */
#ifndef TEST_JVP_H
#define TEST_JVP_H
#include "dense.h"

typedef struct tangent {
  dense_t dU, dV;
  long double *dS;
} tangent_t;

/* dA = dU S V^H + U dS V^H + U S dV^H with U^H dU and V^H dV skew-Hermitian, for distinct non-zero S: with E = U^H dA
 * V,
 *   dS = Re diag E,  K_ij = herm(E)_ij / (s_j - s_i) + skew(E)_ij / (s_i + s_j),
 *   N_ij = herm(E)_ij / (s_j - s_i) - skew(E)_ij / (s_i + s_j)   (no first term for i = j),
 *   dU = U K + (I - U U^H) dA V S^-1,  dV = V N + (I - V V^H) dA^H U S^-1. */
tangent_t tangent_of(const dense_t *U, const long double *S, const dense_t *V, const dense_t *dA);
void tangent_free(tangent_t *tangent);

#endif
