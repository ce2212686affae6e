# SPDX-License-Identifier: BSD-3-Clause
"""The ops of csrc/tf_ops.c, and their gradients.

Each op takes the matrices A first.  S, U and Vh among its inputs are by contract those of A, so gradients flow to A
alone and to the inputs that are no factors.  Gradients of first order are ops of the C library; those of higher
order are ops too where there are some, else derivatives of formulas in TensorFlow's operations."""

from __future__ import annotations

import ctypes
import math
import os
from functools import lru_cache, partial

import numpy as np
import tensorflow as tf

from .gradients import POWER, function_jvp_formula, norm_gradient_formula, svd_vjp_formula
from .options import (
    INTEGER_NAMES,
    LOG_DETERMINANT,
    NUCLEAR,
    REAL_NAMES,
    REPORT_BYTES,
    SCHATTEN,
    SPECTRAL,
    UVH,
    Attributes,
)


def _load():
    path = os.path.join(os.path.dirname(__file__), "_tensorflow.so")
    library = tf.load_op_library(path)
    error = ctypes.CDLL(path).svdgrad_tensorflow_error
    error.restype = ctypes.c_char_p
    if error():
        raise ImportError(f"svdgrad.tensorflow: TensorFlow {tf.__version__}: {error().decode()}")
    return library


# For each op: number of the first input after A in the row of csrc/common.c; types of these inputs, T or real (R);
# whether R is not seen from them.
_ROWS = {
    "svd": (1, "", True),
    "svd_backward": (1, "RTTRTT", False),
    "svd_jvp": (1, "RTTT", False),
    "svd_backward_backward": (0, "RTTRTTT", False),
    "function": (0, "RTTRR", False),
    "function_backward": (0, "RTTTRR", False),
    "norm": (1, "R", False),
    "determinant": (1, "TTR", False),
    "power_iteration": (1, "TT", True),
    "spectral_normalize": (1, "TT", True),
    "spectral_normalize_backward": (1, "TTRT", False),
}
_LIBRARY = _load()
REAL = {tf.float32: tf.float32, tf.float64: tf.float64, tf.complex64: tf.float32, tf.complex128: tf.float64}
_OPS = {name: getattr(_LIBRARY, "svdgrad_" + name) for name in _ROWS}


@lru_cache(maxsize=4096)
def _options(attributes, absent_inputs, absent_outputs, raise_as, gives_v=0):
    """The attribute `options` of an op, see csrc/tf_ops.c."""
    values = [f"{name}={value}" for name, value in zip(INTEGER_NAMES, attributes.integers()) if value]
    for name, value in zip(REAL_NAMES, attributes.reals()):
        fraction, exponent = math.frexp(value)
        if value:
            values.append(f"{name}={int(fraction * 2**53)}*2^{exponent - 53}")
    further = {
        "absent_inputs": absent_inputs,
        "absent_outputs": absent_outputs,
        "gives_v": gives_v,
        "raise_as": raise_as,
    }
    return " ".join(values + [f"{name}={value}" for name, value in further.items() if value])


@lru_cache(maxsize=4096)
def _parsed(options):
    """(attributes, absent_inputs, absent_outputs) from the text of _options()."""
    found = dict(option.split("=") for option in options.decode().split())
    absent = [int(found.pop(name, "0")) for name in ("absent_inputs", "absent_outputs")]
    found.pop("gives_v", None), found.pop("raise_as", None)
    for name, value in found.items():
        fraction, _, exponent = value.partition("*2^")
        found[name] = math.ldexp(int(fraction), int(exponent)) if exponent else int(fraction)
    return Attributes(**found), *absent


def _check_compiler(name):
    """XLA has no kernel of ours; its own error comes late and says less."""
    try:
        from tensorflow.python.ops import control_flow_util

        in_xla = control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
    except (ImportError, AttributeError):
        return
    if in_xla:
        raise NotImplementedError(
            f"svdgrad.tensorflow: {name} has no kernel for XLA: call it outside of the functions with "
            "jit_compile=True, from a tf.function without it that may call them; in Keras, "
            "model.compile(..., jit_compile=False)"
        )


