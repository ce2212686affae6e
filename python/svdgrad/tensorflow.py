# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for TensorFlow: names and result types of svdgrad, and tf_svd() with those of tf.linalg.svd.

Tensors have the shape (..., m, n); k = min(m, n); batch, m, n and the number of dimensions may be unknown in a
tf.function. float32, float64, complex64 and complex128 keep their type; bfloat16 and float16 are computed in
float32.  Everything has gradients of first and higher order (tf.GradientTape, tf.gradients), complex ones in
TensorFlow's convention dL/dRe + i dL/dIm, and forward mode (tf.autodiff.ForwardAccumulator); tf.function,
tf.vectorized_map and SavedModels work.  A program that loads a SavedModel imports this module first.

The kernels are for the CPU and use svdgrad's own threads (SVDGRAD_NUM_THREADS), since TensorFlow gives its thread pools
to no kernel from outside.  There is none for XLA: in a tf.function with jit_compile=True these functions raise
NotImplementedError; leave jit_compile=True to the functions that do not call them.

Options of all functions:
  errors          "nan": what a bad matrix gives is NaN, and the others are what they would be without it; "raise":
                  tf.errors.InvalidArgumentError names the matrix, also in a graph; "info": the result has one more
                  field `info`, int32 of shape (...), 0 fine, 1 not converged, 2 NaN or infinity in the input, 3
                  overflow.
  gap_policy      what gradients do where singular values are close: "default", "exact", "noise_floor", ("mask", x),
                  ("lorentz", x).
  report          True: one more field `report`, see Report.
  batch_invariant True: a matrix gives the same bits whatever the size of the batch.  False: on the CPU one to a few
                  matrices take the path that is fastest for them, so that their last bits may differ.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tensorflow as tf

from . import _tensorflow_ops as ops
from .numpy import PowerIterationResult, Report, SlogdetResult, SpectralNormalizeResult, SVDResult, _extended
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
    function_attributes,
    shared_attributes,
)

__all__ = [
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power",
    "pinv", "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet",
    "power_iteration", "spectral_normalize", "tf_svd", "Report", "SVDResult",
]  # fmt: skip

_EagerTensor = type(tf.constant(0.0))
_NARROW = (tf.bfloat16, tf.float16)


def _tensor(a, name="a"):
    a = tf.convert_to_tensor(a)
    if a.dtype in ops.REAL or a.dtype in _NARROW:
        return a
    raise TypeError(
        f"{name}: dtype is {a.dtype.name}, must be float32, float64, complex64, complex128, bfloat16 or float16"
    )


def _wide(a, name="a"):
    """The matrices in a type of ours, and the type that results get (None: they stay)."""
    if type(a) is _EagerTensor and a.dtype in ops.REAL and a.ndim >= 2:
        return a, None
    a = _tensor(a, name)
    rank = a.shape.rank
    if rank is not None and rank < 2:
        raise ValueError(f"{name} has {rank} dimensions, must have at least 2")
    return (a, None) if a.dtype in ops.REAL else (tf.cast(a, tf.float32), a.dtype)


def _extents(a):
    """m and n, or what passes for them in checks where they are not known; the library checks them again."""
    m, n = a.shape[-2:] if a.shape.rank is not None else (None, None)
    if m is None or n is None:
        m = n = m if n is None else n
    return (2**31, 2**31) if m is None else (m, n)


def _report_of(raw):
    """Decodes svdgrad_report_t, 32 bytes a matrix, in TensorFlow's operations."""
    batch = tf.shape(raw)[:-1]
    reals = tf.bitcast(tf.reshape(raw[..., :24], tf.concat([batch, [3, 8]], 0)), tf.float64)
    integers = tf.bitcast(tf.reshape(raw[..., 24:], tf.concat([batch, [2, 4]], 0)), tf.int32)
    if not tf.executing_eagerly():
        reals.set_shape(raw.shape[:-1].concatenate([3]))
        integers.set_shape(raw.shape[:-1].concatenate([2]))
    return Report(reals[..., 0], reals[..., 1], reals[..., 2], integers[..., 0], integers[..., 1])


def _finish(base, values, narrow, errors, info, report=None):
    """The result: `values` in a tuple of type `base` (a single tensor where base is None), and the fields asked for."""
    if narrow is not None:
        values = tuple(tf.cast(x, narrow) for x in values)
    if errors != "info" and report is None:
        return values[0] if base is None else base(*values)
    names = (("info",) if errors == "info" else ()) + (("report",) if report is not None else ())
    further = ([info] if errors == "info" else []) + ([report] if report is not None else [])
    return _extended(base or np.ndarray, names)(*values, *further)


def _raise_as(errors, name):
    return "" if errors == "nan" else name if check_errors(errors) == "raise" else ""


# ---- the SVD


@lru_cache(maxsize=1024)
def _svd_attributes(full_matrices, rank, gap_policy, batch_invariant):
    return Attributes(rank=rank, full_matrices=int(full_matrices), **shared_attributes(gap_policy, batch_invariant))


