#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Times svdgrad in NumPy, JAX, PyTorch and TensorFlow beside the SVD of each; `./run bench --suites frameworks` starts it.

Every framework is a process of its own.  In it ours and theirs take turns, on the same arrays, a call of each per round;
medians are printed.  What a framework cannot do is left out: a gradient that does not exist, a batch that takes longer than
the limit.  The overhead of a call is the time of one 1 x 1 matrix, where nothing is computed.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAPES = [(1, 1, 1), (1, 3, 3), (100, 10, 20), (10000, 8, 8), (100000, 3, 3), (2048, 32, 32), (16, 256, 256)]
QUICK = [(1, 1, 1), (1, 3, 3), (100, 10, 20), (10000, 8, 8)]
LOSSES = ["forward", "values", "nuclear norm", "rank n/2", "polar"]
COLUMNS = ["framework", "version", "op", "dtype", "batch", "m", "n", "ours_us", "theirs_us", "theirs_over_ours", "rounds"]
LIMIT = 4.0  # seconds that one call of theirs may take


def half(n):
    return max(1, n // 2)


# ---- one framework: {op: (ours, theirs)} for an array, each a function without arguments that waits for its result


def numpy_calls(a):
    import numpy as np

    import svdgrad as s

    a = np.asarray(a)
    return {
        "forward": (lambda: s.svd(a, False), lambda: np.linalg.svd(a, False)),
        "values": (lambda: s.svdvals(a), lambda: np.linalg.svd(a, compute_uv=False)),
    }


def jax_calls(a):
    import jax
    import jax.numpy as jnp

    import svdgrad.jax as s

    a, r = jnp.asarray(a), half(min(a.shape[-2:]))

    def theirs_rank(x):
        U, S, Vh = jnp.linalg.svd(x, full_matrices=False)
        return jnp.sum(((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :]) ** 3)

    def theirs_polar(x):
        U, _, Vh = jnp.linalg.svd(x, full_matrices=False)
        return jnp.sum((U @ Vh) ** 3)

    pairs = {
        "forward": (lambda x: s.svd(x, full_matrices=False), lambda x: jnp.linalg.svd(x, full_matrices=False)),
        "values": (s.svdvals, lambda x: jnp.linalg.svd(x, compute_uv=False)),
        "nuclear norm": (lambda x: s.nuclear_norm(x).sum(), lambda x: jnp.linalg.svd(x, compute_uv=False).sum()),
        "rank n/2": (lambda x: jnp.sum(s.low_rank(x, r) ** 3), theirs_rank),
        "polar": (lambda x: jnp.sum(s.polar(x) ** 3), theirs_polar),
    }

    def timed(op, f):
        g = jax.jit(f if op in ("forward", "values") else jax.value_and_grad(f))
        return lambda: jax.block_until_ready(g(a))

    return {op: tuple(timed(op, f) for f in pair) for op, pair in pairs.items()}


def torch_calls(a):
    import torch

    import svdgrad.torch as s

    a, r = torch.tensor(a), half(min(a.shape[-2:]))

    def theirs_rank(x):
        U, S, Vh = torch.linalg.svd(x, full_matrices=False)
        return (((U[..., :r] * S[..., None, :r]) @ Vh[..., :r, :]) ** 3).sum()

    def theirs_polar(x):
        U, _, Vh = torch.linalg.svd(x, full_matrices=False)
        return ((U @ Vh) ** 3).sum()

    pairs = {
        "forward": (lambda x: s.svd(x, full_matrices=False), lambda x: torch.linalg.svd(x, full_matrices=False)),
        "values": (s.svdvals, torch.linalg.svdvals),
        "nuclear norm": (lambda x: s.nuclear_norm(x).sum(), lambda x: torch.linalg.svdvals(x).sum()),
        "rank n/2": (lambda x: (s.low_rank(x, r) ** 3).sum(), theirs_rank),
        "polar": (lambda x: (s.polar(x) ** 3).sum(), theirs_polar),
    }

    def timed(op, f):
        if op in ("forward", "values"):
            return lambda: f(a)

        def call():
            x = a.detach().requires_grad_()
            return torch.autograd.grad(f(x), x)

        return call

    return {op: tuple(timed(op, f) for f in pair) for op, pair in pairs.items()}


def tensorflow_calls(a):
    import tensorflow as tf

    import svdgrad.tensorflow as s

    a, r = tf.constant(a), half(min(a.shape[-2:]))

    def theirs_rank(x):
        S, U, V = tf.linalg.svd(x)
        return tf.reduce_sum(tf.matmul(U[..., :r] * S[..., None, :r], V[..., :r], adjoint_b=True) ** 3)

    def theirs_polar(x):
        _, U, V = tf.linalg.svd(x)
        return tf.reduce_sum(tf.matmul(U, V, adjoint_b=True) ** 3)

    pairs = {
        "forward": (lambda x: s.svd(x, full_matrices=False), tf.linalg.svd),
        "values": (lambda x: s.svdvals(x), lambda x: tf.linalg.svd(x, compute_uv=False)),
        "nuclear norm": (lambda x: tf.reduce_sum(s.nuclear_norm(x)), lambda x: tf.reduce_sum(tf.linalg.svd(x, compute_uv=False))),
        "rank n/2": (lambda x: tf.reduce_sum(s.low_rank(x, r) ** 3), theirs_rank),
        "polar": (lambda x: tf.reduce_sum(s.polar(x) ** 3), theirs_polar),
    }

    def timed(op, f):
        if op in ("forward", "values"):
            g = tf.function(f)
            return lambda: g(a)

        @tf.function
        def value_and_grad(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            return y, tape.gradient(y, x)

        return lambda: value_and_grad(a)

    return {op: tuple(timed(op, f) for f in pair) for op, pair in pairs.items()}


CALLS = {"numpy": numpy_calls, "jax": jax_calls, "torch": torch_calls, "tensorflow": tensorflow_calls}


def seconds(f, count):
    start = time.perf_counter()
    for _ in range(count):
        f()
    return (time.perf_counter() - start) / count


def time_pair(ours, theirs, rounds):
    """Medians of both; None for theirs where one call takes longer than the limit or fails."""
    for _ in range(2):
        ours()
    try:
        theirs()
        first = seconds(theirs, 1)
    except Exception as error:  # an operation that the framework does not have
        print(f"    theirs: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
        first, theirs = LIMIT, None
    count = [max(1, int(2e-3 / max(seconds(ours, 1), 1e-7))), max(1, int(2e-3 / max(first, 1e-7)))]
    if first >= LIMIT / 2:
        rounds = 3
    times = [[], []]
    for _ in range(rounds):
        times[0].append(seconds(ours, count[0]))
        if theirs:
            times[1].append(seconds(theirs, count[1]))
    return statistics.median(times[0]), statistics.median(times[1]) if theirs else None


def run_framework(name, shapes, dtypes, rounds):
    import numpy as np

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if name == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    version = __import__(name).__version__
    for dtype in dtypes:
        for batch, m, n in shapes:
            a = np.random.default_rng(0).standard_normal((batch, m, n)).astype(dtype)
            for op, (ours, theirs) in CALLS[name](a).items():
                x, y = time_pair(ours, theirs, rounds)
                print(json.dumps([name, version, op, dtype, batch, m, n, x, y, rounds]), flush=True)


# ---- all frameworks


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


NOTE = """Medians of interleaved rounds, ours and theirs in turn, microseconds per call; theirs over ours: above 1 we are faster.
Rows other than forward and values are value and gradient. JAX under jit, TensorFlow in tf.function, PyTorch and NumPy eager."""


def facts_of_run(options):
    return [f"date: {time.strftime('%Y-%m-%d')}", f"machine: {processor()}, {options.threads} thread{'s' * (options.threads > 1)}",
            f"command: ./run bench --suites frameworks --rounds {options.rounds}"]  # fmt: skip


def facts_before(path):
    with open(path + ".md", encoding="utf-8") as file:
        return [line[2:-1] for line in file if line.startswith("* ")]


def rows_before(path):
    with open(path + ".csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row[:4] + [int(x) for x in row[4:7]] + [float(x) if x else "" for x in row[7:10]] + row[10:] for row in rows]


def short(ratio):
    return "" if ratio == "" else f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1 else 2}f}"


def summary(rows):
    """Theirs over ours in double precision, a shape in a row."""
    names = list(dict.fromkeys(row[0] for row in rows))
    ratios = {(row[0], row[2], *row[4:7]): row[9] for row in rows if row[3] == "float64"}
    columns = [(op, name) for op in ("forward", "rank n/2") for name in names if any(key[:2] == (name, op) for key in ratios)]
    lines = ["| batch x m x n | " + " | ".join(f"{name}, {'U, S, Vh' if op == 'forward' else 'gradient'}" for op, name in columns) + " |",
             "|---" * (len(columns) + 1) + "|"]  # fmt: skip
    for shape in dict.fromkeys(key[2:] for key in ratios):
        cells = [ratios.get((name, op, *shape), "") for op, name in columns]
        lines.append(f"| {shape[0]:,} x {shape[1]} x {shape[2]} | " + " | ".join(short(x) for x in cells) + " |")
    return "\n".join(lines) + "\n"


def write(path, rows, facts):
    with open(path + ".csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    lines = ["# In the frameworks", "", *(f"* {fact}" for fact in facts), "", NOTE, ""]
    versions = {row[0]: row[1] for row in rows}
    lines += ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    lines += ["Theirs over ours, float64; gradient: value and gradient of sum(low_rank(a, n/2)^3)", "", summary(rows)]
    for name in versions:
        lines += [f"## {name}", "", "| op | type | batch x m x n | ours us | theirs us | theirs over ours |", "|---|---|---|---|---|---|"]
        for row in rows:
            if row[0] == name:
                theirs = f"{row[8]:.1f}" if row[8] != "" else "-"
                ratio = f"{row[9]:.2f}" if row[9] != "" else "-"
                lines.append(f"| {row[2]} | {row[3]} | {row[4]} x {row[5]} x {row[6]} | {row[7]:.1f} | {theirs} | {ratio} |")
        lines.append("")
    with open(path + ".md", "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def write_page(page, rows, facts):
    """The summary between the marks of the page."""
    mark = "<!-- measured by bench/frameworks.py -->\n"
    with open(page, encoding="utf-8") as file:
        before, _, after = file.read().partition(mark)
    with open(page, "w", encoding="utf-8") as file:
        file.write(before + mark + "\n" + "; ".join(fact.split(": ", 1)[1] for fact in facts[:2]) + ":\n\n" + summary(rows) + "\n" + after[after.index("<!-- end -->") :])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CALLS), help="frameworks, separated by commas")
    parser.add_argument("--quick", action="store_true", help="small batches, f32 alone")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", default=os.path.join(ROOT, "bench", "results", "frameworks"))
    parser.add_argument("--page", default=os.path.join(ROOT, "python", "README.md"), help="where the summary is written")
    parser.add_argument("--tables", action="store_true", help="write the tables of what was measured before")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--suites", help=argparse.SUPPRESS)
    options = parser.parse_args()
    shapes, dtypes = (QUICK, ["float32"]) if options.quick else (SHAPES, ["float32", "float64"])
    if options.worker:
        run_framework(options.worker, shapes, dtypes, options.rounds)
        return
    if options.tables:
        rows, facts = rows_before(options.output), facts_before(options.output)
        write(options.output, rows, facts)
        write_page(options.page, rows, facts)
        return
    rows, facts = [], facts_of_run(options)
    for name in options.only.split(","):
        command = [sys.executable, __file__, "--worker", name, "--rounds", str(options.rounds), *["--quick"] * options.quick]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in worker.stdout:
            name, version, op, dtype, batch, m, n, ours, theirs, rounds = json.loads(line)
            ratio = "" if theirs is None else theirs / ours
            rows.append([name, version, op, dtype, batch, m, n, ours * 1e6, "" if theirs is None else theirs * 1e6, ratio, rounds])
            print(f"{name:10} {op:12} {dtype:8} {batch:6} x {m:3} x {n:3}  {ours * 1e6:12.1f} us  "
                  + (f"{ratio:8.2f}" if ratio != "" else "       -"), file=sys.stderr, flush=True)  # fmt: skip
        if worker.wait():
            print(f"frameworks: {name} is missing or failed", file=sys.stderr)
    write(options.output, rows, facts)
    if not options.quick:
        write_page(options.page, rows, facts)


if __name__ == "__main__":
    main()
