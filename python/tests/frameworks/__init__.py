# SPDX-License-Identifier: BSD-3-Clause
"""Adapters: what the common tests need of a framework."""

import importlib

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
