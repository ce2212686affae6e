/* SPDX-License-Identifier: BSD-3-Clause */
/* The gradient of a group of up to LANES matrices, from a thin SVD of full rank (formula: svdgrad.h).
 *
 * A and A^T are treated alike: X is the long one of U and Vh^T, rows-by-k, Y the other one, k-by-k, and G and H are
 * their cotangents.  With P = X^H G and Q = Y^H H, one of which is the conjugate of U^H gU or V^H gV in svdgrad.h,
 *
 *   gA or gA^T = L Y^T,   L = X (M - P D) + G D,   D = diag(1/s_j) where rows > k, else 0:
 *
 * no operand is ever conjugated or transposed, and the part of G outside the span of X needs no product of its own.
 * Long matrices are taken in tiles of rows, twice: for P, and for L. 2 rows k^2 + 4 k^3 multiplications, and 2 rows k^2
 * more. */
#include "../exported.h"
#include "gap.h"
#include "products.h"
#include "../memory/operands.h"

/* Longer matrices are taken in tiles of so many rows. */
enum { TILE = 32 };

typedef struct gradient {
  int64_t rows, k, tile_rows;
  int has_outside;                                  /* D is not zero, and G is given */
  strided_t X, G, Y, H, gA;                         /* gA: or its transpose */
  tile_t x, g, y;                                   /* tiles of X and G, all of Y */
  R *H_or_L;                                        /* all of H; later L of a tile, row by row */
  R *P, *Q;                                         /* k-by-k; Q later M - P D */
  R *s, *gS, *inverse, *column_square, *is_outside; /* k */
  gaps_t gaps;
  ahead_t *ahead;
} gradient_t;

static gradient_t gradient_take(arena_t *arena, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m, k = p->mn, tile = rows < TILE ? rows : TILE;
  const size_t E_size = PARTS * sizeof(R);
  gradient_t w = {.rows = rows, .k = k, .tile_rows = tile};
  w.x.data = arena_take(arena, tile * k * LANES, E_size);
  w.g.data = arena_take(arena, tile * k * LANES, E_size);
  w.y.data = arena_take(arena, k * k * LANES, E_size);
  w.H_or_L = arena_take(arena, (tile > k ? tile : k) * k * LANES, E_size);
  w.P = arena_take(arena, k * k * LANES, E_size);
  w.Q = arena_take(arena, k * k * LANES, E_size);
  w.s = arena_take(arena, k * LANES, sizeof(R));
  w.gS = arena_take(arena, k * LANES, sizeof(R));
  w.inverse = arena_take(arena, k * LANES, sizeof(R));
  w.column_square = arena_take(arena, k * LANES, sizeof(R));
  w.is_outside = arena_take(arena, k * LANES, sizeof(R));
  return w;
}

/* ---- norms of the cotangents ---- */

/* Adds the squares of a tile to the sums of its columns; updates the largest real or imaginary part. */
INLINE void add_squares(const tile_t *g, int64_t rows, int64_t k, R *column_square, V *largest) {
  for (int64_t j = 0; j < k; j++) {
    V square = {0};
    for (int64_t i = 0; i < rows; i++) {
      const E x = load(g->data, i * g->row + j * g->column);
      square = add_square(square, x);
      *largest = larger(largest_part(x), *largest);
    }
    store_real(column_square + j * LANES, load_real(column_square + j * LANES) + square);
  }
}

/* The norms of one matrix whose squares are not normal numbers; largest is not zero. */
NOINLINE void measure_scaled(const strided_t *G, int l, int64_t rows, int64_t k, R largest, R *norm,
                             R *largest_column) {
  R all = 0, most = 0;
  for (int64_t j = 0; j < k; j++) {
    R square = 0;
    for (int64_t i = 0; i < rows; i++)
      for (int part = 0; part < PARTS; part++) {
        const R x = G->data[l * G->batch + i * G->row + j * G->column + part] / largest;
        square += x * x;
      }
    all += square;
    most = square > most ? square : most;
  }
  *norm = (R)sqrt(all) * largest;
  *largest_column = (R)sqrt(most) * largest;
}

