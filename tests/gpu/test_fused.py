"""Tests the fused kernels on a GPU: agreement, streams, graphs, and memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from ops.cases import Case, assert_close, random_case, run

import dcnbuild
from dcnbuild.builder import native
from dcnbuild.ops.deform_conv2d import OPERATOR
from dcnbuild.ops.fused import register, route

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
    pytest.mark.skipif(route.unavailable() is not None, reason=str(route.unavailable())),
]

#: Of each dtype: what is allowed beside the reference in float64. Float32 is three products of TF32.
TOLERANCE = {torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
LAYER = Case(batch=2, channels=96, out_channels=160, size=(33, 29), groups=2, offset_groups=2)


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    native.ensure("cuda")
    monkeypatch.setenv(route.VARIABLE, "on")
    library = register.put_before(OPERATOR, "CUDA")
    yield
    library._destroy()


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("case", [LAYER, *map(random_case, range(4))], ids=lambda _: "")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_gpu_agrees(dtype: torch.dtype, case: Case, channels_last: bool) -> None:
    tensors = case.tensors(0, dtype, "cuda")
    if channels_last:
        tensors["input"] = tensors["input"].contiguous(memory_format=torch.channels_last)
    exact = {name: None if t is None else t.cpu().double() for name, t in tensors.items()}
    actual = run(dcnbuild.deform_conv2d, case, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
    assert_close({name: t.cpu().double() for name, t in actual.items()}, expected, TOLERANCE[dtype])


def test_gpu_graph() -> None:
    """Captured before anything was measured: the first tiles are taken."""
    tensors = LAYER.tensors(0, torch.float16, "cuda")
    arguments = [tensors[name] for name in ("input", "offset", "mask", "weight", "bias")]
    attributes = (LAYER.stride, LAYER.padding, LAYER.dilation, 2, 2)
    expected = torch.ops.dcnbuild.deform_conv2d(*arguments, *attributes)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = torch.ops.dcnbuild.deform_conv2d(*arguments, *attributes)
    graph.replay()
    torch.testing.assert_close(captured, expected, rtol=1e-2, atol=1e-2)
