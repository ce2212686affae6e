#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What every CUDA kernel takes of a multiprocessor, for each architecture: a table in bench/results/cuda_kernels.md.

usage: tools/cuda_kernels.py [--check] [--build DIR] [--nvcc PATH] [--jobs N] [ARCHITECTURE...]
       tools/cuda_kernels.py --tuned [--nvcc PATH]
       tools/cuda_kernels.py --ptx FILE [--build DIR] [--nvcc PATH]
       tools/cuda_kernels.py --keep COMPILER [ARGUMENT...]

Compiles src/cuda/kernels/inst_*.cu once per architecture and reads what ptxas says; no device is needed.  Exits with 1 if
a hot kernel has a stack frame or spills registers on an architecture that is tuned for, or if the largest block of a
kernel has more registers or shared memory than there are.  --check only does that, for those architectures, and writes no
file.  One architecture takes about three minutes of one core.
--build names a configured build directory, for the generated headers (default: build/cuda).
--tuned prints the architectures that are tuned for and that nvcc knows, as CUDAARCHS takes them.
--keep is for CMAKE_CUDA_COMPILER_LAUNCHER: it runs the compiler, and keeps what ptxas says of the kernels beside the object.
Architectures of which the compiler makes the same PTX share it (SAME_PTX), which saves a fifth of the time.
What was kept is read, where it is newer than every source, and not compiled again.
--ptx writes inst_<type>.ptx, for the tests that translate it (tests/simt/README.md): that which --keep has kept, too, or
else with the lines of the sources.
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
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "src" / "cuda" / "kernels"
TYPES = {"f32": "float", "f64": "double", "c64": "complex_t<float>", "c128": "complex_t<double>"}
FLAGS = ["-std=c++17", "-O3", "-DNDEBUG"]
TUNED = [80, 90, 100]
HOT = {
    *("jacobi_thread", "jacobi_skinny", "jacobi_warp", "jacobi_panels", "blocked_factor", "blocked_update"),
    *("norm_thread", "norm_warp"),
    *("qr", "apply_q", "normalize", "gemm", "backward_thread", "backward_warp", "backward_fused", "form_backward"),
    *("form_jvp", "form_second", "form_pairs", "program_transfer", "program_scale", "function"),
    *("power_pass", "power_start", "power_finish", "power_quotient", "normalize_along", "normalize_gradient"),
}
# {architecture: an older one}: the PTX of the kernels is the same text for both, but for the name of the architecture, as
# long as no source asks for the architecture.  ptxas makes the code of each from it, and says what that takes.
SAME_PTX = {90: 80}
KEPT, KEPT_PTX = ".ptxas", ".ptx"  # after the name of an object: what ptxas said; PTX of the oldest architecture
FUSED_K = 32  # the kernel in one block takes shared memory by k
BLOCK = 256  # threads of a block where a kernel's launcher says nothing else

# {"kernel<arguments>": (threads of the largest block, bytes of dynamic shared memory)} as the launchers have them.
SIZES = """
#include "launchers.cuh"
#include <stdio.h>

template <class T, int ROWS, bool VECTORS> void panels_sizes() {
  const int n = ROWS * WARP < jacobi_panels_limit<T>() ? ROWS * WARP : jacobi_panels_limit<T>();
  const int warps = panel_warps<T, ROWS>(n);
  printf("jacobi_panels<%d,%s> %d %zu\\n", ROWS, VECTORS ? "true" : "false", WARP * warps,
         warps * sizeof(panel_slot<T, ROWS, VECTORS>));
}
template <class T, int ROWS> void all_panels_sizes() {
  panels_sizes<T, ROWS, true>();
  panels_sizes<T, ROWS, false>();
  if constexpr (ROWS * WARP < jacobi_panels_limit<T>())
    all_panels_sizes<T, ROWS + 1>();
}
template <class T, class Team> void function_sizes(const char *team, int rows, int matrices, int threads) {
  function_args_t args = {};
  args.m = args.n = args.k = rows;
  const size_t bytes = matrices * chip_memory<Team, T>::bytes(chip_sizes_of(args));
  printf("function<%s> %d %zu\\n", team, threads, bytes);
  printf("function_backward<%s> %d %zu\\n", team, threads, bytes);
}
template <class T> void sizes(const char *type) {
  printf("type %s 0\\n", type);
  printf("jacobi_thread %d 0\\n", THREAD_WARPS * WARP);
  printf("jacobi_skinny %d 0\\n", SKINNY_THREADS);
  printf("jacobi_warp %d 0\\n", WARP);
  printf("norm_thread %d 0\\n", THREAD_WARPS * WARP);
  printf("norm_warp %d 0\\n", WARP);
  printf("backward_thread %d 0\\n", THREAD_WARPS * WARP);
  printf("backward_warp<8> %d %zu\\n", WARP, warp_plan<T, 8>::block_bytes(8, WARP_ROWS));
  printf("backward_warp<16> %d %zu\\n", WARP, warp_plan<T, 16>::block_bytes(16, WARP_ROWS));
  all_panels_sizes<T, 1>();
  printf("blocked_factor %d 0\\n", fold_shape<T>::THREADS);
  printf("blocked_update %d 0\\n", update_shape<T>::THREADS);
  printf("blocked_end %d 0\\n", 4 * WARP);
  printf("gemm %d 0\\n", (int)GEMM_THREADS);
  printf("empty 64 0\\n");
  function_sizes<T, group_team<4>>("group_team<4>,4", 4, 8, WARP);
  function_sizes<T, group_team<16>>("group_team<16>,16", 8, 2, WARP);
  function_sizes<T, block_team>("block_team,32", FUNCTION_ROWS, 1, 256);
  printf("backward_fused 256 %zu\\n", fused_dynamic_bytes<T>(FUSED_K));
}
int main() {
  sizes<float>("f32");
  sizes<double>("f64");
  sizes<complex_t<float>>("c64");
  sizes<complex_t<double>>("c128");
}
"""

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
    return [f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}", f"-I{build / 'include'}", f"-I{KERNELS}"]


