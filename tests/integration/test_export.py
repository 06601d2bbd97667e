"""torch.export with dynamic batch and size: saved, loaded, run on other sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hang import HANG
from integration.features import needs
from integration.models import Aligned, image
from torch import Tensor, nn

import dcnbuild

pytestmark = needs("torch.export with Dim.AUTO")


@pytest.mark.parametrize(
    "first",
    [{}, {"modulated": False, "bias": False}, {"stride": 2}],
    ids=["v2", "v1", "strided"],
)
def test_any_batch_and_size(first: dict[str, Any], tmp_path: Path) -> None:
    model = Aligned(**first).eval()
    sides = {
        name: torch.export.Dim(name, min=4, max=512) for name in ("height", "width")
    }  # a stride needs a least size, as torch's convolutions do
    program = torch.export.export(
        model,
        (image(2, 3, 9, 8),),
        dynamic_shapes=({0: torch.export.Dim("batch"), 2: sides["height"], 3: sides["width"]},),
    )
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("dcnbuild.deform_conv2d.default") == 2
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    for shape in ((2, 3, 9, 8), (1, 3, 4, 5), (5, 3, 31, 17)):
        x = image(*shape, seed=2)
        assert torch.equal(loaded(x), model(x))


@pytest.mark.slow
def test_loads_in_another_process(tmp_path: Path) -> None:
    """Another process loads the program if it imports dcnbuild; it needs no code of the model."""
    model, x = Aligned().eval(), image(2, 3, 9, 8)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "model.pt2")
    torch.save({"input": x, "output": model(x).detach()}, tmp_path / "data.pt")
    code = """
import torch, dcnbuild
data = torch.load("data.pt")
print(torch.equal(torch.export.load("model.pt2").module()(data["input"]), data["output"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
    assert done.stdout.strip() == "True", done.stderr


def test_decompositions_keep_the_operator() -> None:
    model, x = Aligned().eval(), image(2, 3, 9, 8)
    program = torch.export.export(model, (x,)).run_decompositions()
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("dcnbuild.deform_conv2d.default") == 2
    torch.testing.assert_close(program.module()(x), model(x), rtol=1e-5, atol=1e-5)


class Pooled(nn.Module):
    def forward(self, input: Tensor, rois: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        return (
            dcnbuild.deform_roi_pool(input, rois, offset, output_size=2, sampling_ratio=2),
            dcnbuild.deform_psroi_pool(input, rois, offset, spatial_scale=0.5, pooled_size=2, trans_std=0.1),
        )


def test_poolings_of_any_number_of_rois(tmp_path: Path) -> None:
    def arguments(rois: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        corners = torch.tensor([0, 1.0, 1.0, 6.0, 5.0]).repeat(rois, 1) + torch.arange(rois)[:, None] * torch.tensor(
            [0, 0.5, 0.25, 0.75, 0.5]
        )
        return image(2, 4, height, width), corners, image(rois, 2, 2, 2, seed=2)

    any_number = torch.export.Dim("rois")
    any_size = {0: torch.export.Dim("batch"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(
        Pooled(),
        arguments(3, 9, 8),
        dynamic_shapes=(any_size, {0: any_number}, {0: any_number}),
    )
    torch.export.save(program, tmp_path / "pooled.pt2")
    loaded = torch.export.load(tmp_path / "pooled.pt2").module()
    for sizes in ((3, 9, 8), (7, 5, 12)):
        for actual, expected in zip(loaded(*arguments(*sizes)), Pooled()(*arguments(*sizes))):
            assert expected.abs().max() > 0.1
            assert torch.equal(actual, expected)
