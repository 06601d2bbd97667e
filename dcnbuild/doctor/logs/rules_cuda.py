"""The CUDA toolkit: where it is, and whether it is the one that torch was built with."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.commands import cuda_home, install_toolkit, pip_torch
from dcnbuild.doctor.logs.patterns import QUOTE, SHELL
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _mismatch_versions(hit: Hit) -> tuple[str, str]:
    """(CUDA of the toolkit, CUDA of torch), "" where the log is cut off before it."""
    text = " ".join(hit.log.near(hit.line, after=4))
    torch = re.search(r"PyTorch\s?\((\d+\.\d+)\)", text)
    return hit["cuda"], torch.group(1) if torch else hit["torch_cuda"]


def _mismatch_cause(hit: Hit) -> str:
    toolkit, torch = _mismatch_versions(hit)
    against = f"torch was built for CUDA {torch}" if torch else "torch was built for another CUDA"
    return f"The nvcc in use is CUDA {toolkit}, but {against}."


def _mismatch_fix(hit: Hit) -> tuple[str, ...]:
    toolkit, torch = _mismatch_versions(hit)
    lines: tuple[str, ...] = ()
    if torch:
        lines += (install_toolkit(hit, torch), *cuda_home(hit, torch))
    release = known.torch_for_cuda(toolkit)
    if release:
        lines += (f"# or the torch for CUDA {toolkit}:", pip_torch(toolkit, release))
    return lines or ('python -c "import torch; print(torch.version.cuda)"', *cuda_home(hit))


def _home(hit: Hit) -> str | None:
    """The CUDA_HOME that was meant by a broken one, as far as it can be told."""
    path = hit["nvcc"].replace("\\\\", "\\")
    home = re.sub(r"[/\\]bin[/\\]nvcc(?:\.exe)?$", "", path)
    parts = [part.strip("\"' =") for part in re.split(r":(?![\\/]{1,2}\w+ Files)|;", home)]
    if hit.context.windows:
        parts = [home.strip("\"' ")]
    for part in parts:
        part = re.sub(r"[/\\](?:bin[/\\]nvcc|bin|lib64|include|nvcc)[/\\]?$", "", part)
        if re.match(r"/\w|[A-Za-z]:", part):
            return part
    return None


def _nvcc_cause(hit: Hit) -> str:
    nvcc, home = hit["nvcc"], _home(hit)
    if "/" not in nvcc and "\\" not in nvcc:
        return (
            "nvcc is not on PATH: no CUDA toolkit is installed, or its bin directory is not there."
        )
    if nvcc[:1] in ":;" or re.search(r"(?<=.):/", nvcc):
        return f'CUDA_HOME is a list of paths, or begins or ends with ":", so that "{nvcc}" is run.'
    if re.search(r"[\"'=]", nvcc):
        return f"CUDA_HOME has quotes or an equals sign in its value, so that {nvcc} is run."
    if re.search(r"bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin", nvcc):
        return f"CUDA_HOME names {home or 'something'}'s inside and not the toolkit: {nvcc} is run."
    return f"There is no {nvcc}: CUDA_HOME points where no CUDA toolkit is."


def _nvcc_fix(hit: Hit) -> tuple[str, ...]:
    nvcc, home = hit["nvcc"], _home(hit)
    broken = bool(
        re.search(r"^[:;]|.:/|[\"'=]|bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin", nvcc)
    )
    if home and broken and not hit.context.windows:
        return (f"export CUDA_HOME={home}", 'export PATH="$CUDA_HOME/bin:$PATH"')
    if hit.context.windows:
        return ("where nvcc", *cuda_home(hit, hit.get("toolkit")))
    return ("ls -d /usr/local/cuda*", *cuda_home(hit, None), "nvcc --version")


#: Every way of a shell, Python, distutils and CMake to say that there is no nvcc.
_NVCC = r"(?P<nvcc>[^\s'\"]{0,300}?nvcc(?:\.exe)?)"

_NVCC_QUOTED = r"'(?P<nvcc>[^'\n]{0,300}?nvcc(?:\.exe)?)'"


RULES = (
    LogRule(
        id="cuda-home-unset",
        title="CUDA_HOME is not set",
        patterns=(
            ("is not set", r"(?:CUDA_HOME|CUDA_PATH) environment variable is not set"),
            ("CUDA was not found", r"CUDA was not found on the system, please set the CUDA_HOME"),
            ("is not set", r"[Ee]rror.{0,60}CUDA_HOME is not set"),
        ),
        cause="torch found no CUDA toolkit: CUDA_HOME is not set and no nvcc is on PATH (torch's "
        "wheels bring the runtime, not the compiler).",
        fix=lambda hit: (
            "ls -d /usr/local/cuda*" if not hit.context.windows else "where nvcc",
            *cuda_home(hit),
            *(
                ("conda install -c nvidia cuda-toolkit  # if none is installed",)
                if hit.context.conda
                else ()
            ),
        ),
        explains=("nvcc-not-found",),
        example="OSError: CUDA_HOME environment variable is not set. "
        "Please set it to your CUDA install root.",
    ),
    LogRule(
        id="cuda-mismatch",
        title="nvcc and torch disagree about CUDA",
        patterns=(
            (
                "mismatches the version",
                r"detected CUDA version \((?P<cuda>\d+\.\d+)\) mismatches the version",
            ),
            (
                "mismatches the version",
                r"detected CUDA version \(%s\) mismatches.{0,200}?'(?P<cuda>\d+\.\d+)'"
                r", '(?P<torch_cuda>\d+\.\d+)'",
            ),
            (
                "mismatches the version",
                r"detected CUDA version \(\{0\}\) mismatches.{0,200}?'(?P<cuda>\d+\.\d+)'"
                r", '(?P<torch_cuda>\d+\.\d+)'",
            ),
            (
                "does not match",
                r"Cuda extensions are being compiled with a version of Cuda that does not match",
            ),
        ),
        cause=_mismatch_cause,
        fix=_mismatch_fix,
        example="The detected CUDA version (11.8) mismatches the version that was used to compile "
        "PyTorch (13.0). Please make sure to use the same CUDA versions.",
    ),
    LogRule(
        id="nvcc-not-found",
        title="nvcc is not where it is looked for",
        patterns=(
            ("unable to execute", rf"unable to execute {_NVCC_QUOTED}"),
            ("not found", rf"{SHELL}{_NVCC}: (?:command )?not found"),
            ("No such file", rf"{SHELL}{_NVCC}: No such file"),
            ("not found", rf"command not found: {_NVCC}"),
            ("not found", rf"^{_NVCC}: command not found"),
            ("No such file", rf"No such file or directory:? ?{_NVCC_QUOTED}"),
            ("[Errno 20]", rf"Not a directory:? ?{_NVCC_QUOTED}"),
            ("failed: No", rf"command {_NVCC_QUOTED} failed: (?:No such|Not a dir)"),
            ("nvcc not found", rf"nvcc not found at {_NVCC_QUOTED}"),
            (
                "is not recognized",
                rf"{QUOTE}(?P<nvcc>nvcc){QUOTE} is not recognized as an internal",
            ),
            ("Failed to find", r"Failed to find (?P<nvcc>nvcc)\b"),
            ("ould not find nvcc", r"ould not find (?P<nvcc>nvcc)\b"),
            ("annot find nvcc", r"annot find (?P<nvcc>nvcc)\b"),
            ("could be found", r"No CMAKE_CUDA_COMPILER could be found(?P<nvcc>)"),
            ("not found or", r"CUDA_TOOLKIT_ROOT_DIR not found or specified(?P<nvcc>)"),
        ),
        unless=r"^-- |\bwarning\b ?:",
        cause=_nvcc_cause,
        fix=_nvcc_fix,
        example="/bin/sh: 1: :/usr/local/cuda/bin/nvcc: not found",
    ),
)
