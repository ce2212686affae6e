# SPDX-License-Identifier: BSD-3-Clause
"""Writes reference_000.json: losses and gradients of document 000's problem with 80 digits (needs mpmath; minutes).

    python reference_000.py

`training` has the mean of each loss over the 100 samples at the start, and its gradient with respect to the bias of
the Dense layer (200 numbers).  `tie` has value and gradient of the sample with ties.  The gradient of a function of
singular values is by divided differences (Daleckii and Krein), that of the power method by the chain rule through
A^T A, its powers, and the projection; each is compared here with a difference quotient with step 1e-25."""

import json
import pathlib

import mpmath as mp
import numpy as np
import problem_000 as problem

mp.mp.dps = 80


def matrix(a):
    return mp.matrix(np.asarray(a).tolist())


def mean_square(a):
    return sum(x * x for x in a) / (a.rows * a.cols)


def singular(A):
    U, S, Vh = mp.svd_r(A, full_matrices=True)
    return U, list(S), Vh


def low_rank(A, Y):
    """mean of (Y - T)^2 and its gradient."""
    U, S, Vh = singular(A)
    f = [s if i < problem.RANK else mp.mpf(0) for i, s in enumerate(S)]
    T = sum((f[i] * U[:, i] * Vh[i, :] for i in range(problem.RANK)), mp.zeros(A.rows, A.cols))
    M = U.T * ((T - Y) * (mp.mpf(2) / (A.rows * A.cols))) * Vh.T
    X = mp.zeros(A.rows, A.cols)
    for i in range(A.rows):
        for j in range(A.cols):
            if j >= A.rows:
                X[i, j] = M[i, j] * f[i] / S[i]
                continue
            gap = S[i] - S[j]
            slope = (f[i] - f[j]) / gap if abs(gap) > mp.mpf(10) ** -60 else mp.mpf(i < problem.RANK)
            mean = (f[i] + f[j]) / (S[i] + S[j])
            X[i, j] = slope * (M[i, j] + M[j, i]) / 2 + mean * (M[i, j] - M[j, i]) / 2
    return mean_square(Y - T), U * X * Vh


def nuclear_norm(A, Y):
    U, S, Vh = singular(A)
    gA = U * Vh[: A.rows, :] * problem.WEIGHT + (A - Y) * (mp.mpf(2) / (A.rows * A.cols))
    return problem.WEIGHT * sum(S) + mean_square(Y - A), gA


def power_method(A, Y):
    """The space of V after t steps is that of (A^T A)^t V_0."""
    start = np.random.RandomState(0).standard_normal((A.cols, problem.RANK))
    G, Z = A.T * A, [matrix(start)]
    for _ in range(problem.ITERATIONS):
        Z.append(G * Z[-1])
    last = Z[-1]
    inverse = (last.T * last) ** -1
    P = last * inverse * last.T
    gR = (A * P - Y) * (mp.mpf(2) / (A.rows * A.cols))
    gA, gP = gR * P, A.T * gR
    gZ = (gP + gP.T) * last * inverse
    gZ = gZ - P * gZ
    gG = mp.zeros(A.cols, A.cols)
    for before in reversed(Z[:-1]):
        gG += gZ * before.T
        gZ = G * gZ
    return mean_square(Y - A * P), gA + A * (gG + gG.T)


LOSSES = {"low_rank": low_rank, "nuclear_norm": nuclear_norm, "power_method": power_method}


def check(loss, A, Y):
    h, D = mp.mpf(10) ** -25, matrix(problem.dyadic((problem.M, problem.N), 9, 6))
    quotient = (loss(A + h * D, Y)[0] - loss(A - h * D, Y)[0]) / (2 * h)
    along = sum(x * y for x, y in zip(loss(A, Y)[1], D))
    assert abs(quotient - along) < mp.mpf(10) ** -40, (loss.__name__, quotient, along)


def numbers(a):
    return [float(x) for x in a]


def main():
    x, kernel, y_true = problem.training()
    y_pred = (x @ kernel).reshape(y_true.shape)
    special_true, special_pred = problem.special()
    found = {"training": {}, "tie": {}}
    for name, loss in LOSSES.items():
        check(loss, matrix(y_pred[0]), matrix(y_true[0]))
        each = [loss(matrix(a), matrix(y)) for a, y in zip(y_pred, y_true)]
        mean, bias = (sum((e[i] for e in each[1:]), each[0][i]) / len(each) for i in range(2))
        found["training"][name] = {"value": float(mean), "bias": numbers(bias)}
        value, gA = loss(matrix(special_pred[0]), matrix(special_true[0]))
        found["tie"][name] = {"value": float(value), "gradient": numbers(gA)}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=0).replace(",\n", ", ") + "\n")


if __name__ == "__main__":
    main()
