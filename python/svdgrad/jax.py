# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for JAX: names, defaults and types of jax.numpy.linalg.

Arrays have the shape (..., m, n); k = min(m, n).  float32, float64, complex64 and complex128 keep their type; bfloat16
and float16 are computed in float32; integers become JAX's default type of real numbers.  Everything works under jit,
vmap, grad, jvp, jacfwd, jacrev and hessian, to any order, in shard_map, and sharded over the dimensions of the batch,
without communication.  Gradients are in JAX's convention (dL/dRe - i dL/dIm).

Options of all functions:
  errors          "nan": what a bad matrix gives is NaN, and the others are what they would be without it; "raise": the
                  computation fails, in jit too, and the error (jax.errors.JaxRuntimeError, when the result is awaited)
                  names the matrix by its place (in the shard, where the batch is sharded); CPU only; "info": the
                  result has one more field `info`, int32 of shape (...), 0 fine, 1 not converged, 2 NaN or infinity in
                  the input, 3 a result overflows.
  gap_policy      what gradients do where singular values are close: "default", "exact", "noise_floor", ("mask", x),
                  ("lorentz", x).  Derivatives of order two and more know no noise floor: they take the default.
  report          True: one more field `report`, see svdgrad.Report.  Norms, determinants and iterations report
                  on the whole SVD; their own derivatives divide by no gap.
  batch_invariant True: a matrix gives the same bits whatever the size of the batch.  False: on the CPU one to a few
                  matrices take the path that is fastest for them, so that their last bits may differ.

Thresholds, exponents and ranks are Python numbers; each value compiles anew under jit.

On the CPU the threads are XLA's.  The same source serves CUDA, where it was not run on a GPU yet.

jax.export: pass disabled_checks=svdgrad.jax.export_checks(); a process that calls the exported function imports this
module.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import _xla
from ._jax_rules import (
    _conj,
    _determinant_values,
    _function_p,
    _function_report_p,
    _needed,
    _norm_p,
    _power_iteration_p,
    _spectral_normalize_p,
    _svd,
    _svd_report_p,
    _svdvals,
    xp,
)
from .numpy import (
    PowerIterationResult,
    Report,
    SlogdetResult,
    SpectralNormalizeResult,
    SVDResult,
    _extended,
)
from .options import (
    FUNCTIONS,
    LOG_DETERMINANT,
    NUCLEAR,
    SCHATTEN,
    SPECTRAL,
    UVH,
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
    "power_iteration", "spectral_normalize", "export_checks",
]  # fmt: skip


# ---- reports


def _words_to_real(low, high):
    """float32 of the double with these 32-bit words; what is too large is infinite, what is too small is 0."""
    sign, exponent = high & jnp.uint32(1 << 31), (high >> 20) & jnp.uint32(0x7FF)
    mantissa = ((high & jnp.uint32(0xFFFFF)) << 3) | (low >> 29)
    is_nan = (exponent == 0x7FF) & (((high & jnp.uint32(0xFFFFF)) | low) != 0)
    inside = ((exponent - jnp.uint32(896)) << 23) | mantissa
    magnitude = jnp.where(exponent <= 896, jnp.uint32(0), jnp.where(exponent >= 1151, jnp.uint32(0x7F800000), inside))
    return lax.bitcast_convert_type(jnp.where(is_nan, jnp.uint32(0x7FC00000), sign | magnitude), jnp.float32)


def _report_of(raw):
    """The fields of a svdgrad_report_t: three doubles (float32 without jax_enable_x64), two 32-bit integers."""
    words = lax.bitcast_convert_type(raw.reshape(*raw.shape[:-1], 8, 4), jnp.uint32)
    if jax.config.jax_enable_x64:
        pairs = words[..., :6].reshape(*words.shape[:-1], 3, 2)
        reals = [lax.bitcast_convert_type(pairs[..., i, :], jnp.float64) for i in range(3)]
    else:
        reals = [_words_to_real(words[..., 2 * i], words[..., 2 * i + 1]) for i in range(3)]
    return Report(*reals, *(lax.bitcast_convert_type(words[..., i], jnp.int32) for i in (6, 7)))