/* Adds |G| to *norm and the norm of its largest column to *largest_column. */
INLINE void add_norms(const gradient_t *w, const strided_t *G, int64_t rows, V largest, V *norm, V *largest_column,
                      int count) {
  V all = {0}, most = {0};
  for (int64_t j = 0; j < w->k; j++) {
    const V square = load_real(w->column_square + j * LANES);
    all += square;
    most = larger(square, most);
  }
  const M outside = ~((M)(all > broadcast(SMALLEST_SQUARE)) & (M)(all <= broadcast(LARGEST))) & (M)(largest != 0);
  all = square_root(all), most = square_root(most);
  if (any_lane(outside))
    for (int l = 0; l < count; l++)
      if (outside[l] && largest[l] <= LARGEST) {
        R one_norm, one_column;
        measure_scaled(G, l, rows, w->k, largest[l], &one_norm, &one_column);
        all[l] = one_norm, most[l] = one_column;
      }
  *norm += all;
  *largest_column += most;
}

INLINE void clear(R *x, int64_t elements) {
  for (int64_t i = 0; i < elements; i++)
    store_real(x + i * LANES, (V){0});
}

/* ---- P, Q and M ---- */

INLINE void project_short(gradient_t *w, V *norm, V *largest_column, int fixed, int count) {
  V largest = {0};
  if (!w->H.data) {
    clear(w->Q, PARTS * w->k * w->k);
    return;
  }
  const tile_t h = fetch(&w->H, w->k, w->k, PARTS, w->H_or_L, count);
  clear(w->column_square, w->k);
  add_squares(&h, w->k, w->k, w->column_square, &largest);
  add_norms(w, &w->H, w->k, largest, norm, largest_column, count);
  const product_t Q = {columns_of(&w->y), columns_of(&h), {w->Q, 1, w->k}, w->k, w->k, w->k, 0, w->ahead};
  multiply(&Q, 1, fixed);
}

INLINE int64_t tile_rows_at(const gradient_t *w, int64_t first) {
  return w->rows - first < w->tile_rows ? w->rows - first : w->tile_rows;
}

/* The last tiles of X and G stay in w->x and w->g: for most matrices these are the only ones. */
INLINE void project_long(gradient_t *w, V *norm, V *largest_column, int fixed, int count) {
  V largest = {0};
  if (!w->G.data) {
    clear(w->P, PARTS * w->k * w->k);
    return;
  }
  clear(w->column_square, w->k);
  for (int64_t first = 0; first < w->rows; first += w->tile_rows) {
    const int64_t rows = tile_rows_at(w, first);
    const strided_t X = rows_from(&w->X, first), G = rows_from(&w->G, first);
    w->x = fetch(&X, rows, w->k, PARTS, w->x.data, count);
    w->g = fetch(&G, rows, w->k, PARTS, w->g.data, count);
    add_squares(&w->g, rows, w->k, w->column_square, &largest);
    const product_t P = {columns_of(&w->x), columns_of(&w->g), {w->P, 1, w->k}, w->k, w->k, rows, first > 0, w->ahead};
    multiply(&P, 1, fixed);
  }
  add_norms(w, &w->G, w->rows, largest, norm, largest_column, count);
}

INLINE void load_values(gradient_t *w, const svd_backward_call_t *call, int64_t first, int count) {
  const strided_t S = strided_vector(&call->S, first), gS = strided_vector(&call->gS, first);
  (void)fetch(&S, w->k, 1, 1, w->s, count);
  gap_normalize(&w->gaps, load_real(w->s));
  for (int64_t j = 0; j < w->k; j++)
    store_real(w->s + j * LANES, load_real(w->s + j * LANES) * w->gaps.scale);
  if (gS.data)
    (void)fetch(&gS, w->k, 1, 1, w->gS, count);
  else
    clear(w->gS, w->k);
}

