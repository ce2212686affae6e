# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for NumPy: names, defaults and types of numpy.linalg and of the array API.

Arrays have the shape (..., m, n); k = min(m, n).  float32, float64, complex64 and complex128 keep their type, integers and
booleans become float64.  Inputs may have any strides, and broadcast over the batch.  The GIL is released.

Options of all functions:
  errors          "nan": a matrix with a NaN or an infinity gives NaN, and the others are what they would be without it (one
                  that does not converge, which no known matrix does, keeps its last iterate); "raise":
                  numpy.linalg.LinAlgError names the matrix; "info": the result has one more field `info`, int32 of shape (...),
                  0 fine, 1 not converged, 2 NaN or infinity in the input, 3 a result overflows.
  gap_policy      what gradients do where singular values are close: "default", "exact", "noise_floor", ("mask", x),
                  ("lorentz", x).  Without effect on a forward pass but for `report`.
  report          True: one more field `report`, see Report.  Norms, determinants and iterations report on the whole
                  SVD; their own gradients meet no gap.
  batch_invariant True: a matrix gives the same bits whatever the size of the batch.  False: on the CPU one to a few
                  matrices take the path that is fastest for them, so that their last bits may differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import _numpy
from .options import (
    FUNCTIONS,
    LOG_DETERMINANT,
    NUCLEAR,
    SCHATTEN,
    SPECTRAL,
    Attributes,
    check_errors,
    check_iterations,
    check_number,
    check_rank,
    describe_failures,
    function_attributes,
    shared_attributes,
)

__all__ = [
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power", "pinv",
    "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet", "power_iteration",
    "spectral_normalize", "svd_vjp", "svd_jvp", "function_vjp", "norm_vjp", "slogdet_vjp", "spectral_normalize_vjp",
    "Report", "SVDResult",
]  # fmt: skip

LinAlgError = np.linalg.LinAlgError
_INDEX = {name: i for i, name in enumerate(_numpy.operations())}
_ALL = 0xFF  # wanted: all outputs
_TYPES = {np.dtype(t) for t in "fdFD"}
_REPORT = np.dtype(
    [
        ("min_gap", "f8"),
        ("gauge_residual", "f8"),
        ("amplification", "f8"),
        ("dropped_pairs", "i4"),
        ("flags", "i4"),
    ]
)


class Report(NamedTuple):
    """How far a gradient can be trusted; each field has the shape of the batch.

    min_gap         smallest |s_i - s_j| / s_1 of the pairs that count, infinity if there are none
    gauge_residual  size of the part of the loss that depends on the free phases, relative to the cotangents
    amplification   largest factor by which a gap enlarged a cotangent, in units of the cotangent
    dropped_pairs   number of terms dropped because their divisor is rounding noise
    flags           1: a term was dropped; 2: the loss depends on the gauge; 4: the cut at `rank` splits a cluster
    """

    min_gap: np.ndarray
    gauge_residual: np.ndarray
    amplification: np.ndarray
    dropped_pairs: np.ndarray
    flags: np.ndarray


class SVDResult(NamedTuple):
    """A = U @ diag(S) @ Vh."""

    U: np.ndarray
    S: np.ndarray
    Vh: np.ndarray


class SlogdetResult(NamedTuple):
    """det(A) = sign * exp(logabsdet)."""

    sign: np.ndarray
    logabsdet: np.ndarray


class PowerIterationResult(NamedTuple):
    """Singular vectors u (..., m) and v (..., n), sigma = Re(u^H A v) and its error bound `residual`, both (...)."""

    u: np.ndarray
    v: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray


