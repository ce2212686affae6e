/* SPDX-License-Identifier: BSD-3-Clause */
/* Stand-in for the toolkit's header: only what is used, with the toolkit's alignment. */
#pragma once

struct __attribute__((aligned(8))) float2 {
  float x, y;
};
struct __attribute__((aligned(16))) float4 {
  float x, y, z, w;
};
struct __attribute__((aligned(16))) double2 {
  double x, y;
};
struct __attribute__((aligned(8))) int2 {
  int x, y;
};
struct __attribute__((aligned(16))) int4 {
  int x, y, z, w;
};
typedef struct float2 float2;
typedef struct float4 float4;
typedef struct double2 double2;
typedef struct int2 int2;
typedef struct int4 int4;

#ifdef __cplusplus
struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int a = 1, unsigned int b = 1, unsigned int c = 1) : x(a), y(b), z(c) {}
};
#else
typedef struct dim3 {
  unsigned int x, y, z;
} dim3;
#endif
