# SPDX-License-Identifier: BSD-3-Clause
"""Training on several machines, played by two processes of this one: the programs of the folder distributed/ train with
PyTorch, JAX and Keras, and compare every gradient with that of one process that has it all."""

import importlib.util
import os
import pathlib
import socket
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent / "distributed"
PROGRAMS = {  # what must be installed, and variables of the environment
    "torch_training": (("torch",), {}),
    "jax_training": (("jax",), {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}),
    "keras_training": (
        ("keras", "jax"),
        {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "KERAS_BACKEND": "jax"},
    ),
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_two_processes(name):
    modules, variables = PROGRAMS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1", "OMP_NUM_THREADS": "1", **variables}
    port = str(free_port())
    processes = [
        subprocess.Popen([sys.executable, FOLDER / f"{name}.py", port, str(rank), "2"], env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for rank in range(2)
    ]  # fmt: skip
    outputs = []
    try:
        for process in processes:
            outputs.append(process.communicate(timeout=240)[0])
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0 and output.rstrip().endswith("fine"), "\n".join(outputs)
