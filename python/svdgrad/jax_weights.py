# SPDX-License-Identifier: BSD-3-Clause
"""All weights of a JAX model at once: stacked by shape, and the stacks spread over the devices.

    spread = dict(mesh=mesh, axis="x", layout=PartitionSpec("x", None))
    vectors = start_vectors(weights, **spread)                            # once
    normal, vectors = spectral_normalize(weights, vectors, **spread)      # in each step, under jit and grad
    weights = map_matrices(lambda stack: svdgrad.jax.clip(stack, 1.0), weights, **spread)

`weights` is any tree of arrays.  A leaf of two dimensions or more is the matrix (-1, last dimension), that of a layer
with a column per output; leaves of fewer dimensions (biases) come back as they are.  The matrices of one shape and type
are one batch, which one call takes, and which is spread over the devices: each has whole matrices, and computes without
a word to the others.

  mesh    None: the batch stays where it is
  axis    axis of the mesh, or a tuple of axes, over which the batch is spread; of type Auto
  layout  how a matrix of `weights` lies on the mesh: PartitionSpec("x", None) by rows, PartitionSpec(None, "x") by
          columns, PartitionSpec() whole on every device; matrices that it does not divide into equal parts are taken
          for whole ones

What is sent, for each shape of a matrix: one all-to-all in and one out where the matrices are cut, in which each number
travels once; nothing in and one all-gather out where they are whole.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from . import jax as _svdgrad

__all__ = ["map_matrices", "spectral_normalize", "start_vectors"]


class _Spread:
    """Where a stack of matrices lies: `as_cut` as in the model, `as_whole` with whole matrices on each device."""

    def __init__(self, mesh, axis, layout):
        if mesh is not None and axis is None:
            raise ValueError("axis is None, must name the axis of the mesh over which the matrices are spread")
        self.mesh, self.axis, self.layout = mesh, axis, tuple(layout)
        if len(self.layout) > 2:
            raise ValueError(f"layout is {layout}, must have at most two entries: rows and columns")

    def parts(self, axis):
        axes = axis if isinstance(axis, tuple) else (axis,)
        return math.prod(self.mesh.shape[name] for name in axes if name is not None)

    def as_cut(self, stack):
        if self.mesh is None:
            return stack
        layout = self.layout
        if any(size % self.parts(axis) for size, axis in zip(stack.shape[1:], layout)):
            layout = ()
        return jax.lax.with_sharding_constraint(stack, NamedSharding(self.mesh, PartitionSpec(None, *layout)))

    def as_whole(self, stack):
        if self.mesh is None:
            return stack
        return jax.lax.with_sharding_constraint(stack, NamedSharding(self.mesh, PartitionSpec(self.axis)))

    def missing(self, count):
        """How many matrices more make equal parts."""
        return 0 if self.mesh is None else -count % self.parts(self.axis)


def _groups(leaves):
    """Places of the leaves that are matrices, by shape of the matrix and type."""
    found = {}
    for i, leaf in enumerate(leaves):
        if leaf.ndim >= 2:
            key = (math.prod(leaf.shape[:-1]), leaf.shape[-1], np.dtype(leaf.dtype).name)
            found.setdefault(key, []).append(i)
    return found


def _over_stacks(f, weights, spread):
    """f(key, stack) gives a stack, or None, and something else: the tree of all matrices in these stacks (None: as they
    were), and {key: what else}."""
    leaves, structure = jax.tree.flatten(weights)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    further = {}
    for key, places in _groups(leaves).items():
        matrices = [leaves[i].reshape(key[:2]) for i in places]
        matrices += matrices[-1:] * spread.missing(len(matrices))
        stack, further[key] = f(key, spread.as_whole(spread.as_cut(jnp.stack(matrices))))
        if stack is None:
            continue
        stack = spread.as_cut(stack)
        for j, i in enumerate(places):
            leaves[i] = stack[j].reshape(leaves[i].shape)
    return jax.tree.unflatten(structure, leaves), further


def map_matrices(f, weights, *, mesh=None, axis=None, layout=PartitionSpec()):
    """f of every matrix of `weights`, where f is a function of a batch (count, m, n) that keeps its shape, and treats
    each matrix alone: svdgrad.jax.polar, or a function of a singular value.  Gradients flow through it."""
    return _over_stacks(lambda key, stack: (f(stack), None), weights, _Spread(mesh, axis, layout))[0]


def start_vectors(weights, iterations=20, seed=0, *, mesh=None, axis=None, layout=PartitionSpec()):
    """Singular vectors for spectral_normalize, after `iterations` steps from random ones: a tree of stacks (u, v), which
    stay with the devices that have the matrices, and depend on `weights` alone, whatever the mesh."""
    spread = _Spread(mesh, axis, layout)

    def start(key, stack):
        u = np.random.default_rng([seed, *key[:2]]).standard_normal(stack.shape[:2])
        found = _svdgrad.power_iteration(stack, spread.as_whole(jnp.asarray(u, stack.dtype)), None, iterations)
        return None, (found.u, found.v)

    return _over_stacks(start, weights, spread)[1]


def spectral_normalize(weights, vectors, iterations=1, *, mesh=None, axis=None, layout=PartitionSpec()):
    """Every matrix over its largest singular value (Miyato et al., ICLR 2018): (weights / sigma, vectors).

    `vectors` come from start_vectors() or from the last step, and are improved by `iterations` steps of the power
    method.  Derivatives hold them: that of a matrix is the exact one once its vectors have converged.
    """

    spread = _Spread(mesh, axis, layout)

    def normalize(key, stack):
        u, v = (spread.as_whole(jax.lax.stop_gradient(x)) for x in vectors[key])
        found = _svdgrad.spectral_normalize(stack, u, v, iterations)
        return found.y, (found.u, found.v)

    weights, vectors = _over_stacks(normalize, weights, spread)
    return weights, jax.lax.stop_gradient(vectors)
