# SPDX-License-Identifier: BSD-3-Clause
"""What TensorFlow alone has: graphs with unknown shapes, SavedModels, errors, gradients of unused outputs, the C API."""

import pathlib
import shutil
import subprocess
import sys

import cases
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import svdgrad  # noqa: E402
import svdgrad.tensorflow as st  # noqa: E402

TYPES = [tf.float32, tf.float64, tf.complex64, tf.complex128]
SOURCES = pathlib.Path(__file__).parent.parent / "csrc"


def run_python(program, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    return result.returncode, result.stdout + result.stderr


def gradient(f, a):
    a = tf.constant(a)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = f(a)
    return tape.gradient(y, a)


# ---- the border


def test_abi_against_the_headers_of_tensorflow(tmp_path):
    """Our prototypes and values are theirs."""
    include = pathlib.Path(tf.sysconfig.get_include())
    if not (include / "tensorflow/c/kernels.h").exists() or not shutil.which("gcc") or not SOURCES.exists():
        pytest.skip("needs TensorFlow's headers, gcc and our sources")
    values = {"TF_FLOAT": "TYPE_FLOAT", "TF_DOUBLE": "TYPE_DOUBLE", "TF_INT32": "TYPE_INT32", "TF_UINT8": "TYPE_UINT8",
              "TF_COMPLEX64": "TYPE_COMPLEX64", "TF_COMPLEX128": "TYPE_COMPLEX128", "TSL_OK": "CODE_OK",
              "TSL_INVALID_ARGUMENT": "CODE_INVALID_ARGUMENT", "TSL_RESOURCE_EXHAUSTED": "CODE_RESOURCE_EXHAUSTED",
              "TSL_UNIMPLEMENTED": "CODE_UNIMPLEMENTED", "TSL_INTERNAL": "CODE_INTERNAL"}  # fmt: skip
    program = """
        #include <stdbool.h>
        typedef struct TF_DimensionHandle TF_DimensionHandle;
        typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
        typedef struct TF_ShapeHandle TF_ShapeHandle;
        typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
        #include <tensorflow/c/kernels.h>
        #include <tensorflow/c/ops.h>
        #define TF_ABI_IS_COMPARED
        #include "tf_abi.h"
        static tf_functions_t ours;
        #define COMPARE(result, name, parameters) \\
          _Static_assert(__builtin_types_compatible_p(__typeof__(&TF_##name), __typeof__(ours.name)), #name);
        TF_FUNCTIONS(COMPARE)
        _Static_assert(sizeof(TF_DataType) == sizeof(unsigned) && sizeof(TF_Code) == sizeof(unsigned), "enums");
    """ + "".join(f'_Static_assert((int){theirs} == (int){ours}, "{ours}");\n' for theirs, ours in values.items())
    (tmp_path / "abi.c").write_text(program)
    command = ["gcc", "-std=gnu11", "-fsyntax-only", f"-I{include}", f"-I{SOURCES}", str(tmp_path / "abi.c")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[:3000]


@pytest.mark.parametrize("options, text", [("foo=1", "options is wrong"), ("rank", "options is wrong"), ("rank=9", "rank"),
                                           ("absent_outputs=1", "options is wrong")])  # fmt: skip
def test_wrong_options_of_an_op(options, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        st.ops._OPS["svd"](tf.ones([3, 3]), tf.float32, options)


def test_inputs_of_an_op_are_checked():
    a = tf.constant(cases.random(2, 4, 3))
    U, S, Vh = st.svd(a, False)
    backward = lambda *inputs: st.ops._OPS["svd_backward"](*inputs, "absent_outputs=2")  # noqa: E731
    with pytest.raises(tf.errors.InvalidArgumentError, match="input 1 has 2 entries in dimension 1, must have 3"):
        backward(a, S[:, :2], U, Vh, S, U, Vh)
    with pytest.raises(tf.errors.InvalidArgumentError, match="input 2 has 2 dimensions, must have 3"):
        backward(a, S, U[0], Vh, S, U, Vh)
    with pytest.raises(tf.errors.InvalidArgumentError, match="input 6 has 1 entries in dimension 0, must have 2"):
        backward(a, S, U, Vh, S, U, Vh[:1])


def test_real_attributes_keep_all_their_bits():
    for value in (0.1, 1e-300, -3.7e12, 5e-324):
        text = st.ops._options(svdgrad.options.Attributes(param=value), 0, 0, "")
        assert st.ops._parsed(text.encode())[0].param == value
    a = np.diag([1.0, 0.5])
    t = np.nextafter(0.5, 0)
    assert st.hard_threshold(a, t)[1, 1] == 0.5 and st.hard_threshold(a, 0.5)[1, 1] == 0.0


# ---- graphs


SIGNATURES = [[2, 4, 3], [None, 4, 3], [2, None, None], [None, None, None], None]


@pytest.mark.parametrize("signature", SIGNATURES, ids=str)
@pytest.mark.parametrize("full", [False, True], ids=["thin", "full"])
def test_shapes_known_before_the_call(signature, full):
    a = cases.random(2, 4, 3)

    @tf.function(input_signature=[tf.TensorSpec(signature, tf.float64)])
    def f(x):
        return st.svd(x, full)

    static = [x.shape for x in f.get_concrete_function().structured_outputs]
    for shape, x, expected in zip(static, f(a), np.linalg.svd(a, full)):
        assert x.shape == expected.shape and shape.is_compatible_with(expected.shape)
        assert np.allclose(abs(x), abs(expected))
        if signature and signature[1:] == [4, 3]:
            assert shape.as_list()[1:] == list(expected.shape[1:])
        if signature:
            assert shape.rank == expected.ndim


FUNCTIONS = {
    "svdvals": lambda x: st.svdvals(x),
    "rank": lambda x: st.svd(x, rank=2).S,
    "polar": st.polar,
    "low_rank": lambda x: st.low_rank(x, 2),
    "pinv": st.pinv,
    "whitening": st.whitening,
    "sqrtm_gram": st.sqrtm_gram,
    "nuclear_norm": st.nuclear_norm,
    "schatten_norm": lambda x: st.schatten_norm(x, 3.0),
    "power_iteration": lambda x: st.power_iteration(x, tf.ones_like(x[..., 0]), None, 3).sigma,
    "spectral_normalize": lambda x: st.spectral_normalize(x, tf.ones_like(x[..., 0]), None, 3).y,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_shapes_with_gradients(name):
    a, f = tf.constant(cases.random(2, 4, 3)), FUNCTIONS[name]

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64)])
    def value_and_gradient(x):
        y = f(x)
        return y, tf.gradients(y, x)[0]

    y, g = value_and_gradient(a)
    assert np.array_equal(y, f(a)) and np.allclose(g, gradient(f, a), rtol=1e-12, atol=1e-12)
    assert value_and_gradient(a[0])[0].shape == y.shape[1:]


def test_too_few_dimensions():
    with pytest.raises(ValueError, match="a has 1 dimensions, must have at least 2"):
        st.svdvals(tf.ones([3]))
    with pytest.raises(ValueError, match="at least"):
        tf.function(
            lambda x: st.ops._OPS["svd"](x, tf.float32), input_signature=[tf.TensorSpec([3])]
        ).get_concrete_function()
    unknown = tf.function(st.svdvals, input_signature=[tf.TensorSpec(None)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="the matrices have 1 dimensions, must have at least 2"):
        unknown(tf.ones([3]))


def test_errors_that_only_show_in_the_call():
    square = tf.function(st.nearest_rotation, input_signature=[tf.TensorSpec([None, None])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="svdgrad: function: .*must be"):
        square(tf.ones([2, 3]))
    with pytest.raises(TypeError, match="a: dtype is int32, must be float32"):
        st.svd([[1, 2], [3, 4]])


def test_derivatives_of_order_two_that_need_known_m_and_n():
    def second(f):
        def of(x):
            g = tf.gradients(f(x), x)[0]
            return tf.gradients(tf.reduce_sum(g * g), x)[0]

        return tf.function(of, input_signature=[tf.TensorSpec([None, None], tf.float64)])

    a = tf.constant(cases.random(4, 3))
    with pytest.raises(
        ValueError, match="needs matrices whose m and n are known before the call: the shape is \\(None, None\\)"
    ):
        second(lambda x: tf.reduce_sum(st.polar(x) ** 3))(a)
    U, S, Vh = st.svd(a, False)
    found = second(lambda x: tf.reduce_sum(st.svd(x, False).S ** 3))(a)  # here the library has it
    assert np.allclose(found, (U * (2 * 6 * S * 3 * S**2)) @ Vh)


def test_errors_raise_in_a_graph_too():
    a = cases.random(2, 3, 4, 3)
    a[1, 2, 0, 0], a[1, 0, 1, 1] = np.nan, np.inf
    f = tf.function(lambda x: st.polar(x, errors="raise"))
    for call in (lambda: f(tf.constant(a)), lambda: st.polar(a, errors="raise")):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"polar: matrix \[1, 0\] failed: it has a NaN or an infinity, and 1 other",
        ):
            call()
    assert np.isfinite(f(tf.constant(a[0]))).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="nuclear_norm: the matrix failed"):
        st.nuclear_norm(a[1, 2], errors="raise")
    with pytest.raises(tf.errors.InvalidArgumentError, match="slogdet: matrix 0 failed"):
        st.slogdet(a[1, :1, :3], errors="raise")


def test_report_and_info_in_a_graph():
    a = np.stack([np.diag([3.0, 2.0, 1.0]), np.eye(3)])
    f = tf.function(
        lambda x: st.svd(x, False, report=True, errors="info"),
        input_signature=[tf.TensorSpec([None, 3, 3], tf.float64)],
    )
    result = f(a)
    assert result.info.numpy().tolist() == [0, 0] and result.report.dropped_pairs.numpy().tolist() == [0, 3]
    assert np.allclose(result.report.min_gap, [1 / 3, 0]) and result.report.min_gap.dtype == tf.float64


def test_xla_is_refused_in_one_sentence():
    with pytest.raises(
        NotImplementedError, match="svd has no kernel for XLA: call it outside of the functions with jit_compile=True"
    ):
        tf.function(st.svdvals, jit_compile=True)(tf.eye(3))

    @tf.function(jit_compile=True)
    def compiled(x):
        return tf.reduce_sum(x * x)

    assert tf.function(lambda x: compiled(st.svdvals(x)))(tf.eye(3)) == 3.0


def test_vectorized_map_without_a_loop():
    a = tf.constant(cases.random(4, 2, 3, 3))

    def f(x):
        y = st.nuclear_norm(x) + tf.reduce_sum(st.polar(x) * x, [-2, -1]) + tf.reduce_sum(st.svdvals(x) ** 3, -1)
        return y + st.slogdet(x).logabsdet

    found = tf.vectorized_map(lambda x: gradient_at(f, x), a, fallback_to_while_loop=False)
    assert np.allclose(found, gradient(f, a), rtol=1e-12)
    with tf.GradientTape() as tape:
        x = a[0, 0]
        tape.watch(x)
        S = st.svdvals(x)
    U, _, Vh = st.svd(x)
    assert np.allclose(tape.jacobian(S, x), np.einsum("ik,kj->kij", U, Vh))


SAVE = """
import sys, tensorflow as tf, svdgrad.tensorflow as st
class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4, 3], tf.float64)])
    def __call__(self, x):
        s, u, v = st.tf_svd(x)
        return st.soft_threshold(x, 0.5), s, st.nuclear_norm(x)
tf.saved_model.save(Model(), sys.argv[1])
"""
LOAD = """
import sys, tensorflow as tf, numpy as np
import svdgrad.tensorflow as st
model = tf.saved_model.load(sys.argv[1])
a = tf.constant(np.random.default_rng(0).standard_normal((2, 4, 3)))
def loss(f):
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = sum(tf.reduce_sum(x) for x in f(a))
    return tape.gradient(y, a)
ours = lambda x: (st.soft_threshold(x, 0.5), st.svdvals(x), st.nuclear_norm(x))
assert all(np.allclose(x, y, rtol=1e-13) for x, y in zip(model(a), ours(a)))
assert np.allclose(loss(model), loss(ours), rtol=1e-12)
"""


def test_saved_model_in_another_process(tmp_path):
    status, output = run_python(SAVE, tmp_path)
    assert status == 0, output[-2000:]
    status, output = run_python(LOAD, tmp_path)
    assert status == 0, output[-2000:]
    status, output = run_python(LOAD.replace("import svdgrad.tensorflow as st", ""), tmp_path)
    assert status != 0 and "Svdgrad" in output  # the op is not registered


# ---- gradients


@pytest.mark.parametrize("dtype", TYPES, ids=lambda t: t.name)
def test_drop_in_for_tf_linalg_svd(dtype):
    a = tf.constant(cases.random(2, 4, 3, dtype=dtype.as_numpy_dtype))
    for options in ({}, {"full_matrices": True}):
        s, u, v = st.tf_svd(a, **options)
        like = tf.linalg.svd(a, **options)
        assert [x.shape for x in (s, u, v)] == [x.shape for x in like] and [x.dtype for x in (s, u, v)] == [
            x.dtype for x in like
        ]
        assert np.allclose((u[..., :3] * tf.cast(s, dtype)[..., None, :]) @ tf.linalg.adjoint(v[..., :3]), a, atol=1e-5)
        assert np.allclose(s, like[0], atol=1e-5)
    assert np.allclose(st.tf_svd(a, compute_uv=False), tf.linalg.svd(a, compute_uv=False), atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.float64, tf.complex128], ids=lambda t: t.name)
