# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for Keras 3, on whichever backend Keras runs: the functions of svdgrad in `svdgrad.keras.ops`, and losses,
constraints, regularizers and a layer made of them.  All can be saved with a model, and loaded again once this module is
imported."""

from . import constraints, layers, losses, ops, regularizers
from .constraints import *  # noqa: F403
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .regularizers import *  # noqa: F403

__all__ = [
    "constraints", "layers", "losses", "ops", "regularizers",
    *constraints.__all__, *layers.__all__, *losses.__all__, *regularizers.__all__,
]  # fmt: skip
