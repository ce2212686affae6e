/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of backends is complete: no function of a compiled-in backend is NULL, each backend has its enum's place
 * and its own name, and a backend that is not compiled in says so. */
#include "backend.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static const svdgrad_backend_t all_backends[] = {SVDGRAD_BACKEND_REF, SVDGRAD_BACKEND_CPU, SVDGRAD_BACKEND_CUDA};
enum { BACKEND_COUNT = sizeof all_backends / sizeof *all_backends };

/* backend_t consists of pointers alone.  The test reads it as an array, and so covers entries added later. */
static void expect_no_null(const backend_t *backend, const char *name) {
  enum { ENTRIES = sizeof(backend_t) / sizeof(void *) };
  _Static_assert(sizeof(backend_t) == ENTRIES * sizeof(void *), "backend_t holds pointers");
  void *entries[ENTRIES];
  memcpy(entries, backend, sizeof entries);
  for (int i = 0; i < ENTRIES; i++)
    cr_expect_not_null(entries[i], "entry %d of the %s backend", i, name);
}

Test(backends, no_entry_is_null) {
  int found = 0;
  for (int i = 0; i < BACKEND_COUNT; i++) {
    const backend_t *backend = backend_find(all_backends[i]);
    if (!backend)
      continue;
    found++;
    expect_no_null(backend, backend_name(all_backends[i]));
  }
  cr_expect_eq(found, SVDGRAD_HAVE_CUDA ? 3 : 2);
}

/* Backend names must differ. */
Test(backends, names_are_the_enums) {
  for (int i = 0; i < BACKEND_COUNT; i++) {
    const backend_t *backend = backend_find(all_backends[i]);
    if (backend)
      cr_expect_str_eq(backend->name, backend_name(all_backends[i]));
    for (int j = 0; j < i; j++)
      cr_expect(!backend || backend != backend_find(all_backends[j]), "backends %d and %d are the same", i, j);
  }
}

Test(backends, handle_belongs_to_its_backend) {
  for (int i = 0; i < test_backend_count; i++) {
    svdgrad_handle_t handle = NULL;
    cr_assert_eq(svdgrad_create(test_backends[i], 0, &handle), SVDGRAD_STATUS_SUCCESS);
    cr_expect_eq(handle->backend, backend_find(test_backends[i]));
    cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
  }
}

#if !SVDGRAD_HAVE_CUDA
Test(backends, cuda_is_not_compiled_in) {
  svdgrad_handle_t handle = NULL;
  cr_expect_null(backend_find(SVDGRAD_BACKEND_CUDA));
  cr_expect_eq(svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle), SVDGRAD_STATUS_BACKEND_UNAVAILABLE);
  cr_expect_str_eq(svdgrad_last_error_message(),
                   "svdgrad_create: the cuda backend is not compiled into this library (SVDGRAD_CUDA was off)");
  cr_expect_null(handle);
}
#endif