class SpectralNormalizeResult(NamedTuple):
    """y = A / sigma, and the vectors to start from next time."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    sigma: np.ndarray


@lru_cache(maxsize=1024)
def _extended(base, names):
    """The result type `base` with further fields: info, report."""
    fields = getattr(base, "_fields", ("value",))
    return NamedTuple(base.__name__ + "".join(name.title() for name in names), [(f, object) for f in fields + names])


def _array(a, name="a"):
    """An array of one of the four types."""
    array = np.asanyarray(a)
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    if array.dtype.char in "fdFD":
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    raise TypeError(f"{name}: array type {array.dtype.name} is unsupported in svdgrad")


def _matrices(a, name="a"):
    array = _array(a, name)
    if array.ndim < 2:
        raise LinAlgError(f"{name}: {array.ndim}-dimensional array given, must be at least two-dimensional")
    return array


def _real(dtype):
    return np.dtype("f") if dtype.char in "fF" else np.dtype("d")


@lru_cache(maxsize=1024)
def _packed(attributes):
    return attributes.packed()


def _call(name, attributes, wanted, *operands):
    return _numpy.call(_INDEX[name], _packed(attributes), wanted, *operands)


def _check_infos(name, errors, infos, info):
    """Raises where the caller wants that."""
    if infos and errors == "raise":
        bad = np.argwhere(info)
        raise LinAlgError(describe_failures(name, [(tuple(map(int, i)), int(info[tuple(i)])) for i in bad]))


def _report_of(raw):
    fields = np.ascontiguousarray(raw).view(_REPORT)[..., 0]
    return Report(*(fields[name].copy() for name in _REPORT.names))


def _finish(name, base, values, errors, infos, info, report=None):
    """The result: `values` in a tuple of type `base` (a single array where base is None), and the fields asked for."""
    if infos:
        _check_infos(name, errors, infos, info)
    names = (("info",) if errors == "info" else ()) + (("report",) if report is not None else ())
    if not names:
        return values[0] if base is None else base(*values)
    further = ([info] if errors == "info" else []) + ([report] if report is not None else [])
    return _extended(base or np.ndarray, names)(*values, *further)


# ---- the SVD


def svd(a, full_matrices=True, compute_uv=True, *, rank=None, errors="nan", gap_policy="default", report=False,
        batch_invariant=False, out=None):  # fmt: skip
    """Singular value decomposition A = U @ diag(S) @ Vh of each matrix.

    a              (..., m, n)
    full_matrices  True: U is (..., m, m) and Vh (..., n, n); False: (..., m, k) and (..., k, n)
    compute_uv     False: S alone is returned
    rank           the leading triplets alone: S is (..., rank), U (..., m, rank), Vh (..., rank, n)
    out            a tuple (U, S, Vh) of arrays to write to, each may be None; S alone where compute_uv is False

    S is in descending order and real.  Raises LinAlgError for arrays of less than two dimensions, ValueError for a bad rank.
    """
    a = a if type(a) is np.ndarray and a.dtype in _TYPES and a.ndim >= 2 else _matrices(a)
    if rank is not None:
        rank = check_rank(rank, *a.shape[-2:])
        full_matrices = False
    attributes = Attributes(rank or 0, 1 if full_matrices and compute_uv else 0, batch_invariant=int(batch_invariant))
    if errors != "nan":
        check_errors(errors)
    if not compute_uv:
        S, _, _, info, infos = _call("svd", attributes, 0, a, out, None, None, None)
        return _finish("svd", None, (S,), errors, infos, info)
    given = out if out is not None else (None, None, None)
    S, U, Vh, info, infos = _call("svd", attributes, _ALL, a, given[1], given[0], given[2], None)
    if not report:
        if errors == "nan":
            return SVDResult(U, S, Vh)
        return _finish("svd", SVDResult, (U, S, Vh), errors, infos, info)
    further = _gaps_of(a, U, S, Vh, attributes, gap_policy, batch_invariant)
    return _finish("svd", SVDResult, (U, S, Vh), errors, infos, info, further)


def _gaps_of(a, U, S, Vh, attributes, gap_policy, batch_invariant):
    """The report of a tangent that turns every pair of singular vectors: E = U^H dA V has ones everywhere."""
    r = S.shape[-1]
    dA = U[..., :r].sum(-1)[..., :, None] * Vh[..., :r, :].sum(-2)[..., None, :]
    attributes = attributes._replace(**shared_attributes(gap_policy, batch_invariant))
    return _report_of(_call("svd_jvp", attributes, 8, a, S, U, Vh, dA, None, None, None, None)[3])


def _report_on(a, gap_policy, batch_invariant):
    """The report on the whole SVD of what is differentiated without its vectors: norms, determinants, iterations."""
    return svd(a, full_matrices=False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd()."""
    a = _matrices(a)
    attributes = Attributes(check_rank(rank, *a.shape[-2:]), batch_invariant=int(batch_invariant))
    S, _, _, info, infos = _call("svd", attributes, 0, a, out, None, None, None)
    further = None
    if report:
        rank = min(S.shape[-1], *a.shape[-2:]) or None
        further = svd(a, rank=rank, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report
    return _finish("svdvals", None, (S,), check_errors(errors), infos, info, further)


def svd_vjp(U, S, Vh, gU=None, gS=None, gVh=None, a=None, *, gap_policy="default", report=False, batch_invariant=False,
            errors="nan", out=None):  # fmt: skip
    """Gradient with respect to A, (..., m, n), from those with respect to U, S and Vh (None: zero) at the factors that
    svd() gave: with full_matrices too, or with a rank; then `a` is needed.

    Complex gradients are dL/dRe + i dL/dIm.  Formula: Townsend, "Differentiating the singular value decomposition", 2016;
    Wan and Zhang, arXiv:1909.02659; at ties the singular term is dropped and reported (`gap_policy`).
    """
    U, S, Vh = _array(U, "U"), _array(S, "S"), _array(Vh, "Vh")
    attributes = _factor_attributes(U, S, Vh, a)._replace(**shared_attributes(gap_policy, batch_invariant))
    gU, gS, gVh = (None if g is None else _array(g, name).astype(like.dtype, copy=False)
                   for g, name, like in ((gU, "gU", U), (gS, "gS", S), (gVh, "gVh", Vh)))  # fmt: skip
    a = None if a is None or not attributes.rank else _matrices(a)
    gA, raw, _ = _call("svd_backward", attributes, _ALL if report else 0, a, S, U, Vh, gS, gU, gVh, out, None)
    return (gA, _report_of(raw)) if report else gA


def svd_jvp(U, S, Vh, dA, a=None, *, gap_policy="default", report=False, batch_invariant=False, errors="nan"):
    """Tangents SVDResult(dU, dS, dVh) along dA, (..., m, n), at the factors that svd() gave; the adjoint of svd_vjp().

    With a rank below min(m, n), `a` is needed.
    """
    U, S, Vh = _array(U, "U"), _array(S, "S"), _array(Vh, "Vh")
    attributes = _factor_attributes(U, S, Vh, a)._replace(**shared_attributes(gap_policy, batch_invariant))
    dA = _matrices(dA, "dA").astype(U.dtype, copy=False)
    a = None if a is None or not attributes.rank else _matrices(a)
    dS, dU, dVh, raw, _ = _call("svd_jvp", attributes, 7 + 8 * bool(report), a, S, U, Vh, dA, None, None, None, None)
    return (SVDResult(dU, dS, dVh), _report_of(raw)) if report else SVDResult(dU, dS, dVh)


def _factor_attributes(U, S, Vh, a):
    """What the shapes of the factors say: thin, full, or truncated."""
    if U.ndim < 2 or Vh.ndim < 2 or S.ndim < 1:
        raise LinAlgError("U and Vh must be at least two-dimensional, S at least one-dimensional")
    m, n, r = U.shape[-2], Vh.shape[-1], S.shape[-1]
    k = min(m, n)
    if r == k and (U.shape[-1], Vh.shape[-2]) == (m, n) and m != n:
        return Attributes(full_matrices=1)
    if r == k:
        return Attributes()
    if a is None:
        raise ValueError(f"a is None, must be given where the factors have rank {r} < min(m, n) = {k}")
    return Attributes(rank=r)


# ---- functions of the singular values


def _factors(a, batch_invariant):
    factors = Attributes(batch_invariant=int(batch_invariant))
    S, U, Vh, info, infos = _call("svd", factors, _ALL, a, None, None, None, None)
    return S, U, Vh, info, infos


def _function(name, a, value, relative, errors, gap_policy, batch_invariant, report, out):
    a = _matrices(a)
    shared = shared_attributes(gap_policy, batch_invariant)
    attributes = Attributes(**function_attributes(name, *a.shape[-2:], value, relative), **shared)
    check_errors(errors)
    adjoint = FUNCTIONS[name].adjoint
    S, U, Vh, info, infos = _factors(a, batch_invariant)
    target = out.swapaxes(-1, -2) if adjoint and out is not None and not np.iscomplexobj(a) else None if adjoint else out
    Y, _ = _call("function", attributes, _ALL, S, U, Vh, None, None, target)
    if adjoint:
        Y = Y.swapaxes(-1, -2)
        if np.iscomplexobj(Y):
            Y = np.conj(Y, out=out if out is not None else Y)
    further = None
    if report:
        gY = U.sum(-1)[..., :, None] * Vh.sum(-2)[..., None, :]
        if attributes.form:
            gY = Vh.sum(-2).conj()[..., :, None] * Vh.sum(-2)[..., None, :]
        further = _report_of(_call("function_backward", attributes, _ALL, S, U, Vh, gY, None, None, None, None)[1])
    return _finish(name, None, (Y,), errors, infos, info, further)


def low_rank(a, rank, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """The nearest matrix of rank at most `rank` (Eckart and Young): the leading triplets alone.  (..., m, n)"""
    return _function("low_rank", a, rank, False, errors, gap_policy, batch_invariant, report, out)


def polar(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _function("polar", a, None, False, errors, gap_policy, batch_invariant, report, out)


def nearest_rotation(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)"""
    return _function("nearest_rotation", a, None, False, errors, gap_policy, batch_invariant, report, out)


def soft_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False,
                   out=None):  # fmt: skip
    """Singular values max(s - t, 0): the proximal map of the nuclear norm.  `relative`: t is in units of s_1.  (..., m, n)"""
    return _function("soft_threshold", a, t, relative, errors, gap_policy, batch_invariant, report, out)


def hard_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False,
                   out=None):  # fmt: skip
    """Singular values s where s > t, else 0.  `relative`: t is in units of s_1.  (..., m, n)"""
    return _function("hard_threshold", a, t, relative, errors, gap_policy, batch_invariant, report, out)


def clip(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Singular values min(s, t): the projection on the ball of the spectral norm.  `relative`: t is in units of s_1."""
    return _function("clip", a, t, relative, errors, gap_policy, batch_invariant, report, out)


def power(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Singular values s^p.  For p < 0, values of rounding noise give 0.  (..., m, n)"""
    return _function("power", a, p, False, errors, gap_policy, batch_invariant, report, out)


def pinv(a, rcond=None, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Pseudo-inverse, (..., n, m): 1/s where s > rcond s_1.  None: max(m, n) eps, at most sqrt(eps)."""
    return _function("pinv", a, rcond, False, errors, gap_policy, batch_invariant, report, out)


def whitening(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """(A^H A)^(-1/2), (..., n, n), zero on the null space: a @ whitening(a) has orthonormal columns."""
    return _function("whitening", a, None, False, errors, gap_policy, batch_invariant, report, out)


def sqrtm_gram(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """(A^H A)^(1/2), (..., n, n): the Hermitian factor of the polar decomposition."""
    return _function("sqrtm_gram", a, None, False, errors, gap_policy, batch_invariant, report, out)


def function_vjp(name, a, gY, value=None, *, relative=False, gap_policy="default", report=False, batch_invariant=False):
    """Gradient with respect to `a` of the function `name` ("polar", "low_rank", ...; `value` is its parameter) from that
    with respect to its result, exact where singular values are equal.

    Formula: Daleckii and Krein's divided differences; Noferini, SIAM J. Matrix Anal. Appl. 38, 2017.
    """
    a = _matrices(a)
    shared = shared_attributes(gap_policy, batch_invariant)
    attributes = Attributes(**function_attributes(name, *a.shape[-2:], value, relative), **shared)
    gY = _matrices(gY, "gY").astype(a.dtype, copy=False)
    if FUNCTIONS[name].adjoint:
        gY = gY.swapaxes(-1, -2).conj()
    S, U, Vh, _, _ = _factors(a, batch_invariant)
    gA, raw, _ = _call("function_backward", attributes, _ALL if report else 0, S, U, Vh, gY, None, None, None, None)
    return (gA, _report_of(raw)) if report else gA


# ---- norms and determinants


def _norm(name, kind, a, p, errors, gap_policy, batch_invariant, report, out):
    a = _matrices(a)
    attributes = Attributes(kind=kind, param=p, batch_invariant=int(batch_invariant))
    value, _, info, infos = _call("norm", attributes, 0, a, None, out, None, None)
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish(name, None, (value[()],), check_errors(errors), infos, info, further)


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Sum of the singular values, (...), real."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy, batch_invariant, report, out)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Largest singular value, (...), real."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report, out)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1 is the nuclear norm, 2 the Frobenius norm, infinity the spectral."""
    if p == np.inf:
        return _norm("schatten_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report, out)
    p = check_number("schatten_norm: p", p)
    if p <= 0:
        raise ValueError(f"schatten_norm: p is {p}, must be > 0")
    return _norm("schatten_norm", SCHATTEN, a, p, errors, gap_policy, batch_invariant, report, out)


def logabsdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False, out=None):
    """Sum of the logarithms of the singular values, (...): log |det A| where m = n; -inf for a singular matrix."""
    return _norm("logabsdet", LOG_DETERMINANT, a, 1.0, errors, gap_policy, batch_invariant, report, out)


def norm_vjp(name, a, g=None, p=1.0, *, gap_policy="default", batch_invariant=False):
    """Gradient with respect to `a`, (..., m, n), of a norm ("nuclear_norm", "spectral_norm", "schatten_norm",
    "logabsdet"), times g (...).  At a kink: the subgradient of least norm."""
    kinds = {"nuclear_norm": NUCLEAR, "spectral_norm": SPECTRAL, "schatten_norm": SCHATTEN, "logabsdet": LOG_DETERMINANT}
    a = _matrices(a)
    attributes = Attributes(kind=kinds[name], param=float(p), **shared_attributes(gap_policy, batch_invariant))
    g = None if g is None else np.asarray(g, _real(a.dtype))
    return _call("norm", attributes, _ALL, a, g, None, None, None)[1]


def _square(a, name):
    a = _matrices(a)
    if a.shape[-1] != a.shape[-2]:
        raise LinAlgError(f"{name}: the matrices are {a.shape[-2]}-by-{a.shape[-1]}, must be square")
    return a


def slogdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sign (of the element type) and log |det| of each matrix, SlogdetResult; 0 and -inf for a singular matrix."""
    a = _square(a, "slogdet")
    attributes = Attributes(batch_invariant=int(batch_invariant))
    _, sign, log_abs, _, info, infos = _call("determinant", attributes, 6, a, *[None] * 8)
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish("slogdet", SlogdetResult, (sign[()], log_abs[()]), check_errors(errors), infos, info, further)


def slogdet_vjp(a, g_sign=None, g_logabsdet=None, *, gap_policy="default", batch_invariant=False):
    """Gradient with respect to `a`, (..., n, n), from those with respect to the sign (complex types) and log |det|."""
    a = _square(a, "slogdet")
    g_sign = None if g_sign is None else np.asarray(g_sign, a.dtype)
    g_logabsdet = None if g_logabsdet is None else np.asarray(g_logabsdet, _real(a.dtype))
    attributes = Attributes(**shared_attributes(gap_policy, batch_invariant))
    return _call("determinant", attributes, 8, a, None, g_sign, g_logabsdet, None, None, None, None, None)[3]


# ---- the largest singular value by iteration


def _start(a, u, v):
    u = _array(u, "u").astype(a.dtype, copy=False)
    v = np.zeros(a.shape[-1:], a.dtype) if v is None else _array(v, "v").astype(a.dtype, copy=False)
    return u, v


def power_iteration(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """`iterations` times v = A^H u / |A^H u|, u = A v / |A v|, from u (..., m) and v (..., n; read only for 0 iterations).

    Returns PowerIterationResult(u, v, sigma, residual); a singular value lies within `residual` of sigma.
    """
    a = _matrices(a)
    attributes = Attributes(iterations=check_iterations(iterations))
    u, v, sigma, residual, info, infos = _call("power_iteration", attributes, _ALL, a, *_start(a, u, v), *[None] * 5)
    values = u, v, sigma[()], residual[()]
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish("power_iteration", PowerIterationResult, values, check_errors(errors), infos, info, further)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma)."""
    a = _matrices(a)
    attributes = Attributes(iterations=check_iterations(iterations))
    u, v, sigma, _, y, info, infos = _call("spectral_normalize", attributes, 0, a, *_start(a, u, v), *[None] * 6)
    values = y, u, v, sigma[()]
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish("spectral_normalize", SpectralNormalizeResult, values, check_errors(errors), infos, info, further)


def spectral_normalize_vjp(a, u, v, sigma, gy):
    """Gradient with respect to `a` of a loss whose gradient with respect to y is gy, with u and v held."""
    a = _matrices(a)
    gy, sigma = _matrices(gy, "gy").astype(a.dtype, copy=False), np.asarray(sigma, _real(a.dtype))
    return _call("spectral_normalize_backward", Attributes(), 0, a, *_start(a, u, v), sigma, gy, None)[0]
