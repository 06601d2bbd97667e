"""Tests the host side of chunks: boundaries, workspace, launches, errors, and the option."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from ops.cases import Case, assert_close, run
from torch import Tensor

import dcnbuild

CASE = Case(batch=3, channels=8, out_channels=6, size=(6, 5), groups=2, offset_groups=2)


def column_bytes(case: Case, positions: int, dtype: torch.dtype) -> str:
    taps = case.kernel[0] * case.kernel[1]
    return str(positions * taps * case.channels * dtype.itemsize)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("positions", [1, 2, 7, 29, 30, 31, 59, 60, 61, 90, 91, 1000])
def test_every_chunk_size_agrees(positions: int, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of about one position, one image (30 positions), two images and all three images give equal results."""
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", column_bytes(CASE, positions, torch.float64))
    tensors = CASE.tensors(0)
    tensors["input"] = tensors["input"].contiguous(memory_format=layout)
    expected = run(dcnbuild.reference.deform_conv2d, CASE, tensors)
    assert_close(run(dcnbuild.deform_conv2d, CASE, tensors), expected, 1e-12)
    torch.use_deterministic_algorithms(True)
    try:
        assert_close(run(dcnbuild.deform_conv2d, CASE, tensors), expected, 1e-12)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("groups", [1, 2])
