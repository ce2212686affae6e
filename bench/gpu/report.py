#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Markdown tables, and a plot, from the CSV of gpu_bench and frameworks.py: report.py FILE... [--table FILE] [--plot FILE].

The tables have microseconds per matrix; a batch that was made smaller to fit the time of a repetition stands in
parentheses.  The plot has time per matrix against n for square matrices, with the floor of gpu_floors.h, by matplotlib
or else gnuplot.
"""
import argparse
import contextlib
import csv
import math
import shutil
import subprocess
import sys

OPS = ["svd", "svdvals", "backward", "backward-gS", "fwdbwd-sum", "fwdbwd-rank"]
PLOTTED = ["svd", "backward", "fwdbwd-sum"]


def competitor(row):
    if row["backend"] != "cuda":
        return row["backend"]
    if row["op"].startswith("backward"):
        return "svdgrad"
    return "svdgrad, cuSOLVER" if row["algorithm"].startswith("cusolver") else f"svdgrad, {row['algorithm']}"


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def read(paths):
    comments, rows = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        comments += [line[2:] for line in lines if line.startswith("# ")]
        rows += csv.DictReader(line for line in lines if line and not line.startswith("#"))
    return comments, rows


def short(value):
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def floor_of(row):
    return max(number(row["floor_bytes_us"]), number(row["floor_fma_us"]))


def print_tables(rows, out):
    for op in OPS:
        for dtype in ("f32", "f64", "c64", "c128"):
            chosen = [row for row in rows if row["op"] == op and row["dtype"] == dtype]
            if not chosen:
                continue
            names = list(dict.fromkeys(competitor(row) for row in chosen))
            shapes = {}
            for row in chosen:
                shapes.setdefault((int(row["m"]), int(row["n"])), []).append(row)
            print(f"\n{op}, {dtype}, µs per matrix\n", file=out)
            print("| m × n | batch | floor | " + " | ".join(names) + " | best of svdgrad ÷ floor | worst error |",
                  file=out)
            print("|---" * (len(names) + 5) + "|", file=out)
            for (m, n), of_shape in shapes.items():
                print_shape(m, n, of_shape, names, out)


def print_shape(m, n, rows, names, out):
    by_batch = {}  # one shape may be there with two nominal batches; rows of cuda come in one piece for each
    for row in rows:
        by_batch.setdefault(competitor(row), []).append(row)
    for i in range(max(len(x) for x in by_batch.values())):
        line = [x[i] for x in by_batch.values() if i < len(x)]
        nominal = max(int(row["batch"]) for row in line)
        cells = []
        for name in names:
            row = by_batch[name][i] if name in by_batch and i < len(by_batch[name]) else None
            text = short(number(row["us_per_matrix"])) if row else "–"
            cells.append(text + (f" ({row['batch']})" if row and int(row["batch"]) != nominal else ""))
        ours = [row for row in line if row["backend"] == "cuda"]
        floors = [floor_of(row) for row in ours]
        best = min((number(row["times_floor"]) for row in ours), default=math.nan)
        errors = [number(row["accuracy_ratio"]) for row in ours]
        print(f"| {m} × {n} | {nominal} | {short(floors[0]) if floors else '–'} | " + " | ".join(cells) +
              f" | {short(best)} | {short(max(errors)) if errors else '–'} |", file=out)


def curves(rows, op, dtype):
    """name -> [(n, seconds)], of square matrices, the first row of each n; and the floor."""
    lines = {}
    for row in rows:
        if row["op"] != op or row["dtype"] != dtype or row["m"] != row["n"]:
            continue
        pairs = [(competitor(row), number(row["us_per_matrix"]))]
        if row["backend"] == "cuda":
            pairs.append(("floor", floor_of(row)))
        for name, value in pairs:
            if value > 0:
                lines.setdefault(name, {}).setdefault(int(row["n"]), 1e-6 * value)
    return {name: sorted(points.items()) for name, points in lines.items()}


def panels(rows):
    every = [(op, dtype, curves(rows, op, dtype)) for op in PLOTTED for dtype in ("f32", "f64")]
    return [panel for panel in every if panel[2]]


def device_of(comments):
    return next((line[len("device: "):].split(",")[0] for line in comments if line.startswith("device: ")), "")


def plot_matplotlib(shown, title, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    rows = (len(shown) + 1) // 2
    figure, axes = pyplot.subplots(rows, 2, figsize=(11, 4 * rows), squeeze=False)
    for axis in axes.flat[len(shown):]:
        axis.axis("off")
    for axis, (op, dtype, lines) in zip(axes.flat, shown):
        for name, points in lines.items():
            style = {"color": "black", "linestyle": "--"} if name == "floor" else {"marker": "o", "markersize": 3}
            axis.loglog([x for x, _ in points], [y for _, y in points], label=name, **style)
        axis.set_xscale("log", base=2)
        axis.set_title(f"{op}, {dtype}")
        axis.set_xlabel("n (n × n matrices)")
        axis.set_ylabel("seconds per matrix")
        axis.grid(True, which="major", alpha=0.3)
        axis.legend(fontsize=7)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def plot_gnuplot(shown, title, path):
    rows = (len(shown) + 1) // 2
    script = [f"set terminal pngcairo size 1100,{400 * rows} font 'sans,9'", f"set output '{path}'",
              f"set multiplot layout {rows},2 title '{title}'", "set logscale x 2", "set logscale y 10",
              "set format y '%.0e'", "set grid", "set key left top", "set xlabel 'n (n x n matrices)'",
              "set ylabel 'seconds per matrix'"]
    for op, dtype, lines in shown:
        script.append(f"set title '{op}, {dtype}'")
        kinds = [f"'-' title '{name}' with " + ("lines dashtype 2 linecolor 'black'" if name == "floor"
                                                 else "linespoints") for name in lines]
        script.append("plot " + ", ".join(kinds))
        for points in lines.values():
            script += [f"{x} {y}" for x, y in points] + ["e"]
    script.append("unset multiplot")
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def plot(rows, comments, path):
    shown, title = panels(rows), device_of(comments)
    if not shown:
        print("no plot: nothing was timed")
        return
    try:
        plot_matplotlib(shown, title, path)
    except ImportError:
        if not shutil.which("gnuplot"):
            print("no plot: neither matplotlib nor gnuplot is here")
            return
        plot_gnuplot(shown, title, path)
    print(f"plot: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--table", help="Markdown; default: standard output")
    parser.add_argument("--plot", help="PNG")
    options = parser.parse_args()
    comments, rows = read(options.files)
    target = open(options.table, "w", encoding="utf-8") if options.table else contextlib.nullcontext(sys.stdout)
    with target as out:
        for comment in comments:
            print(f"* {comment}", file=out)
        print_tables(rows, out)
    if options.plot:
        plot(rows, comments, options.plot)


if __name__ == "__main__":
    main()
