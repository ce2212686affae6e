# SPDX-License-Identifier: BSD-3-Clause
"""Document 002, "Compute SVD Gradient in TensorFlow After Replacing tf.svd() with numpy.linalg.svd()": its example,
without numpy_function and without a second package for derivatives.

softmax(w1 w2) has two equal rows (5.7e-19, 9.4e-14, 1 - 9.4e-14) and is a matrix of rank one.  The sum of its singular
values has a gradient with respect to w2 whose third column is minus the sum of the two others, and both programs of
the document print 0 for it: in float32 the softmax is (5.7e-19, 9.4e-14, 1), and its derivative p (g - <p, g>)
cancels.  The same derivative summed as p_i p_j (g_i - g_j) does not cancel."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from svdgrad.tensorflow import svdvals, tf_svd  # noqa: E402

ROW = np.array([2.0, 3.0, 5.0, 1.0, 3.0])
W1 = np.array([ROW, ROW])
W2 = np.array([[2.0, 2, 5], [2, 3, 5], [2, 3, 5], [2, 3, 5], [2, 3, 5]])
# With 80 digits, see test_columns_by_mpmath(): the gradient is the outer product of ROW and
COLUMNS = np.array([-8.1310523633284971572e-19, -1.3233677314104046047e-13, 1.3233758624627679332e-13])


@tf.custom_gradient
def softmax(z):
    """Over the last axis; the derivative has the relative accuracy of p and of the differences of g."""
    p = tf.nn.softmax(z)

    def backward(g):
        differences = g[..., :, None] - g[..., None, :]
        return p * tf.reduce_sum(p[..., None, :] * differences, -1)

    return p, backward


def gradient(dtype, softmax, singular_values=svdvals, compiled=False):
    w1, w2 = tf.Variable(W1, dtype=dtype), tf.Variable(W2, dtype=dtype)

    def step():
        with tf.GradientTape() as tape:
            w4 = tf.reshape(softmax(tf.matmul(w1, w2)), [-1, 2, 3])
            s = singular_values(w4)
        return s, tape.gradient(s, w2)

    return (tf.function(step) if compiled else step)()


def test_columns_by_mpmath():
    mp = pytest.importorskip("mpmath")
    with mp.workdps(80):
        logits = [sum(mp.mpf(x) * y for x, y in zip(ROW, column)) for column in W2.T]
        p = [mp.exp(z) for z in logits]
        p = [x / sum(p) for x in p]
        norm = mp.sqrt(sum(x * x for x in p))
        # s_1 = sqrt(2) |p| of two equal rows; s_2 = 0 moves by the difference of the rows, in which w2 cancels.
        g = [mp.sqrt(2) * x / norm for x in p]
        mean = sum(x * y for x, y in zip(p, g))
        for x, y, expected in zip(p, g, COLUMNS):
            assert abs(x * (y - mean) / float(expected) - 1) < mp.mpf(2) ** -52


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("dtype, eps", [(tf.float32, 2e-6), (tf.float64, 1e-14)], ids=["f32", "f64"])
def test_all_three_columns(dtype, eps, compiled):
    s, g = gradient(dtype, softmax, compiled=compiled)
    assert np.allclose(s, [[np.sqrt(2.0), 0.0]], atol=2 * eps)
    assert np.allclose(g, np.outer(ROW, COLUMNS), rtol=eps, atol=0), g
    assert np.allclose(g, gradient(dtype, softmax, lambda a: tf_svd(a, compute_uv=False))[1], rtol=eps, atol=0)


def test_as_written():
    """With tf.nn.softmax float64 has the third column to a thousandth, the rounding of 1 - 9.4e-14."""
    _, g = gradient(tf.float64, tf.nn.softmax)
    assert np.allclose(g[:, :2], np.outer(ROW, COLUMNS)[:, :2], rtol=2e-3)
    assert np.allclose(g[:, 2], ROW * COLUMNS[2], rtol=0, atol=ROW.max() * 4 * 2.0**-53) and np.all(g[:, 2] > 0)
    _, g = gradient(tf.float32, tf.nn.softmax)
    assert np.allclose(g[:, :2], np.outer(ROW, COLUMNS)[:, :2], rtol=1e-5) and np.isfinite(g).all()


def test_no_nan_where_the_second_value_is_exactly_zero_or_equal():
    for matrix in (np.zeros((1, 2, 3)), np.ones((1, 2, 3)), np.eye(2, 3)[None]):
        a = tf.constant(matrix)
        with tf.GradientTape() as tape:
            tape.watch(a)
            s = svdvals(a)
        assert np.isfinite(tape.gradient(s, a)).all()
