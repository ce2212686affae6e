/* SPDX-License-Identifier: BSD-3-Clause */
/* Stand-in for the toolkit's header. */
#pragma once
#include "vector_types.h"

static inline float2 make_float2(float x, float y) {
  float2 v = {x, y};
  return v;
}
static inline float4 make_float4(float x, float y, float z, float w) {
  float4 v = {x, y, z, w};
  return v;
}
static inline double2 make_double2(double x, double y) {
  double2 v = {x, y};
  return v;
}
static inline int2 make_int2(int x, int y) {
  int2 v = {x, y};
  return v;
}
static inline int4 make_int4(int x, int y, int z, int w) {
  int4 v = {x, y, z, w};
  return v;
}