/* M_ij - P_ij / s_j; also where P = 0, which gives NaN under the policy EXACT if s_j is 0. */
INLINE E less_outside(const gradient_t *w, E M_ij, E P_ij, V inverse_j) {
  return w->rows > w->k ? add(M_ij, scaled(w->gaps.scale, scaled(-inverse_j, P_ij))) : M_ij;
}

/* Entries (i, j) and (j, i) of M - P D, stored over Q. */
INLINE void form_pair(gradient_t *w, gaps_t *gaps, int64_t i, int64_t j) {
  const int64_t ij = j * w->k + i, ji = i * w->k + j;
  const V s_i = load_real(w->s + i * LANES), s_j = load_real(w->s + j * LANES);
  const V inverse_i = load_real(w->inverse + i * LANES);
  const V inverse_j = load_real(w->inverse + j * LANES);
  const E P_ij = load(w->P, ij), P_ji = load(w->P, ji);
  const E X = add(P_ij, negative(conjugate(P_ji)));
  const E Y = add(conjugate(load(w->Q, ij)), negative(load(w->Q, ji)));
  const E sum = add(X, Y), difference = add(X, negative(Y));
  const gap_factors_t f = gap_pair(gaps, s_i, s_j, sum, difference);
  const E hermitian = scaled(gaps->scale, scaled((R)0.5 * f.minus, sum));
  const E skew = scaled(gaps->scale, scaled((R)0.5 * f.plus, difference));
  const E M_ij = add(hermitian, skew);
  const E M_ji = conjugate(add(hermitian, negative(skew)));
  store(w->Q, ij, less_outside(w, M_ij, P_ij, inverse_j));
  store(w->Q, ji, less_outside(w, M_ji, P_ji, inverse_i));
}

INLINE void form_diagonal(gradient_t *w, gaps_t *gaps, int64_t j) {
  const int64_t jj = j * w->k + j;
  const E P_jj = load(w->P, jj);
  E M_jj = from_real(load_real(w->gS + j * LANES));
#if IS_COMPLEX
  const V s = load_real(w->s + j * LANES), q = load(w->Q, jj).im; /* Q is conjugate */
  const E difference = {{0}, 2 * (P_jj.im + q)};
  gap_gauge(gaps, absolute(P_jj.im - q));
  M dropped;
  const V plus = gap_phase(gaps, s + s, difference, &dropped);
  gaps->dropped += dropped;
  M_jj = add(M_jj, scaled(gaps->scale, scaled((R)0.5 * plus, difference)));
#else
  (void)gaps;
#endif
  store(w->Q, jj, less_outside(w, M_jj, P_jj, load_real(w->inverse + j * LANES)));
}

INLINE void form_core(gradient_t *w) {
  gaps_t gaps = w->gaps; /* a copy, whose tally stays in registers */
  for (int64_t j = 0; j < w->k; j++) {
    const V inverse = gap_outside(&gaps, load_real(w->s + j * LANES));
    store_real(w->inverse + j * LANES, inverse);
  }
  for (int64_t j = 0; j < w->k; j++) {
    for (int64_t i = 0; i < j; i++)
      form_pair(w, &gaps, i, j);
    form_diagonal(w, &gaps, j);
  }
  w->gaps = gaps;
}

/* ---- L and gA ---- */

/* For the report: notes where a column of G - X P is not zero although its 1/s_j is dropped. */
INLINE void note_outside(const gradient_t *w, int64_t rows) {
  for (int64_t j = 0; j < w->k; j++) {
    const V s = load_real(w->s + j * LANES);
    M found = (M)load_real(w->is_outside + j * LANES);
    for (int64_t i = 0; i < rows && any_lane(gap_sum_is_dropped(&w->gaps, s)); i++) {
      E outside = load(w->g.data, i * w->g.row + j * w->g.column);
      for (int64_t a = 0; a < w->k; a++)
        outside = subtract_product(outside, load(w->x.data, i * w->x.row + a * w->x.column), load(w->P, j * w->k + a));
      found |= nonzero(outside);
    }
    store_real(w->is_outside + j * LANES, (V)found);
  }
}

