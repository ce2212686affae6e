#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Markdown tables from what compare.py measured: report.py [directory [functions]]; default bench/results, all suites
but functions."""
import csv
import itertools
import math
import os
import re
import sys

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
# Goals for a processor that begins two 512-bit multiply-adds per clock: gesdd's time in a loop over ours; for the gradient
# of a reconstruction of rank n/2 it is that of gesdd's forward pass.
TARGETS = {
    "svd": {"f32": {2: 150, 3: 115, 4: 105, 8: 50, 16: 36, 32: 17, 64: 7.5, 128: 2.8, 256: 2.8, 512: 2.7},
            "f64": {2: 85, 3: 58, 4: 50, 8: 26, 16: 18, 32: 10, 64: 5, 128: 2.5, 256: 2.6, 512: 2.5}},
    "svdvals": {"f32": {2: 110, 3: 90, 4: 85, 8: 42, 16: 30, 32: 20, 64: 12, 128: 3.2, 256: 3, 512: 3.2},
                "f64": {2: 65, 3: 45, 4: 42, 8: 25, 16: 17, 32: 12, 64: 7, 128: 3, 256: 3, 512: 3.2}},
    "fwdbwd-rank": {"f32": {2: 36, 3: 39, 4: 34, 8: 27, 16: 18, 32: 10, 64: 4.5, 128: 1.6, 256: 1.5, 512: 1.35},
                    "f64": {2: 25, 3: 27, 4: 22, 8: 17, 16: 11, 32: 6, 64: 3, 128: 1.5, 256: 1.4, 512: 1.25}}}
# Of one n-by-n matrix, in units of n^3: half the operations of the table in section 5.4.5 of G. H. Golub, C. F. Van Loan,
# Matrix Computations (third edition, 1996), for U, S, V and for S.
MULTIPLY_ADDS = {"svd": 21 / 2, "svdvals": 4 / 3}
GRADIENT_TARGETS = {3: 20, 8: 20, 9: 20, 16: 8, 32: 5, 64: 2}
NUMBERS = {"us_per_matrix": "us", "us_spread": "spread", "speedup_vs_gesdd_loop": "speedup",
           "speedup_vs_vendor": "vendor_speedup", "accuracy_ratio": "accuracy", "over_ours": "over_ours"}
INACCURATE = 100  # error over eps; LAPACK's are below 10
# Peers that give up accuracy for speed on every matrix, also where the bench's, of random numbers, do not show it.
CARELESS = {"mkl-batched": "gesvda takes the eigenvalues of A^H A: its error is 7 eps at condition 10, 2e2 at 1e2, 8e5 at "
                           "1e4, 1e14 at 1e8, and MKL's gesdd has 1 at all of them (32 x 32, f64, MKL 2026.2, 2026-11-30)"}
DEAR = 2  # times that batch_invariant may take
LOST = 0.9  # of the fastest peer's time over ours: below, the row is listed
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


def has_rows(directory, suite):
    return os.path.exists(path_of(directory, suite)) and bool(read(directory, suite)[1])


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


def is_ours(row):
    return row["peer"].startswith("svdgrad")


def is_careless(row):
    return row["peer"] in CARELESS or row["accuracy"] > INACCURATE


def fastest_of(rows, wanted):
    """Of the rows of one problem: that of the fastest wanted peer, with its time over ours; None where there is none."""
    ours = next((row for row in rows if row["peer"] == "svdgrad"), None)
    others = [row for row in rows if not is_ours(row) and wanted(row)]
    if not ours or not others:
        return None
    best = min(others, key=lambda row: row["us"])
    paired = best.get("over_ours", math.nan)  # within repetitions, which load disturbs less
    return best, best["us"] / ours["us"] if math.isnan(paired) else paired


def fastest_other(rows):
    """Of those of LAPACK's accuracy."""
    return fastest_of(rows, lambda row: not is_careless(row))


def fastest_text(rows):
    found = fastest_other(rows)
    return f"{found[0]['peer']} {found[1]:.2f}" if found else "–"


def times(rows, op, threads, what=""):
    """Everybody's time of one operation, for every shape, and the fastest of the others; `what` begins the title."""
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
                     [pairs([row for row in here if row["peer"] == name], cell) for name in names] +
                     [" / ".join(fastest_text([r for r in here if r["dtype"] == dtype]) for dtype in ("f32", "f64"))])
    table(f"{what}{op}, {threads_text(threads)}: µs per matrix, f32 / f64, the fastest in bold; the fastest of the others that "
          "have LAPACK's accuracy, and its time over ours", ["batch x m x n", *names, "fastest other"], lines)


