/* SPDX-License-Identifier: BSD-3-Clause */
/* The operands of programs (machine.h), and the arguments of their forms: the k-by-k elementwise steps that are not
 * matrix products.  For C and CUDA. */
#ifndef SVDGRAD_FORMS_H
#define SVDGRAD_FORMS_H
#include <svdgrad/svdgrad.h>

/* A column-major matrix in scratch memory, or some columns of one.  data NULL: absent, operations skip it. */
typedef struct tensor {
  void *data;
  int64_t rows, columns;
  int64_t first, all; /* these are columns first..first+columns-1 of `all` */
} tensor_t;

/* Real numbers in scratch memory. */
typedef struct reals {
  void *data;
  int64_t count;
} reals_t;

/* Normalized singular values s = 2^-exponent S, 1 <= s_1 < 2 (rules/gap.h).  After a division by s, a form multiplies
 * the quotient by 2^-exponent. */
typedef struct values {
  reals_t s;
  void *exponent; /* one int per matrix */
} values_t;

typedef enum machine_operation { PLAIN, HERMITIAN } machine_operation_t;

/* The discarded part of the spectrum, where the rank is truncated; else empty (src/functions/discarded.h). */
typedef struct rest_form {
  reals_t r;             /* its singular values, scaled like s */
  tensor_t p, q;         /* in, r-by-k: the parts outside the spans of U and V, in its singular bases */
  tensor_t x, y;         /* out: x s - r y = p, y s - r x = q */
  const int32_t *failed; /* info codes of its SVD; or NULL.  Where one says that it failed, quotients are NaN: the
                          * operation has no info to say so */
} rest_form_t;

/* The k-by-k step of the backward pass (svdgrad.h). */
typedef struct backward_form {
  values_t values;
  tensor_t gU, gV;               /* in, for their norms; or none: not given */
  tensor_t P, Q;                 /* in: U^H gU, V^H gV; P none: only gS is given, which takes no quotient */
  tensor_t further_U, further_V; /* in, for further columns U2 and V2: U2^H gU2, V2^H gV2; or none */
  tensor_t outside_U, outside_V; /* in: the parts outside the spans, of which only zero columns count; or none */
  reals_t gS;                    /* in */
  tensor_t M;                    /* out */
  reals_t inverse, step;         /* out: inverse_j * step is 1/s_j for the parts outside; step is nearly always 1 */
  reals_t squares;               /* scratch, one for every column of U and of V */
  rest_form_t rest;
  svdgrad_report_t *report;
} backward_form_t;

/* The k-by-k step of the JVP (svdgrad.h). */
typedef struct jvp_form {
  values_t values;
  tensor_t E;          /* in: U^H dA V */
  tensor_t K, N;       /* out */
  reals_t dS, inverse; /* out: Re diag(E); inverse_j * step is 1/s_j for the parts outside the spans of U and V */
  reals_t step;        /* out: one per matrix, nearly always 1; the product may overflow */
  int outside;         /* non-zero: such parts exist */
  rest_form_t rest;
  svdgrad_report_t *report;
} jvp_form_t;

/* The k-by-k step of the second backward pass (svd_backward_backward.c). */
typedef struct second_form {
  values_t values;
  tensor_t P, Q, Z; /* in: U^H gU, V^H gV, U^H ggA V */
  reals_t gS;       /* in */
  tensor_t D;       /* in, of form_outside: W^H B, both divided by s_j but for inverse_j; or none */
  tensor_t M, K, N; /* out: M of the first pass; K and N of the JVP along ggA */
  reals_t dS, sb;   /* out */
  reals_t power;    /* out: a power of two; power_j * step * inverse_j is 1/s_j */
  reals_t inverse;  /* out: in [1, 2), or Inf or NaN, or 0 as power_j is then */
  reals_t step;     /* out: as above */
  int outside;      /* m != n */
  svdgrad_report_t *report;
} svd_backward_backward_form_t;

/* f(S) (form_values), or its divided differences (form_pairs): src/rules/function.h. */
typedef struct function_form {
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  double param, null_value;
  int relative;
  int64_t larger; /* max(m, n) */
  values_t values;
  reals_t f, df;   /* CUSTOM: the caller's */
  tensor_t phase;  /* ROTATION: the phase of det(U Vh), 1-by-1 */
  tensor_t phases; /* out, ROTATION of complex types: e^(i theta_j), k-by-1; or none */
  reals_t result;  /* values: out, f(s_i) */
  reals_t points;  /* pairs: scratch, 3 k */
  tensor_t P, M;   /* pairs: in, U^H gY V or V^H herm(gY) V; out */
  reals_t factor;  /* pairs: out, factor_j * step is the factor of the parts outside the spans */
  reals_t step;    /* pairs: out, as above */
  int outside;     /* non-zero: such parts exist */
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

/* The determinant of U diag(s) Vh and the weights of its gradient (src/rules/determinant.h).  All but the weights are
 * 1-by-1. */
typedef struct determinant_form {
  values_t values;
  tensor_t phase;         /* in: the phase of det(U Vh) */
  tensor_t g_det, g_sign; /* in */
  reals_t g_log_abs;      /* in */
  tensor_t det, sign;     /* out */
  reals_t log_abs;        /* out */
  tensor_t weight;        /* out, k-by-1: the gradient is U diag(weight) Vh; or none */
  int32_t *info;          /* OK becomes OVERFLOW where det is not finite; or NULL */
} determinant_form_t;

#endif
