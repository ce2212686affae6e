/* SPDX-License-Identifier: BSD-3-Clause */
/* The launchers of one element type, and the table of them that the C host code sees. */
#pragma once
#include "backward_fused.cuh"
#include "backward_thread.cuh"
#include "backward_warp.cuh"
#include "complete.cuh"
#include "empty.cuh"
#include "form_backward.cuh"
#include "form_determinant.cuh"
#include "form_functions.cuh"
#include "form_tangents.cuh"
#include "full_rank.cuh"
#include "function_fused.cuh"
#include "gemm.cuh"
#include "grid.cuh"
#include "householder.cuh"
#include "jacobi_blocked.cuh"
#include "jacobi_panels.cuh"
#include "jacobi_skinny.cuh"
#include "jacobi_thread.cuh"
#include "jacobi_warp.cuh"
#include "machine.cuh"
#include "norm_thread.cuh"
#include "norm_warp.cuh"
#include "normalize.cuh"
#include "power.cuh"
#include "prepare.cuh"
#include "store.cuh"

template <class T> cudaError_t complete_launch(const complete_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(32 * args->columns));
  return SIMT_LAUNCH(complete_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t full_rank_launch(const full_rank_args_t *args, cudaStream_t stream) {
  const size_t bytes = args->work ? 0 : (size_t)(args->rows * args->columns) * sizeof(T);
  const dim3 block(threads_for(args->rows * args->columns));
  return SIMT_LAUNCH(full_rank_kernel<T>, grid_of(args->batch_count), block, bytes, stream, *args);
}

template <class T> size_t fused_dynamic_bytes(int64_t k) { return fused_bytes<fused_block<T, 1>, T>(k, k); }

/* All of one block's: the dynamic memory, and the static one of gap_combine, which the compiler rounds up. */
template <class T> size_t fused_shared_bytes(int64_t k) { return fused_dynamic_bytes<T>(k) + 16; }

/* Two threads for each tile of a k-by-k product: what is no product has more pieces. */
template <class T> cudaError_t backward_fused_launch(const fused_args_t *args, cudaStream_t stream) {
  const auto launch = [&](auto size) {
    constexpr int TILE = decltype(size)::value;
    const dim3 block(threads_for(2 * args->k * args->k / (TILE * TILE)));
    return SIMT_LAUNCH((backward_fused_kernel<T, TILE>), grid_of(args->batch_count), block,
                       fused_dynamic_bytes<T>(args->k), stream, *args);
  };
  return args->k <= 16 ? launch(launch_size<2>()) : launch(launch_size<fused_tile<T>()>());
}

template <class T> cudaError_t empty_launch(const empty_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(empty_kernel<T>, grid_of(args->batch_count), dim3(64), 0, stream, *args);
}

/* Operations of programs: four elements per thread, or one block per matrix. */
static inline dim3 grid_of_elements(int64_t elements) { return grid_of((elements + 1023) / 1024); }

/* Plans one transfer; returns how many blocks it would like. */
template <class T> static inline int64_t plan_transfer(const cuda_transfer_t &transfer, tiling_t *tiling) {
  if (transfer.kind == CUDA_LOAD_REALS || transfer.kind == CUDA_STORE_REALS) {
    const transfer_reals_args_t &args = transfer.of.reals;
    return (args.batch_count * (args.x.count > 0 ? args.x.count : 1) + 1023) / 1024;
  }
  const transfer_args_t &args = transfer.of.matrix;
  const int here = lies_down(args), load = transfer.kind == CUDA_LOAD;
  *tiling = make_tiling<T>(args.batch_count, args.X.rows, args.X.columns, load ? here : 1, load ? 1 : here);
  return tiling->tiles;
}

template <class T> cudaError_t program_transfer_launch(const cuda_transfers_t *transfers, cudaStream_t stream) {
  transfer_plan plan = {};
  int64_t end = 0;
  for (int i = 0; i < CUDA_TRANSFERS; i++) {
    if (i < transfers->count) {
      plan.at[i].transfer = transfers->at[i];
      end += least_of(plan_transfer<T>(transfers->at[i], &plan.at[i].tiling), 0x7fffffff / CUDA_TRANSFERS);
    }
    plan.at[i].end = end;
  }
  return end > 0 ? SIMT_LAUNCH(program_transfer_kernel<T>, grid_of(end), dim3(256), 0, stream, plan) : cudaSuccess;
}

template <class T> cudaError_t program_scale_launch(const tensor_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of_elements(args->batch_count * args->X.rows * args->X.columns);
  return SIMT_LAUNCH(program_scale_kernel<T>, grid, dim3(256), 0, stream, *args);
}

template <class T> cudaError_t program_normalize_launch(const tensor_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of_elements(args->batch_count * args->X.rows * args->X.columns);
  return SIMT_LAUNCH(program_normalize_kernel<T>, grid, dim3(256), 0, stream, *args);
}

template <class T> cudaError_t program_scale_by_launch(const tensor_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of_elements(args->batch_count * args->X.rows * args->X.columns);
  return SIMT_LAUNCH(program_scale_by_kernel<T>, grid, dim3(256), 0, stream, *args);
}

template <class T> cudaError_t program_add_identity_launch(const tensor_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of_elements(args->batch_count * args->X.columns);
  return SIMT_LAUNCH(program_add_identity_kernel<T>, grid, dim3(256), 0, stream, *args);
}

template <class T> cudaError_t program_phase_launch(const tensor_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->X.rows * args->X.rows));
  return SIMT_LAUNCH(program_phase_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

/* A thread for each. */
static inline dim3 grid_of_values(int64_t values) { return grid_of(values > 0 ? (values + 255) / 256 : 1); }

/* Blocks that share a matrix: one for every tile of pairs, or for some further elements. */
template <class T> static inline int64_t parts_for(int64_t k, int64_t elements) {
  const int64_t tiles = pair_tiles_of<T>(k), parts = (elements + 4095) / 4096;
  return tiles > parts ? tiles : parts > 1 ? parts : 1;
}

static inline form_args_t with_parts(const form_args_t *args, int64_t parts) {
  form_args_t copy = *args;
  copy.parts = parts;
  return copy;
}

/* Parts of a matrix add to its report, which begins as that of no gap. */
template <class T> cudaError_t begin_report(const form_args_t &args, svdgrad_report_t *report, cudaStream_t stream) {
  empty_args_t empty = {};
  empty.batch_count = args.batch_count, empty.report = report;
  return report && args.parts > 1 ? empty_launch<T>(&empty, stream) : cudaSuccess;
}

template <class T> cudaError_t form_backward_launch(const form_args_t *given, cudaStream_t stream) {
  const backward_form_t &form = given->form.backward;
  const int64_t k = form.P.data ? form.values.s.count : 0, further = form.further_U.columns,
                more = form.further_V.columns;
  const int64_t elements = form.rest.r.count * k + further * further + more * more;
  const form_args_t args = with_parts(given, form.P.data ? parts_for<T>(k, elements) : 1);
  cudaError_t error = begin_report<T>(args, form.report, stream);
  if (!error && args.parts > 1) {
    const int64_t columns = args.batch_count * (form.gU.columns + form.gV.columns);
    error = SIMT_LAUNCH(form_squares_kernel<T>, grid_of((columns + 7) / 8), dim3(256), 0, stream, args);
  }
  if (error)
    return error;
  return SIMT_LAUNCH(form_backward_kernel<T>, grid_of(args.batch_count * args.parts), dim3(256), 0, stream, args);
}

template <class T> cudaError_t form_jvp_launch(const form_args_t *given, cudaStream_t stream) {
  const int64_t k = given->form.jvp.values.s.count, rest = given->form.jvp.rest.r.count;
  const form_args_t args = with_parts(given, parts_for<T>(k, rest * k));
  const dim3 block(threads_for(k * (k + 1) / 2 + rest * k));
  const cudaError_t error = begin_report<T>(args, given->form.jvp.report, stream);
  if (error)
    return error;
  return SIMT_LAUNCH(form_jvp_kernel<T>, grid_of(args.batch_count * args.parts), block, 0, stream, args);
}

/* Eight columns for a block of a large matrix. */
template <class T> cudaError_t form_second_launch(const form_args_t *given, cudaStream_t stream) {
  const int64_t k = given->form.svd_backward_backward.values.s.count;
  const form_args_t args = with_parts(given, given->gap_policy == SVDGRAD_GAP_LORENTZ || k <= 32 ? 1 : (k + 7) / 8);
  const cudaError_t error = begin_report<T>(args, given->form.svd_backward_backward.report, stream);
  if (error)
    return error;
  const dim3 block(threads_for(32 * k));
  return SIMT_LAUNCH(form_second_kernel<T>, grid_of(args.batch_count * args.parts), block, 0, stream, args);
}

template <class T> cudaError_t form_outside_launch(const form_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of_elements(args->batch_count * args->form.svd_backward_backward.values.s.count);
  return SIMT_LAUNCH(form_outside_kernel<T>, grid, dim3(256), 0, stream, *args);
}

template <class T> cudaError_t form_values_launch(const form_args_t *given, cudaStream_t stream) {
  const form_args_t args = with_parts(given, 1);
  if (args.form.function.phases.data)
    return SIMT_LAUNCH(form_values_kernel<T>, grid_of(args.batch_count), dim3(32), 0, stream, args);
  const dim3 grid = grid_of_values(args.batch_count * args.form.function.values.s.count);
  return SIMT_LAUNCH(form_values_kernel<T>, grid, dim3(256), 0, stream, args);
}

template <class T> cudaError_t form_pairs_launch(const form_args_t *given, cudaStream_t stream) {
  const function_form_t &form = given->form.function;
  const int64_t k = form.values.s.count;
  const form_args_t args = with_parts(given, form.phases.data ? 1 : parts_for<T>(k, 0));
  const dim3 block(threads_for(k * (k + 1) / 2));
  cudaError_t error = begin_report<T>(args, form.report, stream);
  if (!error && args.parts > 1)
    error = SIMT_LAUNCH(form_points_kernel<T>, grid_of_values(args.batch_count * k), dim3(256), 0, stream, args);
  if (error)
    return error;
  return SIMT_LAUNCH(form_pairs_kernel<T>, grid_of(args.batch_count * args.parts), block, 0, stream, args);
}

template <class T> cudaError_t form_norm_launch(const form_args_t *given, cudaStream_t stream) {
  const form_args_t args = with_parts(given, 1);
  const dim3 block(threads_for(args.form.norm.values.s.count));
  return SIMT_LAUNCH(form_norm_kernel<T>, grid_of(args.batch_count), block, 0, stream, args);
}

template <class T> cudaError_t form_determinant_launch(const form_args_t *given, cudaStream_t stream) {
  const form_args_t args = with_parts(given, 1);
  const dim3 block(threads_for(args.form.determinant.weight.rows));
  return SIMT_LAUNCH(form_determinant_kernel<T>, grid_of(args.batch_count), block, 0, stream, args);
}

/* Few threads for few elements: a block beside thousands of others. */
template <class T> cudaError_t power_begin_launch(const power_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->m > args->n ? args->m : args->n));
  return SIMT_LAUNCH(power_begin_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t power_pass_launch(const power_args_t *args, cudaStream_t stream) {
  const int64_t rows = args->m < args->chunk_rows ? args->m : args->chunk_rows;
  const dim3 block(threads_for(rows * args->n));
  const size_t bytes = (size_t)(args->chunk_rows + block.x) * sizeof(T);
  return SIMT_LAUNCH(power_pass_kernel<T>, grid_of(args->batch_count * args->chunks), block, bytes, stream, *args);
}

template <class T> cudaError_t power_collect_launch(const power_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of(args->batch_count * ((args->n + WARP - 1) / WARP));
  return SIMT_LAUNCH(power_collect_kernel<T>, grid, dim3(CUDA_POWER_RUNS * WARP), 0, stream, *args);
}

template <class T> cudaError_t power_start_launch(const power_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->m > args->n ? args->m : args->n));
  return SIMT_LAUNCH(power_start_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t power_finish_launch(const power_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->m > args->n ? args->m : args->n));
  return SIMT_LAUNCH(power_finish_kernel<T>, grid_of(args->batch_count), block, 0, stream, *args);
}

