"""Tests old import names: unmodified code finds dcnbuild's modules, and no module that is already imported is replaced.

They run in this process and restore the import system afterwards, since a new process costs seconds.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from compat.files import run, write

import dcnbuild.compat
from dcnbuild.compat.importing import MODULES, install
from dcnbuild.compat.names import CLASSES


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("dcn_v2", "from dcn_v2 import DCN, DCNv2, dcn_v2_conv"),
        ("dcn_v2", "import dcn_v2; dcn_v2.DCN"),
        ("DCNv2.dcn_v2", "from DCNv2.dcn_v2 import DCN"),
        ("DCNv2.dcn_v2", "import DCNv2.dcn_v2; DCNv2.dcn_v2.DCN"),
        ("DCNv2", "from DCNv2 import DCN"),
        ("dcn_v2_ext", "import dcn_v2_ext as _backend; _backend.dcn_v2_forward, _backend.dcn_v2_backward"),
        ("_ext", "import _ext as _backend; _backend.dcn_v2_forward"),
        ("_ext.dcn_v2", "from _ext import dcn_v2 as _backend; _backend.dcn_v2_psroi_pooling_cuda_forward"),
        ("_ext.modulated_dcn", "from _ext import modulated_dcn as b; b.modulated_deform_conv_cuda_forward"),
        ("DCN", "import DCN; DCN.deform_psroi_pooling_forward"),
        ("deform_conv_cuda", "import deform_conv_cuda; deform_conv_cuda.modulated_deform_conv_cuda_forward"),
        ("mmdet.ops.dcn.deform_conv_cuda", "from mmdet.ops.dcn.deform_conv_cuda import deform_conv_forward_cuda"),
        ("x.deform_pool_cuda", "from x.deform_pool_cuda import deform_psroi_pooling_cuda_forward"),
        ("basicsr.ops.dcn.deform_conv_ext", "from basicsr.ops.dcn.deform_conv_ext import deform_conv_forward"),
        ("mmdet.ops.dcn", "from mmdet.ops.dcn import DeformConvPack, ModulatedDeformRoIPoolingPack, deform_conv"),
        ("basicsr.ops.dcn", "from basicsr.ops.dcn.deform_conv import ModulatedDeformConvPack, modulated_deform_conv"),
        ("assets.ops.dcn", "from assets.ops.dcn.functions.deform_pool import DeformRoIPoolingFunction as F; F.apply"),
        ("m.layers.dcn", "from m.layers.dcn.deform_conv_module import DeformConv"),
        ("DCN", "from DCN import DCN, DCNv2, dcn_v2_conv"),
        ("DCN.dcn_v2", "from DCN.dcn_v2 import DCN; DCN(2, 2, 3)"),
        ("modulated_deform_conv", "from modulated_deform_conv import ModulatedDeformConv2dPack as DCN, "
                                  "modulated_deform_conv2d"),
        ("mmcv.ops", "from mmcv.ops import ModulatedDeformConv2dPack, deform_conv2d"),
        ("mmcv.ops", "from mmcv.ops.deform_conv import DeformConv2d"),
        ("detectron2._C", "from detectron2._C import deform_conv_forward, nms_rotated"),
        ("cvpods._C", "from cvpods import _C; _C.modulated_deform_conv_forward, _C.nms"),
        ("detectron2.layers.deform_conv", "from detectron2.layers.deform_conv import ModulatedDeformConv"),
        ("deform_conv_v2", "from deform_conv_v2 import DeformConv2d; DeformConv2d(2, 2).p_conv"),
    ],
)  # fmt: skip
def test_names_import_after_install(name: str, statement: str, repository: Path) -> None:
    install(name)
    run(statement)


def test_a_repository_with_its_own_unbuilt_copy_imports(repository: Path) -> None:
    networks = repository / "lib" / "models" / "networks"
    write(networks / "DCNv2" / "dcn_v2.py", "import _ext as _backend\n")
    write(networks / "pose_dla.py", "from .DCNv2.dcn_v2 import DCN\n")
    # No directory at all: a submodule that was never checked out.
    write(repository / "net.py", "from DCNv2.dcn_v2 import DCN\nimport DCNv2\n")
    install("DCNv2.dcn_v2")
    found = run("from lib.models.networks.pose_dla import DCN\nimport net\nsame = net.DCN is DCN")
    assert found["same"] and found["DCN"] is dcnbuild.compat.dcn_v2.DCN


def test_a_directory_called_dcnv2_keeps_its_other_modules(repository: Path) -> None:
    write(repository / "DCNv2" / "helper.py", "VALUE = 7\n")
    write(repository / "DCNv2" / "dcn_v2.py", "import _ext\n")
    install()
    assert run("from DCNv2.dcn_v2 import DCN\nfrom DCNv2.helper import VALUE")["VALUE"] == 7


def test_generic_names_are_left_unless_given(repository: Path) -> None:
    install()
    for name in (
        "_ext",
        "mmcv",
        "mmcv.ops",
        "detectron2",
        "mmdet",
        "lib",
        "_backend",
        "DCN",
        "dcn",
    ):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def test_an_imported_module_is_never_covered(repository: Path) -> None:
    write(repository / "dcn_v2.py", "DCN = 'the original'\n")
    run("import dcn_v2")
    with pytest.raises(ImportError, match=r"dcn_v2 is imported already, from .*dcn_v2\.py"):
        install("deform_conv_ext", "dcn_v2")
    with pytest.raises(ModuleNotFoundError):
        run("import deform_conv_ext")
    assert run("from dcn_v2 import DCN")["DCN"] == "the original"


def test_installing_twice_changes_nothing(repository: Path) -> None:
    install("dcn_v2", "DCNv2.dcn_v2", "mmcv.ops")
    before, meta_path = run("import dcn_v2")["dcn_v2"], list(sys.meta_path)
    install("dcn_v2", "DCNv2.dcn_v2", "mmcv.ops")
    assert sys.modules["dcn_v2"] is before and sys.meta_path == meta_path


def test_a_working_mmcv_is_left_alone(repository: Path) -> None:
    write(repository / "mmcv" / "__init__.py")
    install("mmcv.ops")
    found = run("import mmcv, mmcv.ops\nfile, name = mmcv.__file__, mmcv.ops.DeformConv2d.__name__")
    assert found["file"] is not None and found["name"] == "DeformConv2d"


def test_a_built_mmcv_is_not_replaced(repository: Path) -> None:
    write(repository / "mmcv" / "__init__.py")
    write(repository / "mmcv" / "_ext.abi3.so")
    with pytest.raises(ImportError, match=r"dcnbuild\.convert"):
        install("mmcv.ops")


def test_unknown_names_are_explained(repository: Path) -> None:
    with pytest.raises(ValueError, match=r"'torchvision\.ops'") as error:
        install("torchvision.ops")
    assert all(name in str(error.value) for name in MODULES)


def test_an_old_name_that_dcnbuild_itself_lacks_is_pointed_to() -> None:
    for name, module in CLASSES.items():
        assert hasattr(importlib.import_module(f"dcnbuild.compat.{module}"), name)
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'; dcnbuild\.compat\.{module} has it"):
            getattr(dcnbuild, name)
    with pytest.raises(AttributeError, match=r"no attribute 'DeformConv2D'$") as raised:
        dcnbuild.DeformConv2D  # type: ignore[attr-defined]  # noqa: B018
    assert (raised.value.name, raised.value.obj) == ("DeformConv2D", dcnbuild)  # by which Python says "Did you mean"
