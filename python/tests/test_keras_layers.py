# SPDX-License-Identifier: BSD-3-Clause
"""Losses, constraints, regularizers and the layer of svdgrad.keras on each backend.  The functions check_*() run in one
process per backend (keras_process.py)."""

import functools
import tempfile
import warnings

import numpy as np
import pytest
from keras_process import gradient, run_checks, training_backends, weight_gradient

keras = pytest.importorskip("keras")
import svdgrad  # noqa: E402
import svdgrad.keras as sk  # noqa: E402

BACKEND = keras.backend.backend()
NAMES = {
    "losses": ["LowRankLoss", "NuclearNormLoss", "PowerMethodLoss"],
    "constraints": ["SpectralNorm", "SpectralClip"],
    "regularizers": ["NuclearNorm", "SpectralNormPenalty"],
    "layers": ["SpectralNormalization"],
}


@training_backends
def test_on(backend):
    run_checks(backend, __file__, JAX_ENABLE_X64="1")


def random(*shape, seed=0, dtype="float32"):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def array(x):
    return keras.ops.convert_to_numpy(x)


def raises(kind, call, text):
    try:
        call()
    except kind as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError(f"no {kind.__name__} with {text!r}")


def check_names_and_configs():
    for module, names in NAMES.items():
        for name in names:
            assert getattr(sk, name) is getattr(getattr(sk, module), name)
            assert keras.saving.get_registered_name(getattr(sk, name)) == f"svdgrad>{name}"
    things = [
        sk.LowRankLoss(3, reduction="sum"), sk.NuclearNormLoss(), sk.NuclearNormLoss(weight=0.5),
        sk.PowerMethodLoss(2, 7), sk.PowerMethodLoss(rank=2, iterations=7, seed=5, name="other"), sk.SpectralNorm(),
        sk.SpectralNorm(value=2.0), sk.SpectralClip(0.5), sk.NuclearNorm(0.1), sk.SpectralNormPenalty(0.2),
        sk.SpectralNormalization(keras.layers.Dense(3), iterations=2, name="sn"),
    ]  # fmt: skip
    for thing in things:
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))
        assert type(again) is type(thing) and again.get_config() == thing.get_config()
        assert type(thing).from_config(thing.get_config()).get_config() == thing.get_config()
        for name in ("rank", "iterations", "seed", "weight", "value", "reduction", "name"):
            assert getattr(again, name, None) == getattr(thing, name, None), (thing, name)
    assert sk.NuclearNormLoss().weight == sk.SpectralNorm().value == 1.0
    assert sk.SpectralNormalization(keras.layers.Dense(3)).iterations == 1


# ---- losses


def mean_square(x):
    return np.mean(np.square(x), axis=(-2, -1))


def projected(a, loss):
    """What PowerMethodLoss compares with y_true; orthonormal by QR."""
    V = np.broadcast_to(loss.start(a.shape[-1]), (*a.shape[:-2], a.shape[-1], loss.rank))
    for _ in range(loss.iterations):
        V = np.linalg.qr(np.swapaxes(a, -1, -2) @ (a @ V))[0]
    return a @ V @ np.swapaxes(V, -1, -2)


ORACLES = [
    (lambda **k: sk.LowRankLoss(2, **k), lambda loss, y, a: mean_square(y - svdgrad.low_rank(a, 2))),
    (lambda **k: sk.NuclearNormLoss(0.3, **k), lambda loss, y, a: 0.3 * svdgrad.nuclear_norm(a) + mean_square(y - a)),
    (lambda **k: sk.PowerMethodLoss(2, 3, **k), lambda loss, y, a: mean_square(y - projected(a, loss))),
]


def check_one_value_for_each_sample():
    for shape in ((6, 4, 5), (2, 3, 5, 4)):
        y, a = random(*shape, seed=1), random(*shape)
        for make, oracle in ORACLES:
            loss = make(reduction=None)
            expected = oracle(loss, y.astype("float64"), a.astype("float64"))
            values = array(loss(y, a))
            assert values.shape == shape[:-2] and np.allclose(values, expected, rtol=1e-4), (
                loss.name,
                values,
                expected,
            )
            assert np.allclose(array(make()(y, a)), expected.mean(), rtol=1e-4)
            weights = random(*shape[:-2], seed=2)
            assert np.allclose(
                array(make(reduction="sum")(y, a, weights)), (weights * expected).sum(), rtol=1e-3, atol=1e-4
            )


