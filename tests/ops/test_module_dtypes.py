"""An input whose dtype is not the module's: the error is in the module's name and says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import dcnbuild

MODULES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, torch.dtype], Tensor]]] = {
    "DCN": (lambda: dcnbuild.DCN(4, 4, 3, padding=1), lambda m, t: m(torch.ones(1, 4, 5, 5).to(t))),
    "DCNv3": (lambda: dcnbuild.DCNv3(16), lambda m, t: m(torch.ones(1, 5, 5, 16).to(t))),
    "DCNv4": (lambda: dcnbuild.DCNv4(16), lambda m, t: m(torch.ones(1, 25, 16).to(t))),
    "DeformAttn": (
        lambda: dcnbuild.DeformAttn(16, heads=2, levels=1),
        lambda m, t: m(torch.ones(1, 3, 16).to(t), torch.ones(1, 25, 16).to(t), torch.rand(1, 3, 1, 2), [(5, 5)]),
    ),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_another_dtype_than_the_weights(name: str, dtype: torch.dtype) -> None:
    make, call = MODULES[name]
    with pytest.raises(dcnbuild.ArgumentTypeError) as raised:
        call(make(), dtype)
    said = str(raised.value)
    assert said.startswith(f"{name}: ") and f" is {dtype}, and the module's weights are torch.float32" in said
    assert ".to(torch.float32)" in said
    assert (f"module.to({dtype})" in said) == dtype.is_floating_point


@pytest.mark.parametrize("name", MODULES)
def test_autocast_converts_by_itself(name: str) -> None:
    make, call = MODULES[name]
    with torch.autocast("cpu", torch.bfloat16):
        assert call(make(), torch.bfloat16).dtype == torch.bfloat16


def test_a_layer_of_another_kind_decides_itself() -> None:
    class Casting(nn.Conv2d):
        weight = property(lambda self: None)  # type: ignore[assignment]

        def __init__(self, of: nn.Conv2d) -> None:
            nn.Module.__init__(self)
            self.of = of

        def forward(self, input: Tensor) -> Tensor:
            return self.of(input.float()).to(input.dtype)

    module = dcnbuild.DCN(4, 4, 3, padding=1).bfloat16()
    module.conv_offset = Casting(module.conv_offset.float())
    assert module(torch.ones(1, 4, 5, 5, dtype=torch.bfloat16)).dtype == torch.bfloat16
