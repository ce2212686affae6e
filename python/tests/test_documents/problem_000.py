# SPDX-License-Identifier: BSD-3-Clause
"""The problem of document 000, 100 matrices of 10 x 20 and k = 5, in numbers that are exact in float32: so are the
predictions of its Dense layer at the start, and every type and every program computes the gradient at the same point.
"""

import numpy as np

SAMPLES, INPUTS, M, N, RANK, ITERATIONS, WEIGHT = 100, 50, 10, 20, 5, 10, 1.0


def dyadic(shape, seed, bits):
    """Sums of four uniform multiples of 2^-bits in (-1, 1), from a linear congruential generator (Knuth's MMIX)."""
    state, values = seed, np.empty(4 * int(np.prod(shape)))
    for i in range(values.size):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        values[i] = (state >> 40) % 2 ** (bits + 1) - 2**bits
    return values.reshape(4, *shape).sum(0) / 2**bits


def training():
    """x (100, 50), kernel (50, 200), y_true (100, 10, 20), all float64."""
    x, kernel = dyadic((SAMPLES, INPUTS), 1, 4), dyadic((INPUTS, M * N), 2, 5) / 8
    return x, kernel, dyadic((SAMPLES, M, N), 3, 6)


def special():
    """y_true and y_pred (4, 10, 20): a matrix with ties s = (3, 3, 2, 2, 1, 1/2, ..., 1/2), the zero matrix, one with a
    NaN row, and one like others."""
    y_true, y_pred = dyadic((4, M, N), 4, 6), dyadic((4, M, N), 5, 6)
    y_pred[0] = 0
    y_pred[0, np.arange(M), (7 * np.arange(M)) % N] = [3, -3, 2, 2, -1, 0.5, 0.5, -0.5, 0.5, 0.5]
    y_pred[1] = 0
    y_pred[2, 3] = np.nan
    return y_true, y_pred