def check_a_bad_sample_harms_itself_alone():
    y, a = random(6, 4, 5, seed=1), random(6, 4, 5)
    bad = a.copy()
    bad[2, 1, 3] = np.nan
    others = [0, 1, 3, 4, 5]
    for make, _ in ORACLES:
        values, fine = (array(make(reduction=None)(y, x)) for x in (bad, a))
        assert np.isnan(values[2]) and np.array_equal(values[others], fine[others])
        g, fine = (gradient(lambda x: make()(y, x), x) for x in (bad, a))
        assert np.isnan(g[2]).any() and np.array_equal(g[others], fine[others])


def check_gradients_of_losses():
    y, a, d = (random(3, 4, 5, seed=i, dtype="float64") for i in range(3))
    for make, oracle in ORACLES:
        loss, h = make(dtype="float64"), 1e-6
        along = np.sum(gradient(lambda x: loss(y, x), a) * d)
        difference = (oracle(loss, y, a + h * d) - oracle(loss, y, a - h * d)).mean() / (2 * h)
        assert np.isclose(along, difference, rtol=1e-6, atol=1e-9), (loss.name, along, difference)


def check_losses_at_ties_and_zero():
    ties = np.zeros((3, 4, 5), "float32")
    ties[0, :, :4] = np.eye(4)
    ties[1, [0, 1, 2], [1, 0, 2]] = [2, 2, 1]
    y = random(3, 4, 5)
    for make, _ in ORACLES:
        assert np.isfinite(array(make()(y, ties))) and np.isfinite(gradient(lambda x: make()(y, x), ties)).all()
    expected = -2 / 20 * y[2] / 3  # the subgradient of least norm of the nuclear norm at 0 is 0
    assert np.allclose(gradient(lambda x: sk.NuclearNormLoss()(y, x), ties)[2], expected, rtol=1e-5)


def check_power_method_tends_to_low_rank():
    U, V = np.linalg.qr(random(8, 6, 6, dtype="float64"))[0], np.linalg.qr(random(8, 7, 6, dtype="float64"))[0]
    a = (U * [3.0, 2.8, 2.5, 1.0, 0.5, 0.2]) @ np.swapaxes(V, -1, -2)
    y = random(8, 6, 7, seed=1, dtype="float64")
    exact, iterated = sk.LowRankLoss(3, dtype="float64"), sk.PowerMethodLoss(3, 30, dtype="float64")
    assert np.isclose(array(exact(y, a)), array(iterated(y, a)), rtol=1e-12)
    g, h = (gradient(lambda x: loss(y, x), a) for loss in (exact, iterated))
    assert np.allclose(g, h, rtol=1e-8, atol=1e-10)
    few = array(sk.PowerMethodLoss(3, 1, dtype="float64")(y, a))
    assert not np.isclose(few, array(exact(y, a)), rtol=1e-3)


def check_errors():
    y = random(2, 4, 5)
    raises(ValueError, lambda: sk.LowRankLoss(0), "rank is 0")
    raises(TypeError, lambda: sk.LowRankLoss(2.5), "float")
    raises(ValueError, lambda: sk.LowRankLoss(5)(y, y), "rank is 5")
    raises(ValueError, lambda: sk.PowerMethodLoss(5, 2)(y, y), "rank = 5")
    raises(ValueError, lambda: sk.PowerMethodLoss(2, -1), "iterations is -1")
    raises(ValueError, lambda: sk.NuclearNormLoss(-1.0), "weight is -1")
    raises(ValueError, lambda: sk.NuclearNormLoss()(y[0], y[0]), "y_pred has 2 dimensions")
    raises(ValueError, lambda: sk.NuclearNormLoss()(y[:, :, :4], y), "the shape of y_true is (2, 4, 4)")
    raises(ValueError, lambda: sk.SpectralNorm(-1.0), "value is -1")
    raises(ValueError, lambda: sk.NuclearNorm(np.inf), "weight is inf")
    raises(ValueError, lambda: sk.SpectralNormalization(keras.layers.Dense(2), iterations=0), "iterations is 0")
    no_kernel = sk.SpectralNormalization(keras.layers.Activation("relu"))
    raises(ValueError, lambda: no_kernel.build((None, 3)), "has no kernel")
    with_lora = sk.SpectralNormalization(keras.layers.Dense(2, lora_rank=1))
    raises(ValueError, lambda: with_lora.build((None, 3)), "LoRA")


