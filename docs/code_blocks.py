#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The code blocks of README.md, docs/ and svdgrad.h, and a test of those in C:

    code_blocks.py --cc gcc --flags "-Iinclude ... -lsvdgrad"

compiles every block and runs those that have a main().  A block ```text is what the last one of code before it prints.  A
block without main() continues a program: it is compiled as the body of a function with the names of FRAGMENT.
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
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = ROOT / "include/svdgrad/svdgrad.h"
FRAGMENT = """#include <stdint.h>
#include <stdio.h>
#include <svdgrad/svdgrad.h>
struct names {
  svdgrad_handle_t handle;
  void *stream, *work;
  size_t work_bytes;
  svdgrad_desc_t desc;
  svdgrad_matrix_t a, u, vh, y, ga, gy;
  svdgrad_vector_t s, gs, value, left, right;
  int32_t *info;
  double *data;
};
void fragment(struct names *names);
void fragment(struct names *names) {
  svdgrad_handle_t handle = names->handle;
  void *stream = names->stream, *work = names->work;
  size_t work_bytes = names->work_bytes;
  svdgrad_desc_t desc = names->desc;
  svdgrad_matrix_t a = names->a, u = names->u, vh = names->vh, y = names->y, ga = names->ga, gy = names->gy;
  svdgrad_vector_t s = names->s, gs = names->gs, value = names->value, left = names->left, right = names->right;
  int32_t *info = names->info;
  double *data = names->data;
  {
%s  }
}
"""


class Block(NamedTuple):
    page: str  # relative to the repository
    line: int
    language: str
    code: str
    output: Optional[str]


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text_of(page):
    """The page as Markdown; of the header its comments, whose blocks are @code{.c} and @code{.txt}."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".h":
        return text
    lines = [re.sub(r"^ \* {0,2}", "", line) for line in text.splitlines()]
    named = [re.sub(r"^@code\{\.(\w+)\}$", r"```\1", re.sub(r"^@endcode$", "```", line)) for line in lines]
    return "".join("```text\n" if line == "```txt" else line + "\n" for line in named)


def blocks(page, language):
    """Those in the language, each with the block ```text after it; one of a shell between them says how to run it."""
    found, text, last = [], text_of(page), None
    for match in FENCE.finditer(text):
        if match[1] == "text":
            if last is None:
                raise ValueError(f"{page}: nothing prints\n{match[2]}")
            if last[1] == language:
                found[-1] = found[-1]._replace(output=match[2])
            last = None
        elif match[1] in ("c", "python"):
            last = match
            if match[1] == language:
                line = text.count("\n", 0, match.start(2)) + 1
                found.append(Block(str(page.relative_to(ROOT)), line, language, match[2], None))
    return found


def check_c(block, folder, cc, flags):
    """None, or what is wrong."""
    whole = "main(" in block.code
    source, program = folder / "block.c", folder / "block"
    source.write_text(block.code if whole else FRAGMENT % block.code, encoding="utf-8")
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"] + ([] if whole else ["-Wno-unused-variable", "-Wno-unused-but-set-variable"])
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
    found = [block for page in [*pages(), HEADER] for block in blocks(page, "c")]
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
