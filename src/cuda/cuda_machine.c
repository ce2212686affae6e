/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_machine.h"

#include "base/batch_layout.h"
#include "base/element_size.h"
#include "functions/machine.h"
#include "cuda_device.h"
#include "cuda_function.h"

typedef struct cuda_machine {
  machine_t base;
  const cuda_kernels_t *kernels;
  cudaStream_t stream;
  batch_layout_t layout;
  cudaError_t error;          /* the first one; nothing is launched after it */
  cuda_transfers_t transfers; /* not launched yet: all of them loads, or all of them stores */
} cuda_machine_t;

static cuda_machine_t *cuda(machine_t *machine) { return (cuda_machine_t *)machine; }

static void launch_transfers(cuda_machine_t *c) {
  if (!c->error && c->transfers.count > 0)
    c->error = c->kernels->program_transfer(&c->transfers, c->stream);
  c->transfers.count = 0;
}

/* Before an operation that computes: what was loaded is there, and what is stored is not changed any more. */
static cuda_machine_t *ready(machine_t *machine) {
  launch_transfers(cuda(machine));
  return cuda(machine);
}

/* ---- memory --------------------------------------------------------------------------------------- */

static tensor_t take(machine_t *machine, int64_t rows, int64_t columns) {
  cuda_machine_t *c = cuda(machine);
  const int64_t count = element_count(rows, columns);
  return (tensor_t){layout_take(&c->layout, count, c->kernels->element_size), rows, columns, 0, columns};
}

static reals_t take_reals(machine_t *machine, int64_t count) {
  cuda_machine_t *c = cuda(machine);
  return (reals_t){layout_take(&c->layout, count, c->kernels->real_size), count};
}

static values_t take_values(machine_t *machine, int64_t count) {
  const reals_t s = take_reals(machine, count);
  return (values_t){s, layout_take(&cuda(machine)->layout, 1, sizeof(int32_t))};
}

/* ---- transfers ------------------------------------------------------------------------------------ */

static int is_load(const cuda_transfer_t *transfer) {
  return transfer->kind == CUDA_LOAD || transfer->kind == CUDA_LOAD_REALS;
}

/* Transfers in a row wait for each other, and are one launch.  A store reads what a load has written: not in one. */
static void transfer(machine_t *machine, cuda_transfer_t next) {
  cuda_machine_t *c = cuda(machine);
  if (c->transfers.count == CUDA_TRANSFERS ||
      (c->transfers.count > 0 && is_load(&c->transfers.at[0]) != is_load(&next)))
    launch_transfers(c);
  c->transfers.at[c->transfers.count++] = next;
}

static void load(machine_t *machine, svdgrad_matrix_t from, machine_operation_t op, tensor_t to) {
  const transfer_args_t args = {.batch_count = machine->p->batch_count, .matrix = from, .op = op, .X = to};
  if (to.data)
    transfer(machine, (cuda_transfer_t){CUDA_LOAD, {.matrix = args}});
}

static void store(machine_t *machine, tensor_t from, machine_operation_t op, double alpha, double beta,
                  svdgrad_matrix_t to) {
  const transfer_args_t args = {machine->p->batch_count, to, op, from, alpha, beta};
  if (from.data && to.data)
    transfer(machine, (cuda_transfer_t){CUDA_STORE, {.matrix = args}});
}

static void load_reals(machine_t *machine, svdgrad_vector_t from, reals_t to) {
  const transfer_reals_args_t args = {machine->p->batch_count, from, to, NULL, NULL};
  if (to.data)
    transfer(machine, (cuda_transfer_t){CUDA_LOAD_REALS, {.reals = args}});
}

static void store_reals(machine_t *machine, reals_t from, svdgrad_vector_t to) {
  const transfer_reals_args_t args = {machine->p->batch_count, to, from, NULL, NULL};
  if (from.data && to.data)
    transfer(machine, (cuda_transfer_t){CUDA_STORE_REALS, {.reals = args}});
}

/* Also where there are no values: their exponent is then 0. */
static void load_scaled_values(machine_t *machine, svdgrad_vector_t S, const int32_t *told, values_t to) {
  const transfer_reals_args_t args = {machine->p->batch_count, S, to.s, to.exponent, told};
  transfer(machine, (cuda_transfer_t){CUDA_LOAD_REALS, {.reals = args}});
}

static void load_values(machine_t *machine, svdgrad_vector_t S, values_t to) {
  load_scaled_values(machine, S, NULL, to);
}

/* ---- on tensors ----------------------------------------------------------------------------------- */

static void *start_of(const cuda_machine_t *c, tensor_t X) {
  return X.data ? (char *)X.data + (size_t)(X.first * X.rows) * c->kernels->element_size : NULL;
}

static cuda_operation_t product_operation(machine_operation_t op) {
  return op == HERMITIAN ? CUDA_HERMITIAN : CUDA_PLAIN;
}

static void multiply(machine_t *machine, double alpha, machine_operation_t op_a, tensor_t A, machine_operation_t op_b,
                     tensor_t B, double beta, tensor_t C) {
  cuda_machine_t *c = ready(machine);
  const gemm_args_t args = {.batch_count = machine->p->batch_count,
                            .m = C.rows,
                            .n = C.columns,
                            .k = op_a == HERMITIAN ? A.rows : A.columns,
                            .op_a = product_operation(op_a),
                            .op_b = product_operation(op_b),
                            .alpha = alpha,
                            .beta = beta,
                            .A = start_of(c, A),
                            .B = start_of(c, B),
                            .C = start_of(c, C),
                            .lda = A.rows,
                            .ldb = B.rows,
                            .ldc = C.rows,
                            .stride_a = A.rows * A.all,
                            .stride_b = B.rows * B.all,
                            .stride_c = C.rows * C.all};
  if (!c->error && C.data && C.columns > 0)
    c->error = c->kernels->gemm(&args, c->stream);
}

