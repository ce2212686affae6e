# SPDX-License-Identifier: BSD-3-Clause
"""The derivatives as compositions of a framework's own operations.

The C library computes the first derivatives (svd_jvp, svd_backward, function_backward, norm, determinant).  The formulas
here are the same ones, written so that the framework can differentiate them again, as often as it likes: the frameworks use
them for derivatives of order two and more only.  Where pairs of singular values are exactly equal, derivatives of order two
drop the terms that a gap divides.

`xp` is a framework's adapter, an object with these functions (shapes as NumPy's, any number of leading dimensions):
  H(x)             conjugate transpose of the last two dimensions
  real(x), conj(x), abs(x), where(condition, x, y), minimum(x, y), sum(x, axis), stop(x) (no gradient flows)
  cast(x, like)    a real array in the element type of `like`
  eye(k, like)     the real identity in the real type of `like`
  concatenate(list, axis), constant(list, like)  the latter a real array of the real type of `like`
  solve(A, B)      the X with A X = B, A (..., n, n), B (..., n, p)
  det(A)           determinants
  eps(x)           machine epsilon of the (real) type, a Python number
and arrays support + - * / ** @, indexing with None, ... and slices, and comparisons.
"""

from __future__ import annotations

import math

from .options import VVH

_DROP = 4.0  # c of svdgrad.h: divisors <= c eps s_1 are dropped
POLAR, RANK, SOFT_THRESHOLD, HARD_THRESHOLD, CLIP, POWER, INVERSE, ROTATION, CUSTOM, SIGN = range(10)
EXACT, MASK, LORENTZ = 1, 2, 4  # svdgrad_gap_policy_t


# ---- quotients


def _guarded_inverse(xp, x, is_kept):
    """1 / x where it is kept, else 0, with finite derivatives in both cases."""
    one = x * 0 + 1
    return xp.where(is_kept, 1 / xp.where(is_kept, x, one), x * 0)


def _inverse(xp, x, S, attributes):
    """1 / x for a sum of singular values: dropped where x is rounding noise beside s_1."""
    if attributes.gap_policy == EXACT or S.shape[-1] == 0:
        return 1 / x
    s1 = xp.stop(S[..., :1])
    cut = _DROP * xp.eps(S) * (s1 if len(x.shape) == len(S.shape) else s1[..., None])
    return _guarded_inverse(xp, x, x > cut)


def _gaps(xp, S, attributes):
    """Dm_ij = 1 / (s_j - s_i) under the gap policy, 0 on the diagonal."""
    k = S.shape[-1]
    gap = S[..., None, :] - S[..., :, None]
    is_pair = (xp.eye(k, S) < 0.5) & (gap == gap)
    if k == 0:
        return gap
    if attributes.gap_policy == EXACT:
        return _guarded_inverse(xp, gap, is_pair)
    s1 = xp.stop(S[..., :1])[..., None]
    width = attributes.gap_param * s1
    if attributes.gap_policy == LORENTZ:
        square = gap * gap + width * width
        return gap * _guarded_inverse(xp, square, is_pair & (square > 0))
    cut = width if attributes.gap_policy == MASK else _DROP * xp.eps(S) * s1
    return _guarded_inverse(xp, gap, is_pair & (xp.abs(gap) > cut))


def _herm(xp, P):
    return (P + xp.H(P)) / 2


def _skew(xp, P):
    return (P - xp.H(P)) / 2


def _scale(xp, weights, P):
    """Real weights times a matrix that may be complex, elementwise."""
    return xp.cast(weights, P) * P


# ---- the SVD


def _outside(xp, S, U, V, b, c, A, attributes):
    """The parts of dU and dV outside the spans of U and V: x and y with  s_j x_j - A2 y_j = b_j,  s_j y_j - A2^H x_j = c_j,
    where A2 is A without its leading triplets (0 if there are all; Francuz, Schuch, Vanhecke, Phys. Rev. Research 7)."""
    if not attributes.rank:
        s = _inverse(xp, S, S, attributes)[..., None, :]
        return _scale(xp, s, b), _scale(xp, s, c)
    A2 = A - (U * xp.cast(S, U)[..., None, :]) @ xp.H(V)
    if A.shape[-2] > A.shape[-1]:
        y, x = _outside_of_rows(xp, S, xp.H(A2), c, b)
        return x, y
    return _outside_of_rows(xp, S, A2, b, c)


