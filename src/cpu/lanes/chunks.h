/* SPDX-License-Identifier: BSD-3-Clause */
/* A chunk: 16 bytes that lie together in each of LANES matrices, `batch` apart, as registers with a matrix in each
 * lane, and back.  Chunk s * CHUNK + q goes into 128-bit part s of register q, so that what is left is the transpose of
 * a CHUNK-by-CHUNK block in every such part. */
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

typedef __m256 chunk_register_f32;
typedef __m256d chunk_register_f64;

#else /* a chunk is a register */

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
