/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs every kernel of the CUDA backend on a small table of problems and prints a hash of all that came out: the same
 * under every schedule of the CPU run (SIMT_ORDER), or a kernel depends on the order of its threads.  Built with the
 * thread sanitizer the same run is the race check. */
#include "cases.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash = 1469598103934665603u; /* FNV-1a */

static void add_bytes(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
}

static void add_buffer(const buffer_t *buffer) {
  for (int64_t b = 0; b < buffer->batch_count; b++) {
    size_t size;
    unsigned char *bits = buffer_bits(buffer, b, &size);
    add_bytes(bits, size);
    free(bits);
  }
}

static void check(svdgrad_status_t status) {
  if (status == SVDGRAD_STATUS_SUCCESS)
    return;
  fprintf(stderr, "%s\n", svdgrad_last_error_message());
  exit(EXIT_FAILURE);
}

static void run(svdgrad_desc_t desc, spectrum_t spectrum) {
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CUDA, &desc, LAYOUT_ROW_PADDED);
  for (int64_t b = 0; b < desc.batch_count; b++) {
    dense_t A = make_matrix(spectrum, desc.dtype, desc.m, desc.n, (uint64_t)b + 1);
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  check(fixture_forward(&f, WITH_VECTORS));
  fixture_random_cotangents(&f, 5);
  check(fixture_backward(&f, WITH_COTANGENTS, 1, 0));
  add_buffer(&f.S), add_buffer(&f.U), add_buffer(&f.Vh), add_buffer(&f.gA);
  add_bytes(f.info, (size_t)desc.batch_count * sizeof *f.info);
  fixture_free(&f);
}

/* Shapes that reach every path: one warp and several, tall by QR, wide, more columns than warps, fused and in steps. */
static const test_shape_t shapes[] = {{1, 1}, {3, 3}, {8, 8}, {9, 5}, {5, 9}, {40, 3}, {3, 40}, {20, 17}};

enum { TINY_SHAPE = 3 };

int main(int argc, char **argv) {
  const int tiny = argc > 1 && strcmp(argv[1], "tiny") == 0; /* one shape: a thread for every block is dear */
  const int quick = tiny || (argc > 1 && strcmp(argv[1], "quick") == 0); /* the sanitizers are slow: one real type */
  for (int dtype = SVDGRAD_F32; dtype <= (quick ? SVDGRAD_F32 : SVDGRAD_C128); dtype++)
    for (int algo = SVDGRAD_ALGO_JACOBI; algo <= (tiny ? SVDGRAD_ALGO_JACOBI : SVDGRAD_ALGO_VENDOR); algo++)
      for (size_t i = tiny ? TINY_SHAPE : 0; i < (tiny ? TINY_SHAPE + 1 : sizeof shapes / sizeof *shapes); i++)
        for (int variant = 0; variant < 3; variant++) { /* thin, full_matrices, rank 1 */
          if (tiny && argc > 2 && variant != atoi(argv[2]))
            continue;
          svdgrad_desc_t desc = make_desc((svdgrad_dtype_t)dtype, shapes[i].m, shapes[i].n, tiny ? 2 : 3);
          desc.algo = (svdgrad_algo_t)algo;
          desc.full_matrices = variant == 1;
          desc.rank = variant == 2;
          run(desc, variant == 2 ? SPECTRUM_LINEAR : SPECTRUM_NORMAL);
          if (variant == 0 && !tiny)
            run(desc, SPECTRUM_ONES);
        }
  printf("hash %016llx\n", (unsigned long long)hash);
  return EXIT_SUCCESS;
}