# ---- constraints and regularizers


def check_constraints():
    for shape in ((6, 4), (3, 3, 2, 5), (7,)):
        w = random(*shape)
        matrix = w.reshape(-1, shape[-1]).astype("float64")
        sigma = np.linalg.norm(matrix, 2)
        for value in (1.0, 0.25, 0.0):
            scaled = array(sk.SpectralNorm(value)(keras.Variable(w)))
            assert scaled.shape == w.shape and np.allclose(scaled, w * min(1, value / sigma), rtol=1e-6)
            clipped = array(sk.SpectralClip(value)(keras.Variable(w)))
            assert np.allclose(clipped, svdgrad.clip(matrix, value).reshape(shape), atol=1e-6)
            for x in (scaled, clipped):
                assert np.linalg.norm(x.reshape(-1, shape[-1]).astype("float64"), 2) <= value * (1 + 1e-6)
        assert np.array_equal(array(sk.SpectralNorm(1.01 * sigma)(w)), w)
    double = sk.SpectralNorm()(keras.Variable(random(6, 4, dtype="float64"), dtype="float64"))
    assert abs(np.linalg.norm(array(double), 2) - 1) < 1e-14
    zero = np.zeros((3, 2), "float32")
    assert np.array_equal(array(sk.SpectralNorm()(zero)), zero) and np.array_equal(array(sk.SpectralClip()(zero)), zero)


def check_regularizers():
    w = random(3, 2, 4)
    matrix = w.reshape(-1, 4).astype("float64")
    assert np.isclose(array(sk.NuclearNorm(0.1)(w)), 0.1 * np.linalg.norm(matrix, "nuc"), rtol=1e-5)
    assert np.isclose(array(sk.SpectralNormPenalty(0.1)(w)), 0.1 * np.linalg.norm(matrix, 2), rtol=1e-5)
    U, _, Vh = np.linalg.svd(matrix, full_matrices=False)
    assert np.allclose(gradient(sk.NuclearNorm(1.0), w).reshape(-1, 4), U @ Vh, atol=1e-5)
    assert np.allclose(gradient(sk.SpectralNormPenalty(1.0), w).reshape(-1, 4), np.outer(U[:, 0], Vh[0]), atol=1e-5)


def check_narrow_types():
    y, a = random(3, 4, 5, seed=1), random(3, 4, 5)
    for dtype, eps in (("float16", 1e-3), ("bfloat16", 1e-2)):
        narrow_a, narrow_y = (keras.ops.cast(x, dtype) for x in (a, y))
        rounded_a, rounded_y = (array(keras.ops.cast(x, "float64")) for x in (narrow_a, narrow_y))
        for make, oracle in ORACLES:
            loss = make(reduction=None)  # in float32: exact for the rounded matrices
            assert np.allclose(array(loss(narrow_y, narrow_a)), oracle(loss, rounded_y, rounded_a), rtol=1e-4)
            loss = make(reduction=None, dtype=dtype)
            values = loss(narrow_y, narrow_a)
            assert keras.backend.standardize_dtype(values.dtype) == dtype
            values = array(keras.ops.cast(values, "float64"))
            assert np.allclose(values, oracle(loss, rounded_y, rounded_a), rtol=eps)
        # The sum of the squares is no number of float16.
        large = keras.ops.cast(100 * y, dtype)
        assert np.isfinite(array(keras.ops.cast(sk.LowRankLoss(2, dtype=dtype)(large, narrow_a), "float32")))
        w = keras.Variable(4 * a[0], dtype=dtype)
        for constraint in (sk.SpectralNorm(), sk.SpectralClip()):
            x = constraint(w)
            assert keras.backend.standardize_dtype(x.dtype) == dtype
            assert np.linalg.norm(array(keras.ops.cast(x, "float64")), 2) <= 1 + 2 * eps
        penalty = sk.NuclearNorm(1.0)(w)
        assert keras.backend.standardize_dtype(penalty.dtype) == "float32"


# ---- the layer

