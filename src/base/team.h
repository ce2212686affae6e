/* SPDX-License-Identifier: BSD-3-Clause */
/* The threads that share the work on one matrix: those of a call that have no matrix of their own.
 *
 * A section of the work is divided into pieces, by the sizes of the matrix alone.  Each piece computes elements of its
 * own, or partial results that the caller adds in the order of the pieces.  So bits do not depend on threads, and
 * whether others help is a question of time alone. */
#ifndef SVDGRAD_TEAM_H
#define SVDGRAD_TEAM_H
#include "base/parallel.h"

#include <stdatomic.h>

struct team {
  const parallel_t *parallel;
  int threads;      /* of the call */
  atomic_int spare; /* those of them that compute no matrix now */
};

/* For batch_run(): `spare` of the threads of the call have no matrix. */
void team_open(team_t *team, const parallel_t *parallel, int threads, int spare);
/* A thread of the call found no more matrices. */
void team_add(team_t *team);

/* Threads that might share a section now, this one included: for sections whose bits do not depend on the pieces. */
int team_threads(const team_t *team);

/* Calls piece(argument, i) for i = 0 .. pieces - 1, in any order and on any threads, and returns after all of them.
 * `cost`: estimated nanoseconds of a piece.  A piece waits for no other, and does not share its own work.  `team` NULL:
 * all run on this thread. */
typedef void (*team_piece_t)(const void *argument, int64_t piece);
void team_run(team_t *team, int64_t pieces, double cost, team_piece_t piece, const void *argument);

#endif
