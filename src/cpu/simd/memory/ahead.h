/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefetching: where a group of matrices is going to be stored, and the operands of the next group.  Lines of the cache
 * are requested a few at a time while the processor computes.  Without this the processor would wait for most of them,
 * since a group is read and written in small pieces far from each other; if all lines were requested at once, it would
 * wait for those requests. */
#ifndef SVDGRAD_AHEAD_H
#define SVDGRAD_AHEAD_H
#include <stdint.h>

enum {
  AHEAD_LINE = 64,
  /* Of each stretch at a time, round robin over the stretches, so that the hardware prefetcher locks on to each. */
  AHEAD_STEP = 4 * AHEAD_LINE,
  AHEAD_STRETCHES = 5,
  AHEAD_LIMIT = 48 * 1024 /* a longer stretch would evict the data of the current group from the cache */
};

typedef struct ahead {
  int stretches;
  struct {
    uintptr_t next, end;
  } stretch[AHEAD_STRETCHES];
} ahead_t;

static inline void ahead_add(ahead_t *ahead, const void *start, int64_t bytes) {
  if (bytes <= 0 || bytes > AHEAD_LIMIT || ahead->stretches == AHEAD_STRETCHES)
    return;
  const int s = ahead->stretches++;
  ahead->stretch[s].next = (uintptr_t)start / AHEAD_LINE * AHEAD_LINE;
  ahead->stretch[s].end = (uintptr_t)start + (uintptr_t)bytes;
}

/* Not inlined: the callers have no register to spare. */
static __attribute__((noinline, unused)) void ahead_step(ahead_t *ahead) {
  int left = 0;
  for (int s = 0; s < ahead->stretches; s++) {
    const uintptr_t next = ahead->stretch[s].next;
    if (next >= ahead->stretch[s].end)
      continue;
    for (uintptr_t line = next; line < next + AHEAD_STEP; line += AHEAD_LINE)
      __builtin_prefetch((const void *)line);
    ahead->stretch[s].next = next + AHEAD_STEP;
    left = s + 1;
  }
  ahead->stretches = left;
}

#endif