def accuracies(rows):
    worst = {}
    for row in rows:
        key = row["peer"], row["dtype"]
        worst[key] = max(worst.get(key, (0,)), (row["accuracy"], row["op"], f"{row['m']} x {row['n']}"))
    table("Worst accuracy ratio", ["peer", "element type", "ratio", "operation", "shape"],
          [[*key, f"{value[0]:.2g}", *value[1:]] for key, value in worst.items()])


def mark(value, target):
    return f"{value:.1f} ({target:g}{'' if value >= target else ', **missed**'})"


def fma_limits(comments):
    """Multiply-adds per microsecond of one thread."""
    found = re.match(r"f32 (\S+), f64 (\S+) ", comments.get("FMA limit", ""))
    return {dtype: 1e3 * float(rate) for dtype, rate in zip(("f32", "f64"), found.groups())} if found else {}


def goal_line(rows, op, n, limits):
    """One size: our speed beside its goal, our time over that of the multiply-adds, and the algorithm."""
    multiply_adds = MULTIPLY_ADDS.get(op, 0) * n**3
    line = [str(n), pairs(rows, lambda row: f"{row['speedup']:.1f} ({TARGETS[op][row['dtype']][n]:g})")]
    if multiply_adds and limits:
        line.append(pairs(rows, lambda row: f"{row['us'] * limits[row['dtype']] / multiply_adds:.1f}"))
    return [*line, pairs(rows, lambda row: row["algorithm"])]


def loop_targets(rows, limits):
    for op, targets in TARGETS.items():
        mine = {n: [r for r in rows if (r["peer"], r["op"], r["threads"], r["n"]) == ("svdgrad", op, 1, n)]
                for n in targets["f64"]}
        whose = "its values" if op == "svdvals" else "its forward pass"
        heads = ["n", "times as fast"] + ["time over the FMA limit"] * bool(op in MULTIPLY_ADDS and limits) + ["algorithm"]
        table(f"Goals of {op}: one thread, times as fast as the gesdd loop ({whose}; in brackets the goal for "
              "two 512-bit multiply-adds per clock), f32 / f64", heads, [goal_line(here, op, n, limits) for n, here in mine.items() if here])


def gradient_targets(rows):
    """Beside the fastest of those that have gradients."""
    cores, lines = max(row["threads"] for row in rows), []

    def cell(here, n):
        found = fastest_other(here)
        return f"{mark(found[1], GRADIENT_TARGETS[n])}, {found[0]['peer']}" if found else "–"

    for n in GRADIENT_TARGETS:
        mine = [r for r in rows if r["threads"] == cores and r["m"] == r["n"] == n]
        cells = [[cell([r for r in mine if (r["op"], r["dtype"]) == (op, dtype)], n) for dtype in ("f32", "f64")]
                 for op in ("fwdbwd-sum", "fwdbwd-rank")]
        if mine:
            lines.append([str(n)] + [" / ".join(pair) for pair in cells])
    table(f"Forward and backward, {threads_text(cores)}, times as fast as the fastest other (target), f32 / f64",
          ["n", "sum of singular values", "rank n/2 reconstruction"], lines)


# ---- a single matrix and a few -------------------------------------------------------------------


def problems(rows):
    """The rows of each problem that peers solve: operation, type, threads, batch and shape."""
    keys = ("op", "threads", "m", "n", "batch", "dtype")
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def few_cells(here):
    """Our time, with batch_invariant, and the fastest other's over ours."""
    us = {row["peer"]: number(row["us"]) for row in here}
    return [us.get("svdgrad", "–"), us.get("svdgrad-invariant", "–"), fastest_text(here)]


def few(rows):
    found = problems(rows)
    heads = [f"{dtype} {text}" for dtype in ("f32", "f64") for text in ("ours", "batch_invariant", "fastest other")]
    for op, count in dict.fromkeys((row["op"], row["threads"]) for row in rows):
        lines = [[f"{batch} x {m} x {n}"] + [cell for dtype in ("f32", "f64")
                                             for cell in few_cells(found.get((op, count, m, n, batch, dtype), []))]
                 for m, n, batch in dict.fromkeys((row["m"], row["n"], row["batch"]) for row in rows)]
        table(f"A few matrices: {op}, {threads_text(count)}: µs per matrix; the fastest of the others that have LAPACK's "
              "accuracy, and its time over ours", ["batch x m x n", *heads], lines)
    lost(found)
    dear(found)
    small_accuracy(rows)


def careless_peers(found):
    """Those of which it is known, or whose error is large in some row: they give up accuracy for speed in all of them."""
    return {row["peer"] for here in found.values() for row in here if is_careless(row) and not is_ours(row)}


