"""Tests the differences from torchvision, mmcv, DCNv2 and detectron2 that docs/coming-from.md lists.

torchvision runs here. The others are not installed; their behaviour is written down from their sources (mmcv 2.2.0,
mmcv/ops/deform_conv.py and modulated_deform_conv.py; CharlesShang/DCNv2, dcn_v2.py and src/; detectron2 0.6,
layers/deform_conv.py).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dcnbuild
from dcnbuild.compat import dcn_v2, detectron2, mmcv

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()


def outcome(call: Callable[[], Any]) -> str:
    """A result's dtype, shape and layout, or the text that it is; "raises" for any error."""
    try:
        result = call()
    except Exception:
        return "raises"
    if not isinstance(result, Tensor):
        return str(result)
    layout = "contiguous" if result.is_contiguous() else "channels_last"
    return f"{str(result.dtype)[6:]} {tuple(result.shape)} {layout}"


def _call(function: Any, **changed: Any) -> Callable[[], Any]:
    """A call of deform_conv2d, and of it with one argument changed by a function of it, or replaced."""
    generator = torch.Generator().manual_seed(0)
    arguments: dict[str, Any] = {
        name: torch.randn(*shape, generator=generator)
        for name, shape in {
            "input": (2, 4, 6, 5), "offset": (2, 18, 6, 5), "weight": (6, 4, 3, 3), "bias": (6,), "mask": (2, 9, 6, 5),
        }.items()
    }  # fmt: skip
    arguments["padding"] = 1
    for name, change in changed.items():
        arguments[name] = change(arguments[name]) if callable(change) else change
    return lambda: function(**arguments)


def _all(change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    return dict.fromkeys(("input", "offset", "weight", "bias", "mask"), change)


CHANNELS_LAST = torch.channels_last

#: what is asked → how the call differs from an ordinary one
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without a mask": {"mask": None},
    "without a bias": {"bias": None},
    "float64": _all(Tensor.double),
    "float16": _all(Tensor.half),
    "bfloat16": _all(Tensor.bfloat16),
    "half input, float32 offset and mask": dict.fromkeys(("input", "weight", "bias"), Tensor.half),
    "float32 input, float64 offset and mask": dict.fromkeys(("offset", "mask"), Tensor.double),
    "integers": _all(Tensor.int),
    "channels_last": {"input": lambda t: t.contiguous(memory_format=CHANNELS_LAST)},
    "strided": {"input": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3)},
    "no images": dict.fromkeys(("input", "offset", "mask"), lambda t: t[:0]),
    "no input channels": {"input": lambda t: t[:, :0], "weight": lambda t: t[:, :0]},
    "one image without its batch": dict.fromkeys(("input", "offset", "mask"), lambda t: t[0]),
    "pairs": {"padding": (1, 1), "stride": (1, 1), "dilation": (1, 1)},
    "lists": {"padding": [1, 1], "stride": [1, 1]},
    "stride 0": {"stride": 0},
    "negative padding": {"padding": -1},
    "padding of 1.0": {"padding": 1.0},
    "three paddings": {"padding": (1, 1, 1)},
    "kernel beyond the image": {"padding": 0, "dilation": 4},
    "offset of another size": {"offset": lambda t: t[:, :, :5]},
    "larger offset and mask": dict.fromkeys(("offset", "mask"), lambda t: t.repeat(1, 1, 2, 2)),
    "mask of another size": {"mask": lambda t: t[:, :, :5]},
    "offset with 17 channels": {"offset": lambda t: t[:, :17]},
    "offset with 27 channels": {"offset": lambda t: torch.cat((t, t[:, :9]), 1)},
    "three offset groups for four channels": dict.fromkeys(("offset", "mask"), lambda t: t.repeat(1, 3, 1, 1)),
    "two offset groups": dict.fromkeys(("offset", "mask"), lambda t: t.repeat(1, 2, 1, 1)),
    "mask for two groups, offset for one": {"mask": lambda t: t.repeat(1, 2, 1, 1)},
    "groups": {"weight": lambda t: t[:, :2]},
    "groups that do not divide": {"weight": lambda t: t[:, :3]},
    "bias of another length": {"bias": lambda t: t[:5]},
    "bias of two dimensions": {"bias": lambda t: t.view(6, 1)},
    "another batch": {"offset": lambda t: t[:1]},
    "a list for the input": {"input": lambda t: t.tolist()},
}  # fmt: skip


