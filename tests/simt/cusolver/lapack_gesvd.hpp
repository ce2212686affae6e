// SPDX-License-Identifier: BSD-3-Clause
// LAPACK's gesvd for the four types, under one name.
#pragma once
#include <complex>
#include <cstddef>
#include <vector>

extern "C" {
#define GESVD_REAL(name, T)                                                                                            \
  void name(const char *, const char *, const int *, const int *, T *, const int *, T *, T *, const int *, T *,        \
            const int *, T *, const int *, int *);
#define GESVD_COMPLEX(name, T)                                                                                         \
  void name(const char *, const char *, const int *, const int *, std::complex<T> *, const int *, T *,                 \
            std::complex<T> *, const int *, std::complex<T> *, const int *, std::complex<T> *, const int *, T *,       \
            int *);
GESVD_REAL(sgesvd_, float)
GESVD_REAL(dgesvd_, double)
GESVD_COMPLEX(cgesvd_, float)
GESVD_COMPLEX(zgesvd_, double)
#undef GESVD_REAL
#undef GESVD_COMPLEX
}

template <class T> struct RealOf { using type = T; };
template <class R> struct RealOf<std::complex<R>> { using type = R; };
template <class T> using Real = typename RealOf<T>::type;

// OpenBLAS 0.3.21 reads beyond the end of a matrix whose rows are operands of cgemv: less than two columns more.
template <class T> void resize_with_slack(std::vector<T> &matrix, int rows, size_t columns) {
  matrix.reserve(static_cast<size_t>(rows) * (columns + 2));
  matrix.resize(static_cast<size_t>(rows) * columns);
}

// A = U diag(S) VT, column-major, all packed; job 'A' (full) or 'S' (thin).  A is destroyed.  Returns LAPACK's info.
#define LAPACK_SVD(T, routine, ...)                                                                                    \
  inline int lapack_svd(char job, int m, int n, std::vector<T> &A, std::vector<Real<T>> &S, std::vector<T> &U,         \
                        std::vector<T> &VT) {                                                                          \
    const int k = m < n ? m : n, rows_of_vt = job == 'A' ? n : k, lwork = 64 * (m + n) + 64;                           \
    std::vector<T> work(static_cast<size_t>(lwork));                                                                   \
    std::vector<Real<T>> rwork(static_cast<size_t>(5 * k + 1));                                                        \
    S.resize(static_cast<size_t>(k));                                                                                  \
    resize_with_slack(A, m, static_cast<size_t>(n));                                                                   \
    resize_with_slack(U, m, static_cast<size_t>(job == 'A' ? m : k));                                                  \
    resize_with_slack(VT, rows_of_vt, static_cast<size_t>(n));                                                         \
    int info = 0;                                                                                                      \
    routine(&job, &job, &m, &n, A.data(), &m, S.data(), U.data(), &m, VT.data(), &rows_of_vt, work.data(), &lwork,     \
            __VA_ARGS__ &info);                                                                                        \
    return info;                                                                                                       \
  }
LAPACK_SVD(float, sgesvd_, )
LAPACK_SVD(double, dgesvd_, )
LAPACK_SVD(std::complex<float>, cgesvd_, rwork.data(), )
LAPACK_SVD(std::complex<double>, zgesvd_, rwork.data(), )
#undef LAPACK_SVD
