# SPDX-License-Identifier: BSD-3-Clause
"""libsvdgrad through ctypes: the structs of svdgrad.h, and its functions on packed NumPy arrays.

An operand is an array whose first axis is the batch.  None stands for NULL.  Every function writes into the arrays it
is given; what a caller of the C API must bring, workspace included, is the caller's to keep here, too.
"""
import ctypes
import os

import numpy

DTYPES = ("float32", "float64", "complex64", "complex128")  # by svdgrad_dtype_t
BACKENDS = ("ref", "cpu")
POLICIES = ("DEFAULT", "EXACT", "MASK", "NOISE_FLOOR", "LORENTZ")
FUNCTIONS = ("POLAR", "RANK", "SOFT_THRESHOLD", "HARD_THRESHOLD", "CLIP", "POWER", "INVERSE", "ROTATION", "CUSTOM",
             "SIGN")
NORMS = ("NUCLEAR", "SPECTRAL", "SCHATTEN", "LOG_DETERMINANT")
OPS = ("svd", "svdvals", "svd_backward", "svd_jvp", "svd_backward_backward", "matrix_function",
       "matrix_function_backward", "norm", "norm_gradient", "power_iteration", "spectral_normalize",
       "spectral_normalize_backward", "determinant", "determinant_gradient")  # by svdgrad_op_t
DROPPED, GAUGE, CUT = 1, 2, 4  # flags of a report
REPORT = numpy.dtype([("min_gap", "f8"), ("gauge_residual", "f8"), ("amplification", "f8"), ("dropped_pairs", "i4"),
                      ("flags", "i4")])


class Desc(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("dtype", ctypes.c_int), ("algo", ctypes.c_int),
                ("m", ctypes.c_int64), ("n", ctypes.c_int64), ("batch_count", ctypes.c_int64),
                ("rank", ctypes.c_int64), ("full_matrices", ctypes.c_int32), ("positive_gauge", ctypes.c_int32),
                ("max_sweeps", ctypes.c_int32), ("gap_policy", ctypes.c_int), ("gap_param", ctypes.c_double),
                ("parallel_for", ctypes.c_void_p), ("pool", ctypes.c_void_p), ("batch_invariant", ctypes.c_int32)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64), ("col_stride", ctypes.c_int64),
                ("batch_stride", ctypes.c_int64)]


class Vector(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64), ("batch_stride", ctypes.c_int64)]


class Function(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("kind", ctypes.c_int), ("form", ctypes.c_int),
                ("param", ctypes.c_double), ("f", Vector), ("df", Vector), ("null_value", ctypes.c_double),
                ("relative", ctypes.c_int32)]


def describe(A, rank=0, algo=0, policy="DEFAULT", gap_param=0.0):
    batch, m, n = A.shape
    return Desc(ctypes.sizeof(Desc), DTYPES.index(A.dtype.name), algo, m, n, batch, 0 if rank == min(m, n) else rank, 0,
                0, 0, POLICIES.index(policy), gap_param)


