// SPDX-License-Identifier: BSD-3-Clause
// Stands in for cuSOLVER on the CPU: the SVD entry points that the CUDA backend uses, on LAPACK.  Arguments are
// checked and the work is queued at the call; the stream runs it.  README.md lists where it is nasty.
#include "one_matrix.hpp"
#include "simt_queue.hpp"
#include <atomic>
#include <cusolverDn.h>
#include <memory>

struct cusolverDnContext {
  cudaStream_t stream;
  int device;
  long calls; // of the functions that take one matrix: FAKE_CUSOLVER_FAIL counts them
  std::shared_ptr<std::atomic<long>> queued = std::make_shared<std::atomic<long>>(0); // and not run yet
};
struct gesvdjInfo {
  int max_sweeps;
  bool sorted;
};

// ---- handles and parameters

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle) {
  int device;
  if (cudaGetDevice(&device))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (simt::library_allocates("cusolverDnCreate"))
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  *handle = new cusolverDnContext{nullptr, device, 0, std::make_shared<std::atomic<long>>(0)};
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  if (!handle)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (simt::library_allocates("cusolverDnDestroy"))
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  delete handle;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  if (!handle)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (stream != handle->stream && *handle->queued) // which uses memory of the handle
    return CUSOLVER_STATUS_EXECUTION_FAILED;
  handle->stream = stream;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnGetStream(cusolverDnHandle_t handle, cudaStream_t *stream) {
  if (!handle)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  *stream = handle->stream;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetDeterministicMode(cusolverDnHandle_t handle, cusolverDeterministicMode_t) {
  return handle ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_NOT_INITIALIZED;
}

cusolverStatus_t cusolverDnCreateGesvdjInfo(gesvdjInfo_t *info) {
  *info = new gesvdjInfo{100, true};
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroyGesvdjInfo(gesvdjInfo_t info) {
  delete info;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXgesvdjSetTolerance(gesvdjInfo_t info, double) {
  return info ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_INVALID_VALUE;
}

cusolverStatus_t cusolverDnXgesvdjSetMaxSweeps(gesvdjInfo_t info, int max_sweeps) {
  if (!info || max_sweeps < 0)
    return CUSOLVER_STATUS_INVALID_VALUE;
  info->max_sweeps = max_sweeps;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXgesvdjSetSortEig(gesvdjInfo_t info, int sort) {
  if (!info)
    return CUSOLVER_STATUS_INVALID_VALUE;
  info->sorted = sort != 0;
  return CUSOLVER_STATUS_SUCCESS;
}

// ---- moving matrices

namespace {

// A column-major matrix in device memory.
template <class T> struct Matrix {
  T *at;
  int ld;

  std::vector<T> packed(int rows, int columns) const {
    std::vector<T> to;
    for (int j = 0; j < columns; j++)
      to.insert(to.end(), column(j), column(j) + rows);
    return to;
  }
  void store(int rows, int columns, const T *from) const {
    for (int j = 0; j < columns; j++)
      std::copy_n(from + static_cast<size_t>(j) * static_cast<size_t>(rows), rows, column(j));
  }
  void store_adjoint(int rows, int columns, const T *from) const { // from: columns x rows
    for (int j = 0; j < columns; j++)
      for (int i = 0; i < rows; i++)
        column(j)[i] = conjugate(from[static_cast<size_t>(i) * static_cast<size_t>(columns) + static_cast<size_t>(j)]);
  }
  void spoil(int rows, int columns) const {
    for (int j = 0; j < columns; j++)
      std::fill_n(column(j), rows, T(std::numeric_limits<Real<T>>::quiet_NaN()));
  }
  Matrix at_batch(int b, int columns) const {
    return {at + static_cast<size_t>(b) * static_cast<size_t>(ld) * static_cast<size_t>(columns), ld};
  }

private:
  T *column(int j) const { return at + static_cast<size_t>(j) * static_cast<size_t>(ld); }
};

template <class T> void spoil_work(T *work, int lwork) { Matrix<T>{work, lwork}.spoil(lwork, 1); }

// With sorting off any order is right: the reverse one shows who relies on it.
template <class T> void reverse_order(Svd<T> &svd) {
  const size_t m = static_cast<size_t>(svd.m), n = static_cast<size_t>(svd.n), k = svd.S.size();
  const size_t vt_rows = static_cast<size_t>(svd.rows_of_vt());
  std::reverse(svd.S.begin(), svd.S.end());
  for (size_t j = 0; j < k / 2; j++) {
    for (size_t i = 0; i < m; i++)
      std::swap(svd.U[j * m + i], svd.U[(k - 1 - j) * m + i]);
    for (size_t i = 0; i < n; i++)
      std::swap(svd.VT[i * vt_rows + j], svd.VT[i * vt_rows + k - 1 - j]);
  }
}

template <class T> struct Jacobi { // arguments of one matrix of gesvdj and gesvdjBatched
  cusolverEigMode_t jobz;
  bool thin;
  bool sorted;
  int m, n;
  Matrix<T> A, U, V;
  Real<T> *S;
  int *info;
};

template <class T> void run_jacobi(const Jacobi<T> &a, bool failing) {
  Svd<T> svd = svd_of(a.m, a.n, a.thin, a.A.packed(a.m, a.n), failing);
  a.A.spoil(a.m, a.n);
  *a.info = svd.info;
  if (svd.S.empty())
    return;
  spoil_null_columns(svd);
  if (!a.sorted)
    reverse_order(svd);
  std::copy(svd.S.begin(), svd.S.end(), a.S);
  if (a.jobz == CUSOLVER_EIG_MODE_VECTOR) {
    a.U.store(a.m, svd.columns_of_u(), svd.U.data());
    a.V.store_adjoint(a.n, svd.rows_of_vt(), svd.VT.data());
  }
}

// ---- checks

bool bad_shape(int m, int n, int lda) { return m < 0 || n < 0 || lda < std::max(1, m); }

bool bad_vectors(cusolverEigMode_t jobz, int m, int n, int ldu, int ldv) {
  if (jobz != CUSOLVER_EIG_MODE_VECTOR && jobz != CUSOLVER_EIG_MODE_NOVECTOR)
    return true;
  return jobz == CUSOLVER_EIG_MODE_VECTOR && (ldu < std::max(1, m) || ldv < std::max(1, n));
}

cusolverStatus_t check_handle(cusolverDnHandle_t handle) {
  int device;
  if (!handle || cudaGetDevice(&device))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  return device == handle->device ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_EXECUTION_FAILED;
}

template <class Work> cusolverStatus_t enqueue(cusolverDnHandle_t handle, Work work) {
  auto queued = handle->queued;
  auto ran = std::make_shared<std::atomic<bool>>(false); // a graph may run it again
  ++*queued;
  if (!simt::enqueue(handle->stream, [work = std::move(work), queued, ran] {
        work();
        if (!ran->exchange(true))
          --*queued;
      }))
    return CUSOLVER_STATUS_SUCCESS;
  --*queued;
  return CUSOLVER_STATUS_INTERNAL_ERROR;
}

// ---- gesvdjBatched: capturable

int batched_work(int m, int n, int batch) { return 32 + batch * (m + n); }

template <class T>
cusolverStatus_t gesvdj_batched_size(cusolverDnHandle_t handle, int m, int n, int lda, int *lwork, int batch) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  if (bad_shape(m, n, lda) || m > 32 || n > 32 || batch < 0)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *lwork = batched_work(m, n, batch);
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T>
cusolverStatus_t gesvdj_batched(cusolverDnHandle_t handle, const Jacobi<T> &first, T *work, int lwork,
                                gesvdjInfo_t params, int batch) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  const int m = first.m, n = first.n;
  // U and V are scratch memory even where no vectors are asked for.
  if (bad_shape(m, n, first.A.ld) || bad_vectors(CUSOLVER_EIG_MODE_VECTOR, m, n, first.U.ld, first.V.ld) || m > 32 ||
      n > 32 || batch < 0 || !params || lwork < batched_work(m, n, batch) || !first.U.at || !first.V.at)
    return CUSOLVER_STATUS_INVALID_VALUE;
  Jacobi<T> base = first;
  base.sorted = params->sorted;
  return enqueue(handle, [=] {
    spoil_work(work, lwork);
    for (int b = 0; b < batch; b++) {
      Jacobi<T> one = base;
      one.A = base.A.at_batch(b, n), one.U = base.U.at_batch(b, m), one.V = base.V.at_batch(b, n);
      one.S = base.S + b * std::min(m, n), one.info = base.info + b;
      one.U.spoil(m, m), one.V.spoil(n, n);
      run_jacobi(one, fails(b));
    }
  });
}

// ---- gesvdj: waits for the stream, so cannot be captured

int jacobi_work(int m, int n) { return 64 + 2 * (m + n); }

template <class T> cusolverStatus_t gesvdj_size(cusolverDnHandle_t handle, int m, int n, int lda, int *lwork) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  if (bad_shape(m, n, lda))
    return CUSOLVER_STATUS_INVALID_VALUE;
  *lwork = jacobi_work(m, n);
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T>
cusolverStatus_t gesvdj(cusolverDnHandle_t handle, const Jacobi<T> &a, T *work, int lwork, gesvdjInfo_t params) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  if (bad_shape(a.m, a.n, a.A.ld) || bad_vectors(a.jobz, a.m, a.n, a.U.ld, a.V.ld) || !params ||
      lwork < jacobi_work(a.m, a.n))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (simt::library_waits(handle->stream))
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  const long call = handle->calls++;
  return enqueue(handle, [=] {
    spoil_work(work, lwork);
    run_jacobi(a, fails(call));
  });
}

// ---- gesvd: the same, m >= n only, returns V^H

int qr_work(int m, int n) { return 64 + 4 * (m + n); }

cusolverStatus_t gesvd_size(cusolverDnHandle_t handle, int m, int n, int *lwork) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  if (n < 0 || m < n)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *lwork = qr_work(m, n);
  return CUSOLVER_STATUS_SUCCESS;
}

bool is_job(signed char job) { return job == 'A' || job == 'S' || job == 'O' || job == 'N'; }

template <class T>
cusolverStatus_t gesvd(cusolverDnHandle_t handle, signed char jobu, signed char jobvt, int m, int n, Matrix<T> A,
                       Real<T> *S, Matrix<T> U, Matrix<T> VT, T *work, int lwork, int *info) {
  if (cusolverStatus_t s = check_handle(handle))
    return s;
  if (bad_shape(m, n, A.ld) || m < n || !is_job(jobu) || !is_job(jobvt) || (jobu == 'O' && jobvt == 'O') ||
      lwork < qr_work(m, n))
    return CUSOLVER_STATUS_INVALID_VALUE;
  const bool u = jobu == 'A' || jobu == 'S', vt = jobvt == 'A' || jobvt == 'S';
  if ((u && U.ld < std::max(1, m)) || (vt && VT.ld < std::max(1, n)))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (simt::library_waits(handle->stream))
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  const long call = handle->calls++;
  return enqueue(handle, [=] {
    spoil_work(work, lwork);
    const Svd<T> svd = svd_of(m, n, jobu != 'A', A.packed(m, n), fails(call));
    A.spoil(m, n);
    *info = svd.info;
    std::copy(svd.S.begin(), svd.S.end(), S);
    if (jobu != 'N')
      (u ? U : A).store(m, jobu == 'A' ? m : n, svd.U.data());
    if (jobvt != 'N')
      (vt ? VT : A).store(n, n, svd.VT.data());
  });
}

// cuComplex is two reals, as std::complex is.
float *native(float *p) { return p; }
double *native(double *p) { return p; }
std::complex<float> *native(cuComplex *p) { return reinterpret_cast<std::complex<float> *>(p); }
std::complex<double> *native(cuDoubleComplex *p) { return reinterpret_cast<std::complex<double> *>(p); }

} // namespace

// ---- the four types

#define ENTRY_POINTS(t, T, N, R)                                                                                       \
  cusolverStatus_t cusolverDn##t##gesvdjBatched_bufferSize(cusolverDnHandle_t handle, cusolverEigMode_t, int m, int n, \
                                                           const T *, int lda, const R *, const T *, int, const T *,   \
                                                           int, int *lwork, gesvdjInfo_t, int batch) {                 \
    return gesvdj_batched_size<N>(handle, m, n, lda, lwork, batch);                                                    \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##t##gesvdjBatched(cusolverDnHandle_t handle, cusolverEigMode_t jobz, int m, int n, T *A, \
                                                int lda, R *S, T *U, int ldu, T *V, int ldv, T *work, int lwork,       \
                                                int *info, gesvdjInfo_t params, int batch) {                           \
    const Jacobi<N> first = {jobz, false, true, m, n, {native(A), lda}, {native(U), ldu}, {native(V), ldv}, S, info};  \
    return gesvdj_batched(handle, first, native(work), lwork, params, batch);                                          \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##t##gesvdj_bufferSize(cusolverDnHandle_t handle, cusolverEigMode_t, int, int m, int n,   \
                                                    const T *, int lda, const R *, const T *, int, const T *, int,     \
                                                    int *lwork, gesvdjInfo_t) {                                        \
    return gesvdj_size<N>(handle, m, n, lda, lwork);                                                                   \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##t##gesvdj(cusolverDnHandle_t handle, cusolverEigMode_t jobz, int econ, int m, int n,    \
                                         T *A, int lda, R *S, T *U, int ldu, T *V, int ldv, T *work, int lwork,        \
                                         int *info, gesvdjInfo_t params) {                                             \
    const Jacobi<N> a = {jobz, econ != 0, true, m, n, {native(A), lda}, {native(U), ldu}, {native(V), ldv}, S, info};  \
    return gesvdj(handle, a, native(work), lwork, params);                                                             \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##t##gesvd_bufferSize(cusolverDnHandle_t handle, int m, int n, int *lwork) {              \
    return gesvd_size(handle, m, n, lwork);                                                                            \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##t##gesvd(cusolverDnHandle_t handle, signed char jobu, signed char jobvt, int m, int n,  \
                                        T *A, int lda, R *S, T *U, int ldu, T *VT, int ldvt, T *work, int lwork, R *,  \
                                        int *info) {                                                                   \
    return gesvd<N>(handle, jobu, jobvt, m, n, {native(A), lda}, S, {native(U), ldu}, {native(VT), ldvt},              \
                    native(work), lwork, info);                                                                        \
  }
ENTRY_POINTS(S, float, float, float)
ENTRY_POINTS(D, double, double, double)
ENTRY_POINTS(C, cuComplex, std::complex<float>, float)
ENTRY_POINTS(Z, cuDoubleComplex, std::complex<double>, double)
