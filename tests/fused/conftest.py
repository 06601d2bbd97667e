"""Triton's interpreter, which runs the fused kernels on the CPU."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def interpreted() -> Iterator[ModuleType]:
    """dcnbuild.ops.fused.launch, whose kernels the interpreter runs; what was imported before comes back afterwards."""
    import dcnbuild.ops.fused as package
    from dcnbuild.ops.fused import route

    reason = route.unavailable()
    if reason is not None:
        pytest.skip(f"fused route: {reason}")
    import triton

    names = ("kernels", "gradients", "launch")
    before = {name: sys.modules.pop(f"{package.__name__}.{name}", None) for name in names}
    for name in names:
        vars(package).pop(name, None)
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = True
        from dcnbuild.ops.fused import launch
    with counts_are_numbers():
        yield launch
    for name, module in before.items():
        del sys.modules[f"{package.__name__}.{name}"]
        vars(package).pop(name, None)
        if module is not None:
            sys.modules[module.__name__] = module
            setattr(package, name, module)


@contextlib.contextmanager
def counts_are_numbers() -> Iterator[None]:
    """Lets the interpreter count with arrays of one element, which numpy 2.5 no longer takes for a number; Triton 3.8
    does so by itself.
    """
    from triton.runtime import interpreter

    original = interpreter._patch_lang_tensor

    def patched(tensor: Any, *scope: Any) -> None:
        original(tensor, *scope)
        tensor.__index__ = lambda self: int(self.handle.data.squeeze())

    interpreter._patch_lang_tensor = patched
    yield
    interpreter._patch_lang_tensor = original


@pytest.fixture
def tiles(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the sides of all tiles. Few large ones run quickly: every program costs the interpreter a third of a
    second.
    """

    def of(rows: int = 512, channels: int = 16, outputs: int = 16) -> None:
        def candidates(kernel: str, *_: Any) -> tuple[Any, ...]:
            sides = {
                "forward": (rows, outputs, channels),
                "samples": (rows, channels, outputs),
                "weight": (channels, outputs, rows),
            }
            return (interpreted.Config(*sides[kernel]),)

        monkeypatch.setattr(interpreted.configs, "candidates", candidates)

    of()
    return of


@pytest.fixture
def bfloat16_products(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the interpreter multiply bfloat16 numbers, whose bits it would multiply as integers."""
    import triton
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    original = InterpreterBuilder.create_dot

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar != triton.language.bfloat16:
            return handle
        bits = torch.from_numpy(handle.data.view("int16").copy()).view(torch.bfloat16)
        return TensorHandle(bits.float().numpy(), triton.language.float32)

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return original(self, widened(a), widened(b), *rest)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
    yield
