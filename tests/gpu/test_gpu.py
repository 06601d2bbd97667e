"""Tests that need a GPU: streams, devices, graphs, memory, and the order of real atomics. `nox -s gpu` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from ops.attention_cases import AttnCase, expected_of, results_of
from ops.cases import Case, assert_close, run
from ops.pooling_cases import PSROI, ROI, PoolCase

import dcnbuild

# torch looks once, at the first matrix product
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

CASE = Case(batch=2, channels=32, out_channels=16, size=(19, 23), offset_groups=2)
#: The deterministic route sorts hundreds of thousands of keys for one image, of 51,200 and 80,000 cells.
NARROW = Case(batch=1, channels=8, out_channels=16, size=(160, 160), offset_groups=2)
WIDE = Case(batch=1, channels=8, out_channels=16, size=(200, 200), offset_groups=2)
MIB = 1 << 20


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def cuda_tensors(case: Case, dtype: torch.dtype = torch.float32, device: str = "cuda") -> dict[str, torch.Tensor]:
    tensors = case.tensors(0, dtype, device)
    return {name: t for name, t in tensors.items() if t is not None}


TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@pytest.mark.parametrize("in_order", [False, True], ids=["default", "deterministic"])
@pytest.mark.parametrize("channels", [32, 10], ids=["vectors", "odd"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_every_kernel(dtype: torch.dtype, channels: int, in_order: bool, request: pytest.FixtureRequest) -> None:
    """Small calls that reach every kernel; compute-sanitizer runs these."""
    if in_order:
        request.getfixturevalue("deterministic")
    case = Case(batch=2, channels=channels, out_channels=6, size=(9, 7), groups=2, offset_groups=2)
    tensors = case.tensors(0, dtype, "cuda")
    exact = {name: None if t is None else t.cpu().double() for name, t in tensors.items()}
    actual = run(dcnbuild.deform_conv2d, case, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
    assert_close({name: t.cpu().double() for name, t in actual.items()}, expected, TOLERANCE[dtype])
    for pool in (PSROI, ROI):
        on_gpu, on_cpu = (pool_results(pool, dtype, device, in_order) for device in ("cuda", "cpu"))
        assert_close(
            {name: t.cpu().double() for name, t in on_gpu.items()},
            {name: t.double() for name, t in on_cpu.items()},
            TOLERANCE[dtype],
        )


@pytest.mark.parametrize("in_order", [False, True], ids=["default", "deterministic"])
@pytest.mark.parametrize("channels", [32, 5], ids=["vectors", "odd"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_every_kernel_of_attention(dtype: torch.dtype, channels: int, in_order: bool) -> None:
    case = AttnCase(channels=channels)
    tensors = case.tensors(0, dtype, "cuda")
    actual = results_of(torch.ops.dcnbuild, case, tensors, in_order)
    expected = expected_of(case, {name: t.cpu().double() for name, t in tensors.items()})
    assert_close({name: t.cpu().double() for name, t in actual.items()}, expected, TOLERANCE[dtype])


def pool_results(case: PoolCase, dtype: torch.dtype, device: str, deterministic: bool) -> dict[str, torch.Tensor]:
    tensors = case.tensors(0, dtype, device)
    output = getattr(torch.ops.dcnbuild, case.operator)(*tensors.values(), *case.attributes)
    grads = getattr(torch.ops.dcnbuild, f"{case.operator}_backward")(
        torch.ones_like(output), *tensors.values(), *case.attributes, [True, True], deterministic
    )
    return {"output": output, "grad_input": grads[0], "grad_offset": grads[1]}


def channels_last(t: torch.Tensor) -> torch.Tensor:
    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t


def displaced(t: torch.Tensor) -> torch.Tensor:
    """A copy that begins one element behind a multiple of 16 bytes."""
    memory = torch.empty(t.numel() + 1, dtype=t.dtype, device=t.device)
    assert memory.data_ptr() % 16 == 0
    return memory[1:].view(t.shape).copy_(t)


def displaced_channels_last(t: torch.Tensor) -> torch.Tensor:
    return displaced(t.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if t.dim() == 4 else displaced(t)


@pytest.mark.parametrize("in_order", [False, True], ids=["default", "deterministic"])
@pytest.mark.parametrize("lie", [channels_last, displaced, displaced_channels_last])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_wherever_tensors_lie(dtype: torch.dtype, lie: Any, in_order: bool, request: pytest.FixtureRequest) -> None:
    """Vectors of 16 bytes need aligned memory; a channels_last gradient of float32 is added to where it lies."""
    if in_order:
        request.getfixturevalue("deterministic")
    tensors = {name: lie(t) for name, t in cuda_tensors(CASE, dtype).items()}
    exact = {name: t.cpu().double() for name, t in tensors.items()}
    actual = run(dcnbuild.deform_conv2d, CASE, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, CASE, exact, dtype)
    assert_close({name: t.cpu().double() for name, t in actual.items()}, expected, TOLERANCE[dtype])
    lies_flat = actual["grad_input"].is_contiguous(memory_format=torch.channels_last)
    assert lies_flat == (lie is not displaced)


def test_a_thread_that_has_no_context_yet() -> None:
    tensors = cuda_tensors(CASE)
    expected = run(dcnbuild.deform_conv2d, CASE, tensors)
    with ThreadPoolExecutor(1) as thread:
        actual = thread.submit(run, dcnbuild.deform_conv2d, CASE, tensors).result()
    assert_close(actual, expected, 1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_half_weight_gradients_are_summed_in_float32(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 32 positions whose sums are beyond float16, and cancel."""
    if not hasattr(torch.ops.aten.mm, "dtype_out"):
        pytest.skip("this torch has no product of half types in float32")
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", "256")
    x = torch.full((2, 2, 2, 64), 100.0, dtype=torch.float16, device="cuda", requires_grad=True)
    weight = torch.ones(2, 2 // groups, 1, 1, dtype=torch.float16, device="cuda", requires_grad=True)
    upstream = torch.full_like(x, 100)
    upstream[:, :, 1] = -100
    upstream[:, :, 0, 0] = 50
    output = dcnbuild.deform_conv2d(x, torch.zeros_like(x), weight)
    (grad,) = torch.autograd.grad(output, weight, upstream)
    assert torch.equal(grad, torch.full_like(grad, -10_000))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_benchmark_layer_in_half(dtype: torch.dtype) -> None:
    case = Case(batch=2, channels=256, out_channels=256, size=(64, 64))
    tensors = cuda_tensors(case, dtype)
    exact = {name: t.double() for name, t in tensors.items()}
    actual = run(dcnbuild.deform_conv2d, case, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
    wide = {name: t.double() for name, t in actual.items()}
    assert_close(wide, expected, 16 * torch.finfo(dtype).eps)


def test_another_device_than_the_current_one() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    expected = run(dcnbuild.deform_conv2d, CASE, cuda_tensors(CASE, device="cuda:0"))
    with torch.cuda.device(0):
        actual = run(dcnbuild.deform_conv2d, CASE, cuda_tensors(CASE, device="cuda:1"))
        assert torch.cuda.current_device() == 0
    assert actual["output"].device == torch.device("cuda:1")
    assert_close(
        {name: t.cpu() for name, t in actual.items()},
        {name: t.cpu() for name, t in expected.items()},
        1e-5,
    )


def test_the_current_stream_is_used() -> None:
    """An input that is written late on a side stream: on any other stream the call would read it too early."""
    tensors = cuda_tensors(CASE)
    expected = dcnbuild.deform_conv2d(**tensors, **CASE.attributes())
    late = {**tensors, "input": torch.zeros_like(tensors["input"])}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        late["input"].copy_(tensors["input"])
        actual = dcnbuild.deform_conv2d(**late, **CASE.attributes())
    stream.synchronize()
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(
    ("case", "in_order"),
    [(CASE, False), (CASE, True), (NARROW, True), (WIDE, True)],
    ids=["default", "deterministic", "large sorts of 16 bits", "large sorts of 32 bits"],
)
def test_a_graph_replays_forward_and_backward(case: Case, in_order: bool, request: pytest.FixtureRequest) -> None:
    if in_order:
        request.getfixturevalue("deterministic")
    tensors = cuda_tensors(case)
    arguments = [tensors[name] for name in ("input", "offset", "mask", "weight")]
    attributes = (case.stride, case.padding, case.dilation, 1, 2)
    upstream = torch.randn(case.batch, 16, *case.size, device="cuda")

    def call() -> tuple[torch.Tensor, ...]:
        operators = torch.ops.dcnbuild
        output = operators.deform_conv2d(*arguments, tensors["bias"], *attributes)
        backward = operators.deform_conv2d_backward
        return output, *backward(upstream, *arguments, *attributes, [True] * 5, in_order)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = call()
    for seed in (1, 2):
        fresh = case.tensors(seed, torch.float32, "cuda")
        for name, tensor in tensors.items():
            tensor.copy_(fresh[name])
        graph.replay()
        for actual, expected in zip(captured, call()):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("deterministic")
def test_deterministic_gradients_never_change() -> None:
    case = Case(batch=2, channels=64, out_channels=64, size=(48, 48))
    tensors = cuda_tensors(case)
    first = run(dcnbuild.deform_conv2d, case, tensors)
    for _ in range(10):
        again = run(dcnbuild.deform_conv2d, case, tensors)
        assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_workspace(batch: int) -> None:
    """At most 192 MB and one image each of input and grad_input, beside tensors of the weight's size."""
    case = Case(batch=batch, channels=256, out_channels=256, size=(64, 64))
    tensors = cuda_tensors(case, torch.float16)
    arguments = [tensors[name] for name in ("input", "offset", "mask", "weight")]
    attributes = (case.stride, case.padding, case.dilation, 1, 1)
    upstream = torch.randn(batch, 256, 64, 64, device="cuda", dtype=torch.float16)
    call = torch.ops.dcnbuild.deform_conv2d_backward
    wanted = [True, True, True, True, False]
    call(upstream, *arguments, *attributes, wanted, False)  # cuBLAS takes its workspace
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    results = call(upstream, *arguments, *attributes, wanted, False)
    peak = torch.cuda.max_memory_allocated() - before
    outputs = sum(t.numel() * t.element_size() for t in results)
    image = 256 * 64 * 64
    weights = tensors["weight"].numel() * (4 + 4 + 2)
    assert peak - outputs <= 192 * MIB + image * (2 + 4) + weights + MIB


def test_a_batch_of_more_than_2_31_elements() -> None:
    """The last image of a batch with more than 2^31 elements gets the results of a call with that image alone."""
    batch, channels, size = 2**21 // 32 + 1, 32, 32
    needed = 2 * 4 * batch * channels * size * size
    if torch.cuda.mem_get_info()[0] < needed:
        pytest.skip(f"needs {needed / 2**30:.0f} GiB of free GPU memory")
    x = torch.zeros(batch, channels, size, size, dtype=torch.float16, device="cuda")
    x[-1].normal_()
    offset = torch.zeros(1, 2, size, size, dtype=torch.float16, device="cuda")
    weight = torch.randn(4, channels, 1, 1, dtype=torch.float16, device="cuda")
    output = dcnbuild.deform_conv2d(x, offset.expand(batch, -1, -1, -1), weight)
    torch.testing.assert_close(output[-1:], dcnbuild.deform_conv2d(x[-1:], offset, weight))
    assert not output[0].any()
