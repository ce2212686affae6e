# SPDX-License-Identifier: BSD-3-Clause
"""What is special to PyTorch; values and derivatives of all operations are in test_operations.py."""

import multiprocessing
import os
import pathlib
import shutil
import subprocess
import warnings

import cases
import numpy as np
import pytest

torch = pytest.importorskip("torch")
s = pytest.importorskip("svdgrad.torch")

F64, C128 = torch.float64, torch.complex128
types = pytest.mark.parametrize("dtype", [F64, C128], ids=["real", "complex"])


def matrices(*shape, dtype=F64):
    return torch.from_numpy(cases.random(*shape, dtype=np.complex128 if dtype == C128 else np.float64)).to(dtype)


def squares(x):
    return (x * x.conj()).real


def factors(x, **options):
    """What no gauge changes."""
    U, S, Vh = s.svd(x, **{"full_matrices": False, **options})
    k = S.shape[-1]
    return S, squares(U[..., :k]), squares(Vh[..., :k, :]), U[..., :k] @ Vh[..., :k, :]


CHECKED = {
    "svd": factors,
    "full": lambda x: factors(x, full_matrices=True)[:3],
    "rank": lambda x: factors(x, full_matrices=True, rank=2),
    "svdvals": s.svdvals,
    "low_rank": lambda x: s.low_rank(x, 1),
    "polar": s.polar,
    "relative": lambda x: s.soft_threshold(x, 0.3, relative=True),
    "pinv": s.pinv,
    "sqrtm_gram": s.sqrtm_gram,
    "nuclear_norm": s.nuclear_norm,
    "schatten_norm": lambda x: s.schatten_norm(x, 3.0),
    "slogdet": lambda x: tuple(s.slogdet(x.mH @ x + torch.triu(torch.ones_like(x.mH @ x)))),
}


# ---- derivatives


@types
@pytest.mark.parametrize("shape", [(2, 4, 3), (3, 4)], ids=str)
@pytest.mark.parametrize("name", list(CHECKED))
def test_gradcheck(name, shape, dtype):
    a = matrices(*shape, dtype=dtype).requires_grad_()
    assert torch.autograd.gradcheck(CHECKED[name], (a,), fast_mode=True, check_forward_ad=True)


@types
@pytest.mark.parametrize("shape", [(3, 3), (4, 3)], ids=str)
@pytest.mark.parametrize("name", list(CHECKED))
def test_gradgradcheck(name, shape, dtype):
    a = matrices(*shape, dtype=dtype).requires_grad_()
    assert torch.autograd.gradgradcheck(CHECKED[name], (a,), fast_mode=True, check_fwd_over_rev=True, atol=1e-4)


def test_third_derivative():
    a = matrices(3, 3).requires_grad_()
    (g,) = torch.autograd.grad((s.svdvals(a) ** 3).sum(), a, create_graph=True)
    (h,) = torch.autograd.grad(g[0, 1], a, create_graph=True)
    (third,) = torch.autograd.grad(h[1, 2], a)

    def second(x):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad((s.svdvals(x) ** 3).sum(), x, create_graph=True)
        return torch.autograd.grad(g[0, 1], x)[0][1, 2]

    step = torch.zeros(3, 3, dtype=F64)
    step[2, 0] = 1e-6
    assert third[2, 0].item() == pytest.approx((second(a + step) - second(a - step)).item() / 2e-6, rel=1e-5)


def test_gradient_at_a_tie_where_torch_has_nan():
    a = torch.eye(3, dtype=F64).requires_grad_()
    U, _, Vh = torch.linalg.svd(a)
    (of_torch,) = torch.autograd.grad((U @ Vh).sum(), a)
    assert torch.isnan(of_torch).all()
    (ours,) = torch.autograd.grad(s.polar(a).sum(), a)
    assert torch.allclose(ours, torch.zeros_like(ours), atol=1e-14)
    (norm,) = torch.autograd.grad(s.nuclear_norm(a), a)
    assert torch.allclose(norm, torch.eye(3, dtype=F64))


