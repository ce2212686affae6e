/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the spectral norm of a classifier small by a penalty that a power iteration finds, not an SVD.
 *
 * The classifier of digits is y = W^H x + b.  When d is added to the image x, no two outputs move apart
 * by more than sqrt(2) s_1(W) |d|.  So an image is safe, that is, nothing of norm r makes its decision
 * wrong, if its right output leads by more than sqrt(2) s_1 r: a small s_1 is worth having.  The loss is
 *
 *   f(W, b) = cross entropy + PENALTY/2 max(0, sigma - LIMIT)^2
 *
 * with the estimate sigma of s_1, of which svdgrad_power_iteration() gives the gradient, too: u v^H.  It
 * starts from the u and v of the step before, when W was almost the same.  A lonely s_1 needs one
 * iteration per step then; but the penalty drives several singular values to the limit, where they lie
 * close together.  What the iteration finds among these changes from step to step, which is what the
 * penalty needs, but is less than s_1: on average by 18 % with one iteration per step, by 5 % with ten.
 *
 * Prints, while it learns without and with the penalty, the loss, sigma, its error, the accuracy on images
 * that are not learned from, and the share of them that is safe.  Fails unless sigma is close to s_1, s_1
 * stays below 1, and that makes more images safe.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "digits.h"
#include "network.h"

enum { STEPS = 500, PROGRESS_LINES = 5 };
enum { ITERATIONS = 10, MANY_ITERATIONS = 100 }; /* while it learns, and to look at what it has learned */
static const double PENALTY = 10.0, LIMIT = 0.8, RADIUS = 0.5;
static const float RATE = 0.1f;

/* sigma, u and v of a matrix that changes slowly. */
typedef struct spectral {
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  float u[PIXELS], v[CLASSES], sigma;
  int32_t info;
  workspace_t work;
} spectral_t;

typedef struct outcome {
  double norm, error, accuracy, safe;
} outcome_t;

static spectral_t spectral_create(uint64_t *seed) {
  spectral_t s = {.desc = SVDGRAD_DESC_INIT};
  s.desc.dtype = SVDGRAD_F32;
  s.desc.m = PIXELS;
  s.desc.n = CLASSES;
  s.desc.batch_count = 1;
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &s.handle));
  reserve(&s.work, s.handle, SVDGRAD_OP_POWER_ITERATION, &s.desc);
  reserve(&s.work, s.handle, SVDGRAD_OP_SVDVALS, &s.desc);
  for (int i = 0; i < PIXELS; i++)
    s.u[i] = (float)normal(seed);
  return s;
}

static void spectral_destroy(spectral_t *s) {
  check(svdgrad_destroy(s->handle));
  free(s->work.data);
}

static void iterate(spectral_t *s, float *weights, int iterations) {
  const svdgrad_matrix_t W = row_major(weights, PIXELS, CLASSES);
  const svdgrad_vector_t u = {s->u, 1, PIXELS}, v = {s->v, 1, CLASSES}, sigma = {&s->sigma, 1, 1};
  check(svdgrad_power_iteration(s->handle, NULL, &s->desc, &W, iterations, &u, &v, &sigma, NULL, &s->info, s->work.data,
                                s->work.bytes));
  check_info(&s->info, 1);
}

/* s_1, to compare with. */
static double largest_value(spectral_t *s, float *weights) {
  float values[CLASSES];
  const svdgrad_matrix_t W = row_major(weights, PIXELS, CLASSES);
  const svdgrad_vector_t S = {values, 1, CLASSES};
  check(svdgrad_svd(s->handle, NULL, &s->desc, &W, &S, NULL, NULL, &s->info, s->work.data, s->work.bytes));
  check_info(&s->info, 1);
  return (double)values[0];
}

/* Adds its gradient to gW.  Returns the penalty. */
static double add_penalty(spectral_t *s, dense_t *layer, double strength) {
  iterate(s, layer->W, ITERATIONS);
  const double excess = fmax(0.0, (double)s->sigma - LIMIT);
  for (int i = 0; i < PIXELS; i++)
    for (int j = 0; j < CLASSES; j++)
      layer->gW[i * CLASSES + j] += (float)(strength * excess) * s->u[i] * s->v[j];
  return 0.5 * strength * excess * excess;
}

static outcome_t examine(const digits_t *digits, spectral_t *s, dense_t *layer) {
  static float Y[MAX_IMAGES * CLASSES];
  const int tests = digits_tests(digits);
  outcome_t outcome = {.norm = largest_value(s, layer->W)};
  iterate(s, layer->W, MANY_ITERATIONS);
  outcome.error = fabs((double)s->sigma - outcome.norm);
  dense_forward(layer, layer->W, tests, digits->pixel[TRAINING], Y);
  outcome.accuracy = share_right(tests, CLASSES, Y, digits->label + TRAINING, 0.0);
  outcome.safe = share_right(tests, CLASSES, Y, digits->label + TRAINING, sqrt(2.0) * RADIUS * outcome.norm);
  return outcome;
}

static double step(const digits_t *digits, spectral_t *s, dense_t *layer, double strength) {
  static float Y[TRAINING * CLASSES], gY[TRAINING * CLASSES];
  dense_forward(layer, layer->W, TRAINING, digits->pixel[0], Y);
  const double entropy = softmax_loss(TRAINING, CLASSES, Y, digits->label, gY);
  dense_backward(layer, layer->W, TRAINING, digits->pixel[0], gY, NULL);
  const double penalty = add_penalty(s, layer, strength);
  dense_descend(layer, RATE, 0.0f);
  return entropy + penalty;
}

static outcome_t train(const digits_t *digits, double strength) {
  uint64_t seed = 2018;
  dense_t layer = dense_create(PIXELS, CLASSES, &seed);
  spectral_t s = spectral_create(&seed);
  outcome_t outcome = {0};
  printf("penalty %.0f\n  step    loss   sigma  error of sigma  accuracy  safe\n", strength);
  for (int i = 1; i <= STEPS; i++) {
    const double loss = step(digits, &s, &layer, strength);
    if (i % (STEPS / PROGRESS_LINES))
      continue;
    outcome = examine(digits, &s, &layer);
    printf("%6d  %6.3f  %6.3f  %14.4f  %6.1f %%  %2.0f %%\n", i, loss, s.sigma, outcome.error, 100.0 * outcome.accuracy,
           100.0 * outcome.safe);
  }
  dense_destroy(&layer);
  spectral_destroy(&s);
  return outcome;
}

int main(int argc, char **argv) {
  if (argc != 2)
    die("usage: power_method_loss DATA_FILE");
  digits_t *digits = digits_read(argv[1]);
  const outcome_t without = train(digits, 0.0), with = train(digits, PENALTY);
  printf("s_1 %.2f -> %.2f, accuracy %.1f %% -> %.1f %%, safe against anything of norm %.1f %.0f %% -> %.0f %%\n",
         without.norm, with.norm, 100.0 * without.accuracy, 100.0 * with.accuracy, RADIUS, 100.0 * without.safe,
         100.0 * with.safe);
  free(digits);
  if (!(with.error < 0.05 * with.norm))
    die("sigma is not s_1");
  if (!(with.norm < 1.0 && with.safe > 1.5 * without.safe && with.accuracy > without.accuracy - 0.06))
    die("the penalty does not do what it is for");
  return EXIT_SUCCESS;
}
