#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Error of the gradient against the gap between two singular values; `./run gaps` builds what it needs and starts it.

A is 4 x 4 with singular values 3, 1 + gap, 1 and 0.2, times a scale, and random singular vectors; at gap 0 these are
signed unit vectors, so that the tie is exact.  The truth is the gradient at A as rounded, with 60 digits.  Every loss
of gaps_losses.py is differentiated by everybody in gaps_columns.py.  Exits with 1 where what class Checks states does
not hold.
"""
import argparse
import csv
import os
import sys
import time

import numpy

import gaps_columns
import gaps_losses
import gaps_report
import library
from compare import processor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DTYPES = {"f32": "float32", "f64": "float64", "c128": "complex128"}
OURS = (*library.POLICIES, "fused")
GAPS = [10.0 ** -i for i in range(1, 17)] + [0.0]
SCALES = (1.0, 1e-6)
HEADING = ["loss", "dtype", "scale", "gap", "gap_of_A", "column", "median", "worst", "not_finite", "dropped", "gauge",
           "cut", "error_without_flag", "error_over_eps_gap"]
TOLERANCE = 3   # of two medians that are alike but for luck
NOISE = 30      # in eps: an error below is as good as any
LATE = {True: 0.3, False: 1.0}  # an error that comes with a flag, where the gradient is smooth at a tie and where not


# ---- measuring -----------------------------------------------------------------------------------


def random_array(generator, shape, dtype):
    real = generator.standard_normal(shape)
    return (real + 1j * generator.standard_normal(shape) if dtype.startswith("complex") else real).astype(dtype)


def orthogonal(generator, count, dtype):
    wide = numpy.result_type(dtype, "float64").name
    return numpy.linalg.qr(random_array(generator, (count, 4, 4), wide))[0]


def permutations(generator, count, dtype):
    """With signs: they leave a tie a tie."""
    signs = generator.choice([-1, 1], (count, 4, 1))
    return (signs * numpy.stack([generator.permutation(numpy.eye(4)) for _ in range(count)])).astype(dtype)


def matrices(generator, count, dtype, gap, scale):
    """A, and what the losses are made of."""
    S, vectors = numpy.array([3, 1 + gap, 1, 0.2]) * scale, orthogonal if gap else permutations
    A = (vectors(generator, count, dtype) * S @ vectors(generator, count, dtype)).astype(dtype)
    weights = {"G": random_array(generator, A.shape, dtype)}
    for name, shape in (("c", A.shape), ("d", A.shape), ("w", A.shape[:2])):
        weights[name] = generator.standard_normal(shape).astype(A.real.dtype)
    return A, weights


def relative_errors(gA, truth):
    """Against a gradient of usual size at this gap: where it grows as 1/gap a few are small by chance."""
    size = numpy.linalg.norm(truth, axis=(1, 2))
    error = numpy.linalg.norm(gA - truth, axis=(1, 2)) / numpy.maximum(size, numpy.median(size))
    return numpy.where(numpy.isfinite(gA).all((1, 2)), error, numpy.inf)


def summary(gA, truth, report, eps):
    """What stands in one row, of all matrices; what is not finite counts as Inf."""
    error = relative_errors(gA, truth)
    row = [numpy.median(error), error.max(), int(numpy.isinf(error).sum())]
    if report is None:
        return row + [""] * 5
    dropped, gauge, cut = (report["flags"] & flag != 0 for flag in (library.DROPPED, library.GAUGE, library.CUT))
    known = numpy.isfinite(error) & ~dropped
    ratio = error[known] * numpy.minimum(1, report["min_gap"][known]) / eps  # to what the report says it may be
    row += [int(flag.sum()) for flag in (dropped, gauge, cut)]
    return row + [error[known].max(initial=0), ratio.max(initial=0)]


def measure(lib, torch, generator, name, gap, scale, options):
    """Rows of all losses at one gap."""
    A, weights = matrices(generator, options.samples, DTYPES[name], gap, scale)
    truth, gaps = gaps_losses.truths(A, weights)
    for loss in gaps_losses.LOSSES:
        results = gaps_columns.ours(lib, A, loss, weights)
        results.update({column: (gA, None) for column, gA in gaps_columns.foreign(lib, A, loss, weights).items()})
        if torch:
            results[torch.column] = torch.gradient(A, loss, weights), None
        for column, (gA, report) in results.items():
            yield [loss.name, name, scale, gap, numpy.median(gaps), column] + \
                summary(gA, truth[loss.name], report, gaps_columns.epsilon(A))


# ---- checks --------------------------------------------------------------------------------------


class Checks:
    """What must hold; `broken` lists what does not, `beaten` where another is ahead of DEFAULT.

    * DEFAULT is as accurate as everybody else for losses of U f(S) Vh, f not constant, down to the gap where it drops
      the pair; fused is as accurate as all for every loss that stays smooth at a tie.
    * Nobody but EXACT gives NaN or Inf.
    * No report is silent about a large error, and the flags say what they should.
    """

    def __init__(self, rows):
        self.broken, self.beaten = [], []
        groups = {}
        for row in rows:
            key = row["loss"], row["dtype"], row["scale"], row["gap"]
            groups.setdefault(key, {})[row["column"]] = row
        for key, group in groups.items():
            loss = next(loss for loss in gaps_losses.LOSSES if loss.name == key[0])
            self.check_accuracy(key, loss, group)
            self.check_reports(key, loss, group)

    @staticmethod
    def ahead(key, group, mine):
        """Columns that are better than `mine` by more than luck."""
        noise, error = NOISE * float(numpy.finfo(DTYPES[key[1]]).eps), group[mine]["median"]
        return [column for column, row in group.items() if error > noise and error > TOLERANCE * row["median"]]

    def check_accuracy(self, key, loss, group):
        ahead = self.ahead(key, group, "DEFAULT")
        self.beaten += [(*key, column) for column in ahead]
        if loss.is_smooth() and loss.name != "polar" and not group["DEFAULT"]["dropped"]:
            self.broken += [(*key, "DEFAULT", f"behind {column}") for column in ahead if column in gaps_columns.WHO]
        if loss.is_smooth():
            self.broken += [(*key, "fused", f"behind {column}") for column in self.ahead(key, group, "fused")]

    def check_reports(self, key, loss, group):
        for column, row in group.items():
            if column not in OURS:
                continue
            if row["not_finite"] and column != "EXACT":
                self.broken.append((*key, column, "not finite"))
            late = LATE[loss.is_smooth()]
            if row["error_without_flag"] > late and column not in ("EXACT", "LORENTZ"):
                self.broken.append((*key, column, f"an error above {late} without a flag"))
        row = group["DEFAULT"]
        if row["gauge"] != (0 if loss.is_smooth() else row["dropped"]):
            self.broken.append((*key, "DEFAULT", "flag of a gauge-dependent loss"))
        if not loss.is_smooth() and loss.fused and group["fused"]["cut"] != group["fused"]["dropped"]:
            self.broken.append((*key, "fused", "flag of a cut cluster"))


# ---- the program ---------------------------------------------------------------------------------


def comments(lib, torch, options):
    yield time.strftime("date: %Y-%m-%d %H:%M UTC", time.gmtime())
    yield f"machine: {processor()}"
    yield f"command: ./run gaps {' '.join(sys.argv[1:])}".rstrip()
    yield f"svdgrad: {lib.version}, factors by {lib.algorithm('svd', library.describe(numpy.zeros((1, 4, 4))))}"
    yield f"others: NumPy {numpy.__version__}, factors by " + \
        lib.algorithm("svd", library.describe(numpy.zeros((1, 4, 4)), algo=2))
    yield f"torch: {torch.version}" if torch else "torch: not found; without its column"
    yield f"matrices: {options.samples} at each gap"


def save(path, notes, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {note}\n" for note in notes)
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADING)
        out.writerows([f"{x:.2g}" if isinstance(x, float) else x for x in row] for row in rows)


def arguments():
    parser = argparse.ArgumentParser(prog="./run gaps", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("--samples", type=int, default=20, help="matrices at each gap; default 20")
    parser.add_argument("--output", default=os.path.join(ROOT, "bench", "results"), help="default bench/results")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"), help="where svdgrad was built")
    return parser.parse_args()


def main():
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    lib, generator = library.Library(options.build), numpy.random.default_rng(2026)
    try:
        torch = gaps_columns.Torch()
    except ImportError:
        torch = None
    rows = []
    for name in DTYPES:
        for scale in SCALES:
            for gap in GAPS:
                rows += measure(lib, torch, generator, name, gap, scale, options)
    notes = list(comments(lib, torch, options))
    save(os.path.join(options.output, "gaps.csv"), notes, rows)
    table = [dict(zip(HEADING, row)) for row in rows]
    checks = Checks(table)
    gaps_report.write(options.output, notes, table, checks)
    for broken in gaps_report.summary(checks.broken):
        print("broken:", broken)
    print(f"{len(rows)} rows, {len(checks.broken)} broken, {len(checks.beaten)} times another was ahead of DEFAULT")
    return bool(checks.broken)


if __name__ == "__main__":
    sys.exit(main())
