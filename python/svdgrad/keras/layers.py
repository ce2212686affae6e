# SPDX-License-Identifier: BSD-3-Clause
"""Spectral normalization of a layer: SpectralNormalization(keras.layers.Dense(64))."""

from __future__ import annotations

import contextlib

import keras

from ..options import check_iterations
from . import ops
from .kernels import axes_of, wide_type

__all__ = ["SpectralNormalization"]

_START_ITERATIONS = 20  # before the first step, from random vectors
_KERNELS = ("_kernel", "kernel", "_embeddings", "embeddings")  # where layers of Keras keep it


@keras.saving.register_keras_serializable(package="svdgrad")
class SpectralNormalization(keras.layers.Wrapper):
    """The layer with its kernel divided by the kernel's largest singular value (Miyato et al., ICLR 2018).

    layer       Dense, EinsumDense, a Conv layer, Embedding, or any layer with a `kernel` or `embeddings`
    iterations  steps of the power method in each call with training=True

    The kernel is the matrix (-1, last dimension); that of EinsumDense has the axes of the output as columns, and one
    matrix for each index that input, kernel and output share.  The weights `u` and `v`, not trainable, are the singular
    vectors of the last call: a step that changes the kernel little needs one iteration.  They start near the kernel's
    own.  The layer's kernel stays as it is, and the optimizer changes it: kernel / sigma is computed anew in each call,
    sigma = u^T kernel v, and the gradient flows through the division, with u and v held; once they have converged it
    is the exact one.  A zero kernel stays zero.

    At inference u and v are those of the last step and do not change.  Where a kernel was set by hand, restart() finds
    u and v anew.  With mixed precision sigma and the division are in float32, and the layer computes in its type.

    With the backend "tensorflow" it has no kernel for XLA: Keras warns at jit_compile=True and compiles without it.
    """

    def __init__(self, layer, iterations=1, **kwargs):
        # In its own call the variables are read in their type; the layer inside casts for its own policy.
        super().__init__(layer, **{**kwargs, "dtype": getattr(layer, "variable_dtype", None)})
        self.iterations = check_iterations(iterations)
        if self.iterations < 1:
            raise ValueError(f"SpectralNormalization: iterations is {iterations}, must be >= 1")
        self.supports_masking = layer.supports_masking
        self.supports_jit = keras.backend.backend() != "tensorflow"

    @property
    def input_dtype(self):
        return self.layer.input_dtype

    def build(self, input_shape=None):
        super().build(input_shape)
        if getattr(self.layer, "lora_enabled", False) or self.layer.quantization_mode is not None:
            raise ValueError(f"SpectralNormalization: {self.layer.name} has a kernel with LoRA or quantization")
        shape = tuple(self._kernel().shape)
        self._axes = axes_of(self.layer, len(shape))
        *batch, m, n = self._axes.extents(shape)
        self._start = keras.initializers.RandomNormal(stddev=1.0)
        for name, extent in (("u", m), ("v", n)):
            weight = self.add_weight(
                name=name, shape=(*batch, extent), dtype=wide_type(self.layer.variable_dtype), trainable=False,
                autocast=False, aggregation="only_first_replica",
                initializer=lambda shape, dtype, name=name: getattr(self._converged(dtype), name),
            )  # fmt: skip
            setattr(self, name, weight)

    def _kernel_name(self):
        for name in _KERNELS:
            if isinstance(vars(self.layer).get(name), keras.Variable):
                return name
        raise ValueError(
            f"SpectralNormalization: {type(self.layer).__name__} has no kernel and no embeddings that are a variable"
        )

    def _kernel(self):
        return vars(self.layer)[self._kernel_name()]

    def _matrices(self, dtype):
        return self._axes.to_matrices(keras.ops.cast(self._kernel(), dtype))

    def _converged(self, dtype):
        matrices = self._matrices(dtype)
        start = self._start(tuple(matrices.shape)[:-1], dtype)
        return ops.power_iteration(matrices, start, iterations=_START_ITERATIONS)

    def restart(self):
        """Finds u and v for the kernel as it is, after it was set by other means than training."""
        found = self._converged(self.u.dtype)
        self.u.assign(found.u)
        self.v.assign(found.v)

    def normalized_kernel(self, training=False):
        """kernel / sigma, of the kernel's shape; with training=True after `iterations` steps, which u and v keep."""
        iterations = self.iterations if training else 0
        found = ops.spectral_normalize(self._matrices(self.u.dtype), self.u, self.v, iterations)
        if training:
            self.u.assign(keras.ops.stop_gradient(found.u))
            self.v.assign(keras.ops.stop_gradient(found.v))
        return self._axes.to_kernel(found.y, self._kernel().shape)

    def call(self, inputs, training=False):
        kernel = self.normalized_kernel(training)
        if self.layer.autocast:
            kernel = keras.ops.cast(kernel, self.layer.compute_dtype)
        with self._in_place_of_kernel(kernel):
            return self.layer(inputs)

    @contextlib.contextmanager
    def _in_place_of_kernel(self, tensor):
        attributes, name = vars(self.layer), self._kernel_name()
        variable = attributes[name]
        attributes[name] = tensor
        try:
            yield
        finally:
            attributes[name] = variable

    def compute_mask(self, inputs, previous_mask=None):
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, inputs, training=False):
        return self.layer.compute_output_spec(inputs)

    def get_config(self):
        return {**super().get_config(), "iterations": self.iterations}
