# SPDX-License-Identifier: BSD-3-Clause
"""What is special to JAX: transformations, sharding, several processes, export, small types, the interface to XLA."""

import concurrent.futures
import os
import pathlib
import runpy
import shutil
import socket
import subprocess
import sys
import textwrap

import cases
import numpy as np
import pytest

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
from jax.sharding import AxisType, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import svdgrad  # noqa: E402
import svdgrad.jax as sj  # noqa: E402
from svdgrad import _xla  # noqa: E402

PYTHON = pathlib.Path(__file__).parents[1]


def smooth(a):
    """A loss that no gauge changes."""
    U, S, Vh = sj.svd(a, full_matrices=False)
    return jnp.sum(jnp.abs((U * S[..., None, :] ** 2) @ Vh) ** 2) + jnp.sum(sj.nuclear_norm(a))


def loss(a):
    """Through most operations.  The power iteration holds u and v in derivatives."""
    u, v = jnp.ones(a.shape[-2:-1], a.dtype), jnp.ones(a.shape[-1:], a.dtype)
    normal = sj.spectral_normalize(a, u, v, 2)
    polar = sj.polar(a)[..., 0]
    return (
        smooth(a) + jnp.sum(sj.svdvals(a)) + jnp.sum(normal.sigma) + jnp.sum(jnp.abs(normal.y + polar[..., None]) ** 2)
    )


def along(f, a, da, step=1e-6):
    return jax.tree.map(lambda x, y: (x - y) / (2 * step), f(a + step * da), f(a - step * da))


def assert_close(x, y, bound):
    for p, q in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        assert np.abs(p - q).max(initial=0) <= bound * max(np.abs(q).max(initial=0), 1e-300)


