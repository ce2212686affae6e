# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for JAX: names, defaults and types of jax.numpy.linalg.

Arrays have the shape (..., m, n); k = min(m, n).  float32, float64, complex64 and complex128 keep their type; bfloat16
and float16 are computed in float32; integers become JAX's default type of real numbers.  Everything works under jit,
vmap, grad, jvp, jacfwd, jacrev and hessian, to any order, in shard_map, and sharded over the dimensions of the batch,
without communication.  Gradients are in JAX's convention (dL/dRe - i dL/dIm).

Options of all functions:
  errors          "nan": what a bad matrix gives is NaN, and the others are what they would be without it; "raise": the
                  computation fails, in jit too, and the error (jax.errors.JaxRuntimeError, when the result is awaited)
                  names the matrix; CPU only; "info": the result has one more field `info`, int32 of shape (...), 0
                  fine, 1 not converged, 2 NaN or infinity in the input, 3 a result overflows.
  gap_policy      what gradients do where singular values are close: "default", "exact", "noise_floor", ("mask", x),
                  ("lorentz", x).  Derivatives of order two and more know no noise floor: they take the default.
  report          True: one more field `report`, see svdgrad.Report.  Without effect on norms, determinants and
                  iterations, whose derivatives divide by no gap.
  batch_invariant True promises that a matrix gives the same bits whatever the batch.  It does so today in any case.

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
from jax.interpreters import ad, mlir

from . import _xla
from . import gradients as formulas
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
    gap_attributes,
)

__all__ = [
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power",
    "pinv", "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet",
    "power_iteration", "spectral_normalize", "export_checks",
]  # fmt: skip


# ---- what gradients.py asks of a framework


class _Adapter:
    real, conj, abs, where, minimum = jnp.real, jnp.conj, jnp.abs, jnp.where, jnp.minimum
    stop, solve, det = lax.stop_gradient, jnp.linalg.solve, jnp.linalg.det
    sum = staticmethod(lambda x, axis: jnp.sum(x, axis))
    concatenate = staticmethod(lambda arrays, axis: jnp.concatenate(arrays, axis))
    cast = staticmethod(lambda x, like: x.astype(like.dtype))
    eye = staticmethod(lambda k, like: jnp.eye(k, dtype=_xla.real_type(like.dtype)))
    constant = staticmethod(lambda values, like: jnp.asarray(values, _xla.real_type(like.dtype)))
    eps = staticmethod(lambda x: float(jnp.finfo(x.dtype).eps))

    @staticmethod
    def H(x):
        return jnp.conj(jnp.swapaxes(x, -1, -2))


for _name in ("real", "conj", "abs", "where", "minimum", "stop", "solve", "det"):
    setattr(_Adapter, _name, staticmethod(getattr(_Adapter, _name)))
xp = _Adapter


# ---- tangents


def _is_zero(tangent):
    return type(tangent) is ad.Zero


def _zero(x):
    return ad.Zero(jax.typeof(x).to_tangent_aval())


def _conj(x):
    """C's gradients are the conjugates of JAX's."""
    return jnp.conj(x) if x is not None and jnp.iscomplexobj(x) else x


def _present(cotangent):
    return None if _is_zero(cotangent) else cotangent


def _formula_tangent(formula, primals, tangents):
    """Tangent of formula(*primals); None where all tangents are zero."""
    moving = [i for i, t in enumerate(tangents) if t is not None and not _is_zero(t)]
    if not moving:
        return None

    def of_moving(*values):
        arguments = list(primals)
        for i, value in zip(moving, values):
            arguments[i] = value
        return formula(*arguments)

    return jax.jvp(of_moving, [primals[i] for i in moving], [tangents[i] for i in moving])[1]


def _sum_of(tangents, like):
    """The sum of two lists of tangents, either of which may be None."""
    first, second = tangents
    if first is None and second is None:
        return [_zero(x) for x in like]
    if first is None or second is None:
        return list(first if second is None else second)
    return [x + y for x, y in zip(first, second)]


def _expand(arguments, inputs, count):
    """The operands of an operation in their places, None where they are absent."""
    arguments = iter(arguments)
    return [next(arguments) if inputs >> i & 1 else None for i in range(count)]


# ---- the SVD: svd and svdvals, their tangent, and the transpose of that

