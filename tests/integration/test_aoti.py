"""AOTInductor packages, from Python and from C++: the code is that of docs/pytorch.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hang import HANG
from integration.features import needs
from torch import nn

import dcnbuild
from dcnbuild.base.versions import numbers
from dcnbuild.builder import native
from dcnbuild.builder.flavour import STABLE_TARGET

pytestmark = [pytest.mark.slow, needs("AOTInductor packages")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pytorch.md"


def block(language: str) -> str:
    """Returns the code block in one language of the page's section on AOTInductor."""
    section = PAGE.read_text(encoding="utf-8").split("\n## AOTInductor\n")[1].split("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return str(found)


def model_of_the_page() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        dcnbuild.DCN(3, 8, 3, padding=1),
        nn.ReLU(),
        dcnbuild.DCN(8, 3, 3, padding=1, offset_groups=2),
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs the page's Python block, which compares the outputs itself, and returns the directory."""
    folder = tmp_path_factory.mktemp("aoti")
    model = model_of_the_page()
    sizes = {
        0: torch.export.Dim("batch", min=1, max=64),
        2: torch.export.Dim("height", min=2, max=1024),
        3: torch.export.Dim("width", min=2, max=1024),
    }
    with torch.no_grad():
        program = torch.export.export(model, (torch.rand(2, 3, 24, 20),), dynamic_shapes=({**sizes},))
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(
            block("python"),
            {"torch": torch, "program": program, "image": torch.rand(1, 3, 31, 40), "model": model},
        )
    finally:
        os.chdir(before)
    return folder


def test_the_package_runs_in_python(folder: Path) -> None:
    run, model = torch._inductor.aoti_load_package(folder / "compiled.pt2"), model_of_the_page()
    for shape in ((2, 3, 24, 20), (5, 3, 9, 12)):
        x = torch.rand(shape)
        with torch.no_grad():
            expected = model(x)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(run(x), expected, rtol=1e-5, atol=1e-5)


def test_the_package_runs_in_cpp(folder: Path) -> None:
    if not shutil.which("g++"):
        pytest.skip("there is no g++")
    native.ensure("cpu")
    if numbers(str(torch.__version__))[:2] < STABLE_TARGET:
        pytest.skip(f"torch {torch.__version__} lacks the stable ABI")
    (folder / "run_model.cpp").write_text(block("cpp"))
    done = subprocess.run(
        ["bash", "-e", "-c", block("sh")],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        output = model_of_the_page()(torch.linspace(-1, 1, 2 * 3 * 24 * 20).reshape(2, 3, 24, 20))
    sizes, total = done.stdout.strip().rsplit(" ", 1)
    assert sizes == str(list(output.shape))
    assert float(total) == pytest.approx(output.abs().sum().item(), rel=1e-5)
