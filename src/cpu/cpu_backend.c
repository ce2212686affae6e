/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU backend: small matrices one per SIMD lane; others one at a time, by reduction to bidiagonal
 * form, or by gesdd.  Threads share the batch. */
#include "empty.h"
#include "base/element_size.h"
#include "base/error.h"
#include "base/team.h"
#include "functions/functions.h"
#include "functions/pieces.h"
#include "blas_guard.h"
#include "cpu_choice.h"
#include "cpu_kernels.h"
#include "cpu_lanes_svd.h"
#include "cpu_dense_svd.h"
#include "cpu_machine.h"
#include "cpu_power.h"
#include "products.h"
#include "simd/kernels.h"

static svdgrad_status_t cpu_create(context_t *context, int device) {
  (void)device;
  context->state = (void *)lanes_choose();
  if (!context->state)
    return error_status(SVDGRAD_STATUS_BACKEND_UNAVAILABLE,
                        "svdgrad_create: this library was compiled for other processors");
  blas_guard_open();
  return SVDGRAD_STATUS_SUCCESS;
}

static void cpu_destroy(context_t *context) { (void)context; }

static const char *cpu_instruction_set(const context_t *context) {
  const lane_isa_t *isa = context->state;
  return isa->name;
}

static const lane_kernels_t *lanes_of(const context_t *context, const problem_t *p) {
  const lane_isa_t *isa = context->state;
  return isa->kernels[p->dtype];
}

static cpu_algorithm_t choose(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  return cpu_choose(op, p, lanes_of(context, p)->lanes);
}

static int64_t choice_below(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  return cpu_choice_below(op, p, lanes_of(context, p)->lanes);
}

static const char *cpu_algorithm_name(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  return cpu_algorithm_string(choose(context, op, problem));
}

static int cpu_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  (void)op;
  (void)problem;
  return 0;
}

static const svd_ops_t *lanes_svd_ops(const context_t *context, cpu_algorithm_t algorithm, const problem_t *p) {
  const lane_kernels_t *kernels = lanes_of(context, p);
  switch (algorithm) {
  case CPU_LANES: return kernels->svd;
  case CPU_VALUE_LANES: return kernels->values;
  case CPU_VECTOR_LANES: return kernels->vectors;
  default: return NULL;
  }
}

static double lanes_cost(const problem_t *p, cpu_algorithm_t algorithm) {
  return cpu_cost(p, 100, algorithm == CPU_LANES ? 0.8 : algorithm == CPU_VECTOR_LANES ? 0.55 : 0.15);
}

static batch_t lanes_batch(svdgrad_op_t op, const problem_t *p, cpu_algorithm_t algorithm,
                           const cpu_lanes_svd_t *plan) {
  return (batch_t){.task = cpu_lanes_svd,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = plan->ops->matrices(p),
                   .matrix_cost = lanes_cost(p, algorithm),
                   .scratch = cpu_lanes_svd_scratch(plan->ops, p, op == SVDGRAD_OP_SVD)};
}

static cpu_svd_plan_t plan_svd(const context_t *context, svdgrad_op_t op, const problem_t *p, const svd_call_t *call) {
  const int vectors = op == SVDGRAD_OP_SVD;
  const int64_t mx = p->m < p->n ? p->n : p->m; /* the solved matrix is tall: A or A^H */
  const reflector_ops_t *bidiagonal =
      choose(context, op, p) == CPU_BIDIAGONAL ? lanes_of(context, p)->reflectors : NULL;
  const int by_rows = bidiagonal ? cpu_goes_by_rows(p, vectors) : cpu_is_beyond_lapack(p);
  const reflector_ops_t *tall = by_rows ? lanes_of(context, p)->reflectors : NULL;
  const int lwork = bidiagonal ? 0 : cpu_gesdd[p->dtype]->lwork(tall ? p->mn : mx, p->mn, vectors);
  return (cpu_svd_plan_t){.p = p,
                          .call = call,
                          .vectors = vectors,
                          .lwork = lwork,
                          .bidiagonal = bidiagonal,
                          .conquer = lanes_of(context, p)->conquer,
                          .tall = tall,
                          .completes = lanes_of(context, p)->reflectors};
}

/* Divide and conquer has the largest part of the fixed one.  gesdd takes about twice as long. */
static double dense_cost(const cpu_svd_plan_t *plan) {
  const double flops = plan->vectors ? 0.7 : 0.35;
  return cpu_cost(plan->p, plan->vectors ? 5000 : 4000, plan->bidiagonal ? flops : 2 * flops);
}

/* Whether threads may share the work on one matrix. */
static int is_shared(const problem_t *p) {
  const double least = LEAST_SHARED_COLUMNS;
  return (double)p->m * (double)p->n * (double)p->mn >= least * least * least;
}

static batch_t dense_batch(const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  return (batch_t){.task = cpu_dense_svd,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = 1,
                   .matrix_cost = dense_cost(plan),
                   .scratch = cpu_dense_svd_scratch(plan)};
}

