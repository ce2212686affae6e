/* SPDX-License-Identifier: BSD-3-Clause */
/* The CUDA backend: everything is enqueued on the caller's stream, on the handle's device. */
#include "base/error.h"
#include "cuda_backend.h"
#include "cuda_backward.h"
#include "cuda_forward.h"
#include "cuda_machine.h"
#include "cuda_norm.h"
#include "cuda_power.h"
#include "functions/functions.h"

#include <pthread.h>
#include <stdlib.h>

/* cuda_state_t first, so that a pointer to either is one to both. */
typedef struct cuda_context {
  cuda_state_t state;
  pthread_mutex_t mutex;
  cusolver_pool_t *cusolver; /* opened when first needed */
} cuda_context_t;

static svdgrad_status_t unavailable(cudaError_t error) {
  int driver = 0;
  (void)cudaGetLastError();
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
    return error_status(SVDGRAD_STATUS_BACKEND_UNAVAILABLE, "svdgrad_create: no CUDA device: there is no driver");
  return error_status(SVDGRAD_STATUS_BACKEND_UNAVAILABLE, "svdgrad_create: no CUDA device: %s",
                      cudaGetErrorString(error));
}

static svdgrad_status_t check_device(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error || count == 0)
    return unavailable(error ? error : cudaErrorNoDevice);
  if (device < 0 || device >= count)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "svdgrad_create: device is %d, must be in 0..%d", device,
                        count - 1);
  return SVDGRAD_STATUS_SUCCESS;
}

/* Makes the context of the device and loads the kernels, so that no call does, which may be captured. */
static svdgrad_status_t load_kernels(int device, size_t shared_bytes) {
  device_guard_t guard;
  device_hold(device);
  cudaError_t error = device_enter(&guard, device);
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128 && !error; dtype++)
    error = cuda_kernels_of(dtype)->load(shared_bytes);
  device_leave(&guard);
  if (!error)
    return SVDGRAD_STATUS_SUCCESS;
  (void)cudaGetLastError();
  return error_status(SVDGRAD_STATUS_BACKEND_UNAVAILABLE, "svdgrad_create: no kernels for device %d: CUDA error %d: %s",
                      device, (int)error, cudaGetErrorString(error));
}

static svdgrad_status_t cuda_create(context_t *context, int device) {
  svdgrad_status_t status = check_device(device);
  int shared_bytes = 0;
  if (status)
    return status;
  const cudaError_t error = cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error)
    return unavailable(error);
  status = load_kernels(device, (size_t)shared_bytes);
  if (status)
    return status;
  cuda_context_t *cuda = calloc(1, sizeof *cuda);
  if (!cuda)
    return error_status(SVDGRAD_STATUS_OUT_OF_MEMORY, "svdgrad_create: out of memory");
  cuda->state = (cuda_state_t){device, (size_t)shared_bytes};
  (void)pthread_mutex_init(&cuda->mutex, NULL);
  context->state = cuda;
  return SVDGRAD_STATUS_SUCCESS;
}

static void cuda_destroy(context_t *context) {
  cuda_context_t *cuda = context->state;
  device_guard_t guard;
  (void)device_enter(&guard, cuda->state.device);
  cusolver_pool_destroy(cuda->cusolver);
  device_leave(&guard);
  (void)pthread_mutex_destroy(&cuda->mutex);
  free(cuda);
}

/* NULL if the algorithm needs none, or, with a message, if it cannot be opened. */
static cusolver_pool_t *cusolver_for(const context_t *context, cuda_algorithm_t algorithm) {
  cuda_context_t *cuda = context->state;
  if (!cuda_algorithm_is_vendor(algorithm))
    return NULL;
  (void)pthread_mutex_lock(&cuda->mutex);
  if (!cuda->cusolver)
    cuda->cusolver = cusolver_pool_create();
  cusolver_pool_t *pool = cuda->cusolver;
  (void)pthread_mutex_unlock(&cuda->mutex);
  return pool;
}

static const char *cuda_algorithm_name(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  return cuda_algorithm_string(cuda_choose(cuda_state(context), op, problem));
}

static const char *cuda_limit(svdgrad_op_t op, const problem_t *problem) {
  (void)op;
  (void)problem;
  return NULL;
}

static const char *cuda_instruction_set(const context_t *context) {
  (void)context;
  return "cuda";
}

static int cuda_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  return cuda_algorithm_is_capturable(cuda_choose(cuda_state(context), op, problem));
}

/* The SVD of the discarded part is always ours: the backward pass can be captured, whatever desc.algo is. */
static problem_t steps_problem(const problem_t *p) {
  problem_t steps = *p;
  steps.algo = SVDGRAD_ALGO_AUTO;
  return steps;
}

