#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write golden.c: small matrices with their exact SVD and the exact gradients of the SVD.

    generate.py            write golden.c beside this file
    generate.py --check    only compare it with what would be written; exit status 1 if it differs

Needs mpmath (https://mpmath.org).  The output does not depend on the platform or on the version of
Python: random numbers come from a generator below, seeded by the name of the case.

Everything is evaluated with 80 decimal digits and rounded once.  The factors that a test reads
are the rounded exact factors; the gradient is computed from the unrounded ones and from the
cotangents as written.

The gradient.  With A = U diag(s) V^H, X = U^H gU - gU^H U, Y = V^H gV - gV^H V (gV = gVh^H),

    M_ij = ((X + Y)_ij Dm_ij + (X - Y)_ij Dp_ij) / 2 + delta_ij gS_i,
    Dm_ij = 1 / (s_j - s_i), Dm_ii = 0,   Dp_ij = 1 / (s_i + s_j), also for i = j,
    gA = U M V^H + (I - U U^H) gU S^-1 V^H + U S^-1 gV^H (I - V V^H).

This is the formula of Townsend (Differentiating the singular value decomposition, 2016) with
s_j^2 - s_i^2 split into its two factors; Dp_ii is the phase term of the complex case (Wan & Zhang 2019,
arXiv:1909.02659).  If only k < min(m, n) triplets are kept, the parts of gU and gV that lie along
a discarded pair (u_i, v_i) couple (Francuz, Schuch, Vanhecke 2025, arXiv:2311.11894).  With
p = u_i^H gU_j and q = v_i^H gV_j they add x u_i v_j^H + conj(y) u_j v_i^H,

    x, y = ((p + q) / (s_j - s_i) +- (p - q) / (s_j + s_i)) / 2.

Columns U2 beyond min(m, n) ("full matrices") are determined only as a subspace: dU2 = -U1 dU1^H U2 up to
a rotation, so their cotangent acts as the cotangent -U2 gU2^H U1 of U1; U2^H gU2 does not matter.

The self-checks are described at class Checks.
"""

import argparse
import sys
import time
from pathlib import Path

from mpmath import matrix, mp, mpc, mpf

mp.dps = 80
TINY = mpf(10) ** -60  # below TINY * s_1 a singular value is an exact zero
STEP = mpf(10) ** -25  # finite differences: error about STEP^2 and 10^-80 / STEP
EPS = mpf(2) ** -52
DROP = 4  # gaps and singular values <= DROP * EPS * s_1 are dropped by the default policy

# svdgrad_gap_policy_t
DEFAULT, EXACT, MASK, LORENTZ = 0, 1, 2, 4


# ---------------------------------------------------------------------------- random numbers


class Random:
    """Knuth's 64-bit linear congruential generator, seeded by a name (FNV-1a)."""

    def __init__(self, name):
        self.state = 0xCBF29CE484222325
        for byte in name.encode():
            self.state = (self.state ^ byte) * 0x100000001B3 % 2**64

    def bits(self, count):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> (64 - count)

    def integer(self, low, high):
        return low + self.bits(32) * (high - low + 1) // 2**32

    def number(self):
        """A multiple of 2^-22 in [-2, 2): exact in float."""
        return mpf(self.bits(24) - 2**23) / 2**22

    def entry(self, is_complex):
        return mpc(self.number(), self.number()) if is_complex else self.number()

    def matrix(self, m, n, is_complex=False):
        return build(m, n, lambda i, j: self.entry(is_complex))

    def numbers(self, count):
        return [self.number() for _ in range(count)]

    def unitary(self, n, is_complex=False):
        return mp.qr(self.matrix(n, n, is_complex))[0]


# ---------------------------------------------------------------------------- small matrices


def build(m, n, entry):
    out = matrix(m, n)
    for i in range(m):
        for j in range(n):
            out[i, j] = entry(i, j)
    return out


def entries(X):
    return [X[i, j] for i in range(X.rows) for j in range(X.cols)]


def H(X):
    return build(X.cols, X.rows, lambda i, j: mp.conj(X[j, i]))


def columns(X, first, last):
    return build(X.rows, last - first, lambda i, j: X[i, first + j])


def join(X, Y):
    return build(X.rows, X.cols + Y.cols, lambda i, j: X[i, j] if j < X.cols else Y[i, j - X.cols])


def diagonal(values, m=None, n=None):
    m = m or len(values)
    return build(m, n or m, lambda i, j: values[i] if i == j and i < len(values) else mpf(0))


def parse(rows):
    return build(len(rows), len(rows[0]), lambda i, j: mpf(rows[i][j]))


def norm(X):
    """Frobenius norm; None is 0."""
    return mp.sqrt(sum(abs(x) ** 2 for x in entries(X))) if X is not None else mpf(0)


def inner(X, Y):
    return sum(mp.re(mp.conj(x) * y) for x, y in zip(entries(X), entries(Y)))


def skew2(X):
    return X - H(X)


def round_entry(x, bits):
    """Nearest number with that many bits, ties to even."""
    with mp.workprec(bits):
        return mpc(+x.real, +x.imag) if isinstance(x, mpc) else +x


def rounded(X, bits):
    return build(X.rows, X.cols, lambda i, j: round_entry(X[i, j], bits)) if X is not None else None


# ---------------------------------------------------------------------------- singular value decomposition


class Factors:
    """A = U diag(s) V^H with U m x m, V n x n and min(m, n) values in descending order."""

    def __init__(self, U, s, V):
        self.U, self.s, self.V = U, list(s), V

    @property
    def shape(self):
        return self.U.rows, self.V.rows


def thin_svd(A, is_complex):
    U, s, Vh = (mp.svd_c if is_complex else mp.svd_r)(A)
    return U, list(s), H(Vh)


def complete(Q):
    """Append columns to Q until it is unitary: of all unit vectors always the one farthest from its span."""
    while Q.cols < Q.rows:
        P = mp.eye(Q.rows) - Q * H(Q) if Q.cols else mp.eye(Q.rows)
        lengths = [norm(columns(P, j, j + 1)) for j in range(Q.rows)]
        best = next(j for j, x in enumerate(lengths) if x > max(lengths) * (1 - TINY))
        v = columns(P, best, best + 1)
        for _ in range(2):
            if Q.cols:
                v = v - Q * (H(Q) * v)
            v = v / norm(v)
        Q = join(Q, v) if Q.cols else v
    return Q


def phase(X, j):
    """The factor that makes the (first) largest entry of column j real and positive."""
    sizes = [abs(X[i, j]) for i in range(X.rows)]
    i = next(i for i, x in enumerate(sizes) if x > max(sizes) * (1 - TINY))
    return mp.conj(X[i, j]) / sizes[i]


def fix_gauge(U, s, V):
    """Make the largest entry of each column positive; columns that share a value turn together."""
    U, V = U.copy(), V.copy()
    tied = sum(1 for x in s if x > 0)
    for j in range(max(U.cols, V.cols)):
        c = phase(U, j) if j < U.cols else None
        for X in (U, V):
            if j < X.cols:
                turn = c if X is U or j < tied else phase(X, j)
                for i in range(X.rows):
                    X[i, j] *= turn
    return U, V


def svd(A, is_complex):
    """The decomposition of A; its zero singular values, if any, are made exact."""
    U, s, V = thin_svd(A, is_complex)
    rank = sum(1 for x in s if x > TINY * max(s[0], TINY))
    s = s[:rank] + [mpf(0)] * (len(s) - rank)
    empty = matrix(A.rows, 0), matrix(A.cols, 0)
    U = complete(columns(U, 0, rank) if rank else empty[0])
    V = complete(columns(V, 0, rank) if rank else empty[1])
    U, V = fix_gauge(U, s, V)
    return Factors(U, s, V)


def exact_factors(U, s, V):
    s = [mpf(x) for x in s]
    U, V = fix_gauge(complete(U), s, complete(V))
    return Factors(U, s, V)


# ---------------------------------------------------------------------------- the gradient


class Cotangents:
    """gU, gV: matrices or None; gS: list of real numbers or None."""

    def __init__(self, gU=None, gS=None, gV=None):
        self.gU, self.gS, self.gV = gU, gS, gV

    def rounded(self, bits):
        gS = None if self.gS is None else [round_entry(x, bits) for x in self.gS]
        return Cotangents(rounded(self.gU, bits), gS, rounded(self.gV, bits))

    def padded(self, m, n, count):
        """Zero cotangents for triplets that were not kept."""

        def pad(X, rows):
            return None if X is None else join(X, matrix(rows, count - X.cols)) if X.cols < count else X

        gS = None if self.gS is None else self.gS + [mpf(0)] * (count - len(self.gS))
        return Cotangents(pad(self.gU, m), gS, pad(self.gV, n))


def project_gauge(F, k, cot):
    """The nearest cotangents with Im diag(U^H gU + V^H gV) = 0."""
    given = [(F.U, cot.gU), (F.V, cot.gV)]
    count = sum(g is not None for _, g in given)
    out = []
    for Q, g in given:
        g = None if g is None else g.copy()
        out.append(g)
    for j in range(k):
        t = sum(mp.im((H(columns(Q, j, j + 1)) * columns(g, j, j + 1))[0]) for Q, g in given if g is not None)
        for (Q, _), g in zip(given, out):
            if g is not None:
                for i in range(Q.rows):
                    g[i, j] -= mpc(0, t / count) * Q[i, j]
    return Cotangents(out[0], cot.gS, out[1])


class Divisors:
    """The reciprocals in the formula, under a gap policy; remembers what entered."""

    def __init__(self, s, policy=DEFAULT, param=0):
        self.s1, self.policy, self.param = s[0], policy, mpf(param)
        self.gaps, self.sums, self.values = [], [], []  # what was divided by
        self.broadened = []  # (i, j, Dm, sensitivity), LORENTZ only
        self.dropped = 0

    def negligible(self, x):
        return self.policy != EXACT and abs(x) <= DROP * EPS * self.s1

    def gap(self, sj, si, key=None):
        x = sj - si
        if self.policy == LORENTZ:
            w2 = (self.param * self.s1) ** 2
            self.broadened.append((key, x / (x * x + w2), (w2 - x * x) / (x * x + w2) ** 2))
            return self.broadened[-1][1]
        if abs(x) <= self.param * self.s1 if self.policy == MASK else self.negligible(x):
            self.dropped += 1
            return mpf(0)
        assert self.policy == MASK or abs(x) > 64 * DROP * EPS * self.s1, "a gap too near the threshold"
        self.gaps.append(abs(x))
        return 1 / x

    def _divide(self, x, record):
        if self.negligible(x):
            return mpf(0)
        record.append(x)
        return 1 / x

    def sum(self, si, sj):
        return self._divide(si + sj, self.sums)

    def value(self, s):
        return self._divide(s, self.values)


def backward(F, k, cot, policy=DEFAULT, param=0, is_complex=False):
    """(gA, condition) for the first k triplets; gU, gV with more than k columns mean full matrices."""
    (m, n), s = F.shape, F.s
    U1, V1, U2, V2 = columns(F.U, 0, k), columns(F.V, 0, k), columns(F.U, k, m), columns(F.V, k, n)
    gU, gV = (
        fold_extra_columns(Q, k, g) if g is not None else matrix(Q.rows, k)
        for Q, g in ((F.U, cot.gU), (F.V, cot.gV))
    )
    gA = U1 * diagonal(cot.gS or [mpf(0)] * k) * H(V1)
    if cot.gU is None and cot.gV is None:
        return gA, mpf(1)
    div = Divisors(s, policy, param)

    X, Y = skew2(H(U1) * gU), skew2(H(V1) * gV)
    M = matrix(k, k)
    for i in range(k):
        for j in range(k):
            if i != j:
                M[i, j] = ((X + Y)[i, j] * div.gap(s[j], s[i], (i, j)) + (X - Y)[i, j] * div.sum(s[i], s[j])) / 2
            elif is_complex:  # in the real case X_ii = Y_ii = 0
                M[i, i] = (X - Y)[i, i] * div.sum(s[i], s[i]) / 2
    gA += U1 * M * H(V1)

    if k < m or k < n:  # the components of gU, gV outside the kept spaces
        P = H(U2) * gU if k < m else matrix(0, k)
        Q = H(V2) * gV if k < n else matrix(0, k)
        for j in range(k):
            for i in range(k, len(s)):  # along a discarded pair of vectors
                p, q = P[i - k, j], Q[i - k, j]
                even, odd = (p + q) * div.gap(s[j], s[i]) / 2, (p - q) * div.sum(s[j], s[i]) / 2
                P[i - k, j], Q[i - k, j] = even + odd, even - odd
            for Z in (P, Q):  # along vectors that have no partner
                for i in range(len(s), k + Z.rows):
                    Z[i - k, j] *= div.value(s[j])
        if k < m:
            gA += U2 * P * H(V1)
        if k < n:
            gA += U1 * H(Q) * H(V2)
        if k < len(s):
            for x in s[:k]:
                div.value(x)

    condition = max([mpf(0)] + [div.s1 / x for x in div.gaps + div.sums])
    for key, Dm, sensitivity in div.broadened:
        weight = abs((X + Y)[key[0], key[1]]) / norm(gA)
        condition = max(condition, div.s1 * abs(Dm), div.s1 * abs(sensitivity) * weight)
    if div.values:
        condition += div.s1 / min(div.values)
    return gA, max(condition, mpf(1))


def fold_extra_columns(Q, k, g):
    """The cotangent of the first k columns that also stands for that of the others."""
    if g.cols == k:
        return g
    Q1, Q2 = columns(Q, 0, k), columns(Q, k, Q.cols)
    return columns(g, 0, k) - Q2 * (H(columns(g, k, g.cols)) * Q1)


# ---------------------------------------------------------------------------- self-checks


class Checks:
    """Assertions on what is written; remembers how many were made of each kind and the worst residual.

    factors     U diag(s) V^H = A, U and V unitary
    difference  gA equals central finite differences of the loss.  The gauge: the phases of u_j and v_j are turned
                together until Im(u_j0^H u_j + v_j0^H v_j) = 0.  In this gauge the formula holds
                for any cotangents, admissible or not.
    residual    skew(gA A^H) = skew(gU U^H), skew(gA^H A) = skew(gV V^H), Re diag(U^H gA V) = gS, which determine gA
                at full rank with distinct values
    padding     a truncated gradient equals that of the whole SVD with zero cotangents for what was discarded
    sylvester   the same, as the solution of X S - R Y = gUp, Y S - R^H X = gVp with R = A - U S V^H
    identity    a closed form: reconstruction, polar factor, rank-deficient limit, ...
    printed     published digits
    """

    LIMIT = {"difference": mpf(10) ** -30, "printed": None}

    def __init__(self):
        self.worst, self.count = {}, {}

    def add(self, kind, what, residual, limit=None):
        limit = limit or self.LIMIT.get(kind, mpf(10) ** -60)
        self.count[kind] = self.count.get(kind, 0) + 1
        if residual >= self.worst.get(kind, (mpf(0),))[0]:
            self.worst[kind] = (residual, what)
        assert residual <= limit, f"{what}: {kind} residual {mp.nstr(residual, 3)} > {mp.nstr(limit, 3)}"

    def equal(self, what, X, Y, kind="identity"):
        self.add(kind, what, norm(X - Y) / max(norm(Y), TINY))

    def digits(self, what, x, text):
        """x agrees with a printed number to a unit in its last digit."""
        mantissa, _, exponent = text.partition("e")
        unit = mpf(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        self.add("printed", f"{what} {text}", abs(x - mpf(text)) / unit, limit=mpf(1))

    def factors(self, what, A, F):
        S = diagonal(F.s, *F.shape)
        scale = max(F.s[0], norm(A), TINY)
        self.add("factors", what, norm(F.U * S * H(F.V) - A) / scale)
        for Q in (F.U, F.V):
            self.add("factors", what, norm(H(Q) * Q - mp.eye(Q.rows)))
        assert all(x >= y for x, y in zip(F.s, F.s[1:])), what

    def residuals(self, what, A, F, k, cot, is_complex):
        cot = project_gauge(F, k, cot) if is_complex else cot
        gA, condition = backward(F, k, cot, is_complex=is_complex)
        U, V = columns(F.U, 0, k), columns(F.V, 0, k)
        left = skew2(gA * H(A)) - (skew2(cot.gU * H(U)) if cot.gU is not None else 0 * (U * H(U)))
        right = skew2(H(gA) * A) - (skew2(cot.gV * H(V)) if cot.gV is not None else 0 * (V * H(V)))
        P = H(U) * gA * V
        middle = matrix([mp.re(P[i, i]) - (cot.gS[i] if cot.gS else 0) for i in range(k)])
        scale = max(norm(cot.gU), norm(cot.gV), norm(gA) * max(F.s[0], 1)) * condition
        for X in (left, right, middle):
            self.add("residual", what, norm(X) / scale)

    def difference(self, what, A, F, k, cot, gA, is_complex):
        """All entries of small matrices, some random directions for larger ones."""
        units = [mpf(1), mpc(0, 1)] if is_complex else [mpf(1)]
        step = STEP * max(F.s[0], TINY)
        if A.rows * A.cols <= 20:
            places = [(i, j) for i in range(A.rows) for j in range(A.cols)]
            directions = [
                build(A.rows, A.cols, lambda i, j, at=at, u=u: u if (i, j) == at else mpf(0))
                for at in places
                for u in units
            ]
        else:
            rng = Random("directions " + what)
            directions = [rng.matrix(A.rows, A.cols, is_complex) for _ in range(6)]
        for D in directions:
            above, below = (loss(A + sign * step * D, F, k, cot, is_complex) for sign in (1, -1))
            error = abs((above - below) / (2 * step) - inner(gA, D))
            self.add("difference", what, error / (norm(gA) * norm(D)))

    def truncated(self, what, A, F, k, cot, gA, is_complex):
        m, n = F.shape
        whole, _ = backward(F, len(F.s), cot.padded(m, n, len(F.s)), is_complex=is_complex)
        self.equal(what, whole, gA, "padding")
        U, V, S = columns(F.U, 0, k), columns(F.V, 0, k), diagonal(F.s[:k])
        R, perp = A - U * S * H(V), lambda Q, X: X - Q * (H(Q) * X)
        Xs, Ys = perp(U, gA * V), perp(V, H(gA) * U)
        scale = norm(cot.gU) + norm(cot.gV) + norm(gA) * F.s[0]
        self.add("sylvester", what, norm(Xs * S - R * Ys - perp(U, cot.gU)) / scale)
        self.add("sylvester", what, norm(Ys * S - H(R) * Xs - perp(V, cot.gV)) / scale)

    def report(self):
        for kind, count in self.count.items():
            residual, what = self.worst[kind]
            note = " (in units of the last digit)" if kind == "printed" else ""
            print(f"{kind:10} {count:5} checks, worst {mp.nstr(residual, 2)}{note}: {what}")


def loss(A, F, k, cot, is_complex):
    """Re <gU, U> + gS . S + Re <gV, V> of A near the matrix that F factors, in the gauge of F."""
    U, s, V = thin_svd(A, is_complex)
    U, V = columns(U, 0, k), columns(V, 0, k)
    for j in range(k):
        z = sum(mp.conj(F.U[i, j]) * U[i, j] for i in range(A.rows))
        z += sum(mp.conj(F.V[i, j]) * V[i, j] for i in range(A.cols))
        for Q in (U, V):
            for i in range(Q.rows):
                Q[i, j] *= mp.conj(z) / abs(z)
    total = sum(g * x for g, x in zip(cot.gS, s)) if cot.gS else mpf(0)
    for Q, Q0, g in ((U, F.U, cot.gU), (V, F.V, cot.gV)):
        if g is not None:
            if g.cols > k:  # the part outside Q turns as little as it can (to first order)
                extra = columns(Q0, k, g.cols)
                Q = join(Q, extra - Q * (H(Q) * extra))
            total += inner(g, Q)
    return total


# ---------------------------------------------------------------------------- cases


class Case:
    """One element of golden_cases."""

    def __init__(self, name, A, is_complex, k=0, full=False):
        self.name, self.A, self.is_complex = name, A, is_complex
        self.m, self.n, self.rank, self.full = A.rows, A.cols, k, full
        self.S = self.U = self.V = self.gA = None
        self.cot = Cotangents()
        self.policy, self.param, self.condition, self.relative = DEFAULT, 0.0, mpf(1), False


class Golden:
    def __init__(self):
        self.cases, self.checks = [], Checks()

    def _append(self, case):
        assert case.name not in [c.name for c in self.cases], case.name
        self.cases.append(case)
        return case

    def forward(self, name, A, is_complex=False, relative=False):
        F = svd(A, is_complex)
        self.checks.factors(name, A, F)
        case = Case(name, A, is_complex)
        case.S, case.relative = F.s, relative
        if relative:
            assert all(x == round_entry(x, 24) for x in entries(A)), name
        return self._append(case)

    def backward(self, name, A, cot, F=None, is_complex=False, k=0, policy=DEFAULT, param=0.0, smooth=True,
                 truth=None, well_posed=True):
        """F: the factors, where the SVD is not unique.  smooth: the loss is differentiable and no policy interferes.
        truth: the gradient, where it is known.  well_posed: the condition is modest.  cot may be a function of F."""
        F = F or svd(A, is_complex)
        self.checks.factors(name, A, F)
        p = min(A.rows, A.cols)
        count = k or p
        cot = (cot(F) if callable(cot) else cot).rounded(53)
        full = any(g is not None and g.cols > count for g in (cot.gU, cot.gV))
        gA, condition = backward(F, count, cot, policy, param, is_complex)
        if truth is not None:
            assert norm(gA - truth) <= 100 * EPS * condition * norm(truth) + TINY, name
        if smooth:
            self.checks.difference(name, A, F, count, cot, gA, is_complex)
            if count == p and not full:
                self.checks.residuals(name, A, F, count, cot, is_complex)
            if count < p:
                self.checks.truncated(name, A, F, count, cot, gA, is_complex)
        assert not well_posed or condition < 1000, f"{name}: condition {mp.nstr(condition, 3)}"

        case = Case(name, A, is_complex, k, full)
        case.S, case.cot, case.gA = F.s[:count], cot, gA if truth is None else truth
        case.U = F.U if full else columns(F.U, 0, count)
        case.V = F.V if full else columns(F.V, 0, count)
        case.policy, case.param, case.condition = policy, param, condition
        return self._append(case)


def random_cotangents(name, m, n, k, is_complex, which="USV", full=False):
    """A function of the factors: generic cotangents, gauge-admissible in the complex case."""
    rng = Random("cotangents " + name)
    gU = rng.matrix(m, m if full else k, is_complex) if "U" in which else None
    gS = rng.numbers(k) if "S" in which else None
    gV = rng.matrix(n, n if full else k, is_complex) if "V" in which else None
    cot = Cotangents(gU, gS, gV)
    if is_complex and (gU is not None or gV is not None):
        return lambda F: project_gauge(F, k, cot)
    return cot


KINDS = (("real", False), ("complex", True))


def add_generic(golden):
    shapes = [(1, 1), (1, 4), (5, 1), (2, 2), (3, 3), (4, 4), (6, 3), (3, 6), (8, 8), (12, 5)]
    for kind, is_complex in KINDS:
        for m, n in shapes:
            A = Random(f"{kind} {m}x{n}").matrix(m, n, is_complex)
            every = [("all", "USV")]
            if (m, n) in ((4, 4), (6, 3), (3, 6)):
                every += [("gS", "S"), ("gU", "U"), ("gVh", "V")]
            for label, which in every:
                name = f"{kind} {m}x{n} {label}"
                cot = random_cotangents(name, m, n, min(m, n), is_complex, which)
                golden.backward(name, A, cot, is_complex=is_complex)
    A = Random("complex 4x4").matrix(4, 4, True)
    rng = Random("inadmissible")
    cot = Cotangents(rng.matrix(4, 4, True), rng.numbers(4), rng.matrix(4, 4, True))
    case = golden.backward("complex 4x4 inadmissible", A, cot, is_complex=True, smooth=False)
    F = svd(A, True)
    golden.checks.difference(case.name, A, F, 4, cot, case.gA, True)
    golden.checks.equal(case.name, backward(F, 4, project_gauge(F, 4, cot), is_complex=True)[0], case.gA)


def with_values(name, m, n, values, is_complex=False):
    """A matrix with entries of 24 bits and about these singular values."""
    rng = Random(name)
    U, V = rng.unitary(m, is_complex), rng.unitary(n, is_complex)
    return rounded(U * diagonal([mpf(x) for x in values], m, n) * H(V), 24)


def reconstruction(F, G):
    """The cotangents of Re <G, U S V^H>, square case; the gradient is G."""
    S = diagonal(F.s)
    P = H(F.U) * G * F.V
    return Cotangents(G * F.V * S, [mp.re(P[i, i]) for i in range(len(F.s))], H(G) * F.U * S)


def polar(F, G):
    """The cotangents of Re <G, U V^H>, square case."""
    return Cotangents(G * F.V, None, H(G) * F.U)


def polar_truth(F, G):
    P = H(F.U) * G * F.V
    K = skew2(P)
    return F.U * build(K.rows, K.cols, lambda i, j: K[i, j] / (F.s[i] + F.s[j])) * H(F.V)


def add_near_ties(golden):
    for kind, is_complex, exponents in (("real", False, range(1, 7)), ("complex", True, (3,))):
        for e in exponents:
            base = f"{kind} gap 1e-{e}"
            A = with_values(base, 4, 4, [3, 1 + mpf(10) ** -e, 1, mpf("0.2")], is_complex)
            F = svd(A, is_complex)
            assert abs(mp.log10(F.s[1] - F.s[2]) + e) < 0.1, base
            cot = random_cotangents(base, 4, 4, 4, is_complex)
            golden.backward(base, A, cot, F, is_complex, well_posed=e <= 2)
            G = Random(base + " G").matrix(4, 4, is_complex)
            for label, make, truth in (("recon", reconstruction, G), ("polar", polar, polar_truth(F, G))):
                golden.checks.equal(base, backward(F, 4, make(F, G), is_complex=is_complex)[0], truth)
                golden.backward(f"{base} {label}", A, make(F, G), F, is_complex, truth=truth, well_posed=e <= 2)


def add_truncated(golden):
    sizes = [("real", 6, 5, k) for k in (1, 2, 3, 4)]
    sizes += [("real", 5, 7, 2), ("complex", 5, 4, 2), ("complex", 3, 5, 1), ("real", 4, 4, 3), ("complex", 4, 4, 3)]
    for kind, m, n, k in sizes:
        is_complex = kind == "complex"
        A = Random(f"truncated {kind} {m}x{n}").matrix(m, n, is_complex)
        name = f"{kind} {m}x{n} rank {k}"
        golden.backward(name, A, random_cotangents(name, m, n, k, is_complex), is_complex=is_complex, k=k)
    name = "real 6x5 rank 3 cut 1e-3"
    A = with_values(name, 6, 5, [3, 2, mpf("1.001"), 1, mpf("0.4")])
    F = svd(A, False)
    assert abs(F.s[2] / F.s[3] - mpf("1.001")) < 1e-5
    golden.backward(name, A, random_cotangents(name, 6, 5, 3, False), F, k=3, well_posed=False)


def add_full_matrices(golden):
    for kind, is_complex in KINDS:
        for m, n in ((5, 3), (3, 5), (4, 4), (4, 1), (1, 3)):
            name = f"{kind} {m}x{n} full"
            A = Random(name).matrix(m, n, is_complex)
            cot = random_cotangents(name, m, n, min(m, n), is_complex, full=True)
            case = golden.backward(name, A, cot, is_complex=is_complex)
            case.full = True


def add_ties(golden):
    """Exact ties and zeros under the default policy, which drops what divides by zero."""

    def tied(name, A, cot, F=None, **more):
        return golden.backward(name, A, cot, F, smooth=False, **more)

    def generic(name, m, n, which="USV"):
        return random_cotangents(name, m, n, min(m, n), False, which)

    I3 = mp.eye(3)
    tied("identity 3", I3, generic("identity 3", 3, 3), exact_factors(I3, [1, 1, 1], I3))

    House = mp.eye(4) - build(4, 4, lambda i, j: mpf(1) / 2)  # I - 2 v v^T / v^T v, v = (1, 1, 1, 1)
    c = mpf(3) / 2
    F = exact_factors(House, [c] * 4, mp.eye(4))
    tied("householder 4", c * House, generic("householder 4", 4, 4), F)
    G = Random("householder G").matrix(4, 4)
    tied("householder 4 polar", c * House, polar(F, G), F, truth=polar_truth(F, G))

    values = [2, 1, 1, 1, 0, 0]
    F = exact_factors(mp.eye(6), values, mp.eye(6))
    tied("diag 2 1 1 1 0 0", diagonal([mpf(x) for x in values]), generic("diag 2 1 1 1 0 0", 6, 6), F)

    # |U S V^T|_F at a tie: the dropped term is zero, and the gradient A / |A|_F of the norm comes out.
    A = diagonal([mpf(x) for x in (1, 1, 2, 3)])
    order = build(4, 4, lambda i, j: mpf(i == (3, 2, 0, 1)[j]))
    F = exact_factors(order, [3, 2, 1, 1], order)
    truth = A / mp.sqrt(15)
    golden.checks.equal("diag 1 1 2 3", backward(F, 4, reconstruction(F, A / norm(A)))[0], truth)
    tied("diag 1 1 2 3 norm", A, reconstruction(F, A / norm(A)), F, truth=truth)

    zero = exact_factors(columns(I3, 0, 2), [0, 0], mp.eye(2))
    case = tied("zero 3x2", matrix(3, 2), generic("zero 3x2", 3, 2), zero)
    golden.checks.equal("zero 3x2", case.gA, case.U * diagonal(case.cot.gS) * H(case.V))

    # A simple value above a multiple zero: a loss on the first triplet alone has a gradient, that of rank 1.
    A = build(5, 5, lambda i, j: mpf(1))
    F = svd(A, False)
    rng = Random("ones 5")
    first = Cotangents(rng.matrix(5, 1), rng.numbers(1), rng.matrix(5, 1))
    case = tied("ones 5 first column", A, first.padded(5, 5, 5), F)
    golden.checks.equal("ones 5", case.gA, backward(F, 1, first)[0])
    golden.checks.difference("ones 5", A, F, 1, first, case.gA, False)

    for m, n, r in ((6, 6, 3), (6, 4, 2), (4, 6, 2)):
        base = f"deficient {m}x{n} rank {r}"
        rng = Random(base)
        B, C = (build(a, b, lambda i, j: mpf(rng.integer(-3, 3))) for a, b in ((m, r), (r, n)))
        F = svd(B * C, False)
        k = min(m, n)
        assert F.s[r - 1] > 1 and F.s[r:] == [0] * (k - r), base
        tied(base, B * C, generic(base, m, n), F)
        case = tied(base + " gS", B * C, generic(base + " gS", m, n, "S"), F)
        golden.checks.equal(base, case.gA, case.U * diagonal(case.cot.gS) * H(case.V))
        # Truncated at its rank the matrix is as good as any other.
        golden.backward(base + " truncated", B * C, random_cotangents(base + " truncated", m, n, r, False), F, k=r)


def add_policies(golden):
    A = with_values("policies", 4, 4, [3, mpf("1.001"), 1, mpf("0.2")])
    F = svd(A, False)
    cot = random_cotangents("policies", 4, 4, 4, False)
    whole, _ = backward(F, 4, cot)
    golden.backward("gap 1e-3 exact", A, cot, F, policy=EXACT, well_posed=False)
    for label, param in (("1e-2", 0.01), ("1e-4", 0.0001)):
        case = golden.backward(f"gap 1e-3 mask {label}", A, cot, F, policy=MASK, param=param, smooth=False,
                               well_posed=param > 0.001)
        assert (norm(case.gA - whole) < TINY) == (param < 0.0003), case.name
        golden.backward(f"gap 1e-3 lorentz {label}", A, cot, F, policy=LORENTZ, param=param, smooth=False,
                        well_posed=False)
    tie = exact_factors(mp.eye(3), [2, 1, 1], mp.eye(3))
    cot = random_cotangents("policy tie", 3, 3, 3, False)
    D = diagonal(tie.s)
    golden.backward("diag 2 1 1 mask 1e-3", D, cot, tie, policy=MASK, param=0.001, smooth=False)
    golden.backward("diag 2 1 1 lorentz 1e-2", D, cot, tie, policy=LORENTZ, param=0.01, smooth=False, well_posed=False)


def add_hard(golden):
    checks = golden.checks

    exact = build(8, 8, lambda i, j: mpf(1) / (i + j + 1))
    printed = ("1.6959389969219494521 0.29812521131693070618 0.026212843578119047797 1.4676881177418673e-3 "
               "5.4369433697499424e-5 1.2943320918728115e-6 1.7988737458175767e-8 1.1115389663724424e-10")
    for x, text in zip(svd(exact, False).s, printed.split()):
        checks.digits("hilbert 8", x, text)
    golden.forward("hilbert 8", rounded(exact, 53))

    sine, cosine = mp.sin(mpf("1.2")), mp.cos(mpf("1.2"))
    kahan = build(20, 20, lambda i, j: sine**i * (1 if i == j else -cosine if j > i else 0))
    s = svd(kahan, False).s
    for x, text in ((s[0], "3.1587003046136513"), (s[-1], "1.3732403983543733e-3"), (s[-2], ".3288")):
        checks.digits("kahan 20", x, text)
    golden.forward("kahan 20", rounded(kahan, 53))

    root = mp.sqrt(3)
    case = golden.forward("tridiagonal 3", parse([[4, 1, 0], [1, 3, 1], [0, 1, 2]]))
    checks.equal(case.name, matrix(case.S), matrix([3 + root, 3, 3 - root]))

    A = parse([[1, 2], [3, 4]])
    case = golden.backward("1234 nuclear", A, Cotangents(None, [mpf(1)] * 2, None))
    for x, text in zip(case.S, ("5.4649857042190427", "0.36596619062625782")):
        checks.digits(case.name, x, text)
    for x, text in zip(entries(case.gA), "-.51449575542752651 .85749292571254419 .85749292571254419 "
                                         ".51449575542752651".split()):
        checks.digits(case.name, x, text)

    add_graded(golden)
    add_softmax(golden)
    add_scaled(golden)


def add_graded(golden):
    """Columns of very different length: one-sided Jacobi gets every value to relative precision."""
    for kind, is_complex in KINDS:
        for m, n, sign in ((5, 5, -1), (6, 4, -1), (4, 4, 1)):
            rng = Random(f"graded {kind} {m}x{n}")
            for _ in range(1000):  # until B is well conditioned
                part = lambda: mpf(rng.integer(-7, 7)) / 8
                B = build(m, n, lambda i, j: mpc(part(), part()) if is_complex else part())
                s = thin_svd(B, is_complex)[1]
                if s[-1] > 0 and s[0] / s[-1] < 6:
                    break
            else:
                raise AssertionError("no well conditioned B")
            A = B * diagonal([mpf(2) ** (10 * sign * j) for j in range(n)])
            golden.forward(f"graded {kind} {m}x{n} {'falling' if sign < 0 else 'rising'}", A, is_complex, relative=True)
    mixed = [(-60, 1), (100, 1), (0, 3), (-100, 5), (40, 7)]
    golden.forward("diag 2^-100 to 2^100", diagonal([x * mpf(2) ** (e - 2) for e, x in mixed]), relative=True)
    signs = [(1, 1j, -1, -1j)[i % 4] for i in range(5)]
    A = diagonal([mpc(c) * x * mpf(2) ** (e - 2) for c, (e, x) in zip(signs, mixed)])
    golden.forward("complex diag 2^-100 to 2^100", A, True, relative=True)


def add_softmax(golden):
    """Two equal rows of a saturated softmax, and the gradient of s_1 with respect to the weights before it.

    The second singular value is 0; its vectors must not leak into the gradient.
    """
    checks = golden.checks
    w1 = parse([[2, 3, 5, 1, 3]] * 2)
    w2 = parse([[2, 2, 5]] + [[2, 3, 5]] * 4)
    logits = w1 * w2
    power = build(2, 3, lambda i, j: mp.exp(logits[i, j]))
    soft = build(2, 3, lambda i, j: power[i, j] / sum(power[i, c] for c in range(3)))
    printed = "5.7495222642930217847e-19 9.3576229688392989485e-14 0.9999999999999064232"
    for x, text in zip(entries(soft), printed.split()):
        checks.digits("softmax", x, text)
    F = svd(soft, False)
    checks.digits("softmax", F.s[0], "1.4142135623729627112")
    assert F.s[1] == 0
    for gS in ([1, 0], [1, 1]):  # the sum of the values has the same gradient with respect to w2
        gA, _ = backward(F, 2, Cotangents(None, [mpf(x) for x in gS], None))
        dots = [sum(gA[i, c] * soft[i, c] for c in range(3)) for i in range(2)]
        g2 = w1.T * build(2, 3, lambda i, j: soft[i, j] * (gA[i, j] - dots[i]))
        for j, text in enumerate(("-8.1310523633284972e-19", "-1.3233677314104046e-13", "1.3233758624627679e-13")):
            for i, weight in enumerate((2, 3, 5, 1, 3)):
                checks.digits("softmax", g2[i, j] / weight, text)
    cot = Cotangents(None, [mpf(1), mpf(0)], None)
    golden.backward("softmax 2x3 gS 1 0", rounded(soft, 53), cot, smooth=False)


def add_scaled(golden):
    A = Random("scaled").matrix(3, 3)
    cot = random_cotangents("scaled", 3, 3, 3, False, "UV")
    plain = golden.backward("3x3 times 2^0", A, cot)
    for e in (100, -100):
        scale = mpf(2) ** e
        case = golden.backward(f"3x3 times 2^{e}", A * scale, cot)
        assert [to_double(x) for x in entries(case.gA * scale)] == [to_double(x) for x in entries(plain.gA)]


# ---------------------------------------------------------------------------- output


def to_double(x):
    """Correctly rounded; far from subnormals."""
    x = round_entry(x, 53)
    assert x == 0 or mpf(2) ** -1000 < abs(x) < mpf(2) ** 1000
    return float(x)


def literal(x):
    """C99 hexadecimal, without trailing zeros."""
    value = to_double(x)
    if abs(x) < TINY * TINY * TINY:
        value = 0.0
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"


def flat(values, is_complex):
    if is_complex:
        values = [part for x in values for part in (mp.re(x), mp.im(x))]
    return [literal(x) for x in values]


def array(name, values):
    lines, line = [], " "
    for value in values:
        if len(line) + len(value) + 2 > 118:
            lines.append(line)
            line = " "
        line += f" {value},"
    return [f"static const double {name}[{len(values)}] = {{", *lines, line.rstrip(","), "};"]


def render(cases):
    out = [
        "/* SPDX-License-Identifier: BSD-3-Clause */",
        "/* generated by generate.py, do not edit */",
        "/* clang-format off */",
        '#include "golden.h"',
        "",
        "#include <stddef.h>",
    ]
    table = []
    for index, case in enumerate(cases):
        c, cot = case.is_complex, case.cot
        operands = {
            "A": (case.A, c),
            "S": (case.S, False),
            "U": (case.U, c),
            "Vh": (None if case.V is None else H(case.V), c),
            "gS": (cot.gS, False),
            "gU": (cot.gU, c),
            "gVh": (None if cot.gV is None else H(cot.gV), c),
            "gA": (case.gA, c),
        }
        out += ["", f"/* {case.name} */"]
        names = {}
        for operand, (values, is_complex) in operands.items():
            names[operand] = "NULL"
            if values is not None:
                values = values if isinstance(values, list) else entries(values)
                names[operand] = f"c{index}_{operand}"
                out += array(names[operand], flat(values, is_complex))
        numbers = (int(c), case.m, case.n, case.rank, int(case.full))
        table += [
            f'  {{"{case.name}", {", ".join(map(str, numbers))},',
            "   " + ", ".join(names[x] for x in ("A", "S", "U", "Vh", "gS", "gU", "gVh")) + ",",
            f"   {case.policy}, {float(case.param)!r}, {names['gA']}, {float(case.condition):.5g}, "
            f"{int(case.relative)}}},",
        ]
    out += ["", "const golden_t golden_cases[] = {", *table, "};"]
    out += ["const int golden_case_count = (int)(sizeof golden_cases / sizeof golden_cases[0]);"]
    assert max(map(len, out)) <= 120
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Write golden.c, the golden vectors of the tests.")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    args = parser.parse_args()
    start = time.monotonic()
    golden = Golden()
    for add in (add_generic, add_near_ties, add_truncated, add_full_matrices, add_ties, add_policies, add_hard):
        add(golden)
    text = render(golden.cases)
    golden.checks.report()
    print(f"{len(golden.cases)} cases, {len(text)} bytes, {time.monotonic() - start:.1f} s")
    path = Path(__file__).with_name("golden.c")
    if not args.check:
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        sys.exit(f"{path.name} is out of date")


if __name__ == "__main__":
    main()