def _outside_of_rows(xp, S, A2, b, c):
    m = A2.shape[-2]
    squares = xp.cast((S * S)[..., :, None, None] * xp.eye(m, S), A2) - (A2 @ xp.H(A2))[..., None, :, :]
    right = _scale(xp, S[..., None, :], b) + A2 @ c
    columns = xp.H(xp.conj(right))[..., None]  # (..., r, m, 1)
    x = xp.H(xp.conj(xp.solve(squares, columns)[..., 0]))
    y = _scale(xp, (1 / S)[..., None, :], c + xp.H(A2) @ x)
    return x, y


def svd_jvp_formula(xp, S, U, Vh, dA, attributes, A=None):
    """Tangents dS, dU, dVh along dA; the formula of svdgrad_svd_jvp().  A: only where attributes.rank is not 0."""
    k = S.shape[-1]
    U1, V1 = U[..., :, :k], xp.H(Vh[..., :k, :])
    E = xp.H(U1) @ dA @ V1
    turns = _scale(xp, _gaps(xp, S, attributes), _herm(xp, E))
    shears = _scale(xp, _inverse(xp, S[..., None, :] + S[..., :, None], S, attributes), _skew(xp, E))
    b, c = dA @ V1 - U1 @ E, xp.H(dA) @ U1 - V1 @ xp.H(E)
    x, y = _outside(xp, S, U1, V1, b, c, A, attributes)
    dU, dV = U1 @ (turns + shears) + x, V1 @ (turns - shears) + y
    dS = xp.real(xp.sum(E * xp.cast(xp.eye(k, S), E), -1))
    if attributes.full_matrices:
        dU, dV = _with_further_columns(xp, U, U1, dU, k), _with_further_columns(xp, xp.H(Vh), V1, dV, k)
    return dS, dU, xp.H(dV)


def _with_further_columns(xp, U, U1, dU1, k):
    """The further columns move as far as orthogonality requires."""
    return xp.concatenate([dU1, -(U1 @ (xp.H(dU1) @ U[..., :, k:]))], -1)


def svd_vjp_formula(xp, S, U, Vh, gS, gU, gVh, attributes, A=None):
    """Gradient with respect to A; the formula of svdgrad_svd_backward().  gS, gU, gVh may be None."""
    k = S.shape[-1]
    U1, V1 = U[..., :, :k], xp.H(Vh[..., :k, :])
    gU1 = _onto_leading_columns(xp, U, U1, gU, k, attributes)
    gV1 = _onto_leading_columns(xp, xp.H(Vh), V1, None if gVh is None else xp.H(gVh), k, attributes)
    UgU, VgV = xp.H(U1) @ gU1, xp.H(V1) @ gV1
    X, Y = 2 * _skew(xp, UgU), 2 * _skew(xp, VgV)
    sums = _inverse(xp, S[..., None, :] + S[..., :, None], S, attributes)
    M = (_scale(xp, _gaps(xp, S, attributes), X + Y) + _scale(xp, sums, X - Y)) / 2
    if gS is not None:
        M = M + xp.cast(gS[..., None, :] * xp.eye(k, S), M)
    x, y = _outside(xp, S, U1, V1, gU1 - U1 @ UgU, gV1 - V1 @ VgV, A, attributes)
    return U1 @ M @ xp.H(V1) + x @ xp.H(V1) + U1 @ xp.H(y)


def _onto_leading_columns(xp, U, U1, gU, k, attributes):
    if gU is None:
        return U1 * 0
    if not attributes.full_matrices:
        return gU
    return gU[..., :, :k] - U[..., :, k:] @ (xp.H(gU[..., :, k:]) @ U1)


# ---- functions of the singular values


