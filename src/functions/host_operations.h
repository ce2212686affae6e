/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of machine.h on the CPU, for one element type and one compute type (compute.h).
 *
 * With one lane, products are those of host_product.h, or of MULTIPLY(machine, product), if the including file defines
 * that. */
#ifndef SVDGRAD_HOST_OPERATIONS_H
#define SVDGRAD_HOST_OPERATIONS_H
#include "base/compute.h"
#include "base/strided.h"
#include "backward_core.h"
#include "host_machine.h"

#include <string.h>

#ifndef MULTIPLY
#include "host_product.h"
#define MULTIPLY(machine, product) multiply_plainly(product)
#endif

static host_machine_t *host(machine_t *machine) { return (host_machine_t *)machine; }

enum { MACHINE_PARTS = 1 + IS_COMPLEX };

/* Unused lanes start as zeros: memory may hold denormal numbers, which are slow. */
static void *take_array(host_machine_t *h, int64_t count, size_t size) {
  const size_t bytes = size * (size_t)h->lanes;
  void *data = arena_take(&h->arena, count, bytes);
  if (data && h->count < h->lanes)
    memset(data, 0, (size_t)count * bytes);
  return data;
}

static tensor_t take(machine_t *machine, int64_t rows, int64_t columns) {
  void *data = take_array(host(machine), element_count(rows, columns), sizeof(compute_t));
  return (tensor_t){data, rows, columns, 0, columns};
}

static reals_t take_reals(machine_t *machine, int64_t count) {
  return (reals_t){take_array(host(machine), count, sizeof(compute_real_t)), count};
}

static values_t take_values(machine_t *machine, int64_t count) {
  const reals_t s = take_reals(machine, count);
  return (values_t){s, take_array(host(machine), 1, sizeof(int))};
}

/* Address of element (i, j) in lane 0. */
static inline compute_real_t *place(const host_machine_t *h, tensor_t X, int64_t i, int64_t j) {
  return (compute_real_t *)X.data + ((X.first + j) * X.rows + i) * h->lanes * MACHINE_PARTS;
}

static inline compute_t get(const host_machine_t *h, tensor_t X, int64_t lane, int64_t i, int64_t j) {
  const compute_real_t *x = place(h, X, i, j) + lane;
#if IS_COMPLEX
  return CMPLX_OF(x[0], x[h->lanes]);
#else
  return *x;
#endif
}

static inline void set(const host_machine_t *h, tensor_t X, int64_t lane, int64_t i, int64_t j, compute_t value) {
  compute_real_t *x = place(h, X, i, j) + lane;
  x[0] = RE(value);
#if IS_COMPLEX
  x[h->lanes] = IM(value);
#endif
}

static inline compute_real_t *real_at(const host_machine_t *h, reals_t x, int64_t i) {
  return (compute_real_t *)x.data + i * h->lanes;
}

static inline int *exponent_at(values_t values, int64_t lane) { return (int *)values.exponent + lane; }

static group_copy_t group_copy(const host_machine_t *h, svdgrad_matrix_t matrix, machine_operation_t op, tensor_t X,
                               double alpha, double beta) {
  return (group_copy_t){matrix, place(h, X, 0, 0), X.rows, X.columns, op == HERMITIAN, alpha, beta,
                        h->b,   (int)h->count};
}

static int is_empty(tensor_t X) { return X.rows == 0 || X.columns == 0; }

static void clear(const host_machine_t *h, tensor_t X) {
  memset(place(h, X, 0, 0), 0, (size_t)(X.rows * X.columns * h->lanes) * sizeof(compute_t));
}

/* One matrix is transferred in strips of rows: where the caller's is row-major, only so many of its rows are read at a
 * time, and a column of the strip is one cache line or two. */
enum { STRIP = 16 };

static int64_t strip_end(int64_t first, int64_t rows) { return first + STRIP < rows ? first + STRIP : rows; }

static void load_tensor(machine_t *machine, svdgrad_matrix_t from, machine_operation_t op, tensor_t to) {
  const host_machine_t *h = host(machine);
  if (is_empty(to))
    return;
  if (!from.data) {
    clear(h, to);
  } else if (h->group) {
    const group_copy_t copy = group_copy(h, from, op, to, 1, 0);
    h->group->load(&copy);
  } else {
    const int64_t row = op == HERMITIAN ? from.col_stride : from.row_stride,
                  column = op == HERMITIAN ? from.row_stride : from.col_stride;
    const T *x = element(&from, h->b, 0, 0);
    for (int64_t first = 0; first < to.rows; first += STRIP)
      for (int64_t j = 0; j < to.columns; j++) {
        compute_t *y = (compute_t *)place(h, to, 0, j);
        for (int64_t i = first; i < strip_end(first, to.rows); i++)
          y[i] = (compute_t)(op == HERMITIAN ? CONJ(x[i * row + j * column]) : x[i * row + j * column]);
      }
  }
}

