"""The sampling of DCNv3 and DCNv4: against the reference and grid_sample, its derivatives and transforms, what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from integration.features import FEATURES, needs, needs_autocast
from ops.cases import assert_close
from ops.not_finite_cases import assert_same
from ops.sample_cases import (
    NAMES,
    REFERENCE,
    SampleCase,
    differentiated,
    expected_of,
    grid_sampled,
    random_case,
    results_of,
)
from torch import Tensor

import dcnbuild

KERNELS = torch.ops.dcnbuild
CASE = SampleCase()


def operate(input: Tensor, offset: Tensor, mask: Tensor, case: SampleCase = CASE) -> Tensor:
    """The public function, with an input [N, H, W, G, D]."""
    return dcnbuild.deform_sample(input.flatten(3), offset, mask, *case.attributes)


def leaves_of(case: SampleCase = CASE, seed: int = 0, **options: Any) -> list[Tensor]:
    tensors = case.tensors(seed, **options)
    return [tensors[name].requires_grad_() for name in NAMES]


@pytest.mark.parametrize("block", range(3))
def test_random_configurations(block: int, device: str) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        case = random_case(seed)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            tensors = case.tensors(seed, dtype, device)
            actual = results_of(KERNELS, case, tensors)
            assert_close(actual, expected_of(case, tensors), tolerance, (seed, case))


@pytest.mark.parametrize("seed", [*range(8), 17, 23])
def test_is_the_sum_of_weighted_grid_samples(seed: int) -> None:
    """Output and every gradient, as InternImage's plain path has them."""
    case = random_case(seed)
    tensors = case.tensors(seed)
    expected = differentiated(lambda *t: grid_sampled(*t, case.attributes), tensors)
    for namespace in (KERNELS, REFERENCE):
        assert_close(results_of(namespace, case, tensors), expected, 1e-10, (seed, case))
    assert expected["output"].abs().max() > 1e-3


def test_the_first_tap_lies_left_above_and_the_second_below_it() -> None:
    """(x, y) of offsets, and taps down the columns, on numbers that can be counted."""
    image = torch.arange(20.0).view(1, 4, 5, 1)
    offset, mask = torch.zeros(1, 4, 5, 1, 9, 2), torch.zeros(1, 4, 5, 1, 9)
    mask[0, 1, 2, 0, 1] = 1.0
    assert (
        dcnbuild.deform_sample(image, offset, mask, padding=1)[0, 1, 2, 0] == 6
    )  # row 1, column 1
    offset[0, 1, 2, 0, 1] = torch.tensor([2.0, 1.0])
    assert (
        dcnbuild.deform_sample(image, offset, mask, padding=1)[0, 1, 2, 0] == 13
    )  # row 2, column 3
    plain = dcnbuild.reference.deform_sample(image, offset, mask, padding=1)
    assert plain[0, 1, 2, 0] == 13
    # The middle stays where it is; the tap at −1 comes to −1/2.
    offset.zero_()
    sampled = dcnbuild.deform_sample(image, offset, mask, padding=1, offset_scale=0.5)
    assert sampled[0, 1, 2, 0] == 6.5


