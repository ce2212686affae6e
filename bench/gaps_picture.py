#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The error of the gradient over the gap, of what most people use: gaps_picture.py [output.svg]; default
docs/pictures/gaps.svg.  From bench/results/gaps.csv (`./run gaps`), whose own picture has every policy and type.  Plain
SVG, large enough to read on a phone."""
import csv
import math
import os
import sys

CURVES = {  # column of the table: name, colour, width, dashes
    "torch": ("PyTorch (JAX is alike)", "#9467bd", 2, "7 4"), "TF 1e-20": ("TensorFlow", "#2ca02c", 2, "7 4"),
    "DEFAULT": ("svdgrad, DEFAULT", "#d62728", 3, ""), "fused": ("svdgrad, the function itself", "black", 5, ""),
    "NOISE_FLOOR": ("svdgrad, NOISE_FLOOR", "#ff9f3e", 2, "")}
PANELS = {"recon": "reconstruction: loss ⟨G, U S Vh⟩", "polar": "polar factor: loss ⟨G, U Vh⟩"}
WIDTH, LEFT, RIGHT, TALL, STEP = 640, 74, 20, 250, 340
LOW, HIGH, NAN = -17, 0.5, 2.0  # of the logarithm of the error; where NaN is drawn


def read(path):
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    comments = dict(line[2:].rstrip("\n").split(": ", 1) for line in lines if line.startswith("# "))
    return comments, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def x_of(gap):
    return LEFT + (WIDTH - LEFT - RIGHT) * ((17 if gap == 0 else -math.log10(gap)) - 1) / 16


def y_of(error, top):
    value = NAN if not math.isfinite(error) else min(max(math.log10(error or 1e-17), LOW), HIGH)
    return top + TALL * (NAN - value) / (NAN - LOW)


def text(x, y, content, anchor="middle", **attributes):
    more = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{content}</text>'


def axes(top, title):
    parts = [text(LEFT, top - 14, title, "start", font_weight="bold")]
    for power in (0, -4, -8, -12, -16):
        y = y_of(10.0 ** power, top)
        parts += [f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
                  text(LEFT - 8, y + 5, "1" if power == 0 else f"1e{power}", "end")]
    parts.append(text(LEFT - 8, y_of(math.nan, top) + 5, "NaN", "end"))
    for power in (1, 4, 7, 10, 13):
        x = x_of(10.0 ** -power)
        parts += [f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + TALL}" stroke="#ddd"/>',
                  text(x, top + TALL + 20, f"1e-{power}")]
    parts += [text(x_of(0), top + TALL + 20, "tie"),
              f'<rect x="{LEFT}" y="{top - 6}" width="{WIDTH - LEFT - RIGHT}" height="{TALL + 6}" fill="none" stroke="#444"/>',
              text((LEFT + WIDTH - RIGHT) / 2, top + TALL + 42, "gap of two singular values"),
              f'<text transform="translate(17 {top + TALL / 2}) rotate(-90)" text-anchor="middle">error of the gradient</text>']
    return parts


def curve(rows, column, top):
    _, colour, width, dashes = CURVES[column]
    points = sorted((x_of(float(row["gap"])), y_of(float(row["worst"]), top), not math.isfinite(float(row["worst"])))
                    for row in rows if row["column"] == column)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    crosses = [f'<path d="M{x - 5:.1f},{y - 5:.1f} l10,10 m0,-10 l-10,10" stroke="{colour}" stroke-width="2"/>'
               for x, y, lost in points if lost]
    return [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"/>',
            *crosses]


def draw(comments, rows):
    bottom = 40 + STEP * len(PANELS)
    height = bottom + 24 * ((len(CURVES) + 1) // 2) + 32
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
             'font-family="Helvetica, Arial, sans-serif" font-size="15">', '<rect width="100%" height="100%" fill="white"/>']
    for number, (loss, title) in enumerate(PANELS.items()):
        top = 40 + STEP * number
        parts += axes(top, title)
        here = [row for row in rows if (row["loss"], row["dtype"], row["scale"]) == (loss, "f64", "1")]
        for column in CURVES:
            parts += curve(here, column, top)
    for i, (name, colour, width, dashes) in enumerate(CURVES.values()):
        x, y = LEFT + 290 * (i % 2), bottom + 24 * (i // 2)
        parts += [f'<line x1="{x}" y1="{y}" x2="{x + 34}" y2="{y}" stroke="{colour}" stroke-width="{width}" '
                  f'stroke-dasharray="{dashes}"/>', text(x + 42, y + 5, name, "start")]
    parts.append(text(8, height - 10, f"f64, worst of 20 matrices; {comments['machine']}, {comments['date'].split()[0]}, "
                      f"{comments['command']}", "start", font_size=12, fill="#666"))
    return "\n".join(parts) + "\n</svg>\n"


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    output = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "docs/pictures/gaps.svg")
    with open(output, "w", encoding="utf-8") as file:
        file.write(draw(*read(os.path.join(root, "bench/results/gaps.csv"))))
    print(output)


if __name__ == "__main__":
    main()