def parse(text):
    """{architecture: {mangled name: Usage}} of what `ptxas -v` printed."""
    usages = collections.defaultdict(dict)
    for part in text.split("Compiling entry function ")[1:]:
        name, architecture = re.match(r"'(\w+)' for 'sm_(\d+)'", part).groups()
        stack, stores, loads = map(
            int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups()
        )
        registers = int(re.search(r"Used (\d+) registers", part).group(1))
        shared = re.search(r"(\d+) bytes smem", part)
        usages[int(architecture)][name] = Usage(registers, int(shared.group(1)) if shared else 0, stack, stores, loads)
    return usages


def demangle(names):
    """Name of the kernel, without _kernel, of each mangled name, with its template arguments after the element type."""
    plain = run(["c++filt"], input="\n".join(names)).split("\n")
    kernels = {}
    for name, text in zip(names, plain):
        kernel, arguments = re.search(r"(\w+)_kernel<(.*)>\(", text).groups()
        more = [a.strip() for a in arguments.split(",")][1:]
        kernels[name] = f"{kernel}<{','.join(more)}>" if more else kernel
    return kernels


def of_kernels(usages):
    """{kernel: Usage} of what parse found for one architecture."""
    names = demangle(list(usages))
    return {names[name]: usage for name, usage in usages.items()}


