# SPDX-License-Identifier: BSD-3-Clause
"""The one table of cases, for all frameworks: matrices, and operations with an oracle in NumPy's own operations."""

from typing import Any, Callable, NamedTuple

import numpy as np


def random(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng([seed, *shape])
    a = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal(shape)
    return a.astype(dtype)


def with_values(m, n, values, dtype=np.float64, seed=1):
    """A matrix with these singular values."""
    k = len(values)
    U = np.linalg.qr(random(m, k, dtype=np.result_type(dtype, np.float64), seed=seed))[0]
    V = np.linalg.qr(random(n, k, dtype=np.result_type(dtype, np.float64), seed=seed + 1))[0]
    return ((U * np.asarray(values)) @ V.conj().T).astype(dtype)


SHAPES = [(1, 1), (3, 3), (4, 3), (3, 5), (2, 6, 4), (2, 3, 4, 4), (17, 9), (33, 33)]
EMPTY = [(0, 3, 3), (3, 0), (0, 4), (2, 0, 3), (2, 3, 0)]
TYPES = [np.float32, np.float64, np.complex64, np.complex128]

# Matrices at which others give NaN or a wrong gradient.
HARD = {
    "identity": np.eye(3),
    "zero": np.zeros((3, 2)),
    "tie": with_values(4, 3, [2.0, 2.0, 1.0]),
    "tie, complex": with_values(3, 4, [2.0, 2.0, 1.0], np.complex128),
    "rank one": with_values(4, 4, [3.0, 0.0, 0.0, 0.0]),
    "close": with_values(4, 4, [2.0, 2.0 - 1e-12, 1.0, 1.0 - 1e-13]),
    "small": 1e-200 * random(4, 3),
    "large": 1e200 * random(3, 3),
}


class Operation(NamedTuple):
    """`call(module, a)` gives one array or a tuple of arrays that no gauge changes; `oracle(a)` the same in NumPy."""

    name: str
    call: Callable[[Any, Any], Any]
    oracle: Callable[[np.ndarray], Any]
    square: bool = False
    smooth_at_ties: bool = True  # its gradient exists where singular values are equal
    jumps: bool = False  # no gradient test by differences near a threshold


def _svd(a):
    return np.linalg.svd(a, full_matrices=False)


def _apply(a, f):
    U, S, Vh = _svd(a)
    return (U * f(S)[..., None, :]) @ Vh


def _gram(a, f):
    _, S, Vh = _svd(a)
    return (np.conj(np.swapaxes(Vh, -1, -2)) * f(S)[..., None, :]) @ Vh


def _rotation(a):
    U, S, Vh = _svd(a)
    d = np.ones_like(S)
    d[..., -1] = np.real(np.linalg.det(U) * np.linalg.det(Vh))
    return (U * d[..., None, :]) @ Vh


def _leading(S, r):
    return S * (np.arange(S.shape[-1]) < r)


T = 1.1  # a threshold between the singular values of most cases
OPERATIONS = [
    Operation("svdvals", lambda s, a: s.svdvals(a), lambda a: _svd(a)[1], smooth_at_ties=False),
    Operation("low_rank", lambda s, a: s.low_rank(a, 1), lambda a: _apply(a, lambda S: _leading(S, 1)), smooth_at_ties=False),
    Operation("polar", lambda s, a: s.polar(a), lambda a: _apply(a, np.ones_like)),
    Operation("soft_threshold", lambda s, a: s.soft_threshold(a, T), lambda a: _apply(a, lambda S: np.maximum(S - T, 0))),
    Operation("hard_threshold", lambda s, a: s.hard_threshold(a, T), lambda a: _apply(a, lambda S: S * (S > T)), jumps=True),
    Operation("clip", lambda s, a: s.clip(a, T), lambda a: _apply(a, lambda S: np.minimum(S, T))),
    Operation("power", lambda s, a: s.power(a, 1.5), lambda a: _apply(a, lambda S: S**1.5)),
    Operation("pinv", lambda s, a: s.pinv(a), np.linalg.pinv),
    Operation("sqrtm_gram", lambda s, a: s.sqrtm_gram(a), lambda a: _gram(a, lambda S: S)),
    Operation("whitening", lambda s, a: s.whitening(a), lambda a: _gram(a, lambda S: 1 / S)),
    Operation("nuclear_norm", lambda s, a: s.nuclear_norm(a), lambda a: _svd(a)[1].sum(-1)),
    Operation("spectral_norm", lambda s, a: s.spectral_norm(a), lambda a: _svd(a)[1][..., 0], smooth_at_ties=False),
    Operation("schatten_norm", lambda s, a: s.schatten_norm(a, 3.0), lambda a: (_svd(a)[1] ** 3).sum(-1) ** (1 / 3)),
    Operation("logabsdet", lambda s, a: s.logabsdet(a), lambda a: np.log(_svd(a)[1]).sum(-1)),
    Operation("slogdet", lambda s, a: s.slogdet(a)[1], lambda a: np.linalg.slogdet(a)[1], square=True),
    Operation("nearest_rotation", lambda s, a: s.nearest_rotation(a), _rotation, square=True, smooth_at_ties=False),
]


def fits(operation, a):
    """Whether the operation is defined for these matrices, as the oracle has it."""
    m, n = a.shape[-2:]
    if operation.square and m != n:
        return False
    if operation.name == "nearest_rotation" and a.dtype.kind == "c":
        return False  # another matrix: the nearest special unitary one
    if operation.name == "whitening" and m < n:
        return False  # the oracle divides by zeros
    return True
