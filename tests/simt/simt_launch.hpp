// SPDX-License-Identifier: BSD-3-Clause
/* Launching kernels.  SIMT_LAUNCH and SIMT_DYN_SHARED are what a kernel file uses in place of <<<>>> and
   `extern __shared__`, which no C++ compiler reads; under nvcc they must be defined as (keep clang-format off the
   first, it knows no <<<)
     #define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...) \
       ((kernel)<<<grid, block, bytes, stream>>>(__VA_ARGS__), cudaGetLastError())
     #define SIMT_DYN_SHARED(T, name) \
       extern __shared__ __align__(16) unsigned char simt_dynamic[]; T *name = reinterpret_cast<T *>(simt_dynamic) */
#pragma once

// Write a kernel with template arguments in parentheses: SIMT_LAUNCH((svd_kernel<float, 8>), grid, ...).  A kernel
// has at least one parameter.
#define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...)                                                           \
  (simt::launch_typed((kernel), grid, block, bytes, stream, __VA_ARGS__), cudaGetLastError())

#define SIMT_DYN_SHARED(T, name) T *name = reinterpret_cast<T *>(simt::dynamic_shared)

namespace simt {

template <class T> struct Parameter {
  static T from(T value) { return value; } // converts as a call does, no more
};

// Arguments are converted and copied here, at the launch, as on a GPU: what runs later sees these copies.
template <class... P, class... A>
cudaError_t launch_typed(void (*kernel)(P...), dim3 grid, dim3 block, size_t bytes, cudaStream_t stream, A &&...a) {
  std::tuple<std::decay_t<P>...> arguments{Parameter<std::decay_t<P>>::from(std::forward<A>(a))...};
  return launch(reinterpret_cast<const void *>(kernel), grid, block, bytes, stream,
                [kernel, arguments] { std::apply(kernel, arguments); });
}

} // namespace simt

// The typed functions of <cuda_runtime.h>.  This one sees the kernel's parameter types and unpacks void **.
template <class... P>
cudaError_t cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void **a, size_t bytes = 0,
                             cudaStream_t stream = nullptr) {
  std::tuple<std::decay_t<P>...> arguments;
  size_t i = 0;
  std::apply([&](auto &...to) { (memcpy(static_cast<void *>(&to), a[i++], sizeof to), ...); }, arguments);
  return simt::launch(reinterpret_cast<const void *>(kernel), grid, block, bytes, stream,
                      [kernel, arguments] { std::apply(kernel, arguments); });
}

template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), enum cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <class... P> cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *to, void (*kernel)(P...)) {
  return cudaFuncGetAttributes(to, reinterpret_cast<const void *>(kernel));
}

template <class T> cudaError_t cudaMalloc(T **to, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void **>(to), bytes);
}