_svd_p = _xla.define_operation("svd")
_svd_jvp_p = _xla.define_operation("svd_jvp")
_svd_backward_p = _xla.define_operation("svd_backward")
_svd_report_p = _xla.define_operation("svd_jvp")  # outputs the report alone; has no derivative
_S_U_VH, _ALL_OF_SVD, _VALUES_OF_SVD = 0b0111, 0b1111, 0b1001


def _svd(a, attributes, raises=False, function="svd"):
    return _xla.call(_svd_p, [a], attributes, _ALL_OF_SVD, raises, function)


def _svdvals(a, attributes, raises=False, function="svdvals"):
    S, _, _, info = _xla.call(_svd_p, [a], attributes, _VALUES_OF_SVD, raises, function)
    return S, info


def _svd_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    (a,), (da,) = primals, tangents
    with_vectors = outputs == _ALL_OF_SVD
    S, U, Vh, info = _svd(a, attributes, raises, function)
    results = [S, U, Vh, info] if with_vectors else [S, info]
    if _is_zero(da):
        return results, [_zero(x) for x in results]
    wanted = _S_U_VH if with_vectors else 1
    d = _xla.call(_svd_jvp_p, [_needed(a, attributes), S, U, Vh, da], attributes, wanted)
    return results, [*(x for x in d if x is not None), _zero(info)]


def _needed(a, attributes):
    """A itself, which derivatives of a truncated SVD take."""
    return a if attributes.rank else None


def _svd_jvp_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    results = _svd_jvp_p.bind(
        *primals, attributes=attributes, inputs=inputs, outputs=outputs, raises=raises, function=function
    )
    full, dot = _expand(primals, inputs, 5), _expand(tangents, inputs, 5)

    def formula(a, S, U, Vh, da):
        d = formulas.svd_jvp_formula(xp, S, U, Vh, da, attributes, a)
        return [x for j, x in enumerate(d) if outputs >> j & 1]

    linear = None
    if not _is_zero(dot[4]):
        d = _xla.call(_svd_jvp_p, [*full[:4], dot[4]], attributes, outputs)
        linear = [x for x in d if x is not None]
    return results, _sum_of((linear, _formula_tangent(formula, full, [*dot[:4], None])), results)


def _svd_jvp_transpose(cotangents, *operands, attributes, inputs, outputs, raises, function):
    a, S, U, Vh, da = _expand(operands, inputs, 5)
    cotangents = iter(cotangents)
    gS, gU, gVh = (_present(next(cotangents)) if outputs >> j & 1 else None for j in range(3))
    nothing = [None] * (len(operands) - 1)
    if gS is None and gU is None and gVh is None:
        return [*nothing, ad.Zero(da.aval)]
    gA, _ = _xla.call(_svd_backward_p, [a, S, U, Vh, gS, _conj(gU), _conj(gVh)], attributes, 1)
    return [*nothing, _conj(gA)]


def _svd_backward_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    results = _svd_backward_p.bind(
        *primals, attributes=attributes, inputs=inputs, outputs=outputs, raises=raises, function=function
    )
    full, dot = _expand(primals, inputs, 7), _expand(tangents, inputs, 7)

    def formula(a, S, U, Vh, gS, gU, gVh):
        return [formulas.svd_vjp_formula(xp, S, U, Vh, gS, gU, gVh, attributes, a)]

    g = [None if x is None or _is_zero(x) else x for x in dot[4:]]
    linear = None
    if any(x is not None for x in g):
        linear = _xla.call(_svd_backward_p, [*full[:4], *g], attributes, 1)[:1]
    return results, _sum_of((linear, _formula_tangent(formula, full, [*dot[:4], None, None, None])), results)


def _svd_backward_transpose(cotangents, *operands, attributes, inputs, outputs, raises, function):
    """The map from gS, gU, gVh to gA is the adjoint of that from dA to dS, dU, dVh."""
    a, S, U, Vh, *g = _expand(operands, inputs, 7)
    (ct,) = cotangents
    asked = [x is not None and ad.is_undefined_primal(x) for x in g]
    if _is_zero(ct):
        d = [ad.Zero(x.aval) if is_asked else None for x, is_asked in zip(g, asked)]
    else:
        wanted = sum(1 << j for j, is_asked in enumerate(asked) if is_asked)
        d = _xla.call(_svd_jvp_p, [a, S, U, Vh, _conj(ct)], attributes, wanted)[:3]
        d = [d[0], _conj(d[1]), _conj(d[2])]
    residuals = [None] * sum(x is not None for x in (a, S, U, Vh))
    return [*residuals, *(x for x, given in zip(d, g) if given is not None)]


