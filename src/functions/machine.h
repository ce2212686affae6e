/* SPDX-License-Identifier: BSD-3-Clause */
/* What functions of the SVD are written in: a program of a few operations on packed matrices.  One text of each program
 * serves every backend; a backend brings the operations (src/functions/host_machine.inc, cuda/cuda_machine.c).
 *
 * A program reads as if for one matrix.  The CPU backends run it for one matrix, or for a group of them in SIMD lanes, at
 * a time; the CUDA backend runs it once, every operation being a launch for the whole batch. */
#ifndef SVDGRAD_MACHINE_H
#define SVDGRAD_MACHINE_H
#include "../backend.h"

typedef struct machine machine_t;

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

/* Singular values s = 2^-exponent S such that 1 <= s_1 < 2 (gap_rules.inc).  Forms multiply what they divide by a
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
  reals_t dS, inverse; /* out: Re diag(E); what stands for 1/s_j before the parts outside the spans of U and V */
  int outside;         /* there are such parts */
  /* Truncated rank: the singular values of the discarded part, in units of s; in p, q the parts outside in its singular
   * bases, in x, y out the solution there (backward_core.inc). */
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
  reals_t inverse;  /* out: what stands for 1/s_j */
  int outside;      /* m != n */
  svdgrad_report_t *report;
} second_form_t;

/* f(S), or its divided differences (src/function_rules.inc). */
typedef struct function_form {
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  double param;
  int64_t larger; /* max(m, n) */
  values_t values;
  reals_t f, df;       /* CUSTOM: the caller's */
  reals_t determinant; /* ROTATION: the sign of det(U Vh) */
  reals_t result;      /* values: out, f(s_i) */
  reals_t points;      /* pairs: scratch, 2 k */
  tensor_t P, M;       /* pairs: in, U^H gY V or V^H herm(gY) V; out */
  reals_t factor;      /* pairs: out, what is before the parts outside the spans */
  int outside;         /* there are such parts */
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
} norm_form_t;

typedef struct machine_ops {
  tensor_t (*take)(machine_t *machine, int64_t rows, int64_t columns);
  reals_t (*take_reals)(machine_t *machine, int64_t count);
  values_t (*take_values)(machine_t *machine, int64_t count);
  /* to = op(from); zero where the caller gave nothing (from.data NULL). */
  void (*load)(machine_t *machine, svdgrad_matrix_t from, machine_operation_t op, tensor_t to);
  void (*load_reals)(machine_t *machine, svdgrad_vector_t from, reals_t to);
  void (*load_values)(machine_t *machine, svdgrad_vector_t S, values_t to);
  /* to = alpha op(from) + beta to; nothing where to.data is NULL. */
  void (*store)(machine_t *machine, tensor_t from, machine_operation_t op, double alpha, double beta,
                svdgrad_matrix_t to);
  void (*store_reals)(machine_t *machine, reals_t from, svdgrad_vector_t to);
  /* C = alpha op(A) op(B) + beta C; not both of A and B HERMITIAN. */
  void (*multiply)(machine_t *machine, double alpha, machine_operation_t op_a, tensor_t A, machine_operation_t op_b,
                   tensor_t B, double beta, tensor_t C);
  void (*scale_columns)(machine_t *machine, reals_t factor, tensor_t X);  /* X_j *= factor_j */
  void (*normalize)(machine_t *machine, values_t values, tensor_t X);     /* X *= 2^-exponent */
  void (*determinant_sign)(machine_t *machine, tensor_t X, reals_t sign); /* of a square X, which is destroyed */
  void (*form_jvp)(machine_t *machine, const jvp_form_t *form);
  void (*form_second)(machine_t *machine, const second_form_t *form);
  void (*form_values)(machine_t *machine, const function_form_t *form);
  void (*form_pairs)(machine_t *machine, const function_form_t *form);
  void (*form_norm)(machine_t *machine, const norm_form_t *form);
} machine_ops_t;

/* The first member of a backend's own machine. */
struct machine {
  const machine_ops_t *ops;
  const problem_t *p;
  int measuring; /* only take memory */
};

struct program {
  const char *function; /* the public one, for messages */
  const problem_t *p;
  const void *call;
  void (*run)(machine_t *machine, const void *call);
};

static inline tensor_t columns_of(tensor_t X, int64_t first, int64_t count) {
  return (tensor_t){X.data, X.rows, count, X.first + first, X.all};
}

#endif
