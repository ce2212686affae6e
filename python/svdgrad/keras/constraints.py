# SPDX-License-Identifier: BSD-3-Clause
"""Constraints on the singular values of a layer's kernel: Dense(..., kernel_constraint=SpectralNorm()).

A kernel is the matrix (-1, last dimension), so that of a Conv layer is flattened to (window * channels, filters).  A
constraint is computed anew after each step and keeps nothing between two steps, so that it holds whatever the step did,
is saved with the model, and needs no weights of its own.  Kernels in float16 and bfloat16 are computed in float32 and
rounded to their type, which moves the singular values by the rounding of that type."""

from __future__ import annotations

import keras

from ..options import check_number
from . import ops
from .kernels import as_matrix

__all__ = ["SpectralClip", "SpectralNorm"]


class _OfSingularValues(keras.constraints.Constraint):
    def __init__(self, value=1.0):
        self.value = check_number(f"{type(self).__name__}: value", value, 0.0)

    def __call__(self, w):
        matrix = as_matrix(w, type(self).__name__)
        return keras.ops.cast(keras.ops.reshape(self._project(matrix), w.shape), w.dtype)

    def get_config(self):
        return {"value": self.value}


@keras.saving.register_keras_serializable(package="svdgrad")
class SpectralNorm(_OfSingularValues):
    """Scales the kernel down where its largest singular value exceeds `value`; smaller kernels stay as they are.

    The singular value is exact, not an iterate: sigma_1 <= value (1 + some eps) after every step.  A zero kernel stays
    zero.  Spectral normalization: Miyato et al., ICLR 2018.
    """

    def _project(self, matrix):
        sigma = ops.spectral_norm(matrix)
        return matrix * keras.ops.where(sigma > self.value, self.value / sigma, keras.ops.ones_like(sigma))


@keras.saving.register_keras_serializable(package="svdgrad")
class SpectralClip(_OfSingularValues):
    """Replaces each singular value of the kernel by min(s, value): the nearest kernel with sigma_1 <= value, in the
    Frobenius norm.  Changes less than SpectralNorm, which scales all of them."""

    def _project(self, matrix):
        return ops.clip(matrix, self.value)