ad.primitive_jvps[_svd_p] = _svd_tangent
ad.primitive_jvps[_svd_jvp_p] = _svd_jvp_tangent
ad.primitive_jvps[_svd_backward_p] = _svd_backward_tangent
ad.primitive_transposes[_svd_jvp_p] = _svd_jvp_transpose
ad.primitive_transposes[_svd_backward_p] = _svd_backward_transpose


# ---- functions of the singular values: A -> Y, info; the tangent and its transpose take S, U, Vh

_function_of_factors_p = _xla.define_operation("function")
_function_backward_p = _xla.define_operation("function_backward")
_function_report_p = _xla.define_operation("function_backward")  # outputs the report too; has no derivative


def _is_self_adjoint(attributes):
    return attributes.form == UVH and not attributes.relative


def _factors_only(attributes):
    return Attributes(gap_policy=attributes.gap_policy, gap_param=attributes.gap_param)


def _function_value(a, attributes, raises, function):
    S, U, Vh, info = _svd(a, _factors_only(attributes), raises, function)
    (y,) = _xla.call(_function_of_factors_p, [S, U, Vh, None, None], attributes, 1)
    return y, S, U, Vh, info


def _shape_of_function(a, attributes):
    m, n = a.shape[-2:]
    return _xla.like(a, (m if attributes.form == UVH else n, n), a.dtype, 2, 2)


def _function_shapes(a, *, attributes, raises, function):
    """Y, S, U, Vh, info.  The factors are there for the derivatives, which need them and theirs."""
    m, n = a.shape[-2:]
    k = min(m, n)
    factors = [
        ((k,), _xla.real_type(a.dtype), 1),
        ((m, k), a.dtype, 2),
        ((k, n), a.dtype, 2),
        ((), np.dtype(np.int32), 0),
    ]
    return [_shape_of_function(a, attributes), *(_xla.like(a, shape, dtype, rank, 2) for shape, dtype, rank in factors)]


_function_p = _xla.define("svdgrad_function_of_matrix", _function_shapes)
mlir.register_lowering(_function_p, mlir.lower_fun(_function_value, True))


def _function_tangent(primals, tangents, *, attributes, raises, function):
    (a,), (da,) = primals, tangents
    results = _function_p.bind(a, attributes=attributes, raises=raises, function=function)
    if _is_zero(da):
        return results, [_zero(x) for x in results]
    _, S, U, Vh, info = results
    if _is_self_adjoint(attributes):
        dy = _function_gradient(S, U, Vh, da, attributes)
    else:
        (dy,) = _function_jvp_p.bind(*_xla._vary_alike([S, U, Vh, da]), attributes=attributes)
    factors = _xla.call(_svd_jvp_p, [None, S, U, Vh, da], _factors_only(attributes), _S_U_VH)[:3]
    return results, [dy, *factors, _zero(info)]


def _function_gradient(S, U, Vh, gY, attributes):
    return _xla.call(_function_backward_p, [S, U, Vh, gY, None, None], attributes, 1)[0]


def _has_second_derivative(attributes, dtype):
    if attributes.kind == formulas.ROTATION and jnp.issubdtype(dtype, jnp.complexfloating):
        raise NotImplementedError("nearest_rotation: complex types have no derivatives of order two")


def _function_backward_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    S, U, Vh, gY = primals
    results = [_function_gradient(S, U, Vh, gY, attributes)]
    linear = None if _is_zero(tangents[3]) else [_function_gradient(S, U, Vh, tangents[3], attributes)]
    _has_second_derivative(attributes, U.dtype)

    def formula(S, U, Vh, gY):
        return [formulas.function_vjp_formula(xp, S, U, Vh, gY, attributes)]

    return results, _sum_of((linear, _formula_tangent(formula, primals, [*tangents[:3], None])), results)


def _function_backward_transpose(cotangents, S, U, Vh, gY, *, attributes, inputs, outputs, raises, function):
    (ct,) = cotangents
    if _is_zero(ct):
        return [None, None, None, ad.Zero(gY.aval)]
    if _is_self_adjoint(attributes):
        return [None, None, None, _conj(_function_gradient(S, U, Vh, _conj(ct), attributes))]
    (dy,) = _function_jvp_p.bind(*_xla._vary_alike([S, U, Vh, _conj(ct)]), attributes=attributes)
    return [None, None, None, _conj(dy)]


