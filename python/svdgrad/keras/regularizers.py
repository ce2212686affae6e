# SPDX-License-Identifier: BSD-3-Clause
"""Penalties on the singular values of a layer's kernel: Dense(..., kernel_regularizer=NuclearNorm(0.01)).

A kernel is the matrix (-1, last dimension), as in svdgrad.keras.constraints.  The penalty is a scalar, in float32 for
kernels in float16 and bfloat16."""

from __future__ import annotations

import keras

from ..options import check_number
from . import ops
from .kernels import as_matrix

__all__ = ["NuclearNorm", "SpectralNormPenalty"]


class _OfSingularValues(keras.regularizers.Regularizer):
    def __init__(self, weight=0.01):
        self.weight = check_number(f"{type(self).__name__}: weight", weight, 0.0)

    def __call__(self, w):
        return self.weight * self._norm(as_matrix(w, type(self).__name__))

    def get_config(self):
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="svdgrad")
class NuclearNorm(_OfSingularValues):
    """weight * (sum of the singular values): favours kernels of low rank.  The gradient is the subgradient of least
    norm, finite for kernels of any rank."""

    _norm = staticmethod(ops.nuclear_norm)


@keras.saving.register_keras_serializable(package="svdgrad")
class SpectralNormPenalty(_OfSingularValues):
    """weight * (largest singular value): favours kernels with a small Lipschitz constant."""

    _norm = staticmethod(ops.spectral_norm)
