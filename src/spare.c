/* SPDX-License-Identifier: BSD-3-Clause */
#include "spare.h"

#include "arena.h"

#include <assert.h>
#include <pthread.h>

struct spare {
  pthread_mutex_t mutex;
  size_t bytes;
  unsigned char *memory;
};

spare_t *spare_create(size_t bytes) {
  spare_t *spare = calloc(1, sizeof *spare);
  if (!spare)
    return NULL;
  spare->bytes = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  spare->memory = aligned_alloc(ARENA_ALIGNMENT, spare->bytes);
  if (!spare->memory || pthread_mutex_init(&spare->mutex, NULL)) {
    free(spare->memory);
    free(spare);
    return NULL;
  }
  return spare;
}

void spare_destroy(spare_t *spare) {
  (void)pthread_mutex_destroy(&spare->mutex);
  free(spare->memory);
  free(spare);
}

unsigned char *spare_take(spare_t *spare, size_t bytes) {
  assert(bytes <= spare->bytes);
  (void)bytes;
  (void)pthread_mutex_lock(&spare->mutex);
  return spare->memory;
}

void spare_give(spare_t *spare) { (void)pthread_mutex_unlock(&spare->mutex); }