def _function_jvp_formula(S, U, Vh, da, *, attributes):
    return [formulas.function_jvp_formula(xp, S, U, Vh, da, attributes)]


def _function_jvp_shapes(S, U, Vh, da, *, attributes):
    return [_shape_of_function(da, attributes)]


# The tangent where it is not the same map as the gradient: functions of A^H A, and thresholds relative to s_1.
_function_jvp_p = _xla.define("svdgrad_function_jvp", _function_jvp_shapes)
mlir.register_lowering(_function_jvp_p, mlir.lower_fun(_function_jvp_formula, True))


def _function_jvp_tangent(primals, tangents, *, attributes):
    results = _function_jvp_p.bind(*primals, attributes=attributes)
    linear = None
    if not _is_zero(tangents[3]):
        linear = _function_jvp_p.bind(*_xla._vary_alike([*primals[:3], tangents[3]]), attributes=attributes)
    formula = functools.partial(_function_jvp_formula, attributes=attributes)
    return results, _sum_of((linear, _formula_tangent(formula, primals, [*tangents[:3], None])), results)


def _function_jvp_transpose(cotangents, S, U, Vh, da, *, attributes):
    (ct,) = cotangents
    if _is_zero(ct):
        return [None, None, None, ad.Zero(da.aval)]
    return [None, None, None, _conj(_function_gradient(S, U, Vh, _conj(ct), attributes))]


ad.primitive_jvps[_function_p] = _function_tangent
ad.primitive_jvps[_function_backward_p] = _function_backward_tangent
ad.primitive_jvps[_function_jvp_p] = _function_jvp_tangent
ad.primitive_transposes[_function_backward_p] = _function_backward_transpose
ad.primitive_transposes[_function_jvp_p] = _function_jvp_transpose


def _function_of_kind(gap):
    """function(kind, a, param) of gradients.norm_gradient_formula()."""

    def function(kind, a, param):
        attributes = Attributes(kind=kind, param=float(param), **gap)
        return _function_p.bind(a, attributes=attributes, raises=False, function="")[0]

    return function


def _gap_of(attributes):
    return {"gap_policy": attributes.gap_policy, "gap_param": attributes.gap_param}


# ---- norms: A -> value, info; with the gradient: A -> value, G, info

_norm_p = _xla.define_operation("norm")
_norm_gradient_p = _xla.define_operation("norm")
_NORMS = {NUCLEAR: "nuclear_norm", SPECTRAL: "spectral_norm", SCHATTEN: "schatten_norm", LOG_DETERMINANT: "logabsdet"}


def _inner(G, da):
    """sum of conj(G) dA: the derivative along dA, where G is a gradient in C's convention."""
    return jnp.sum(_conj(G) * da, (-2, -1))


def _norm_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    (a,), (da,) = primals, tangents
    if _is_zero(da):
        value, _, info = _xla.call(_norm_p, [a, None], attributes, 0b101, raises, function)
        return [value, info], [_zero(value), _zero(info)]
    value, G, info = _xla.call(_norm_gradient_p, [a, None], attributes, 0b111, raises, function)
    return [value, info], [jnp.real(_inner(G, da)), _zero(info)]


def _norm_gradient_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    (a,), (da,) = primals, tangents
    value, G, info = _xla.call(_norm_gradient_p, [a, None], attributes, 0b111, raises, function)
    if _is_zero(da):
        return [value, G, info], [_zero(value), _zero(G), _zero(info)]

    def formula(a):
        value = _xla.call(_norm_p, [a, None], attributes, 0b101)[0]
        function = _function_of_kind(_gap_of(attributes))
        return formulas.norm_gradient_formula(xp, function, _NORMS[attributes.kind], a, value, attributes.param)

    dG = _formula_tangent(formula, [a], [da])
    return [value, G, info], [jnp.real(_inner(G, da)), dG, _zero(info)]


ad.primitive_jvps[_norm_p] = _norm_tangent
ad.primitive_jvps[_norm_gradient_p] = _norm_gradient_tangent


# ---- sign and log |det|: A -> sign, log_abs, info; with G, the gradient of log |det|

_determinant_p = _xla.define_operation("determinant")
_determinant_gradient_p = _xla.define_operation("determinant")