def run(script, *arguments, devices=1, wait=True, **environment):
    """Another Python with this package and so many virtual devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return process


def finish(process):
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


# ---- derivatives


@pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])
def test_forward_over_reverse_and_the_other_way(dtype):
    a, da = jnp.asarray(cases.random(3, 2, dtype=dtype)), jnp.asarray(cases.random(3, 2, dtype=dtype, seed=7))
    gradient = jax.jit(jax.grad(smooth))
    expected = along(gradient, a, da)
    assert_close(jax.jit(lambda a: jax.jvp(jax.grad(smooth), (a,), (da,))[1])(a), expected, 1e-7)
    # reverse over reverse: the derivative of Re <gradient, conj(da)> is the Hessian along da, for real and complex
    # alike
    again = jax.jit(jax.grad(lambda a: jnp.real(jnp.sum(jax.grad(smooth)(a) * da))))(a)
    assert_close(again, expected, 1e-7)
    # reverse over forward
    assert_close(jax.jit(jax.grad(lambda a: jax.jvp(smooth, (a,), (da,))[1]))(a), expected, 1e-7)


def test_hessian_is_symmetric():
    a = jnp.asarray(cases.random(2, 3))
    for f in (lambda a: jnp.sum(sj.svd(a, False).S ** 3), sj.nuclear_norm, lambda a: jnp.sum(sj.whitening(a) ** 2)):
        H = jax.jit(jax.hessian(f))(a).reshape(6, 6)
        assert_close(H, H.T, 1e-10)
        assert_close(jax.jit(jax.jacrev(jax.jacfwd(f)))(a).reshape(6, 6), H, 1e-10)


def test_third_derivative():
    a, da = jnp.asarray(cases.random(2, 2)), jnp.asarray(cases.random(2, 2, seed=7))

    def derivative(f):
        return lambda a: jax.jvp(f, (a,), (da,))[1]

    for f in (lambda a: jnp.sum(sj.svdvals(a) * jnp.arange(2.0)), lambda a: jnp.sum(sj.polar(a)[0])):
        second = derivative(derivative(f))
        assert_close(jax.jit(derivative(second))(a), along(jax.jit(second), a, da), 1e-6)


def test_jacobians_at_a_tie_are_finite():
    for f in (sj.svdvals, sj.polar, sj.nuclear_norm, lambda a: sj.svd(a).U):
        assert np.isfinite(jax.jacfwd(f)(jnp.eye(3))).all() and np.isfinite(jax.jacrev(f)(jnp.eye(3))).all()


def test_absent_cotangents_are_not_computed():
    """Only S is used: the call gets gS alone, and no gap is divided by."""
    text = str(jax.make_jaxpr(jax.grad(lambda a: jnp.sum(sj.svd(a, full_matrices=False).S)))(jnp.eye(3)))
    assert "svdgrad_svd_backward" in text and f"inputs={0b11110}" in text.replace(" ", "")


# ---- vmap


@pytest.mark.parametrize("axes", [(0, 0, None), (1, None, 0), (None, 1, None), (-1, 0, 1)], ids=str)
def test_vmap_over_any_axes(axes):
    sizes = [3, 4, 5, 2, 3]  # batch, m, n

    def argument(axis, *shape):
        return jnp.asarray(cases.random(*shape) if axis is None else np.moveaxis(cases.random(6, *shape), 0, axis))

    arguments = [argument(axes[0], *sizes[1:3]), argument(axes[1], 4), argument(axes[2], 5)]

    def f(a, u, v):
        return sj.power_iteration(a, u, v, 3)

    many = jax.vmap(f, in_axes=axes)(*arguments)
    for i in range(6):
        one = f(*(x if axis is None else jnp.take(x, i, axis) for x, axis in zip(arguments, axes)))
        for x, y in zip(many, one, strict=True):
            assert np.array_equal(x[i], y)


def test_vmap_makes_one_call():
    a = jnp.asarray(cases.random(2, 3, 4, 5))
    f = jax.jit(jax.vmap(jax.vmap(jax.grad(lambda a: jnp.sum(sj.polar(a)[0])))))
    text = f.lower(a).as_text()
    assert text.count("@svdgrad_svd(") == 1 and text.count("@svdgrad_function_backward(") == 1
    assert "while" not in text
    assert_close(f(a)[1, 2], jax.grad(lambda a: jnp.sum(sj.polar(a)[0]))(a[1, 2]), 1e-14)


# ---- sharding


def two_axes(kind=AxisType.Auto):
    if jax.device_count() < 8:
        pytest.skip("needs XLA_FLAGS=--xla_force_host_platform_device_count=8")
    return jax.make_mesh((4, 2), ("x", "y"), axis_types=(kind, kind))


SHARDED = {
    "svd": lambda a: sj.svd(a),
    "values": lambda a: (sj.svdvals(a), sj.slogdet(a[..., :3, :]), sj.pinv(a)),
    "gradient": jax.grad(loss),
    "second": lambda a: jax.jvp(jax.grad(lambda a: jnp.sum(sj.polar(a)[..., 0] ** 3)), (a,), (a[..., ::-1],))[1],
}


@pytest.mark.parametrize("name", SHARDED)
@pytest.mark.parametrize("spec", [P("x"), P(("x", "y")), P("x", "y")], ids=str)
def test_a_sharded_batch_needs_no_communication(name, spec):
    mesh = two_axes()
    a = cases.random(8, 4, 4, 3)
    sharded = jax.device_put(a, NamedSharding(mesh, spec))
    compiled = jax.jit(SHARDED[name]).lower(sharded).compile()
    text = compiled.as_text()
    assert "svdgrad_svd" in text or "svdgrad_norm" in text
    for collective in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert collective + "(" not in text and collective + "-start" not in text
    expected = jax.jit(SHARDED[name])(jnp.asarray(a))
    for x, y in zip(jax.tree.leaves(compiled(sharded)), jax.tree.leaves(expected), strict=True):
        assert not x.sharding.is_fully_replicated
        if name in ("svd", "values"):
            assert np.array_equal(x, y)
    assert_close(compiled(sharded), expected, 1e-12)


def test_sharded_columns_are_gathered():
    """The dimensions of the matrices cannot be computed in parts: the result is right."""
    a = cases.random(2, 4, 4)
    sharded = jax.device_put(a, NamedSharding(two_axes(), P("y", "x")))
    assert_close(jax.jit(sj.svdvals)(sharded), np.linalg.svd(a, compute_uv=False), 1e-13)


@pytest.mark.parametrize("name", SHARDED)
def test_shard_map(name):
    mesh = two_axes()
    a = jnp.asarray(cases.random(4, 4, 4, 3))
    mapped = jax.jit(jax.shard_map(SHARDED[name], mesh=mesh, in_specs=P("x", "y"), out_specs=P("x", "y")))
    assert_close(mapped(a), SHARDED[name](a), 1e-12)


def test_shard_map_with_an_operand_that_does_not_vary():
    mesh = two_axes()
    a, u = jnp.asarray(cases.random(8, 4, 3)), jnp.asarray(cases.random(4))

    def total(a, u):
        return jax.lax.psum(jnp.sum(sj.power_iteration(a, u, None, 3).sigma), "x")

    mapped = jax.shard_map(total, mesh=mesh, in_specs=(P("x"), P()), out_specs=P())
    gradient = jax.jit(jax.grad(mapped))(a, u)
    assert_close(gradient, jax.grad(lambda a: jnp.sum(sj.power_iteration(a, u, None, 3).sigma))(a), 1e-13)
    # matrices that are the same everywhere: their gradient is the sum over the devices
    u = jnp.asarray(cases.random(8, 4))
    mapped = jax.shard_map(total, mesh=mesh, in_specs=(P(), P("x")), out_specs=P())
    summed = jax.grad(lambda a: jnp.sum(sj.power_iteration(a, u, None, 3).sigma))
    assert_close(jax.jit(jax.grad(mapped))(a[0], u), summed(a[0]), 1e-13)


def test_explicit_sharding():
    mesh = two_axes(AxisType.Explicit)
    with jax.set_mesh(mesh):
        a = jax.device_put(cases.random(8, 4, 4, 3), NamedSharding(mesh, P("x", "y")))
        for x in (
            sj.svd(a).U,
            sj.polar(a),
            jax.grad(lambda a: jnp.sum(sj.svdvals(a)))(a),
            jax.vmap(sj.nuclear_norm)(a),
        ):
            assert jax.typeof(x).sharding.spec[:2] == ("x", "y")


TWO_PROCESSES = """
    import sys
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{sys.argv[1]}", 2, int(sys.argv[2]))
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec as P
    import svdgrad.jax as sj

    assert jax.process_count() == 2 and jax.device_count() == 4
    mesh = jax.make_mesh((4,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    a = np.random.default_rng(0).standard_normal((8, 4, 3))
    sharded = jax.make_array_from_callback(a.shape, NamedSharding(mesh, P("x")), lambda index: a[index])
    gradient = jax.jit(lambda a: jax.grad(lambda a: jnp.sum(sj.polar(a)[:, 0]) + jnp.sum(sj.nuclear_norm(a)))(a))
    compiled = gradient.lower(sharded).compile()
    assert "all-gather" not in compiled.as_text()
    expected = gradient(jnp.asarray(a))
    for shard in compiled(sharded).addressable_shards:
        assert np.allclose(shard.data, expected[shard.index], rtol=1e-12, atol=1e-13)
    total = lambda a: jax.lax.psum(jnp.sum(sj.nuclear_norm(a)), "x")
    mapped = jax.shard_map(total, mesh=mesh, in_specs=P("x"), out_specs=P())
    assert abs(float(jax.jit(mapped)(sharded)) - np.linalg.svd(a, compute_uv=False).sum()) < 1e-12
    print("fine")
"""


def test_two_processes():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    both = [run(TWO_PROCESSES, port, i, devices=2) for i in range(2)]
    assert all("fine" in finish(process) for process in both)


# ---- types and options


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
def test_small_types_are_computed_in_float32(dtype):
    a = jnp.asarray(cases.random(2, 4, 3), dtype)
    wide = a.astype(jnp.float32)
    for f in (lambda a: sj.svd(a, False), sj.svdvals, sj.polar, sj.nuclear_norm, lambda a: sj.slogdet(a[:, :3])):
        for x, y in zip(jax.tree.leaves(f(a)), jax.tree.leaves(f(wide)), strict=True):
            assert x.dtype == dtype and np.array_equal(x, y.astype(dtype))
    gradient = jax.grad(lambda a: jnp.sum(sj.polar(a)[..., 0].astype(jnp.float32)))(a)
    assert gradient.dtype == dtype
    assert np.isfinite(gradient.astype(jnp.float32)).all()


def test_integers_and_lists():
    assert sj.svdvals(jnp.eye(3, dtype=int)).dtype == jnp.float64
    assert np.allclose(sj.svdvals([[3.0, 0.0], [0.0, 4.0]]), [4, 3])


def test_what_cannot_be_computed_is_named():
    a = jnp.eye(3)
    for call, error, text in (
        (lambda: sj.svdvals(jnp.ones((3, 3), jnp.float8_e4m3fn)), TypeError, "array type float8_e4m3fn is unsupported"),
        (lambda: jax.jit(sj.clip)(a, 0.5), TypeError, "clip: t is .*, must be one real number"),
        (lambda: jax.jit(sj.schatten_norm)(a, 3.0), TypeError, "schatten_norm: p is .*, must be one real number"),
        (lambda: sj.slogdet(a[:2]), ValueError, "slogdet: the matrices are 2-by-3, must be square"),
        (lambda: sj.power_iteration(a, jnp.ones(2)), ValueError, "u has 2 entries, must have 3"),
        (lambda: jax.hessian(lambda a: jnp.real(sj.nearest_rotation(a + 0j)[0, 0]))(a), NotImplementedError, "order two"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_attributes_keep_double_precision():
    a = cases.random(5, 4)
    for name, value in (("soft_threshold", 0.1), ("power", 1 / 3), ("clip", 0.7), ("pinv", 0.3)):
        assert_close(getattr(sj, name)(a, value), getattr(svdgrad, name)(a, value), 4e-16)


def test_errors_are_raised_under_jit():
    a = cases.random(2, 3, 3, 3)
    a[1, 2, 0, 0] = np.nan
    for f, text in (
        (lambda a: sj.svd(a, errors="raise").S, r"svd: matrix \[1, 2\] failed: it has a NaN or an infinity"),
        (lambda a: sj.polar(a, errors="raise"), r"polar: matrix \[1, 2\] failed"),
        (lambda a: sj.nuclear_norm(a[1], errors="raise"), "nuclear_norm: matrix 2 failed"),
        (lambda a: jax.vmap(lambda a: sj.slogdet(a, errors="raise"))(a), r"slogdet: matrix \[1, 2\] failed"),
        (lambda a: jax.grad(lambda a: jnp.sum(sj.polar(a, errors="raise")))(a), r"polar: matrix \[1, 2\]"),
    ):
        with pytest.raises(jax.errors.JaxRuntimeError, match=text):
            jax.block_until_ready(jax.jit(f)(jnp.asarray(a)))
    good = jnp.asarray(cases.random(3, 3))
    assert np.isfinite(jax.jit(lambda a: sj.svd(a, errors="raise").S)(good)).all()


def test_info_under_vmap():
    a = cases.random(3, 4, 3)
    a[1, 0, 0] = np.inf
    assert jax.jit(jax.vmap(lambda a: sj.polar(a, errors="info").info))(a).tolist() == [0, 2, 0]


def test_donation():
    a = cases.random(4, 3, 3)
    expected = sj.polar(jnp.asarray(a))
    f = jax.jit(lambda a: sj.polar(a), donate_argnums=0)
    given = jnp.asarray(a)
    assert np.array_equal(f(given), expected)
    assert given.is_deleted()


def test_the_start_of_an_iteration_is_not_overwritten():
    """u and v share memory with the results: XLA copies them where somebody still needs them."""
    a, u = jnp.asarray(cases.random(4, 3)), jnp.ones(4)
    v = jnp.ones(3)
    f = jax.jit(lambda a, u, v: (sj.power_iteration(a, u, v, 2).u, u + 0))
    assert f(a, u, v)[1].tolist() == [1] * 4 and u.tolist() == [1] * 4


def test_report_of_doubles_without_doubles():
    values = np.array([0.0, 1.0, 1 / 3, 1e-300, 1e300, np.inf, -2.5, 3e38, 2e-38, np.nan])
    words = values.view(np.uint32).reshape(-1, 2)
    found = np.asarray(sj._words_to_real(jnp.asarray(words[:, 0]), jnp.asarray(words[:, 1])))
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32)
    assert np.isnan(found[-1]) and np.allclose(found[:-1], expected[:-1], rtol=2e-7, atol=1e-38)


# ---- export


def test_export_with_a_symbolic_batch(tmp_path):
    pytest.importorskip("flatbuffers", reason="jax.export serializes by flatbuffers")
    a = cases.random(3, 4, 3)
    b, *_ = jax.export.symbolic_shape("b")
    f = jax.jit(jax.grad(lambda a: jnp.sum(sj.svd(a, full_matrices=False).S ** 3) + jnp.sum(sj.pinv(a)[..., 0])))
    exported = jax.export.export(f, disabled_checks=sj.export_checks())(jax.ShapeDtypeStruct((b, 4, 3), a.dtype))
    path = tmp_path / "exported"
    path.write_bytes(exported.serialize())
    np.save(tmp_path / "a.npy", a)
    finish(run("""
        import sys
        import jax
        import numpy as np

        jax.config.update("jax_enable_x64", True)
        import svdgrad.jax

        exported = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
        np.save(sys.argv[2] + "/result.npy", exported.call(np.load(sys.argv[2] + "/a.npy")))
    """, path, tmp_path))  # fmt: skip
    assert_close(np.load(tmp_path / "result.npy"), f(jnp.asarray(a)), 1e-13)


def test_symbolic_matrices_are_refused():
    n, *_ = jax.export.symbolic_shape("n")
    f = jax.export.export(jax.jit(sj.nuclear_norm), disabled_checks=sj.export_checks())
    with pytest.raises(NotImplementedError, match="only the batch may be symbolic"):
        f(jax.ShapeDtypeStruct((2, n, 3), np.float64))


def test_example_of_nearest_rotations(tmp_path):
    path = PYTHON / "examples/jax_rotations.py"
    if not path.exists():
        pytest.skip("needs the sources")
    losses, error = runpy.run_path(str(path))["main"](str(tmp_path / "figure.svg"))
    assert losses[-1] < 0.6 * losses[0] and error < 0.03
    assert (tmp_path / "figure.svg").read_text().count("<circle") > 3000


# ---- the interface to XLA


def lowered_for_cuda(f, *arguments):
    return jax.export.export(jax.jit(f), platforms=["cuda"], disabled_checks=sj.export_checks())(
        *arguments
    ).mlir_module()


def test_the_workspace_of_cuda_is_a_result(monkeypatch):
    """So that nothing is allocated while a command buffer records; it is partitioned like the other results."""
    monkeypatch.setattr(_xla, "_workspace_of", lambda *arguments: 96)
    text = lowered_for_cuda(sj.svdvals, jnp.ones((2, 5, 4)))
    assert "tensor<2x96xui8>" in text and "([i, j, k])->([i, l], [i], [i, m])" in text
    text = lowered_for_cuda(lambda a: sj.power_iteration(a, jnp.ones(5), None, 3), jnp.ones((2, 5, 4)))
    assert text.count("stablehlo.output_operand_alias") == 2
    with pytest.raises(NotImplementedError, match='polar: errors="raise" would wait for the GPU'):
        lowered_for_cuda(lambda a: sj.polar(a, errors="raise"), jnp.ones((2, 5, 4)))


def test_a_missing_cuda_backend_is_named():
    if svdgrad._numpy.backend_error(2) == "":
        pytest.skip("there is one")
    with pytest.raises(RuntimeError, match="svdgrad: svd: "):
        lowered_for_cuda(sj.svdvals, jnp.ones((2, 5, 3)))


def test_the_workspace_of_cuda_is_enough_for_every_shard(monkeypatch):
    """The size is a constant and a part for each matrix; a shard has fewer matrices than the whole."""

    class Library:
        def svdgrad_xla_workspace(self, index, is_cuda, dtype, m, n, count, attributes, outputs):
            return 1000 + 10 * count if count > 1 else 0

    monkeypatch.setattr(_xla, "_library", Library())
    arguments = (_xla.OPERATIONS["svd"], (3, 16), np.float32, 4, 4, svdgrad.options.Attributes(), 15)
    assert _xla._workspace_of(*arguments, is_sharded=False) == -(-1480 // 48)
    size = _xla._workspace_of(*arguments, is_sharded=True)
    assert all(size * count >= 1000 + 10 * count for count in range(2, 49))


def test_threads_give_the_same_bits():
    a = cases.random(4000, 8, 8, dtype=np.float32)
    whole = sj.svd(jnp.asarray(a))
    for part in (slice(0, 1), slice(1997, 2002), slice(3999, 4000)):
        for x, y in zip(whole, sj.svd(jnp.asarray(a[part])), strict=True):
            assert np.array_equal(x[part], y)


def test_a_call_waits_for_all_threads():
    """Few large matrices: some threads still work when the others have nothing left."""
    a = jnp.asarray(cases.random(5, 160, 160))
    one = np.stack([sj.svdvals(x) for x in a])
    for _ in range(10):
        assert np.array_equal(sj.svdvals(a), one)


def test_calls_from_many_threads():
    a = jnp.asarray(cases.random(500, 6, 5))
    f = jax.jit(lambda a: sj.svd(a, full_matrices=False).S)
    expected = np.asarray(f(a))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(x, expected) for x in pool.map(lambda _: np.asarray(f(a)), range(40)))


def test_bad_calls_are_refused():
    one = np.int64(1)

    def call(*arguments, results=None, **attributes):
        results = results or [
            jax.ShapeDtypeStruct(s, t) for s, t in (((2,), "f8"), ((2, 2), "f8"), ((2, 2), "f8"), ((), "i4"))
        ]
        return jax.block_until_ready(jax.ffi.ffi_call("svdgrad_svd", results)(*arguments, **attributes))

    a = jnp.eye(2)
    assert call(a, inputs=one, outputs=np.int64(15))[0].tolist() == [1, 1]
    for arguments, attributes, text in (
        ((a,), dict(inputs=one, outputs=np.int64(15), other=one), "attribute other is unknown"),
        (
            (a,),
            dict(inputs=one, outputs=np.int64(15), gap_param=np.float32(1)),
            "attribute gap_param is unknown, or of another",
        ),
        ((a,), dict(inputs=np.int64(0), outputs=np.int64(15)), "input 0 is absent"),
        ((a,), dict(inputs=one, outputs=np.int64(7)), "output 3 is absent"),
        ((a, a), dict(inputs=one, outputs=np.int64(15)), "2 arguments and 4 results, must be 1 and 4"),
        ((a[0],), dict(inputs=one, outputs=np.int64(15)), "input 0 has 1 dimensions, must have at least 2"),
        ((a.astype(int),), dict(inputs=one, outputs=np.int64(15)), "must be f32, f64, c64 or c128"),
        ((a.astype(jnp.float32),), dict(inputs=one, outputs=np.int64(15)), "output 0 does not fit"),
        ((jnp.ones((3, 2, 2)),), dict(inputs=one, outputs=np.int64(15)), "output 0 does not fit"),
        ((a,), dict(inputs=one, outputs=np.int64(15), rank=np.int64(-1)), "rank"),
    ):
        with pytest.raises(jax.errors.JaxRuntimeError, match=text):
            call(*arguments, **attributes)


def test_the_table_is_that_of_the_library():
    assert list(_xla.OPERATIONS) == list(svdgrad._numpy.operations())


def test_import_needs_nothing_but_jax():
    finish(run("""
        import sys
        import svdgrad.jax
        assert not {"torch", "tensorflow", "keras"} & set(sys.modules)
    """))  # fmt: skip


_ARGUMENTS = "struct_size extensions=extension_start "
_CALL = _ARGUMENTS + "context=ctx "
PAIRS = {  # ours: theirs, and the fields (ours = theirs)
    "xla_extension_t": ("XLA_FFI_{Internal}Extension", "struct_size type next"),
    "xla_buffer_t": ("XLA_FFI_Buffer", _ARGUMENTS + "type=dtype data rank shape=dims"),
    "xla_span_t": ("XLA_FFI_ByteSpan", "text=ptr length=len"),
    "xla_scalar_t": ("XLA_FFI_Scalar", "type=dtype value"),
    "xla_attributes_t": ("XLA_FFI_Attrs", _ARGUMENTS + "count=size types names values=attrs"),
    "xla_version_t": ("XLA_FFI_Api_Version", _ARGUMENTS + "major=major_version minor=minor_version"),
    "xla_error_create_t": ("XLA_FFI_Error_Create_Args", _ARGUMENTS + "message code=errc"),
    "xla_error_destroy_t": ("XLA_FFI_Error_Destroy_Args", _ARGUMENTS + "error"),
    "xla_stream_get_t": ("XLA_FFI_Stream_Get_Args", _CALL + "stream"),
    "xla_schedule_t": ("XLA_FFI_ThreadPool_Schedule_Args", _CALL + "task data"),
    "xla_thread_count_t": ("XLA_FFI_ThreadPool_NumThreads_Args", _CALL + "count=num_threads"),
    "xla_device_get_t": ("XLA_FFI_DeviceOrdinal_Get_Args", _CALL + "device=device_ordinal"),
    "xla_call_t": ("XLA_FFI_CallFrame", _CALL + "api stage arguments=args results=rets attributes=attrs"),
    "xla_metadata_extension_t": ("XLA_FFI_Metadata_Extension", "base=extension_base metadata"),
    "xla_metadata_t": ("XLA_FFI_Metadata", "struct_size version=api_version traits"),
    "xla_api_t": (
        "XLA_FFI_Api",
        _ARGUMENTS + "version=api_version internal=internal_api error_create=XLA_FFI_Error_Create "
        "error_destroy=XLA_FFI_Error_Destroy stream_get=XLA_FFI_Stream_Get schedule=XLA_FFI_ThreadPool_Schedule "
        "thread_count=XLA_FFI_ThreadPool_NumThreads device_get=XLA_FFI_DeviceOrdinal_Get",
    ),
}
GROWS = ("xla_api_t", "xla_call_t", "xla_metadata_t")  # theirs may have further fields at the end
VALUES = {
    "XLA_EXTENSION_METADATA": "XLA_FFI_Extension_Metadata", "XLA_INVALID_ARGUMENT": "XLA_FFI_Error_Code_INVALID_ARGUMENT",
    "XLA_RESOURCE_EXHAUSTED": "XLA_FFI_Error_Code_RESOURCE_EXHAUSTED", "XLA_UNIMPLEMENTED": "XLA_FFI_Error_Code_UNIMPLEMENTED",
    "XLA_INTERNAL": "XLA_FFI_Error_Code_INTERNAL", "XLA_STAGE_EXECUTE": "XLA_FFI_ExecutionStage_EXECUTE",
    "XLA_BUFFER": "XLA_FFI_ArgType_BUFFER", "XLA_ATTRIBUTE_SCALAR": "XLA_FFI_AttrType_SCALAR",
    "XLA_ATTRIBUTE_STRING": "XLA_FFI_AttrType_STRING",
    "XLA_TRAIT_COMMAND_BUFFER": "XLA_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE", "XLA_MAJOR": "XLA_FFI_API_MAJOR",
    **{f"XLA_{t}": f"XLA_FFI_DataType_{t}" for t in ("S32", "S64", "U8", "F32", "F64", "C64", "C128")},
}  # fmt: skip


def abi_check(header: str) -> str:
    """A program that compiles only where our declarations agree with XLA's header."""
    lines = ['#include "xla_ffi_abi.h"', "#include <xla/ffi/api/c_api.h>"]
    for ours, (theirs, fields) in PAIRS.items():
        internal = "Internal" if "XLA_FFI_InternalExtension" in header else "Extension_Base"
        theirs = theirs.replace("{Internal}Extension", "InternalExtension" if internal == "Internal" else internal)
        compare = "<=" if ours in GROWS else "=="
        lines.append(f'_Static_assert(sizeof({ours}) {compare} sizeof({theirs}), "size of {ours}");')
        for field in fields.split():
            mine, _, its = field.partition("=")
            if its and its not in header:
                assert its == "XLA_FFI_DeviceOrdinal_Get"
                continue
            lines.append(
                f'_Static_assert(offsetof({ours}, {mine}) == offsetof({theirs}, {its or mine}), "{ours}.{mine}");'
            )
    for kind in ("Args", "Rets"):
        theirs = f"XLA_FFI_{kind}"
        lines.append(f'_Static_assert(sizeof(xla_buffers_t) == sizeof({theirs}), "{theirs}");')
        for mine, its in (("count", "size"), ("types", "types"), ("buffers", kind.lower())):
            lines.append(
                f'_Static_assert(offsetof(xla_buffers_t, {mine}) == offsetof({theirs}, {its}), "{theirs}.{its}");'
            )
    lines += [f'_Static_assert((int){mine} == (int){its}, "{mine}");' for mine, its in VALUES.items()]
    return "\n".join(lines) + "\nint main(void) { return 0; }\n"


def test_declarations_agree_with_the_header_of_xla(tmp_path):
    include = pathlib.Path(jax.ffi.include_dir())
    header = include / "xla/ffi/api/c_api.h"
    compiler = shutil.which("gcc") or shutil.which("cc")
    source = PYTHON / "csrc"
    if not (header.exists() and compiler and source.exists()):
        pytest.skip("needs a compiler, jaxlib's header and the sources")
    check = tmp_path / "abi.c"
    check.write_text(abi_check(header.read_text()))
    command = [compiler, "-std=c11", "-fsyntax-only", f"-I{source}", f"-I{include}", str(check)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
