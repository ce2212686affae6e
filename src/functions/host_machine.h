/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine of the CPU backends: runs a program for a group of matrices, one per SIMD lane.  Real number r of an
 * array (a complex element has two) is stored for lane l at r * lanes + l.  With one lane this is a packed matrix as
 * the BLAS would take it.  A partial group has all lanes, too; only the first `count` go back. */
#ifndef SVDGRAD_HOST_MACHINE_H
#define SVDGRAD_HOST_MACHINE_H
#include "base/arena.h"
#include "base/element_size.h"
#include "functions/group.h"
#include "functions/machine.h"

typedef struct host_machine {
  machine_t base;
  int64_t b; /* the first matrix */
  int64_t lanes, count;
  const group_ops_t *group; /* NULL: one matrix at a time */
  const struct products *products;
  void *product_work;
  arena_t arena;
} host_machine_t;

/* A program with the operations of a backend and element type. */
typedef struct host_program {
  const program_t *program;
  const machine_ops_t *ops;
  const group_ops_t *group; /* NULL: one matrix at a time */
  /* For products of one matrix at a time (cpu/products.h), and bytes of their work memory; NULL: plain loops. */
  const struct products *products;
  size_t product_work;
} host_program_t;

/* Bytes of scratch for one group. */
size_t host_program_scratch(const host_program_t *plan);

/* A batch_task_t; its call is a host_program_t. */
void host_program_task(const void *argument, int64_t first, int64_t count, arena_t scratch);

#endif
