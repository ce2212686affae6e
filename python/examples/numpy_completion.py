# SPDX-License-Identifier: BSD-3-Clause
"""Completion of a matrix with a nuclear norm, in NumPy: a picture from a quarter of its entries, with noise.

Of all matrices that are close to the entries seen, the one of least nuclear norm: minimize
    1/2 |P (X - seen)|^2 + t |X|_*        (P: the entries that are seen)
by proximal gradient steps with momentum, X = soft_threshold(Z - P (Z - seen), t) (Beck and Teboulle, SIAM J.  Imaging
Sci. 2, 2009; Mazumder, Hastie and Tibshirani, JMLR 11, 2010).  t goes down from a large value, and every solution
starts the next.

    python numpy_completion.py [figure.svg]
"""

import base64
import struct
import sys
import zlib

import numpy as np

import svdgrad

SIDE, SEEN, NOISE = 96, 0.25, 0.02


def picture():
    """Rank 4: a sum of products of a function of the row and one of the column."""
    x = np.linspace(0, 1, SIDE)
    rows = np.stack([np.sin(3 * np.pi * x), x**2, np.abs(x - 0.5), np.cos(9 * x)])
    columns = np.stack([np.cos(2 * np.pi * x), 1 - x, np.exp(-20 * (x - 0.6) ** 2), np.sign(np.sin(8 * np.pi * x))])
    image = rows.T @ (columns * np.array([0.8, 1.0, 1.5, 0.5])[:, None])
    return (image - image.min()) / np.ptp(image)


def objective(X, seen, mask, t):
    return 0.5 * np.sum((mask * (X - seen)) ** 2) + t * svdgrad.nuclear_norm(X)


def complete(seen, mask, t, X, most_steps=300, tolerance=1e-5):
    """The minimizer for this t, from X.  The momentum starts anew where the objective would rise."""
    Z, weight, value = X, 1.0, objective(X, seen, mask, t)
    for _ in range(most_steps):
        new = svdgrad.soft_threshold(Z - mask * (Z - seen), t)
        new_value = objective(new, seen, mask, t)
        if new_value > value and weight > 1.0:
            Z, weight = X, 1.0
            continue
        step = np.linalg.norm(new - X) / max(np.linalg.norm(X), 1e-30)
        new_weight = (1 + np.sqrt(1 + 4 * weight**2)) / 2
        Z = new + (weight - 1) / new_weight * (new - X)
        X, weight, value = new, new_weight, new_value
        if step < tolerance:
            break
    return X


def png(image):
    """A gray picture as PNG; NaN is white."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    gray = np.where(np.isfinite(image), 255 * np.clip(np.nan_to_num(image), 0, 1), 255).astype(np.uint8)
    rows = np.pad(gray, ((0, 0), (1, 0)))  # each row starts with 0: no filter
    header = struct.pack(">2I5B", image.shape[1], image.shape[0], 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def draw(path, panels):
    """An SVG with one picture for each (title, array)."""
    side = 3 * SIDE
    width, height = len(panels) * (side + 20), side + 50
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n')
        file.write('<rect width="100%" height="100%" fill="white"/>\n')
        for column, (title, image) in enumerate(panels):
            data, left = base64.b64encode(png(image)).decode(), column * (side + 20) + 10
            file.write(
                f'<text x="{left}" y="28" font-size="26">{title}</text>\n<image x="{left}" y="40" width="{side}" '
            )
            file.write(f'height="{side}" style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>\n')
        file.write("</svg>\n")


def main(figure="numpy_completion.svg"):
    rng, truth = np.random.default_rng(0), picture()
    mask = rng.random(truth.shape) < SEEN
    seen = mask * (truth + NOISE * rng.standard_normal(truth.shape))
    X = np.zeros_like(truth)
    for t in svdgrad.spectral_norm(seen) * np.geomspace(0.5, 0.02, 8):
        X = complete(seen, mask, t, X)
    error = np.linalg.norm((X - truth)[~mask]) / np.linalg.norm(truth[~mask])
    rank = int(np.sum(svdgrad.svdvals(X) > 1e-3 * svdgrad.spectral_norm(X)))
    print(f"{mask.sum()} of {truth.size} entries seen; relative error of the others {error:.3f}, rank {rank}")
    draw(figure, [("truth", truth), ("seen", np.where(mask, seen, np.nan)), (f"found: error {error:.3f}", X)])
    return error


if __name__ == "__main__":
    sys.exit(int(main(*sys.argv[1:2]) > 0.08))
