#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Times svdgrad beside its peers on the CPU; `./run bench` builds what it needs and starts it.

Every peer is a process of its own (peers.py) and gets the same matrices.  One repetition is one run of every peer, so
that a disturbance meets all of them; medians are printed.  A peer that needs more than the limit for one repetition
gets a smaller batch (column batch); one that is missing, or whose BLAS picked kernels for other processors (blas.py),
is named on standard error and left out.
"""
import argparse
import contextlib
import csv
import ctypes
import functools
import importlib.util
import itertools
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

import blas
import peers
import report
from order import shuffled_rounds
from peers_svdgrad import COMPOSED

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS = ["suite", "op", "dtype", "batch", "m", "n", "threads", "peer", "us_per_matrix", "over_ours", "us_spread",
           "accuracy_ratio", "algorithm", "reps", "speedup_vs_gesdd_loop", "speedup_vs_vendor"]
MEMORY_COLUMNS = ["peer", "op", "dtype", "m", "n", "batch", "operand_bytes", "workspace_bytes", "peak_bytes"]
SHAPES = [(100000, 3, 3), (10000, 8, 8), (10000, 9, 9), (4096, 16, 16), (2048, 32, 32), (512, 64, 64),
          (64, 128, 1000), (100, 10, 20), (16, 256, 256), (4, 512, 512)]
FUNCTION_SHAPES = [(100000, 3, 3), (10000, 8, 8), (2048, 32, 32), (64, 128, 100)]
NORMALIZE_SHAPES = [(10000, 16, 16), (1, 1024, 1024), (1, 4096, 4096)]
SQUARES = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512]
FEW_SHAPES = [(10000, 3), (3, 10000), (2000, 16), (16, 2000), (500, 64), (64, 500), (96, 96), (64, 64), (32, 32),
              (16, 16), (8, 8), (3, 3)]
FEW_BATCHES = [1, 2, 4, 8, 16]
LARGE_SHAPES = [(64, 64), (96, 96), (128, 128), (192, 192), (256, 256), (384, 384), (512, 512), (128, 1000),
                (1000, 128), (300, 900)]
LARGEST_SHAPES = [(1000, 1000), (2000, 2000)]
LARGE_PEERS = ["svdgrad", "openblas-loop", "mkl-loop", "aocl-loop", "numpy", "torch", "jax", "faer"]
ALL = list(peers.PEERS)
OTHERS = [name for name in ALL if not name.startswith("svdgrad")]
ALL_OPS = ["svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank", "fwdbwd-truncated", "backward"]
FUNCTION_OPS = ["polar", "rank", "pinv", "nuclear", "nuclear-hvp", "svd-jvp"]
LANES_MOST = 128  # columns that AUTO puts into lanes: full groups are timed
SHORTEST = 1e-2  # of a sample: less would measure the clock and the scheduler


def say(*words):
    print("bench:", *words, file=sys.stderr, flush=True)


# ---- peers as processes --------------------------------------------------------------------------


class Died(Exception):
    pass


class Process:
    """One peer with a number of threads, and with more variables of the environment."""

    def __init__(self, name, threads, options, variables):
        self.name, self.threads = name, threads
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(threads)
        environment["OPENBLAS_NUM_THREADS"] = "1"  # what would rather have more says so in its class
        environment.update(getattr(peers.PEERS[name], "environment", {}), **variables)
        command = [sys.executable, peers.__file__, name, options.build, str(threads), options.clock]
        # Some libraries count the cores, whatever they are told.
        one_core = functools.partial(os.sched_setaffinity, 0, {max(os.sched_getaffinity(0))})
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment, stderr=options.log,
                                        preexec_fn=one_core if threads == 1 else None)

    def greet(self):
        """What the peer says of itself."""
        hello = self.answer()
        self.ops, self.largest, self.only, self.compiled = (hello[x] for x in ("ops", "largest", "only", "compiled"))
        self.version, self.blas = hello["version"], hello["blas"]

    def has(self, m, n, ops):
        return min(m, n) <= self.largest and self.only in (None, [m, n]) and bool(set(ops) & set(self.ops))

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Died(f"ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Died(answer["error"])
        return answer

    def ask(self, do, **arguments):
        try:
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        except BrokenPipeError:  # it ended before
            pass
        return self.answer()

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def start(name, threads, options):
    """A peer that has said hello.  Where the BLAS that svdgrad was built with picked kernels of another generation than
    the processor, it is told which to pick; another peer is refused then."""
    process = Process(name, threads, options, options.variables.get(name, {}))
    process.greet()
    generation = blas.processor_generation()
    wrong = [library for library in process.blas if blas.wrong(library, generation)]
    if not wrong:
        return process
    process.stop()
    if not getattr(peers.PEERS[name], "ours", False) or name in options.variables:
        raise Died(blas.refusal(wrong[0], generation))
    options.variables[name] = dict(blas.remedy(library, generation) for library in wrong)
    return start(name, threads, options)


class Team:
    """The peers that can be had, started together."""

    def __init__(self, names, threads, options):
        self.members = []
        for name in names:
            if name in options.missing:
                continue
            try:
                process = start(name, threads, options)
            except Died as error:
                options.missing[name] = str(error)
                continue
            told = [f"told by {key}={value}" for key, value in options.variables.get(name, {}).items()]
            options.found[name] = "; ".join([process.version, *map(blas.line, process.blas), *told])
            self.members.append(process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.members:
            process.stop()


# ---- measuring -----------------------------------------------------------------------------------


class Series:
    """One row: an operation of one peer."""

    def __init__(self, process, op, batch, warm):
        self.process, self.op, self.batch, self.samples = process, op, batch, []
        self.accuracy, self.algorithm = warm["accuracy"], warm["algorithm"]
        self.calls = max(1, int(SHORTEST / max(warm["seconds"], 1e-7)))

    def repeat(self):
        self.samples.append(self.process.ask("time", op=self.op, calls=self.calls)["seconds"] / self.batch)


def prepare(process, ops, directory, batch, limit):
    """Warm series of one peer, with a batch that none of them exceeds the limit with (in seconds)."""
    ops = [op for op in ops if op in process.ops]
    probe = batch if process.compiled else min(batch, max(process.threads, batch // 8))
    process.ask("load", directory=directory, batch=probe)
    warmed = {op: process.ask("warm", op=op) for op in ops}
    slowest = max(ops, key=lambda op: warmed[op]["seconds"])
    # A second look: a disturbance must not make the batch small.
    seconds = min(warmed[slowest]["seconds"], process.ask("time", op=slowest, calls=1)["seconds"]) / probe
    batch = int(min(batch, max(process.threads, limit / seconds)))
    if batch != probe:
        process.ask("load", directory=directory, batch=batch)
        warmed = {op: process.ask("warm", op=op) for op in ops}
    return [Series(process, op, batch, warmed[op]) for op in ops]


def store(directory, batch, m, n, dtype):
    """The matrices, and G of the loss, for all peers."""
    generator = numpy.random.default_rng(m * 1000 + n)
    for name in "AG":
        array = generator.standard_normal((batch, m, n)).astype(peers.DTYPES[dtype])
        numpy.save(os.path.join(directory, name + ".npy"), array)


def ratio(series, others, name, op):
    """Time of one peer's operation over that of a series, in the same repetition, median."""
    other = next((x for x in others if x.process.name == name and x.op == op), None)
    if not other or not series:
        return ""
    return f"{statistics.median(a / b for a, b in zip(other.samples, series.samples)):.3f}"


