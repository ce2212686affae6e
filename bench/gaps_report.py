# SPDX-License-Identifier: BSD-3-Clause
"""gaps.md and gaps.png from the rows of gaps.py."""
import math
import os

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

import gaps_columns  # noqa: E402
import gaps_losses  # noqa: E402

COLUMNS = ("fused", "DEFAULT", "NOISE_FLOOR", "MASK", "LORENTZ", "EXACT", *gaps_columns.WHO)
TABLE_GAPS = {"f64": (1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-14, 1e-15, 0), "f32": (1e-1, 1e-3, 1e-5, 1e-6, 1e-7, 0)}
STYLE = {  # colour, width, dashes; ours are drawn with full lines
    "fused": ("black", 2.4, "-"), "DEFAULT": ("#d62728", 2.4, "-"), "NOISE_FLOOR": ("#ff7f0e", 1.6, "-"),
    "MASK": ("#bcbd22", 1.2, "-"), "LORENTZ": ("#e377c2", 1.2, "-"), "torch": ("#9467bd", 1.6, "--"),
    "raw E": ("#9467bd", 1.6, "--"), "TF 1e-20": ("#2ca02c", 1.6, "--"), "Lorentz 1e-12": ("#1f77b4", 1.6, "--"),
    "Taylor K=9": ("#7f7f7f", 1.6, "--"), "mask eps^.75": ("#17becf", 1.6, "--")}
LABELS = {"fused": "svdgrad, fused call", "torch": "PyTorch (JAX is alike)", "raw E": "raw E: PyTorch, JAX",
          "TF 1e-20": "TensorFlow, 1e-20", "Lorentz 1e-12": "Lorentzian, 1e-12", "Taylor K=9": "Taylor, K = 9",
          "mask eps^.75": "mask, eps^(3/4)"}
LEAST = {"f64": 1e-16, "f32": 1e-8}  # gap that is drawn: smaller ones are rounding
PANELS = (("recon", 1.0), ("recon", 1e-6), ("polar", 1.0), ("vectors", 1.0))


def lookup(rows):
    return {(row["loss"], row["dtype"], row["scale"], row["gap"], row["column"]): row for row in rows}


def columns_of(rows):
    present = {row["column"] for row in rows}
    return [column for column in COLUMNS if column in present]


def power(x):
    return "0" if x == 0 else short(x)


# ---- text ----------------------------------------------------------------------------------------


def cell(row):
    if row is None or math.isnan(row["worst"]):
        return "–"
    return f"NaN in {row['not_finite']}" if row["not_finite"] else short(row["worst"])


def short(x):
    return f"{x:.0e}".replace("e-0", "e-").replace("e+00", "")


def table(heads, lines):
    yield "| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|"
    yield from ("| " + " | ".join(line) + " |" for line in lines)


def errors(rows, loss, dtype):
    """The worst errors of one loss and type, as a table."""
    at, columns = lookup(rows), columns_of(rows)
    places = [(1.0, gap) for gap in TABLE_GAPS[dtype]] + [(1e-6, 1e-1), (1e-6, 1e-6 if dtype == "f64" else 1e-3)]
    lines = []
    for scale, gap in places:
        here = {column: at.get((loss, dtype, scale, gap, column)) for column in columns}
        lines.append([power(scale), power(gap), *map(cell, here.values()), str(here["DEFAULT"]["dropped"])])
    return table(["scale", "gap", *columns, "flagged"], lines)


def ranges(gaps):
    """1e-03..1e-07, 0: runs of decades."""
    runs, decades = [], sorted(round(-math.log10(gap)) if gap else 17 for gap in gaps)
    for decade in decades:
        if runs and decade == runs[-1][1] + 1:
            runs[-1][1] = decade
        else:
            runs.append([decade, decade])

    def name(decade):
        return "0" if decade == 17 else f"1e-{decade}"
    return ", ".join(name(a) if a == b else f"{name(a)}..{name(b)}" for a, b in runs)


def collected(entries, count):
    """Gaps of the entries (loss, type, scale, gap, ...) that are alike but for scale and gap, by the rest of them."""
    groups = {}
    for loss, dtype, _, gap, *rest in entries:
        groups.setdefault((loss, dtype, *rest[:count]), {}).setdefault(tuple(rest[count:]), set()).add(gap)
    return groups


