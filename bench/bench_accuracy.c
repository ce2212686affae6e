/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_accuracy.h"

#include "bench_functions_accuracy.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 8 };

/* The sampled matrices, so few that the long double products take no more than seconds. */
typedef struct choice {
  int count;
  int64_t at[MOST_SAMPLES];
} choice_t;

static choice_t choose(const svdgrad_desc_t *desc) {
  const double k = (double)(desc->m < desc->n ? desc->m : desc->n);
  const double affordable = 2e7 / ((double)desc->m * (double)desc->n * k);
  choice_t choice = {.count = affordable > MOST_SAMPLES ? MOST_SAMPLES : affordable > 1 ? (int)affordable : 1};
  if (choice.count > desc->batch_count)
    choice.count = (int)desc->batch_count;
  for (int i = 0; i < choice.count; i++)
    choice.at[i] = choice.count > 1 ? (desc->batch_count - 1) * i / (choice.count - 1) : 0;
  return choice;
}

/* Of a large matrix so many columns, spread from the first to the last, stand for all: the norms are the largest of a
 * column. */
enum { MOST_COLUMNS = 64 };

static int64_t column_count(const dense_t *A) { return A->n < MOST_COLUMNS ? A->n : MOST_COLUMNS; }

static int64_t column_at(const dense_t *A, int64_t j) {
  return A->n > MOST_COLUMNS ? (A->n - 1) * j / (MOST_COLUMNS - 1) : j;
}

static dense_t some_columns(const dense_t *A) {
  dense_t some = dense_zero(A->m, column_count(A));
  for (int64_t j = 0; j < some.n; j++)
    memcpy(some.at + j * A->m, A->at + column_at(A, j) * A->m, (size_t)A->m * sizeof *A->at);
  return some;
}

/* Of an m-by-k matrix with orthonormal columns. */
static double orthogonality(const dense_t *Q, double epsilon) {
  dense_t some = some_columns(Q), error = dense_h_product(Q, &some);
  for (int64_t j = 0; j < some.n; j++)
    error.at[j * Q->n + column_at(Q, j)] -= 1;
  const double ratio = (double)dense_norm1(&error) / ((double)Q->m * epsilon);
  dense_free(&some);
  dense_free(&error);
  return ratio;
}

static double residual(const dense_t *A, const dense_t *U, const dense_t *S, const dense_t *Vh, double epsilon) {
  const double larger_size = (double)(A->m > A->n ? A->m : A->n);
  dense_t US = dense_copy(U);
  for (int64_t i = 0; i < US.m * US.n; i++)
    US.at[i] *= S->at[i / US.m];
  dense_t some = some_columns(A), some_Vh = some_columns(Vh);
  dense_t product = dense_product(&US, &some_Vh), error = dense_sum(1, &some, -1, &product);
  const double ratio = (double)(dense_norm1(&error) / dense_norm1(A)) / (larger_size * epsilon);
  dense_free(&US);
  dense_free(&some);
  dense_free(&some_Vh);
  dense_free(&product);
  dense_free(&error);
  return ratio;
}

static double svd_accuracy(const fixture_t *f, const choice_t *choice) {
  const double epsilon = dtype_epsilon(f->desc.dtype);
  double worst = 0;
  for (int i = 0; i < choice->count; i++) {
    const int64_t b = choice->at[i];
    dense_t A = buffer_load(&f->A, b), S = buffer_load(&f->S, b), U = buffer_load(&f->U, b),
            Vh = buffer_load(&f->Vh, b);
    dense_t V = dense_conjugate_transpose(&Vh);
    worst = larger(worst, residual(&A, &U, &S, &Vh, epsilon));
    worst = larger(worst, larger(orthogonality(&U, epsilon), orthogonality(&V, epsilon)));
    dense_free(&A);
    dense_free(&S);
    dense_free(&U);
    dense_free(&Vh);
    dense_free(&V);
  }
  return worst;
}

static double svdvals_accuracy(subject_t *subject, const series_t *series, const choice_t *choice) {
  const fixture_t *f = &subject->x.f;
  const series_t svd = {.op = BENCH_SVD, .threads = series->threads};
  dense_t expected[MOST_SAMPLES];
  double worst = 0;
  series_run(subject, &svd);
  for (int i = 0; i < choice->count; i++)
    expected[i] = buffer_load(&f->S, choice->at[i]);
  series_run(subject, series);
  for (int i = 0; i < choice->count; i++) {
    const int64_t k = expected[i].m;
    const double unit = (double)creall(expected[i].at[0]) * (double)k * dtype_epsilon(f->desc.dtype);
    for (int64_t j = 0; j < k; j++)
      worst = larger(worst, (double)cabsl(buffer_get(&f->S, choice->at[i], j, 0) - expected[i].at[j]) / unit);
    dense_free(&expected[i]);
  }
  return worst;
}

