/* SPDX-License-Identifier: BSD-3-Clause */
/* A user's program: one 2x2 SVD and its gradient on the CPU, then a question for a CUDA device.  A = [3 0; 4 5] has
 * S = (3 sqrt 5, sqrt 5), and the gradient of s_1 + s_2 is U Vh, the orthogonal factor of A, here
 * [2 -1; 1 2] / sqrt 5. */
#include <stdio.h>
#include <stdlib.h>
#include <svdgrad/svdgrad.h>

static void check(svdgrad_status_t status) {
  if (status == SVDGRAD_STATUS_SUCCESS)
    return;
  fprintf(stderr, "%s: %s\n", svdgrad_status_string(status), svdgrad_last_error_message());
  exit(1);
}

static void expect(const char *what, double got, double want) {
  if (got - want <= 1e-14 && want - got <= 1e-14)
    return;
  fprintf(stderr, "%s is %.17g, expected %.17g\n", what, got, want);
  exit(1);
}

int main(void) {
  double a[4] = {3, 0, 4, 5}, s[2], u[4], vh[4], gs[2] = {1, 1}, ga[4];
  int32_t info = -1;
  svdgrad_matrix_t A = {a, 2, 1, 4}, U = {u, 2, 1, 4}, Vh = {vh, 2, 1, 4}, gA = {ga, 2, 1, 4};
  svdgrad_vector_t S = {s, 1, 2}, gS = {gs, 1, 2};

  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = SVDGRAD_F64;
  desc.m = desc.n = 2;
  desc.batch_count = 1;

  svdgrad_handle_t handle;
  size_t forward, backward;
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &handle));
  check(svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, &desc, &forward));
  check(svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD, &desc, &backward));
  size_t bytes = forward > backward ? forward : backward;
  bytes = (bytes + 256) / 256 * 256; /* aligned_alloc wants a positive multiple */
  void *work = aligned_alloc(256, bytes);
  if (!work)
    return 1;

  check(svdgrad_svd(handle, NULL, &desc, &A, &S, &U, &Vh, &info, work, bytes));
  expect("info", info, SVDGRAD_INFO_OK);
  expect("s_1", s[0], 6.7082039324993691);
  expect("s_2", s[1], 2.2360679774997897);
  check(
      svdgrad_svd_backward(handle, NULL, &desc, NULL, &S, &U, &Vh, &gS, NULL, NULL, 1.0, 0.0, &gA, NULL, work, bytes));
  expect("gA_11", ga[0], 0.89442719099991588);
  expect("gA_12", ga[1], -0.44721359549995794);
  expect("gA_21", ga[2], 0.44721359549995794);
  expect("gA_22", ga[3], 0.89442719099991588);

  free(work);
  check(svdgrad_destroy(handle));
  printf("svdgrad %s: S = (%.4f, %.4f)\n", SVDGRAD_VERSION_STRING, s[0], s[1]);

  const svdgrad_status_t status = svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle);
  if (status == SVDGRAD_STATUS_BACKEND_UNAVAILABLE) {
    printf("cuda: unavailable: %s\n", svdgrad_last_error_message());
  } else {
    check(status);
    check(svdgrad_destroy(handle));
    printf("cuda: available\n");
  }
  return 0;
}