/* The argument of the task. */
typedef struct lanes_backward {
  const backward_ops_t *ops;
  const svd_backward_call_t *call;
} lanes_backward_t;

static void lanes_backward(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const lanes_backward_t *plan = argument;
  const backward_ops_t *narrow = plan->ops->narrow;
  const backward_ops_t *ops = narrow && count <= narrow->lanes ? narrow : plan->ops;
  ops->group(plan->call, first, count, scratch);
}

static batch_t lanes_backward_batch(const lanes_backward_t *plan, const problem_t *p) {
  return (batch_t){.task = lanes_backward,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = plan->ops->lanes,
                   .matrix_cost = cpu_cost(p, 100, 0.35),
                   .scratch = plan->ops->scratch(p)};
}

/* The program's SVD, of the discarded part: VENDOR stays VENDOR.  JACOBI becomes AUTO, since not every size fits lanes. */
static problem_t program_problem(const problem_t *p) {
  problem_t program = *p;
  program.algo = p->algo == SVDGRAD_ALGO_VENDOR ? SVDGRAD_ALGO_VENDOR : SVDGRAD_ALGO_AUTO;
  return program;
}

/* What the algorithm of the operation itself takes. */
static size_t algorithm_workspace(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  const cpu_algorithm_t algorithm = choose(context, op, p);
  if (algorithm == CPU_POWER_ITERATION)
    return op == SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD ? 0 : cpu_power_workspace(lanes_of(context, p), p);
  if (algorithm == CPU_LANES_BACKWARD) {
    const lanes_backward_t plan = {lanes_of(context, p)->backward, NULL};
    const batch_t batch = lanes_backward_batch(&plan, p);
    return batch_workspace(&batch);
  }
  if (op == SVDGRAD_OP_SVD_BACKWARD) {
    const problem_t by_program = program_problem(p);
    return svd_backward_workspace(context, &by_program);
  }
  const cpu_lanes_svd_t in_lanes = {lanes_svd_ops(context, algorithm, p), NULL};
  if (in_lanes.ops) {
    const batch_t batch = lanes_batch(op, p, algorithm, &in_lanes);
    return batch_workspace(&batch);
  }
  const cpu_svd_plan_t plan = plan_svd(context, op, p, NULL);
  const batch_t batch = dense_batch(&plan);
  return batch_workspace(&batch);
}

/* The workspace of an SVD is enough for its values alone, which may be in lanes where vectors are computed one matrix at a
 * time. */
static size_t cpu_workspace_size(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  const size_t bytes = algorithm_workspace(context, op, p);
  if (op != SVDGRAD_OP_SVD || choose(context, op, p) != CPU_BIDIAGONAL)
    return bytes;
  const size_t of_values = algorithm_workspace(context, SVDGRAD_OP_SVDVALS, p);
  return bytes > of_values ? bytes : of_values;
}

