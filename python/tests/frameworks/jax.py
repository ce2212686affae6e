# SPDX-License-Identifier: BSD-3-Clause
"""JAX, for the tests that run on every framework.  Gradients are in the convention dL/dRe + i dL/dIm; JAX's own is the
conjugate of that."""

from __future__ import annotations

import importlib.util

import numpy as np

name = "jax"


def available() -> bool:
    return importlib.util.find_spec("jax") is not None


if available():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    import svdgrad.jax as module


def array(a):
    return jnp.asarray(a)


def numpy(x):
    return np.asarray(x)


def _gradient(f, count):
    """JAX differentiates with respect to arrays of real numbers too, so all types go the same way."""
    return jax.grad(lambda *arrays: jnp.real(f(*arrays)), argnums=tuple(range(count)))


def grad(f, *arrays):
    return [np.conj(np.asarray(g)) for g in _gradient(f, len(arrays))(*map(jnp.asarray, arrays))]


def jvp(f, a, da):
    return np.asarray(jax.jvp(f, (jnp.asarray(a),), (jnp.asarray(da),))[1])


def second(f, a, da):
    gradient = _gradient(f, 1)
    return np.conj(np.asarray(jax.jvp(lambda a: gradient(a)[0], (jnp.asarray(a),), (jnp.asarray(da),))[1]))


def jit(f):
    return jax.jit(f)


def vmap(f):
    return jax.vmap(f)
