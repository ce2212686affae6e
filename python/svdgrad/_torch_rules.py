# SPDX-License-Identifier: BSD-3-Clause
"""The derivatives of each operation for PyTorch; _torch_autograd.py says what a rule is."""

from __future__ import annotations

from functools import lru_cache

import torch

from . import gradients
from ._torch_autograd import Operation, apply
from ._torch_ops import ALL, FAST, RAW, ROWS, absent, given, real_type
from .options import Attributes, shared_attributes

# ---- torch's operations for the formulas of gradients.py


class _Torch:
    H = staticmethod(lambda x: x.mH)
    real = staticmethod(lambda x: x.real if x.is_complex() else x)
    conj = staticmethod(torch.conj)
    abs = staticmethod(torch.abs)
    minimum = staticmethod(torch.minimum)
    where = staticmethod(torch.where)
    sum = staticmethod(lambda x, axis: x.sum(axis))
    stop = staticmethod(lambda x: x.detach())
    cast = staticmethod(lambda x, like: x.to(like.dtype))
    eye = staticmethod(lambda k, like: torch.eye(k, dtype=real_type(like.dtype), device=like.device))
    concatenate = staticmethod(lambda tensors, axis: torch.cat(tensors, axis))
    constant = staticmethod(lambda values, like: torch.tensor(values, dtype=real_type(like.dtype), device=like.device))
    solve = staticmethod(torch.linalg.solve)
    det = staticmethod(torch.linalg.det)
    eps = staticmethod(lambda x: torch.finfo(x.dtype).eps)


# ---- rules of operations


def _outer(u, v):
    return u[..., :, None] * v.conj()[..., None, :]


class _Svd(Operation):
    """A -> S, U, Vh, info."""

    count = shown = 3

    def __init__(self, attributes):
        super().__init__(attributes)
        self.has_second = not attributes.rank and not attributes.full_matrices

    def run(self, op, a):
        return op.svd(a, ALL, *self.arguments)

    def _matrices(self, a):
        return a if self.attributes.rank else absent(a)

    def vjp(self, op, saved, grads):
        a, S, U, Vh = saved
        gS, gU, gVh = grads
        if gS is None and gU is None and gVh is None:
            return None
        return op.svd_backward(self._matrices(a), S, U, Vh, given(gS, a), given(gU, a), given(gVh, a), 0,
                               *self.arguments)[0]  # fmt: skip

    def vjp_vjp(self, saved, grads, ggA):
        a, S, U, Vh = saved
        found = FAST.svd_backward_backward(S, U, Vh, *(given(g, a) for g in grads), ggA, 15, *self.arguments)
        return (found[3], *(gg for gg, g in zip(found[:3], grads, strict=True) if g is not None))

    def jvp(self, op, saved, da):
        a, S, U, Vh = saved
        return op.svd_jvp(self._matrices(a), S, U, Vh, da, 7, *self.arguments)[:3]

    def raw_report(self, op, a):
        """Of a tangent that turns every pair of singular vectors: E = U^H dA V has ones everywhere."""
        S, U, Vh, _ = self.run(op, a)
        r = S.shape[-1]
        da = U[..., :r].sum(-1)[..., :, None] * Vh[..., :r, :].sum(-2)[..., None, :]
        return op.svd_jvp(self._matrices(a), S, U, Vh, da, 8, *self.arguments)[3]

    def vjp_formula(self, saved, grads):
        S, U, Vh = apply(self, saved[0])[:3]
        return gradients.svd_vjp_formula(_Torch, S, U, Vh, *grads, self.attributes, saved[0])

    def jvp_formula(self, saved, da):
        S, U, Vh = apply(self, saved[0])[:3]
        return gradients.svd_jvp_formula(_Torch, S, U, Vh, da, self.attributes, saved[0])


class _Values(_Svd):
    """A -> S, (U, Vh,) info."""

    count = shown = 1

    def vjp(self, op, saved, grads):
        if grads[0] is None:
            return None
        a, S, U, Vh = saved
        nothing = absent(a)
        first = a if self.attributes.rank else nothing
        return op.svd_backward(first, S, U, Vh, grads[0], nothing, nothing, 0, *self.arguments)[0]

    def vjp_vjp(self, saved, grads, ggA):
        return super().vjp_vjp(saved, (*grads, None, None), ggA)

    def jvp(self, op, saved, da):
        a, S, U, Vh = saved
        return (op.svd_jvp(self._matrices(a), S, U, Vh, da, 1, *self.arguments)[0],)

    def vjp_formula(self, saved, grads):
        S, U, Vh = apply(self.whole(), saved[0])[:3]
        return gradients.svd_vjp_formula(_Torch, S, U, Vh, *grads, None, None, self.attributes, saved[0])

    def jvp_formula(self, saved, da):
        S, U, Vh = apply(self.whole(), saved[0])[:3]
        return gradients.svd_jvp_formula(_Torch, S, U, Vh, da, self.attributes, saved[0])[:1]

    def whole(self):
        return _Svd(self.attributes)


