/* SPDX-License-Identifier: BSD-3-Clause */
/* The shape of every operand of a problem.  Each function gives the operand for its checks and fills in the field `to` of
 * the call, with data == NULL where the caller gave none. */
#ifndef SVDGRAD_SHAPES_H
#define SVDGRAD_SHAPES_H
#include "calls.h"
#include "operand.h"

/* Shaped like A, U, Vh and S. */
operand_t shape_A(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to);
operand_t shape_U(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to);
operand_t shape_Vh(const problem_t *p, const char *name, operand_role_t role, int required,
                   const svdgrad_matrix_t *given, svdgrad_matrix_t *to);
operand_t shape_S(const problem_t *p, const char *name, operand_role_t role, int required,
                  const svdgrad_vector_t *given, svdgrad_vector_t *to);

/* A function of A, or of A^H A. */
operand_t shape_Y(const problem_t *p, svdgrad_form_t form, const char *name, operand_role_t role,
                  const svdgrad_matrix_t *given, svdgrad_matrix_t *to);

/* A column of U, and one of V. */
operand_t shape_u(const problem_t *p, operand_role_t role, const svdgrad_vector_t *given, svdgrad_vector_t *to);
operand_t shape_v(const problem_t *p, operand_role_t role, const svdgrad_vector_t *given, svdgrad_vector_t *to);

/* One number of each matrix: real, or, in calls a 1-by-1 matrix, of the element type. */
operand_t shape_real(const problem_t *p, const char *name, operand_role_t role, int required,
                     const svdgrad_vector_t *given, svdgrad_vector_t *to);
operand_t shape_element(const problem_t *p, const char *name, operand_role_t role, const svdgrad_vector_t *given,
                        svdgrad_matrix_t *to);

#endif