EINSUM = keras.layers.EinsumDense
LAYERS = {  # layer, input, (batch, rows, columns) as a transposed shape of the kernel
    "dense": (lambda: keras.layers.Dense(4), random(3, 6), None),
    "conv1d": (lambda: keras.layers.Conv1D(4, 3), random(2, 8, 3), None),
    "conv2d": (lambda: keras.layers.Conv2D(5, 3, use_bias=False), random(2, 6, 6, 2), None),
    "transposed": (lambda: keras.layers.Conv2DTranspose(3, 2), random(2, 4, 4, 2), None),
    "depthwise": (lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=3), random(2, 4, 4, 2), None),
    "embedding": (lambda: keras.layers.Embedding(7, 4), np.array([[1, 2, 6], [0, 0, 3]]), None),
    "einsum": (lambda: EINSUM("...x,xy->...y", 5, bias_axes="y"), random(2, 3, 6), None),
    "heads": (lambda: EINSUM("abc,cde->abde", (None, 3, 4)), random(2, 3, 6), lambda w: w.reshape(6, 12)),
    "out first": (lambda: EINSUM("ab,cdb->acd", (2, 3)), random(4, 5), lambda w: w.reshape(6, 5).T),
    "blocks": (lambda: EINSUM("abc,bcd->abd", (3, 4)), random(2, 3, 6), lambda w: w),
}


def each_layer(names=None):
    """JAX compiles each operation for each shape, which takes longer than all else: five of the layers there."""
    some = ["dense", "conv2d", "embedding", "heads", "blocks"]
    for name in names or (some if BACKEND == "jax" else LAYERS):
        make, inputs, matrices = LAYERS[name]
        layer = sk.SpectralNormalization(make(), name="sn")
        layer(inputs)
        yield name, layer, inputs, matrices or (lambda w: w.reshape(-1, w.shape[-1]))


def kernel_of(layer):
    inner = layer.layer
    return inner.embeddings if hasattr(inner, "embeddings") else inner.kernel


def converge(layer):
    """u and v as after 500 steps of training that do not change the kernel."""
    layer.iterations, given = 500, layer.iterations
    layer.normalized_kernel(training=True)
    layer.iterations = given


def check_layers_are_normalized():
    for name, layer, inputs, matrices in each_layer():
        kernel = kernel_of(layer)
        assert isinstance(kernel, keras.Variable) and [v.name for v in layer.non_trainable_variables] == ["u", "v"]
        assert len(layer.trainable_variables) == len(layer.layer.trainable_variables)
        before = array(kernel)
        converge(layer)
        w = array(layer.normalized_kernel())
        sigma = np.linalg.norm(matrices(w.astype("float64")), 2, (-2, -1))
        assert w.shape == before.shape and np.allclose(sigma, 1, atol=1e-5), (name, sigma)
        assert kernel_of(layer) is kernel and np.array_equal(array(kernel), before)
        # The output is that of the layer with the kernel replaced by hand.
        output = array(layer(inputs))
        kernel.assign(w)
        assert np.allclose(output, array(layer.layer(inputs)), atol=1e-5), name


def check_training_and_inference():
    for name, layer, inputs, _ in each_layer():
        u, v = array(layer.u), array(layer.v)
        first = array(layer(inputs, training=False))
        assert np.array_equal(u, array(layer.u)) and np.array_equal(v, array(layer.v)), name
        other = random(*u.shape, seed=9)
        layer.u.assign(other)
        trained = array(layer(inputs, training=True))
        u, v = array(layer.u), array(layer.v)
        assert np.allclose(np.linalg.norm(u, axis=-1), 1) and np.allclose(np.linalg.norm(v, axis=-1), 1), name
        assert np.allclose(trained, array(layer(inputs, training=False)), rtol=1e-5, atol=1e-6), name
        assert np.array_equal(u, array(layer.u)) and np.array_equal(v, array(layer.v)), name
        converge(layer)
        # The start was near the kernel's own vectors.
        assert np.allclose(first, array(layer(inputs)), rtol=0.1, atol=0.1), name