@pytest.mark.parametrize("float_points", [False, True], ids=["half", "float"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_summed_in_float32(
    dtype: torch.dtype, float_points: bool, device: str
) -> None:
    for case in (CASE, SampleCase(channels=20)):
        points_dtype = torch.float32 if float_points else None
        tensors = case.tensors(1, dtype, device, points_dtype)
        actual = results_of(KERNELS, case, tensors)
        expected = results_of(REFERENCE, case, {name: t.float() for name, t in tensors.items()})
        assert actual["output"].dtype == actual["grad_input"].dtype == dtype
        assert actual["grad_offset"].dtype == actual["grad_mask"].dtype == tensors["mask"].dtype
        # One rounding, of the result.
        eps = torch.finfo(dtype).eps
        assert_close({n: t.float() for n, t in actual.items()}, expected, eps)


def test_memory_layouts(device: str) -> None:
    """Channels first in memory, crops, and DCNv4's packed offsets and mask."""
    case = SampleCase(channels=12)
    tensors = case.tensors(2, device=device)
    expected = results_of(KERNELS, case, tensors)
    reordered = {n: t.movedim(-1, 1).contiguous().movedim(1, -1) for n, t in tensors.items()}
    wide = {n: torch.stack([t, t + 1], 3).flatten(2, 3)[:, :, ::2] for n, t in tensors.items()}
    tall = {n: torch.stack([t, t + 1], 2).flatten(1, 2)[:, ::2] for n, t in tensors.items()}
    packed = torch.cat([tensors["offset"].flatten(4), tensors["mask"]], -1)
    views = {"offset": packed[..., :18].unflatten(-1, (9, 2)), "mask": packed[..., 18:]}
    for given in (reordered, wide, tall, {**tensors, **views}):
        assert all(torch.equal(given[name], t) for name, t in tensors.items())
        assert_close(results_of(KERNELS, case, given), expected, 1e-13)


def test_threads_do_not_change_a_bit() -> None:
    case = SampleCase(2, (20, 15), 2, 20)
    tensors = case.tensors(0, torch.float32)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(results_of(KERNELS, case, tensors))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(tensor, results[0][name]) for name, tensor in result.items())


@pytest.mark.parametrize(
    "case",
    [
        SampleCase(batch=0),
        SampleCase(size=(0, 3)).but(padding=(2, 1)),
        SampleCase(size=(1, 1)),
        SampleCase(1, (3, 4), 1, 1).but(padding=(9, 9), stride=(7, 5)),
        SampleCase(1, (2, 2), 1, 256).but(kernel_size=(1, 1), padding=(0, 0)),
    ],
    ids=["no image", "no pixel", "one pixel", "wide padding", "one tap"],
)
def test_edges(case: SampleCase, device: str) -> None:
    tensors = case.tensors(0, torch.float64, device)
    actual = results_of(KERNELS, case, tensors)
    assert_close(actual, results_of(REFERENCE, case, tensors), 1e-12)


WILD = {
    "input": (math.nan, math.inf, -math.inf),
    "offset": (math.nan, math.inf, -math.inf, 1e30, -1e30, 9.0, -9.0),
    "mask": (math.nan, math.inf, -math.inf, 0.0),
    "grad_output": (math.nan, math.inf, -math.inf),
}


@pytest.mark.parametrize("wild", [*((name,) for name in WILD), tuple(WILD)], ids="+".join)
def test_what_is_not_finite(wild: tuple[str, ...]) -> None:
    """As the reference has it, which follows docs/pytorch.md."""
    seen = 0
    for seed, dtype in ((0, torch.float64), (1, torch.float32), (2, torch.float64)):
        generator = torch.Generator().manual_seed(seed)
        case = SampleCase(1, (4, 5), 2, 11).but(offset_scale=(1.0, 0.5, 2.0)[seed])
        tensors = case.tensors(seed, dtype)
        for name in wild:
            values = torch.tensor(WILD[name], dtype=dtype)
            choice = torch.randint(0, 9 * len(values), tensors[name].shape, generator=generator)
            replaced = values[choice.clamp_max(len(values) - 1)]
            tensors[name] = torch.where(choice < len(values), replaced, tensors[name])
        expected = results_of(REFERENCE, case, tensors)
        tolerance = 1e-11 if dtype == torch.float64 else 1e-5
        assert_same(results_of(KERNELS, case, tensors), expected, tolerance, seed)
        seen += sum(int((~t.isfinite()).sum()) for t in expected.values())
    assert seen > 0


@pytest.mark.parametrize("wanted", range(8))
def test_only_the_gradients_that_are_asked_for(wanted: int) -> None:
    mask = (bool(wanted & 1), bool(wanted & 2), bool(wanted & 4))
    tensors = CASE.tensors()
    everything = results_of(KERNELS, CASE, tensors)
    some = results_of(KERNELS, CASE, tensors, wanted=mask)
    for name, asked in zip(NAMES, mask):
        if asked:
            assert torch.equal(some[f"grad_{name}"], everything[f"grad_{name}"])
        else:
            assert some[f"grad_{name}"].numel() == 0


@pytest.mark.slow
@needs("torch.library.opcheck")
def test_opcheck(device: str) -> None:
    arguments = (*leaves_of(device=device), *CASE.attributes)
    torch.library.opcheck(KERNELS.deform_sample.default, arguments)
    upstream = CASE.tensors(device=device)["grad_output"]
    for output_mask in ([True, True, True], [False, True, False]):
        torch.library.opcheck(
            KERNELS.deform_sample_backward.default, (upstream, *arguments, output_mask, False)
        )


def test_derivatives_of_every_kind(device: str) -> None:
    """Reverse, forward and double backward, for all three tensors."""
    case = SampleCase(1, (3, 2), 2, 2).but(remove_center=True)
    leaves = leaves_of(case, 2, device=device)
    assert torch.autograd.gradcheck(
        lambda *t: operate(*t, case), leaves,
        check_forward_ad=True, fast_mode=True, check_undefined_grad=False,
    )  # fmt: skip
    assert torch.autograd.gradgradcheck(lambda *t: operate(*t, case), leaves, fast_mode=True)


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (None, 0, 0), (1, None, 0), (None, None, 1)])
def test_vmap_equals_a_loop(in_dims: tuple[int | None, ...], device: str) -> None:
    slices = [[t.detach() for t in leaves_of(seed=s, device=device)] for s in range(3)]
    mapped = [
        slices[0][i] if dim is None else torch.stack([s[i] for s in slices], dim)
        for i, dim in enumerate(in_dims)
    ]
    chosen = [[slices[0][i] if d is None else s[i] for i, d in enumerate(in_dims)] for s in slices]
    expected = torch.stack([operate(*s) for s in chosen])
    output = torch.func.vmap(operate, in_dims)(*mapped)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    for argnums in ((0, 1, 2), (1,)):
        loss = torch.func.grad(lambda *x: operate(*x).square().sum(), argnums=argnums)
        looped = [torch.stack(grads) for grads in zip(*(loss(*s) for s in chosen))]
        for grad, wanted in zip(torch.func.vmap(loss, in_dims)(*mapped), looped):
            torch.testing.assert_close(grad, wanted, rtol=0, atol=1e-11)


