/* SPDX-License-Identifier: BSD-3-Clause */
/* The SIMD kernels of one element type and one instruction set: one table of function pointers, which is all that the
 * rest of the library sees of them.  Most kernels put one matrix into each SIMD lane (many/), some put the rows or the
 * columns of one matrix into the lanes (one/). */
#ifndef SVDGRAD_SIMD_KERNELS_H
#define SVDGRAD_SIMD_KERNELS_H
#include "backend.h"
#include "functions/group.h"
#include "many/power.h"
#include "one/product.h"
#include "one/reflectors.h"
#include "one/rows.h"
#include "one/secular.h"

/* Largest min(m, n) of the SVD with a matrix in each lane. */
enum { LANES_MOST_COLUMNS = 128 };

/* Added to info[b] of a group by Jacobi where the last one of all min(m, n) values is zero, and the first is not. */
enum { INFO_HAS_ZERO = 1 << 16 };

/* `narrow` is the same kernel with registers half as wide, for a task of at most its `lanes` matrices, and gives the same
 * bits; NULL: there is none. */
typedef struct svd_ops {
  int lanes;                                          /* matrices of a group */
  size_t (*scratch)(const problem_t *p, int vectors); /* bytes for a task, however few matrices it has */
  int (*matrices)(const problem_t *p);                /* of a full task: one group of lanes, or two */
  batch_task_t group;                                 /* the call is the svd_call_t */
  const struct svd_ops *narrow;
} svd_ops_t;

/* The gradient of thin factors of full rank. */
typedef struct backward_ops {
  int lanes;
  size_t (*scratch)(const problem_t *p); /* bytes for a group, however few matrices it has */
  batch_task_t group;                    /* the call is the svd_backward_call_t */
  const struct backward_ops *narrow;
} backward_ops_t;

/* A norm with its gradient, for matrices whose SVD is svd->group's; so are the scratch and the matrices of a task. */
typedef struct norm_ops {
  int (*exists)(const problem_t *p, svdgrad_norm_kind_t kind);
  batch_task_t group; /* the call is the norm_call_t */
} norm_ops_t;

typedef struct lane_kernels {
  int lanes;                     /* matrices in a full group */
  const svd_ops_t *svd, *values; /* values alone: by qd, for large matrices (cpu_choice.c) */
  const svd_ops_t *vectors;      /* by QR iteration, for large matrices */
  const backward_ops_t *backward;
  const norm_ops_t *norm;
  const group_ops_t *group; /* of programs */
  const power_ops_t *power;
  const row_ops_t *rows;
  const reflector_ops_t *reflectors;
  const conquer_ops_t *conquer;
  const product_ops_t *product;
} lane_kernels_t;

typedef struct lane_isa {
  const char *name;
  const lane_kernels_t *kernels[4]; /* by svdgrad_dtype_t */
} lane_isa_t;

/* The widest instruction set that this processor has; the environment variable SVDGRAD_ISA asks for another one (for
 * tests).  NULL: this library was compiled for none that the processor has. */
const lane_isa_t *lanes_choose(void);

#endif
