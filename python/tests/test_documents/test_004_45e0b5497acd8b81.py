# SPDX-License-Identifier: BSD-3-Clause
"""Document 004, "How can spectral normalization be applied to TensorFlow layers.dense() using kernel_constraint?": by a
constraint, and by a layer, on Dense(64) with relu, with Keras on each backend."""

import numpy as np
import pytest
from keras_process import gradient, run_checks, training_backends, weight_gradient

keras = pytest.importorskip("keras")
import svdgrad.keras as sk  # noqa: E402


@training_backends
def test_on(backend):
    run_checks(backend, __file__, JAX_ENABLE_X64="1")


def array(x):
    return keras.ops.convert_to_numpy(x)


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 20)).astype("float32")
    return x, np.sin(x @ rng.standard_normal((20, 1)).astype("float32") / 2)


def largest(matrix):
    return np.linalg.norm(matrix.astype("float64"), 2)


class AfterEachStep(keras.callbacks.Callback):
    def __init__(self, measure):
        super().__init__()
        self.measure, self.found = measure, []

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # the state of the step, into the variables
        self.found.append(self.measure())


def trained(first, measure, optimizer=None):
    """Losses of the epochs, and measure() after each step."""
    net = keras.Sequential([keras.Input((20,)), first, keras.layers.Activation("relu"), keras.layers.Dense(1)])
    net.compile(optimizer or keras.optimizers.Adam(0.01), loss="mse")
    after = AfterEachStep(measure)
    losses = net.fit(*data(), batch_size=32, epochs=6, verbose=0, callbacks=[after]).history["loss"]
    return losses, after.found


def check_constraint():
    """sigma_1 <= 1 to 1e-5 after every step, from a start far above, and steps that always leave the ball."""
    for constraint, start in ((sk.SpectralNorm(), "glorot_uniform"), (sk.SpectralClip(1.0), "random_normal")):
        for optimizer in (keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1, momentum=0.9)):
            keras.utils.set_random_seed(0)
            dense = keras.layers.Dense(64, kernel_constraint=constraint, kernel_initializer=start)
            dense.build((None, 20))
            dense.kernel.assign(5 * array(dense.kernel))
            losses, found = trained(dense, lambda: largest(array(dense.kernel)), optimizer)
            assert len(found) == 48 and max(found) <= 1 + 1e-5 and losses[-1] < 0.7 * losses[0], (losses, found)
            assert abs(found[0] - 1) < 1e-5  # the first step ends on the sphere, not far inside


def check_constraint_of_a_convolution():
    keras.utils.set_random_seed(0)
    conv = keras.layers.Conv2D(6, 3, kernel_constraint=sk.SpectralNorm(0.5))
    net = keras.Sequential([keras.Input((8, 8, 2)), conv, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
    net.compile(keras.optimizers.Adam(0.05), loss="mse")
    after = AfterEachStep(lambda: largest(array(conv.kernel).reshape(-1, 6)))
    x = np.random.default_rng(1).standard_normal((64, 8, 8, 2)).astype("float32")
    net.fit(x, x.mean((1, 2, 3))[:, None], batch_size=16, epochs=3, verbose=0, callbacks=[after])
    assert len(after.found) == 12 and max(after.found) <= 0.5 * (1 + 1e-5), after.found


def check_layer():
    """Trains; the kernel that it computes with has sigma_1 near 1 after one iteration a step, and 1 once converged."""
    keras.utils.set_random_seed(0)
    layer = sk.SpectralNormalization(keras.layers.Dense(64))
    losses, found = trained(layer, lambda: largest(array(layer.normalized_kernel())))
    assert losses[-1] < 0.7 * losses[0], losses
    assert min(found) > 1 - 1e-5 and max(found) < 1.1, found
    x = data()[0][:1]
    for _ in range(400):
        layer(x, training=True)
    assert abs(largest(array(layer.normalized_kernel())) - 1) < 1e-5
    assert not np.isclose(
        largest(array(layer.layer.kernel)), 1, atol=1e-2
    )  # what the optimizer moves is not normalized


def check_gradient_of_the_layer_once_converged():
    """That of A / s_1 with the singular value differentiated, by the SVD of svdgrad and by NumPy's."""
    layer = sk.SpectralNormalization(keras.layers.Dense(64, dtype="float64"), iterations=10)
    rng = np.random.default_rng(2)
    layer.build((None, 20))
    kernel, A, gY = layer.layer.kernel, rng.standard_normal((20, 64)), rng.standard_normal((20, 64))
    kernel.assign(A)
    weights = keras.ops.convert_to_tensor(gY)
    for _ in range(100):
        layer.normalized_kernel(training=True)
    found = weight_gradient(lambda: keras.ops.sum(weights * layer.normalized_kernel(training=True)), kernel)
    exact = gradient(lambda a: keras.ops.sum(weights * (a / sk.ops.spectral_norm(a))), A)
    assert np.allclose(found, exact, rtol=1e-9, atol=1e-9)
    U, S, Vh = np.linalg.svd(A)
    formula = gY / S[0] - np.sum(gY * A) / S[0] ** 2 * np.outer(U[:, 0], Vh[0])
    assert np.allclose(found, formula, rtol=1e-9, atol=1e-9)