static size_t cuda_workspace_size(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  const cuda_algorithm_t algorithm = cuda_choose(cuda_state(context), op, p);
  device_guard_t guard;
  if (algorithm == CUDA_BACKWARD_STEPS) {
    const problem_t steps = steps_problem(p);
    return svd_backward_workspace(context, &steps);
  }
  if (op == SVDGRAD_OP_SVD_BACKWARD)
    return 0;
  if (algorithm == CUDA_POWER_ITERATION)
    return cuda_power_workspace(op, p);
  cusolver_pool_t *pool = cusolver_for(context, algorithm);
  if (cuda_algorithm_is_vendor(algorithm) && !pool)
    return SIZE_MAX;
  if (device_enter(&guard, cuda_state(context)->device))
    return SIZE_MAX;
  if (pool)
    (void)cusolver_reserve(pool); /* where it fails, the call says so */
  const size_t bytes = cuda_forward_workspace(algorithm, p, op == SVDGRAD_OP_SVD, pool);
  device_leave(&guard);
  return bytes;
}

static cudaError_t empty(const problem_t *p, svdgrad_matrix_t U, svdgrad_matrix_t Vh, int32_t *info,
                         svdgrad_report_t *report, cudaStream_t stream) {
  const empty_args_t args = {p->batch_count, p->u_cols, p->vh_rows, U, Vh, info, report};
  return U.data || Vh.data || info || report ? cuda_kernels_of(p->dtype)->empty(&args, stream) : cudaSuccess;
}

static svdgrad_status_t cuda_svd(const context_t *context, const svd_call_t *call) {
  const svdgrad_op_t op = call->U.data || call->Vh.data ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS;
  const cuda_algorithm_t algorithm = cuda_choose(cuda_state(context), op, &call->p);
  device_guard_t guard;
  const cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status("svdgrad_svd", error);
  const svdgrad_status_t status =
      call->p.mn == 0 ? cuda_status("svdgrad_svd", empty(&call->p, call->U, call->Vh, call->info, NULL, call->stream))
                      : cuda_forward(algorithm, call, cusolver_for(context, algorithm));
  device_leave(&guard);
  return status;
}

static svdgrad_status_t backward_in_one_launch(const context_t *context, const svd_backward_call_t *call,
                                               cuda_algorithm_t algorithm) {
  const svdgrad_matrix_t none = {0};
  device_guard_t guard;
  cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status("svdgrad_svd_backward", error);
  error = call->p.mn == 0 ? empty(&call->p, none, none, NULL, call->report, call->stream)
                          : cuda_backward_fused(algorithm, call);
  device_leave(&guard);
  return cuda_status("svdgrad_svd_backward", error);
}

static svdgrad_status_t cuda_svd_backward(const context_t *context, const svd_backward_call_t *call) {
  const cuda_algorithm_t algorithm = cuda_choose(cuda_state(context), SVDGRAD_OP_SVD_BACKWARD, &call->p);
  if (call->p.mn == 0 || algorithm != CUDA_BACKWARD_STEPS)
    return backward_in_one_launch(context, call, algorithm);
  svd_backward_call_t in_steps = *call;
  in_steps.p = steps_problem(&call->p);
  return svd_backward(context, &in_steps);
}

/* Every stage for the whole batch. */
static size_t cuda_staged_workspace(const context_t *context, const staged_t *staged) {
  return staged->bytes(context, staged, staged->p->batch_count);
}

static svdgrad_status_t cuda_staged_run(const context_t *context, const staged_t *staged, void *work) {
  return staged->run(context, staged, 0, staged->p->batch_count, work);
}

static const backend_traits_t traits = {.takes_stream = 1, .has_threads = 0};

const backend_t cuda_backend = {
    .name = "cuda",
    .traits = &traits,
    .create = cuda_create,
    .destroy = cuda_destroy,
    .instruction_set = cuda_instruction_set,
    .algorithm_name = cuda_algorithm_name,
    .limit = cuda_limit,
    .is_capturable = cuda_is_capturable,
    .workspace_size = cuda_workspace_size,
    .svd = cuda_svd,
    .svd_backward = cuda_svd_backward,
    .program_workspace = cuda_program_workspace,
    .program_run = cuda_program_run,
    .staged_workspace = cuda_staged_workspace,
    .staged_run = cuda_staged_run,
    .choice_below = no_choice_below,
    .fused_norm = cuda_fused_norm,
    .power_iteration = cuda_power_iteration,
    .normalize_backward = cuda_normalize_backward,
};
