# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import torch

import svdgrad.torch


class Adapter:
    name = "torch"
    module = svdgrad.torch

    def array(self, a):
        return torch.from_numpy(np.array(a))

    def numpy(self, x):
        return x.detach().resolve_conj().numpy()

    def inner(self, x, weights):
        """The real number Re <weights, x>; weights is a NumPy array."""
        y = torch.sum(torch.conj(torch.from_numpy(np.array(weights))) * x)
        return y.real if y.is_complex() else y

    def square(self, x, weights):
        """Sum of weights * |x|^2."""
        return torch.sum(torch.from_numpy(np.array(weights)) * (x * x.conj()).real)

    def grad(self, f, *arrays):
        """Gradients of the real scalar f in the convention dL/dRe + i dL/dIm."""
        tensors = [self.array(a).requires_grad_() for a in arrays]
        return [self.numpy(g) for g in torch.autograd.grad(f(*tensors), tensors)]

    def jvp(self, f, a, da):
        return self.numpy(torch.func.jvp(f, (self.array(a),), (self.array(da),))[1])

    def second(self, f, a, da):
        """Derivative of the gradient along da."""
        a, da = self.array(a).requires_grad_(), self.array(da)
        (g,) = torch.autograd.grad(f(a), a, create_graph=True)
        y = torch.sum(g * da.conj())
        (found,) = torch.autograd.grad(y.real if y.is_complex() else y, a)
        return self.numpy(found)

    def jit(self, f):
        torch.compiler.reset()  # many functions share one place in the source
        return torch.compile(f, fullgraph=True, backend="aot_eager")

    def vmap(self, f):
        return torch.func.vmap(f)