def _svd_report(a, S, U, Vh, attributes):
    """The report of a tangent that turns every pair of singular vectors: E = U^H dA V has ones everywhere."""
    a, S, U, Vh = map(lax.stop_gradient, (a, S, U, Vh))
    r = S.shape[-1]
    da = jnp.sum(U[..., :r], -1)[..., :, None] * jnp.sum(Vh[..., :r, :], -2)[..., None, :]
    raw = _xla.call(_svd_report_p, [_needed(a, attributes), S, U, Vh, da], attributes, 0b1000)[3]
    return _report_of(raw)


def _function_report(a, attributes):
    a = lax.stop_gradient(a)
    S, U, Vh, _ = _svd(a, Attributes(batch_invariant=attributes.batch_invariant))
    rows = jnp.sum(Vh, -2)
    columns = jnp.sum(U, -1) if attributes.form == UVH else _conj(rows)
    gY = columns[..., :, None] * rows[..., None, :]
    return _report_of(_xla.call(_function_report_p, [S, U, Vh, gY, None, None], attributes, 0b11)[1])


# ---- compiled bodies of the functions below; all but the arrays is static

_LOW = (jnp.bfloat16, jnp.float16)


def _compute_type(dtype):
    """The type in which an array of this type is computed."""
    if dtype in _LOW:
        return np.dtype(np.float32)
    if not jnp.issubdtype(dtype, jnp.inexact):
        return jax.dtypes.canonicalize_dtype(np.float64)
    if np.dtype(dtype).char not in "fdFD":
        raise TypeError(f"array type {np.dtype(dtype).name} is unsupported in svdgrad")
    return np.dtype(dtype)


def _upcast(a):
    return a.astype(_compute_type(a.dtype))


def _downcast(x, a):
    """Back to bfloat16 or float16 where the argument was of that type."""
    return x.astype(a.dtype) if a.dtype in _LOW else x


_static = functools.partial(jax.jit, static_argnums=(1, 2, 3))


@_static
def _svd_body(a, attributes, raises, report):
    A = _upcast(a)
    S, U, Vh, info = _svd(A, attributes, raises)
    further = _svd_report(A, S, U, Vh, attributes) if report else None
    return _downcast(U, a), _downcast(S, a), _downcast(Vh, a), info, further


@_static
def _svdvals_body(a, attributes, raises, report):
    A = _upcast(a)
    S, info = _svdvals(A, attributes, raises)
    further = None
    if report:
        _, U, Vh, _ = _svd(lax.stop_gradient(A), attributes)
        further = _svd_report(A, S, U, Vh, attributes)
    return _downcast(S, a), info, further


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _function_body(a, name, attributes, raises, report):
    A = _upcast(a)
    y, _, _, _, info = _function_p.bind(A, attributes=attributes, raises=raises, function=name)
    y = xp.H(y) if FUNCTIONS[name].adjoint else y
    return _downcast(y, a), info, _function_report(A, attributes) if report else None


@_static
def _norm_body(a, attributes, raises, name):
    value, _, info = _xla.call(_norm_p, [_upcast(a), None], attributes, 0b101, raises, name)
    return _downcast(value, a), info


@functools.partial(jax.jit, static_argnums=(1, 2))
def _slogdet_body(a, attributes, raises):
    sign, log_abs, info = _determinant_values(_upcast(a), attributes, raises, "slogdet")
    return _downcast(sign, a), _downcast(log_abs, a), info