def speedup(series, others, name):
    """Of the forward pass, or of the values, of another peer."""
    return ratio(series, others, name, "svdvals" if series.op == "svdvals" else "svd")


def over_ours(series, others):
    """Below 1 the peer is faster than svdgrad."""
    ours = next((x for x in others if (x.process.name, x.op) == ("svdgrad", series.op)), None)
    return ratio(ours, others, series.process.name, series.op)


def measure(suite, team, shape, dtype, ops, options):
    """Rows of one shape."""
    batch, m, n = shape
    series = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        store(directory, batch, m, n, dtype)
        for process in [x for x in team.members if x.has(m, n, ops)]:
            limit = math.inf if suite in ("batches", "few", "large") else options.limit
            try:
                series += prepare(process, ops, directory, batch, limit)
            except Died as error:
                say(f"{process.name}, {dtype} {batch} x {m} x {n}: {error}")
        for one in itertools.chain.from_iterable(shuffled_rounds(series, options.reps)):
            if one.process.threads > 1:
                time.sleep(5e-3)  # until the idle threads of the peer before sleep
            one.repeat()
    for one in series:
        seconds = statistics.median(one.samples)
        spread = statistics.median(abs(x - seconds) for x in one.samples)
        yield [suite, one.op, dtype, one.batch, m, n, one.process.threads, one.process.name, f"{1e6 * seconds:.4g}",
               over_ours(one, series), f"{1e6 * spread:.2g}", f"{one.accuracy:.3g}", one.algorithm, options.reps,
               speedup(one, series, "gesdd-loop"), speedup(one, series, "svdgrad-vendor")]


