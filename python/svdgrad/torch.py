# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for PyTorch: names, defaults and types of torch.linalg, with exact derivatives of any order.

Tensors have the shape (..., m, n); k = min(m, n).  float32, float64, complex64 and complex128 keep their type; bfloat16 and
float16 are computed in float32 and come back in their type, under autocast in float32.  No gradient is refused: where the
loss depends on the free phases of U and Vh, or singular values are equal, the gradient is the one that svdgrad.h defines, and
`report` says so.

Works with autograd (reverse and forward mode, any order), torch.func (grad, vmap, jacrev, jacfwd, hessian), torch.compile
with fullgraph=True and dynamic shapes, DTensor (sharded on batch dimensions), workers of a DataLoader.  On CUDA the kernels
run on the current stream without synchronization.

Options of all functions:
  errors          "nan": what a bad matrix gives is NaN, and the others are what they would be without it; "raise":
                  torch.linalg.LinAlgError names the matrix (on CUDA this synchronizes; not under torch.compile nor in vmap);
                  "info": the result has one more field `info`, int32 of shape (...), 0 fine, 1 not converged, 2 NaN or
                  infinity in the input, 3 a result overflows.
  gap_policy      what gradients do where singular values are close: "default", "exact", "noise_floor", ("mask", x),
                  ("lorentz", x).  Without effect on a forward pass but for `report`.
  report          True: one more field `report`, see Report.
  batch_invariant True promises that a matrix gives the same bits whatever the batch.  It does so today in any case.
