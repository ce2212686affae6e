/* SPDX-License-Identifier: BSD-3-Clause */
/* The launchers of one element type, and the table of them that the C host code sees. */
#pragma once
#include "backward_fused.cuh"
#include "backward_steps.cuh"
#include "complete.cuh"
#include "empty.cuh"
#include "gemm.cuh"
#include "grid.cuh"
#include "householder.cuh"
#include "jacobi_blocked.cuh"
#include "jacobi_panels.cuh"
#include "jacobi_skinny.cuh"
#include "jacobi_thread.cuh"
#include "jacobi_warp.cuh"
#include "normalize.cuh"
#include "prepare.cuh"
#include "store.cuh"

template <class T> cudaError_t prepare_launch(const prepare_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->rows * args->columns));
  return SIMT_LAUNCH(prepare_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t qr_launch(const qr_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->rows > 32 * args->columns ? args->rows : 32 * args->columns));
  return SIMT_LAUNCH(qr_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t apply_q_launch(const apply_q_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->wanted));
  return SIMT_LAUNCH(apply_q_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t normalize_launch(const normalize_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->n));
  return SIMT_LAUNCH(normalize_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
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
          jacobi_warp_limit<T>(),
          jacobi_panels_limit<T>(),
          prepare_launch<T>,
          qr_launch<T>,
          apply_q_launch<T>,
          jacobi_thread_launch<T>,
          jacobi_skinny_launch<T>,
          jacobi_warp_launch<T>,
          panels_shared_bytes<T>,
          jacobi_panels_launch<T>,
          blocked_begin_launch<T>,
          blocked_factor_launch<T>,
          blocked_update_launch<T>,
          blocked_end_launch<T>,
          normalize_launch<T>,
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
