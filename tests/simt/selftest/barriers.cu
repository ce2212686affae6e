// SPDX-License-Identifier: BSD-3-Clause
// Write-after-read hazards between two barriers: every thread reads its neighbour's element and then writes its
// own.  Only the thread sanitizer finds that a barrier is missing in between.
#include "simt.hpp"
#include "selftest.h"

enum Barrier { OF_BLOCK, OF_WARP };

template <Barrier B> __device__ void meet() {
  if (B == OF_BLOCK)
    __syncthreads();
  else
    __syncwarp();
}

template <Barrier B, bool BUG> __global__ void shift_kernel(float *out) {
  __shared__ float s[64];
  const unsigned t = threadIdx.x;
  s[t] = static_cast<float>(t);
  meet<B>();
  for (int i = 0; i < 3; i++) {
    const float x = s[(t + 1) % blockDim.x];
    if (!BUG)
      meet<B>();
    s[t] = x;
    meet<B>();
  }
  out[t] = s[t];
}

int main(int argc, char **argv) {
  float *out;
  CUDA(cudaMalloc(&out, 64 * sizeof *out));
  if (CASE("right")) {
    CUDA(SIMT_LAUNCH((shift_kernel<OF_BLOCK, false>), 1, 64, 0, 0, out));
    CUDA(SIMT_LAUNCH((shift_kernel<OF_WARP, false>), 1, 32, 0, 0, out));
  } else if (CASE("bug-block"))
    CUDA(SIMT_LAUNCH((shift_kernel<OF_BLOCK, true>), 1, 64, 0, 0, out));
  else if (CASE("bug-warp"))
    CUDA(SIMT_LAUNCH((shift_kernel<OF_WARP, true>), 1, 32, 0, 0, out));
  else
    NO_SUCH_CASE;
  float first;
  CUDA(cudaMemcpy(&first, out, sizeof first, cudaMemcpyDeviceToHost));
  CUDA(cudaFree(out));
  return !(first == 3);
}
