# SPDX-License-Identifier: BSD-3-Clause
"""How wrong a result of a peer is, in units in which a good result is of order 1."""
import numpy

from peers_svdgrad import function_of, rank_of


def norm1(X):
    return numpy.abs(X).sum(-2).max(-1)


def transposed(X):
    return numpy.swapaxes(X, -1, -2)


def spectral_gradient(U, S, Vh, G, f, slope):
    """Gradient of <G, U f(S) Vh>: divided differences of f between the vectors, its derivative on the diagonal."""
    V, P = transposed(Vh), transposed(U) @ G @ transposed(Vh)
    diagonal = numpy.eye(S.shape[-1], dtype=bool)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        f1 = (f[:, :, None] - f[:, None]) / (S[:, :, None] - S[:, None])
        f2 = (f[:, :, None] + f[:, None]) / (S[:, :, None] + S[:, None])
    f1 = numpy.where(diagonal, slope[:, None] * numpy.ones_like(f1), f1)
    M = (f1 * (P + transposed(P)) + f2 * (P - transposed(P))) / 2
    outside_U, outside_V = (G @ V - U @ P) * (f / S)[:, None], (f / S)[:, :, None] * (transposed(U) @ G - P @ Vh)
    return U @ M @ Vh + outside_U @ Vh + U @ outside_V


def gradient_of(op, U, S, Vh, G):
    """The true gradient of an operation that has G as cotangent of its result."""
    lead, one = (numpy.arange(S.shape[-1]) < rank_of(G)) + 0 * S, 1 + 0 * S
    functions = {"polar": (one, 0 * S), "nuclear-hvp": (one, 0 * S), "pinv": (1 / S, -1 / S ** 2)}
    return spectral_gradient(U, S, Vh, G, *functions.get(op, (lead * S, lead)))


def norms(X):
    return numpy.sqrt((X * X).reshape(len(X), -1).sum(-1))


def relative(X, Y):
    return norms(X - Y) / norms(Y)


def condition(op, S, r):
    """s_1 over the smallest divisor.  For the functions that is the one of the closed form, also where it is composed;
    for the rest it may be any gap."""
    gaps = -numpy.diff(S) if S.shape[-1] > 1 else S
    if op in ("rank", "polar", "pinv", "nuclear", "nuclear-hvp"):
        gaps = gaps[:, r - 1:r] if op == "rank" else S
    return S[:, 0] / numpy.minimum(gaps.min(-1), S[:, -1])


def factors_error(A, U, S, Vh):
    (m, n), k = A.shape[1:], S.shape[-1]
    errors = (norm1(A - (U * S[:, None]) @ Vh) / norm1(A) / max(m, n),
              norm1(transposed(U) @ U - numpy.eye(k)) / m, norm1(Vh @ transposed(Vh) - numpy.eye(k)) / n)
    return numpy.max(errors, 0)


def tangents_error(G, factors, tangents):
    """They must make dA, and move U and Vh along the orthogonal matrices; both free of the gaps, over their size."""
    (U, S, Vh), (dU, dS, dVh) = factors, tangents
    made = (dU * S[:, None]) @ Vh + (U * dS[:, None]) @ Vh + (U * S[:, None]) @ dVh
    size = S[:, 0] * (norms(dU) + norms(dVh))
    turns = [transposed(U) @ dU, dVh @ transposed(Vh)]
    return norms(made - G) / size + sum(norms(X + transposed(X)) for X in turns) / (norms(dU) + norms(dVh))


def normalize_error(A, G, gA, u, v):
    """Against the formula with the u and v that were returned; <G, A> has the rounding errors of its terms."""
    sigma = numpy.einsum("bi,bij,bj->b", u, A, v)[:, None, None]
    exact = G / sigma - (G * A).sum((1, 2), keepdims=True) / sigma ** 2 * u[:, :, None] * v[:, None]
    return relative(gA, exact) / (1 + norms(A) / sigma[:, 0, 0])


def error_of(op, A, G, result):
    """Largest error of some matrices of the batch, in units in which a good result is of order 1.  The reference is
    gesdd in f64, for f64 too: a ratio of order 1 is then the error of either."""
    eps = numpy.finfo(A.dtype).eps
    A, G = A.astype("float64"), G.astype("float64")
    result = [numpy.asarray(x).astype("float64") for x in result]
    if op == "normalize":
        return float(normalize_error(A, G, *result).max() / eps)
    if op == "svd-jvp":
        return float(tangents_error(G, result[:3], result[3:]).max() / eps)
    if op == "svd":
        return float(factors_error(A, *result).max() / eps)
    U, S, Vh = numpy.linalg.svd(A, full_matrices=False)
    if op == "svdvals":
        return float((numpy.abs(result[0] - S).max(-1) / S[:, 0] / S.shape[-1]).max() / eps)
    op = function_of(op)
    gA = U @ Vh if op in ("nuclear", "fwdbwd-sum") else gradient_of(op, U, S, Vh, G)
    return float((relative(result[0], gA) / condition(op, S, rank_of(A))).max() / eps)


def sample(A):
    """Places of up to 1000 matrices spread over the batch, fewer of large ones."""
    count = max(1, min(1000, len(A), int(2e7 / (A.shape[1] * A.shape[2] * min(A.shape[1:])))))
    return numpy.unique(numpy.linspace(0, len(A) - 1, count).astype(int))
