# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import tensorflow as tf

import svdgrad.tensorflow


class Adapter:
    name = "tensorflow"
    module = svdgrad.tensorflow

    def array(self, a):
        return tf.constant(a)

    def numpy(self, x):
        return x.numpy() if tf.is_tensor(x) else np.asarray(x)

    def inner(self, x, weights):
        """The real number Re <weights, x>; weights is a NumPy array."""
        return tf.math.real(tf.reduce_sum(tf.constant(np.conj(weights), x.dtype) * x))

    def square(self, x, weights):
        """sum of weights |x|^2."""
        return tf.reduce_sum(weights * tf.math.real(x * tf.math.conj(x)))

    def grad(self, f, *arrays):
        arrays = [tf.constant(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            y = f(*arrays)
        return [g.numpy() for g in tape.gradient(y, arrays, unconnected_gradients="zero")]

    def jvp(self, f, a, da):
        a = tf.constant(a)
        with tf.autodiff.ForwardAccumulator(a, tf.constant(da)) as accumulator:
            y = f(a)
        return accumulator.jvp(y).numpy()

    def second(self, f, a, da):
        a, da = tf.constant(a), tf.constant(da)
        with tf.GradientTape() as outer:
            outer.watch(a)
            with tf.GradientTape() as tape:
                tape.watch(a)
                y = f(a)
            g = tape.gradient(y, a)
            along = tf.math.real(tf.reduce_sum(tf.math.conj(da) * g))
        return outer.gradient(along, a, unconnected_gradients="zero").numpy()

    def jit(self, f):
        return tf.function(f)

    def vmap(self, f):
        return lambda x: tf.vectorized_map(f, x)
