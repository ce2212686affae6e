/* SPDX-License-Identifier: BSD-3-Clause */
/* Creation of handles, status, version, and messages, which belong to their thread. */
#include "mistakes.h"

#include <pthread.h>

Test(handle, create) {
  svdgrad_handle_t handle = (svdgrad_handle_t)&handle; /* not NULL */
  cr_expect_eq(svdgrad_create(SVDGRAD_BACKEND_REF, 0, NULL), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: handle is NULL, must not be");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)-1, 0, NULL), INVALID);
  cr_expect(message_says("svdgrad_create", "handle is NULL"), "the handle comes first");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)-1, 0, &handle), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: backend is -1, must be in 0..2");
  cr_expect_null(handle, "no handle after a failure");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)3, 0, &handle), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: backend is 3, must be in 0..2");
  cr_expect_null(handle);
  for (int i = 0; i < test_backend_count; i++) {
    cr_expect_eq(svdgrad_create(test_backends[i], -5, &handle), SVDGRAD_STATUS_SUCCESS, "the device is ignored");
    cr_expect_not_null(handle);
    cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
  }
  cr_expect_eq(svdgrad_destroy(NULL), SVDGRAD_STATUS_SUCCESS);
}

/* The message says why CUDA is unavailable; test_backends checks more. */
Test(handle, create_cuda) {
  svdgrad_handle_t handle = (svdgrad_handle_t)&handle;
  poison_message();
  const svdgrad_status_t status = svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle);
  if (status == SVDGRAD_STATUS_SUCCESS) {
    cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
    return;
  }
  cr_expect_eq(status, SVDGRAD_STATUS_BACKEND_UNAVAILABLE);
  cr_expect(message_says("svdgrad_create", "the cuda backend ") || message_says("svdgrad_create", "no CUDA device"),
            "%s", svdgrad_last_error_message()); /* the second where the backend is compiled in */
  cr_expect_null(handle);
}

Test(handle, status_strings) {
  static const char *const texts[] = {"success",       "invalid argument",    "not supported", "workspace too small",
                                      "out of memory", "backend unavailable", "backend error"};
  for (int status = 0; status < (int)COUNT(texts); status++)
    cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)status), texts[status]);
  cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)7), "unknown status");
  cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)-1), "unknown status");
}

Test(handle, version) {
  cr_expect_eq(svdgrad_version(), 10000 * SVDGRAD_VERSION_MAJOR + 100 * SVDGRAD_VERSION_MINOR + SVDGRAD_VERSION_PATCH);
}

/* A thread without a failure has a message too, and threads do not share messages. */
static void *fail_in_thread(void *before) {
  *(int *)before = svdgrad_last_error_message() != NULL && strlen(svdgrad_last_error_message()) == 0;
  (void)svdgrad_create((svdgrad_backend_t)77, 0, &(svdgrad_handle_t){NULL});
  return (void *)(uintptr_t)message_says("svdgrad_create", "backend is 77");
}

Test(handle, message_belongs_to_the_thread) {
  cr_assert_not_null(svdgrad_last_error_message(), "before any failure");
  poison_message();
  const char *message = svdgrad_last_error_message();
  pthread_t thread;
  int empty_before = 0;
  void *told = NULL;
  cr_assert_eq(pthread_create(&thread, NULL, fail_in_thread, &empty_before), 0);
  cr_assert_eq(pthread_join(thread, &told), 0);
  cr_expect(empty_before);
  cr_expect_not_null(told, "the other thread has its own message");
  cr_expect_eq(svdgrad_last_error_message(), message);
  cr_expect_str_eq(message, "svdgrad_create: handle is NULL, must not be");
}
