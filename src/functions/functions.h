/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations composed of backend calls: svd, svd_backward and programs (machine.h).  svd_backward() here is for a
 * backend's own function of that name, where it has no fused kernel; p->algo is that of the SVD of the discarded part. */
#ifndef SVDGRAD_FUNCTIONS_H
#define SVDGRAD_FUNCTIONS_H
#include "backend.h"
#include "functions/forms.h"

/* Bytes of workspace; SIZE_MAX if they do not fit. */
size_t svd_backward_workspace(const context_t *context, const problem_t *p);
size_t svd_jvp_workspace(const context_t *context, const problem_t *p);
size_t second_workspace(const context_t *context, const problem_t *p);
size_t matrix_function_workspace(const context_t *context, const problem_t *p);
size_t matrix_function_backward_workspace(const context_t *context, const problem_t *p);
size_t norm_workspace(const context_t *context, const problem_t *p);
size_t norm_gradient_workspace(const context_t *context, const problem_t *p);
size_t determinant_workspace(const context_t *context, const problem_t *p);
size_t determinant_gradient_workspace(const context_t *context, const problem_t *p);

svdgrad_status_t svd_backward(const context_t *context, const svd_backward_call_t *call);
svdgrad_status_t svd_jvp(const context_t *context, const svd_jvp_call_t *call);
svdgrad_status_t svd_backward_backward(const context_t *context, const svd_backward_backward_call_t *call);
svdgrad_status_t matrix_function(const context_t *context, const function_call_t *call);
svdgrad_status_t matrix_function_backward(const context_t *context, const function_call_t *call);
svdgrad_status_t norm(const context_t *context, const norm_call_t *call);
svdgrad_status_t determinant(const context_t *context, const determinant_call_t *call);

/* What a call of a function, or of its backward pass, says to its forms; the tensors are to be filled in. */
function_form_t function_form_of(const function_call_t *call, int backward);

/* backend_t.fused_norm of a backend that has no fused norms: returns NULL. */
fused_norm_t *no_fused_norm(const context_t *context, const problem_t *p, svdgrad_norm_kind_t kind);

#endif
