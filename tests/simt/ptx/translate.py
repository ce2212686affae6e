#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Translates kernels from PTX to C++, for the CPU run of CUDA (tests/simt/README.md).

usage: tests/simt/ptx/translate.py MODULE.ptx -o FILE.cpp [--kernels REGEX] [--count]

Each kernel becomes a function of the name that it has in PTX, which is its mangled name: linked into a program of the
CPU run it stands in for the kernel that g++ has compiled, whose symbol is weak.
--count prints how many instructions of which kind each kernel has.
"""
import argparse
import collections
import pathlib
import re
import sys

import ptx_instructions
import ptx_text
from ptx_instructions import C_TYPES, identifier

TAG = "B10simtshared"  # at the end of a variable's name: it is in shared memory (shim/static_shared.cpp)


def parameter(p):
    return f"{f'ptx::parameter<{p.bytes}>' if p.bytes else C_TYPES[p.type]} {identifier(p.name)}"


def head(function):
    parameters = ", ".join(map(parameter, function.parameters))
    if not function.is_kernel:
        result = C_TYPES[function.result[0].type] if function.result else "void"
        return f"static {result} {function.name}({parameters})"
    most = function.most_threads  # told as simt.hpp tells __launch_bounds__
    bound = f"__attribute__((patchable_function_entry({most}, {most}))) " if most else ""
    return f'extern "C" {bound}void {function.name}({parameters})'


def registers(function):
    """{name: C++ type}"""
    types = {}
    for s in function.body:
        if isinstance(s, ptx_text.Declaration) and s.space == "reg":
            names = [f"{s.name}{n}" for n in range(s.count)] if s.count else [s.name]
            types.update(dict.fromkeys(names, C_TYPES[s.type]))
    return types


def translate(function, shared):
    types = registers(function)
    in_memory = {p.name for p in function.parameters}
    in_memory |= {s.name for s in function.body if isinstance(s, ptx_text.Declaration) and s.space == "local"}
    translator = ptx_instructions.Translator(types, shared, in_memory, function.result)
    lines = [head(function), "{", *(f"{parameter(p)};" for p in function.result)]
    lines += [f"{kind} {identifier(name)};" for name, kind in types.items()]
    for s in function.body:
        if isinstance(s, ptx_text.Brace):
            lines.append(s.text)
        elif isinstance(s, ptx_text.Label):
            lines.append(f"{identifier(s.name)}:;")
        elif isinstance(s, ptx_text.Instruction):
            lines.append(translator.statement(s))
        elif s.space == "param":
            lines.append(f"{C_TYPES[s.type]} {identifier(s.name)};")
        elif s.space == "local":
            lines.append(f"alignas(16) unsigned char {identifier(s.name)}[{s.count}];")
    return "\n".join([*lines, "}", ""])


def shared_variables(variables, used):
    """Declarations of those that are used and the table of all, and {name: address}."""
    lines, rows, addresses = [], [], {}
    for n, v in enumerate(variables):
        addresses[v.name] = (n + 1 << 24) + v.align
        name, size = "nullptr", "ptx::dynamic" if v.bytes is None else 0
        if v.bytes is not None and v.name in used:
            # Weak: where g++ has made the same variable for the same kernel it is that one.
            name, size = f"shared_{n}", v.bytes
            lines.append(f'__attribute__((weak)) alignas(16) unsigned char {name}[{v.bytes}] asm("{v.name}{TAG}");')
        rows.append(f"{{{name}, {size}, {v.align}}}")
    return [*lines, f"static const ptx::variable shared_variables[256] = {{{', '.join(rows)}}};"], addresses


def instructions(function):
    return [s for s in function.body if isinstance(s, ptx_text.Instruction)]


def names_in(functions):
    operands = {operand for f in functions for i in instructions(f) for operand in i.operands}
    return {re.sub(r"^\[|[+\]].*", "", operand) for operand in operands}


def count(function):
    """What costs time: fused and other arithmetic, memory by space and width, shuffles, barriers."""
    kinds = collections.Counter()
    for i in instructions(function):
        root, *mods = i.opcode.split(".")
        if root in ("ld", "st") and mods[0] != "param":
            kinds[".".join([root, mods[0], *(m for m in mods if m in ("v2", "v4"))])] += 1
        elif root in ("fma", "shfl", "bar", "vote", "atom", "red"):
            kinds[root] += 1
    listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    print(f"{function.name}: {len(instructions(function))} instructions: {listed}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    parser.add_argument("--kernels", default="", help="those whose name has this regular expression; default: all")
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    module = ptx_text.Module(options.module.read_text())
    functions = module.functions(lambda name: re.search(options.kernels, name))
    lines, addresses = shared_variables(module.shared.values(), names_in(functions))
    try:
        bodies = [translate(f, addresses) for f in functions]
    except ptx_instructions.Unknown as error:
        sys.exit(f"translate: {options.module}: no translation of {error}")
    options.output.write_text("\n".join(['#include "ptx_machine.hpp"', "", *lines, "", *bodies]))
    for f in functions if options.count else []:
        count(f)


if __name__ == "__main__":
    main()
