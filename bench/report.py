#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Markdown tables from what compare.py measured: report.py [directory [functions]]; default bench/results, all suites
but functions."""
import csv
import itertools
import os
import sys

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
TARGETS = {"f64": {2: 45, 3: 22, 4: 18, 8: 12, 16: 7, 32: 3.5, 64: 1.3, 128: 1, 256: 1},
           "f32": {2: 80, 3: 45, 4: 38, 8: 20, 16: 12, 32: 6, 64: 2, 128: 1, 256: 1}}
TORCH_TARGETS = {3: 20, 8: 20, 9: 20, 16: 8, 32: 5, 64: 2}
NUMBERS = {"us_per_matrix": "us", "us_spread": "spread", "speedup_vs_gesdd_loop": "speedup",
           "speedup_vs_vendor": "vendor_speedup", "accuracy_ratio": "accuracy"}
WHOLE = ("m", "n", "batch", "threads", "operand_bytes", "workspace_bytes", "peak_bytes")


def path_of(directory, suite):
    return os.path.join(directory, f"cpu_{suite}.csv")


def read(directory, suite):
    """The comments by what stands before their colon, and the rows with their numbers as numbers."""
    with open(path_of(directory, suite), encoding="utf-8") as file:
        lines = file.readlines()
    comments = dict(line[2:].rstrip("\n").split(": ", 1) for line in lines if line.startswith("# "))
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    for row in rows:
        row.update({key: int(row[key]) for key in WHOLE if key in row})
        row.update({short: float(row[key] or "nan") for key, short in NUMBERS.items() if key in row})
    return comments, rows


def threads_text(count):
    return "one thread" if count == 1 else f"{count} threads"


def number(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def table(title, heads, lines):
    print(f"\n{title}\n\n| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


def pairs(rows, function):
    """Texts of the two element types, f32 / f64."""
    return " / ".join(next((function(row) for row in rows if row["dtype"] == dtype), "–") for dtype in ("f32", "f64"))


def times(rows, op, threads):
    """Everybody's time of one operation, for every shape."""
    chosen = [row for row in rows if row["op"] == op and row["threads"] == threads]
    names = list(dict.fromkeys(row["peer"] for row in chosen))
    lines = []
    for m, n in dict.fromkeys((row["m"], row["n"]) for row in chosen):
        here = [row for row in chosen if (row["m"], row["n"]) == (m, n)]
        best = {dtype: min((r["us"] for r in here if r["dtype"] == dtype), default=0) for dtype in ("f32", "f64")}

        def cell(row):
            text = number(row["us"])
            return f"**{text}**" if row["us"] == best[row["dtype"]] else text
        lines.append([f"{max(r['batch'] for r in here)} x {m} x {n}"] +
                     [pairs([row for row in here if row["peer"] == name], cell) for name in names])
    table(f"{op}, {threads_text(threads)}: µs per matrix, f32 / f64, the fastest in bold", ["batch x m x n", *names],
          lines)


def accuracies(rows):
    worst = {}
    for row in rows:
        key = row["peer"], row["dtype"]
        worst[key] = max(worst.get(key, (0,)), (row["accuracy"], row["op"], f"{row['m']} x {row['n']}"))
    table("Worst accuracy ratio", ["peer", "element type", "ratio", "operation", "shape"],
          [[*key, f"{value[0]:.2g}", *value[1:]] for key, value in worst.items()])


def mark(value, target):
    return f"{value:.1f} ({target:g}{'' if value >= target else ', **missed**'})"


def loop_targets(rows):
    lines = []
    for n in TARGETS["f64"]:
        mine = [r for r in rows if (r["peer"], r["op"], r["threads"], r["n"]) == ("svdgrad", "svd", 1, n)]
        if mine:
            lines.append([str(n), pairs(mine, lambda row: mark(row["speedup"], TARGETS[row["dtype"]][row["n"]])),
                          pairs(mine, lambda row: row["algorithm"])])
    table("Forward, one thread, times as fast as the gesdd loop (target), f32 / f64", ["n", "ratio", "algorithm"],
          lines)


