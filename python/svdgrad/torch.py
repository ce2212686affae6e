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
  batch_invariant True: a matrix gives the same bits whatever the size of the batch.  False: on the CPU one to a few
                  matrices take the path that is fastest for them, so that their last bits may differ.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import NamedTuple

import torch
from torch import Tensor

from ._torch_autograd import ReportOf, apply, is_plain
from ._torch_ops import FAST, INTEGERS, LOW_TYPES, PLAIN_TYPES, PUBLIC, TYPES, absent, allow_shards
from ._torch_rules import (
    PowerIteration,
    SpectralNormalize,
    cached,
    determinant_rule,
    function_rule,
    norm_rule,
    svd_rule,
    values_rule,
)
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
    "spectral_normalize", "Report", "SVDResult",
]  # fmt: skip

LinAlgError = torch.linalg.LinAlgError

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
    return Report(*apply(ReportOf(rule), *(x.detach() for x in tensors)))


# ---- types


def _matrices(a, name="a"):
    """The tensor in one of the four types, and the type that real and complex results are to be given (None: as they are)."""
    if not isinstance(a, Tensor):
        raise TypeError(f"{name} is a {type(a).__name__}, must be a torch.Tensor")
    if a.ndim < 2:
        raise ValueError(f"{name}: {a.ndim}-dimensional tensor given, must be at least two-dimensional")
    if type(a) not in PLAIN_TYPES and type(a).__name__ == "DTensor":
        allow_shards()
    if a.dtype in TYPES:
        return a, None
    if a.dtype in LOW_TYPES:
        return a.float(), None if torch.is_autocast_enabled(a.device.type) else a.dtype
    if a.dtype in INTEGERS:
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
        return _values("svd", a, low_type, rank or 0, errors, gap_policy, batch_invariant, report)
    rule = svd_rule(rank or 0, 1 if full_matrices else 0, gap_policy, batch_invariant)
    outputs = apply(rule, a, with_info=errors != "nan")
    if errors == "nan" and not report and low_type is None:
        return SVDResult(outputs[1], outputs[0], outputs[2])
    S, U, Vh = _back(outputs[:3], low_type)
    return _finish("svd", SVDResult, (U, S, Vh), errors, outputs[-1], _report(rule, a) if report else None)


def _values(name, a, low_type, rank, errors, gap_policy, batch_invariant, report):
    rule = values_rule(rank, gap_policy, batch_invariant)
    if _needs_derivative(a):
        outputs = apply(rule, a, with_info=errors != "nan")
        if errors == "nan" and not report and low_type is None:
            return outputs[0]
    else:
        operators = PUBLIC if torch.compiler.is_compiling() else FAST
        outputs = operators.svd(a, 0, *rule.arguments)
    return _finish(name, None, _back(outputs[:1], low_type), errors, outputs[-1], _report(rule, a) if report else None)


