/* SPDX-License-Identifier: BSD-3-Clause */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

dense_t dense_create(int inputs, int outputs, uint64_t *seed) {
  const int weights = inputs * outputs;
  dense_t layer = {.inputs = inputs, .outputs = outputs, .parameters = weights + outputs};
  layer.W = allocate((size_t)layer.parameters, sizeof(float));
  layer.gW = allocate((size_t)layer.parameters, sizeof(float));
  layer.velocity = allocate((size_t)layer.parameters, sizeof(float));
  layer.b = layer.W + weights;
  layer.gb = layer.gW + weights;
  for (int i = 0; i < weights; i++)
    layer.W[i] = seed ? (float)(normal(seed) / sqrt(inputs)) : (float)(i / outputs == i % outputs);
  return layer;
}

void dense_destroy(dense_t *layer) {
  free(layer->W);
  free(layer->gW);
  free(layer->velocity);
}

/* y += a x */
static void add(int count, float a, const float *restrict x, float *restrict y) {
  for (int i = 0; i < count; i++)
    y[i] += a * x[i];
}

void dense_forward(const dense_t *layer, const float *W, int samples, const float *X, float *Y) {
  const int inputs = layer->inputs, outputs = layer->outputs;
  for (int i = 0; i < samples; i++, X += inputs, Y += outputs) {
    memcpy(Y, layer->b, (size_t)outputs * sizeof *Y);
    for (int p = 0; p < inputs; p++)
      add(outputs, X[p], W + p * outputs, Y);
  }
}

void dense_backward(const dense_t *layer, const float *W, int samples, const float *X, const float *gY, float *gX) {
  const int inputs = layer->inputs, outputs = layer->outputs;
  memset(layer->gW, 0, (size_t)layer->parameters * sizeof(float));
  for (int i = 0; i < samples; i++, X += inputs, gY += outputs) {
    add(outputs, 1, gY, layer->gb);
    for (int p = 0; p < inputs; p++)
      add(outputs, X[p], gY, layer->gW + p * outputs);
    for (int p = 0; gX && p < inputs; p++) {
      float sum = 0;
      for (int q = 0; q < outputs; q++)
        sum += W[p * outputs + q] * gY[q];
      gX[i * inputs + p] = sum;
    }
  }
}

void dense_descend(dense_t *layer, float rate, float momentum) {
  for (int i = 0; i < layer->parameters; i++) {
    layer->velocity[i] = momentum * layer->velocity[i] + layer->gW[i];
    layer->W[i] -= rate * layer->velocity[i];
  }
}

double softmax_loss(int samples, int classes, const float *Y, const uint8_t *label, float *gY) {
  double loss = 0;
  for (int i = 0; i < samples; i++, Y += classes, gY += classes) {
    float largest = Y[0], sum = 0;
    for (int c = 1; c < classes; c++)
      largest = fmaxf(largest, Y[c]);
    for (int c = 0; c < classes; c++)
      sum += gY[c] = expf(Y[c] - largest);
    for (int c = 0; c < classes; c++)
      gY[c] = (gY[c] / sum - (c == label[i] ? 1.0f : 0.0f)) / (float)samples;
    loss += (double)(logf(sum) - (Y[label[i]] - largest)) / samples;
  }
  return loss;
}

double share_right(int samples, int classes, const float *Y, const uint8_t *label, double margin) {
  int right = 0;
  for (int i = 0; i < samples; i++, Y += classes) {
    double other = -INFINITY;
    for (int c = 0; c < classes; c++)
      other = c == label[i] ? other : fmax(other, (double)Y[c]);
    right += (double)Y[label[i]] - other > margin;
  }
  return (double)right / samples;
}
