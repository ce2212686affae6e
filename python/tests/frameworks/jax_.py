# SPDX-License-Identifier: BSD-3-Clause
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

import svdgrad.jax  # noqa: E402


class Adapter:
    """Gradients are in the convention dL/dRe + i dL/dIm; JAX's own is the conjugate of that.  Derivatives are compiled
    in one piece, which takes less time than many small ones."""

    name = "jax"
    module = svdgrad.jax
    jit = staticmethod(jax.jit)
    vmap = staticmethod(jax.vmap)

    def array(self, a):
        return jnp.asarray(a)

    def numpy(self, x):
        return np.asarray(x)

    def inner(self, x, weights):
        return jnp.sum(jnp.real(jnp.conj(weights) * x))

    def square(self, x, weights):
        return jnp.sum((jnp.real(x) ** 2 + jnp.imag(x) ** 2) * weights)

    def grad(self, f, *arrays):
        gradient = jax.jit(jax.grad(f, argnums=tuple(range(len(arrays)))))
        return [np.conj(np.asarray(g)) for g in gradient(*map(jnp.asarray, arrays))]

    def jvp(self, f, a, da):
        return np.asarray(jax.jit(lambda a, da: jax.jvp(f, (a,), (da,))[1])(jnp.asarray(a), jnp.asarray(da)))

    def second(self, f, a, da):
        along = jax.jit(lambda a, da: jax.jvp(jax.grad(f), (a,), (da,))[1])
        return np.conj(np.asarray(along(jnp.asarray(a), jnp.asarray(da))))
