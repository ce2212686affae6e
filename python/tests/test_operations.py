# SPDX-License-Identifier: BSD-3-Clause
"""Values and derivatives of every operation, on every framework installed."""

import warnings

import cases
import golden
import numpy as np
import pytest

import svdgrad
from svdgrad import options

by_operation = pytest.mark.parametrize("operation", cases.OPERATIONS, ids=lambda o: o.name)
by_type = pytest.mark.parametrize("dtype", cases.TYPES, ids=lambda t: np.dtype(t).name)


def eps(dtype):
    return float(np.finfo(dtype).eps)


def close(x, y, bound, what="", least=np.finfo(np.float64).tiny):
    """The largest error, relative to the largest entry (but at least to `least`)."""
    x, y = np.asarray(x), np.asarray(y)
    assert x.shape == y.shape, f"{what}: shape {x.shape}, must be {y.shape}"
    error = np.abs(x - y).max(initial=0) / max(np.abs(y).max(initial=0), least)
    assert error <= bound, f"{what}: relative error {error:.3g}, must be <= {bound:.3g}"


# ---- values


@by_type
@pytest.mark.parametrize("shape", cases.SHAPES, ids=str)
@pytest.mark.parametrize("full", [False, True], ids=["thin", "full"])
def test_svd_is_a_decomposition(framework, shape, full, dtype):
    a = cases.random(*shape, dtype=dtype)
    U, S, Vh = (framework.numpy(x) for x in framework.module.svd(framework.array(a), full_matrices=full))
    like = np.linalg.svd(a, full_matrices=full)
    assert (U.shape, S.shape, Vh.shape) == tuple(x.shape for x in like)
    assert (U.dtype, S.dtype, Vh.dtype) == tuple(x.dtype for x in like)
    k, bound = min(shape[-2:]), 30 * max(shape) * eps(dtype)
    close((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :], a, bound, "A")
    close(np.conj(np.swapaxes(U, -1, -2)) @ U, np.broadcast_to(np.eye(U.shape[-1]), (*U.shape[:-2], *(2 * U.shape[-1:]))), bound, "U")
    close(Vh @ np.conj(np.swapaxes(Vh, -1, -2)), np.broadcast_to(np.eye(Vh.shape[-2]), (*Vh.shape[:-2], *(2 * Vh.shape[-2:-1]))), bound, "V")
    close(S, like[1], bound, "S")


