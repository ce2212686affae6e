/* SPDX-License-Identifier: BSD-3-Clause */
/* SIMD kernels, most of which put a matrix into each lane of a register: one source, compiled for several instruction
 * sets. */
#ifndef SVDGRAD_LANES_H
#define SVDGRAD_LANES_H
#include "../../backend.h"
#include "../../functions/group.h"
#include "reflectors.h"
#include "power.h"
#include "rows.h"

/* Largest min(m, n) of the SVD in lanes. */
enum { LANES_MOST_COLUMNS = 128 };

typedef struct lane_kernels {
  int lanes;                                              /* matrices in a full group */
  size_t (*svd_scratch)(const problem_t *p, int vectors); /* bytes for a group, however few it has */
  batch_task_t svd;                                       /* of a group; the argument is the svd_call_t */
  size_t (*backward_scratch)(const problem_t *p);
  batch_task_t backward; /* thin, of full rank; the argument is the svd_backward_call_t */
  group_ops_t group;     /* of programs */
  power_ops_t power;
  row_ops_t rows;
  reflector_ops_t reflectors;
} lane_kernels_t;

typedef struct lane_isa {
  const char *name;
  const lane_kernels_t *kernels[4]; /* by svdgrad_dtype_t */
} lane_isa_t;

/* The widest that this processor has; the environment variable SVDGRAD_ISA asks for another one (for tests).  NULL: it has
 * none that this library was compiled for. */
const lane_isa_t *lanes_choose(void);

#endif