def torch_targets(rows):
    cores, lines = max(row["threads"] for row in rows), []
    here = {(r["peer"], r["op"], r["dtype"], r["n"]): r for r in rows if r["threads"] == cores and r["m"] == r["n"]}
    for n in TORCH_TARGETS:
        line = [str(n)]
        for op in ("fwdbwd-sum", "fwdbwd-rank"):
            keys = [("svdgrad", op, dtype, n) for dtype in ("f32", "f64")]
            mine = [here[key] for key in keys if key in here and ("torch", *key[1:]) in here]
            line.append(pairs(mine, lambda r: mark(here["torch", r["op"], r["dtype"], r["n"]]["us"] / r["us"],
                                                   TORCH_TARGETS[r["n"]])))
        if any(text != "– / –" for text in line[1:]):
            lines.append(line)
    table(f"Forward and backward, {threads_text(cores)}, times as fast as PyTorch (target), f32 / f64",
          ["n", "sum of singular values", "rank n/2 reconstruction"], lines)


def slower(rows):
    """Sizes of the sweep where AUTO loses by more than three times its own spread and 3 %."""
    lines = [[row["op"], row["dtype"], f"{row['m']} x {row['n']}", row["algorithm"], f"{row['vendor_speedup']:.2f}"]
             for row in rows if row["peer"] == "svdgrad" and
             row["vendor_speedup"] < 1 - max(0.03, 3 * row["spread"] / row["us"])]
    if lines:
        table("Slower than our LAPACK path", ["operation", "element type", "m x n", "algorithm", "ratio"], lines)
    else:
        print("\nNo size of the sweep is slower than our LAPACK path by more than noise.")


def memory(rows):
    def line(row):
        sizes = [f"{row[key] / 2 ** 20:.1f}" for key in ("operand_bytes", "workspace_bytes", "peak_bytes")]
        sizes = sizes if row["operand_bytes"] else ["–", "–", sizes[2]]  # of others only the peak is known
        return [row["peer"], row["op"], f"{row['batch']} x {row['m']} x {row['n']}", *sizes]
    heads = ["peer", "operation", "batch x m x n", "inputs and outputs", "workspace", "measured peak"]
    table("Memory above an idle process, MiB", heads, [line(row) for row in rows])


def functions(rows):
    """What is composed of the factors stands beside what is fused, as another peer."""
    for row in rows:
        row["fused"] = not row["op"].endswith("-composed")
        if not row["fused"]:
            row.update(op=row["op"][:-len("-composed")], peer=f"{row['peer']}, composed")
    rows.sort(key=lambda row: (not row["peer"].startswith("svdgrad"), not row["fused"]))  # for the order of columns
    rows.sort(key=lambda row: min(row["m"], row["n"]))
    for count, op in itertools.product(sorted({row["threads"] for row in rows}), dict.fromkeys(r["op"] for r in rows)):
        times(rows, op, count)
    accuracies(rows)


def heading(comments):
    for name, value in comments.items():
        print(f"* {name}: {value}")


def suites(directory):
    found = {name: read(directory, name) for name in ("shapes", "squares", "sweep", "memory")
             if os.path.exists(path_of(directory, name))}
    heading(next(iter(found.values()), ({}, []))[0])
    rows = {name: value[1] for name, value in found.items()}
    if "squares" in rows:
        loop_targets(rows["squares"])
    if "shapes" in rows:
        torch_targets(rows["shapes"])
        cores = max(row["threads"] for row in rows["shapes"])
        for op in ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank"):
            for count in sorted({1, cores}):
                times(rows["shapes"], op, count)
        accuracies(rows["shapes"])
    if "sweep" in rows:
        slower(rows["sweep"])
    if "memory" in rows:
        memory(rows["memory"])


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else DIRECTORY
    if sys.argv[2:] == ["functions"]:
        comments, rows = read(directory, "functions")
        heading(comments)
        functions(rows)
    else:
        suites(directory)


if __name__ == "__main__":
    main()
