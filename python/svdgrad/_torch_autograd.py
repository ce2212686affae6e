# SPDX-License-Identifier: BSD-3-Clause
"""How PyTorch differentiates a rule: in reverse and forward mode, under torch.func, to any order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad

from ._torch_ops import FAST, PUBLIC, RAW, arguments_of

# ---- rules of differentiation
#
# A rule is a function of tensors with its derivatives:
#   run(op, *tensors)    the outputs; the last one is `info`, where has_info; op: PUBLIC, RAW or FAST
#   count, shown         outputs that have a derivative; outputs that the caller uses (info aside)
#   pull(saved, grads)   gradients of the tensors; saved: the tensors, then the outputs but info
#   push(saved, tangents)
# Rules of operations have a first derivative of their own, and a formula of it that autograd can differentiate again:
#   vjp(op, saved, grads), jvp(op, saved, da), vjp_formula(saved, grads), jvp_formula(saved, da)


class Operation:
    """A function of the matrices tensors[0]; the other tensors have no derivative."""

    has_info = True
    has_second = False  # a second derivative by an operation of its own
    report = None

    def __init__(self, attributes):
        self.attributes = attributes
        self.arguments = arguments_of(attributes)  # of the operators

    def pull(self, saved, grads):
        if is_plain() and not torch.is_grad_enabled():
            return self.vjp(FAST, saved, grads)
        present = tuple(g is not None for g in grads)
        if not any(present):
            return None
        return apply(_Gradient(self, present, len(saved)), *saved, *(g for g in grads if g is not None))[0]

    def push(self, saved, tangents):
        if tangents[0] is None:
            return (None,) * self.count
        return apply(_Tangent(self, len(saved)), *saved, tangents[0])[: self.count]


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
        if is_plain() and not torch.is_grad_enabled() and self.base.has_second:
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


class ReportOf:
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


# ---- autograd

_is_transformed = torch._C._are_functorch_transforms_active


def is_plain():
    """Neither in a transformation of torch.func nor in forward mode."""
    return not _is_transformed() and _forward_ad._current_level < 0


class _Lean(torch.autograd.Function):
    """A rule in plain reverse mode: nothing more than is needed."""

    @staticmethod
    def forward(ctx, rule, with_info, *tensors):
        outputs = rule.run(FAST, *tensors)
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
        return tuple(rule.run(RAW, *tensors))

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


def apply(rule, *tensors, with_info=False):
    """The outputs of a rule: rule.shown of them are first, and info is last, where it is asked for."""
    if torch.compiler.is_compiling():
        return rule.run(PUBLIC, *tensors)
    if not is_plain():
        return _Any.apply(rule, with_info, *tensors)
    if torch.is_grad_enabled():
        for x in tensors:
            if x.requires_grad:
                return _lean(rule, with_info, *tensors)
    return rule.run(FAST, *tensors)