"""

from __future__ import annotations

import ctypes
import math
import pathlib
from collections import namedtuple
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad

from . import gradients
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
    gap_attributes,
)

__all__ = [
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power", "pinv",
    "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet", "power_iteration",
    "spectral_normalize", "Report", "SVDResult",
]  # fmt: skip

LinAlgError = torch.linalg.LinAlgError

# ---- the operators


def _load():
    """Registers the operators svdgrad::* in this process; returns the table of operations."""
    library = ctypes.CDLL(str(pathlib.Path(__file__).parent / "_torch.so"))
    library.svdgrad_torch_load.restype = library.svdgrad_torch_table.restype = ctypes.c_char_p
    error = library.svdgrad_torch_load()
    if error:
        raise ImportError(f"svdgrad.torch: {error.decode()}")
    return library.svdgrad_torch_table().decode()


class _Row(NamedTuple):
    """One operation of csrc/common.c: kinds of the operands."""

    optional_outputs: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _read_table(text):
    rows = {}
    for line in text.splitlines():
        head, outputs = line.split(" >")
        name, optional, *inputs = head.split()
        rows[name] = _Row(int(optional), tuple(map(int, inputs)), tuple(map(int, outputs.split())))
    rows["matrix_function"] = _Row(0, (_A,), (_Y, _S, _U, _VH, _INFO))
    return rows


_A, _S, _U, _VH, _Y, _LEFT, _RIGHT, _REAL, _NUMBER, _INFO, _REPORT = range(11)  # operand_kind_t
_RANKS = {_A: 2, _U: 2, _VH: 2, _Y: 2, _REAL: 0, _NUMBER: 0, _INFO: 0}
_ROWS = _read_table(_load())
_ALL = -1  # wanted: all outputs

_Operators = namedtuple("_Operators", list(_ROWS))
_PUBLIC = _Operators(*(getattr(torch.ops.svdgrad, name).default for name in _ROWS))
_RAW = _Operators(*(getattr(torch.ops.svdgrad, "_" + name).default for name in _ROWS))  # without derivatives
_FAST = _Operators(*(getattr(op, "_op", op) for op in _RAW))  # without a Python layer

_TYPES = frozenset((torch.float32, torch.float64, torch.complex64, torch.complex128))
_LOW_TYPES = frozenset((torch.bfloat16, torch.float16))
_INTEGERS = frozenset((torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))
_NOTHING = torch.empty(0)
_PLAIN_TYPES = frozenset((Tensor, torch.nn.Parameter))


def _absent(like):
    """What stands for an operand that is not given."""
    if type(like) in _PLAIN_TYPES and not torch.compiler.is_compiling():
        return _NOTHING
    return like.new_empty(0)


def _given(tensor, like):
    return _absent(like) if tensor is None else tensor


def _arguments(attributes):
    """The attributes as arguments of an operator: zeros at the end are its defaults, and each argument costs time."""
    count = len(attributes)
    while count and attributes[count - 1] == 0:
        count -= 1
    return tuple(attributes[:count])


def _real_type(dtype):
    return {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(dtype, dtype)


# ---- shapes of what is not computed (fake tensors)


def _extents(kind, m, n, attributes):
    r = attributes.rank or min(m, n)
    full = attributes.full_matrices
    return {
        _A: (m, n), _S: (r,), _U: (m, m if full else r), _VH: (n if full else r, n), _Y: (n if attributes.form else m, n),
        _LEFT: (m,), _RIGHT: (n,), _REAL: (), _NUMBER: (), _INFO: (), _REPORT: (32,),
    }[kind]  # fmt: skip


def _fake(name):
    row = _ROWS[name]

    def fake(*arguments):
        inputs = arguments[: len(row.inputs)]
        wanted, *rest = arguments[len(row.inputs) :] or (_ALL,)
        attributes = Attributes(*rest)
        m = n = like = batch = None
        for kind, tensor in zip(row.inputs, inputs, strict=True):
            rank = _RANKS.get(kind, 1)
            if tensor.ndim < max(rank, 1) and rank:
                continue
            if rank == 2 and tensor.ndim >= 2:
                m = tensor.shape[-2] if kind in (_A, _U) else m
                n = tensor.shape[-1] if kind in (_A, _VH) else n
                like = tensor if like is None else like
                batch = tensor.shape[:-2] if batch is None else batch
        types = {_S: _real_type(like.dtype), _REAL: _real_type(like.dtype), _INFO: torch.int32, _REPORT: torch.uint8}
        outputs = []
        for j, kind in enumerate(row.outputs):
            is_absent = row.optional_outputs >> j & 1 and not wanted >> j & 1
            shape = (0,) if is_absent else (*batch, *_extents(kind, m, n, attributes))
            outputs.append(like.new_empty(shape, dtype=types.get(kind, like.dtype)))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return fake


for _name in _ROWS:
    torch.library.register_fake(f"svdgrad::{_name}", _fake(_name))
    torch.library.register_fake(f"svdgrad::_{_name}", _fake(_name))


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
    eye = staticmethod(lambda k, like: torch.eye(k, dtype=_real_type(like.dtype), device=like.device))
    concatenate = staticmethod(lambda tensors, axis: torch.cat(tensors, axis))
    constant = staticmethod(lambda values, like: torch.tensor(values, dtype=_real_type(like.dtype), device=like.device))
    solve = staticmethod(torch.linalg.solve)
    det = staticmethod(torch.linalg.det)
    eps = staticmethod(lambda x: torch.finfo(x.dtype).eps)


# ---- rules of differentiation
#
# A rule is a function of tensors with its derivatives:
#   run(op, *tensors)    the outputs; the last one is `info`, where has_info; op: _PUBLIC, _RAW or _FAST
#   count, shown         outputs that have a derivative; outputs that the caller uses (info aside)
#   pull(saved, grads)   gradients of the tensors; saved: the tensors, then the outputs but info
#   push(saved, tangents)
# Rules of operations have a first derivative of their own, and a formula of it that autograd can differentiate again:
#   vjp(op, saved, grads), jvp(op, saved, da), vjp_formula(saved, grads), jvp_formula(saved, da)


class _Operation:
    """A function of the matrices tensors[0]; the other tensors have no derivative."""

    has_info = True
    report = None

    def pull(self, saved, grads):
        if _is_plain() and not torch.is_grad_enabled():
            return self.vjp(_FAST, saved, grads)
        present = tuple(g is not None for g in grads)
        if not any(present):
            return None
        return _apply(_Gradient(self, present, len(saved)), *saved, *(g for g in grads if g is not None))[0]

    def push(self, saved, tangents):
        if tangents[0] is None:
            return (None,) * self.count
        return _apply(_Tangent(self, len(saved)), *saved, tangents[0])[: self.count]


class _Gradient:
    """vjp of an operation: of its saved tensors and those of the cotangents that are present."""

    has_info, count, shown, report = False, 1, 1, None

    def __init__(self, base, present, saved_count):
        self.base, self.present, self.saved_count = base, present, saved_count

    def split(self, tensors):
        given = iter(tensors[self.saved_count :])
        return tensors[: self.saved_count], tuple(next(given) if p else None for p in self.present)

    def run(self, op, *tensors):
        return (self.base.vjp(op, *self.split(tensors)),)

    def formula(self, others):
        def gradient(a, *given):
            return self.base.vjp_formula(*self.split((a, *others, *given)))

        return gradient

    def variables(self, tensors):
        """The matrices and the cotangents vary; the factors are functions of the matrices."""
        return (tensors[0], *tensors[self.saved_count :])

    def pull(self, saved, grads):
        inputs = saved[: self.saved_count + sum(self.present)]
        if grads[0] is None:
            return (None,) * len(inputs)
        if _is_plain() and not torch.is_grad_enabled() and self.base.has_second:
            found = self.base.vjp_vjp(*self.split(inputs), grads[0])
        else:
            found = _vjp(self.formula(inputs[1 : self.saved_count]), self.variables(inputs), grads[0])
        return (found[0], *(None,) * (self.saved_count - 1), *found[1:])

    def push(self, saved, tangents):
        inputs = saved[: self.saved_count + sum(self.present)]
        tangents = [torch.zeros_like(x) if t is None else t
                    for x, t in zip(self.variables(inputs), self.variables(tangents), strict=True)]  # fmt: skip
        return _jvp(self.formula(inputs[1 : self.saved_count]), self.variables(inputs), tangents)


class _Tangent(_Gradient):
    """jvp of an operation: of its saved tensors and of the tangent of the matrices."""

    def __init__(self, base, saved_count):
        super().__init__(base, (True,), saved_count)
        self.count = self.shown = base.count

    def run(self, op, *tensors):
        return self.base.jvp(op, tensors[:-1], tensors[-1])

    def formula(self, others):
        def tangent(a, da):
            found = self.base.jvp_formula((a, *others), da)
            return found[0] if len(found) == 1 else found

        return tangent

    def pull(self, saved, grads):
        inputs = saved[: self.saved_count + 1]
        f = self.formula(inputs[1 : self.saved_count])
        if len(grads) == 1:
            found = (None, None) if grads[0] is None else _vjp(f, self.variables(inputs), grads[0])
        else:
            found = _vjp(f, self.variables(inputs), grads)
        return (found[0], *(None,) * (self.saved_count - 1), found[1])


class _ReportOf:
    """The report of a rule, decoded: no derivative."""

    has_info, count, shown = False, 0, 5

    def __init__(self, base):
        self.base = base

    def run(self, op, *tensors):
        raw = self.base.raw_report(op, *tensors)
        reals, integers = raw.view(torch.float64), raw.view(torch.int32)
        return (*(reals[..., i].clone() for i in range(3)), integers[..., 6].clone(), integers[..., 7].clone())


def _without_autocast(f):
    """The formulas and their derivatives compute in the type of the tensors, whatever autocast says."""

    def wrapped(formula, primals, others):
        with torch.autocast(primals[0].device.type, enabled=False):
            return f(formula, primals, others)

    return wrapped


@_without_autocast
def _vjp(f, primals, cotangents):
    """Gradients of f; differentiable again."""
    outputs, pullback = torch.func.vjp(f, *primals)
    if isinstance(outputs, tuple):
        cotangents = tuple(torch.zeros_like(y) if g is None else g for y, g in zip(outputs, cotangents, strict=True))
    return pullback(cotangents)


@_without_autocast
def _jvp(f, primals, tangents):
    """The tangents of f.  Forward mode outside torch.func does not nest: there by two gradients, for the first is linear in
    its cotangents, and the second transposes it."""
    tangents = tuple(t.to(p.dtype) for p, t in zip(primals, tangents, strict=True))
    if _is_transformed():
        return torch.func.jvp(f, tuple(primals), tangents)[1]
    outputs, pullback = torch.func.vjp(f, *primals)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)

    def transposed(*cotangents):
        return pullback(cotangents if len(cotangents) > 1 else cotangents[0])

    _, push = torch.func.vjp(transposed, *(torch.zeros_like(y) for y in outputs))
    return push(tangents)


def _outer(u, v):
    return u[..., :, None] * v.conj()[..., None, :]


class _Svd(_Operation):
    """A -> S, U, Vh, info."""

    count = shown = 3

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = _arguments(attributes)
        self.has_second = not attributes.rank and not attributes.full_matrices

    def run(self, op, a):
        return op.svd(a, _ALL, *self.arguments)

    def _matrices(self, a):
        return a if self.attributes.rank else _absent(a)

    def vjp(self, op, saved, grads):
        a, S, U, Vh = saved
        gS, gU, gVh = grads
        if gS is None and gU is None and gVh is None:
            return None
        return op.svd_backward(self._matrices(a), S, U, Vh, _given(gS, a), _given(gU, a), _given(gVh, a), 0,
                               *self.arguments)[0]  # fmt: skip

    def vjp_vjp(self, saved, grads, ggA):
        a, S, U, Vh = saved
        found = _FAST.svd_backward_backward(S, U, Vh, *(_given(g, a) for g in grads), ggA, 15, *self.arguments)
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
        S, U, Vh = _apply(self, saved[0])[:3]
        return gradients.svd_vjp_formula(_Torch, S, U, Vh, *grads, self.attributes, saved[0])

    def jvp_formula(self, saved, da):
        S, U, Vh = _apply(self, saved[0])[:3]
        return gradients.svd_jvp_formula(_Torch, S, U, Vh, da, self.attributes, saved[0])


class _Values(_Svd):
    """A -> S, (U, Vh,) info."""

    count = shown = 1

    def vjp(self, op, saved, grads):
        if grads[0] is None:
            return None
        a, S, U, Vh = saved
        nothing = _absent(a)
        first = a if self.attributes.rank else nothing
        return op.svd_backward(first, S, U, Vh, grads[0], nothing, nothing, 0, *self.arguments)[0]

    def vjp_vjp(self, saved, grads, ggA):
        return super().vjp_vjp(saved, (*grads, None, None), ggA)

    def jvp(self, op, saved, da):
        a, S, U, Vh = saved
        return (op.svd_jvp(self._matrices(a), S, U, Vh, da, 1, *self.arguments)[0],)

    def vjp_formula(self, saved, grads):
        S, U, Vh = _apply(self.whole(), saved[0])[:3]
        return gradients.svd_vjp_formula(_Torch, S, U, Vh, *grads, None, None, self.attributes, saved[0])

    def jvp_formula(self, saved, da):
        S, U, Vh = _apply(self.whole(), saved[0])[:3]
        return gradients.svd_jvp_formula(_Torch, S, U, Vh, da, self.attributes, saved[0])[:1]

    def whole(self):
        return _Svd(self.attributes)


class _Function(_Operation):
    """A -> Y, S, U, Vh, info."""

    count = shown = 1
    has_second = False

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = _arguments(attributes)
        self.is_self_adjoint = not attributes.form and not attributes.relative

    def run(self, op, a):
        return op.matrix_function(a, _ALL, *self.arguments)

    def vjp(self, op, saved, grads):
        a, _, S, U, Vh = saved
        if grads[0] is None:
            return None
        nothing = _absent(a)
        return op.function_backward(S, U, Vh, grads[0], nothing, nothing, 0, *self.arguments)[0]

    def jvp(self, op, saved, da):
        if self.is_self_adjoint:
            return (self.vjp(op, saved, (da,)),)
        return (gradients.function_jvp_formula(_Torch, *saved[2:], da, self.attributes),)

    def raw_report(self, op, a):
        _, S, U, Vh, _ = self.run(op, a)
        left = Vh.sum(-2).conj() if self.attributes.form else U.sum(-1)
        gY, nothing = left[..., :, None] * Vh.sum(-2)[..., None, :], _absent(a)
        return op.function_backward(S, U, Vh, gY, nothing, nothing, _ALL, *self.arguments)[1]

    def vjp_formula(self, saved, grads):
        S, U, Vh = _apply(_THIN, saved[0])[:3]
        return gradients.function_vjp_formula(_Torch, S, U, Vh, grads[0], self.attributes)

    def jvp_formula(self, saved, da):
        S, U, Vh = _apply(_THIN, saved[0])[:3]
        return (gradients.function_jvp_formula(_Torch, S, U, Vh, da, self.attributes),)


def _function_of(kind, a, parameter):
    return _apply(_function_rule(Attributes(kind=kind, param=float(parameter))), a)[0]


class _Norm(_Operation):
    """A -> value, gradient, info."""

    count = shown = 1
    has_second = False

    def __init__(self, name, attributes):
        self.name, self.attributes = name, attributes
        self.arguments = _arguments(attributes)

    def run(self, op, a):
        return op.norm(a, _absent(a), _ALL, *self.arguments)

    def vjp(self, op, saved, grads):
        return None if grads[0] is None else grads[0][..., None, None] * saved[2]

    def jvp(self, op, saved, da):
        return (_real_inner(saved[2], da),)

    def _gradient(self, a):
        value = _apply(self, a)[0]
        return gradients.norm_gradient_formula(_Torch, _function_of, self.name, a, value, self.attributes.param)

    def vjp_formula(self, saved, grads):
        return grads[0][..., None, None] * self._gradient(saved[0])

    def jvp_formula(self, saved, da):
        return (_real_inner(self._gradient(saved[0]), da),)


def _real_inner(x, y):
    """Re <x, y> of each matrix."""
    return _Torch.real((x.conj() * y).sum((-2, -1)))


class _Determinant(_Operation):
    """A -> sign, log |det A|, info."""

    count = shown = 2
    has_second = False

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = _arguments(attributes)

    def run(self, op, a):
        nothing = _absent(a)
        _, sign, log_abs, _, info = op.determinant(a, nothing, nothing, nothing, 6, *self.arguments)
        return sign, log_abs, info

    def vjp(self, op, saved, grads):
        a = saved[0]
        g_sign = grads[0] if a.is_complex() else None  # a real sign is constant
        if g_sign is None and grads[1] is None:
            return None if grads[0] is None else torch.zeros_like(a)
        return op.determinant(a, _absent(a), _given(g_sign, a), _given(grads[1], a), 8, *self.arguments)[3]

    def jvp(self, op, saved, da):
        a, sign, log_abs = saved
        inverse = op.determinant(a, _absent(a), _absent(a), torch.ones_like(log_abs), 8, *self.arguments)[3]
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
        inverse = _function_of(gradients.POWER, a, -1.0)
        weight = torch.zeros(a.shape[:-2], dtype=a.dtype, device=a.device) if g_log is None else g_log.to(a.dtype)
        if g_sign is not None and a.is_complex():
            sign = _apply(self, a)[0]
            c = (sign * g_sign.conj()).imag
            weight = weight - torch.complex(torch.zeros_like(c), c)
        return weight[..., None, None] * inverse

    def jvp_formula(self, saved, da):
        return self._tangents(_function_of(gradients.POWER, saved[0], -1.0), _apply(self, saved[0])[0], da)


class _PowerIteration(_Operation):
    """A, u, v -> sigma, u, v, residual, info; u and v are held in the derivative."""

    count, shown = 1, 4
    has_second = False

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = _arguments(attributes)

    def run(self, op, a, u, v):
        u, v, sigma, residual, info = op.power_iteration(a, u, v, _ALL, *self.arguments)
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


class _SpectralNormalize(_Operation):
    """A, u, v -> y, sigma, u, v, info; u and v are held in the derivative."""

    count, shown = 2, 4
    has_second = False

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = _arguments(attributes)

    def run(self, op, a, u, v):
        u, v, sigma, _, y, info = op.spectral_normalize(a, u, v, 0, *self.arguments)
        return y, sigma, u, v, info

    def vjp(self, op, saved, grads):
        a, _, _, _, sigma, u, v = saved
        gA = None if grads[0] is None else op.spectral_normalize_backward(a, u, v, sigma, grads[0], _ALL, *self.arguments)
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


def _cached(make):
    """A rule is made once for its arguments; torch.compile makes it while it traces."""
    found = lru_cache(maxsize=1024, typed=True)(make)

    def rule_of(*arguments):
        return make(*arguments) if torch.compiler.is_compiling() else found(*arguments)

    return rule_of


@_cached
def _svd_rule(rank, full_matrices, gap_policy):
    return _Svd(Attributes(rank, full_matrices, **gap_attributes(gap_policy)))


@_cached
def _values_rule(rank, gap_policy):
    return _Values(Attributes(rank, **gap_attributes(gap_policy)))


@_cached
def _function_rule(attributes):
    return _Function(attributes)


@_cached
def _norm_rule(name, kind, p, gap_policy):
    return _Norm(name, Attributes(kind=kind, param=p, **gap_attributes(gap_policy)))


@_cached
def _determinant_rule(gap_policy):
    return _Determinant(Attributes(**gap_attributes(gap_policy)))


_THIN = _svd_rule(0, 0, "default")


# ---- autograd

_is_transformed = torch._C._are_functorch_transforms_active


def _is_plain():
    """Neither in a transformation of torch.func nor in forward mode."""
    return not _is_transformed() and _forward_ad._current_level < 0


class _Lean(torch.autograd.Function):
    """A rule in plain reverse mode: nothing more than is needed."""

    @staticmethod
    def forward(ctx, rule, with_info, *tensors):
        outputs = rule.run(_FAST, *tensors)
        ctx.rule = rule
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *(outputs[:-1] if rule.has_info else outputs))
        outputs = (*outputs[: rule.shown], outputs[-1]) if with_info else tuple(outputs[: rule.shown])
        if len(outputs) > rule.count:
            ctx.mark_non_differentiable(*outputs[rule.count :])
        return outputs

    @staticmethod
    def backward(ctx, *grads):
        rule = ctx.rule
        found = rule.pull(ctx.saved_tensors, grads[: rule.count])
        if type(found) is tuple:
            return (None, None, *found)
        return (None, None, found, *_NONES[: len(ctx.needs_input_grad) - 3])


class _Any(torch.autograd.Function):
    """A rule in forward mode, under torch.func, and both."""

    @staticmethod
    def forward(rule, with_info, *tensors):
        return tuple(rule.run(_RAW, *tensors))

    @staticmethod
    def setup_context(ctx, inputs, output):
        rule, _, *tensors = inputs
        ctx.rule = rule
        ctx.set_materialize_grads(False)
        saved = (*tensors, *(output[:-1] if rule.has_info else output))
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        ctx.output_count = len(output)
        ctx.mark_non_differentiable(*output[rule.count :])

    backward = _Lean.backward

    @staticmethod
    def jvp(ctx, _, __, *tangents):
        rule = ctx.rule
        saved = tuple(_forward_ad.unpack_dual(x).primal for x in ctx.saved_tensors)  # they have their tangents still
        found = rule.push(saved, tangents)
        found = (found,) if isinstance(found, Tensor) else tuple(found)
        return (*found, *(None,) * (ctx.output_count - rule.count))

    @staticmethod
    def vmap(info, in_dims, rule, with_info, *tensors):
        whole = [x.unsqueeze(0).expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
                 for x, d in zip(tensors, in_dims[2:], strict=True)]  # fmt: skip
        outputs = _Any.apply(rule, with_info, *whole)
        return outputs, (0,) * len(outputs)


_lean = super(torch.autograd.Function, _Lean).apply  # Function.apply without what torch.func needs


_NONES = (None,) * 16


def _apply(rule, *tensors, with_info=False):
    """The outputs of a rule: rule.shown of them are first, and info is last, where it is asked for."""
    if torch.compiler.is_compiling():
        return rule.run(_PUBLIC, *tensors)
    if not _is_plain():
        return _Any.apply(rule, with_info, *tensors)
    if torch.is_grad_enabled():
        for x in tensors:
            if x.requires_grad:
                return _lean(rule, with_info, *tensors)
    return rule.run(_FAST, *tensors)


# ---- derivatives of the operators themselves, for torch.compile


def _register_derivative(name, rule_of, saved_inputs, saved_outputs):
    """saved_outputs: which outputs of the operator the rule has, in its order (info aside)."""
    input_count = len(_ROWS[name].inputs)

    def setup_context(ctx, inputs, output):
        ctx.rule = rule_of(Attributes(*inputs[input_count + 1 :]))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:saved_inputs], *(output[i] for i in saved_outputs))
        ctx.argument_count = len(inputs)

    def backward(ctx, *grads):
        rule = ctx.rule
        gA = rule.vjp(_RAW, ctx.saved_tensors, [grads[i] for i in saved_outputs[: rule.count]])
        return (gA, *(None,) * (ctx.argument_count - 1))

    torch.library.register_autograd(f"svdgrad::{name}", backward, setup_context=setup_context)


_register_derivative("svd", _Svd, 1, (0, 1, 2))
_register_derivative("matrix_function", _Function, 1, (0, 1, 2, 3))
_register_derivative("norm", lambda attributes: _Norm("", attributes), 1, (0, 1))
_register_derivative("determinant", _Determinant, 1, (1, 2))
_register_derivative("power_iteration", _PowerIteration, 3, (2, 0, 1, 3))
_register_derivative("spectral_normalize", _SpectralNormalize, 3, (4, 2, 0, 1))

# ---- DTensor: every operator works on shards of the batch

_sharding_is_registered = False


def _register_sharding():
    """Once, at the first call with a DTensor: torch.distributed is slow to import."""
    global _sharding_is_registered
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def strategies_of(row):
        def strategies(*arguments):
            inputs = arguments[: len(row.inputs)]
            wanted = arguments[len(row.inputs)] if len(arguments) > len(row.inputs) else _ALL
            absent = [x.ndim == 1 and x.shape[0] == 0 for x in inputs]
            ranks = [x.ndim - _RANKS.get(kind, 1) for x, kind in zip(inputs, row.inputs, strict=True)]
            batch_rank = min(rank for rank, none in zip(ranks, absent, strict=True) if not none)
            missing = [row.optional_outputs >> j & 1 and not wanted >> j & 1 for j in range(len(row.outputs))]
            further = [None] * (len(arguments) - len(inputs))
            found = []
            for placement in (Replicate(), *map(Shard, range(batch_rank))):
                found.append(([Replicate() if none else placement for none in missing],
                              [Replicate() if none else placement for none in absent] + further))  # fmt: skip
            return found

        return strategies

    for operators in (_PUBLIC, _RAW):
        for name, op in zip(_ROWS, operators, strict=True):
            register_sharding(op)(strategies_of(_ROWS[name]))
    _sharding_is_registered = True


# ---- results


class Report(NamedTuple):
    """How far a gradient can be trusted; each field has the shape of the batch.

    min_gap         smallest |s_i - s_j| / s_1 of the pairs that count, infinity if there are none
    gauge_residual  size of the part of the loss that depends on the free phases, relative to the cotangents
    amplification   largest factor by which a gap enlarged a cotangent, in units of the cotangent
    dropped_pairs   number of terms dropped because their divisor is rounding noise
    flags           1: a term was dropped; 2: the loss depends on the gauge; 4: the cut at `rank` splits a cluster
    """

    min_gap: Tensor
    gauge_residual: Tensor
    amplification: Tensor
    dropped_pairs: Tensor
    flags: Tensor


class SVDResult(NamedTuple):
    """A = U @ diag(S) @ Vh."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class SlogdetResult(NamedTuple):
    """det(A) = sign * exp(logabsdet)."""

    sign: Tensor
    logabsdet: Tensor


