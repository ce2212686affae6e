/* SPDX-License-Identifier: BSD-3-Clause */
/* The built-in threads: workers that all handles and callers of the process share.  A call computes on its own thread, and
 * on as many workers as are free before it is through.  It never waits for a worker that is busy elsewhere, and so calls
 * of many threads at once neither block each other nor start more workers.
 *
 * Workers start with the first call that asks for them, sleep between calls, and end with the last handle.  Signals are
 * left to the program's threads.  A forked child has no workers; its first call starts its own. */
#ifndef SVDGRAD_THREAD_POOL_H
#define SVDGRAD_THREAD_POOL_H

void thread_pool_open(void);  /* once for each handle */
void thread_pool_close(void); /* the last one ends the workers */

/* Threads of a call if nobody says: SVDGRAD_NUM_THREADS or else OMP_NUM_THREADS of the environment, or else the processors
 * on which this process may run. */
int thread_pool_default_threads(void);

/* Calls part(argument, 1) on this thread and part(argument, 0) on at most threads - 1 workers; all have returned when it
 * returns.  A part takes what work is left, and returns when there is none.  On a worker: part(argument, 1) alone. */
typedef void (*thread_pool_part_t)(void *argument, int is_caller);
void thread_pool_run(int threads, thread_pool_part_t part, void *argument);

#endif
