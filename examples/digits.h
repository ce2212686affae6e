/* SPDX-License-Identifier: BSD-3-Clause */
/* The handwritten digits of data/digits.csv.gz. */
#ifndef DIGITS_H
#define DIGITS_H
#include <stdint.h>

enum { CLASSES = 10, SIDE = 8, PIXELS = SIDE * SIDE, MAX_IMAGES = 10000 };
enum { TRAINING = 1297 }; /* images to learn from, the first ones; the others are for tests */

typedef struct digits {
  int count, per_class[CLASSES];
  float pixel[MAX_IMAGES][PIXELS]; /* 0 is paper, 1 is ink */
  uint8_t label[MAX_IMAGES];
} digits_t;

/* Dies if the file cannot be read or is not what it should be. */
digits_t *digits_read(const char *path);
/* How many there are for tests; dies if none. */
int digits_tests(const digits_t *digits);
/* `count` images at random, with repetition, of those to learn from. */
void digits_draw(const digits_t *digits, int count, float *X, uint8_t *label, uint64_t *seed);

#endif