def vector(x):
    return Vector(x.ctypes.data, x.strides[1] // x.itemsize, x.strides[0] // x.itemsize)


def operand(x):
    """The svdgrad_matrix_t or svdgrad_vector_t of an array."""
    if x is None:
        return None
    if x.ndim == 2:
        return ctypes.byref(vector(x))
    batch, row, col = (stride // x.itemsize for stride in x.strides)
    return ctypes.byref(Matrix(x.ctypes.data, row, col, batch))


def pointer(x):
    return None if x is None else ctypes.c_void_p(x.ctypes.data)


def function(kind, param=0.0, f=None, df=None):
    """A function of the singular values; f and df of CUSTOM must outlive it."""
    made = Function(ctypes.sizeof(Function), FUNCTIONS.index(kind), 0, param)
    if f is not None:
        made.f = vector(f)
    if df is not None:
        made.df = vector(df)
    return made


def aligned(size):
    memory = numpy.empty(size + 256, "uint8")
    return memory[-memory.ctypes.data % 256:]


class Library:
    """A handle.  `work` of a call is a pair (memory, bytes of this operation); `workspace` makes one."""

    def __init__(self, build, threads=1, backend="cpu"):
        self.so = ctypes.CDLL(os.path.join(build, "libsvdgrad.so"))
        self.so.svdgrad_last_error_message.restype = ctypes.c_char_p
        self.so.svdgrad_algorithm_name.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self.check(self.so.svdgrad_create(BACKENDS.index(backend), 0, ctypes.byref(self.handle)))
        self.check(self.so.svdgrad_set_num_threads(self.handle, threads))
        version = self.so.svdgrad_version()
        self.version = f"{version // 10000}.{version // 100 % 100}.{version % 100}"

    def check(self, status):
        if status:
            raise RuntimeError(self.so.svdgrad_last_error_message().decode())

    def work_bytes(self, op, desc):
        size = ctypes.c_size_t()
        self.check(self.so.svdgrad_workspace_size(self.handle, OPS.index(op), ctypes.byref(desc), ctypes.byref(size)))
        return size.value

    def workspace(self, op, desc):
        size = self.work_bytes(op, desc)
        return aligned(size), size

    def algorithm(self, op, desc):
        return self.so.svdgrad_algorithm_name(self.handle, OPS.index(op), ctypes.byref(desc)).decode()

    def call(self, name, desc, *arguments):
        """svdgrad_<name> with arrays as operands, floats as doubles, the last argument as `work`."""
        *arguments, (memory, size) = arguments
        self.check(getattr(self.so, "svdgrad_" + name)(self.handle, None, ctypes.byref(desc), *arguments,
                                                       pointer(memory), ctypes.c_size_t(size)))

    def svd(self, desc, A, S, U, Vh, info, work):
        self.call("svd", desc, *map(operand, (A, S, U, Vh)), pointer(info), work)

    def svd_backward(self, desc, A, S, U, Vh, gS, gU, gVh, gA, report, work):
        self.call("svd_backward", desc, *map(operand, (A, S, U, Vh, gS, gU, gVh)), ctypes.c_double(1),
                  ctypes.c_double(0), operand(gA), pointer(report), work)

    def svd_jvp(self, desc, A, S, U, Vh, dA, dS, dU, dVh, work):
        self.call("svd_jvp", desc, *map(operand, (A, S, U, Vh, dA, dS, dU, dVh)), None, work)

    def svd_backward_backward(self, desc, S, U, Vh, gS, gU, gVh, ggA, gA, work):
        self.call("svd_backward_backward", desc, *map(operand, (S, U, Vh, gS, gU, gVh, ggA)), None, None, None,
                  ctypes.c_double(1), ctypes.c_double(0), operand(gA), None, work)

    def matrix_function(self, desc, function, S, U, Vh, Y, work):
        self.call("matrix_function", desc, ctypes.byref(function), *map(operand, (S, U, Vh, Y)), work)

    def matrix_function_backward(self, desc, function, S, U, Vh, gY, gA, report, work):
        self.call("matrix_function_backward", desc, ctypes.byref(function), *map(operand, (S, U, Vh, gY)),
                  ctypes.c_double(1), ctypes.c_double(0), operand(gA), pointer(report), work)

    def norm(self, desc, kind, p, A, value, gA, info, work):
        self.call("norm", desc, NORMS.index(kind), ctypes.c_double(p), operand(A), operand(value), None,
                  ctypes.c_double(1), ctypes.c_double(0), operand(gA), pointer(info), work)

    def spectral_normalize(self, desc, A, iterations, u, v, sigma, Y, info, work):
        self.call("spectral_normalize", desc, operand(A), ctypes.c_int32(iterations), operand(u), operand(v),
                  operand(sigma), None, operand(Y), pointer(info), work)

    def spectral_normalize_backward(self, desc, A, u, v, sigma, gY, gA, work):
        self.call("spectral_normalize_backward", desc, *map(operand, (A, u, v, sigma, gY)), ctypes.c_double(1),
                  ctypes.c_double(0), operand(gA), work)
