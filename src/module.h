/* SPDX-License-Identifier: BSD-3-Clause */
/* The border between libsvdgrad.so and the module libsvdgrad_cuda.so that it opens (module.c). */
#ifndef SVDGRAD_CUDA_MODULE_H
#define SVDGRAD_CUDA_MODULE_H
#include "backend.h"

/* backend_t and its calls may differ from version to version, so both sides must be of the same one.  The last term
 * counts changes to them within a version. */
enum {
  CUDA_MODULE_INTERFACE =
      100 * (10000 * SVDGRAD_VERSION_MAJOR + 100 * SVDGRAD_VERSION_MINOR + SVDGRAD_VERSION_PATCH) + 3
};

/* What the library does for the module.  The first entry never changes: a module of another version says through it
 * why it refuses. */
typedef struct cuda_host {
  void (*set_message)(const char *message); /* the thread's last error message */
} cuda_host_t;

extern const cuda_host_t *cuda_module_host; /* in the module; set before anything else is called there */

/* The module's one exported symbol, found by this name: the backend's table, or NULL with a message if the interfaces
 * differ. */
#define CUDA_MODULE_ENTRY "svdgrad_cuda_module"
typedef const backend_t *cuda_module_entry_t(int interface, const cuda_host_t *host);
SVDGRAD_API cuda_module_entry_t svdgrad_cuda_module;

#endif
