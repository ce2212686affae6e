/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the wanted columns of X orthonormal where a zero singular value, or full_matrices, leaves them open: the first
 * `good` ones stay, and the others become columns of the orthogonal factor of their Householder QR, which are
 * orthogonal to them to rounding.  A column is good if its singular value is not negligible against s_1 (what a vendor
 * library leaves there may be anything, and changing it changes U S Vh by no more than rounding).
 *
 * One block per matrix; does nothing for most.  Shared memory: one real per warp. */
#pragma once
#include "householder.cuh"

template <class R> __device__ inline int64_t count_good(int64_t rows, int64_t columns, const R *S, int trust_null) {
  const R negligible = trust_null ? 0 : (R)rows * limits<R>::epsilon() * S[0];
  int64_t good = 0;
  while (good < columns && S[good] > negligible)
    good++;
  return good;
}

template <class T> __global__ void complete_kernel(complete_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const int64_t good = count_good(m, n, (const R *)args.S + b * n, args.trust_null);
    T *X = (T *)args.X + b * m * args.wanted, *A = (T *)args.reflectors + b * m * n, *tau = (T *)args.tau + b * n;
    if (good == args.wanted)
      continue;
    for (int64_t e = threadIdx.x; e < m * good; e += blockDim.x)
      A[e] = X[e];
    __syncthreads();
    householder_qr(m, 0, good, columns_t<T>{A, m, nullptr}, tau, scratch);
    for (int64_t c = good + warp_index(); c < args.wanted; c += warp_count()) {
      T *x = X + c * m;
      for (int64_t i = lane_index(); i < m; i += WARP)
        x[i] = from_real<T>(i == c);
      __syncwarp();
      apply_reflectors(m, good, columns_t<T>{A, m, nullptr}, tau, x);
    }
    __syncthreads();
  }
}
