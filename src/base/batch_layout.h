/* SPDX-License-Identifier: BSD-3-Clause */
/* Divides a workspace into packed arrays for a whole batch, which begin where a sector of a GPU's memory does (32 bytes);
 * with base NULL it only measures.  Each matrix is charged the worst-case padding, which keeps the size exactly linear in
 * the batch. */
#ifndef SVDGRAD_BATCH_LAYOUT_H
#define SVDGRAD_BATCH_LAYOUT_H
#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_ARRAY_ALIGNMENT = 32, LAYOUT_SLOT_ALIGNMENT = 256 };

typedef struct batch_layout {
  unsigned char *base; /* NULL: only measure */
  int64_t batch_count;
  size_t used, per_matrix;
  int overflow;
} batch_layout_t;

/* `count` elements of `size` bytes for every matrix; NULL while measuring, and for count <= 0. */
static inline void *layout_take(batch_layout_t *layout, int64_t count, size_t size) {
  const size_t batch = (size_t)(layout->batch_count > 0 ? layout->batch_count : 1);
  const size_t most = SIZE_MAX / 4 / batch / size - LAYOUT_ARRAY_ALIGNMENT;
  if (count <= 0)
    return NULL;
  if ((uint64_t)count > most || layout->used > SIZE_MAX / 4 || layout->per_matrix > SIZE_MAX / 4 / batch) {
    layout->overflow = 1;
    return NULL;
  }
  const size_t bytes = batch * (size_t)count * size, start = layout->used;
  layout->used += (bytes + LAYOUT_ARRAY_ALIGNMENT - 1) / LAYOUT_ARRAY_ALIGNMENT * LAYOUT_ARRAY_ALIGNMENT;
  layout->per_matrix += (size_t)count * size + LAYOUT_ARRAY_ALIGNMENT;
  return layout->base ? layout->base + start : NULL;
}

/* Bytes for the batch; SIZE_MAX if they do not fit. */
static inline size_t layout_bytes(const batch_layout_t *layout) {
  const size_t slot = (layout->per_matrix + LAYOUT_SLOT_ALIGNMENT - 1) / LAYOUT_SLOT_ALIGNMENT * LAYOUT_SLOT_ALIGNMENT;
  if (layout->overflow || (slot && (size_t)layout->batch_count > SIZE_MAX / 2 / slot))
    return SIZE_MAX;
  return slot * (size_t)layout->batch_count;
}

#endif
