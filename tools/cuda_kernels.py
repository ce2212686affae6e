#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What every CUDA kernel takes of a multiprocessor, for each architecture: a table in bench/results/cuda_kernels.md.

usage: tools/cuda_kernels.py [--check] [--build DIR] [--nvcc PATH] [--jobs N] [ARCHITECTURE...]

Compiles cuda/kernels/inst_*.cu once per architecture and reads what ptxas says; no device is needed.  Exits with 1 if
a hot kernel has a stack frame or spills registers.  --check only does that, and writes no file.
--build names a configured build directory, for the generated headers (default: build/cuda).
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "cuda" / "kernels"
TYPES = {"f32": "float", "f64": "double", "c64": "complex_t<float>", "c128": "complex_t<double>"}
FLAGS = ["-std=c++17", "-O3", "-DNDEBUG"]
HOT = {"backward_fused", "backward_form", "gemm", "jacobi", "qr", "apply_q"}
FUSED_K = 32  # the kernel in one block takes shared memory by k
SMALL_BLOCKS = {"empty": 64}  # threads of a block where it is not BLOCK
BLOCK = 256

# Limits of one multiprocessor (CUDA programming guide, "Technical specifications per compute capability", and
# cuda_occupancy.h): resident threads and blocks; shared memory of it, of one block and reserved per block, in bytes.
Limits = collections.namedtuple("Limits", "threads blocks shared shared_block reserved shared_unit")
LIMITS = {
    75: Limits(1024, 16, 64 << 10, 64 << 10, 0, 256),
    80: Limits(2048, 32, 164 << 10, 163 << 10, 1024, 128),
    86: Limits(1536, 16, 100 << 10, 99 << 10, 1024, 128),
    89: Limits(1536, 24, 100 << 10, 99 << 10, 1024, 128),
    90: Limits(2048, 32, 228 << 10, 227 << 10, 1024, 128),
    100: Limits(2048, 32, 228 << 10, 227 << 10, 1024, 128),
    120: Limits(1536, 24, 100 << 10, 99 << 10, 1024, 128),
}
REGISTERS, REGISTER_UNIT, PARTITIONS, WARP = 64 << 10, 256, 4, 32  # the same for all of them

Usage = collections.namedtuple("Usage", "registers shared stack stores loads")