def _run(name, a, inputs, attributes, absent_outputs=0, raise_as=""):
    """Runs the op on the matrices `a` and the further inputs of its row; None: absent."""
    first, kinds, needs_real = _ROWS[name]
    absent = 0
    for i, x in enumerate(inputs):
        if x is None:
            absent |= 1 << (i + first)
    if absent:
        inputs = [_anything(a, kind) if x is None else x for x, kind in zip(inputs, kinds)]
    if not tf.executing_eagerly():
        _check_compiler(name)
    options = _options(attributes, absent, absent_outputs, raise_as)
    if needs_real:
        return _OPS[name](a, *inputs, REAL[a.dtype], options)
    return _OPS[name](a, *inputs, options)


def _anything(a, kind):
    """A tensor in place of one that is absent."""
    return a if kind == "T" or a.dtype.is_floating else tf.zeros([], a.dtype.real_dtype)


def _set_shapes(a, attributes, **tensors):
    """Writes into a graph what the shape function of the op cannot know; the names are those of the operands."""
    if tf.executing_eagerly():
        return
    batch, (m, n) = a.shape[:-2], a.shape[-2:] if a.shape.rank is not None else (None, None)
    r = attributes.rank or (None if m is None or n is None else min(m, n))
    full = attributes.full_matrices
    shapes = {"S": [r], "U": [m, m if full else r], "Vh": [n if full else r, n], "V": [n, n if full else r],
              "A": [m, n], "value": [], "Y": [n if attributes.form else m, n],
              "report": [REPORT_BYTES], "info": []}  # fmt: skip
    for name, tensor in tensors.items():
        tensor.set_shape(batch.concatenate(shapes[name]))


# ---- the ops, by name


def svd(a, attributes, values_only=False, raise_as=""):
    """S, U, Vh, info; U and Vh have no elements where only the values are wanted."""
    outputs = _OPS["svd"](a, REAL[a.dtype], _options(attributes, 0, 6 if values_only else 0, raise_as))
    if not tf.executing_eagerly():
        _check_compiler("svd")
        S, U, Vh, _ = outputs
        _set_shapes(a, attributes, S=S, **({} if values_only else {"U": U, "Vh": Vh}))
    return outputs


def svd_with_v(a, attributes):
    """S, U, V."""
    S, U, V, _ = _OPS["svd"](a, REAL[a.dtype], _options(attributes, 0, 0, "", 1))
    if not tf.executing_eagerly():
        _check_compiler("svd")
        _set_shapes(a, attributes, S=S, U=U, V=V)
    return S, U, V


def svd_backward(a, S, U, Vh, gS, gU, gVh, attributes):
    return _run("svd_backward", a, (S, U, Vh, gS, gU, gVh), attributes, 2)[0]


def svd_jvp(a, S, U, Vh, dA, attributes):
    dS, dU, dVh, _ = _run("svd_jvp", a, (S, U, Vh, dA), attributes, 8)
    _set_shapes(a, attributes, S=dS, U=dU, Vh=dVh)
    return dS, dU, dVh


def svd_report(a, S, U, Vh, dA, attributes):
    raw = _run("svd_jvp", a, (S, U, Vh, dA), attributes, 7)[3]
    _set_shapes(a, attributes, report=raw)
    return raw


def function(a, S, U, Vh, attributes, f=None, df=None):
    """U f(S) Vh, or V f(S) Vh, as a function of `a`."""
    Y = _run("function", a, (S, U, Vh, f, df), attributes)
    _set_shapes(a, attributes, Y=Y)
    return Y


def function_backward(a, S, U, Vh, gY, attributes, f=None, df=None):
    return _run("function_backward", a, (S, U, Vh, gY, f, df), attributes, 2)[0]


def function_report(a, S, U, Vh, gY, attributes):
    raw = _run("function_backward", a, (S, U, Vh, gY, None, None), attributes)[1]
    _set_shapes(a, attributes, report=raw)
    return raw


def norm(a, g, attributes, with_gradient, raise_as=""):
    """value, g times its gradient (without elements if not wanted), info."""
    value, gA, info = _run("norm", a, (g,), attributes, 0 if with_gradient else 2, raise_as)
    _set_shapes(a, attributes, value=value, **({"A": gA} if with_gradient else {}))
    return value, gA, info


