/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the rotations in 100,000 noisy 3 x 3 matrices, and then what distorts them.
 *
 * The rotation nearest to M = U S Vh is U diag(1, 1, det(U) det(Vh)) Vh (G. Wahba, A least squares
 * estimate of satellite attitude, SIAM Rev. 7, 1965): the kind ROTATION of svdgrad_matrix_function().
 * Gram and Schmidt find a rotation, too, but one that trusts the first column of M more than the last.
 *
 * In the second part all M are distorted by one unknown matrix D.  A correction C is learned from the
 * true rotations R by gradient descent on
 *
 *   f(C) = 1/(2 N) sum_i |rotation(C D M_i) - R_i|_F^2,
 *
 * where svdgrad_matrix_function_backward() gives the gradient with respect to C D M_i.  It divides by
 * sums of singular values, the last with the sign of the determinant; a chain through U and Vh would
 * divide by differences, and those of a matrix near a rotation are small.  (Descent is fast, then slow: whatever turns
 * all matrices is seen in each, but a stretch has an effect on nothing but the noise.)
 *
 * Prints the mean angle between the rotations found and the true ones, for both methods without D, and
 * while C is learned; then the matrices per second that went through the library, forward and backward.
 * Fails unless C brings the error back to what it is without D.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "function_layer.h"

enum { COUNT = 100000, STEPS = 40, PROGRESS_LINES = 8 };
static const double NOISE = 0.2, DISTORTION = 0.3, RATE = 1.0, MOMENTUM = 0.8;

/* Arrays of COUNT matrices of 9 numbers. */
typedef struct batch {
  float *R, *M;           /* true rotations, what is seen of them */
  float *A, *Y, *gA, *gY; /* C M, the rotations nearest to it, and the gradients */
} batch_t;

/* C_b = A B_b for a batch of B and C. */
static void multiply(const float *A, const float *B, float *C) {
  for (int b = 0; b < COUNT; b++, B += 9, C += 9)
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++)
        C[3 * i + j] = A[3 * i] * B[j] + A[3 * i + 1] * B[3 + j] + A[3 * i + 2] * B[6 + j];
}

/* Of a random unit quaternion, so that no direction is preferred. */
static void random_rotation(float *R, uint64_t *seed) {
  const double a = normal(seed), b = normal(seed), c = normal(seed), d = normal(seed);
  const double scale = 2.0 / (a * a + b * b + c * c + d * d);
  R[0] = (float)(1.0 - scale * (c * c + d * d));
  R[1] = (float)(scale * (b * c - a * d));
  R[2] = (float)(scale * (b * d + a * c));
  R[3] = (float)(scale * (b * c + a * d));
  R[4] = (float)(1.0 - scale * (b * b + d * d));
  R[5] = (float)(scale * (c * d - a * b));
  R[6] = (float)(scale * (b * d - a * c));
  R[7] = (float)(scale * (c * d + a * b));
  R[8] = (float)(1.0 - scale * (b * b + c * c));
}

/* Orthonormalizes the first two columns one after the other; the last is their cross product. */
static void gram_schmidt(const float *M, float *Q) {
  const float length = sqrtf(M[0] * M[0] + M[3] * M[3] + M[6] * M[6]);
  float product = 0.0f, square = 0.0f;
  for (int i = 0; i < 9; i += 3) {
    Q[i] = M[i] / length;
    product += Q[i] * M[i + 1];
  }
  for (int i = 0; i < 9; i += 3) {
    Q[i + 1] = M[i + 1] - product * Q[i];
    square += Q[i + 1] * Q[i + 1];
  }
  for (int i = 0; i < 9; i += 3)
    Q[i + 1] /= sqrtf(square);
  for (int i = 0; i < 9; i += 3)
    Q[i + 2] = Q[(i + 3) % 9] * Q[(i + 6) % 9 + 1] - Q[(i + 6) % 9] * Q[(i + 3) % 9 + 1];
}

