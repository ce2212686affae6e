# SPDX-License-Identifier: BSD-3-Clause
"""What the frameworks share: the attributes of an operation, the named functions of the singular values, and the checks of
options.  Nothing here computes.  svdgrad.h explains each attribute."""

from __future__ import annotations

import math
import operator
import struct
from typing import NamedTuple

GAP_POLICIES = {"default": 0, "exact": 1, "mask": 2, "noise_floor": 3, "lorentz": 4}
ERRORS = ("nan", "raise", "info")
INFO_TEXTS = {
    1: "the SVD did not converge",
    2: "it has a NaN or an infinity",
    3: "a result is too large for its type",
}
NUCLEAR, SPECTRAL, SCHATTEN, LOG_DETERMINANT = range(4)  # svdgrad_norm_kind_t
UVH, VVH = 0, 1  # svdgrad_form_t
REPORT_BYTES = 32  # sizeof(svdgrad_report_t)
SMALLEST = 1e-300  # stands for a cutoff of 0, where 0 means the default


class Attributes(NamedTuple):
    """Attributes of an operation in the order of csrc/common.h: nine integers, three real numbers."""

    rank: int = 0
    full_matrices: int = 0
    algo: int = 0
    gap_policy: int = 0
    kind: int = 0
    form: int = 0
    relative: int = 0
    iterations: int = 0
    batch_invariant: int = 0
    gap_param: float = 0.0
    param: float = 0.0
    null_value: float = 0.0

    def shared(self) -> Attributes:
        """Those alone that every operation has."""
        return Attributes(gap_policy=self.gap_policy, gap_param=self.gap_param, batch_invariant=self.batch_invariant)

    def integers(self) -> tuple[int, ...]:
        return self[:INTEGERS]

    def reals(self) -> tuple[float, ...]:
        return self[INTEGERS:]

    def packed(self) -> bytes:
        """As struct attributes of csrc/common.h."""
        return struct.pack("9q3d", *self)


INTEGERS = 9  # fields of Attributes that are integers, the first ones
INTEGER_NAMES, REAL_NAMES = Attributes._fields[:INTEGERS], Attributes._fields[INTEGERS:]


class Function(NamedTuple):
    """One function f(s) of the singular values: svdgrad_function_kind_t, and what it makes of the result."""

    kind: int
    form: int = UVH
    adjoint: bool = False  # the result is the conjugate transpose of U f(S) Vh
    square: bool = False  # m = n


FUNCTIONS = {
    "polar": Function(0),
    "low_rank": Function(1),
    "soft_threshold": Function(2),
    "hard_threshold": Function(3),
    "clip": Function(4),
    "power": Function(5),
    "pinv": Function(6, adjoint=True),
    "nearest_rotation": Function(7, square=True),
    "whitening": Function(6, VVH),
    "sqrtm_gram": Function(5, VVH),
}


def shared_attributes(gap_policy, batch_invariant) -> dict:
    """Attributes that every operation has.  `gap_policy` is "default", "exact", "noise_floor", ("mask", x) or
    ("lorentz", x); x is relative to s_1."""
    name, value = (gap_policy, 0.0) if isinstance(gap_policy, str) else gap_policy
    if name not in GAP_POLICIES:
        raise ValueError(f"gap_policy is {name!r}, must be one of {', '.join(map(repr, GAP_POLICIES))}")
    value = float(value)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"gap_policy: the parameter is {value}, must be finite and >= 0")
    return {"gap_policy": GAP_POLICIES[name], "gap_param": value, "batch_invariant": int(bool(batch_invariant))}


def check_errors(errors) -> str:
    if errors not in ERRORS:
        raise ValueError(f"errors is {errors!r}, must be one of {', '.join(map(repr, ERRORS))}")
    return errors


def check_rank(rank, m: int, n: int) -> int:
    """The attribute `rank`: 0 for all of min(m, n) singular values."""
    if rank is None:
        return 0
    rank, k = operator.index(rank), min(m, n)
    if not 1 <= rank <= max(k, 1):
        raise ValueError(f"rank is {rank}, must be in 1..min(m, n) = {k}")
    return 0 if rank >= k else rank


def check_number(name: str, value, least: float = -math.inf) -> float:
    """A Python number: thresholds and exponents are attributes, not arrays."""
    try:
        value = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {value!r}, must be one real number") from error
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} is {value}, must be finite" + ("" if least == -math.inf else f" and >= {least:g}"))
    return value


def check_iterations(iterations) -> int:
    iterations = operator.index(iterations)
    if not 0 <= iterations < 2**31:
        raise ValueError(f"iterations is {iterations}, must be in 0..2^31 - 1")
    return iterations


def function_attributes(name: str, m: int, n: int, value=None, relative: bool = False) -> dict:
    """Attributes of the function `name` with its parameter `value`: rank, threshold, exponent, or cutoff."""
    function = FUNCTIONS[name]
    found = {"kind": function.kind, "form": function.form, "relative": int(bool(relative))}
    if function.square and m != n:
        raise ValueError(f"{name}: the matrices are {m}-by-{n}, must be square")
    if name == "low_rank":
        rank = operator.index(value)
        if not 0 <= rank <= min(m, n):
            raise ValueError(f"{name}: rank is {rank}, must be in 0..min(m, n) = {min(m, n)}")
        found["param"] = float(rank)
    elif name in ("soft_threshold", "hard_threshold", "clip"):
        found["param"] = check_number(f"{name}: t", value, 0.0)
    elif name == "power":
        found["param"] = check_number(f"{name}: p", value)
    elif name == "pinv":
        found["param"] = 0.0 if value is None else max(check_number(f"{name}: rcond", value, 0.0), SMALLEST)
    elif name == "sqrtm_gram":
        found["param"] = 1.0
    return found


def describe_failures(name: str, infos) -> str:
    """A sentence on the matrices that failed; `infos` is a list of (index, info) of those whose info is not 0."""
    index, info = infos[0]
    where = "the matrix" if index == () else f"matrix {list(index)}" if len(index) > 1 else f"matrix {index[0]}"
    others = f", and {len(infos) - 1} other matrices failed" if len(infos) > 1 else ""
    return f"{name}: {where} failed: {INFO_TEXTS.get(info, f'info {info}')}{others}"
