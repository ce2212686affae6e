#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a sweep of the CUDA Jacobi kernels costs, counted in machine code, beside the model: bench/results/cuda_cost.md.

usage: tools/cuda_cost.py [--build DIR] [--nvcc PATH]

Needs nvdisasm: from $NVDISASM, the PATH, or the directory of nvcc.  It comes with the CUDA toolkit (package
cuda-nvdisasm), and inside the wheel `triton` of PyPI.  No device is needed.
--build names a configured build directory, for the generated headers (default: build/cuda).
"""
import argparse
import collections
import os
import pathlib
import re
import shutil
import sys
import tempfile

import cuda_kernels
from cuda_kernels import ROOT, run

ARCHITECTURE = 90
TYPES = ("f32", "f64")
BATCH = 16384
# H100 SXM: 132 multiprocessors at 1.98 GHz with 128 lanes, which bound all instructions, and 64 for double precision.
RATES = {"f32": 33.5e12, "f64": 16.7e12}
ISSUE_RATE = 33.5e12
# Sweeps until all of a few random normal matrices have converged, on the CPU run of the kernels; the last one only
# looks.
SWEEPS = {
    "f32": {2: 3, 3: 5, 4: 5, 8: 5, 16: 7, 32: 7, 48: 8, 64: 8, 96: 8, 128: 9},
    "f64": {2: 3, 3: 5, 4: 6, 8: 6, 16: 8, 32: 8, 48: 8, 64: 8, 96: 9},
}

CLASSES = ("FMA/MUL/ADD", "SHFL", "MUFU", "LDS/STS", "moves", "integer, control")
CLASS_OF = {
    **dict.fromkeys(("FFMA", "FMUL", "FADD", "DFMA", "DMUL", "DADD"), "FMA/MUL/ADD"),
    **dict.fromkeys(("SHFL",), "SHFL"),
    **dict.fromkeys(("MUFU",), "MUFU"),
    **dict.fromkeys(("LDS", "STS"), "LDS/STS"),
    **dict.fromkeys(("MOV", "SEL", "FSEL", "CS2R", "UMOV", "R2UR"), "moves"),
}
Function = collections.namedtuple("Function", "code labels")
Loop = collections.namedtuple("Loop", "first last")  # both inclusive


def find_nvdisasm(nvcc):
    beside = pathlib.Path(shutil.which(nvcc) or nvcc).parent / "nvdisasm"
    for candidate in (os.environ.get("NVDISASM"), shutil.which("nvdisasm"), str(beside)):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    return sys.exit(
        "cuda_cost: no nvdisasm in $NVDISASM, on the PATH or beside nvcc; it comes with the CUDA toolkit, package "
        "cuda-nvdisasm, and inside the wheel `triton` (triton/backends/nvidia/bin)"
    )


def disassemble(nvdisasm, cubin):
    """{kernel: Function}."""
    functions, function = {}, None
    for line in run([nvdisasm, "-c", cubin]).split("\n"):
        name = re.match(r"\.text\.(\w+):", line)
        label = re.match(r"(\.L_x_\d+):", line)
        instruction = re.match(r"\s+/\*[0-9a-f]+\*/\s+(.*?)\s*;", line)
        if name:
            function = functions[name.group(1)] = Function([], {})
        elif function and label:
            function.labels[label.group(1)] = len(function.code)
        elif function and instruction:
            function.code.append(instruction.group(1))
    names = cuda_kernels.demangle(list(functions))
    return {names[name]: function for name, function in functions.items()}


# ---- Reading code.
def opcode(instruction):
    return re.sub(r"^@!?U?P\w+\s+", "", instruction).split()[0].split(".")[0]


def is_arithmetic(instruction):
    return CLASS_OF.get(opcode(instruction)) == "FMA/MUL/ADD"


def is_square(instruction):
    """A product of a register with itself."""
    operands = re.findall(r"[-|]?R\d+", instruction.replace(".reuse", ""))
    return opcode(instruction)[1:] in ("FMA", "MUL") and len(operands) > 2 and operands[1] == operands[2]


def branches(function, first, last):
    """(place, target) of the branches between."""
    for place in range(first, last + 1):
        if opcode(function.code[place]) == "BRA":
            target = re.search(r"`\((\.L_x_\d+)\)", function.code[place])
            yield place, function.labels[target.group(1)]


def loops_of(function):
    """Loops that do arithmetic, inner ones first.  What ends in a branch without a condition is a rare block beyond
    the kernel's end that comes back."""
    ends = {}
    for place, target in branches(function, 0, len(function.code) - 1):
        if target <= place and re.match(r"@|BRA U?!?U?P", function.code[place]):
            ends[target] = max(place, ends.get(target, 0))
    loops = [Loop(*ends) for ends in ends.items()]
    loops = [loop for loop in loops if any(map(is_arithmetic, function.code[loop.first : loop.last + 1]))]
    return sorted(loops, key=lambda loop: loop.last - loop.first)


