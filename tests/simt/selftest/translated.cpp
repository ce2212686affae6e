// SPDX-License-Identifier: BSD-3-Clause
// Runs the kernels of translated.ptx.
#include "simt.hpp"
#include "selftest.h"

struct Numbers {
  double unused;
  float a, b;
  double more[2];
};

struct Line { // of a lane
  float fused;
  unsigned neighbour, votes;
  int sum, steps;
  unsigned halves, mirror;
  short less;
};

extern "C" {
__global__ void right(Line *, Numbers);
__global__ void bug_overrun(void *);
__global__ void bug_align_shared(void *);
__global__ void bug_align_global(void *);
__global__ void bug_dynamic(void *);
__global__ void bug_mask(void *);
__global__ void bug_diverged(void *);
}

static bool is_right(const Line &line, int lane, const Numbers &x) {
  const uint64_t b = simt::to_bits(static_cast<double>(x.b));
  const float square = x.a * x.a;
  const int steps = lane ? (100 + lane - 1) / lane * lane : 0;
  return line.fused == std::fma(x.a, x.a, -square) && line.fused != 0 && line.neighbour == (lane ^ 1u) &&
         line.votes == 0xaaaaaaaau && line.sum == static_cast<int>(1u + (lane - 40) / 3 - (lane < 40) + 0x7fffffffu) &&
         line.steps == steps && line.halves == static_cast<unsigned>(b ^ b >> 32) &&
         line.mirror == ((lane ^ 31u) ^ 1u) && line.less == lane - 40;
}

int main(int argc, char **argv) {
  Line *lines;
  CUDA(cudaMalloc(&lines, 32 * sizeof *lines));
  const Numbers x = {0, 1.1f, 3.7f, {0, 0}};
  if (CASE("right")) {
    CUDA(SIMT_LAUNCH(right, 1, 32, 0, 0, lines, x));
    CUDA(cudaDeviceSynchronize());
    for (int lane = 0; lane < 32; lane++)
      CHECK(is_right(lines[lane], lane, x));
    CUDA_GIVES(cudaErrorLaunchOutOfResources, SIMT_LAUNCH(right, 1, 64, 0, 0, lines, x));
  } else if (CASE("bug-overrun"))
    CUDA(SIMT_LAUNCH(bug_overrun, 1, 1, 0, 0, lines));
  else if (CASE("bug-align-shared"))
    CUDA(SIMT_LAUNCH(bug_align_shared, 1, 1, 0, 0, lines));
  else if (CASE("bug-align-global"))
    CUDA(SIMT_LAUNCH(bug_align_global, 1, 1, 0, 0, lines));
  else if (CASE("bug-dynamic"))
    CUDA(SIMT_LAUNCH(bug_dynamic, 1, 1, 64, 0, lines));
  else if (CASE("bug-mask"))
    CUDA(SIMT_LAUNCH(bug_mask, 1, 32, 0, 0, lines));
  else if (CASE("bug-diverged"))
    CUDA(SIMT_LAUNCH(bug_diverged, 1, 32, 0, 0, lines));
  else
    NO_SUCH_CASE;
  CUDA(cudaFree(lines));
  return 0;
}
