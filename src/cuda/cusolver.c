/* SPDX-License-Identifier: BSD-3-Clause */
#include "cusolver.h"

#include "base/error.h"

#include <cusolverDn.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#ifndef SVDGRAD_CUSOLVER_LIBRARY
#define SVDGRAD_CUSOLVER_LIBRARY "libcusolver.so.12"
#endif

/* The routines of the four types differ in the types of pointers alone, which is no difference to the call. */
typedef cusolverStatus_t (*gesvdj_batched_size_t)(cusolverDnHandle_t, cusolverEigMode_t, int m, int n, const void *A,
                                                  int lda, const void *S, const void *U, int ldu, const void *V,
                                                  int ldv, int *lwork, gesvdjInfo_t, int batch_count);
typedef cusolverStatus_t (*gesvdj_batched_t)(cusolverDnHandle_t, cusolverEigMode_t, int m, int n, void *A, int lda,
                                             void *S, void *U, int ldu, void *V, int ldv, void *work, int lwork,
                                             int *info, gesvdjInfo_t, int batch_count);
typedef cusolverStatus_t (*gesvdj_size_t)(cusolverDnHandle_t, cusolverEigMode_t, int econ, int m, int n, const void *A,
                                          int lda, const void *S, const void *U, int ldu, const void *V, int ldv,
                                          int *lwork, gesvdjInfo_t);
typedef cusolverStatus_t (*gesvdj_t)(cusolverDnHandle_t, cusolverEigMode_t, int econ, int m, int n, void *A, int lda,
                                     void *S, void *U, int ldu, void *V, int ldv, void *work, int lwork, int *info,
                                     gesvdjInfo_t);
typedef cusolverStatus_t (*gesvd_size_t)(cusolverDnHandle_t, int m, int n, int *lwork);
typedef cusolverStatus_t (*gesvd_t)(cusolverDnHandle_t, signed char jobu, signed char jobvt, int m, int n, void *A,
                                    int lda, void *S, void *U, int ldu, void *VT, int ldvt, void *work, int lwork,
                                    void *rwork, int *info);

typedef struct entry_points {
  cusolverStatus_t (*create)(cusolverDnHandle_t *);
  cusolverStatus_t (*destroy)(cusolverDnHandle_t);
  cusolverStatus_t (*set_stream)(cusolverDnHandle_t, cudaStream_t);
  cusolverStatus_t (*create_info)(gesvdjInfo_t *);
  cusolverStatus_t (*destroy_info)(gesvdjInfo_t);
  cusolverStatus_t (*set_max_sweeps)(gesvdjInfo_t, int);
  gesvdj_batched_size_t gesvdj_batched_size[4]; /* by svdgrad_dtype_t */
  gesvdj_batched_t gesvdj_batched[4];
  gesvdj_size_t gesvdj_size[4];
  gesvdj_t gesvdj[4];
  gesvd_size_t gesvd_size[4];
  gesvd_t gesvd[4];
} entry_points_t;

/* A cuSOLVER handle with its Jacobi parameters; free ones hang in the pool.  What it has queued uses memory of its own,
 * so it stays with the first stream that it was used on. */
typedef struct solver {
  cusolverDnHandle_t handle;
  gesvdjInfo_t parameters;
  cudaStream_t stream;
  int bound; /* to `stream`, which may be NULL */
  struct solver *next;
} solver_t;

struct cusolver_pool {
  void *library;
  entry_points_t call;
  pthread_mutex_t mutex;
  solver_t *free;
};

enum { CUSOLVER_DEFAULT_SWEEPS = 100 };

/* ISO C has no cast from an object pointer to a function pointer; POSIX says that the bytes are the same. */
static int find(void *library, const char *name, void *entry) {
  void *symbol = dlsym(library, name);
  if (!symbol)
    error_set("svdgrad_svd: cuSOLVER has no %s", name);
  *(void **)entry = symbol;
  return symbol != NULL;
}