def svd(a, full_matrices=True, compute_uv=True, *, rank=None, errors="nan", gap_policy="default", report=False,
        batch_invariant=False):  # fmt: skip
    """Singular value decomposition A = U @ diag(S) @ Vh of each matrix, SVDResult(U, S, Vh).

    a              (..., m, n)
    full_matrices  True: U is (..., m, m) and Vh (..., n, n); False: (..., m, k) and (..., k, n)
    compute_uv     False: S alone is returned
    rank           the leading triplets alone: S is (..., rank), U (..., m, rank), Vh (..., rank, n)

    S is in descending order and real.  Raises ValueError for tensors of less than two dimensions and for a bad rank.
    Gradients: Townsend, "Differentiating the singular value decomposition", 2016; Wan and Zhang, arXiv:1909.02659;
    finite at ties (`gap_policy`).
    """
    if not compute_uv:
        return svdvals(a, rank=rank, errors=errors, gap_policy=gap_policy, batch_invariant=batch_invariant, report=report)
    a, narrow = _wide(a)
    if rank is not None:
        rank, full_matrices = check_rank(rank, *_extents(a)), False
    attributes = _svd_attributes(bool(full_matrices), rank or 0, gap_policy, batch_invariant)
    S, U, Vh, info = ops.svd(a, attributes, False, _raise_as(errors, "svd"))
    if errors == "nan" and narrow is None and not report:
        return SVDResult(U, S, Vh)
    return _finish(SVDResult, (U, S, Vh), narrow, errors, info, _gaps_of(a, S, U, Vh, attributes) if report else None)


def _gaps_of(a, S, U, Vh, attributes):
    """The report of a tangent that turns every pair of singular vectors: E = U^H dA V has ones everywhere."""
    r = tf.shape(S)[-1]
    dA = tf.reduce_sum(U[..., :r], -1)[..., :, None] * tf.reduce_sum(Vh[..., :r, :], -2)[..., None, :]
    return _report_of(ops.svd_report(a, S, U, Vh, dA, attributes))


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd()."""
    wide, narrow = _wide(a)
    attributes = _svd_attributes(False, 0 if rank is None else check_rank(rank, *_extents(wide)), gap_policy, batch_invariant)
    S, _, _, info = ops.svd(wide, attributes, True, _raise_as(errors, "svdvals"))
    further = None
    if report:
        further = svd(wide, False, rank=rank, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report
    return _finish(None, (S,), narrow, errors, info, further)


def tf_svd(tensor, full_matrices=False, compute_uv=True, name=None):
    """As tf.linalg.svd: s, u, v with tensor = u @ diag(s) @ v^H (V, not V^H), or s alone."""
    if name is not None:
        with tf.name_scope(name):
            return tf_svd(tensor, full_matrices, compute_uv)
    if not compute_uv:
        return svdvals(tensor)
    a, narrow = _wide(tensor, "tensor")
    s, u, v = ops.svd_with_v(a, _svd_attributes(bool(full_matrices), 0, "default", False))
    return (s, u, v) if narrow is None else tuple(tf.cast(x, narrow) for x in (s, u, v))


# ---- functions of the singular values


@lru_cache(maxsize=4096)
def _function_attributes(name, m, n, value, relative, gap_policy, batch_invariant):
    return Attributes(**function_attributes(name, m, n, value, relative), **shared_attributes(gap_policy, batch_invariant))


def _function(name, a, value, relative, errors, gap_policy, batch_invariant, report):
    a, narrow = _wide(a)
    attributes = _function_attributes(name, *_extents(a), value, relative, gap_policy, batch_invariant)
    S, U, Vh, info = ops.svd(a, _svd_attributes(False, 0, gap_policy, batch_invariant), raise_as=_raise_as(errors, name))
    Y = ops.function(a, S, U, Vh, attributes)
    if FUNCTIONS[name].adjoint:
        Y = tf.linalg.adjoint(Y)
    further = None
    if report:
        rows = tf.reduce_sum(Vh, -2)
        gY = (tf.math.conj(rows) if attributes.form else tf.reduce_sum(U, -1))[..., :, None] * rows[..., None, :]
        further = _report_of(ops.function_report(a, S, U, Vh, gY, attributes))
    return _finish(None, (Y,), narrow, errors, info, further)


def low_rank(a, rank, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest matrix of rank at most `rank` (Eckart and Young): the leading triplets alone.  (..., m, n)"""
    return _function("low_rank", a, rank, False, errors, gap_policy, batch_invariant, report)


