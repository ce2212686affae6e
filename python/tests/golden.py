# SPDX-License-Identifier: BSD-3-Clause
"""The golden vectors of the C library (tests/vectors: computed with 80 digits), compiled once and read through ctypes."""

import ctypes as c
import functools
import pathlib
import subprocess
import sysconfig
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
_D = c.POINTER(c.c_double)


class _Function(c.Structure):
    _fields_ = [("name", c.c_char_p), ("is_complex", c.c_int), ("m", c.c_int), ("n", c.c_int), ("rank", c.c_int),
                ("full_matrices", c.c_int), ("kind", c.c_int), ("form", c.c_int), ("param", c.c_double),
                *((x, _D) for x in ("A", "S", "U", "Vh", "f", "df", "gY", "Y", "gA")),
                *((x, c.c_double) for x in ("Y_error", "gA_error", "Y_error_A", "gA_error_A")),
                ("double_only", c.c_int)]  # fmt: skip


class _Norm(c.Structure):
    _fields_ = [("name", c.c_char_p), ("is_complex", c.c_int), ("m", c.c_int), ("n", c.c_int), ("kind", c.c_int),
                ("p", c.c_double), ("A", _D), ("g", c.c_double), ("value", c.c_double), ("gA", _D),
                ("value_error_A", c.c_double), ("gA_error_A", c.c_double), ("double_only", c.c_int)]  # fmt: skip


class _Svd(c.Structure):
    _fields_ = [("name", c.c_char_p), ("is_complex", c.c_int), ("m", c.c_int), ("n", c.c_int), ("rank", c.c_int),
                ("full_matrices", c.c_int), *((x, _D) for x in ("A", "S", "U", "Vh", "gS", "gU", "gVh")),
                ("gap_policy", c.c_int), ("gap_param", c.c_double), ("gA", _D), ("condition", c.c_double),
                ("relative_S", c.c_int)]  # fmt: skip


def available():
    return (VECTORS / "golden.c").exists()


@functools.lru_cache
def _library():
    folder = tempfile.mkdtemp()
    for file in ("version.h", "export.h"):  # svdgrad.h includes these two, which a build writes
        target = pathlib.Path(folder, "svdgrad", file)
        target.parent.mkdir(exist_ok=True)
        target.write_text("#define SVDGRAD_API\n")
    path = pathlib.Path(folder, "golden.so")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    subprocess.run([compiler, "-shared", "-fPIC", "-O0", f"-I{folder}", f"-I{ROOT / 'include'}", f"-I{VECTORS}",
                    str(VECTORS / "golden.c"), str(VECTORS / "function_golden.c"), "-o", str(path), "-lm"], check=True)  # fmt: skip
    return c.CDLL(str(path))


def _rows(kind, array, count):
    library = _library()
    return (kind * c.c_int.in_dll(library, count).value).in_dll(library, array)


def _matrix(pointer, is_complex, *shape):
    if not pointer:
        return None
    size = int(np.prod(shape)) * (2 if is_complex else 1)
    flat = np.ctypeslib.as_array(pointer, (max(size, 1),))[:size].copy()
    return (flat.view(np.complex128) if is_complex else flat).reshape(shape)


def functions():
    """Dictionaries of the cases without custom f, rank or full_matrices."""
    for g in _rows(_Function, "function_golden", "function_golden_count"):
        if g.f or g.rank or g.full_matrices:
            continue
        n_of_Y = (g.n if g.form else g.m, g.n)
        yield dict(name=g.name.decode(), kind=g.kind, form=g.form, param=g.param, error=g.gA_error_A, Y_error=g.Y_error_A,
                   A=_matrix(g.A, g.is_complex, g.m, g.n), Y=_matrix(g.Y, g.is_complex, *n_of_Y),
                   gY=_matrix(g.gY, g.is_complex, *n_of_Y), gA=_matrix(g.gA, g.is_complex, g.m, g.n))  # fmt: skip


def norms():
    for g in _rows(_Norm, "norm_golden", "norm_golden_count"):
        yield dict(name=g.name.decode(), kind=g.kind, p=g.p, g=g.g, value=g.value, error=g.gA_error_A,
                   value_error=g.value_error_A, A=_matrix(g.A, g.is_complex, g.m, g.n),
                   gA=_matrix(g.gA, g.is_complex, g.m, g.n))  # fmt: skip


def svds():
    """Cases of the backward pass; factors and cotangents are in one gauge, which a forward pass need not find."""
    for g in _rows(_Svd, "golden_cases", "golden_case_count"):
        if not g.gA:
            continue
        k, z = g.rank or min(g.m, g.n), g.is_complex
        columns, rows = (g.m, g.n) if g.full_matrices else (k, k)
        yield dict(name=g.name.decode(), rank=g.rank, full_matrices=g.full_matrices, gap_policy=g.gap_policy,
                   gap_param=g.gap_param, condition=g.condition, A=_matrix(g.A, z, g.m, g.n), S=_matrix(g.S, 0, k),
                   U=_matrix(g.U, z, g.m, columns), Vh=_matrix(g.Vh, z, rows, g.n), gS=_matrix(g.gS, 0, k),
                   gU=_matrix(g.gU, z, g.m, columns), gVh=_matrix(g.gVh, z, rows, g.n), gA=_matrix(g.gA, z, g.m, g.n))  # fmt: skip
