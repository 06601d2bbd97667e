"""Tests old import names: unmodified code finds dcnbuild's modules, and no module that is already imported is replaced.

Most tests run in this process and restore the import system afterwards, since a new process costs seconds.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hang import HANG

import dcnbuild.compat
from dcnbuild.compat import importing
from dcnbuild.compat.importing import MODULES, install
from dcnbuild.compat.running import VARIABLE, Run, run_as_main


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory on sys.path, and no old names; all that is imported in the test is forgotten after it."""
    meta_path, modules = list(sys.meta_path), set(sys.modules)
    monkeypatch.setattr(importing, "_installed", set())
    monkeypatch.setattr(importing, "_left_alone", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield tmp_path
    sys.dont_write_bytecode = before
    sys.meta_path[:] = meta_path
    for name in set(sys.modules) - modules:
        # What torch imports on its way stays: sympy does not know the numbers of a second sympy.
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        elsewhere = origin is not None and not Path(origin).is_relative_to(tmp_path)
        if not elsewhere and name.partition(".")[0] not in ("dcnbuild", "torch", "torchvision"):
            del sys.modules[name]


def run(code: str) -> dict[str, object]:
    """What is defined once the code has run."""
    namespace: dict[str, object] = {}
    exec(code, namespace)
    return namespace


def write(path: Path, text: str = "") -> None:
    """Writes a file, and makes the directories above it packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    importlib.invalidate_caches()


def python(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
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
        ("modulated_deform_conv", "from modulated_deform_conv import ModulatedDeformConv2dPack as DCN, modulated_deform_conv2d"),
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


@pytest.mark.slow
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


def test_what_is_no_name_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # which is put back afterwards
    for name in ("..", ".script"):
        with pytest.raises(SystemExit, match="full name"):
            run_as_main(Run(name, True, (), ()))


@pytest.mark.slow
def test_a_script_may_ask_for_more_names(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import _ext, sys; print(_ext.dcn_v2_forward.__name__, sys.argv[1])\n")
    runner = ("-m", "dcnbuild.compat", "--install", "_ext")
    assert output_of(tmp_path, *runner, script, "x") == "dcn_v2_forward x"
    assert output_of(tmp_path, *runner, "-m", "script", "x") == "dcn_v2_forward x"
    failed = python(tmp_path, *runner, "nowhere.py")
    assert failed.returncode == 2 and "nowhere.py" in failed.stderr
    script.write_text("import sys; print(sys.argv)\n")
    assert output_of(tmp_path, *runner, "-m", "script", "-m") == str([str(script), "-m"])
    absent = python(tmp_path, *runner, "-m", "script.nowhere")
    assert (
        absent.returncode == 1
        and absent.stderr.count("\n") == 1
        and "script.nowhere" in absent.stderr
    )
    script.write_text("raise SystemExit(3)\n")
    assert python(tmp_path, *runner, script).returncode == 3


#: Asks for names in the processes that it starts, and imports no torch, which would take seconds in each.
SPAWNING = f"""
import importlib.util, multiprocessing, sys, threading

def work(queue, how):
    spec = importlib.util.find_spec("dcn_v2")
    queue.put((how, type(spec.loader).__module__ if spec else None, __name__, sys.argv[1:]))

if __name__ == "__main__":
    for how in sys.argv[1].split(","):
        context = multiprocessing.get_context(how)
        queue = context.Queue()
        process = context.Process(target=work, args=(queue, how))
        process.start()
        print(*queue.get(timeout={HANG}))
        process.join()
"""


def test_processes_that_a_script_starts_have_the_names(tmp_path: Path) -> None:
    package = tmp_path / "tools"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(SPAWNING)
    (package / "again.py").write_text(
        "from .train import work\n" + SPAWNING.replace("def work", "def other")
    )
    runner = ("-m", "dcnbuild.compat")
    ours = "dcnbuild.compat.importing __mp_main__ ['spawn,forkserver']"
    expected = f"spawn {ours}\nforkserver {ours}"
    assert output_of(tmp_path, *runner, package / "train.py", "spawn,forkserver") == expected
    said = output_of(tmp_path, *runner, "-m", "tools.again", "spawn")  # with a relative import
    assert said == "spawn dcnbuild.compat.importing tools.train ['spawn']"
    # Without the runner, a child says why it cannot be one.
    alone = python(tmp_path, "-m", "dcnbuild.compat.child")
    assert "DCNBUILD_COMPAT_RUN is not set" in alone.stderr


def test_the_runner_leaves_names_to_the_repository(tmp_path: Path) -> None:
    (tmp_path / "dcn_v2.py").write_text("DCN = 'its own'\n")
    (tmp_path / "script.py").write_text(
        "import importlib.util as u; from dcn_v2 import DCN; print(DCN, u.find_spec('dcn_v2_ext') is not None)\n"
    )
    arguments = ("-m", "dcnbuild.compat", "--not", "dcn_v2", "script.py")
    assert output_of(tmp_path, *arguments) == "its own True"