def inside(loop, outer):
    return outer.first <= loop.first and loop.last <= outer.last and loop != outer


def innermost(loops):
    return sorted(loop for loop in loops if not any(inside(other, loop) for other in loops))


def skipped_regions(function, loop):
    """(first, last) of what a branch forward skips."""
    for place, target in branches(function, loop.first, loop.last):
        if place < target <= loop.last + 1 and function.code[place].startswith("@"):
            yield place + 1, target - 1


def rare_places(function, loop):
    """Places of what rarely runs: the slow paths of division and square root, which are calls, and norms that are
    summed up anew, sums over lanes most of whose products are squares."""
    rare = set()
    regions = sorted(skipped_regions(function, loop), key=lambda r: r[1] - r[0])
    for first, last in regions:
        code = function.code[first : last + 1]
        squares = sum(map(is_square, code))
        products = sum(opcode(i)[1:] in ("FMA", "MUL") for i in code)
        sums = any(opcode(i) == "SHFL" for i in code)
        call = any(opcode(i) == "CALL" for i in code) and not rare.intersection(range(first, last + 1))
        if (call and products < 8) or (sums and squares >= 4 and 2 * squares >= products):
            rare.update(range(first, last + 1))
    return rare


def count(function, loop, without=()):
    """Instructions by class of a loop without what is rare and without the loops in it."""
    rare = rare_places(function, loop)
    for other in without:
        rare.update(range(other.first, other.last + 1))
    kinds = collections.Counter()
    for place in range(loop.first, loop.last + 1):
        if place not in rare and opcode(function.code[place]) != "NOP":
            kinds[CLASS_OF.get(opcode(function.code[place]), CLASSES[-1])] += 1
    kinds["rare"] = len(rare) - sum(o.last - o.first + 1 for o in without)
    return kinds


def richest(function, kind):
    return max(innermost(loops_of(function)), key=lambda loop: count(function, loop)[kind])


def around(function, loop):
    """The smallest loop around one."""
    return min((other for other in loops_of(function) if inside(loop, other)), key=lambda o: o.last - o.first)


# ---- What runs how often: (what a body contains, its instructions, how often it runs, for all warps of a matrix).
Part = collections.namedtuple("Part", "what kinds runs")


def thread_parts(functions, n, _constants):
    name = f"jacobi_thread<{n},true>"
    loop = richest(functions[name], "FMA/MUL/ADD")
    pairs = f"all {n * (n - 1) // 2} pairs" if n > 2 else "the pair"
    return name, [Part(f"{pairs} of 32 matrices", count(functions[name], loop), 1 / 32)]


def warp_parts(functions, n, constants):
    name = f"jacobi_warp<{n},true>"
    function = functions[name]
    loop = richest(function, "SHFL")
    matrices = 32 // constants[f"group<{n}>"]
    what = f"an even and an odd step of {matrices} " + ("matrices" if matrices > 1 else "matrix")
    return name, [Part(what, count(function, loop), n / 2 / matrices)]


