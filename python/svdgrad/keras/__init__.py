# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for Keras 3: the functions of svdgrad in `svdgrad.keras.ops`, on whichever backend Keras runs."""

from . import ops

__all__ = ["ops"]