@by_type
@by_operation
@pytest.mark.parametrize("shape", cases.SHAPES, ids=str)
def test_values(framework, operation, shape, dtype):
    a = cases.random(*shape, dtype=dtype)
    if not cases.fits(operation, a):
        pytest.skip("not defined there")
    wide = a.astype(np.result_type(dtype, np.float64))
    expected = operation.oracle(wide)
    found = framework.numpy(operation.call(framework.module, framework.array(a)))
    assert found.dtype.itemsize == (np.dtype(dtype).itemsize // (2 if np.dtype(dtype).kind == "c" and expected.dtype.kind != "c" else 1))
    S = np.linalg.svd(wide, compute_uv=False)
    condition = (S[..., 0] / S[..., -1]).max() if operation.name in ("pinv", "whitening", "polar", "logabsdet", "slogdet", "nearest_rotation") else 10
    close(found, expected, 50 * max(shape) * eps(dtype) * condition)


@by_operation
@pytest.mark.parametrize("shape", cases.EMPTY, ids=str)
def test_empty(framework, operation, shape):
    a = np.zeros(shape)
    if not cases.fits(operation, a) or (operation.name == "low_rank" and 0 in shape[-2:]):
        pytest.skip("not defined there")
    found = framework.numpy(operation.call(framework.module, framework.array(a)))
    m, n = shape[-2:]
    matrix = {"pinv": (n, m), "sqrtm_gram": (n, n), "whitening": (n, n), "svdvals": (min(m, n),)}.get(operation.name, (m, n))
    of_norm = operation.name in ("nuclear_norm", "spectral_norm", "schatten_norm", "logabsdet", "slogdet")
    assert found.shape == shape[:-2] + (() if of_norm else matrix)
    assert not found.any()


@pytest.mark.parametrize("shape", [(5, 4), (4, 6), (3, 4, 4)], ids=str)
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_leading_triplets(framework, shape, rank):
    a = cases.random(*shape)
    U, S, Vh = (framework.numpy(x) for x in framework.module.svd(framework.array(a), rank=rank))
    like = np.linalg.svd(a, full_matrices=False)
    assert U.shape == (*shape[:-1], rank) and Vh.shape == (*shape[:-2], rank, shape[-1])
    close(S, like[1][..., :rank], 1e-13)
    close((U * S[..., None, :]) @ Vh, (like[0][..., :rank] * like[1][..., None, :rank]) @ like[2][..., :rank, :], 1e-12)


@by_operation
def test_one_bad_matrix_harms_no_other(framework, operation):
    a = cases.random(4, 3, 3)
    a[1, 0, 2], a[2, 1, 1] = np.nan, np.inf
    found = framework.numpy(operation.call(framework.module, framework.array(a)))
    alone = framework.numpy(operation.call(framework.module, framework.array(a[::3].copy())))
    assert np.array_equal(found[::3], alone)
    assert np.isnan(found[1:3]).all()


def test_info_and_errors(framework):
    a = cases.random(3, 4, 3)
    a[1, 0, 0] = np.nan
    result = framework.module.svd(framework.array(a), full_matrices=False, errors="info")
    assert framework.numpy(result.info).tolist() == [0, 2, 0]
    assert framework.numpy(framework.module.polar(framework.array(a), errors="info").info).tolist() == [0, 2, 0]
    with pytest.raises(Exception, match="1"):
        framework.numpy(framework.module.svd(framework.array(a), errors="raise")[1])
    with pytest.raises(ValueError, match="errors is 'none'"):
        framework.module.svd(framework.array(a), errors="none")


def test_bad_arguments(framework):
    s, a = framework.module, framework.array(cases.random(4, 3))
    for call, text in [
        (lambda: s.svd(a, rank=4), "rank is 4, must be in 1..min"),
        (lambda: s.low_rank(a, 5), "rank is 5"),
        (lambda: s.soft_threshold(a, -1.0), "must be finite and >= 0"),
        (lambda: s.schatten_norm(a, 0.0), "p is 0"),
        (lambda: s.nearest_rotation(a), "must be square"),
        (lambda: s.svd(a, full_matrices=False, gap_policy="none", report=True), "gap_policy is 'none'"),
        (lambda: s.power_iteration(a, framework.array(np.ones(4)), framework.array(np.ones(3)), -1), "iterations is -1"),
    ]:
        with pytest.raises(ValueError, match=text.replace("(", r"\(")):
            call()
    with pytest.raises((ValueError, np.linalg.LinAlgError), match="two|2"):
        s.svd(framework.array(np.ones(3)))


def test_report(framework):
    a = np.stack([np.diag([3.0, 2.0, 1.0]), np.eye(3)])
    report = framework.module.svd(framework.array(a), full_matrices=False, report=True).report
    assert np.allclose(framework.numpy(report.min_gap), [1 / 3, 0])
    assert framework.numpy(report.dropped_pairs).tolist() == [0, 3]
    assert framework.numpy(report.flags).tolist()[0] == 0 and framework.numpy(report.flags).tolist()[1] & 1
    polar = framework.module.polar(framework.array(a), report=True).report
    assert framework.numpy(polar.dropped_pairs).tolist() == [0, 0]


def test_report_of_what_has_no_vectors(framework):
    s, a = framework.module, framework.array(np.stack([np.diag([3.0, 2.0, 1.0]), np.eye(3)]))
    ones = framework.array(np.ones((2, 3)))
    calls = [
        lambda **options: s.svdvals(a, **options), lambda **options: s.nuclear_norm(a, **options),
        lambda **options: s.spectral_norm(a, **options), lambda **options: s.schatten_norm(a, 3.0, **options),
        lambda **options: s.logabsdet(a, **options), lambda **options: s.slogdet(a, **options),
        lambda **options: s.power_iteration(a, ones, ones, 2, **options),
        lambda **options: s.spectral_normalize(a, ones, ones, 2, **options),
    ]  # fmt: skip
    for call in calls:
        plain, result = call(), call(report=True, errors="info")
        values = plain if isinstance(plain, tuple) else (plain,)
        for x, y in zip(values, result, strict=False):
            assert np.array_equal(framework.numpy(x), framework.numpy(y))
        assert framework.numpy(result.info).tolist() == [0, 0]
        assert np.allclose(framework.numpy(result.report.min_gap), [1 / 3, 0])
        assert framework.numpy(result.report.dropped_pairs).tolist() == [0, 3]


def test_power_iteration(framework):
    a = cases.random(2, 5, 4)
    u = framework.array(np.ones((2, 5)))
    result = framework.module.power_iteration(framework.array(a), u, framework.array(np.ones((2, 4))), 200)
    close(framework.numpy(result.sigma), np.linalg.norm(a, 2, (-2, -1)), 1e-9)
    assert (framework.numpy(result.residual) < 1e-4).all()
    normal = framework.module.spectral_normalize(framework.array(a), u, framework.array(np.ones((2, 4))), 200)
    close(framework.numpy(normal.y), a / np.linalg.norm(a, 2, (-2, -1))[:, None, None], 1e-9)


@pytest.mark.parametrize("shape", [(6, 5), (40, 33)])
def test_the_bits_do_not_depend_on_the_batch(framework, shape):
    """The C library may compute few of the larger matrices by another algorithm, if asked to."""
    a = cases.random(9, *shape)
    whole = framework.numpy(framework.module.polar(framework.array(a), batch_invariant=True))
    for b in (0, 4, 8):
        assert np.array_equal(whole[b], framework.numpy(framework.module.polar(framework.array(a[b]), batch_invariant=True)))


# ---- derivatives


def loss(adapter, operation, weights):
    return lambda x: adapter.inner(operation.call(adapter.module, x), weights)


def weights_of(operation, a):
    y = operation.oracle(a)
    return cases.random(*y.shape, dtype=y.dtype, seed=5)


def along(f, a, da, step):
    return (f(a + step * da) - f(a - step * da)) / (2 * step)


def inner(x, y):
    return float(np.real(np.sum(np.conj(x) * y)))


gradients_at = pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (2, 4, 4)], ids=str)
real_and_complex = pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])