def compile_one(nvcc, build, architecture, kind, directory):
    """{kernel: Usage}"""
    output = directory / f"{kind}_{architecture}.cubin"
    command = [nvcc, *FLAGS, f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v", *include_flags(build)]
    return of_kernels(parse(run([*command, KERNELS / f"inst_{kind}.cu", "-o", output]))[architecture])


def share_ptx(command):
    """The compiler's command with the PTX of one architecture for all of which it is the same."""
    if any("__CUDA_ARCH__" in path.read_text() for path in KERNELS.rglob("*.cu*")):
        return command
    shared = command
    for architecture, older in SAME_PTX.items():
        code = f"code=[sm_{architecture}]"
        shared = [a.replace(f"arch=compute_{architecture},{code}", f"arch=compute_{older},{code}") for a in shared]
    return shared


def keep(command):
    """Runs a compiler; of kernels with what ptxas says, architecture after architecture, in a file beside the object, and with
    the PTX in another.  ccache, where there is one, answers for sources that were compiled before, in any checkout."""
    if "-o" not in command or not any(pathlib.Path(a).match("inst_*.cu") for a in command):
        return subprocess.run(command, check=False).returncode
    made = pathlib.Path(command[command.index("-o") + 1])
    log, ptx = pathlib.Path(f"{made}{KEPT}"), pathlib.Path(f"{made}{KEPT_PTX}")
    log.unlink(missing_ok=True)
    ptx.unlink(missing_ok=True)
    one_by_one = [argument for argument in share_ptx(command) if not argument.startswith("--threads")]
    done = subprocess.run(
        [*filter(None, [shutil.which("ccache")]), *one_by_one, "-Xptxas", "-v", "--no-compress"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "CCACHE_BASEDIR": str(ROOT)},
    )
    print(done.stdout, end="")
    if done.returncode == 0:
        log.write_text(done.stdout)
        # --tuned asks for the PTX of one architecture, which the object has as text, up to a zero.
        if text := re.search(rb"\.version [0-9.]+\n[^\0]+", made.read_bytes()):
            ptx.write_bytes(text.group())
    return done.returncode


def last_change():
    sources = [path for folder in (KERNELS, ROOT / "src", ROOT / "include") for path in folder.rglob("*") if path.is_file()]
    return max(path.stat().st_mtime for path in sources)


def kept_file(build, kind, suffix):
    """The newest that --keep has kept since the sources were last changed, or None."""
    files = sorted(build.rglob(f"inst_{kind}.cu.*{suffix}"), key=lambda path: path.stat().st_mtime)
    return files[-1] if files and files[-1].stat().st_mtime > last_change() else None


def kept_usages(build):
    """{(architecture, type): {kernel: Usage}} of what --keep has kept."""
    usages = {}
    for kind in TYPES:
        if log := kept_file(build, kind, KEPT):
            for architecture, found in parse(log.read_text()).items():
                usages[architecture, kind] = of_kernels(found)
    return usages


def write_ptx(nvcc, build, output):
    source = KERNELS / output.with_suffix(".cu").name
    if kept := kept_file(build, source.stem.removeprefix("inst_"), KEPT_PTX):
        shutil.copy(kept, output)
    else:
        run([nvcc, *FLAGS, f"-arch=compute_{TUNED[0]}", "-lineinfo", "-ptx", *include_flags(build), source, "-o", output])


def launch_sizes(nvcc, build, directory):
    """{type: {kernel: (threads, dynamic shared memory)}}, of the launchers themselves."""
    source, program = directory / "sizes.cu", directory / "sizes"
    source.write_text(SIZES.replace("FUSED_K", str(FUSED_K)))
    run([nvcc, *FLAGS, *include_flags(build), source, "-o", program])
    sizes = {}
    for name, threads, shared in map(str.split, run([program]).splitlines()):
        if name == "type":
            sizes[threads] = of_type = {}
        else:
            of_type[name] = (int(threads), int(shared))
    return sizes


def by_number(kernel):
    """Sorts 8 before 16."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", kernel)]


def plain_name(kernel):
    return kernel.split("<")[0]


def size_of(kernel, sizes):
    return sizes.get(kernel) or sizes.get(plain_name(kernel)) or (BLOCK, 0)


def table(architecture, usages, sizes):
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
    for name in sorted({name for kind in TYPES for name in usages[architecture, kind]}, key=by_number):
        for kind in TYPES:
            if name not in usages[architecture, kind]:
                continue
            usage = usages[architecture, kind][name]
            threads, extra = size_of(name, sizes[kind])
            blocks = resident_blocks(architecture, usage, threads, extra)
            shared = f"{usage.shared} + {extra}" if extra else f"{usage.shared}"
            occupancy = f"{100 * blocks * threads / limits.threads:.0f} %" if blocks else "does not fit"
            lines.append(
                f"| `{name}` | {kind} | {usage.registers} | {shared} | {usage.stack} | {usage.stores} | {usage.loads} "
                f"| {threads} | {blocks} | {occupancy} |"
            )
    return lines


def faults(usages):
    """Lines of the kernels with stack or spills: hot ones where that is tuned for, and others; alike ones of many
    architectures are one line."""
    alike = collections.defaultdict(list)
    for (architecture, kind), kernels in usages.items():
        for name, usage in kernels.items():
            if usage.stack or usage.stores or usage.loads:
                bad = architecture in TUNED and plain_name(name) in HOT
                alike[name, kind, usage.stack, usage.stores, usage.loads, bad].append(architecture)
    hot, others = [], []
    for (name, kind, stack, stores, loads, bad), where in sorted(alike.items()):
        listed = " ".join(map(str, sorted(where)))
        line = f"{name}, {kind}, sm {listed}: stack {stack}, spill stores {stores}, spill loads {loads}"
        (hot if bad else others).append(line)
    return hot, others


def misfits(usages, sizes):
    """Lines of the kernels of which no block fits a multiprocessor, for its registers or its shared memory; but for what
    asks for less where a device has less."""
    lines = []
    for (architecture, kind), kernels in sorted(usages.items()):
        for name, usage in kernels.items():
            threads, dynamic = size_of(name, sizes[kind])
            if plain_name(name) != "jacobi_panels" and not resident_blocks(architecture, usage, threads, dynamic):
                lines.append(
                    f"{name}, {kind}, sm {architecture}: no block of {threads} threads fits, of {usage.registers} registers "
                    f"each and {usage.shared} + {dynamic} bytes of shared memory"
                )
    return lines


def main():
    if sys.argv[1:2] == ["--keep"]:
        return keep(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write no file")
    parser.add_argument("--tuned", action="store_true", help="print the architectures that are tuned for")
    parser.add_argument("--ptx", type=pathlib.Path, metavar="FILE", help="inst_<type>.ptx, to be written")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda")
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    listed = f"of {', '.join(map(str, LIMITS))}; default: all, with --check those tuned for"
    parser.add_argument("architectures", nargs="*", type=int, help=listed)
    options = parser.parse_args()
    unknown = set(options.architectures) - set(LIMITS)
    if unknown:
        parser.error(f"the limits of {unknown} are not known")
    known = set(map(int, re.findall(r"compute_(\d+)", run([options.nvcc, "--list-gpu-arch"]))))
    if options.tuned:
        # Without -real there is PTX in the object, too: that of the oldest, which --ptx gives.
        print(";".join(f"{a}-real" if i else str(a) for i, a in enumerate(a for a in TUNED if a in known)))
        return 0
    if not (options.build / "include" / "svdgrad" / "version.h").exists():
        parser.error(f"{options.build} is not configured: cmake --preset cuda")
    if options.ptx:
        write_ptx(options.nvcc, options.build, options.ptx)
        return 0

    architectures = [a for a in options.architectures or (TUNED if options.check else LIMITS) if a in known]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        usages = kept_usages(options.build)
        wanted = [(a, kind) for a in architectures for kind in TYPES]
        kept = sum(key in usages for key in wanted)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            jobs = {
                key: pool.submit(compile_one, options.nvcc, options.build, *key, directory)
                for key in wanted
                if key not in usages
            }
            sizes = pool.submit(launch_sizes, options.nvcc, options.build, directory)
            usages = {key: jobs[key].result() if key in jobs else usages[key] for key in wanted}
            launched = sizes.result()

    hot, others = faults(usages)
    too_large = misfits(usages, launched)
    if not options.check:
        version = re.search(r"release [\d.]+, V([\d.]+)", run([options.nvcc, "--version"])).group(1)
        lines = [
            "# What the CUDA kernels take",
            "",
            "Written by `tools/cuda_kernels.py`; nvcc " + version + ", per architecture and type:",
            "",
            f"    nvcc {' '.join(FLAGS)} -arch=sm_<architecture> -cubin -Xptxas -v src/cuda/kernels/inst_<type>.cu",
            "",
            "Kernels with their template arguments after the element type: `jacobi_thread<rows, vectors>`, "
            "`jacobi_skinny<columns, vectors>`,",
            "`jacobi_warp<rows, vectors>`, `jacobi_panels<rows / 32, vectors>`; `false` computes singular values only.  "
            "`norm_thread<rows>`, `norm_warp<rows>`, `backward_thread<rows, columns>`, `backward_warp<columns>`.",
            "Shared memory, stack and spills in bytes; shared memory is static, or static + dynamic, that of backward_fused "
            f"at k = {FUSED_K}.",
            "Blocks are those that fit one multiprocessor at the largest block that is launched, occupancy is their "
            "share of its",
            "threads; both are computed from the limits of the architecture.  The kernels are tuned for "
            f"sm {' '.join(map(str, TUNED))}.",
            "",
            "Kernels with a stack frame or spills:",
            "",
            *(f"* {line}" for line in hot + others or ["none"]),
        ]
        for architecture in architectures:
            lines += ["", *table(architecture, usages, launched)]
        path = ROOT / "bench" / "results" / "cuda_kernels.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        print(f"cuda_kernels: wrote {path.relative_to(ROOT)}")

    for line in others:
        print(f"cuda_kernels: note: {line}")
    for line in hot + too_large:
        print(f"cuda_kernels: FAILED: {line}")
    count = sum(map(len, usages.values()))
    listed = " ".join(map(str, architectures))
    seconds = time.monotonic() - began
    print(
        f"cuda_kernels: {count} kernels for sm {listed}, {kept} of {len(wanted)} files as the build compiled them: "
        f"{len(hot)} hot ones with stack or spills, {len(too_large)} that cannot be launched; {seconds:.0f} s"
    )
    return 1 if hot or too_large else 0


if __name__ == "__main__":
    sys.exit(main())
