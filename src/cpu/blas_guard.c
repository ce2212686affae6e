/* SPDX-License-Identifier: BSD-3-Clause */
/* Which BLAS is linked is known only at run time, since distributions exchange them behind libblas.so.  The thread
 * controls of the known ones are therefore weak symbols. */
#include "blas_guard.h"

#include "lapack_names.h"

#include <pthread.h>
#include <stddef.h>

#define OPENBLAS_GET LAPACK_SYMBOL(openblas_get_num_threads)
#define OPENBLAS_SET LAPACK_SYMBOL(openblas_set_num_threads)
__attribute__((weak)) int OPENBLAS_GET(void);
__attribute__((weak)) void OPENBLAS_SET(int num_threads);
__attribute__((weak)) int MKL_Get_Max_Threads(void);
__attribute__((weak)) void MKL_Set_Num_Threads(int num_threads);

typedef struct thread_control {
  int (*get)(void);
  void (*set)(int num_threads);
} thread_control_t;

/* The mutex protects what follows, and is held whenever the number of BLAS threads changes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside;  /* threads that compute a matrix with the BLAS */
static int forking; /* threads that wait for them to leave: nobody enters */
static int holders, saved;
static int is_inherited; /* this child was forked while a thread held: the BLAS is at one thread, `saved` is valid */

/* Of this thread.  One that is inside or has locked the mutex may fork in a signal handler; it must not wait for itself. */
static _Thread_local int is_inside, has_locked, is_forking;

static void lock(void) {
  has_locked = 1;
  (void)pthread_mutex_lock(&mutex);
}

static void unlock(void) {
  (void)pthread_mutex_unlock(&mutex);
  has_locked = 0;
}

/* ---- forks ---- */

static void wait_until_all_left(void) {
  if (is_inside || has_locked)
    return;
  is_forking = 1;
  (void)pthread_mutex_lock(&mutex);
  forking++;
  while (inside > 0)
    (void)pthread_cond_wait(&changed, &mutex);
}

static void let_all_enter(void) {
  if (!is_forking)
    return;
  is_forking = 0;
  forking--;
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&mutex);
}

static void forget_other_threads(void) {
  (void)pthread_mutex_init(&mutex, NULL);
  (void)pthread_cond_init(&changed, NULL);
  is_inherited |= holders > 0;
  inside = is_inside;
  forking = holders = is_forking = 0;
}

static void mind_forks(void) { (void)pthread_atfork(wait_until_all_left, let_all_enter, forget_other_threads); }

void blas_guard_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, mind_forks);
}

void blas_enter(void) {
  lock();
  while (forking > 0)
    (void)pthread_cond_wait(&changed, &mutex);
  inside++;
  is_inside = 1;
  unlock();
}

void blas_leave(void) {
  lock();
  is_inside = 0;
  if (--inside == 0)
    (void)pthread_cond_broadcast(&changed);
  unlock();
}

/* ---- the number of BLAS threads ---- */

static thread_control_t find_control(void) {
  if (OPENBLAS_SET && OPENBLAS_GET)
    return (thread_control_t){OPENBLAS_GET, OPENBLAS_SET};
  if (MKL_Set_Num_Threads && MKL_Get_Max_Threads)
    return (thread_control_t){MKL_Get_Max_Threads, MKL_Set_Num_Threads};
  return (thread_control_t){NULL, NULL};
}

void blas_hold_threads(void) {
  const thread_control_t control = find_control();
  if (!control.set)
    return;
  lock();
  if (holders++ == 0) {
    if (!is_inherited)
      saved = control.get();
    is_inherited = 0;
    if (saved != 1)
      control.set(1);
  }
  unlock();
}

void blas_release_threads(void) {
  const thread_control_t control = find_control();
  if (!control.set)
    return;
  lock();
  if (--holders == 0 && saved != 1)
    control.set(saved);
  unlock();
}
