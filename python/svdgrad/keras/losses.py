# SPDX-License-Identifier: BSD-3-Clause
"""Losses on the singular values of predicted matrices: model.compile(loss=LowRankLoss(5)).

y_true and y_pred are (batch, m, n), or (batch, ..., m, n).  Each loss gives one value per matrix, (batch, ...), and
Keras reduces them (`reduction`, sample weights).  A sample with a NaN harms its own value and its own gradient alone.
Gradients are exact and finite where singular values are equal or zero.  Computed in float32 where `dtype` (Keras:
floatx) is float16 or bfloat16, and predictions of a model with the policy mixed_float16 are cast to `dtype`.

With the backend "tensorflow" a model with these losses cannot be compiled by XLA, whose custom calls no library from
outside can add through TensorFlow's C API: jit_compile=True raises NotImplementedError with the way out.
jit_compile="auto" is False where TensorFlow sees no accelerator, and otherwise means True: pass False there.
"""

from __future__ import annotations

import operator

import keras
import numpy as np

from .. import numpy as _numpy
from ..options import check_iterations, check_number
from . import ops
from .kernels import widened

__all__ = ["LowRankLoss", "NuclearNormLoss", "PowerMethodLoss"]


def _check_rank(name, rank):
    rank = operator.index(rank)
    if rank < 1:
        raise ValueError(f"{name}: rank is {rank}, must be >= 1")
    return rank


def _shape(x):
    """A tuple, with None for what is not known; None where the number of dimensions is not known (TensorFlow)."""
    return None if getattr(x.shape, "rank", 0) is None else tuple(x.shape)


def _mean_square(x):
    """The mean over each matrix.  (keras.ops.mean rounds float64 to float32, except on TensorFlow.)"""
    m, n = keras.ops.shape(x)[-2:]
    total = keras.ops.sum(keras.ops.square(x), axis=(-2, -1))
    return total / (m * n if isinstance(m * n, int) else keras.ops.cast(m * n, total.dtype))


class _MatrixLoss(keras.losses.Loss):
    """Value `_values(y_true, y_pred)` for each matrix, computed in float32 at least."""

    def call(self, y_true, y_pred):
        self._check(_shape(y_true), _shape(y_pred))
        return self._values(widened(y_true), widened(y_pred))

    def _check(self, true, pred):
        name = type(self).__name__
        if pred is not None and len(pred) < 3:
            raise ValueError(f"{name}: y_pred has {len(pred)} dimensions, must have at least 3: (batch, m, n)")
        if None in (true, pred):
            return
        if len(true) != len(pred) or any(None not in (i, j) and i != j for i, j in zip(true, pred, strict=True)):
            raise ValueError(f"{name}: the shape of y_true is {true}, must be that of y_pred, {pred}")


@keras.saving.register_keras_serializable(package="svdgrad")
class LowRankLoss(_MatrixLoss):
    """mean over each matrix of (y_true - T)^2, where T is the nearest matrix to y_pred of rank at most `rank`.

    The gradient flows through the truncated singular value decomposition and is exact; where the singular values number
    `rank` and `rank` + 1 are equal, T is not unique and the gradient is that of the option gap_policy="default".
    """

    def __init__(self, rank, name="low_rank_loss", reduction="sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.rank = _check_rank("LowRankLoss", rank)

    def _values(self, y_true, y_pred):
        return _mean_square(y_true - ops.low_rank(y_pred, self.rank))

    def get_config(self):
        return {**super().get_config(), "rank": self.rank}


@keras.saving.register_keras_serializable(package="svdgrad")
class NuclearNormLoss(_MatrixLoss):
    """weight * (sum of the singular values of y_pred) + mean over each matrix of (y_true - y_pred)^2.

    The first term draws predictions to low rank.  Its gradient is the subgradient of least norm, finite at matrices of
    any rank.  Keras averages over the batch: `weight` is the weight of the mean of the nuclear norms.
    """

    def __init__(self, weight=1.0, name="nuclear_norm_loss", reduction="sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.weight = check_number("NuclearNormLoss: weight", weight, 0.0)

    def _values(self, y_true, y_pred):
        return self.weight * ops.nuclear_norm(y_pred) + _mean_square(y_true - y_pred)

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}


def _start(seed, n, rank):
    return _numpy.polar(np.random.RandomState(seed).standard_normal((n, rank)))  # the same numbers in every NumPy


def _start_tensor(seed, n, rank, dtype):
    return keras.ops.convert_to_tensor(_start(seed, n, rank), dtype=dtype)


if keras.backend.backend() == "torch":
    import torch

    _start_tensor = torch.compiler.assume_constant_result(_start_tensor)  # cannot be traced, and need not be


@keras.saving.register_keras_serializable(package="svdgrad")
class PowerMethodLoss(_MatrixLoss):
    """mean over each matrix of (y_true - A V V^T)^2, where A = y_pred and V (n, rank) comes from `iterations` steps of
    the power method V = orthonormal(A^T A V).

    A V V^T tends to the nearest matrix of rank `rank`, so that the loss tends to LowRankLoss(rank), by a factor of
    (s_(rank+1) / s_rank)^2 a step.  The columns of V are made orthonormal together in each step (by the polar
    factor): normalized one by one they would all become the first singular vector.  The gradient is that of the steps
    as they are done.  The start of V is a fixed matrix of normal random numbers from `seed`, so that the loss is a
    function of y_true and y_pred alone.  Orthogonal iteration: Golub and Van Loan, Matrix Computations, 4th ed., 8.2.4.
    """

    def __init__(self, rank, iterations=10, seed=0, name="power_method_loss", reduction="sum_over_batch_size",
                 dtype=None):  # fmt: skip
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.rank, self.iterations = _check_rank("PowerMethodLoss", rank), check_iterations(iterations)
        self.seed = operator.index(seed)

    def start(self, n):
        """V before the first step, a NumPy array (n, rank) with orthonormal columns."""
        return _start(self.seed, n, self.rank)

    def _values(self, y_true, y_pred):
        m, n = (_shape(y_pred) or (None, None))[-2:]
        if n is None or self.rank > min(n, n if m is None else m):
            raise ValueError(
                f"PowerMethodLoss: the matrices are {m}-by-{n}; n must be known before the call, "
                f"and rank = {self.rank} at most min(m, n)"
            )
        # Operators of the tensors, since keras.ops.matmul rounds float64 to float32 on PyTorch.
        V = _start_tensor(self.seed, n, self.rank, keras.backend.standardize_dtype(y_pred.dtype))
        adjoint = keras.ops.swapaxes(y_pred, -1, -2)
        for _ in range(self.iterations):
            V = ops.polar(adjoint @ (y_pred @ V))
        return _mean_square(y_true - (y_pred @ V) @ keras.ops.swapaxes(V, -1, -2))

    def get_config(self):
        return {**super().get_config(), "rank": self.rank, "iterations": self.iterations, "seed": self.seed}
