/* SPDX-License-Identifier: BSD-3-Clause */
/* The last error message, one for each thread. */
#ifndef SVDGRAD_ERROR_H
#define SVDGRAD_ERROR_H
#include <svdgrad/svdgrad.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

void error_set(const char *format, ...) PRINTF_LIKE(1, 2);

/* Sets the message and returns the status, so that a check reads `return error_status(...)`. */
svdgrad_status_t error_status(svdgrad_status_t status, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