def _double_backward(function: Any) -> str:
    call = _call(function, **_all(lambda t: t.double().requires_grad_()))
    weight = inspect.getclosurevars(call).nonlocals["arguments"]["weight"]
    (grad,) = torch.autograd.grad(call().square().sum(), weight, create_graph=True)
    return f"{len(torch.autograd.grad(grad.sum(), weight))} gradient"


def _module(make: Any, ask: Callable[[Any], Any]) -> Callable[[], Any]:
    def asked() -> Any:
        torch.manual_seed(0)
        return ask(make(4, 6, 3, padding=1, groups=2))

    return asked


#: what is asked of a module → how
ASKED: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "keys": lambda module: list(module.state_dict()),
    "initial weight": lambda module: module.weight.flatten().tolist(),
    "initial bias": lambda module: module.bias.tolist(),
    "attributes": lambda module: sorted(key for key in vars(module) if not key.startswith("_")),
    "arguments": lambda module: [
        (each.name, each.default)
        for each in inspect.signature(type(module)).parameters.values()
        if each.kind is not each.VAR_KEYWORD  # ours has one that refuses whatever it is given, with a hint
    ],
}

#: what differs from torchvision → words of the line in docs/coming-from.md that says so
FROM_TORCHVISION = {
    "bfloat16": "bfloat16 on the CPU",
    "half input, float32 offset and mask": "a half input with float32 offset and mask",
    "channels_last": "the layout of the output",
    "stride 0": "a stride of 0",
    "bias of two dimensions": "a bias [O, 1]",
    "double backward": "second derivatives",
}

#: What must not be asked of torchvision here: it divides by zero, and the process ends.
DEADLY = {"stride 0": "SIGFPE"}


def _differs(what: str, theirs: str, ours: str, listed: dict[str, str]) -> None:
    """Asserts that a result differs if, and only if, a line of the page lists the difference."""
    said = f"{what}: theirs {theirs[:80]}, ours {ours[:80]}"
    assert (theirs != ours) == (what in listed), said
    if what in listed:
        assert listed[what] in PAGE, f"docs/coming-from.md does not say: {listed[what]}"


@pytest.mark.parametrize("what", CALLS)
def test_calls_beside_torchvision(what: str) -> None:
    ops = pytest.importorskip("torchvision", reason="torchvision is not installed").ops
    ours = outcome(_call(dcnbuild.deform_conv2d, **CALLS[what]))
    theirs = DEADLY.get(what) or outcome(_call(ops.deform_conv2d, **CALLS[what]))
    _differs(what, theirs, ours, FROM_TORCHVISION)


@pytest.mark.parametrize("what", [*ASKED, "double backward"])
def test_modules_beside_torchvision(what: str) -> None:
    ops = pytest.importorskip("torchvision", reason="torchvision is not installed").ops
    if what == "double backward":
        asked = [functools.partial(_double_backward, each) for each in (ops.deform_conv2d, dcnbuild.deform_conv2d)]
    else:
        asked = [_module(each, ASKED[what]) for each in (ops.DeformConv2d, dcnbuild.DeformConv2d)]
    _differs(what, *map(outcome, asked), FROM_TORCHVISION)


def _given(make: Any, *arguments: Any, batch: int = 2, dtype: torch.dtype = torch.float32, **kwargs: Any) -> Any:
    """The result of a module without arguments of its own but an input of four channels."""
    x = torch.zeros(batch, 4, 6, 5, dtype=dtype)
    return make(4, 6, 3, *arguments, **kwargs).to(dtype)(x)


def _v1_given(make: Any, batch: int, **kwargs: Any) -> Any:
    module = make(4, 6, 3, padding=1, **kwargs)
    return module(torch.zeros(batch, 4, 6, 5), torch.zeros(batch, 18, 6, 5))