def round_up(value, unit):
    return -(-value // unit) * unit


def resident_blocks(architecture, usage, threads, dynamic):
    """Blocks that fit one multiprocessor; registers are given out to whole warps, in each of its four parts."""
    limits = LIMITS[architecture]
    shared = usage.shared + dynamic
    if shared > limits.shared_block:
        return 0
    warps = threads // WARP
    per_warp = round_up(usage.registers * WARP, REGISTER_UNIT)
    by_registers = REGISTERS // PARTITIONS // per_warp * PARTITIONS // warps
    taken = round_up(shared + limits.reserved, limits.shared_unit)
    by_shared = limits.shared // taken if taken else limits.blocks
    return min(limits.blocks, limits.threads // threads, by_registers, by_shared)


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"cuda_kernels: failed: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def include_flags(build):
    return [f"-I{ROOT / 'include'}", f"-I{build / 'include'}", f"-I{KERNELS}"]


def parse(text):
    """{mangled name: Usage} of what `ptxas -v` printed."""
    usages = {}
    for part in text.split("Compiling entry function ")[1:]:
        name = re.match(r"'(\w+)'", part).group(1)
        stack, stores, loads = map(
            int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups()
        )
        registers = int(re.search(r"Used (\d+) registers", part).group(1))
        shared = re.search(r"(\d+) bytes smem", part)
        usages[name] = Usage(registers, int(shared.group(1)) if shared else 0, stack, stores, loads)
    return usages


def demangle(names):
    """Name of the kernel, without _kernel, of each mangled name."""
    plain = run(["c++filt"], input="\n".join(names)).split("\n")
    return {name: re.search(r"(\w+)_kernel\b", text).group(1) for name, text in zip(names, plain)}


def compile_one(nvcc, build, architecture, kind, directory):
    output = directory / f"{kind}_{architecture}.cubin"
    command = [nvcc, *FLAGS, f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v", *include_flags(build)]
    usages = parse(run([*command, KERNELS / f"inst_{kind}.cu", "-o", output]))
    names = demangle(list(usages))
    return {names[name]: usage for name, usage in usages.items()}


def launch_sizes(nvcc, build, directory):
    """{type: bytes of dynamic shared memory of backward_fused at FUSED_K}, of the launchers themselves."""
    source, program = directory / "sizes.cu", directory / "sizes"
    lines = [f'  printf("{kind} %zu\\n", fused_shared_bytes<{name}>({FUSED_K}));' for kind, name in TYPES.items()]
    source.write_text(
        '#include "launchers.cuh"\n#include <stdio.h>\nint main() {\n' + "\n".join(lines) + "\n  return 0;\n}\n"
    )
    run([nvcc, *FLAGS, *include_flags(build), source, "-o", program])
    return {kind: int(size) for kind, size in (line.split() for line in run([program]).splitlines())}


def table(architecture, usages, dynamic):
    limits = LIMITS[architecture]
    lines = [
        f"## sm_{architecture}",
        "",
        f"{limits.threads} threads, {limits.blocks} blocks and {limits.shared >> 10} KiB of shared memory per "
        "multiprocessor",
        "",
        "| kernel | type | registers | shared | stack | spill stores | spill loads | threads | blocks | occupancy |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in sorted({name for kind in TYPES for name in usages[architecture, kind]}):
        for kind in TYPES:
            usage = usages[architecture, kind][name]
            threads = SMALL_BLOCKS.get(name, BLOCK)
            extra = dynamic[kind] if name == "backward_fused" else 0
            blocks = resident_blocks(architecture, usage, threads, extra)
            shared = f"{usage.shared} + {extra}" if extra else f"{usage.shared}"
            occupancy = f"{100 * blocks * threads / limits.threads:.0f} %" if blocks else "does not fit"
            lines.append(
                f"| {name} | {kind} | {usage.registers} | {shared} | {usage.stack} | {usage.stores} | {usage.loads} "
                f"| {threads} | {blocks} | {occupancy} |"
            )
    return lines


def faults(usages):
    """Lines of the kernels with stack or spills, hot ones and others; alike ones of many architectures are one line."""
    alike = collections.defaultdict(list)
    for (architecture, kind), kernels in usages.items():
        for name, usage in kernels.items():
            if usage.stack or usage.stores or usage.loads:
                alike[name, kind, usage.stack, usage.stores, usage.loads].append(architecture)
    hot, others = [], []
    for (name, kind, stack, stores, loads), where in sorted(alike.items()):
        listed = " ".join(map(str, sorted(where)))
        line = f"{name}, {kind}, sm {listed}: stack {stack}, spill stores {stores}, spill loads {loads}"
        (hot if name in HOT else others).append(line)
    return hot, others


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write no file")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda")
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("architectures", nargs="*", type=int, help=f"of {', '.join(map(str, LIMITS))}; default: all")
    options = parser.parse_args()
    unknown = set(options.architectures) - set(LIMITS)
    if unknown:
        parser.error(f"the limits of {unknown} are not known")
    if not (options.build / "include" / "svdgrad" / "version.h").exists():
        parser.error(f"{options.build} is not configured: cmake --preset cuda")

    known = set(map(int, re.findall(r"compute_(\d+)", run([options.nvcc, "--list-gpu-arch"]))))
    architectures = [a for a in options.architectures or LIMITS if a in known]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            sizes = pool.submit(launch_sizes, options.nvcc, options.build, directory)
            jobs = {
                (a, kind): pool.submit(compile_one, options.nvcc, options.build, a, kind, directory)
                for a in architectures
                for kind in TYPES
            }
            usages = {key: job.result() for key, job in jobs.items()}
            dynamic = sizes.result()

    hot, others = faults(usages)
    if not options.check:
        version = re.search(r"release [\d.]+, V([\d.]+)", run([options.nvcc, "--version"])).group(1)
        lines = [
            "# What the CUDA kernels take",
            "",
            "Written by `tools/cuda_kernels.py`; nvcc " + version + ", per architecture and type:",
            "",
            f"    nvcc {' '.join(FLAGS)} -arch=sm_<architecture> -cubin -Xptxas -v cuda/kernels/inst_<type>.cu",
            "",
            "Shared memory, stack and spills in bytes; shared memory of backward_fused is static + dynamic, the "
            f"latter at k = {FUSED_K}.",
            "Blocks are those that fit one multiprocessor at the largest block that is launched, occupancy is their "
            "share of its",
            "threads; both are computed from the limits of the architecture.",
            "",
            "Kernels with a stack frame or spills:",
            "",
            *(f"* {line}" for line in hot + others or ["none"]),
        ]
        for architecture in architectures:
            lines += ["", *table(architecture, usages, dynamic)]
        path = ROOT / "bench" / "results" / "cuda_kernels.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        print(f"cuda_kernels: wrote {path.relative_to(ROOT)}")

    for line in others:
        print(f"cuda_kernels: note: {line}")
    for line in hot:
        print(f"cuda_kernels: FAILED: {line}")
    count = sum(map(len, usages.values()))
    listed = " ".join(map(str, architectures))
    print(f"cuda_kernels: {count} kernels for sm {listed}: {len(hot)} hot ones with stack or spills")
    return 1 if hot else 0


if __name__ == "__main__":
    sys.exit(main())
