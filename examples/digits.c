/* SPDX-License-Identifier: BSD-3-Clause */
#include "digits.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common.h"

enum { MAX_INK = 16 };

static int read_number(char **cursor, int max, const char *path, int line) {
  char *end;
  long value = strtol(*cursor, &end, 10);
  if (end == *cursor || value < 0 || value > max)
    die("%s:%d: expected an integer from 0 to %d", path, line, max);
  *cursor = *end == ',' ? end + 1 : end;
  return (int)value;
}

static void read_image(digits_t *digits, char *text, const char *path) {
  const int i = digits->count;
  if (i == MAX_IMAGES)
    die("%s: more than %d images", path, MAX_IMAGES);
  for (int p = 0; p < PIXELS; p++)
    digits->pixel[i][p] = (float)read_number(&text, MAX_INK, path, i + 1) / MAX_INK;
  digits->label[i] = (uint8_t)read_number(&text, CLASSES - 1, path, i + 1);
  if (text[strspn(text, "\r\n")])
    die("%s:%d: more than %d numbers", path, i + 1, PIXELS + 1);
  digits->per_class[digits->label[i]]++;
  digits->count++;
}

static void check_stream(gzFile file, const char *path) {
  int error;
  const char *message = gzerror(file, &error);
  if (error != Z_OK && error != Z_STREAM_END)
    die("cannot read %s", message[0] ? message : path); /* the message begins with the path */
}

digits_t *digits_read(const char *path) {
  char text[512];
  digits_t *digits = allocate(1, sizeof *digits);
  gzFile file = gzopen(path, "rb");
  if (!file)
    die("cannot open %s", path);
  while (gzgets(file, text, sizeof text)) {
    check_stream(file, path); /* a broken file may still give half a line */
    read_image(digits, text, path);
  }
  check_stream(file, path);
  gzclose(file);
  return digits;
}

int digits_tests(const digits_t *digits) {
  if (digits->count <= TRAINING)
    die("more than %d images are needed", TRAINING);
  return digits->count - TRAINING;
}

void digits_draw(const digits_t *digits, int count, float *X, uint8_t *label, uint64_t *seed) {
  for (int i = 0; i < count; i++) {
    const int image = (int)(uniform(seed) * TRAINING);
    memcpy(X + i * PIXELS, digits->pixel[image], sizeof digits->pixel[image]);
    label[i] = digits->label[image];
  }
}