def _start(A, u, v):
    """u and v with the type and the batch of A."""
    m, n = A.shape[-2:]
    batch = jnp.broadcast_shapes(A.shape[:-2], u.shape[:-1], v.shape[:-1])
    A = jnp.broadcast_to(A, (*batch, m, n))
    return A, jnp.broadcast_to(u.astype(A.dtype), (*batch, m)), jnp.broadcast_to(v.astype(A.dtype), (*batch, n))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _power_iteration_body(a, u, v, attributes, raises):
    operands = _start(_upcast(a), u, v)
    results = _xla.call(_power_iteration_p, operands, attributes, 0b11111, raises, "power_iteration")
    return *(_downcast(x, a) for x in results[:4]), results[4]


@functools.partial(jax.jit, static_argnums=(3, 4))
def _spectral_normalize_body(a, u, v, attributes, raises):
    operands = _start(_upcast(a), u, v)
    u, v, sigma, _, y, info = _xla.call(
        _spectral_normalize_p, operands, attributes, 0b110111, raises, "spectral_normalize"
    )
    return *(_downcast(x, a) for x in (y, u, v, sigma)), info


# ---- arguments and results


def _array(a, name, least):
    a = a if isinstance(a, jax.Array) else jnp.asarray(a)
    if a.ndim < least:
        raise ValueError(f"{name}: {a.ndim}-dimensional array given, must be at least {least}-dimensional")
    return a


def _finish(base, values, errors, info, report=None):
    """The result: `values` in a tuple of type `base` (a single array where base is None), and the fields asked for."""
    if errors != "info" and report is None:
        return values[0] if base is None else base(*values)
    names = (("info",) if errors == "info" else ()) + (("report",) if report is not None else ())
    further = ([info] if errors == "info" else []) + ([report] if report is not None else [])
    return _extended(base or jax.Array, names)(*values, *further)


def _raises(errors):
    return check_errors(errors) == "raise"


@functools.lru_cache(maxsize=4096)
def _svd_attributes(m, n, full_matrices, rank, gap_policy, batch_invariant):
    rank = check_rank(rank, m, n)
    full_matrices = bool(full_matrices) and not rank
    return Attributes(rank=rank, full_matrices=int(full_matrices), **shared_attributes(gap_policy, batch_invariant))


def svd(a, full_matrices=True, compute_uv=True, *, rank=None, errors="nan", gap_policy="default", report=False,
        batch_invariant=False):  # fmt: skip
    """Singular value decomposition A = U @ diag(S) @ Vh of each matrix: SVDResult(U, S, Vh).

    a              (..., m, n)
    full_matrices  True: U is (..., m, m) and Vh (..., n, n); False: (..., m, k) and (..., k, n)
    compute_uv     False: S alone is returned
    rank           the leading triplets alone: S is (..., rank), U (..., m, rank), Vh (..., rank, n)

    S is in descending order and real.  Derivatives: Townsend, "Differentiating the singular value decomposition", 2016;
    Wan and Zhang, arXiv:1909.02659; at ties the singular term is dropped, so no gradient is NaN.
    Raises ValueError for arrays of less than two dimensions and for a bad rank.
    """
    if not compute_uv:
        return svdvals(a, rank=rank, errors=errors, gap_policy=gap_policy, batch_invariant=batch_invariant, report=report)
    a = _array(a, "a", 2)
    attributes = _svd_attributes(*a.shape[-2:], full_matrices and rank is None, rank, gap_policy, batch_invariant)
    U, S, Vh, info, further = _svd_body(a, attributes, _raises(errors), bool(report))
    return _finish(SVDResult, (U, S, Vh), errors, info, further)


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd()."""
    a = _array(a, "a", 2)
    attributes = _svd_attributes(*a.shape[-2:], False, rank, gap_policy, batch_invariant)
    S, info, further = _svdvals_body(a, attributes, _raises(errors), bool(report))
    return _finish(None, (S,), errors, info, further)


def _function(name, a, value, relative, errors, gap_policy, batch_invariant, report):
    a = _array(a, "a", 2)
    shared = shared_attributes(gap_policy, batch_invariant)
    attributes = Attributes(**function_attributes(name, *a.shape[-2:], value, relative), **shared)
    y, info, further = _function_body(a, name, attributes, _raises(errors), bool(report))
    return _finish(None, (y,), errors, info, further)


def low_rank(a, rank, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest matrix of rank at most `rank` (Eckart and Young): the leading triplets alone.  (..., m, n)"""
    return _function("low_rank", a, rank, False, errors, gap_policy, batch_invariant, report)


