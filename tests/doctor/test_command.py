"""Tests `dcnbuild doctor` on the command line, on this machine and on logs; test_command_arguments.py has its other
arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cpu_seconds import cpu_seconds
from machine.trees import compile_library, script, toolkit, write

import dcnbuild
from dcnbuild.cli import doctor as command
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.torch_install import find_torch

assert dcnbuild.__file__ is not None
IMPORTS = {"PYTHONPATH": str(Path(dcnbuild.__file__).parents[1])}


def run(*arguments: str, env: dict[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs the doctor in an environment that holds nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "dcnbuild", "doctor", *arguments],
        env={**IMPORTS, **env},
        input=stdin,
        capture_output=True,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def report(*arguments: str, env: dict[str, str]) -> dict[str, Any]:
    """The JSON report."""
    done = run("--json", *arguments, env=env)
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    errors = [item for item in document["findings"] if item["severity"] == "error"]
    assert done.returncode == (1 if errors else 0)
    return document


def finding(document: dict[str, Any], id: str) -> dict[str, Any]:
    (found,) = [item for item in document["findings"] if item["id"] == id]
    return dict(found)


def ids(document: dict[str, Any]) -> set[str]:
    return {item["id"] for item in document["findings"]}


@pytest.fixture
def wrapped(tmp_path: Path) -> dict[str, str]:
    """PATH with a wrapper script named nvcc that calls a toolkit without cusparse.h."""
    root = toolkit(tmp_path / "opt/cuda-13.0", "13.0")
    (root / "include/cusparse.h").unlink()
    script(tmp_path / "bin/nvcc", f'exec {root}/bin/nvcc "$@"')
    return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}


def test_the_wrapper_the_guess_and_the_missing_header(tmp_path: Path, wrapped: dict[str, str]) -> None:
    torch = find_torch()
    if torch is None or torch.cuda is None or not torch.cuda.startswith("13."):
        pytest.skip("the fake toolkit is CUDA 13, and this torch is not")
    document = report(env=wrapped)
    first = document["facts"]["toolkits"][0]
    assert first["root"] == str(tmp_path / "opt/cuda-13.0")
    assert first["missing"] == ["cusparse.h"]
    guess = finding(document, "cuda-home-guess")
    assert f"torch's guess: CUDA_HOME={tmp_path}" in guess["evidence"]
    assert guess["fix"] == [f"export CUDA_HOME={tmp_path}/opt/cuda-13.0"]
    assert "missing: cusparse.h" in finding(document, "toolkit-incomplete")["evidence"]


def test_no_gpu_and_no_driver_are_reported() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    document = report(env={"PATH": os.environ["PATH"]})
    assert document["facts"]["driver"]["version"] is None
    torch = find_torch()
    said = {"gpu-missing", "container-without-gpu", "wsl-without-gpu"} & ids(document)
    assert len(said) == bool(torch and torch.cuda)


def test_the_wrapper_of_this_machine() -> None:
    """On a machine whose nvcc on PATH is a script, the doctor says so by itself."""
    nvcc = next((p for d in os.get_exec_path() if (p := Path(d, "nvcc")).is_file()), None)
    if nvcc is None or not nvcc.read_bytes().startswith(b"#!"):
        pytest.skip("nvcc on PATH is no script here")
    document = report(env={"PATH": os.environ["PATH"]})
    guess = finding(document, "cuda-home-guess")
    assert guess["evidence"][0].startswith(f"PATH: {nvcc} leads to ")
    assert guess["fix"][0].startswith("export CUDA_HOME=")
    root = Path(document["facts"]["toolkits"][0]["root"])
    assert (root / "include/cuda_runtime.h").is_file()


def test_the_typo_of_the_notes(tmp_path: Path) -> None:
    meant = tmp_path / "usr/local/cuda-10.1/lib64"
    meant.mkdir(parents=True)
    typo = f"{tmp_path}/usr/lcoal/cuda-10.1/lib64"
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": f"{typo}:/usr/lib"}
    found = finding(report(env=env), "path-missing")
    assert typo in found["cause"]
    assert f"{meant} does." in found["cause"]
    assert found["fix"] == [f"export LD_LIBRARY_PATH={meant}:/usr/lib"]


def test_the_typo_to_the_letter() -> None:
    typo = "/usr/lcoal/cuda-10.1/lib64"
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": f"{typo}:"}
    found = finding(report(env=env), "path-missing")
    assert typo in found["evidence"][0]
    exists = Path("/usr/local/cuda-10.1/lib64").is_dir()
    assert ("/usr/local/cuda-10.1/lib64 does" in found["cause"]) == exists


@pytest.mark.parametrize("env", [{}, {"PATH": ""}, {"PATH": "/nowhere"}])
def test_without_an_environment(env: dict[str, str]) -> None:
    document = report(env=env)
    if env:
        assert finding(document, "compiler-missing")["severity"] == "error"
    assert run(env=env).stdout


def test_it_costs_less_than_half_of_importing_torch(importing_torch: float) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    run(env=env)  # reads the files once, as any machine has them that builds something
    assert min(cpu_seconds(lambda: run(env=env)) for _ in range(3)) < importing_torch / 2


def test_neither_torch_nor_numpy_is_imported() -> None:
    program = (
        "import sys\nfrom dcnbuild.cli import main\nmain(['doctor', '--json'])\n"
        "print([name for name in ('torch', 'numpy', 'rich') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_library_that_the_user_names(tmp_path: Path) -> None:
    path = compile_library(
        tmp_path / "_C.cpython-27-x86_64-linux-gnu.so",
        "void _ZN2at9never_wasEv(void); void f(void) { _ZN2at9never_wasEv(); }",
    )
    document = report(str(path), env={"PATH": os.environ["PATH"]})
    assert {"library-other-python", "library-other-torch"} <= ids(document)
    absent = report(str(tmp_path / "absent.so"), env={"PATH": os.environ["PATH"]})
    assert "library-unreadable" in ids(absent)


def test_a_wanted_torch() -> None:
    env = {"PATH": os.environ["PATH"]}
    document = report("--torch", "1.16", env=env)
    assert "torch-never-existed" in ids(document)
    assert "there never was a torch 1.16" in document["pip"]["problem"]
    done = run("--torch", "2.13", env=env)
    assert "pip install torch==2.13.0" in done.stdout


LOG = (
    b"csrc/dcn_v2.cu:4:10: fatal error: THC/THC.h: No such file or directory\n"
    b"ninja: build stopped: subcommand failed.\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_build_log(tmp_path: Path, encoding: str) -> None:
    file = write(tmp_path / "build.log", LOG.decode().encode(encoding))
    env = {"PATH": os.environ["PATH"]}
    from_file = report("--log", str(file), env=env)
    assert from_file["findings"][0]["id"] == "thc-headers"
    done = run("--json", "--log", "-", env=env, stdin=file.read_bytes())
    assert json.loads(done.stdout)["findings"] == from_file["findings"]
    assert done.returncode == 1


def test_a_clean_log(tmp_path: Path) -> None:
    file = write(tmp_path / "build.log", "[1/2] c++ -c a.cpp\n[2/2] c++ a.o -shared\n")
    done = run("--log", str(file), env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0
    assert done.stdout == "no known cause of a failure in this log.\n"


def test_when_it_cannot_do_its_work(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    done = run("--log", str(tmp_path / "absent.log"), env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "absent.log" in done.stderr
    assert run("--nonsense", env=env).returncode == 2


def test_a_doctor_that_crashes_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def crash(*arguments: object) -> Facts:
        raise RuntimeError("a probe fell over")

    monkeypatch.setattr(command, "collect", crash)
    from dcnbuild.cli import main

    assert main(["doctor"]) == 2
    assert "a probe fell over" in capsys.readouterr().err


@pytest.mark.parametrize("id", ["gpu-missing", "torch-missing", "ninja-missing"])
def test_the_exit_status_is_about_errors_only(
    id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "collect", lambda *arguments: EXAMPLES[id])
    from dcnbuild.cli import main

    assert main(["doctor"]) == (1 if id == "torch-missing" else 0)
    assert f"[{id}]" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["yaml", "rich", "packaging"])
def test_what_a_bare_python_lacks_is_named_with_the_line_that_installs_it(missing: str, tmp_path: Path) -> None:
    """A checkout on PYTHONPATH, in a Python without dcnbuild's requirements."""
    (tmp_path / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError('No module named {missing}', name={missing!r})\n"
    )
    done = run("--torch", "2.5", env={"PYTHONPATH": f"{tmp_path}:{IMPORTS['PYTHONPATH']}"})
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"no module {missing}" in done.stderr
    assert "-m pip install ninja packaging pyyaml rich" in done.stderr  # by python or python3
    assert "Traceback" not in done.stderr


def test_a_preloaded_library_that_is_missing_hides_no_compiler() -> None:
    """The loader's complaint stands before what `g++ --version` prints."""
    done = run("--json", env={"PATH": os.environ["PATH"], "LD_PRELOAD": "/nonexistent.so"})
    document = json.loads(done.stdout)
    assert "compiler-missing" not in ids(document)
    assert finding(document, "preload-missing")["fix"] == ["unset LD_PRELOAD"]
