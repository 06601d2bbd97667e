"""Features that a torch may lack, and the mark that skips a test without them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

import pytest
import torch

from dcnbuild.ops import torch_versions


def _has(path: str) -> bool:
    """Whether torch has what a dotted path names."""
    module, _, name = path.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


def _compiles() -> bool:
    try:
        from torch._dynamo.eval_frame import check_if_dynamo_supported

        check_if_dynamo_supported()
    except (ImportError, RuntimeError):
        return False
    return True


def _half_autocast_on_cpu() -> bool:
    try:
        with torch.autocast("cpu", torch.float16):
            return torch_versions.is_autocast_enabled("cpu")
    except RuntimeError:  # of torch 2.0, which stays switched on
        torch.set_autocast_cpu_enabled(False)
        return False


#: feature → whether this torch has it; what is a feature to a user may be several names of torch's. The operators' own
#: are those of docs/torch-versions.md.
FEATURES: dict[str, Callable[[], bool]] = {
    **{feature.name: partial(torch_versions.has, feature.name) for feature in torch_versions.FEATURES},
    "torch.compile for this Python": _compiles,
    "torch.export with Dim.AUTO": lambda: _has("torch.export.Dim") and hasattr(torch.export.Dim, "AUTO"),
    "AOTInductor packages": lambda: _has("torch._inductor.aoti_compile_and_package"),
    "torch.onnx.ops": lambda: _has("torch.onnx.ops.symbolic"),
    "float16 autocast on the CPU": _half_autocast_on_cpu,
    "torch.amp.GradScaler": lambda: _has("torch.amp.GradScaler"),
    "fully_shard": lambda: _has("torch.distributed.fsdp.fully_shard"),
    "flop formulas": lambda: _has("torch.utils.flop_counter.register_flop_formula"),
}


def needs(feature: str) -> pytest.MarkDecorator:
    """Skips a test if this torch lacks a feature of FEATURES."""
    return pytest.mark.skipif(not FEATURES[feature](), reason=f"torch {torch.__version__} lacks {feature}")


def needs_autocast(device: str, dtype: torch.dtype) -> None:
    """Skips a test if autocast refuses a dtype on a device, like float16 on the CPU in torch 2.0 and 2.1."""
    feature = "float16 autocast on the CPU"
    if (device, dtype) == ("cpu", torch.float16) and not FEATURES[feature]():
        pytest.skip(f"torch {torch.__version__} lacks {feature}")


#: Whether shapes are dynamic, for tests that compile a whole function.
DYNAMIC = [False, pytest.param(True, marks=needs("torch.compile(dynamic=True)"))]
