# SPDX-License-Identifier: BSD-3-Clause
"""Peers of peers.py that are called from C or C++: loops over gesdd of several LAPACKs, MKL's batched SVD, Eigen.

None of them computes gradients.  The LAPACKs are the shared libraries that the environment of the peers has from PyPI;
native.c gets the address of their gesdd.
"""
import ctypes
import glob
import os
import sysconfig

import numpy

import library

DTYPES = ("float32", "float64")  # by svdgrad_dtype_t


def find(*places):
    """The file that a pattern stands for, among site-packages (or what is beside them)."""
    pattern = os.path.join(*places)
    paths = glob.glob(pattern)
    if not paths:
        raise FileNotFoundError(f"no {os.path.basename(pattern)} in {os.path.dirname(pattern)}")
    return paths[0]


def site_packages():
    return sysconfig.get_paths()["platlib"]


class Native:
    """All arrays are packed and row-major: a row-major A is the column-major A^T."""

    ops = ("svd", "svdvals")

    def __init__(self, build, threads):
        self.native = ctypes.CDLL(os.path.join(build, "bench", "libbench_native.so"))
        self.threads = threads
        self.open(build)

    def load(self, A, G):
        self.A, k = A, min(A.shape[1:])
        self.S = numpy.zeros((len(A), k), A.dtype)
        self.U, self.Vh = (numpy.zeros(shape, A.dtype) for shape in ((len(A), A.shape[1], k), (len(A), k, A.shape[2])))

    def repeat(self, op, calls):
        vectors = op == "svd"
        self.call(calls, library.pointer(self.A), library.pointer(self.S), library.pointer(self.U if vectors else None),
                  library.pointer(self.Vh if vectors else None))

    def run(self, op):
        self.repeat(op, 1)
        return (self.U, self.S, self.Vh) if op == "svd" else (self.S,)

    def sizes(self):
        batch, m, n = self.A.shape
        return [ctypes.c_int64(x) for x in (m, n, batch)]

    def dtype(self):
        return DTYPES.index(self.A.dtype.name)


# ---- loops over gesdd ----------------------------------------------------------------------------


class Loop(Native):
    """A loop of gesdd calls, spread over the threads; the LAPACK is the one svdgrad was built with."""

    name, blas, ours = "gesdd-loop", "", True
    choose_blas_threads = True
    version = "the LAPACK that svdgrad was built with"

    def open(self, build):
        self.lapack = None

    def gesdd(self):
        """Its address; NULL stands for the one that native.c is linked with."""
        if not self.lapack:
            return None
        return ctypes.cast(self.lapack["sd"[self.dtype()] + "gesdd_"], ctypes.c_void_p)

    def call(self, calls, A, S, U, Vh):
        failures = self.native.native_gesdd(self.gesdd(), calls, self.dtype(), *self.sizes(), self.threads, A, S, U, Vh)
        if failures:
            raise RuntimeError("gesdd did not converge")


class OpenBlasLoop(Loop):
    name, blas, ours, version = "openblas-loop", "scipy_openblas32", False, "scipy-openblas32"

    def open(self, build):
        self.openblas = ctypes.CDLL(find(site_packages(), "scipy_openblas32", "lib", "libscipy_openblas.so"))
        self.lapack = {name: self.openblas["scipy_" + name] for name in ("sgesdd_", "dgesdd_")}


class MklLoop(Loop):
    name, blas, ours, version = "mkl-loop", "libmkl_rt", False, "mkl"
    environment = {"MKL_THREADING_LAYER": "GNU"}  # the OpenMP of native.c

    def open(self, build):
        # Beside site-packages: .../lib/libmkl_rt.so.N
        self.lapack = ctypes.CDLL(find(site_packages(), "..", "..", "libmkl_rt.so*"), ctypes.RTLD_GLOBAL)