class _Function(Operation):
    """A -> Y, S, U, Vh, info."""

    count = shown = 1

    def __init__(self, attributes):
        super().__init__(attributes)
        self.is_self_adjoint = not attributes.form and not attributes.relative

    def run(self, op, a):
        return op.matrix_function(a, ALL, *self.arguments)

    def vjp(self, op, saved, grads):
        a, _, S, U, Vh = saved
        if grads[0] is None:
            return None
        nothing = absent(a)
        return op.function_backward(S, U, Vh, grads[0], nothing, nothing, 0, *self.arguments)[0]

    def jvp(self, op, saved, da):
        if self.is_self_adjoint:
            return (self.vjp(op, saved, (da,)),)
        return (gradients.function_jvp_formula(_Torch, *saved[2:], da, self.attributes),)

    def raw_report(self, op, a):
        _, S, U, Vh, _ = self.run(op, a)
        left = Vh.sum(-2).conj() if self.attributes.form else U.sum(-1)
        gY, nothing = left[..., :, None] * Vh.sum(-2)[..., None, :], absent(a)
        return op.function_backward(S, U, Vh, gY, nothing, nothing, ALL, *self.arguments)[1]

    def vjp_formula(self, saved, grads):
        S, U, Vh = apply(svd_rule(0, 0, "default", self.attributes.batch_invariant), saved[0])[:3]
        return gradients.function_vjp_formula(_Torch, S, U, Vh, grads[0], self.attributes)

    def jvp_formula(self, saved, da):
        S, U, Vh = apply(svd_rule(0, 0, "default", self.attributes.batch_invariant), saved[0])[:3]
        return (gradients.function_jvp_formula(_Torch, S, U, Vh, da, self.attributes),)


def _function_of_kind(batch_invariant):
    """function(kind, a, parameter) of gradients.norm_gradient_formula()."""

    def function(kind, a, parameter):
        attributes = Attributes(kind=kind, param=float(parameter), batch_invariant=batch_invariant)
        return apply(function_rule(attributes), a)[0]

    return function


class _Norm(Operation):
    """A -> value, gradient, info."""

    count = shown = 1

    def __init__(self, name, attributes):
        super().__init__(attributes)
        self.name = name

    def run(self, op, a):
        return op.norm(a, absent(a), ALL, *self.arguments)

    def vjp(self, op, saved, grads):
        return None if grads[0] is None else grads[0][..., None, None] * saved[2]

    def jvp(self, op, saved, da):
        return (_real_inner(saved[2], da),)

    def _gradient(self, a):
        value = apply(self, a)[0]
        return gradients.norm_gradient_formula(
            _Torch, _function_of_kind(self.attributes.batch_invariant), self.name, a, value, self.attributes.param
        )

    def vjp_formula(self, saved, grads):
        return grads[0][..., None, None] * self._gradient(saved[0])

    def jvp_formula(self, saved, da):
        return (_real_inner(self._gradient(saved[0]), da),)


def _real_inner(x, y):
    """Re <x, y> of each matrix."""
    return _Torch.real((x.conj() * y).sum((-2, -1)))


class _Determinant(Operation):
    """A -> sign, log |det A|, info."""

    count = shown = 2

    def run(self, op, a):
        nothing = absent(a)
        _, sign, log_abs, _, info = op.determinant(a, nothing, nothing, nothing, 6, *self.arguments)
        return sign, log_abs, info

    def vjp(self, op, saved, grads):
        a = saved[0]
        g_sign = grads[0] if a.is_complex() else None  # a real sign is constant
        if g_sign is None and grads[1] is None:
            return None if grads[0] is None else torch.zeros_like(a)
        return op.determinant(a, absent(a), given(g_sign, a), given(grads[1], a), 8, *self.arguments)[3]

    def jvp(self, op, saved, da):
        a, sign, log_abs = saved
        inverse = op.determinant(a, absent(a), absent(a), torch.ones_like(log_abs), 8, *self.arguments)[3]
        return self._tangents(inverse, sign, da)

    @staticmethod
    def _tangents(inverse, sign, da):
        """inverse: the conjugate transpose of the inverse."""
        trace = (inverse.conj() * da).sum((-2, -1))
        if not trace.is_complex():
            return torch.zeros_like(sign), trace
        return sign * torch.complex(torch.zeros_like(trace.imag), trace.imag), trace.real

    def vjp_formula(self, saved, grads):
        a, (g_sign, g_log) = saved[0], grads
        inverse = _function_of_kind(self.attributes.batch_invariant)(gradients.POWER, a, -1.0)
        weight = torch.zeros(a.shape[:-2], dtype=a.dtype, device=a.device) if g_log is None else g_log.to(a.dtype)
        if g_sign is not None and a.is_complex():
            sign = apply(self, a)[0]
            c = (sign * g_sign.conj()).imag
            weight = weight - torch.complex(torch.zeros_like(c), c)
        return weight[..., None, None] * inverse

    def jvp_formula(self, saved, da):
        inverse = _function_of_kind(self.attributes.batch_invariant)(gradients.POWER, saved[0], -1.0)
        return self._tangents(inverse, apply(self, saved[0])[0], da)


