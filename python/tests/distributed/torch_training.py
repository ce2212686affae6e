# SPDX-License-Identifier: BSD-3-Clause
"""One of several processes that train with PyTorch: torch_training.py <port> <rank> <processes>.

Each way to share the work, DDP, FSDP and DTensor, takes three steps, and every gradient is that of the same training in
one process."""

import copy
import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

import svdgrad.torch as s
import svdgrad.torch_weights as w

PORT, RANK, PROCESSES = map(int, sys.argv[1:])
SAMPLES, STEPS = 8, 3


def matrices(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected, what):
    found = found.full_tensor() if isinstance(found, DTensor) else found
    error = (found - expected).abs().max().item()
    assert error <= 1e-12 * max(1, expected.abs().max().item()), f"{what}: wrong by {error}"


class Net(nn.Module):
    """A hidden layer with its weight over its largest singular value, and a prediction of 4 x 5 matrices."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Parameter(matrices(16, 6, seed=1))
        self.last = nn.Parameter(matrices(20, 16, seed=2))
        self.register_buffer("u", torch.ones(16, dtype=torch.float64))
        self.register_buffer("v", torch.ones(6, dtype=torch.float64))

    def forward(self, x):
        found = s.spectral_normalize(self.hidden, self.u, self.v, 2)
        with torch.no_grad():
            self.u.copy_(found.u)
            self.v.copy_(found.v)
        return (torch.tanh(x @ found.y.T) @ self.last.T).reshape(-1, 4, 5)


def loss_of(prediction, y):
    """A mean over the samples, so that the mean over processes is the whole one."""
    return (
        ((s.low_rank(prediction, 2) - y) ** 2).mean()
        + 0.1 * s.nuclear_norm(prediction).mean()
        + ((s.polar(prediction) - y) ** 3).mean()
    )


def train_beside_one_process(name, share):
    """`share` makes of a model one that works on a part of the samples."""
    whole = Net()
    model = share(copy.deepcopy(whole))
    mine = slice(RANK * SAMPLES // PROCESSES, (RANK + 1) * SAMPLES // PROCESSES)
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.05) for net in (whole, model)]
    for step in range(STEPS):
        x, y = matrices(SAMPLES, 6, seed=10 + step), matrices(SAMPLES, 4, 5, seed=20 + step)
        for net, optimizer, part in zip((whole, model), optimizers, (slice(None), mine), strict=True):
            optimizer.zero_grad()
            loss_of(net(x[part]), y[part]).backward()
        for one, two in zip(whole.parameters(), model.parameters(), strict=True):
            assert_close(two.grad, one.grad, f"{name}, gradient in step {step}")
        for optimizer in optimizers:
            optimizer.step()
        for one, two in zip(whole.parameters(), model.parameters(), strict=True):
            assert_close(two, one, f"{name}, weights after step {step}")


def train_a_sharded_stack(mesh):
    """A parameter that is a stack of matrices, a part of them in each process; nothing is sent but the loss."""
    start, target = matrices(6, 4, 3), matrices(6, 4, 3, seed=3)
    stacks = [nn.Parameter(start.clone()), nn.Parameter(distribute_tensor(start, mesh, [Shard(0)]))]
    targets = [target, distribute_tensor(target, mesh, [Shard(0)])]
    optimizers = [torch.optim.Adam([stack], lr=0.05) for stack in stacks]
    for step in range(STEPS):
        for stack, goal, optimizer in zip(stacks, targets, optimizers, strict=True):
            optimizer.zero_grad()
            loss = ((s.polar(stack) - goal) ** 2).sum() + s.schatten_norm(stack, 3.0).sum()
            loss.backward()
        assert stacks[1].grad.placements == (Shard(0),)
        assert_close(stacks[1].grad, stacks[0].grad, f"DTensor, gradient in step {step}")
        for optimizer in optimizers:
            optimizer.step()
        assert_close(stacks[1], stacks[0], f"DTensor, matrices after step {step}")


def differentiate_other_placements(mesh):
    """Rows or columns on different processes, and summands of a matrix: they come together before the SVD."""
    whole = matrices(2, 4, 6).requires_grad_()
    weights = matrices(2, 4, 6, seed=4)
    (expected,) = torch.autograd.grad((weights * s.polar(whole)).sum() + s.spectral_norm(whole).sum(), whole)
    for placement in (Shard(1), Shard(2), Replicate()):
        a = distribute_tensor(whole.detach(), mesh, [placement]).requires_grad_()
        loss = (distribute_tensor(weights, mesh, [Replicate()]) * s.polar(a)).sum() + s.spectral_norm(a).sum()
        (g,) = torch.autograd.grad(loss, a)
        assert_close(g, expected, f"gradient where the matrices are {placement}")
    summand = DTensor.from_local(whole.detach() / PROCESSES, mesh, [Partial()], run_check=False)
    assert_close(s.polar(summand), s.polar(whole.detach()), "polar factor of a sum over the processes")


def normalize_all_weights(mesh):
    """Weights whose rows or columns are cut: what they give whole, spread as they were, and with the same gradients."""
    whole = {f"layers.{i}.weight": matrices(8, 6, seed=i) for i in range(3)} | {"bias": matrices(8)}
    whole |= {"conv": matrices(6, 2, 3, 3), "out": matrices(5, 8)}
    for d in (0, 1):
        cut = {
            name: distribute_tensor(x, mesh, [Shard(min(d, x.ndim - 1))]).requires_grad_() for name, x in whole.items()
        }
        vectors, found = [], []
        for weights in ({name: x.clone().requires_grad_() for name, x in whole.items()}, cut):
            start = w.start_vectors(weights, 1)
            vectors.append([x for pair in start.values() for x in pair])
            normal, after = w.spectral_normalize(weights, start, 2)
            vectors[-1] += [x for pair in after.values() for x in pair]
            clipped = w.map_matrices(lambda a: s.clip(a, 1.0), weights)
            loss = sum((x**3).sum() for x in (*normal.values(), *clipped.values()))
            found.append((normal, clipped, torch.autograd.grad(loss, list(weights.values()))))
        for x, y in zip(*vectors, strict=True):
            assert y.placements == (Shard(0) if len(y) >= PROCESSES else Replicate(),)
            assert_close(y, x, "vectors")
        for i, what in enumerate(("normalized", "clipped")):
            for name, x in found[0][i].items():
                assert found[1][i][name].placements == cut[name].placements, (what, name)
                assert_close(found[1][i][name], x, f"{what} {name}, cut in dimension {d}")
        for name, x, y in zip(whole, found[0][2], found[1][2], strict=True):
            assert_close(y, x, f"gradient of {name}, cut in dimension {d}")


def constrain_after_each_step(mesh):
    """The weights of a model after fully_shard(), clipped in place after a step of the optimizer."""
    net = fully_shard(Net(), mesh=mesh)
    weights = dict(net.named_parameters())
    with torch.no_grad():
        for name, x in w.map_matrices(lambda a: s.clip(a, 1.0), weights).items():
            weights[name].copy_(x)
    for name, x in Net().named_parameters():
        assert_close(dict(net.named_parameters())[name], s.clip(x.detach(), 1.0), f"{name} after the constraint")
    loss_of(net(matrices(4, 6)), matrices(4, 4, 5)).backward()


def main():
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(PORT), RANK=str(RANK), WORLD_SIZE=str(PROCESSES))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=RANK, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    train_beside_one_process("DDP", nn.parallel.DistributedDataParallel)
    train_beside_one_process("FSDP", lambda net: fully_shard(net, mesh=mesh))
    train_a_sharded_stack(mesh)
    differentiate_other_placements(mesh)
    normalize_all_weights(mesh)
    constrain_after_each_step(mesh)
    dist.destroy_process_group()
    print("fine")


if __name__ == "__main__":
    main()