/* Cotangents of matrix b for the loss Re tr(G^H U S Vh); returns G as its elements round. */
static dense_t set_cotangents(const fixture_t *f, int64_t b) {
  random_t random = random_seed((uint64_t)b + 77);
  dense_t S = buffer_load(&f->S, b), U = buffer_load(&f->U, b), Vh = buffer_load(&f->Vh, b);
  dense_t G = random_matrix(&random, f->desc.m, f->desc.n, dtype_is_complex(f->desc.dtype));
  dense_t gU = dense_product_h(&G, &Vh), gV = dense_h_product(&G, &U); /* G V and G^H U, before S */
  for (int64_t j = 0; j < S.m; j++) {
    z_t along = 0;
    for (int64_t i = 0; i < U.m; i++)
      along += conjl(U.at[j * U.m + i]) * gU.at[j * U.m + i];
    buffer_set(&f->gS, b, j, 0, creall(along));
    for (int64_t i = 0; i < U.m; i++)
      gU.at[j * U.m + i] *= S.at[j];
    for (int64_t i = 0; i < gV.m; i++)
      gV.at[j * gV.m + i] *= S.at[j];
  }
  dense_t gVh = dense_conjugate_transpose(&gV);
  buffer_store(&f->gU, b, &gU);
  buffer_store(&f->gVh, b, &gVh);
  dense_t *const done[] = {&S, &U, &Vh, &gU, &gV, &gVh};
  for (size_t i = 0; i < sizeof done / sizeof *done; i++)
    dense_free(done[i]);
  return G;
}

static double backward_accuracy(subject_t *subject, const series_t *series, const choice_t *choice) {
  const fixture_t *f = &subject->x.f;
  const series_t svd = {.op = BENCH_SVD, .threads = series->threads};
  dense_t G[MOST_SAMPLES];
  double worst = 0;
  series_run(subject, &svd);
  for (int i = 0; i < choice->count; i++)
    G[i] = set_cotangents(f, choice->at[i]);
  series_run(subject, series);
  for (int i = 0; i < choice->count; i++) {
    const int64_t b = choice->at[i];
    const double condition =
        (double)(creall(buffer_get(&f->S, b, 0, 0)) / creall(buffer_get(&f->S, b, f->S.rows - 1, 0)));
    dense_t gA = buffer_load(&f->gA, b), error = dense_sum(1, &gA, -1, &G[i]);
    const double unit = dtype_epsilon(f->desc.dtype) * larger(condition, 1 / f->report[b].min_gap);
    worst = larger(worst, (double)(dense_norm(&error) / dense_norm(&G[i])) / unit);
    dense_free(&gA);
    dense_free(&error);
    dense_free(&G[i]);
  }
  return worst;
}

static double backward_gS_accuracy(subject_t *subject, const series_t *series, const choice_t *choice) {
  const fixture_t *f = &subject->x.f;
  const series_t svd = {.op = BENCH_SVD, .threads = series->threads};
  double worst = 0;
  series_run(subject, &svd);
  series_run(subject, series);
  for (int i = 0; i < choice->count; i++) {
    const int64_t b = choice->at[i];
    dense_t U = buffer_load(&f->U, b), Vh = buffer_load(&f->Vh, b), gS = buffer_load(&f->gS, b);
    for (int64_t j = 0; j < U.m * U.n; j++)
      U.at[j] *= gS.at[j / U.m];
    dense_t gA = buffer_load(&f->gA, b), product = dense_product(&U, &Vh), error = dense_sum(1, &gA, -1, &product);
    const double unit = (double)gS.m * dtype_epsilon(f->desc.dtype);
    worst = larger(worst, (double)(dense_norm(&error) / dense_norm(&gS)) / unit);
    dense_t *const done[] = {&U, &Vh, &gS, &gA, &product, &error};
    for (size_t j = 0; j < sizeof done / sizeof *done; j++)
      dense_free(done[j]);
  }
  return worst;
}

static double functions_accuracy(subject_t *subject, const series_t *series, const choice_t *choice,
                                 double (*error)(const functions_t *, int64_t)) {
  const series_t svd = {.op = BENCH_SVD, .threads = series->threads};
  double worst = 0;
  series_run(subject, &svd);
  series_run(subject, series);
  for (int i = 0; i < choice->count; i++)
    worst = larger(worst, error(&subject->x, choice->at[i]));
  return worst / dtype_epsilon(subject->x.f.desc.dtype);
}

double series_accuracy(subject_t *subject, const series_t *series) {
  const choice_t choice = choose(&subject->x.f.desc);
  switch (series->op) {
  case BENCH_SVD: series_run(subject, series); return svd_accuracy(&subject->x.f, &choice);
  case BENCH_SVDVALS: return svdvals_accuracy(subject, series, &choice);
  case BENCH_BACKWARD: return backward_accuracy(subject, series, &choice);
  case BENCH_BACKWARD_GS: return backward_gS_accuracy(subject, series, &choice);
  case BENCH_JVP: return functions_accuracy(subject, series, &choice, jvp_error);
  case BENCH_POLAR_BACKWARD: return functions_accuracy(subject, series, &choice, polar_error);
  case BENCH_NUCLEAR: return functions_accuracy(subject, series, &choice, nuclear_error);
  case BENCH_OP_COUNT: break;
  }
  abort();
}
