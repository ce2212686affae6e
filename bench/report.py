#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Markdown tables from the CSV of svdgrad_bench: report.py [file], or standard input.

Cells hold one number per element type, in the order that the heading names.  A ratio to the loop is the time of the
library over that of a loop of LAPACK gesdd calls on one thread: below 1 the library is faster.
"""
import csv
import sys


def read(lines):
    """Comment lines, and rows by (dtype, (batch, m, n), backend, op, threads)."""
    lines = [line.rstrip("\n") for line in lines]
    comments = [line[2:] for line in lines if line.startswith("# ")]
    table = {}
    for row in csv.DictReader(line for line in lines if line and not line.startswith("#")):
        shape = (int(row["batch"]), int(row["m"]), int(row["n"]))
        table[row["dtype"], shape, row["backend"], row["op"], int(row["threads"])] = row
    return comments, table


def microseconds(row):
    value = float(row["us_per_matrix"])
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(row):
    return f"{float(row['ratio_to_gesdd_loop']):.2f}"


def accuracy(row):
    return f"{float(row['accuracy_ratio']):.2g}"


def columns(backend, cores):
    """Of every column the heading, and what turns get(backend, op, threads) into the text of a cell."""
    def of(op, name):
        yield f"{name} µs", lambda get: microseconds(get(backend, op, 1))
        if not op.startswith("backward"):
            yield "÷ loop", lambda get: ratio(get(backend, op, 1))
            if cores > 1:
                yield "÷ loop, all cores", lambda get: ratio(get(backend, op, cores))

    yield from of("svd", "forward")
    yield from of("svdvals", "values")
    yield from of("backward", "backward")
    yield "÷ forward", lambda get: quotient(get(backend, "backward", 1), get(backend, "svd", 1))
    yield from of("backward-gS", "backward gS")
    yield "worst error", lambda get: accuracy(
        max((get(backend, op, 1) for op in ("svd", "svdvals", "backward", "backward-gS")),
            key=lambda row: float(row["accuracy_ratio"])))


def quotient(above, below):
    return f"{float(above['seconds_median']) / float(below['seconds_median']):.2f}"


def cell(table, dtypes, shape, function):
    parts = []
    for dtype in dtypes:
        try:
            parts.append(function(lambda *key, d=dtype: table[(d, shape) + key]))
        except KeyError:
            parts.append("–")
    return " / ".join(parts)


def print_table(table, backend):
    keys = [key for key in table if key[2] == backend]
    dtypes = list(dict.fromkeys(key[0] for key in keys))
    shapes = list(dict.fromkeys(key[1] for key in keys))
    cores = max(key[4] for key in keys)
    heads = list(columns(backend, cores))
    print(f"\nBackend {backend}, one thread (all cores: {cores}); each cell {' / '.join(dtypes)}; µs per matrix\n")
    print("| batch × m × n | " + " | ".join(heading for heading, _ in heads) + " |")
    print("|---" * (len(heads) + 1) + "|")
    for shape in shapes:
        cells = [cell(table, dtypes, shape, function) for _, function in heads]
        print(f"| {shape[0]} × {shape[1]} × {shape[2]} | " + " | ".join(cells) + " |")


def main():
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            comments, table = read(file)
    else:
        comments, table = read(sys.stdin)
    for comment in comments:
        print(f"* {comment}")
    for backend in dict.fromkeys(key[2] for key in table if key[2] != "loop"):
        print_table(table, backend)


if __name__ == "__main__":
    main()