static int find_typed(void *library, entry_points_t *call) {
  static const char *const names[][6] = {
      {"cusolverDnSgesvdjBatched_bufferSize", "cusolverDnSgesvdjBatched", "cusolverDnSgesvdj_bufferSize",
       "cusolverDnSgesvdj", "cusolverDnSgesvd_bufferSize", "cusolverDnSgesvd"},
      {"cusolverDnDgesvdjBatched_bufferSize", "cusolverDnDgesvdjBatched", "cusolverDnDgesvdj_bufferSize",
       "cusolverDnDgesvdj", "cusolverDnDgesvd_bufferSize", "cusolverDnDgesvd"},
      {"cusolverDnCgesvdjBatched_bufferSize", "cusolverDnCgesvdjBatched", "cusolverDnCgesvdj_bufferSize",
       "cusolverDnCgesvdj", "cusolverDnCgesvd_bufferSize", "cusolverDnCgesvd"},
      {"cusolverDnZgesvdjBatched_bufferSize", "cusolverDnZgesvdjBatched", "cusolverDnZgesvdj_bufferSize",
       "cusolverDnZgesvdj", "cusolverDnZgesvd_bufferSize", "cusolverDnZgesvd"},
  };
  int found = 1;
  for (int t = 0; t < 4 && found; t++)
    found = find(library, names[t][0], &call->gesvdj_batched_size[t]) &&
            find(library, names[t][1], &call->gesvdj_batched[t]) && find(library, names[t][2], &call->gesvdj_size[t]) &&
            find(library, names[t][3], &call->gesvdj[t]) && find(library, names[t][4], &call->gesvd_size[t]) &&
            find(library, names[t][5], &call->gesvd[t]);
  return found;
}

static int find_all(void *library, entry_points_t *call) {
  return find(library, "cusolverDnCreate", &call->create) && find(library, "cusolverDnDestroy", &call->destroy) &&
         find(library, "cusolverDnSetStream", &call->set_stream) &&
         find(library, "cusolverDnCreateGesvdjInfo", &call->create_info) &&
         find(library, "cusolverDnDestroyGesvdjInfo", &call->destroy_info) &&
         find(library, "cusolverDnXgesvdjSetMaxSweeps", &call->set_max_sweeps) && find_typed(library, call);
}