INLINE void tally_outside(gradient_t *w) {
  for (int64_t j = 0; j < w->k; j++)
    w->gaps.dropped +=
        (M)load_real(w->is_outside + j * LANES) & gap_sum_is_dropped(&w->gaps, load_real(w->s + j * LANES));
}

/* L of a tile: X C + G D, C = M - P D. */
INLINE void form_L(const gradient_t *w, int64_t rows, int fixed) {
  for (int64_t j = 0; j < w->k && w->has_outside; j++) {
    const V inverse = load_real(w->inverse + j * LANES);
    for (int64_t i = 0; i < rows; i++)
      store(w->H_or_L, i * w->k + j,
            scaled(w->gaps.scale, scaled(inverse, load(w->g.data, i * w->g.row + j * w->g.column))));
  }
  const product_t L = {rows_of(&w->x), {w->Q, w->k, 1}, {w->H_or_L, w->k, 1}, rows, w->k, w->k,
                       w->has_outside, w->ahead};
  multiply(&L, 0, fixed);
}

/* With gS alone L = X diag(gS): no gap matters, under any policy. */
INLINE void form_L_of_values(const gradient_t *w, int64_t rows) {
  for (int64_t j = 0; j < w->k; j++) {
    const V gS = load_real(w->gS + j * LANES);
    if (w->ahead)
      ahead_step(w->ahead);
    for (int64_t i = 0; i < rows; i++)
      store(w->H_or_L, i * w->k + j, scaled(gS, load(w->x.data, i * w->x.row + j * w->x.column)));
  }
}

/* gradient <- alpha gradient + beta before; `before` may be NULL. */
INLINE void blend(R alpha, R beta, R *gradient, const R *before, int64_t elements) {
  const V a = broadcast(alpha), b = broadcast(beta);
  for (int64_t e = 0; e < elements; e++) {
    const E x = scaled(a, load(gradient, e));
    store(gradient, e, before ? add_scaled(x, b, load(before, e)) : x);
  }
}

/* The rows of a tile of gA = alpha L Y^T + beta gA, in the memory of X, and of L. */
INLINE void finish_tile(gradient_t *w, const svd_backward_call_t *call, int64_t first, int64_t rows, int fixed,
                        int count) {
  const strided_t gA = rows_from(&w->gA, first);
  const lines_t lines = lines_of(&gA, rows, w->k, PARTS);
  const tile_t out = tile_of(w->x.data, &lines, rows, w->k);
  const product_t gradient = {{w->H_or_L, w->k, 1}, rows_of(&w->y), out, rows, w->k, w->k, 0, w->ahead};
  multiply(&gradient, 0, fixed);
  if (call->beta != 0)
    (void)fetch(&gA, rows, w->k, PARTS, w->H_or_L, count);
  if (call->beta != 0 || call->alpha != 1)
    blend((R)call->alpha, (R)call->beta, out.data, call->beta != 0 ? w->H_or_L : NULL, rows * w->k);
  put_back(&gA, rows, w->k, PARTS, out.data, count);
}

/* The operands of the group that begins with matrix `first`. */
INLINE void find_operands(gradient_t *w, const svd_backward_call_t *call, int64_t first) {
  const int wide = call->p.m < call->p.n;
  w->X = strided_of(wide ? &call->Vh : &call->U, first, wide);
  w->G = strided_of(wide ? &call->gVh : &call->gU, first, wide);
  w->Y = strided_of(wide ? &call->U : &call->Vh, first, !wide);
  w->H = strided_of(wide ? &call->gU : &call->gVh, first, !wide);
  w->gA = strided_of(&call->gA, first, wide);
}

