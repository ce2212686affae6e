/* SPDX-License-Identifier: BSD-3-Clause */
/* The operands of programs (machine.h), and their forms: k-by-k hearts that no product does.  For C and CUDA. */
#ifndef SVDGRAD_FORMS_H
#define SVDGRAD_FORMS_H
#include <svdgrad/svdgrad.h>

/* A column-major matrix in scratch memory, or some columns of one; data NULL: there is none, and operations leave it
 * out. */
typedef struct tensor {
  void *data;
  int64_t rows, columns;
  int64_t first, all; /* the columns are first..first+columns-1 of `all` */
} tensor_t;

/* Real numbers in scratch memory. */
typedef struct reals {
  void *data;
  int64_t count;
} reals_t;

/* Singular values s = 2^-exponent S such that 1 <= s_1 < 2 (rules/gap.inc).  Forms multiply what they divide by a
 * singular value by the power of two it lacks. */
typedef struct values {
  reals_t s;
  void *exponent; /* one int per matrix */
} values_t;

typedef enum machine_operation { PLAIN, HERMITIAN } machine_operation_t;

/* The k-by-k heart of the JVP (svdgrad.h). */
typedef struct jvp_form {
  values_t values;
  tensor_t E;          /* in: U^H dA V */
  tensor_t K, N;       /* out */
  reals_t dS, inverse; /* out: Re diag(E); what stands for 1/s_j before the parts outside the spans of U and V, */
  reals_t step;        /* but for this factor, one per matrix and 1 nearly always: the product may overflow */
  int outside;         /* there are such parts */
  /* Truncated rank: the singular values of the discarded part, in units of s; in p, q the parts outside in its singular
   * bases, in x, y out the solution there (backward_core.h). */
  reals_t rest;
  tensor_t p, q, x, y;
  const int32_t *failed; /* per matrix: non-zero if the discarded part could not be had; or NULL */
  svdgrad_report_t *report;
} jvp_form_t;

/* The same of the second backward pass (functions/svd_backward_backward.c). */
typedef struct second_form {
  values_t values;
  tensor_t P, Q, Z; /* in: U^H gU, V^H gV, U^H ggA V */
  reals_t gS;       /* in */
  tensor_t D;       /* in: its diagonal is divided by s_j^2 and taken from sb; or none */
  tensor_t M, K, N; /* out: of the first pass, and of the JVP along ggA */
  reals_t dS, sb;   /* out */
  reals_t inverse;  /* out: what stands for 1/s_j, */
  reals_t step;     /* but for this factor, as above */
  int outside;      /* m != n */
  svdgrad_report_t *report;
} second_form_t;

/* f(S), or its divided differences (src/rules/function.inc). */
typedef struct function_form {
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  double param, null_value;
  int relative;
  int64_t larger; /* max(m, n) */
  values_t values;
  reals_t f, df;  /* CUSTOM: the caller's */
  tensor_t phase; /* ROTATION: that of det(U Vh), 1-by-1 */
  tensor_t turn;  /* ROTATION of complex types: out, e^(i theta_j), k-by-1; or none */
  reals_t result; /* values: out, f(s_i) */
  reals_t points; /* pairs: scratch, 2 k */
  tensor_t P, M;  /* pairs: in, U^H gY V or V^H herm(gY) V; out */
  reals_t factor; /* pairs: out, what is before the parts outside the spans, */
  reals_t step;   /* but for this factor, as above */
  int outside;    /* there are such parts */
  svdgrad_report_t *report;
} function_form_t;

typedef struct norm_form {
  svdgrad_norm_kind_t kind;
  double p;
  int64_t larger; /* max(m, n) */
  values_t values;
  reals_t g;      /* in, one per matrix; or none */
  reals_t value;  /* out, one per matrix */
  reals_t weight; /* out: the gradient is U diag(weight) Vh; or none */
  int32_t *info;  /* in and out, per matrix: OK becomes OVERFLOW where the value is too large */
} norm_form_t;

/* The determinant of U diag(s) Vh and what its gradients are made of (src/rules/determinant.inc); 1-by-1 but for the
 * weights. */
typedef struct determinant_form {
  values_t values;
  tensor_t phase;         /* in: that of det(U Vh) */
  tensor_t g_det, g_sign; /* in */
  reals_t g_log_abs;      /* in */
  tensor_t det, sign;     /* out */
  reals_t log_abs;        /* out */
  tensor_t weight;        /* out, k-by-1: the gradient is U diag(weight) Vh; or none */
  int32_t *info;          /* OK becomes OVERFLOW where det is not finite; or NULL */
} determinant_form_t;

#endif
