# SPDX-License-Identifier: BSD-3-Clause
"""All weights of a PyTorch model at once: stacked by shape, and the stacks spread over the devices.

    weights = dict(model.named_parameters())
    vectors = start_vectors(weights)                            # once
    normal, vectors = spectral_normalize(weights, vectors)      # in each step; normal goes to torch.func.functional_call
    clipped = map_matrices(lambda stack: svdgrad.torch.clip(stack, 1.0), weights)

`weights` is a dict of tensors.  A tensor of two dimensions or more is the matrix (first dimension, -1), that of a layer
with a row per output, and tensors of fewer dimensions (biases) come back as they are.  The matrices of one shape and
type are one batch, which one call takes.

DTensors, such as the parameters of a model after fully_shard(), are spread over the whole mesh: each device gets whole
matrices, and computes without a word to the others; the results lie on the mesh as the weights do.  What is sent, for
each shape of a matrix whose rows or columns are cut: one all-to-all in and one out, in which each number travels once
(on CPUs PyTorch has an all-gather in place of it).  Of a shape with fewer matrices than devices every device gets all,
since DTensor leaves no device without a part.
"""

from __future__ import annotations

import torch

from . import torch as _svdgrad

__all__ = ["map_matrices", "spectral_normalize", "start_vectors"]


def _is_spread(tensor):
    return hasattr(tensor, "device_mesh")  # a DTensor; torch.distributed is slow to import


def _groups(weights):
    """Names of the matrices, by shape and type, and by their place on a mesh."""
    found = {}
    for name, tensor in weights.items():
        if tensor.ndim >= 2:
            key = (tensor.shape[0], tensor[0].numel(), str(tensor.dtype))
            if _is_spread(tensor):
                key += (repr(tensor.device_mesh), repr(tensor.placements))
            found.setdefault(key, []).append(name)
    return found


def _whole(stack):
    """A stack with whole matrices on each device."""
    if not _is_spread(stack):
        return stack
    from torch.distributed.tensor import Shard

    return stack.redistribute(placements=[Shard(0)] * stack.device_mesh.ndim)


def _over_stacks(f, weights):
    """f(key, stack) gives a stack, or None, and something else: the matrices in these stacks by name (None: as they were),
    and {key: what else}."""
    result, further = dict(weights), {}
    for key, names in _groups(weights).items():
        given = torch.stack([weights[name].flatten(1) for name in names])
        stack, further[key] = f(key, _whole(given))
        if stack is None:
            continue
        if _is_spread(given):
            stack = stack.redistribute(placements=given.placements)
        for name, matrix in zip(names, stack.unbind(), strict=True):
            result[name] = matrix.unflatten(1, weights[name].shape[1:]) if weights[name].ndim > 2 else matrix
    return result, further


def map_matrices(f, weights):
    """f of every matrix of `weights`, where f is a function of a batch (count, m, n) that keeps its shape, and treats
    each matrix alone: svdgrad.torch.polar, or a function of a singular value.  Gradients flow through it."""
    return _over_stacks(lambda key, stack: (f(stack), None), weights)[0]


@torch.no_grad()
def start_vectors(weights, iterations=20, seed=0):
    """Singular vectors for spectral_normalize, after `iterations` steps from random ones: a dict of stacks (u, v), which
    stay with the devices that have the matrices, and depend on `weights` alone, whatever the mesh."""

    def start(key, stack):
        generator = torch.Generator().manual_seed(seed)
        u = torch.randn(stack.shape[:2], generator=generator, dtype=torch.float64).to(stack.device, stack.dtype)
        if _is_spread(stack):
            from torch.distributed.tensor import distribute_tensor

            u = distribute_tensor(u, stack.device_mesh, stack.placements, src_data_rank=None)
        found = _svdgrad.power_iteration(stack, u, None, iterations)
        return None, (found.u, found.v)

    return _over_stacks(start, weights)[1]


def spectral_normalize(weights, vectors, iterations=1):
    """Every matrix over its largest singular value (Miyato et al., ICLR 2018): (weights / sigma, vectors).

    `vectors` come from start_vectors() or from the last step, and are improved by `iterations` steps of the power
    method.  Derivatives hold them: that of a matrix is the exact one once its vectors have converged.
    """

    def normalize(key, stack):
        found = _svdgrad.spectral_normalize(stack, *vectors[key], iterations)
        return found.y, (found.u.detach(), found.v.detach())

    return _over_stacks(normalize, weights)
