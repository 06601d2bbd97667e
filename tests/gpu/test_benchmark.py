"""Tests benchmarks/gpu.py as the stages of session.py call it on a GPU, with CUDA's clock replaced and small sizes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from gpu import session
from gpu.look import PROPERTIES

STAGES = [stage for stage in session.stages(gpu=True) if stage.command[: len(session.BENCHMARK)] == session.BENCHMARK]


class Event:
    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, _: Event) -> float:
        return 2.0


class Stream:
    def wait_stream(self, _: Stream) -> None: ...


class Graph:
    replayed = 0

    def replay(self) -> None:
        Graph.replayed += 1


@contextlib.contextmanager
def entered(_: object) -> Iterator[None]:
    yield


#: What the benchmark asks of torch.cuda, on a machine without a GPU.
CUDA = {
    "Event": Event,
    "Stream": Stream,
    "CUDAGraph": Graph,
    "current_stream": Stream,
    "stream": entered,
    "graph": entered,
    "synchronize": lambda: None,
    "is_available": lambda: True,
    "reset_peak_memory_stats": lambda: None,
    "memory_allocated": lambda: 1 << 20,
    "max_memory_allocated": lambda: 3 << 20,
}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The benchmark, whose tensors stay on the CPU."""
    monkeypatch.syspath_prepend(str(session.BENCHMARKS))
    spec = importlib.util.spec_from_file_location("benchmark_of_a_gpu", session.BENCHMARK[1])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    operands = module.Operands
    monkeypatch.setattr(module, "Operands", lambda case, device: operands(case, "cpu"))
    monkeypatch.setattr(module.native, "ensure", lambda device: "prebuilt")
    for name, value in CUDA.items():
        monkeypatch.setattr(torch.cuda, name, value)
    # what the benchmark sets, so that the next test finds what was there
    for name in ("DCNBUILD_FUSED", "DCNBUILD_COLUMN_BYTES", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    switches: list[tuple[Any, str]] = [(cudnn, "benchmark"), (cudnn, "allow_tf32"), (matmul, "allow_tf32")]
    before = [(of, name, getattr(of, name)) for of, name in switches]
    yield module
    for of, name, value in before:
        setattr(of, name, value)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_of_figures(
    stage: session.Stage,
    benchmark: ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if stage.fused:
        monkeypatch.setenv("DCNBUILD_FUSED", "on")
    Graph.replayed = 0
    given = list(stage.command[len(session.BENCHMARK) :])
    assert benchmark.main([*given, "--small", "--repeats", "2"]) == 0
    rows: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows and Graph.replayed > 0
    functions = {row["function"] for row in rows}
    assert {"gemm", "conv2d", "dcnbuild", benchmark.ORDERED} <= functions
    assert (benchmark.FUSED in functions) == stage.fused
    for row in rows:
        if row["function"] == "gemm":
            assert row["forward_ms"] == 2.0
            continue
        if "failed" in row:  # torchvision has no bfloat16 on the CPU
            assert row["function"] == "torchvision"
            continue
        for which in benchmark.PASSES:
            assert (row[f"{which}_ms"], row[f"{which}_graph_ms"], row[f"{which}_mib"]) == (2.0, 2.0, 2.0), row
            assert row[f"{which}_host_us"] > 0
        checked = "--no-check" not in given and row["function"] != "conv2d"
        assert checked == ("error" in row), row
    sizes = [row["column_bytes"] for row in rows if "column_bytes" in row]
    assert sizes == ([str(mib << 20) for mib in (4, 8, 16, 32, 64)] if stage.name == "chunks" else [])


def test_without_a_gpu_nothing_is_timed(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark.main([]) == session.NO_GPU
    assert "no GPU" in capsys.readouterr().err
    assert "CUBLAS_WORKSPACE_CONFIG" in os.environ


@pytest.mark.skipif(not hasattr(torch._C, "_CudaDeviceProperties"), reason="a torch without CUDA")
def test_a_gpu_has_the_properties_that_are_told() -> None:
    for name in PROPERTIES.values():
        assert hasattr(torch._C._CudaDeviceProperties, name), name
