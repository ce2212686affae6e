# SPDX-License-Identifier: BSD-3-Clause
"""All weights of a model at once, spread over devices: what each of them gives alone, and what is sent for it.  PyTorch
on several processes is in distributed/torch_training.py."""

import re

import numpy as np
import pytest


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


# ---- JAX


def jax_weights():
    """Matrices of two shapes, five and one of them, a convolution with 27 rows, biases, a number."""
    layers = [{"kernel": random(16, 8, seed=i), "bias": random(8, seed=i)} for i in range(5)]
    return {"layers": layers, "out": random(8, 12), "conv": random(3, 3, 3, 8), "scale": np.array(2.0)}


def jax_mesh():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    if jax.device_count() < 4:
        pytest.skip("needs XLA_FLAGS=--xla_force_host_platform_device_count=8")
    kind = jax.sharding.AxisType.Auto
    return jax.make_mesh((2, 2), ("x", "y"), axis_types=(kind, kind), devices=jax.devices()[:4])


def placed(mesh, weights, layout):
    """The weights on the mesh: those that the layout divides are cut."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    def parts(axis):
        return np.prod([mesh.shape[name] for name in (axis if isinstance(axis, tuple) else (axis,)) if name])

    def place(w):
        shape = (int(np.prod(w.shape[:-1])), w.shape[-1]) if w.ndim > 1 else (1, 1)
        if not layout or any(size % parts(axis) for size, axis in zip(shape, layout)):
            return jax.device_put(w, NamedSharding(mesh, PartitionSpec()))
        rows, columns = layout
        return jax.device_put(w, NamedSharding(mesh, PartitionSpec(rows, *[None] * (w.ndim - 2), columns)))

    return jax.tree.map(place, weights)


LAYOUTS = ["whole", "rows", "columns", "rows over both axes"]


def layout_of(name):
    from jax.sharding import PartitionSpec as P

    return {"whole": P(), "rows": P("x", None), "columns": P(None, "x"), "rows over both axes": P(("x", "y"), None)}[
        name
    ]


def one_by_one(weights, vectors, iterations):
    """Every matrix in a call of its own, from its vectors in the stacks."""
    import jax

    import svdgrad.jax as s

    leaves, structure = jax.tree.flatten(weights)
    taken = dict.fromkeys(vectors, 0)
    for i, leaf in enumerate(leaves):
        if leaf.ndim < 2:
            continue
        key = (int(np.prod(leaf.shape[:-1])), leaf.shape[-1], np.dtype(leaf.dtype).name)
        u, v = (x[taken[key]] for x in vectors[key])
        taken[key] += 1
        leaves[i] = s.spectral_normalize(leaf.reshape(key[:2]), u, v, iterations).y.reshape(leaf.shape)
    return jax.tree.unflatten(structure, leaves)


def assert_close(found, expected, bound=1e-13):
    import jax

    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.shape == y.shape and np.abs(np.asarray(x) - np.asarray(y)).max() <= bound * max(1, np.abs(y).max())


@pytest.mark.parametrize("name", LAYOUTS)
def test_jax_spectral_normalization_is_that_of_each_matrix(name):
    jax, mesh = pytest.importorskip("jax"), jax_mesh()
    import svdgrad.jax_weights as w

    spread = {"mesh": mesh, "axis": ("x", "y"), "layout": layout_of(name)}
    whole = jax_weights()
    weights = placed(mesh, whole, spread["layout"])
    start = w.start_vectors(weights, 1, **spread)
    for key, pair in w.start_vectors(whole, 1).items():  # the same numbers without a mesh
        assert_close([x[: len(y)] for x, y in zip(start[key], pair, strict=True)], pair)

    def loss(weights, vectors):
        normal, vectors = w.spectral_normalize(weights, vectors, 2, **spread)
        return sum((x**3).sum() for x in jax.tree.leaves(normal)), (normal, vectors)

    def loss_of_each(weights):
        normal = one_by_one(weights, start, 2)
        return sum((x**3).sum() for x in jax.tree.leaves(normal)), normal

    gradient, (normal, vectors) = jax.jit(jax.grad(loss, has_aux=True))(weights, start)
    expected_gradient, expected = jax.grad(loss_of_each, has_aux=True)(whole)
    assert_close(normal, expected)
    assert_close(gradient, expected_gradient)
    for pair in vectors.values():
        assert all(len(x.sharding.device_set) == 4 and not x.sharding.is_fully_replicated for x in pair)
    # Once the vectors have converged the largest singular value is 1.
    normal, _ = jax.jit(lambda a, v: w.spectral_normalize(a, v, 500, **spread))(weights, vectors)
    for x in jax.tree.leaves(normal):
        if x.ndim >= 2:
            assert abs(np.linalg.norm(np.asarray(x).reshape(-1, x.shape[-1]), 2) - 1) < 1e-8


@pytest.mark.parametrize("name", LAYOUTS)
def test_jax_sends_each_number_once(name):
    """Of the three shapes the 27 rows of one cannot be cut into equal parts: its matrix is whole on every device."""
    jax, mesh = pytest.importorskip("jax"), jax_mesh()
    import svdgrad.jax_weights as w

    spread = {"mesh": mesh, "axis": "x" if name != "rows over both axes" else ("x", "y"), "layout": layout_of(name)}
    weights = placed(mesh, jax_weights(), spread["layout"])
    start = w.start_vectors(weights, 1, **spread)
    layouts = jax.tree.map(lambda x: x.sharding, weights)
    step = jax.jit(lambda a, v: w.spectral_normalize(a, v, **spread), out_shardings=(layouts, None))
    text = step.lower(weights, start).compile().as_text()
    sent = {kind: len(re.findall(rf" {kind}(?:-start)?\(", text)) for kind in
            ("all-to-all", "all-gather", "all-reduce", "collective-permute")}  # fmt: skip
    cut = {"whole": 0, "rows": 2, "columns": 3, "rows over both axes": 2}[name]
    assert sent == {"all-to-all": 2 * cut, "all-gather": 3 - cut, "all-reduce": 0, "collective-permute": 0}


def test_jax_map_matrices():
    jax, mesh = pytest.importorskip("jax"), jax_mesh()
    import svdgrad.jax as s
    import svdgrad.jax_weights as w

    whole = jax_weights()
    spread = {"mesh": mesh, "axis": "x", "layout": layout_of("rows")}
    for f in (s.polar, lambda a: s.clip(a, 1.0)):
        expected = jax.tree.map(lambda a: f(a.reshape(-1, a.shape[-1])).reshape(a.shape) if a.ndim > 1 else a, whole)
        for options in ({}, spread):
            assert_close(jax.jit(lambda a: w.map_matrices(f, a, **options))(whole), expected)
    bad = whole["layers"][1]["kernel"]
    bad[3, 3] = np.nan
    found = jax.jit(lambda a: w.map_matrices(s.polar, a, **spread))(whole)["layers"]
    assert [bool(np.isnan(x["kernel"]).any()) for x in found] == [False, True, False, False, False]
    with pytest.raises(ValueError, match="axis is None"):
        w.map_matrices(s.polar, whole, mesh=mesh)
    with pytest.raises(ValueError, match="at most two entries"):
        w.map_matrices(s.polar, whole, mesh=mesh, axis="x", layout=(None, None, "x"))


# ---- PyTorch


def torch_weights():
    import torch

    weights = {f"layers.{i}.weight": random(8, 16, seed=i) for i in range(5)}
    weights |= {f"layers.{i}.bias": random(8, seed=i) for i in range(5)}
    weights |= {"out": random(12, 8), "conv": random(8, 3, 3, 3)}
    return {name: torch.from_numpy(w).requires_grad_() for name, w in weights.items()}


def test_torch_spectral_normalization_is_that_of_each_matrix():
    torch = pytest.importorskip("torch")
    import svdgrad.torch as s
    import svdgrad.torch_weights as w

    weights = torch_weights()
    vectors = w.start_vectors(weights, 1)
    normal, after = w.spectral_normalize(weights, vectors, 2)
    assert list(normal) == list(weights) and {k: v[0].shape for k, v in after.items()} == {
        k: v[0].shape for k, v in vectors.items()
    }
    taken = dict.fromkeys(vectors, 0)
    for name, weight in weights.items():
        if weight.ndim < 2:
            assert normal[name] is weight
            continue
        matrix = weight.flatten(1)
        key = (*matrix.shape, "torch.float64")
        u, v = (x[taken[key]] for x in vectors[key])
        taken[key] += 1
        expected = s.spectral_normalize(matrix, u, v, 2).y.reshape(weight.shape)
        assert torch.allclose(normal[name], expected, rtol=1e-13, atol=1e-13)
        found, like = (
            torch.autograd.grad((y**3).sum(), weight, retain_graph=True)[0] for y in (normal[name], expected)
        )
        assert torch.allclose(found, like, rtol=1e-12, atol=1e-13)
    normal, _ = w.spectral_normalize(weights, after, 500)
    assert all(abs(torch.linalg.matrix_norm(x.flatten(1), 2) - 1) < 1e-8 for x in normal.values() if x.ndim > 1)
    clipped = w.map_matrices(lambda a: s.clip(a, 1.0), weights)
    for name, weight in weights.items():
        if weight.ndim > 1:
            assert torch.allclose(clipped[name].flatten(1), s.clip(weight.flatten(1), 1.0), rtol=1e-12, atol=1e-13)
