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

and the functions of the SVD; those of svdgrad also composed of svdgrad_svd_backward() and the like:

  polar, rank, pinv  U Vh, the leading k/2 triplets, the pseudo-inverse, and the gradient of <G, it>
  nuclear            the nuclear norm and its gradient
  nuclear-hvp        the product of its Hessian with G
  svd-jvp            U, S, Vh and their tangents along G
  normalize          A / sigma after one step of a power iteration from the last u and v, and the gradient of <G, it>
"""
import ctypes
import json
import os
import sys
import time

import numpy

import library

DTYPES = {"f32": "float32", "f64": "float64"}
COMPOSED = "-composed"  # of svdgrad: by the factors and their cotangents, not by the function's own calls


def rank_of(A):
    return max(1, min(A.shape[-2:]) // 2)


def function_of(op):
    return op[:-len(COMPOSED)] if op.endswith(COMPOSED) else op


# ---- svdgrad -------------------------------------------------------------------------------------


def zeros(like):
    """Takes no memory until somebody writes there; numpy.zeros_like writes."""
    return numpy.zeros(like.shape, like.dtype)


class Problem:
    """Buffers for one batch at one rank: what a caller of svdgrad allocates."""

    def __init__(self, lib, A, rank, algo):
        batch, m, n = A.shape
        self.lib, self.rank, self.A, self.gA = lib, rank, A, numpy.empty_like(A)
        self.desc = library.describe(A, rank, algo)
        shapes = {"S": (batch, rank), "U": (batch, m, rank), "Vh": (batch, rank, n), "value": (batch, 1),
                  "u": (batch, m), "v": (batch, n)}
        for name, shape in shapes.items():
            setattr(self, name, numpy.zeros(shape, A.dtype))
        self.tangents = [zeros(x) for x in (self.S, self.U, self.Vh)]
        self.cotangents = {}  # of S, U and Vh, for each loss
        self.ones, self.Y = numpy.zeros((batch, rank), A.dtype), zeros(A)
        self.info = numpy.zeros(batch, "i4")
        self.u.fill(1)
        self.sizes, self.memory = {}, library.aligned(0)

    def cotangents_of(self, loss):
        if loss not in self.cotangents:
            self.cotangents[loss] = [zeros(x) for x in (self.S, self.U, self.Vh)]
        return self.cotangents[loss]

    def work(self, op):
        """Memory for a call, shared by all of them."""
        if op not in self.sizes:
            self.sizes[op] = self.lib.work_bytes(op, self.desc)
            if self.sizes[op] > len(self.memory):
                self.memory = library.aligned(self.sizes[op])
        return self.memory, self.sizes[op]


class Svdgrad:
    """This library; algo is what svdgrad_algo_t calls AUTO."""

    name, algo = "svdgrad", 0
    ops = ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "fwdbwd-truncated", "backward", "polar", "polar-composed",
           "rank", "rank-composed", "pinv", "pinv-composed", "nuclear", "nuclear-composed", "nuclear-hvp",
           "nuclear-hvp-composed", "svd-jvp", "normalize")
    FUNCTIONS = {"polar": "POLAR", "rank": "RANK", "pinv": "INVERSE"}
    OF_NATIVE = {"rank": 0, "polar": 1, "pinv": 2}  # the enum of native.c

    def __init__(self, build, threads):
        self.lib = library.Library(build, threads)
        self.native = ctypes.CDLL(os.path.join(build, "bench", "libbench_native.so"))
        self.threads, self.version = threads, "svdgrad " + self.lib.version

    def algorithm(self, op):
        code = {"svdvals": "svdvals", "backward": "svd_backward", "nuclear": "norm_gradient",
                "normalize": "spectral_normalize"}.get(op, "svd")
        problem = self.truncated() if op == "fwdbwd-truncated" else self.full
        return self.lib.algorithm(code, problem.desc)

    def load(self, A, G):
        self.A, self.G = A, G
        self.full, self.part = Problem(self.lib, A, min(A.shape[1:]), self.algo), None

    def truncated(self):
        self.part = self.part or Problem(self.lib, self.A, rank_of(self.A), self.algo)
        return self.part

    def forward(self, p, vectors=True):
        self.lib.svd(p.desc, p.A, p.S, p.U if vectors else None, p.Vh if vectors else None, p.info,
                     p.work("svd" if vectors else "svdvals"))

    def backward(self, p, gS, gU=None, gVh=None):
        self.lib.svd_backward(p.desc, p.A, p.S, p.U, p.Vh, gS, gU, gVh, p.gA, None, p.work("svd_backward"))
        return (p.gA,)

    def cotangents(self, p, function="rank"):
        r = rank_of(p.A) if function == "rank" else p.rank
        cotangents = p.cotangents_of(function)
        sizes = [ctypes.c_int64(x) for x in (*p.A.shape[1:], p.rank, r, len(p.A))]
        self.native.native_cotangents(p.desc.dtype, self.OF_NATIVE[function], *sizes, self.threads,
                                      *map(library.pointer, (self.G, p.S, p.U, p.Vh, *cotangents)))
        return cotangents

    def run(self, op):
        base = function_of(op)
        if base in self.FUNCTIONS:
            return self.function(base, op != base)
        if base in ("nuclear", "nuclear-hvp", "svd-jvp", "normalize"):
            return getattr(self, base.replace("-", "_"))(op != base)
        return self.factors(op)

    def factors(self, op):
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
        return self.backward(p, *(p.cotangents_of("rank") if op == "backward" else self.cotangents(p)))

    def function(self, name, composed):
        """Y and the gradient of <G, Y>."""
        p, f = self.full, library.function(self.FUNCTIONS[name], rank_of(self.A) if name == "rank" else 0)
        self.forward(p)
        self.lib.matrix_function(p.desc, f, p.S, p.U, p.Vh, p.Y, p.work("matrix_function"))
        if composed:
            return self.backward(p, *self.cotangents(p, name))
        self.lib.matrix_function_backward(p.desc, f, p.S, p.U, p.Vh, self.G, p.gA, None,
                                          p.work("matrix_function_backward"))
        return (p.gA,)

    def nuclear(self, composed):
        """The nuclear norm and its gradient."""
        p = self.full
        if composed:
            return self.factors("fwdbwd-sum")
        self.lib.norm(p.desc, "NUCLEAR", 0, p.A, p.value, p.gA, p.info, p.work("norm_gradient"))
        return (p.gA,)

    def nuclear_hvp(self, composed):
        """Hessian of the nuclear norm times G: the POLAR map, or the first and the second backward pass."""
        p = self.full
        self.forward(p)
        if not composed:
            self.lib.matrix_function_backward(p.desc, library.function("POLAR"), p.S, p.U, p.Vh, self.G, p.gA, None,
                                              p.work("matrix_function_backward"))
            return (p.gA,)
        p.ones.fill(1)
        self.backward(p, p.ones)
        self.lib.svd_backward_backward(p.desc, p.S, p.U, p.Vh, p.ones, None, None, self.G, p.gA,
                                       p.work("svd_backward_backward"))
        return (p.gA,)

    def svd_jvp(self, _):
        """U, S, Vh and their tangents along G."""
        p = self.full
        self.forward(p)
        self.lib.svd_jvp(p.desc, p.A, p.S, p.U, p.Vh, self.G, *p.tangents, p.work("svd_jvp"))
        dS, dU, dVh = p.tangents
        return p.U, p.S, p.Vh, dU, dS, dVh

    def normalize(self, _):
        """A / sigma after one step of the power iteration, and the gradient of <G, A / sigma>."""
        p = self.full
        self.lib.spectral_normalize(p.desc, p.A, 1, p.u, p.v, p.value, p.Y, p.info, p.work("spectral_normalize"))
        self.lib.spectral_normalize_backward(p.desc, p.A, p.u, p.v, p.value, self.G, p.gA,
                                             p.work("spectral_normalize_backward"))
        return p.gA, p.u, p.v

    def bytes(self, op):
        """Inputs and outputs, and workspace, of one call."""
        p = self.full
        forward = sum(x.nbytes for x in (p.A, p.S, p.U, p.Vh, p.info))
        if op == "svd":
            return forward, p.sizes["svd"]
        return forward + sum(x.nbytes for x in (self.G, *p.cotangents_of("rank"), p.gA)), max(p.sizes.values())


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
        self.call(library.pointer(self.A), library.pointer(self.S), library.pointer(self.U) if vectors else None,
                  library.pointer(self.Vh) if vectors else None)
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
    name = "torch"
    ops = ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "backward", "polar", "rank", "pinv", "nuclear", "nuclear-hvp",
           "svd-jvp", "normalize")

    def __init__(self, build, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.version = f"PyTorch {torch.__version__}"

    def load(self, A, G):
        self.A, self.G = self.torch.tensor(A, requires_grad=True), self.torch.tensor(G)
        self.loss = None
        self.u, self.v = (self.torch.ones(len(A), size, dtype=self.A.dtype) for size in A.shape[1:])

    def svd(self):
        return self.torch.linalg.svd(self.A, full_matrices=False)

    def rank_loss(self):
        U, S, Vh = self.svd()
        r = rank_of(self.A)
        return (self.G * ((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :])).sum()

    def polar_loss(self):
        U, _, Vh = self.svd()
        return (self.G * (U @ Vh)).sum()

    def pinv_loss(self):
        return (self.G * self.torch.linalg.pinv(self.A).mT).sum()

    def values_loss(self):
        return self.torch.linalg.svdvals(self.A).sum()

    def nuclear_loss(self):
        return self.torch.linalg.matrix_norm(self.A, "nuc").sum()

    def normalize_loss(self):
        """As torch.nn.utils.parametrizations.spectral_norm does, with a batch."""
        A, (u, v) = self.A, (self.u, self.v)
        with self.torch.no_grad():
            torch = self.torch
            v = torch.nn.functional.normalize((A.mT @ u[..., None])[..., 0], dim=-1)
            u = torch.nn.functional.normalize((A @ v[..., None])[..., 0], dim=-1)
        self.u, self.v = u, v
        sigma = (u * (A @ v[..., None])[..., 0]).sum(-1)
        return (self.G * (A / sigma[..., None, None])).sum()

    def gradient(self, loss, **options):
        return self.torch.autograd.grad(loss, self.A, **options)

    def hessian_product(self):
        (gradient,) = self.gradient(self.nuclear_loss(), create_graph=True)
        return self.gradient((gradient * self.G).sum())

    def tangents(self):
        forward_ad = self.torch.autograd.forward_ad
        with forward_ad.dual_level():
            results = self.torch.linalg.svd(forward_ad.make_dual(self.A.detach(), self.G), full_matrices=False)
            pairs = [forward_ad.unpack_dual(x) for x in results]
        return [pair.primal for pair in pairs] + [pair.tangent for pair in pairs]

    def run(self, op):
        torch, losses = self.torch, {"fwdbwd-sum": self.values_loss, "fwdbwd-rank": self.rank_loss,
                                     "rank": self.rank_loss, "polar": self.polar_loss, "pinv": self.pinv_loss,
                                     "nuclear": self.nuclear_loss, "normalize": self.normalize_loss}
        if op in ("svd", "svdvals"):
            A = self.A.detach()
            result = torch.linalg.svd(A, full_matrices=False) if op == "svd" else (torch.linalg.svdvals(A),)
        elif op in losses:
            result = self.gradient(losses[op]())
        elif op == "nuclear-hvp":
            result = self.hessian_product()
        elif op == "svd-jvp":
            result = self.tangents()
        else:
            self.loss = self.rank_loss() if self.loss is None else self.loss
            result = self.gradient(self.loss, retain_graph=True)
        if op == "normalize":
            result = (*result, self.u, self.v)
        return tuple(x.numpy() for x in result)


class Jax:
    """Compiled; it spreads the batch over its own threads, so its BLAS gets one."""

    compiled = True  # for every size of the batch
    name = "jax"
    ops = ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "polar", "rank", "pinv", "nuclear", "nuclear-hvp", "svd-jvp")

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

        def polar_loss(A, G):
            U, _, Vh = svd(A)
            return (G * (U @ Vh)).sum()

        def pinv_loss(A, G):
            return (G * jnp.swapaxes(jnp.linalg.pinv(A), -1, -2)).sum()

        def nuclear_loss(A):
            return jnp.linalg.norm(A, ord="nuc", axis=(-2, -1)).sum()

        def tangents(A, G):
            primals, made = jax.jvp(svd, (A,), (G,))
            return (*primals, *made)

        def gradient(loss):
            return jax.jit(lambda A, G: (jax.grad(loss)(A, G),))

        self.jax = jax
        self.version = f"JAX {jax.__version__}"
        self.functions = {
            "svd": jax.jit(lambda A, G: svd(A)), "svdvals": jax.jit(lambda A, G: (values(A),)),
            "fwdbwd-sum": gradient(lambda A, G: values(A).sum()), "fwdbwd-rank": gradient(rank_loss),
            "rank": gradient(rank_loss), "polar": gradient(polar_loss), "pinv": gradient(pinv_loss),
            "nuclear": gradient(lambda A, G: nuclear_loss(A)), "svd-jvp": jax.jit(tangents),
            "nuclear-hvp": jax.jit(lambda A, G: (jax.jvp(jax.grad(nuclear_loss), (A,), (G,))[1],))}

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


def spectral_gradient(U, S, Vh, G, f, slope):
    """Gradient of <G, U f(S) Vh>: divided differences of f between the vectors, its derivative on the diagonal."""
    V, P = transposed(Vh), transposed(U) @ G @ transposed(Vh)
    diagonal = numpy.eye(S.shape[-1], dtype=bool)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        f1 = (f[:, :, None] - f[:, None]) / (S[:, :, None] - S[:, None])
        f2 = (f[:, :, None] + f[:, None]) / (S[:, :, None] + S[:, None])
    f1 = numpy.where(diagonal, slope[:, None] * numpy.ones_like(f1), f1)
    M = (f1 * (P + transposed(P)) + f2 * (P - transposed(P))) / 2
    outside_U, outside_V = (G @ V - U @ P) * (f / S)[:, None], (f / S)[:, :, None] * (transposed(U) @ G - P @ Vh)
    return U @ M @ Vh + outside_U @ Vh + U @ outside_V


def gradient_of(op, U, S, Vh, G):
    """The true gradient of an operation that has G as cotangent of its result."""
    lead, one = (numpy.arange(S.shape[-1]) < rank_of(G)) + 0 * S, 1 + 0 * S
    functions = {"polar": (one, 0 * S), "nuclear-hvp": (one, 0 * S), "pinv": (1 / S, -1 / S ** 2)}
    return spectral_gradient(U, S, Vh, G, *functions.get(op, (lead * S, lead)))


def norms(X):
    return numpy.sqrt((X * X).reshape(len(X), -1).sum(-1))


def relative(X, Y):
    return norms(X - Y) / norms(Y)


def condition(op, S, r):
    """s_1 over the smallest divisor.  For the functions that is the one of the closed form, also where it is composed;
    for the rest it may be any gap."""
    gaps = -numpy.diff(S) if S.shape[-1] > 1 else S
    if op in ("rank", "polar", "pinv", "nuclear", "nuclear-hvp"):
        gaps = gaps[:, r - 1:r] if op == "rank" else S
    return S[:, 0] / numpy.minimum(gaps.min(-1), S[:, -1])


def factors_error(A, U, S, Vh):
    (m, n), k = A.shape[1:], S.shape[-1]
    errors = (norm1(A - (U * S[:, None]) @ Vh) / norm1(A) / max(m, n),
              norm1(transposed(U) @ U - numpy.eye(k)) / m, norm1(Vh @ transposed(Vh) - numpy.eye(k)) / n)
    return numpy.max(errors, 0)


def tangents_error(G, factors, tangents):
    """They must make dA, and move U and Vh along the orthogonal matrices; both free of the gaps, over their size."""
    (U, S, Vh), (dU, dS, dVh) = factors, tangents
    made = (dU * S[:, None]) @ Vh + (U * dS[:, None]) @ Vh + (U * S[:, None]) @ dVh
    size = S[:, 0] * (norms(dU) + norms(dVh))
    turns = [transposed(U) @ dU, dVh @ transposed(Vh)]
    return norms(made - G) / size + sum(norms(X + transposed(X)) for X in turns) / (norms(dU) + norms(dVh))


def normalize_error(A, G, gA, u, v):
    """Against the formula with the u and v that were returned; <G, A> has the rounding errors of its terms."""
    sigma = numpy.einsum("bi,bij,bj->b", u, A, v)[:, None, None]
    exact = G / sigma - (G * A).sum((1, 2), keepdims=True) / sigma ** 2 * u[:, :, None] * v[:, None]
    return relative(gA, exact) / (1 + norms(A) / sigma[:, 0, 0])


def accuracy(op, A, G, result):
    """Largest error of some matrices of the batch, in units in which a good result is of order 1.  The reference is
    gesdd in f64, for f64 too: a ratio of order 1 is then the error of either."""
    eps = numpy.finfo(A.dtype).eps
    A, G = A.astype("float64"), G.astype("float64")
    result = [numpy.asarray(x).astype("float64") for x in result]
    if op == "normalize":
        return float(normalize_error(A, G, *result).max() / eps)
    if op == "svd-jvp":
        return float(tangents_error(G, result[:3], result[3:]).max() / eps)
    if op == "svd":
        return float(factors_error(A, *result).max() / eps)
    U, S, Vh = numpy.linalg.svd(A, full_matrices=False)
    if op == "svdvals":
        return float((numpy.abs(result[0] - S).max(-1) / S[:, 0] / S.shape[-1]).max() / eps)
    op = function_of(op)
    gA = U @ Vh if op in ("nuclear", "fwdbwd-sum") else gradient_of(op, U, S, Vh, G)
    return float((relative(result[0], gA) / condition(op, S, rank_of(A))).max() / eps)


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
        if calls > 1:
            self.peer.run(op)  # the peers before have left their matrices in the caches: not timed where it would show
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
