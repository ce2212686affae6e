/* SPDX-License-Identifier: BSD-3-Clause */
/* A self test is a program that ends with 0 when all is well.  Its first argument names a case; cases called
   bug-... are seeded errors, which something must find (must_find.sh). */
#pragma once
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                        \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

#define CUDA_GIVES(expected, call)                                                                                     \
  do {                                                                                                                 \
    cudaError_t got_ = (call);                                                                                         \
    if (got_ != (expected)) {                                                                                          \
      fprintf(stderr, "%s:%d: %s: %s, expected %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(got_),               \
              cudaGetErrorName(expected));                                                                             \
      exit(1);                                                                                                         \
    }                                                                                                                  \
    (void)cudaGetLastError(); /* an expected error must not stay pending */                                            \
  } while (0)

#define CUDA(call) CUDA_GIVES(cudaSuccess, call)

#define CASE(name) (argc > 1 && !strcmp(argv[1], name))

#define NO_SUCH_CASE                                                                                                   \
  do {                                                                                                                 \
    fprintf(stderr, "no such case: %s\n", argc > 1 ? argv[1] : "(none)");                                              \
    exit(2);                                                                                                           \
  } while (0)
