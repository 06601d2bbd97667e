"""Builds projects as they are and as they are ported to the stable ABI: their results on the CPU are the same.

DCNBUILD_SECOND_PYTHON names a Python that has another torch; the same library is loaded there too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.stable.abi import Target

pytestmark = pytest.mark.slow
CASES = Path(__file__).with_name("stable_cases")

_CALL = {
    "ms-deform-attn": """
import MultiScaleAttention as m
shapes, starts = torch.tensor([[6, 4], [3, 2]]), torch.tensor([0, 24])
value, places = torch.rand(2, 30, 2, 4).double(), torch.rand(2, 5, 2, 2, 3, 2).double() * 1.2 - 0.1
weights = torch.rand(2, 5, 2, 2, 3).double()
out = m.ms_deform_attn_forward(value, shapes, starts, places, weights, 64)
found = [out, *m.ms_deform_attn_backward(value, shapes, starts, places, weights, out.cos(), 64)]
""",
    "grounding-ops": """
from groundingdino import _C as m
x, rows, w = torch.rand(7, 3), torch.tensor([1, 8, 3, 0]), torch.rand(4)
y = x.clone()
m.scale_(y, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 1)
found = [*m.sample(x, rows, w, 2.0), *m.sample(value=x, locations=rows, weights=None), y]
assert m.get_compiler_version().startswith("GCC") and m.has_cuda() is False
""",
}
_RUN = """
import json, sys
import torch
torch.manual_seed(0)
{call}
print(json.dumps([x.double().flatten().tolist() for x in found]))
"""


def build(root: Path, environment: dict[str, str]) -> None:
    """Builds a project's extensions in place."""
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def results(python: str, root: Path, name: str) -> list[list[float]]:
    program = _RUN.format(call=_CALL[name])
    done = subprocess.run([python, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[list[float]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(
    "DCNBUILD_PORTED" not in os.environ, reason="takes ten minutes: nox -s port_stable_archives runs it"
)
@pytest.mark.parametrize("name", sorted(_CALL))
def test_the_ported_library_computes_the_same(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "FORCE_CUDA": "0", "CUDA_HOME": "", "MAX_JOBS": "1"}
    old = CASES / name / "in"
    for folder, options in (
        ("today", Options()),
        ("stable", Options(stable=Target())),
    ):
        write_copy(old, tmp_path / folder, port_project(old, options).files)
        build(tmp_path / folder, environment)
    wanted = results(sys.executable, tmp_path / "today", name)
    assert all(wanted) and results(sys.executable, tmp_path / "stable", name) == wanted
    found = (tmp_path / "stable").rglob("*_library*.so")
    libraries = [path for path in found if "build" not in path.relative_to(tmp_path).parts]
    assert len(libraries) == 1
    audit = [sys.executable, "-m", "dcnbuild", "audit", str(libraries[0])]
    said = subprocess.run(audit, capture_output=True, text=True, check=True).stdout
    assert "stable ABI: 2.10 and newer" in said and "no name of its C API" in said
    second = os.environ.get("DCNBUILD_SECOND_PYTHON")
    if second is None:
        pytest.skip(f"built and equal in torch {torch.__version__}; DCNBUILD_SECOND_PYTHON names no other")
    assert results(second, tmp_path / "stable", name) == wanted
