/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of Criterion that the tests use, for machines with a GPU and without Criterion.  Every test runs in a
 * process of its own, forked before anything of CUDA is touched, so that a kernel that ends the context ends one test
 * only, and every test meets a device that was never used before.
 *
 * TEST_FILTER=text    only tests whose "suite::name" contains it
 * TEST_SECONDS=n      limit of one test; 240 by default
 * TEST_IN_PROCESS=1   no fork (for tools that watch one process); an assertion that fails then ends the program */
#ifndef SVDGRAD_TESTS_GPU_CRITERION_H
#define SVDGRAD_TESTS_GPU_CRITERION_H
/* Variadic macros without arguments, as in the real header. */
#pragma GCC system_header
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct gpu_test {
  const char *suite, *name;
  void (*run)(void);
  struct gpu_test *next;
};
static struct gpu_test *gpu_tests, **gpu_tests_end = &gpu_tests;
static int gpu_failures;

/* The options of Criterion's Test() (.timeout, .init) are not known here and ignored. */
#define Test(suite_, name_, ...)                                                                                       \
  static void suite_##_##name_##_run(void);                                                                            \
  __attribute__((constructor)) static void suite_##_##name_##_register(void) {                                         \
    static struct gpu_test test = {#suite_, #name_, suite_##_##name_##_run, NULL};                                     \
    *gpu_tests_end = &test;                                                                                            \
    gpu_tests_end = &test.next;                                                                                        \
  }                                                                                                                    \
  static void suite_##_##name_##_run(void)

enum { GPU_MOST_PRINTED = 20 }; /* failures of one test */
#define GPU_CHECK(ok, text, ...)                                                                                       \
  do {                                                                                                                 \
    if (!(ok) && gpu_failures++ < GPU_MOST_PRINTED) {                                                                  \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, text);                                                        \
      fprintf(stderr, "" __VA_ARGS__);                                                                                 \
      fputc('\n', stderr);                                                                                             \
    }                                                                                                                  \
  } while (0)
#define cr_expect(condition, ...)          GPU_CHECK(condition, #condition, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)            GPU_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)           GPU_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)           GPU_CHECK((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_null(a, ...)             GPU_CHECK((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...)         GPU_CHECK((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, bytes, ...) GPU_CHECK(memcmp(a, b, bytes) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)        GPU_CHECK(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, eps, ...) GPU_CHECK(fabs((a) - (b)) <= (eps), #a " == " #b, __VA_ARGS__)
#define cr_fail(...)                       GPU_CHECK(0, "failed", __VA_ARGS__)
/* An assertion that fails ends the process of the test. */
#define GPU_FATAL(expectation)                                                                                         \
  do {                                                                                                                 \
    const int before_ = gpu_failures;                                                                                  \
    expectation;                                                                                                       \
    if (gpu_failures != before_)                                                                                       \
      exit(1);                                                                                                         \
  } while (0)
#define cr_assert(condition, ...)          GPU_FATAL(cr_expect(condition, __VA_ARGS__))
#define cr_assert_eq(a, b, ...)            GPU_FATAL(cr_expect_eq(a, b, __VA_ARGS__))
#define cr_assert_neq(a, b, ...)           GPU_FATAL(cr_expect_neq(a, b, __VA_ARGS__))
#define cr_assert_leq(a, b, ...)           GPU_FATAL(cr_expect_leq(a, b, __VA_ARGS__))
#define cr_assert_null(a, ...)             GPU_FATAL(cr_expect_null(a, __VA_ARGS__))
#define cr_assert_not_null(a, ...)         GPU_FATAL(cr_expect_not_null(a, __VA_ARGS__))
#define cr_assert_arr_eq(a, b, bytes, ...) GPU_FATAL(cr_expect_arr_eq(a, b, bytes, __VA_ARGS__))
#define cr_assert_str_eq(a, b, ...)        GPU_FATAL(cr_expect_str_eq(a, b, __VA_ARGS__))
#define cr_assert_float_eq(a, b, eps, ...) GPU_FATAL(cr_expect_float_eq(a, b, eps, __VA_ARGS__))
#define cr_assert_fail(...)                GPU_FATAL(cr_fail(__VA_ARGS__))
#define cr_log_info(...)                   (printf("" __VA_ARGS__), putchar('\n'))
#define cr_log_warn(...)                   (printf("" __VA_ARGS__), putchar('\n'))

static double gpu_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* In a child: no return.  What `exit` would run belongs to the parent's copies, too, so it ends without. */
static void gpu_child(const struct gpu_test *test, unsigned limit) {
  (void)alarm(limit);
  test->run();
  (void)fflush(NULL);
  _exit(gpu_failures != 0);
}

/* NULL if the test passed, or what happened. */
static const char *gpu_run(const struct gpu_test *test, int fork_it, unsigned limit) {
  int status = 0;
  if (!fork_it) {
    const int before = gpu_failures;
    test->run();
    return gpu_failures == before ? NULL : "";
  }
  (void)fflush(NULL);
  const pid_t child = fork();
  if (child == 0)
    gpu_child(test, limit);
  if (child < 0 || waitpid(child, &status, 0) != child)
    return " (no process)";
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? " (time limit)" : " (signal)";
  return WEXITSTATUS(status) ? "" : NULL;
}

int main(void) {
  const char *filter = getenv("TEST_FILTER"), *seconds = getenv("TEST_SECONDS");
  const int fork_it = !getenv("TEST_IN_PROCESS");
  const unsigned limit = seconds && atoi(seconds) > 0 ? (unsigned)atoi(seconds) : 240;
  int passed = 0, failed = 0;
  for (const struct gpu_test *test = gpu_tests; test; test = test->next) {
    char name[256];
    (void)snprintf(name, sizeof name, "%s::%s", test->suite, test->name);
    if (filter && !strstr(name, filter))
      continue;
    const double start = gpu_seconds();
    const char *trouble = gpu_run(test, fork_it, limit);
    printf("%s %s%s, %.1f s\n", trouble ? "FAILED" : "passed", name, trouble ? trouble : "", gpu_seconds() - start);
    (void)fflush(stdout);
    passed += !trouble;
    failed += trouble != NULL;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}

#endif