def check_gradient_of_the_layer():
    for name, layer, inputs, matrices in each_layer():
        kernel = kernel_of(layer)
        converge(layer)
        weights = keras.ops.convert_to_tensor(random(*layer(inputs).shape, seed=3))
        through = weight_gradient(lambda: keras.ops.sum(weights * layer(inputs, training=True)), kernel)
        # gA = gY / s - <gY, A> / s^2 u v^T, where gY is the gradient of the layer inside at the kernel A / s.
        w, s = array(kernel), np.linalg.norm(matrices(array(kernel)), 2, (-2, -1))
        normalized = array(layer.normalized_kernel())
        kernel.assign(normalized)
        gY = matrices(weight_gradient(lambda: keras.ops.sum(weights * layer.layer(inputs)), kernel))
        kernel.assign(w)
        A, s = matrices(w), s[..., None, None]
        U, _, Vh = np.linalg.svd(A, full_matrices=False)
        along = np.sum(gY * A, (-2, -1), keepdims=True)
        expected = gY / s - along / s**2 * U[..., :, :1] * Vh[..., :1, :]
        assert np.allclose(matrices(through), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()), name


def check_restart_and_zero():
    layer = sk.SpectralNormalization(keras.layers.Dense(4))
    layer(random(3, 6))
    a = np.diag([1.0, 2.0, 3.0, 9.0, 0, 0])[:, :4].astype("float32")
    layer.layer.kernel.assign(a)
    layer.restart()
    assert np.allclose(array(layer.normalized_kernel()), a / 9, atol=1e-5)
    layer.layer.kernel.assign(0 * a)
    x = random(3, 6)
    for training in (True, False):
        assert np.array_equal(array(layer(x, training=training)), np.zeros((3, 4)))
    layer.layer.kernel.assign(a)
    converge(layer)
    assert np.allclose(array(layer.normalized_kernel()), a / 9, atol=1e-5)
    start = sk.SpectralNormalization(keras.layers.Dense(4, kernel_initializer="zeros"))
    assert np.array_equal(array(start(x, training=True)), np.zeros((3, 4)))


def check_masks():
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    outputs = []
    for wrap in (lambda layer: layer, sk.SpectralNormalization):
        keras.utils.set_random_seed(1)
        embedding = wrap(keras.layers.Embedding(5, 4, mask_zero=True, embeddings_initializer="orthogonal"))
        outputs.append(array(keras.Sequential([embedding, keras.layers.GlobalAveragePooling1D()])(tokens)))
    assert np.allclose(*outputs, atol=1e-6)  # singular values of 1: the same, masks included
    for inner in (keras.layers.Dense(3), keras.layers.Conv1D(3, 2)):
        assert sk.SpectralNormalization(inner).supports_masking == inner.supports_masking
    with warnings.catch_warnings():  # Keras warns where a mask is lost
        warnings.simplefilter("error")
        embedding = keras.layers.Embedding(5, 4, mask_zero=True)
        keras.Sequential([embedding, sk.SpectralNormalization(keras.layers.Dense(3))])(tokens)


def check_mixed_precision():
    for dtype, names in (("float16", ["dense", "conv2d", "embedding", "heads"]), ("bfloat16", ["dense"])):
        policy = f"mixed_{dtype}"
        keras.mixed_precision.set_dtype_policy(policy)
        try:
            for name, layer, inputs, _ in each_layer(names):
                assert {v.dtype for v in layer.variables} == {"float32"}
                symbolic = layer(keras.Input(inputs.shape[1:], dtype=inputs.dtype.name))
                output = layer(inputs, training=True)
                for y in (symbolic, output):
                    assert keras.backend.standardize_dtype(y.dtype) == dtype, name
                # The kernel is divided in float32 and rounded once.
                kernel = kernel_of(layer)
                before, normalized = array(kernel), array(layer.normalized_kernel())
                assert normalized.dtype == np.float32
                kernel.assign(normalized)
                expected = array(keras.ops.cast(layer.layer(inputs), "float32"))
                kernel.assign(before)
                assert np.array_equal(array(keras.ops.cast(layer(inputs), "float32")), expected), name
            net = small_model(loss=sk.LowRankLoss(2))
            history = net.fit(*small_data(), epochs=4, verbose=0).history["loss"]
            assert np.isfinite(history).all() and history[-1] < history[0], history
        finally:
            keras.mixed_precision.set_dtype_policy("float32")


# ---- models


def small_data():
    return random(32, 6), random(32, 4, 5, seed=1)