cusolver_pool_t *cusolver_pool_create(void) {
  cusolver_pool_t *pool = calloc(1, sizeof *pool);
  if (!pool) {
    error_set("svdgrad_create: out of memory");
    return NULL;
  }
  pool->library =
      dlopen(SVDGRAD_CUSOLVER_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* its device code stays registered */
  if (!pool->library)
    error_set("svdgrad_svd: cuSOLVER cannot be opened: %s", dlerror());
  if (!pool->library || !find_all(pool->library, &pool->call)) {
    if (pool->library)
      (void)dlclose(pool->library);
    free(pool);
    return NULL;
  }
  (void)pthread_mutex_init(&pool->mutex, NULL);
  return pool;
}

static void solver_destroy(const cusolver_pool_t *pool, solver_t *solver) {
  if (solver->parameters)
    (void)pool->call.destroy_info(solver->parameters);
  if (solver->handle)
    (void)pool->call.destroy(solver->handle);
  free(solver);
}

void cusolver_pool_destroy(cusolver_pool_t *pool) {
  if (!pool)
    return;
  for (solver_t *solver = pool->free, *next; solver; solver = next) {
    next = solver->next;
    solver_destroy(pool, solver);
  }
  (void)pthread_mutex_destroy(&pool->mutex);
  (void)dlclose(pool->library);
  free(pool);
}

static solver_t *solver_create(const cusolver_pool_t *pool) {
  solver_t *solver = calloc(1, sizeof *solver);
  if (!solver)
    return NULL;
  if (pool->call.create(&solver->handle) || pool->call.create_info(&solver->parameters)) {
    solver_destroy(pool, solver);
    return NULL;
  }
  return solver;
}

/* Out of the pool: one that is bound to the stream, or, with any_stream, to whatever stream; else one that is not bound
 * yet; else NULL. */
static solver_t *take_free(cusolver_pool_t *pool, cudaStream_t stream, int any_stream) {
  solver_t **found = NULL;
  (void)pthread_mutex_lock(&pool->mutex);
  for (solver_t **at = &pool->free; *at; at = &(*at)->next)
    if ((*at)->bound ? any_stream || (*at)->stream == stream : !found)
      found = at;
  solver_t *solver = found ? *found : NULL;
  if (solver)
    *found = solver->next;
  (void)pthread_mutex_unlock(&pool->mutex);
  return solver;
}

/* The first call on a stream binds a handle to it, and as many threads as run at once on a stream make a handle each;
 * after that nothing is allocated. */
static solver_t *borrow(cusolver_pool_t *pool, cudaStream_t stream) {
  solver_t *solver = take_free(pool, stream, 0);
  if (!solver)
    solver = solver_create(pool);
  if (solver && !solver->bound)
    solver->bound = 1, solver->stream = stream;
  return solver;
}

/* For questions, which queue nothing. */
static solver_t *borrow_any(cusolver_pool_t *pool) {
  solver_t *solver = take_free(pool, NULL, 1);
  return solver ? solver : solver_create(pool);
}

static void give_back(cusolver_pool_t *pool, solver_t *solver) {
  (void)pthread_mutex_lock(&pool->mutex);
  solver->next = pool->free;
  pool->free = solver;
  (void)pthread_mutex_unlock(&pool->mutex);
}

int cusolver_reserve(cusolver_pool_t *pool) {
  (void)pthread_mutex_lock(&pool->mutex);
  const solver_t *at = pool->free;
  while (at && at->bound)
    at = at->next;
  (void)pthread_mutex_unlock(&pool->mutex);
  solver_t *solver = at ? NULL : solver_create(pool);
  if (solver)
    give_back(pool, solver);
  return at || solver;
}

int cusolver_lwork(cusolver_pool_t *pool, const cusolver_call_t *c) {
  solver_t *solver = borrow_any(pool);
  const cusolverEigMode_t vectors = CUSOLVER_EIG_MODE_VECTOR;
  const int m = c->rows, n = c->columns, t = c->dtype;
  int lwork = -1, status = 1;
  if (!solver) {
    error_set("svdgrad_workspace_size: cuSOLVER gives no handle");
    return -1;
  }
  if (c->routine == CUSOLVER_GESVDJ_BATCHED)
    status = (int)pool->call.gesvdj_batched_size[t](solver->handle, vectors, m, n, NULL, m, NULL, NULL, m, NULL, n,
                                                    &lwork, solver->parameters, c->batch_count);
  else if (c->routine == CUSOLVER_GESVDJ)
    status = (int)pool->call.gesvdj_size[t](solver->handle, vectors, 1, m, n, NULL, m, NULL, NULL, m, NULL, n, &lwork,
                                            solver->parameters);
  else
    status = (int)pool->call.gesvd_size[t](solver->handle, m, n, &lwork);
  give_back(pool, solver);
  if (status)
    error_set("svdgrad_workspace_size: cuSOLVER status %d for %d x %d", status, m, n);
  return status ? -1 : lwork;
}

static int enqueue(const cusolver_pool_t *pool, const solver_t *solver, const cusolver_call_t *c) {
  const cusolverEigMode_t vectors = CUSOLVER_EIG_MODE_VECTOR;
  const int m = c->rows, n = c->columns, t = c->dtype;
  if (c->routine == CUSOLVER_GESVDJ_BATCHED)
    return (int)pool->call.gesvdj_batched[t](solver->handle, vectors, m, n, c->A, m, c->S, c->X, m, c->Y, n, c->work,
                                             c->lwork, c->info, solver->parameters, c->batch_count);
  if (c->routine == CUSOLVER_GESVDJ)
    return (int)pool->call.gesvdj[t](solver->handle, vectors, 1, m, n, c->A, m, c->S, c->X, m, c->Y, n, c->work,
                                     c->lwork, c->info, solver->parameters);
  return (int)pool->call.gesvd[t](solver->handle, 'S', 'S', m, n, c->A, m, c->S, c->X, m, c->Y, n, c->work, c->lwork,
                                  NULL, c->info);
}

svdgrad_status_t cusolver_run(cusolver_pool_t *pool, const cusolver_call_t *c, cudaStream_t stream) {
  solver_t *solver = borrow(pool, stream);
  if (!solver)
    return error_status(SVDGRAD_STATUS_BACKEND_ERROR, "svdgrad_svd: cuSOLVER gives no handle");
  int status = (int)pool->call.set_stream(solver->handle, stream);
  if (!status)
    status =
        (int)pool->call.set_max_sweeps(solver->parameters, c->max_sweeps ? c->max_sweeps : CUSOLVER_DEFAULT_SWEEPS);
  if (!status)
    status = enqueue(pool, solver, c);
  give_back(pool, solver);
  if (status)
    return error_status(SVDGRAD_STATUS_BACKEND_ERROR, "svdgrad_svd: cuSOLVER status %d for %d x %d, batch_count %d",
                        status, c->rows, c->columns, c->batch_count);
  return SVDGRAD_STATUS_SUCCESS;
}