def slogdet(a, attributes, raise_as=""):
    """sign, log_abs, info."""
    _, sign, log_abs, _, info = _run("determinant", a, (None, None, None), attributes, 9, raise_as)
    _set_shapes(a, attributes, value=sign)
    _set_shapes(a, attributes, value=log_abs)
    return sign, log_abs, info


def slogdet_backward(a, g_sign, g_log, attributes):
    gA = _run("determinant", a, (None, g_sign, g_log), attributes, 7)[3]
    _set_shapes(a, attributes, A=gA)
    return gA


def power_iteration(a, u, v, attributes, raise_as=""):
    """u, v, sigma, residual, info."""
    u, v, sigma, residual, info = _run("power_iteration", a, (u, v), attributes, 0, raise_as)
    _set_shapes(a, attributes, value=residual)
    return u, v, sigma, residual, info


def spectral_normalize(a, u, v, attributes, raise_as=""):
    """u, v, sigma, Y, info."""
    u, v, sigma, _, Y, info = _run("spectral_normalize", a, (u, v), attributes, 8, raise_as)
    return u, v, sigma, Y, info


# ---- what the gradients share


def may_be_differentiated():
    """Whether a tape or an accumulator records at present (True if that cannot be found out)."""
    try:
        from tensorflow.python.eager import record

        return record.could_possibly_record()
    except (ImportError, AttributeError):
        return True


def _is_constant(tensor):
    """Whether no tape and no accumulator that records at present depends on it (False if that cannot be found out)."""
    try:
        from tensorflow.python.eager import forwardprop_util, record

        return not record.should_record_backprop([tensor]) and not forwardprop_util.pack_tangents([tensor]).tangents
    except (ImportError, AttributeError):
        return False


def _is_zero(gradient):
    """Whether it is zero and stays so: TensorFlow fills in zeros where an output was not used."""
    if gradient is None:
        return True
    if tf.executing_eagerly():
        return not np.any(gradient) and (not may_be_differentiated() or _is_constant(gradient))
    kind = gradient.op.type
    value = gradient.op.inputs[1] if kind == "Fill" else gradient
    return kind == "ZerosLike" or (kind in ("Const", "Fill") and not np.any(tf.get_static_value(value)))


def _is_wanted(op, i):
    """Whether a tape asks for the gradient with respect to input i.  (In a graph, what is not wanted is dropped.)"""
    return i not in (getattr(op, "skip_input_indices", None) or ())


def _nonzero(*gradients):
    return tuple(None if _is_zero(g) else g for g in gradients)


def _sum(x, y):
    return y if x is None else x if y is None else x + y


def _keep_shapes_in_forward_mode():
    """TensorFlow traces the JVP of an op for each shape, after 32 traces for unknown ones: formulas need m and n."""
    try:
        from tensorflow.python.eager import forwardprop

        for name in _ROWS:
            forwardprop._TRACE_COUNT["Svdgrad" + name.title().replace("_", "")] = -(2**40)
    except (ImportError, AttributeError):
        pass


_keep_shapes_in_forward_mode()


