/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of Criterion that the tests use, where Criterion cannot run:
 *
 * - on a machine with a GPU that has no Criterion: every test runs in a process of its own, forked before anything of
 *   CUDA is touched, so that a kernel that ends the context ends one test only, and every test meets a device that was
 *   never used before;
 * - under the thread sanitizer (Criterion's sandbox maps its arena where the sanitizer keeps its shadow memory, and does
 *   not start: https://github.com/Snaipe/Criterion/issues/274) and on the CPU run of CUDA: with TESTS_IN_PROCESS defined
 *   to 1, all tests run in one process.  An assertion that fails then ends the program.
 *
 * TEST_FILTER=text    only tests whose "suite::name" contains it
 * TEST_SECONDS=n      limit of one test in a process of its own; 240 by default
 * TEST_IN_PROCESS=1   no fork, for tools that watch one process */
#ifndef SVDGRAD_TESTS_CRITERION_H
#define SVDGRAD_TESTS_CRITERION_H
/* Variadic macros without arguments, as in the real header. */
#pragma GCC system_header
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef TESTS_IN_PROCESS
#define TESTS_IN_PROCESS 0
#endif
#if !TESTS_IN_PROCESS
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

struct stand_in_test {
  const char *suite, *name;
  void (*run)(void);
  struct stand_in_test *next;
};
static struct stand_in_test *stand_in_tests, **stand_in_tests_end = &stand_in_tests;
static int stand_in_failures;

/* The options of Criterion's Test() (.timeout, .init) are not known here and ignored. */
#define Test(suite_, name_, ...)                                                                                       \
  static void suite_##_##name_##_run(void);                                                                            \
  __attribute__((constructor)) static void suite_##_##name_##_register(void) {                                         \
    static struct stand_in_test test = {#suite_, #name_, suite_##_##name_##_run, NULL};                                \
    *stand_in_tests_end = &test;                                                                                       \
    stand_in_tests_end = &test.next;                                                                                   \
  }                                                                                                                    \
  static void suite_##_##name_##_run(void)

enum { MOST_PRINTED = 20 }; /* failures of one test */
#define STAND_IN_CHECK(ok, text, ...)                                                                                  \
  do {                                                                                                                 \
    if (!(ok) && stand_in_failures++ < MOST_PRINTED) {                                                                 \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, text);                                                        \
      fprintf(stderr, "" __VA_ARGS__);                                                                                 \
      fputc('\n', stderr);                                                                                             \
    }                                                                                                                  \
  } while (0)
#define cr_expect(condition, ...)          STAND_IN_CHECK(condition, #condition, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)            STAND_IN_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)           STAND_IN_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)           STAND_IN_CHECK((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_null(a, ...)             STAND_IN_CHECK((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...)         STAND_IN_CHECK((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, bytes, ...) STAND_IN_CHECK(memcmp(a, b, bytes) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)        STAND_IN_CHECK(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, eps, ...) STAND_IN_CHECK(fabs((a) - (b)) <= (eps), #a " == " #b, __VA_ARGS__)
#define cr_fail(...)                       STAND_IN_CHECK(0, "failed", __VA_ARGS__)
/* An assertion that fails ends the process of the test. */
#define STAND_IN_FATAL(expectation)                                                                                    \
  do {                                                                                                                 \
    const int before_ = stand_in_failures;                                                                             \
    expectation;                                                                                                       \
    if (stand_in_failures != before_)                                                                                  \
      exit(1);                                                                                                         \
  } while (0)
#define cr_assert(condition, ...)          STAND_IN_FATAL(cr_expect(condition, __VA_ARGS__))
#define cr_assert_eq(a, b, ...)            STAND_IN_FATAL(cr_expect_eq(a, b, __VA_ARGS__))
#define cr_assert_neq(a, b, ...)           STAND_IN_FATAL(cr_expect_neq(a, b, __VA_ARGS__))
#define cr_assert_leq(a, b, ...)           STAND_IN_FATAL(cr_expect_leq(a, b, __VA_ARGS__))
#define cr_assert_null(a, ...)             STAND_IN_FATAL(cr_expect_null(a, __VA_ARGS__))
#define cr_assert_not_null(a, ...)         STAND_IN_FATAL(cr_expect_not_null(a, __VA_ARGS__))
#define cr_assert_arr_eq(a, b, bytes, ...) STAND_IN_FATAL(cr_expect_arr_eq(a, b, bytes, __VA_ARGS__))
#define cr_assert_str_eq(a, b, ...)        STAND_IN_FATAL(cr_expect_str_eq(a, b, __VA_ARGS__))
#define cr_assert_float_eq(a, b, eps, ...) STAND_IN_FATAL(cr_expect_float_eq(a, b, eps, __VA_ARGS__))
#define cr_assert_fail(...)                STAND_IN_FATAL(cr_fail(__VA_ARGS__))
#define cr_log_info(...)                   (printf("" __VA_ARGS__), putchar('\n'))
#define cr_log_warn(...)                   (printf("" __VA_ARGS__), putchar('\n'))

static double stand_in_seconds(void) {
  struct timespec now;
  (void)timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* NULL if the test passed, or what happened. */
static const char *stand_in_run_here(const struct stand_in_test *test) {
  const int before = stand_in_failures;
  test->run();
  return stand_in_failures == before ? NULL : "";
}

#if TESTS_IN_PROCESS
#define stand_in_run stand_in_run_here
#else
/* In a child: no return.  What `exit` would run belongs to the parent's copies, too, so it ends without. */
static void stand_in_child(const struct stand_in_test *test) {
  const char *seconds = getenv("TEST_SECONDS");
  (void)alarm(seconds && atoi(seconds) > 0 ? (unsigned)atoi(seconds) : 240);
  test->run();
  (void)fflush(NULL);
  _exit(stand_in_failures != 0);
}

static const char *stand_in_run(const struct stand_in_test *test) {
  int status = 0;
  if (getenv("TEST_IN_PROCESS"))
    return stand_in_run_here(test);
  (void)fflush(NULL);
  const pid_t child = fork();
  if (child == 0)
    stand_in_child(test);
  if (child < 0 || waitpid(child, &status, 0) != child)
    return " (no process)";
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? " (time limit)" : " (signal)";
  return WEXITSTATUS(status) ? "" : NULL;
}
#endif

int main(void) {
  const char *filter = getenv("TEST_FILTER");
  int passed = 0, failed = 0;
  for (const struct stand_in_test *test = stand_in_tests; test; test = test->next) {
    char name[256];
    (void)snprintf(name, sizeof name, "%s::%s", test->suite, test->name);
    if (filter && !strstr(name, filter))
      continue;
    const double start = stand_in_seconds();
    const char *trouble = stand_in_run(test);
    printf("%s %s%s, %.1f s\n", trouble ? "FAILED" : "passed", name, trouble ? trouble : "",
           stand_in_seconds() - start);
    (void)fflush(stdout);
    passed += !trouble;
    failed += trouble != NULL;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}

#endif