def slower_than(found, wanted):
    """The rows in which one of the wanted peers is faster by more than a tenth; the worst first."""
    losses = []
    for (op, count, m, n, batch, dtype), here in found.items():
        best = fastest_of(here, lambda row: row["peer"] in wanted)
        if best and best[1] < LOST:
            losses.append((best[1], [op, threads_text(count), dtype, f"{batch} x {m} x {n}", best[0]["peer"],
                                     f"{best[1]:.2f}", few_cells(here)[0], number(best[0]["us"]),
                                     f"{best[0]['accuracy']:.2g}"]))
    return [line for _, line in sorted(losses, key=lambda loss: loss[0])]


def lost(found):
    """First beside those of LAPACK's accuracy, then beside the others."""
    careless = careless_peers(found)
    lines = slower_than(found, {row["peer"] for here in found.values() for row in here} - careless)
    heads = ["operation", "threads", "element type", "batch x m x n", "fastest", "its time over ours", "ours, µs",
             "its, µs", "its error over eps"]
    if lines:
        table("Rows in which another of LAPACK's accuracy is faster by more than a tenth: "
              f"{len(lines)} of {len(found)}", heads, lines)
    else:
        print(f"\nIn all {len(found)} rows nobody of LAPACK's accuracy is faster than svdgrad by more than a tenth.")
    theirs = slower_than(found, careless)
    if theirs:
        names = ", ".join(sorted(careless))
        table(f"Rows in which one that gives up accuracy ({names}) is: {len(theirs)}", heads, theirs)
        print("".join(f"\n{name}: {CARELESS[name]}." for name in sorted(careless & set(CARELESS))))


def dear(found):
    """The rows in which batch_invariant takes more than twice the time, the worst first."""
    rows = [row for here in found.values() for row in here
            if row["peer"] == "svdgrad-invariant" and row["over_ours"] > DEAR]
    total = sum(row["peer"] == "svdgrad-invariant" for here in found.values() for row in here)
    if not rows:
        print(f"\nIn none of {total} rows batch_invariant takes more than {DEAR} times as long.")
        return
    table(f"Rows in which batch_invariant takes more than {DEAR} times as long: {len(rows)} of {total}",
          ["operation", "threads", "element type", "batch x m x n", "times"],
          [[row["op"], threads_text(row["threads"]), row["dtype"], f"{row['batch']} x {row['m']} x {row['n']}",
            f"{row['over_ours']:.2f}"] for row in sorted(rows, key=lambda row: -row["over_ours"])])


def large(rows):
    """One matrix, then batches."""
    for op, count in dict.fromkeys((row["op"], row["threads"]) for row in rows):
        times([row for row in rows if row["batch"] == 1], op, count, "One matrix of 64 columns and more, ")
        times([row for row in rows if row["batch"] > 1], op, count, "Batches of 64 columns and more, ")
    lost(problems(rows))


def small_accuracy(rows):
    """Speed and accuracy side by side, where some trade one for the other; of everybody's largest batch."""
    best = {}
    for row in rows:
        if (row["op"], row["dtype"], row["m"], row["n"], row["threads"]) == ("svd", "f32", 3, 3, 1):
            if row["batch"] >= best.get(row["peer"], row)["batch"]:
                best[row["peer"]] = row
    if best:
        table("svd of 3 x 3, f32, one thread: worst error of the factors beside the time",
              ["peer", "batch", "µs per matrix", "error over eps (a good one is of order 1)"],
              [[row["peer"], str(row["batch"]), number(row["us"]), f"{row['accuracy']:.3g}"]
               for row in sorted(best.values(), key=lambda row: row["us"])])


def slower(rows):
    """Sizes of the sweep where AUTO loses by more than three times its own spread and 3 %."""
    lines = [[row["op"], row["dtype"], f"{row['m']} x {row['n']}", row["algorithm"], f"{row['vendor_speedup']:.2f}"]
             for row in rows if row["peer"] == "svdgrad" and
             row["vendor_speedup"] < 1 - max(0.03, 3 * row["spread"] / row["us"])]
    if lines:
        table("Slower than VENDOR, our LAPACK path", ["operation", "element type", "m x n", "algorithm", "ratio"], lines)
    else:
        print("\nNo size of the sweep is slower than VENDOR, our LAPACK path, by more than noise.")


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


def shapes(rows):
    gradient_targets(rows)
    cores = max(row["threads"] for row in rows)
    for op in ("svd", "svdvals", "fwdbwd-sum", "fwdbwd-rank"):
        for count in sorted({1, cores}):
            times(rows, op, count)
    accuracies(rows)
    small_accuracy(rows)


TABLES = {"squares": loop_targets, "shapes": shapes, "few": few, "large": large, "sweep": slower, "memory": memory}


def suites(directory):
    """What each suite found, below the facts of its run."""
    for name, tables in TABLES.items():
        if has_rows(directory, name):
            comments, rows = read(directory, name)
            print(f"\n## Suite {name}\n")
            heading(comments)
            if name == "squares":
                tables(rows, fma_limits(comments))
            else:
                tables(rows)


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