def _determinant_values(a, attributes, raises, function):
    results = _xla.call(_determinant_p, [a, None, None, None], attributes, 0b10110, raises, function)
    return [results[1], results[2], results[4]]


def _determinant_gradient(a, attributes, raises, function):
    one = jnp.ones(a.shape[:-2], _xla.real_type(a.dtype))
    results = _xla.call(_determinant_gradient_p, [a, None, None, one], attributes, 0b11110, raises, function)
    return results[1:]


def _sign_and_log_tangents(sign, G, da):
    """d log det = tr(A^-1 dA): its real part changes the modulus, its imaginary part turns the sign."""
    change = _inner(G, da)
    if not jnp.iscomplexobj(G):
        return _zero(sign), change
    return sign * (1j * jnp.imag(change)).astype(sign.dtype), jnp.real(change)


def _determinant_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    (a,), (da,) = primals, tangents
    if _is_zero(da):
        results = _determinant_values(a, attributes, raises, function)
        return results, [_zero(x) for x in results]
    sign, log_abs, G, info = _determinant_gradient(a, attributes, raises, function)
    return [sign, log_abs, info], [*_sign_and_log_tangents(sign, G, da), _zero(info)]


def _determinant_gradient_tangent(primals, tangents, *, attributes, inputs, outputs, raises, function):
    """The gradient is taken of log |det| alone: the second operand is one."""
    a, da = primals[0], tangents[0]
    sign, log_abs, G, info = _determinant_gradient(a, attributes, raises, function)
    if _is_zero(da):
        results = [sign, log_abs, G, info]
        return results, [_zero(x) for x in results]
    of_kind = _function_of_kind(_gap_of(attributes))
    dG = _formula_tangent(lambda a: of_kind(formulas.POWER, a, -1.0), [a], [da])
    return [sign, log_abs, G, info], [*_sign_and_log_tangents(sign, G, da), dG, _zero(info)]


ad.primitive_jvps[_determinant_p] = _determinant_tangent
ad.primitive_jvps[_determinant_gradient_p] = _determinant_gradient_tangent


# ---- the power iteration; u and v are held in derivatives

_power_iteration_p = _xla.define_operation("power_iteration")
_spectral_normalize_p = _xla.define_operation("spectral_normalize")
_spectral_normalize_backward_p = _xla.define_operation("spectral_normalize_backward")


def _sigma_tangent(u, v, da):
    """d sigma = Re(u^H dA v)."""
    u, v = lax.stop_gradient(u), lax.stop_gradient(v)
    return jnp.real(jnp.einsum("...m,...mn,...n->...", _conj(u), da, v))


def _power_iteration_tangent(primals, tangents, **params):
    results = _power_iteration_p.bind(*primals, **params)
    zeros = [_zero(x) for x in results]
    if not _is_zero(tangents[0]):
        zeros[2] = _sigma_tangent(results[0], results[1], tangents[0])
    return results, zeros


def _spectral_normalize_tangent(primals, tangents, **params):
    results = _spectral_normalize_p.bind(*primals, **params)  # u, v, sigma, y, info
    zeros = [_zero(x) for x in results]
    if not _is_zero(tangents[0]):
        u, v, sigma = results[0], results[1], results[2]
        zeros[2] = _sigma_tangent(u, v, tangents[0])
        held = [lax.stop_gradient(u), lax.stop_gradient(v)]
        operands = _xla._vary_alike([primals[0], *held, sigma, tangents[0]])
        (zeros[3],) = _spectral_normalize_jvp_p.bind(*operands)
    return results, zeros


def _inverse_sigma(sigma, like):
    inverse = jnp.where(sigma > 0, 1 / jnp.where(sigma > 0, sigma, 1), 0)
    return inverse.astype(like.dtype)[..., None, None]


def _spectral_normalize_jvp_formula(a, u, v, sigma, da):
    """dY = dA / sigma - A / sigma^2 Re(u^H dA v)"""
    inverse = _inverse_sigma(sigma, a)
    change = _sigma_tangent(u, v, da).astype(a.dtype)[..., None, None]
    return [inverse * (da - (inverse * a) * change)]


