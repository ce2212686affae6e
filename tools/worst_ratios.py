#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""bench/results/accuracy.md: the worst ratios that the tests saw, of the last run of ctest.

    ./run test --all && tools/worst_ratios.py

A test prints `ratio <name> <value> (limit <limit>) at <backend, type, spectrum, shape>` for every property, and runs in
several variants (instruction sets, VENDOR, the CUDA kernels on the CPU): the worst of all stands in the table."""
import argparse
import datetime
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAIN = {  # of the table in docs/accuracy.md: what it is, and in which unit
    "forward thin": (r"\|A - U S Vh\|, \|I - U^H U\|, \|I - Vh Vh^H\|", r"\|A\| max(m, n) eps, m eps, n eps"),
    "forward tiny entries": ("the same where rows, columns or entries are denormal numbers beside others of size 1", ""),
    "forward entries of every size": ("the same where entries are of every size down to that", ""),
    "golden S": ("singular values against 80 digits", "s_1 k eps"),
    "values of hard matrices": ("singular values of hard matrices", "s_1 k eps"),
    "golden S relative": ("small singular values of graded columns, JACOBI, against 80 digits", "s_i eps"),
    "golden gA": ("gradients against 80 digits", "eps x condition x size"),
    "backward reconstruction": ("gA = G of the reconstruction loss", "eps s_1/gap"),
    "backward algebraic": ("algebraic residuals of gA", "eps s_1/gap"),
    "backward adjoint": ("gradient and tangent are adjoint", "eps s_1/gap"),
    "backward polar": ("gradient of the polar factor through U and Vh, NOISE_FLOOR, ties too", "eps s_1/s_k"),
    "backward values": ("gradient of the singular values alone, any spectrum", "eps"),
    "backward truncated": ("truncated rank against the padded whole", "eps s_1/gap"),
    "function Y": ("functions against 80 digits, from given factors", "eps x measured bound"),
    "function gA": ("their gradients, from given factors", "eps x measured bound"),
    "function gA from A": ("their gradients, from A", "eps x measured bound"),
    "function identity": ("Y = A and gA = gY of the identity as a function", "eps sqrt(max(m, n))"),
    "norm value": ("norms against 80 digits", "eps x measured bound"),
    "norm gA": ("their gradients", "eps x measured bound"),
    "jvp dU": ("tangents of U against 80 digits", "eps x measured bound"),
    "second gA": ("second order against 80 digits", "eps x measured bound"),
    "forward powers of two": ("A times 2^p: bits other than the exponent that change", "0 or Inf"),
}
TEST = re.compile(r"^\d+/\d+ Test(?:ing)?: (\S+)")
RATIO = re.compile(r"^(?:  (\S+): )?ratio (.+?) +(\S+) \(limit (\S+)\) at (.*)$")


def read(path):
    """{name: (ratio, limit, where, test)}, and the number of tests that print ratios."""
    worst, test, tests = {}, "", set()
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := TEST.match(line):
                test = found[1]
            elif found := RATIO.match(line):
                test = found[1] or test  # what ./run test prints at its end has the test before each ratio
                name, ratio, limit, where = found[2], float(found[3]), float(found[4]), found[5].strip()
                tests.add(test)
                if name not in worst or ratio > worst[name][0]:
                    worst[name] = ratio, limit, where, test
    return worst, len(tests)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        text = file.read()
    name = re.search(r"^model name\s*: (.*)$", text, re.M)
    flags = re.search(r"^flags\s*: (.*)$", text, re.M)
    simd = [flag for flag in ("avx2", "avx512f") if flags and flag in flags[1].split()]
    return ", ".join([name[1] if name else "unknown", *simd])


def table(worst, tests, date, command):
    lines = ["# Accuracy: the worst of every property", "",
             f"* date: {date}", f"* machine: {machine()}", f"* command: {command}",
             f"* tests: {tests}", "",
             "The main properties", "", "| what | unit | worst | limit | at |", "|---|---|---|---|---|",
             *(f"| {what} | {unit} | {worst[name][0]:.3g} | {worst[name][1]:g} | {worst[name][2]} |"
               for name, (what, unit) in MAIN.items() if name in worst), "",
             "Worst ratio of every property, in units of the bound that its test states; a test fails above the limit", "",
             "| property | worst | limit | at | test |", "|---|---|---|---|---|"]  # fmt: skip
    for name, (ratio, limit, where, test) in sorted(worst.items()):
        lines.append(f"| {name} | {ratio:.3g} | {limit:g} | {where} | {test} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default=os.path.join(ROOT, "build/release/Testing/Temporary/LastTest.log"),
                        help="ctest's, or what ./run test printed")
    parser.add_argument("--output", default=os.path.join(ROOT, "bench/results/accuracy.md"))
    parser.add_argument("--command", default="./run test --all && tools/worst_ratios.py", help="what was run, for the table")
    options = parser.parse_args()
    worst, tests = read(options.log)
    if not worst:
        raise SystemExit(f"{options.log}: no test printed a ratio")
    date = datetime.datetime.fromtimestamp(os.path.getmtime(options.log), datetime.timezone.utc).strftime("%Y-%m-%d")
    with open(options.output, "w", encoding="utf-8") as file:
        file.write(table(worst, tests, date, options.command))
    print(options.output)


if __name__ == "__main__":
    main()
