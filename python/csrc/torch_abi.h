/* SPDX-License-Identifier: BSD-3-Clause */
/* What we use of PyTorch's stable C ABI (torch/csrc/inductor/aoti_torch/c/shim.h, torch/csrc/stable/c/shim.h), declared
 * here: neither a header nor a library of torch is needed to build.  The functions are looked up in the torch that the
 * process has loaded. */
#ifndef SVDGRAD_PYTHON_TORCH_ABI_H
#define SVDGRAD_PYTHON_TORCH_ABI_H

#include <stdbool.h>
#include <stdint.h>

typedef struct AtenTensorOpaque *tensor_t; /* an owned reference; aoti_torch_delete_tensor_object() gives it back */
typedef struct TorchLibraryOpaque *torch_library_t;
typedef int32_t torch_error_t;  /* 0: success */
typedef uint64_t torch_value_t; /* a tensor_t, an int64_t or the bits of a double */
typedef void (*torch_kernel_t)(torch_value_t *stack, uint64_t input_count, uint64_t output_count);
typedef void (*torch_range_t)(int64_t begin, int64_t end, void *context);

/* X(result, name, parameters): all of them are in libtorch_cpu since 2.10. */
#define TORCH_FUNCTIONS(X)                                                                                             \
  X(int32_t, aoti_torch_device_type_cpu, (void))                                                                       \
  X(int32_t, aoti_torch_dtype_float32, (void))                                                                         \
  X(int32_t, aoti_torch_dtype_float64, (void))                                                                         \
  X(int32_t, aoti_torch_dtype_complex64, (void))                                                                       \
  X(int32_t, aoti_torch_dtype_complex128, (void))                                                                      \
  X(int32_t, aoti_torch_dtype_int32, (void))                                                                           \
  X(int32_t, aoti_torch_dtype_uint8, (void))                                                                           \
  X(torch_error_t, aoti_torch_delete_tensor_object, (tensor_t tensor))                                                 \
  X(torch_error_t, aoti_torch_get_data_ptr, (tensor_t tensor, void **data))                                            \
  X(torch_error_t, aoti_torch_get_dim, (tensor_t tensor, int64_t * dim))                                               \
  X(torch_error_t, aoti_torch_get_numel, (tensor_t tensor, int64_t * numel))                                           \
  X(torch_error_t, aoti_torch_get_sizes, (tensor_t tensor, int64_t * *sizes))                                          \
  X(torch_error_t, aoti_torch_get_strides, (tensor_t tensor, int64_t * *strides))                                      \
  X(torch_error_t, aoti_torch_get_dtype, (tensor_t tensor, int32_t * dtype))                                           \
  X(torch_error_t, aoti_torch_get_device_type, (tensor_t tensor, int32_t * device_type))                               \
  X(torch_error_t, aoti_torch_get_device_index, (tensor_t tensor, int32_t * device_index))                             \
  X(torch_error_t, aoti_torch_empty_strided,                                                                           \
    (int64_t dim, const int64_t *sizes, const int64_t *strides, int32_t dtype, int32_t device_type,                    \
     int32_t device_index, tensor_t *tensor))                                                                          \
  X(torch_error_t, aoti_torch_copy_, (tensor_t self, tensor_t source, int32_t non_blocking))                           \
  X(torch_error_t, aoti_torch_library_init_def,                                                                        \
    (const char *name_space, const char *file, uint32_t line, torch_library_t *library))                               \
  X(torch_error_t, aoti_torch_library_init_impl,                                                                       \
    (const char *name_space, const char *dispatch_key, const char *file, uint32_t line, torch_library_t *library))     \
  X(torch_error_t, aoti_torch_library_def, (torch_library_t library, const char *schema))                              \
  X(torch_error_t, aoti_torch_library_impl, (torch_library_t library, const char *name, torch_kernel_t kernel))        \
  X(void, aoti_torch_check, (bool condition, const char *function, const char *file, uint32_t line, const char *text)) \
  X(torch_error_t, torch_parallel_for, (int64_t begin, int64_t end, int64_t grain, torch_range_t body, void *context)) \
  X(torch_error_t, torch_get_num_threads, (uint32_t * count))

/* In libtorch_cuda, where torch has one. */
typedef torch_error_t (*torch_current_stream_t)(int32_t device_index, void **stream);

#endif