class PowerIterationResult(NamedTuple):
    """Singular vectors u (..., m) and v (..., n), sigma = Re(u^H A v) and its error bound `residual`, both (...)."""

    u: Tensor
    v: Tensor
    sigma: Tensor
    residual: Tensor


class SpectralNormalizeResult(NamedTuple):
    """y = A / sigma, and the vectors to start from next time."""

    y: Tensor
    u: Tensor
    v: Tensor
    sigma: Tensor


def _with_further_fields():
    """The result types with `info`, `report`, or both; None stands for a single tensor, whose field is `value`."""
    types = {}
    for base in (None, SVDResult, SlogdetResult, PowerIterationResult, SpectralNormalizeResult):
        fields = base._fields if base else ("value",)
        name = base.__name__ if base else "Result"
        types[base, True, False] = namedtuple(name + "Info", (*fields, "info"))
        types[base, False, True] = namedtuple(name + "Report", (*fields, "report"))
        types[base, True, True] = namedtuple(name + "InfoReport", (*fields, "info", "report"))
    return types


_EXTENDED = _with_further_fields()


def _raise_for(name, info):
    bad = torch.nonzero(info)
    if bad.shape[0]:
        indices = [tuple(row) for row in bad.tolist()]
        raise LinAlgError(describe_failures(name, [(i, int(info[i])) for i in indices]))


