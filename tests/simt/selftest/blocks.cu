// SPDX-License-Identifier: BSD-3-Clause
// Several blocks add to one number.  Only the check between blocks (SIMT_XBLOCK=1) finds the update that is not
// atomic: one block runs at a time, so the sum is right.
#include "simt.hpp"
#include "selftest.h"

enum Update { PLAIN, ATOMIC, APART };

template <Update U> __global__ void sum_kernel(float *out) {
  __shared__ float s[32];
  const unsigned t = threadIdx.x;
  s[t] = 1;
  __syncthreads();
  const float x = s[31 - t]; // shared memory must not look shared between blocks
  if (U == PLAIN && t == 0)
    out[0] += x;
  if (U == ATOMIC)
    atomicAdd(out, x);
  if (U == APART)
    out[blockIdx.x * 32 + t] = x;
}

int main(int argc, char **argv) {
  float *out, sum;
  CUDA(cudaMalloc(&out, 192 * sizeof *out));
  CUDA(cudaMemset(out, 0, 192 * sizeof *out));
  if (CASE("right")) {
    CUDA(SIMT_LAUNCH(sum_kernel<APART>, 6, 32, 0, 0, out));
    CUDA(SIMT_LAUNCH(sum_kernel<ATOMIC>, 6, 32, 0, 0, out));
  } else if (CASE("bug-plain-update"))
    CUDA(SIMT_LAUNCH(sum_kernel<PLAIN>, 6, 32, 0, 0, out));
  else
    NO_SUCH_CASE;
  CUDA(cudaMemcpy(&sum, out, sizeof sum, cudaMemcpyDeviceToHost));
  CUDA(cudaFree(out));
  return !(sum == (CASE("right") ? 193 : 6));
}
