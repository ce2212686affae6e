/* SPDX-License-Identifier: BSD-3-Clause */
/* The QR of tall matrices, at the sizes where its columns begin and end to fit into shared memory: the whole panel, the
 * columns of a warp, one column (src/cuda/kernels/householder.cuh). */
#include "cases.h"
#include "ratios.h"

#include <criterion/criterion.h>

enum { SHARED_BYTES = 46 * 1024, COLUMNS_OF_WARP = 4, PANEL = 32 };

static void check(svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 1);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CUDA, &desc, LAYOUT_COLUMN_MAJOR);
  dense_t A = make_matrix(SPECTRUM_NORMAL, dtype, m, n, (uint64_t)(m + n));
  buffer_store(&f.A, 0, &A);
  dense_free(&A);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(f.info[0], SVDGRAD_INFO_OK);
  dense_t U = load_U(&f, 0);
  worst_note(worst, ratio_residual(&f, 0), "%s %lldx%lld residual", dtype_name(dtype), (long long)m, (long long)n);
  worst_note(worst, ratio_orthonormal(&U, dtype_epsilon(dtype)), "%s %lldx%lld U", dtype_name(dtype), (long long)m,
             (long long)n);
  dense_free(&U);
  fixture_free(&f);
}

Test(tall_qr, columns_in_shared_memory_or_not) {
  worst_t worst = worst_make("tall qr");
  static const struct {
    svdgrad_dtype_t dtype;
    int64_t size;
  } types[] = {{SVDGRAD_F32, 4}, {SVDGRAD_C128, 16}};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    const int64_t elements = SHARED_BYTES / types[t].size;
    for (int64_t more = 0; more <= 1; more++) {
      check(types[t].dtype, elements / PANEL + more, 40, &worst);          /* a panel, of two */
      check(types[t].dtype, elements / COLUMNS_OF_WARP + more, 6, &worst); /* the columns of one warp */
      check(types[t].dtype, elements + more, 6, &worst);                   /* one column */
    }
  }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}
