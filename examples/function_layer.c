/* SPDX-License-Identifier: BSD-3-Clause */
#include "function_layer.h"

#include <stdlib.h>

function_layer_t function_layer_create(svdgrad_function_kind_t kind, double param, int n, int most) {
  const size_t rows = (size_t)most * (size_t)n;
  function_layer_t layer = {.desc = SVDGRAD_DESC_INIT, .function = SVDGRAD_FUNCTION_INIT};
  layer.desc.dtype = SVDGRAD_F32;
  layer.desc.m = layer.desc.n = n;
  layer.desc.batch_count = most;
  layer.function.kind = kind;
  layer.function.param = param;
  layer.S = allocate(rows, sizeof(float));
  layer.U = allocate(rows, (size_t)n * sizeof(float));
  layer.Vh = allocate(rows, (size_t)n * sizeof(float));
  layer.info = allocate((size_t)most, sizeof(int32_t));
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &layer.handle));
  reserve(&layer.work, layer.handle, SVDGRAD_OP_SVD, &layer.desc);
  reserve(&layer.work, layer.handle, SVDGRAD_OP_MATRIX_FUNCTION, &layer.desc);
  reserve(&layer.work, layer.handle, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, &layer.desc);
  return layer;
}

void function_layer_destroy(function_layer_t *layer) {
  check(svdgrad_destroy(layer->handle));
  free(layer->S);
  free(layer->U);
  free(layer->Vh);
  free(layer->info);
  free(layer->work.data);
}

void function_layer_forward(function_layer_t *layer, int count, float *A, float *Y) {
  const int64_t n = layer->desc.n;
  const svdgrad_matrix_t a = row_major(A, n, n), y = row_major(Y, n, n);
  const svdgrad_matrix_t U = row_major(layer->U, n, n), Vh = row_major(layer->Vh, n, n);
  const svdgrad_vector_t S = {layer->S, 1, n};
  const double start = now();
  layer->desc.batch_count = count;
  check(svdgrad_svd(layer->handle, NULL, &layer->desc, &a, &S, &U, &Vh, layer->info, layer->work.data,
                    layer->work.bytes));
  check_info(layer->info, count);
  check(svdgrad_matrix_function(layer->handle, NULL, &layer->desc, &layer->function, &S, &U, &Vh, &y, layer->work.data,
                                layer->work.bytes));
  layer->seconds += now() - start;
}

void function_layer_backward(function_layer_t *layer, float *gY, float *gA) {
  const int64_t n = layer->desc.n;
  const svdgrad_matrix_t gy = row_major(gY, n, n), ga = row_major(gA, n, n);
  const svdgrad_matrix_t U = row_major(layer->U, n, n), Vh = row_major(layer->Vh, n, n);
  const svdgrad_vector_t S = {layer->S, 1, n};
  const double start = now();
  check(svdgrad_matrix_function_backward(layer->handle, NULL, &layer->desc, &layer->function, &S, &U, &Vh, &gy, 1.0,
                                         0.0, &ga, NULL, layer->work.data, layer->work.bytes));
  layer->seconds += now() - start;
}