def test_no_gradient_is_refused():
    """torch.linalg.svd raises for full matrices, and for a loss that depends on the phase."""
    a = matrices(3, 5, dtype=C128).requires_grad_()
    U, S, Vh = s.svd(a)
    (g,) = torch.autograd.grad(U.real.sum() + Vh.real.sum(), a)
    assert torch.isfinite(torch.view_as_real(g)).all()


def test_unused_outputs_cost_no_gradient():
    a = matrices(4, 3).requires_grad_()
    U, S, Vh = s.svd(a, full_matrices=False)
    (g,) = torch.autograd.grad(S.sum(), a)
    assert torch.allclose(g, (U @ Vh).detach())
    assert s.svd(a.detach())[0].requires_grad is False
    with torch.no_grad():
        assert s.polar(a).requires_grad is False


def test_power_iteration_and_spectral_normalize():
    a, u = matrices(2, 4, 3).requires_grad_(), torch.ones(2, 4, dtype=F64)
    vectors = s.power_iteration(a, u, None, 20)
    u, v = vectors.u, vectors.v
    assert not u.requires_grad and vectors.sigma.requires_grad
    held = lambda x: s.power_iteration(x, u, v, 0).sigma  # noqa: E731
    normal = lambda x: (s.spectral_normalize(x, u, v, 0).y, s.spectral_normalize(x, u, v, 0).sigma)  # noqa: E731
    for f in (held, normal):
        assert torch.autograd.gradcheck(f, (a,), fast_mode=True, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(f, (a,), fast_mode=True, check_fwd_over_rev=True)


def test_vectors_of_a_warm_start_may_be_written_over_before_the_backward_pass():
    a, start = matrices(2, 4, 3).requires_grad_(), torch.ones(2, 4, dtype=F64)
    for f in (lambda u, v: s.power_iteration(a, u, v, 2), lambda u, v: s.spectral_normalize(a, u, v, 2)):
        u, v = start.clone(), torch.zeros(2, 3, dtype=F64)
        kept = f(start, None)
        expected = torch.autograd.grad(kept.sigma.sum() + (kept[0] ** 2).sum(), a)[0]
        found = f(u, v)
        u.copy_(found.u)
        v.copy_(found.v)
        assert torch.equal(torch.autograd.grad(found.sigma.sum() + (found[0] ** 2).sum(), a)[0], expected)


# ---- torch.func


@pytest.mark.parametrize("name", ["svdvals", "polar", "nuclear_norm", "rank"])
def test_function_transforms(name):
    def f(x):
        y = CHECKED[name](x)
        return sum((z**3).sum() for z in y) if isinstance(y, tuple) else (y**3).sum()

    a = matrices(4, 3)
    gradient, hessian = torch.func.grad(f)(a), torch.func.hessian(f)(a)
    assert torch.allclose(torch.func.jacrev(f)(a), gradient) and torch.allclose(torch.func.jacfwd(f)(a), gradient)
    assert torch.allclose(torch.func.jacrev(torch.func.jacrev(f))(a), hessian, atol=1e-7)
    (g,) = torch.autograd.grad(f(b := a.clone().requires_grad_()), b, create_graph=True)
    along = torch.autograd.grad(g.sum(), b)[0]
    assert torch.allclose(hessian.sum((0, 1)), along, atol=1e-7)
    assert torch.allclose(torch.func.jvp(f, (a,), (torch.ones_like(a),))[1], gradient.sum())


def test_vmap():
    a = matrices(5, 2, 4, 3)
    grad = torch.func.grad(lambda x: (s.polar(x) ** 3).sum() + (s.svdvals(x) ** 3).sum())
    assert torch.allclose(torch.func.vmap(grad)(a), grad(a))
    across = torch.func.vmap(lambda x: s.svd(x, full_matrices=False).S, in_dims=1, out_dims=1)(a)
    assert torch.equal(across, s.svd(a, full_matrices=False).S)
    twice = torch.func.vmap(torch.func.vmap(s.nuclear_norm))(a)
    assert torch.equal(twice, s.nuclear_norm(a))
    u = torch.ones(4, dtype=F64)
    sigma = torch.func.vmap(lambda x: s.power_iteration(x, u, None, 3).sigma)(a[:, 0])
    assert torch.equal(sigma, s.power_iteration(a[:, 0], u, None, 3).sigma)


# ---- operators and the compiler


@types
def test_operators_are_what_torch_wants(dtype):
    a = matrices(2, 4, 3, dtype=dtype).requires_grad_()
    square, nothing = matrices(2, 3, 3, dtype=dtype).requires_grad_(), torch.empty(0, dtype=dtype)
    u, v = torch.ones(2, 4, dtype=dtype), torch.ones(2, 3, dtype=dtype)
    S, U, Vh, _ = (x.detach() for x in torch.ops.svdgrad.svd(a))
    b, op = a.detach(), torch.ops.svdgrad
    for operator, arguments in [
        (op.svd, (a,)),
        (op.svd, (a, -1, 0, 1)),
        (op.svd, (b, 0)),
        (op.matrix_function, (a,)),
        (op.norm, (a, nothing)),
        (op.determinant, (square, nothing, nothing, nothing, 6)),
        (op.power_iteration, (a, u, v, -1, 0, 0, 0, 0, 0, 0, 0, 2)),
        (op.spectral_normalize, (a, u, v, 0, 0, 0, 0, 0, 0, 0, 0, 2)),
        (op.svd_backward, (nothing, S, U, Vh, S, nothing, nothing)),
        (op.svd_jvp, (nothing, S, U, Vh, b)),
        (op.svd_backward_backward, (S, U, Vh, S, U, Vh, b)),
        (op.function, (S, U, Vh, nothing, nothing)),
        (op.function_backward, (S, U, Vh, b, nothing, nothing)),
        (op.spectral_normalize_backward, (b, u, v, S[:, 0].contiguous(), b)),
    ]:
        gauge = {"rtol": 1e-9, "atol": 1e-9}
        torch.library.opcheck(operator, arguments, **gauge)


@pytest.mark.parametrize("name", ["svd", "rank", "pinv", "nuclear_norm", "slogdet"])
def test_compiled_with_gradient_and_dynamic_batch(name):
    def f(x):
        y = CHECKED[name](x)
        return sum(squares(z).sum() for z in y) if isinstance(y, tuple) else squares(y).sum()

    torch.compiler.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    compiled = torch.compile(f, fullgraph=True, backend=backend)
    for batch in (5, 2, 7):
        a = matrices(batch, 4, 3).requires_grad_()
        torch._dynamo.mark_dynamic(a, 0)
        (g,), (like,) = torch.autograd.grad(compiled(a), a), torch.autograd.grad(f(a), a)
        assert torch.allclose(g, like, rtol=1e-12)
    assert len(graphs) == 1


def test_compiled_options():
    torch.compiler.reset()

    def f(x):
        result = s.svd(x, full_matrices=False, errors="info", report=True)
        return result.S, result.info, result.report.min_gap

    a = matrices(3, 4, 3)
    for x, y in zip(torch.compile(f, fullgraph=True, backend="aot_eager")(a), f(a), strict=True):
        assert torch.equal(x, y)


# ---- types, layouts, errors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision(dtype):
    a = matrices(2, 4, 3).to(dtype).requires_grad_()
    result = s.svd(a, full_matrices=False)
    assert all(x.dtype == dtype for x in result)
    assert torch.equal(result.S, torch.linalg.svdvals(a.detach().float()).to(dtype))
    (g,) = torch.autograd.grad(s.nuclear_norm(a).sum(), a)
    assert g.dtype == dtype and torch.allclose(g.float(), s.polar(a.detach().float()), atol=1e-2)


def test_autocast():
    w = torch.randn(4, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = torch.randn(3, 4) @ w
        assert y.dtype == torch.bfloat16
        loss = s.nuclear_norm(y) + s.svd(y).S.sum() + s.polar(y).sum()
        assert loss.dtype == torch.float32
        (g,) = torch.autograd.grad(loss, w, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), w)
    assert g.dtype == h.dtype == torch.float32 and torch.isfinite(h).all()
    a = matrices(3, 3).float().requires_grad_()
    (plain,) = torch.autograd.grad(_second_order_loss(a), a)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (cast,) = torch.autograd.grad(_second_order_loss(a), a)
    assert torch.allclose(plain, cast, rtol=1e-5)


def _second_order_loss(a):
    return torch.autograd.grad((s.polar(a) ** 3).sum(), a, create_graph=True)[0].square().sum()


def test_any_strides():
    a = matrices(6, 5, 8, 9)
    for view in (a.mT, a[::2, 1:4, ::3, 1::2], a.permute(2, 0, 3, 1), a[0, 0].flip(0), a[:1, :1].expand(2, 3, 8, 9)):
        assert torch.equal(s.svd(view).S, s.svd(view.contiguous()).S)
        U, S, Vh = s.svd(view, full_matrices=False)
        assert torch.allclose((U * S[..., None, :]) @ Vh, view)
    c = matrices(2, 4, 3, dtype=C128)
    assert torch.equal(s.polar(c.mH), s.polar(c.mH.resolve_conj().contiguous()))
    assert torch.equal(s.svdvals(torch.view_as_real(c).movedim(-1, 0)[1]), s.svdvals(c.imag.contiguous()))


def test_gradients_with_strides_of_zero():
    a = matrices(2, 3, 4, 3).requires_grad_()
    U, S, Vh = s.svd(a, full_matrices=False)
    (g,) = torch.autograd.grad(U.sum() + S.sum(), a, retain_graph=True)
    (like,) = torch.autograd.grad((U, S), a, (torch.ones_like(U), torch.ones_like(S)))
    assert torch.equal(g, like)


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, 0), (0, 4), (2, 0, 3), (0, 0)], ids=str)
def test_empty(shape):
    a = torch.zeros(shape, dtype=F64, requires_grad=True)
    for full in (False, True):
        U, S, Vh = s.svd(a, full_matrices=full)
        like = torch.linalg.svd(a, full_matrices=full)
        assert (U.shape, S.shape, Vh.shape) == tuple(x.shape for x in like)
    for y in (U.sum() + S.sum() + Vh.sum(), s.polar(a).sum(), s.nuclear_norm(a).sum()):
        (g,) = torch.autograd.grad(y, a, create_graph=True)
        assert g.shape == a.shape