def _pullback(f, inputs, cotangents):
    """Gradients with respect to `inputs` of the tuple f(*inputs), for cotangents that may be None."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = [y for y, g in zip(f(*inputs), cotangents) if g is not None]
    return tape.gradient(outputs, inputs, [g for g in cotangents if g is not None])


def _outer(u, v):
    """u v^H."""
    return u[..., :, None] * tf.math.conj(v)[..., None, :]


def _inner(x, y):
    """Real part of the sum of conj(x) y over each matrix."""
    return tf.math.real(tf.reduce_sum(tf.math.conj(x) * y, axis=[-2, -1]))


def _cast(x, like):
    """A real tensor in the type of `like`.  (tf.cast warns in its gradient.)"""
    return tf.complex(x, tf.zeros_like(x)) if like.dtype.is_complex and not x.dtype.is_complex else x


def _scaled(g, a):
    """g a, one number g for each matrix."""
    return _cast(g, a)[..., None, None] * a


class _Formulas:
    """TensorFlow for the compositions of gradients.py."""

    H = staticmethod(tf.linalg.adjoint)
    real, conj = staticmethod(tf.math.real), staticmethod(tf.math.conj)
    abs, where, minimum = staticmethod(tf.abs), staticmethod(tf.where), staticmethod(tf.minimum)
    sum, stop, cast = staticmethod(tf.reduce_sum), staticmethod(tf.stop_gradient), staticmethod(_cast)
    concatenate, solve, det = staticmethod(tf.concat), staticmethod(tf.linalg.solve), staticmethod(tf.linalg.det)

    @staticmethod
    def eye(k, like):
        return tf.eye(k, dtype=like.dtype.real_dtype)

    @staticmethod
    def constant(values, like):
        return tf.constant(values, dtype=like.dtype.real_dtype)

    @staticmethod
    def eps(x):
        return float(np.finfo(x.dtype.real_dtype.as_numpy_dtype).eps)


_XP = _Formulas()


def _through_factors(formula, a, S, U, Vh, cotangent, attributes):
    """Gradient with respect to A of <cotangent, formula(S, U, Vh, A)>."""
    if None in a.shape[-2:] or a.shape.rank is None:
        raise ValueError(
            "svdgrad.tensorflow: this derivative of order two needs matrices whose m and n are known before the call: "
            f"the shape is {a.shape}, set it by tf.ensure_shape()"
        )
    factors = attributes.shared()._replace(rank=attributes.rank, full_matrices=attributes.full_matrices)
    gS, gU, gVh, gA = _pullback(lambda *x: (formula(*x),), [S, U, Vh, a], [cotangent])
    through = svd_backward(a, S, U, Vh, gS, gU, gVh, factors)
    return _sum(gA, through)


# ---- the SVD


@tf.RegisterGradient("SvdgradSvd")
def _(op, gS, gU, gVh, _):
    a, (S, U, Vh, _) = op.inputs[0], op.outputs
    attributes, _, absent = _parsed(op.get_attr("options"))
    gS, gU, gVh = _nonzero(gS, *((None, None) if absent else (gU, gVh)))
    if gS is None and gU is None and gVh is None:
        return None
    if absent:
        S, U, Vh, _ = svd(a, attributes)
    elif b"gives_v" in op.get_attr("options"):
        Vh, gVh = tf.linalg.adjoint(Vh), None if gVh is None else tf.linalg.adjoint(gVh)
    return svd_backward(a, S, U, Vh, gS, gU, gVh, attributes)


@tf.RegisterGradient("SvdgradSvdBackward")
def _(op, ggA, _):
    a, S, U, Vh = op.inputs[:4]
    attributes, absent, _ = _parsed(op.get_attr("options"))
    gS, gU, gVh = (None if absent >> i & 1 else op.inputs[i] for i in (4, 5, 6))
    *gg, gA = svd_backward_backward(a, S, U, Vh, gS, gU, gVh, ggA, attributes)
    return gA, None, None, None, *(None if g is None else x for g, x in zip((gS, gU, gVh), gg))


@tf.RegisterGradient("SvdgradSvdJvp")
def _(op, gS, gU, gVh, _):
    """<g, J dA> is symmetric in g and dA: its gradient with respect to A is that of svd_backward()."""
    a, S, U, Vh, dA = op.inputs
    attributes, _, _ = _parsed(op.get_attr("options"))
    gS, gU, gVh = _nonzero(gS, gU, gVh)
    if gS is None and gU is None and gVh is None:
        return (None,) * 5
    gA = svd_backward_backward(a, S, U, Vh, gS, gU, gVh, dA, attributes)[3]
    return gA, None, None, None, svd_backward(a, S, U, Vh, gS, gU, gVh, attributes)


def svd_backward_backward(a, S, U, Vh, gS, gU, gVh, ggA, attributes):
    """ggS, ggU, ggVh, gA: the gradient of <ggA, svd_backward()> with respect to gS, gU, gVh and A."""
    if attributes.rank or attributes.full_matrices:
        return _by_formula(a, S, U, Vh, gS, gU, gVh, ggA, attributes)
    ggS, ggU, ggVh, gA, _ = _run("svd_backward_backward", a, (S, U, Vh, gS, gU, gVh, ggA), attributes, 16)
    _set_shapes(a, attributes, S=ggS, U=ggU, Vh=ggVh, A=gA)
    return ggS, ggU, ggVh, gA


def _by_formula(a, S, U, Vh, gS, gU, gVh, ggA, attributes):
    """The same in operations that can be differentiated again."""

    def backward(S, U, Vh, a):
        return svd_vjp_formula(_XP, S, U, Vh, gS, gU, gVh, attributes, a)

    gA = _through_factors(backward, a, S, U, Vh, ggA, attributes)
    return *svd_jvp(a, S, U, Vh, ggA, attributes), gA


@tf.RegisterGradient("SvdgradSvdBackwardBackward")
def _(op, cS, cU, cVh, cA, _):
    """Of order three."""
    a, S, U, Vh, *given, ggA = op.inputs
    attributes, absent, _ = _parsed(op.get_attr("options"))
    is_given = [not absent >> i & 1 for i in (3, 4, 5)]

    def composition(a, ggA, *given):
        given = iter(given)
        S, U, Vh, _ = svd(a, attributes)
        return _by_formula(a, S, U, Vh, *(next(given) if here else None for here in is_given), ggA, attributes)

    inputs = [a, ggA] + [g for g, here in zip(given, is_given) if here]
    cotangents = _nonzero(cS, cU, cVh, cA)
    if all(c is None for c in cotangents):
        return (None,) * 8
    found = _pullback(composition, inputs, cotangents)
    rest = iter(found[2:])
    return found[0], None, None, None, *(next(rest) if here else None for here in is_given), found[1]


# ---- functions of the singular values


@tf.RegisterGradient("SvdgradFunction")
def _(op, gY):
    a, S, U, Vh, f, df = op.inputs
    attributes, absent, _ = _parsed(op.get_attr("options"))
    f, df = (None, None) if absent else (f, df)
    return function_backward(a, S, U, Vh, gY, attributes, f, df), None, None, None, None, None


@tf.RegisterGradient("SvdgradFunctionBackward")
def _(op, ggA, _):
    """With the tangent dY along ggA, <ggA, gA> = <dY, gY>."""
    a, S, U, Vh, gY, _, _ = op.inputs
    attributes, _, _ = _parsed(op.get_attr("options"))

    def tangent(S, U, Vh, a):
        return function_jvp_formula(_XP, S, U, Vh, ggA, attributes)

    gA = _through_factors(tangent, a, S, U, Vh, gY, attributes) if _is_wanted(op, 0) else None
    return gA, None, None, None, function_jvp(a, S, U, Vh, ggA, attributes), None, None


def function_jvp(a, S, U, Vh, dA, attributes):
    """Tangent of function() along dA."""
    if attributes.form == UVH and not attributes.relative:
        return function_backward(a, S, U, Vh, dA, attributes)
    return _function_jvp(a, dA, attributes)


def _function_jvp(a, dA, attributes):
    """By the formula; S, U and Vh are taken anew, as functions of `a`, for further derivatives."""
    S, U, Vh, _ = svd(a, attributes.shared())
    return function_jvp_formula(_XP, S, U, Vh, dA, attributes)


# ---- norms and determinants: gradients are functions of the singular values


_NORMS = {NUCLEAR: "nuclear_norm", SPECTRAL: "spectral_norm", SCHATTEN: "schatten_norm", LOG_DETERMINANT: "logabsdet"}


def _unit_norm_gradient(a, attributes):
    """The gradient of the norm as a function of `a` that can be differentiated again."""
    policy = attributes.shared()

    def of_values(kind, a, param):
        S, U, Vh, _ = svd(a, policy)
        return function(a, S, U, Vh, policy._replace(kind=kind, param=param))

    value = norm(a, None, attributes, False)[0]
    return norm_gradient_formula(_XP, of_values, _NORMS[attributes.kind], a, value, attributes.param)


@tf.RegisterGradient("SvdgradNorm")
def _(op, g, ggA, _):
    a, scale = op.inputs
    attributes, no_scale, absent = _parsed(op.get_attr("options"))
    g, ggA = _nonzero(g, None if absent else ggA)
    gA, g_scale = None, None
    if g is not None:
        gA = _scaled(g, op.outputs[1]) if no_scale and not absent else norm(a, g, attributes, True)[1]
    if ggA is not None:
        if not no_scale:
            g_scale = _inner(norm(a, None, attributes, True)[1], ggA)
            ggA = _scaled(scale, ggA)
        gA = _sum(gA, _pullback(lambda x: (_unit_norm_gradient(x, attributes),), [a], [ggA])[0])
    return gA, g_scale


@tf.RegisterGradient("SvdgradDeterminant")
def _(op, _g_det, g_sign, g_log, ggA, _info):
    a, _, own_sign, own_log = op.inputs
    attributes, absent_inputs, absent_outputs = _parsed(op.get_attr("options"))
    if absent_outputs & 8:  # sign and log_abs of the matrices
        g_sign, g_log = _nonzero(g_sign, g_log)
        if g_sign is None and g_log is None:
            return (None,) * 4
        return slogdet_backward(a, g_sign, g_log, attributes), None, None, None
    inputs = [a] + [x for i, x in ((2, own_sign), (3, own_log)) if not absent_inputs >> i & 1]
    found = _pullback(lambda *x: (_slogdet_gradient(absent_inputs, attributes, *x),), inputs, [ggA])
    g_sign = None if absent_inputs & 4 else found[1]
    return found[0], None, g_sign, None if absent_inputs & 8 else found[-1]


def _slogdet_gradient(absent_inputs, attributes, a, *gradients):
    """(g_log + i Im(conj(sign) g_sign)) A^-H."""
    policy = attributes.shared()
    S, U, Vh, _ = svd(a, policy)
    factor = tf.zeros_like(a[..., 0, 0])
    if not absent_inputs & 8:
        factor += _cast(gradients[-1], a)
    if not absent_inputs & 4 and a.dtype.is_complex:
        sign = slogdet(a, policy)[0]
        turned = tf.math.imag(tf.math.conj(sign) * gradients[0])
        factor += tf.complex(tf.zeros_like(turned), turned)
    return _scaled(factor, function(a, S, U, Vh, policy._replace(kind=POWER, param=-1.0)))


# ---- the largest singular value by iteration: u and v are held


@tf.RegisterGradient("SvdgradPowerIteration")
def _(op, _gu, _gv, g, _g_residual, _info):
    """d sigma = Re(u^H dA v)."""
    u, v = op.outputs[:2]
    return _scaled(g, tf.stop_gradient(_outer(u, v))), None, None


@tf.RegisterGradient("SvdgradSpectralNormalize")
def _(op, _gu, _gv, g, _g_residual, gY, _info):
    a, (u, v, sigma) = op.inputs[0], op.outputs[:3]
    g, gY = _nonzero(g, gY)
    u, v = tf.stop_gradient(u), tf.stop_gradient(v)
    gA = None if g is None else _scaled(g, _outer(u, v))
    if gY is not None:
        gA = _sum(gA, _run("spectral_normalize_backward", a, (u, v, sigma, gY), Attributes()))
    return gA, None, None


@tf.RegisterGradient("SvdgradSpectralNormalizeBackward")
def _(op, ggA):
    """gA = gY / sigma - Re<gY, A> / sigma^2 u v^H with sigma = Re(u^H A v)."""
    a, u, v, _, gY = op.inputs
    held = _outer(u, v)

    def formula(a, gY):
        sigma = _inner(held, a)
        inverse = tf.math.divide_no_nan(tf.ones_like(sigma), sigma)
        return (_scaled(inverse, gY) - _scaled(_inner(gY, a) * inverse * inverse, held),)

    gA, ggY = _pullback(formula, [a, gY], [ggA])
    return gA, None, None, None, ggY


# ---- tf.vectorized_map: the loop is one more batch dimension


def _register_converters():
    """Without them tf.vectorized_map runs a loop."""
    try:
        from tensorflow.python.ops.parallel_for.pfor import RegisterPFor, wrap
    except ImportError:
        return

    def convert(name, pfor_input):
        op = pfor_input.op
        pfor_input.stack_inputs()
        inputs = [pfor_input.stacked_input(i) for i in range(pfor_input.num_inputs)]
        real = [op.get_attr("R")] if _ROWS[name][2] else []
        outputs = _OPS[name](*inputs, *real, op.get_attr("options"))
        return [wrap(x, True) for x in (outputs if isinstance(outputs, tuple) else [outputs])]

    for name in _ROWS:
        RegisterPFor("Svdgrad" + name.title().replace("_", ""))(partial(convert, name))


_register_converters()
