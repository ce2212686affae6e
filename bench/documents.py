#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Times what four questions on the SVD in TensorFlow and Keras want to train, beside the answers that they got.

    python bench/documents.py [--rounds 7] [--steps 20]

Needs the package with TensorFlow and Keras.  Each row is one training step in a graph (tf.function, or model.fit): all
rows of a table take turns, and medians of the rounds are printed, in microseconds.  The answers' programs that fail as
they were written (tf.linalg.normalize returns a pair) are mended by the least change."""

import argparse
import functools
import os
import statistics
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import svdgrad.keras as sk  # noqa: E402
from svdgrad.tensorflow import svdvals, tf_svd  # noqa: E402


def random(*shape):
    return np.random.default_rng(list(shape)).standard_normal(shape).astype("float32")


def print_table(title, calls, options):
    """`calls`: name -> function that runs the number of steps given."""
    for call in calls.values():
        call(2)
    times = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call(options.steps)
            times[name].append((time.perf_counter() - start) / options.steps)
    print(f"\n{title}")
    for name, found in times.items():
        print(f"  {1e6 * statistics.median(found):12.1f} us  {name}")


def repeated(step):
    def call(count):
        for _ in range(count):
            result = step()
        return np.asarray(result)

    return call


# ---- losses on predicted matrices: 100 samples, 10 x 20, rank 5


def low_rank_loss(svd, y_true, y_pred):
    s, u, v = svd(y_pred)
    s, u, v = s[..., :5], u[..., :5], v[..., :5]
    return tf.reduce_mean(tf.square(y_true - tf.matmul(u * s[..., None, :], v, transpose_b=True)))


def nuclear_norm_loss(svd, y_true, y_pred):
    return tf.reduce_sum(svd(y_pred, compute_uv=False)) + tf.reduce_mean(tf.square(y_true - y_pred))


def power_method_loss(y_true, y_pred):
    def unit(x):
        return tf.linalg.normalize(x, axis=-2)[0]

    v = tf.random.normal((20, 5))
    for _ in range(10):
        v = unit(tf.matmul(y_pred, tf.matmul(y_pred, v), transpose_a=True))
    u = unit(tf.matmul(y_pred, v))
    s = tf.linalg.diag_part(tf.matmul(u, tf.matmul(y_pred, v), transpose_a=True))
    return tf.reduce_mean(tf.square(y_true - tf.matmul(u * s[..., None, :], v, transpose_b=True)))


def fit_steps(model, x, y):
    """Steps of model.fit on one batch, in epochs of one step each run without callbacks or logs."""
    batches = tf.data.Dataset.from_tensors((x, y)).repeat()
    return lambda count: model.fit(batches, steps_per_epoch=count, shuffle=False, verbose=0)


def losses():
    def model(loss):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.Input((50,)), keras.layers.Dense(200), keras.layers.Reshape((10, 20))])
        net.compile(keras.optimizers.Adam(1e-3), loss=loss, jit_compile=False)
        return fit_steps(net, random(100, 50), random(100, 10, 20))

    return {
        "rank 5, tf.linalg.svd": model(functools.partial(low_rank_loss, tf.linalg.svd)),
        "rank 5, svdgrad.tensorflow.tf_svd": model(functools.partial(low_rank_loss, tf_svd)),
        "rank 5, LowRankLoss": model(sk.LowRankLoss(5)),
        "nuclear norm, tf.linalg.svd": model(functools.partial(nuclear_norm_loss, tf.linalg.svd)),
        "nuclear norm, NuclearNormLoss": model(sk.NuclearNormLoss()),
        "power method, 10 steps, columns one by one": model(power_method_loss),
        "power method, 10 steps, PowerMethodLoss": model(sk.PowerMethodLoss(5, 10)),
        "mean square alone": model("mse"),
    }


# ---- the gradient of the singular values


@tf.custom_gradient
def numpy_svdvals(w):
    """NumPy's SVD from a graph, with the gradient U diag(g) V^T from a second SVD."""

    def values(a):
        return np.linalg.svd(a, compute_uv=False)

    def gradient(a, g):
        U, _, Vh = np.linalg.svd(a, full_matrices=False)
        return (U * g[..., None, :]) @ Vh

    def backward(g):
        return tf.ensure_shape(tf.numpy_function(gradient, [w, g], w.dtype), w.shape)

    return tf.ensure_shape(tf.numpy_function(values, [w], w.dtype), [*w.shape[:-2], min(w.shape[-2:])]), backward