static group_t group_of(const host_machine_t *h) { return (group_t){h->base.p, h->b, (int)h->count}; }

static void load_reals(machine_t *machine, svdgrad_vector_t from, reals_t to) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group) {
    h->group->load_reals(&group, &from, to.count, to.data);
    return;
  }
  for (int64_t i = 0; i < to.count; i++)
    for (int64_t lane = 0; lane < h->count; lane++)
      real_at(h, to, i)[lane] = from.data ? (compute_real_t)*entry(&from, h->b + lane, i) : 0;
}

static void load_scaled_values(machine_t *machine, svdgrad_vector_t S, const int32_t *told, values_t to) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group) {
    h->group->load_values(&group, &S, told, &to);
    return;
  }
  load_reals(machine, S, to.s);
  for (int64_t lane = 0; lane < h->count; lane++) {
    const double s1 = to.s.count > 0 ? (double)real_at(h, to.s, 0)[lane] : 0;
    const int exponent = gap_exponent(s1, ANY_EXPONENT);
    const power_t scale = power_of(-exponent);
    *exponent_at(to, lane) = exponent + (told ? told[h->b + lane] : 0);
    for (int64_t i = 0; i < to.s.count; i++)
      real_at(h, to.s, i)[lane] = real_at(h, to.s, i)[lane] * scale.first * scale.second;
  }
}

static void load_values(machine_t *machine, svdgrad_vector_t S, values_t to) {
  load_scaled_values(machine, S, NULL, to);
}

static void store_tensor(machine_t *machine, tensor_t from, machine_operation_t op, double alpha, double beta,
                         svdgrad_matrix_t to) {
  const host_machine_t *h = host(machine);
  if (is_empty(from) || !to.data)
    return;
  if (h->group) {
    const group_copy_t copy = group_copy(h, to, op, from, alpha, beta);
    h->group->store(&copy);
    return;
  }
  for (int64_t first = 0; first < from.rows; first += STRIP)
    for (int64_t j = 0; j < from.columns; j++)
      for (int64_t i = first; i < strip_end(first, from.rows); i++) {
        const compute_t x = (compute_real_t)alpha * get(h, from, 0, i, j), value = op == HERMITIAN ? CONJ(x) : x;
        T *y = op == HERMITIAN ? element(&to, h->b, j, i) : element(&to, h->b, i, j);
        *y = (T)(beta == 0 ? value : value + (compute_real_t)beta * (compute_t)*y);
      }
}

static void store_reals(machine_t *machine, reals_t from, svdgrad_vector_t to) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group) {
    h->group->store_reals(&group, from.data, from.count, &to);
    return;
  }
  for (int64_t i = 0; i < from.count && to.data; i++)
    for (int64_t lane = 0; lane < h->count; lane++)
      *entry(&to, h->b + lane, i) = (R)real_at(h, from, i)[lane];
}

static void multiply_tensors(machine_t *machine, double alpha, machine_operation_t op_a, tensor_t A,
                             machine_operation_t op_b, tensor_t B, double beta, tensor_t X) {
  const host_machine_t *h = host(machine);
  const int64_t inner = op_a == HERMITIAN ? A.rows : A.columns;
  if (is_empty(X))
    return;
  const group_product_t product = {.m = X.rows,
                                   .n = X.columns,
                                   .k = inner,
                                   .hermitian_a = op_a == HERMITIAN,
                                   .hermitian_b = op_b == HERMITIAN,
                                   .alpha = alpha,
                                   .beta = beta,
                                   .A = inner ? place(h, A, 0, 0) : NULL,
                                   .B = inner ? place(h, B, 0, 0) : NULL,
                                   .c = place(h, X, 0, 0),
                                   .lda = A.rows,
                                   .ldb = B.rows,
                                   .ldc = X.rows};
  if (h->group)
    h->group->multiply(&product);
  else
    MULTIPLY(h, &product);
}

static void scale_columns(machine_t *machine, reals_t factor, tensor_t X) {
  const host_machine_t *h = host(machine);
  if (is_empty(X))
    return;
  if (h->group) {
    h->group->scale_columns(place(h, X, 0, 0), X.rows, X.columns, factor.data);
    return;
  }
  for (int64_t j = 0; j < X.columns; j++)
    for (int64_t i = 0; i < X.rows; i++)
      set(h, X, 0, i, j, *real_at(h, factor, j) * get(h, X, 0, i, j));
}

