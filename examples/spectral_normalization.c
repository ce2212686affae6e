/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trains a small network without and with spectral normalization (T. Miyato et al., Spectral
 * normalization for generative adversarial networks, ICLR 2018).
 *
 * The network is y = W2^H max(0, W1^H x + b1) + b2.  Normalized, it has W / sigma in place of either W,
 * where sigma is s_1(W), estimated by one power iteration per step that starts where that of the last
 * step ended.  As max(0, .) brings nothing further apart, L = s_1(W1) s_1(W2) bounds how much further
 * apart two outputs are than their images; normalized, it is about 1.  An image is safe, that is,
 * nothing of norm r makes its decision wrong, if its right output leads by more than sqrt(2) L r.
 *
 * svdgrad_spectral_normalize() gives W / sigma, and svdgrad_spectral_normalize_backward() takes the
 * gradient with respect to that to the one with respect to W.  So this is a layer, which the gradient
 * knows of, and not a constraint that W is put under after the step.
 *
 * Prints, while either network learns, the loss, the accuracy on images that are not learned from, L by
 * an SVD, and the share of these images that is safe.  Fails unless normalization brings L to 1 within
 * 5 % and makes images safe at little loss of accuracy.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "digits.h"
#include "network.h"

enum { HIDDEN = 32, LAYERS = 2, BATCH = 32, STEPS = 3000, PROGRESS_LINES = 6 };
enum { ITERATIONS = 50 }; /* for use; one is enough to learn */
static const double RADIUS = 0.5;
static const float RATE = 0.05f;
static const float SCALE = 5.0f; /* of y in the loss: where outputs cannot grow, they would never be sure */

/* A dense layer that multiplies by Wn, which is W / sigma or W itself. */
typedef struct layer {
  dense_t dense;
  svdgrad_desc_t desc;
  float *Wn, *gWn, *u, *v, sigma;
} layer_t;

typedef struct network {
  svdgrad_handle_t handle;
  workspace_t work;
  int normalized;
  layer_t layer[LAYERS];
} network_t;

typedef struct outcome {
  double accuracy, lipschitz, safe;
} outcome_t;

static layer_t layer_create(network_t *net, int inputs, int outputs, uint64_t *seed) {
  const size_t weights = (size_t)inputs * (size_t)outputs;
  layer_t layer = {.dense = dense_create(inputs, outputs, seed), .desc = SVDGRAD_DESC_INIT};
  layer.desc.dtype = SVDGRAD_F32;
  layer.desc.m = inputs;
  layer.desc.n = outputs;
  layer.desc.batch_count = 1;
  layer.Wn = allocate(weights, sizeof(float));
  layer.gWn = allocate(weights, sizeof(float));
  layer.u = allocate((size_t)inputs, sizeof(float));
  layer.v = allocate((size_t)outputs, sizeof(float));
  for (int i = 0; i < inputs; i++)
    layer.u[i] = (float)normal(seed);
  reserve(&net->work, net->handle, SVDGRAD_OP_SPECTRAL_NORMALIZE, &layer.desc);
  reserve(&net->work, net->handle, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD, &layer.desc);
  reserve(&net->work, net->handle, SVDGRAD_OP_SVDVALS, &layer.desc);
  return layer;
}

static network_t network_create(int normalized) {
  uint64_t seed = 2018;
  network_t net = {.normalized = normalized};
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &net.handle));
  net.layer[0] = layer_create(&net, PIXELS, HIDDEN, &seed);
  net.layer[1] = layer_create(&net, HIDDEN, CLASSES, &seed);
  return net;
}

static void network_destroy(network_t *net) {
  check(svdgrad_destroy(net->handle));
  free(net->work.data);
  for (layer_t *l = net->layer; l < net->layer + LAYERS; l++) {
    dense_destroy(&l->dense);
    free(l->Wn);
    free(l->gWn);
    free(l->u);
    free(l->v);
  }
}

/* Sets Wn. */
static void normalize(network_t *net, layer_t *l, int iterations) {
  const int m = l->dense.inputs, n = l->dense.outputs;
  const svdgrad_matrix_t W = row_major(l->dense.W, m, n), Wn = row_major(l->Wn, m, n);
  const svdgrad_vector_t u = {l->u, 1, m}, v = {l->v, 1, n}, sigma = {&l->sigma, 1, 1};
  int32_t info;
  if (!net->normalized) {
    memcpy(l->Wn, l->dense.W, (size_t)(m * n) * sizeof(float));
    return;
  }
  check(svdgrad_spectral_normalize(net->handle, NULL, &l->desc, &W, iterations, &u, &v, &sigma, NULL, &Wn, &info,
                                   net->work.data, net->work.bytes));
  check_info(&info, 1);
}

/* gW holds the gradient with respect to Wn; makes it that with respect to W. */
static void normalize_backward(network_t *net, layer_t *l) {
  const int m = l->dense.inputs, n = l->dense.outputs;
  const svdgrad_matrix_t W = row_major(l->dense.W, m, n), gW = row_major(l->dense.gW, m, n);
  const svdgrad_matrix_t gWn = row_major(l->gWn, m, n);
  const svdgrad_vector_t u = {l->u, 1, m}, v = {l->v, 1, n}, sigma = {&l->sigma, 1, 1};
  if (!net->normalized)
    return;
  memcpy(l->gWn, l->dense.gW, (size_t)(m * n) * sizeof(float));
  check(svdgrad_spectral_normalize_backward(net->handle, NULL, &l->desc, &W, &u, &v, &sigma, &gWn, 1.0, 0.0, &gW,
                                            net->work.data, net->work.bytes));
}

