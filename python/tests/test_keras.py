# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad.keras.ops on each backend of Keras; a process has one backend."""

import importlib.util
import os
import subprocess
import sys

import pytest

keras = pytest.importorskip("keras")
BACKENDS = {"tensorflow": "svdgrad.tensorflow", "jax": "svdgrad.jax", "torch": "svdgrad.torch", "numpy": "svdgrad"}


def missing(name):
    return importlib.util.find_spec(name) is None or importlib.util.find_spec(BACKENDS[name]) is None


backends = pytest.mark.parametrize("backend", list(BACKENDS))


def run_on(backend, program, *arguments):
    if missing(backend):
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = "import sys, numpy as np, keras, svdgrad\nfrom svdgrad.keras import ops\n"
    command = [sys.executable, "-c", start + program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]


SPECS = """
from keras import KerasTensor, tree
a = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
square = a[:, :3]
calls = {
    "svd": [dict(), dict(full_matrices=False), dict(rank=2), dict(compute_uv=False), dict(full_matrices=False, errors="info", report=True)],
    "svdvals": [dict(), dict(rank=2)], "low_rank": [dict(rank=1)], "polar": [dict(errors="info")], "nearest_rotation": [dict()],
    "soft_threshold": [dict(t=0.5)], "hard_threshold": [dict(t=0.5)], "clip": [dict(t=0.5)], "power": [dict(p=1.5)],
    "pinv": [dict()], "whitening": [dict()], "sqrtm_gram": [dict()], "nuclear_norm": [dict()], "spectral_norm": [dict()],
    "schatten_norm": [dict(p=3.0)], "logabsdet": [dict()], "slogdet": [dict()],
}
assert set(calls) | {"power_iteration", "spectral_normalize", "SVDGradOperation"} == set(ops.__all__)
def check(spec, value, known):
    flat_spec, flat_value = tree.flatten(spec), tree.flatten(value)
    assert len(flat_spec) == len(flat_value)
    for s, x in zip(flat_spec, flat_value):
        assert keras.backend.standardize_dtype(s.dtype) == keras.backend.standardize_dtype(x.dtype), (s, x)
        assert len(s.shape) == len(x.shape)
        assert all(i == j or (i is None and not known) for i, j in zip(s.shape, x.shape)), (s, x.shape)
for name, list_of_options in calls.items():
    x = square if name in ("nearest_rotation", "slogdet") else a
    for options in list_of_options:
        value = getattr(ops, name)(x, **options)
        like = getattr(svdgrad, name)(x, **options)
        for y, z in zip(tree.flatten(value), tree.flatten(like)):
            assert np.allclose(keras.ops.convert_to_numpy(y), z, atol=1e-4, equal_nan=True), name
        check(getattr(ops, name)(KerasTensor(x.shape, "float32"), **options), value, True)
        check(getattr(ops, name)(KerasTensor((None, *x.shape[1:]), "float32"), **options), value, False)
        check(getattr(ops, name)(KerasTensor((None, None, None), "float32"), **options), value, False)
u, v = np.ones((2, 4), "float32"), np.ones((2, 3), "float32")
for name in ("power_iteration", "spectral_normalize"):
    value = getattr(ops, name)(a, u, v, iterations=100)
    assert np.allclose(keras.ops.convert_to_numpy(value.sigma), np.linalg.norm(a, 2, (1, 2)), atol=1e-4)
    symbols = [KerasTensor(x.shape, "float32") for x in (a, u, v)]
    check(getattr(ops, name)(*symbols, iterations=2), value, True)
for bad in (lambda: ops.svd(KerasTensor((3,))), lambda: ops.svd(KerasTensor((4, 3)), rank=4),
            lambda: ops.nearest_rotation(KerasTensor((4, 3))), lambda: ops.svdvals(KerasTensor((4, 3)), errors="none")):
    try:
        bad()
    except ValueError:
        continue
    raise AssertionError("no ValueError")
"""


@backends
def test_values_and_specs(backend):
    run_on(backend, SPECS)


TRAIN = """
keras.utils.set_random_seed(0)
def model():
    x = keras.Input((6, 5))
    y = keras.layers.EinsumDense("bij,jk->bik", (None, 5), bias_axes=None)(x)
    values = ops.svdvals(y)
    return keras.Model(x, [ops.low_rank(y, 2), keras.ops.sum(values, -1)])
net = model()
x = np.random.default_rng(0).standard_normal((16, 6, 5)).astype("float32")
target = [svdgrad.low_rank(x, 2), np.zeros(16, "float32")]
net.compile(keras.optimizers.Adam(0.05), loss=["mse", "mae"], loss_weights=[1.0, 0.01], jit_compile=False)
history = net.fit(x, target, epochs=12, verbose=0).history["loss"]
assert history[-1] < 0.9 * history[0], history
net.save(sys.argv[1])
again = keras.saving.load_model(sys.argv[1])
for y, z in zip(net.predict(x, verbose=0), again.predict(x, verbose=0)):
    assert np.array_equal(y, z)
"""


@backends
def test_a_model_trains_and_is_saved(backend, tmp_path):
    if backend == "numpy":
        pytest.skip("Keras does not train with NumPy")
    run_on(backend, TRAIN, tmp_path / "model.keras")


REGULARIZER = """
class LowRank(keras.regularizers.Regularizer):
    def __call__(self, w):
        return 0.1 * ops.nuclear_norm(w)
class Clip(keras.constraints.Constraint):
    def __call__(self, w):
        return ops.clip(w, 0.5)
# A kernel far above the bound and one step: whatever the step does, the constraint is what ends it.
start = keras.initializers.RandomNormal(stddev=1.0, seed=0)
dense = keras.layers.Dense(8, kernel_initializer=start, kernel_regularizer=LowRank(), kernel_constraint=Clip())
net = keras.Sequential([keras.Input((8,)), dense])
net.compile("sgd", loss="mse", jit_compile=False)
x = np.random.default_rng(0).standard_normal((32, 8)).astype("float32")
net.fit(x, x, batch_size=32, epochs=1, verbose=0)
kernel = keras.ops.convert_to_numpy(net.layers[-1].kernel)
assert abs(np.linalg.norm(kernel, 2) - 0.5) < 1e-5, np.linalg.norm(kernel, 2)
assert np.allclose(keras.ops.convert_to_numpy(ops.spectral_norm(net.layers[-1].kernel)), 0.5)
net(x)
assert np.allclose(keras.ops.convert_to_numpy(net.losses[0]), 0.1 * np.linalg.norm(kernel, "nuc"), rtol=1e-5)
"""


@backends
def test_in_a_regularizer_and_a_constraint(backend):
    if backend == "numpy":
        pytest.skip("Keras does not train with NumPy")
    run_on(backend, REGULARIZER)
