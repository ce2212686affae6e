# SPDX-License-Identifier: BSD-3-Clause
"""The Python blocks of README.md and docs/ run as they stand, page by page, and print what the pages say; the commands that
the pages name exist."""

import contextlib
import importlib.util
import io
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if not (ROOT / "docs/code_blocks.py").exists():
    pytest.skip("no docs beside the package", allow_module_level=True)
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "python/tests")]
import code_blocks  # noqa: E402

if importlib.util.find_spec("test_pages"):  # runs pages that need more than one block after the other
    from test_pages import PAGES as ELSEWHERE
else:
    ELSEWHERE = ()
PAGES = [page for page in code_blocks.pages() if page.stem not in ELSEWHERE and any(code_blocks.blocks(page, "python"))]


def missing(code):
    """The first module that the block imports and that is not installed."""
    for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            return name
    # `import svdgrad.torch` needs torch.
    for name in re.findall(r"^(?:import|from) svdgrad\.(\w+)", code, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            return name
    return None


def run_page(page):
    """All blocks in one namespace; those of a framework that is not installed, and what follows them, are left out."""
    names, done = {"__name__": page.stem}, 0
    for block in code_blocks.blocks(page, "python"):
        if missing(block.code):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (block.line - 1) + block.code, block.page, "exec"), names)
        if block.output is not None:
            assert printed.getvalue() == block.output, f"{block.page}:{block.line} prints\n{printed.getvalue()}"
        done += 1
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page):
    """In a process of its own: some frameworks do not bear each other, and Keras chooses its backend at import."""
    first = code_blocks.blocks(page, "python")[0]
    if missing(first.code):
        pytest.skip(f"{missing(first.code)} is not installed")
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'python/tests')!r}); import pathlib, test_docs; " \
              f"assert test_docs.run_page(pathlib.Path({str(page)!r}))"  # fmt: skip
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pages_are_found():
    assert len(PAGES) >= 8


def commands(text):
    return re.findall(r"^\./run (\w+)|`\./run (\w+)", text, re.MULTILINE)


def test_commands_exist():
    known = set(re.findall(r"^command_(\w+)\(\)", (ROOT / "run").read_text(), re.MULTILINE)) | {"help"}
    for page in code_blocks.pages():
        for pair in commands(page.read_text(encoding="utf-8")):
            assert max(pair) in known, f"{page}: ./run {max(pair)}"


def declarations(header):
    """Names in the order of the header; of a struct its tag."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    names = r"#define (SVDGRAD_\w+)[ \\]|typedef struct (svdgrad_\w+) \{|typedef enum \{[^}]*\} (\w+);|^enum \{([^}]*)\};" \
            r"|typedef struct \w+ \*(\w+);|typedef void \(\*(\w+)\)|SVDGRAD_API .*?(svdgrad_\w+)\("  # fmt: skip
    found = [next(name for name in match if name) for match in re.findall(names, text, re.M)]
    return [name for names in found for name in re.findall(r"\w+_\w+", names)]


def test_api_page_has_what_the_header_declares():
    page = (ROOT / "docs/api/c.md").read_text()
    shown = [name for kind, name in re.findall(r"^```\{doxygen(\w+)\} (\S+)$", page, re.M) if kind not in ("file", "group")]
    assert shown == declarations(code_blocks.HEADER.read_text())
    assert len(shown) > 40
