# SPDX-License-Identifier: BSD-3-Clause
"""What compare.py times: one class per peer, and the worker process that holds one of them.

A worker reads requests, one JSON object a line, from standard input and answers each with one line.  A peer gets the
whole batch in the form it likes best, outside the timing; what `run` does is timed.  The operations:

  svd              U, S, Vh (thin)
  svdvals          S
  fwdbwd-sum       gradient of the sum of the singular values, forward pass included
  fwdbwd-rank      gradient of <G, U_r S_r Vh_r>, r = k/2, forward pass included
  fwdbwd-truncated the same gradient from an SVD of rank r (svdgrad only)
  backward         the backward pass of fwdbwd-rank alone
"""
import ctypes
import json
import os
import sys
import time

import numpy

DTYPES = {"f32": "float32", "f64": "float64"}


def rank_of(A):
    return max(1, min(A.shape[-2:]) // 2)


# ---- svdgrad -------------------------------------------------------------------------------------


class Desc(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("dtype", ctypes.c_int), ("algo", ctypes.c_int),
                ("m", ctypes.c_int64), ("n", ctypes.c_int64), ("batch_count", ctypes.c_int64),
                ("rank", ctypes.c_int64), ("full_matrices", ctypes.c_int32), ("positive_gauge", ctypes.c_int32),
                ("max_sweeps", ctypes.c_int32), ("gap_policy", ctypes.c_int), ("gap_param", ctypes.c_double)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64), ("col_stride", ctypes.c_int64),
                ("batch_stride", ctypes.c_int64)]


class Vector(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64), ("batch_stride", ctypes.c_int64)]