static void forward(const network_t *net, int samples, const float *X, float *H, float *Y) {
  dense_forward(&net->layer[0].dense, net->layer[0].Wn, samples, X, H);
  for (int i = 0; i < samples * HIDDEN; i++)
    H[i] = fmaxf(H[i], 0.0f);
  dense_forward(&net->layer[1].dense, net->layer[1].Wn, samples, H, Y);
}

static void scale(float *Y) {
  for (int i = 0; i < BATCH * CLASSES; i++)
    Y[i] *= SCALE;
}

/* One step of stochastic gradient descent.  Returns the loss from before it. */
static double step(network_t *net, const digits_t *digits, uint64_t *seed) {
  float X[BATCH * PIXELS], H[BATCH * HIDDEN], gH[BATCH * HIDDEN], Y[BATCH * CLASSES], gY[BATCH * CLASSES];
  uint8_t label[BATCH];
  layer_t *first = &net->layer[0], *last = &net->layer[1];
  digits_draw(digits, BATCH, X, label, seed);
  normalize(net, first, 1);
  normalize(net, last, 1);
  forward(net, BATCH, X, H, Y);
  scale(Y);
  const double loss = softmax_loss(BATCH, CLASSES, Y, label, gY);
  scale(gY);
  dense_backward(&last->dense, last->Wn, BATCH, H, gY, gH);
  for (int i = 0; i < BATCH * HIDDEN; i++)
    gH[i] = H[i] > 0.0f ? gH[i] : 0.0f;
  dense_backward(&first->dense, first->Wn, BATCH, X, gH, NULL);
  for (layer_t *l = net->layer; l < net->layer + LAYERS; l++) {
    normalize_backward(net, l);
    dense_descend(&l->dense, RATE, 0.0f);
  }
  return loss;
}

static double spectral_norm(network_t *net, layer_t *l) {
  float values[PIXELS];
  int32_t info;
  const svdgrad_matrix_t Wn = row_major(l->Wn, l->dense.inputs, l->dense.outputs);
  const svdgrad_vector_t S = {values, 1, PIXELS};
  check(svdgrad_svd(net->handle, NULL, &l->desc, &Wn, &S, NULL, NULL, &info, net->work.data, net->work.bytes));
  check_info(&info, 1);
  return (double)values[0];
}

static outcome_t examine(network_t *net, const digits_t *digits) {
  static float H[MAX_IMAGES * HIDDEN], Y[MAX_IMAGES * CLASSES];
  const int tests = digits_tests(digits);
  const uint8_t *label = digits->label + TRAINING;
  outcome_t outcome = {.lipschitz = 1.0};
  for (layer_t *l = net->layer; l < net->layer + LAYERS; l++) {
    normalize(net, l, ITERATIONS);
    outcome.lipschitz *= spectral_norm(net, l);
  }
  forward(net, tests, digits->pixel[TRAINING], H, Y);
  outcome.accuracy = share_right(tests, CLASSES, Y, label, 0.0);
  outcome.safe = share_right(tests, CLASSES, Y, label, sqrt(2.0) * RADIUS * outcome.lipschitz);
  return outcome;
}

static outcome_t train(const digits_t *digits, int normalized) {
  uint64_t seed = 1998;
  network_t net = network_create(normalized);
  double loss = 0.0;
  printf("%s\n  step   loss  accuracy       L  safe\n", normalized ? "normalized" : "not normalized");
  for (int i = 1; i <= STEPS; i++) {
    loss += step(&net, digits, &seed);
    if (i % (STEPS / PROGRESS_LINES) == 0) {
      const outcome_t outcome = examine(&net, digits);
      printf("%6d  %5.3f  %6.1f %%  %6.2f  %2.0f %%\n", i, loss / (STEPS / PROGRESS_LINES), 100.0 * outcome.accuracy,
             outcome.lipschitz, 100.0 * outcome.safe);
      loss = 0.0;
    }
  }
  const outcome_t outcome = examine(&net, digits);
  network_destroy(&net);
  return outcome;
}

int main(int argc, char **argv) {
  if (argc != 2)
    die("usage: spectral_normalization DATA_FILE");
  digits_t *digits = digits_read(argv[1]);
  const outcome_t plain = train(digits, 0), normalized = train(digits, 1);
  printf("L %.2f -> %.2f, accuracy %.1f %% -> %.1f %%, safe against anything of norm %.1f %.0f %% -> %.0f %%\n",
         plain.lipschitz, normalized.lipschitz, 100.0 * plain.accuracy, 100.0 * normalized.accuracy, RADIUS,
         100.0 * plain.safe, 100.0 * normalized.safe);
  free(digits);
  if (!(fabs(normalized.lipschitz - 1.0) < 0.05))
    die("L is not 1");
  if (!(normalized.safe > plain.safe + 0.2 && normalized.accuracy > plain.accuracy - 0.05))
    die("normalization does not do what it is for");
  return EXIT_SUCCESS;
}