def polar(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _function("polar", a, None, False, errors, gap_policy, batch_invariant, report)


def nearest_rotation(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)

    Complex types have derivatives of order one."""
    return _function("nearest_rotation", a, None, False, errors, gap_policy, batch_invariant, report)


def soft_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values max(s - t, 0): the proximal map of the nuclear norm.  `relative`: t is in units of s_1.
    (..., m, n)"""
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


def _report_on(a, gap_policy, batch_invariant):
    """The report on the whole SVD of what is differentiated without its vectors: norms, determinants, iterations."""
    return svd(a, full_matrices=False, gap_policy=gap_policy, batch_invariant=batch_invariant, report=True).report


def _norm(name, kind, a, p, errors, gap_policy, batch_invariant, report):
    a = _array(a, "a", 2)
    attributes = Attributes(kind=kind, param=p, **shared_attributes(gap_policy, batch_invariant))
    value, info = _norm_body(a, attributes, _raises(errors), name)
    return _finish(None, (value,), errors, info, _report_on(a, gap_policy, batch_invariant) if report else None)


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the singular values, (...), real."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy, batch_invariant, report)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Largest singular value, (...), real."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1 is the nuclear norm, 2 the Frobenius norm, infinity the
    spectral norm."""
    if isinstance(p, (float, np.floating)) and p == math.inf:
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
    a = _array(a, "a", 2)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"slogdet: the matrices are {a.shape[-2]}-by-{a.shape[-1]}, must be square")
    sign, log_abs, info = _slogdet_body(a, Attributes(**shared_attributes(gap_policy, batch_invariant)), _raises(errors))
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish(SlogdetResult, (sign, log_abs), errors, info, further)


def _iteration_arguments(a, u, v, iterations, gap_policy, batch_invariant):
    a, u = _array(a, "a", 2), _array(u, "u", 1)
    v = jnp.zeros(a.shape[-1:], u.dtype) if v is None else _array(v, "v", 1)
    for name, vector, length in (("u", u, a.shape[-2]), ("v", v, a.shape[-1])):
        if vector.shape[-1] != length:
            raise ValueError(f"{name} has {vector.shape[-1]} entries, must have {length}")
    return a, u, v, Attributes(iterations=check_iterations(iterations), **shared_attributes(gap_policy, batch_invariant))


def power_iteration(
    a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False, batch_invariant=False
):
    """`iterations` times v = A^H u / |A^H u|, u = A v / |A v|, from u (..., m) and v (..., n; read only for 0
    iterations).

    Returns PowerIterationResult(u, v, sigma, residual); a singular value lies within `residual` of sigma.  Derivatives
    hold u and v: d sigma = Re(u^H dA v).
    """
    a, u, v, attributes = _iteration_arguments(a, u, v, iterations, gap_policy, batch_invariant)
    *values, info = _power_iteration_body(a, u, v, attributes, _raises(errors))
    return _finish(PowerIterationResult, values, errors, info, _report_on(a, gap_policy, batch_invariant) if report else None)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma).
    Derivatives hold u and v."""
    a, u, v, attributes = _iteration_arguments(a, u, v, iterations, gap_policy, batch_invariant)
    *values, info = _spectral_normalize_body(a, u, v, attributes, _raises(errors))
    further = _report_on(a, gap_policy, batch_invariant) if report else None
    return _finish(SpectralNormalizeResult, values, errors, info, further)


def export_checks():
    """What jax.export.export(..., disabled_checks=) takes: it wants to be told which foreign functions may be
    exported."""
    from jax import export

    return [export.DisabledSafetyCheck.custom_call(op.target) for op in _xla.OPERATIONS.values()]