def polar(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _function("polar", a, None, False, errors, gap_policy, batch_invariant, report)


def nearest_rotation(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)"""
    return _function("nearest_rotation", a, None, False, errors, gap_policy, batch_invariant, report)


def soft_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values max(s - t, 0), (..., m, n): the proximal map of the nuclear norm.  `relative`: t is times s_1."""
    return _function("soft_threshold", a, t, relative, errors, gap_policy, batch_invariant, report)


def hard_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values s where s > t, else 0.  `relative`: t is in units of s_1.  (..., m, n)"""
    return _function("hard_threshold", a, t, relative, errors, gap_policy, batch_invariant, report)


def clip(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values min(s, t): the projection on the ball of the spectral norm.  `relative`: t is in units of s_1."""
    return _function("clip", a, t, relative, errors, gap_policy, batch_invariant, report)


def power(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values s^p.  For p < 0, values of rounding noise give 0.  (..., m, n)"""
    return _function("power", a, p, False, errors, gap_policy, batch_invariant, report)


def pinv(a, rcond=None, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Pseudo-inverse, (..., n, m): 1/s where s > rcond s_1.  None: max(m, n) eps, at most sqrt(eps)."""
    return _function("pinv", a, rcond, False, errors, gap_policy, batch_invariant, report)


def whitening(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(A^H A)^(-1/2), (..., n, n), zero on the null space: a @ whitening(a) has orthonormal columns."""
    return _function("whitening", a, None, False, errors, gap_policy, batch_invariant, report)


def sqrtm_gram(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(A^H A)^(1/2), (..., n, n): the Hermitian factor of the polar decomposition."""
    return _function("sqrtm_gram", a, None, False, errors, gap_policy, batch_invariant, report)


# ---- norms and determinants


def _norm(name, kind, a, p, errors, gap_policy, batch_invariant, report):
    """Under a tape the gradient is computed together with the value."""
    a, narrow = _wide(a)
    attributes = Attributes(kind=kind, param=p, **shared_attributes(gap_policy, batch_invariant))
    value, _, info = ops.norm(a, None, attributes, ops.may_be_differentiated(), _raise_as(errors, name))
    further = svd(a, False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report if report else None
    return _finish(None, (value,), narrow, errors, info, further)


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the singular values, (...), real."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy, batch_invariant, report)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Largest singular value, (...), real."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1: the nuclear norm, 2: Frobenius', inf: the spectral norm."""
    if p == np.inf:
        return _norm("schatten_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report)
    p = check_number("schatten_norm: p", p)
    if p <= 0:
        raise ValueError(f"schatten_norm: p is {p}, must be > 0")
    return _norm("schatten_norm", SCHATTEN, a, p, errors, gap_policy, batch_invariant, report)


def logabsdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the logarithms of the singular values, (...): log |det A| where m = n; -inf for a singular matrix."""
    return _norm("logabsdet", LOG_DETERMINANT, a, 1.0, errors, gap_policy, batch_invariant, report)


def slogdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sign (of the element type) and log |det| of each matrix, SlogdetResult; 0 and -inf for a singular matrix."""
    a, narrow = _wide(a)
    m, n = _extents(a)
    if m != n:
        raise ValueError(f"slogdet: the matrices are {m}-by-{n}, must be square")
    attributes = Attributes(**shared_attributes(gap_policy, batch_invariant))
    sign, log_abs, info = ops.slogdet(a, attributes, _raise_as(errors, "slogdet"))
    further = svd(a, False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report if report else None
    return _finish(SlogdetResult, (sign, log_abs), narrow, errors, info, further)


# ---- the largest singular value by iteration


def _start(a, u, v):
    """u and v, one for each matrix; no gradient flows through them."""
    batch, extents = tf.shape(a)[:-2], (tf.shape(a)[-2:-1], tf.shape(a)[-1:])
    v = tf.zeros([], a.dtype) if v is None else v
    pair = [tf.cast(_tensor(x, name), a.dtype) for x, name in ((u, "u"), (v, "v"))]
    pair = [tf.broadcast_to(x, tf.concat([batch, extent], 0)) for x, extent in zip(pair, extents)]
    return [tf.stop_gradient(x) for x in pair]


def power_iteration(
    a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False, batch_invariant=False
):
    """`iterations` times v = A^H u / |A^H u|, u = A v / |A v|, from u (..., m); v (..., n): for 0 iterations only.

    Returns PowerIterationResult(u, v, sigma, residual); a singular value lies within `residual` of sigma.  The gradient
    is that of sigma with u and v held.
    """
    a, narrow = _wide(a)
    attributes = Attributes(iterations=check_iterations(iterations))
    u, v, sigma, residual, info = ops.power_iteration(
        a, *_start(a, u, v), attributes, _raise_as(errors, "power_iteration")
    )
    further = svd(a, False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report if report else None
    return _finish(PowerIterationResult, (u, v, sigma, residual), narrow, errors, info, further)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma)."""
    a, narrow = _wide(a)
    attributes = Attributes(iterations=check_iterations(iterations))
    start = _start(a, u, v)
    u, v, sigma, y, info = ops.spectral_normalize(a, *start, attributes, _raise_as(errors, "spectral_normalize"))
    further = svd(a, False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report if report else None
    return _finish(SpectralNormalizeResult, (y, u, v, sigma), narrow, errors, info, further)
