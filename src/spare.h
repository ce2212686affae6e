/* SPDX-License-Identifier: BSD-3-Clause */
/* Scratch memory that a handle keeps, for one thread at a time: where a call computes less than a group of lanes, its
 * workspace, linear in the batch, is too small for the group.  The system gives it no pages before it is used. */
#ifndef SVDGRAD_SPARE_H
#define SVDGRAD_SPARE_H
#include <stddef.h>

typedef struct spare spare_t;

/* NULL: out of memory. */
spare_t *spare_create(size_t bytes);
void spare_destroy(spare_t *spare);

/* The memory, at least `bytes` of it, until it is given back; waits for the thread that has it. */
unsigned char *spare_take(spare_t *spare, size_t bytes);
void spare_give(spare_t *spare);

#endif
