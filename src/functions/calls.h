/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of the functions of the SVD, with every argument checked (validate_functions.c). */
#ifndef SVDGRAD_FUNCTIONS_CALLS_H
#define SVDGRAD_FUNCTIONS_CALLS_H
#include "../backend.h"

/* An operand that the caller left out has data == NULL. */
typedef struct svd_jvp_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, U, Vh, dA, dU, dVh;
  svdgrad_vector_t S, dS;
  svdgrad_report_t *report;
  void *work;
} svd_jvp_call_t;

typedef struct second_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t U, Vh, gU, gVh, ggA, ggU, ggVh, gA;
  svdgrad_vector_t S, gS, ggS;
  double alpha, beta;
  svdgrad_report_t *report;
  void *work;
} second_call_t;

typedef struct function_call {
  problem_t p;
  void *stream;
  svdgrad_function_t function;
  svdgrad_matrix_t U, Vh, Y; /* backward: Y is the cotangent */
  svdgrad_matrix_t gA;       /* backward */
  svdgrad_vector_t S;
  double alpha, beta;
  svdgrad_report_t *report;
  void *work;
} function_call_t;

typedef struct norm_call {
  problem_t p;
  void *stream;
  svdgrad_norm_kind_t kind;
  double exponent; /* of SCHATTEN */
  svdgrad_matrix_t A, gA;
  svdgrad_vector_t value, g;
  double alpha, beta;
  int32_t *info;
  void *work;
} norm_call_t;

/* Numbers of the element type come as 1-by-1 matrices. */
typedef struct determinant_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, gA, det, sign, g_det, g_sign;
  svdgrad_vector_t log_abs, g_log_abs;
  double alpha, beta;
  int32_t *info;
  void *work;
} determinant_call_t;

typedef struct power_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, Y; /* Y: A / sigma, if wanted */
  int32_t iterations;
  svdgrad_vector_t u, v, sigma, residual;
  int32_t *info;
  void *work;
} power_call_t;

typedef struct normalize_backward_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, gY, gA;
  svdgrad_vector_t u, v, sigma;
  double alpha, beta;
  void *work;
} normalize_backward_call_t;

#endif
