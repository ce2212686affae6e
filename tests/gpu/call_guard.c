/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that a compute function neither allocates, nor frees, nor synchronizes, nor copies to or from the host, nor
 * works on the default stream.
 *
 * Replacing cudaMalloc and the like with LD_PRELOAD sees nothing: the runtime is linked statically into the module, and
 * cuSOLVER has a runtime of its own.  What all of them end in is the driver, and they find its functions through
 * cuGetProcAddress, not through the dynamic linker.  CUPTI's callbacks see every call of the driver API whoever makes
 * it, with its arguments, and need no privileges: that is used here, opened at run time, so that nothing depends on it.
 * (Internal calls of the driver do not come by, and need not.)
 *
 * Where CUPTI is missing, test_device.c has a proof of its own for what svdgrad_is_capturable() promises: during a
 * capture in the global mode, on a stream that is not non-blocking, the driver itself refuses allocation,
 * synchronisation and work on the default stream, and the graph that results holds kernels, or copies and fills within
 * the device, and nothing else.  On the CPU run of CUDA the stand-in runtime counts (tests/simt/simt_test.h). */
#define _GNU_SOURCE /* dlfcn.h */
#include "call_guard.h"

#if TEST_SIMT

#include "simt_test.h"

const char *guard_kind(void) { return "simt"; }
void guard_begin(void) { simt_forbidden_begin(); }
int guard_end(void) { return simt_forbidden_end(); }

#elif defined __has_include && __has_include(<cupti.h>)

#include <cuda.h>
#include <cupti.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 64 };

static struct {
  void *library;
  CUptiResult (*subscribe)(CUpti_SubscriberHandle *, CUpti_CallbackFunc, void *);
  CUptiResult (*enable)(uint32_t, CUpti_SubscriberHandle, CUpti_CallbackDomain);
  CUptiResult (*unsubscribe)(CUpti_SubscriberHandle);
} cupti;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static CUpti_SubscriberHandle subscriber;
static const char *names[MOST_NAMES];
static int name_count, total;

static int starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static int is_default(CUstream stream) { return stream == NULL || stream == CU_STREAM_LEGACY; }

/* By name: versions (_v2) and per-thread variants (_ptsz) are meant, too. */
static int is_forbidden(const char *name, const void *params) {
  static const char *const starts[] = {
      "cuMemAlloc",      "cuMemFree",        "cuMemHostAlloc",      "cuMemHostReg",       "cuMemCreate",
      "cuMemPoolCreate", "cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize", "cuModuleLoad",
      "cuLibraryLoad",   "cuStreamCreate",   "cuCtxCreate",         "cuMemcpyHtoD",       "cuMemcpyDtoH"};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
    if (starts_with(name, starts[i]))
      return 1;
  if ((starts_with(name, "cuMemcpy") || starts_with(name, "cuMemset")) && !strstr(name, "Async"))
    return 1;
  if (starts_with(name, "cuLaunchKernelEx"))
    return is_default(((const cuLaunchKernelEx_params *)params)->config->hStream);
  if (strcmp(name, "cuLaunchKernel") == 0)
    return is_default(((const cuLaunchKernel_params *)params)->hStream);
  return 0;
}

static void CUPTIAPI on_call(void *user, CUpti_CallbackDomain domain, CUpti_CallbackId id, const void *raw) {
  const CUpti_CallbackData *data = raw;
  (void)user;
  (void)id;
  if (domain != CUPTI_CB_DOMAIN_DRIVER_API || data->callbackSite != CUPTI_API_ENTER ||
      !is_forbidden(data->functionName, data->functionParams))
    return;
  (void)pthread_mutex_lock(&mutex);
  total++;
  int known = 0;
  for (int i = 0; i < name_count; i++)
    known |= strcmp(names[i], data->functionName) == 0;
  if (!known && name_count < MOST_NAMES)
    names[name_count++] = data->functionName;
  (void)pthread_mutex_unlock(&mutex);
}

static void *find(const char *name) { return cupti.library ? dlsym(cupti.library, name) : NULL; }

static int open_cupti(void) {
  static const char *const files[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
  for (size_t i = 0; i < sizeof files / sizeof *files && !cupti.library; i++)
    cupti.library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  *(void **)&cupti.subscribe = find("cuptiSubscribe");
  *(void **)&cupti.enable = find("cuptiEnableDomain");
  *(void **)&cupti.unsubscribe = find("cuptiUnsubscribe");
  return cupti.subscribe && cupti.enable && cupti.unsubscribe;
}

const char *guard_kind(void) {
  static int state; /* 0: not tried, 1: there, 2: missing */
  if (state == 0)
    state = !getenv("TEST_NO_CUPTI") && open_cupti() ? 1 : 2;
  return state == 1 ? "cupti" : NULL;
}

void guard_begin(void) {
  name_count = total = 0;
  if (!guard_kind())
    return;
  if (cupti.subscribe(&subscriber, on_call, NULL) || cupti.enable(1, subscriber, CUPTI_CB_DOMAIN_DRIVER_API)) {
    fputs("test: CUPTI refuses to watch\n", stderr);
    abort();
  }
}

int guard_end(void) {
  if (!guard_kind())
    return 0;
  (void)cupti.unsubscribe(subscriber);
  for (int i = 0; i < name_count; i++)
    fprintf(stderr, "test: forbidden call: %s\n", names[i]);
  return total;
}

#else

#include <stddef.h>

const char *guard_kind(void) { return NULL; }
void guard_begin(void) {}
int guard_end(void) { return 0; }

#endif
