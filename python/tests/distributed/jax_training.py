# SPDX-License-Identifier: BSD-3-Clause
"""One of several processes that train with JAX on a mesh over all of their devices: jax_training.py <port> <rank>
<processes>.  Every gradient is that of one device that has it all."""

import sys

import jax
import numpy as np

PORT, RANK, PROCESSES = map(int, sys.argv[1:])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{PORT}", PROCESSES, RANK)

import jax.numpy as jnp  # noqa: E402
from jax.sharding import NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import svdgrad.jax as s  # noqa: E402
import svdgrad.jax_weights as w  # noqa: E402

DEVICES = jax.device_count()
MESH = jax.make_mesh((DEVICES,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
COLLECTIVES = ("all-gather", "all-to-all", "collective-permute", "all-reduce", "reduce-scatter")


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def spread(a, spec):
    return jax.make_array_from_callback(a.shape, NamedSharding(MESH, spec), lambda index: a[index])


def collectives(compiled):
    text = compiled.as_text()
    return {name for name in COLLECTIVES if f"{name}(" in text or f"{name}-start(" in text}


def assert_close(found, expected, what):
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        for shard in x.addressable_shards:
            error = np.abs(shard.data - y[shard.index]).max()
            assert error <= 1e-12 * max(1, np.abs(y).max()), f"{what}: wrong by {error}"


def loss(weights, x, y):
    a = (jnp.tanh(x @ weights["hidden"]) @ weights["last"]).reshape(-1, 4, 5)
    return jnp.mean((s.low_rank(a, 2) - y) ** 2) + 0.1 * jnp.mean(s.nuclear_norm(a)) + jnp.mean((s.polar(a) - y) ** 3)


@jax.jit
def step(weights, x, y):
    gradient = jax.grad(loss)(weights, x, y)
    return gradient, jax.tree.map(lambda w, g: w - 0.05 * g, weights, gradient)


def train_on_shared_samples():
    """The samples are spread over the devices, the weights are everywhere: the gradients are summed, and no more."""
    whole = {"hidden": random(6, 16, seed=1), "last": random(16, 20, seed=2)}
    weights = jax.tree.map(lambda w: spread(w, P()), whole)
    for i in range(3):
        x, y = random(4 * DEVICES, 6, seed=10 + i), random(4 * DEVICES, 4, 5, seed=20 + i)
        operands = weights, spread(x, P("x")), spread(y, P("x"))
        if i == 0:
            assert collectives(step.lower(*operands).compile()) == {"all-reduce"}
        gradient, weights = step(*operands)
        expected, whole = step(whole, x, y)
        assert_close(gradient, expected, f"gradient in step {i}")
        assert_close(weights, whole, f"weights after step {i}")


def train_a_stack_of_matrices():
    """The matrices themselves are spread: nothing is sent at all."""

    @jax.jit
    def step(a, target):
        gradient = jax.grad(lambda a: jnp.sum((s.polar(a) - target) ** 2) + jnp.sum(s.schatten_norm(a, 3.0)))(a)
        return gradient, a - 0.05 * gradient

    whole, target = random(2 * DEVICES, 4, 3), random(2 * DEVICES, 4, 3, seed=3)
    a, goal = spread(whole, P("x")), spread(target, P("x"))
    assert not collectives(step.lower(a, goal).compile())
    for i in range(3):
        gradient, a = step(a, goal)
        expected, whole = step(whole, target)
        assert_close(gradient, expected, f"gradient of a stack in step {i}")
        assert_close(a, whole, f"stack after step {i}")


def normalize_all_weights():
    """The rows of the weights are on all devices: two all-to-alls for the one shape, with the values of each alone."""
    whole = [random(2 * DEVICES, 6, seed=i) for i in range(DEVICES + 1)]
    weights = [spread(x, P("x", None)) for x in whole]
    where = {"mesh": MESH, "axis": "x", "layout": P("x", None)}
    start = jax.jit(lambda a: w.start_vectors(a, 1, **where))(weights)
    layouts = [x.sharding for x in weights]
    step = jax.jit(lambda a, v: w.spectral_normalize(a, v, 2, **where), out_shardings=(layouts, None))
    assert collectives(step.lower(weights, start).compile()) == {"all-to-all"}
    normal, _ = step(weights, start)
    expected, _ = w.spectral_normalize(whole, w.start_vectors(whole, 1), 2)
    assert_close(normal, expected, "normalized weights")


def main():
    assert jax.process_count() == PROCESSES and DEVICES == 2 * PROCESSES
    train_on_shared_samples()
    train_a_stack_of_matrices()
    normalize_all_weights()
    jax.distributed.shutdown()
    print("fine")


if __name__ == "__main__":
    main()
