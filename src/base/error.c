/* SPDX-License-Identifier: BSD-3-Clause */
/* The last error message, one for each thread, and the names of the status codes. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char message[512];

void error_set(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
}

svdgrad_status_t error_status(svdgrad_status_t status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return status;
}

const char *svdgrad_last_error_message(void) { return message; }

const char *svdgrad_status_string(svdgrad_status_t status) {
  switch (status) {
  case SVDGRAD_STATUS_SUCCESS: return "success";
  case SVDGRAD_STATUS_INVALID_ARGUMENT: return "invalid argument";
  case SVDGRAD_STATUS_NOT_SUPPORTED: return "not supported";
  case SVDGRAD_STATUS_WORKSPACE_TOO_SMALL: return "workspace too small";
  case SVDGRAD_STATUS_OUT_OF_MEMORY: return "out of memory";
  case SVDGRAD_STATUS_BACKEND_UNAVAILABLE: return "backend unavailable";
  case SVDGRAD_STATUS_BACKEND_ERROR: return "backend error";
  }
  return "unknown status";
}
