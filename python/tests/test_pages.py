# SPDX-License-Identifier: BSD-3-Clause
"""The programs in the pages of docs/ that are made of programs run as they stand there, one after the other, and print
what the page says.  A block ```python is followed by what it prints in a block ```text, where it prints anything."""

import contextlib
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGES = {"tour": ("tensorflow", "keras"), "distributed": ("jax", "dask", "distributed")}  # what must be installed
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


def blocks(page):
    return BLOCK.findall((DOCS / f"{page}.md").read_text())


def is_alike(found, expected):
    """The same words, and numbers that differ by rounding."""
    if " ".join(NUMBER.sub("#", found).split()) != " ".join(NUMBER.sub("#", expected).split()):
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True)
    return all(abs(float(x) - float(y)) <= 0.02 * abs(float(y)) + 1e-6 for x, y in pairs)


@pytest.mark.parametrize("page", PAGES)
def test_page(page):
    if not (DOCS / f"{page}.md").exists():
        pytest.skip("the repository is not around the package")
    missing = [module for module in PAGES[page] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1",
                   "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}  # fmt: skip
    found = subprocess.run(
        [sys.executable, __file__, page], capture_output=True, text=True, env=environment, timeout=300
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]


def test_comparison_of_output():
    assert is_alike("a 1.001 [2]", "a 1.0 [2]") and is_alike("1.2e-13 \n x", "1.21e-13 x")
    assert not is_alike("a 1.1", "a 1.0") and not is_alike("b 1.0", "a 1.0") and not is_alike("nan", "1.0")


def run_page(page):
    names, count = {"__name__": page}, 0
    for program, expected in blocks(page):
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(program, f"<{page}>", "exec"), names)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "torch":
                raise
            print(f"left out, no {error.name}:\n{program}")
            continue
        assert is_alike(printed.getvalue(), expected), f"{program}\nprinted\n{printed.getvalue()}\nand not\n{expected}"
        count += 1
    assert count >= 3, f"{count} programs found in {page}.md"


if __name__ == "__main__":
    run_page(sys.argv[1])
