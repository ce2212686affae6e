# SPDX-License-Identifier: BSD-3-Clause
"""The operations of csrc/common.h as primitives of JAX: shapes, lowering to XLA's foreign function interface,
sharding, and batching.  The rules of differentiation are in jax.py; nothing here depends on what an operation
computes."""

from __future__ import annotations

import ctypes
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.sharding import PartitionSpec

from .options import INTEGER_NAMES, REPORT_BYTES, UVH, Attributes

ir = mlir.ir

# operand_kind_t of csrc/common.h
A, S, U, VH, Y, LEFT, RIGHT, REAL, NUMBER, INFO, REPORT = range(11)
_MOST_OPERANDS = 14  # MOST_INPUTS + MOST_OUTPUTS
_TYPES = {np.dtype(t): i for i, t in enumerate("fdFD")}


def _open():
    library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "_jax.so"))
    library.svdgrad_xla_operation.restype = ctypes.c_char_p
    library.svdgrad_xla_handler.restype = ctypes.c_void_p
    library.svdgrad_xla_message.restype = ctypes.c_char_p
    library.svdgrad_xla_workspace.restype = ctypes.c_int64
    library.svdgrad_xla_workspace.argtypes = (
        [ctypes.c_int] * 3 + [ctypes.c_int64] * 3 + [ctypes.c_char_p, ctypes.c_uint32]
    )
    return library


_library = _open()


class Operation:
    """A row of the table: its name, and the kinds of its inputs and outputs."""

    def __init__(self, index: int):
        kinds, counts = (ctypes.c_int32 * _MOST_OPERANDS)(), (ctypes.c_int32 * 2)()
        self.index = index
        self.name = _library.svdgrad_xla_operation(index, kinds, counts).decode()
        self.inputs = tuple(kinds[: counts[0]])
        self.outputs = tuple(kinds[counts[0] : counts[0] + counts[1]])
        self.target = "svdgrad_" + self.name
        for is_cuda, platform in enumerate(("cpu", "CUDA")):
            handler = jax.ffi.pycapsule(ctypes.c_void_p(_library.svdgrad_xla_handler(index, is_cuda)))
            jax.ffi.register_ffi_target(self.target, handler, platform=platform)
        jax.ffi.register_ffi_target_as_batch_partitionable(self.target)


OPERATIONS = {operation.name: operation for operation in map(Operation, range(_library.svdgrad_xla_operation_count()))}


# ---- shapes


def _rank(kind: int) -> int:
    return 2 if kind in (A, U, VH, Y) else 0 if kind in (REAL, NUMBER, INFO) else 1


def _extents(kind: int, m: int, n: int, attributes: Attributes) -> tuple[int, ...]:
    """As operand_extents() of csrc/common.c."""
    r = attributes.rank or min(m, n)
    return {
        A: (m, n),
        S: (r,),
        U: (m, m if attributes.full_matrices else r),
        VH: (n if attributes.full_matrices else r, n),
        Y: (m if attributes.form == UVH else n, n),
        LEFT: (m,),
        RIGHT: (n,),
        REPORT: (REPORT_BYTES,),
    }.get(kind, ())


def real_type(dtype):
    return jnp.finfo(dtype).dtype


def _dtype(kind: int, dtype):
    if kind == INFO:
        return np.dtype(np.int32)
    if kind == REPORT:
        return np.dtype(np.uint8)
    return np.dtype(real_type(dtype)) if kind in (S, REAL) else np.dtype(dtype)


def _problem(kinds, avals):
    """Element type, m and n, of inputs of these kinds."""
    m = n = dtype = None
    for kind, aval in zip(kinds, avals):
        if kind in (A, U):
            m = aval.shape[-2]
        if kind in (A, VH):
            n = aval.shape[-1]
        if dtype is None and kind not in (S, REAL):
            dtype = aval.dtype
    for extent in (m, n):
        if not isinstance(extent, (int, np.integer)):
            raise NotImplementedError(f"svdgrad: the matrices are {m}-by-{n}: only the batch may be symbolic")
    return dtype, m, n


