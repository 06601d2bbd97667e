"""Fixes that have to help where they are pasted: the right owner, the full path, the package of the release."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doctor.outside.score import GIVEN
from doctor.reading import findings

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, read_log
from dcnbuild.machine.facts import Facts


def fix(log: str, facts: Facts | None = None) -> list[str]:
    """The lines of the first fix."""
    return list(read_log(log, facts)[0].fix) if facts else list(findings(log)[0].fix)


_SSH = "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n"


def test_a_submodule_is_fetched_into_its_checkout_and_pips_own_clone_by_pip() -> None:
    into = "\nfatal: clone of 'git@github.com:NVIDIA/cutlass.git' into submodule path '/home/m/G/third_party/c' failed"
    found = findings(_SSH + "\nPlease make sure you have the correct access rights\nand the repository exists." + into)
    assert [one.id for one in found] == ["git-access"]
    assert "git config --global url.https://github.com/.insteadOf git@github.com:" in found[0].fix
    assert found[0].fix[-1] == "git submodule update --init --recursive"
    cloned = fix("Cloning into 'ops'...\ngit@github.com:ada/ops.git\n" + _SSH)
    assert cloned[-1] == "git clone --recursive https://github.com/ada/ops.git"
    by_pip = "Collecting git+https://github.com/ada/net.git\n  Running command git clone --quiet\n"
    assert not any("submodule" in line or "NVIDIA/cutlass" in line for line in fix(by_pip + _SSH + into))


@pytest.mark.parametrize(
    ("source", "project"),
    [
        ("/home/a/src/flash-attention/csrc/flash_attn/src/flash.h", "/home/a/src/flash-attention"),
        ("/home/a/GroundingDINO/groundingdino/models/GroundingDINO/csrc/a.h", "/home/a/GroundingDINO"),
        ("/w/net-1.2/net/csrc/cuda/a.h", "/w/net-1.2"),
        ("/home/ada/ada/csrc/a.h", "/home/ada/ada"),
    ],
)
def test_the_project_is_what_lies_around_the_first_csrc(source: str, project: str) -> None:
    lines = fix(f"running build_ext\n{source}:12:10: fatal error: cute/tensor.hpp: No such file or directory")
    assert f"cd {project}" in lines


def test_a_release_with_operators_is_taken_by_the_installer_of_its_project() -> None:
    log = "AssertionError: MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4, <2.2.0."
    assert fix(log)[-1] == "mim install 'mmcv>=2.0.0rc4,<2.2.0'"
    other = "ImportError: tokenizers>=0.20,<0.21 is required for a normal functioning of this module, but found tokenizers==0.19.1."
    assert fix(other)[0].startswith("pip install 'tokenizers>=0.20,<0.21'")


def test_temporary_files_move_to_a_full_path(tmp_path: Path) -> None:
    (line,) = [line for line in fix("/tmp/tmpxft_0-1_a.ii: No space left on device") if "TMPDIR" in line]
    shown = subprocess.run(["sh", "-c", f"{line}; echo $TMPDIR"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.stdout.startswith(str(tmp_path)) and Path(shown.stdout.strip()).is_dir()


@pytest.mark.parametrize(
    ("release", "wanted"),
    [
        ("(Ubuntu 11.4.0-1ubuntu1~22.04)", "libopenmpi3"),
        ("(Ubuntu 13.2.0-23ubuntu4~24.04)", "libopenmpi3t64"),
        ("# R35 (release), REVISION: 4.1", "libopenmpi3"),
        ("", "libopenmpi-dev"),
    ],
)
def test_a_library_is_of_the_package_of_the_release(release: str, wanted: str) -> None:
    lines = fix(f"gcc {release}\nOSError: libmpi_cxx.so.40: cannot open shared object file: No such file or directory")
    assert lines[0] == f"sudo apt-get install {wanted}"


def test_where_a_release_has_no_such_library_that_is_said() -> None:
    missing = "ImportError: libffi.so.7: cannot open shared object file: No such file or directory"
    assert "has no libffi.so.7" in fix(f"gcc (Ubuntu 13.2.0-23ubuntu4~24.04) 13.2.0\n{missing}")[0]
    unknown = fix(missing)
    assert unknown[0] == "apt-cache search --names-only libffi" and "libffi7 of Ubuntu 20.04" in unknown[1]


def test_what_pip_cloned_is_cloned_to_be_ported() -> None:
    log = (
        "Collecting pointnet2-ops\n"
        "  Cloning https://github.com/erikwijmans/Pointnet2_PyTorch.git to /tmp/pip-install-b0/pointnet2-ops_1a9e\n"
        "/tmp/pip-install-b0/pointnet2-ops_1a9e/pointnet2_ops_lib/a.h:10:5: error: 'AT_CHECK' was not declared"
        " in this scope"
    )
    assert [line for line in fix(log) if not line.startswith("#")] == [
        "git clone --recursive https://github.com/erikwijmans/Pointnet2_PyTorch",
        "dcnbuild port --in-place Pointnet2_PyTorch",
        "pip install --no-build-isolation ./Pointnet2_PyTorch/pointnet2_ops_lib",
    ]


def test_long_becomes_int64_in_the_sources(tmp_path: Path) -> None:
    log = (
        "a.obj : error LNK2001: unresolved external symbol "
        '"public: long * __cdecl at::TensorBase::data_ptr<long>(void)const " (??$data_ptr@J@TensorBase@at@@QEBAPEAJXZ)'
    )
    (line,) = [line for line in fix(log) if "int64_t" in line and not line.startswith("rem ")]
    program = re.fullmatch(r'python -c "(.*)"', line)
    assert program is not None and ast.parse(program[1])
    source = tmp_path / "a.cpp"
    source.write_bytes(b"long *p = x.data_ptr<long>(); long long n; unsigned long m; int belong; // \xe9")
    subprocess.run([sys.executable, "-c", program[1]], cwd=tmp_path, check=True)
    assert source.read_bytes() == (
        b"int64_t *p = x.data_ptr<int64_t>(); long long n; unsigned long m; int belong; // \xe9"
    )
    assert effects.of_line(line) == "environment"


@pytest.mark.parametrize(
    "shown",
    [
        "",  # nothing of this one
        "ada@box:~$ pip install .",
        "(base) ada@box:~$ nvidia-smi",
        "gcc (Ubuntu 13.2.0-23ubuntu4~24.04) 13.2.0",
        "-- The CXX compiler identification is GNU 7.5.0",
        "| NVIDIA-SMI 510.47.03    Driver Version: 510.47.03    CUDA Version: 11.6     |",
        "Jetson Orin",
    ],
)
def test_a_log_of_another_machine_is_not_told_of_this_one(shown: str) -> None:
    from dataclasses import replace

    here = replace(HEALTHY, machine=replace(HEALTHY.machine, root=True, distribution="ubuntu 22.04"))
    error = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
    here = replace(here, toolkits=(replace(HEALTHY.toolkits[0], root=Path("/opt/cuda-of-mine")),))
    frame = f'  File "{here.python.prefix}/lib/python3.11/site-packages/torch/utils/cpp_extension.py", line 9, in f'
    assert any("cuda-of-mine" in line for line in fix(f"{frame}\n{error}", here))
    assert not any("cuda-of-mine" in line for line in fix(f"{shown}\n{error}", here))


_CLANG = "crt/host_config.h:153:2: error: -- unsupported clang version! clang version must be less than 18"


def test_cmake_takes_its_host_compiler_from_its_own_variable_and_a_new_directory() -> None:
    lines = fix(f"/opt/cuda/bin/nvcc -forward-unknown-to-host-compiler -ccbin=/usr/bin/clang++ -c a.cu\n{_CLANG}")
    assert "yay -S gcc13" in lines and "export CUDAHOSTCXX=/usr/bin/g++-13" in lines
    assert "cmake -B build-gcc" in lines and not any("NVCC_PREPEND" in line for line in lines)
    assert "export NVCC_PREPEND_FLAGS=-ccbin=/usr/bin/g++" in fix(_CLANG)


def test_clang_takes_the_headers_of_the_newest_gcc() -> None:
    lines = fix(
        "/opt/rocm/lib/llvm/lib/clang/17/include/cuda_wrappers/cmath:27:15: fatal error: 'cmath' file not found"
    )
    assert "libstdc++-$(ls /usr/lib/gcc" in lines[-1] and "sort -n | tail -n 1)-dev" in lines[-1]


def test_docker_compose_asks_for_gpus_in_its_file() -> None:
    error = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"
    lines = "\n".join(fix(f"trainer-1  | {error}\ntrainer-1 exited with code 1"))
    assert "#     gpus: all\n" in lines and "docker run" not in lines
    assert "#         reservations:\n#           devices:\n" in lines
    assert "docker run --gpus all" in "\n".join(fix(f"root@0123456789ab:/workspace# python a.py\n{error}"))


def test_a_path_with_blanks_and_a_macro_of_windows() -> None:
    header = r"C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v11.8/include\cub/device/a.cuh"
    log = f'{header}(338): error: expected an identifier\n1 error detected in the compilation of "F:/w/net-1/net/csrc/a.cu".'
    found = findings(log)[0]
    assert found.id == "windows-macros" and "cd /d F:\\w\\net-1" in found.fix
    assert findings(log.replace("v11.8", "v12.8"))[0].id == "library-headers"
    assert "C:/Program Files/NVIDIA GPU" in findings(log.replace("v11.8", "v12.8"))[0].cause


def test_the_pip_that_pip_names_is_taken() -> None:
    log = (
        "WARNING: Ignoring version 2.0.6 of omegaconf since it has invalid metadata:\n"
        "Please use pip<24.1 if you need to use this version.\n"
        "ERROR: Cannot install fairseq and fairseq==0.12.2 because these package versions have conflicting dependencies."
    )
    assert fix(log)[1:] == ["pip install 'pip<24.1'", "pip install fairseq==0.12.2"]


def test_a_projects_own_tool_builds_the_package_of_the_log() -> None:
    error = "ModuleNotFoundError: No module named 'torch'"
    lines = fix(f"$ uv sync\n  × Failed to build `net`\n  ├─▶ The build backend returned an error\n{error}")
    assert "uv sync --inexact --no-build-isolation-package net" in lines
    assert any("tool.uv" in line for line in lines)
    lines = fix(
        f'$ pdm add net\n  x Install net 2.8.3 failed\nBuild backend raised error\n  File "<string>", line 22, in <module>\n{error}'
    )
    assert "pdm add --no-isolation net==2.8.3" in lines


@pytest.mark.parametrize(
    "error",
    ["AssertionError: Torch not compiled with CUDA enabled", "ERROR: No matching distribution found for torch==2.4.1"],
)
def test_torchvision_and_torchaudio_go_along_with_torch(error: str) -> None:
    lines = [line for line in fix(error) if "pip install" in line]
    assert lines and all("torchvision" in line and "torchaudio" in line for line in lines)


def test_ninja_does_not_read_letters_outside_of_ascii() -> None:
    line = "ninja: error: build.ninja:3: lexing error"
    assert (
        findings(f"Using C:\\Users\\Григорий\\AppData as PyTorch extensions root...\n{line}")[0].id == "path-not-ascii"
    )
    assert findings(line)[0].id != "path-not-ascii"


def test_no_comment_holds_what_a_shell_replaces() -> None:
    """Interactive zsh and csh read on after `#`."""
    logs = [rule.example for rule in RULES] + [path.read_text("utf-8", "replace") for path in GIVEN.glob("*.log")]
    for log in logs:
        for found in read_log(log):
            for line in found.fix:
                assert not (line.startswith("# ") and re.search(r"\$\(|`", line)), (found.id, line)
