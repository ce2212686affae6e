/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass of the SVD in long double, by a formula that needs one triplet at a time.  [u; v] / sqrt 2 is an
 * eigenvector of the Hermitian dilation H = [0 A; A^H 0] for s; its derivative is given by the pseudo-inverse of s I -
 * H (J. R. Magnus, "On differentiating eigenvalues and eigenvectors", Econometric Theory 1, 1985).  Hence
 *   gA = sum over j of gS_j u_j v_j^H + x_j v_j^H + u_j y_j^H,  [x_j; y_j] = (s_j I - H)^+ [gU_j; gV_j]. */
#ifndef TEST_DILATION_H
#define TEST_DILATION_H
#include "dense.h"

/* For simple non-zero s_j; the triplets may be some of those of A: U m-by-r, V n-by-r.  gS may be NULL, meaning zero.
 * To be freed. */
dense_t dilation_gradient(const dense_t *A, const long double *s, const dense_t *U, const dense_t *V,
                          const long double *gS, const dense_t *gU, const dense_t *gV);

#endif
