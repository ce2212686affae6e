/* SPDX-License-Identifier: BSD-3-Clause */
/* A time says nothing without the error that goes with it.  The errors are those of a few matrices spread over the
 * batch, the largest of them, in units in which a good result is of order 1 (all norms in long double):
 *
 *   svd          |A - U S Vh|_1 / (|A|_1 max(m,n) eps), |I - U^H U|_1 / (m eps), |I - Vh Vh^H|_1 / (n eps)
 *   svdvals      max_i |s_i - s_i of svd| / (s_1 k eps)
 *   backward     |gA - G|_F / (|G|_F eps max(1/min_gap, s_1/s_k)) for the loss Re tr(G^H U S Vh), that is
 *                gU = G V S, gS = Re diag(U^H G V), gVh = S U^H G, whose gradient is G; min_gap is that of the report
 *   backward-gS  |gA - U diag(gS) Vh|_F / (|gS| k eps)
 *   svd-jvp      |dU S Vh + U dS Vh + U S dVh - dA|_F / (s_1 (|dU|_F + |dVh|_F) eps), and of U^H dU and V^H dV the part
 *                that is not skew-Hermitian, over (|dU|_F + |dVh|_F) eps
 *   polar-backward  |gA - E|_F / (|E|_F eps s_1/s_k), E the closed form for the loss Re tr(gY^H U Vh) and these U, S, Vh
 *   nuclear      |gA - U Vh|_F / (sqrt(k) eps s_1/s_k), U and Vh those of svd
 *
 * Of svd with more than 64 columns the differences are those of 64 columns, from the first to the last. */
#ifndef BENCH_ACCURACY_H
#define BENCH_ACCURACY_H
#include "bench_subject.h"

double series_accuracy(subject_t *subject, const series_t *series);

#endif
