#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fits the rule of src/cpu/cpu_few.c to what bench_crossovers printed: crossovers.py times.csv [times.csv ...].

Prints the rows of the tables `crossovers` and `long_crossovers` for the instruction set that was measured (AVX-512: for whole
groups and for halves of them), and for each type how many times as long as on the faster path a batch of 1 to `lanes`
matrices takes by this rule: the mean over all shapes of the worst batch, and the worst of all.  Then the ratios that the
comments show.  Of several files it takes the mean.  Needs NumPy."""
import csv
import sys

import numpy

# As cpu_few.c and cpu_choice.c have them.
LONG_RATIO, LEAST_ELEMENTS, LEAST_ELEMENTS_OF_GRADIENTS = 10, 32, 65
QD_LEAST_COLUMNS, TALL_F32_RATIO = 8, 4
QR_LEAST_COLUMNS = {"f32": 16, "f64": 16, "c64": 12, "c128": 12}
POWERS = numpy.arange(0.1, 1.01, 0.05)


def taken(kind, dtype, m, n):
    """The algorithm in lanes that AUTO takes."""
    if kind == "values":
        return "dqds-lanes" if n >= QD_LEAST_COLUMNS else "jacobi-lanes"
    if kind == "svd":
        tall = dtype == "f32" and m >= TALL_F32_RATIO * n
        return "qr-lanes" if n >= QR_LEAST_COLUMNS[dtype] and not tall else "jacobi-lanes"
    return "lanes-backward" if kind == "gradients" else "lanes-program"


def read(paths, half):
    """(kind, dtype, lanes, m, n) -> time of a group in lanes, or of half of one, over that of one matrix."""
    ratios = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for kind, dtype, lanes, m, n, *times in csv.reader(file):
                of_path = dict(zip(times[::3], map(float, times[2::3])))
                m, n = int(m), int(n)
                name = "half of " * half + taken(kind, dtype, m, n)
                ratios.setdefault((kind, dtype, int(lanes) >> half, m, n), []).append(of_path[name])
    return {key: sum(found) / len(found) for key, found in ratios.items()}


def losses(rule, ratio, lanes):
    """For each shape, the worst over batches of 1 to `lanes` of the taken path's time over the faster one's."""
    batch = numpy.arange(1, lanes + 1)
    alone = (batch < rule[..., None]) | (rule[..., None] > lanes)
    times = numpy.where(alone, batch, ratio[:, None])
    return (times / numpy.minimum(batch, ratio[:, None])).max(-1)


def fit(m, n, ratio, lanes):
    """Powers of both sides, and the divisor, for which the losses are small: in the mean, and the worst."""
    best = (numpy.inf,)
    for a in POWERS:
        for b in POWERS:
            product = m**a * n**b
            divisors = numpy.geomspace((product / ratio).min(), (product / ratio).max(), 40)
            loss = losses(product / divisors[:, None], ratio, lanes)
            scores = (loss**2).mean(1) + 0.2 * loss.max(1)
            i = scores.argmin()
            if scores[i] < best[0]:
                best = scores[i], a, b, divisors[i], loss[i]
    return best[1:]


def row(ratios, kind, chosen):
    """A row of a table of the C file, and what its rule costs."""
    cells, notes = [], []
    for dtype in QR_LEAST_COLUMNS:
        found = [(m, n, lanes, ratio) for (k, d, lanes, m, n), ratio in ratios.items()
                 if (k, d) == (kind, dtype) and m * n >= LEAST_ELEMENTS and chosen(m, n)]
        m, n, lanes, ratio = map(numpy.array, zip(*found))
        a, b, divisor, loss = fit(m.astype(float), n.astype(float), ratio, int(lanes[0]))
        worst = loss.argmax()
        cells.append(f"{{{a:.2g}, {b:.2g}, {divisor:.3g}}}")
        notes.append(f"{dtype} {loss.mean():.2f}, {loss[worst]:.2f} at {m[worst]} x {n[worst]}")
    return "{" + ", ".join(cells) + "}", "; ".join(notes)


# What each row is fitted to.  A long matrix spends its time in the QR factorization, by qd as by Jacobi.
SHORT_ROWS = {"CPU_FEW_SVD": ("svd", lambda m, n: m < LONG_RATIO * n),
              "CPU_FEW_VALUES": ("values", lambda m, n: m < LONG_RATIO * n and n < QD_LEAST_COLUMNS),
              "CPU_FEW_QD_VALUES": ("values", lambda m, n: m < LONG_RATIO * n and n >= QD_LEAST_COLUMNS),
              "CPU_FEW_GRADIENTS": ("gradients", lambda m, n: m * n >= LEAST_ELEMENTS_OF_GRADIENTS),
              "CPU_FEW_PROGRAMS": ("programs", lambda m, n: True)}
LONG_ROWS = {"CPU_FEW_SVD": ("svd", lambda m, n: m >= LONG_RATIO * n),
             "CPU_FEW_VALUES": ("values", lambda m, n: m >= LONG_RATIO * n)}


# What the comments show: shapes, and a column of four types for each kind.
SHOWN = [(("svd", "values", "gradients"), [(8, 8), (16, 16), (24, 24), (32, 32), (48, 48), (64, 64), (96, 96), (128, 128),
                                           (32, 16), (128, 64), (80, 8), (320, 32), (400, 4)]),
         (("programs",), [(6, 6), (8, 4), (8, 8), (12, 12), (16, 4), (16, 8), (16, 16)]),
         (("svd", "values"), [(30, 1), (60, 2), (2000, 2), (120, 4), (400, 4), (4000, 4), (80, 8), (800, 8), (160, 16),
                              (480, 16), (320, 32), (960, 32)])]


def cell(ratio):
    return "    " if ratio is None else f"{ratio:4.1f}" if ratio < 9.95 else f"{ratio:4.0f}"


def show(ratios, kinds, shapes):
    found = {(kind, dtype, m, n): ratio for (kind, dtype, _, m, n), ratio in ratios.items()}
    print("   ".join(kinds))
    for m, n in shapes:
        print(f" *  {m:4d}  {n:4d} ", "   ".join(" ".join(cell(found.get((kind, dtype, m, n))) for dtype in QR_LEAST_COLUMNS)
                                               for kind in kinds))


def report(ratios):
    for title, rows in (("crossovers", SHORT_ROWS), ("long_crossovers", LONG_ROWS)):
        print(title)
        for name, (kind, chosen) in rows.items():
            cells, notes = row(ratios, kind, chosen)
            print(f"  [{name}] = {cells},\n    {notes}")
    for kinds, shapes in SHOWN:
        show(ratios, kinds, shapes)


def main():
    whole = read(sys.argv[1:], half=0)
    report(whole)
    if any(dtype == "f32" and lanes == 16 for _, dtype, lanes, _, _ in whole):
        print("half of a group")
        report(read(sys.argv[1:], half=1))


if __name__ == "__main__":
    main()
