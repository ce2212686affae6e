/* SPDX-License-Identifier: BSD-3-Clause */
/* How many kernels a call of each operation launches: a small matrix waits for launches and not for arithmetic, so none
 * may come back unnoticed.  With a report, and operands in the order of frameworks. */
#include "functions.h"
#include "simt_test.h"

#include <criterion/criterion.h>

typedef struct call {
  svdgrad_op_t op;
  int64_t m, n, rank; /* 0: all */
  int full_matrices;
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  unsigned long launches;
} call_t;

static unsigned long launches_of(const call_t *call, svdgrad_dtype_t dtype) {
  svdgrad_desc_t desc = make_desc(dtype, call->m, call->n, 2);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  desc.rank = call->rank;
  desc.full_matrices = call->full_matrices;
  desc.max_sweeps = 1; /* all launch the same */
  LOCAL(functions) x = functions_make(SVDGRAD_BACKEND_CUDA, &desc, call->form, LAYOUT_ROW_MAJOR);
  for (int64_t b = 0; b < desc.batch_count; b++)
    functions_fill(&x, b, (uint64_t)b + 1);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  x.function.kind = call->kind;
  x.function.param = 0.5;
  const unsigned long before = simt_launches();
  cr_assert_eq(call->op == SVDGRAD_OP_SVD_BACKWARD ? fixture_backward(&x.f, WITH_COTANGENTS, 1, 0)
                                                   : functions_run(&x, call->op, 0, 1, 0),
               SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  return simt_launches() - before;
}

#define FUNCTION(kind, form, m, n, forward, backward)                                                                  \
  {SVDGRAD_OP_MATRIX_FUNCTION, m, n, 0, 0, SVDGRAD_FUNCTION_##kind, SVDGRAD_FORM_##form, forward}, {                   \
    SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, m, n, 0, 0, SVDGRAD_FUNCTION_##kind, SVDGRAD_FORM_##form, backward            \
  }
#define OPERATION(op, m, n, rank, full, launches)                                                                      \
  { SVDGRAD_OP_##op, m, n, rank, full, SVDGRAD_FUNCTION_POLAR, SVDGRAD_FORM_UVH, launches }

Test(launches, of_every_operation) {
  static const call_t calls[] = {
      OPERATION(SVD_BACKWARD, 4, 4, 0, 0, 1),
      OPERATION(SVD_BACKWARD, 32, 32, 8, 0, 24),
      OPERATION(SVD_BACKWARD, 40, 20, 0, 1, 12),
      OPERATION(SVD_BACKWARD, 160, 140, 0, 0, 11),
      OPERATION(SVD_BACKWARD, 160, 160, 0, 0, 9),
      OPERATION(SVD_JVP, 8, 8, 0, 0, 8),
      OPERATION(SVD_JVP, 40, 20, 0, 0, 10),
      OPERATION(SVD_JVP, 32, 32, 8, 0, 24),
      OPERATION(SVD_BACKWARD_BACKWARD, 8, 8, 0, 0, 15),
      OPERATION(SVD_BACKWARD_BACKWARD, 40, 20, 0, 0, 27),
      OPERATION(NORM, 8, 8, 0, 0, 4),
      OPERATION(NORM_GRADIENT, 8, 8, 0, 0, 1),
      OPERATION(NORM_GRADIENT, 40, 20, 0, 0, 10),
      OPERATION(DETERMINANT, 8, 8, 0, 0, 7),
      OPERATION(DETERMINANT_GRADIENT, 8, 8, 0, 0, 9),
      FUNCTION(POLAR, UVH, 3, 3, 1, 1),
      FUNCTION(POLAR, UVH, 32, 32, 1, 1),
      FUNCTION(POLAR, UVH, 40, 40, 5, 9),
      FUNCTION(SOFT_THRESHOLD, UVH, 32, 20, 1, 1),
      FUNCTION(SOFT_THRESHOLD, UVH, 20, 32, 1, 1),
      FUNCTION(SOFT_THRESHOLD, UVH, 40, 20, 5, 9),
      FUNCTION(INVERSE, UVH, 8, 5, 1, 1),
      FUNCTION(INVERSE, UVH, 60, 40, 5, 11),
      FUNCTION(POWER, VVH, 8, 5, 1, 1),
      FUNCTION(POWER, VVH, 5, 8, 1, 1),
      FUNCTION(POWER, VVH, 20, 40, 5, 10),
      FUNCTION(CUSTOM, UVH, 8, 8, 1, 1),
      FUNCTION(CUSTOM, UVH, 40, 40, 5, 9),
      FUNCTION(ROTATION, UVH, 8, 8, 7, 9),
      FUNCTION(ROTATION, UVH, 40, 40, 7, 11),
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    const call_t *c = &calls[i];
    const unsigned long launches = launches_of(c, SVDGRAD_F32);
    cr_expect_eq(launches, c->launches,
                 "%lu launches, not %lu: %s %d x %d, rank %d, full_matrices %d, kind %d, form %d", launches,
                 c->launches, functions_op_name(c->op), (int)c->m, (int)c->n, (int)c->rank, c->full_matrices,
                 (int)c->kind, (int)c->form);
  }
}