@pytest.mark.parametrize("full", [False, True], ids=["thin", "full"])
def test_gradients_of_v_are_those_of_vh(full, dtype):
    a = cases.random(3, 5, dtype=dtype.as_numpy_dtype)
    w = tf.constant(cases.random(5, 5 if full else 3, seed=3))

    def of_v(x):
        s, u, v = st.tf_svd(x, full)
        return tf.reduce_sum(w * tf.abs(v) ** 2) + tf.reduce_sum(s**3) + tf.math.real(u[0, 0] * tf.math.conj(v[1, 0]))

    def of_vh(x):
        U, S, Vh = st.svd(x, full)
        return tf.reduce_sum(tf.transpose(w) * tf.abs(Vh) ** 2) + tf.reduce_sum(S**3) + tf.math.real(U[0, 0] * Vh[0, 1])

    assert np.allclose(gradient(of_v, a), gradient(of_vh, a), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [tf.float64, tf.complex128], ids=lambda t: t.name)
def test_gradients_have_the_convention_of_tensorflow(dtype):
    """The same as those of tf.linalg.svd where that has some."""

    def loss(svd):
        def f(a):
            s, u, v = svd(a)
            return tf.reduce_sum(tf.math.real(u[..., :2, :] * tf.math.conj(u[..., 1:3, :]))) + tf.reduce_sum(s**3)

        return f

    a = cases.random(3, 3, dtype=dtype.as_numpy_dtype)
    assert np.allclose(gradient(loss(st.tf_svd), a), gradient(loss(tf.linalg.svd), a), rtol=1e-9)