# ---- suites --------------------------------------------------------------------------------------


def batch_for(m, n, seconds):
    """As many matrices as gesdd does in that time, roughly."""
    return int(max(4, min(100000, seconds / (0.17e-6 * m * n))))


def full_groups(batch):
    """That many or a few more: as many as all lanes hold, also of float in the widest registers."""
    return -(-batch // 16) * 16


def shapes(options):
    cases = [(max(4, batch // 20), m, n) for batch, m, n in SHAPES[:8:2]] if options.quick else SHAPES
    for count in sorted({1, options.cores}):
        yield ["svdgrad", *OTHERS], count, cases, ALL_OPS


def few(options):
    """A single matrix and a few: where a first user meets the library."""
    shapes = FEW_SHAPES[4:8:2] if options.quick else FEW_SHAPES
    cases = [(batch, m, n) for m, n in shapes for batch in FEW_BATCHES]
    for count in sorted({1, options.cores}):
        yield ALL, count, cases, ["svd", "svdvals", "fwdbwd-rank"]


def squares(options):
    sizes = [n for n in SQUARES if not options.quick or n in (2, 4, 16, 64)]
    counts = {n: batch_for(n, n, options.limit / 3) for n in sizes}
    cases = [(full_groups(count) if n <= LANES_MOST else count, n, n) for n, count in counts.items()]
    yield ["svdgrad", "svdgrad-vendor", *OTHERS], 1, cases, ["svd", "svdvals", "fwdbwd-rank"]


def large(options):
    """From 64 columns on: one matrix, and as many as keep everybody busy."""
    shapes = LARGE_SHAPES[:3:2] if options.quick else LARGE_SHAPES
    cases = [(batch, m, n) for m, n in shapes for batch in (1, full_groups(16) if min(m, n) <= 96 else batch_for(m, n, 0.02))]
    for count in sorted({1, options.cores}):
        yield LARGE_PEERS, count, cases, ["svd", "svdvals", "fwdbwd-rank"]
        if not options.quick:
            yield LARGE_PEERS, count, [(1, m, n) for m, n in LARGEST_SHAPES], ["svd", "svdvals"]


def batches(options):
    most = 10 ** (3 if options.quick else 5)
    cases = [(batch, n, n) for n in (4, 16, 64) for batch in (1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000)
             if batch <= min(most, batch_for(n, n, options.limit))]
    yield ["svdgrad", "gesdd-loop", "mkl-batched", "numpy", "torch", "jax"], options.cores, cases, ["svd"]


def threads(options):
    counts = sorted({2 ** i for i in range(10) if 2 ** i < options.cores} | {options.cores})
    cases = [(batch_for(n, n, options.limit), n, n) for n in (3, 8, 32, 256)]
    for count in counts:
        yield ["svdgrad", "gesdd-loop"], count, cases, ["svd", "fwdbwd-rank"]


def functions(options):
    """The functions of the SVD with their gradients: fused, composed, and as others have them."""
    ops = FUNCTION_OPS + [op + COMPOSED for op in FUNCTION_OPS]
    for count in sorted({1, options.cores}):
        for cases, wanted in ((FUNCTION_SHAPES, ops), (NORMALIZE_SHAPES, ["normalize"])):
            cases = [(max(1, batch // 20), m, n) for batch, m, n in cases[:2]] if options.quick else cases
            yield ["svdgrad", "torch", "jax", "tensorflow"], count, cases, wanted


def sweep(options):
    """Square, tall and wide, every size: is any slower than our own LAPACK path?"""
    step = 16 if options.quick else 1
    cases = [(n, n) for n in range(1, 129, step)]
    cases += [shape for n in range(1, 65, step) for shape in ((4 * n + 1, n), (n, 4 * n + 1))]
    cases = [(full_groups(batch_for(m, n, 0.01)), m, n) for m, n in cases]
    yield ["svdgrad", "svdgrad-vendor"], 1, cases, ["svd", "svdvals"]


SUITES = {"shapes": shapes, "few": few, "squares": squares, "large": large, "batches": batches, "threads": threads,
          "functions": functions, "sweep": sweep}


def run_suite(name, options, out):
    for peer_names, count, cases, ops in SUITES[name](options):
        if options.threads and str(count) not in options.threads.split(","):
            continue
        with Team([x for x in peer_names if x in options.peers], count, options) as team:
            dtypes = options.dtype[:1] if name in ("batches", "threads") else options.dtype
            for dtype, shape in itertools.product(dtypes, cases):
                say(f"{time.monotonic() - options.start:4.0f} s: {name}, threads {count}, {dtype}", *shape)
                out.writerows(measure(name, team, shape, dtype, ops, options))


def run_memory(options, out):
    """A fresh process for every row: what one peer touched stays with it."""
    cases = [(100000, 8, 8), (512, 64, 64)] + ([] if options.quick else [(16, 512, 512)])
    for name, shape in itertools.product([name for name in ("svdgrad", "torch") if name in options.peers], cases):
        for op in ("svd", "fwdbwd-rank"):
            with Team([name], options.cores, options) as team, tempfile.TemporaryDirectory() as directory:
                store(directory, *shape, "f64")
                for process in team.members:
                    answer = process.ask("memory", op=op, directory=directory)
                    out.writerow([name, op, "f64", *shape[1:], shape[0], answer["operands"], answer["work"],
                                  answer["peak"]])


# ---- the program ---------------------------------------------------------------------------------


def processor():
    return " ".join(blas.cpuinfo("model name")) or "unknown"


def fma_limits(options):
    """Billions of multiply-adds per second of one thread, in float and in double."""
    library = ctypes.CDLL(os.path.join(options.build, "bench", "libbench_native.so"))
    library.fma_rate.restype = ctypes.c_double
    return [library.fma_rate(is_double) / 1e9 for is_double in (0, 1)]


def comments(options):
    simd = " ".join(name for name in ("avx2", "avx512f") if name in blas.cpuinfo("flags"))
    yield time.strftime("date: %Y-%m-%d %H:%M UTC", time.gmtime())
    yield f"machine: {processor()}, {options.cores} cores, {simd}, {platform.system()} {platform.machine()}"
    yield f"load when it began: {os.getloadavg()[0]:.2f}"
    yield "FMA limit: f32 {:.4g}, f64 {:.4g} billion multiply-adds per second on one thread".format(*fma_limits(options))
    if options.clock != "perf_counter":
        yield f"clock: {options.clock}"
    if options.note:
        yield f"note: {options.note}"
    yield f"command: compare.py {' '.join(sys.argv[1:])}"
    yield from (f"{name}: {version}" for name, version in options.found.items())
    yield from (f"{name}: left out ({reason})" for name, reason in options.missing.items())


def save(name, heading, run, options):
    path = os.path.join(options.output, name)
    with open(path, "w", encoding="utf-8", newline="", buffering=1) as file:
        file.writelines(f"# {comment}\n" for comment in comments(options))
        out = csv.writer(file, lineterminator="\n")
        out.writerow(heading)
        run(options, out)
    say("wrote", path)


def listed(allowed):
    """Type of an option that takes a comma-separated list."""
    def parse(text):
        if not set(text.split(",")) <= set(allowed):
            raise argparse.ArgumentTypeError(f"of {','.join(allowed)}")
        return text.split(",")
    return parse


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.split("\n\n", 1)[1])
    suites = [*SUITES, "memory"]
    parser.add_argument("--quick", action="store_true", help="small batches, three repetitions, into build/bench")
    parser.add_argument("--suites", type=listed(suites), default=[name for name in suites if name != "sweep"],
                        help=f"of {','.join(suites)}; default all but sweep (every size against our LAPACK path)")
    parser.add_argument("--peers", type=listed(ALL), default=ALL, help=f"of {','.join(ALL)}; default all")
    parser.add_argument("--dtype", type=listed(peers.DTYPES), default=list(peers.DTYPES), help="default f32,f64")
    parser.add_argument("--threads", help="of the counts that a suite has (one and all, mostly), these alone, as 1,8")
    parser.add_argument("--reps", type=int, help="repetitions of which the median is printed; default 5")
    parser.add_argument("--limit", type=float, help="seconds of one repetition; default 0.15")
    parser.add_argument("--output", help="directory of the CSV files; default bench/results")
    parser.add_argument("--clock", choices=["perf_counter", "process_time"], default="perf_counter",
                        help="of Python's time; process_time is the time that a peer had the processor, for one thread "
                             "on a loaded machine")
    parser.add_argument("--note", help="a remark that goes into the results: what else the machine did")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"), help="where svdgrad was built")
    options = parser.parse_args()
    options.reps = options.reps or (3 if options.quick else 5)
    options.limit = options.limit or (0.05 if options.quick else 0.15)
    options.output = options.output or os.path.join(ROOT, "build/bench" if options.quick else "bench/results")
    return options


def present(directory):
    """Tables, also to standard output, and pictures of everything in the directory."""
    for name, which in (("cpu.md", []), ("cpu_functions.md", ["functions"])):
        if which and not report.has_rows(directory, *which):
            continue
        text = subprocess.run([sys.executable, report.__file__, directory, *which], stdout=subprocess.PIPE, text=True,
                              check=True)
        if not text.stdout:
            continue
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text.stdout)
        print(text.stdout, end="")
    if importlib.util.find_spec("matplotlib"):
        plots = os.path.join(ROOT, "bench", "plots.py")
        subprocess.run([sys.executable, plots, directory], stdout=sys.stderr, check=True)
    else:
        say("no pictures: matplotlib is missing")


def main():
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    options.cores = len(os.sched_getaffinity(0))
    options.start, options.found, options.missing, options.variables = time.monotonic(), {}, {}, {}
    with open(os.path.join(options.build, "bench_peers.log"), "w", encoding="utf-8") as options.log:
        with Team(options.peers, 1, options):
            for name in options.peers:
                say(f"{name:17}", options.found.get(name) or f"left out: {options.missing[name]}")
        for name in options.suites:
            if name == "memory":
                save("cpu_memory.csv", MEMORY_COLUMNS, run_memory, options)
            else:
                save(f"cpu_{name}.csv", COLUMNS, functools.partial(run_suite, name), options)
    say(f"{time.monotonic() - options.start:.0f} s")
    present(options.output)


if __name__ == "__main__":
    main()
