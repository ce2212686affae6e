# SPDX-License-Identifier: BSD-3-Clause
import pathlib
import subprocess
import sys

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples/numpy_completion.py"


def test_numpy_completion(tmp_path):
    result = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "figure.svg"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2332 of 9216 entries seen" in result.stdout and (tmp_path / "figure.svg").read_text().count("<image") == 3
