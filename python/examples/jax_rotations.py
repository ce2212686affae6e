# SPDX-License-Identifier: BSD-3-Clause
"""Nearest rotations in JAX: many noisy copies of a shape are turned back onto it, and the shape itself is learned.

Every copy i is  points_i = shape @ R_i + noise  with an unknown rotation R_i.  The best R_i is the nearest rotation to
shape^T points_i (Kabsch, Acta Cryst. A 32, 1976).  The shape is then found by gradient descent through the rotations:
the loss is the distance that remains.  vmap writes it for one copy, shard_map spreads the copies over the devices; what
they exchange is one sum.

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python jax_rotations.py [figure.svg]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

import svdgrad.jax as svdgrad

COPIES, POINTS, NOISE = 64, 24, 0.15


def make_copies(rng):
    """A trefoil knot, and rotated noisy copies of it, (COPIES, POINTS, 3)."""
    t = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    shape = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], -1)
    rotations = np.asarray(svdgrad.nearest_rotation(rng.standard_normal((COPIES, 3, 3)).astype(np.float32)))
    return shape, (shape @ rotations + NOISE * rng.standard_normal((COPIES, POINTS, 3))).astype(np.float32)


def turned_back(shape, points):
    """One copy in the frame of the shape."""
    return points @ svdgrad.nearest_rotation(shape.T @ points).T


def distance(shape, points):
    return jnp.mean((turned_back(shape, points) - shape) ** 2)


def make_loss(mesh):
    def mean_distance(shape, copies):  # `copies` are those of one device
        return jax.lax.pmean(jnp.mean(jax.vmap(distance, in_axes=(None, 0))(shape, copies)), "copies")

    return jax.shard_map(mean_distance, mesh=mesh, in_specs=(P(), P("copies")), out_specs=P())


def learn(loss, shape, copies, steps=60, rate=20.0):
    step = jax.jit(jax.value_and_grad(loss))
    losses = []
    for _ in range(steps):
        value, gradient = step(shape, copies)
        shape = shape - rate * gradient
        losses.append(float(value))
    return shape, losses


def draw(path, panels):
    """An SVG with a panel for each (title, list of (points, color, size)), two in a row."""
    side, parts = 260, []
    for number, (title, clouds) in enumerate(panels):
        middle, top = (number % 2 + 0.5) * side, number // 2 * (side + 20)
        parts.append(f'<text x="{middle}" y="{top + 20}" text-anchor="middle" font-size="17">{title}</text>')
        for points, color, size in clouds:
            for x, y in np.asarray(points)[..., :2].reshape(-1, 2):
                place = f'cx="{middle + 32 * x:.1f}" cy="{top + 150 - 32 * y:.1f}"'
                parts.append(f'<circle {place} r="{size}" fill="{color}"/>')
    with open(path, "w", encoding="utf-8") as file:
        width, height = 2 * side, (side + 20) * ((len(panels) + 1) // 2)
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n')
        file.write('<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main(figure="jax_rotations.svg"):
    true_shape, copies = make_copies(np.random.default_rng(0))
    mesh = jax.make_mesh((jax.device_count(),), ("copies",), axis_types=(jax.sharding.AxisType.Auto,))
    start = jnp.asarray(copies[0])
    shape, losses = learn(make_loss(mesh), start, copies)
    back = jax.vmap(turned_back, in_axes=(None, 0))(shape, copies)
    print(f"{COPIES} copies on {jax.device_count()} devices; mean squared distance {losses[0]:.4f} at first, "
          f"{losses[-1]:.4f} at last (noise {NOISE**2:.4f})")  # fmt: skip
    frame = svdgrad.nearest_rotation(true_shape.T.astype(np.float32) @ shape)  # a common rotation is left open
    error = float(jnp.sqrt(jnp.mean((shape - true_shape @ frame) ** 2)))
    print(f"learned shape: error {error:.4f} per coordinate, one copy has {NOISE}")
    draw(figure, [
        ("one copy", [(start, "#888", 3)]),
        ("all copies as they are", [(copies, "#88a", 1)]),
        ("turned back", [(back @ frame.T, "#88a", 1)]),
        ("learned shape, on the true one", [(true_shape, "#ccc", 6), (shape @ frame.T, "#c22", 3)]),
    ])  # fmt: skip
    print(f"figure: {figure}")
    return losses, error


if __name__ == "__main__":
    main(*sys.argv[1:])
