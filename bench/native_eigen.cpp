// SPDX-License-Identifier: BSD-3-Clause
// Eigen's two SVDs for peers.py, over a batch of packed row-major matrices.  The sizes at which one would use Eigen's
// fixed-size types use them; every thread keeps its solver.
#include <Eigen/SVD>
#include <cstdint>

namespace {

struct Batch {
  std::int64_t m, n, count;
  int threads;
  const void *A;
  void *S, *U, *Vh; // without U and Vh: singular values only
};

template <class Solver, class T, int Size> void run(const Batch &batch) {
  using Matrix = Eigen::Matrix<T, Size, Size, Eigen::RowMajor>;
  const std::int64_t m = batch.m, n = batch.n, k = m < n ? m : n;
  const unsigned vectors =
      Size == Eigen::Dynamic ? Eigen::ComputeThinU | Eigen::ComputeThinV : Eigen::ComputeFullU | Eigen::ComputeFullV;
#pragma omp parallel num_threads(batch.threads)
  {
    Solver solver(m, n, batch.U ? vectors : 0);
#pragma omp for schedule(static)
    for (std::int64_t b = 0; b < batch.count; b++) {
      solver.compute(Eigen::Map<const Matrix>(static_cast<const T *>(batch.A) + b * m * n, m, n));
      Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(static_cast<T *>(batch.S) + b * k, k) = solver.singularValues();
      if (batch.U) {
        Eigen::Map<Matrix>(static_cast<T *>(batch.U) + b * m * k, m, k) = solver.matrixU();
        Eigen::Map<Matrix>(static_cast<T *>(batch.Vh) + b * k * n, k, n) = solver.matrixV().transpose();
      }
    }
  }
}

template <class T, int Size> void jacobi(const Batch &batch) {
  run<Eigen::JacobiSVD<Eigen::Matrix<T, Size, Size>>, T, Size>(batch);
}

template <class T> void jacobi_any(const Batch &batch) {
  switch (batch.m == batch.n ? batch.n : 0) {
  case 2: return jacobi<T, 2>(batch);
  case 3: return jacobi<T, 3>(batch);
  case 4: return jacobi<T, 4>(batch);
  case 8: return jacobi<T, 8>(batch);
  default: return jacobi<T, Eigen::Dynamic>(batch);
  }
}

template <class T> void bdc(const Batch &batch) {
  run<Eigen::BDCSVD<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>>, T, Eigen::Dynamic>(batch);
}

} // namespace

extern "C" {

int eigen_version() { return EIGEN_WORLD_VERSION * 10000 + EIGEN_MAJOR_VERSION * 100 + EIGEN_MINOR_VERSION; }

void eigen_svd(int use_bdc, int is_double, std::int64_t m, std::int64_t n, std::int64_t count, int threads,
               const void *A, void *S, void *U, void *Vh) {
  const Batch batch = {m, n, count, threads, A, S, U, Vh};
  if (use_bdc)
    is_double ? bdc<double>(batch) : bdc<float>(batch);
  else
    is_double ? jacobi_any<double>(batch) : jacobi_any<float>(batch);
}
}