template <class T> cudaError_t power_clear_launch(const power_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(power_clear_kernel<T>, grid_of(args->batch_count / 64 + 1), dim3(64), 0, stream, *args);
}

template <class T> cudaError_t power_quotient_launch(const power_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->chunk_rows * args->n));
  return SIMT_LAUNCH(power_quotient_kernel<T>, grid_of(args->batch_count * args->chunks), block, 0, stream, *args);
}

template <class T> cudaError_t normalize_along_launch(const normalize_gradient_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->chunk_rows * args->n));
  return SIMT_LAUNCH(normalize_along_kernel<T>, grid_of(args->batch_count * args->chunks), block, 0, stream, *args);
}

template <class T> cudaError_t normalize_gradient_launch(const normalize_gradient_args_t *args, cudaStream_t stream) {
  const dim3 block(threads_for(args->chunk_rows * args->n));
  return SIMT_LAUNCH(normalize_gradient_kernel<T>, grid_of(args->batch_count * args->chunks), block, 0, stream, *args);
}

template <class T> constexpr cuda_kernels_t make_kernels() {
  return {sizeof(T),
          sizeof(real_t<T>),
          limits<real_t<T>>::scaled_exponent,
          prepare_kernels,
          jacobi_warp_limit<T>(),
          jacobi_panels_limit<T>(),
          prepare_launch<T>,
          qr_launch<T>,
          apply_q_launch<T>,
          jacobi_thread_launch<T>,
          jacobi_skinny_launch<T>,
          jacobi_warp_launch<T>,
          norm_thread_launch<T>,
          norm_warp_launch<T>,
          panels_shared_bytes<T>,
          jacobi_panels_launch<T>,
          blocked_begin_launch<T>,
          blocked_factor_launch<T>,
          blocked_update_launch<T>,
          blocked_end_launch<T>,
          normalize_launch<T>,
          complete_launch<T>,
          store_launch<T>,
          full_rank_launch<T>,
          gemm_launch<T>,
          fused_shared_bytes<T>,
          backward_fused_launch<T>,
          backward_thread_limit<T>(),
          backward_thread_launch<T>,
          WARP_COLUMNS,
          WARP_ROWS,
          backward_warp_launch<T>,
          empty_launch<T>,
          FUNCTION_ROWS,
          function_shared_bytes<T>,
          function_launch<T>,
          function_backward_launch<T>,
          program_transfer_launch<T>,
          program_scale_launch<T>,
          program_scale_by_launch<T>,
          program_add_identity_launch<T>,
          program_normalize_launch<T>,
          program_phase_launch<T>,
          form_backward_launch<T>,
          form_jvp_launch<T>,
          form_second_launch<T>,
          form_outside_launch<T>,
          form_values_launch<T>,
          form_pairs_launch<T>,
          form_norm_launch<T>,
          form_determinant_launch<T>,
          power_begin_launch<T>,
          power_pass_launch<T>,
          power_collect_launch<T>,
          power_start_launch<T>,
          power_finish_launch<T>,
          power_clear_launch<T>,
          power_quotient_launch<T>,
          normalize_along_launch<T>,
          normalize_gradient_launch<T>};
}