def behind(beaten):
    """Where others are ahead of DEFAULT: of every loss and type who, and at which gaps (of either scale)."""
    groups = collected(beaten, 0).items()
    return table(["loss", "type", "who, at which gaps"],
                 [[*key, "; ".join(f"{name}: {ranges(who[name,])}" for name in COLUMNS if (name,) in who)]
                  for key, who in groups])


def summary(broken):
    for (loss, dtype, column, reason), gaps in collected(broken, 2).items():
        yield f"{loss}, {dtype}, {column}: {reason}, at gaps {ranges(gaps[()])}"


def reports(rows):
    """Largest errors that came without the flag of a dropped term, over all types, scales and gaps."""
    lines = []
    for column in ("DEFAULT", "NOISE_FLOOR", "MASK", "fused"):
        for title, smooth in (("smooth at a tie", True), ("growing as 1/gap", False)):
            mine = [row for row in rows if row["column"] == column and smooth == smoothness(row["loss"])]
            worst = [max(row[key] for row in mine) for key in ("error_without_flag", "error_over_eps_gap")]
            lines.append([column, title, *map(short, worst)])
    return table(["column", "losses", "largest error", "in eps/min_gap"], lines)


def smoothness(name):
    return next(loss for loss in gaps_losses.LOSSES if loss.name == name).is_smooth()


TEXT = """\
# Error of the gradient against the gap of two singular values

@NOTES@

A is 4 x 4 with singular values 3, 1 + gap, 1 and 0.2, times a scale, between random orthogonal (unitary) matrices; at
gap 0 these are signed permutations, so that the tie is exact. An error is |gA - truth| / |truth| in the Frobenius
norm, the truth the gradient at A as rounded, computed with 60 digits. Tables and picture show the worst matrix of
each gap; gaps.csv has the medians, too, and c128. `./run gaps` makes all of it.

The losses:

@LOSSES@

The columns: `fused` is one call of svdgrad_matrix_function_backward(); the policies are those of
svdgrad_svd_backward() with the cotangents of U, S and Vh, MASK with gap_param eps^(3/4), LORENTZ with 1e-6. The
others, whose formulas are evaluated in the type of A with the factors of LAPACK's gesdd:

@WHO@

## Where DEFAULT is behind

By more than 3 times in the median, at the gaps named (of either scale; f32 has nothing but rounding below 1e-7):

@BEHIND@

* `fused` is ahead wherever there is a fused call and the gap is small: it never divides by the gap. Of `log` f is
  given as numbers (CUSTOM), and what is left is the cancellation of f(s_i) - f(s_j): at most about eps^(2/3).
* `polar` has X + Y = 0 exactly; what DEFAULT divides by the gap is the rounding noise of it. Everything that drops
  this pair is right, NOISE_FLOOR at every gap, masks and Lorentzians where they reach. For such losses call `fused`,
  or take NOISE_FLOOR if there is no fused call.
* In the last decade above eps (1e-15 in f64, 1e-6 in f32) DEFAULT has dropped the pair and says so, while dividing,
  as EXACT and PyTorch do, still gets one digit right most of the time, and NaN else.
* For `rank2` and `vectors` the gradient itself grows as 1/gap; there is nothing to win for anybody.

NOISE_FLOOR pays for `polar` with `recon`, `rank3` and `log`: below a gap of about 1e-12 (1e-3 in f32) it drops what
is needed there. MASK and LORENTZ do the same below their gap_param, LORENTZ without a word: it drops nothing, so no
flag is raised.

## What the reports said

Largest errors of matrices whose report does not have the flag of a dropped term, relative, and in units of
eps/min_gap, which is what the report makes one expect (that of `log` fused does not count what CUSTOM cancels). Where a
gradient grows as 1/gap, the error is relative to the median gradient at that gap.

@REPORTS@

## What did not hold

DEFAULT is as accurate as every foreign column for `recon`, `rank3` and `log` at all gaps where it drops nothing;
`fused` is as accurate as every column for all losses but the last two; nothing but EXACT gives NaN; no error above
0.3 (1 where the gradient grows as 1/gap) comes without a flag; the flags of gauge-dependent losses and of cut clusters
come where they should and nowhere else:

@BROKEN@

## Tables

`flagged` counts the matrices of which DEFAULT reported a dropped term.
"""


