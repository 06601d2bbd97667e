"""Installs a ported project of torch.utils.ffi with pip, and compares its operator with dcnbuild's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import port_project
from dcnbuild.port.toolchain import find_toolchain

CASE = Path(__file__).with_name("cases") / "dcn-cffi" / "in"
_PROGRAM = """
import torch, dcnbuild
from mdconv import MDConv
torch.manual_seed(0)
module = MDConv(4, 3, 3, stride=2, padding=1, dilation=1, deformable_groups=2).double()
shapes = (2, 4, 6, 5), (2, 2 * 2 * 9, 3, 3), (2, 2 * 9, 3, 3)
x, offset, mask = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
inputs = x, offset, mask, module.weight, module.bias
theirs = module(x, offset, mask)
ours = dcnbuild.deform_conv2d(x, offset, module.weight, module.bias, stride=2, padding=1, mask=mask)
torch.testing.assert_close(theirs, ours)
grad = torch.randn_like(ours)
wanted = torch.autograd.grad(ours, inputs, grad)
torch.testing.assert_close(torch.autograd.grad(theirs, inputs, grad), wanted)
assert torch.autograd.gradcheck(lambda *given: module(*given), (x, offset, mask))
print("equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    "DCNBUILD_PORTED" not in os.environ, reason="takes minutes: nox -s port_stable_archives runs such builds"
)
def test_a_ported_project_installs_and_computes_what_ours_does(tmp_path: Path) -> None:
    write_copy(CASE, tmp_path / "project", port_project(CASE).files)
    site = tmp_path / "site"
    variables = {**find_toolchain(os.environ, Path(sys.executable), 1).environment}
    pip = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", f"--target={site}"]
    done = subprocess.run([*pip, str(tmp_path / "project")], capture_output=True, text=True, env=variables)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    variables["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, sys.path)])
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, cwd=tmp_path, env=variables)
    assert ran.stdout.strip() == "equal", ran.stderr[-3000:]
