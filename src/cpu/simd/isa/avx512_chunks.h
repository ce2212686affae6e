/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of memory/chunks.h with 512-bit registers. */
#ifndef SVDGRAD_SIMD_AVX512_CHUNKS_H
#define SVDGRAD_SIMD_AVX512_CHUNKS_H
#include "../register.h"

#include <immintrin.h>

enum { WIDE = 2 * CHUNK };

static inline int wide_matrix(int q) { return q + (q & CHUNK); }

/* The even 128-bit parts of x and y go into x, the odd ones into y. */
static inline void sort_parts(__m512d *x, __m512d *y) {
  const __m512d even = _mm512_shuffle_f64x2(*x, *y, 0x88);
  *y = _mm512_shuffle_f64x2(*x, *y, 0xdd);
  *x = even;
}

/* The inverse. */
static inline void merge_parts(__m512d *x, __m512d *y) {
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  const __m512d low = _mm512_permutex2var_pd(*x, first, *y);
  *y = _mm512_permutex2var_pd(*x, second, *y);
  *x = low;
}

#if IS_DOUBLE

typedef __m512d chunk_register_t;

static inline __m512d four_parts(const double *a, const double *b, const double *c, const double *d) {
  const __m512d y = _mm512_insertf64x2(_mm512_castpd128_pd512(_mm_loadu_pd(a)), _mm_loadu_pd(b), 1);
  return _mm512_insertf64x2(_mm512_insertf64x2(y, _mm_loadu_pd(c), 2), _mm_loadu_pd(d), 3);
}

static inline __m512d chunk_parts(const double *x, int64_t batch) {
  return four_parts(x, x + 2 * batch, x + 4 * batch, x + 6 * batch);
}

static inline __m512d chunk_parts_of(const double *const *x, int64_t e) {
  return four_parts(x[0] + e, x[2] + e, x[4] + e, x[6] + e);
}

static inline void chunk_spread(__m512d z, double *x, int64_t batch) {
  _mm_storeu_pd(x, _mm512_castpd512_pd128(z));
  _mm_storeu_pd(x + 2 * batch, _mm512_extractf64x2_pd(z, 1));
  _mm_storeu_pd(x + 4 * batch, _mm512_extractf64x2_pd(z, 2));
  _mm_storeu_pd(x + 6 * batch, _mm512_extractf64x2_pd(z, 3));
}

static inline void chunk_transpose(__m512d z[2]) {
  const __m512d a = _mm512_unpacklo_pd(z[0], z[1]);
  z[1] = _mm512_unpackhi_pd(z[0], z[1]);
  z[0] = a;
}

static inline __m512d wide_parts(const double *x, int64_t batch) {
  return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(x)), _mm256_loadu_pd(x + CHUNK * batch), 1);
}

static inline void wide_spread(__m512d z, double *x, int64_t batch) {
  _mm256_storeu_pd(x, _mm512_castpd512_pd256(z));
  _mm256_storeu_pd(x + CHUNK * batch, _mm512_extractf64x4_pd(z, 1));
}

static inline void wide_sort(__m512d *x, __m512d *y) { sort_parts(x, y); }
static inline void wide_merge(__m512d *x, __m512d *y) { merge_parts(x, y); }

#else

typedef __m512 chunk_register_t;

static inline __m512 four_parts(const float *a, const float *b, const float *c, const float *d) {
  const __m512 y = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
  return _mm512_insertf32x4(_mm512_insertf32x4(y, _mm_loadu_ps(c), 2), _mm_loadu_ps(d), 3);
}

static inline __m512 chunk_parts(const float *x, int64_t batch) {
  return four_parts(x, x + 4 * batch, x + 8 * batch, x + 12 * batch);
}

static inline __m512 chunk_parts_of(const float *const *x, int64_t e) {
  return four_parts(x[0] + e, x[4] + e, x[8] + e, x[12] + e);
}

static inline void chunk_spread(__m512 z, float *x, int64_t batch) {
  _mm_storeu_ps(x, _mm512_castps512_ps128(z));
  _mm_storeu_ps(x + 4 * batch, _mm512_extractf32x4_ps(z, 1));
  _mm_storeu_ps(x + 8 * batch, _mm512_extractf32x4_ps(z, 2));
  _mm_storeu_ps(x + 12 * batch, _mm512_extractf32x4_ps(z, 3));
}

static inline void chunk_transpose(__m512 z[4]) {
  const __m512 a = _mm512_unpacklo_ps(z[0], z[1]), b = _mm512_unpacklo_ps(z[2], z[3]);
  const __m512 c = _mm512_unpackhi_ps(z[0], z[1]), d = _mm512_unpackhi_ps(z[2], z[3]);
  z[0] = (__m512)_mm512_unpacklo_pd((__m512d)a, (__m512d)b);
  z[1] = (__m512)_mm512_unpackhi_pd((__m512d)a, (__m512d)b);
  z[2] = (__m512)_mm512_unpacklo_pd((__m512d)c, (__m512d)d);
  z[3] = (__m512)_mm512_unpackhi_pd((__m512d)c, (__m512d)d);
}

static inline __m512 wide_parts(const float *x, int64_t batch) {
  return (__m512)_mm512_insertf64x4((__m512d)_mm512_castps256_ps512(_mm256_loadu_ps(x)),
                                    (__m256d)_mm256_loadu_ps(x + CHUNK * batch), 1);
}

static inline void wide_spread(__m512 z, float *x, int64_t batch) {
  _mm256_storeu_ps(x, _mm512_castps512_ps256(z));
  _mm256_storeu_ps(x + CHUNK * batch, (__m256)_mm512_extractf64x4_pd((__m512d)z, 1));
}

static inline void wide_sort(__m512 *x, __m512 *y) { sort_parts((__m512d *)x, (__m512d *)y); }
static inline void wide_merge(__m512 *x, __m512 *y) { merge_parts((__m512d *)x, (__m512d *)y); }

#endif
#endif