@by_operation
@gradients_at
@real_and_complex
def test_gradient_by_differences(differentiable, operation, shape, dtype):
    a = cases.random(*shape, dtype=dtype)
    if not cases.fits(operation, a):
        pytest.skip("not defined there")
    weights, da = weights_of(operation, a), cases.random(*shape, dtype=dtype, seed=7)
    (gradient,) = differentiable.grad(loss(differentiable, operation, weights), a)
    assert gradient.shape == a.shape and gradient.dtype == a.dtype
    expected = along(lambda x: inner(weights, operation.oracle(x)), a, da, 1e-6)
    assert abs(inner(gradient, da) - expected) <= 1e-6 * max(1, abs(expected))


@by_operation
@gradients_at
@real_and_complex
def test_tangent_is_the_adjoint_of_the_gradient(differentiable, operation, shape, dtype):
    if not differentiable.jvp:
        pytest.skip("no forward mode")
    a = cases.random(*shape, dtype=dtype)
    if not cases.fits(operation, a):
        pytest.skip("not defined there")
    weights, da = weights_of(operation, a), cases.random(*shape, dtype=dtype, seed=7)
    (gradient,) = differentiable.grad(loss(differentiable, operation, weights), a)
    tangent = differentiable.jvp(lambda x: operation.call(differentiable.module, x), a, da)
    assert inner(weights, tangent) == pytest.approx(inner(gradient, da), rel=1e-9, abs=1e-9)


@by_operation
@real_and_complex
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3)], ids=str)
def test_second_derivative_by_differences(differentiable, operation, shape, dtype):
    a = cases.random(*shape, dtype=dtype)
    if not cases.fits(operation, a):
        pytest.skip("not defined there")
    weights, da = weights_of(operation, a), cases.random(*shape, dtype=dtype, seed=7)
    f = loss(differentiable, operation, weights)
    found = differentiable.second(f, a, da)
    expected = along(lambda x: differentiable.grad(f, x)[0], a, da, 1e-6)
    close(found, expected, 1e-6, least=1)


@real_and_complex
def test_gradient_of_the_factors(differentiable, dtype):
    """A loss of U, S and Vh that no gauge changes."""
    a, da = cases.random(4, 3, dtype=dtype), cases.random(4, 3, dtype=dtype, seed=7)
    w = cases.random(3, 3, seed=9)

    def numpy_loss(a):
        U, S, Vh = np.linalg.svd(a, full_matrices=False)
        return float((w[0] * S**2).sum() + (np.abs(U[:3]) ** 2 * w).sum() + (np.abs(Vh) ** 2 * w).sum())

    def f(x):
        U, S, Vh = differentiable.module.svd(x, full_matrices=False)
        return (differentiable.inner(S * S, w[0]) + differentiable.square(U[..., :3, :], w) + differentiable.square(Vh, w))

    (gradient,) = differentiable.grad(f, a)
    assert inner(gradient, da) == pytest.approx(along(numpy_loss, a, da, 1e-6), rel=1e-6)
    close(differentiable.second(f, a, da), along(lambda x: differentiable.grad(f, x)[0], a, da, 1e-6), 1e-6)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("shape", [(5, 4), (3, 6)], ids=str)
