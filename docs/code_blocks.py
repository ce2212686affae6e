#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The code blocks of README.md and docs/, and a test of those in C:

    code_blocks.py --cc gcc --flags "-Iinclude ... -lsvdgrad"

compiles every block and runs those that have a main().  A block ```text right after one of code is what it prints.  A block
without main() continues a program: it is compiled as the body of a function with the names of FRAGMENT.
python/tests/test_docs.py runs the blocks in Python.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from typing import NamedTuple, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\s*?^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FRAGMENT = """#include <stdint.h>
#include <stdio.h>
#include <svdgrad/svdgrad.h>
void fragment(svdgrad_handle_t handle, void *stream, svdgrad_desc_t desc, svdgrad_matrix_t a, svdgrad_vector_t s,
              svdgrad_matrix_t u, svdgrad_matrix_t vh, int32_t *info, void *work, size_t work_bytes, double *data) {
  (void)handle, (void)stream, (void)desc, (void)a, (void)s, (void)u, (void)vh, (void)info, (void)work, (void)work_bytes;
  (void)data;
%s}
"""


class Block(NamedTuple):
    page: str  # relative to the repository
    line: int
    language: str
    code: str
    output: Optional[str]


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match[1] == language:
            line = text.count("\n", 0, match.start(2)) + 1
            yield Block(str(page.relative_to(ROOT)), line, language, match[2], match[3])


def check_c(block, folder, cc, flags):
    """None, or what is wrong."""
    whole = "main(" in block.code
    source, program = folder / "block.c", folder / "block"
    source.write_text(block.code if whole else FRAGMENT % block.code, encoding="utf-8")
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"] + ([] if whole else ["-Wno-unused-variable"])
    command = [cc, *warnings, str(source), "-o", str(program), *(flags if whole else ["-c", *flags])]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        return made.stderr
    if not whole:
        return None
    ran = subprocess.run([str(program)], capture_output=True, text=True, timeout=300)
    if ran.returncode:
        return f"returned {ran.returncode}: {ran.stdout}{ran.stderr}"
    if block.output is not None and ran.stdout != block.output:
        return f"printed\n{ran.stdout}and the page says\n{block.output}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--flags", default="", help="to find header and library")
    options = parser.parse_args()
    found = [block for page in pages() for block in blocks(page, "c")]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for block in found:
            fault = check_c(block, pathlib.Path(folder), options.cc, shlex.split(options.flags))
            if fault:
                print(f"{block.page}:{block.line}: {fault}")
                bad += 1
    print(f"{len(found)} blocks in C, {bad} with a fault")
    return bad > 0 or not found


if __name__ == "__main__":
    sys.exit(main())
