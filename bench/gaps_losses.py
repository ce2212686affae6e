# SPDX-License-Identifier: BSD-3-Clause
"""The losses of gaps.py, and their gradients with 60 digits.

A loss is real, has a cotangent for each of U, S and Vh (PyTorch's convention for complex types), and does not change
with the signs or phases of the singular vectors.  All but the last are <G, U f(S) Vh>: functions of A that ties do not
disturb, but where f jumps from one value of the pair to the other.  Arrays of objects hold numbers of mpmath.
"""
import mpmath
import numpy

DIGITS = 60
TIE = 1e-30  # relative to s_1: the mean of f' there is the difference quotient to 60 digits
PAIR = (1, 2)  # places of the two close singular values


def adjoint(X):
    return numpy.conj(numpy.swapaxes(X, -1, -2))


def hermitian(X):
    return (X + adjoint(X)) / 2


def real_diagonal(X):
    return numpy.real(numpy.diagonal(X, axis1=-2, axis2=-1))


def difference(x):
    """x_i - x_j"""
    return x[..., :, None] - x[..., None, :]


def total(x):
    return x[..., :, None] + x[..., None, :]


class Spectral:
    """<G, U f(S) Vh>; `fused` is the function of svdgrad_matrix_function_backward() and its parameter."""

    def __init__(self, name, words, title, fused, f):
        self.name, self.words, self.title, self.fused, self.f = name, words, title, fused, f

    def is_smooth(self):
        """Whether the gradient stays bounded when the gap closes."""
        return self.fused != ("RANK", PAIR[1])

    def cotangents(self, U, S, Vh, weights):
        G, (f, slope) = weights["G"], self.f(S)
        return real_diagonal(adjoint(U) @ G @ adjoint(Vh)) * slope, G @ adjoint(Vh) * f[..., None, :], \
            f[..., None] * (adjoint(U) @ G)

    def truth(self, U, S, Vh, weights):
        P, (f, slope) = adjoint(U) @ weights["G"] @ adjoint(Vh), self.f(S)
        tie = abs(difference(S)) < TIE * S[0]
        quotient = difference(f) / numpy.where(tie, 1, difference(S))
        M = numpy.where(tie, total(slope) / 2, quotient) * hermitian(P) + total(f) / total(S) * (P - hermitian(P))
        return U @ M @ Vh


class Vectors:
    """Squares of the entries of single singular vectors, weighted: every direction in the plane of a tie has another
    value, so that the gradient grows as 1/gap and a tie has none."""

    name, words, fused = "vectors", "weighted squares of the entries of U and V, and of S", None
    title = r"$\Sigma c|U|^2 + d|V|^2 + w s$"

    def is_smooth(self):
        return False

    def cotangents(self, U, S, Vh, weights):
        return weights["w"] + 0 * S, 2 * weights["c"] * U, 2 * weights["d"] * Vh

    def truth(self, U, S, Vh, weights):
        gS, gU, gVh = self.cotangents(U, S, Vh, weights)
        X, Y = (Z - adjoint(Z) for Z in (adjoint(U) @ gU, Vh @ adjoint(gVh)))
        others = numpy.eye(len(S)) == 0
        M = (X + Y) / numpy.where(others, -difference(S), mpmath.inf) + (X - Y) / total(S)
        return U @ (M / 2 + numpy.where(others, 0, gS)) @ Vh


def leading(r):
    def f(S):
        keep = numpy.arange(S.shape[-1]) < r
        return S * keep, keep + 0 * S
    return f


def logarithm(S):
    log1p = numpy.frompyfunc(mpmath.log1p, 1, 1) if S.dtype == object else numpy.log1p
    return log1p(S), 1 / (1 + S)


LOSSES = (Spectral("recon", "`<G, U S Vh>`, whose gradient is G",
                   r"$\langle G, U S V^H\rangle$", ("POWER", 1), leading(4)),
          Spectral("polar", "`<G, U Vh>`", r"$\langle G, U V^H\rangle$", ("POLAR", 0), lambda S: (1 + 0 * S, 0 * S)),
          Spectral("rank3", "`<G, U S Vh>` of the leading 3 triplets: the cut lies below the pair",
                   r"$\langle G, U_3 S_3 V_3^H\rangle$", ("RANK", 3), leading(3)),
          Spectral("log", "`<G, U log(1 + S) Vh>`", r"$\langle G, U \log(1 + S) V^H\rangle$", ("CUSTOM", 0), logarithm),
          Spectral("rank2", "`<G, U S Vh>` of the leading 2 triplets: the cut splits the pair",
                   r"$\langle G, U_2 S_2 V_2^H\rangle$", ("RANK", 2), leading(2)),
          Vectors())


# ---- 60 digits -----------------------------------------------------------------------------------


def objects(X):
    """Its numbers as mpmath's, exactly."""
    return numpy.frompyfunc(mpmath.mpc if numpy.iscomplexobj(X) else mpmath.mpf, 1, 1)(X)


def factors(A):
    """U, S, Vh of one matrix."""
    decompose = mpmath.svd_c if numpy.iscomplexobj(A) else mpmath.svd_r
    U, S, Vh = decompose(mpmath.matrix(A.tolist()))
    return numpy.array(U.tolist()), numpy.array(S.tolist())[:, 0], numpy.array(Vh.tolist())


def truths(A, weights):
    """Gradients of all losses at every matrix of the batch (as rounded), and the gaps of the pair relative to s_1."""
    gradients, gaps = {loss.name: numpy.empty_like(A, dtype=numpy.result_type(A, "f8")) for loss in LOSSES}, []
    with mpmath.workdps(DIGITS):
        for b, matrix in enumerate(A):
            U, S, Vh = factors(matrix)
            here = {name: objects(weight[b]) for name, weight in weights.items()}
            gaps.append(float((S[PAIR[0]] - S[PAIR[1]]) / S[0]))
            for loss in LOSSES:
                exists = loss.is_smooth() or gaps[-1] > TIE
                gradients[loss.name][b] = loss.truth(U, S, Vh, here) if exists else numpy.nan
    return gradients, numpy.array(gaps)
