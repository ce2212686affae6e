# SPDX-License-Identifier: BSD-3-Clause
"""Document 000, "Can Keras custom loss functions utilize tf.linalg.svd?": its three losses (rank 5, nuclear norm, power
method) on a Dense layer that predicts 10 x 20 matrices for 100 samples, with Keras on each backend."""

import json
import pathlib

import numpy as np
import problem_000 as problem
import pytest
from keras_process import gradient, run_checks, training_backends, weight_gradient

keras = pytest.importorskip("keras")
import svdgrad.keras as sk  # noqa: E402

REFERENCE = json.loads(pathlib.Path(__file__).with_name("reference_000.json").read_text())
LOSSES = {
    "low_rank": lambda **k: sk.LowRankLoss(problem.RANK, **k),
    "nuclear_norm": lambda **k: sk.NuclearNormLoss(problem.WEIGHT, **k),
    "power_method": lambda **k: sk.PowerMethodLoss(problem.RANK, problem.ITERATIONS, **k),
}
# Of values and of gradients.  The smallest (s_5 - s_6) / s_5 of the samples is 1/60, which a gradient divides by.
TOLERANCES = {"float64": (1e-14, 2e-13), "float32": (1e-6, 3e-5)}


@training_backends
def test_on(backend):
    run_checks(backend, __file__, JAX_ENABLE_X64="1")


def array(x):
    return keras.ops.convert_to_numpy(x)


def model(dtype="float32"):
    return keras.Sequential(
        [
            keras.Input((problem.INPUTS,), dtype=dtype),
            keras.layers.Dense(problem.M * problem.N, activation="linear", dtype=dtype),
            keras.layers.Reshape((problem.M, problem.N), dtype=dtype),
        ]
    )


