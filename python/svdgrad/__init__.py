# SPDX-License-Identifier: BSD-3-Clause
"""Batched, differentiable singular value decomposition.

The functions here take and return NumPy arrays.  svdgrad.jax, svdgrad.torch, svdgrad.tensorflow, svdgrad.keras and
svdgrad.dask have the same names for those frameworks; each needs its framework only when it is imported.
"""

from . import _numpy
from .numpy import *  # noqa: F403
from .numpy import __all__ as _names

__version__ = "{}.{}.{}".format(_numpy.version // 10000, _numpy.version // 100 % 100, _numpy.version % 100)
__all__ = [*_names, "__version__"]
