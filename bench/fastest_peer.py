#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many times as fast svdgrad is as the fastest other SVD of LAPACK's accuracy, by shape: fastest_peer.py [output.svg]; default
docs/pictures/fastest_peer.svg.  From the tables of `./run bench` and `./run bench --suites frameworks`; losses are shown as
well.  Plain SVG, large enough to read on a phone."""
import csv
import math
import os
import re
import sys

import report

DTYPES = {"f32": ("float32", "#d62728"), "f64": ("float64", "#1f77b4")}
NAMES = {"jax": "JAX", "torch": "PyTorch", "tensorflow": "TensorFlow", "numpy": "NumPy", "gesdd-loop": "OpenBLAS",
         "openblas-loop": "OpenBLAS", "mkl-loop": "MKL", "aocl-loop": "AOCL", "warp": "Warp",
         "eigen-jacobi": "Eigen", "eigen-bdc": "Eigen"}
WIDTH, LEFT, RIGHT, ROW, FONT = 640, 170, 150, 25, 15


def of_svd(rows):
    """(shape, {type: (ratio, peer)}) of U, S, Vh on one thread; some types have fewer matrices."""
    rows = [row for row in rows if row["op"] == "svd" and row["threads"] == 1]
    for m, n in dict.fromkeys((row["m"], row["n"]) for row in rows):
        here, found = [row for row in rows if (row["m"], row["n"]) == (m, n)], {}
        for dtype in DTYPES:
            best, ratio = report.fastest_of([row for row in here if row["dtype"] == dtype],
                                            lambda row: not report.is_careless(row))
            found[dtype] = ratio, NAMES.get(best["peer"], best["peer"])
        yield (max(row["batch"] for row in here), m, n), found


def of_frameworks(path):
    """The same of value and gradient of a low-rank approximation: the framework whose own SVD comes closest."""
    with open(path, encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["op"] == "rank n/2"]
    for shape in dict.fromkeys((row["batch"], row["m"], row["n"]) for row in rows):
        found = {}
        for dtype, (name, _) in DTYPES.items():
            here = [row for row in rows if (row["batch"], row["m"], row["n"], row["dtype"]) == (*shape, name)]
            least = min(here, key=lambda row: float(row["theirs_over_ours"]))
            found[dtype] = float(least["theirs_over_ours"]), NAMES[least["framework"]]
        yield tuple(map(int, shape)), found


def place(ratio, low, high):
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / math.log(high / low)


def text(x, y, content, anchor="start", **attributes):
    more = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{content}</text>'


def draw(groups, notes):
    ratios = [ratio for _, rows in groups for _, found in rows for ratio, _ in found.values()]
    low, high = min(0.5, 0.9 * min(ratios)), 1.15 * max(ratios)
    height = 62 + sum(ROW * (len(rows) + 1) + 12 for _, rows in groups) + 40 + 18 * len(notes)
    bottom = height - 44 - 18 * len(notes)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
             f'font-family="Helvetica, Arial, sans-serif" font-size="{FONT}">',
             '<rect width="100%" height="100%" fill="white"/>',
             text(8, 22, "Times as fast as the fastest other", font_weight="bold")]
    for (dtype, (_, colour)), x in zip(DTYPES.items(), (LEFT + 210, LEFT + 280)):
        parts += [f'<circle cx="{x}" cy="17" r="6" fill="{colour}"/>', text(x + 11, 22, dtype)]
    for tick in (0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= tick <= high:
            x = place(tick, low, high)
            one = tick == 1
            parts += [f'<line x1="{x:.1f}" y1="40" x2="{x:.1f}" y2="{bottom}" stroke="{"black" if one else "#ccc"}"/>',
                      text(x, bottom + 18, f"{tick:g}", "middle")]
    y = 44
    for title, rows in groups:
        y += ROW
        parts.append(text(8, y, title, font_style="italic", fill="#444", paint_order="stroke", stroke="white",
                          stroke_width=5))
        for (batch, m, n), found in rows:
            y += ROW
            parts.append(text(LEFT - 12, y, f"{batch:,} x {m} x {n}", "end"))
            points = [place(ratio, low, high) for ratio, _ in found.values()]
            parts.append(f'<line x1="{min(points):.1f}" y1="{y - 5}" x2="{max(points):.1f}" y2="{y - 5}" stroke="#999"/>')
            for (dtype, (ratio, _)), x in zip(found.items(), points):
                parts.append(f'<circle cx="{x:.1f}" cy="{y - 5}" r="6" fill="{DTYPES[dtype][1]}"><title>{dtype}: {ratio:.2f}'
                             "</title></circle>")
            parts.append(text(WIDTH - RIGHT + 12, y, ", ".join(dict.fromkeys(peer for _, peer in found.values())),
                              fill="#444", font_size=13))
        y += 12
    for i, note in enumerate(notes):
        parts.append(text(8, bottom + 42 + 18 * i, note, fill="#666", font_size=12))
    return "\n".join(parts) + "\n</svg>\n"


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    output = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "docs/pictures/fastest_peer.svg")
    comments, rows = report.read(report.DIRECTORY, "shapes")
    groups = [("U, S, Vh, one thread", list(of_svd(rows)))]
    notes = [f"Above: {comments['machine'].split(',')[0]}, {comments['date'].split()[0]}, bench/results/cpu.md."]
    path = os.path.join(report.DIRECTORY, "frameworks.csv")
    if os.path.exists(path):
        groups.append(("value and gradient of a low-rank approximation, in the framework", list(of_frameworks(path))))
        with open(path[:-3] + "md", encoding="utf-8") as file:
            date, machine = re.search(r"(\d+-\d+-\d+), ([^,]*),", file.read()).groups()
        notes.append(f"Below: {machine}, {date}, two threads, bench/results/frameworks.md.")
    with open(output, "w", encoding="utf-8") as file:
        file.write(draw(groups, notes))
    print(output)


if __name__ == "__main__":
    main()
