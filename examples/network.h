/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense layers and the softmax loss, forward and backward, for the examples that train something. */
#ifndef NETWORK_H
#define NETWORK_H
#include <stdint.h>

/* Y = X W + b: one row of X and Y per sample; W is inputs x outputs, row-major. */
typedef struct dense {
  int inputs, outputs, parameters;
  float *W, *b;   /* one array of `parameters` numbers, */
  float *gW, *gb; /* as is their gradient */
  float *velocity;
} dense_t;

/* b = 0, and W normal with variance 1 / inputs, or the identity where `seed` is NULL. */
dense_t dense_create(int inputs, int outputs, uint64_t *seed);
void dense_destroy(dense_t *layer);
/* With W in place of layer->W. */
void dense_forward(const dense_t *layer, const float *W, int samples, const float *X, float *Y);
/* Sets gW, the gradient with respect to this W; gb; and gX unless that is NULL. */
void dense_backward(const dense_t *layer, const float *W, int samples, const float *X, const float *gY, float *gX);
/* One step of gradient descent with momentum (Polyak's heavy ball). */
void dense_descend(dense_t *layer, float rate, float momentum);

/* Mean cross entropy of softmax(Y), and its gradient gY. */
double softmax_loss(int samples, int classes, const float *Y, const uint8_t *label, float *gY);

/* Share of the samples where the right output exceeds every other by more than `margin`; with 0, the accuracy. */
double share_right(int samples, int classes, const float *Y, const uint8_t *label, double margin);

#endif