def check_training():
    """As the document has it: Adam with 0.001, 10 epochs, 100 samples of normal random numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((100, 50)).astype("float32"), rng.standard_normal((100, 10, 20)).astype("float32")
    for name, make in LOSSES.items():
        keras.utils.set_random_seed(0)
        net = model()
        net.compile(optimizer=keras.optimizers.Adam(learning_rate=0.001), loss=make())
        losses = net.fit(x, y, epochs=10, verbose=0).history["loss"]
        assert np.all(np.diff(losses) < 0), (name, losses)


def check_gradient_at_the_start():
    """With 80 digits: the gradient of each loss over all samples with respect to the bias of the Dense layer."""
    x, kernel, y_true = problem.training()
    for dtype, (_, tolerance) in TOLERANCES.items():
        net = model(dtype)
        net.layers[0].set_weights([kernel, np.zeros(problem.M * problem.N)])
        assert np.array_equal(array(net(x.astype(dtype))), (x @ kernel).reshape(y_true.shape))  # exact, in any type
        for name, make in LOSSES.items():
            # The sum, since Keras' mean of float64 is one of float32 on PyTorch.
            loss, expected = make(dtype=dtype, reduction="sum"), REFERENCE["training"][name]
            batch = x.astype(dtype), y_true.astype(dtype)
            value = array(loss(batch[1], net(batch[0]))) / problem.SAMPLES
            assert np.isclose(value, expected["value"], rtol=TOLERANCES[dtype][0]), (dtype, name, value)
            g = weight_gradient(lambda: loss(batch[1], net(batch[0])), net.layers[0].bias) / problem.SAMPLES
            error = np.abs(g - expected["bias"]).max() / np.abs(expected["bias"]).max()
            assert g.dtype == dtype and error < tolerance, (dtype, name, error)


def check_tie_zero_and_nan():
    """A batch with equal singular values, a zero matrix and a NaN row: a sample has the gradient that it has alone,
    to rounding, and beside copies of itself."""
    y_true, y_pred = problem.special()
    for dtype, (_, tolerance) in TOLERANCES.items():
        y, a = y_true.astype(dtype), y_pred.astype(dtype)
        for name, make in LOSSES.items():
            expected = REFERENCE["tie"][name]
            each, loss = (make(dtype=dtype, reduction=reduction) for reduction in (None, "sum"))
            values = array(each(y, a))
            assert np.isnan(values[2]) and np.isfinite(values[[0, 1, 3]]).all(), (name, values)
            assert np.isclose(values[0], expected["value"], rtol=TOLERANCES[dtype][0]), (dtype, name, values)
            g = gradient(lambda z: loss(y, z), a)
            assert np.isnan(g[2]).any() and np.isfinite(g[[0, 1, 3]]).all(), (dtype, name)
            tie = np.reshape(expected["gradient"], (problem.M, problem.N))
            assert np.abs(g[0] - tie).max() < tolerance * np.abs(tie).max(), (dtype, name, np.abs(g[0] - tie).max())
            copies = [3] * len(y)  # the batch decides what AUTO takes, but not what else is in it
            beside_copies = gradient(lambda z: loss(y[copies], z), a[copies])[3]
            assert np.allclose(g[3], beside_copies, rtol=1e-6, atol=0), (dtype, name)
            alone = gradient(lambda z: loss(y[3:], z), a[3:])[0]
            assert np.abs(g[3] - alone).max() < tolerance * np.abs(alone).max(), (dtype, name)
        # At zero the nuclear norm has the subgradient 0, and what is left is the mean square.
        g = gradient(lambda z: LOSSES["nuclear_norm"](dtype=dtype)(y, z), a)[1]
        assert np.allclose(g, -2 * y[1] / y[1].size / len(y), rtol=1e-6)


def check_training_on_a_batch_with_tie_zero_and_nan():
    """Each sample is predicted by a row of its own: all learn but that with the NaN, which no other row gets."""
    y_true, y_pred = problem.special()
    y, samples, good = y_true.astype("float32"), np.arange(4), [0, 1, 3]
    # With weight 1 the nuclear norm has its minimum at zero.
    for name, make in {**LOSSES, "nuclear_norm": lambda **k: sk.NuclearNormLoss(1e-3, **k)}.items():
        rows = keras.layers.Embedding(4, problem.M * problem.N)
        net = keras.Sequential([keras.Input((), dtype="int32"), rows, keras.layers.Reshape((problem.M, problem.N))])
        rows.embeddings.assign(y_pred.reshape(4, -1))
        net.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss=make())
        each = make(reduction=None)
        before = array(each(y, net(samples)))
        net.fit(samples, y, epochs=10, verbose=0)
        after = array(each(y, net(samples)))
        assert np.isfinite(array(rows.embeddings)[good]).all() and np.isnan(after[2]), name
        assert np.all(after[good] < before[good]), (name, before, after)


def check_the_document_with_one_name_changed():
    """Its own losses, with svdgrad's tf_svd for tf.linalg.svd, are ours: the means over the batch."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    from svdgrad.tensorflow import tf_svd

    def low_rank(y_true, y_pred):
        s, u, v = tf_svd(y_pred)
        s, u, v = s[..., : problem.RANK], u[..., : problem.RANK], v[..., : problem.RANK]
        nearest = tf.matmul(u * tf.expand_dims(s, axis=-2), tf.transpose(v, perm=[0, 2, 1]))
        return tf.reduce_mean(tf.square(y_true - nearest))

    def nuclear_norm(y_true, y_pred):
        return tf.reduce_sum(tf_svd(y_pred, compute_uv=False)) + tf.reduce_mean(tf.square(y_true - y_pred))

    x, kernel, y = problem.training()
    a = (x @ kernel).reshape(y.shape)
    # The document adds the norms of the batch up, Keras takes the mean: a weight of 100 makes it the same.
    ours = {
        low_rank: sk.LowRankLoss(problem.RANK, dtype="float64"),
        nuclear_norm: sk.NuclearNormLoss(100.0, dtype="float64"),
    }
    for theirs, loss in ours.items():
        assert np.isclose(array(theirs(y, tf.constant(a))), array(loss(y, a)), rtol=1e-12)
        g, h = gradient(lambda z: theirs(y, z), a), gradient(lambda z: loss(y, z), a)
        assert np.allclose(g, h, rtol=1e-8, atol=1e-10 * np.abs(h).max())
        net = model()
        net.compile(optimizer=keras.optimizers.Adam(learning_rate=0.001), loss=theirs)
        losses = net.fit(x.astype("float32"), y.astype("float32"), epochs=5, verbose=0).history["loss"]
        assert np.all(np.diff(losses) < 0), losses
