# SPDX-License-Identifier: BSD-3-Clause
"""One process with all frameworks, imported in several orders: the same bits, and a fork afterwards is safe.

Each order is a process of its own; a framework that is not installed, or not bound, is left out and named."""

import importlib
import itertools
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = r"""
import hashlib, os, sys
import numpy as np

def matrices(dtype):
    a = np.random.default_rng(0).standard_normal((64, 12, 9))
    return (a + 1j * a[::-1]).astype(dtype) if np.dtype(dtype).kind == "c" else a.astype(dtype)

def with_numpy(a):
    import svdgrad
    return svdgrad.svd(a, full_matrices=False)

def with_torch(a):
    import torch
    import svdgrad.torch
    torch.linalg.svd(torch.from_numpy(a))  # its own threads and LAPACK have run
    return [x.numpy() for x in svdgrad.torch.svd(torch.from_numpy(a), full_matrices=False)]

def with_jax(a):
    import jax
    import svdgrad.jax
    jax.config.update("jax_enable_x64", True)
    jax.numpy.linalg.svd(a)
    return [np.asarray(x) for x in jax.jit(lambda x: tuple(svdgrad.jax.svd(x, full_matrices=False)))(a)]

def with_tensorflow(a):
    import tensorflow as tf
    import svdgrad.tensorflow
    tf.linalg.svd(a)
    return [np.asarray(x) for x in svdgrad.tensorflow.svd(tf.constant(a), full_matrices=False)]

def digest(name):
    result = hashlib.sha256()
    for dtype in (np.float32, np.float64, np.complex128):
        for x in globals()["with_" + name](matrices(dtype)):
            result.update(np.ascontiguousarray(x).tobytes())
    return result.hexdigest()

names = sys.argv[1:]
for name in names:
    print(name, digest(name))
for name in names:  # once more, now that all are there
    print(name, digest(name))
sys.stdout.flush()
import svdgrad
if os.fork() == 0:
    a = np.random.default_rng(0).standard_normal((20000, 8, 8))
    same = all(np.array_equal(x, y) for x, y in zip(svdgrad.svd(a[:5]), (x[:5] for x in svdgrad.svd(a))))
    os._exit(0 if same else 7)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""

MODULES = {"numpy": "svdgrad", "torch": "svdgrad.torch", "jax": "svdgrad.jax", "tensorflow": "svdgrad.tensorflow"}


def _bound():
    """Frameworks that can be imported, and for the others why not; in a process that is not this one."""
    found, missing = [], {}
    for name, module in MODULES.items():
        if importlib.util.find_spec(name) is None:
            missing[name] = "not installed"
            continue
        run = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True)
        if run.returncode == 0:
            found.append(name)
        else:
            missing[name] = run.stderr.strip().splitlines()[-1]
    return found, missing


@pytest.fixture(scope="module")
def bound():
    found, missing = _bound()
    for name, why in missing.items():
        print(f"NOT TESTED together: {name}, {why}")
    if len(found) < 2:
        pytest.skip(f"only {found} can be imported; {missing}")
    return found


@pytest.mark.parametrize("turn", range(4))
def test_imported_together_in_any_order(bound, turn):
    orders = list(itertools.permutations(bound))
    order = orders[turn * len(orders) // 4]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(pathlib.Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
    if "svdgrad" in sys.modules:
        environment["PYTHONPATH"] = str(pathlib.Path(sys.modules["svdgrad"].__file__).parents[1])
    run = subprocess.run([sys.executable, "-c", PROGRAM, *order], capture_output=True, text=True, timeout=240, env=environment)
    assert run.returncode == 0, f"{order}: {run.returncode}, {run.stderr[-2000:]}"
    lines = [line.split() for line in run.stdout.splitlines() if line.split() and line.split()[0] in MODULES]
    assert [name for name, _ in lines] == list(order) * 2
    assert len({digest for _, digest in lines}) == 1, f"{order}: {lines}"
