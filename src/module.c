/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared library's way to the CUDA backend: the module libsvdgrad_cuda.so, opened when a CUDA handle is first asked
 * for, so that the library itself needs nothing of CUDA. */
#define _GNU_SOURCE /* dladdr */
#include "module.h"
#include "base/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define STRING(x)     #x
#define VERSION_OF(x) STRING(x)
static const char module_name[] = "libsvdgrad_cuda.so." VERSION_OF(SVDGRAD_VERSION_MAJOR);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const backend_t *found; /* once it is there, the module stays open */

static void set_message(const char *message) { error_set("%s", message); }
static const cuda_host_t host = {set_message};

/* Path of the module in the directory of this library; 0 if the library's own path is not known. */
static int beside_this_library(char *path, size_t size) {
  Dl_info info;
  const char *slash = dladdr(&host, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
  if (!slash)
    return 0;
  const int length = (int)(slash - info.dli_fname) + 1;
  const int written = snprintf(path, size, "%.*s%s", length, info.dli_fname, module_name);
  return written > 0 && (size_t)written < size;
}

/* The module beside this library, else wherever the dynamic linker looks.  The message is of the first: it names the
 * directory, or what a module that is there lacks. */
static void *open_module(void) {
  char path[4096], reason[400] = "";
  void *module = NULL;
  if (beside_this_library(path, sizeof path)) {
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
      (void)snprintf(reason, sizeof reason, "%s", dlerror());
  }
  if (!module)
    module = dlopen(module_name, RTLD_NOW | RTLD_LOCAL);
  if (!module)
    error_set("svdgrad_create: libsvdgrad_cuda.so cannot be loaded: %s", *reason ? reason : dlerror());
  return module;
}

static const backend_t *load(void) {
  const backend_t *table = NULL;
  void *module = open_module();
  if (!module)
    return NULL;
  void *symbol = dlsym(module, CUDA_MODULE_ENTRY);
  if (symbol) {
    /* ISO C has no cast from an object pointer to a function pointer; POSIX says that the bytes are the same. */
    cuda_module_entry_t *entry;
    memcpy(&entry, &symbol, sizeof entry);
    table = entry(CUDA_MODULE_INTERFACE, &host);
  } else {
    error_set("svdgrad_create: libsvdgrad_cuda.so has no " CUDA_MODULE_ENTRY);
  }
  if (!table)
    (void)dlclose(module);
  return table;
}

const backend_t *cuda_backend_find(void) {
  (void)pthread_mutex_lock(&mutex);
  if (!found)
    found = load();
  const backend_t *table = found;
  (void)pthread_mutex_unlock(&mutex);
  return table;
}
