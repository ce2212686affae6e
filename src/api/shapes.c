/* SPDX-License-Identifier: BSD-3-Clause */
#include "shapes.h"

#include "base/element_size.h"

static extent_t m_of(const problem_t *p) { return (extent_t){"m", p->m}; }
static extent_t n_of(const problem_t *p) { return (extent_t){"n", p->n}; }

static operand_t matrix(const problem_t *p, const char *name, operand_role_t role, int required, extent_t rows,
                        extent_t columns, const svdgrad_matrix_t *given, svdgrad_matrix_t *to) {
  *to = given ? *given : (svdgrad_matrix_t){0};
  return operand_matrix(name, role, required, given, rows, columns, p->batch_count, element_size(p->dtype));
}

static operand_t vector(const problem_t *p, const char *name, operand_role_t role, int required, extent_t length,
                        size_t size, const svdgrad_vector_t *given, svdgrad_vector_t *to) {
  *to = given ? *given : (svdgrad_vector_t){0};
  return operand_vector(name, role, required, given, length, p->batch_count, size);
}

operand_t shape_A(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to) {
  return matrix(p, name, role, required, m_of(p), n_of(p), given, to);
}

operand_t shape_U(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to) {
  const extent_t columns = {p->full_matrices ? "m" : "k", p->u_cols};
  return matrix(p, name, role, required, m_of(p), columns, given, to);
}

operand_t shape_Vh(const problem_t *p, const char *name, operand_role_t role, int required,
                   const svdgrad_matrix_t *given, svdgrad_matrix_t *to) {
  const extent_t rows = {p->full_matrices ? "n" : "k", p->vh_rows};
  return matrix(p, name, role, required, rows, n_of(p), given, to);
}

operand_t shape_S(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_vector_t *given, svdgrad_vector_t *to) {
  return vector(p, name, role, required, (extent_t){"k", p->k}, real_size(p->dtype), given, to);
}

operand_t shape_Y(const problem_t *p, svdgrad_form_t form, const char *name, operand_role_t role,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to) {
  return matrix(p, name, role, 1, form == SVDGRAD_FORM_UVH ? m_of(p) : n_of(p), n_of(p), given, to);
}

operand_t shape_u(const problem_t *p, operand_role_t role, const svdgrad_vector_t *given, svdgrad_vector_t *to) {
  return vector(p, "u", role, 1, m_of(p), element_size(p->dtype), given, to);
}

operand_t shape_v(const problem_t *p, operand_role_t role, const svdgrad_vector_t *given, svdgrad_vector_t *to) {
  return vector(p, "v", role, 1, n_of(p), element_size(p->dtype), given, to);
}

operand_t shape_real(const problem_t *p, const char *name, operand_role_t role, int required,
                     const svdgrad_vector_t *given, svdgrad_vector_t *to) {
  return vector(p, name, role, required, (extent_t){"1", 1}, real_size(p->dtype), given, to);
}

operand_t shape_element(const problem_t *p, const char *name, operand_role_t role, const svdgrad_vector_t *given,
                        svdgrad_matrix_t *to) {
  svdgrad_vector_t x;
  const operand_t operand = vector(p, name, role, 0, (extent_t){"1", 1}, element_size(p->dtype), given, &x);
  *to = (svdgrad_matrix_t){x.data, 1, 1, x.batch_stride};
  return operand;
}
