"""Tests when operators are registered, and what replaces a missing library. Each test runs in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hang import HANG

import dcnbuild

pytestmark = pytest.mark.slow

CALL = """
import torch, dcnbuild
torch.manual_seed(0)
arguments = (torch.randn(1, 2, 5, 5), torch.randn(1, 18, 5, 5), torch.rand(1, 9, 5, 5), torch.randn(3, 2, 3, 3), None,
             [1, 1], [1, 1], [1, 1], 1, 1)
expected = dcnbuild.reference.deform_conv2d(arguments[0], arguments[1], arguments[3], padding=1, mask=arguments[2])
"""


def python(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter, away from the checkout."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def output_of(code: str, tmp_path: Path, **environment: str) -> str:
    done = python(code, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("order", ["import torch; import dcnbuild", "import dcnbuild; import torch"])
def test_operators_are_there_with_torch_in_either_order(order: str, tmp_path: Path) -> None:
    code = f"{order}\nprint(torch.ops.dcnbuild.deform_conv2d.default._schema.name)"
    assert output_of(code, tmp_path) == "dcnbuild::deform_conv2d"


@pytest.mark.parametrize("order", ["import torch; import dcnbuild", "import dcnbuild; import torch"])
def test_the_functions_are_in_the_packages_dictionary_once_torch_is_there(order: str, tmp_path: Path) -> None:
    asked = (
        "there = set(vars(dcnbuild)); from dcnbuild.ops.operators import __all__ as names; print(set(names) - there)"
    )
    assert output_of(f"{order}\n{asked}", tmp_path) == "set()"


@pytest.mark.parametrize("name", sorted({home: name for name, home in dcnbuild._HOMES.items()}.values()))
def test_each_name_may_be_what_imports_torch_first(name: str, tmp_path: Path) -> None:
    code = f"import dcnbuild; dcnbuild.{name}; import torch; print(torch.ops.dcnbuild.deform_attn.default._schema.name)"
    done = python(code, tmp_path, PYTHONWARNINGS="error::RuntimeWarning")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "dcnbuild::deform_attn", "")


def test_importing_dcnbuild_does_not_import_torch(tmp_path: Path) -> None:
    code = "import sys, dcnbuild; print(dcnbuild.__version__, 'torch' in sys.modules)"
    assert output_of(code, tmp_path).split()[1] == "False"


def test_torch_is_left_as_it_was(tmp_path: Path) -> None:
    code = "import dcnbuild, torch; print(type(torch.__spec__.loader).__module__, torch.__loader__ is torch.__spec__.loader)"
    module, same = output_of(code, tmp_path).split()
    assert "dcnbuild" not in module
    assert same == "True"


def test_a_broken_torch_breaks_only_what_needs_it(tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libtorch_cpu.so: no such file')\n")
    code = """
import sys
sys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else ".")
import dcnbuild
from dcnbuild.cli import main
assert main(["--version"]) == 0
try:
    dcnbuild.DeformConv2d
except ImportError as error:
    print("ImportError:", error)
"""
    assert "ImportError: libtorch_cpu.so" in output_of(code, tmp_path)


@pytest.mark.parametrize("forced", [True, False], ids=["asked for", "no compiler"])
def test_the_reference_serves_and_says_so_unless_asked_for(forced: bool, tmp_path: Path) -> None:
    without_prebuilt = (
        "from pathlib import Path\nfrom dcnbuild.builder import native\nnative.PREBUILT = Path('nowhere')\n"
    )
    code = (
        without_prebuilt
        + CALL
        + """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    first = torch.ops.dcnbuild.deform_conv2d(*arguments)
    x = arguments[0].requires_grad_()
    dcnbuild.deform_conv2d(x, arguments[1], arguments[3], padding=1, mask=arguments[2]).sum().backward()
assert torch.equal(first, expected) and x.grad.abs().max() > 0
print(native.status("cpu").route, *(str(w.message) for w in caught if "dcnbuild" in str(w.message)), sep="@")
"""
    )
    nowhere = {
        "PATH": str(tmp_path),
        "CXX": "",
        "CC": "",
        "DCNBUILD_CACHE": str(tmp_path / "cache"),
    }
    environment = {"DCNBUILD_ROUTE": "reference"} if forced else {**nowhere, "DCNBUILD_ROUTE": ""}
    route, *messages = output_of(code, tmp_path, **environment).split("@")
    assert route == "reference"
    assert len(messages) == (0 if forced else 1)
    assert forced or "compiler" in messages[0]


def test_tracing_never_compiles_and_the_first_execution_does(tmp_path: Path, quick_compiler: str) -> None:
    code = (
        CALL
        + """
from pathlib import Path
from torch._subclasses.fake_tensor import FakeTensorMode
from dcnbuild.builder import native
cache = Path(__import__("os").environ["DCNBUILD_CACHE"])
built = lambda: sorted(path.name for path in cache.rglob("*.so"))
with FakeTensorMode() as mode:
    fake = [mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in arguments]
    traced = torch.ops.dcnbuild.deform_conv2d(*fake)
assert traced.shape == (1, 3, 5, 5) and native.status("cpu").route is None and not built(), built()
real = torch.ops.dcnbuild.deform_conv2d(*arguments)
assert native.status("cpu").route == "jit" and built() == ["dcnbuild_cpu.so"], built()
print((real - expected).abs().max().item() < 1e-5)
"""
    )
    environment = {"DCNBUILD_ROUTE": "jit", "DCNBUILD_CACHE": str(tmp_path / "cache")}
    assert output_of(code, tmp_path, **environment, CXX=quick_compiler) == "True"


def test_cuda_never_falls_back_silently(tmp_path: Path) -> None:
    """Where no CUDA library can be had, asking for one raises with the reason; DCNBUILD_ROUTE=reference opts in."""
    pytest.importorskip("yaml", reason="PyYAML, which a build needs, is not installed")
    code = """
import torch, dcnbuild
from dcnbuild.builder import native
from dcnbuild.errors import FindingError
try:
    print("served by", native.ensure("cuda"))
except FindingError as error:
    print("FindingError:", error)
"""
    environment = {
        "DCNBUILD_CACHE": str(tmp_path / "cache"),
        "DCNBUILD_CUDA": "off",
        "DCNBUILD_ROUTE": "jit",
    }
    assert output_of(code, tmp_path, **environment).startswith("FindingError:")
    assert output_of(code, tmp_path, DCNBUILD_ROUTE="reference") == "served by reference"


def test_an_unknown_route_is_refused(tmp_path: Path) -> None:
    """The first execution raises for an unknown route, once; importing neither raises nor warns."""
    code = CALL.replace("expected =", "print('imported')\nexpected =")
    code += "torch.ops.dcnbuild.deform_conv2d(*arguments)"
    done = python(code, tmp_path, DCNBUILD_ROUTE="fast")
    assert done.returncode != 0 and done.stdout.strip() == "imported"
    assert done.stderr.count("DCNBUILD_ROUTE is 'fast', expected one of prebuilt") == 1
    assert "Warning" not in done.stderr