def operand(x):
    """The svdgrad_matrix_t or svdgrad_vector_t of a packed array."""
    strides = [stride // x.itemsize for stride in x.strides]
    return ctypes.byref(Matrix(x.ctypes.data, strides[1], strides[2], strides[0]) if x.ndim == 3
                        else Vector(x.ctypes.data, strides[1], strides[0]))


def pointer(x):
    return ctypes.c_void_p(x.ctypes.data)


class Problem:
    """Buffers for one batch at one rank: what a caller of svdgrad allocates."""

    def __init__(self, peer, A, rank):
        batch, m, n = A.shape
        self.rank = rank
        self.desc = Desc(ctypes.sizeof(Desc), list(DTYPES.values()).index(A.dtype.name), peer.algo, m, n, batch,
                         0 if rank == min(m, n) else rank)
        self.A, self.gA = A, numpy.empty_like(A)
        self.S, self.U, self.Vh = (numpy.zeros(shape, A.dtype) for shape in ((batch, rank), (batch, m, rank),
                                                                             (batch, rank, n)))
        # Zeros that nobody writes to take no memory.
        self.gS, self.gU, self.gVh, self.ones = (numpy.zeros(x.shape, x.dtype)
                                                 for x in (self.S, self.U, self.Vh, self.S))
        self.info = numpy.zeros(batch, "int32")
        self.work_bytes = [peer.work_bytes(op, self.desc) for op in range(3)]
        memory = numpy.empty(max(self.work_bytes) + 256, "uint8")
        self.work = memory[-memory.ctypes.data % 256:]


class Svdgrad:
    """This library; algo is what svdgrad_algo_t calls AUTO."""

    name, algo = "svdgrad", 0
    ops = ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "fwdbwd-truncated", "backward")
    OP_SVD, OP_SVDVALS, OP_SVD_BACKWARD = range(3)

    def __init__(self, build, threads):
        self.library = ctypes.CDLL(os.path.join(build, "libsvdgrad.so"))
        self.native = ctypes.CDLL(os.path.join(build, "bench", "libbench_native.so"))
        self.threads = threads
        self.library.svdgrad_last_error_message.restype = ctypes.c_char_p
        self.library.svdgrad_algorithm_name.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self.check(self.library.svdgrad_create(1, 0, ctypes.byref(self.handle)))
        self.check(self.library.svdgrad_set_num_threads(self.handle, threads))
        version = self.library.svdgrad_version()
        self.version = f"svdgrad {version // 10000}.{version // 100 % 100}.{version % 100}"

    def check(self, status):
        if status:
            raise RuntimeError(self.library.svdgrad_last_error_message().decode())

    def work_bytes(self, op, desc):
        size = ctypes.c_size_t()
        self.check(self.library.svdgrad_workspace_size(self.handle, op, ctypes.byref(desc), ctypes.byref(size)))
        return size.value

    def algorithm(self, op):
        code = {"svdvals": self.OP_SVDVALS, "backward": self.OP_SVD_BACKWARD}.get(op, self.OP_SVD)
        problem = self.truncated() if op == "fwdbwd-truncated" else self.full
        return self.library.svdgrad_algorithm_name(self.handle, code, ctypes.byref(problem.desc)).decode()

    def load(self, A, G):
        self.A, self.G = A, G
        self.full, self.part = Problem(self, A, min(A.shape[1:])), None

    def truncated(self):
        self.part = self.part or Problem(self, self.A, rank_of(self.A))
        return self.part

    def forward(self, p, vectors=True):
        op = self.OP_SVD if vectors else self.OP_SVDVALS
        self.check(self.library.svdgrad_svd(
            self.handle, None, ctypes.byref(p.desc), operand(p.A), operand(p.S), operand(p.U) if vectors else None,
            operand(p.Vh) if vectors else None, pointer(p.info), pointer(p.work),
            ctypes.c_size_t(p.work_bytes[op])))

    def backward(self, p, gS, gU=None, gVh=None):
        self.check(self.library.svdgrad_svd_backward(
            self.handle, None, ctypes.byref(p.desc), operand(p.A), operand(p.S), operand(p.U), operand(p.Vh),
            operand(gS), gU is not None and operand(gU) or None, gVh is not None and operand(gVh) or None,
            ctypes.c_double(1), ctypes.c_double(0), operand(p.gA), None, pointer(p.work),
            ctypes.c_size_t(p.work_bytes[self.OP_SVD_BACKWARD])))
        return (p.gA,)

    def cotangents(self, p):
        sizes = [ctypes.c_int64(x) for x in (*p.A.shape[1:], p.rank, rank_of(p.A), len(p.A))]
        self.native.native_cotangents(p.desc.dtype, *sizes, self.threads,
                                      *map(pointer, (self.G, p.S, p.U, p.Vh, p.gS, p.gU, p.gVh)))

    def run(self, op):
        p = self.truncated() if op == "fwdbwd-truncated" else self.full
        if op != "backward":  # which needs the rest to have been run before
            self.forward(p, vectors=op != "svdvals")
        if op == "svdvals":
            return (p.S,)
        if op == "svd":
            return p.U, p.S, p.Vh
        if op == "fwdbwd-sum":
            p.ones.fill(1)
            return self.backward(p, p.ones)
        if op != "backward":
            self.cotangents(p)
        return self.backward(p, p.gS, p.gU, p.gVh)

    def bytes(self, op):
        """Inputs and outputs, and workspace, of one call."""
        p = self.full
        forward = sum(x.nbytes for x in (p.A, p.S, p.U, p.Vh, p.info))
        if op == "svd":
            return forward, p.work_bytes[self.OP_SVD]
        return forward + sum(x.nbytes for x in (self.G, p.gS, p.gU, p.gVh, p.gA)), max(p.work_bytes)


class Vendor(Svdgrad):
    """This library, told to use LAPACK for the forward pass."""

    name, algo = "svdgrad-vendor", 2
    ops = ("svd", "svdvals")


# ---- peers in C and C++: no gradients ------------------------------------------------------------


