# SPDX-License-Identifier: BSD-3-Clause
"""Who computes a gradient in gaps.py: svdgrad under its policies, formulas of others, and PyTorch where installed.

The others' formulas are written here in NumPy, in the precision of the matrix, and get the factors that they would
have: those of LAPACK's gesdd.  Ours get those of svdgrad_svd().
"""
import numpy

import library
from gaps_losses import adjoint, difference, total

TAYLOR_TERMS = 10  # K = 9


def epsilon(A):
    return float(numpy.finfo(A.dtype).eps)


# ---- svdgrad -------------------------------------------------------------------------------------


def policies(A):
    """gap_policy and gap_param."""
    return {"DEFAULT": 0.0, "EXACT": 0.0, "MASK": epsilon(A) ** 0.75, "NOISE_FLOOR": 0.0, "LORENTZ": 1e-6}


class Ours:
    """Factors of a batch, and the gradients and reports from them."""

    def __init__(self, lib, A, algo=0):
        self.lib, self.A = lib, A
        (batch, m, n), real = A.shape, A.real.dtype
        self.S, self.U, self.Vh = numpy.empty((batch, m), real), numpy.empty_like(A), numpy.empty_like(A)
        desc, info = library.describe(A, algo=algo), numpy.empty(batch, "i4")
        lib.svd(desc, A, self.S, self.U, self.Vh, info, lib.workspace("svd", desc))
        assert not info.any()

    def outputs(self):
        return numpy.empty_like(self.A), numpy.empty(len(self.A), library.REPORT)

    def backward(self, policy, gS, gU, gVh):
        desc = library.describe(self.A, policy=policy, gap_param=policies(self.A)[policy])
        gA, report = self.outputs()
        self.lib.svd_backward(desc, None, self.S, self.U, self.Vh, gS, gU, gVh, gA, report,
                              self.lib.workspace("svd_backward", desc))
        return gA, report

    def fused(self, loss, weights):
        desc, (gA, report) = library.describe(self.A), self.outputs()
        f, slope = (numpy.ascontiguousarray(x) for x in loss.f(self.S))
        function = library.function(*loss.fused, f, slope)
        self.lib.matrix_function_backward(desc, function, self.S, self.U, self.Vh, weights["G"], gA, report,
                                          self.lib.workspace("matrix_function_backward", desc))
        return gA, report


def packed(arrays, like):
    """Cotangents as the library takes them: of the type of the factors."""
    return [numpy.ascontiguousarray(x, dtype=y.dtype) for x, y in zip(arrays, like)]


def ours(lib, A, loss, weights):
    """Gradients and reports by column."""
    here = Ours(lib, A)
    cotangents = packed(loss.cotangents(here.U, here.S, here.Vh, weights), (here.S, here.U, here.Vh))
    results = {policy: here.backward(policy, *cotangents) for policy in policies(A)}
    if loss.fused:
        results["fused"] = here.fused(loss, weights)
    return results


# ---- formulas of others --------------------------------------------------------------------------


def taylor(S):
    """1/(s_i^2 - s_j^2) as a geometric series in the smaller over the larger."""
    square = S * S
    larger = numpy.maximum(square[..., :, None], square[..., None, :])
    smaller = numpy.minimum(square[..., :, None], square[..., None, :])
    return sum((smaller / larger) ** t for t in range(TAYLOR_TERMS)) / larger * numpy.sign(difference(square))


def lorentz(x, width):
    """x / (x^2 + width)"""
    return x / (x * x + x.dtype.type(width))


def off_diagonal(X):
    return numpy.where(numpy.eye(X.shape[-1], dtype=bool), X.dtype.type(0), X)


def squared(inverse):
    """(skew2(U^H gU) S + S skew2(V^H gV)) / (s_j^2 - s_i^2), given what stands for 1/(s_i^2 - s_j^2)."""
    def gradient(U, S, Vh, gS, gU, gVh):
        UhgU, VhgV, F = adjoint(U) @ gU, Vh @ adjoint(gVh), -off_diagonal(inverse(S))
        X, Y, s = UhgU - adjoint(UhgU), VhgV - adjoint(VhgV), S[..., None, :]
        M = F * X * s + S[..., None] * F * Y
        phase = numpy.eye(S.shape[-1], dtype=bool) * (X / (2 * s))  # of complex types
        return U @ (M + phase + numpy.eye(S.shape[-1], dtype=S.dtype) * gS[..., None]) @ Vh
    return gradient


def split(inverse):
    """((X + Y) / (s_j - s_i) + (X - Y) / (s_i + s_j)) / 2, given what stands for 1/(s_i - s_j)."""
    def gradient(U, S, Vh, gS, gU, gVh):
        UhgU, VhgV = adjoint(U) @ gU, Vh @ adjoint(gVh)
        X, Y = UhgU - adjoint(UhgU), VhgV - adjoint(VhgV)
        M = ((X + Y) * -off_diagonal(inverse(S)) + (X - Y) / total(S)) / 2
        return U @ (M + numpy.eye(S.shape[-1], dtype=S.dtype) * gS[..., None]) @ Vh
    return gradient


def masked(S):
    """Nothing closer than (spacing of numbers at s_1)^(3/4)."""
    gap = difference(S)
    return numpy.where(numpy.abs(gap) < numpy.spacing(S[..., :1, None]) ** 0.75, 0, 1 / gap).astype(S.dtype)


FOREIGN = {"raw E": squared(lambda S: 1 / difference(S * S)),
           "TF 1e-20": squared(lambda S: lorentz(difference(S * S), 1e-20)),
           "Lorentz 1e-12": split(lambda S: lorentz(difference(S), 1e-12)),
           "Taylor K=9": squared(taylor),
           "mask eps^.75": split(masked)}
WHO = {"raw E": "PyTorch, JAX: 1/(s_j^2 - s_i^2) as it is (Townsend 2016; Wan and Zhang, arXiv:1909.02659)",
       "TF 1e-20": "TensorFlow: x/(x^2 + 1e-20), x = s_j^2 - s_i^2",
       "Lorentz 1e-12": "Liao et al., PRX 9, 031041 (2019): x/(x^2 + 1e-12), x = s_j - s_i",
       "Taylor K=9": "Wang et al., TPAMI 2021 (arXiv:2104.03821): geometric series of 10 terms, here of s^2",
       "mask eps^.75": "MatrixAlgebraKit.jl: 1/x dropped where x = s_j - s_i is below ulp(s_1)^(3/4)",
       "torch": "PyTorch's own backward pass of torch.linalg.svd, where installed"}


def foreign(lib, A, loss, weights):
    """Gradients by column."""
    here = Ours(lib, A, algo=2)
    cotangents = packed(loss.cotangents(here.U, here.S, here.Vh, weights), (here.S, here.U, here.Vh))
    with numpy.errstate(all="ignore"):
        return {name: formula(here.U, here.S, here.Vh, *cotangents) for name, formula in FOREIGN.items()}


class Torch:
    """PyTorch's own backward pass of torch.linalg.svd."""

    column = "torch"

    def __init__(self):
        import torch

        self.torch, self.version = torch, torch.__version__

    def gradient(self, A, loss, weights):
        A = self.torch.tensor(A, requires_grad=True)
        results = self.torch.linalg.svd(A, full_matrices=False)
        U, S, Vh = (x.detach().numpy() for x in results)
        gS, gU, gVh = map(self.torch.tensor, packed(loss.cotangents(U, S, Vh, weights), (S, U, Vh)))
        (gA,) = self.torch.autograd.grad(results, A, (gU, gS, gVh))
        return gA.numpy()