def test_the_raw_operator_refuses_transforms() -> None:
    input, *points = (t.detach() for t in leaves_of())
    with pytest.raises(NotImplementedError, match="call the function of the same name"):
        torch.func.jvp(
            lambda x: KERNELS.deform_sample(x, *points, *CASE.attributes), (input,), (input,)
        )


def test_autocast_keeps_positions_in_float32(device: str) -> None:
    needs_autocast(device, torch.bfloat16)
    leaves = leaves_of(dtype=torch.float32, device=device)
    exact = operate(*leaves)
    with torch.autocast(device, torch.bfloat16):
        output = operate(*leaves)
    assert output.dtype == torch.bfloat16
    assert (output - exact).abs().max() < 8 * 2**-7 * exact.abs().max()
    output.float().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.dtype == torch.float32 for leaf in leaves)


@pytest.mark.skipif(not FEATURES["flop formulas"](), reason="torch lacks flop formulas")
def test_flops() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    leaves = leaves_of()
    product = 2 * leaves[2].numel() * CASE.channels
    with FlopCounterMode(display=False) as counter:
        operate(*leaves).sum().backward()
    assert counter.get_total_flops() == 3 * product


def refused() -> dict[str, tuple[dict[str, Any], str]]:
    input, offset, mask = (t.detach() for t in leaves_of())
    return {
        "no tensor": ({"input": [1.0]}, "input must be a tensor, got list"),
        "channels first": (
            {"input": torch.zeros(2, 12, 6, 5, dtype=torch.float64)},
            r"offset has 3 groups \(dimension 3\), which do not divide the 5 channels .*height, width, channels",
        ),
        "flat offsets": ({"offset": offset.flatten(3)}, r"offset has 4 dimensions .*, expected 6"),
        "dtypes": ({"offset": offset.float()}, "offset is torch.float32, expected torch.float64 for"),
        "two dtypes of positions": (
            {"input": input.half(), "offset": offset.float(), "mask": mask.half()},
            "mask is torch.float16, expected torch.float32, the dtype of offset",
        ),
        "output size": (
            {"padding": 0},
            r"offset has shape \(2, 6, 5, 3, 9, 2\), expected \(2, 4, 3, 3, 9, 2\)",
        ),
        "taps": ({"remove_center": True}, r"expected \(2, 6, 5, 3, 8, 2\)"),
        "mask": ({"mask": mask[..., :8]}, r"mask has shape \(2, 6, 5, 3, 8\), expected"),
        "a kernel without a centre": (
            {"kernel_size": (3, 2), "remove_center": True},
            r"remove_center needs a kernel with odd sides and more than one tap, got kernel_size=\(3, 2\)",
        ),
        "a kernel that is its centre": ({"kernel_size": 1, "remove_center": True}, "more than one tap"),
        "too large a kernel": ({"dilation": 9}, "the output would be -10x-11 pixels"),
        "a scale": ({"offset_scale": math.nan}, "offset_scale must be finite, got nan"),
        "a flag": ({"remove_center": 2}, "remove_center must be True or False, got 2"),
        "a stride": ({"stride": 0}, "stride must be at least 1, got 0"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(refused()))
def test_what_does_not_fit_is_named(name: str) -> None:
    input, offset, mask = (t.detach() for t in leaves_of())
    changed, message = refused()[name]
    given = {"input": input, "offset": offset, "mask": mask, "padding": 1, **changed}
    if isinstance(given["input"], Tensor) and given["input"].dim() == 5:
        given["input"] = given["input"].flatten(3)
    with pytest.raises(dcnbuild.ArgumentError, match=f"deform_sample: {message}|{message}"):
        dcnbuild.deform_sample(**given)


def test_the_raw_operator_guards_its_memory() -> None:
    input, offset, mask = (t.detach() for t in leaves_of())
    good = CASE.attributes
    for changed, message in (
        ({"offset": offset[:, :-1]}, "offset has size 5 in dimension 1, expected 6"),
        ({"mask": mask[..., :-1]}, "mask has size 8 in dimension 4, expected 9"),
        ({"a": good._replace(padding=(-1, 0))}, "padding is -1, expected 0"),
        ({"a": good._replace(dilation=(2**29, 1))}, "the kernel reaches over"),
        ({"a": good._replace(kernel_size=(2, 2), remove_center=True)}, "odd sides"),
        ({"offset": offset.float()}, "must have the dtype of value"),
        ({"input": input.flatten(3)}, "5, 6 and 5 dimensions, got 4"),
    ):
        given = {"input": input, "offset": offset, "mask": mask, "a": good, **changed}
        with pytest.raises(RuntimeError, match=message):
            KERNELS.deform_sample(given["input"], given["offset"], given["mask"], *given["a"])  # type: ignore[misc]
