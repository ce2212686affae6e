/* SPDX-License-Identifier: BSD-3-Clause */
/* In the module: messages go to the library that opened it, which has the thread's buffer. */
#include "base/error.h"
#include "module.h"

#include <stdarg.h>
#include <stdio.h>

const cuda_host_t *cuda_module_host;

static void forward(const char *format, va_list arguments) {
  char message[512];
  (void)vsnprintf(message, sizeof message, format, arguments);
  cuda_module_host->set_message(message);
}

void error_set(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  forward(format, arguments);
  va_end(arguments);
}

svdgrad_status_t error_status(svdgrad_status_t status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  forward(format, arguments);
  va_end(arguments);
  return status;
}
