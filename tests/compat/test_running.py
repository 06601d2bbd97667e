"""Tests `python -m dcnbuild.compat`, which runs scripts with the old names, and the processes that they start."""

from __future__ import annotations

from pathlib import Path

import pytest
from compat.files import output_of, python
from hang import HANG

from dcnbuild.compat.running import VARIABLE, Run, run_as_main

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
        "import torch\ndef make_data():\n    x = torch.randn(4, 1, 12, 12)\n    return x, x.roll(2, dims=3) * 0.5\n"
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
    assert absent.returncode == 1 and absent.stderr.count("\n") == 1 and "script.nowhere" in absent.stderr
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
    (package / "again.py").write_text("from .train import work\n" + SPAWNING.replace("def work", "def other"))
    runner = ("-m", "dcnbuild.compat")
    ours = "dcnbuild.compat.loading __mp_main__ ['spawn,forkserver']"
    expected = f"spawn {ours}\nforkserver {ours}"
    assert output_of(tmp_path, *runner, package / "train.py", "spawn,forkserver") == expected
    said = output_of(tmp_path, *runner, "-m", "tools.again", "spawn")  # with a relative import
    assert said == "spawn dcnbuild.compat.loading tools.train ['spawn']"
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
