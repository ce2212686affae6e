/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of Criterion that the tests use, run in one process, one test after the other.  For the thread sanitizer
 * (Criterion's sandbox maps its arena where the sanitizer keeps its shadow memory, and does not start:
 * https://github.com/Snaipe/Criterion/issues/274), and for tests of CUDA, whose runtime does not survive a fork. */
#ifndef SVDGRAD_TESTS_TSAN_CRITERION_H
#define SVDGRAD_TESTS_TSAN_CRITERION_H
/* Variadic macros without arguments, as in the real header. */
#pragma GCC system_header
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsan_test {
  const char *suite, *name;
  void (*run)(void);
  struct tsan_test *next;
};
static struct tsan_test *tsan_tests;
static int tsan_failures;

/* The options of Criterion's Test() (.timeout, .init) are not known here and ignored. */
#define Test(suite_, name_, ...)                                                                                       \
  static void suite_##_##name_##_run(void);                                                                            \
  __attribute__((constructor)) static void suite_##_##name_##_register(void) {                                         \
    static struct tsan_test test = {#suite_, #name_, suite_##_##name_##_run, NULL};                                    \
    test.next = tsan_tests;                                                                                            \
    tsan_tests = &test;                                                                                                \
  }                                                                                                                    \
  static void suite_##_##name_##_run(void)

#define TSAN_CHECK(ok, text, ...)                                                                                      \
  do {                                                                                                                 \
    if (!(ok)) {                                                                                                       \
      tsan_failures++;                                                                                                 \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text);                                                        \
    }                                                                                                                  \
  } while (0)
#define cr_expect(condition, ...)                TSAN_CHECK(condition, #condition)
#define cr_expect_eq(a, b, ...)                  TSAN_CHECK((a) == (b), #a " == " #b)
#define cr_expect_neq(a, b, ...)                 TSAN_CHECK((a) != (b), #a " != " #b)
#define cr_expect_leq(a, b, ...)                 TSAN_CHECK((a) <= (b), #a " <= " #b)
#define cr_expect_null(a, ...)                   TSAN_CHECK((a) == NULL, #a " is NULL")
#define cr_expect_not_null(a, ...)               TSAN_CHECK((a) != NULL, #a " is not NULL")
#define cr_expect_arr_eq(a, b, bytes, ...)       TSAN_CHECK(memcmp(a, b, bytes) == 0, #a " == " #b)
#define cr_expect_str_eq(a, b, ...)              TSAN_CHECK(strcmp(a, b) == 0, #a " == " #b)
#define cr_expect_float_eq(a, b, tolerance, ...) TSAN_CHECK(fabs((a) - (b)) <= (tolerance), #a " == " #b)
#define cr_fail(...)                             TSAN_CHECK(0, "failed")
/* An assertion that fails ends the program: there is no test process to end alone. */
#define TSAN_FATAL(expectation)                                                                                        \
  do {                                                                                                                 \
    int before_ = tsan_failures;                                                                                       \
    expectation;                                                                                                       \
    if (tsan_failures != before_)                                                                                      \
      exit(1);                                                                                                         \
  } while (0)
#define cr_assert(condition, ...)          TSAN_FATAL(cr_expect(condition))
#define cr_assert_eq(a, b, ...)            TSAN_FATAL(cr_expect_eq(a, b))
#define cr_assert_neq(a, b, ...)           TSAN_FATAL(cr_expect_neq(a, b))
#define cr_assert_leq(a, b, ...)           TSAN_FATAL(cr_expect_leq(a, b))
#define cr_assert_null(a, ...)             TSAN_FATAL(cr_expect_null(a))
#define cr_assert_not_null(a, ...)         TSAN_FATAL(cr_expect_not_null(a))
#define cr_assert_arr_eq(a, b, bytes, ...) TSAN_FATAL(cr_expect_arr_eq(a, b, bytes))
#define cr_assert_str_eq(a, b, ...)        TSAN_FATAL(cr_expect_str_eq(a, b))
#define cr_assert_fail(...)                TSAN_FATAL(cr_fail())
#define cr_log_info(...)                   ((void)0)
#define cr_log_warn(...)                   ((void)0)

int main(void) {
  for (const struct tsan_test *test = tsan_tests; test; test = test->next) {
    int before = tsan_failures;
    test->run();
    printf("%s %s::%s\n", tsan_failures == before ? "passed" : "FAILED", test->suite, test->name);
  }
  return tsan_failures != 0;
}

#endif
