# SPDX-License-Identifier: BSD-3-Clause
"""What compare.py times: the table of the peers, and the worker process that holds one of them.

A worker reads requests, one JSON object a line, from standard input and answers each with one line.  A peer gets the
whole batch in the form it likes best, outside the timing.  A peer is a class (peers_svdgrad.py, peers_native.py,
peers_python.py) with:

  name, ops            the operations that it has
  version              words for the results
  load(A, G)           takes the batch
  run(op)              what is timed; returns the results
  repeat(op, calls)    if there is one, the same many times, by a loop in C: without the cost of a call from Python
  arrays(results)      if they are no arrays yet
  set_threads(count)   of its BLAS, if that is not what blas.py finds; asked for where choose_blas_threads is true
  blas                 part of the path of its BLAS, if it has one ("": what svdgrad was built with)
  environment          variables that it must be started with
  largest, only        of min(m, n); the one shape that it has
  compiled             for every size of the batch
  ours                 true of what uses the BLAS that svdgrad was built with

The operations:

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
import json
import os
import sys
import time

import numpy

import blas
import peers_native
import peers_python
import peers_svdgrad
from accuracy import error_of, sample

DTYPES = {"f32": "float32", "f64": "float64"}
PEERS = {peer.name: peer for peer in (
    peers_svdgrad.Svdgrad, peers_svdgrad.Invariant, peers_svdgrad.Vendor, peers_native.Loop, peers_native.OpenBlasLoop,
    peers_native.MklLoop, peers_native.MklBatched, peers_native.AoclLoop, peers_native.EigenJacobi,
    peers_native.EigenBdc, peers_python.Numpy, peers_python.Torch, peers_python.Jax, peers_python.TensorFlow,
    peers_python.Faer, peers_python.Warp)}

WARM = 5  # a sample of n calls follows n / 5 that are not timed

# ---- the worker process --------------------------------------------------------------------------


def memory(field):
    """VmRSS or VmHWM (the peak) of this process, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


class Worker:
    def __init__(self, name, build, threads, clock):
        self.clock = getattr(time, clock)
        self.peer = PEERS[name](build, threads)
        part = getattr(self.peer, "blas", None)
        self.libraries = [] if part is None else blas.loaded(part)
        self.blas_choices = [1]
        if getattr(self.peer, "choose_blas_threads", False):
            self.blas_choices = sorted({1, threads})
        self.blas_threads = {}  # of each operation, what is faster

    def hello(self):
        peer = self.peer
        return {"version": peer.version, "ops": peer.ops, "largest": getattr(peer, "largest", 1 << 30),
                "only": getattr(peer, "only", None), "compiled": getattr(peer, "compiled", False),
                "blas": [blas.describe(library) for library in self.libraries]}

    def load(self, directory, batch):
        self.A, self.G = (numpy.load(os.path.join(directory, name + ".npy"), mmap_mode="r")[:batch] for name in "AG")
        self.peer.load(self.A, self.G)

    def set_threads(self, count):
        if len(self.blas_choices) > 1:
            setters = [self.peer.set_threads] if hasattr(self.peer, "set_threads") else [
                library.set_threads for library in self.libraries]
            for setter in setters:
                setter(count)

    def call(self, op, calls):
        if hasattr(self.peer, "repeat") and calls > 0:
            self.peer.repeat(op, calls)
        else:
            for _ in range(calls):
                self.peer.run(op)

    def seconds(self, op, calls, blas_threads):
        self.set_threads(blas_threads)
        # Not timed where it would show: the peers before have left their matrices in the caches, and the clock where it was.
        self.call(op, min(calls - 1, max(1, calls // WARM)))
        start = self.clock()
        self.call(op, calls)
        return (self.clock() - start) / calls

    def warm(self, op):
        """The first run (where compilers and allocators do their work), its accuracy and the time of a second one."""
        at = sample(self.A)
        result = self.peer.run(op)
        result = self.peer.arrays(result) if hasattr(self.peer, "arrays") else result
        error = error_of(op, self.A[at], self.G[at], [x[at] for x in result])
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


def serve(name, build, threads, clock):
    """clock: the function of `time` that is read, perf_counter or process_time."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        worker = Worker(name, build, threads, clock)
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
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
