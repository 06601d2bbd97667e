"""Runs the tests of this directory on the CUDA kernels, compiled for the CPU with the emulator.

`dcnbuild.deform_conv2d` on CPU tensors then calls the CUDA kernels instead of the CPU kernels. DCNBUILD_EMULATOR names
a module that was built before (with sanitizers, or from changed sources: see sanitize.py and mutate.py). The build
takes a minute, so all tests of this directory are slow.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from emulator.build import build
from emulator.products import register

from dcnbuild.ops.deform_conv2d import OPERATOR


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this directory as slow."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def emulator() -> ModuleType:
    """The compiled module: configure(), take_launches() and the plan functions (bindings.cpp)."""
    register()
    path = Path(os.environ.get("DCNBUILD_EMULATOR") or build())
    spec = importlib.util.spec_from_file_location("dcnbuild_emulator", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def emulated(emulator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the emulated operator in the place of the CPU's, run in the plainest way."""
    emulator.configure()
    operators = torch.ops.dcnbuild_emulated
    for call in (OPERATOR.call, OPERATOR.backward_call):
        monkeypatch.setattr(call, "kernel", getattr(operators, call.name))
    monkeypatch.delenv("DCNBUILD_COLUMN_BYTES", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    emulator.take_launches()
    yield
    torch.set_num_threads(threads)
    emulator.configure()


@pytest.fixture
def device() -> str:
    """Gives the tests of tests/ops the CPU's tensors, on which the emulated kernels run."""
    return "cpu"
