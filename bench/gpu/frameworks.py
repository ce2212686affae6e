#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Times the SVD of the frameworks that can be imported here, on the shapes of gpu_bench, with its CSV.

PyTorch and CuPy by CUDA events, JAX (compiled) by the host's clock up to block_until_ready.  Repetitions of the
operations are interleaved, inputs random and rotated between two sets.  Every framework runs in a process of its own;
one that is missing or fails leaves a comment line.  `fwdbwd-rank` includes the products that form the truncated
matrix, which a user of these frameworks computes in any case; gpu_bench's row does not.
"""
import argparse
import contextlib
import math
import os
import statistics
import subprocess
import sys
import time

SHAPES = [(16384, 2, 2), (16384, 3, 3), (16384, 4, 4), (16384, 8, 8), (16384, 16, 16), (16384, 32, 32),
          (16384, 64, 64), (16384, 128, 128), (2048, 256, 256), (256, 512, 512), (1000000, 3, 3), (512, 1024, 3),
          (8716, 3, 2), (300, 900, 100)]
TINY = [(6, 3, 3), (4, 8, 8), (3, 20, 5), (2, 9, 40)]
# What one call does within about a second by any of them: no search for a batch, of which JAX compiles every step.
FIXED = [(16384, 3, 3), (16384, 4, 4), (16384, 8, 8), (16384, 16, 16), (4096, 32, 32), (256, 64, 64), (64, 128, 128),
         (16, 256, 256), (4, 512, 512), (64, 1024, 3), (16, 900, 100)]
OPS = ["svd", "svdvals", "backward", "fwdbwd-sum", "fwdbwd-rank"]
HEADER = ("backend,algorithm,op,dtype,m,n,batch,reps,seconds_median,seconds_min,us_per_matrix,floor_bytes_us,"
          "floor_fma_us,times_floor,accuracy_ratio")


class Torch:
    name = "torch"

    def __init__(self):
        import torch
        self.torch = torch
        if not torch.cuda.is_available():
            raise RuntimeError("torch sees no CUDA device")
        self.version = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
        self.device = torch.cuda.get_device_name(0)

    def inputs(self, batch, m, n, dtype, seed):
        torch = self.torch
        kind = torch.float32 if dtype == "f32" else torch.float64
        k = min(m, n)
        generator = torch.Generator(device="cuda").manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, dtype=kind, device="cuda", generator=generator)
        data = {"A": normal(batch, m, n), "G": normal(batch, m, n), "gU": normal(batch, m, k), "gS": normal(batch, k),
                "gVh": normal(batch, k, n)}
        data["A"].requires_grad_(True)
        return data

    def prepare(self, op, data):
        """What is not timed: the graph that the backward pass runs through."""
        if op == "backward":
            data["factors"] = self.torch.linalg.svd(data["A"], full_matrices=False)

    def run(self, op, data):
        torch, A = self.torch, data["A"]
        if op == "svd":
            with torch.no_grad():
                return torch.linalg.svd(A, full_matrices=False)
        if op == "svdvals":
            with torch.no_grad():
                return torch.linalg.svdvals(A)
        if op == "backward":
            return torch.autograd.grad(data["factors"], A, (data["gU"], data["gS"], data["gVh"]), retain_graph=True)
        U, S, Vh = torch.linalg.svd(A, full_matrices=False)
        if op == "fwdbwd-sum":
            return torch.autograd.grad(S.sum(), A)
        r = max(1, S.shape[-1] // 2)
        product = (U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :]
        return torch.autograd.grad((product * data["G"]).sum(), A)

    def seconds(self, call):
        start, stop = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return 1e-3 * start.elapsed_time(stop)

    def host(self, x, count):
        return x[:count].detach().cpu().numpy()


class Jax:
    name = "jax"

    def __init__(self):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax
        jax.config.update("jax_enable_x64", True)
        if jax.default_backend() not in ("gpu", "cuda"):
            raise RuntimeError(f"jax runs on {jax.default_backend()}")
        self.jax = jax
        self.version = f"jax {jax.__version__}"
        self.device = jax.devices()[0].device_kind
        self.functions = self._functions(jax)

    @staticmethod
    def _functions(jax):
        jnp = jax.numpy

        def svd(A):
            return jnp.linalg.svd(A, full_matrices=False)

        def backward(A, cotangents):
            return jax.vjp(svd, A)[1](cotangents)

        def truncated(A, G):
            U, S, Vh = svd(A)
            r = max(1, S.shape[-1] // 2)
            return jnp.sum((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :] * G)
        return {"svd": jax.jit(lambda d: svd(d["A"])),
                "svdvals": jax.jit(lambda d: jnp.linalg.svd(d["A"], compute_uv=False)),
                "backward": None,  # the forward pass cannot be left out
                "fwdbwd-sum": jax.jit(lambda d: jax.grad(lambda A: jnp.sum(svd(A)[1]))(d["A"])),
                "fwdbwd-rank": jax.jit(lambda d: jax.grad(truncated)(d["A"], d["G"]))}

    def inputs(self, batch, m, n, dtype, seed):
        kind = self.jax.numpy.float32 if dtype == "f32" else self.jax.numpy.float64
        keys = self.jax.random.split(self.jax.random.PRNGKey(seed), 2)
        return {"A": self.jax.random.normal(keys[0], (batch, m, n), kind),
                "G": self.jax.random.normal(keys[1], (batch, m, n), kind)}

    def prepare(self, op, data):
        if self.functions[op] is None:
            raise NotImplementedError

    def run(self, op, data):
        return self.jax.block_until_ready(self.functions[op](data))

    def seconds(self, call):
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def host(self, x, count):
        import numpy
        return numpy.asarray(x[:count])


class Cupy:
    name = "cupy"

    def __init__(self):
        import cupy
        self.cupy = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        self.version = f"cupy {cupy.__version__}"
        self.device = properties["name"].decode()

    def inputs(self, batch, m, n, dtype, seed):
        generator = self.cupy.random.default_rng(seed)
        return {"A": generator.standard_normal((batch, m, n), "float32" if dtype == "f32" else "float64")}

    def prepare(self, op, data):
        if op not in ("svd", "svdvals"):
            raise NotImplementedError  # no derivatives

    def run(self, op, data):
        return self.cupy.linalg.svd(data["A"], full_matrices=False, compute_uv=op == "svd")

    def seconds(self, call):
        start, stop = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return 1e-3 * self.cupy.cuda.get_elapsed_time(start, stop)

    def host(self, x, count):
        return self.cupy.asnumpy(x[:count])


class Numpy:
    """On the CPU: to try this program where there is no GPU; only when asked for by name."""
    name = "numpy"

    def __init__(self):
        import numpy
        self.numpy = numpy
        self.version = f"numpy {numpy.__version__}"
        self.device = "CPU, no figures of a GPU"

    def inputs(self, batch, m, n, dtype, seed):
        A = self.numpy.random.default_rng(seed).standard_normal((batch, m, n))
        return {"A": A.astype("float32" if dtype == "f32" else "float64")}

    prepare = Cupy.prepare
    seconds = Jax.seconds

    def run(self, op, data):
        return self.numpy.linalg.svd(data["A"], full_matrices=False, compute_uv=op == "svd")

    def host(self, x, count):
        return x[:count]


FRAMEWORKS = {cls.name: cls for cls in (Torch, Jax, Cupy, Numpy)}


def accuracy(framework, data, factors):
    """The ratios of bench_accuracy.h for the first matrices."""
    import numpy
    parts = [framework.host(x, 2) for x in (data["A"], *factors)]
    eps = numpy.finfo(parts[0].dtype).eps
    if parts[0].shape[-1] * parts[0].shape[-2] > 40000:  # long double takes seconds
        parts = [x[:1] for x in parts]
    A, U, S, Vh = (x.astype(numpy.longdouble) for x in parts)

    def norm1(X):
        return numpy.abs(X).sum(-2).max(-1)
    m, n = A.shape[-2:]
    one = numpy.eye(S.shape[-1])
    transposed = numpy.swapaxes
    residual = norm1(A - (U * S[..., None, :]) @ Vh) / norm1(A) / max(m, n)
    left = norm1(one - transposed(U, -1, -2) @ U) / m
    right = norm1(one - Vh @ transposed(Vh, -1, -2)) / n
    return float(max(residual.max(), left.max(), right.max()) / eps)


def affordable(framework, op, shape, dtype, limit):
    """The largest batch that the operation does within the limit."""
    nominal, m, n = shape
    batch = 1
    while True:
        data = framework.inputs(batch, m, n, dtype, 1)
        framework.prepare(op, data)
        framework.run(op, data)  # a warm-up: libraries are loaded, code compiled
        seconds = framework.seconds(lambda: framework.run(op, data))
        if seconds > limit:
            return max(1, int(batch * limit / seconds))
        if batch == nominal:
            return batch
        larger = min(nominal, max(batch + 1, int(batch * min(8, limit / max(seconds, 1e-6)))))
        if larger < 1.2 * batch and larger != nominal:
            return batch
        batch = larger


def time_shape(framework, shape, dtype, options, out):
    series = {}
    for op in OPS:
        try:
            batch = shape[0] if options.fixed else affordable(framework, op, shape, dtype, options.limit)
            sets = [framework.inputs(batch, shape[1], shape[2], dtype, 10 + i) for i in range(2)]
            for data in sets:
                framework.prepare(op, data)
                framework.run(op, data)
            series[op] = (batch, sets, [])
        except NotImplementedError:
            continue
        except Exception as error:  # out of memory, not converged: said, and on with the others
            print(f"# {framework.name} {op} {dtype} {shape}: {str(error).splitlines()[0][:200]}", file=out, flush=True)
    for repetition in range(options.reps):
        for op, (batch, sets, samples) in series.items():
            data = sets[repetition % len(sets)]
            samples.append(framework.seconds(lambda op=op, data=data: framework.run(op, data)))
    for op, (batch, sets, samples) in series.items():
        median, error = statistics.median(samples), math.nan
        if op == "svd":
            error = accuracy(framework, sets[0], framework.run(op, sets[0]))
        print(f"{framework.name},{framework.name},{op},{dtype},{shape[1]},{shape[2]},{batch},{options.reps},"
              f"{median:.4g},{min(samples):.4g},{1e6 * median / batch:.4g},,,,{error:.3g}", file=out, flush=True)


def child(options):
    """One framework, on standard output."""
    try:
        framework = FRAMEWORKS[options.only]()
    except Exception as error:
        print(f"# {options.only}: {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}")
        return
    print(f"# {framework.version} on {framework.device}", flush=True)
    started = time.monotonic()
    for shape in TINY if options.tiny else FIXED if options.fixed else SHAPES:
        for dtype in options.dtype.split(","):
            if time.monotonic() - started > options.seconds:
                print(f"# {framework.name}: not timed for lack of time: {dtype} {shape}", flush=True)
                continue
            time_shape(framework, shape, dtype, options, sys.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frameworks", default="torch,cupy,jax", help="of torch, cupy, jax, numpy")
    parser.add_argument("--dtype", default="f32,f64")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--limit", type=float, default=0.1, help="seconds of one repetition")
    parser.add_argument("--seconds", type=float, default=120, help="no shape is begun after that, per framework")
    parser.add_argument("--quick", action="store_true", help="three repetitions of 0.03 seconds")
    parser.add_argument("--tiny", action="store_true", help="a few small shapes, to see that the program works")
    parser.add_argument("--fixed", action="store_true", help="fixed batches instead of what --limit allows")
    parser.add_argument("--output", help="the CSV; default: standard output")
    parser.add_argument("--only", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.reps, options.limit = 3, 0.03
    if options.only:
        child(options)
        return
    target = open(options.output, "w", encoding="utf-8") if options.output else contextlib.nullcontext(sys.stdout)
    with target as out:
        print(time.strftime("# date: %Y-%m-%d %H:%M UTC", time.gmtime()), file=out)
        print(HEADER, file=out, flush=True)
        for name in options.frameworks.split(","):
            command = [sys.executable, os.path.abspath(__file__), "--only", name, "--dtype", options.dtype, "--reps",
                       str(options.reps), "--limit", str(options.limit), "--seconds", str(options.seconds)]
            command += [option for option in ("--tiny", "--fixed") if getattr(options, option[2:])]
            try:
                status = subprocess.run(command, stdout=out, timeout=options.seconds + 60, check=False).returncode
            except subprocess.TimeoutExpired:
                status = "time limit"
            if status != 0:
                print(f"# {name}: ended with {status}", file=out, flush=True)


if __name__ == "__main__":
    main()
