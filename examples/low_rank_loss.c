/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Learns a code for images whose words are matrices of rank 1: a loss behind a low-rank approximation.
 *
 * Of an 8 x 8 image, R(Y), the nearest matrix of rank 1, keeps two vectors of 8 numbers, and not much
 * of the image.  Between two linear maps, though, an encoder E that chooses what is to be of low rank,
 * and a decoder D, it can do better.  Both are learned by stochastic gradient descent on
 *
 *   f(E, D) = 1/(2 N) sum_i |D(R(E(x_i))) - x_i|^2.
 *
 * The gradient goes back through R by svdgrad_matrix_function_backward().  A chain through U, S and
 * Vh would divide by the gaps between all singular values, of which most are close to 0 here; the
 * gradient of R has only the gaps between kept and dropped values in it (V. Noferini, A formula for
 * the Frechet derivative of a generalized matrix function, SIAM J. Matrix Anal. Appl. 38, 2017).
 *
 * Prints the RMSE of the decoded pixels while it learns, for images used and not used for that: first
 * of D alone, which needs no gradient of R, then of both.  Fails unless the encoder is worth it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"
#include "function_layer.h"
#include "network.h"

enum { RANK = 1, BATCH = 128, STEPS = 600, PROGRESS_LINES = 5 };
static const float RATE = 0.03f, MOMENTUM = 0.9f;

typedef struct code {
  dense_t encoder, decoder;
  function_layer_t R;
  float *Y, *gY; /* what the encoder gives, */
  float *Z, *gZ; /* its approximation, */
  float *X, *gX; /* and the image decoded from that */
} code_t;

static code_t code_create(int most_images) {
  code_t code = {.R = function_layer_create(SVDGRAD_FUNCTION_RANK, RANK, SIDE, most_images)};
  float **const arrays[] = {&code.Y, &code.gY, &code.Z, &code.gZ, &code.X, &code.gX};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    *arrays[i] = allocate((size_t)most_images * PIXELS, sizeof(float));
  code.encoder = dense_create(PIXELS, PIXELS, NULL);
  code.decoder = dense_create(PIXELS, PIXELS, NULL);
  return code;
}

static void code_destroy(code_t *code) {
  float *const arrays[] = {code->Y, code->gY, code->Z, code->gZ, code->X, code->gX};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  dense_destroy(&code->encoder);
  dense_destroy(&code->decoder);
  function_layer_destroy(&code->R);
}

/* Sets X = D(R(E(x))) and the gradient of f with respect to it.  Returns f. */
static double forward(code_t *code, int images, const float *x) {
  double f = 0;
  dense_forward(&code->encoder, code->encoder.W, images, x, code->Y);
  function_layer_forward(&code->R, images, code->Y, code->Z);
  dense_forward(&code->decoder, code->decoder.W, images, code->Z, code->X);
  for (int i = 0; i < images * PIXELS; i++) {
    const float error = code->X[i] - x[i];
    code->gX[i] = error / (float)images;
    f += 0.5 * (double)error * (double)error / images;
  }
  return f;
}

static double rmse(code_t *code, int images, const float *x) { return sqrt(2.0 * forward(code, images, x) / PIXELS); }

static void step(code_t *code, int images, const float *x, int with_encoder) {
  forward(code, images, x);
  dense_backward(&code->decoder, code->decoder.W, images, code->Z, code->gX, code->gZ);
  dense_descend(&code->decoder, RATE, MOMENTUM);
  if (!with_encoder)
    return;
  function_layer_backward(&code->R, code->gZ, code->gY);
  dense_backward(&code->encoder, code->encoder.W, images, x, code->gY, NULL);
  dense_descend(&code->encoder, RATE, MOMENTUM);
}

/* Returns the RMSE of the images that are not trained on. */
static double train(const digits_t *digits, int with_encoder) {
  const int tests = digits_tests(digits);
  const float *training = digits->pixel[0], *test = digits->pixel[TRAINING];
  float batch[BATCH * PIXELS];
  uint8_t label[BATCH];
  uint64_t seed = 1936;
  code_t code = code_create(digits->count);
  double seconds = 0, test_rmse = 0;
  printf("%s\n  step  RMSE (training)  RMSE (test)\n", with_encoder ? "encoder and decoder" : "decoder alone");
  for (int i = 0; i <= STEPS; i++) {
    if (i % (STEPS / PROGRESS_LINES) == 0) {
      const double training_rmse = rmse(&code, TRAINING, training);
      test_rmse = rmse(&code, tests, test);
      printf("%6d %16.4f %12.4f\n", i, training_rmse, test_rmse);
    }
    const double start = now();
    digits_draw(digits, BATCH, batch, label, &seed);
    step(&code, BATCH, batch, with_encoder);
    seconds += now() - start;
  }
  printf("%.0f steps per second\n", STEPS / seconds);
  code_destroy(&code);
  return test_rmse;
}

int main(int argc, char **argv) {
  if (argc != 2)
    die("usage: low_rank_loss DATA_FILE");
  digits_t *digits = digits_read(argv[1]);
  const double decoder_alone = train(digits, 0), both = train(digits, 1);
  printf("RMSE of %d test images from 2 x %d numbers: %.4f, with the encoder left out %.4f\n", digits_tests(digits),
         RANK * SIDE, both, decoder_alone);
  free(digits);
  if (!(both < 0.75 * decoder_alone))
    die("the encoder has learned too little");
  return EXIT_SUCCESS;
}