def _spectral_normalize_vjp_formula(a, u, v, sigma, gy):
    """gA = gY / sigma - Re<A, gY> / sigma^2 u v^H"""
    inverse = _inverse_sigma(sigma, a)
    u, v = lax.stop_gradient(u), lax.stop_gradient(v)
    g = jnp.real(jnp.sum(_conj(inverse * a) * gy, (-2, -1), keepdims=True)).astype(a.dtype)
    return [inverse * (gy - g * (u[..., :, None] * _conj(v)[..., None, :]))]


_spectral_normalize_jvp_p = _xla.define(
    "svdgrad_spectral_normalize_jvp", lambda a, u, v, sigma, da: [_xla.like(a, a.shape[-2:], a.dtype, 2, 2)]
)
mlir.register_lowering(_spectral_normalize_jvp_p, mlir.lower_fun(_spectral_normalize_jvp_formula, True))


def _spectral_normalize_backward(*operands):
    return _xla.call(_spectral_normalize_backward_p, operands, Attributes(), 1)


def _linear_rules(primitive, apply, transposed, formula):
    """Rules of a primitive (a, u, v, sigma, x) -> y that is linear in x, and its transpose."""

    def tangent(primals, tangents, **params):
        results = apply(*primals)
        linear = None if _is_zero(tangents[4]) else apply(*primals[:4], tangents[4])
        return results, _sum_of((linear, _formula_tangent(formula, primals, [*tangents[:4], None])), results)

    def transpose(cotangents, a, u, v, sigma, x, **params):
        (ct,) = cotangents
        if _is_zero(ct):
            return [None] * 4 + [ad.Zero(x.aval)]
        return [None] * 4 + [_conj(transposed(a, u, v, sigma, _conj(ct))[0])]

    ad.primitive_jvps[primitive] = tangent
    ad.primitive_transposes[primitive] = transpose


def _spectral_normalize_jvp(*operands):
    return _spectral_normalize_jvp_p.bind(*_xla._vary_alike(list(operands)))


ad.primitive_jvps[_power_iteration_p] = _power_iteration_tangent
ad.primitive_jvps[_spectral_normalize_p] = _spectral_normalize_tangent
_linear_rules(
    _spectral_normalize_jvp_p, _spectral_normalize_jvp, _spectral_normalize_backward, _spectral_normalize_jvp_formula
)
_linear_rules(
    _spectral_normalize_backward_p,
    _spectral_normalize_backward,
    _spectral_normalize_jvp,
    _spectral_normalize_vjp_formula,
)


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
    S, U, Vh, _ = _svd(a, Attributes())
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
def _svd_attributes(m, n, full_matrices, rank, gap_policy):
    rank = check_rank(rank, m, n)
    return Attributes(rank=rank, full_matrices=int(bool(full_matrices) and not rank), **gap_attributes(gap_policy))


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
        return svdvals(a, rank=rank, errors=errors, gap_policy=gap_policy, report=report)
    a = _array(a, "a", 2)
    attributes = _svd_attributes(*a.shape[-2:], full_matrices and rank is None, rank, gap_policy)
    U, S, Vh, info, further = _svd_body(a, attributes, _raises(errors), bool(report))
    return _finish(SVDResult, (U, S, Vh), errors, info, further)


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd()."""
    a = _array(a, "a", 2)
    attributes = _svd_attributes(*a.shape[-2:], False, rank, gap_policy)
    S, info, further = _svdvals_body(a, attributes, _raises(errors), bool(report))
    return _finish(None, (S,), errors, info, further)


def _function(name, a, value, relative, errors, gap_policy, report):
    a = _array(a, "a", 2)
    attributes = Attributes(**function_attributes(name, *a.shape[-2:], value, relative), **gap_attributes(gap_policy))
    y, info, further = _function_body(a, name, attributes, _raises(errors), bool(report))
    return _finish(None, (y,), errors, info, further)


def low_rank(a, rank, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest matrix of rank at most `rank` (Eckart and Young): the leading triplets alone.  (..., m, n)"""
    return _function("low_rank", a, rank, False, errors, gap_policy, report)


