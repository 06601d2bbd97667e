"""Tests what is said where dcnbuild has nothing for an old name, and the versions that old packages are asked for."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from compat.files import python, run, write

from dcnbuild.compat.advice import UNSERVED, advice
from dcnbuild.compat.importing import install

IMPORTS = {
    "from . import deformable_aggregation_with_depth_ext": "weighted by depth",
    "from ._msmv_sampling_cuda import forward": "msmv_sampling_pytorch",
    "import D3D": "three-dimensional",
    "from . import deform_conv_3d_cuda": "three-dimensional",
    "from dfa3D import ext_loader": "depth",
    "from .._ext.deform_conv import deform_conv_cuda": "--install",
    "import _ext": "--install _ext",
    "import DCN": "--install DCN",
    "from mmcv.cnn import ConvModule": "mmcv-lite",
    "from mmcv.utils import ext_loader": "mmcv-lite",
    "from DCNv2.dcn_v2 import FlowGuidedDCN": "submodule update",
    "from dcn_v2_ext import dcn_forward": "has no dcn_forward: build",
    "import dcn_v2_ext; dcn_v2_ext.dcn_forward": "has no dcn_forward: build",
}


@pytest.mark.parametrize("statement", IMPORTS)
def test_what_is_missing_is_explained(statement: str, repository: Path) -> None:
    write(repository / "nets" / "__init__.py")
    write(repository / "nets" / "ops" / "__init__.py")
    write(repository / "nets" / "ops" / "file.py", statement + "\n")
    install("mmcv.ops")
    install()
    with pytest.raises((ImportError, AttributeError)) as raised:
        run("import nets.ops.file")
    assert IMPORTS[statement] in str(advice(raised.value))


def test_the_cause_of_an_error_is_searched(repository: Path) -> None:
    write(repository / "nets.py", "try:\n    import D3D\nexcept ImportError:\n    raise RuntimeError('build it')\n")
    install()
    with pytest.raises(RuntimeError) as raised:
        run("import nets")
    assert "three-dimensional" in str(advice(raised.value))


@pytest.mark.parametrize(
    "error", [ImportError("no"), ModuleNotFoundError("no", name="numpy.x"), AttributeError("no"), ValueError("D3D")]
)
def test_other_errors_are_left(error: Exception) -> None:
    assert advice(error) is None


def test_a_fallback_of_the_repository_is_taken(repository: Path) -> None:
    install()
    for name in UNSERVED:
        found = run(f"try:\n    from nets import {name}\nexcept ImportError:\n    found = 'in torch'")
        assert found["found"] == "in torch"


def test_a_script_s_error_ends_with_the_advice(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("from torch.utils.cpp_extension import load\nload('deform_attn', ['op/deform_attn_ext.cpp'])\n")
    done = python(tmp_path, "-m", "dcnbuild.compat", script)
    assert done.returncode == 1 and "queries and keys; dcnbuild has no such operator" in done.stderr


def test_the_version_of_dcnv3(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    assert importlib.metadata.version("DCNv3") == "1.1"
    assert "DCNv3" not in {each.metadata["Name"] for each in importlib.metadata.distributions()}
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("DCNv2")
    monkeypatch.delitem(sys.modules, "pkg_resources", raising=False)
    code = (
        "import pkg_resources\nversion = pkg_resources.get_distribution('DCNv3').version\n"
        "try:\n    pkg_resources.get_distribution('DCNv2')\nexcept pkg_resources.DistributionNotFound as error:\n"
        "    absent = str(error)"
    )
    found = run(code)
    assert found["version"] == "1.1" and "DCNv2" in str(found["absent"])


def test_pkg_resources_of_an_older_setuptools_is_asked_first(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    class DistributionNotFound(Exception):
        pass

    def get_distribution(name: str) -> str:
        if name != "numpy":
            raise DistributionNotFound(name)
        return "theirs"

    theirs: Any = ModuleType("pkg_resources")
    theirs.DistributionNotFound, theirs.get_distribution = DistributionNotFound, get_distribution
    monkeypatch.setitem(sys.modules, "pkg_resources", theirs)
    monkeypatch.delitem(sys.modules, "dcnbuild.compat.pkg_resources_versions", raising=False)
    install()
    assert theirs.get_distribution("numpy") == "theirs" and theirs.get_distribution("DCNv3").version == "1.1"
    with pytest.raises(DistributionNotFound):
        theirs.get_distribution("DCNv2")