class AoclLoop(Loop):
    name, blas, ours, version = "aocl-loop", "libblis", False, "aoclda"
    environment = {"BLIS_NUM_THREADS": "1", "KMP_BLOCKTIME": "0"}  # its own OpenMP: no spinning beside native.c's

    def open(self, build):
        for name in ("libomp-*", "libaoclutils-*", "libblis-*", "libflame-*"):  # each finds those before by their names
            self.lapack = ctypes.CDLL(find(site_packages(), "aoclda.libs", name), ctypes.RTLD_GLOBAL)


class MklBatched(MklLoop):
    """gesvda_batch_strided with the full rank, on threads of MKL; with vectors.  It is right for rows >= columns:
    wide matrices are transposed, by taking row-major ones for column-major ones.  It wants each U as far from the next
    as if they were square; the memory between them is never touched."""

    name, ops = "mkl-batched", ("svd",)

    def load(self, A, G):
        batch, m, n = A.shape
        self.wide = m < n
        self.A = numpy.ascontiguousarray(A if self.wide else numpy.swapaxes(A, 1, 2))  # column-major; it keeps A
        rows, k = max(m, n), min(m, n)
        self.S, self.VT = numpy.zeros((batch, k), A.dtype), numpy.zeros((batch, k, k), A.dtype)
        self.U = numpy.zeros((batch, rows, rows), A.dtype)
        self.rank, self.info, self.iparm = (numpy.full(size, x, "i4") for size, x in ((batch, k), (batch, 0), (16, 0)))
        self.residual = numpy.zeros(batch, A.dtype)
        self.function = self.lapack["sd"[self.dtype()] + "gesvda_batch_strided"]
        self.work = numpy.zeros(1, A.dtype)
        self.function(*self.arguments(-1))
        self.work = numpy.zeros(int(self.work[0] * (1 + 1e-6)) + 1, A.dtype)

    def arguments(self, lwork):
        batch, k, rows = self.A.shape
        sizes = [ctypes.byref(ctypes.c_int(x)) for x in (rows, k, rows * k, rows * rows, k * k, batch, lwork)]
        m, n, stride_A, stride_U, stride_VT, batch, lwork = sizes
        A, S, U, VT, rank, info, iparm, residual, work = map(library.pointer, (
            self.A, self.S, self.U, self.VT, self.rank, self.info, self.iparm, self.residual, self.work))
        tolerance = ctypes.byref((ctypes.c_float, ctypes.c_double)[self.dtype()](0))
        return (iparm, rank, m, n, A, m, stride_A, S, n, U, m, stride_U, VT, n, stride_VT, tolerance, residual, work,
                lwork, batch, info)

    def repeat(self, op, calls):
        arguments = self.arguments(len(self.work))
        for _ in range(calls):
            self.function(*arguments)
        if self.info.any():
            raise RuntimeError(f"gesvda: info {self.info[self.info != 0][0]}")

    def run(self, op):
        self.repeat(op, 1)
        batch, k, rows = self.A.shape
        U = self.U.reshape(batch, rows * rows)[:, :rows * k].reshape(batch, k, rows)  # column-major
        if self.wide:  # A^T = U S VT, and a column-major VT is U of A
            return self.VT, self.S, U
        return numpy.swapaxes(U, 1, 2), self.S, numpy.swapaxes(self.VT, 1, 2)


# ---- Eigen ---------------------------------------------------------------------------------------


class EigenBdc(Native):
    name, use_bdc, largest = "eigen-bdc", 1, 512

    def open(self, build):
        self.eigen = ctypes.CDLL(os.path.join(build, "bench", "libbench_eigen.so"))
        version = self.eigen.eigen_version()
        self.version = f"Eigen {version // 10000}.{version // 100 % 100}.{version % 100}, -O3 -march=native"

    def call(self, calls, A, S, U, Vh):
        for _ in range(calls):
            self.eigen.eigen_svd(self.use_bdc, self.dtype(), *self.sizes(), self.threads, A, S, U, Vh)


class EigenJacobi(EigenBdc):
    name, use_bdc = "eigen-jacobi", 0
    largest = 64  # of min(m, n): above that one matrix takes seconds, and Eigen's manual advises against it