def test_outputs_without_a_loss():
    """TensorFlow fills in zeros for them; they do not reach the formula, even where it would divide by a gap of 0."""
    a = tf.eye(3, dtype=tf.float64)
    for graph in (lambda f: f, tf.function):
        f = graph(lambda x: gradient_of_values(x, "exact"))
        assert np.allclose(f(a), np.eye(3))
    assert np.isfinite(gradient(lambda x: st.svd(x).U[0, 1], a)).all()
    assert gradient(lambda x: tf.constant(1.0), a) is None


def gradient_of_values(x, gap_policy):
    with tf.GradientTape() as tape:
        tape.watch(x)
        U, S, Vh = st.svd(x, gap_policy=gap_policy)
        y = tf.reduce_sum(S)
    return tape.gradient(y, x)


def test_a_gradient_that_is_zero_still_has_a_derivative():
    a = tf.constant(cases.random(4, 3))
    s0 = st.svdvals(a)

    def hessian_times(da, values):
        with tf.GradientTape() as outer:
            outer.watch(a)
            with tf.GradientTape() as tape:
                tape.watch(a)
                y = 0.5 * tf.reduce_sum((values(a) - s0) ** 2)
            along = tf.reduce_sum(tape.gradient(y, a) * da)
        return outer.gradient(along, a)

    U, S, Vh = st.svd(a, False)
    da = tf.constant(cases.random(4, 3, seed=3))
    expected = (U * tf.linalg.diag_part(tf.transpose(U) @ da @ tf.transpose(Vh))) @ Vh
    assert np.allclose(hessian_times(da, st.svdvals), expected)
    assert np.allclose(hessian_times(da, lambda x: st.svd(x, False).S), expected)


