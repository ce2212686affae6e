#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of what compare.py measured: plots.py [directory]; default bench/results.  Needs matplotlib."""
import itertools
import math
import os
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

import report  # noqa: E402

STYLE = {  # colour and marker; those that compute gradients are drawn with full lines
    "svdgrad": ("#d62728", "o"), "svdgrad-invariant": ("#e377c2", "o"), "svdgrad-vendor": ("#ff9896", "o"),
    "gesdd-loop": ("black", "s"), "openblas-loop": ("#555555", "s"), "mkl-loop": ("#1f77b4", "s"),
    "mkl-batched": ("#17becf", "s"), "aocl-loop": ("#8c564b", "s"), "eigen-jacobi": ("#2ca02c", "^"),
    "eigen-bdc": ("#98df8a", "v"), "numpy": ("#7f7f7f", "x"), "torch": ("#9467bd", "D"), "jax": ("#ff7f0e", "P"),
    "tensorflow": ("#bcbd22", "D"), "faer": ("#aec7e8", "v"), "warp": ("#c5b0d5", "*")}
DTYPES = ("f32", "f64")
# A phone shows a page some 360 pixels wide: letters of 12 points are then 9 pixels high.
WIDTH = 6.4
pyplot.rcParams.update({"font.size": 12, "axes.titlesize": 12, "axes.labelsize": 12})


def line(axes, x, y, peer, **options):
    colour, marker = STYLE[peer]
    axes.plot(x, y, color=colour, marker=marker, linewidth=2.2 if peer == "svdgrad" else 1.1,
              zorder=3 if peer == "svdgrad" else 2, **{"label": peer, "markersize": 4, **options})


def log_log(axes, title, x_label, y_label, ticks):
    axes.set(xscale="log", yscale="log", title=title, xlabel=x_label, ylabel=y_label)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(True, alpha=0.3)


def plain_ticks(axes):
    low, high = axes.get_ylim()
    ticks = [digit * 10.0 ** power for power in range(-3, 4) for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(True, alpha=0.3)


def peers_of(rows):
    return [peer for peer in STYLE if any(row["peer"] == peer for row in rows)]


def save(figure, directory, name, comments, legend=None):
    """`legend`: the axes whose labels stand above all panels."""
    height, above = figure.get_figheight(), 0
    if legend:
        handles, labels = legend.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncol=3, frameon=False, fontsize=11, columnspacing=1,
                      handlelength=1.5, borderaxespad=0.2)
        above = 0.1 + 0.22 * math.ceil(len(labels) / 3)
    machine = " · ".join(comments[key] for key in ("machine", "date") if key in comments)
    figure.text(0.01, 0.05 / height, machine, fontsize=9, color="grey")
    figure.tight_layout(rect=(0, 0.2 / height, 1, 1 - above / height))
    path = os.path.join(directory, name)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    print(path)


def against_n(directory):
    comments, rows = report.read(directory, "squares")
    figure, grid = pyplot.subplots(2, 2, figsize=(WIDTH, 7.5), sharex=True, sharey="row")
    titles = {"svd": "U, S, Vh", "fwdbwd-rank": "with gradient"}
    for (op, title), pair in zip(titles.items(), grid):
        for dtype, axes in zip(DTYPES, pair):
            chosen = [row for row in rows if row["op"] == op and row["dtype"] == dtype]
            for peer in peers_of(chosen):
                mine = [row for row in chosen if row["peer"] == peer]
                line(axes, [row["n"] for row in mine], [row["us"] for row in mine], peer)
            log_log(axes, f"{title}, {dtype}", "n, one thread", "µs per matrix",
                    [n for n in (2, 8, 32, 128, 512, 2048) if any(row["n"] == n for row in rows)])
            axes.label_outer()
    save(figure, directory, "cpu_time.png", comments, grid[0][0])


