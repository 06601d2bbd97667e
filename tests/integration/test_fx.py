"""Tests torch.fx: our functions are leaves of a symbolic trace, inside any model."""

from __future__ import annotations

import pytest
import torch
from integration.models import Aligned, image
from torch import Tensor, nn

import dcnbuild
from dcnbuild import deform_conv2d


def targets(graph: torch.fx.Graph) -> list[object]:
    return [node.target for node in graph.nodes if node.op == "call_function"]


def test_a_network() -> None:
    model, x = Aligned(), image(2, 3, 6, 5)
    traced = torch.fx.symbolic_trace(model)
    assert targets(traced.graph).count(deform_conv2d) == 2
    assert torch.equal(traced(x), model(x))
    traced(x).sum().backward()
    assert model.first.weight.grad is not None


class Calls(nn.Module):
    """Calls of every function, with Proxies in every place and constants in others."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("image", image(1, 4, 6, 6))
        self.weight = nn.Parameter(image(4, 4, 3, 3))

    def forward(self, offset: Tensor, rois: Tensor) -> Tensor:
        constant = torch.ones(4, 4, 3, 3)
        y = dcnbuild.deform_conv2d(self.image, offset, self.weight, padding=(1, 1))
        y = y + dcnbuild.deform_conv2d(torch.ones(1, 4, 6, 6), offset, constant, padding=1)
        y = y + dcnbuild.reference.deform_conv2d(y, offset, self.weight, padding=1)
        pooled = dcnbuild.deform_roi_pool(y, rois, output_size=2)
        return pooled + dcnbuild.deform_psroi_pool(y, rois, spatial_scale=1.0, pooled_size=2)


def test_every_function() -> None:
    model = Calls()
    given = (image(1, 18, 6, 6, seed=2), torch.tensor([[0.0, 1.0, 1.0, 4.0, 4.0]]))
    traced = torch.fx.symbolic_trace(model)
    assert dcnbuild.deform_roi_pool in targets(traced.graph)
    torch.testing.assert_close(traced(*given), model(*given))


def test_features_of_torchvision() -> None:
    pytest.importorskip("torchvision")
    from torchvision.models.feature_extraction import create_feature_extractor

    model = nn.Sequential(dcnbuild.DCN(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    x = image(1, 3, 6, 5)
    features = create_feature_extractor(model, {"0": "deformed", "1": "relu"})(x)
    assert torch.equal(features["deformed"], model[0](x))
    assert torch.equal(features["relu"], model[1](model[0](x)))


def test_a_subclass_sees_the_function() -> None:
    """`__torch_function__`, which modes and counters use as well."""
    seen = []

    class Seen(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    offset = image(1, 18, 6, 6).as_subclass(Seen)
    output = deform_conv2d(image(1, 4, 6, 6), offset, image(4, 4, 3, 3), padding=1)
    assert deform_conv2d in seen and type(output) is Seen
