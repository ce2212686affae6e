/* SPDX-License-Identifier: BSD-3-Clause */
/* A chunk: 16 bytes that lie together in each of LANES matrices, `batch` apart, as registers with a matrix in each
 * lane, and back.  Chunk s * CHUNK + q goes into 128-bit part s of register q, so that what is left is the transpose of
 * a CHUNK-by-CHUNK block in every such part.
 *
 * Wide chunks, of 32 bytes, spare half of the loads and stores.  Register q then takes those of matrix wide_matrix(q),
 * and the one CHUNK further on if it has room: after the same transposes of each half of the registers, what belongs
 * together are the even 128-bit parts of registers q and CHUNK + q, and the odd ones. */
#ifndef SVDGRAD_LANES_CHUNKS_H
#define SVDGRAD_LANES_CHUNKS_H

enum { CHUNK_f32 = 4, CHUNK_f64 = 2 }; /* reals of a chunk, and registers */

#if LANES_BYTES == 64

static inline __m512 chunk_parts_f32(const float *x, int64_t batch) {
  const __m512 y = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(x)), _mm_loadu_ps(x + 4 * batch), 1);
  return _mm512_insertf32x4(_mm512_insertf32x4(y, _mm_loadu_ps(x + 8 * batch), 2), _mm_loadu_ps(x + 12 * batch), 3);
}

static inline __m512d chunk_parts_f64(const double *x, int64_t batch) {
  const __m512d y = _mm512_insertf64x2(_mm512_castpd128_pd512(_mm_loadu_pd(x)), _mm_loadu_pd(x + 2 * batch), 1);
  return _mm512_insertf64x2(_mm512_insertf64x2(y, _mm_loadu_pd(x + 4 * batch), 2), _mm_loadu_pd(x + 6 * batch), 3);
}

static inline void chunk_spread_f32(__m512 z, float *x, int64_t batch) {
  _mm_storeu_ps(x, _mm512_castps512_ps128(z));
  _mm_storeu_ps(x + 4 * batch, _mm512_extractf32x4_ps(z, 1));
  _mm_storeu_ps(x + 8 * batch, _mm512_extractf32x4_ps(z, 2));
  _mm_storeu_ps(x + 12 * batch, _mm512_extractf32x4_ps(z, 3));
}

static inline void chunk_spread_f64(__m512d z, double *x, int64_t batch) {
  _mm_storeu_pd(x, _mm512_castpd512_pd128(z));
  _mm_storeu_pd(x + 2 * batch, _mm512_extractf64x2_pd(z, 1));
  _mm_storeu_pd(x + 4 * batch, _mm512_extractf64x2_pd(z, 2));
  _mm_storeu_pd(x + 6 * batch, _mm512_extractf64x2_pd(z, 3));
}

static inline void chunk_transpose_f32(__m512 z[4]) {
  const __m512 a = _mm512_unpacklo_ps(z[0], z[1]), b = _mm512_unpacklo_ps(z[2], z[3]);
  const __m512 c = _mm512_unpackhi_ps(z[0], z[1]), d = _mm512_unpackhi_ps(z[2], z[3]);
  z[0] = (__m512)_mm512_unpacklo_pd((__m512d)a, (__m512d)b);
  z[1] = (__m512)_mm512_unpackhi_pd((__m512d)a, (__m512d)b);
  z[2] = (__m512)_mm512_unpacklo_pd((__m512d)c, (__m512d)d);
  z[3] = (__m512)_mm512_unpackhi_pd((__m512d)c, (__m512d)d);
}

static inline void chunk_transpose_f64(__m512d z[2]) {
  const __m512d a = _mm512_unpacklo_pd(z[0], z[1]);
  z[1] = _mm512_unpackhi_pd(z[0], z[1]);
  z[0] = a;
}

enum { WIDE_f32 = 2 * CHUNK_f32, WIDE_f64 = 2 * CHUNK_f64 };

static inline __m512 wide_parts_f32(const float *x, int64_t batch) {
  return (__m512)_mm512_insertf64x4((__m512d)_mm512_castps256_ps512(_mm256_loadu_ps(x)),
                                    (__m256d)_mm256_loadu_ps(x + CHUNK_f32 * batch), 1);
}

static inline __m512d wide_parts_f64(const double *x, int64_t batch) {
  return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(x)), _mm256_loadu_pd(x + CHUNK_f64 * batch), 1);
}

static inline void wide_spread_f32(__m512 z, float *x, int64_t batch) {
  _mm256_storeu_ps(x, _mm512_castps512_ps256(z));
  _mm256_storeu_ps(x + CHUNK_f32 * batch, (__m256)_mm512_extractf64x4_pd((__m512d)z, 1));
}

static inline void wide_spread_f64(__m512d z, double *x, int64_t batch) {
  _mm256_storeu_pd(x, _mm512_castpd512_pd256(z));
  _mm256_storeu_pd(x + CHUNK_f64 * batch, _mm512_extractf64x4_pd(z, 1));
}

static inline int wide_matrix(int q, int chunk) { return q + (q & chunk); }

/* The even 128-bit parts of x and y into x, the odd ones into y; and back. */
static inline void wide_sort_f64(__m512d *x, __m512d *y) {
  const __m512d even = _mm512_shuffle_f64x2(*x, *y, 0x88);
  *y = _mm512_shuffle_f64x2(*x, *y, 0xdd);
  *x = even;
}