def who_wins(directory):
    """Of every shape, how many times faster than the loop everybody is."""
    comments, rows = report.read(directory, "shapes")
    rows = [row for row in rows if row["op"] == "svd"]
    shapes = sorted({(row["m"], row["n"]) for row in rows}, key=lambda shape: (min(shape), max(shape)))
    cores = max(row["threads"] for row in rows)
    figure, grid = pyplot.subplots(2, 2, figsize=(WIDTH, 1.8 + 0.6 * len(shapes)), sharex=True, sharey=True)
    for count, pair in zip((1, cores), grid):
        for dtype, axes in zip(DTYPES, pair):
            chosen = [row for row in rows if row["threads"] == count and row["dtype"] == dtype]
            for peer in peers_of(chosen):
                mine = [row for row in chosen if row["peer"] == peer]
                line(axes, [row["speedup"] for row in mine], [shapes.index((row["m"], row["n"])) for row in mine], peer,
                     linestyle="", markersize=7 if peer == "svdgrad" else 4)
            axes.axvline(1, color="black", linewidth=0.8)
            axes.set(xscale="log", title=f"U, S, Vh, {dtype}, {report.threads_text(count)}",
                     xlabel="times as fast as\nthe gesdd loop")
            axes.set_yticks(range(len(shapes)), [f"{m} x {n}" for m, n in shapes])
            axes.grid(True, alpha=0.3)
            axes.label_outer()
    grid[0][0].invert_yaxis()
    low, high = grid[0][0].get_xlim()
    ticks = [tick for tick in (0.01, 0.1, 1, 10, 100) if low <= tick <= high]
    grid[0][0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    grid[0][0].minorticks_off()
    save(figure, directory, "cpu_speedup.png", comments, grid[0][0])


def scaling(directory):
    figure, (left, right) = pyplot.subplots(2, 1, figsize=(WIDTH, 9.5))
    comments, rows = report.read(directory, "batches")
    for dash, n in zip(("-", "--", ":"), sorted({row["n"] for row in rows})):
        for peer in peers_of(rows):
            mine = [row for row in rows if row["n"] == n and row["peer"] == peer]
            line(left, [row["batch"] for row in mine], [row["us"] for row in mine], peer, linestyle=dash,
                 label=f"{peer}, n = {n}")
    log_log(left, f"U, S, Vh, {rows[0]['dtype']}, {report.threads_text(rows[0]['threads'])}", "batch", "µs per matrix",
            [10 ** i for i in range(6) if 10 ** i <= max(row["batch"] for row in rows)])
    left.legend(fontsize=9, ncol=3, loc="lower left", columnspacing=0.6, handlelength=1.4)
    left.set_ylim(bottom=left.get_ylim()[0] / 30)

    comments, rows = report.read(directory, "threads")
    rows = [row for row in rows if row["peer"] == "svdgrad"]
    counts = sorted({row["threads"] for row in rows})
    sizes = sorted({row["n"] for row in rows})
    for (op, dash), n in itertools.product((("svd", "-"), ("fwdbwd-rank", "--")), sizes):
        mine = sorted((row for row in rows if row["n"] == n and row["op"] == op), key=lambda row: row["threads"])
        right.plot([row["threads"] for row in mine], [mine[0]["us"] / row["us"] for row in mine], dash, marker="o",
                   markersize=4, label=f"{op}, n = {n}")
    right.plot(counts, counts, color="grey", linewidth=0.8, label="ideal")
    right.set(title=f"svdgrad, {rows[0]['dtype']}", xlabel="threads", ylabel="times as fast as on one thread")
    right.set_xticks(counts)
    right.legend(fontsize=10)
    right.grid(True, alpha=0.3)
    save(figure, directory, "cpu_scaling.png", comments)


def memory(directory):
    comments, rows = report.read(directory, "memory")
    figure, axes = pyplot.subplots(figsize=(WIDTH, 1.6 + 0.42 * len(rows)))
    for place, row in enumerate(rows):
        known = row["operand_bytes"] / 2 ** 20, row["workspace_bytes"] / 2 ** 20
        axes.barh(place, row["peak_bytes"] / 2 ** 20, height=0.8, color=STYLE[row["peer"]][0], alpha=0.35,
                  label="" if row["peer"] in [r["peer"] for r in rows[:place]] else f"measured peak, {row['peer']}")
        axes.barh(place, known[0], height=0.4, color="#444444", label="" if place else "inputs and outputs")
        axes.barh(place, known[1], left=known[0], height=0.4, color="#ffbf00", label="" if place else "workspace")
    axes.set_yticks(range(len(rows)), [f"{r['peer']} {r['op']}\n{r['batch']} x {r['m']} x {r['n']}" for r in rows],
                    fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="MiB above an idle process", title="Memory, f64, all cores")
    save(figure, directory, "cpu_memory.png", comments, axes)


def sweep(directory):
    comments, rows = report.read(directory, "sweep")
    figure, grid = pyplot.subplots(3, 1, figsize=(WIDTH, 9), sharey=True)
    parts = {"square n x n": lambda r: r["m"] == r["n"], "tall (4n+1) x n": lambda r: r["m"] > r["n"],
             "wide n x (4n+1)": lambda r: r["m"] < r["n"]}
    for (title, belongs), axes in zip(parts.items(), grid):
        for dtype, colour in zip(DTYPES, ("#d62728", "#1f77b4")):
            for op, dash in (("svd", "-"), ("svdvals", ":")):
                mine = [r for r in rows if belongs(r) and (r["dtype"], r["op"], r["peer"]) == (dtype, op, "svdgrad")]
                axes.plot([min(r["m"], r["n"]) for r in mine], [r["vendor_speedup"] for r in mine], dash, color=colour,
                          label=f"{op}, {dtype}")
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set(yscale="log", title=title, xlabel="n")
        plain_ticks(axes)
    grid[1].set_ylabel("times as fast as VENDOR, one thread")
    grid[0].legend(fontsize=11)
    save(figure, directory, "cpu_sweep.png", comments)


def functions(directory):
    """Of every function and shape, how many times faster than the fastest other the fused and the composed gradients
    are."""
    comments, rows = report.read(directory, "functions")
    figure, pair = pyplot.subplots(2, 1, figsize=(WIDTH, 8.5), sharex=True, sharey=True)
    ops = [op for op in dict.fromkeys(row["op"] for row in rows) if not op.endswith("-composed") and op != "normalize"]
    for dtype, axes in zip(DTYPES, pair):
        chosen = [row for row in rows if row["dtype"] == dtype and row["threads"] == 1 and row["op"] != "normalize"]
        ours = {(row["op"], row["m"], row["n"]): row["us"] for row in chosen if report.is_ours(row)}
        shapes = sorted({(row["m"], row["n"]) for row in chosen})
        best = {}
        for row in chosen:
            if not report.is_ours(row):
                key = row["op"], row["m"], row["n"]
                best[key] = min(best.get(key, row["us"]), row["us"])
        for op, dash in itertools.product(ops, ("-", "--")):
            name = op + ("-composed" if dash == "--" else "")
            points = [(i, best[op, *shape] / ours[name, *shape]) for i, shape in enumerate(shapes)
                      if (op, *shape) in best and (name, *shape) in ours]
            axes.plot(*zip(*points) if points else ([], []), dash, color=f"C{ops.index(op)}", marker="o", markersize=4,
                      label=op if dash == "-" else None)
        axes.plot([], [], "--", color="grey", label="composed")
        axes.set(yscale="log", title=f"value and gradient, {dtype}, one thread",
                 ylabel="times as fast as the fastest other")
        axes.set_xticks(range(len(shapes)), [f"{m}x{n}" for m, n in shapes])
        plain_ticks(axes)
    save(figure, directory, "cpu_functions.png", comments, pair[0])


def few(directory):
    """A single matrix and a few: the time over ours of the fastest other of LAPACK's accuracy, and of all (dotted)."""
    comments, rows = report.read(directory, "few")
    figure, grid = pyplot.subplots(2, 1, figsize=(WIDTH, 9), sharex=True, sharey=True)
    shapes = list(dict.fromkeys((row["m"], row["n"]) for row in rows))
    batches = sorted({row["batch"] for row in rows})
    careless = report.careless_peers(report.problems(rows))
    for dtype, axes in zip(DTYPES, grid):
        here = {key: value for key, value in report.problems(rows).items()
                if (key[0], key[1], key[5]) == ("svd", 1, dtype)}
        for (i, batch), (dash, without) in itertools.product(enumerate(batches), (("-", careless), (":", ()))):
            best = [report.fastest_of(here.get(("svd", 1, *shape, batch, dtype), []),
                                      lambda row, without=without: row["peer"] not in without) for shape in shapes]
            axes.plot(range(len(shapes)), [x[1] if x else math.nan for x in best], dash, color=f"C{i}", marker="o",
                      markersize=4, label=f"batch {batch}" if without or not careless else None)
        if careless:
            axes.plot([], [], ":", color="grey", label=f"with {', '.join(sorted(careless))}\n(inaccurate)")
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set(yscale="log", title=f"U, S, Vh of a few matrices, {dtype}, one thread",
                 ylabel="time of the fastest other over ours")
        axes.set_xticks(range(len(shapes)), [f"{m}x{n}" for m, n in shapes], rotation=60)
        plain_ticks(axes)
    save(figure, directory, "cpu_few.png", comments, grid[0])


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else report.DIRECTORY
    pictures = {against_n: ["squares"], who_wins: ["shapes"], scaling: ["batches", "threads"], memory: ["memory"],
                functions: ["functions"], sweep: ["sweep"], few: ["few"]}
    for draw, suites in pictures.items():
        if all(report.has_rows(directory, suite) for suite in suites):
            draw(directory)


if __name__ == "__main__":
    main()
