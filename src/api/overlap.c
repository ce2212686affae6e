/* SPDX-License-Identifier: BSD-3-Clause */
/* Two operands share a byte if the difference of two of their addresses, a sum of multiples of their strides, lies in a
 * window as wide as their elements.  That is searched for dimension by dimension, the largest stride first: what the
 * smaller ones can reach leaves few multiples of it.  Layouts that people use need a handful of steps; whoever needs more
 * than MOST_STEPS is believed. */
#include "overlap.h"

#include "base/error.h"

#include <stddef.h>

enum { MOST_TERMS = 6, MOST_STEPS = 200 };

/* Nothing in memory is larger; below, no sum here overflows. */
#define LARGEST_SPAN ((uintptr_t)1 << 60)

/* x * stride for every integer x in least..most. */
typedef struct term {
  int64_t stride, least, most;
} term_t;

typedef struct search {
  term_t term[MOST_TERMS]; /* by stride, ascending */
  int count, steps;
} search_t;

void memory_add_array(memory_t *memory, operand_t *array, const char *name, void *data, int64_t count, size_t size) {
  const svdgrad_vector_t entries = {data, 1, 0};
  if (!data)
    return;
  *array = operand_vector(name, OPERAND_OUTPUT, 0, &entries, (extent_t){"count", count}, 1, size);
  memory_add(memory, array, (span_t){(uintptr_t)data, (uintptr_t)count * size});
}

static int is_apart(span_t x, span_t y) { return x.lowest + x.bytes <= y.lowest || y.lowest + y.bytes <= x.lowest; }

/* ---- the search ---- */

/* Addresses above the lowest one, times `sign`. */
static void add_terms(search_t *search, const operand_t *operand, int sign) {
  for (int d = 0; d < operand->rank; d++) {
    const dimension_t *dimension = &operand->dimension[d];
    const int64_t steps = dimension->extent - 1, size = (int64_t)operand->element_size;
    if (steps == 0 || dimension->stride == 0)
      continue;
    const int64_t stride = size * (dimension->stride < 0 ? -dimension->stride : dimension->stride);
    int place = search->count++;
    for (; place > 0 && search->term[place - 1].stride > stride; place--)
      search->term[place] = search->term[place - 1];
    search->term[place] = (term_t){stride, sign < 0 ? -steps : 0, sign < 0 ? 0 : steps};
  }
}

/* Neighbours whose sums are all the multiples of the smaller stride become one, as those of a packed operand do. */
static void join_terms(search_t *search) {
  int kept = 0;
  for (int i = 1; i < search->count; i++) {
    term_t *x = &search->term[kept];
    const term_t y = search->term[i];
    const int64_t ratio = y.stride / x->stride;
    if (y.stride % x->stride == 0 && ratio <= x->most - x->least + 1) {
      x->least += ratio * y.least;
      x->most += ratio * y.most;
    } else {
      search->term[++kept] = y;
    }
  }
  search->count = search->count > 0 ? kept + 1 : 0;
}

static int64_t floor_quotient(int64_t x, int64_t divisor) { return x / divisor - (x % divisor < 0); }
static int64_t ceiling_quotient(int64_t x, int64_t divisor) { return -floor_quotient(-x, divisor); }

/* Whether a sum of the first `count` terms lies in least..most; 0 if that takes too long. */
static int reaches(search_t *search, int count, int64_t least, int64_t most) {
  if (count == 0)
    return least <= 0 && most >= 0;
  const term_t *top = &search->term[count - 1];
  int64_t low = 0, high = 0; /* what the other terms reach */
  for (int i = 0; i < count - 1; i++) {
    low += search->term[i].stride * search->term[i].least;
    high += search->term[i].stride * search->term[i].most;
  }
  int64_t x = ceiling_quotient(least - high, top->stride), last = floor_quotient(most - low, top->stride);
  x = x < top->least ? top->least : x;
  last = last > top->most ? top->most : last;
  if (count == 1)
    return x <= last;
  for (; x <= last && search->steps < MOST_STEPS; x++) {
    search->steps++;
    if (reaches(search, count - 1, least - x * top->stride, most - x * top->stride))
      return 1;
  }
  return 0;
}

static int shares_memory(const operand_t *x, span_t of_x, const operand_t *y, span_t of_y) {
  search_t search = {.count = 0};
  if (of_x.bytes > LARGEST_SPAN || of_y.bytes > LARGEST_SPAN)
    return 0;
  const int64_t offset =
      of_x.lowest < of_y.lowest ? (int64_t)(of_y.lowest - of_x.lowest) : -(int64_t)(of_x.lowest - of_y.lowest);
  add_terms(&search, x, 1);
  add_terms(&search, y, -1);
  join_terms(&search);
  return reaches(&search, search.count, offset - (int64_t)x->element_size + 1, offset + (int64_t)y->element_size - 1);
}

static int is_output(const operand_t *operand) { return operand->role == OPERAND_OUTPUT; }

/* Operands that lie one behind the other, as most do: none reaches the next one up. */
static int all_are_apart(const span_t *spans, int count) {
  span_t sorted[OVERLAP_MOST_OPERANDS];
  for (int i = 0; i < count; i++) {
    int place = i;
    for (; place > 0 && sorted[place - 1].lowest > spans[i].lowest; place--)
      sorted[place] = sorted[place - 1];
    sorted[place] = spans[i];
  }
  for (int i = 1; i < count; i++)
    if (sorted[i - 1].lowest + sorted[i - 1].bytes > sorted[i].lowest)
      return 0;
  return 1;
}

svdgrad_status_t overlap_check(const char *function, const memory_t *memory) {
  const span_t *spans = memory->span;
  if (all_are_apart(spans, memory->count))
    return SVDGRAD_STATUS_SUCCESS;
  for (int i = 0; i < memory->count; i++)
    for (int j = 0; j < i; j++) {
      const operand_t *x = memory->operand[i], *y = memory->operand[j];
      if ((is_output(x) || is_output(y)) && !is_apart(spans[i], spans[j]) && shares_memory(x, spans[i], y, spans[j]))
        return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s overlaps %s, must not", function,
                            (is_output(x) ? x : y)->name, (is_output(x) ? y : x)->name);
    }
  return SVDGRAD_STATUS_SUCCESS;
}
