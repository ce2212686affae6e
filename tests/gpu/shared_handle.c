/* SPDX-License-Identifier: BSD-3-Clause */
/* One CUDA handle for all fixtures of a test where TEST_ALGO is vendor: a test makes thousands of them, and the first
 * call of the vendor algorithm on a handle opens cuSOLVER, which takes a noticeable time.  Linked with
 * --wrap=svdgrad_create and --wrap=svdgrad_destroy; the tests of JACOBI do without, so that creation is tested as it
 * is. */
#include <stdlib.h>
#include <string.h>
#include <svdgrad/svdgrad.h>

svdgrad_status_t __real_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
svdgrad_status_t __real_svdgrad_destroy(svdgrad_handle_t handle);
svdgrad_status_t __wrap_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
svdgrad_status_t __wrap_svdgrad_destroy(svdgrad_handle_t handle);

static svdgrad_handle_t shared;

static int is_shared(svdgrad_backend_t backend, int device) {
  const char *algorithm = getenv("TEST_ALGO");
  return backend == SVDGRAD_BACKEND_CUDA && device == 0 && algorithm && strcmp(algorithm, "vendor") == 0;
}

svdgrad_status_t __wrap_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle) {
  if (!is_shared(backend, device))
    return __real_svdgrad_create(backend, device, handle);
  const svdgrad_status_t status = shared ? SVDGRAD_STATUS_SUCCESS : __real_svdgrad_create(backend, device, &shared);
  if (!status)
    *handle = shared;
  return status;
}

svdgrad_status_t __wrap_svdgrad_destroy(svdgrad_handle_t handle) {
  return handle && handle == shared ? SVDGRAD_STATUS_SUCCESS : __real_svdgrad_destroy(handle);
}
