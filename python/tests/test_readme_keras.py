# SPDX-License-Identifier: BSD-3-Clause
"""The programs of the README's section on Keras run as they stand there, on each backend, and their losses fall."""

import pathlib
import re

import pytest
from keras_process import run_checks, training_backends

pytest.importorskip("keras")
README = pathlib.Path(__file__).parent.parent / "README.md"


def programs():
    section = re.search(r"^## Keras$(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL).group(1)
    return re.findall(r"^```python$(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@training_backends
def test_on(backend):
    run_checks(backend, __file__)


def check_programs():
    found = programs()
    assert len(found) == 2
    for program in found:
        names = {}
        exec(compile(program, str(README), "exec"), names)
        losses = names["history"].history["loss"]
        assert losses[-1] < 0.9 * losses[0], (program, losses)
