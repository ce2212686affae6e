/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of jobs that workers may join.  A caller offers a job, computes its own part, and waits for them. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A worker's stack holds the scratch (parallel.c) and LAPACK's local arrays.  A worker without work spins SPINS times,
 * about 50 microseconds, then sleeps. */
enum { MOST_WORKERS = 1023, WORKER_STACK = 2 << 20, SPINS = 1000 };

typedef struct job {
  thread_pool_part_t part;
  void *argument;
  int wanted;        /* workers that may still join; 0: the job is not in the list */
  atomic_int active; /* workers that are computing it */
  struct job *next;
} job_t;

/* The mutex protects all of these; the atomic ones may be read without it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t offered = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static job_t *jobs; /* those that still accept workers */
static atomic_int job_count, is_closing;
static int sleeping;

/* Held while workers start or end.  Locked before `mutex` where both are needed. */
static pthread_mutex_t lifetime = PTHREAD_MUTEX_INITIALIZER;
static int handles;
static atomic_int worker_count;
static pthread_t workers[MOST_WORKERS];

static _Thread_local int worker; /* its number, from 1; 0: not one of ours */

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" : : : "memory");
#endif
}

static void append(job_t *job) {
  job_t **end = &jobs;
  while (*end)
    end = &(*end)->next;
  job->next = NULL;
  *end = job;
  atomic_fetch_add(&job_count, 1);
}

static void take_out(job_t *job) {
  job_t **place = &jobs;
  while (*place != job)
    place = &(*place)->next;
  *place = job->next;
  atomic_fetch_sub(&job_count, 1);
}

/* ---- workers ---- */

/* The job goes to the end of the list, so that the next worker joins another one. */
static void help(job_t *job) {
  take_out(job);
  if (--job->wanted > 0)
    append(job);
  atomic_fetch_add(&job->active, 1);
  (void)pthread_mutex_unlock(&mutex);
  job->part(job->argument, worker);
  (void)pthread_mutex_lock(&mutex);
  if (atomic_fetch_sub(&job->active, 1) == 1)
    (void)pthread_cond_broadcast(&finished);
}

static void look_for_jobs(void) {
  for (int i = 0; i < SPINS && !atomic_load(&job_count) && !atomic_load(&is_closing); i++)
    relax();
}

static void *work(void *number) {
  worker = (int)(intptr_t)number;
  (void)pthread_mutex_lock(&mutex);
  while (!atomic_load(&is_closing)) {
    if (jobs) {
      help(jobs);
      continue;
    }
    (void)pthread_mutex_unlock(&mutex);
    look_for_jobs();
    (void)pthread_mutex_lock(&mutex);
    if (!jobs && !atomic_load(&is_closing)) {
      sleeping++;
      (void)pthread_cond_wait(&offered, &mutex);
      sleeping--;
    }
  }
  (void)pthread_mutex_unlock(&mutex);
  return NULL;
}

/* All signals except those that a fault of the thread itself raises. */
static sigset_t signals_of_others(void) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  sigset_t set;
  (void)sigfillset(&set);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    (void)sigdelset(&set, faults[i]);
  return set;
}

/* Starts fewer if the system refuses more. */
static void start_workers(int count) {
  const sigset_t blocked = signals_of_others();
  sigset_t before;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes))
    return;
  (void)pthread_attr_setstacksize(&attributes, WORKER_STACK);
  (void)pthread_sigmask(SIG_SETMASK, &blocked, &before); /* a new thread inherits its creator's mask */
  (void)pthread_mutex_lock(&lifetime);
  int started = atomic_load(&worker_count);
  while (started < count && pthread_create(&workers[started], &attributes, work, (void *)(intptr_t)(started + 1)) == 0)
    started++;
  atomic_store(&worker_count, started);
  (void)pthread_mutex_unlock(&lifetime);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
}