def _cutoff(xp, attributes, S, m, n):
    eps = xp.eps(S)
    t = attributes.param or min(max(m, n) * eps, math.sqrt(eps))
    return t * xp.stop(S[..., :1])


def _is_leading(xp, S, count):
    """Which values are among the leading `count`."""
    below = [1.0 if i < count else 0.0 for i in range(S.shape[-1])]
    return xp.constant(below, S) + S * 0 > 0.5


def _threshold(xp, S, attributes):
    return attributes.param * S[..., :1] if attributes.relative else attributes.param + 0 * S[..., :1]


def _function(xp, S, U, Vh, attributes):
    """f(s), and the slope of the piece of f on which s lies: None where f is no straight line; the pieces."""
    kind, t = attributes.kind, attributes.param
    m, n = U.shape[-2] if U is not None else Vh.shape[-1], Vh.shape[-1]
    none = S * 0
    if kind == POLAR:
        return none + 1, none, S > -1
    if kind == ROTATION:
        d = xp.stop(xp.real(xp.det(U) * xp.det(Vh)))
        last = ~_is_leading(xp, S, S.shape[-1] - 1)
        return xp.where(last, xp.where(d < 0, none[..., 0] - 1, none[..., 0] + 1)[..., None], none + 1), none, ~last
    if kind == RANK:
        kept = _is_leading(xp, S, int(t))
        return xp.where(kept, S, none), xp.where(kept, none + 1, none), kept
    if kind in (SOFT_THRESHOLD, HARD_THRESHOLD):
        t = _threshold(xp, S, attributes)
        kept = S > t
        return xp.where(kept, S - (t if kind == SOFT_THRESHOLD else 0), none), xp.where(kept, none + 1, none), kept
    if kind == CLIP:
        t = _threshold(xp, S, attributes)
        kept = S < t
        return xp.where(kept, S, none + t), xp.where(kept, none + 1, none), kept
    if kind == SIGN:
        kept = S > _cutoff(xp, attributes, S, m, n)
        return xp.where(kept, none + 1, none), none, kept
    if kind == INVERSE:
        kept = S > _cutoff(xp, attributes, S, m, n)
        return _guarded_inverse(xp, S, kept), None, kept
    if kind == POWER:
        if t == 1:
            return S, none + 1, S > -1
        kept = S > (_DROP * xp.eps(S) * xp.stop(S[..., :1]) if t < 0 else -1)
        safe = xp.where(kept & (S > 0), S, none + 1)
        return xp.where(kept & (S > 0), safe**t, none + (1.0 if t == 0 else 0.0)), None, kept
    raise NotImplementedError(f"function {kind} has no second derivative")


def _divided_differences(xp, S, f, slope, pieces, attributes):
    """f1_ij = (f(s_i) - f(s_j)) / (s_i - s_j) in a form that is exact where both lie on one piece of f."""
    si, sj, fi, fj = S[..., :, None], S[..., None, :], f[..., :, None], f[..., None, :]
    same = pieces[..., :, None] == pieces[..., None, :]
    if slope is not None:
        return xp.where(same, slope[..., :, None] + 0 * sj, (fi - fj) * _guarded_inverse(xp, si - sj, ~same & (si != sj)))
    if attributes.kind == INVERSE:
        return xp.where(same, -(fi * fj), (fi - fj) * _guarded_inverse(xp, si - sj, ~same & (si != sj)))
    # A power: the derivative in the middle of two close values errs by the square of their distance.
    p, middle = attributes.param, (si + sj) / 2
    close = xp.abs(si - sj) <= xp.eps(S) ** (1 / 3) * middle
    safe = xp.where(close & (middle > 0), middle, middle * 0 + 1)
    derivative = xp.where(close & (middle > 0), p * safe ** (p - 1), middle * 0)
    return xp.where(close, derivative, (fi - fj) * _guarded_inverse(xp, si - sj, ~close))