def test_errors_raise():
    a = matrices(2, 3, 4, 3)
    a[1, 2, 0, 0] = float("nan")
    for f in (s.svd, s.svdvals, s.polar, s.nuclear_norm):
        with pytest.raises(torch.linalg.LinAlgError, match=r"matrix \[1, 2\] failed: it has a NaN"):
            f(a, errors="raise")
        assert f(a.requires_grad_(), errors="info").info.tolist() == [[0, 0, 0], [0, 0, 2]]


def test_wrong_operands_are_named():
    with pytest.raises(RuntimeError, match="svdgrad: function: input 1 has 2 entries in dimension -1, must have 3"):
        torch.ops.svdgrad.function(torch.ones(3), torch.ones(3, 2), torch.ones(3, 3), torch.empty(0), torch.empty(0))
    with pytest.raises(RuntimeError, match="input 1 has another type than the first"):
        torch.ops.svdgrad.power_iteration(torch.ones(3, 3), torch.ones(3, dtype=F64), torch.ones(3))
    with pytest.raises(TypeError, match="must be a torch.Tensor"):
        s.svd(np.eye(3))


def test_parameter_given_as_tensor():
    a = matrices(3, 3)
    t = torch.tensor(0.5)
    first = s.clip(a, t)
    t.fill_(0.1)
    assert not torch.equal(first, s.clip(a, t))


