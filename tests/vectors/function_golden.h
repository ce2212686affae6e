/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file function_golden.h
 * @brief Golden vectors of what builds on the SVD: its tangents and second derivatives, functions of the singular
 *        values, norms, spectral normalization.
 *
 * function_golden.c is written by generate_functions.py, which evaluates everything with 80 decimal digits, rounds once, to
 * double, and holds every formula against differences of what it differentiates.  Matrices, tangents and cotangents fit
 * in a float unless said otherwise, so that one vector serves both precisions.  Not exact in float: A of the cases
 * "gap" and of the Hilbert matrix, the gauge-admissible gU and gVh of complex cases, gY of "diag 1 1 2 3".
 *
 * Conventions as in golden.h.  Results are for alpha = 1, beta = 0 and the default gap policy unless a case has one.
 *
 * Error bounds.  A field X_error says how far relative errors of 1 in the entries of all operands of that call move X,
 * to first order, beside the norm of X itself; X_error_A says it of an error |A|_2 in A, X being made of the SVD of A.
 * In precision eps (2^-52, 2^-23) a result is right to about C * eps * bound in the Frobenius norm; a plain evaluation
 * of the formulas needs C <= 4.  Bounds stay modest at ties and near ties wherever the result is a smooth function of
 * A.  A bound of 0 means that X is exact; X_error_A of a function is also 0 where X is none of A alone, or not smooth.
 */
#ifndef SVDGRAD_TESTS_VECTORS_FUNCTIONS_H
#define SVDGRAD_TESTS_VECTORS_FUNCTIONS_H
#include <svdgrad/svdgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All arrays are row-major double; complex ones interleave re, im; NULL when absent. */

/** svdgrad_matrix_function() and its backward pass. */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  int rank; /**< 0: min(m, n) */
  int full_matrices;
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  double param;
  const double *A;      /**< m x n */
  const double *S;      /**< k = rank or min(m, n) */
  const double *U;      /**< m x k (m x m if full_matrices) */
  const double *Vh;     /**< k x n (n x n if full_matrices) */
  const double *f, *df; /**< k; of CUSTOM alone */
  const double *gY;     /**< like Y */
  const double *Y;      /**< m x n, or n x n */
  const double *gA;     /**< m x n; NULL if rank < min(m, n) */
  double Y_error, gA_error, Y_error_A, gA_error_A;
  int double_only; /**< something lies between a threshold of double and one of float */
} function_golden_t;

/** svdgrad_svd_jvp(). */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  int rank; /**< 0: min(m, n) */
  int full_matrices;
  svdgrad_gap_policy_t gap_policy;
  double gap_param;
  const double *A, *S, *U, *Vh; /**< as above */
  const double *dA;             /**< m x n */
  const double *dS, *dU, *dVh;  /**< like S, U, Vh; in the gauge of the formula, dU1 for the U given */
  double dS_error, dU_error, dVh_error;
  int double_only;
} jvp_golden_t;

/** svdgrad_svd_backward_backward(). */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  const double *A, *S, *U, *Vh;   /**< thin */
  const double *gS, *gU, *gVh;    /**< each may be NULL */
  const double *ggA;              /**< m x n */
  const double *ggS, *ggU, *ggVh; /**< like S, U, Vh */
  const double *gA;               /**< m x n */
  double ggS_error, ggU_error, ggVh_error, gA_error;
} second_golden_t;

/** svdgrad_norm(). */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  svdgrad_norm_kind_t kind;
  double p;
  const double *A; /**< m x n */
  double g;
  double value;     /**< NaN: not to be checked */
  const double *gA; /**< m x n */
  double value_error_A, gA_error_A;
  int double_only;
} norm_golden_t;

/** svdgrad_spectral_normalize() and its backward pass, svdgrad_power_iteration(). */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  int iterations;
  const double *A;       /**< m x n */
  const double *u0, *v0; /**< m and n: the start, of unit length or not */
  const double *u, *v;
  double sigma, residual;
  const double *Y, *gY, *gA; /**< m x n */
  double u_error, v_error, sigma_error, residual_error, Y_error, gA_error;
} normalize_golden_t;

extern const function_golden_t function_golden[];
extern const int function_golden_count;
extern const jvp_golden_t jvp_golden[];
extern const int jvp_golden_count;
extern const second_golden_t second_golden[];
extern const int second_golden_count;
extern const norm_golden_t norm_golden[];
extern const int norm_golden_count;
extern const normalize_golden_t normalize_golden[];
extern const int normalize_golden_count;

#ifdef __cplusplus
}
#endif
#endif