class Native:
    ops = ("svd", "svdvals")

    def load(self, A, G):
        self.A, k = A, min(A.shape[1:])
        self.S = numpy.zeros((len(A), k), A.dtype)
        self.U, self.Vh = (numpy.zeros(shape, A.dtype) for shape in ((len(A), A.shape[1], k), (len(A), k, A.shape[2])))

    def run(self, op):
        vectors = op == "svd"
        self.call(pointer(self.A), pointer(self.S), pointer(self.U) if vectors else None,
                  pointer(self.Vh) if vectors else None)
        return (self.U, self.S, self.Vh) if vectors else (self.S,)

    def sizes(self):
        batch, m, n = self.A.shape
        return [ctypes.c_int64(x) for x in (m, n, batch)] + [self.threads]


class Loop(Native):
    """A loop of gesdd calls, spread over the threads; the LAPACK is the one svdgrad was built with."""

    name = "gesdd-loop"

    def __init__(self, build, threads):
        self.library = ctypes.CDLL(os.path.join(build, "bench", "libbench_native.so"))
        self.threads = threads
        self.version = f"LAPACK: {self.lapack()}"

    def lapack(self):
        try:
            text = self.library.openblas_get_config
        except AttributeError:
            return "not OpenBLAS"
        text.restype = ctypes.c_char_p
        return text().decode()

    def call(self, A, S, U, Vh):
        dtype = list(DTYPES.values()).index(self.A.dtype.name)
        failures = self.library.native_gesdd(dtype, *self.sizes(), A, S, U, Vh)
        if failures:
            raise RuntimeError("gesdd did not converge")


class Mkl(Loop):
    """The same loop; compare.py has preloaded MKL, whose gesdd then comes before that of the system."""

    name = "mkl-loop"

    def lapack(self):
        text = ctypes.create_string_buffer(256)
        ctypes.CDLL(None).MKL_Get_Version_String(text, 256)
        return text.value.decode().strip()


class EigenBdc(Native):
    name, use_bdc, largest = "eigen-bdc", 1, 512

    def __init__(self, build, threads):
        self.library = ctypes.CDLL(os.path.join(build, "bench", "libbench_eigen.so"))
        self.threads = threads
        version = self.library.eigen_version()
        self.version = f"Eigen {version // 10000}.{version // 100 % 100}.{version % 100}, -O3 -march=native"

    def call(self, A, S, U, Vh):
        self.library.eigen_svd(self.use_bdc, int(self.A.itemsize == 8), *self.sizes(), A, S, U, Vh)


class EigenJacobi(EigenBdc):
    name, use_bdc = "eigen-jacobi", 0
    largest = 64  # of min(m, n): above that one matrix takes seconds, and Eigen's manual advises against it


# ---- peers in Python -----------------------------------------------------------------------------


class Numpy:
    choose_blas_threads = True  # what is faster, one or all
    name, ops = "numpy", ("svd", "svdvals")

    def __init__(self, build, threads):
        self.version = f"NumPy {numpy.__version__}"

    def load(self, A, G):
        self.A = A

    def run(self, op):
        if op == "svd":
            return tuple(numpy.linalg.svd(self.A, full_matrices=False))
        return (numpy.linalg.svd(self.A, compute_uv=False),)


