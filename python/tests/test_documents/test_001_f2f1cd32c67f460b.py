# SPDX-License-Identifier: BSD-3-Clause
"""Document 001, "Why does `tf.svd` fail during TensorFlow's GradientTape?": its examples 1 and 3, which have the
gradients that it says do not exist."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from svdgrad.tensorflow import svd, tf_svd  # noqa: E402

A = np.array([[1.0, 2.0], [3.0, 4.0]])
TYPES = pytest.mark.parametrize("dtype, eps", [(tf.float32, 1e-6), (tf.float64, 1e-15)], ids=["f32", "f64"])


@TYPES
def test_example_1_the_gradient_of_the_sum_of_the_values(dtype, eps):
    """It is U V^T: for this matrix with det < 0, [[a, b], [b, -a]] with a = -(4 - 1), b = 2 + 3, over |(a, b)|."""
    a = tf.constant(A, dtype)
    with tf.GradientTape() as tape:
        tape.watch(a)
        s, u, v = tf_svd(a)
        loss = tf.reduce_sum(s)
    gradient = tape.gradient(loss, a)
    expected = np.array([[-3.0, 5.0], [5.0, 3.0]]) / np.sqrt(34.0)
    assert np.allclose(gradient, expected, rtol=0, atol=4 * eps)
    assert np.allclose(gradient, tf.matmul(u, v, transpose_b=True), rtol=0, atol=4 * eps)
    assert np.isclose(loss, np.sqrt(34.0), rtol=4 * eps)  # s_1 s_2 = 2 and s_1^2 + s_2^2 = 30


def reconstruction_error(a):
    s, u, v = tf_svd(a)
    return tf.reduce_sum(tf.square(a - tf.matmul(u, tf.matmul(tf.linalg.diag(s), v, transpose_b=True))))


@TYPES
@pytest.mark.parametrize(
    "matrix", [A, np.eye(2), np.zeros((2, 2)), np.diag([2.0, 0.0])], ids=["as written", "tie", "zero", "rank 1"]
)
def test_example_3_the_reconstruction_error_has_gradient_zero(dtype, eps, matrix):
    a = tf.Variable(matrix, dtype=dtype)
    with tf.GradientTape() as tape:
        loss = reconstruction_error(a)
    gradient = tape.gradient(loss, a)
    assert loss < (20 * eps) ** 2 and np.abs(gradient).max() < 100 * eps


@TYPES
def test_example_3_with_another_target(dtype, eps):
    """Of |b - U S V^T|^2, where the residual is not 0, every factor has its share in the gradient 2 (a - b)."""
    a, b = tf.Variable(A, dtype=dtype), tf.constant([[0.5, -1.0], [2.0, 1.0]], dtype)
    with tf.GradientTape() as tape:
        s, u, v = tf_svd(a)
        loss = tf.reduce_sum(tf.square(b - tf.matmul(u * s, v, transpose_b=True)))
    assert np.allclose(tape.gradient(loss, a), 2 * (A - b), rtol=0, atol=100 * eps)


def test_in_a_function_with_unknown_batch_size():
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2], tf.float64)])
    def gradients(a):
        error = reconstruction_error(a)
        U, S, Vh = svd(a, False)
        return tf.gradients(tf.reduce_sum(S), a)[0], U @ Vh, tf.gradients(error, a)[0]

    for batch in (1, 3, 0):
        a = np.random.default_rng(batch).standard_normal((batch, 2, 2)) + A
        of_sum, expected, of_error = gradients(tf.constant(a))
        assert of_sum.shape == a.shape and np.allclose(of_sum, expected, atol=1e-14)
        assert np.abs(of_error).max(initial=0) < 1e-13
    assert gradients.experimental_get_tracing_count() == 1
