/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is needed soon: what a group of matrices will be stored to, and the operands of the next.  The processor is
 * asked for a few lines of it at a time while it computes.  By itself it waits for most of them, since a group is read and
 * written in small pieces far from each other; and asked for all of them at once it waits for those. */
#ifndef SVDGRAD_AHEAD_H
#define SVDGRAD_AHEAD_H
#include <stdint.h>

enum {
  AHEAD_LINE = 64,
  AHEAD_STEP = 4 * AHEAD_LINE, /* of each stretch at a time: in turns, which the processor's own prediction takes up */
  AHEAD_STRETCHES = 5,
  AHEAD_LIMIT = 48 * 1024 /* a longer stretch would drive what is being computed out of the caches */
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

/* Not inlined: whoever computes has no register to spare. */
static __attribute__((noinline)) void ahead_step(ahead_t *ahead) {
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
