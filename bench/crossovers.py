#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fits the rule of src/cpu/cpu_few.c to what bench_crossovers printed: crossovers.py times.csv.

Prints the rows of the tables `crossovers` and `long_crossovers` for the instruction set that was measured, and for each type
how many times as long as on the faster path a batch of 1 to `lanes` matrices takes by this rule: the mean over all shapes
of the worst batch, and the worst of all.  Needs NumPy."""
import csv
import sys

import numpy

# As cpu_few.c and cpu_choice.c have them.
LONG_RATIO, LEAST_ELEMENTS, SMALL, PLAIN_PRODUCT = 10, 32, 16, 2000
QD_LEAST_COLUMNS = 8
QR_LEAST_COLUMNS = {"f32": 20, "f64": 16, "c64": 12, "c128": 12}
POWERS = numpy.arange(0.1, 1.01, 0.05)


def taken(kind, dtype, n):
    """The algorithm in lanes that AUTO takes."""
    if kind == "values":
        return "dqds-lanes" if n >= QD_LEAST_COLUMNS else "jacobi-lanes"
    if kind == "svd":
        return "qr-lanes" if n >= QR_LEAST_COLUMNS[dtype] else "jacobi-lanes"
    return "lanes-backward" if kind == "gradients" else "lanes-program"


def read(path):
    """(kind, dtype, lanes, m, n) -> time of a group in lanes over that of one matrix."""
    ratios = {}
    with open(path, encoding="utf-8") as file:
        for kind, dtype, lanes, m, n, *paths in csv.reader(file):
            of_path = dict(zip(paths[::3], map(float, paths[2::3])))
            m, n = int(m), int(n)
            ratios[kind, dtype, int(lanes), m, n] = of_path[taken(kind, dtype, n)]
    return ratios


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
              "CPU_FEW_GRADIENTS": ("gradients", lambda m, n: m > SMALL and m * n * n > PLAIN_PRODUCT)}
LONG_ROWS = {"CPU_FEW_SVD": ("svd", lambda m, n: m >= LONG_RATIO * n),
             "CPU_FEW_VALUES": ("values", lambda m, n: m >= LONG_RATIO * n)}


def main():
    ratios = read(sys.argv[1])
    for title, rows in (("crossovers", SHORT_ROWS), ("long_crossovers", LONG_ROWS)):
        print(title)
        for name, (kind, chosen) in rows.items():
            cells, notes = row(ratios, kind, chosen)
            print(f"  [{name}] = {cells},\n    {notes}")


if __name__ == "__main__":
    main()