def _finish(name, base, values, errors, info, report=None):
    """The result: `values` in a tuple of type `base` (a single tensor where base is None), and the fields asked for."""
    if errors == "raise":
        _raise_for(name, info)
    if errors != "info" and report is None:
        return values[0] if base is None else base(*values)
    further = ((info,) if errors == "info" else ()) + ((report,) if report is not None else ())
    return _EXTENDED[base, errors == "info", report is not None](*values, *further)


def _report(rule, *tensors):
    return Report(*_apply(_ReportOf(rule), *(x.detach() for x in tensors)))


# ---- types


def _matrices(a, name="a"):
    """The tensor in one of the four types, and the type that real and complex results are to be given (None: as they are)."""
    if not isinstance(a, Tensor):
        raise TypeError(f"{name} is a {type(a).__name__}, must be a torch.Tensor")
    if a.ndim < 2:
        raise ValueError(f"{name}: {a.ndim}-dimensional tensor given, must be at least two-dimensional")
    if type(a) not in _PLAIN_TYPES and type(a).__name__ == "DTensor" and not _sharding_is_registered:
        _register_sharding()
    if a.dtype in _TYPES:
        return a, None
    if a.dtype in _LOW_TYPES:
        return a.float(), None if torch.is_autocast_enabled(a.device.type) else a.dtype
    if a.dtype in _INTEGERS:
        return a.to(torch.get_default_dtype()), None
    raise TypeError(f"{name}: type {a.dtype} is unsupported in svdgrad")


