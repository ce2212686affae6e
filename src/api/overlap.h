/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an output shares memory with another operand of the call. */
#ifndef SVDGRAD_OVERLAP_H
#define SVDGRAD_OVERLAP_H
#include "operand.h"

enum { OVERLAP_MOST_OPERANDS = 16 };

/* An array of `count` things, such as info, reports and the workspace; none if `data` is NULL. */
operand_t operand_array(const char *name, void *data, int64_t count, size_t size);

/* Refuses what surely overlaps; operands whose elements lie between each other's are told apart.  Strides and pointers are
 * checked, `count` is at most OVERLAP_MOST_OPERANDS. */
svdgrad_status_t overlap_check(const char *function, const operand_t *const *operands, int count);

#endif