class PowerIteration(Operation):
    """A, u, v -> sigma, u, v, residual, info; u and v are held in the derivative."""

    count, shown = 1, 4

    def run(self, op, a, u, v):
        u, v, sigma, residual, info = op.power_iteration(a, u, v, ALL, *self.arguments)
        return sigma, u, v, residual, info

    def vjp(self, op, saved, grads):
        return None if grads[0] is None else _weighted(grads[0], _outer(saved[4], saved[5]))

    def jvp(self, op, saved, da):
        return (_real_inner(_outer(saved[4], saved[5]), da),)

    def vjp_formula(self, saved, grads):
        return self.vjp(None, saved, grads)

    def jvp_formula(self, saved, da):
        return self.jvp(None, saved, da)


def _weighted(real, matrix):
    return real[..., None, None].to(matrix.dtype) * matrix


class SpectralNormalize(Operation):
    """A, u, v -> y, sigma, u, v, info; u and v are held in the derivative."""

    count, shown = 2, 4

    def run(self, op, a, u, v):
        u, v, sigma, _, y, info = op.spectral_normalize(a, u, v, 0, *self.arguments)
        return y, sigma, u, v, info

    def vjp(self, op, saved, grads):
        a, _, _, _, sigma, u, v = saved
        gA = None if grads[0] is None else op.spectral_normalize_backward(a, u, v, sigma, grads[0], ALL, *self.arguments)
        if grads[1] is None:
            return gA
        further = _weighted(grads[1], _outer(u, v))
        return further if gA is None else gA + further

    def jvp(self, op, saved, da):
        return self._tangents(saved, saved[4], da)

    @staticmethod
    def _tangents(saved, sigma, da):
        a, u, v = saved[0], saved[5], saved[6]
        d_sigma = _real_inner(_outer(u, v), da)
        return (da - _weighted(d_sigma / sigma, a)) / sigma[..., None, None], d_sigma

    def vjp_formula(self, saved, grads):
        a, uv = saved[0], _outer(saved[5], saved[6])
        sigma = _real_inner(uv, a)
        g_sigma = torch.zeros_like(sigma) if grads[1] is None else grads[1]
        if grads[0] is None:
            return _weighted(g_sigma, uv)
        g_sigma = g_sigma - _real_inner(grads[0], a) / sigma**2
        return grads[0] / sigma[..., None, None] + _weighted(g_sigma, uv)

    def jvp_formula(self, saved, da):
        return self._tangents(saved, _real_inner(_outer(saved[5], saved[6]), saved[0]), da)


def cached(make):
    """A rule is made once for its arguments; torch.compile makes it while it traces."""
    found = lru_cache(maxsize=1024, typed=True)(make)

    def rule_of(*arguments):
        return make(*arguments) if torch.compiler.is_compiling() else found(*arguments)

    return rule_of


@cached
def svd_rule(rank, full_matrices, gap_policy, batch_invariant):
    return _Svd(Attributes(rank, full_matrices, **shared_attributes(gap_policy, batch_invariant)))


@cached
def values_rule(rank, gap_policy, batch_invariant):
    return _Values(Attributes(rank, **shared_attributes(gap_policy, batch_invariant)))


@cached
def function_rule(attributes):
    return _Function(attributes)


@cached
def norm_rule(name, kind, p, gap_policy, batch_invariant):
    return _Norm(name, Attributes(kind=kind, param=p, **shared_attributes(gap_policy, batch_invariant)))


@cached
def determinant_rule(gap_policy, batch_invariant):
    return _Determinant(Attributes(**shared_attributes(gap_policy, batch_invariant)))


# ---- derivatives of the operators themselves, for torch.compile


def _register_derivative(name, rule_of, saved_inputs, saved_outputs):
    """saved_outputs: which outputs of the operator the rule has, in its order (info aside)."""
    input_count = len(ROWS[name].inputs)

    def setup_context(ctx, inputs, output):
        ctx.rule = rule_of(Attributes(*inputs[input_count + 1 :]))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:saved_inputs], *(output[i] for i in saved_outputs))
        ctx.argument_count = len(inputs)

    def backward(ctx, *grads):
        rule = ctx.rule
        gA = rule.vjp(RAW, ctx.saved_tensors, [grads[i] for i in saved_outputs[: rule.count]])
        return (gA, *(None,) * (ctx.argument_count - 1))

    torch.library.register_autograd(f"svdgrad::{name}", backward, setup_context=setup_context)


_register_derivative("svd", _Svd, 1, (0, 1, 2))
_register_derivative("matrix_function", _Function, 1, (0, 1, 2, 3))
_register_derivative("norm", lambda attributes: _Norm("", attributes), 1, (0, 1))
_register_derivative("determinant", _Determinant, 1, (1, 2))
_register_derivative("power_iteration", PowerIteration, 3, (2, 0, 1, 3))
_register_derivative("spectral_normalize", SpectralNormalize, 3, (4, 2, 0, 1))