/* Prefetches where the gradient of this group is going to be stored, and the operands of the next group. */
INLINE ahead_t prefetch_operands(const gradient_t *w, const svd_backward_call_t *call, int64_t first, int count) {
  const int64_t remaining = call->p.batch_count - first - count, next = remaining < count ? remaining : count;
  gradient_t after = *w;
  ahead_t ahead = {.stretches = 0};
  find_operands(&after, call, first + count);
  prefetch_later(&ahead, &w->gA, w->rows, w->k, count);
  prefetch_later(&ahead, &after.Y, w->k, w->k, next);
  prefetch_later(&ahead, &after.H, w->k, w->k, next);
  prefetch_later(&ahead, &after.X, w->rows, w->k, next);
  prefetch_later(&ahead, &after.G, w->rows, w->k, next);
  return ahead;
}

/* L and gA, tile by tile.  `there`: the only tiles of X and G are in w->x and w->g. */
INLINE void form_gradient(gradient_t *w, const svd_backward_call_t *call, int there, int square, int count) {
  const int vectors = w->G.data || w->H.data, note = w->has_outside && call->report;
  if (note)
    clear(w->is_outside, w->k);
  for (int64_t row = 0; row < w->rows; row += w->tile_rows) {
    const int64_t rows = tile_rows_at(w, row);
    const strided_t X = rows_from(&w->X, row), G = rows_from(&w->G, row);
    if (!there)
      w->x = fetch(&X, rows, w->k, PARTS, w->x.data, count);
    if (!there && w->has_outside)
      w->g = fetch(&G, rows, w->k, PARTS, w->g.data, count);
    if (note)
      note_outside(w, rows);
    if (vectors)
      form_L(w, rows, square);
    else
      form_L_of_values(w, rows);
    finish_tile(w, call, row, rows, square, count);
  }
  if (note)
    tally_outside(w);
}

/* `square`: m = n = square, known at compile time, or 0. */
INLINE void backward_group(const svd_backward_call_t *call, int64_t first, int square, int count, arena_t scratch) {
  gradient_t w = gradient_take(&scratch, &call->p);
  if (square)
    w.rows = w.k = w.tile_rows = square;
  find_operands(&w, call, first);
  w.has_outside = w.rows > w.k && w.G.data;
  ahead_t ahead;
  if (!square) { /* matrices this small are done before prefetching would help */
    ahead = prefetch_operands(&w, call, first, count);
    w.ahead = &ahead;
  }
  V norm = {0}, largest_column = {0};
  load_values(&w, call, first, count);
  w.y = fetch(&w.Y, w.k, w.k, PARTS, w.y.data, count);
  const int vectors = w.G.data || w.H.data;
  if (vectors) {
    project_short(&w, &norm, &largest_column, square, count);
    project_long(&w, &norm, &largest_column, square, count);
  }
  gap_start(&w.gaps, &call->p, norm, largest_column);
  if (vectors)
    form_core(&w);
  form_gradient(&w, call, w.rows == w.tile_rows && w.G.data, square, count);
  if (call->report)
    gap_report(&w.gaps, call->report + first, count);
}

/* Bytes for a group, however few matrices it has. */
static size_t backward_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)gradient_take(&arena, p);
  return arena.used;
}

static void backward(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const svd_backward_call_t *call = argument;
  switch (call->p.m == call->p.n ? call->p.m : 0) {
  case 2: backward_group(call, first, 2, (int)count, scratch); break;
  case 3: backward_group(call, first, 3, (int)count, scratch); break;
  default: backward_group(call, first, 0, (int)count, scratch); break;
  }
}

const backward_ops_t EXPORTED(svdgrad_backward_ops) = {LANES, backward_scratch, backward, NARROW(svdgrad_backward_ops)};
