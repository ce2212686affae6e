/* SPDX-License-Identifier: BSD-3-Clause */
/* Transposes between the caller's memory, where the elements of one matrix are neighbours, and registers, whose lanes
 * are the matrices.  A chunk is 16 bytes of one matrix: CHUNK reals.  The matrices lie `batch` reals apart.  For f64
 * (CHUNK = 2) and AVX-512 (8 lanes), with a letter for each matrix and a number for each real:
 *
 *   chunks in register 0:  a0 a1 | c0 c1 | e0 e1 | g0 g1        wanted:  a0 b0 | c0 d0 | e0 f0 | g0 h0
 *   chunks in register 1:  b0 b1 | d0 d1 | f0 f1 | h0 h1                 a1 b1 | c1 d1 | e1 f1 | g1 h1
 *
 * so chunk_parts() puts the chunk of matrix s * CHUNK + q into the 128-bit part s of register q, after which a
 * CHUNK-by-CHUNK transpose inside each 128-bit part, chunk_transpose(), completes the job.  chunk_spread() stores.
 * chunk_parts_of() loads from matrices that lie anywhere: x[0] of register q is that of matrix q.
 *
 * A wide chunk, 32 bytes of one matrix, takes half as many loads and stores.  Register q is loaded from matrix
 * wide_matrix(q) and, if there is room, from the matrix CHUNK further on.  After a transpose of each half of the
 * registers, the even 128-bit parts of registers q and CHUNK + q belong together, and so do the odd ones: wide_sort()
 * exchanges them, and wide_merge() takes them back. */
#ifndef SVDGRAD_SIMD_CHUNKS_H
#define SVDGRAD_SIMD_CHUNKS_H
#include "../register.h"

#if LANES_BYTES == 64
#include "../isa/avx512_chunks.h"
#elif LANES_BYTES == 32
#include "../isa/avx2_chunks.h"
#else /* a chunk is a register, and none is wider */

enum { WIDE = CHUNK };

typedef V chunk_register_t;

static inline V chunk_parts(const R *x, int64_t batch) {
  (void)batch;
  return load_real(x);
}

static inline V chunk_parts_of(const R *const *x, int64_t e) { return load_real(x[0] + e); }

static inline void chunk_spread(V z, R *x, int64_t batch) {
  (void)batch;
  store_real(x, z);
}

static inline void chunk_transpose(V z[CHUNK]) {
  V old[CHUNK];
  memcpy(old, z, sizeof old);
  for (int q = 0; q < CHUNK; q++)
    for (int r = 0; r < CHUNK; r++)
      z[q][r] = old[r][q];
}

#endif

INLINE void chunk_in(const R *from, int64_t batch, R *to) {
  chunk_register_t z[CHUNK];
  UNROLL
  for (int q = 0; q < CHUNK; q++)
    z[q] = chunk_parts(from + q * batch, batch);
  chunk_transpose(z);
  memcpy(to, z, sizeof z);
}

/* From real e of each matrix on. */
INLINE void chunk_in_of(const R *const *matrices, int64_t e, R *to) {
  chunk_register_t z[CHUNK];
  UNROLL
  for (int q = 0; q < CHUNK; q++)
    z[q] = chunk_parts_of(matrices + q, e);
  chunk_transpose(z);
  memcpy(to, z, sizeof z);
}

INLINE void chunk_out(const R *from, R *to, int64_t batch) {
  chunk_register_t z[CHUNK];
  memcpy(z, from, sizeof z);
  chunk_transpose(z);
  UNROLL
  for (int q = 0; q < CHUNK; q++)
    chunk_spread(z[q], to + q * batch, batch);
}

#if LANES_BYTES > 16

INLINE void wide_chunk_in(const R *from, int64_t batch, R *to) {
  chunk_register_t z[WIDE];
  UNROLL
  for (int q = 0; q < WIDE; q++)
    z[q] = wide_parts(from + wide_matrix(q) * batch, batch);
  chunk_transpose(z);
  chunk_transpose(z + CHUNK);
  UNROLL
  for (int q = 0; q < CHUNK; q++)
    wide_sort(&z[q], &z[CHUNK + q]);
  memcpy(to, z, sizeof z);
}

INLINE void wide_chunk_out(const R *from, R *to, int64_t batch) {
  chunk_register_t z[WIDE];
  memcpy(z, from, sizeof z);
  UNROLL
  for (int q = 0; q < CHUNK; q++)
    wide_merge(&z[q], &z[CHUNK + q]);
  chunk_transpose(z);
  chunk_transpose(z + CHUNK);
  UNROLL
  for (int q = 0; q < WIDE; q++)
    wide_spread(z[q], to + wide_matrix(q) * batch, batch);
}

#else

INLINE void wide_chunk_in(const R *from, int64_t batch, R *to) { chunk_in(from, batch, to); }
INLINE void wide_chunk_out(const R *from, R *to, int64_t batch) { chunk_out(from, to, batch); }

#endif

#endif