def test_half_weight_gradients_are_summed_in_float32(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two chunks whose sums are beyond float16, and cancel."""
    if "dtype_out" not in torch.ops.aten.mm.overloads():
        pytest.skip("this torch has no product of half types in float32")
    case = Case(channels=2, out_channels=2, size=(2, 64), kernel=(1, 1), padding=(0, 0), groups=groups, mask=False)
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", column_bytes(case, 64, torch.float16))
    tensors = case.tensors(0, torch.float16)
    tensors["input"].fill_(100)
    tensors["offset"].zero_()
    upstream = torch.full((case.batch, 2, 2, 64), 100.0, dtype=torch.float16)
    upstream[:, :, 1] = -100
    upstream[:, :, 0, 0] = 50
    grads = torch.ops.dcnbuild_emulated.deform_conv2d_backward(
        *(upstream, tensors["input"], tensors["offset"], None, tensors["weight"]),
        *(case.stride, case.padding, case.dilation, groups, 1, [False, False, False, True, False], False),
    )
    assert torch.equal(grads[3], torch.full_like(grads[3], -5000 * case.batch))


@pytest.mark.parametrize("value", ["0", "-5", "16 MB", "1e9", "", "99999999999999"])
def test_a_wrong_option_is_explained(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", value)
    tensors = CASE.tensors(0)
    with pytest.raises(RuntimeError, match=r"DCNBUILD_COLUMN_BYTES.*from 1 to"):
        dcnbuild.deform_conv2d(**tensors, **CASE.attributes())


def peak_bytes(function, *args) -> int:  # type: ignore[no-untyped-def]
    """The most memory that torch's allocator held at one time beyond the results and what there was before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        result = function(*args)
    held = peak = 0
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    assert events and peak > 0
    outputs = [result] if isinstance(result, Tensor) else list(result)
    return peak - sum(t.numel() * t.element_size() for t in outputs)


def scratch_of_products(rows: int, channels: int, taps: int, dtype: torch.dtype) -> int:
    """The most bytes that torch's own matrix product takes for the shapes of one chunk, whatever lies transposed.

    It depends on the processor: oneDNN packs bfloat16 operands for AMX in memory of torch's allocator. That is the
    library's workspace, as cuBLAS has one on a GPU, so the operator's bound is given on top of it.
    """
    most = 0
    weights = channels * taps
    # columns by weights; upstream by weights; upstream by columns, which is the weights' gradient
    shapes = [(rows, weights, channels), (rows, channels, weights), (channels, rows, weights)]
    if dtype.itemsize == 2 and "dtype_out" in torch.ops.aten.mm.overloads():
        a, b = torch.ones(channels * taps, rows, dtype=dtype), torch.ones(rows, channels, dtype=dtype)
        out = torch.empty(channels * taps, channels)
        most = peak_bytes(lambda: [torch.ops.aten.mm.dtype_out(a, b, torch.float32, out=out)][:0])
    for m, k, n in shapes:
        a, b = torch.ones(m, k, dtype=dtype), torch.ones(k, n, dtype=dtype)
        for left in (a, a.t().contiguous().t()):
            for right in (b, b.t().contiguous().t()):
                for swap in (False, True):
                    pair = (right.t(), left.t()) if swap else (left, right)
                    most = max(most, peak_bytes(torch.mm, *pair))
    return most


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_workspace_does_not_grow_with_the_batch(
    dtype: torch.dtype, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 1 << 15
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", str(bound))
    scratch = scratch_of_products(bound // (9 * 16 * dtype.itemsize), 16, 9, dtype)
    for size in (4, 14):  # several images in a chunk, and several chunks in an image
        peaks = []
        for batch in (4, 16):
            case = Case(batch=batch, channels=16, out_channels=16, size=(size, size))
            t = case.tensors(0, dtype)
            arguments = (t["input"], t["offset"], t["mask"], t["weight"])
            attributes = (case.stride, case.padding, case.dilation, 1, 1)
            operators = torch.ops.dcnbuild_emulated
            forward = peak_bytes(operators.deform_conv2d, *arguments, t["bias"], *attributes)
            upstream = torch.ones(batch, 16, size, size, dtype=dtype)
            backward = peak_bytes(
                *(operators.deform_conv2d_backward, upstream, *arguments, *attributes),
                *([True, True, True, True, False], deterministic),
            )
            weight = t["weight"].numel()
            image = 16 * size * size
            ours = 4 * bound + image * dtype.itemsize + weight * dtype.itemsize
            assert forward <= ours + scratch
            weights = weight * (4 + 4 + dtype.itemsize)  # its matrix, a chunk's gradient, and their sum
            assert backward <= 4 * bound + image * (4 + dtype.itemsize) + weights + scratch
            peaks.append((forward, backward))
        assert size == 4 or peaks[0] == peaks[1]


def test_small_images_launch_few_kernels(emulator: ModuleType) -> None:
    case = Case(batch=64, channels=16, out_channels=16, size=(7, 7))
    tensors = case.tensors(0, torch.float32)
    dcnbuild.deform_conv2d(**tensors, **case.attributes())
    launches = emulator.take_launches()
    assert len(launches) == 3, "layout in, gather, layout out"
    assert min(launches) >= 100


def test_no_copy_that_a_layout_avoids(emulator: ModuleType) -> None:
    case = Case(batch=2, channels=16, out_channels=16, size=(9, 9))
    tensors = case.tensors(0, torch.float32)
    tensors["input"] = tensors["input"].contiguous(memory_format=torch.channels_last)
    tensors = {name: t.requires_grad_() for name, t in tensors.items() if t is not None}
    output = dcnbuild.deform_conv2d(**tensors, **case.attributes())
    assert len(emulator.take_launches()) == 1, "gather only: input and output are used where they lie"
    upstream = torch.ones_like(output)
    output.backward(upstream)
    assert len(emulator.take_launches()) == 1, "one kernel for every gradient"


@pytest.mark.parametrize(
    ("size", "out_channels", "copied"),
    [((8, 8), 8, False), ((9, 9), 8, True), ((9, 9), 6, False)],
    ids=["map aligned", "buffer aligned", "neither"],
)
def test_the_rows_of_a_product_are_aligned_where_they_can_be(
    size: tuple[int, int], out_channels: int, copied: bool, emulator: ModuleType
) -> None:
    """A half's row of 81 positions is no multiple of 16 bytes, a position's 8 channels are."""
    case = Case(batch=1, channels=8, out_channels=out_channels, size=size)
    tensors = case.tensors(0, torch.float16)
    dcnbuild.deform_conv2d(**tensors, **case.attributes())
    assert len(emulator.take_launches()) == 2 + copied, "layout in, gather, and layout out"


@pytest.mark.parametrize("deterministic", [False, True])
def test_every_launch_that_fails_raises(emulator: ModuleType, deterministic: bool) -> None:
    """Each launch of the forward and backward pass raises if the launch fails."""
    tensors = CASE.tensors(0)
    torch.use_deterministic_algorithms(deterministic)
    try:
        run(dcnbuild.deform_conv2d, CASE, tensors)
        launches = len(emulator.take_launches())
        assert launches >= 4
        for before in range(launches):
            emulator.fail_launch("out of memory", before)
            with pytest.raises(RuntimeError, match="out of memory"):
                run(dcnbuild.deform_conv2d, CASE, tensors)
        run(dcnbuild.deform_conv2d, CASE, tensors)
    finally:
        torch.use_deterministic_algorithms(False)
