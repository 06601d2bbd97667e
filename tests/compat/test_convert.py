"""Tests `convert`: the modules that it recognises, what they keep, and their outputs before and after."""

from __future__ import annotations

import inspect
import types
import warnings
from typing import Any

import pytest
import torch
from compat.old_packages import make_packages
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import dcn_v2

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")


class Model(nn.Module):
    """One module of each package, given their offsets."""

    def __init__(self, old: types.SimpleNamespace) -> None:
        super().__init__()
        self.plain = nn.Conv2d(4, 4, 1)
        self.vision = torchvision.ops.DeformConv2d(4, 4, 3, padding=1, groups=2)
        self.packs = nn.ModuleList(
            [
                old.dcn_v2.DCN(4, 4, 3, 1, 1, 1, 2),
                old.mmcv_modulated.ModulatedDeformConv2dPack(4, 4, 3, padding=1, deform_groups=2),
                old.mmcv.DeformConv2dPack(4, 4, 3, padding=1),
            ]
        )
        self.given = nn.ModuleList(
            [
                old.dcn_v2.DCNv2(4, 4, 3, 1, 1),
                old.mmcv_modulated.ModulatedDeformConv2d(4, 4, 3, padding=1),
                old.detectron2.ModulatedDeformConv(4, 4, 3, padding=1, norm=nn.BatchNorm2d(4)),
            ]
        )

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        x = self.vision(self.plain(x), offset, mask)
        for pack in self.packs:
            x = pack(x).tanh()
        for module in self.given:
            x = module(x, offset, mask).tanh()
        return x


@pytest.fixture
def old() -> types.SimpleNamespace:
    return make_packages()


def _inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    x, offset = torch.randn(2, 4, 7, 6, dtype=dtype), torch.randn(2, 18, 7, 6, dtype=dtype)
    return x, offset, torch.rand(2, 9, 7, 6, dtype=dtype)


def _model(old: types.SimpleNamespace) -> Model:
    torch.manual_seed(0)
    model = Model(old).double()
    for pack in model.packs:
        for name, parameter in pack.named_parameters():
            if "offset" in name:
                nn.init.normal_(parameter, std=0.3)
    return model


def test_outputs_and_gradients_agree_before_and_after(old: types.SimpleNamespace) -> None:
    model, inputs = _model(old), _inputs()
    before = model(*inputs)
    wanted = torch.autograd.grad(before.square().sum(), list(model.parameters()))
    report = dcnbuild.convert(model)
    assert [done.path for done in report.converted] == [
        *("vision", "packs.0", "packs.1", "packs.2", "given.0", "given.1", "given.2"),
    ]
    after = model(*inputs)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    grads = torch.autograd.grad(after.square().sum(), list(model.parameters()))
    for actual, expected in zip(grads, wanted):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    assert all(type(m).__module__.startswith(("dcnbuild.", "torch.")) for m in list(model.modules())[1:])


def test_everything_else_is_kept(old: types.SimpleNamespace) -> None:
    model, inputs = _model(old).eval(), _inputs()
    model.packs[0].weight.requires_grad_(False)
    model.packs[1].train()
    calls: list[str] = []
    model.vision.register_forward_hook(lambda *_: calls.append("forward"))
    model.packs[0].register_forward_pre_hook(lambda *_: calls.append("before"))
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    dcnbuild.convert(model)
    assert dict(model.named_modules()) == modules
    assert all(model.get_parameter(name) is p for name, p in parameters.items())
    assert not model.packs[0].weight.requires_grad and model.packs[0].bias.requires_grad
    assert model.packs[1].training and not model.packs[0].training
    assert model.vision.weight.dtype == torch.float64
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    model(*inputs)
    assert calls == ["forward", "before"]


def test_the_model_itself_and_modules_used_twice(old: types.SimpleNamespace) -> None:
    single = old.dcn_v2.DCN(4, 4, 3, 1, 1)
    pair = nn.Sequential(single, single)
    assert len(dcnbuild.convert(pair).converted) == 1
    assert type(pair[0]) is dcn_v2.DCN and pair[0] is pair[1]
    alone = torchvision.ops.DeformConv2d(2, 2, 3)
    report = dcnbuild.convert(alone)
    assert type(alone) is dcnbuild.DeformConv2d
    assert str(report).splitlines()[0].startswith("(the model): torchvision.ops.deform_conv")


