# SPDX-License-Identifier: BSD-3-Clause
"""A layer's kernel as a matrix, and types wide enough to compute in."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras

_NARROW = ("float16", "bfloat16")


def wide_type(dtype) -> str:
    """The type to compute in: float16 and bfloat16 become float32."""
    dtype = keras.backend.standardize_dtype(dtype)
    return "float32" if dtype in _NARROW else dtype


def widened(x):
    """A tensor or variable in the type to compute in."""
    x = keras.ops.convert_to_tensor(x)
    return keras.ops.cast(x, wide_type(x.dtype))


def as_matrix(kernel, name):
    """The kernel, widened, as the matrix (-1, last dimension): of a Dense or Conv layer with a column per output."""
    kernel = widened(kernel)
    if len(kernel.shape) < 1:
        raise ValueError(f"{name}: the weight is a scalar, must have at least 1 dimension")
    return keras.ops.reshape(kernel, (-1, kernel.shape[-1]))


class Axes(NamedTuple):
    """Which axes of a kernel count matrices, and which are their rows and columns."""

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def extents(self, shape):
        """(batch..., m, n) of the kernel with this shape."""
        m, n = (math.prod(shape[i] for i in axes) for axes in (self.rows, self.columns))
        return *(shape[i] for i in self.batch), m, n

    def to_matrices(self, kernel):
        shape = kernel.shape
        return keras.ops.reshape(keras.ops.transpose(kernel, self._order()), self.extents(shape))

    def to_kernel(self, matrices, shape):
        order = self._order()
        ordered = keras.ops.reshape(matrices, [shape[i] for i in order])
        return keras.ops.transpose(ordered, [order.index(i) for i in range(len(order))])

    def _order(self):
        return [*self.batch, *self.rows, *self.columns]


def axes_of(layer, dimensions) -> Axes:
    """The last axis of a kernel is its columns and the others are its rows.  For EinsumDense the equation says it: an
    axis that input and output have is a batch axis, one of the output alone is a column axis, others are row axes."""
    equation = getattr(layer, "equation", None)
    if equation is None:
        return Axes((), tuple(range(dimensions - 1)), (dimensions - 1,))
    operands, output = equation.replace(" ", "").replace(".", "").split("->")
    inputs, kernel = operands.split(",")
    batch = tuple(i for i, x in enumerate(kernel) if x in inputs and x in output)
    columns = tuple(i for i, x in enumerate(kernel) if x not in inputs and x in output)
    rows = tuple(i for i in range(len(kernel)) if i not in batch + columns)
    return Axes(batch, rows, columns)
