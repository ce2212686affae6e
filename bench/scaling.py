#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many times as fast 2, 4, ... workers are as one on a batch of fixed size; `./run bench --suites scaling` starts it.

Three engines share a batch among workers: `threads` of the library in one process (NumPy), `jax` processes on one mesh,
and `dask` processes of a LocalCluster that read a file; `copy` processes that copy memory show what the machine's memory
gives.  A worker is one thread.  All teams of workers are started first and then take turns, one task of each per round;
the least time of the rounds counts.  Beside the time on the clock stands the processor time of the worker that took most of
it, the median of the rounds, which other programs on the machine disturb less.  Writes
scaling.csv, the tables of docs/distributed.md, and its picture where matplotlib is installed (--draw: from the file).
"""

import argparse
import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAPES = [(200_000, 8, 8), (20_000, 32, 32), (320, 128, 128), (16, 512, 512)]
DTYPE, BYTES = "float32", 4
OPS = ("svd", "gradient")
TASKS = {  # engine: what it can do
    "threads": OPS, "jax": OPS, "dask": ("svd",), "copy": ("copy",),
}  # fmt: skip
COLUMNS = ["engine", "op", "dtype", "batch", "m", "n", "workers", "seconds", "times_as_fast", "processor_seconds",
           "times_as_fast_by_processor", "us_per_matrix_and_worker", "bytes_per_matrix", "gb_per_s_and_worker"]  # fmt: skip
CHUNKS = 16  # of the file that Dask reads
COPIED = 1 << 28  # bytes that all workers copy together


def moved(op, m, n):
    """Bytes that have to be read and written for one matrix: A, then U, S, Vh, or the value and gA."""
    k = min(m, n)
    return BYTES * (m * n + (m * k + k + k * n if op == "svd" else 1 + m * n))


# ---- workers: each reads a task per line, and answers when its part of it is done


def matrices(batch, m, n):
    import numpy as np

    return np.random.default_rng(0).standard_normal((batch, m, n), dtype=DTYPE)


def threads_worker(options):
    import numpy as np

    import svdgrad as s

    data = {shape: matrices(*shape) for shape in SHAPES}

    def gradient(a):
        """Of sum(rank n/2 approximation ^ 3)."""
        rank = min(a.shape[-2:]) // 2
        return s.function_vjp("low_rank", a, 3 * np.square(s.low_rank(a, rank)), rank)

    results = {shape: tuple(s.svd(a, False)) for shape, a in data.items()}

    def call(op, shape):
        return gradient(data[shape]) if op == "gradient" else s.svd(data[shape], False, out=results[shape])

    return call


def jax_worker(options):
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[options.rank]})  # XLA has a thread per processor
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{options.port}", options.workers, options.rank)
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    import svdgrad.jax as s

    mesh = jax.make_mesh((options.workers,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("x"))

    def spread(shape):
        a = matrices(*shape)
        return jax.make_array_from_callback(shape, sharding, lambda index: a[index])

    def value(a):
        """Of each matrix: nothing is sent."""
        return jnp.sum(s.low_rank(a, min(a.shape[-2:]) // 2) ** 3, (-2, -1))

    def gradient(a):
        values, pull = jax.vjp(value, a)
        return values, pull(jnp.ones_like(values))

    data = {shape: spread(shape) for shape in SHAPES}
    calls = {"svd": jax.jit(lambda a: tuple(s.svd(a, full_matrices=False))), "gradient": jax.jit(gradient)}
    return lambda op, shape: jax.block_until_ready(calls[op](data[shape]))


def dask_worker(options):
    import distributed

    import svdgrad.dask as s

    cluster = distributed.LocalCluster(
        n_workers=options.workers, threads_per_worker=1, processes=True, dashboard_address=None
    )
    client = distributed.Client(cluster)

    def call(op, shape):
        """The results stay with the workers until the next task."""
        path = os.path.join(options.folder, "x".join(map(str, shape)) + ".npy")
        a = s.from_npy(path, chunks=(-(-shape[0] // CHUNKS), -1, -1))
        before = client.run(time.process_time)
        results = client.persist(list(s.svd(a, False)))
        distributed.wait(results)
        options.seconds = max(after - before[name] for name, after in client.run(time.process_time).items())

    return call


def copy_worker(options):
    import numpy as np

    source = np.ones(COPIED // options.workers // 8)
    target = np.empty_like(source)
    return lambda op, shape: np.copyto(target, source)


def work(options):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    options.seconds = None
    call = globals()[options.worker + "_worker"](options)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        op, shape = json.loads(line)
        before = time.process_time()
        call(op, tuple(shape))
        mine = (time.process_time() - before) / (options.workers if options.worker == "threads" else 1)
        print(mine if options.seconds is None else options.seconds, file=answers, flush=True)


# ---- teams


class Team:
    """All workers of one engine."""

    def __init__(self, engine, workers, folder):
        self.engine, self.workers = engine, workers
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        environment = {**os.environ, "SVDGRAD_NUM_THREADS": str(workers if engine == "threads" else 1),
                       "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}  # fmt: skip
        environment.pop("XLA_FLAGS", None)
        arguments = ["--worker", engine, "--workers", str(workers), "--port", str(port), "--folder", folder]
        processes = workers if engine in ("jax", "copy") else 1
        self.processes = [
            subprocess.Popen([sys.executable, os.path.abspath(__file__), *arguments, "--rank", str(rank)],
                             env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for rank in range(processes)
        ]  # fmt: skip
        self.wait()

    def wait(self):
        answers = [process.stdout.readline().strip() for process in self.processes]
        if not all(answers):
            raise SystemExit(f"scaling: a worker of {self.engine} failed")
        return answers

    def seconds(self, op, shape):
        """On the clock, and of the processor."""
        start = time.perf_counter()
        for process in self.processes:
            process.stdin.write(json.dumps([op, shape]) + "\n")
            process.stdin.flush()
        answers = self.wait()
        return time.perf_counter() - start, max(map(float, answers))

    def stop(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait()


def measure(options, folder):
    """{(engine, op, shape, workers): least seconds on the clock, median of those of the processor}"""
    teams = []
    for engine in options.engines.split(","):
        try:
            teams += [Team(engine, workers, folder) for workers in options.counts]
        except SystemExit as error:  # the engine is not installed
            print(error, file=sys.stderr)
    all_found = {}
    for i in range(options.rounds + 1):  # the first compiles
        for op, shape in [(op, shape) for op in OPS for shape in SHAPES] + [("copy", (1, 1, 1))]:
            for team in teams:
                if op in TASKS[team.engine]:
                    key = team.engine, op, shape, team.workers
                    found = team.seconds(op, shape)
                    if i:
                        all_found.setdefault(key, []).append(found)
        print(f"round {i} of {options.rounds}", file=sys.stderr, flush=True)
    for team in teams:
        team.stop()
    columns = {key: list(zip(*found)) for key, found in all_found.items()}
    return {key: (min(clock), statistics.median(processor)) for key, (clock, processor) in columns.items()}


# ---- results


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


def rows_of(least):
    def place(key):
        engine, op, shape, workers = key
        return engine, op, shape[1:], workers

    for key in sorted(least, key=place):
        engine, op, (batch, m, n), workers = key
        (clock, processor), (clock_1, processor_1) = least[key], least[(*key[:3], 1)]
        amount = 2 * COPIED if op == "copy" else moved(op, m, n)
        each = processor * workers / batch  # of one matrix
        yield [engine, op, DTYPE, batch, m, n, workers, f"{clock:.6g}", f"{clock_1 / clock:.3f}", f"{processor:.6g}",
               f"{processor_1 / processor:.3f}", f"{1e6 * each:.4g}", amount, f"{1e-9 * amount / each:.3g}"]  # fmt: skip


def save(path, least, options):
    loads = " ".join(f"{x:.1f}" for x in os.getloadavg())
    further = " --by-processor" if options.by_processor else ""
    notes = [
        time.strftime("date: %Y-%m-%d %H:%M UTC", time.gmtime()),
        f"machine: {processor()}, {os.cpu_count()} processors",
        f"command: ./run bench --suites scaling --rounds {options.rounds}{further}",
        f"load at the end: {loads}",
    ]
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {note}\n" for note in notes)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows_of(least))


def read(path):
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    notes = dict(line[2:].rstrip("\n").split(": ", 1) for line in lines if line.startswith("# "))
    return notes, list(csv.DictReader(line for line in lines if not line.startswith("#")))


TITLES = {
    "threads": "threads of the library, NumPy",
    "jax": "processes of JAX on one mesh",
    "dask": "processes of Dask, from a file",
}


MEMORY, NETWORK = 300, 12.5  # GB/s: eight channels of DDR5-4800, and 100 Gbit/s


def markdown(heads, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ["---"] * len(heads), *lines))


def measured_table(notes, rows):
    most = max(int(row["workers"]) for row in rows)
    chosen = {(row["engine"], row["op"], row["n"]): row for row in rows if int(row["workers"]) == most}
    lines = []
    for engine, op in dict.fromkeys(key[:2] for key in chosen if key[0] in TITLES):
        found = (chosen[engine, op, str(n)] for _, _, n in SHAPES)
        pairs = (f"{float(x['times_as_fast']):.2f}, {float(x['times_as_fast_by_processor']):.2f}" for x in found)
        lines.append([TITLES[engine], op, *pairs])
    heads = [f"{most} workers", "", *(f"{batch} x {m} x {n}" for batch, m, n in SHAPES)]
    load = notes["load at the end"]
    text = f"{notes['machine']}, {notes['date']}, `{notes['command']}`, load {load}.\n"
    if float(load.split()[0]) > 2 * most:
        text += "The machine was busy: the clock says little then, and values above the number of workers are no gain but\n"
        text += "show how far processor time is off, too.\n"
    text += f"\n{markdown(heads, lines)}"
    copies = {int(row["workers"]): float(row["gb_per_s_and_worker"]) for row in rows if row["engine"] == "copy"}
    if copies:
        text += f"\n\nCopying memory, one worker moves {copies[1]:.1f} GB/s and {most} together {copies[most] * most:.1f}, by "
        text += "their processor time."
    return text


def reasoned_table(rows):
    heads = ["U, S, Vh", "us per matrix (measured)", "bytes in and out", "GB/s of a worker",
             f"workers that memory of {MEMORY} GB/s feeds", f"workers that a network of {NETWORK} GB/s feeds"]  # fmt: skip
    lines = []
    for row in rows:
        if (row["engine"], row["op"], row["workers"]) == ("threads", "svd", "1"):
            each, rate = float(row["us_per_matrix_and_worker"]), float(row["gb_per_s_and_worker"])
            size, feeds = f"{row['m']} x {row['n']}", (f"{MEMORY / rate:.0f}", f"{NETWORK / rate:.0f}")
            lines.append([size, f"{each:.2f}" if each < 100 else f"{each:.0f}", row["bytes_per_matrix"], f"{rate:.2f}", *feeds])
    return markdown(heads, lines)


def write_page(path, page):
    """The tables between the marks of the page."""
    notes, rows = read(path)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for name, table in (("measured", measured_table(notes, rows)), ("reasoned", reasoned_table(rows))):
        mark = f"<!-- {name} by bench/scaling.py -->\n"
        before, _, after = text.partition(mark)
        text = before + mark + "\n" + table + "\n\n" + after[after.index("<!-- end -->") :]
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)


def draw(path, picture, by_processor):
    try:
        import matplotlib
    except ImportError:
        print("scaling: no matplotlib, so no picture", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    notes, rows = read(path)
    engines = [engine for engine in TITLES if any(row["engine"] == engine for row in rows)]
    pyplot.rcParams.update({"font.size": 12, "axes.titlesize": 12})  # a phone shows 6.4 inches in some 360 pixels
    figure, panels = pyplot.subplots(len(engines), 1, figsize=(6.4, 1.2 + 2.8 * len(engines)), sharex=True, sharey=True, squeeze=False)
    counts = sorted({int(row["workers"]) for row in rows})
    measure = "times_as_fast_by_processor" if by_processor else "times_as_fast"
    for engine, (axes,) in zip(engines, panels):
        axes.plot(counts, counts, color="grey", linewidth=1, label="workers")
        for op, dash in (("svd", "-"), ("gradient", "--")):
            for colour, (_, m, n) in enumerate(SHAPES):
                mine = [row for row in rows if (row["engine"], row["op"], row["m"], row["n"]) == (engine, op, str(m), str(n))]
                if mine:
                    axes.plot([int(row["workers"]) for row in mine], [float(row[measure]) for row in mine], dash,
                              color=f"C{colour}", marker="o", markersize=4, label=f"{m} x {n}, {op}")  # fmt: skip
        axes.set(title=TITLES[engine])
        axes.set_xticks(counts)
        axes.grid(True, alpha=0.3)
    panels[-1][0].set_xlabel("workers")
    panels[len(engines) // 2][0].set_ylabel("times as fast as one worker" + (", by processor time" if by_processor else ""))
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="upper center", ncol=3, frameon=False, fontsize=11)
    figure.text(0.01, 0.005, f"{notes['machine']} · {notes['date']}", fontsize=9, color="grey")
    figure.tight_layout(rect=(0, 0.02, 1, 1 - 0.8 / figure.get_figheight()))
    figure.savefig(picture, dpi=110)
    print(picture)


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench --suites scaling", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--suites", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--engines", default="threads,jax,dask,copy")
    parser.add_argument("--counts", type=lambda text: [int(x) for x in text.split(",")], help="numbers of workers, 1 first")
    parser.add_argument("--output", default=os.path.join(ROOT, "bench", "results", "scaling.csv"))
    parser.add_argument("--picture", default=os.path.join(ROOT, "docs", "img", "scaling.png"))
    parser.add_argument("--page", default=os.path.join(ROOT, "docs", "distributed.md"), help="whose tables are written")
    parser.add_argument("--by-processor", action="store_true", help="draw the processor time: on a machine that is not idle")
    parser.add_argument("--draw", action="store_true", help="draw what was measured before")
    for name, kind in (("worker", str), ("workers", int), ("rank", int), ("port", int), ("folder", str)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.counts:
        cores = len(os.sched_getaffinity(0))
        options.counts = [1 << i for i in range(cores.bit_length()) if 1 << i <= cores]
    return options


def main():
    options = arguments()
    if options.worker:
        work(options)
        return
    os.makedirs(os.path.dirname(options.picture), exist_ok=True)
    if not options.draw:
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            for shape in SHAPES:
                np.save(os.path.join(folder, "x".join(map(str, shape)) + ".npy"), matrices(*shape))
            least = measure(options, folder)
        save(options.output, least, options)
    write_page(options.output, options.page)
    draw(options.output, options.picture, options.by_processor)


if __name__ == "__main__":
    main()
