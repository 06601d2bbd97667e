"""Small models that tests compile, export and train."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import dcnbuild


class Aligned(nn.Module):
    """Two deformable convolutions in a row, the second with two offset groups, none at its initial zero offsets."""

    def __init__(self, **first: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = dcnbuild.DCN(3, 4, 3, padding=1, **first)
        self.second = dcnbuild.DCN(4, 2, 3, padding=1, offset_groups=2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(self, input: Tensor) -> Tensor:
        """[N, 3, H, W] → [N, 2, H', W']."""
        output: Tensor = self.second(torch.relu(self.first(input)))
        return output


def image(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(model: nn.Module, output: Tensor) -> dict[str, Tensor]:
    """The gradients of all parameters for the mean square of an output."""
    names, parameters = zip(*model.named_parameters())
    return dict(zip(names, torch.autograd.grad(output.square().mean(), parameters)))


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        assert wanted.abs().max() > 0, name
        torch.testing.assert_close(actual[name], wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()))