def svdvals(a, *, rank=None, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Singular values of each matrix, (..., k), in descending order.  Less work than svd() where no gradient is wanted."""
    a, low_type = _matrices(a)
    rank = 0 if rank is None else check_rank(rank, *a.shape[-2:])
    return _values("svdvals", a, low_type, rank, check_errors(errors), gap_policy, batch_invariant, report)


# ---- functions of the singular values


@cached
def _function_rule_of(name, m, n, value, relative, gap_policy, batch_invariant):
    shared = shared_attributes(gap_policy, batch_invariant)
    return function_rule(Attributes(**function_attributes(name, m, n, value, relative), **shared))


def _function(name, a, value, relative, errors, gap_policy, batch_invariant, report):
    a, low_type = _matrices(a)
    check_errors(errors)
    if isinstance(value, Tensor):
        value = value.item()
    rule = _function_rule_of(name, *a.shape[-2:], value, relative, gap_policy, batch_invariant)
    outputs = apply(rule, a, with_info=errors != "nan")
    Y = outputs[0].mH if FUNCTIONS[name].adjoint else outputs[0]
    return _finish(name, None, _back((Y,), low_type), errors, outputs[-1], _report(rule, a) if report else None)


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
    """Singular values max(s - t, 0): the proximal map of the nuclear norm.  `relative`: t is in units of s_1.  (..., m, n)"""
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
    a, low_type = _matrices(a)
    check_errors(errors)
    rule = norm_rule(name, kind, p, gap_policy, batch_invariant)
    if _needs_derivative(a):
        outputs = apply(rule, a, with_info=errors != "nan")
    else:
        operators = PUBLIC if torch.compiler.is_compiling() else FAST
        outputs = operators.norm(a, absent(a), 0, *rule.arguments)
    further = _report(svd_rule(0, 0, gap_policy, batch_invariant), a) if report else None
    return _finish(name, None, _back(outputs[:1], low_type), errors, outputs[-1], further)


def _needs_derivative(a):
    return (torch.is_grad_enabled() and a.requires_grad) or not is_plain()


def nuclear_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the singular values, (...), real.  At a kink the gradient is the subgradient of least norm."""
    return _norm("nuclear_norm", NUCLEAR, a, 1.0, errors, gap_policy, batch_invariant, report)


def spectral_norm(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Largest singular value, (...), real.  At a kink the gradient is the subgradient of least norm."""
    return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report)


def schatten_norm(a, p, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """(sum of s_i^p)^(1/p), p > 0: (...), real.  p = 1 is the nuclear norm, 2 the Frobenius norm, infinity the spectral."""
    if p == math.inf:
        return _norm("spectral_norm", SPECTRAL, a, 1.0, errors, gap_policy, batch_invariant, report)
    p = check_number("schatten_norm: p", p)
    if p <= 0:
        raise ValueError(f"schatten_norm: p is {p}, must be > 0")
    return _norm("schatten_norm", SCHATTEN, a, p, errors, gap_policy, batch_invariant, report)


def logabsdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sum of the logarithms of the singular values, (...): log |det A| where m = n; -inf for a singular matrix."""
    return _norm("logabsdet", LOG_DETERMINANT, a, 1.0, errors, gap_policy, batch_invariant, report)


def slogdet(a, *, errors="nan", gap_policy="default", report=False, batch_invariant=False):
    """Sign (of the element type) and log |det| of each matrix, SlogdetResult; 0 and -inf for a singular matrix."""
    a, low_type = _matrices(a)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"slogdet: the matrices are {a.shape[-2]}-by-{a.shape[-1]}, must be square")
    outputs = apply(determinant_rule(gap_policy, batch_invariant), a, with_info=errors != "nan")
    further = _report(svd_rule(0, 0, gap_policy, batch_invariant), a) if report else None
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
    rule = PowerIteration(Attributes(iterations=check_iterations(iterations)))
    outputs = apply(rule, a, *_start(a, u, v), with_info=errors != "nan")
    sigma, u, v, residual = _back(outputs[:4], low_type)
    further = _report(svd_rule(0, 0, gap_policy, batch_invariant), a) if report else None
    return _finish("power_iteration", PowerIterationResult, (u, v, sigma, residual), check_errors(errors), outputs[-1], further)


def spectral_normalize(a, u, v=None, iterations=1, *, errors="nan", gap_policy="default", report=False,
                       batch_invariant=False):  # fmt: skip
    """A / sigma after a power iteration (Miyato et al., ICLR 2018): SpectralNormalizeResult(y, u, v, sigma).

    In the derivative u and v are held, and sigma = Re(u^H A v).
    """
    a, low_type = _matrices(a)
    rule = SpectralNormalize(Attributes(iterations=check_iterations(iterations)))
    outputs = apply(rule, a, *_start(a, u, v), with_info=errors != "nan")
    y, sigma, u, v = _back(outputs[:4], low_type)
    further = _report(svd_rule(0, 0, gap_policy, batch_invariant), a) if report else None
    return _finish("spectral_normalize", SpectralNormalizeResult, (y, u, v, sigma), check_errors(errors), outputs[-1], further)
