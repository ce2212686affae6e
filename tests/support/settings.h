/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings of the mathematical tests: every backend, element type and shape, and some spectra. */
#ifndef TEST_SETTINGS_H
#define TEST_SETTINGS_H
#include "cases.h"
#include "ratios.h"

typedef struct setting {
  svdgrad_backend_t backend;
  svdgrad_dtype_t dtype;
  spectrum_t spectrum;
  int64_t m, n;
} setting_t;

typedef void (*setting_check_t)(const setting_t *setting, worst_t *worst);

/* Singular values are distinct and not small. */
extern const spectrum_t separated_spectra[];
extern const size_t separated_spectrum_count;
/* Everything that cases.h has, but for what is near over- or underflow. */
extern const spectrum_t hard_spectra[];
extern const size_t hard_spectrum_count;

/* On the CPU run of CUDA and under sanitizers larger shapes have each spectrum with some of the types (settings.c).
 * The reference, which takes its time, only at small shapes. */
void settings_for_each(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst);
void settings_for_each_separated(setting_check_t check, worst_t *worst);
void settings_for_each_hard(setting_check_t check, worst_t *worst);
/* The reference at every shape. */
void settings_for_each_of_ref_too(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst);
/* That, and always every spectrum with every type. */
void settings_for_all(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst);

/* Keeps the ratio with where it was seen. */
void settings_note(worst_t *worst, const setting_t *setting, double ratio, const char *what);

int64_t settings_larger(const setting_t *setting); /* max(m, n) */

/* m-by-n matrix of the setting in long double, to be freed. */
dense_t settings_matrix(const setting_t *setting);

#endif
