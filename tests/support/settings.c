/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

const spectrum_t separated_spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR};
const size_t separated_spectrum_count = sizeof separated_spectra / sizeof *separated_spectra;

const spectrum_t hard_spectra[] = {SPECTRUM_NORMAL,   SPECTRUM_GEOMETRIC, SPECTRUM_CLUSTERED,
                                   SPECTRUM_REPEATED, SPECTRUM_DEFICIENT, SPECTRUM_ZERO,
                                   SPECTRUM_IDENTITY, SPECTRUM_ONES,      SPECTRUM_GRADED};
const size_t hard_spectrum_count = sizeof hard_spectra / sizeof *hard_spectra;

enum { SMALL_FOR_REF = 300, SMALL_FOR_ALL = 100 }; /* elements of a matrix */

/* Of the larger shapes a sample has each spectrum with a third of the types: every type at every shape, every spectrum
 * at every shape, and from shape to shape every spectrum with every type.  The types are the same source. */
static int is_sampled(svdgrad_dtype_t dtype, size_t spectrum, size_t count, int shape) {
  const size_t parts = count < 3 ? count : 3;
  return test_shapes[shape].m * test_shapes[shape].n <= SMALL_FOR_ALL ||
         ((size_t)dtype + spectrum + (size_t)shape) % parts == 0;
}

static void for_each(const spectrum_t *spectra, size_t count, int64_t most_for_ref, int sample, setting_check_t check,
                     worst_t *worst) {
  for (int backend = 0; backend < test_backend_count; backend++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (size_t spectrum = 0; spectrum < count; spectrum++)
        for (int shape = 0; shape < test_shape_count; shape++) {
          const setting_t s = {test_backends[backend], dtype, spectra[spectrum], test_shapes[shape].m,
                               test_shapes[shape].n};
          if ((s.backend != SVDGRAD_BACKEND_REF || s.m * s.n <= most_for_ref) &&
              (!sample || is_sampled(dtype, spectrum, count, shape)))
            check(&s, worst);
        }
}

void settings_for_each(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst) {
  for_each(spectra, count, SMALL_FOR_REF, test_sampled, check, worst);
}

void settings_for_each_of_ref_too(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst) {
  for_each(spectra, count, INT64_MAX, test_sampled, check, worst);
}

void settings_for_all(const spectrum_t *spectra, size_t count, setting_check_t check, worst_t *worst) {
  for_each(spectra, count, INT64_MAX, 0, check, worst);
}

void settings_for_each_separated(setting_check_t check, worst_t *worst) {
  settings_for_each(separated_spectra, separated_spectrum_count, check, worst);
}

void settings_for_each_hard(setting_check_t check, worst_t *worst) {
  settings_for_each(hard_spectra, hard_spectrum_count, check, worst);
}

void settings_note(worst_t *worst, const setting_t *s, double ratio, const char *what) {
  worst_note(worst, ratio, "%s %s %s %lldx%lld %s", backend_name(s->backend), dtype_name(s->dtype),
             spectrum_name(s->spectrum), (long long)s->m, (long long)s->n, what);
}

int64_t settings_larger(const setting_t *setting) { return setting->m > setting->n ? setting->m : setting->n; }

dense_t settings_matrix(const setting_t *s) {
  return make_matrix(s->spectrum, s->dtype, s->m, s->n, (uint64_t)(1000 * s->m + s->n));
}