/* The caller holds `lifetime`, and no call is running. */
static void end_workers(void) {
  (void)pthread_mutex_lock(&mutex);
  atomic_store(&is_closing, 1);
  (void)pthread_cond_broadcast(&offered);
  (void)pthread_mutex_unlock(&mutex);
  for (int i = 0; i < atomic_load(&worker_count); i++)
    (void)pthread_join(workers[i], NULL);
  atomic_store(&worker_count, 0);
  atomic_store(&is_closing, 0);
}

/* ---- callers ---- */

static void offer(job_t *job) {
  (void)pthread_mutex_lock(&mutex);
  append(job);
  if (sleeping > job->wanted)
    for (int i = 0; i < job->wanted; i++)
      (void)pthread_cond_signal(&offered);
  else if (sleeping > 0)
    (void)pthread_cond_broadcast(&offered);
  (void)pthread_mutex_unlock(&mutex);
}

static void withdraw(job_t *job) {
  (void)pthread_mutex_lock(&mutex);
  if (job->wanted > 0)
    take_out(job);
  (void)pthread_mutex_unlock(&mutex);
  for (int i = 0; i < SPINS && atomic_load(&job->active); i++)
    relax();
  (void)pthread_mutex_lock(&mutex);
  while (atomic_load(&job->active))
    (void)pthread_cond_wait(&finished, &mutex);
  (void)pthread_mutex_unlock(&mutex);
}

void thread_pool_start(int threads) {
  const int wanted = threads - 1 < MOST_WORKERS ? threads - 1 : MOST_WORKERS;
  if (atomic_load(&worker_count) < wanted)
    start_workers(wanted);
}

void thread_pool_run(int threads, thread_pool_part_t part, void *argument) {
  const int wanted = threads - 1 < MOST_WORKERS ? threads - 1 : MOST_WORKERS;
  thread_pool_start(threads);
  if (wanted <= 0 || atomic_load(&worker_count) == 0) {
    part(argument, 0);
    return;
  }
  job_t job = {.part = part, .argument = argument, .wanted = wanted};
  offer(&job);
  part(argument, 0);
  withdraw(&job);
}

/* ---- the pool ---- */

/* A forked child has one thread and no workers.  Locks that the parent's other threads held would never be released. */
static void forget_workers(void) {
  (void)pthread_mutex_init(&mutex, NULL);
  (void)pthread_mutex_init(&lifetime, NULL);
  (void)pthread_cond_init(&offered, NULL);
  (void)pthread_cond_init(&finished, NULL);
  jobs = NULL;
  sleeping = 0;
  atomic_store(&job_count, 0);
  atomic_store(&is_closing, 0);
  atomic_store(&worker_count, 0);
}

static void mind_forks(void) { (void)pthread_atfork(NULL, NULL, forget_workers); }

void thread_pool_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, mind_forks);
  (void)pthread_mutex_lock(&lifetime);
  handles++;
  (void)pthread_mutex_unlock(&lifetime);
}

void thread_pool_close(void) {
  (void)pthread_mutex_lock(&lifetime);
  if (--handles == 0)
    end_workers();
  (void)pthread_mutex_unlock(&lifetime);
}

/* The first number of the variable (OMP_NUM_THREADS may be a list); 0: there is none. */
static int number_in(const char *variable) {
  const char *text = getenv(variable);
  const long number = text ? strtol(text, NULL, 10) : 0;
  return number < 1 ? 0 : number > MOST_WORKERS ? MOST_WORKERS + 1 : (int)number;
}

int thread_pool_default_threads(void) {
  cpu_set_t set;
  int threads = number_in("SVDGRAD_NUM_THREADS");
  if (threads == 0)
    threads = number_in("OMP_NUM_THREADS");
  if (threads == 0 && sched_getaffinity(0, sizeof set, &set) == 0)
    threads = CPU_COUNT(&set);
  if (threads == 0) /* more processors than a cpu_set_t holds */
    threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return threads > 0 ? threads : 1;
}
