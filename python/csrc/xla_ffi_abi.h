/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of XLA's foreign function interface (FFI) that we use, declared by ourselves: nothing of XLA is needed to
 * build.
 *
 * The interface is public and versioned; the source of these declarations is xla/ffi/api/c_api.h, which jaxlib
 * installs.  tests/test_jax.py compares sizes, offsets and values with that file.  Fields and functions that we do not
 * use are there where others follow them. */
#ifndef SVDGRAD_PYTHON_XLA_FFI_ABI_H
#define SVDGRAD_PYTHON_XLA_FFI_ABI_H

#include <stddef.h>
#include <stdint.h>

/* The version we claim: the oldest that has all we use.  A runtime refuses newer ones than its own. */
enum { XLA_MAJOR = 0, XLA_MINOR = 1 };

typedef struct xla_error xla_error_t;     /* opaque */
typedef struct xla_context xla_context_t; /* opaque: of one call */
typedef void (*xla_unused_t)(void);

typedef struct xla_extension {
  size_t struct_size;
  int type;
  struct xla_extension *next;
} xla_extension_t;
enum { XLA_EXTENSION_METADATA = 1 };

enum { XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8, XLA_UNIMPLEMENTED = 12, XLA_INTERNAL = 13 };

typedef enum {
  XLA_S32 = 4,
  XLA_S64 = 5,
  XLA_U8 = 6,
  XLA_F32 = 11,
  XLA_F64 = 12,
  XLA_C64 = 15,
  XLA_C128 = 18
} xla_type_t;

typedef struct xla_buffer {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_type_t type;
  void *data;
  int64_t rank;
  int64_t *shape; /* `rank` extents */
} xla_buffer_t;

typedef struct xla_span {
  const char *text; /* no 0 at its end */
  size_t length;
} xla_span_t;

typedef struct xla_scalar {
  xla_type_t type;
  void *value;
} xla_scalar_t;

enum { XLA_BUFFER = 1, XLA_ATTRIBUTE_SCALAR = 3, XLA_ATTRIBUTE_STRING = 4 };

/* Arguments and results alike: `count` values of type XLA_BUFFER. */
typedef struct xla_buffers {
  size_t struct_size;
  xla_extension_t *extensions;
  int64_t count;
  int *types;
  xla_buffer_t **buffers;
} xla_buffers_t;

typedef struct xla_attributes {
  size_t struct_size;
  xla_extension_t *extensions;
  int64_t count;
  int *types;
  xla_span_t **names; /* sorted */
  void **values;      /* xla_scalar_t or xla_span_t */
} xla_attributes_t;

typedef struct xla_version {
  size_t struct_size;
  xla_extension_t *extensions;
  int major, minor;
} xla_version_t;

typedef struct xla_error_create {
  size_t struct_size;
  xla_extension_t *extensions;
  const char *message;
  int code;
} xla_error_create_t;

typedef struct xla_error_destroy {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_error_t *error;
} xla_error_destroy_t;

typedef struct xla_stream_get {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_context_t *context;
  void *stream; /* out: a cudaStream_t */
} xla_stream_get_t;

typedef struct xla_schedule {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_context_t *context;
  void (*task)(void *data);
  void *data;
} xla_schedule_t;

typedef struct xla_thread_count {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_context_t *context;
  int64_t *count; /* out */
} xla_thread_count_t;

typedef struct xla_device_get {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_context_t *context;
  int32_t device; /* out */
} xla_device_get_t;

typedef struct xla_api {
  size_t struct_size;
  xla_extension_t *extensions;
  xla_version_t version;
  const void *internal;
  xla_error_t *(*error_create)(xla_error_create_t *);
  xla_unused_t error_details;
  void (*error_destroy)(xla_error_destroy_t *);
  xla_unused_t handler_register;
  xla_error_t *(*stream_get)(xla_stream_get_t *);
  xla_unused_t type_register, context_get, state_set, state_get, memory_allocate, memory_free;
  xla_error_t *(*schedule)(xla_schedule_t *);
  xla_error_t *(*thread_count)(xla_thread_count_t *);
  xla_unused_t future_create, future_set_available, future_set_error, run_id_get;
  xla_error_t *(*device_get)(xla_device_get_t *); /* of version 0.2; older runtimes end before it */
} xla_api_t;

enum { XLA_STAGE_EXECUTE = 3 };

/* What a handler gets. */
typedef struct xla_call {
  size_t struct_size;
  xla_extension_t *extensions;
  const xla_api_t *api;
  xla_context_t *context;
  int stage;
  xla_buffers_t arguments, results;
  xla_attributes_t attributes;
} xla_call_t;
typedef xla_error_t *(*xla_handler_t)(xla_call_t *);

/* A call with this extension asks for it to be filled, and for nothing else. */
enum { XLA_TRAIT_COMMAND_BUFFER = 1 };
typedef struct xla_metadata {
  size_t struct_size;
  xla_version_t version;
  uint32_t traits;
} xla_metadata_t;
typedef struct xla_metadata_extension {
  xla_extension_t base;
  xla_metadata_t *metadata;
} xla_metadata_extension_t;

#endif
