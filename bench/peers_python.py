# SPDX-License-Identifier: BSD-3-Clause
"""Peers of peers.py that have no C interface: what users of Python call."""
import os

import numpy

from peers_svdgrad import rank_of


class Numpy:
    choose_blas_threads = True  # what is faster, one or all
    name, blas, ops = "numpy", "numpy.libs", ("svd", "svdvals")

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
    name, blas = "torch", "libtorch_cpu"
    ops = ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "backward", "polar", "rank", "pinv", "nuclear", "nuclear-hvp",
           "svd-jvp", "normalize")

    def __init__(self, build, threads):
        import torch

        self.torch = torch
        self.set_threads(threads)
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

    def set_threads(self, count):
        self.torch.set_num_threads(count)

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
    name, blas = "jax", "scipy.libs"
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

        svd(jnp.eye(2))  # loads the LAPACK
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


class TensorFlow:
    """Compiled to a graph.  Its SVD is Eigen's BDCSVD."""

    compiled = True
    name, ops = "tensorflow", ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank")
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def __init__(self, build, threads):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.tf = tf
        self.version = f"TensorFlow {tf.__version__}"

    def load(self, A, G):
        tf = self.tf
        self.A, self.G = tf.constant(A), tf.constant(G)
        r = rank_of(A)

        def svd(A):
            S, U, V = tf.linalg.svd(A)
            return U, S, tf.linalg.adjoint(V)

        def rank_loss(A):
            U, S, Vh = svd(A)
            return tf.reduce_sum(self.G * ((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :]))

        def values(A):
            return tf.linalg.svd(A, compute_uv=False)

        def gradient(loss):
            def of(A):
                with tf.GradientTape() as tape:
                    tape.watch(A)
                    value = loss(A)
                return (tape.gradient(value, A),)
            return of

        functions = {"svd": svd, "svdvals": lambda A: (values(A),), "fwdbwd-rank": gradient(rank_loss),
                     "fwdbwd-sum": gradient(lambda A: tf.reduce_sum(values(A)))}
        self.functions = {op: tf.function(function, autograph=False) for op, function in functions.items()}

    def run(self, op):
        return tuple(x.numpy() for x in self.functions[op](self.A))  # which shares the memory, and waits for it


class Faer:
    """The Rust library faer, by way of rstsr, which loops over the batch."""

    name, ops = "faer", ("svd", "svdvals")

    def __init__(self, build, threads):
        os.environ["RAYON_NUM_THREADS"] = str(threads)  # read when its pool starts
        from importlib.metadata import version

        from rstsr_faer import api

        self.api = api
        self.version = f"faer through rstsr-faer-py {version('rstsr-faer-py')}, kernels: cannot be asked"

    def load(self, A, G):
        self.A = self.api.from_dlpack(numpy.array(A))

    def run(self, op):
        if op == "svd":
            return tuple(self.api.linalg.svd(self.A, full_matrices=False))
        return (self.api.linalg.svdvals(self.A),)

    def arrays(self, result):
        return [numpy.from_dlpack(x) for x in result]


class Warp:
    """NVIDIA Warp's svd3: one kernel launch over 3 x 3 matrices, on one thread.  The last value has a sign."""

    name, ops, only = "warp", ("svd",), (3, 3)

    def __init__(self, build, threads):
        import warp

        warp.config.quiet = True
        warp.config.kernel_cache_dir = os.path.join(build, "warp")
        warp.init()
        self.warp = warp
        self.version = f"Warp {warp.__version__}, svd3, kernels: compiled for this processor by its clang"
        self.types = {"float32": (warp.mat33f, warp.vec3f), "float64": (warp.mat33d, warp.vec3d)}
        self.kernels = {name: self.kernel(*types) for name, types in self.types.items()}

    def kernel(self, matrix, vector):
        warp = self.warp

        @warp.kernel(module="unique")
        def svd3(A: warp.array(dtype=matrix), U: warp.array(dtype=matrix), S: warp.array(dtype=vector),
                 Vh: warp.array(dtype=matrix)):
            i = warp.tid()
            u, s, v = warp.svd3(A[i])
            U[i] = u
            S[i] = s
            Vh[i] = warp.transpose(v)

        return svd3

    def load(self, A, G):
        matrix, vector = self.types[A.dtype.name]
        self.svd3 = self.kernels[A.dtype.name]
        self.A = self.warp.array(numpy.array(A), dtype=matrix, device="cpu")
        self.results = [self.warp.zeros(len(A), dtype=kind, device="cpu") for kind in (matrix, vector, matrix)]

    def run(self, op):
        self.warp.launch(self.svd3, dim=len(self.A), inputs=[self.A], outputs=self.results, device="cpu")
        return [x.numpy() for x in self.results]
