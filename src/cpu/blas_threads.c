/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets the number of BLAS threads.  Which BLAS is linked is known only at run time, since distributions exchange them
 * behind libblas.so.  The thread controls of the known ones are therefore weak symbols. */
#include "blas_threads.h"

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

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int holders, saved;
static int is_inherited; /* this child was forked while a thread held: the BLAS is at one thread, `saved` is valid */

static void forget_holders(void) {
  (void)pthread_mutex_init(&mutex, NULL);
  is_inherited |= holders > 0;
  holders = 0;
}

static void mind_forks(void) { (void)pthread_atfork(NULL, NULL, forget_holders); }

void blas_threads_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, mind_forks);
}

static thread_control_t find_control(void) {
  if (OPENBLAS_SET && OPENBLAS_GET)
    return (thread_control_t){OPENBLAS_GET, OPENBLAS_SET};
  if (MKL_Set_Num_Threads && MKL_Get_Max_Threads)
    return (thread_control_t){MKL_Get_Max_Threads, MKL_Set_Num_Threads};
  return (thread_control_t){NULL, NULL};
}

void blas_threads_hold(void) {
  const thread_control_t control = find_control();
  if (!control.set)
    return;
  (void)pthread_mutex_lock(&mutex);
  if (holders++ == 0) {
    if (!is_inherited)
      saved = control.get();
    is_inherited = 0;
    if (saved != 1)
      control.set(1);
  }
  (void)pthread_mutex_unlock(&mutex);
}

void blas_threads_release(void) {
  const thread_control_t control = find_control();
  if (!control.set)
    return;
  (void)pthread_mutex_lock(&mutex);
  if (--holders == 0 && saved != 1)
    control.set(saved);
  (void)pthread_mutex_unlock(&mutex);
}