def like(aval, shape, dtype, rank: int, aval_rank: int):
    """An abstract array with the batch of `aval` and its sharding over it; `rank` and `aval_rank` count what is no
    batch. It varies over the axes of a shard_map over which `aval` does."""
    batch_rank = len(aval.shape) - aval_rank
    batch = tuple(aval.sharding.spec)[:batch_rank]
    spec = PartitionSpec(*batch, *[None] * (batch_rank - len(batch) + rank))
    return aval.update(
        shape=(*aval.shape[:batch_rank], *shape), dtype=dtype, weak_type=False, sharding=aval.sharding.update(spec=spec)
    )


def _chosen(items, mask: int):
    return [item for i, item in enumerate(items) if mask >> i & 1]


# ---- shard_map: all operands of a primitive vary over the same axes


def _varying(x):
    aval = jax.typeof(x)
    varying = getattr(getattr(aval, "manual_axis_type", None), "varying", None)
    return frozenset(getattr(aval, "vma", ()) if varying is None else varying)


def _vary_alike(operands):
    axes = frozenset().union(*map(_varying, operands))
    if not axes:
        return operands
    return [x if _varying(x) == axes else jax.lax.pcast(x, tuple(axes - _varying(x)), to="varying") for x in operands]


# ---- lowering


def _factor(i: int) -> str:
    """Name of the i-th factor of a sharding rule: i, j, ..., z, z_1, z_2, ..."""
    return chr(ord("i") + i) if i < 18 else f"z_{i - 17}"


def _sharding_rule(kinds_in, avals_in, kinds_out, avals_out):
    """Shardy's rule: the dimensions of the batch are the same in all operands and results and may be sharded, those of
    the matrices must not.  None where an extent is symbolic or 0."""
    sizes, sides, batch_rank = [], [], len(avals_in[0].shape) - _rank(kinds_in[0])
    sizes += avals_in[0].shape[:batch_rank]
    for kinds, avals in ((kinds_in, avals_in), (kinds_out, avals_out)):
        tensors = []
        for kind, aval in zip(kinds, avals):
            dimensions = [_factor(i) for i in range(batch_rank)]
            for extent in aval.shape[batch_rank:]:
                dimensions.append(_factor(len(sizes)))
                sizes.append(extent)
            tensors.append("[" + ", ".join(dimensions) + "]")
        sides.append("(" + ", ".join(tensors) + ")")
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
        return None
    sizes_text = ", ".join(f"{_factor(i)}={size}" for i, size in enumerate(sizes))
    replicated = ", ".join(_factor(i) for i in range(batch_rank, len(sizes)))
    needs = f" need_replication={{{replicated}}}" if replicated else ""
    return ir.Attribute.parse(f"#sdy.op_sharding_rule<{sides[0]}->{sides[1]} {{{sizes_text}}}{needs}, custom>")


def _backend_config(attributes, inputs, outputs, raises, function):
    """Attributes of the call; those that are 0 are left out."""
    i64, f64 = ir.IntegerType.get_signless(64), ir.F64Type.get()
    config = {"inputs": ir.IntegerAttr.get(i64, inputs), "outputs": ir.IntegerAttr.get(i64, outputs)}
    for name, value in attributes._asdict().items():
        if value:
            config[name] = ir.IntegerAttr.get(i64, value) if name in INTEGER_NAMES else ir.FloatAttr.get(f64, value)
    if raises:
        config["raise"] = ir.IntegerAttr.get(i64, 1)
        config["function"] = ir.StringAttr.get(function)
    return config