static svdgrad_status_t cpu_svd(const context_t *context, const svd_call_t *call) {
  const problem_t *p = &call->p;
  const svdgrad_op_t op = call->U.data || call->Vh.data ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS;
  const cpu_algorithm_t algorithm = choose(context, op, p);
  const cpu_lanes_svd_t in_lanes = {lanes_svd_ops(context, algorithm, p), call};
  if (p->mn == 0) {
    empty_svd(call);
  } else if (in_lanes.ops) {
    batch_t batch = lanes_batch(op, p, algorithm, &in_lanes);
    batch.work = call->work;
    batch_run(&context->parallel, batch);
  } else {
    team_t team;
    cpu_svd_plan_t plan = plan_svd(context, op, p, call);
    plan.team = plan.bidiagonal && !plan.tall && is_shared(p) ? &team : NULL;
    batch_t batch = dense_batch(&plan);
    batch.work = call->work, batch.team = plan.team;
    if (plan.bidiagonal)
      batch_run(&context->parallel, batch);
    else
      cpu_run_blas(&context->parallel, batch);
  }
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t cpu_svd_backward(const context_t *context, const svd_backward_call_t *call) {
  if (call->p.mn == 0) {
    empty_svd_backward(call);
  } else if (choose(context, SVDGRAD_OP_SVD_BACKWARD, &call->p) == CPU_LANES_BACKWARD) {
    const lanes_backward_t plan = {lanes_of(context, &call->p)->backward, call};
    batch_t batch = lanes_backward_batch(&plan, &call->p);
    batch.work = call->work;
    batch_run(&context->parallel, batch);
  } else {
    svd_backward_call_t by_program = *call;
    by_program.p = program_problem(&call->p);
    return svd_backward(context, &by_program);
  }
  return SVDGRAD_STATUS_SUCCESS;
}

/* Small matrices in groups of lanes, others one at a time, with `products`. */
static host_program_t plan_program(const context_t *context, const program_t *program, products_t *products) {
  const problem_t *p = program->p;
  const lane_kernels_t *kernels = lanes_of(context, p);
  const int64_t mx = p->m > p->n ? p->m : p->n;
  arena_t measured = {NULL, 0};
  host_program_t plan = {.program = program, .ops = cpu_machine_ops[p->dtype]};
  if (choose(context, SVDGRAD_OP_SVD_JVP, p) == CPU_PROGRAM_LANES) {
    plan.group = kernels->group;
    return plan;
  }
  *products = products_take(&measured, kernels->product, element_size(p->dtype), mx, product_slots(mx, p->mn));
  plan.products = products, plan.product_work = measured.used;
  return plan;
}

static batch_t program_batch(const host_program_t *plan) {
  const problem_t *p = plan->program->p;
  return (batch_t){.task = host_program_task,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = plan->group ? plan->group->lanes : 1,
                   .matrix_cost = plan->group ? cpu_cost(p, 100, 0.5) : cpu_cost(p, 2500, 0.4),
                   .scratch = host_program_scratch(plan)};
}

static size_t cpu_program_workspace(const context_t *context, const program_t *program) {
  products_t products;
  const host_program_t plan = plan_program(context, program, &products);
  const batch_t batch = program_batch(&plan);
  return batch_workspace(&batch);
}

static svdgrad_status_t cpu_program_run(const context_t *context, const program_t *program, void *stream, void *work) {
  (void)stream;
  products_t products;
  team_t team;
  const host_program_t plan = plan_program(context, program, &products);
  batch_t batch = program_batch(&plan);
  batch.work = work;
  if (is_shared(program->p) && !plan.group)
    batch.team = products.team = &team;
  batch_run(&context->parallel, batch);
  return SVDGRAD_STATUS_SUCCESS;
}

/* Number of matrices that a stage computes at once: an SVD, or a program. */
static int stage_group(const context_t *context, const problem_t *p) {
  const int in_lanes = lanes_svd_ops(context, choose(context, SVDGRAD_OP_SVD, p), p) ||
                       choose(context, SVDGRAD_OP_SVD_JVP, p) == CPU_PROGRAM_LANES;
  return in_lanes ? lanes_of(context, p)->lanes : 1;
}

static size_t cpu_staged_workspace(const context_t *context, const staged_t *staged) {
  return pieces_workspace(context, staged, stage_group(context, staged->p));
}

static svdgrad_status_t cpu_staged_run(const context_t *context, const staged_t *staged, void *work) {
  return pieces_run(context, staged, stage_group(context, staged->p), work);
}

static batch_t norm_batch(const context_t *context, const problem_t *p) {
  const lane_kernels_t *kernels = lanes_of(context, p);
  return (batch_t){.task = kernels->norm->group,
                   .batch_count = p->batch_count,
                   .group = kernels->svd->matrices(p),
                   .matrix_cost = cpu_cost(p, 20, 1),
                   .scratch = kernels->svd->scratch(p, 1)};
}

static svdgrad_status_t norm_in_lanes(const context_t *context, const norm_call_t *call) {
  batch_t batch = norm_batch(context, &call->p);
  batch.call = call;
  batch_run(&context->parallel, batch);
  return SVDGRAD_STATUS_SUCCESS;
}

static fused_norm_t *fused_norm(const context_t *context, const problem_t *p, svdgrad_norm_kind_t kind) {
  if (choose(context, SVDGRAD_OP_SVD, p) != CPU_LANES || !lanes_of(context, p)->norm->exists(p, kind))
    return NULL;
  const batch_t batch = norm_batch(context, p);
  return batch_workspace(&batch) == 0 ? norm_in_lanes : NULL;
}

static svdgrad_status_t power_iteration(const context_t *context, const power_call_t *call) {
  if (call->p.mn == 0)
    empty_power_iteration(call);
  else
    cpu_power_iteration(&context->parallel, lanes_of(context, &call->p), call);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t normalize_backward(const context_t *context, const normalize_backward_call_t *call) {
  if (call->p.mn > 0)
    cpu_normalize_backward(&context->parallel, call);
  return SVDGRAD_STATUS_SUCCESS;
}

static const backend_traits_t traits = {.takes_stream = 0, .has_threads = 1};

const backend_t cpu_backend = {
    .name = "cpu",
    .traits = &traits,
    .create = cpu_create,
    .destroy = cpu_destroy,
    .instruction_set = cpu_instruction_set,
    .algorithm_name = cpu_algorithm_name,
    .is_capturable = cpu_is_capturable,
    .limit = cpu_limit_string,
    .choice_below = choice_below,
    .workspace_size = cpu_workspace_size,
    .svd = cpu_svd,
    .svd_backward = cpu_svd_backward,
    .program_workspace = cpu_program_workspace,
    .program_run = cpu_program_run,
    .staged_workspace = cpu_staged_workspace,
    .staged_run = cpu_staged_run,
    .fused_norm = fused_norm,
    .power_iteration = power_iteration,
    .normalize_backward = normalize_backward,
};
