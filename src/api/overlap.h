/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an output shares memory with another operand of the call. */
#ifndef SVDGRAD_OVERLAP_H
#define SVDGRAD_OVERLAP_H
#include "operand.h"

enum { OVERLAP_MOST_OPERANDS = 16 };

/* What a call reads and writes: operands, and arrays such as info, reports and the workspace. */
typedef struct memory {
  const operand_t *operand[OVERLAP_MOST_OPERANDS];
  span_t span[OVERLAP_MOST_OPERANDS];
  int count;
} memory_t;

/* One more, whose strides and pointer are checked, with the span that the check found; nothing if that has no bytes. */
static inline void memory_add(memory_t *memory, const operand_t *operand, span_t span) {
  if (span.bytes == 0)
    return;
  memory->operand[memory->count] = operand;
  memory->span[memory->count++] = span;
}

/* `count` things of `size` bytes, filled in as an operand; nothing if `data` is NULL. */
void memory_add_array(memory_t *memory, operand_t *array, const char *name, void *data, int64_t count, size_t size);

/* Refuses what surely overlaps; operands whose elements lie between each other's are told apart. */
svdgrad_status_t overlap_check(const char *function, const memory_t *memory);

#endif
