/* SPDX-License-Identifier: BSD-3-Clause */
/* First step of the forward pass: A, or A^H where m < n, packed, and times a power of two that puts its largest entry
 * where squares neither over- nor underflow (exact, and then A times 2^p has the same U and Vh to the last bit).
 * A matrix with NaN or Inf becomes zero here, so that nothing after this can hang or spread it, and is marked.
 *
 * One block per matrix, two passes over it; shared memory: one real per warp. */
#pragma once
#include "block.cuh"
#include "strided.cuh"

template <class T> __global__ void prepare_kernel(prepare_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const int64_t m = args.transposed ? args.columns : args.rows, n = args.transposed ? args.rows : args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    R largest = 0;
    visit_elements(args.A, m, n, [&](int64_t i, int64_t j) {
      largest = max_of<R>::combine(largest, largest_part(*element<T>(args.A, b, i, j)));
    });
    largest = block_reduce<max_of<R>>(largest, scratch);
    const bool finite = largest - largest == 0;
    int exponent = 0;
    if (finite && largest > 0)
      (void)frexp(largest, &exponent);
    exponent -= finite && largest > 0 ? 1 + args.scaled_exponent : 0;
    T *tall = (T *)args.tall + b * m * n;
    visit_elements(args.A, m, n, [&](int64_t i, int64_t j) {
      const T a = finite ? times_power(*element<T>(args.A, b, i, j), -exponent) : from_real<T>(0);
      tall[args.transposed ? i * args.rows + j : j * args.rows + i] = args.transposed ? conj(a) : a;
    });
    if (threadIdx.x == 0) {
      args.exponent[b] = exponent;
      args.state[b] = finite ? CUDA_MATRIX_FINE : CUDA_MATRIX_NONFINITE;
    }
  }
}
