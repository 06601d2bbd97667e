"""Lines of a fix that do what they say where they are pasted: in a file that has the table, in an image, in a shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from doctor.reading import findings

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Target

_LINE = 'build-constraint-dependencies = ["setuptools<81"]'
_NVCUVID = "ImportError: libnvcuvid.so.1: cannot open shared object file: No such file or directory"
_NO_GXX = "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[project]\nname = "x"\n', f'[project]\nname = "x"\n\n[tool.uv]\n{_LINE}\n'),
        ('[tool.uv]\ndev = []\n\n[project]\nname = "x"\n', f'[tool.uv]\n{_LINE}\ndev = []\n\n[project]\nname = "x"\n'),
    ],
)
def test_a_line_goes_into_the_one_table_of_its_name(tmp_path: Path, before: str, after: str) -> None:
    """TOML refuses a second table of the same name."""
    (tmp_path / "pyproject.toml").write_text(before)
    lines = fixes.line_in("pyproject.toml", "tool.uv", _LINE, False).lines(Target())
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, check=True)
    assert (tmp_path / "pyproject.toml").read_text() == after


def test_on_windows_the_line_is_told() -> None:
    lines = fixes.line_in("pyproject.toml", "tool.uv", "a = 1", False).lines(Target("powershell", "Windows"))
    assert lines == ("# Write this line into the table tool.uv of pyproject.toml:", "# a = 1")


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            f"$ docker run --gpus all --rm img python x.py\n{_NVCUVID}",
            "docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video --gpus all --rm img python x.py",
        ),
        (
            f"$ docker run --rm img python x.py\n{_NVCUVID}",
            "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video --rm img python x.py",
        ),
        (f"#9 [5/7] RUN python x.py\n#9 2.1 {_NVCUVID}", "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"),
        ("CondaError: Run 'conda init' before 'conda activate'", 'eval "$(conda shell.bash hook)"'),
        ("PS C:\\p> conda activate x\nCondaError: Run 'conda init' before 'conda activate'", "conda init powershell"),
        (
            "#9 [5/7] RUN conda activate env && pip install .\n"
            "#9 0.6 CommandNotFoundError: Your shell has not been properly configured to use 'conda activate'.",
            "RUN conda run -n env pip install .",
        ),
        ("ERROR: file:///home/u/x does not appear to be a Python project: neither 'setup.py'", "ls /home/u/x"),
    ],
)
def test_the_line_is_of_its_place(log: str, line: str) -> None:
    fix = findings(log)[0].fix
    assert line in fix, fix
    assert not any(other.startswith(("RUN docker", "sh -c 'eval")) or "file://" in other for other in fix)


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("pip install ninja && python setup.py build_ext --inplace", "python setup.py build_ext --inplace"),
        ("cd ops && pip install ninja && pip install -e . --no-build-isolation", "pip install -e . --no-build-isolation"),
        ("pip install ninja; pip install -e ./ops", "pip install -e ./ops"),
    ],
)  # fmt: skip
def test_of_two_commands_the_one_that_failed_is_given_again(command: str, again: str) -> None:
    fix = findings(f"$ {command}\nRequirement already satisfied: ninja\n  building 'x'\n{_NO_GXX}")[0].fix
    assert fix[-1] == again, fix


def test_the_first_of_two_that_failed_is_given_again() -> None:
    fix = findings(f"$ pip install -e . && python train.py\n  building 'x'\n{_NO_GXX}")[0].fix
    assert fix[-1] == "pip install -e .", fix


@pytest.mark.parametrize(
    "error",
    [
        "error: externally-managed-environment",
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1006)'))",
        "OSError: [Errno 28] No space left on device",
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["-i https://ada:secret@pypi.corp/simple", "--extra-index-url=https://pypi.corp/s"])
def test_an_index_of_somebody_is_not_repeated(error: str, option: str) -> None:
    for found in findings(f"$ pip install {option} detectron2\n{error}"):
        assert not any("pypi.corp" in line for line in found.fix), found.fix


@pytest.mark.parametrize(
    ("asked", "words"), [("numpy scipy", "numpy scipy"), ("-r requirements.txt", "-r requirements.txt")]
)
def test_each_of_several_packages_is_a_word_of_its_own(asked: str, words: str) -> None:
    denied = "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/usr/lib/python3/x'"
    assert f"%pip install --user {words}" in findings(f"In [1]: !pip install {asked}\n{denied}")[0].fix
