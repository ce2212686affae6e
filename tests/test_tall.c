/* SPDX-License-Identifier: BSD-3-Clause */
/* More rows, or columns, than LAPACK's 32-bit workspace sizes allow: the SVD, its backward pass, and operations
 * composed of them.  The matrix is 2 u (1, 0) + v (0, 1) with u all ones and v of alternating signs, so that all
 * results are known. */
#include <svdgrad/svdgrad.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { LONG = 34000000, SHORT = 2 };
static const double tolerance = 1e-4;

typedef struct problem {
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  int wide;
  float *A, *U, *gA; /* LONG-by-2, column-major, or their transposes */
  float S[2], V[4];
  int32_t info;
} problem_t;

static void *allocate(size_t bytes) {
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  cr_assert_not_null(memory);
  return memory;
}

static svdgrad_matrix_t long_matrix(const problem_t *p, float *data) {
  return p->wide ? (svdgrad_matrix_t){data, LONG, 1, 2 * (int64_t)LONG}
                 : (svdgrad_matrix_t){data, 1, LONG, 2 * (int64_t)LONG};
}

static problem_t problem_make(svdgrad_algo_t algo, int wide) {
  problem_t p = {.desc = SVDGRAD_DESC_INIT, .wide = wide, .info = 7};
  p.desc.algo = algo;
  p.desc.m = wide ? SHORT : LONG, p.desc.n = wide ? LONG : SHORT, p.desc.batch_count = 1;
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &p.handle), SVDGRAD_STATUS_SUCCESS);
  p.A = allocate(2 * LONG * sizeof(float)), p.U = allocate(2 * LONG * sizeof(float));
  p.gA = allocate(2 * LONG * sizeof(float));
  for (int64_t i = 0; i < LONG; i++)
    p.A[i] = 2, p.A[LONG + i] = i % 2 ? -1.0f : 1.0f;
  return p;
}

static void problem_free(problem_t *p) {
  free(p->A), free(p->U), free(p->gA);
  (void)svdgrad_destroy(p->handle);
}

static void *workspace(const problem_t *p, svdgrad_op_t op, size_t *bytes) {
  cr_assert_eq(svdgrad_workspace_size(p->handle, op, &p->desc, bytes), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return allocate(*bytes);
}

/* Norm of the difference of x from signs[j] * (column j of A at unit length). */
static double difference_of(const problem_t *p, const float *x, const double signs[2]) {
  double square = 0;
  for (int j = 0; j < 2; j++)
    for (int64_t i = 0; i < LONG; i++) {
      const double unit = signs[j] * (double)p->A[j * (int64_t)LONG + i] / (j ? 1 : 2) / sqrt(LONG);
      square += ((double)x[j * (int64_t)LONG + i] - unit) * ((double)x[j * (int64_t)LONG + i] - unit);
    }
  return sqrt(square);
}

static void check_svd(problem_t *p) {
  size_t bytes;
  void *work = workspace(p, SVDGRAD_OP_SVD, &bytes);
  const svdgrad_matrix_t A = long_matrix(p, p->A), U = long_matrix(p, p->U), V = {p->V, 2, 1, 4};
  const svdgrad_vector_t S = {p->S, 1, 2};
  cr_assert_eq(
      svdgrad_svd(p->handle, NULL, &p->desc, &A, &S, p->wide ? &V : &U, p->wide ? &U : &V, &p->info, work, bytes),
      SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  free(work);
  cr_expect_eq(p->info, SVDGRAD_INFO_OK);
  for (int j = 0; j < 2; j++) {
    cr_expect(fabs((double)p->S[j] / ((2 - j) * sqrt(LONG)) - 1) < tolerance, "S_%d = %g", j, (double)p->S[j]);
    cr_expect(fabs(fabs((double)p->V[3 * j]) - 1) < tolerance && fabs((double)p->V[1 + j]) < tolerance);
  }
  const double signs[2] = {copysign(1, (double)p->V[0]), copysign(1, (double)p->V[3])};
  const double difference = difference_of(p, p->U, signs);
  cr_expect(difference < tolerance, "U is wrong by %g", difference);
}

/* The gradient of the sum of the singular values: U Vh. */
static void check_backward(problem_t *p) {
  static const float ones[2] = {1, 1};
  static const double signs[2] = {1, 1};
  size_t bytes;
  void *work = workspace(p, SVDGRAD_OP_SVD_BACKWARD, &bytes);
  const svdgrad_matrix_t U = long_matrix(p, p->U), V = {p->V, 2, 1, 4}, gA = long_matrix(p, p->gA);
  const svdgrad_vector_t S = {p->S, 1, 2}, gS = {(void *)ones, 1, 2};
  cr_assert_eq(svdgrad_svd_backward(p->handle, NULL, &p->desc, NULL, &S, p->wide ? &V : &U, p->wide ? &U : &V, &gS,
                                    NULL, NULL, 1, 0, &gA, NULL, work, bytes),
               SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  free(work);
  const double difference = difference_of(p, p->gA, signs);
  cr_expect(difference < 2 * tolerance, "gA is wrong by %g", difference);
}

static void check(svdgrad_algo_t algo, int wide) {
  problem_t p = problem_make(algo, wide);
  check_svd(&p);
  check_backward(&p);
  problem_free(&p);
}

Test(tall, bidiagonal) { check(SVDGRAD_ALGO_AUTO, 0); }
#if SVDGRAD_HAVE_LAPACK
Test(tall, vendor_of_a_wide_matrix) { check(SVDGRAD_ALGO_VENDOR, 1); }
#endif

/* An SVD and a product. */
Test(tall, nuclear_norm_and_its_gradient) {
  static const double signs[2] = {1, 1};
  problem_t p = problem_make(SVDGRAD_ALGO_AUTO, 0);
  size_t bytes;
  float value = 0;
  void *work = workspace(&p, SVDGRAD_OP_NORM_GRADIENT, &bytes);
  const svdgrad_matrix_t A = long_matrix(&p, p.A), gA = long_matrix(&p, p.gA);
  const svdgrad_vector_t number = {&value, 1, 1};
  cr_assert_eq(svdgrad_norm(p.handle, NULL, &p.desc, SVDGRAD_NORM_NUCLEAR, 0, &A, &number, NULL, 1, 0, &gA, &p.info,
                            work, bytes),
               SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  free(work);
  cr_expect(fabs((double)value / (3 * sqrt(LONG)) - 1) < tolerance);
  cr_expect(difference_of(&p, p.gA, signs) < 2 * tolerance);
  problem_free(&p);
}
