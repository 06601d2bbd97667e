"""The sampling of DCNv3 and DCNv4 inside PyTorch: torch.compile, export and AOTInductor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from integration.features import DYNAMIC, needs
from integration.models import gradients, image
from ops.cases import assert_close
from ops.point_cases import differentiated
from ops.sample_cases import SampleCase, grid_sampled
from torch import Tensor, nn

import dcnbuild

#: Two images' sizes; the output has other ones.
CASES = [SampleCase(2, size, 2, 6).but(stride=(2, 1), remove_center=True) for size in ((6, 5), (9, 7))]  # fmt: skip


class Network(nn.Module):
    """DCNv3 and then DCNv4, which is given the image as a sequence, on an image [N, H, W, 16]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = dcnbuild.DCNv3(16, group=2, offset_scale=0.7)
        self.second = dcnbuild.DCNv4(16, group=1, remove_center=True)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        n, height, width, channels = x.shape
        output: Tensor = self.second(x.flatten(1, 2), (height, width))
        return output.view(n, height, width, channels)


@needs("torch.compile(fullgraph=True)")
@pytest.mark.parametrize("dynamic", DYNAMIC, ids=["static", "dynamic"])
def test_the_function_compiled(dynamic: bool) -> None:
    torch._dynamo.reset()

    def call(input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return dcnbuild.deform_sample(input.flatten(3), offset, mask, *CASES[0].attributes)

    compiled = torch.compile(call, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for case in CASES:
        tensors = case.tensors(0, torch.float32)
        expected = differentiated(lambda *t: grid_sampled(*t, CASES[0].attributes), tensors)
        assert_close(differentiated(compiled, tensors), expected, 1e-5)


@pytest.mark.slow
@needs("torch.compile(dynamic=True)")
def test_modules_compiled() -> None:
    torch._dynamo.reset()
    model = Network()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((2, 5, 6, 16), (3, 9, 4, 16)):
        x = image(*shape)
        output, expected = compiled(x), model(x)
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
        assert_close(gradients(model, output), gradients(model, expected), 1e-5)


@pytest.mark.slow
@needs("AOTInductor packages")
def test_exported_and_compiled_ahead_of_time(tmp_path: Path) -> None:
    """One program of any batch and size, saved and loaded again, and its package."""
    model = Network().eval()
    sizes = {
        0: torch.export.Dim("n", min=1, max=64),
        1: torch.export.Dim("h", min=2, max=512),
        2: torch.export.Dim("w", min=2, max=512),
    }
    with torch.no_grad():
        program = torch.export.export(model, (image(2, 5, 6, 16),), dynamic_shapes=(sizes,))
        torch.export.save(program, tmp_path / "network.pt2")
        loaded = torch.export.load(tmp_path / "network.pt2").module()
        package = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "compiled.pt2"))
        run = torch._inductor.aoti_load_package(package)
        for shape in ((1, 9, 4, 16), (3, 2, 11, 16)):
            x = image(*shape, seed=4)
            expected = model(x)
            assert expected.abs().max() > 0.1
            for made in (loaded, run):
                torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)