static void scale_columns_in_steps(machine_t *machine, reals_t factor, reals_t step, tensor_t X) {
  const host_machine_t *h = host(machine);
  scale_columns(machine, factor, X);
  for (int64_t lane = 0; lane < h->count; lane++) {
    const compute_real_t second = real_at(h, step, 0)[lane];
    for (int64_t j = 0; j < X.columns && second != 1; j++)
      for (int64_t i = 0; i < X.rows; i++)
        set(h, X, lane, i, j, second * get(h, X, lane, i, j));
  }
}

static void scale_columns_by(machine_t *machine, tensor_t factor, tensor_t X) {
  const host_machine_t *h = host(machine);
#if IS_COMPLEX
  for (int64_t j = 0; j < X.columns; j++)
    for (int64_t i = 0; i < X.rows; i++)
      for (int64_t lane = 0; lane < h->count; lane++)
        set(h, X, lane, i, j, get(h, factor, lane, j, 0) * get(h, X, lane, i, j));
#else
  (void)h;
  scale_columns(machine, (reals_t){factor.data, factor.rows}, X);
#endif
}

/* In two steps, since 2^-exponent itself may overflow. */
static void normalize(machine_t *machine, values_t values, tensor_t X) {
  const host_machine_t *h = host(machine);
  if (h->group) {
    h->group->normalize(values.exponent, X.rows * X.columns, place(h, X, 0, 0));
    return;
  }
  for (int64_t lane = 0; lane < h->count; lane++) {
    const int exponent = -*exponent_at(values, lane), half = exponent / 2;
    const compute_real_t first = (compute_real_t)ldexp(1.0, half), second = (compute_real_t)ldexp(1.0, exponent - half);
    for (int64_t j = 0; j < X.columns; j++)
      for (int64_t i = 0; i < X.rows; i++)
        set(h, X, lane, i, j, get(h, X, lane, i, j) * first * second);
  }
}

static void add_identity(machine_t *machine, double value, tensor_t X) {
  const host_machine_t *h = host(machine);
  for (int64_t i = 0; i < X.columns; i++)
    for (int64_t lane = 0; lane < h->count; lane++)
      set(h, X, lane, i, i, get(h, X, lane, i, i) + (compute_real_t)value);
}

static int64_t pivot_row(const host_machine_t *h, tensor_t X, int64_t lane, int64_t column) {
  int64_t pivot = column;
  for (int64_t i = column + 1; i < X.rows; i++)
    if (fabs(get(h, X, lane, i, column)) > fabs(get(h, X, lane, pivot, column)))
      pivot = i;
  return pivot;
}

static compute_t phase_of(compute_t x) {
#if IS_COMPLEX
  return x / (compute_real_t)hypot(RE(x), IM(x));
#else
  return x < 0 ? -1 : 1;
#endif
}

/* The phase of det(X), by Gaussian elimination with partial pivoting in one lane. */
static compute_t phase_in_lane(const host_machine_t *h, tensor_t X, int64_t lane) {
  compute_t phase = 1;
  for (int64_t p = 0; p < X.rows; p++) {
    const int64_t pivot = pivot_row(h, X, lane, p);
    const compute_t top = get(h, X, lane, pivot, p);
    phase *= pivot == p ? phase_of(top) : -phase_of(top);
    for (int64_t j = p; j < X.rows; j++) {
      const compute_t x = get(h, X, lane, p, j);
      set(h, X, lane, p, j, get(h, X, lane, pivot, j));
      set(h, X, lane, pivot, j, x);
    }
    for (int64_t i = p + 1; i < X.rows && top != 0; i++) {
      const compute_t factor = get(h, X, lane, i, p) / top;
      for (int64_t j = p; j < X.rows; j++)
        set(h, X, lane, i, j, get(h, X, lane, i, j) - factor * get(h, X, lane, p, j));
    }
  }
  return phase_of(phase);
}

static void determinant_phase(machine_t *machine, tensor_t X, tensor_t phase) {
  const host_machine_t *h = host(machine);
  if (h->group) {
    h->group->determinant_phase(X.data, X.rows, phase.data);
    return;
  }
  for (int64_t lane = 0; lane < h->count; lane++)
    set(h, phase, lane, 0, 0, phase_in_lane(h, X, lane));
}

#endif
