"""`convert` finds deformable attention by what it computes: functions of any names, held and called in many ways."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ops.attn_cases import AttnCase, gradients, plain_attn
from ops.cases import assert_close
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import ms_deform_attn
from dcnbuild.compat.attention_search import stand_in

CASE = AttnCase(((5, 4), (3, 2)), width=5)
SHAPES, STARTS = torch.tensor(CASE.shapes), CASE.starts

#: The attention in plain torch, with whatever arguments; `{change}` makes another function of it.
SOURCE = """
def core({signature}):
    value, sizes, at, weights = {value}, {shapes}, {locations}, {weights}
    {change}
    n, _, heads, width = value.shape
    sizes = [(int(h), int(w)) for h, w in sizes]
    output = 0
    for level, ((h, w), part) in enumerate(zip(sizes, value.split([h * w for h, w in sizes], dim=1))):
        image = part.permute(0, 2, 3, 1).reshape(n * heads, width, h, w)
        grid = (2 * at[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        sampled = F.grid_sample(image, grid, mode={mode!r}, padding_mode={padding!r}, align_corners=False)
        output = output + (sampled * weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]).sum(-1)
    return output.view(n, heads * width, -1).transpose(1, 2){after}
"""
NAMES = {"value": "feats", "shapes": "dims", "locations": "where", "weights": "shares"}


def core(signature: str, names: dict[str, str] = NAMES, **options: str) -> Callable[..., Tensor]:
    """Attention of that signature."""
    filled = {"change": "pass", "mode": "bilinear", "padding": "zeros", "after": "", **options}
    namespace: dict[str, Any] = {"F": F, "torch": torch}
    exec(SOURCE.format(signature=signature, **names, **filled), namespace)
    function: Callable[..., Tensor] = namespace["core"]
    return function


class Caller(nn.Module):
    """Calls what it is given as `call(value, locations, weights)`."""

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        raise NotImplementedError


OTHER_NAMES = core("where, shares, feats, dims")
BY_NAME = core("feats, *, dims, shares, where, training=False")
WITH_OPTION = core("feats, dims, where, shares, scale=1.0", change="at = at * scale")
MORE_NEEDED = core("feats, dims, begin, where, shares, chunk", change="begin[0], chunk + 1")
WITH_MORE = core("feats, dims, *, where, shares, **options")
NONE_BY_DEFAULT = core("feats, dims=None, where=None, shares=None, verbose=False")
BOUND = functools.partial(core("feats, chunk, dims, where, shares"), chunk=64, dims=CASE.shapes)
FIRST_BOUND = functools.partial(core("chunk, feats, dims, where, shares"), 64)
OPS = types.ModuleType("their_ops")
vars(OPS)["inner"] = types.ModuleType("their_ops.inner")
vars(OPS.inner)["core"] = OTHER_NAMES


class Holder:
    core = staticmethod(OTHER_NAMES)


def helper(given: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Hands on, with other arguments."""
    value, locations, weights = given
    return second_helper(value, locations, weights)


def second_helper(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    return OTHER_NAMES(locations, weights, value, SHAPES) * 1.0


class OtherNames(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return OTHER_NAMES(locations, weights, feats=value, dims=SHAPES)


class ByName(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return BY_NAME(value, shares=weights, where=locations, dims=CASE.shapes)


class WithOption(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return WITH_OPTION(value, SHAPES, locations, weights, 1.0)


class MoreNeeded(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return MORE_NEEDED(value, SHAPES, STARTS, locations, weights, 64)


class PartialOfSizes(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return BOUND(value, where=locations, shares=weights)


class PartialInClass(Caller):
    sample = FIRST_BOUND

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, SHAPES, locations, weights)


class PartialInInstance(Caller):
    def __init__(self) -> None:
        super().__init__()
        self.sample = functools.partial(plain_attn, value_spatial_shapes=SHAPES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, sampling_locations=locations, attention_weights=weights)


class Static(Caller):
    sample = staticmethod(OTHER_NAMES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(locations, weights, value, SHAPES)


class ClassMethod(Caller):
    @classmethod
    def sample(cls, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return OTHER_NAMES(locations, weights, value, SHAPES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return type(self).sample(value, locations, weights)


class Method(Caller):
    """Computes in a method, which looks at nothing of the module."""

    sample = core("self, feats, dims, where, shares")

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, SHAPES, locations, weights)  # type: ignore[call-arg, arg-type]


class Chain(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return helper((value, locations, weights))


class OfModule(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = OPS.inner.core(locations, weights, value, SHAPES)
        return output


class OfHolder(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return Holder.core(locations, weights, value, SHAPES)


class WithMore(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return WITH_MORE(value, SHAPES, where=locations, shares=weights)


class NoneByDefault(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return NONE_BY_DEFAULT(value, dims=SHAPES, where=locations, shares=weights)


class Called:
    def __init__(self) -> None:
        self.scale = 1.0

    __call__ = core("self, where, shares, feats, dims", change="at = at * self.scale")


class ObjectInInstance(Caller):
    def __init__(self) -> None:
        super().__init__()
        self.sample: Any = Called()

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = self.sample(locations, weights, value, SHAPES)
        return output


class BoundMethodInInstance(ObjectInInstance):
    def __init__(self) -> None:
        super().__init__()
        self.sample = Called().__call__


KINDS = (
    WithMore, NoneByDefault, ObjectInInstance, BoundMethodInInstance,
    OtherNames, ByName, WithOption, MoreNeeded, PartialOfSizes, PartialInClass, PartialInInstance, Static, ClassMethod, Method,
    Chain, OfModule, OfHolder,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_convert_finds_it(kind: type[Caller], monkeypatch: pytest.MonkeyPatch) -> None:
    given = CASE.tensors(dtype=torch.float32)
    before = gradients(CASE.plain, given)
    module = kind()
    state = torch.random.get_rng_state()
    report = dcnbuild.convert(module)
    assert len(report.converted) == 1 and not report.left, report
    assert torch.equal(state, torch.random.get_rng_state())
    monkeypatch.setattr(F, "grid_sample", lambda *_, **__: 1 / 0)  # nobody computes in plain torch
    assert_close(gradients(module, given), before, 1e-5)
    with pytest.raises(ZeroDivisionError):  # the class is as it was
        kind()(*given)


def test_an_option_that_is_not_at_its_default_goes_to_their_function() -> None:
    ours = stand_in(WITH_OPTION)
    assert ours is not None
    value, locations, weights = CASE.tensors()
    for arguments in ((0.5,), ()):
        expected = WITH_OPTION(value, SHAPES, locations, weights, *arguments)
        torch.testing.assert_close(ours(value, SHAPES, locations, weights, *arguments), expected)
    ours = stand_in(WITH_MORE)
    assert ours is not None
    named = {"where": locations, "shares": weights}
    expected = WITH_MORE(value, SHAPES, **named)
    torch.testing.assert_close(ours(value, SHAPES, **named, anything=1), expected)
    with pytest.raises(TypeError):
        ours(value, SHAPES, where=locations)
    ours = stand_in(WITH_OPTION)
    assert ours is not None
    assert "DeformAttn" not in str(ours(value.requires_grad_(), SHAPES, locations, weights, scale=0.5).grad_fn)  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"change": "at = at.clamp(0, 1)"},
        {"change": "at = at.detach()"},
        {"change": "at = at.flip(-1)"},
        {"change": "at = at.clamp(-0.2, 1.2)"},
        {"change": "weights = weights.flatten(3).softmax(-1).view_as(weights)"},
        {"change": "weights = weights.clamp(min=0)"},
        {"change": "weights = weights / weights.shape[4]"},
        {"change": "value = value.detach()"},
        {"change": "value = value.half().to(value.dtype) * (1 if value.shape[3] % 2 else 2)"},
        {"change": "weights = weights * (torch.arange(weights.shape[3]) == 0)[:, None]"},
        {"padding": "border"},
        {"padding": "reflection"},
        {"mode": "nearest"},
        {"after": ".detach()"},
        {"after": ".relu()"},
        {"after": " * (len(sizes) < 3)"},
    ],
    ids=str,
)
def test_what_computes_something_else_is_left_and_named(options: dict[str, str]) -> None:
    """Each agrees on some inputs: in the forward pass, inside of the image, on one level, for positive weights."""
    near = core("value, spatial_shapes, sampling_locations, attention_weights", _SAME, **options)
    other = core("feats, dims, where, shares", **options)
    assert stand_in(near) is None and stand_in(other) is None

    class Attends(nn.Module):
        sample = staticmethod(near)

        def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
            return self.sample(value, SHAPES, locations, weights)

    report = dcnbuild.convert(nn.Sequential(Attends()))
    assert not report.converted and [left.path for left in report.left] == ["0"]
    assert "its sample samples like deformable attention" in report.left[0].reason


_SAME = {
    "value": "value",
    "shapes": "spatial_shapes",
    "locations": "sampling_locations",
    "weights": "attention_weights",
}


def test_what_only_samples_is_neither_run_nor_named() -> None:
    """A warp by optical flow, a function that would do harm, and one that deals with no images."""
    ran = []

    def save(value: Tensor, spatial_shapes: Any, sampling_loc: Tensor, path: str) -> None:
        ran.append(path)

    class Warps(nn.Module):
        def forward(self, image: Tensor, flow: Tensor) -> Tensor:
            save(image, (), flow, "file")
            return F.grid_sample(image, flow, align_corners=False)

    assert str(dcnbuild.convert(Warps())) == "0 converted, 0 left"
    assert stand_in(save) is None and not ran


def test_attention_that_is_written_into_a_forward_is_named() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = 3

        def forward(self, value: Tensor, sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:  # fmt: skip
            at = sampling_locations[:, :, : self.heads, 0].transpose(1, 2).flatten(0, 1)
            image = value.permute(0, 2, 3, 1).reshape(-1, CASE.width, 5, 4)
            sampled = F.grid_sample(image, 2 * at - 1, align_corners=False)
            shares = attention_weights[:, :, :, 0].transpose(1, 2).flatten(0, 1)[:, None]
            return (sampled * shares).sum(-1)

    report = dcnbuild.convert(Written())
    assert [left.path for left in report.left] == [""] and "its forward samples" in str(report)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ms_deform_attn.MSDeformAttn(d_model=0), "MSDeformAttn: d_model must be at least 1, got 0"),
        (lambda: ms_deform_attn.MSDeformAttn(10, n_heads=4), "MSDeformAttn: n_heads=4 must divide d_model=10"),
        (lambda: ms_deform_attn.MultiScaleDeformableAttention(8, num_heads=3), "num_heads=3 must divide embed_dim=8"),
        (lambda: detr(input_flatten=torch.zeros(1, 26, 9)), r"MSDeformAttn: input_flatten has shape \(1, 26, 9\)"),
        (lambda: detr(input_flatten=torch.zeros(1, 25, 8)), "input_flatten has 25 positions, expected 26"),
        (lambda: detr(input_spatial_shapes=SHAPES[:1], input_level_start_index=None), "input_spatial_shapes has 1 levels, expected 2"),
        (lambda: detr(input_padding_mask=torch.zeros(1, 3)), "input_padding_mask is torch.bool of shape"),
        (lambda: detr(input_level_start_index=torch.tensor([6, 0])), r"input_level_start_index is \[6, 0\]"),
        (lambda: ms_deform_attn.multi_scale_deformable_attn_pytorch(torch.zeros(1, 25, 2, 4), SHAPES, torch.zeros(1, 3, 2, 2, 1, 2), torch.zeros(1, 3, 2, 2, 1)), r"value has 25 positions"),
        (lambda: ms_deform_attn.multi_scale_deformable_attn_pytorch(torch.zeros(1, 26, 2, 4), SHAPES.float(), torch.zeros(1, 3, 2, 2, 1, 2), torch.zeros(1, 3, 2, 2, 1)), r"value_spatial_shapes is torch.float32"),
    ],
)  # fmt: skip
def test_errors_have_the_old_names_of_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        make()


def detr(**changed: Any) -> Tensor:
    given = {
        "query": torch.zeros(1, 7, 8), "reference_points": torch.zeros(1, 7, 2, 2),
        "input_flatten": torch.zeros(1, 26, 8), "input_spatial_shapes": SHAPES,
        "input_level_start_index": STARTS, **changed,
    }  # fmt: skip
    output: Tensor = ms_deform_attn.MSDeformAttn(8, 2, 2, 2)(**given)
    return output