def test_gradient_of_leading_triplets(differentiable, shape, rank):
    a, da, w = cases.random(*shape), cases.random(*shape, seed=7), cases.random(shape[0], rank, seed=9)

    def numpy_loss(a):
        U, S, _ = np.linalg.svd(a)
        return float((np.abs(U[:, :rank]) ** 2 * w).sum() + (S[:rank] ** 2).sum())

    def f(x):
        U, S, _ = differentiable.module.svd(x, rank=rank)
        return differentiable.square(U, w) + differentiable.inner(S * S, np.ones(rank))

    (gradient,) = differentiable.grad(f, a)
    assert inner(gradient, da) == pytest.approx(along(numpy_loss, a, da, 1e-6), rel=1e-6)
    close(differentiable.second(f, a, da), along(lambda x: differentiable.grad(f, x)[0], a, da, 1e-6), 1e-5)


@by_operation
@pytest.mark.parametrize("name", list(cases.HARD))
def test_gradient_is_finite_where_others_fail(differentiable, operation, name):
    a = cases.HARD[name]
    if not cases.fits(operation, a):
        pytest.skip("not defined there")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = svdgrad.numpy._array(np.asarray(operation.call(svdgrad, a)))
    if not np.isfinite(y).all():
        pytest.skip("the value itself is infinite")
    weights = cases.random(*y.shape, dtype=y.dtype, seed=5)
    (gradient,) = differentiable.grad(loss(differentiable, operation, weights), a)
    if name in ("small", "large") and operation.name in ("polar", "pinv", "power", "whitening", "nearest_rotation"):
        return  # the gradient itself over- or underflows
    assert np.isfinite(gradient).all()


_FUNCTION_OF = {(f.kind, f.form): name for name, f in options.FUNCTIONS.items() if name != "sqrtm_gram"}


def _golden_functions():
    if not golden.available():
        return []
    named = []
    for case in golden.functions():
        name = _FUNCTION_OF.get((case["kind"], case["form"]))
        if case["kind"] == 5 and case["form"] == 1 and case["param"] == 1:
            name = "sqrtm_gram"
        if name and case["gA"] is not None and case["error"] > 0 and not (name == "whitening" and case["param"]):
            named.append((name, case))
    return named


@pytest.mark.parametrize("name, case", _golden_functions(), ids=lambda x: x if isinstance(x, str) else x["name"])
def test_functions_against_golden_vectors(differentiable, name, case):
    s, A, gY = differentiable.module, case["A"], case["gY"]
    value = () if name in ("polar", "nearest_rotation", "whitening", "sqrtm_gram") else (case["param"] or None,)
    if name == "low_rank":
        value = (int(case["param"]),)
    if name in ("soft_threshold", "hard_threshold", "clip", "power"):
        value = (case["param"],)
    Y = case["Y"]
    if name == "pinv":
        gY, Y = np.conj(gY.T), np.conj(Y.T)
    found = differentiable.numpy(getattr(s, name)(differentiable.array(A), *value))
    assert np.linalg.norm(found - Y) <= 40 * eps(np.float64) * max(case["Y_error"], np.linalg.norm(Y))
    (gradient,) = differentiable.grad(lambda x: differentiable.inner(getattr(s, name)(x, *value), gY), A)
    assert np.linalg.norm(gradient - case["gA"]) <= 40 * eps(np.float64) * max(case["error"], np.linalg.norm(case["gA"]))


@pytest.mark.parametrize("case", list(golden.norms()) if golden.available() else [], ids=lambda x: x["name"])
def test_norms_against_golden_vectors(differentiable, case):
    s, A = differentiable.module, case["A"]
    norm = [s.nuclear_norm, s.spectral_norm, lambda x: s.schatten_norm(x, case["p"]), s.logabsdet][case["kind"]]
    value = float(differentiable.numpy(norm(differentiable.array(A))))
    if not np.isnan(case["value"]):
        assert abs(value - case["value"]) <= 40 * eps(np.float64) * max(case["value_error"], abs(case["value"]))
    (gradient,) = differentiable.grad(lambda x: differentiable.inner(norm(x), np.asarray(case["g"])), A)
    assert np.linalg.norm(gradient - case["gA"]) <= 40 * eps(np.float64) * max(case["error"], np.linalg.norm(case["gA"]))


# ---- transformations


@by_operation
def test_compiled(framework, operation):
    if not framework.jit:
        pytest.skip("no compiler")
    a = cases.random(2, 3, 3)
    f = framework.jit(lambda x: operation.call(framework.module, x))
    close(framework.numpy(f(framework.array(a))), framework.numpy(operation.call(framework.module, framework.array(a))), 1e-14)


@by_operation
def test_vectorized(framework, operation):
    if not framework.vmap:
        pytest.skip("no vectorizing map")
    a = cases.random(3, 2, 3, 3)
    f = framework.vmap(lambda x: operation.call(framework.module, x))
    assert np.array_equal(framework.numpy(f(framework.array(a))), framework.numpy(operation.call(framework.module, framework.array(a))))
