/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations in which functions of the SVD are written.  A program is a sequence of operations on packed matrices,
 * the same text for every backend; a backend implements the operations (src/functions/host_operations.h,
 * src/cuda/cuda_machine.c).
 *
 * A program is written for one matrix.  The CPU backends run it for each matrix, or for each group of matrices in SIMD
 * lanes.  The CUDA backend runs it once; every operation is a kernel launch for the whole batch, and
 * so are loads in a row, or stores. */
#ifndef SVDGRAD_MACHINE_H
#define SVDGRAD_MACHINE_H
#include "backend.h"
#include "functions/forms.h"

typedef struct machine machine_t;

typedef struct machine_ops {
  tensor_t (*take)(machine_t *machine, int64_t rows, int64_t columns);
  reals_t (*take_reals)(machine_t *machine, int64_t count);
  values_t (*take_values)(machine_t *machine, int64_t count);
  /* to = op(from); zero where the operand is absent (from.data NULL). */
  void (*load)(machine_t *machine, svdgrad_matrix_t from, machine_operation_t op, tensor_t to);
  void (*load_reals)(machine_t *machine, svdgrad_vector_t from, reals_t to);
  void (*load_values)(machine_t *machine, svdgrad_vector_t S, values_t to);
  /* to = alpha op(from) + beta to; does nothing where to.data is NULL. */
  void (*store)(machine_t *machine, tensor_t from, machine_operation_t op, double alpha, double beta,
                svdgrad_matrix_t to);
  void (*store_reals)(machine_t *machine, reals_t from, svdgrad_vector_t to);
  /* C = alpha op(A) op(B) + beta C; op_a and op_b must not both be HERMITIAN. */
  void (*multiply)(machine_t *machine, double alpha, machine_operation_t op_a, tensor_t A, machine_operation_t op_b,
                   tensor_t B, double beta, tensor_t C);
  void (*scale_columns)(machine_t *machine, reals_t factor, tensor_t X); /* X_j *= factor_j */
  /* X_j *= factor_j, then X *= step: one number per matrix, nearly always 1. */
  void (*scale_columns_in_steps)(machine_t *machine, reals_t factor, reals_t step, tensor_t X);
  void (*scale_columns_by)(machine_t *machine, tensor_t factor, tensor_t X); /* factor: a column of elements */
  void (*normalize)(machine_t *machine, values_t values, tensor_t X);        /* X *= 2^-exponent */
  void (*add_identity)(machine_t *machine, double value, tensor_t X);        /* X += value I */
  /* phase = det(X) / |det(X)| of a square X, +-1 for real types; destroys X. */
  void (*determinant_phase)(machine_t *machine, tensor_t X, tensor_t phase);
  void (*form_backward)(machine_t *machine, const backward_form_t *form);
  void (*form_jvp)(machine_t *machine, const jvp_form_t *form);
  void (*form_second)(machine_t *machine, const svd_backward_backward_form_t *form);
  void (*form_outside)(machine_t *machine, const svd_backward_backward_form_t *form); /* sb_j -= Re(D_jj) inverse_j^2 */
  void (*form_values)(machine_t *machine, const function_form_t *form);
  void (*form_pairs)(machine_t *machine, const function_form_t *form);
  void (*form_norm)(machine_t *machine, const norm_form_t *form);
  void (*form_determinant)(machine_t *machine, const determinant_form_t *form);
  /* As load_values() for the values 2^exponent S (svd_call_t.exponent), one exponent per matrix. */
  void (*load_scaled_values)(machine_t *machine, svdgrad_vector_t S, const int32_t *exponent, values_t to);
} machine_ops_t;

/* The first member of every backend's own machine. */
struct machine {
  const machine_ops_t *ops;
  const problem_t *p;
  int measuring; /* non-zero: only the take operations may be called */
};

/* Programs that a backend may have a kernel for: a matrix function and its backward pass; the call is a
 * function_call_t. */
typedef enum program_kind { PROGRAM_PLAIN, PROGRAM_FUNCTION, PROGRAM_FUNCTION_BACKWARD } program_kind_t;

struct program {
  const char *function; /* name of the public function, for messages */
  const problem_t *p;
  const void *call;
  void (*run)(machine_t *machine, const void *call);
  program_kind_t kind;
};

static inline tensor_t columns_of(tensor_t X, int64_t first, int64_t count) {
  return (tensor_t){X.data, X.rows, count, X.first + first, X.all};
}

#endif
