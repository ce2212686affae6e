# SPDX-License-Identifier: BSD-3-Clause
"""Checks on one backend of Keras.  A process has one backend, so each backend and file of checks is a process of its
own: `python keras_process.py file` runs the functions check_*() of that file, and with further arguments these alone.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import time
import traceback

import numpy as np
import pytest

training_backends = pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])


def run_python(backend, *arguments, **environment):
    if any(importlib.util.find_spec(name) is None for name in ("keras", backend)):
        pytest.skip(f"keras or {backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, f"{result.stdout[-6000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def run_checks(backend, file, **environment):
    run_python(backend, __file__, file, **environment)


def gradient(f, x):
    """Gradient of the real scalar f(tensor) at the NumPy array x, a NumPy array."""
    import keras

    x = keras.ops.convert_to_tensor(x, dtype=x.dtype.name)
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(f)(x))
    if keras.backend.backend() == "torch":
        x = x.detach().clone().requires_grad_(True)
        f(x).backward()
        return x.grad.numpy()
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tf.convert_to_tensor(tape.gradient(y, x)).numpy()  # of an embedding it is tf.IndexedSlices


def weight_gradient(f, variable):
    """Gradient of the real scalar f() with respect to a variable that it reads."""
    import keras

    def of_value(value):
        with keras.StatelessScope([(variable, value)]):
            return f()

    return gradient(of_value, keras.ops.convert_to_numpy(variable))


def _main(file, *names):
    import keras

    sys.path.insert(0, str(pathlib.Path(file).parent))
    spec = importlib.util.spec_from_file_location(pathlib.Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    failed = []
    for name, check in list(vars(module).items()):
        if not name.startswith("check_") or (names and name not in names):
            continue
        keras.utils.set_random_seed(0)
        start = time.perf_counter()
        try:
            check()
            print(f"{time.perf_counter() - start:6.2f} s  {name}")
        except Exception:
            failed.append(name)
            print(f"---- {name} on {keras.backend.backend()}\n{traceback.format_exc()}")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