def _workspace_of(operation, batch, dtype, m, n, attributes, outputs, is_sharded):
    """Bytes of workspace for each matrix, on CUDA.  A shard has fewer matrices, and the workspace has a constant part;
    it is then taken for every smaller batch, in powers of two."""
    count = 1
    for extent in batch:
        if not isinstance(extent, (int, np.integer)):
            raise NotImplementedError("svdgrad: on CUDA the batch must not be symbolic")
        count *= int(extent)
    packed, most = attributes.packed(), 0
    counts = [count] + ([2**i for i in range(count.bit_length())] if is_sharded else [])
    for size in counts:
        found = _library.svdgrad_xla_workspace(operation.index, 1, _TYPES[np.dtype(dtype)], m, n, size, packed, outputs)
        if found < 0:
            raise RuntimeError(f"svdgrad: {operation.name}: {_library.svdgrad_xla_message().decode()}")
        least = size if size == count else max(size // 2 + 1, 1)  # the smallest batch that takes this size
        most = max(most, -(-found // max(least, 1)))
    return most


def _lower(operation, platform, ctx, *operands, attributes, inputs, outputs, raises, function):
    kinds_in, kinds_out = _chosen(operation.inputs, inputs), _chosen(operation.outputs, outputs)
    avals_out = list(ctx.avals_out)
    if platform == "cuda":
        if raises:
            raise NotImplementedError(f'{function}: errors="raise" would wait for the GPU; take errors="info"')
        dtype, m, n = _problem(kinds_in, ctx.avals_in)
        batch_rank = len(ctx.avals_in[0].shape) - _rank(kinds_in[0])
        is_sharded = getattr(ctx.module_context.axis_context, "num_devices", 1) != 1
        batch = ctx.avals_in[0].shape[:batch_rank]
        size = _workspace_of(operation, batch, dtype, m, n, attributes, outputs, is_sharded)
        avals_out.append(like(ctx.avals_in[0], (size,), np.dtype(np.uint8), 1, _rank(kinds_in[0])))
        kinds_out = [*kinds_out, REPORT]
    rule = _sharding_rule(kinds_in, ctx.avals_in, kinds_out, avals_out)
    extra = {}
    if (
        rule is not None
    ):  # Shardy takes the rule; what partitions the call afterwards asks how many dimensions are the batch
        batch_rank = len(ctx.avals_in[0].shape) - _rank(kinds_in[0])
        extra = {
            "sdy.sharding_rule": rule,
            "mhlo.frontend_attributes": mlir.ir_attribute({"num_batch_dims": str(batch_rank)}),
        }
    aliases = {}
    if operation.name in ("power_iteration", "spectral_normalize"):
        aliases = {1: 0, 2: 1}  # u and v start where the last iteration ended
    lowering = jax.ffi.ffi_lowering(
        operation.target,
        backend_config=_backend_config(attributes, inputs, outputs, raises, function),
        operand_output_aliases=aliases or None,
        extra_attributes=extra or None,
    )
    results = lowering(ctx.replace(avals_out=avals_out), *operands)
    return results[: len(ctx.avals_out)]


# ---- primitives


def _batch(primitive, operands, axes, **params):
    """vmap: the new axis becomes the first one of the batch.  No loop: an operation takes any batch."""
    size = next(x.shape[axis] for x, axis in zip(operands, axes) if axis is not None)
    moved = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes)
    ]
    results = primitive.bind(*_vary_alike(moved), **params)
    return results, [0] * len(results)


def define(name: str, abstract_eval):
    """A primitive of several results whose operands and results begin with the dimensions of one batch."""
    primitive = Primitive(name)
    primitive.multiple_results = True

    @functools.lru_cache(maxsize=1024)
    def compiled(params):  # an operation outside of jit compiles once
        return jax.jit(functools.partial(primitive.bind, **dict(params)))

    primitive.def_impl(lambda *operands, **params: compiled(tuple(params.items()))(*operands))
    primitive.def_abstract_eval(abstract_eval)
    batching.primitive_batchers[primitive] = functools.partial(_batch, primitive)
    return primitive


def define_operation(name: str):
    """The primitive of an operation of the table.  Parameters: `attributes`, masks of the `inputs` that are present
    and of the `outputs` wanted, `raises`, and `function`, the name for its error."""
    operation = OPERATIONS[name]

    def abstract_eval(*avals, attributes, inputs, outputs, raises, function):
        kinds = _chosen(operation.inputs, inputs)
        dtype, m, n = _problem(kinds, avals)
        return [
            like(avals[0], _extents(kind, m, n, attributes), _dtype(kind, dtype), _rank(kind), _rank(kinds[0]))
            for kind in _chosen(operation.outputs, outputs)
        ]

    primitive = define(operation.target, abstract_eval)
    primitive.operation = operation
    for platform in ("cpu", "cuda"):
        mlir.register_lowering(primitive, functools.partial(_lower, operation, platform), platform=platform)
    return primitive


def call(primitive, operands, attributes, outputs, raises=False, function=""):
    """Calls an operation; operands may be None.  Returns all its outputs, None where `outputs` has no bit."""
    operation = primitive.operation
    inputs = sum(1 << i for i, x in enumerate(operands) if x is not None)
    present = _vary_alike([x for x in operands if x is not None])
    results = iter(
        primitive.bind(
            *present, attributes=attributes, inputs=inputs, outputs=outputs, raises=raises, function=function
        )
    )
    return [next(results) if outputs >> j & 1 else None for j in range(len(operation.outputs))]