def _back(values, dtype):
    return values if dtype is None else tuple(x.to(dtype) for x in values)


# ---- the SVD


def svd(a, full_matrices=True, compute_uv=True, *, rank=None, errors="nan", gap_policy="default", report=False,
        batch_invariant=False):  # fmt: skip
    """Singular value decomposition A = U @ diag(S) @ Vh of each matrix: SVDResult(U, S, Vh).

    a              (..., m, n)
    full_matrices  True: U is (..., m, m) and Vh (..., n, n); False: (..., m, k) and (..., k, n)
    compute_uv     False: S alone is returned
    rank           the leading triplets alone: S is (..., rank), U (..., m, rank), Vh (..., rank, n)

    S is in descending order and real.  Raises ValueError for tensors of less than two dimensions and for a bad rank.
    Gradient: Townsend, "Differentiating the singular value decomposition", 2016; Wan and Zhang, arXiv:1909.02659; with a rank:
    Francuz, Schuch, Vanhecke, Phys. Rev. Research 7.  At ties the singular term is dropped and reported (`gap_policy`).
    """
    a, low_type = _matrices(a)
    if rank is not None:
        rank, full_matrices = check_rank(rank, *a.shape[-2:]), False
    if errors != "nan":
        check_errors(errors)
    if not compute_uv:
        return _values("svd", a, low_type, rank or 0, errors, gap_policy, report)
    rule = _svd_rule(rank or 0, 1 if full_matrices else 0, gap_policy)
    outputs = _apply(rule, a, with_info=errors != "nan")
    if errors == "nan" and not report and low_type is None:
        return SVDResult(outputs[1], outputs[0], outputs[2])
    S, U, Vh = _back(outputs[:3], low_type)
    return _finish("svd", SVDResult, (U, S, Vh), errors, outputs[-1], _report(rule, a) if report else None)


