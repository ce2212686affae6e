// SPDX-License-Identifier: BSD-3-Clause
// The SVD of one matrix as the stand-in delivers it: LAPACK's, then made as bad as cuSOLVER's may be.
#pragma once
#include "lapack_gesvd.hpp"
#include <algorithm>
#include <limits>
#include <math.h>
#include <stdlib.h>
#include <string.h>

inline double real_part(double x) { return x; }
inline double real_part(const std::complex<double> &x) { return x.real(); }
inline float conjugate(float x) { return x; }
inline double conjugate(double x) { return x; }
template <class R> std::complex<R> conjugate(const std::complex<R> &x) { return std::conj(x); }

template <class T> bool all_finite(const std::vector<T> &x) {
  return std::all_of(x.begin(), x.end(), [](const T &v) { return isfinite(std::real(v)) && isfinite(std::imag(v)); });
}

// Column-major, packed.  U has m rows, VT has n columns; full unless `thin`.
template <class T> struct Svd {
  int m, n;
  bool thin;
  std::vector<Real<T>> S;
  std::vector<T> U, VT;
  int info = 0;

  int k() const { return m < n ? m : n; }
  int columns_of_u() const { return thin ? k() : m; }
  int rows_of_vt() const { return thin ? k() : n; }
};

// What a call may return that did not work: finite, so that nothing shows it but a look at the input or at info.
template <class T> void fill_with_garbage(Svd<T> &svd) {
  svd.S.assign(static_cast<size_t>(svd.k()), Real<T>(1));
  svd.U.assign(static_cast<size_t>(svd.m) * static_cast<size_t>(svd.columns_of_u()), T(1));
  svd.VT.assign(static_cast<size_t>(svd.rows_of_vt()) * static_cast<size_t>(svd.n), T(1));
}

// Jacobi methods divide the columns of A V by S to get U: where S is nothing, U is garbage.
template <class T> void spoil_null_columns(Svd<T> &svd) {
  const char *how = getenv("FAKE_CUSOLVER_NULL"); // zero (the default), nan, fine
  if (how && !strcmp(how, "fine"))
    return;
  using R = Real<T>;
  const R bad = how && !strcmp(how, "nan") ? std::numeric_limits<R>::quiet_NaN() : R(0);
  const R negligible = static_cast<R>(std::max(svd.m, svd.n)) * std::numeric_limits<R>::epsilon() * svd.S[0];
  const size_t m = static_cast<size_t>(svd.m);
  for (size_t j = 0; j < svd.S.size(); j++)
    if (svd.S[j] <= negligible)
      std::fill_n(svd.U.begin() + static_cast<std::ptrdiff_t>(j * m), m, T(bad));
}

template <class T> Svd<T> svd_of(int m, int n, bool thin, std::vector<T> A, bool fails) {
  Svd<T> svd = {m, n, thin, {}, {}, {}};
  if (m == 0 || n == 0)
    return svd;
  if (fails || !all_finite(A)) {
    fill_with_garbage(svd);
    svd.info = fails ? svd.k() + 1 : 0;
    return svd;
  }
  if (lapack_svd(thin ? 'S' : 'A', m, n, A, svd.S, svd.U, svd.VT))
    svd.info = svd.k() + 1;
  return svd;
}

// FAKE_CUSOLVER_FAIL=b: matrix b does not converge.
inline bool fails(long matrix) {
  const char *which = getenv("FAKE_CUSOLVER_FAIL");
  return which && *which && atol(which) == matrix;
}
