/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration with a matrix in each lane.  Unusual matrices, zero, with NaN or Inf, or near the ends of the range,
 * are left to the caller (power.h), which has a kernel for them. */
#include "../exported.h"
#include "../memory/pack.h"
#include "calls.h"
#include "base/strided.h"

typedef struct iteration {
  tile_t A;
  R *u, *v, *Av, *Ahu; /* m, n, m, n */
  R *raw, *by_factor;  /* m * n; the larger of m and n */
} iteration_t;

INLINE iteration_t iteration_take(arena_t *arena, const problem_t *p) {
  const size_t size = (size_t)(PARTS * LANES) * sizeof(R);
  iteration_t q;
  q.A = (tile_t){NULL, 0, 0};
  q.raw = arena_take(arena, p->m * p->n, size);
  q.u = arena_take(arena, p->m, size);
  q.v = arena_take(arena, p->n, size);
  q.Av = arena_take(arena, p->m, size);
  q.Ahu = arena_take(arena, p->n, size);
  q.by_factor = arena_take(arena, p->m < p->n ? p->n : p->m, size);
  return q;
}

INLINE V largest_of(int64_t elements, const R *x) {
  V largest = {0};
  for (int64_t e = 0; e < elements; e++)
    largest = larger(largest, largest_part(load(x, e)));
  return largest;
}

INLINE M is_finite(int64_t elements, const R *x) {
  V poison = {0};
  for (int64_t e = 0; e < elements; e++)
    poison += nan_unless_finite(load(x, e));
  return (M)(poison == 0);
}

/* The exponent of the largest real or imaginary part: 2^-exponent times that part is in [1, 2). Clears *fine where
 * there is no such number. */
INLINE M exponent_of_array(int64_t elements, const R *x, M *fine) {
  const V largest = largest_of(elements, x);
  const M exponent = exponent_of(largest) + SCALED_EXPONENT;
  const integer_t furthest = EXPONENT_BIAS - 27; /* 2^exponent and its inverse are finite, with room to spare */
  *fine &= (M)(largest > broadcast(0)) & (M)(exponent < furthest) & (M)(exponent > -furthest);
  return *fine & exponent;
}

/* y_o = sum_i a_oi (factor x_i), or conj(a_oi) in place of a_oi; the strides are those of o and i in A. */
INLINE void multiply_vector(const R *A, int64_t outer, int64_t outer_stride, int64_t inner, int64_t inner_stride,
                            int conjugated, V factor, const R *x, R *by_factor, R *y) {
  for (int64_t i = 0; i < inner; i++)
    store(by_factor, i, scaled(factor, load(x, i)));
  for (int64_t o = 0; o < outer; o++) {
    E sum = from_real((V){0});
    for (int64_t i = 0; i < inner; i++) {
      const E a = load(A, o * outer_stride + i * inner_stride), xi = load(by_factor, i);
      sum = conjugated ? add_conjugate_product(sum, a, xi) : add_product(sum, a, xi);
    }
    store(y, o, sum);
  }
}

INLINE void multiply_by_A(const iteration_t *q, const problem_t *p, V factor) {
  multiply_vector(q->A.data, p->m, q->A.row, p->n, q->A.column, 0, factor, q->v, q->by_factor, q->Av);
}

INLINE void multiply_by_adjoint(const iteration_t *q, const problem_t *p, V factor) {
  multiply_vector(q->A.data, p->n, q->A.column, p->m, q->A.row, 1, factor, q->u, q->by_factor, q->Ahu);
}

/* to <- x / |x| */
INLINE void make_unit(int64_t elements, const R *x, R *to, M *fine) {
  const V scale = power_of_two(-exponent_of_array(elements, x, fine));
  V square = {0};
  for (int64_t e = 0; e < elements; e++)
    square = add_square(square, scaled(scale, load(x, e)));
  const V inverse = 1 / square_root(square);
  for (int64_t e = 0; e < elements; e++)
    store(to, e, scaled(inverse, scaled(scale, load(x, e))));
}

INLINE V square_of_difference(int64_t elements, const R *x, V scale, const R *y) {
  V square = {0};
  for (int64_t e = 0; e < elements; e++)
    square = add_square(square, add_scaled(load(x, e), -scale, load(y, e)));
  return square;
}

INLINE void store_number(const svdgrad_vector_t *to, int64_t first, V number, int count) {
  for (int l = 0; l < count && to->data; l++)
    *entry(to, first + l, 0) = number[l];
}