def _values(name, a, low_type, rank, errors, gap_policy, report):
    rule = _values_rule(rank, gap_policy)
    if _needs_derivative(a):
        outputs = _apply(rule, a, with_info=errors != "nan")
        if errors == "nan" and not report and low_type is None:
            return outputs[0]
    else:
        operators = _PUBLIC if torch.compiler.is_compiling() else _FAST
        outputs = operators.svd(a, 0, *rule.arguments)
    return _finish(name, None, _back(outputs[:1], low_type), errors, outputs[-1], _report(rule, a) if report else None)


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd() where no gradient is wanted."""
    a, low_type = _matrices(a)
    rank = 0 if rank is None else check_rank(rank, *a.shape[-2:])
    return _values("svdvals", a, low_type, rank, check_errors(errors), gap_policy, report)


# ---- functions of the singular values


@_cached
def _function_rule_of(name, m, n, value, relative, gap_policy):
    return _function_rule(Attributes(**function_attributes(name, m, n, value, relative), **gap_attributes(gap_policy)))


def _function(name, a, value, relative, errors, gap_policy, report):
    a, low_type = _matrices(a)
    check_errors(errors)
    if isinstance(value, Tensor):
        value = value.item()
    rule = _function_rule_of(name, *a.shape[-2:], value, relative, gap_policy)
    outputs = _apply(rule, a, with_info=errors != "nan")
    Y = outputs[0].mH if FUNCTIONS[name].adjoint else outputs[0]
    return _finish(name, None, _back((Y,), low_type), errors, outputs[-1], _report(rule, a) if report else None)


def low_rank(a, rank, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest matrix of rank at most `rank` (Eckart and Young): the leading triplets alone.  (..., m, n)"""
    return _function("low_rank", a, rank, False, errors, gap_policy, report)