/* In degrees.  |A - B|_F = 2 sqrt(2) sin(angle / 2) for rotations A and B. */
static double mean_angle(const float *A, const float *B) {
  double sum = 0.0;
  for (int b = 0; b < COUNT; b++, A += 9, B += 9) {
    double square = 0.0;
    for (int i = 0; i < 9; i++)
      square += (double)(A[i] - B[i]) * (double)(A[i] - B[i]);
    sum += 2.0 * asin(fmin(1.0, sqrt(square / 8.0)));
  }
  return sum / COUNT * 180.0 / 3.141592653589793;
}

/* One step of gradient descent with momentum; the gradient is sum_b gA_b M_b^T. */
static void descend(const float *gA, const float *M, double *velocity, float *C) {
  for (int i = 0; i < 9; i++)
    velocity[i] *= MOMENTUM;
  for (int b = 0; b < COUNT; b++, gA += 9, M += 9)
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++)
        velocity[3 * i + j] +=
            (double)(gA[3 * i] * M[3 * j] + gA[3 * i + 1] * M[3 * j + 1] + gA[3 * i + 2] * M[3 * j + 2]);
  for (int i = 0; i < 9; i++)
    C[i] -= (float)(RATE * velocity[i]);
}

/* Returns the mean angle at the end. */
static double learn(function_layer_t *rotation, const batch_t *batch, float *C) {
  double velocity[9] = {0};
  rotation->seconds = 0.0;
  puts("distorted\n  step  mean error");
  for (int step = 0; step < STEPS; step++) {
    multiply(C, batch->M, batch->A);
    function_layer_forward(rotation, COUNT, batch->A, batch->Y);
    if (step % (STEPS / PROGRESS_LINES) == 0)
      printf("%6d  %10.2f\n", step, mean_angle(batch->Y, batch->R));
    for (int i = 0; i < 9 * COUNT; i++)
      batch->gY[i] = (batch->Y[i] - batch->R[i]) / COUNT;
    function_layer_backward(rotation, batch->gY, batch->gA);
    descend(batch->gA, batch->M, velocity, C);
  }
  printf("%.1f million matrices per second\n", 1e-6 * COUNT * STEPS / rotation->seconds);
  multiply(C, batch->M, batch->A);
  function_layer_forward(rotation, COUNT, batch->A, batch->Y);
  return mean_angle(batch->Y, batch->R);
}

int main(void) {
  uint64_t seed = 1965;
  float D[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, C[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  batch_t batch;
  float **const arrays[] = {&batch.R, &batch.M, &batch.A, &batch.Y, &batch.gA, &batch.gY};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    *arrays[i] = allocate(COUNT, 9 * sizeof(float));
  function_layer_t rotation = function_layer_create(SVDGRAD_FUNCTION_ROTATION, 0.0, 3, COUNT);

  for (int b = 0; b < 9 * COUNT; b += 9) {
    random_rotation(batch.R + b, &seed);
    for (int i = b; i < b + 9; i++)
      batch.A[i] = batch.R[i] + (float)(NOISE * normal(&seed));
    gram_schmidt(batch.A + b, batch.Y + b);
  }
  const double by_columns = mean_angle(batch.Y, batch.R);
  function_layer_forward(&rotation, COUNT, batch.A, batch.Y);
  const double nearest = mean_angle(batch.Y, batch.R);
  printf("%d matrices, noise %.1f, mean error: Gram and Schmidt %.2f degrees, nearest rotation %.2f\n", COUNT, NOISE,
         by_columns, nearest);

  for (int i = 0; i < 9; i++)
    D[i] += (float)(DISTORTION * normal(&seed));
  multiply(D, batch.A, batch.M);
  const double learned = learn(&rotation, &batch, C);
  printf("with the correction learned %.2f degrees\n", learned);

  function_layer_destroy(&rotation);
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(*arrays[i]);
  if (!(nearest < 0.8 * by_columns))
    die("the nearest rotation is no better than that of Gram and Schmidt");
  if (!(learned < 1.02 * nearest))
    die("the distortion is not corrected");
  return EXIT_SUCCESS;
}
