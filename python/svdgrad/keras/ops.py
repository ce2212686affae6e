# SPDX-License-Identifier: BSD-3-Clause
"""The functions of svdgrad, as keras.ops has its own: for tensors of the backend (keras.backend.backend() is
"tensorflow", "jax", "torch" or "numpy"), for Keras variables, and for KerasTensors of a functional model, which can
be saved and loaded again once this module is imported.  Results, options and errors are those of svdgrad.tensorflow,
svdgrad.jax, svdgrad.torch or svdgrad.  Dimensions of a KerasTensor may be None.

With the backend "tensorflow", compile models by model.compile(..., jit_compile=False): its ops have no kernel for
XLA."""

from __future__ import annotations

import functools
import importlib
import inspect

import keras
import numpy as np

from .. import numpy as _numpy
from ..options import check_errors, check_rank, function_attributes

_MODULES = {"tensorflow": "svdgrad.tensorflow", "jax": "svdgrad.jax", "torch": "svdgrad.torch", "numpy": "svdgrad"}
_TENSORS = ("a", "u", "v")  # parameters that are tensors; the others are options
_REAL = {"complex64": "float32", "complex128": "float64"}

_NAMES = (
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power",
    "pinv", "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet",
    "power_iteration", "spectral_normalize",
)  # fmt: skip
__all__ = [*_NAMES, "SVDGradOperation"]


_LOADED = {}


def _module(backend):
    if backend not in _LOADED:
        if backend not in _MODULES:
            raise NotImplementedError(
                f"svdgrad.keras: the backend of Keras is {backend!r}, must be one of {', '.join(_MODULES)}"
            )
        _LOADED[backend] = importlib.import_module(_MODULES[backend])
    return _LOADED[backend]


def _call(name, tensors, options):
    tensors = {key: keras.ops.convert_to_tensor(x) for key, x in tensors.items()}
    return getattr(_module(keras.backend.backend()), name)(**tensors, **options)


@keras.saving.register_keras_serializable(package="svdgrad")
class SVDGradOperation(keras.Operation):
    """The function `function` of this module with these options, as a node of a functional model."""

    def __init__(self, function, options=None, name=None):
        super().__init__(name=name)
        self.function, self.options = function, dict(options or {})

    def call(self, a, u=None, v=None):
        tensors = {key: x for key, x in (("a", a), ("u", u), ("v", v)) if x is not None}
        return _call(self.function, tensors, self.options)

    def compute_output_spec(self, a, u=None, v=None):
        return _spec(self.function, tuple(a.shape), keras.backend.standardize_dtype(a.dtype), **self.options)

    def get_config(self):
        return {"name": self.name, "function": self.function, "options": self.options}


# ---- shapes and types of results


def _svd_shapes(m, n, k, full_matrices=True, rank=None):
    r = k if rank is None else rank
    full = full_matrices and rank is None
    return {"U": (m, m if full else r), "S": (r,), "Vh": (n if full else r, n)}


def _shapes(name, m, n, options):
    """For each field of the result: the shape of one matrix's part."""
    k = None if m is None or n is None else min(m, n)
    if name == "svd" and options.get("compute_uv", True):
        return _svd_shapes(m, n, k, options.get("full_matrices", True), options.get("rank"))
    if name in ("svd", "svdvals"):
        return {"S": (options.get("rank") or k,)}
    if name == "slogdet":
        return {"sign": (), "logabsdet": ()}
    if name == "power_iteration":
        return {"u": (m,), "v": (n,), "sigma": (), "residual": ()}
    if name == "spectral_normalize":
        return {"y": (m, n), "u": (m,), "v": (n,), "sigma": ()}
    if name in ("nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet"):
        return {"norm": ()}
    return {"Y": {"pinv": (n, m), "whitening": (n, n), "sqrtm_gram": (n, n)}.get(name, (m, n))}


_BASES = {"svd": _numpy.SVDResult, "slogdet": _numpy.SlogdetResult, "power_iteration": _numpy.PowerIterationResult,
          "spectral_normalize": _numpy.SpectralNormalizeResult}  # fmt: skip
_REAL_FIELDS = ("S", "logabsdet", "sigma", "residual", "norm")


def _check(name, m, n, options):
    """What can be said before the call; dimensions that are not known pass."""
    m, n = (n if m is None else m) or 2**31, (m if n is None else n) or 2**31
    check_errors(options.get("errors", "nan"))
    check_rank(options.get("rank") if name in ("svd", "svdvals") else None, m, n)
    if name == "low_rank":
        function_attributes(name, m, n, options["rank"])
    if name in ("nearest_rotation", "slogdet") and m != n:
        raise ValueError(f"{name}: the matrices are {m}-by-{n}, must be square")


def _spec(name, shape, dtype, **options):
    if len(shape) < 2:
        raise ValueError(f"a has {len(shape)} dimensions, must have at least 2")
    batch, (m, n) = shape[:-2], shape[-2:]
    _check(name, m, n, options)
    real = _REAL.get(dtype, dtype)
    shapes = _shapes(name, m, n, options)
    values = [
        keras.KerasTensor(batch + part, real if field in _REAL_FIELDS else dtype) for field, part in shapes.items()
    ]
    base = _BASES.get(name) if len(values) > 1 else None
    further = {}
    if options.get("errors") == "info":
        further["info"] = keras.KerasTensor(batch, "int32")
    if options.get("report"):
        further["report"] = _report_spec(batch)
    if further:
        return _numpy._extended(base or np.ndarray, tuple(further))(*values, *further.values())
    return base(*values) if base else values[0]


def _report_spec(batch):
    real = "float64"
    if keras.backend.backend() == "jax":
        import jax

        real = "float64" if jax.config.jax_enable_x64 else "float32"
    return _numpy.Report(*(keras.KerasTensor(batch, t) for t in (real, real, real, "int32", "int32")))


# ---- the functions


def _define(name):
    """The function of svdgrad with this name: same signature, without `out`."""
    template = getattr(_numpy, name)
    signature = inspect.signature(template)
    signature = signature.replace(parameters=[p for p in signature.parameters.values() if p.name != "out"])

    @functools.wraps(template)
    def function(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs).arguments
        tensors = {key: arguments.pop(key) for key in _TENSORS if arguments.get(key) is not None}
        arguments = {key: x for key, x in arguments.items() if key not in _TENSORS}
        if any(isinstance(x, keras.KerasTensor) for x in tensors.values()):
            return SVDGradOperation(name, arguments).symbolic_call(**tensors)
        return _call(name, tensors, arguments)

    function.__signature__ = signature
    function.__module__ = __name__
    return function


for _name in _NAMES:
    globals()[_name] = _define(_name)
del _name