def test_the_report_says_what_was_done(old: types.SimpleNamespace) -> None:
    class Mine(torchvision.ops.DeformConv2d):  # type: ignore[misc, name-defined]
        pass

    class Other(nn.Module):
        def forward(self, x: Tensor, extra: Tensor) -> Tensor:
            return x

    Other.__name__ = Other.__qualname__ = "DCN"
    Other.__module__ = "archs.dcn.dcn_v2"
    odd = Other()
    for name in ("weight", "kernel_size", "stride", "padding", "dilation"):
        setattr(odd, name, 1)
    odd.conv_offset_mask = odd.deformable_groups = 1
    scripted = torch.jit.script(torchvision.ops.DeformConv2d(2, 2, 3))
    model = nn.Sequential(old.dcn_v2.DCN(4, 4, 3, 1, 2, 2), Mine(2, 2, 3), Other(), odd, scripted, nn.ReLU())
    report = dcnbuild.convert(model)
    first, *left, count = str(report).splitlines()
    assert first == (
        "0: old.dcn_v2.DCN → dcnbuild.compat.dcn_v2.DCN; dilation of the offset convolution (1, 1) → (2, 2)"
    )
    assert "subclass of torchvision.ops.deform_conv.DeformConv2d" in left[0]
    assert "it has no weight" in left[1]
    assert "forward takes (x, extra), expected (input)" in left[2]
    assert "TorchScript" in left[3]
    assert count == "1 converted, 4 left"
    assert type(model[1]) is Mine


FAMILY = (
    *(
        "basicsr.ops.dcn.deform_conv",
        "mmdet.ops.dcn.deform_conv",
        "assets.ops.dcn.modules.deform_conv",
    ),
    *("maskrcnn_benchmark.layers.dcn.deform_conv_module", "a.repository.nobody.knows"),
)


def _copy(module: str, name: str, forward: Any, **parts: Any) -> Any:
    """An instance of a class of that name, with the attributes of mmdetection 1.x: ints where ours have pairs."""
    kind = type(name, (nn.Module,), {"forward": forward, "__module__": module})
    made: Any = kind()
    made.in_channels, made.out_channels, made.kernel_size = 4, 6, (3, 3)
    made.stride, made.padding, made.dilation, made.groups, made.deformable_groups = 1, 1, 1, 1, 2
    made.weight = nn.Parameter(torch.randn(6, 4, 3, 3))
    for key, value in parts.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("module", FAMILY)
def test_the_family_of_mmdetection_is_known_wherever_it_lies(module: str) -> None:
    torch.manual_seed(0)
    x, offset, mask = torch.randn(1, 4, 5, 6), torch.randn(1, 36, 5, 6), torch.rand(1, 18, 5, 6)
    v1, v2 = nn.Conv2d(4, 36, 3, padding=1), nn.Conv2d(4, 54, 3, padding=1)
    bias = nn.Parameter(torch.randn(6))
    model = nn.ModuleList(
        [
            _copy(module, "DeformConv", lambda self, x, offset: 1 / 0),
            _copy(module, "DeformConvPack", lambda self, x: 1 / 0, conv_offset=v1),
            _copy(module, "ModulatedDeformConv", lambda self, x, offset, mask: 1 / 0, bias=bias),
            # maskrcnn_benchmark's has another name for it.
            _copy(
                module,
                "ModulatedDeformConvPack",
                lambda self, x: 1 / 0,
                conv_offset_mask=v2,
                bias=bias,
            ),
        ]
    )
    state = list(model.state_dict())
    assert str(dcnbuild.convert(model)).endswith("4 converted, 0 left")
    assert list(model.state_dict()) == state
    given = {"padding": 1, "mask": None}
    for made, arguments, used, has_mask in (
        (model[0], (x, offset), offset, None),
        (model[1], (x,), v1(x), None),
        (model[2], (x, offset, mask), offset, mask),
        (model[3], (x,), v2(x)[:, :36], v2(x)[:, 36:].sigmoid()),
    ):
        given["mask"] = has_mask
        expected = torchvision.ops.deform_conv2d(x, used, made.weight, made.bias, **given)
        torch.testing.assert_close(made(*arguments), expected, rtol=1e-4, atol=1e-5)