def _function_map(xp, S, U, Vh, X, attributes):
    """The self-adjoint map of the form UVH: X -> U (f1 herm(P) + f2 skew(P)) Vh + ..., P = U^H X V."""
    f, slope, pieces = _function(xp, S, U, Vh, attributes)
    V = xp.H(Vh)
    P = xp.H(U) @ X @ V
    f1 = _divided_differences(xp, S, f, slope, pieces, attributes)
    sums = _inverse(xp, S[..., None, :] + S[..., :, None], S, attributes)
    f2 = (f[..., :, None] + f[..., None, :]) * sums
    inside = _scale(xp, f1, _herm(xp, P)) + _scale(xp, f2, _skew(xp, P))
    quotient = (f * _inverse(xp, S, S, attributes))[..., None, :]
    right = _scale(xp, quotient, X @ V - U @ P)
    left = _scale(xp, quotient, xp.H(X) @ U - V @ xp.H(P))
    return U @ inside @ Vh + right @ Vh + U @ xp.H(left)


def _threshold_slopes(xp, S, attributes):
    """d f(s_i) / d s_1 through a threshold t = tau s_1."""
    above = S > _threshold(xp, S, attributes)
    sign = {SOFT_THRESHOLD: -1.0, CLIP: 1.0}.get(attributes.kind, 0.0)
    return xp.where(above, S * 0 + sign * attributes.param, S * 0)


def _gram_weights(xp, S, U, Vh, attributes):
    f, slope, pieces = _function(xp, S, U, Vh, attributes)
    f1 = _divided_differences(xp, S, f, slope, pieces, attributes)
    sums = _inverse(xp, S[..., None, :] + S[..., :, None], S, attributes)
    return S[..., :, None] * f1 * sums, ((f - attributes.null_value) * _inverse(xp, S, S, attributes))[..., :, None]


def function_vjp_formula(xp, S, U, Vh, gY, attributes):
    """Gradient with respect to A; the formula of svdgrad_matrix_function_backward()."""
    V = xp.H(Vh)
    if attributes.form == VVH:
        C, D = _gram_weights(xp, S, U, Vh, attributes)
        G = _herm(xp, gY)
        VG = Vh @ G
        P = VG @ V
        return 2 * (U @ (_scale(xp, C, P) @ Vh + _scale(xp, D, VG - P @ Vh)))
    gA = _function_map(xp, S, U, Vh, gY, attributes)
    if attributes.relative:
        P = xp.real(xp.sum(xp.conj(U) * (gY @ V), -2))
        g = xp.sum(P * _threshold_slopes(xp, S, attributes), -1)[..., None, None]
        gA = gA + _scale(xp, g, U[..., :, :1] @ Vh[..., :1, :])
    return gA


def function_jvp_formula(xp, S, U, Vh, dA, attributes):
    """Tangent of Y along dA: for the form UVH the same map as the gradient's."""
    V = xp.H(Vh)
    if attributes.form == VVH:
        C, D = _gram_weights(xp, S, U, Vh, attributes)
        UdA = xp.H(U) @ dA
        Q = UdA @ V
        return 2 * _herm(xp, V @ (_scale(xp, C, Q) @ Vh + _scale(xp, D, UdA - Q @ Vh)))
    dY = _function_map(xp, S, U, Vh, dA, attributes)
    if attributes.relative:
        ds1 = xp.real(xp.sum(xp.conj(U[..., :, :1]) * (dA @ V[..., :, :1]), -2))
        dY = dY + (U * xp.cast(ds1 * _threshold_slopes(xp, S, attributes), U)[..., None, :]) @ Vh
    return dY


# ---- norms


def norm_gradient_formula(xp, function, name, a, value, p=1.0):
    """Gradient of a norm with respect to `a` by differentiable functions: function(kind, a, param) is U f(S) Vh."""
    if name == "nuclear_norm":
        return function(SIGN, a, 0.0)
    if name == "logabsdet":
        return function(POWER, a, -1.0)
    positive = value > 0
    inverse = _guarded_inverse(xp, value, positive)
    if name == "spectral_norm":
        return xp.cast(inverse, a)[..., None, None] * function(RANK, a, 1.0)
    scale = xp.where(positive, xp.where(positive, value, value * 0 + 1) ** (1 - p), value * 0)
    return xp.cast(scale, a)[..., None, None] * function(POWER, a, p - 1.0)