def singular_values(w1, w2, shape):
    w1, start = tf.constant(w1), w2

    def step(values):
        w2 = tf.Variable(start)

        @tf.function
        def one():
            with tf.GradientTape() as tape:
                s = tf.reduce_sum(values(tf.reshape(tf.nn.softmax(tf.matmul(w1, w2)), shape)))
            w2.assign_sub(1e-3 * tape.gradient(s, w2))
            return s

        return repeated(one)

    return {
        "tf.linalg.svd": step(lambda a: tf.linalg.svd(a, compute_uv=False)),
        "numpy_function": step(numpy_svdvals),
        "svdgrad.tensorflow.svdvals": step(svdvals),
    }


# ---- spectral normalization of a Dense layer


def normalized(w, u, iterations):
    """The power method of the answer, on w (inputs, units) and u (1, units)."""
    for _ in range(iterations):
        v = tf.linalg.normalize(tf.matmul(u, w, transpose_b=True))[0]
        u = tf.linalg.normalize(tf.matmul(v, w))[0]
    return w / tf.matmul(tf.matmul(v, w), u, transpose_b=True), u


class WithVector(keras.layers.Layer):
    """The answer's third layer, which writes the divided kernel back."""

    def __init__(self, units, iterations):
        super().__init__()
        self.units, self.iterations = units, iterations

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.u = self.add_weight(shape=(1, self.units), initializer="random_normal", trainable=False)

    def call(self, inputs):
        w, u = normalized(self.w.value, self.u.value, self.iterations)
        self.w.assign(w)
        self.u.assign(u)
        return tf.matmul(inputs, w)


def spectral_normalization(inputs, units):
    def model(layer):
        net = keras.Sequential([keras.Input((inputs,)), layer, keras.layers.Activation("relu"), keras.layers.Dense(1)])
        net.compile(keras.optimizers.Adam(1e-3), loss="mse", jit_compile=False)
        return fit_steps(net, random(32, inputs), random(32, 1))

    def constrained(constraint):
        return model(keras.layers.Dense(units, kernel_constraint=constraint))

    def from_new_vector(w):
        return normalized(tf.convert_to_tensor(w), tf.random.normal([1, units]), 1)[0]

    dense = keras.layers.Dense
    return {
        "Dense": model(dense(units)),
        "constraint of the answer, 1 iteration from a new vector": constrained(from_new_vector),
        "constraint SpectralNorm, exact": constrained(sk.SpectralNorm()),
        "constraint SpectralClip, exact": constrained(sk.SpectralClip()),
        "layer of the answer, 1 iteration": model(WithVector(units, 1)),
        "keras.layers.SpectralNormalization, 1 iteration": model(keras.layers.SpectralNormalization(dense(units))),
        "SpectralNormalization, 1 iteration": model(sk.SpectralNormalization(dense(units))),
        "layer of the answer, 5 iterations": model(WithVector(units, 5)),
        "keras.layers.SpectralNormalization, 5 iterations": model(keras.layers.SpectralNormalization(dense(units), 5)),
        "SpectralNormalization, 5 iterations": model(sk.SpectralNormalization(dense(units), 5)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    versions = f"tensorflow {tf.__version__}, keras {keras.__version__}"
    print(f"{versions}; medians of {options.rounds} rounds of {options.steps} steps")
    row = np.array([[2.0, 3, 5, 1, 3]] * 2, "float32")
    columns = np.array([[2.0, 2, 5], [2, 3, 5], [2, 3, 5], [2, 3, 5], [2, 3, 5]], "float32")
    print_table("000: losses on 100 x 10 x 20", losses(), options)
    print_table("002: the example, 1 x 2 x 3", singular_values(row, columns, [-1, 2, 3]), options)
    w1, w2 = random(2000, 8) / 8, random(8, 32)
    print_table("002: 100 x 20 x 32", singular_values(w1, w2, [100, 20, 32]), options)
    for inputs, units in ((20, 64), (512, 512)):
        calls = spectral_normalization(inputs, units)
        print_table(f"004: Dense, {inputs} x {units}, batch 32", calls, options)


if __name__ == "__main__":
    main()