def polar(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _function("polar", a, None, False, errors, gap_policy, report)


def nearest_rotation(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)"""
    return _function("nearest_rotation", a, None, False, errors, gap_policy, report)


def soft_threshold(a, t, *, relative=False, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values max(s - t, 0): the proximal map of the nuclear norm.  `relative`: t is in units of s_1.  (..., m, n)"""
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


# ---- norms and determinants


def _norm(name, kind, a, p, errors, gap_policy, report):
    a, low_type = _matrices(a)
    check_errors(errors)
    rule = _norm_rule(name, kind, p, gap_policy)
    if _needs_derivative(a):
        outputs = _apply(rule, a, with_info=errors != "nan")
    else:
        operators = _PUBLIC if torch.compiler.is_compiling() else _FAST
        outputs = operators.norm(a, _absent(a), 0, *rule.arguments)
    further = _report(_svd_rule(0, 0, gap_policy), a) if report else None
    return _finish(name, None, _back(outputs[:1], low_type), errors, outputs[-1], further)


def _needs_derivative(a):
    return (torch.is_grad_enabled() and a.requires_grad) or not _is_plain()


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the singular values, (...), real.  At a kink the gradient is the subgradient of least norm."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy, report)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Largest singular value, (...), real.  At a kink the gradient is the subgradient of least norm."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, report)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1 is the nuclear norm, 2 the Frobenius norm, infinity the spectral."""
    if p == math.inf:
        return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, report)
    p = check_number("schatten_norm: p", p)
    if p <= 0:
        raise ValueError(f"schatten_norm: p is {p}, must be > 0")
    return _norm("schatten_norm", SCHATTEN, a, p, errors, gap_policy, report)


def logabsdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the logarithms of the singular values, (...): log |det A| where m = n; -inf for a singular matrix."""
    return _norm("logabsdet", LOG_DETERMINANT, a, 1.0, errors, gap_policy, report)


def slogdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sign (of the element type) and log |det| of each matrix, SlogdetResult; 0 and -inf for a singular matrix."""
    a, low_type = _matrices(a)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"slogdet: the matrices are {a.shape[-2]}-by-{a.shape[-1]}, must be square")
    outputs = _apply(_determinant_rule(gap_policy), a, with_info=errors != "nan")
    further = _report(_svd_rule(0, 0, gap_policy), a) if report else None
    return _finish("slogdet", SlogdetResult, _back(outputs[:2], low_type), check_errors(errors), outputs[-1], further)


# ---- the largest singular value by iteration


def _start(a, u, v):
    """u and v in the type of a, one for each matrix; copies, since a warm start is written over before the backward pass."""
    v = a.new_zeros(a.shape[-1]) if v is None else v
    return tuple(x.detach().to(a.dtype, copy=True).expand(*a.shape[:-2], count)
                 for x, count in zip((u, v), a.shape[-2:], strict=True))  # fmt: skip


def power_iteration(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """`iterations` times v = A^H u / |A^H u|, u = A v / |A v|, from u (..., m) and v (..., n; read only for 0 iterations).

    Returns PowerIterationResult(u, v, sigma, residual); a singular value lies within `residual` of sigma.  The derivative of
    sigma is Re(u^H dA v); u and v have none.
    """
    a, low_type = _matrices(a)
    rule = _PowerIteration(Attributes(iterations=check_iterations(iterations)))
    outputs = _apply(rule, a, *_start(a, u, v), with_info=errors != "nan")
    sigma, u, v, residual = _back(outputs[:4], low_type)
    further = _report(_svd_rule(0, 0, gap_policy), a) if report else None
    return _finish("power_iteration", PowerIterationResult, (u, v, sigma, residual), check_errors(errors), outputs[-1], further)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma).

    In the derivative u and v are held, and sigma = Re(u^H A v).
    """
    a, low_type = _matrices(a)
    rule = _SpectralNormalize(Attributes(iterations=check_iterations(iterations)))
    outputs = _apply(rule, a, *_start(a, u, v), with_info=errors != "nan")
    y, sigma, u, v = _back(outputs[:4], low_type)
    further = _report(_svd_rule(0, 0, gap_policy), a) if report else None
    return _finish("spectral_normalize", SpectralNormalizeResult, (y, u, v, sigma), check_errors(errors), outputs[-1], further)
