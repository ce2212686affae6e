# SPDX-License-Identifier: BSD-3-Clause
"""The operators svdgrad::* of PyTorch: what csrc/torch_ops.c registers, shapes of fake tensors, shards."""

from __future__ import annotations

import ctypes
import pathlib
from collections import namedtuple
from typing import NamedTuple

import torch
from torch import Tensor

from .options import Attributes

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
ROWS = _read_table(_load())
ALL = -1  # wanted: all outputs

_Operators = namedtuple("_Operators", list(ROWS))
PUBLIC = _Operators(*(getattr(torch.ops.svdgrad, name).default for name in ROWS))
RAW = _Operators(*(getattr(torch.ops.svdgrad, "_" + name).default for name in ROWS))  # without derivatives
FAST = _Operators(*(getattr(op, "_op", op) for op in RAW))  # without a Python layer

TYPES = frozenset((torch.float32, torch.float64, torch.complex64, torch.complex128))
LOW_TYPES = frozenset((torch.bfloat16, torch.float16))
INTEGERS = frozenset((torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))
_NOTHING = torch.empty(0)
PLAIN_TYPES = frozenset((Tensor, torch.nn.Parameter))


def absent(like):
    """What stands for an operand that is not given."""
    if type(like) in PLAIN_TYPES and not torch.compiler.is_compiling():
        return _NOTHING
    return like.new_empty(0)


def given(tensor, like):
    return absent(like) if tensor is None else tensor


def arguments_of(attributes):
    """The attributes as arguments of an operator: zeros at the end are its defaults, and each argument costs time."""
    count = len(attributes)
    while count and attributes[count - 1] == 0:
        count -= 1
    return tuple(attributes[:count])


def real_type(dtype):
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
    row = ROWS[name]

    def fake(*arguments):
        inputs = arguments[: len(row.inputs)]
        wanted, *rest = arguments[len(row.inputs) :] or (ALL,)
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
        types = {_S: real_type(like.dtype), _REAL: real_type(like.dtype), _INFO: torch.int32, _REPORT: torch.uint8}
        outputs = []
        for j, kind in enumerate(row.outputs):
            is_absent = row.optional_outputs >> j & 1 and not wanted >> j & 1
            shape = (0,) if is_absent else (*batch, *_extents(kind, m, n, attributes))
            outputs.append(like.new_empty(shape, dtype=types.get(kind, like.dtype)))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return fake


for _name in ROWS:
    torch.library.register_fake(f"svdgrad::{_name}", _fake(_name))
    torch.library.register_fake(f"svdgrad::_{_name}", _fake(_name))


# ---- DTensor: every operator works on shards of the batch

_sharding_is_registered = False


def allow_shards():
    """Once, at the first call with a DTensor: torch.distributed is slow to import."""
    global _sharding_is_registered
    if _sharding_is_registered:
        return
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def strategies_of(row):
        def strategies(*arguments):
            inputs = arguments[: len(row.inputs)]
            wanted = arguments[len(row.inputs)] if len(arguments) > len(row.inputs) else ALL
            is_absent = [x.ndim == 1 and x.shape[0] == 0 for x in inputs]
            ranks = [x.ndim - _RANKS.get(kind, 1) for x, kind in zip(inputs, row.inputs, strict=True)]
            batch_rank = min(rank for rank, none in zip(ranks, is_absent, strict=True) if not none)
            missing = [row.optional_outputs >> j & 1 and not wanted >> j & 1 for j in range(len(row.outputs))]
            further = [None] * (len(arguments) - len(inputs))
            found = []
            for placement in (Replicate(), *map(Shard, range(batch_rank))):
                found.append(([Replicate() if none else placement for none in missing],
                              [Replicate() if none else placement for none in is_absent] + further))  # fmt: skip
            return found

        return strategies

    for operators in (PUBLIC, RAW):
        for name, op in zip(ROWS, operators, strict=True):
            register_sharding(op)(strategies_of(ROWS[name]))
    _sharding_is_registered = True