def _raised(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "nothing"


#: what is asked → what ours does, what the old package does, words of the line in docs/coming-from.md if they differ
OLD: dict[str, tuple[Callable[[], Any], str, str | None]] = {
    "mmcv: v1 with a bias": (
        lambda: _raised(lambda: mmcv.DeformConv2d(4, 6, 3, bias=True)), "AssertionError", "has an `assert`"),
    "mmcv: groups that do not divide": (
        lambda: _raised(lambda: mmcv.DeformConv2d(4, 6, 3, groups=3)), "AssertionError", "has an `assert`"),
    "mmcv: an unknown argument": (
        lambda: _raised(lambda: mmcv.DeformConv2d(4, 6, 3, colour=1)), "TypeError", None),
    "mmcv: v1, three images with im2col_step 2": (
        lambda: _v1_given(mmcv.DeformConv2d, 3, im2col_step=2), "raises", "`im2col_step`"),
    "mmcv: v1, no images": (
        lambda: _v1_given(mmcv.DeformConv2d, 0), "raises", "an empty batch"),
    "mmcv: v2, no images": (
        lambda: _given(mmcv.ModulatedDeformConv2dPack, batch=0), "float32 (0, 6, 4, 3) contiguous", None),
    "mmcv: one image without its batch": (
        lambda: mmcv.ModulatedDeformConv2dPack(4, 6, 3)(torch.zeros(4, 6, 5)), "raises", None),
    "mmcv: keys of v1": (
        lambda: list(mmcv.DeformConv2dPack(4, 6, 3).state_dict()),
        "['weight', 'conv_offset.weight', 'conv_offset.bias']", None),
    "mmcv: keys of v2": (
        lambda: list(mmcv.ModulatedDeformConv2dPack(4, 6, 3).state_dict()),
        "['weight', 'bias', 'conv_offset.weight', 'conv_offset.bias']", None),
    "mmcv: v1 has an attribute bias": (
        lambda: hasattr(mmcv.DeformConv2d(4, 6, 3), "bias"), "False", "the `bias` attribute of v1 modules"),
    "mmcv: v1's bias": (lambda: getattr(mmcv.DeformConv2d(4, 6, 3), "bias", None), "None", None),
    "mmcv: repr": (lambda: mmcv.ModulatedDeformConv2d(4, 6, 3), "ModulatedDeformConv2d()", "`repr`"),
    "mmcv: transposed, output_padding": (
        lambda: (mmcv.DeformConv2d(4, 6, 3).transposed, mmcv.DeformConv2d(4, 6, 3).output_padding), "(False, (0,))", None),
    "DCNv2: repr": (lambda: dcn_v2.DCNv2(4, 6, 3, 1, 1), "DCNv2()", "`repr`"),
    "DCNv2: float16": (
        lambda: _given(dcn_v2.DCN, 1, 1, dtype=torch.float16), "raises", "half types"),
    "DCNv2: on the CPU": (lambda: _given(dcn_v2.DCN, 1, 1), "raises", "| CPU |"),
    "DCNv2: without a bias": (
        lambda: dcn_v2.dcn_v2_conv(torch.zeros(1, 4, 3, 3), torch.zeros(1, 2, 3, 3), torch.ones(1, 1, 3, 3),
                                   torch.zeros(6, 4, 1, 1), None, 1, 0, 1, 1), "raises", "without a bias"),
    "DCNv2: dilation": (
        lambda: dcn_v2.DCN(4, 6, 3, 1, 2, 2).conv_offset_mask.dilation, "(1, 1)", "`DCN(dilation=2)`"),
    "DCNv2: keys": (
        lambda: list(dcn_v2.DCN(4, 6, 3, 1, 1).state_dict()),
        "['weight', 'bias', 'conv_offset_mask.weight', 'conv_offset_mask.bias']", None),
    "detectron2: repr": (
        lambda: detectron2.DeformConv(4, 6, 3),
        "DeformConv(in_channels=4, out_channels=6, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), "
        "groups=1, deformable_groups=1, bias=False)", "`repr`"),
    "detectron2: no images": (
        lambda: _v1_given(detectron2.DeformConv, 0), "float32 (0, 6, 6, 5) contiguous", None),
    "detectron2: v1 with a bias": (
        lambda: _raised(lambda: detectron2.DeformConv(4, 6, 3, bias=True)), "AssertionError",
        "has an `assert`"),
}  # fmt: skip


@pytest.mark.parametrize("what", OLD)
def test_old_packages(what: str) -> None:
    ask, theirs, words = OLD[what]
    _differs(what, theirs, outcome(ask), {what: words} if words else {})
