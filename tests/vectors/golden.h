/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file golden.h
 * @brief Golden vectors: small matrices with their exact SVD and exact gradients.
 *
 * golden.c is written by generate.py, which evaluates everything with 80 decimal digits and rounds
 * once, to double.  Entries of A and of cotangents fit in a float unless said otherwise, so that one
 * vector serves both precisions.  Not exact in float: the Hilbert, Kahan and softmax matrices, the
 * cotangents of "recon", "polar" and "norm" cases, the gauge-admissible cotangents of complex cases.
 *
 * Conventions: A = U diag(S) Vh; <X, Y> = Re tr(X^H Y); a gradient gX satisfies dL = <gX, dX> (for
 * complex entries dL/dRe + i dL/dIm); gVh is the gradient of Vh, not of V.
 *
 * In every column of U the entry of largest modulus (the first one, if several are equal) is real and
 * positive; the same holds for columns of V that no singular value fixes (null and extra columns).
 * Null and extra columns and the columns of tied values are one choice among many: hand them to the
 * backward pass, but do not expect a forward pass to find them.
 *
 * Complex cotangents are gauge-admissible, Im diag(U^H gU + V^H gV) = 0, up to their rounding, except
 * where the name says "inadmissible": there gA is the gradient of the projected cotangents (the
 * diagonal of 1/(s_j - s_i) counts as 0).
 */
#ifndef SVDGRAD_TESTS_VECTORS_GOLDEN_H
#define SVDGRAD_TESTS_VECTORS_GOLDEN_H
#ifdef __cplusplus
extern "C" {
#endif

/** All arrays are row-major double; complex ones interleave re, im; NULL when absent. */
typedef struct {
  const char *name;
  int is_complex;
  int m, n;
  int rank; /**< 0: min(m, n) */
  int full_matrices;
  const double *A; /**< m x n */
  /** k = rank or min(m, n) real numbers: the exact singular values of A, correctly rounded. */
  const double *S;
  const double *U;   /**< m x k (m x m if full_matrices); NULL for forward-only cases */
  const double *Vh;  /**< k x n (n x n if full_matrices); NULL for forward-only cases */
  const double *gS;  /**< k, real; each of the three cotangents may be NULL */
  const double *gU;  /**< like U */
  const double *gVh; /**< like Vh */
  int gap_policy;    /**< svdgrad_gap_policy_t */
  double gap_param;
  /** m x n: the exact gradient (alpha = 1, beta = 0) under that policy; NULL if forward-only. */
  const double *gA;
  /** Error bound factor: in precision eps (2^-52, 2^-23) a backward pass is right to about
   *    C * eps * condition * (|gA|_F + |gS| + (|gU|_F + |gVh|_F) / s_1),
   *  without the last term if s_1 is 0.  A plain evaluation of the formula needs C = 1 (in float 3
   *  for "real gap 1e-6").  It is
   *    s_1 / (smallest |s_i - s_j|, s_i + s_j or, if complex, phase divisor 2 s_i that enters)
   *    + [m != n or truncated] s_1 / (smallest s_i that enters),
   *  at least 1; 1 for gS only.  Under LORENTZ a gap enters by its broadened reciprocal and by the
   *  sensitivity of that to s.  What the default policy drops in float but not in double (gaps
   *  <= c * eps * s_1) does enter: skip float where eps * condition is not small. */
  double condition;
  /** 1: a Jacobi method gets every S to relative precision (A = B D with B well conditioned and D
   *  diagonal; A is exactly representable in float). */
  int relative_S;
} golden_t;

extern const golden_t golden_cases[];
extern const int golden_case_count;

#ifdef __cplusplus
}
#endif
#endif
