# SPDX-License-Identifier: BSD-3-Clause
"""Adapters: what the common tests need of a framework."""

import contextlib
import importlib

# torch.compile imports Triton, which aborts the process if TensorFlow was imported before it: both bring an LLVM whose
# options bear the same names.  The other order works.  svdgrad has no part in it.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

NAMES = ("numpy", "jax", "torch", "tensorflow")


def installed():
    """[(name, adapter or None, why not)]"""
    found = []
    for name in NAMES:
        try:
            found.append((name, importlib.import_module(f"frameworks.{name}_").Adapter(), ""))
        except ImportError as error:
            found.append((name, None, str(error)))
    return found
