#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws the pictures of tour.md into img/:  python docs/tour.py [name...]

Needs the package with TensorFlow and Keras, and matplotlib; a minute.  Names: losses, gaps, singular_values."""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import svdgrad.keras as sk  # noqa: E402
from svdgrad.tensorflow import low_rank, polar  # noqa: E402

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from documents import power_method_loss  # noqa: E402

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

pyplot.rcParams.update({"font.size": 12, "axes.titlesize": 12})  # a phone shows 6.4 inches in some 360 pixels
FOLDER = pathlib.Path(__file__).parent / "img"
OURS, THEIRS, OTHER, GREY = "#d62728", "#1f77b4", "#ff7f0e", "#7f7f7f"


def save(figure, name):
    figure.tight_layout()
    figure.savefig(FOLDER / f"tour_{name}.png", dpi=110)
    print(FOLDER / f"tour_{name}.png")


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


# ---- losses on predicted matrices


def rank_5(svd):
    def loss(y_true, y_pred):
        s, u, v = svd(y_pred)
        s, u, v = s[..., :5], u[..., :5], v[..., :5]
        return tf.reduce_mean(tf.square(y_true - tf.matmul(u * s[..., None, :], v, transpose_b=True)))

    return loss


def predictor(has_ties):
    """The Dense layer that predicts 10 x 20 matrices; with ties all of them start as (I 0)."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(200)
    net = keras.Sequential([keras.Input((50,)), dense, keras.layers.Reshape((10, 20))])
    if has_ties:
        dense.set_weights([np.zeros((50, 200), "float32"), np.eye(10, 20, dtype="float32").ravel()])
    return net


class AfterEachEpoch(keras.callbacks.Callback):
    def __init__(self, measure):
        super().__init__()
        self.found = [measure()]
        self.measure = measure

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.measure())


def loss_curve(loss, has_ties, epochs=60):
    """The loss of rank 5, exact, while the network learns by `loss`."""
    x, y, exact = random(100, 50), random(100, 10, 20, seed=1), sk.LowRankLoss(5)
    net = predictor(has_ties)
    net.compile(keras.optimizers.Adam(1e-2), loss=loss, jit_compile=False)
    after = AfterEachEpoch(lambda: float(exact(y, net(x))))
    net.fit(x, y, epochs=epochs, batch_size=100, verbose=0, callbacks=[after])
    return after.found


def losses():
    figure, panels = pyplot.subplots(2, 1, figsize=(6.4, 7.5), sharex=True, sharey=True)
    curves = [
        ("tf.linalg.svd", rank_5(tf.linalg.svd), THEIRS, "-"),
        ("power method, columns one by one", power_method_loss, OTHER, "-"),
        ("PowerMethodLoss(5)", sk.PowerMethodLoss(5, 10), OURS, ":"),
        ("LowRankLoss(5)", sk.LowRankLoss(5), OURS, "-"),
    ]
    for has_ties, axes in zip((False, True), panels):
        for label, loss, colour, dash in curves:
            found = loss_curve(loss, has_ties)
            print(label, has_ties, [round(x, 4) for x in found[::10]])
            axes.plot(found, dash, color=colour, label=label, linewidth=2 if colour == OURS else 1.5)
        axes.set(title="from equal singular values" if has_ties else "from random weights")
        axes.grid(True, alpha=0.3)
        axes.set_ylim(0.45, 1.6)
        axes.set_ylabel("loss of rank 5")
    panels[1].set_xlabel("epoch")
    panels[1].legend(fontsize=11, loc="upper right")
    save(figure, "losses")


# ---- error of a gradient against the gap


def with_gap(gap, seed):
    """A = U diag(3, 1 + gap, 1, 0.2) V^T; its factors; signed unit vectors at gap 0, so that the tie is exact."""
    rng = np.random.default_rng(seed)
    S = np.array([3, 1 + gap, 1, 0.2])
    if gap:
        U, V = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    else:
        U, V = (np.eye(4)[rng.permutation(4)] * rng.choice([-1.0, 1.0], 4) for _ in range(2))
    return (U * S) @ V.T, U, S, V


def polar_truth(U, S, V, G):
    """d <G, U V^T>: U X V^T with X = (M - M^T) / (s_i + s_j), M = U^T G V."""
    M = U.T @ G @ V
    return U @ ((M - M.T) / (S[:, None] + S)) @ V.T


def gradient(f, a):
    a = tf.constant(a)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = f(a)
    return tape.gradient(y, a).numpy()


