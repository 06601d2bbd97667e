"""Where a line belongs when tox, nox or the queue of a cluster starts the program."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_MISMATCH = (
    "The detected CUDA version (11.8) mismatches the version that was used to compile\nPyTorch (12.1). Please make sure"
)
_THERE = "$ ls /usr/local | grep cuda\ncuda-12.1\n"
_TOX = "py310: commands[0]> pip install -e . --no-build-isolation\n"
_UNSET = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
_JOB = "# In the job script, before the line that starts the program:"


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            f"{_THERE}$ tox -e py310\n{_TOX}{_MISMATCH}",
            (
                "# In tox.ini, below set_env = of this environment, indented:",
                "CUDA_HOME=/usr/local/cuda-12.1",
                "PATH=/usr/local/cuda-12.1/bin:{env:PATH}",
            ),
        ),
        (
            f"{_TOX}  File \"/home/u/p/.tox/py310/lib/python3.10/site-packages/torch/utils/cpp_extension.py\", line 9, in f\n{_UNSET}",
            ("# pass_env = CUDA_HOME",),
        ),
        (
            "py310: commands[0]> pytest\n  File \"/p/.tox/py310/lib/python3.10/site-packages/x/y.py\", line 9, in f\nModuleNotFoundError: No module named 'yaml'",
            ("/p/.tox/py310/bin/python -m pip install pyyaml",),
        ),
        (
            ".pkg: get_requires_for_build_wheel> python x.py\n  File \"/p/setup.py\", line 3, in <module>\nModuleNotFoundError: No module named 'torch'\n.pkg: exit 1 (0.82 seconds) /p> python",
            ("# package = skip", "# commands_pre = pip install --no-build-isolation ."),
        ),
        (
            "nox > Running session tests\nnox > pytest\nModuleNotFoundError: No module named 'yaml'",
            ("# In noxfile.py, in the session, before the line that fails:", "session.install('pyyaml')"),
        ),
        *(
            (f"{_THERE}{job}\n{_MISMATCH}", (_JOB, "export CUDA_HOME=/usr/local/cuda-12.1"))
            for job in (
                "$ sbatch run.sh",
                "#PBS -l select=1:ngpus=1",
                "$ qsub job.pbs",
                "$ bsub < job.lsf",
                "#BSUB -q gpu",
                "Sender: LSF System <lsfadmin@node3>",
            )
        ),
    ],
)  # fmt: skip
def test_the_line_goes_where_the_program_is_started(log: str, lines: tuple[str, ...]) -> None:
    fix = findings(log)[0].fix
    at = fix.index(lines[0])
    assert fix[at : at + len(lines)] == lines, fix


def test_what_tox_and_nox_run_is_not_repeated() -> None:
    for log in (f"$ tox\n{_TOX}{_MISMATCH}", f"$ nox\nnox > pip install -e .\n{_MISMATCH}"):
        assert not any("install -e" in line for line in findings(log)[0].fix)
