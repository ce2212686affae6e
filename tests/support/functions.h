/* SPDX-License-Identifier: BSD-3-Clause */
/* A fixture_t with the additional operands of the functions of the SVD, and their calls: svdgrad_svd_jvp,
 * svdgrad_svd_backward_backward, svdgrad_matrix_function and its backward pass, svdgrad_norm, svdgrad_determinant. */
#ifndef TEST_FUNCTIONS_H
#define TEST_FUNCTIONS_H
#include "fixture.h"

/* Operands after those of a fixture.  DA is also ggA, and DS, DU, DVH are also ggS, ggU, ggVh; the last three are
 * arrays and no buffers, and can only be absent. */
enum {
  OPERAND_DA = OPERAND_COUNT,
  OPERAND_DS,
  OPERAND_DU,
  OPERAND_DVH,
  OPERAND_Y,
  OPERAND_GY,
  OPERAND_F,
  OPERAND_DF,
  OPERAND_VALUE,
  OPERAND_G,
  OPERAND_DET,
  OPERAND_SIGN,
  OPERAND_LOG_ABS,
  OPERAND_G_DET,
  OPERAND_G_SIGN,
  OPERAND_G_LOG_ABS,
  FUNCTIONS_OPERAND_COUNT,
  OPERAND_REPORT = FUNCTIONS_OPERAND_COUNT,
  OPERAND_INFO,
  OPERAND_FUNCTION
};
const char *functions_operand_name(int operand);

/* Bit of an operand in a set of absent ones, which are handed over as NULL. */
#define ABSENT(operand) (1u << (operand))

typedef enum functions_role { ROLE_NONE, ROLE_INPUT, ROLE_OUTPUT } functions_role_t;

typedef struct functions {
  fixture_t f; /* A, S, U, Vh, gS, gU, gVh, gA; info, report; intact, fill */
  svdgrad_function_t function;
  svdgrad_norm_kind_t norm;
  double p;                                                       /* of SCHATTEN */
  buffer_t dA, dS, dU, dVh, Y, gY, values, derivatives, value, g; /* values and derivatives: f and df of CUSTOM */
  buffer_t det, sign, log_abs, g_det, g_sign, g_log_abs;
} functions_t;

/* The operations, in the order of their numbers. */
enum { FUNCTIONS_OP_COUNT = 8 };
extern const svdgrad_op_t functions_ops[FUNCTIONS_OP_COUNT];
const char *functions_op_name(svdgrad_op_t op); /* of the public function */

/* What the operand is to the call: none if it does not have it. */
functions_role_t functions_role(const functions_t *x, svdgrad_op_t op, int operand);

/* Y and gY have the shape that `form` says. */
functions_t functions_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, svdgrad_form_t form, layout_t layout);
functions_t functions_make_placed(svdgrad_backend_t backend, const svdgrad_desc_t *desc, svdgrad_form_t form,
                                  const placement_t placement[FUNCTIONS_OPERAND_COUNT]);
void functions_free(functions_t *x);
buffer_t *functions_operand(functions_t *x, int operand);

/* The call of that operation without the operands in `absent`, in a workspace of the caller's; nothing is checked.  For
 * the CUDA backend every operand is copied to the device and back. */
svdgrad_status_t functions_call(const functions_t *x, svdgrad_op_t op, unsigned absent, double alpha, double beta,
                                void *work, size_t bytes);
/* The same in a workspace of its own (workspace.h); x->f.intact tells of it, and of the padding of the outputs. */
svdgrad_status_t functions_run(functions_t *x, svdgrad_op_t op, unsigned absent, double alpha, double beta);

/* Every input of matrix b, and gA, normal: the same in every fixture of that shape and element type. */
void functions_fill(functions_t *x, int64_t b, uint64_t seed);

/* Bitwise equality of all outputs of the operation for matrix bx of x and by of y. */
int functions_same(functions_t *x, int64_t bx, functions_t *y, int64_t by, svdgrad_op_t op);

/* A local variable that is freed at the end of its block: LOCAL(dense) X = dense_zero(2, 3). */
#define LOCAL(type) __attribute__((cleanup(type##_free))) type##_t

#endif
