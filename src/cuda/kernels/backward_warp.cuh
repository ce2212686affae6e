/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass of backward_fused.cuh by a group of lanes, two matrices per warp and one warp per block: of the
 * matrices that are too small for a block.  Its threads would have nothing to do in the k-by-k steps, and wait for each
 * other at twenty barriers.
 *
 * A group has a lane for each tile of a k-by-k product: 16 tiles of 2 x 2 up to k = 8, of 4 x 4 up to k = 16.  In double
 * complex such tiles do not fit into registers: there a warp has one matrix, and two tiles of 2 x 2 for each lane. */
#pragma once
#include "backward_fused.cuh"
#include "grid.cuh"

enum { WARP_COLUMNS = 16, WARP_ROWS = 32 }; /* at most */

/* K: columns at most, 8 or 16. */
template <class T, int K> struct warp_plan {
  static constexpr int TILE = K > 8 ? fused_tile<T>() : 2, GROUP = K / TILE * (K / TILE) > 16 ? 32 : 16;
  static constexpr int MATRICES = WARP / GROUP;
  /* Blocks per multiprocessor that registers must suffice for: left alone, nvcc spills some to have 16. */
  static constexpr int BLOCKS = scalar<T>::is_complex && K > 8 ? 8 : 12;
  typedef fused_plan<group_team<GROUP>, TILE, WARP_ROWS, 0> plan;

  /* Of one matrix.  The two of a warp begin 16 banks apart (64 bytes modulo 128), so that their lanes do not meet. */
  static __host__ __device__ constexpr size_t bytes(int64_t k, int64_t rows) {
    const size_t needed = fused_bytes<plan, T>(k, rows);
    return (needed + 63) / 128 * 128 + 64; /* at least `needed` */
  }
  static __host__ __device__ constexpr size_t block_bytes(int64_t k, int64_t rows) { return MATRICES * bytes(k, rows); }
};

template <class T, int K>
__global__ void __launch_bounds__(WARP, warp_plan<T, K>::BLOCKS) backward_warp_kernel(fused_args_t args) {
  SIMT_DYN_SHARED(unsigned char, memory);
  typedef warp_plan<T, K> shape;
  typedef typename shape::plan plan;
  const int group = lane_index() / shape::GROUP;
  const int64_t rows = args.m >= args.n ? args.m : args.n;
  const fused_memory<T> f = fused_carve<plan, T>(memory + group * shape::bytes(args.k, rows), (int)args.k, rows);
  for (int64_t first = (int64_t)blockIdx.x * shape::MATRICES; first < args.batch_count;
       first += (int64_t)gridDim.x * shape::MATRICES) {
    const int64_t b = first + group;
    const bool wanted = b < args.batch_count;
    backward_by_team<plan>(args, wanted ? b : first, wanted, f);
  }
}

/* k <= WARP_COLUMNS, m and n <= WARP_ROWS */
template <class T> cudaError_t backward_warp_launch(const fused_args_t *args, cudaStream_t stream) {
  const auto launch = [&](auto size) {
    typedef warp_plan<T, decltype(size)::value> shape;
    static_assert(shape::block_bytes(decltype(size)::value, WARP_ROWS) <= 48 << 10, "more than every device has");
    const dim3 grid = grid_of((args->batch_count + shape::MATRICES - 1) / shape::MATRICES);
    return SIMT_LAUNCH((backward_warp_kernel<T, decltype(size)::value>), grid, dim3(WARP),
                       shape::block_bytes(args->k, args->m >= args->n ? args->m : args->n), stream, *args);
  };
  return args->k <= 8 ? launch(launch_size<8>()) : launch(launch_size<WARP_COLUMNS>());
}
