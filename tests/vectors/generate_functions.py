#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write function_golden.c: golden vectors of the functions that build on the SVD, see function_golden.h.

    generate_functions.py            write function_golden.c beside this file
    generate_functions.py --check    only compare it with what would be written; exit status 1 if it differs

Needs mpmath (https://mpmath.org).  Everything is evaluated with 80 decimal digits and rounded once, from
matrices and cotangents as written.  generate.py has the random numbers, the SVD and the gauge.

Each closed formula that is written down is held against central differences of what it differentiates, taken
through the SVD of A + h D and A - h D for every unit matrix D, wherever a derivative exists.  Those differences have
50 digits.  Where there is none (a kink, a quotient that the library drops) the formula under the
library's rule is the definition.

The error bounds (fields *_error) are measured: how far the result moves when every operand moves by a small
relative amount, the largest of some random moves; and, for *_error_A, the Frobenius norm of the derivative
with respect to A times s_1.  Evaluating the formula with 24 and 53 bits must stay within a few eps of them.
"""

import argparse
import functools
import sys
import time
from pathlib import Path

from generate import (DEFAULT, DROP, EPS, H, LORENTZ, MASK, STEP, TINY, Checks, Divisors, Factors, Random, array,
                      backward, build, columns, diagonal, entries, exact_factors, flat, inner, join, norm, parse,
                      random_cotangents, round_entry, rounded, skew2, svd, thin_svd, with_values)
from mpmath import matrix, mp, mpc, mpf

COARSE = mpf(2) ** -18  # what depends on values or gaps between EPS and this, relative to s_1, is for double alone
KINDS = (("real", False), ("complex", True))


class FunctionChecks(Checks):
    """The checks of generate.py, and

    adjoint     <gU, dU> + <gS, dS> + <gV, dV> = <gA, dA>
    rounding    the formula in float and in double, in units of eps times the bound
    """

    LIMIT = {**Checks.LIMIT, "rounding": mpf(4)}


checks = FunctionChecks()


# ---------------------------------------------------------------------------- matrices and their neighbours


class Thin:
    """A = U diag(s) V^H with k = min(m, n) columns."""

    def __init__(self, U, s, V):
        self.U, self.s, self.V = U, s, V

    @property
    def shape(self):
        return self.U.rows, self.V.rows


def clean(X, scale=1):
    """Noise of the arithmetic becomes the zero that it stands for."""
    return build(X.rows, X.cols, lambda i, j: clean_entry(X[i, j], scale))


def clean_entry(x, scale):
    small = lambda part: mpf(0) if abs(part) <= mpf(10) ** -45 * scale else part
    return mpc(small(x.real), small(x.imag)) if isinstance(x, mpc) else small(x)


def snapped(s):
    """Values that are short numbers, and equal values, exactly."""
    out = []
    for x in s:
        short = round_entry(x, 53)
        x = short if abs(x - short) <= TINY * short else x
        out.append(out[-1] if out and abs(x - out[-1]) <= TINY * out[-1] else x)
    return out


class Subject:
    """A matrix, its factors, and the factors of the matrices around it."""

    def __init__(self, name, A, is_complex=False, F=None):
        F = F or svd(A, is_complex)
        checks.factors(name, A, F)
        self.name, self.A, self.is_complex = name, A, is_complex
        self.F = Factors(clean(F.U), snapped(F.s), clean(F.V))
        self.k = len(F.s)
        self.thin = Thin(columns(self.F.U, 0, self.k), self.F.s, columns(self.F.V, 0, self.k))
        self.step = STEP * min([x for x in self.F.s if x > 0], default=1)

    @functools.cached_property
    def neighbours(self):
        """(D, factors of A + h D, factors of A - h D) for each real direction D of one entry."""
        out = []
        for i in range(self.A.rows):
            for j in range(self.A.cols):
                for unit in (mpf(1), mpc(0, 1)) if self.is_complex else (mpf(1),):
                    D = matrix(self.A.rows, self.A.cols)
                    D[i, j] = unit
                    out.append((D, *(self._near(sign * self.step * D) for sign in (1, -1))))
        return out

    def _near(self, D):
        if self.F.s[0] == 0:  # A + D has rank 1: thin_svd() need not find the other vectors
            F = svd(self.A + D, self.is_complex)
            return Thin(columns(F.U, 0, self.k), F.s, columns(F.V, 0, self.k))
        T = Thin(*thin_svd(self.A + D, self.is_complex))
        for Q in (T.U, T.V):
            assert norm(H(Q) * Q - mp.eye(Q.cols)) < mpf(10) ** -70, self.name
        return T

    def derivative(self, evaluate):
        """(D, derivative of evaluate(factors) along D) for each D."""
        return [(D, (evaluate(above) - evaluate(below)) / (2 * self.step)) for D, above, below in self.neighbours]

    def gradient(self, derivative, pair):
        """The matrix with entries dL/dRe + i dL/dIm, where dL = pair(derivative along D)."""
        gA = matrix(self.A.rows, self.A.cols)
        for D, dY in derivative:
            gA += D * pair(dY)
        return gA

    def size(self, derivative):
        """s_1 times the Frobenius norm of a derivative."""
        return self.F.s[0] * mp.sqrt(sum(norm(dY) ** 2 for _, dY in derivative))


def herm(X):
    return (X + H(X)) / 2


def scaled_columns(X, values):
    return build(X.rows, X.cols, lambda i, j: X[i, j] * values[j])


# ---------------------------------------------------------------------------- error bounds


def moved(x, rng, size):
    """Every entry of an operand (matrix or list) times 1 + size * (number in -1..1).

    Values of a few bits, such as those at a threshold, are exact in every type: they stay.
    """
    if isinstance(x, list):
        return [y if y == round_entry(y, 8) else y * (1 + size * rng.number() / 2) for y in x]
    return build(x.rows, x.cols, lambda i, j: x[i, j] * (1 + size * rng.number() / 2))


def rounded_operand(x, bits):
    return [round_entry(y, bits) for y in x] if isinstance(x, list) else rounded(x, bits)


def bounds(name, evaluate, operands):
    """For each result of evaluate(*operands) how far relative errors 1 of the operands move it, beside itself."""
    exact = evaluate(*operands)
    rng = Random("rounding " + name)
    worst = [mpf(0)] * len(exact)
    for _ in range(6):
        other = evaluate(*(moved(x, rng, STEP) for x in operands))
        worst = [max(w, norm(y - x) / STEP) for w, x, y in zip(worst, exact, other)]
    return [norm(x) + w for x, w in zip(exact, worst)]


def check_rounding(name, evaluate, operands, exact, errors, double_only=False):
    """evaluate(bits, *operands) computes with that many bits."""
    for bits in (53,) if double_only else (24, 53):
        short = [rounded_operand(x, bits) for x in operands]
        for x, y, error in zip(exact, evaluate(bits, *short), errors):
            distance = norm(y - x)
            assert error > 0 or distance == 0, name
            if distance > 0:
                checks.add("rounding", f"{name}, {bits} bits", distance / (error * mpf(2) ** (1 - bits)))


# ---------------------------------------------------------------------------- functions of the singular values


class Function:
    """f(s) as svdgrad_matrix_function() defines it, and the divided differences of its backward pass."""

    JUMPS = ("RANK", "HARD_THRESHOLD", "INVERSE", "ROTATION", "POWER")

    def __init__(self, kind, param=0, form="UVH", custom=None):
        self.kind, self.param, self.form, self.custom = kind, mpf(param), form, custom

    def __str__(self):
        label = self.kind.split("_")[0].lower()
        if self.custom:
            label += " " + self.custom[0]
        elif self.kind not in ("POLAR", "ROTATION"):
            label += f" {float(self.param):.6g}"
        return label + (" VVh" if self.form == "VVH" else "")

    def at(self, T, eps=EPS):
        sign = mp.sign(mp.re(mp.det(T.U) * mp.det(T.V))) if self.kind == "ROTATION" else 1
        return Values(self, T.s, T.shape, sign, eps)


class Values:
    """A function at the singular values of one matrix."""

    def __init__(self, function, s, shape, sign, eps):
        self.function, self.s, self.k = function, s, len(s)
        self.drop, self.tolerance = DROP * eps * s[0], (function.param or max(shape) * eps) * s[0]
        self.f = [self._value(i, s[i], sign) for i in range(self.k)]

    def _value(self, i, s, sign):
        kind, t = self.function.kind, self.function.param
        if kind == "POLAR":
            return mpf(1)
        if kind == "ROTATION":
            return mpf(sign if i == self.k - 1 else 1)
        if kind == "RANK":
            return s if i < t else mpf(0)
        if kind == "SOFT_THRESHOLD":
            return max(s - t, mpf(0))
        if kind == "HARD_THRESHOLD":
            return s if s > t else mpf(0)
        if kind == "CLIP":
            return min(s, t)
        if kind == "POWER":
            return mpf(0) if t < 0 and s <= self.drop else s**t
        if kind == "INVERSE":
            return 1 / s if s > self.tolerance else mpf(0)
        return self.function.custom[1](s)

    def slope(self, i):
        kind, t, s = self.function.kind, self.function.param, self.s[i]
        if kind in ("POLAR", "ROTATION"):
            return mpf(0)
        if kind == "RANK":
            return mpf(1 if i < t else 0)
        if kind in ("SOFT_THRESHOLD", "HARD_THRESHOLD"):  # at the threshold 0 both are the identity
            return mpf(1 if s > t or t == 0 else 0)
        if kind == "CLIP":
            return mpf(1 if s < t else 0)
        if kind == "POWER":
            return t * s ** (t - 1) if s > 0 and not (t < 0 and s <= self.drop) else mpf(1 if t == 1 else 0)
        if kind == "INVERSE":
            return -1 / s**2 if s > self.tolerance else mpf(0)
        return self.function.custom[2](s)

    def _linear(self, i):
        """f(s) = s from 0 to s_i."""
        kind, t = self.function.kind, self.function.param
        if kind in ("SOFT_THRESHOLD", "HARD_THRESHOLD"):
            return t == 0
        return kind == "POWER" and t == 1 or kind == "CLIP" and self.s[i] < t or kind == "RANK" and i < t

    def _apart(self, i, j):
        """Only one of the two lies beyond a jump of f."""
        kind, t, s = self.function.kind, self.function.param, self.s
        if kind == "POWER" and t > 0:
            return False
        return kind in Function.JUMPS and (self.f[i] == 0) != (self.f[j] == 0) or kind == "ROTATION"

    def first(self, i, j):
        gap = self.s[i] - self.s[j]
        if abs(gap) <= self.drop and self._apart(i, j) and abs(self.f[i] - self.f[j]) > TINY:
            return mpf(0)
        if abs(gap) <= mpf(10) ** -40 * self.s[0]:
            return self.slope(i)
        return (self.f[i] - self.f[j]) / gap

    def second(self, i, j):
        if self.s[i] + self.s[j] <= self.drop:
            return mpf(1 if self._linear(i) and self._linear(j) else 0)
        return (self.f[i] + self.f[j]) / (self.s[i] + self.s[j])

    def _weight(self, i, j):
        total = self.s[i] + self.s[j]
        return mpf(0) if total <= self.drop else 2 * self.s[i] * self.first(i, j) / total

    def coefficients(self):
        """What stands before herm(P), skew(P) and the components outside."""
        table = lambda entry: build(self.k, self.k, entry)
        outside = [self.second(i, i) for i in range(self.k)]
        if self.function.form == "VVH":
            return table(self._weight), None, [2 * x for x in outside]
        return table(self.first), table(self.second), outside


def function_value(function, T, f):
    left = T.V if function.form == "VVH" else T.U
    return scaled_columns(left, f) * H(T.V)


def function_gradient(function, T, coefficients, gY):
    first, second, outside = coefficients
    (m, n), k, U, V = T.shape, len(T.s), T.U, T.V
    if function.form == "VVH":
        G = H(V) * herm(gY)
        P = G * V
        M = build(k, k, lambda i, j: first[i, j] * P[i, j])
    else:
        G = H(U) * gY
        P = G * V
        even, odd = herm(P), skew2(P) / 2
        M = build(k, k, lambda i, j: first[i, j] * even[i, j] + second[i, j] * odd[i, j])
    gA = U * M * H(V)
    if n > k:
        gA += scaled_columns(U, outside) * (G - P * H(V))
    if m > k and function.form == "UVH":
        gA += (gY * V - U * P) * diagonal(outside) * H(V)
    return gA


class FunctionCase:
    """One element of function_cases."""

    def __init__(self, subject, function, gY, differentiable=True, rank=0, full=False, well_posed=True):
        self.name = f"{subject.name} {function}" + (f" rank {rank}" if rank else "") + (" full" if full else "")
        self.subject, self.function, self.gY, self.rank, self.full = subject, function, gY, rank, full
        T = subject.thin
        if rank:
            T = Thin(columns(T.U, 0, rank), T.s[:rank], columns(T.V, 0, rank))
        self.T, values = T, function.at(T)
        self.f, self.df = values.f, [values.slope(i) for i in range(values.k)]
        self.Y = function_value(function, T, values.f)
        self.gA = None if rank else function_gradient(function, T, values.coefficients(), gY)
        self.double_only = not self._same(values, function.at(T, COARSE))
        self._bound()
        self.Y_error_A = self.gA_error_A = mpf(0)
        if differentiable and not rank:
            self._differences(well_posed)
        self.Y = clean(self.Y, self.Y_error)
        self.gA = None if rank else clean(self.gA, self.gA_error)

    @staticmethod
    def _same(x, y):
        same = lambda a, b: a is None and b is None or all(p == q for p, q in zip(entries(a), entries(b)))
        (xf, xs, xo), (yf, ys, yo) = x.coefficients(), y.coefficients()
        return x.f == y.f and same(xf, yf) and same(xs, ys) and xo == yo

    def _evaluate(self, bits, U, s, V, gY):
        """Coefficients always with all digits: how they are found is the business of the library."""
        T = Thin(U, s, V)
        values = self.function.at(T, mpf(2) ** (1 - min(bits, 53)))
        coefficients = values.coefficients()
        with mp.workprec(bits):
            Y = function_value(self.function, T, values.f)
            return [Y] if self.rank else [Y, function_gradient(self.function, T, coefficients, gY)]

    def _bound(self):
        operands = self.T.U, self.T.s, self.T.V, self.gY
        evaluate = lambda *x: self._evaluate(mp.prec, *x)
        self.Y_error, self.gA_error = (bounds(self.name, evaluate, operands) + [mpf(0)])[:2]
        exact = [self.Y] if self.rank else [self.Y, self.gA]
        check_rounding(self.name, self._evaluate, operands, exact, (self.Y_error, self.gA_error), self.double_only)
        if self.function.custom:
            self.gA_error += self._custom_error() * norm(self.gY)

    def _custom_error(self):
        """What the better of the difference quotient of rounded f and the mean of f' loses at the closest pair."""
        s, f = self.T.s, self.function.custom[1]
        close = [(x - y, x) for x, y in zip(s, s[1:]) if x != y]
        if not close:
            return mpf(0)
        gap, x = min(close)
        return min(max(map(abs, self.f)) / gap, abs(mp.diff(f, x, 3)) * gap**2 / 12 / EPS)

    def _differences(self, well_posed):
        subject, function, gY = self.subject, self.function, self.gY
        dY = subject.derivative(lambda T: function_value(function, T, function.at(T).f))
        gA = subject.gradient(dY, lambda y: inner(gY, y))
        size = max(norm(self.gA), norm(gY) * max(map(abs, self.f)) / max(subject.F.s[0], 1))
        limit = mpf(10) ** -20 if subject.F.s[-1] == 0 else None  # s^2 as an odd function has one derivative at 0
        checks.add("difference", self.name, norm(gA - self.gA) / (size or 1), limit)
        self.Y_error_A = norm(self.Y) + subject.size(dY)
        if function.custom:  # f is data: it does not follow the values of a computed SVD
            self.Y_error_A = mpf(0)
            return
        slope = subject.derivative(lambda T: function_gradient(function, T, function.at(T).coefficients(), gY))
        self.gA_error_A = norm(self.gA) + subject.size(slope)
        assert not well_posed or self.gA_error_A <= 10000 * self.gA_error, self.name

    def fields(self):
        m, n, c, F, T = *self.T.shape, self.subject.is_complex, self.subject.F, self.T
        function = self.function
        U, V = (F.U, F.V) if self.full else (T.U, T.V)
        custom = (self.f, self.df) if function.custom else (None, None)
        return [text(self.name), int(c), m, n, self.rank, int(self.full), "SVDGRAD_FUNCTION_" + function.kind,
                "SVDGRAD_FORM_" + function.form, number(function.param), (self.subject.A, c), (T.s, False), (U, c),
                (H(V), c), (custom[0], False), (custom[1], False), (self.gY, c), (self.Y, c), (self.gA, c),
                bound(self.Y_error), bound(self.gA_error), bound(self.Y_error_A), bound(self.gA_error_A),
                int(self.double_only)]


LOG1P = ("log1p", mp.log1p, lambda s: 1 / (1 + s))
BUMP = ("s exp(-s)", lambda s: s * mp.exp(-s), lambda s: (1 - s) * mp.exp(-s))


def both_forms(kind, param=0, custom=None):
    return [Function(kind, param, form, custom) for form in ("UVH", "VVH")]


def cotangent(subject, form):
    m, n = subject.A.rows, subject.A.cols
    return Random(f"gY {subject.name}").matrix(m if form == "UVH" else n, n, subject.is_complex)


def add_functions(cases, subject, functions, **more):
    for function in functions:
        cases.append(FunctionCase(subject, function, cotangent(subject, function.form), **more))


def between(s, i):
    """A short number between s_i and s_(i+1)."""
    return round_entry((s[i] + s[i + 1]) / 2, 8)


def generic_functions(cases):
    for kind, is_complex in KINDS:
        for m, n in ((4, 3), (3, 4), (3, 3)):
            name = f"{kind} {m}x{n}"
            subject = Subject(name, Random("function " + name).matrix(m, n, is_complex), is_complex)
            s = subject.F.s
            functions = both_forms("POLAR") + both_forms("RANK", 2)
            functions += both_forms("SOFT_THRESHOLD", between(s, 1)) + both_forms("HARD_THRESHOLD", between(s, 1))
            functions += both_forms("CLIP", between(s, 0))
            for t in (0.5, 1, 2, -0.5, -1, 3):
                functions += both_forms("POWER", t)
            functions += both_forms("INVERSE") + both_forms("INVERSE", round_entry((s[1] + s[2]) / 2 / s[0], 8))
            functions += both_forms("CUSTOM", custom=LOG1P) + both_forms("CUSTOM", custom=BUMP)
            add_functions(cases, subject, functions)
            add_functions(cases, subject, both_forms("POWER", 1), rank=2)
            if m != n:
                add_functions(cases, subject, both_forms("POWER", 0.5), full=True)
    add_functions(cases, subject, [Function("RANK", 0), Function("RANK", 3), Function("SOFT_THRESHOLD", 100)])


def hadamard():
    return build(4, 4, lambda i, j: mpf((-1) ** bin(i & j).count("1")))


def fourier():
    return build(4, 4, lambda i, j: mpc(*((1, 0), (0, 1), (-1, 0), (0, -1))[i * j % 4]))


SMOOTH = [("POLAR", 0, None), ("SOFT_THRESHOLD", 0.5, None), ("POWER", 0.5, None), ("POWER", 1, None),
          ("POWER", 2, None), ("POWER", -0.5, None), ("INVERSE", 0, None), ("CUSTOM", 0, LOG1P)]


def smooth_functions(form):
    return [Function(kind, t, form, custom) for kind, t, custom in SMOOTH]


def tied_functions(cases):
    """Equal values that f treats alike: everything is differentiable."""
    every = smooth_functions("UVH") + smooth_functions("VVH")
    add_functions(cases, Subject("hadamard 4", hadamard()), every)
    add_functions(cases, Subject("fourier 4", fourier(), True), every)
    add_functions(cases, Subject("identity 3", mp.eye(3)), smooth_functions("UVH"))
    for values, cut in (((2, 2, 1), 2), ((2, 1, 1), 1)):
        D = diagonal([mpf(x) for x in values])
        T, C = columns(hadamard(), 0, 3) * D, columns(fourier(), 0, 3) * D
        label = "tied above" if cut == 2 else "tied below"
        kinds = ("HARD_THRESHOLD", "CLIP", "SOFT_THRESHOLD")
        cuts = both_forms("RANK", cut) + [x for kind in kinds for x in both_forms(kind, 3)]
        tall, wide = Subject(f"{label} 4x3", T), Subject(f"{label} 3x4", T.T)
        add_functions(cases, tall, cuts + (smooth_functions("UVH") if cut == 2 else []))
        add_functions(cases, wide, smooth_functions("VVH") if cut == 2 else cuts)
        add_functions(cases, Subject(f"{label} complex 4x3", C, True), cuts[::2])
    blocks = parse([[1, 1, 0, 0], [1, -1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]])
    add_functions(cases, Subject("blocks", blocks), both_forms("RANK", 2) + both_forms("POWER", 0.5))
    hard = Subject("diag 2 2 1", diagonal([mpf(2), mpf(2), mpf(1)]))
    add_functions(cases, hard, [Function("HARD_THRESHOLD", 2)], differentiable=False)  # s > t, not >=
    # The cut goes through a tie: the quotient of that pair is dropped.
    add_functions(cases, hard, both_forms("RANK", 1), differentiable=False)


def deficient(name, m, n, r, is_complex=False):
    """Integer entries and exactly r values that are not 0."""
    rng = Random(name)
    part = lambda: mpf(rng.integer(-2, 2))
    for _ in range(1000):
        B, C = (build(a, b, lambda i, j: mpc(part(), part()) if is_complex else part()) for a, b in ((m, r), (r, n)))
        s = svd(B * C, is_complex).s
        if s[r - 1] > s[0] / 8 and all(s[i] > s[i + 1] * mpf("1.1") for i in range(r - 1)):
            return Subject(name, B * C, is_complex)
    raise AssertionError(name)


def deficient_functions(cases):
    subjects = [deficient(f"deficient {m}x{n}", m, n, 2) for m, n in ((4, 3), (3, 4), (4, 4))]
    subjects += [deficient("complex deficient 4x3", 4, 3, 2, True), deficient("complex deficient 3x4", 3, 4, 2, True)]
    for subject in subjects:
        s = subject.F.s
        middle = between(s, 0)
        functions = both_forms("RANK", 2) + both_forms("SOFT_THRESHOLD", middle) + both_forms("HARD_THRESHOLD", middle)
        functions += both_forms("POWER", 2) + both_forms("POWER", 3) + both_forms("INVERSE")
        functions += both_forms("POWER", -0.5) + [Function("POWER", 1), Function("CLIP", middle)]
        functions = functions[::2] if subject.is_complex else functions
        add_functions(cases, subject, functions)
        add_functions(cases, subject, [Function("POLAR"), Function("POWER", 0.5)], differentiable=False)
    add_functions(cases, subjects[2], [Function("RANK", 4), *threshold_zero()])
    ones = Subject("ones 4", build(4, 4, lambda i, j: mpf(1)))
    functions = [Function("POWER", 1), Function("POWER", 2), Function("RANK", 1), Function("SOFT_THRESHOLD", 1),
                 Function("CLIP", 1), Function("HARD_THRESHOLD", 1), Function("INVERSE"), Function("POWER", 2, "VVH"),
                 Function("INVERSE", 0, "VVH")]
    add_functions(cases, ones, functions)
    add_functions(cases, ones, [Function("POLAR")], differentiable=False)


def threshold_zero():
    """The identity, twice, and 0: at any matrix these have their gradients."""
    return [Function("SOFT_THRESHOLD", 0), Function("HARD_THRESHOLD", 0), Function("CLIP", 0)]


def zero_functions(cases):
    for m, n in ((3, 2), (2, 3), (3, 3)):
        subject = Subject(f"zero {m}x{n}", matrix(m, n))
        functions = [Function("POWER", 1), Function("POWER", 2), Function("SOFT_THRESHOLD", 1),
                     Function("HARD_THRESHOLD", 1), Function("CLIP", 1), Function("RANK", min(m, n))]
        add_functions(cases, subject, functions + threshold_zero())
        add_functions(cases, subject, [Function("INVERSE"), Function("POLAR")], differentiable=False)


def near(name, m, n, values, is_complex=False):
    """As with_values(), but in double precision, for gaps that 24 bits cannot hold."""
    rng = Random(name)
    U, V = rng.unitary(m, is_complex), rng.unitary(n, is_complex)
    return Subject(name, rounded(U * diagonal([mpf(x) for x in values], m, n) * H(V), 53), is_complex)


def near_tied_functions(cases):
    functions = [Function("POLAR"), Function("SOFT_THRESHOLD", 0.5), Function("CLIP", 2), Function("RANK", 1),
                 Function("RANK", 3), Function("HARD_THRESHOLD", 0.5), Function("POWER", 0.5), Function("POWER", 3),
                 Function("POWER", -0.5), Function("INVERSE"), Function("CUSTOM", custom=LOG1P),
                 Function("SOFT_THRESHOLD", 0.5, "VVH"), Function("POWER", 1, "VVH"), Function("POWER", 0.5, "VVH"),
                 Function("INVERSE", 0, "VVH")]
    subjects = {}
    for e, m, n, is_complex in ((3, 4, 4, False), (6, 4, 5, True), (9, 4, 4, False), (9, 5, 4, False)):
        gap = mpf(10) ** -e
        name = f"{'complex' if is_complex else 'real'} {m}x{n} gap 1e-{e}"
        subject = subjects[e] = near(name, m, n, [3, 1 + gap, 1, mpf("0.2")], is_complex)
        assert abs(subject.F.s[1] - subject.F.s[2] - gap) < gap / 1000
        add_functions(cases, subject, functions)
    add_functions(cases, subjects[3], both_forms("RANK", 2), well_posed=False)


def graded_functions(cases):
    for kind, is_complex in KINDS:
        name = f"graded {kind} 5x4"
        A = Random(name).matrix(5, 4, is_complex) * diagonal([mpf(2) ** (-40 * j // 3) for j in range(4)])
        subject = Subject(name, A, is_complex)
        functions = [Function("POLAR"), Function("POWER", 0.5), Function("POWER", -0.5), Function("INVERSE"),
                     Function("POWER", 1, "VVH"), Function("POWER", 0.5, "VVH")]
        add_functions(cases, subject, functions, well_posed=False)


def scaled_functions(cases):
    """In float the squares of these values are no numbers; those of INVERSE must be, for its gradient."""
    A = Random("scaled function").matrix(4, 3)
    for e in (-51, 51):
        add_functions(cases, Subject(f"times 2^{e} 4x3", A * mpf(2) ** e), both_forms("INVERSE"), well_posed=False)
    for e in (-71, 71):
        subject = Subject(f"times 2^{e} 4x3", A * mpf(2) ** e)
        middle = between(subject.F.s, 1)
        functions = both_forms("POLAR") + both_forms("POWER", 1) + both_forms("POWER", 0.5) + both_forms("POWER", -0.5)
        functions += both_forms("RANK", 2) + both_forms("SOFT_THRESHOLD", middle)
        functions += both_forms("HARD_THRESHOLD", middle) + both_forms("CLIP", middle)
        add_functions(cases, subject, functions, well_posed=False)


def rotation_functions(cases):
    rotation = Function("ROTATION")
    for label, sign in (("proper", 1), ("improper", -1)):
        for n in (2, 3, 4):
            name = f"{label} {n}"
            rng = Random("rotation " + name)
            A = rng.matrix(n, n)
            while mp.sign(mp.det(A)) != sign:
                A = rng.matrix(n, n)
            add_functions(cases, Subject(name, A), [rotation])
    three = parse([[2, -1, 2], [2, 2, -1], [-1, 2, 2]])  # 3 times a rotation
    add_functions(cases, Subject("3 times a rotation", three), [rotation, Function("POWER", 1)])
    add_functions(cases, Subject("rotation of diag 2 2 -1", diagonal([mpf(2), mpf(2), mpf(-1)])), [rotation])
    # Nothing tells which value should change its sign: those pairs are dropped.
    add_functions(cases, Subject("minus 3 times a rotation", -three), [rotation], differentiable=False)


def public_functions(cases):
    """What other libraries were asked for, or test themselves with."""
    A = diagonal([mpf(x) for x in (1, 1, 2, 3)])
    subject = Subject("diag 1 1 2 3", A)
    gY = rounded(A / norm(A), 53)
    cases.append(FunctionCase(subject, Function("POWER", 1), gY))
    checks.equal("diag 1 1 2 3", cases[-1].gA, gY)
    assert norm(gY - A / mp.sqrt(15)) < EPS

    A = parse([[4, 1, 0], [1, 3, 1], [0, 1, 2]])
    for label, scale in (("", mpf(1)), (" 1e-20", mpf("1e-20")), (" 1e19", mpf("1e19"))):
        subject = Subject("nuclear Hessian" + label, rounded(A * scale, 24))
        largest = mpf(0)
        for i in range(3):
            for j in range(3):
                unit = build(3, 3, lambda p, q: mpf((p, q) == (i, j)))
                cases.append(FunctionCase(subject, Function("POLAR"), unit))
                cases[-1].name += f" {i}{j}"
                largest = max(largest, *map(abs, entries(cases[-1].gA)))
        checks.add("printed", f"nuclear Hessian{label} 41/198", abs(largest * scale * 198 / 41 - 1),
                   limit=mpf(10) ** -60 if scale == 1 else mpf(2) ** -22)

    for kind, is_complex in KINDS:
        for m, n in ((1, 1), (2, 5), (5, 2), (3, 5), (5, 3), (4, 4), (5, 5)):
            name = f"small {kind} {m}x{n}"
            A = Random(name).matrix(m, n, is_complex) / 64
            add_functions(cases, Subject(name, A, is_complex), [Function("POWER", 1), Function("POLAR")])


def function_cases():
    cases = []
    for add in (generic_functions, tied_functions, deficient_functions, zero_functions, near_tied_functions,
                graded_functions, scaled_functions, rotation_functions, public_functions):
        add(cases)
    return cases


# ---------------------------------------------------------------------------- tangents


def tangents(T, dA, div):
    """dS (a column), dU and dV of the thin factors."""
    (m, n), k, U, s, V = T.shape, len(T.s), T.U, T.s, T.V
    E = H(U) * dA * V
    even, odd = herm(E), skew2(E) / 2
    Dm = build(k, k, lambda i, j: div.gap(s[j], s[i], (i, j)) if i != j else mpf(0))
    Dp = build(k, k, lambda i, j: div.sum(s[i], s[j]))
    K, N = (build(k, k, lambda i, j: even[i, j] * Dm[i, j] + sign * odd[i, j] * Dp[i, j]) for sign in (1, -1))
    dU, dV = U * K, V * N
    if m > k or n > k:
        inverse = [div.value(x) for x in s]
        dU += scaled_columns(dA * V - U * E, inverse) if m > k else 0 * dU
        dV += scaled_columns(H(dA) * U - V * H(E), inverse) if n > k else 0 * dV
    return matrix([mp.re(E[i, i]) for i in range(k)]), dU, dV


def aligned(T, subject):
    """The factors T of a neighbour in the gauge Im(u0^H u + v0^H v) = 0, which is that of the formula."""
    U, V = T.U.copy(), T.V.copy()
    for j in range(U.cols):
        z = sum(mp.conj(subject.F.U[i, j]) * U[i, j] for i in range(U.rows))
        z += sum(mp.conj(subject.F.V[i, j]) * V[i, j] for i in range(V.rows))
        for Q in (U, V):
            for i in range(Q.rows):
                Q[i, j] *= mp.conj(z) / abs(z)
    return Thin(U, T.s, V)


class JvpCase:
    """One element of jvp_cases."""

    def __init__(self, subject, label="", rank=0, full=False, policy=DEFAULT, param=0.0, differentiable=True):
        self.name = f"{subject.name}{label}" + (f" rank {rank}" if rank else "") + (" full" if full else "")
        self.subject, self.rank, self.full, self.policy, self.param = subject, rank, full, policy, param
        self.count = rank or subject.k
        m, n = subject.A.rows, subject.A.cols
        self.dA = Random("dA " + self.name).matrix(m, n, subject.is_complex)
        F = subject.F
        self.results = self._evaluate(mp.prec, F.U, F.s, F.V, self.dA)
        self._check_adjoint()
        if differentiable:
            self._differences()
        operands = F.U, F.s, F.V, self.dA
        self.errors = bounds(self.name, lambda *x: self._evaluate(mp.prec, *x), operands)
        self.double_only = any(norm(x - y) > TINY for x, y in zip(self._coarse(), self.results))
        check_rounding(self.name, self._evaluate, operands, self.results, self.errors, self.double_only)

    def _evaluate(self, bits, U, s, V, dA, eps=None):
        with mp.workprec(bits):
            k, c = len(s), self.count
            T = Thin(columns(U, 0, k), s, columns(V, 0, k))
            div = SilentDivisors(s, self.policy, self.param, eps or mpf(2) ** (1 - min(bits, 53)))
            dS, dU, dV = tangents(T, dA, div)
            dS, dU, dV = matrix(dS[:c]), columns(dU, 0, c), columns(dV, 0, c)
            if self.full:
                dU, dV = (join(dQ, self._further(Q, dQ)) for Q, dQ in ((U, dU), (V, dV)))
            return [dS, dU, dV]

    def _further(self, Q, dQ):
        k = dQ.cols
        return -columns(Q, 0, k) * (H(dQ) * columns(Q, k, Q.cols))

    def _coarse(self):
        F = self.subject.F
        return self._evaluate(mp.prec, F.U, F.s, F.V, self.dA, COARSE)

    def _check_adjoint(self):
        subject, (m, n), k = self.subject, self.subject.F.shape, self.count
        dS, dU, dV = self.results
        for trial in range(3):
            cot = random_cotangents(f"{self.name} {trial}", m, n, k, subject.is_complex, full=self.full)
            cot = cot(subject.F) if callable(cot) else cot
            gA, _ = backward(subject.F, k, cot, self.policy, self.param, subject.is_complex)
            left = inner(cot.gU, dU) + inner(matrix(cot.gS), dS) + inner(cot.gV, dV)
            checks.add("adjoint", self.name, abs(left - inner(gA, self.dA)) / (norm(gA) * norm(self.dA)))

    def _differences(self):
        subject, c, step = self.subject, self.count, self.subject.step
        ends = [aligned(Thin(*thin_svd(subject.A + sign * step * self.dA, subject.is_complex)), subject)
                for sign in (1, -1)]
        dS, dU, dV = (columns(x, 0, min(c, x.cols)) for x in self.results)
        pairs = [(matrix(x.s[:c]), columns(x.U, 0, c), columns(x.V, 0, c)) for x in ends]
        for above, below, exact in zip(*pairs, (dS, dU, dV)):
            size = max(norm(exact), norm(self.dA) / subject.F.s[0])
            checks.add("difference", self.name, norm((above - below) / (2 * step) - exact) / size)
        if not self.rank:
            T, S = subject.thin, diagonal(subject.F.s)
            product = dU * S * H(T.V) + T.U * diagonal(list(dS)) * H(T.V) + T.U * S * H(dV)
            checks.equal(self.name, product, self.dA)

    def fields(self):
        subject, F, c = self.subject, self.subject.F, self.subject.is_complex
        U, V = (F.U, F.V) if self.full else (columns(F.U, 0, self.count), columns(F.V, 0, self.count))
        dS, dU, dV = (clean(x, e) for x, e in zip(self.results, self.errors))
        return [text(self.name), int(c), *F.shape, self.rank, int(self.full), POLICIES[self.policy],
                number(self.param), (subject.A, c), (F.s[:self.count], False), (U, c), (H(V), c), (self.dA, c),
                (list(dS), False), (dU, c), (H(dV), c), *map(bound, self.errors), int(self.double_only)]


class SilentDivisors(Divisors):
    """Divisors with the eps of a type, that may come near what is dropped."""

    def __init__(self, s, policy, param, eps):
        super().__init__(s, policy, param)
        self.eps = eps

    def negligible(self, x):
        return abs(x) <= DROP * self.eps * self.s1

    def gap(self, sj, si, key=None):
        x = sj - si
        if self.policy == LORENTZ:
            return x / (x * x + (self.param * self.s1) ** 2)
        dropped = abs(x) <= self.param * self.s1 if self.policy == MASK else self.negligible(x)
        return mpf(0) if dropped else 1 / x


POLICIES = {DEFAULT: "SVDGRAD_GAP_DEFAULT", MASK: "SVDGRAD_GAP_MASK", LORENTZ: "SVDGRAD_GAP_LORENTZ"}


def jvp_cases():
    cases = []
    for kind, is_complex in KINDS:
        subjects = {}
        for m, n in ((1, 1), (3, 3), (4, 3), (3, 4), (5, 2), (2, 5), (8, 8), (4, 4), (5, 4), (4, 5), (1, 3), (4, 1)):
            name = f"{kind} {m}x{n}"
            subjects[m, n] = Subject(name, Random("jvp " + name).matrix(m, n, is_complex), is_complex)
        for shape in ((1, 1), (3, 3), (4, 3), (3, 4), (5, 2), (2, 5), (8, 8)):
            cases.append(JvpCase(subjects[shape]))
        for shape in ((4, 4), (5, 4), (4, 5)):
            cases += [JvpCase(subjects[shape], rank=rank) for rank in (1, 2)]
        for shape in ((4, 3), (3, 4), (5, 2), (2, 5), (1, 3), (4, 1), (3, 3)):
            cases.append(JvpCase(subjects[shape], full=True))
    for m, n in ((3, 3), (4, 3), (3, 4)):
        cases.append(JvpCase(deficient(f"deficient {m}x{n}", m, n, 2), differentiable=False))
    cases.append(JvpCase(Subject("identity 3", mp.eye(3)), differentiable=False))
    cases.append(JvpCase(Subject("hadamard 4x3 tied", columns(hadamard(), 0, 3) * diagonal([mpf(2), mpf(1), mpf(1)])),
                         differentiable=False))
    cases.append(JvpCase(Subject("zero 3x2", matrix(3, 2), F=exact_factors(mp.eye(3)[:, :2], [0, 0], mp.eye(2))),
                         differentiable=False))
    A = Random("jvp scaled").matrix(4, 3)
    cases += [JvpCase(Subject(f"times 2^{e} 4x3", A * mpf(2) ** e)) for e in (-71, 71)]
    close = Subject("gap 1e-3", with_values("jvp gap", 4, 4, [3, mpf("1.001"), 1, mpf("0.2")]))
    cases.append(JvpCase(close))
    for label, param in (("1e-2", 0.01), ("1e-4", 0.0001)):
        cases.append(JvpCase(close, " mask " + label, policy=MASK, param=param, differentiable=False))
        cases.append(JvpCase(close, " lorentz " + label, policy=LORENTZ, param=param, differentiable=False))
    return cases


# ---------------------------------------------------------------------------- second order


def first_order(T, gU, gS, gV, div):
    """gA of the thin factors."""
    (m, n), k, U, s, V = T.shape, len(T.s), T.U, T.s, T.V
    X, Y = skew2(H(U) * gU), skew2(H(V) * gV)
    Dm = build(k, k, lambda i, j: div.gap(s[j], s[i], (i, j)) if i != j else mpf(0))
    Dp = build(k, k, lambda i, j: div.sum(s[i], s[j]))
    M = build(k, k, lambda i, j: ((X + Y)[i, j] * Dm[i, j] + (X - Y)[i, j] * Dp[i, j]) / 2 + (gS[i] if i == j else 0))
    gA = U * M * H(V)
    if m > k or n > k:
        inverse = [div.value(x) for x in s]
        if m > k:
            gA += scaled_columns(gU - U * (H(U) * gU), inverse) * H(V)
        if n > k:
            gA += U * H(scaled_columns(gV - V * (H(V) * gV), inverse))
    return gA, (X, Y, Dm, Dp, M)


def second_order(T, gU, gS, gV, G, div):
    """The gradient of <G, gA> with respect to A, through the factors: reverse mode through first_order()."""
    (m, n), k, U, s, V = T.shape, len(T.s), T.U, T.s, T.V
    X, Y, Dm, Dp, M = first_order(T, gU, gS, gV, div)[1]
    Z = H(U) * G * V
    Xb = build(k, k, lambda i, j: (Dm + Dp)[i, j] * Z[i, j] / 2)
    Yb = build(k, k, lambda i, j: (Dm - Dp)[i, j] * Z[i, j] / 2)
    Ub = G * V * H(M) + gU * (H(Xb) - Xb)
    Vb = H(G) * U * M + gV * (H(Yb) - Yb)
    sb = [mpf(0)] * k
    for i in range(k):
        for j in range(k):
            even = mp.re(mp.conj(Z[i, j]) * (X + Y)[i, j]) * Dm[i, j] ** 2 / 2
            odd = mp.re(mp.conj(Z[i, j]) * (X - Y)[i, j]) * Dp[i, j] ** 2 / 2
            sb[j] -= even + odd
            sb[i] += even - odd
    if m > k or n > k:
        inverse = [div.value(x) for x in s]
        if m > k:
            own, other, slope = outside_second(U, gU, G * V, H(G), inverse)
            Ub, Vb, sb = Ub + own, Vb + other, [x + y for x, y in zip(sb, slope)]
        if n > k:
            own, other, slope = outside_second(V, gV, H(G) * U, G, inverse)
            Ub, Vb, sb = Ub + other, Vb + own, [x + y for x, y in zip(sb, slope)]
    return first_order(T, Ub, sb, Vb, div)[0]


def outside_second(Q, g, GV, Gh, inverse):
    """What (I - Q Q^H) g S^-1 of first_order() says of Q, of the other factor and of s."""
    B, W = scaled_columns(GV, inverse), g - Q * (H(Q) * g)
    slope = [-inner(columns(W, j, j + 1), columns(B, j, j + 1)) * x for j, x in enumerate(inverse)]
    return -B * (H(g) * Q) - g * (H(B) * Q), Gh * scaled_columns(W, inverse), slope


class SecondCase:
    """One element of second_cases."""

    def __init__(self, subject, which):
        self.name, self.subject, self.which = f"{subject.name} {which}", subject, which
        m, n = subject.A.rows, subject.A.cols
        cot = random_cotangents("second " + self.name, m, n, subject.k, subject.is_complex, which)
        cot = (cot(subject.F) if callable(cot) else cot).rounded(53)
        self.cot, self.G = cot, Random("ggA " + self.name).matrix(m, n, subject.is_complex)
        self.gU = cot.gU if cot.gU is not None else matrix(m, subject.k)
        self.gV = cot.gV if cot.gV is not None else matrix(n, subject.k)
        self.gS = cot.gS or [mpf(0)] * subject.k
        T = subject.thin
        operands = T.U, T.s, T.V, self.gU, self.gS, self.gV, self.G
        self.results = self._evaluate(mp.prec, *operands)
        self._differences()
        self.errors = bounds(self.name, lambda *x: self._evaluate(mp.prec, *x), operands)
        check_rounding(self.name, self._evaluate, operands, self.results, self.errors)

    @staticmethod
    def _evaluate(bits, U, s, V, gU, gS, gV, G):
        with mp.workprec(bits):
            T, div = Thin(U, s, V), SilentDivisors(s, DEFAULT, 0, mpf(2) ** (1 - min(bits, 53)))
            return [*tangents(T, G, div), second_order(T, gU, gS, gV, G, div)]

    def _differences(self):
        """gA of svdgrad_svd_backward() at the neighbours, whose factors are those that the tangent leads to."""
        subject = self.subject

        def pairing(T):
            T = aligned(T, subject)
            div = SilentDivisors(T.s, DEFAULT, 0, EPS)
            return matrix([inner(self.G, first_order(T, self.gU, self.gS, self.gV, div)[0])])

        plain = first_order(subject.thin, self.gU, self.gS, self.gV, SilentDivisors(subject.F.s, DEFAULT, 0, EPS))[0]
        checks.equal(self.name, plain, backward(subject.F, subject.k, self.cot, is_complex=subject.is_complex)[0])
        gA = subject.gradient(subject.derivative(pairing), lambda x: x[0])
        size = max(norm(gA), norm(self.G) * norm(plain) / subject.F.s[0])
        checks.add("difference", self.name, norm(gA - self.results[3]) / size)

    def fields(self):
        subject, T, c, cot = self.subject, self.subject.thin, self.subject.is_complex, self.cot
        dS, dU, dV, gA = (clean(x, e) for x, e in zip(self.results, self.errors))
        return [text(self.name), int(c), *T.shape, (subject.A, c), (T.s, False), (T.U, c), (H(T.V), c),
                (cot.gS, False), (cot.gU, c), (None if cot.gV is None else H(cot.gV), c), (self.G, c),
                (list(dS), False), (dU, c), (H(dV), c), (gA, c), *map(bound, self.errors)]


def second_cases():
    cases = []
    for kind, is_complex in KINDS:
        for m, n in ((1, 1), (3, 3), (4, 3), (3, 4), (5, 2), (2, 5), (5, 5)):
            name = f"{kind} {m}x{n}"
            subject = Subject(name, Random("second " + name).matrix(m, n, is_complex), is_complex)
            cases.append(SecondCase(subject, "USV"))
            if (m, n) in ((3, 3), (4, 3), (3, 4)):
                cases += [SecondCase(subject, which) for which in ("S", "U", "V")]
    A = Random("second scaled").matrix(4, 3)
    cases += [SecondCase(Subject(f"times 2^{e} 4x3", A * mpf(2) ** e), "USV") for e in (-51, 51)]
    return cases


# ---------------------------------------------------------------------------- norms


class Norm:
    """Value and slopes dF/ds_i as svdgrad_norm() defines them."""

    def __init__(self, kind, p=0):
        self.kind, self.p = kind, mpf(p)

    def __str__(self):
        return self.kind.split("_")[0].lower() + (f" {float(self.p):g}" if self.p else "")

    def value(self, s):
        if self.kind == "NUCLEAR":
            return sum(s)
        if self.kind == "SPECTRAL":
            return s[0]
        if self.kind == "SCHATTEN":
            return sum(x**self.p for x in s) ** (1 / self.p) if s[0] > 0 else mpf(0)
        return mp.log(mp.fprod(s)) if s[-1] > 0 else mpf(0)

    def slopes(self, T, eps=EPS):
        s, drop = T.s, DROP * eps * T.s[0]
        if s[0] == 0:
            return [mpf(0)] * len(s)
        if self.kind == "NUCLEAR":
            return [mpf(1 if x > max(T.shape) * eps * s[0] else 0) for x in s]
        if self.kind == "SPECTRAL":
            tied = sum(1 for x in s if s[0] - x <= drop)
            return [mpf(1) / tied if i < tied else mpf(0) for i in range(len(s))]
        power = self.p - 1 if self.kind == "SCHATTEN" else mpf(-1)
        factor = self.value(s) ** (1 - self.p) if self.kind == "SCHATTEN" else mpf(1)
        return [mpf(0) if power < 0 and x <= drop else factor * x**power for x in s]


class NormCase:
    """One element of norm_cases."""

    def __init__(self, subject, kind, differentiable=True, has_value=True):
        self.name, self.subject, self.norm = f"{subject.name} {kind}", subject, kind
        self.g = Random("g " + self.name).number()
        T, s = subject.thin, subject.F.s
        gradient = lambda x: scaled_columns(x.U, [self.g * y for y in kind.slopes(x)]) * H(x.V)
        self.value, self.gA = kind.value(s), gradient(T)
        slopes = kind.slopes(T)
        if differentiable:
            dF = subject.derivative(lambda x: matrix([self.g * kind.value(x.s)]))
            gA = subject.gradient(dF, lambda x: x[0])
            checks.add("difference", self.name, norm(gA - self.gA) / norm(gA))
        most = [mpf(1)] * len(s) if kind.kind == "NUCLEAR" else slopes
        self.value_error = abs(self.value) + s[0] * sum(most) if has_value else mpf(0)
        self.gA_error = norm(self.gA) + subject.size(subject.derivative(gradient)) if s[0] > 0 else mpf(0)
        self.double_only = slopes != kind.slopes(T, COARSE)
        self.has_value = has_value

    def fields(self):
        c = self.subject.is_complex
        return [text(self.name), int(c), *self.subject.F.shape, "SVDGRAD_NORM_" + self.norm.kind, number(self.norm.p),
                (self.subject.A, c), exact(self.g), exact(self.value) if self.has_value else "NAN",
                (clean(self.gA, max(norm(self.gA), TINY)), c), bound(self.value_error), bound(self.gA_error),
                int(self.double_only)]


NUCLEAR, SPECTRAL, LOG_DETERMINANT = Norm("NUCLEAR"), Norm("SPECTRAL"), Norm("LOG_DETERMINANT")


def schatten(p):
    return Norm("SCHATTEN", p)


def norm_cases():
    cases = []

    def add(subject, kinds, **more):
        cases.extend(NormCase(subject, kind, **more) for kind in kinds)

    every = [NUCLEAR, SPECTRAL, schatten(1.5), schatten(3), schatten(0.5), schatten(1), schatten(2), LOG_DETERMINANT]
    for kind, is_complex in KINDS:
        for m, n in ((1, 1), (4, 3), (3, 4), (4, 4), (6, 2)):
            name = f"{kind} {m}x{n}"
            subject = Subject(name, Random("norm " + name).matrix(m, n, is_complex), is_complex)
            add(subject, every)
            if m == n:
                determinant = matrix([mp.log(abs(mp.det(subject.A)))])
                checks.equal(name, matrix([LOG_DETERMINANT.value(subject.F.s)]), determinant)
    D = diagonal([mpf(2), mpf(2), mpf(1)])
    smooth_at_ties = [NUCLEAR, schatten(1.5), schatten(0.5), LOG_DETERMINANT]
    for name, A, c in (("identity 3", mp.eye(3), False), ("hadamard 4", hadamard(), False),
                       ("fourier 4", fourier(), True),
                       ("tied twice 4x3", columns(hadamard(), 0, 3) * D, False),
                       ("tied twice complex 3x4", H(columns(fourier(), 0, 3) * D), True),
                       ("diag 3 3 3 1", diagonal([mpf(x) for x in (3, 3, 3, 1)]), False)):
        subject = Subject(name, A, c)
        add(subject, smooth_at_ties)
        add(subject, [SPECTRAL], differentiable=False)
    subjects = [Subject(f"ones {n}", build(n, n, lambda i, j: mpf(1))) for n in (3, 5)]
    subjects += [deficient(f"norm deficient {m}x{n}", m, n, 2) for m, n in ((4, 3), (3, 4), (4, 4))]
    subjects += [deficient("norm deficient complex 4x3", 4, 3, 2, True)]
    for subject in subjects:
        add(subject, [NUCLEAR], differentiable=False)
        add(subject, [SPECTRAL, schatten(3), schatten(2)])
    for m, n in ((3, 2), (2, 3), (3, 3)):
        zero = Subject(f"zero {m}x{n}", matrix(m, n))
        add(zero, [NUCLEAR, SPECTRAL, schatten(1.5), schatten(0.5), schatten(3)], differentiable=False)
        add(zero, [LOG_DETERMINANT], differentiable=False, has_value=False)
    hilbert = Subject("hilbert 8", rounded(build(8, 8, lambda i, j: mpf(1) / (i + j + 1)), 53))
    add(hilbert, [NUCLEAR, SPECTRAL, schatten(3), LOG_DETERMINANT])
    A = parse([[4, 1, 0], [1, 3, 1], [0, 1, 2]])
    for label, scale in ((" 1e-20", mpf("1e-20")), (" 1e19", mpf("1e19"))):
        add(Subject("tridiagonal 3" + label, rounded(A * scale, 24)), every)
    return cases


# ---------------------------------------------------------------------------- spectral normalization


def power_iteration(A, u, v, iterations):
    """u, v, sigma and residual (matrices of one entry)."""
    for _ in range(iterations):
        w = H(A) * u
        v = w / norm(w) if norm(w) > 0 else v
        w = A * v
        u = w / norm(w) if norm(w) > 0 else u
    sigma = inner(u, A * v)
    residual = mp.sqrt(norm(A * v - u * sigma) ** 2 + norm(H(A) * u - v * sigma) ** 2)
    return u, v, sigma, residual


class NormalizeCase:
    """One element of normalize_cases."""

    def __init__(self, name, A, u, v, iterations, is_complex):
        self.name = f"{name} iterations {iterations}"
        self.A, self.start, self.iterations, self.is_complex = A, (u, v), iterations, is_complex
        self.gY = Random("gY " + name).matrix(A.rows, A.cols, is_complex)
        operands = A, u, v, self.gY
        results = self._evaluate(mp.prec, *operands)
        self.errors = bounds(self.name, lambda *x: self._evaluate(mp.prec, *x), operands)
        self.u, self.v, sigma, residual, self.Y, self.gA = results
        self.sigma, self.residual = sigma[0], residual[0]
        self.errors[3] = norm(A) * (norm(self.u) + norm(self.v))  # |x| has no derivative at 0
        check_rounding(self.name, self._evaluate, operands, results, self.errors)
        if self.sigma != 0:
            self._differences()

    def _evaluate(self, bits, A, u, v, gY):
        with mp.workprec(bits):
            u, v, sigma, residual = power_iteration(A, u, v, self.iterations)
            Y = A / sigma if sigma != 0 else 0 * A
            gA = gY / sigma - u * H(v) * (inner(gY, A) / sigma**2) if sigma != 0 else 0 * gY
            return u, v, matrix([sigma]), matrix([residual]), Y, gA

    def _differences(self):
        """Of Re <gY, A / (u^H A v)>, u and v held."""
        A, gA, h = self.A, matrix(self.A.rows, self.A.cols), STEP * norm(self.A)
        loss = lambda X: inner(self.gY, X) / inner(self.u, X * self.v)
        for i in range(A.rows):
            for j in range(A.cols):
                for unit in (mpf(1), mpc(0, 1)) if self.is_complex else (mpf(1),):
                    D = matrix(A.rows, A.cols)
                    D[i, j] = unit
                    gA[i, j] += unit * (loss(A + h * D) - loss(A - h * D)) / (2 * h)
        checks.add("difference", self.name, norm(gA - self.gA) / norm(gA))

    def fields(self):
        c, (u, v) = self.is_complex, self.start
        arrays = (self.A, u, v, self.u, self.v)
        return [text(self.name), int(c), self.A.rows, self.A.cols, self.iterations, *((x, c) for x in arrays),
                exact(self.sigma), exact(self.residual), (self.Y, c), (self.gY, c), (self.gA, c),
                *map(bound, self.errors)]


def converged_normalization(subject):
    """At the singular vectors the gradient is that of A / s_1."""
    T = subject.thin
    u, v, s1 = columns(T.U, 0, 1), columns(T.V, 0, 1), subject.F.s[0]
    gY = Random("gY converged").matrix(*T.shape, subject.is_complex)
    closed = gY / s1 - u * H(v) * (inner(gY, subject.A) / s1**2)
    dY = [(D, ((subject.A + subject.step * D) / above.s[0] - (subject.A - subject.step * D) / below.s[0])
           / (2 * subject.step)) for D, above, below in subject.neighbours]
    gA = subject.gradient(dY, lambda y: inner(gY, y))
    checks.add("difference", subject.name + " converged", norm(gA - closed) / norm(gA))
    return rounded(u, 24), rounded(v, 24)


def unit_vector(rng, n, is_complex):
    x = rng.matrix(n, 1, is_complex)
    return rounded(x / norm(x), 24)


def normalize_cases():
    cases = []
    for kind, is_complex in KINDS:
        for m, n in ((3, 3), (5, 3), (3, 5), (1, 4), (4, 1), (8, 6)):
            name = f"{kind} {m}x{n}"
            rng = Random("normalize " + name)
            subject = Subject(name, rng.matrix(m, n, is_complex), is_complex)
            u, v = unit_vector(rng, m, is_complex), unit_vector(rng, n, is_complex)
            for iterations in (0, 1, 3):
                cases.append(NormalizeCase(name, subject.A, u, v, iterations, is_complex))
            u, v = converged_normalization(subject)
            cases.append(NormalizeCase(name + " converged", subject.A, u, v, 0, is_complex))
        long = rng.matrix(m, 1, is_complex) * 32
        cases.append(NormalizeCase(name + " from a long u", subject.A, long, v, 2, is_complex))
    A = Random("normalize scaled").matrix(3, 3)
    u, v = unit_vector(rng, 3, False), unit_vector(rng, 3, False)
    for label, scale in (("2^-60", mpf(2) ** -60), ("2^60", mpf(2) ** 60)):
        cases.append(NormalizeCase(f"times {label}", A * scale, u, v, 2, False))
    cases += [NormalizeCase("zero 3x3", matrix(3, 3), u, v, iterations, False) for iterations in (0, 2)]
    return cases


# ---------------------------------------------------------------------------- output


def text(name):
    return f'"{name}"'


def number(x):
    return repr(float(x))


def bound(x):
    return f"{float(x):.4g}"


def exact(x):
    return flat([x], False)[0]


class Pool:
    """Arrays, each written once however often it is used."""

    def __init__(self):
        self.names, self.lines = {}, []

    def name(self, values, is_complex):
        if values is None:
            return "NULL"
        values = tuple(flat(values if isinstance(values, list) else entries(values), is_complex))
        if values not in self.names:
            self.names[values] = f"v{len(self.names)}"
            self.lines += array(self.names[values], values)
        return self.names[values]


def row(case, pool):
    """The initializer of a case, in lines of at most 118 characters."""
    lines, line = [], "  {"
    cells = [x if isinstance(x, str) else str(x) if isinstance(x, int) else pool.name(*x) for x in case.fields()]
    for i, cell in enumerate(cells):
        cell += "}," if i == len(cells) - 1 else ","
        if len(line) + len(cell) + 1 > 118:
            lines.append(line)
            line = "  "
        line += cell if line.endswith("{") else " " + cell
    return [*lines, line]


TABLES = (("function", function_cases), ("jvp", jvp_cases), ("second", second_cases), ("norm", norm_cases),
          ("normalize", normalize_cases))


def render(tables):
    pool, out = Pool(), []
    for name, cases in tables:
        names = [case.name for case in cases]
        assert len(set(names)) == len(names), [x for x in names if names.count(x) > 1]
        out += ["", f"const {name}_golden_t {name}_golden[] = {{"]
        out += [line for case in cases for line in row(case, pool)]
        out += ["};", f"const int {name}_golden_count = (int)(sizeof {name}_golden / sizeof {name}_golden[0]);"]
    head = ["/* SPDX-License-Identifier: BSD-3-Clause */", "/* generated by generate_functions.py, do not edit */",
            "/* clang-format off */", '#include "function_golden.h"', "", "#include <math.h>", "#include <stddef.h>", ""]
    lines = head + pool.lines + out
    assert max(map(len, lines)) <= 120
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Write function_golden.c, the golden vectors of what builds on the SVD.")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    args = parser.parse_args()
    start = time.monotonic()
    tables = [(name, make()) for name, make in TABLES]
    written = render(tables)
    checks.report()
    counts = ", ".join(f"{len(cases)} {name}" for name, cases in tables)
    print(f"{counts} cases, {len(written)} bytes, {time.monotonic() - start:.1f} s")
    path = Path(__file__).with_name("function_golden.c")
    if not args.check:
        path.write_text(written)
    elif not path.exists() or path.read_text() != written:
        sys.exit(f"{path.name} is out of date")


if __name__ == "__main__":
    main()
