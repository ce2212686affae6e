# SPDX-License-Identifier: BSD-3-Clause
"""What is special to NumPy: strides, out=, types, threads, and the derivatives as functions of their own."""

import subprocess
import sys
import threading
import time

import cases
import golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import svdgrad
from svdgrad import options


def test_names_and_defaults_of_numpy():
    a = cases.random(4, 3)
    assert svdgrad.svd(a).U.shape == (4, 4) and svdgrad.svd(a, False).U.shape == (4, 3)
    assert np.allclose(svdgrad.svd(a, compute_uv=False), np.linalg.svd(a, compute_uv=False))
    U, S, Vh = svdgrad.svd(a)
    assert svdgrad.svd(a)._fields == ("U", "S", "Vh")
    assert svdgrad.slogdet(a[:3])._fields == ("sign", "logabsdet")
    assert type(svdgrad.nuclear_norm(a)) is type(np.linalg.norm(a)) is np.float64


@pytest.mark.parametrize("a", [[[1, 2], [3, 4]], np.array([[True, False], [True, True]]), np.eye(3, dtype=np.int8)], ids=repr)
def test_integers_are_doubles(a):
    assert svdgrad.svdvals(a).dtype == np.float64
    assert np.allclose(svdgrad.svdvals(a), np.linalg.svdvals(np.asarray(a, float)))


def test_unsupported_types_are_named():
    for t in (np.float16, np.longdouble, object):
        with pytest.raises(TypeError, match=f"array type {np.dtype(t).name} is unsupported"):
            svdgrad.svd(np.eye(3).astype(t))
    with pytest.raises(np.linalg.LinAlgError, match="1-dimensional array given"):
        svdgrad.svd(np.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="3-by-2, must be square"):
        svdgrad.slogdet(np.ones((3, 2)))


@st.composite
def views(draw):
    """A view of some array: transposed, reversed, with steps, broadcast, misaligned, in another byte order."""
    dtype = np.dtype(draw(st.sampled_from("fdFD")))
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=2))) + (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    base = cases.random(*(abs(s) * n for s, n in zip(steps, shape)), dtype=dtype, seed=draw(st.integers(0, 9)))
    view = base[tuple(slice(None, None, s) for s in steps)]
    kind = draw(st.sampled_from(["plain", "transposed", "broadcast", "misaligned", "swapped", "sliding"]))
    if kind == "transposed":
        view = view.swapaxes(-1, draw(st.integers(-view.ndim, -1)))
    elif kind == "broadcast":
        view = np.broadcast_to(view, (3, *view.shape))
    elif kind == "misaligned":
        raw = np.zeros(view.nbytes + 1, np.uint8)
        copy = raw[1:].view(dtype).reshape(view.shape)
        copy[...] = view
        view = copy
    elif kind == "swapped":
        view = view.astype(dtype.newbyteorder())
    elif kind == "sliding":
        view = np.lib.stride_tricks.sliding_window_view(view, (1, 1), axis=(-2, -1))
    return view


@settings(max_examples=300, deadline=None)
@given(views())
def test_any_strides(a):
    packed = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("="))
    before = packed.copy()
    for x, y in zip(svdgrad.svd(a), svdgrad.svd(packed)):
        assert np.allclose(x, y, atol=1e-4 if a.dtype.char in "fF" else 1e-12) and x.dtype == y.dtype
    assert np.array_equal(np.ascontiguousarray(a), before)


def test_broadcasting():
    U, S, Vh = svdgrad.svd(cases.random(4, 3), False)
    gU = cases.random(5, 2, 4, 3)
    gA = svdgrad.svd_vjp(U, S, Vh, gU)
    assert gA.shape == (5, 2, 4, 3)
    assert np.array_equal(gA[3, 1], svdgrad.svd_vjp(U, S, Vh, gU[3, 1]))
    with pytest.raises(ValueError, match="does not fit"):
        svdgrad.svd_vjp(np.stack([U, U]), np.stack([S, S]), np.stack([Vh, Vh]), gU[:, :1][:3].repeat(3, 1))


def test_out():
    a = cases.random(5, 4, 3)
    out = np.empty((5, 4, 3)), np.empty((5, 3)), np.empty((5, 3, 3))
    result = svdgrad.svd(a, False, out=out)
    assert all(x is y for x, y in zip(result, out))
    assert np.array_equal(out[1], svdgrad.svd(a, False).S)
    strided = np.empty((5, 8, 6))[:, ::-2, ::2]
    assert svdgrad.polar(a, out=strided) is strided and np.array_equal(strided, svdgrad.polar(a))
    expected, same = svdgrad.polar(a), a.copy()
    svdgrad.polar(same, out=same)
    assert np.array_equal(same, expected)
    with pytest.raises(ValueError, match="entries in dimension"):
        svdgrad.polar(a, out=np.empty((5, 4, 4)))
    with pytest.raises(TypeError, match="another type"):
        svdgrad.polar(a, out=np.empty((5, 4, 3), np.float32))
    read_only = np.empty((5, 4, 3))
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        svdgrad.polar(a, out=read_only)