static void scale_columns(machine_t *machine, reals_t factor, tensor_t X) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .factor = factor};
  if (!c->error && X.data)
    c->error = c->kernels->program_scale(&args, c->stream);
}

static void scale_columns_in_steps(machine_t *machine, reals_t factor, reals_t step, tensor_t X) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .factor = factor, .step = step};
  if (!c->error && X.data)
    c->error = c->kernels->program_scale(&args, c->stream);
}

static void scale_columns_by(machine_t *machine, tensor_t factor, tensor_t X) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .column = factor};
  if (!c->error && X.data)
    c->error = c->kernels->program_scale_by(&args, c->stream);
}

static void add_identity(machine_t *machine, double value, tensor_t X) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .value = value};
  if (!c->error && X.data)
    c->error = c->kernels->program_add_identity(&args, c->stream);
}

static void normalize(machine_t *machine, values_t values, tensor_t X) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .exponent = values.exponent};
  if (!c->error && X.data)
    c->error = c->kernels->program_normalize(&args, c->stream);
}

static void determinant_phase(machine_t *machine, tensor_t X, tensor_t phase) {
  cuda_machine_t *c = ready(machine);
  const tensor_args_t args = {.batch_count = machine->p->batch_count, .X = X, .phase = phase};
  if (!c->error)
    c->error = c->kernels->program_phase(&args, c->stream);
}

/* ---- forms: also of no values, for the report ----------------------------------------------------- */

static form_args_t form_of(const machine_t *machine) {
  const problem_t *p = machine->p;
  return (form_args_t){.batch_count = p->batch_count, .gap_policy = p->gap_policy, .gap_param = p->gap_param};
}

static void form(machine_t *machine, cudaError_t (*launch)(const form_args_t *, cudaStream_t),
                 const form_args_t *args) {
  cuda_machine_t *c = ready(machine);
  if (!c->error)
    c->error = launch(args, c->stream);
}

static void form_backward(machine_t *machine, const backward_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.backward = *of;
  form(machine, cuda(machine)->kernels->form_backward, &args);
}

static void form_jvp(machine_t *machine, const jvp_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.jvp = *of;
  form(machine, cuda(machine)->kernels->form_jvp, &args);
}

static void form_second(machine_t *machine, const svd_backward_backward_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.svd_backward_backward = *of;
  form(machine, cuda(machine)->kernels->form_second, &args);
}

static void form_outside(machine_t *machine, const svd_backward_backward_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.svd_backward_backward = *of;
  form(machine, cuda(machine)->kernels->form_outside, &args);
}

static void form_values(machine_t *machine, const function_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.function = *of;
  form(machine, cuda(machine)->kernels->form_values, &args);
}

static void form_pairs(machine_t *machine, const function_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.function = *of;
  form(machine, cuda(machine)->kernels->form_pairs, &args);
}

static void form_norm(machine_t *machine, const norm_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.norm = *of;
  form(machine, cuda(machine)->kernels->form_norm, &args);
}

static void form_determinant(machine_t *machine, const determinant_form_t *of) {
  form_args_t args = form_of(machine);
  args.form.determinant = *of;
  form(machine, cuda(machine)->kernels->form_determinant, &args);
}

/* ---- programs ------------------------------------------------------------------------------------- */

static const machine_ops_t cuda_machine_ops = {
    .take = take,
    .take_reals = take_reals,
    .take_values = take_values,
    .load = load,
    .load_reals = load_reals,
    .load_values = load_values,
    .load_scaled_values = load_scaled_values,
    .store = store,
    .store_reals = store_reals,
    .multiply = multiply,
    .scale_columns = scale_columns,
    .scale_columns_in_steps = scale_columns_in_steps,
    .scale_columns_by = scale_columns_by,
    .normalize = normalize,
    .add_identity = add_identity,
    .determinant_phase = determinant_phase,
    .form_backward = form_backward,
    .form_jvp = form_jvp,
    .form_second = form_second,
    .form_outside = form_outside,
    .form_values = form_values,
    .form_pairs = form_pairs,
    .form_norm = form_norm,
    .form_determinant = form_determinant,
};

static cuda_machine_t machine_of(const program_t *program, void *stream, void *work, int measuring) {
  const problem_t *p = program->p;
  return (cuda_machine_t){.base = {&cuda_machine_ops, p, measuring},
                          .kernels = cuda_kernels_of(p->dtype),
                          .stream = stream,
                          .layout = {work, p->batch_count, 0, 0, 0}};
}

size_t cuda_program_workspace(const context_t *context, const program_t *program) {
  cuda_machine_t machine = machine_of(program, NULL, NULL, 1);
  (void)context;
  program->run(&machine.base, program->call);
  return layout_bytes(&machine.layout);
}

svdgrad_status_t cuda_program_run(const context_t *context, const program_t *program, void *stream, void *work) {
  cuda_machine_t machine = machine_of(program, stream, work, 0);
  device_guard_t guard;
  if (program->kind != PROGRAM_PLAIN && cuda_has_function(context, program->call))
    return cuda_function(context, program->call, program->kind == PROGRAM_FUNCTION_BACKWARD);
  machine.error = device_enter(&guard, cuda_state(context)->device);
  if (machine.error)
    return cuda_status(program->function, machine.error);
  program->run(&machine.base, program->call);
  launch_transfers(&machine);
  device_leave(&guard);
  return cuda_status(program->function, machine.error);
}