def small_model(loss, jit_compile="auto", with_layer=True):
    dense = keras.layers.Dense(8, kernel_constraint=sk.SpectralNorm(1.5), kernel_regularizer=sk.NuclearNorm(1e-3))
    wrap = sk.SpectralNormalization if with_layer else (lambda layer: layer)
    second = wrap(keras.layers.Dense(20, kernel_regularizer=sk.SpectralNormPenalty(1e-3)))
    net = keras.Sequential([keras.Input((6,)), dense, second, keras.layers.Reshape((4, 5))])
    net.compile(keras.optimizers.Adam(0.01), loss=loss, jit_compile=jit_compile)
    return net


@functools.cache
def _torch_without_code_generation():
    """torch.compile() traces and differentiates, and generates no code, which would take a minute."""
    import torch

    torch.compile = functools.partial(torch.compile, backend="aot_eager")


def check_fit():
    if BACKEND == "torch":
        _torch_without_code_generation()
    losses = [sk.LowRankLoss(2), sk.PowerMethodLoss(2, 3), sk.NuclearNormLoss(0.1)]
    # Compiled, TensorFlow has no XLA, which one loss shows, and PyTorch takes 20 s for each; JAX is slow without.
    plain, compiled = (losses[:1], losses) if BACKEND == "jax" else (losses, losses[1:2])
    for jit_compile, tried in ((False, plain), (True, compiled), ("auto", losses[:1])):
        for loss in tried:
            keras.utils.set_random_seed(0)
            if BACKEND == "tensorflow" and jit_compile is True:
                # The layer is known to have no kernel for XLA, and a loss alone says so when it is traced.
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    net = small_model(loss, True)
                assert any("jit_compile" in str(w.message) for w in caught) and not net.jit_compile
                alone = small_model(loss, True, with_layer=False)
                raises(NotImplementedError, lambda: alone.fit(*small_data(), verbose=0), "jit_compile=False")
            else:
                net = small_model(loss, jit_compile)
            history = net.fit(*small_data(), batch_size=16, epochs=5, verbose=0).history["loss"]
            assert np.isfinite(history).all() and history[-1] < 0.95 * history[0], (jit_compile, loss.name, history)
            assert np.linalg.norm(array(net.layers[0].kernel), 2) <= 1.5 + 1e-5


def check_saving():
    with tempfile.TemporaryDirectory() as folder:
        loss = sk.PowerMethodLoss(2, 3, seed=4)
        net, (x, y) = small_model(loss), small_data()
        net.fit(x, y, epochs=1, verbose=0)
        net.save(f"{folder}/model.keras")
        again = keras.saving.load_model(f"{folder}/model.keras")
        assert np.array_equal(net.predict(x, verbose=0), again.predict(x, verbose=0))
        for old, new in zip(net.layers[1].variables, again.layers[1].variables, strict=True):
            assert old.name == new.name and np.array_equal(array(old), array(new))
        assert type(again.loss) is type(loss) and again.loss.get_config() == loss.get_config()
        assert again.layers[0].kernel_constraint.value == 1.5 and again.layers[0].kernel_regularizer.weight == 1e-3
        assert np.isclose(net.evaluate(x, y, verbose=0), again.evaluate(x, y, verbose=0), rtol=1e-6)
        again.fit(x, y, epochs=1, verbose=0)
        clone = keras.models.clone_model(net)
        assert type(clone.layers[1]) is sk.SpectralNormalization and clone.layers[1].u is not net.layers[1].u
        net.save_weights(f"{folder}/model.weights.h5")
        clone.load_weights(f"{folder}/model.weights.h5")
        assert np.array_equal(net.predict(x, verbose=0), clone.predict(x, verbose=0))


def check_data_parallel():
    """keras.distribution over virtual devices gives what one device gives."""
    if BACKEND != "jax":
        return
    devices = keras.distribution.list_devices()[:4]
    assert len(devices) == 4, "XLA_FLAGS of conftest.py"
    found = []
    for distribution in (None, keras.distribution.DataParallel(devices=devices)):
        keras.distribution.set_distribution(distribution)
        try:
            keras.utils.set_random_seed(0)
            net = small_model(sk.LowRankLoss(2))
            losses = net.fit(*small_data(), batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
            found.append((losses, [array(w) for w in net.weights]))
            if distribution:
                assert len(net.layers[1].u.value.sharding.device_set) == 4
        finally:
            keras.distribution.set_distribution(None)
    assert np.allclose(found[0][0], found[1][0], rtol=1e-4)
    for one, four in zip(found[0][1], found[1][1], strict=True):
        assert np.allclose(one, four, rtol=1e-3, atol=1e-4)