static inline void wide_merge_f64(__m512d *x, __m512d *y) {
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  const __m512d low = _mm512_permutex2var_pd(*x, first, *y);
  *y = _mm512_permutex2var_pd(*x, second, *y);
  *x = low;
}

static inline void wide_sort_f32(__m512 *x, __m512 *y) { wide_sort_f64((__m512d *)x, (__m512d *)y); }
static inline void wide_merge_f32(__m512 *x, __m512 *y) { wide_merge_f64((__m512d *)x, (__m512d *)y); }

typedef __m512 chunk_register_f32;
typedef __m512d chunk_register_f64;

#elif LANES_BYTES == 32

static inline __m256 chunk_parts_f32(const float *x, int64_t batch) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + 4 * batch), 1);
}

static inline __m256d chunk_parts_f64(const double *x, int64_t batch) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(x)), _mm_loadu_pd(x + 2 * batch), 1);
}

static inline void chunk_spread_f32(__m256 z, float *x, int64_t batch) {
  _mm_storeu_ps(x, _mm256_castps256_ps128(z));
  _mm_storeu_ps(x + 4 * batch, _mm256_extractf128_ps(z, 1));
}

static inline void chunk_spread_f64(__m256d z, double *x, int64_t batch) {
  _mm_storeu_pd(x, _mm256_castpd256_pd128(z));
  _mm_storeu_pd(x + 2 * batch, _mm256_extractf128_pd(z, 1));
}

static inline void chunk_transpose_f32(__m256 z[4]) {
  const __m256 a = _mm256_unpacklo_ps(z[0], z[1]), b = _mm256_unpacklo_ps(z[2], z[3]);
  const __m256 c = _mm256_unpackhi_ps(z[0], z[1]), d = _mm256_unpackhi_ps(z[2], z[3]);
  z[0] = (__m256)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
  z[1] = (__m256)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
  z[2] = (__m256)_mm256_unpacklo_pd((__m256d)c, (__m256d)d);
  z[3] = (__m256)_mm256_unpackhi_pd((__m256d)c, (__m256d)d);
}

static inline void chunk_transpose_f64(__m256d z[2]) {
  const __m256d a = _mm256_unpacklo_pd(z[0], z[1]);
  z[1] = _mm256_unpackhi_pd(z[0], z[1]);
  z[0] = a;
}

enum { WIDE_f32 = 2 * CHUNK_f32, WIDE_f64 = 2 * CHUNK_f64 };

static inline int wide_matrix(int q, int chunk) {
  (void)chunk;
  return q;
}

static inline __m256 wide_parts_f32(const float *x, int64_t batch) {
  (void)batch;
  return _mm256_loadu_ps(x);
}

static inline __m256d wide_parts_f64(const double *x, int64_t batch) {
  (void)batch;
  return _mm256_loadu_pd(x);
}

static inline void wide_spread_f32(__m256 z, float *x, int64_t batch) {
  (void)batch;
  _mm256_storeu_ps(x, z);
}

static inline void wide_spread_f64(__m256d z, double *x, int64_t batch) {
  (void)batch;
  _mm256_storeu_pd(x, z);
}

static inline void wide_sort_f64(__m256d *x, __m256d *y) {
  const __m256d even = _mm256_permute2f128_pd(*x, *y, 0x20);
  *y = _mm256_permute2f128_pd(*x, *y, 0x31);
  *x = even;
}

static inline void wide_sort_f32(__m256 *x, __m256 *y) { wide_sort_f64((__m256d *)x, (__m256d *)y); }
static inline void wide_merge_f64(__m256d *x, __m256d *y) { wide_sort_f64(x, y); }
static inline void wide_merge_f32(__m256 *x, __m256 *y) { wide_sort_f32(x, y); }

typedef __m256 chunk_register_f32;
typedef __m256d chunk_register_f64;

#else /* a chunk is a register, and none is wider */

enum { WIDE_f32 = CHUNK_f32, WIDE_f64 = CHUNK_f64 };

typedef v_f32 chunk_register_f32;
typedef v_f64 chunk_register_f64;

static inline v_f32 chunk_parts_f32(const float *x, int64_t batch) {
  v_f32 z;
  (void)batch;
  memcpy(&z, x, sizeof z);
  return z;
}

static inline v_f64 chunk_parts_f64(const double *x, int64_t batch) {
  v_f64 z;
  (void)batch;
  memcpy(&z, x, sizeof z);
  return z;
}

static inline void chunk_spread_f32(v_f32 z, float *x, int64_t batch) {
  (void)batch;
  memcpy(x, &z, sizeof z);
}

static inline void chunk_spread_f64(v_f64 z, double *x, int64_t batch) {
  (void)batch;
  memcpy(x, &z, sizeof z);
}

static inline void chunk_transpose_f32(v_f32 z[4]) {
  const v_f32 a = z[0], b = z[1], c = z[2], d = z[3];
  for (int q = 0; q < 4; q++)
    z[q] = (v_f32){a[q], b[q], c[q], d[q]};
}

static inline void chunk_transpose_f64(v_f64 z[2]) {
  const v_f64 a = z[0], b = z[1];
  for (int q = 0; q < 2; q++)
    z[q] = (v_f64){a[q], b[q]};
}

#endif

#endif