# ---- processes


class Matrices(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return s.polar(torch.from_numpy(cases.random(300, 6, 5, seed=i))).sum()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader(start):
    s.svd(matrices(2000, 8, 8))  # the parent has used its threads
    here = [Matrices()[i] for i in range(4)]
    loader = torch.utils.data.DataLoader(Matrices(), batch_size=2, num_workers=1, multiprocessing_context=start, timeout=120)
    assert torch.equal(torch.cat(list(loader)), torch.stack(here))


def _child(queue, a):
    queue.put(float(s.polar(a).numpy().sum()))  # torch's own sum may hang here


def test_fork_with_threads():
    a = matrices(2000, 8, 8)
    expected = float(s.polar(a).numpy().sum())
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=_child, args=(queue, a))
        child.start()
    child.join(30)
    is_alive = child.is_alive()
    child.kill()
    assert not is_alive
    assert queue.get() == expected


def _of_rank(rank, port, results):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    dist.init_process_group("gloo", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    whole = matrices(4, 2, 5, 4)
    for dimension in (0, 1):
        a = distribute_tensor(whole, mesh, [Shard(dimension)])
        a = a.detach().requires_grad_()
        U, S, Vh = s.svd(a, full_matrices=False)
        assert all(x.placements == (Shard(dimension),) for x in (U, S, Vh))
        polar, norm = s.polar(a), s.nuclear_norm(a)
        assert polar.placements == norm.placements == (Shard(dimension),)
        (g,) = torch.autograd.grad((S * S).sum() + norm.sum() + (polar**3).sum(), a)
        assert g.placements == (Shard(dimension),)
        b = a.full_tensor().detach().requires_grad_()
        (like,) = torch.autograd.grad((s.svdvals(b) ** 2).sum() + s.nuclear_norm(b).sum() + (s.polar(b) ** 3).sum(), b)
        assert torch.equal(S.full_tensor(), s.svd(b, full_matrices=False).S) and torch.allclose(g.full_tensor(), like)
    dist.destroy_process_group()
    results.put(rank)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_sharded_batch_in_two_processes():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    children = [context.Process(target=_of_rank, args=(rank, port, results)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]


# ---- the example


def test_example_learns():
    import runpy

    path = pathlib.Path(__file__).parents[1] / "examples" / "torch_low_rank_autoencoder.py"
    if not path.exists():
        pytest.skip("the examples are not here")
    _, losses, _, _ = runpy.run_path(str(path))["train"](steps=100)
    assert losses[-1] < 0.1 * losses[0]


# ---- the ABI

HEADERS = pathlib.Path(torch.__file__).parent / "include"
SOURCES = pathlib.Path(__file__).parents[1] / "csrc"


@pytest.mark.skipif(not shutil.which("g++") or not HEADERS.exists(), reason="needs g++ and torch's headers")
def test_declarations_are_those_of_torch(tmp_path):
    """Every function that we declare has the type that torch's headers give it, but for names of opaque pointers."""
    (tmp_path / "abi.cpp").write_text("""
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/c/shim.h>
#include <type_traits>
namespace ours {
#include "torch_abi.h"
}
/* Our opaque pointers are torch's. */
template <typename T> struct as_torch { using type = T; };
template <typename T> struct as_torch<T *> { using type = typename as_torch<T>::type *; };
template <> struct as_torch<ours::tensor_t> { using type = AtenTensorHandle; };
template <> struct as_torch<ours::tensor_t *> { using type = AtenTensorHandle *; };
template <> struct as_torch<ours::torch_library_t> { using type = TorchLibraryHandle; };
template <> struct as_torch<ours::torch_library_t *> { using type = TorchLibraryHandle *; };
template <typename R, typename... P> struct as_torch<R(P...)> { using type = R(typename as_torch<P>::type...); };
#define CHECK(result, name, parameters) \\
  namespace ours { result name parameters; } \\
  static_assert(std::is_same<as_torch<decltype(ours::name)>::type, decltype(::name)>::value, #name);
TORCH_FUNCTIONS(CHECK)
static_assert(sizeof(ours::torch_value_t) == sizeof(StableIValue), "StableIValue");
static_assert(std::is_same<ours::torch_kernel_t, void (*)(StableIValue *, uint64_t, uint64_t)>::value, "kernel");
""")
    command = ["g++", "-std=c++20", "-fsyntax-only", f"-I{HEADERS}", f"-I{SOURCES}", str(tmp_path / "abi.cpp")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-3000:]
