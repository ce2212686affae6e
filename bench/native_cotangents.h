/* SPDX-License-Identifier: BSD-3-Clause */
/* gU = G V f(S), gS = Re diag(U^H G V) f'(S) and gVh = f(S) U^H G of the leading triplets, for each element type. */
#ifndef NATIVE_COTANGENTS_H
#define NATIVE_COTANGENTS_H
#include <stdint.h>

/* f of the loss: s, 1 or 1/s. */
typedef enum function { IDENTITY, POLAR, INVERSE } function_t;

/* Matrices first..last-1 of the batch.  size: m, n, k, r. */
typedef void cotangents_t(function_t f, const int size[4], int64_t first, int64_t last, const void *G, const void *S,
                          const void *U, const void *Vh, void *gS, void *gU, void *gVh);
cotangents_t cotangents_f32, cotangents_f64, cotangents_c64, cotangents_c128;

#endif
