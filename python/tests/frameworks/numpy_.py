# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

import svdgrad


class Adapter:
    """NumPy has no derivatives of its own: the functions *_vjp stand for them in test_numpy.py."""

    name = "numpy"
    module = svdgrad
    grad = jvp = second = jit = vmap = None

    def array(self, a):
        return np.asarray(a)

    def numpy(self, x):
        return np.asarray(x)

    def inner(self, x, weights):
        """The real number Re <weights, x>; weights is a NumPy array."""
        return np.real(np.sum(np.conj(weights) * x))