def panels_parts(functions, n, constants):
    name = f"jacobi_panels<{-(-n // 32)},true>"
    function = functions[name]
    meet_all, meet_across = [loop for loop in innermost(loops_of(function)) if count(function, loop)["SHFL"] > 8]
    step = around(function, meet_across)
    assert not inside(meet_all, step), "the kernel's loops are not what this tool knows"
    B = constants[f"width<{-(-n // 32)}>"]
    warps = -(-n // (2 * B))
    return name, [
        Part(f"{B} pairs inside a warp's {2 * B} columns", count(function, meet_all), 2 * B * warps),
        Part(f"{B} pairs between its panels", count(function, meet_across), 2 * B * warps * (warps - 1)),
        Part("a panel changes warps", count(function, step, [meet_across]), (2 * warps - 1) * warps),
    ]


def blocked_parts(functions, n, constants):
    """One pair of panels of 32 columns each."""
    factor, update = functions["blocked_factor"], functions["blocked_update"]
    reflector, product = richest(factor, "FMA/MUL/ADD"), richest(update, "FMA/MUL/ADD")
    chunk, slab = around(factor, reflector), around(update, product)
    chunks = -(-n // constants["fold_rows"])
    parts = [
        Part("R: a reflector on a chunk of rows", count(factor, reflector), 8 * 64 * chunks),
        Part("R: a chunk of rows loaded", count(factor, chunk, [reflector]), 8 * chunks),
    ]
    parts += panels_parts(functions, 64, constants)[1]
    slabs = 2 * -(-n // constants["slab"])
    parts += [
        Part("A V, W V: 2 columns of a slab", count(update, product), 4 * 32 * slabs),
        Part("A V, W V: 16 columns loaded", count(update, slab, [product]), 4 * 4 * slabs),
    ]
    return "blocked_factor, jacobi_panels<2,true>, blocked_update", parts


CONSTANTS = """
#include "launchers.cuh"
#include <stdio.h>
template <class T> void constants(const char *type) {
  printf("%s group<8> %d\\n", type, warp_shape<T, 8>::GROUP);
  printf("%s group<16> %d\\n", type, warp_shape<T, 16>::GROUP);
  printf("%s group<32> %d\\n", type, warp_shape<T, 32>::GROUP);
  printf("%s width<1> %d\\n%s width<2> %d\\n", type, panel_width<T, 1>(), type, panel_width<T, 2>());
  printf("%s width<3> %d\\n%s width<4> %d\\n", type, panel_width<T, 3>(), type, panel_width<T, 4>());
  printf("%s limit %d\\n", type, jacobi_panels_limit<T>());
  printf("%s fold_rows %d\\n", type, fold_shape<T>::ROWS * fold_shape<T>::SLICES);
  printf("%s slab %d\\n", type, update_shape<T>::SLAB);
}
int main() {
  constants<float>("f32");
  constants<double>("f64");
}
"""


def constants_of(nvcc, build, directory):
    """{type: {constant: value}} of the kernels' headers."""
    source, program = directory / "constants.cu", directory / "constants"
    source.write_text(CONSTANTS)
    run([nvcc, *cuda_kernels.FLAGS, *cuda_kernels.include_flags(build), source, "-o", program])
    constants = {kind: {} for kind in TYPES}
    for kind, name, value in map(str.split, run([program]).splitlines()):
        constants[kind][name] = int(value)
    return constants


# ---- The tables.
def thousands(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def body_lines(kind, n, name, parts):
    for part in parts:
        total = sum(part.kinds[c] for c in CLASSES)
        listed = " | ".join(str(part.kinds[c]) for c in CLASSES)
        runs = f"{part.runs:.0f}" if part.runs >= 1 else f"1/{1 / part.runs:.0f}"
        yield f"| {kind} | {n} | `{name}` | {part.what} | {runs} | {listed} | {total} | {part.kinds['rare']} |"
        name = '"'


def sums(parts):
    """Lane instructions of one matrix: arithmetic, and all."""
    arithmetic = 32 * sum(part.runs * part.kinds["FMA/MUL/ADD"] for part in parts)
    return arithmetic, 32 * sum(part.runs * sum(part.kinds[c] for c in CLASSES) for part in parts)


def sum_line(kind, n, parts):
    arithmetic, everything = sums(parts)
    model, sweeps = 4.5 * n**3, SWEEPS[kind][n]
    whole = n**3 / 2 * (sweeps + 8 * (sweeps - 1))
    floor = 1e6 * BATCH * whole / RATES[kind]
    issue = 1e6 * BATCH * max(everything * sweeps / ISSUE_RATE, arithmetic * sweeps / RATES[kind])
    return (
        f"| {kind} | {n} | {thousands(model)} | {thousands(arithmetic)} | {arithmetic / model:.2f} "
        f"| {thousands(everything)} | {everything / model:.2f} | {sweeps} | {thousands(floor)} | {thousands(issue)} |"
    )


BODY_HEAD = [
    "| type | n | kernel | a body contains | runs | " + " | ".join(CLASSES) + " | all | rare |",
    "|---|--:|---|---|--:|" + "--:|" * (len(CLASSES) + 2),
]
SUM_HEAD = [
    "| type | n | model | counted | ratio | all classes | ratio | sweeps | floor by model, us | floor by code, us |",
    "|---|" + "--:|" * 9,
]


def tier_lines(title, sizes, parts_of, code, constants):
    bodies, totals = [], []
    for kind in TYPES:
        for n in sizes(constants[kind]):
            name, parts = parts_of(code[kind], n, constants[kind])
            bodies += body_lines(kind, n, name, parts)
            totals.append(sum_line(kind, n, parts))
    return ["", f"## {title}", "", *BODY_HEAD, *bodies, "", "Per sweep and matrix:", "", *SUM_HEAD, *totals]


def blocked_lines(code, constants):
    n, lines, totals = 256, [], []
    for kind in TYPES:
        name, parts = blocked_parts(code[kind], n, constants[kind])
        lines += body_lines(kind, n, name, parts)
        arithmetic, everything = sums(parts)
        model = 3 * n * 64**2 + 4.5 * 64**3
        totals.append(
            f"| {kind} | {n} | {thousands(model)} | {thousands(arithmetic)} | {arithmetic / model:.2f} "
            f"| {thousands(everything)} | {everything / model:.2f} |"
        )
    return [
        "",
        "## blocked",
        "",
        "A pair of panels of 32 columns each, in a step where it rotates.  Model: 3 n 64^2 for R, A V and W V, and one",
        "sweep over 64 columns; with p = n/32 panels a sweep of the matrix has p (p - 1) / 2 pairs.",
        "",
        *BODY_HEAD,
        *lines,
        "",
        "Per pair:",
        "",
        "| type | n | model | counted | ratio | all classes | ratio |",
        "|---|" + "--:|" * 6,
        *totals,
    ]


INTRODUCTION = f"""# What the CUDA Jacobi kernels cost

Written by `tools/cuda_cost.py`; nvcc VERSION, sm_{ARCHITECTURE}.  **Counted in the machine code, and a model:
nothing in this file was run or timed on a GPU.**

A body is the innermost loop of a kernel that rotates, from a label to the branch that goes back to it; `runs` is how
often one goes through it per sweep and matrix, all its warps together.  The columns by class are warp instructions of
one body, of a step that does rotate.  `rare` ones are in the body but not counted: the slow paths of division and
square root, and norms that are summed up anew after cancellation.

Model: n^3/2 (sw + 8 (sw - 1)) arithmetic instructions per matrix for sw sweeps: one per pair and row for the product of
two columns, 8 to rotate them in A and W; the last sweep rotates nothing.  In the tables per sweep that is 9/2 n^3;
`counted` is FMA/MUL/ADD of the code times 32 lanes, so that zeros of padding, idle lanes and the computing of rotations
show as a ratio above 1.  QR before the sweeps, loads and stores are not in it.

Floors, for {BATCH} matrices on an H100 SXM (model, not measured): by the model, its instructions at 33.5e12 per second
(f64: 16.7e12); by the code, what was counted for all sweeps, at 33.5e12 instructions of any class per second, or the
rate of double precision where that takes longer.  Real times lie above: latencies, bank conflicts and idle
multiprocessors are in neither.  Sweeps are those of random normal matrices on the CPU run of the kernels."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda")
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    options = parser.parse_args()
    nvdisasm = find_nvdisasm(options.nvcc)
    if not (options.build / "include" / "svdgrad" / "version.h").exists():
        parser.error(f"{options.build} is not configured: cmake --preset cuda")

    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        constants = constants_of(options.nvcc, options.build, directory)
        code = {}
        for kind in TYPES:
            cuda_kernels.compile_one(options.nvcc, options.build, ARCHITECTURE, kind, directory)
            code[kind] = disassemble(nvdisasm, directory / f"{kind}_{ARCHITECTURE}.cubin")

    version = re.search(r"release [\d.]+, V([\d.]+)", run([options.nvcc, "--version"])).group(1)
    lines = INTRODUCTION.replace("VERSION", version).split("\n")
    lines += tier_lines("thread", lambda c: (2, 3, 4), thread_parts, code, constants)
    lines += tier_lines("warp", lambda c: (8, 16, 32), warp_parts, code, constants)
    lines += tier_lines(
        "panels", lambda c: [n for n in (48, 64, 96, 128) if n <= c["limit"]], panels_parts, code, constants
    )
    lines += blocked_lines(code, constants)
    path = ROOT / "bench" / "results" / "cuda_cost.md"
    path.write_text("\n".join(lines) + "\n")
    print(f"cuda_cost: wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
