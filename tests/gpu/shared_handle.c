/* SPDX-License-Identifier: BSD-3-Clause */
/* One CUDA handle for all fixtures of a test: a test makes thousands of them, and the first call of the vendor algorithm
 * on a handle opens cuSOLVER, which takes a noticeable time.  Linked with --wrap=svdgrad_create and
 * --wrap=svdgrad_destroy; the tests of JACOBI do without, so that creation is tested as it is. */
#include <svdgrad/svdgrad.h>

svdgrad_status_t __real_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
svdgrad_status_t __real_svdgrad_destroy(svdgrad_handle_t handle);
svdgrad_status_t __wrap_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
svdgrad_status_t __wrap_svdgrad_destroy(svdgrad_handle_t handle);

static svdgrad_handle_t shared;

svdgrad_status_t __wrap_svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle) {
  if (backend != SVDGRAD_BACKEND_CUDA || device != 0)
    return __real_svdgrad_create(backend, device, handle);
  const svdgrad_status_t status = shared ? SVDGRAD_STATUS_SUCCESS : __real_svdgrad_create(backend, device, &shared);
  if (!status)
    *handle = shared;
  return status;
}

svdgrad_status_t __wrap_svdgrad_destroy(svdgrad_handle_t handle) {
  return handle && handle == shared ? SVDGRAD_STATUS_SUCCESS : __real_svdgrad_destroy(handle);
}
