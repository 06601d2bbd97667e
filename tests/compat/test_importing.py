"""Old import names: unmodified code finds dcnbuild's modules, and nothing that is there already is covered up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcnbuild.compat.importing import MODULES


def python(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )


def output_of(tmp_path: Path, *arguments: str | Path) -> str:
    done = python(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
        ("deform_conv_cuda", "import deform_conv_cuda; deform_conv_cuda.modulated_deform_conv_cuda_forward"),
        ("mmdet.ops.dcn.deform_conv_cuda", "from mmdet.ops.dcn.deform_conv_cuda import deform_conv_forward_cuda"),
        ("basicsr.ops.dcn.deform_conv_ext", "from basicsr.ops.dcn.deform_conv_ext import deform_conv_forward"),
        ("mmcv.ops", "from mmcv.ops import ModulatedDeformConv2dPack, deform_conv2d"),
        ("mmcv.ops", "from mmcv.ops.deform_conv import DeformConv2d"),
        ("detectron2.layers.deform_conv", "from detectron2.layers.deform_conv import ModulatedDeformConv"),
    ],
)  # fmt: skip
def test_names_import_after_install(name: str, statement: str, tmp_path: Path) -> None:
    code = f"import dcnbuild.compat; dcnbuild.compat.install({name!r}); {statement}; print('there')"
    assert output_of(tmp_path, "-c", code) == "there"


def test_a_repository_with_its_own_unbuilt_copy_imports(tmp_path: Path) -> None:
    networks = tmp_path / "lib" / "models" / "networks"
    (networks / "DCNv2").mkdir(parents=True)
    (networks / "DCNv2" / "dcn_v2.py").write_text("import _ext as _backend\n")
    (networks / "pose_dla.py").write_text("from .DCNv2.dcn_v2 import DCN\n")
    # No directory at all: a submodule that was never checked out.
    (tmp_path / "net.py").write_text("from DCNv2.dcn_v2 import DCN\nimport DCNv2\n")
    code = """
import dcnbuild.compat
dcnbuild.compat.install("DCNv2.dcn_v2")
from lib.models.networks.pose_dla import DCN
import net
assert net.DCN is DCN
print(DCN.__module__)
"""
    assert output_of(tmp_path, "-c", code) == "dcnbuild.compat.dcn_v2"


def test_a_directory_called_dcnv2_keeps_its_other_modules(tmp_path: Path) -> None:
    (tmp_path / "DCNv2").mkdir()
    (tmp_path / "DCNv2" / "helper.py").write_text("VALUE = 7\n")
    (tmp_path / "DCNv2" / "dcn_v2.py").write_text("import _ext\n")
    code = """
import dcnbuild.compat
dcnbuild.compat.install()
from DCNv2.dcn_v2 import DCN
from DCNv2.helper import VALUE
print(VALUE)
"""
    assert output_of(tmp_path, "-c", code) == "7"


def test_generic_names_are_left_unless_given(tmp_path: Path) -> None:
    code = """
import importlib, dcnbuild.compat
dcnbuild.compat.install()
for name in ("_ext", "mmcv", "mmcv.ops", "detectron2", "mmdet", "lib", "_backend"):
    try:
        importlib.import_module(name)
        print("found", name)
    except ModuleNotFoundError:
        pass
print("done")
"""
    assert output_of(tmp_path, "-c", code) == "done"


def test_an_imported_module_is_never_covered(tmp_path: Path) -> None:
    (tmp_path / "dcn_v2.py").write_text("DCN = 'the original'\n")
    code = """
import sys, dcn_v2, dcnbuild.compat
try:
    dcnbuild.compat.install("deform_conv_ext", "dcn_v2")
except ImportError as error:
    print(error)
import dcn_v2
try:
    import deform_conv_ext
except ModuleNotFoundError:
    print(dcn_v2.DCN)
"""
    refusal, after = output_of(tmp_path, "-c", code).splitlines()
    assert "dcn_v2 is imported already" in refusal and "dcn_v2.py" in refusal
    assert after == "the original"


def test_installing_twice_changes_nothing(tmp_path: Path) -> None:
    code = """
