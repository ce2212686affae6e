/* SPDX-License-Identifier: BSD-3-Clause */
/* Y = U f(S) Vh of many n x n matrices A = U S Vh, as a layer: forward, and backward with what forward left. */
#ifndef FUNCTION_LAYER_H
#define FUNCTION_LAYER_H
#include "common.h"

typedef struct function_layer {
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  svdgrad_function_t function;
  float *S, *U, *Vh; /* of the last forward pass */
  int32_t *info;
  workspace_t work;
  double seconds; /* spent in the library */
} function_layer_t;

/* For up to `most` matrices. */
function_layer_t function_layer_create(svdgrad_function_kind_t kind, double param, int n, int most);
void function_layer_destroy(function_layer_t *layer);
/* The arrays hold dense row-major matrices, one after the other. */
void function_layer_forward(function_layer_t *layer, int count, float *A, float *Y);
/* Of the matrices of the last forward pass. */
void function_layer_backward(function_layer_t *layer, float *gY, float *gA);

#endif