def text(notes, rows, checks):
    parts = {"NOTES": (f"* {note}" for note in notes), "BEHIND": behind(checks.beaten), "REPORTS": reports(rows),
             "WHO": (f"* `{column}`: {who}" for column, who in gaps_columns.WHO.items()),
             "LOSSES": (f"* `{loss.name}`: {loss.words}" for loss in gaps_losses.LOSSES),
             "BROKEN": [f"* {line}" for line in summary(checks.broken)] or ["Everything held."]}
    filled = TEXT
    for name, lines in parts.items():
        filled = filled.replace(f"@{name}@", "\n".join(lines))
    yield filled.rstrip("\n")
    for dtype in TABLE_GAPS:
        for loss in gaps_losses.LOSSES:
            yield f"\n`{loss.name}`, {dtype}\n"
            yield from errors(rows, loss.name, dtype)


# ---- picture -------------------------------------------------------------------------------------


def draw(axes, rows, loss, dtype, scale, names):
    gaps = [gap for gap in sorted({row["gap"] for row in rows}, reverse=True) if gap >= LEAST[dtype] or gap == 0]
    at, top = lookup(rows), 30
    for column in names:
        mine = [at.get((loss, dtype, scale, gap, column)) for gap in gaps]
        points = [(i, row["worst"]) for i, row in enumerate(mine) if row and not math.isnan(row["worst"])]
        colour, width, dash = STYLE[column]
        axes.plot([i for i, _ in points], [min(error, top) for _, error in points], dash, color=colour,
                  linewidth=width, label=LABELS.get(column, f"svdgrad, {column}"))
        nan = [i for i, error in points if math.isinf(error)]
        axes.plot(nan, [top] * len(nan), "x", color=colour, markersize=7)
    ticks = range(1, len(gaps) - 2, 2 if dtype == "f32" else 4)
    axes.set_xticks([*ticks, len(gaps) - 1], [power(gaps[i]) for i in ticks] + ["tie"])
    low = -8 if dtype == "f32" else -17
    ticks = [10.0 ** i for i in range(low + 1, 1, 2 if dtype == "f32" else 4)]
    axes.set(yscale="log", ylim=(10.0 ** low, 100))
    axes.set_yticks([*ticks, top], [power(tick) for tick in ticks] + ["NaN"])
    axes.minorticks_off()
    axes.grid(True, alpha=0.3)


def picture(path, notes, rows):
    names = [column for column in STYLE if column in columns_of(rows)]
    names = [column for column in names if column != "raw E" or "torch" not in names]
    pyplot.rcParams.update({"font.size": 11})  # a phone shows 7 inches in some 360 pixels
    figure, grid = pyplot.subplots(len(PANELS), 2, figsize=(7, 3 * len(PANELS) + 1.5), sharey="col")
    for dtype, line in zip(TABLE_GAPS, grid.T):
        for (name, scale), axes in zip(PANELS, line):
            title = next(loss.title for loss in gaps_losses.LOSSES if loss.name == name)
            draw(axes, rows, name, dtype, scale, names)
            axes.set_title(f"{title}, {dtype}" + (f", |A| = {short(3 * scale)}" if scale != 1 else ""),
                           fontsize=11)
    for line in grid:
        line[0].set_ylabel("error of the gradient")
    for axes in grid[-1]:
        axes.set_xlabel("gap of two singular values")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=2, frameon=False, fontsize=11)
    figure.text(0.01, 0.003, " · ".join(note for note in notes if note.startswith(("machine", "date", "svdgrad"))),
                fontsize=9, color="grey")
    figure.tight_layout(rect=(0, 0.01, 1, 1 - (0.15 + 0.22 * math.ceil(len(labels) / 2)) / figure.get_figheight()))
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def write(directory, notes, rows, checks):
    with open(os.path.join(directory, "gaps.md"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in text(notes, rows, checks))
    picture(os.path.join(directory, "gaps.png"), notes, rows)
