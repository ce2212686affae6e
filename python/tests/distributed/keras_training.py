# SPDX-License-Identifier: BSD-3-Clause
"""One of several processes that train with Keras on the JAX backend under keras.distribution: keras_training.py <port>
<rank> <processes>.  Two devices each.  Losses and weights are those of one device that has it all; the optimizer is SGD,
whose steps are the gradients."""

import sys

import jax

PORT, RANK, PROCESSES = map(int, sys.argv[1:])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
import keras  # noqa: E402

keras.distribution.initialize(f"127.0.0.1:{PORT}", PROCESSES, RANK)

import numpy as np  # noqa: E402

import svdgrad.keras as sk  # noqa: E402

BATCH, STEPS = 16, 3


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def model():
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(8, activation="tanh", kernel_constraint=sk.SpectralNorm(0.9), name="first")
    second = keras.layers.Dense(20, kernel_regularizer=sk.NuclearNorm(1e-2), name="second")
    net = keras.Sequential(
        [keras.Input((6,)), first, sk.SpectralNormalization(second, name="normal"), keras.layers.Reshape((4, 5))]
    )
    net.compile(keras.optimizers.SGD(0.1), loss=sk.LowRankLoss(2))
    return net


class AfterEachStep(keras.callbacks.Callback):
    """Copies of the weights, of those that one process cannot see as a whole: its own part, with the place of it."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        self.model.jax_state_sync()
        parts = [[(s.index, np.array(s.data)) for s in w.value.addressable_shards] for w in self.model.weights]
        self.found.append((logs["loss"], parts))


def trained(samples, batch):
    net, after = model(), AfterEachStep()
    x, y = random(STEPS * BATCH, 6), random(STEPS * BATCH, 4, 5)
    x, y = (a.reshape(STEPS, BATCH, *a.shape[1:])[:, samples].reshape(-1, *a.shape[1:]) for a in (x, y))
    net.fit(x, y, batch_size=batch, shuffle=False, verbose=0, callbacks=[after])
    assert len(after.found) == STEPS
    return net, after.found


def compare(name, found, expected):
    for step, ((loss, parts), (whole_loss, wholes)) in enumerate(zip(found, expected, strict=True)):
        assert np.isclose(loss, whole_loss, rtol=1e-5), (name, step, loss, whole_loss)
        for shards, [(_, whole)] in zip(parts, wholes, strict=True):
            for index, part in shards:
                error = np.abs(part - whole[index]).max()
                assert error < 1e-5, (name, step, whole.shape, error)


def main():
    devices = keras.distribution.list_devices()
    assert len(devices) == 2 * PROCESSES == 4 and jax.process_count() == PROCESSES
    _, expected = trained(slice(None), BATCH)
    part = BATCH // PROCESSES
    mine = slice(RANK * part, (RANK + 1) * part)

    data_parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    keras.distribution.set_distribution(data_parallel)
    _, found = trained(mine, part)
    compare("DataParallel", found, expected)

    mesh = keras.distribution.DeviceMesh((PROCESSES, 2), ("batch", "model"), devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*first/kernel"] = (None, "model")
    layout[".*second/kernel"] = ("model", None)
    model_parallel = keras.distribution.ModelParallel(
        layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
    )
    keras.distribution.set_distribution(model_parallel)
    net, found = trained(mine, part)
    kernels = [w for w in net.weights if "kernel" in w.path]
    assert len(kernels) == 2 and all(not w.value.sharding.is_fully_replicated for w in kernels)
    compare("ModelParallel", found, expected)
    print("fine")


if __name__ == "__main__":
    main()
