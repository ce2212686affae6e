/* SPDX-License-Identifier: BSD-3-Clause */
/* Every operation on small matrices runs on a thread with 128 KiB of stack, the default of musl.  The stack is filled
 * with a pattern first, which shows how much was used. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "functions.h"
#include "workspace.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* LAPACK's own arrays and the dynamic linker's work at the first call of one of its functions come on top of LIMIT. */
enum { STACK = 128 << 10, LIMIT = 64 << 10, BATCH = 40, PATTERN = 0xC3 };

typedef struct job {
  functions_t *x;
  svdgrad_op_t op;
  void *work;
  size_t bytes;
  svdgrad_status_t status;
} job_t;

static void *call(void *argument) {
  job_t *job = argument;
  switch (job->op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS:
    job->status = fixture_call_forward(&job->x->f, job->op == SVDGRAD_OP_SVD ? WITH_VECTORS : 0, job->work, job->bytes);
    break;
  case SVDGRAD_OP_SVD_BACKWARD:
    job->status = fixture_call_backward(&job->x->f, WITH_COTANGENTS, 1, 0, job->work, job->bytes);
    break;
  default: job->status = functions_call(job->x, job->op, 0, 1, 0, job->work, job->bytes); break;
  }
  return NULL;
}

static void *nothing(void *argument) { return argument; }

/* Bytes of a fresh stack that a thread has touched. */
static size_t touched(void *(*body)(void *), void *argument) {
  unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_t attributes;
  pthread_t thread;
  size_t unused = 0;
  cr_assert(stack != MAP_FAILED);
  memset(stack, PATTERN, STACK);
  cr_assert_eq(pthread_attr_init(&attributes), 0);
  cr_assert_eq(pthread_attr_setstack(&attributes, stack, STACK), 0);
  cr_assert_eq(pthread_create(&thread, &attributes, body, argument), 0);
  cr_assert_eq(pthread_join(thread, NULL), 0);
  (void)pthread_attr_destroy(&attributes);
  while (unused < STACK && stack[unused] == PATTERN)
    unused++;
  (void)munmap(stack, STACK);
  return STACK - unused;
}

/* The stack of the second call, less the thread's own data, which the system keeps on the stack. */
static size_t stack_of_call(functions_t *x, svdgrad_op_t op) {
  workspace_t w = workspace_make(x->f.handle, op, &x->f.desc, 0xFF);
  job_t job = {x, op, w.work, w.bytes, SVDGRAD_STATUS_SUCCESS};
  (void)call(&job);
  const size_t all = touched(call, &job), own = touched(nothing, NULL);
  cr_expect_eq(job.status, SVDGRAD_STATUS_SUCCESS, "op %d: %s", (int)op, svdgrad_last_error_message());
  cr_expect(workspace_free(&w));
  return all - own;
}

static void check(svdgrad_backend_t backend, svdgrad_desc_t desc, size_t *most) {
  LOCAL(functions) x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc.batch_count; b++)
    functions_fill(&x, b, (uint64_t)b % 4);
  (void)svdgrad_set_num_threads(x.f.handle, 1);
  for (int op = SVDGRAD_OP_SVD; op <= SVDGRAD_OP_NORM_GRADIENT; op++) {
    const svdgrad_desc_t *d = &x.f.desc;
    const int whole = op == SVDGRAD_OP_SVD_BACKWARD_BACKWARD || op > SVDGRAD_OP_MATRIX_FUNCTION;
    if ((whole && d->rank) || !svdgrad_algorithm_name(x.f.handle, (svdgrad_op_t)op, d))
      continue;
    const size_t bytes = stack_of_call(&x, (svdgrad_op_t)op);
    if (bytes > *most)
      *most = bytes;
    cr_expect(bytes <= LIMIT, "%s %s %dx%d rank %d algo %d op %d: %d bytes of stack", backend_name(backend),
              dtype_name(d->dtype), (int)d->m, (int)d->n, (int)d->rank, (int)d->algo, op, (int)bytes);
  }
}

Test(stack, small_matrices_take_little) {
  static const int64_t sizes[] = {3, 8, 16, 33, 100};
  for (int i = 0; i < test_backend_count; i++)
    for (int algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_VENDOR; algo++) {
      size_t most = 0;
      const int is_ref = test_backends[i] == SVDGRAD_BACKEND_REF;
      for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
          svdgrad_desc_t desc = make_desc(dtype, sizes[s], sizes[s], sizes[s] > 16 ? 2 : BATCH);
          desc.algo = (svdgrad_algo_t)algo;
          if ((is_ref && (algo != SVDGRAD_ALGO_AUTO || sizes[s] > 16)) || test_backends[i] == SVDGRAD_BACKEND_CUDA)
            continue;
          check(test_backends[i], desc, &most);
          desc.rank = 2;
          check(test_backends[i], desc, &most);
        }
      if (most > 0)
        fprintf(stderr, "stack of a call: %s algo %d: at most %zu bytes\n", backend_name(test_backends[i]), algo, most);
    }
}
