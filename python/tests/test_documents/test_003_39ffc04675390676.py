# SPDX-License-Identifier: BSD-3-Clause
"""The gradient of the spectral norm in Flux: julia/Svdgrad.jl cannot run here, so its declarations are held against svdgrad.h:
structures field by field, the signature of every ccall, the numbers of the enumerations."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[3]
if not (ROOT / "julia" / "Svdgrad.jl").exists():
    pytest.skip("the repository is not around the package", allow_module_level=True)
JULIA = (ROOT / "julia" / "Svdgrad.jl").read_text()
HEADER = re.sub(r"/\*.*?\*/", "", (ROOT / "include" / "svdgrad" / "svdgrad.h").read_text(), flags=re.S)
ENUMS = "|".join(re.findall(r"\} (svdgrad_\w+_t);", "".join(re.findall(r"typedef enum \{.*?\} \w+;", HEADER, flags=re.S))))
STRUCTS = {"svdgrad_desc_t": "Desc", "svdgrad_matrix_t": "Strided", "svdgrad_vector_t": "StridedVector"}
SCALARS = {"size_t": "Csize_t", "int64_t": "Int64", "int32_t": "Int32", "int": "Cint", "double": "Cdouble",
           "svdgrad_parallel_for_t": "Ptr{Cvoid}", "svdgrad_handle_t": "Ptr{Cvoid}"}  # fmt: skip


def in_julia(c_type):
    """The types that Julia may declare for this one of C."""
    c_type = c_type.replace("const ", "").strip()
    if c_type == "char *":
        return {"Cstring"}
    if not c_type.endswith("*"):
        return {"Cint"} if re.fullmatch(ENUMS, c_type) else {SCALARS[c_type]}
    target = c_type[:-1].strip()
    name = STRUCTS.get(target) or SCALARS.get(target)
    return {f"Ptr{{{name}}}", f"Ref{{{name}}}"} if name else {"Ptr{Cvoid}"}


def split(text):
    """At the commas outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def after(text, start):
    """What stands between the bracket at `start` and the one that closes it."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[start + 1 : i]
    raise AssertionError("a bracket is not closed")


def test_calls():
    prototypes = {name: (result, split(arguments)) for result, name, arguments in
                  re.findall(r"SVDGRAD_API ([\w ]+?\*?)(svdgrad_\w+)\(([^)]*)\);", HEADER)}  # fmt: skip
    calls = [split(after(JULIA, found.end() - 1)) for found in re.finditer(r"ccall\(", JULIA)]
    assert len(calls) >= 7
    for symbol, result, types, *values in calls:
        name = re.fullmatch(r"\(:(\w+), library\)", symbol).group(1)
        c_result, c_arguments = prototypes[name]
        assert result in in_julia(c_result.strip()), name
        c_arguments = [] if c_arguments == ["void"] else c_arguments
        declared = split(types[1:-1])
        assert len(declared) == len(values) == len(c_arguments), name
        for julia, c in zip(declared, c_arguments, strict=True):
            c_type = re.sub(r"(\w+)$", "", c).strip()
            assert julia in in_julia(c_type), (name, julia, c)


def test_structures():
    for c_name, name in STRUCTS.items():
        body = re.search(r"typedef struct " + c_name[:-2] + r" \{(.*?)\} " + c_name, HEADER, flags=re.S).group(1)
        fields = []
        for line in filter(None, map(str.strip, body.split(";"))):
            c_type, names = re.fullmatch(r"(\w+ \*?)(.*)", line).groups()
            fields += [(field.strip(), c_type.strip()) for field in names.split(",")]
        julia = re.findall(r"^    (\w+)::(.+)$", re.search(rf"^struct {name} .*?^end", JULIA, flags=re.S | re.M).group(0), flags=re.M)
        # A structure with a size may end before fields that were appended since.
        assert len(julia) == len(fields) or name == "Desc"
        for (field, declared), (c_field, c_type) in zip(julia, fields):
            assert field == c_field and declared in in_julia(c_type), (name, field, c_field)


def test_numbers():
    known = {name: int(value) for name, value in re.findall(r"SVDGRAD_(\w+) = (\d+)", HEADER)}
    named = re.findall(r"^const ((?:[A-Z]\w+, )*[A-Z]\w+) = Cint\.?\(\(?([\d, ]+)\)", JULIA, flags=re.M)
    found = [pair for names, values in named for pair in zip(names.split(", "), map(int, values.split(", ")), strict=True)]
    assert len(found) >= 9
    assert all(known[name] == value for name, value in found), found
    dtypes = re.findall(r"dtype\(::Type\{(\w+)\}\) = Cint\((\d)\)", JULIA)
    c_names = {"Float32": "F32", "Float64": "F64", "ComplexF32": "C64", "ComplexF64": "C128"}
    assert {c_names[t]: int(v) for t, v in dtypes} == {name: known[name] for name in c_names.values()}
