"""Tests the share of right first findings, on the given cases and on rewordings of the same faults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from doctor.outside import score
from doctor.reading import VARIANTS, findings

from dcnbuild import explain
from dcnbuild.doctor.logs import RULES
from dcnbuild.port.code import Code
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules import RULES as PORT_RULES


def test_at_least_95_of_100_given_cases_are_right() -> None:
    scores = [score.score(score.GIVEN, name) for name in score.names(score.GIVEN)]
    assert len(scores) >= 60
    wrong = [item for item in scores if not item.right]
    assert len(wrong) <= 0.05 * len(scores), wrong


def test_no_given_healthy_log_raises_an_alarm() -> None:
    scores = [score.score(score.GIVEN, name) for name in score.names(score.GIVEN) if "-ok-" in name]
    assert len(scores) == 6
    assert [item for item in scores if not item.right] == []


def test_the_command_prints_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert score.main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in score.names(score.GIVEN))
    assert re.search(r"\d+ of \d+ first findings are right \(\d+%\)", printed)


def test_a_wrong_finding_counts_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("a.cpp:1:1: error: 'AT_CHECK' was not declared in this scope\n")
    (tmp_path / "a.json").write_text(json.dumps({"cause": "x", "must_match": ["TORCH_CHECK", "sed"]}))
    assert score.score(tmp_path, "a").missing == ("sed",)
    assert score.main([str(tmp_path)]) == 1


@pytest.mark.parametrize("case", VARIANTS, ids=[case["name"] for case in VARIANTS])
def test_variants(case: dict[str, Any]) -> None:
    found = findings(case["log"])
    if case.get("healthy"):
        assert [finding for finding in found if finding.severity == "error" or not case.get("warns")] == []
        return
    first = found[0]
    text = "\n".join((first.id, first.title, first.cause, *first.fix))
    assert first.severity == "error"
    assert [pattern for pattern in case["must_match"] if not re.search(pattern, text)] == []


def test_causes_have_no_holes() -> None:
    """What a message does not name is left out with the words around it."""
    logs = [case["log"] for case in VARIANTS] + [rule.example for rule in RULES]
    logs += [(score.GIVEN / f"{name}.log").read_bytes() for name in score.names(score.GIVEN)]
    hole = re.compile(r"(?<![\w)>])\(\s*\)| [,;.](?: |$)|: ?[.;)](?![./])|:\s*$|[^\s]  +[^\s]")
    causes = {finding.cause for log in logs for finding in findings(log)[:1]}
    assert [cause for cause in causes if hole.search(cause)] == []


#: The programs that fixes may call, beside those of a shell. Each is of a package that the fix, or the log, names.
PROGRAMS = frozenset(
    [
        "chmod",
        "sw_vers",
        "ffmpeg",
        "find",
        "rocm-sdk",
        "sacct",
        "sacctmgr",
        "ffmpeg",
        "fuser",
        "setsebool",
        "gh",
        "hf",
        "hipcc",
        "apt-cache",
        "apt-file",
        "apt-get",
        "apt-key",
        "apt-mark",
        "apk",
        "as",
        "auditwheel",
        "brew",
        "clang",
        "cmake",
        "codesign",
        "ren",
        "mv",
        "ds_report",
        "du",
        "wget",
        "trtexec",
        "wsl",
        "compute-sanitizer",
        "conda",
        "dcnbuild",
        "delvewheel",
        "df",
        "dkms",
        "dmesg",
        "dnf",
        "docker",
        "dpkg",
        "eval",
        "file",
        "findmnt",
        "findstr",
        "free",
        "g++",
        "gcc",
        "git",
        "grep",
        "ldconfig",
        "ldd",
        "ls",
        "make",
        "protoc",
        "ld",
        "lsmod",
        "mim",
        "mkdir",
        "modprobe",
        "mokutil",
        "ninja",
        "nix-shell",
        "nixos-rebuild",
        "nvcc",
        "nvidia-ctk",
        "nvidia-cuda-mps-control",
        "nvidia-smi",
        "pacman",
        "patchelf",
        "pip",
        "poetry",
        "printenv",
        "py",
        "python",
        "python3",
        "reg",
        "rm",
        "rmdir",
        "rmmod",
        "rocm-smi",
        "rocminfo",
        "sed",
        "set",
        "sh",
        "sudo",
        "systemctl",
        "tasklist",
        "ubuntu-drivers",
        "ulimit",
        "uname",
        "unset",
        "uv",
        "vcvarsall.bat",
        "where",
        "winget",
        "wsl.exe",
        "update-initramfs",
        "reboot",
        "tegrastats",
        "lspci",
        "modinfo",
        "touch",
        "SystemPropertiesPerformance.exe",
        "cat",
        "cmd",
        "timedatectl",
        "date",
        "hwclock",
        "FROM",
        "for",
        "tar",
        "cargo",
        "conda-unpack",
        "pixi",
        "pip-compile",
        "mamba",
        "netstat",
        "ss",
        "apptainer",
        "singularity",
        "xcode-select",
        "zypper",
        "cd",
        "export",
        "ENV",
        "RUN",
        "WORKDIR",
        "pdm",
        "pipenv",
        "ln",
        "yum",
        "rustup",
        "nproc",
        "yay",
        "tail",
        "amdgpu-install",
        "sacctmgr",
        "ip",
        "hostname",
        "ibv_devinfo",
        "fi_info",  # of libfabric
        "nvidia-smi.exe",
        "akmods",
        "kmodgenca",
        "nvidia-modprobe",
        "snap",
        "kubectl",
        "module",
        "sinfo",
        "cat",
        "head",
        "source",
        "activate",
        "cl",
    ]
)


def test_fixes_call_programs_that_exist() -> None:
    logs = [case["log"] for case in VARIANTS] + [rule.example for rule in RULES]
    for log in logs:
        for line in (line for finding in findings(log) for line in finding.fix):
            words = re.sub(r"^[!%]|sudo ", "", line).split()
            if words[0] in ("#", "rem", ".") or line.startswith(("import os; os.environ", "$")) or "=" in words[0]:
                continue
            if line in log:  # what has failed is run again as it was typed
                continue
            program = re.split(r"[/\\]", words[0])[-1]
            assert {program, program.removesuffix(".exe")} & PROGRAMS, line


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("a.cpp:1:1: error: ‘symeig’ is not a member of ‘at’", "auto x = at::symeig(y);"),
        ('a.cu(1): error: namespace "cub" has no member "GridBarrier"', "cub::GridBarrier b;"),
        ('a.cu(1): error: class "cudaDeviceProp" has no member '
         '"clockRate"', "int f(cudaDeviceProp p) { return p.clockRate; }"),
        ('a.cu(1): error: identifier "cudaThreadSynchronize" is undefined', "void f() { cudaThreadSynchronize(); }"),
        ("a.cpp:1:1: error: ‘AT_CHECK’ was not declared in this scope", 'void f(int x) { AT_CHECK(x, "x"); }'),
        ('a.cu(1): error: namespace "cub" has no member "Max"', "auto m = cub::Max();"),
    ],
)  # fmt: skip
def test_port_is_promised_where_it_changes_the_name(line: str, source: str) -> None:
    changes = any(list(rule.edits(Code(source), Scope())) for rule in PORT_RULES)
    (finding,) = explain(f"{line}\n")
    assert any(text.startswith("dcnbuild port") for text in finding.fix) == changes


def test_fixes_are_for_the_machine_of_the_log() -> None:
    def fix(log: str) -> str:
        return "\n".join(explain(log)[0].fix)

    missing = "error: command 'g++' failed: No such file or directory\n"
    assert "apt-get install" in fix(missing)
    assert "dnf install" in fix(f"Rocky Linux release 9.3\n{missing}")
    assert "apk add" in fix(f"fetch https://dl-cdn.alpinelinux.org\n{missing}")
    assert "sudo" not in fix(f"root@0123456789ab:/workspace# pip install .\n{missing}")
    isolated = "Preparing metadata (pyproject.toml)\nModuleNotFoundError: No module named 'torch'\n"
    assert "\npip install --no-build-isolation" in fix(isolated)
    assert "uv pip install --no-build-isolation" in fix(f"Resolved 3 packages in 9ms\n{isolated}")
    unset = "OSError: CUDA_HOME environment variable is not set.\n"
    assert "export CUDA_HOME=" in fix(f"torch 2.5.1+cu124\n{unset}")
    assert 'set "CUDA_HOME=' in fix(f"C:\\src> python setup.py install\n{unset}")
    assert "$env:CUDA_HOME" in fix(f"PS C:\\src> python setup.py install\n{unset}")