@pytest.mark.parametrize("name, f", [
    ("svdvals", lambda x: tf.reduce_sum(st.svdvals(x) ** 4)),
    ("svd", lambda x: tf.reduce_sum(st.svd(x, False).U[:2] ** 2 * [1.0, 2.0, 3.0])),
    ("polar", lambda x: tf.reduce_sum(st.polar(x)[0] ** 3)),
    ("sqrtm_gram", lambda x: tf.reduce_sum(st.sqrtm_gram(x)[0] ** 3)),
    ("nuclear_norm", lambda x: st.nuclear_norm(x) ** 2),
    ("schatten_norm", lambda x: st.schatten_norm(x, 3.0) ** 2),
    ("spectral_norm", lambda x: st.spectral_norm(x) ** 3),
    ("logabsdet", lambda x: st.logabsdet(x) ** 2),
], ids=lambda x: x if isinstance(x, str) else "")  # fmt: skip
def test_third_order(name, f):
    a, da = tf.constant(cases.random(4, 3)), tf.constant(cases.random(4, 3, seed=3))

    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            along = tf.reduce_sum(tape.gradient(y, x) * da)
        return tf.reduce_sum(outer.gradient(along, x) * da)

    h = 1e-5
    expected = (second(a + h * da) - second(a - h * da)) / (2 * h)
    assert float(tf.reduce_sum(gradient(second, a) * da)) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_forward_over_reverse():
    a, da = tf.constant(cases.random(4, 3)), tf.constant(cases.random(4, 3, seed=3))
    for f in (
        lambda x: tf.reduce_sum(st.polar(x) ** 3),
        lambda x: st.nuclear_norm(x) ** 2,
        lambda x: tf.reduce_sum(st.svdvals(x) ** 3),
    ):
        with tf.autodiff.ForwardAccumulator(a, da) as accumulator:
            g = gradient_at(f, a)
        h = 1e-6
        assert np.allclose(
            accumulator.jvp(g), (gradient_at(f, a + h * da) - gradient_at(f, a - h * da)) / (2 * h), atol=1e-6
        )


def gradient_at(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16], ids=lambda t: t.name)
def test_half_precision_is_computed_in_float32(dtype):
    a = tf.cast(cases.random(2, 4, 3), dtype)
    wide = tf.cast(a, tf.float32)
    assert all(x.dtype == dtype for x in st.svd(a))
    assert np.array_equal(st.svdvals(a), tf.cast(st.svdvals(wide), dtype))
    assert np.array_equal(st.polar(a), tf.cast(st.polar(wide), dtype))
    g = gradient(lambda x: tf.reduce_sum(st.nuclear_norm(x)), a)
    assert g.dtype == dtype and np.array_equal(g, tf.cast(st.polar(wide), dtype))


def test_vectors_of_the_power_iteration_broadcast_and_have_no_gradient():
    a = cases.random(2, 4, 3)
    u = tf.Variable(np.ones(4))
    with tf.GradientTape() as tape:
        sigma = st.power_iteration(tf.constant(a), u, None, 300).sigma
    assert np.allclose(sigma, np.linalg.norm(a, 2, (-2, -1))) and tape.gradient(sigma, u) is None
