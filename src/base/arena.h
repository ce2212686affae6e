/* SPDX-License-Identifier: BSD-3-Clause */
/* A bump allocator.  A layout function takes its arrays from an arena.  Run with base NULL it measures the workspace;
 * run with memory it returns the arrays.  Size and layout come from the same code and cannot disagree. */
#ifndef SVDGRAD_ARENA_H
#define SVDGRAD_ARENA_H
#include <stdint.h>
#include <stdlib.h>

enum { ARENA_ALIGNMENT = 64 }; /* a cache line, and an AVX-512 register */

typedef struct arena {
  unsigned char *base; /* NULL: only measure */
  size_t used;         /* SIZE_MAX: more than a size_t can count */
} arena_t;

/* `count` elements of `size` bytes; NULL while measuring, and for count <= 0. */
static inline void *arena_take(arena_t *arena, int64_t count, size_t size) {
  const size_t room = SIZE_MAX - ARENA_ALIGNMENT - arena->used, start = arena->used;
  if (count <= 0 || start == SIZE_MAX)
    return NULL;
  if (start > SIZE_MAX - 2 * ARENA_ALIGNMENT || (uint64_t)count > room / size) {
    arena->used = SIZE_MAX;
    return NULL;
  }
  const size_t bytes = (size_t)count * size;
  arena->used += (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  return arena->base ? arena->base + start : NULL;
}

#endif
