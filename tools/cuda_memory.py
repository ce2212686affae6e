#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What every CUDA kernel asks of shared and global memory beside the least: the table bench/results/cuda_memory.md.

usage: tools/cuda_memory.py [--check] [--lines [TEXT]] [--program PATH]

Runs simt_trace_memory (tests/simt/trace), which counts on the CPU; no device is needed.  Without an option it writes the
table.  --check compares with the table that is there, and exits with 1 if a kernel asks for more than 2 percent more, if
an access is not aligned to its size, or if the table has other kernels.  --lines shows the lines of source that ask for
more than the least, the worst first, for the problems whose name contains TEXT.
"""
import argparse
import collections
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "bench" / "results" / "cuda_memory.md"
HEAD = """# What the CUDA kernels ask of memory

Written by `tools/cuda_memory.py`; float, row-major, algorithm JACOBI. Counted on the CPU run of the kernels
(`tests/simt/trace`), so without what nvcc makes of them; not run on a GPU. *Wavefronts* are cycles of shared memory,
*sectors* pieces of 32 bytes of global memory; *ideal* is what the same bytes would take without bank conflicts and in
whole sectors. A ratio is how many times the ideal it is.

| problem | kernel | launches | wavefronts | ratio | sectors | ratio |
|---|---|---|---|---|---|---|
"""
Row = collections.namedtuple("Row", "launches wavefronts ideal_wavefronts sectors ideal_sectors misaligned")


ENVIRONMENT = {**os.environ, "TEST_ALIGNED": "1"}  # or sectors would depend on where malloc puts an operand


def measure(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout.splitlines()
    rows = {}
    for line in lines:
        problem, kernel, *counts = line.split("\t")
        rows[problem, kernel] = Row(*map(int, counts))
    return rows


def ratio(count, ideal):
    return f"{count / ideal:.2f}" if ideal else ""


def table_of(rows):
    lines = []
    for (problem, kernel), r in rows.items():
        lines.append(f"| {problem} | `{kernel}` | {r.launches} | {r.wavefronts} | {ratio(r.wavefronts, r.ideal_wavefronts)} "
                     f"| {r.sectors} | {ratio(r.sectors, r.ideal_sectors)} |")
    return HEAD + "\n".join(lines) + "\n"


def committed():
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and cells[2].isdigit():
            rows[cells[0], cells[1].strip("`")] = tuple(int(cells[i]) for i in (2, 3, 5))
    return rows


def faults(rows):
    known = committed()
    for key in sorted(set(known) ^ set(rows)):
        yield f"{key[0]}, {key[1]}: " + ("not in the table" if key in rows else "only in the table")
    for key, r in rows.items():
        if r.misaligned:
            yield f"{key[0]}, {key[1]}: {r.misaligned} accesses are not aligned to their size"
        for what, now, before in zip(("launches", "wavefronts", "sectors"), (r.launches, r.wavefronts, r.sectors),
                                     known.get(key, (r.launches, r.wavefronts, r.sectors))):
            if now > 1.02 * before:
                yield f"{key[0]}, {key[1]}: {now} {what}, {before} in the table"


def show_lines(program, text):
    counts = collections.Counter()
    output = subprocess.run([program, "--instructions", text], check=True, capture_output=True, text=True,
                            env=ENVIRONMENT).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    # The address is that after the call, so one before it lies in the line that called.
    addresses = "\n".join(hex(int(row[0], 16) - 1) for row in rows)
    places = subprocess.run(["addr2line", "-e", program], input=addresses, check=True, capture_output=True,
                            text=True).stdout.splitlines()
    for place, (_, wavefronts, ideal_wavefronts, sectors, ideal_sectors) in zip(places, rows):
        where = "/".join(place.split(" ")[0].split("/")[-1:])
        counts[where, "wavefronts"] += int(wavefronts) - int(ideal_wavefronts)
        counts[where, "sectors"] += int(sectors) - int(ideal_sectors)
    for (where, what), excess in counts.most_common(40):
        if excess:
            print(f"{excess:10} {what:10} too many at {where}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--lines", nargs="?", const="", metavar="TEXT")
    parser.add_argument("--program", default=str(ROOT / "build/release/tests/simt/backend/simt_trace_memory"))
    arguments = parser.parse_args()
    if arguments.lines is not None:
        return show_lines(arguments.program, arguments.lines)
    rows = measure(arguments.program)
    if not arguments.check:
        TABLE.write_text(table_of(rows))
        return 0
    found = list(faults(rows))
    print("\n".join(found) if found else f"{len(rows)} rows as in {TABLE.relative_to(ROOT)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
