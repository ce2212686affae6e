# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad as a peer of peers.py: AUTO as it comes, AUTO with batch_invariant, and our own LAPACK path."""
import ctypes
import os

import numpy

import library

COMPOSED = "-composed"  # by the factors and their cotangents, not by the function's own calls


def rank_of(A):
    return max(1, min(A.shape[-2:]) // 2)


def function_of(op):
    return op[:-len(COMPOSED)] if op.endswith(COMPOSED) else op


def zeros(like):
    """Takes no memory until somebody writes there; numpy.zeros_like writes."""
    return numpy.zeros(like.shape, like.dtype)


class Problem:
    """Buffers for one batch at one rank: what a caller of svdgrad allocates."""

    def __init__(self, lib, A, rank, algo, invariant):
        batch, m, n = A.shape
        self.lib, self.rank, self.A, self.gA = lib, rank, A, numpy.empty_like(A)
        self.desc = library.describe(A, rank, algo)
        self.desc.batch_invariant = invariant
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
    """This library; algo is what svdgrad_algo_t calls AUTO.  The forward pass is timed from C (native.c)."""

    name, algo, invariant = "svdgrad", 0, 0
    blas, ours = "", True  # which is told which kernels to pick
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
        self.full, self.part = self.problem(A, min(A.shape[1:])), None

    def problem(self, A, rank):
        return Problem(self.lib, A, rank, self.algo, self.invariant)

    def truncated(self):
        self.part = self.part or self.problem(self.A, rank_of(self.A))
        return self.part

    def repeat(self, op, calls):
        """Where it is the cost of a call from Python that would be measured of small batches, from C."""
        p, lib = self.full, self.lib
        if op in ("svd", "svdvals"):
            memory, size = p.work(op)
            outputs = (p.S, p.U, p.Vh) if op == "svd" else (p.S, None, None)
            lib.check(self.native.native_svd(calls, lib.handle, ctypes.byref(p.desc),
                                             *map(library.operand, (p.A, *outputs)), library.pointer(p.info),
                                             library.pointer(memory), ctypes.c_size_t(size)))
        elif op == "fwdbwd-rank":
            size = max(p.work(op)[1] for op in ("svd", "svd_backward"))
            operands = (p.A, p.S, p.U, p.Vh, *p.cotangents_of("rank"), p.gA)
            lib.check(self.native.native_fwdbwd_rank(
                calls, lib.handle, ctypes.byref(p.desc), ctypes.c_int64(rank_of(p.A)), self.threads,
                library.pointer(self.G), *map(library.operand, operands), library.pointer(p.info),
                library.pointer(p.memory), ctypes.c_size_t(size)))
        else:
            for _ in range(calls):
                self.run(op)

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


class Invariant(Svdgrad):
    """The same bits whatever the size of the batch."""

    name, invariant = "svdgrad-invariant", 1
    ops = ("svd", "svdvals", "fwdbwd-rank")


class Vendor(Svdgrad):
    """This library, told to use LAPACK for the forward pass."""

    name, algo = "svdgrad-vendor", 2
    ops = ("svd", "svdvals")
