/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

/* The kernels of one instruction set, one table for each type (kernels.c). */
#define ISA(isa)                                                                                                       \
  extern const lane_kernels_t svdgrad_lanes_##isa##_f32, svdgrad_lanes_##isa##_f64, svdgrad_lanes_##isa##_c64,         \
      svdgrad_lanes_##isa##_c128;                                                                                      \
  static const lane_isa_t lanes_##isa = {#isa,                                                                         \
                                         {&svdgrad_lanes_##isa##_f32, &svdgrad_lanes_##isa##_f64,                      \
                                          &svdgrad_lanes_##isa##_c64, &svdgrad_lanes_##isa##_c128}};

#if SVDGRAD_HAVE_AVX512
ISA(avx512)
#endif
#if SVDGRAD_HAVE_AVX2
ISA(avx2)
#endif
#if SVDGRAD_HAVE_NEON
ISA(neon)
#endif
#if SVDGRAD_HAVE_PORTABLE
ISA(portable)
#endif

/* Widest first. */
static int available(const lane_isa_t **isa) {
  int count = 0;
#if SVDGRAD_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    isa[count++] = &lanes_avx512;
#endif
#if SVDGRAD_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    isa[count++] = &lanes_avx2;
#endif
#if SVDGRAD_HAVE_NEON
  isa[count++] = &lanes_neon;
#endif
#if SVDGRAD_HAVE_PORTABLE
  isa[count++] = &lanes_portable;
#endif
  return count;
}

const lane_isa_t *lanes_choose(void) {
  const lane_isa_t *isa[4];
  const int count = available(isa);
  const char *wanted = getenv("SVDGRAD_ISA");
  for (int i = 0; i < count && wanted; i++)
    if (strcmp(isa[i]->name, wanted) == 0)
      return isa[i];
  return count ? isa[0] : NULL;
}