/* Stores x to the caller's vector in the matrices that are `fine`. */
INLINE void store_iterate(const svdgrad_vector_t *to, int64_t first, int64_t elements, const R *x, M fine, R *old,
                          int count) {
  const svdgrad_matrix_t column = {to->data, to->stride, to->stride, to->batch_stride};
  const strided_t caller = strided_of(&column, first, 0);
  if (any_lane(~fine)) {
    (void)fetch(&caller, elements, 1, PARTS, old, count);
    for (int64_t e = 0; e < elements; e++)
      store(old, e, choose(fine, load(x, e), load(old, e)));
    x = old;
  }
  put_back(&caller, elements, 1, PARTS, x, count);
}

INLINE void store_quotient(const iteration_t *q, const power_call_t *call, int64_t first, V sigma, int count) {
  const problem_t *p = &call->p;
  const strided_t Y = strided_of(&call->Y, first, 0);
  const lines_t lines = lines_of(&Y, p->m, p->n, PARTS);
  const tile_t out = tile_of(NULL, &lines, p->m, p->n);
  if (out.row == q->A.row && out.column == q->A.column) {
    for (int64_t e = 0; e < PARTS * p->m * p->n; e++)
      store_real(q->raw + e * LANES, load_real(q->raw + e * LANES) / sigma);
    put_back(&Y, p->m, p->n, PARTS, q->raw, count);
    return;
  }
  for (int l = 0; l < count; l++)
    for (int64_t i = 0; i < p->m; i++)
      for (int64_t j = 0; j < p->n; j++)
        for (int part = 0; part < PARTS; part++)
          ((R *)element(&call->Y, first + l, i, j))[part] =
              element_at(q->raw, i * q->A.row + j * q->A.column)[part * LANES + l] / sigma[l];
}

/* sigma = Re(u^H A v), its residual, and the iterates that are wanted.  Returns the updated `fine`. */
INLINE M finish_power(const iteration_t *q, const power_call_t *call, int64_t first, M exponent, M fine, int count) {
  const problem_t *p = &call->p;
  V sum = {0};
  multiply_by_adjoint(q, p, power_of_two(-exponent));
  for (int64_t i = 0; i < p->m; i++)
    sum += real_product(load(q->u, i), load(q->Av, i));
  const V residual =
      square_root(square_of_difference(p->m, q->Av, sum, q->u) + square_of_difference(p->n, q->Ahu, sum, q->v));
  const V scale = power_of_two(exponent), sigma = sum * scale;
  fine &= (M)(sigma >= broadcast(SMALLEST_NORMAL)) & (M)(residual * scale <= broadcast(LARGEST));
  store_number(&call->sigma, first, sigma, count);
  store_number(&call->residual, first, residual * scale, count);
  store_iterate(&call->u, first, p->m, q->u, fine, q->Av, count);
  store_iterate(&call->v, first, p->n, q->v, fine, q->Ahu, count);
  if (call->Y.data)
    store_quotient(q, call, first, sigma, count);
  return fine;
}

static size_t power_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)iteration_take(&arena, p);
  return arena.used;
}

static void power_iteration(const power_call_t *call, int64_t first, int count, arena_t scratch, int32_t *is_fine) {
  const problem_t *p = &call->p;
  const svdgrad_matrix_t column = {call->u.data, call->u.stride, call->u.stride, call->u.batch_stride};
  const strided_t A = strided_of(&call->A, first, 0), u = strided_of(&column, first, 0);
  iteration_t q = iteration_take(&scratch, p);
  q.A = fetch(&A, p->m, p->n, PARTS, q.raw, count);
  (void)fetch(&u, p->m, 1, PARTS, q.u, count);
  M fine = is_finite(p->m * p->n, q.raw) & is_finite(p->m, q.u);
  const M exponent = exponent_of_array(p->m * p->n, q.raw, &fine);
  const V scale = power_of_two(-exponent), start = power_of_two(-exponent_of_array(p->m, q.u, &fine));
  for (int64_t i = 0; i < p->m; i++)
    store(q.u, i, scaled(start, load(q.u, i)));
  for (int32_t i = 0; i < call->iterations; i++) {
    multiply_by_adjoint(&q, p, scale);
    make_unit(p->n, q.Ahu, q.v, &fine);
    multiply_by_A(&q, p, scale);
    make_unit(p->m, q.Av, q.u, &fine);
  }
  fine = finish_power(&q, call, first, exponent, fine, count);
  for (int l = 0; l < count; l++) {
    call->info[first + l] = SVDGRAD_INFO_OK;
    is_fine[l] = fine[l] != 0;
  }
}

const power_ops_t EXPORTED(svdgrad_power_ops) = {power_scratch, power_iteration};
