# SPDX-License-Identifier: BSD-3-Clause
"""Rules of differentiation of the primitives of JAX, of any order, forward and backward.

First derivatives are operations of the C library: each is a linear primitive, whose transpose is another one.  Their
own derivatives are the compositions of gradients.py.  C's gradients are dL/dRe + i dL/dIm, JAX's the conjugates."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, mlir

from . import _xla
from . import gradients as formulas
from .options import LOG_DETERMINANT, NUCLEAR, SCHATTEN, SPECTRAL, UVH, Attributes

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
    return attributes.shared()


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


def _function_of_kind(shared):
    """function(kind, a, param) of gradients.norm_gradient_formula()."""

    def function(kind, a, param):
        attributes = shared._replace(kind=kind, param=float(param))
        return _function_p.bind(a, attributes=attributes, raises=False, function="")[0]

    return function


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
        function = _function_of_kind(attributes.shared())
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
    of_kind = _function_of_kind(attributes.shared())
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
