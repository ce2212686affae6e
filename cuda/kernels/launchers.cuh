/* SPDX-License-Identifier: BSD-3-Clause */
/* The launchers of one element type, and the table of them that the C host code sees. */
#pragma once
#include "backward_fused.cuh"
#include "backward_steps.cuh"
#include "complete.cuh"
#include "empty.cuh"
#include "gemm.cuh"
#include "householder.cuh"
#include "jacobi_block.cuh"
#include "prepare.cuh"
#include "store.cuh"

/* One block per matrix, up to the limit of gridDim.x; kernels loop over what is left. */
static inline dim3 grid_of(int64_t blocks) { return dim3((unsigned)(blocks < 0x7fffffff ? blocks : 0x7fffffff)); }

/* Threads for `work` independent pieces: whole warps, 256 at most. */
static inline unsigned threads_for(int64_t work) {
  return work <= 32 ? 32u : work <= 64 ? 64u : work <= 128 ? 128u : 256u;
}

template <class T> cudaError_t prepare_launch(const prepare_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->rows * args->columns));
  return SIMT_LAUNCH(prepare_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t qr_launch(const qr_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->rows > 32 * args->columns ? args->rows : 32 * args->columns));
  return SIMT_LAUNCH(qr_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t apply_q_launch(const apply_q_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->columns));
  return SIMT_LAUNCH(apply_q_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t jacobi_launch(const jacobi_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(16 * args->columns)); /* a warp for every pair, or as many as there are */
  return SIMT_LAUNCH(jacobi_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t complete_launch(const complete_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->columns));
  return SIMT_LAUNCH(complete_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t store_launch(const store_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->k));
  return SIMT_LAUNCH(store_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t gemm_launch(const gemm_args_t *args, cudaStream_t stream) {
  const int64_t tiles = ((args->m + GEMM_TILE - 1) / GEMM_TILE) * ((args->n + GEMM_TILE - 1) / GEMM_TILE);
  return SIMT_LAUNCH(gemm_kernel<T>, grid_of(args->batch_count * tiles), dim3(GEMM_THREADS), 0, stream, *args);
}

template <class T> size_t fused_shared_bytes(int64_t k) {
  return fused_elements(k) * sizeof(T) + (size_t)(4 * k + WARP) * sizeof(real_t<T>) + (size_t)k * sizeof(int);
}

template <class T> cudaError_t backward_fused_launch(const fused_args_t *args, cudaStream_t stream) {
  const size_t bytes = fused_shared_bytes<T>(args->k);
  const dim3 block(threads_for(args->k * args->k / 2));
  const cudaError_t error =
      bytes <= 48 * 1024
          ? cudaSuccess
          : cudaFuncSetAttribute(backward_fused_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
  return error ? error : SIMT_LAUNCH(backward_fused_kernel<T>, grid_of(args->batch_count), block, bytes, stream, *args);
}

template <class T> cudaError_t backward_load_launch(const steps_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(backward_load_kernel<T>, grid_of(args->batch_count), dim3(256), 0, stream, *args);
}

template <class T> cudaError_t backward_form_launch(const steps_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(backward_form_kernel<T>, grid_of(args->batch_count), dim3(256), 0, stream, *args);
}

template <class T> cudaError_t backward_scale_launch(const steps_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(backward_scale_kernel<T>, grid_of(args->batch_count), dim3(256), 0, stream, *args);
}

template <class T> cudaError_t backward_store_launch(const steps_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(backward_store_kernel<T>, grid_of(args->batch_count), dim3(256), 0, stream, *args);
}

template <class T> cudaError_t empty_launch(const empty_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(empty_kernel<T>, grid_of(args->batch_count), dim3(64), 0, stream, *args);
}

template <class T> constexpr cuda_kernels_t make_kernels() {
  return {sizeof(T),
          sizeof(real_t<T>),
          limits<real_t<T>>::scaled_exponent,
          prepare_launch<T>,
          qr_launch<T>,
          apply_q_launch<T>,
          jacobi_launch<T>,
          complete_launch<T>,
          store_launch<T>,
          gemm_launch<T>,
          fused_shared_bytes<T>,
          backward_fused_launch<T>,
          backward_load_launch<T>,
          backward_form_launch<T>,
          backward_scale_launch<T>,
          backward_store_launch<T>,
          empty_launch<T>};
}
