# SPDX-License-Identifier: BSD-3-Clause
"""python -m svdgrad: what this installation can do."""

import importlib
import os
import sys

from . import __version__, _numpy


def backends():
    for number, name in enumerate(("ref", "cpu", "cuda")):
        reason = _numpy.backend_error(number)
        yield name, reason or "available"


def frameworks():
    for name in ("jax", "torch", "tensorflow", "keras", "dask"):
        try:
            framework = importlib.import_module(name)
        except ImportError as error:
            yield name, f"not bound: {error}"
            continue
        try:
            importlib.import_module(f"svdgrad.{name}")
            yield name, f"bound, {name} {getattr(framework, '__version__', '')}"
        except Exception as error:  # a framework of a version that we do not know may fail in any way
            yield name, f"not bound: {type(error).__name__}: {error}"


def main():
    print(f"svdgrad {__version__}, Python {sys.version.split()[0]}, {os.path.dirname(__file__)}")
    for name, state in backends():
        print(f"  backend {name:11} {state}")
    print(f"  ISA                 {_numpy.isa()}")
    print(f"  threads             {_numpy.threads()}")
    for name, state in frameworks():
        print(f"  {name:19} {state}")


if __name__ == "__main__":
    main()
