# SPDX-License-Identifier: BSD-3-Clause
import os
import pathlib
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import frameworks  # noqa: E402

_INSTALLED = frameworks.installed()


def pytest_report_header(config):
    return [f"svdgrad for {name}: " + ("tested" if adapter else f"NOT TESTED, {why}") for name, adapter, why in _INSTALLED]


def pytest_generate_tests(metafunc):
    if "framework" in metafunc.fixturenames:
        present = [(name, adapter) for name, adapter, _ in _INSTALLED if adapter]
        metafunc.parametrize("framework", [a for _, a in present], ids=[n for n, _ in present])
    if "differentiable" in metafunc.fixturenames:
        present = [(name, adapter) for name, adapter, _ in _INSTALLED if adapter and adapter.grad]
        if not present:
            present = [pytest.param(None, marks=pytest.mark.skip("no framework with derivatives is installed"))]
            metafunc.parametrize("differentiable", present)
        else:
            metafunc.parametrize("differentiable", [a for _, a in present], ids=[n for n, _ in present])
