# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad for Dask: batches of matrices larger than memory, or than one machine, cut into chunks along the batch.

The functions are those of svdgrad for NumPy that take one array of matrices, with the same names, options and results; the
results are Dask arrays and named tuples of them, and nothing is computed before compute().  Arrays have the shape
(..., m, n); the last two dimensions are merged into one chunk where they have several.  Chunks of the batch are
independent: no worker sends anything to another.

A matrix gives the same bits in chunks of any size where `batch_invariant` is True.  A Dask worker with several threads
computes several chunks at a time, and each of them takes SVDGRAD_NUM_THREADS threads of the library: set that to 1 there.

Options of all functions: see svdgrad.numpy.  errors="raise": the error comes from compute() and names the matrix by its
place in its chunk.
"""

from __future__ import annotations

import os
from functools import lru_cache

import dask.array as da
import numpy as np

from . import numpy as _numpy

__all__ = [
    "svd", "svdvals", "low_rank", "polar", "nearest_rotation", "soft_threshold", "hard_threshold", "clip", "power", "pinv",
    "whitening", "sqrtm_gram", "nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet", "from_npy",
]  # fmt: skip


def _part_of_file(path, block_info=None):
    location = block_info[None]["array-location"]
    return np.array(np.load(path, mmap_mode="r")[tuple(slice(*ends) for ends in location)])


def from_npy(path, chunks):
    """The Dask array of a file that numpy.save() wrote, in chunks (dask.array.from_array says how to give them).

    Each worker opens the file, under this path, and reads the chunks that it computes: nothing of it goes through the
    scheduler, as the whole file would with da.from_array(numpy.load(path, mmap_mode="r")) and workers in processes.
    """
    path = os.path.abspath(path)
    a = np.load(path, mmap_mode="r")
    chunks = da.core.normalize_chunks(chunks, a.shape, dtype=a.dtype)
    return da.map_blocks(_part_of_file, path, chunks=chunks, dtype=a.dtype, meta=np.empty((0,) * a.ndim, a.dtype))


def _leaves(result):
    """The arrays of a result, those of a report included."""
    if isinstance(result, tuple):
        return [x for part in result for x in _leaves(part)]
    return [result]


def _like(result, leaves):
    """The result with its arrays replaced by `leaves`, an iterator."""
    if isinstance(result, tuple):
        return type(result)(*(_like(part, leaves) for part in result))
    return next(leaves)


def _of_a_chunk(chunk, function, arguments, options):
    leaves = _leaves(getattr(_numpy, function)(chunk, *arguments, **options))
    return leaves[0] if len(leaves) == 1 else tuple(leaves)


@lru_cache(maxsize=1024)
def _sample(name, m, n, dtype, arguments, options):
    """The result for no matrices at all: it has the shapes and types of any."""
    return getattr(_numpy, name)(np.zeros((0, m, n), dtype), *arguments, **dict(options))


def _over_chunks(name, a, *arguments, **options):
    a = da.asanyarray(a)
    if a.ndim < 2:
        raise np.linalg.LinAlgError(f"a: {a.ndim}-dimensional array given, must be at least two-dimensional")
    if any(np.isnan(size) for size in a.shape[-2:]):
        raise ValueError("a: the last two dimensions are unknown; a.compute_chunk_sizes() finds them")
    result = _sample(name, *a.shape[-2:], a.dtype, arguments, tuple(options.items()))
    samples = _leaves(result)
    dimensions = [tuple(f"d{i}_{j}" for j in range(x.ndim - 1)) for i, x in enumerate(samples)]
    sizes = {d: x.shape[1 + j] for x, names in zip(samples, dimensions, strict=True) for j, d in enumerate(names)}
    signature = "(m,n)->" + ",".join("(" + ",".join(names) + ")" for names in dimensions)
    arrays = da.apply_gufunc(
        _of_a_chunk, signature, a, function=name, arguments=arguments, options=options, output_sizes=sizes,
        output_dtypes=[x.dtype for x in samples] if len(samples) > 1 else samples[0].dtype, allow_rechunk=True,
    )  # fmt: skip
    return _like(result, iter(arrays if len(samples) > 1 else [arrays]))


def svd(a, full_matrices=True, compute_uv=True, **options):
    """Singular value decomposition A = U @ diag(S) @ Vh of each matrix, SVDResult(U, S, Vh) of Dask arrays.

    a        (..., m, n)
    options  rank, errors, gap_policy, report, batch_invariant: see svdgrad.svd, whose results have these shapes
    """
    return _over_chunks("svd", a, full_matrices, compute_uv, **options)


def svdvals(a, **options):
    """Singular values of each matrix, (..., k), in descending order."""
    return _over_chunks("svdvals", a, **options)


def low_rank(a, rank, **options):
    """The nearest matrix of rank at most `rank`.  (..., m, n)"""
    return _over_chunks("low_rank", a, rank, **options)


def polar(a, **options):
    """U @ Vh: the nearest matrix with orthonormal columns (rows, where m < n).  (..., m, n)"""
    return _over_chunks("polar", a, **options)


def nearest_rotation(a, **options):
    """The nearest rotation (determinant 1), for complex types the nearest special unitary matrix.  (..., n, n)"""
    return _over_chunks("nearest_rotation", a, **options)


def soft_threshold(a, t, **options):
    """Singular values max(s - t, 0).  `relative`: t is in units of s_1.  (..., m, n)"""
    return _over_chunks("soft_threshold", a, t, **options)


def hard_threshold(a, t, **options):
    """Singular values s where s > t, else 0.  `relative`: t is in units of s_1.  (..., m, n)"""
    return _over_chunks("hard_threshold", a, t, **options)


def clip(a, t, **options):
    """Singular values min(s, t).  `relative`: t is in units of s_1.  (..., m, n)"""
    return _over_chunks("clip", a, t, **options)


def power(a, p, **options):
    """Singular values s^p.  (..., m, n)"""
    return _over_chunks("power", a, p, **options)


def pinv(a, rcond=None, **options):
    """Pseudo-inverse, (..., n, m)."""
    return _over_chunks("pinv", a, rcond, **options)


def whitening(a, **options):
    """(A^H A)^(-1/2), (..., n, n), zero on the null space."""
    return _over_chunks("whitening", a, **options)


def sqrtm_gram(a, **options):
    """(A^H A)^(1/2), (..., n, n)."""
    return _over_chunks("sqrtm_gram", a, **options)


def nuclear_norm(a, **options):
    """Sum of the singular values, (...), real."""
    return _over_chunks("nuclear_norm", a, **options)


def spectral_norm(a, **options):
    """Largest singular value, (...), real."""
    return _over_chunks("spectral_norm", a, **options)


def schatten_norm(a, p, **options):
    """(sum of s_i^p)^(1/p), p > 0: (...), real."""
    return _over_chunks("schatten_norm", a, p, **options)


def logabsdet(a, **options):
    """Sum of the logarithms of the singular values, (...)."""
    return _over_chunks("logabsdet", a, **options)


def slogdet(a, **options):
    """Sign and log |det| of each matrix, SlogdetResult of Dask arrays."""
    return _over_chunks("slogdet", a, **options)