class Torch:
    choose_blas_threads = True
    name, ops = "torch", ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "backward")

    def __init__(self, build, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.version = f"PyTorch {torch.__version__}"

    def load(self, A, G):
        self.A, self.G = self.torch.tensor(A, requires_grad=True), self.torch.tensor(G)
        self.loss = None

    def rank_loss(self):
        U, S, Vh = self.torch.linalg.svd(self.A, full_matrices=False)
        r = rank_of(self.A)
        return (self.G * ((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :])).sum()

    def run(self, op):
        torch = self.torch
        if op in ("svd", "svdvals"):
            A = self.A.detach()
            result = torch.linalg.svd(A, full_matrices=False) if op == "svd" else (torch.linalg.svdvals(A),)
            return tuple(x.numpy() for x in result)
        if op == "fwdbwd-sum":
            loss = torch.linalg.svdvals(self.A).sum()
        elif op == "fwdbwd-rank":
            loss = self.rank_loss()
        else:
            self.loss = loss = self.rank_loss() if self.loss is None else self.loss
        (gA,) = torch.autograd.grad(loss, self.A, retain_graph=op == "backward")
        return (gA.numpy(),)


class Jax:
    """Compiled; it spreads the batch over its own threads, so its BLAS gets one."""

    compiled = True  # for every size of the batch
    name, ops = "jax", ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank")

    def __init__(self, build, threads):
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")
        jnp = jax.numpy

        def svd(A):
            return tuple(jnp.linalg.svd(A, full_matrices=False))

        def values(A):
            return jnp.linalg.svd(A, compute_uv=False)

        def rank_loss(A, G):
            (U, S, Vh), r = svd(A), rank_of(A)
            return (G * ((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :])).sum()

        self.jax = jax
        self.version = f"JAX {jax.__version__}"
        self.functions = {"svd": jax.jit(lambda A, G: svd(A)), "svdvals": jax.jit(lambda A, G: (values(A),)),
                          "fwdbwd-sum": jax.jit(lambda A, G: (jax.grad(lambda A: values(A).sum())(A),)),
                          "fwdbwd-rank": jax.jit(lambda A, G: (jax.grad(rank_loss)(A, G),))}

    def load(self, A, G):
        self.A, self.G = self.jax.device_put(A), self.jax.device_put(G)

    def run(self, op):
        return self.jax.block_until_ready(self.functions[op](self.A, self.G))


PEERS = {peer.name: peer for peer in (Svdgrad, Vendor, Loop, Mkl, EigenJacobi, EigenBdc, Numpy, Torch, Jax)}

# ---- accuracy ------------------------------------------------------------------------------------


def norm1(X):
    return numpy.abs(X).sum(-2).max(-1)


def transposed(X):
    return numpy.swapaxes(X, -1, -2)


def rank_gradient(U, S, Vh, G, r):
    """Gradient of <G, U f(S) Vh>, where f keeps the r largest values: divided differences of f between the vectors."""
    V, lead = transposed(Vh), numpy.arange(S.shape[-1]) < r
    f = numpy.where(lead, S, 0)
    P = transposed(U) @ G @ V
    with numpy.errstate(divide="ignore", invalid="ignore"):
        slope = (f[:, :, None] - f[:, None]) / (S[:, :, None] - S[:, None])
        slope = numpy.where(numpy.eye(len(lead), dtype=bool), lead * 1.0, slope)
        slope_skew = (f[:, :, None] + f[:, None]) / (S[:, :, None] + S[:, None])
    M = (slope * (P + transposed(P)) + slope_skew * (P - transposed(P))) / 2
    outside_U = (G @ V - U @ P) * lead
    outside_V = (transposed(U) @ G - P @ Vh) * lead[:, None]
    return U @ M @ Vh + outside_U @ Vh + U @ outside_V


def accuracy(op, A, G, result):
    """Largest error of some matrices of the batch, in units in which a good result is of order 1.  The reference is
    gesdd in f64, for f64 too: a ratio of order 1 is then the error of either."""
    eps = numpy.finfo(A.dtype).eps
    A, G = A.astype("float64"), G.astype("float64")
    result = [numpy.asarray(x).astype("float64") for x in result]
    (m, n), k, r = A.shape[1:], min(A.shape[1:]), rank_of(A)
    U0, S0, Vh0 = numpy.linalg.svd(A, full_matrices=False)
    if op == "svd":
        U, S, Vh = result
        errors = (norm1(A - (U * S[:, None]) @ Vh) / norm1(A) / max(m, n),
                  norm1(transposed(U) @ U - numpy.eye(k)) / m, norm1(Vh @ transposed(Vh) - numpy.eye(k)) / n)
        return float(max(error.max() for error in errors) / eps)
    if op == "svdvals":
        return float((numpy.abs(result[0] - S0).max(-1) / S0[:, 0] / k).max() / eps)
    gA = U0 @ Vh0 if op == "fwdbwd-sum" else rank_gradient(U0, S0, Vh0, G, r)
    gaps = numpy.append(-numpy.diff(S0), S0[:, -1:], axis=1).min(-1)
    error = numpy.linalg.norm(result[0] - gA, axis=(1, 2)) / numpy.linalg.norm(gA, axis=(1, 2))
    return float((error * gaps / S0[:, 0]).max() / eps)


def sample(A):
    """Places of up to 8 matrices spread over the batch, fewer of large ones."""
    count = max(1, min(8, len(A), int(2e7 / (A.shape[1] * A.shape[2] * min(A.shape[1:])))))
    return numpy.unique(numpy.linspace(0, len(A) - 1, count).astype(int))


# ---- the worker process --------------------------------------------------------------------------


def memory(field):
    """VmRSS or VmHWM (the peak) of this process, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


def blas_setters():
    """The functions that set the number of threads of the OpenBLAS libraries in this process."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        paths = {line.split()[-1] for line in file if "blas" in line and ".so" in line}
    libraries = [ctypes.CDLL(path) for path in paths]
    return [library.openblas_set_num_threads for library in libraries if hasattr(library, "openblas_set_num_threads")]


class Worker:
    def __init__(self, name, build, threads):
        self.peer = PEERS[name](build, threads)
        self.setters = blas_setters() if getattr(self.peer, "choose_blas_threads", False) else []
        self.blas_choices = sorted({1, threads}) if self.setters else [1]
        self.blas_threads = {}  # of each operation, what is faster

    def hello(self):
        return {"version": self.peer.version, "ops": self.peer.ops, "largest": getattr(self.peer, "largest", 1 << 30),
                "compiled": getattr(self.peer, "compiled", False)}

    def load(self, directory, batch):
        self.A, self.G = (numpy.load(os.path.join(directory, name + ".npy"), mmap_mode="r")[:batch] for name in "AG")
        self.peer.load(self.A, self.G)

    def seconds(self, op, calls, blas_threads):
        for setter in self.setters:
            setter(blas_threads)
        start = time.perf_counter()
        for _ in range(calls):
            self.peer.run(op)
        return (time.perf_counter() - start) / calls

    def warm(self, op):
        """The first run (where compilers and allocators do their work), its accuracy and the time of a second one."""
        at = sample(self.A)
        result = self.peer.run(op)
        error = accuracy(op, self.A[at], self.G[at], [x[at] for x in result])
        seconds, self.blas_threads[op] = min((self.seconds(op, 1, count), count) for count in self.blas_choices)
        name = self.peer.algorithm(op) if hasattr(self.peer, "algorithm") else ""
        return {"seconds": seconds, "accuracy": error, "algorithm": name}

    def time(self, op, calls):
        return {"seconds": self.seconds(op, calls, self.blas_threads[op])}

    def memory(self, op, directory):
        """Growth of the resident memory from before the batch is loaded to the peak of the call."""
        self.load(directory, 1)
        self.peer.run(op)
        before = memory("VmRSS")
        A = numpy.load(os.path.join(directory, "A.npy"))
        self.peer.load(A, A if op == "svd" else numpy.load(os.path.join(directory, "G.npy")))
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak starts anew
        self.peer.run(op)
        known = self.peer.bytes(op) if hasattr(self.peer, "bytes") else (0, 0)
        return {"peak": memory("VmHWM") - before, "operands": known[0], "work": known[1]}


def serve(name, build, threads):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        worker = Worker(name, build, threads)
    except Exception as error:  # not installed, or not for this machine: said, and compare.py goes on without it
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}), file=answers, flush=True)
        return
    print(json.dumps(worker.hello()), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request) or {}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
