/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of memory/chunks.h with 256-bit registers. */
#ifndef SVDGRAD_SIMD_AVX2_CHUNKS_H
#define SVDGRAD_SIMD_AVX2_CHUNKS_H
#include "../register.h"

#include <immintrin.h>

enum { WIDE = 2 * CHUNK };

static inline int wide_matrix(int q) { return q; }

/* The even 128-bit parts of x and y go into x, the odd ones into y; this is its own inverse. */
static inline void sort_parts(__m256d *x, __m256d *y) {
  const __m256d even = _mm256_permute2f128_pd(*x, *y, 0x20);
  *y = _mm256_permute2f128_pd(*x, *y, 0x31);
  *x = even;
}

#if IS_DOUBLE

typedef __m256d chunk_register_t;

static inline __m256d chunk_parts(const double *x, int64_t batch) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(x)), _mm_loadu_pd(x + 2 * batch), 1);
}

static inline __m256d chunk_parts_of(const double *const *x, int64_t e) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(x[0] + e)), _mm_loadu_pd(x[2] + e), 1);
}

static inline void chunk_spread(__m256d z, double *x, int64_t batch) {
  _mm_storeu_pd(x, _mm256_castpd256_pd128(z));
  _mm_storeu_pd(x + 2 * batch, _mm256_extractf128_pd(z, 1));
}

static inline void chunk_transpose(__m256d z[2]) {
  const __m256d a = _mm256_unpacklo_pd(z[0], z[1]);
  z[1] = _mm256_unpackhi_pd(z[0], z[1]);
  z[0] = a;
}

static inline __m256d wide_parts(const double *x, int64_t batch) {
  (void)batch;
  return _mm256_loadu_pd(x);
}

static inline void wide_spread(__m256d z, double *x, int64_t batch) {
  (void)batch;
  _mm256_storeu_pd(x, z);
}

static inline void wide_sort(__m256d *x, __m256d *y) { sort_parts(x, y); }

#else

typedef __m256 chunk_register_t;

static inline __m256 chunk_parts(const float *x, int64_t batch) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + 4 * batch), 1);
}

static inline __m256 chunk_parts_of(const float *const *x, int64_t e) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x[0] + e)), _mm_loadu_ps(x[4] + e), 1);
}

static inline void chunk_spread(__m256 z, float *x, int64_t batch) {
  _mm_storeu_ps(x, _mm256_castps256_ps128(z));
  _mm_storeu_ps(x + 4 * batch, _mm256_extractf128_ps(z, 1));
}

static inline void chunk_transpose(__m256 z[4]) {
  const __m256 a = _mm256_unpacklo_ps(z[0], z[1]), b = _mm256_unpacklo_ps(z[2], z[3]);
  const __m256 c = _mm256_unpackhi_ps(z[0], z[1]), d = _mm256_unpackhi_ps(z[2], z[3]);
  z[0] = (__m256)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
  z[1] = (__m256)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
  z[2] = (__m256)_mm256_unpacklo_pd((__m256d)c, (__m256d)d);
  z[3] = (__m256)_mm256_unpackhi_pd((__m256d)c, (__m256d)d);
}

static inline __m256 wide_parts(const float *x, int64_t batch) {
  (void)batch;
  return _mm256_loadu_ps(x);
}

static inline void wide_spread(__m256 z, float *x, int64_t batch) {
  (void)batch;
  _mm256_storeu_ps(x, z);
}

static inline void wide_sort(__m256 *x, __m256 *y) { sort_parts((__m256d *)x, (__m256d *)y); }

#endif

static inline void wide_merge(chunk_register_t *x, chunk_register_t *y) { wide_sort(x, y); }

#endif