import sys, dcnbuild.compat
dcnbuild.compat.install("dcn_v2", "DCNv2.dcn_v2")
import dcn_v2
before = list(sys.meta_path)
dcnbuild.compat.install("dcn_v2", "DCNv2.dcn_v2")
print(sys.modules["dcn_v2"] is dcn_v2, sys.meta_path == before)
"""
    assert output_of(tmp_path, "-c", code) == "True True"


def test_a_working_mmcv_is_left_alone(tmp_path: Path) -> None:
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").write_text("")
    code = """
import sys, dcnbuild.compat
try:
    dcnbuild.compat.install("mmcv.ops")
    import mmcv, mmcv.ops
    print("installed beside", mmcv.__file__ is not None, mmcv.ops.DeformConv2d.__name__)
except ImportError as error:
    print("refused:", error)
"""
    assert output_of(tmp_path, "-c", code) == "installed beside True DeformConv2d"
    (package / "_ext.abi3.so").write_text("")
    refusal = output_of(tmp_path, "-c", code)
    assert refusal.startswith("refused:") and "dcnbuild.convert" in refusal


def test_unknown_names_are_explained(tmp_path: Path) -> None:
    done = python(
        tmp_path, "-c", "import dcnbuild.compat; dcnbuild.compat.install('torchvision.ops')"
    )
    assert "ValueError" in done.stderr and "'torchvision.ops'" in done.stderr
    assert all(name in done.stderr for name in MODULES)


#: A script of the old style, word for word as such scripts are: it knows nothing of dcnbuild.
SCRIPT = """
import sys
import torch
import torch.nn as nn
from dcn_v2 import DCN
from helper import make_data

class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.dcn = DCN(1, 8, kernel_size=(3, 3), stride=1, padding=1, dilation=1, deformable_groups=1)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        return self.head(torch.relu(self.dcn(x)))

if __name__ == '__main__':
    torch.manual_seed(0)
    net = Net()
    x, y = make_data()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(60):
        loss = ((net(x) - y) ** 2).mean()
        if step == 0:
            first = loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = net.dcn.conv_offset_mask.weight.abs().max().item()
    print(sys.argv[1:], first / loss.item() > 4, moved > 0)
    torch.save(net.state_dict(), sys.argv[-1])
"""


def test_an_unmodified_script_trains(tmp_path: Path) -> None:
    directory = tmp_path / "repository"
    directory.mkdir()
    (directory / "train.py").write_text(SCRIPT)
    (directory / "helper.py").write_text(
        "import torch\n"
        "def make_data():\n"
        "    x = torch.randn(4, 1, 12, 12)\n"
        "    return x, x.roll(2, dims=3) * 0.5\n"
    )
    said = output_of(tmp_path, "-m", "dcnbuild.compat", directory / "train.py", "--epochs", "w.pth")
    assert said == "['--epochs', 'w.pth'] True True"
    keys = output_of(tmp_path, "-c", "import torch; print(*torch.load('w.pth'))").split()
    assert "dcn.conv_offset_mask.weight" in keys and "dcn.weight" in keys
    # Without the old names, the script cannot even start.
    assert "No module named 'dcn_v2'" in python(tmp_path, directory / "train.py").stderr


def test_a_script_may_ask_for_more_names(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import _ext, sys; print(_ext.dcn_v2_forward.__name__, sys.argv[1])\n")
    runner = ("-m", "dcnbuild.compat", "--install", "_ext")
    assert output_of(tmp_path, *runner, script, "x") == "dcn_v2_forward x"
    assert output_of(tmp_path, *runner, "-m", "script", "x") == "dcn_v2_forward x"
    failed = python(tmp_path, *runner, "nowhere.py")
    assert failed.returncode == 2 and "nowhere.py" in failed.stderr
    script.write_text("raise SystemExit(3)\n")
    assert python(tmp_path, *runner, script).returncode == 3