def gaps():
    def theirs_all(a):
        s, u, v = tf.linalg.svd(a)
        return tf.matmul(u * s, v, transpose_b=True)

    def theirs_polar(a):
        _, u, v = tf.linalg.svd(a)
        return tf.matmul(u, v, transpose_b=True)

    def ours_all(a):
        return low_rank(a, 4)

    def truth_all(U, S, V, G):
        return G

    sizes = [10.0**-i for i in range(1, 17)] + [0.0]
    figure, panels = pyplot.subplots(2, 1, figsize=(6.4, 7.5), sharex=True, sharey=True)
    cases = [("$U\\,\\mathrm{diag}(s)\\,V^T$", theirs_all, ours_all, truth_all), ("$U V^T$", theirs_polar, polar, polar_truth)]
    for axes, (title, theirs, ours, truth) in zip(panels, cases):
        for label, f, colour in (("tf.linalg.svd", theirs, THEIRS), ("svdgrad", ours, OURS)):
            medians = []
            for gap in sizes:
                errors = []
                for seed in range(11):
                    A, U, S, V = with_gap(gap, seed)
                    G = np.random.default_rng([seed, 1]).standard_normal((4, 4))
                    found, exact = gradient(lambda a: tf.reduce_sum(G * f(a)), A), truth(U, S, V, G)
                    errors.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
                medians.append(np.median(errors) if np.isfinite(errors).all() else np.nan)
            print(title, label, [f"{x:.1e}" for x in medians])
            places = [*range(1, 17), 17.5]
            axes.plot(places[:-1], medians[:-1], "o-", color=colour, label=label, markersize=4)
            axes.plot(places[-1:], medians[-1:], "o", color=colour, markersize=6)
        axes.set(yscale="log", title=f"loss made of {title}, float64", ylabel="relative error of the gradient")
        axes.set_xticks([1, 4, 7, 10, 13, 16, 17.5], ["0.1", "1e-4", "1e-7", "1e-10", "1e-13", "", "0"])
        axes.grid(True, alpha=0.3)
    panels[1].set_xlabel("gap of two singular values")
    panels[0].legend(loc="center right")
    save(figure, "gaps")


# ---- the largest singular value of a layer while it learns


def from_new_vector(w):
    """One step of the power method from a new random vector: the constraint that is often written."""
    w = tf.convert_to_tensor(w)
    u = tf.random.normal([1, w.shape[-1]])
    v = tf.linalg.normalize(tf.matmul(u, w, transpose_b=True))[0]
    u = tf.linalg.normalize(tf.matmul(v, w))[0]
    return w / tf.matmul(tf.matmul(v, w), u, transpose_b=True)


class AfterEachStep(keras.callbacks.Callback):
    def __init__(self, measure):
        super().__init__()
        self.found, self.measure = [], measure

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(self.measure())


def singular_value_curve(make, kernel_of):
    keras.utils.set_random_seed(0)
    layer = make()
    net = keras.Sequential([keras.Input((20,)), layer, keras.layers.Dense(1)])
    net.compile(keras.optimizers.Adam(1e-2), loss="mse", jit_compile=False)
    x = random(256, 20)
    y = np.sin(x @ random(20, 1) / 2)
    after = AfterEachStep(lambda: np.linalg.norm(np.asarray(kernel_of(layer)), 2))
    net.fit(x, y, epochs=12, batch_size=32, verbose=0, callbacks=[after])
    return after.found


def singular_values():
    dense = keras.layers.Dense

    def plain(constraint=None):
        return lambda: dense(64, activation="relu", kernel_constraint=constraint)

    curves = [
        ("Dense, free", plain(), lambda layer: layer.kernel, GREY, "-"),
        ("constraint, one step from a new vector", plain(from_new_vector), lambda layer: layer.kernel, OTHER, "-"),
        ("keras SpectralNormalization", lambda: keras.layers.SpectralNormalization(plain()()),
         lambda layer: layer.layer.kernel, THEIRS, "-"),
        ("svdgrad SpectralNormalization", lambda: sk.SpectralNormalization(plain()()),
         lambda layer: layer.normalized_kernel(), OURS, ":"),
        ("the same, 3 iterations", lambda: sk.SpectralNormalization(plain()(), iterations=3),
         lambda layer: layer.normalized_kernel(), OURS, "--"),
        ("svdgrad SpectralNorm", plain(sk.SpectralNorm()), lambda layer: layer.kernel, OURS, "-"),
    ]  # fmt: skip
    figure, axes = pyplot.subplots(figsize=(6.4, 5))
    for label, make, kernel_of, colour, dash in curves:
        found = singular_value_curve(make, kernel_of)
        print(label, f"{found[0]:.4f} {found[-1]:.4f} {min(found):.6f} {max(found):.6f}")
        axes.plot(found, dash, color=colour, label=label, linewidth=1.8 if colour == OURS else 1.2)
    axes.set(xlabel="step", ylabel="largest singular value of the kernel")
    axes.grid(True, alpha=0.3)
    axes.set_ylim(0.9, 3.2)
    axes.legend(fontsize=10, loc="upper left")
    save(figure, "singular_values")


def main():
    FOLDER.mkdir(exist_ok=True)
    for draw in (losses, gaps, singular_values):
        if draw.__name__ in (sys.argv[1:] or ["losses", "gaps", "singular_values"]):
            draw()


if __name__ == "__main__":
    main()