def test_raise_names_the_matrix():
    a = cases.random(2, 3, 4, 4)
    a[1, 2, 0, 0] = np.inf
    with pytest.raises(np.linalg.LinAlgError, match=r"svd: matrix \[1, 2\] failed: it has a NaN or an infinity"):
        svdgrad.svd(a, errors="raise")


@pytest.mark.parametrize("case", list(golden.svds()) if golden.available() else [], ids=lambda c: c["name"])
def test_vjp_against_golden_vectors(case):
    policy = list(options.GAP_POLICIES)[case["gap_policy"]]
    gA = svdgrad.svd_vjp(case["U"], case["S"], case["Vh"], case["gU"], case["gS"], case["gVh"], case["A"],
                         gap_policy=policy if policy not in ("mask", "lorentz") else (policy, case["gap_param"]))  # fmt: skip
    s1 = case["S"][0] if case["S"].size else 0
    sizes = [0 if g is None else np.linalg.norm(g) for g in (case["gU"], case["gVh"], case["gS"])]
    scale = np.linalg.norm(case["gA"]) + sizes[2] + ((sizes[0] + sizes[1]) / s1 if s1 else 0)
    assert np.linalg.norm(gA - case["gA"]) <= 8 * np.finfo(float).eps * case["condition"] * scale


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_jvp_is_the_adjoint_of_vjp(dtype, full, rank):
    a, da = cases.random(3, 5, 4, dtype=dtype), cases.random(3, 5, 4, dtype=dtype, seed=2)
    U, S, Vh = svdgrad.svd(a, full, rank=rank)
    g = [cases.random(*x.shape, dtype=x.dtype, seed=3) for x in (U, S, Vh)]
    d = svdgrad.svd_jvp(U, S, Vh, da, a)
    left = sum(np.real(np.sum(np.conj(x) * y)) for x, y in zip(g, d))
    assert left == pytest.approx(np.real(np.sum(np.conj(svdgrad.svd_vjp(U, S, Vh, *g, a)) * da)), rel=1e-10)
    with pytest.raises(ValueError, match="a is None") if rank else pytest.raises(ZeroDivisionError):
        svdgrad.svd_jvp(U, S, Vh, da)
        raise ZeroDivisionError


def test_vjp_of_the_functions():
    a, da = cases.random(4, 3), cases.random(4, 3, seed=2)
    for name, value in [("polar", None), ("power", 1.5), ("soft_threshold", 1.0), ("pinv", None), ("whitening", None)]:
        arguments = () if value is None else (value,)
        f = getattr(svdgrad, name)
        gY = cases.random(*f(a, *arguments).shape, seed=4)
        gA = svdgrad.function_vjp(name, a, gY, value)
        expected = np.sum(gY * (f(a + 1e-6 * da, *arguments) - f(a - 1e-6 * da, *arguments))) / 2e-6
        assert np.sum(gA * da) == pytest.approx(expected, rel=1e-6)
    for name, p in [("nuclear_norm", ()), ("spectral_norm", ()), ("schatten_norm", (3.0,)), ("logabsdet", ())]:
        f = getattr(svdgrad, name)
        expected = (f(a + 1e-6 * da, *p) - f(a - 1e-6 * da, *p)) / 2e-6
        assert np.sum(svdgrad.norm_vjp(name, a, 1.0, *p) * da) == pytest.approx(expected, rel=1e-6)


def test_the_gil_is_released():
    """A thread that only counts goes on counting during a long call."""
    a, counts, stop = cases.random(4, 300, 300), [0], threading.Event()

    def count():
        while not stop.is_set():
            counts[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    before = counts[0]
    svdgrad.svd(a)
    during = counts[0] - before
    stop.set()
    thread.join()
    assert during > 10


def test_threads_share_the_library():
    a = cases.random(200, 8, 8)
    expected = svdgrad.polar(a)
    results = [None] * 4

    def run(i):
        results[i] = all(np.array_equal(svdgrad.polar(a), expected) for _ in range(20))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results)


def test_a_forked_child_computes():
    code = """
import os, numpy as np, svdgrad
a = np.random.default_rng(0).standard_normal((5000, 8, 8))
expected = svdgrad.svdvals(a)  # starts threads
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(svdgrad.svdvals(a), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_import_needs_numpy_alone():
    code = (
        "import sys; import svdgrad; "
        "print([m for m in ('jax', 'torch', 'tensorflow', 'keras', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_command_says_what_there_is():
    text = subprocess.run([sys.executable, "-m", "svdgrad"], capture_output=True, text=True, check=True).stdout
    for word in ("svdgrad " + svdgrad.__version__, "cpu", "cuda", "ISA", "threads", "jax", "torch", "tensorflow", "keras"):
        assert word in text