def polar(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _function("polar", a, None, False, errors, gap_policy, report)


def nearest_rotation(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)

    Complex types have derivatives of order one."""
    return _function("nearest_rotation", a, None, False, errors, gap_policy, report)


def soft_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values max(s - t, 0): the proximal map of the nuclear norm.  `relative`: t is in units of s_1.
    (..., m, n)"""
    return _function("soft_threshold", a, t, relative, errors, gap_policy, report)


def hard_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values s where s > t, else 0.  `relative`: t is in units of s_1.  (..., m, n)"""
    return _function("hard_threshold", a, t, relative, errors, gap_policy, report)


def clip(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values min(s, t): the projection on the ball of the spectral norm.  `relative`: t is in units of s_1."""
    return _function("clip", a, t, relative, errors, gap_policy, report)


def power(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values s^p.  For p < 0, values of rounding noise give 0.  (..., m, n)"""
    return _function("power", a, p, False, errors, gap_policy, report)


def pinv(a, rcond=None, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Pseudo-inverse, (..., n, m): 1/s where s > rcond s_1.  None: max(m, n) eps, at most sqrt(eps)."""
    return _function("pinv", a, rcond, False, errors, gap_policy, report)


def whitening(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(A^H A)^(-1/2), (..., n, n), zero on the null space: a @ whitening(a) has orthonormal columns."""
    return _function("whitening", a, None, False, errors, gap_policy, report)


def sqrtm_gram(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(A^H A)^(1/2), (..., n, n): the Hermitian factor of the polar decomposition."""
    return _function("sqrtm_gram", a, None, False, errors, gap_policy, report)


def _norm(name, kind, a, p, errors, gap_policy):
    attributes = Attributes(kind=kind, param=p, **gap_attributes(gap_policy))
    value, info = _norm_body(_array(a, "a", 2), attributes, _raises(errors), name)
    return _finish(None, (value,), errors, info)


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the singular values, (...), real."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Largest singular value, (...), real."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1 is the nuclear norm, 2 the Frobenius norm, infinity the
    spectral norm."""
    if p == math.inf:
        return _norm("schatten_norm", SPECTRAL, a, 1.0, errors, gap_policy)
    p = check_number("schatten_norm: p", p)
    if p <= 0:
        raise ValueError(f"schatten_norm: p is {p}, must be > 0")
    return _norm("schatten_norm", SCHATTEN, a, p, errors, gap_policy)


def logabsdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the logarithms of the singular values, (...): log |det A| where m = n; -inf for a singular matrix."""
    return _norm("logabsdet", LOG_DETERMINANT, a, 1.0, errors, gap_policy)


def slogdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sign (of the element type) and log |det| of each matrix, SlogdetResult; 0 and -inf for a singular matrix."""
    a = _array(a, "a", 2)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"slogdet: the matrices are {a.shape[-2]}-by-{a.shape[-1]}, must be square")
    sign, log_abs, info = _slogdet_body(a, Attributes(**gap_attributes(gap_policy)), _raises(errors))
    return _finish(SlogdetResult, (sign, log_abs), errors, info)


def _iteration_arguments(a, u, v, iterations, gap_policy):
    a, u = _array(a, "a", 2), _array(u, "u", 1)
    v = jnp.zeros(a.shape[-1:], u.dtype) if v is None else _array(v, "v", 1)
    for name, vector, length in (("u", u, a.shape[-2]), ("v", v, a.shape[-1])):
        if vector.shape[-1] != length:
            raise ValueError(f"{name} has {vector.shape[-1]} entries, must have {length}")
    return a, u, v, Attributes(iterations=check_iterations(iterations), **gap_attributes(gap_policy))


def power_iteration(
    a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False, batch_invariant=False
):
    """`iterations` times v = A^H u / |A^H u|, u = A v / |A v|, from u (..., m) and v (..., n; read only for 0
    iterations).

    Returns PowerIterationResult(u, v, sigma, residual); a singular value lies within `residual` of sigma.  Derivatives
    hold u and v: d sigma = Re(u^H dA v).
    """
    a, u, v, attributes = _iteration_arguments(a, u, v, iterations, gap_policy)
    *values, info = _power_iteration_body(a, u, v, attributes, _raises(errors))
    return _finish(PowerIterationResult, values, errors, info)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma).
    Derivatives hold u and v."""
    a, u, v, attributes = _iteration_arguments(a, u, v, iterations, gap_policy)
    *values, info = _spectral_normalize_body(a, u, v, attributes, _raises(errors))
    return _finish(SpectralNormalizeResult, values, errors, info)


def export_checks():
    """What jax.export.export(..., disabled_checks=) takes: it wants to be told which foreign functions may be
    exported."""
    from jax import export

    return [export.DisabledSafetyCheck.custom_call(op.target) for op in _xla.OPERATIONS.values()]
