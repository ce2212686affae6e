/* SPDX-License-Identifier: BSD-3-Clause */
/* The built-in threads: workers shared by all handles and callers of the process.  A call computes on its own thread
 * and on the workers that become free before it is finished.  It never waits for a worker that is busy elsewhere.
 * Concurrent calls therefore neither block each other nor start more workers.
 *
 * Workers start with the first call that needs them, sleep between calls, and end with the last handle.  They block
 * signals, which go to the program's threads.  A forked child has no workers; its first call starts new ones. */
#ifndef SVDGRAD_THREAD_POOL_H
#define SVDGRAD_THREAD_POOL_H

void thread_pool_open(void);  /* once for each handle */
void thread_pool_close(void); /* the last one ends the workers */

/* Default number of threads of a call: SVDGRAD_NUM_THREADS of the environment, else OMP_NUM_THREADS, else the number of
 * processors on which this process may run. */
int thread_pool_default_threads(void);

/* Starts workers so that there are threads - 1 of them.  thread_pool_run() does that, too, for its own number: parts that
 * call it again need more, since they run on workers themselves. */
void thread_pool_start(int threads);

/* Calls part(argument, 0) on this thread and part(argument, number of the worker, from 1) on at most threads - 1 workers,
 * and returns after all of them.  A part takes work until none is left.  It may call this function itself: nobody waits
 * but for workers that compute a part, so that the innermost parts always come to an end. */
typedef void (*thread_pool_part_t)(void *argument, int worker);
void thread_pool_run(int threads, thread_pool_part_t part, void *argument);

#endif
