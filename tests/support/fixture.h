/* SPDX-License-Identifier: BSD-3-Clause */
/* One problem with all its operands: creates the buffers, requests the workspace, calls the library.  Every call gets a
 * workspace of exactly the requested size, filled with 0xFF (NaN), with canaries at both ends.  Afterwards the canaries
 * and all padding of the outputs must be unchanged. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H
#include "buffer.h"

#include <svdgrad/svdgrad.h>

enum { WITH_U = 1, WITH_VH = 2, WITH_GS = 4, WITH_GU = 8, WITH_GVH = 16 };
enum { WITH_VECTORS = WITH_U | WITH_VH, WITH_COTANGENTS = WITH_GS | WITH_GU | WITH_GVH };

/* The operands of a fixture by number, for tests that treat them alike. */
typedef enum fixture_operand {
  OPERAND_A,
  OPERAND_S,
  OPERAND_U,
  OPERAND_VH,
  OPERAND_GS,
  OPERAND_GU,
  OPERAND_GVH,
  OPERAND_GA,
  OPERAND_COUNT
} fixture_operand_t;
const char *operand_name(fixture_operand_t operand);

typedef struct placement {
  layout_t layout;
  int broadcast; /* one matrix for the whole batch; of inputs only */
} placement_t;

typedef struct fixture {
  svdgrad_backend_t backend;
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  buffer_t A, S, U, Vh, gS, gU, gVh, gA;
  int32_t *info;            /* batch_count and a canary after it */
  svdgrad_report_t *report; /* batch_count */
  int intact;               /* no canary was touched so far */
  unsigned char fill;       /* of the workspace before a call: 0xFF unless the test wants another */
} fixture_t;

/* The backends under test; svdgrad_create must succeed on them.  All of this build, of which TEST_ONLY_CUDA has the
 * CUDA one alone, or the one that the environment names in TEST_BACKEND: ref or cpu. */
extern const svdgrad_backend_t *test_backends;
extern int test_backend_count;
const char *backend_name(svdgrad_backend_t backend);
/* Whether it takes the algorithm, which the reference, and a library without LAPACK, do not for each. */
int backend_has(svdgrad_backend_t backend, svdgrad_algo_t algo);

/* Algorithm AUTO, or what the environment names in TEST_ALGO: jacobi or vendor.  With batch_invariant,
 * so that the one or two matrices of most tests are computed as large batches are; TEST_BATCH_INVARIANT=0: without. */
svdgrad_desc_t make_desc(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t batch_count);

/* Buffers of all operands in `layout`; cotangents and A are to be filled in. */
fixture_t fixture_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout);
/* The same with a placement for each operand. */
fixture_t fixture_make_placed(svdgrad_backend_t backend, const svdgrad_desc_t *desc,
                              const placement_t placement[OPERAND_COUNT]);
void fixture_free(fixture_t *fixture);
buffer_t *fixture_operand(fixture_t *fixture, fixture_operand_t operand);

/* svdgrad_svd with the factors that `with` names. */
svdgrad_status_t fixture_forward(fixture_t *fixture, int with);
/* svdgrad_svd_backward from S, U, Vh with the cotangents that `with` names. */
svdgrad_status_t fixture_backward(fixture_t *fixture, int with, double alpha, double beta);

/* The bare calls that these two make, in a workspace (host memory) of the caller's; nothing is checked.  For the CUDA
 * backend every operand is copied to the device and back. */
svdgrad_status_t fixture_call_forward(const fixture_t *fixture, int with, void *work, size_t bytes);
svdgrad_status_t fixture_call_backward(const fixture_t *fixture, int with, double alpha, double beta, void *work,
                                       size_t bytes);

/* Bitwise equality of what was computed for matrix bx of x and by of y: S, the factors that `with` names, info; and
 * gA, report. */
int fixture_same_forward(const fixture_t *x, int64_t bx, const fixture_t *y, int64_t by, int with);
int fixture_same_backward(const fixture_t *x, int64_t bx, const fixture_t *y, int64_t by);

/* A, gS, gU, gVh and gA of matrix b, normal: the same in every fixture of that shape and element type. */
void fixture_fill(fixture_t *fixture, int64_t b, uint64_t seed);
/* Random normal cotangents for every matrix of the batch. */
void fixture_random_cotangents(fixture_t *fixture, uint64_t seed);

#endif