def test_old_poolings_are_known() -> None:
    from dcnbuild.compat import mmdet

    model = nn.ModuleList()
    for kind, arguments in (
        (mmdet.DeformRoIPooling, (1.0, 3, 4, False)),
        (mmdet.DeformRoIPoolingPack, (1.0, 3, 4, False)),
        (mmdet.ModulatedDeformRoIPoolingPack, (1.0, 3, 4, False)),
        (mmdet.DeformRoIPoolingPack, (1.0, 3, 4, True)),  # has no layers then
        (dcn_v2.DCNPooling, (1.0, 3, 4, True)),
    ):
        made = kind(*arguments)
        count = len(inspect.signature(kind.forward).parameters)
        forward = [None, None, lambda s, a: 0, lambda s, a, b: 0, lambda s, a, b, c: 0][count]
        made.__class__ = type(kind.__name__, (nn.Module,), {"forward": forward, "__module__": "old"})
        model.append(made)
    assert str(dcnbuild.convert(model)).endswith("5 converted, 0 left")


def test_what_was_left_is_named_with_the_reason() -> None:
    """`convert` names a module that it left, with the reason: it does more than the known one, or only looks
    deformable.
    """
    one, calls = (lambda self, x: x), (lambda self, x: torchvision.ops.deform_conv2d(x, x, x))
    conv = nn.Conv2d(4, 54, 3, padding=1)
    cases: dict[str, Any] = {
        "it has gate besides": _copy("a", "ModulatedDeformConvPack", one, conv_offset=conv, gate=nn.ReLU()),
        "extra_offset_mask is on": _copy("a", "ModulatedDeformConvPack", one, conv_offset=conv, extra_offset_mask=True),
        "nothing called DCNv9": _copy("a", "DCNv9", one),
        "nothing called SparseDeformConvV9": _copy("a", "SparseDeformConvV9", one),
        "calls torchvision.ops.deform_conv.deform_conv2d itself": _copy("a", "Plain", calls),
        "it has no weight, kernel_size": type("DCNv2", (nn.Module,), {"forward": one, "__module__": "a"})(),
    }
    model = nn.ModuleList(cases.values())
    report = dcnbuild.convert(model)
    reasons = {left.path: left.reason for left in report.left}
    assert not report.converted and list(reasons) and len(reasons) == len(cases)
    for index, reason in enumerate(cases):
        assert reason in reasons[str(index)]


def test_a_block_around_a_module_is_not_named(old: types.SimpleNamespace) -> None:
    """CenterNet's DeformConv is a block of DCN, BatchNorm and ReLU; its forward says self.deform_conv."""

    class DeformConv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.actf = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
            self.deform_conv = old.dcn_v2.DCN(4, 4, 3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.actf(self.deform_conv(x))
            return result

    class DeformableTransformer(nn.Module):
        pass

    report = dcnbuild.convert(nn.Sequential(DeformConv(), DeformableTransformer()))
    assert [done.path for done in report.converted] == ["0.deform_conv"] and not report.left


def test_weight_norm_is_no_reason_to_leave_a_module() -> None:
    made = _copy("a", "DeformConv", lambda self, x, offset: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old one, with weight_g and weight_v
        torch.nn.utils.weight_norm(made)
    assert len(dcnbuild.convert(nn.Sequential(made)).converted) == 1
    assert made(torch.randn(1, 4, 5, 5), torch.zeros(1, 36, 5, 5)).shape == (1, 6, 5, 5)


def test_nothing_to_do() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 3), dcnbuild.DCN(2, 2, 3))
    report = dcnbuild.convert(model)
    assert str(report) == "0 converted, 0 left"
    wrong: Any = "model.pth"
    with pytest.raises(TypeError, match=r"torch\.nn\.Module, got str"):
        dcnbuild.convert(wrong)


def test_converting_twice_changes_nothing(old: types.SimpleNamespace) -> None:
    model = _model(old)
    dcnbuild.convert(model)
    assert str(dcnbuild.convert(model)) == "0 converted, 0 left"
