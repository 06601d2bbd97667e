"""Tests torch.jit.script, which torch has deprecated, of functions and modules, like torchvision's."""

from __future__ import annotations

import io

import pytest
import torch
from integration.features import needs
from integration.models import image
from torch import Tensor, nn

import dcnbuild
from dcnbuild import deform_conv2d

pytestmark = [
    needs("torch.jit.script"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


def scripted_call(x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    first = dcnbuild.deform_conv2d(x, offset, weight, padding=1)
    return first + deform_conv2d(x, offset, weight, None, (1, 1), [1, 1], mask=None)


def test_a_function_that_calls_ours() -> None:
    x, offset, weight = image(2, 4, 5, 6), image(2, 36, 5, 6, seed=2), image(4, 2, 3, 3, seed=3)
    scripted = torch.jit.script(scripted_call)
    assert torch.equal(scripted(x, offset, weight), 2 * deform_conv2d(x, offset, weight, padding=1))
    with pytest.raises(RuntimeError, match="offset has size"):
        scripted(x, offset[:, :, 1:], weight)
    assert torch.equal(
        torch.jit.script(deform_conv2d)(x, offset, weight, padding=1),
        deform_conv2d(x, offset, weight, padding=1),
    )


class Net(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.predicts = dcnbuild.DCN(4, 4, (3, 2), padding=(1, 1), stride=2, offset_groups=2, **options)
        self.given = dcnbuild.DeformConv2d(4, 3, 3, padding=1, groups=1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return self.given(self.predicts(x), offset) + self.given(self.predicts(x), offset, mask)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"modulated": False}], ids=str)
def test_modules(options: dict[str, bool]) -> None:
    torch.manual_seed(0)
    net, x = Net(**options), image(2, 4, 7, 8)
    size = net.predicts(x).shape[2:]
    given = (x, image(2, 18, *size, seed=2), image(2, 9, *size, seed=3))
    scripted = torch.jit.script(net)
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    expected = net(*given)
    for program in (scripted, torch.jit.load(buffer)):
        output = program(*given)
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)
    output.sum().backward()
