"""`convert` finds deformable attention by what it computes: functions of any names, held and called in many ways."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from compat.attention_callers import CASE, KINDS, SHAPES, WITH_MORE, WITH_OPTION, Caller, core
from ops.attention_cases import gradients
from ops.cases import assert_close
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat.attention_search import stand_in


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_convert_finds_it(kind: type[Caller], monkeypatch: pytest.MonkeyPatch) -> None:
    given = CASE.inputs(dtype=torch.float32)
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
    value, locations, weights = CASE.inputs()
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
            image = value.permute(0, 2, 3, 1).reshape(-1, CASE.channels, 5, 4)
            sampled = F.grid_sample(image, 2 * at - 1, align_corners=False)
            shares = attention_weights[:, :, :, 0].transpose(1, 2).flatten(0, 1)[:, None]
            return (sampled * shares).sum(-1)

    report = dcnbuild.convert(Written())
    assert [left.path for left in report.left] == [""] and "its forward samples" in str(report)
