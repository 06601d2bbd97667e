"""The CUDA toolkit: where it is, and whether it is the one that torch was built with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.advice import ASK_TORCH
from dcnbuild.doctor.logs.rule import Hit, LogRule

_VERSIONS = r"(?P<cuda>\d+\.\d+)"


def _mismatch_versions(hit: Hit) -> tuple[str, str]:
    """(CUDA of the toolkit, CUDA of torch), "" where the log is cut off before it."""
    text = " ".join(hit.log.near(hit.line, after=4))
    torch = re.search(r"PyTorch\s?\((\d+\.\d+)\)", text)
    return hit["cuda"], torch.group(1) if torch else hit["torch_cuda"]


def _mismatch_cause(hit: Hit) -> str:
    toolkit, torch = _mismatch_versions(hit)
    against = f"torch was built for CUDA {torch}" if torch else "torch was built for another CUDA"
    return f"The nvcc in use is {('CUDA ' + toolkit) if toolkit else 'of one CUDA'}, but {against}."


def _mismatch_fix(hit: Hit) -> Iterator[Fix]:
    toolkit, torch = _mismatch_versions(hit)
    if torch:
        yield fixes.install_toolkit(torch)
        yield fixes.say("or, where that toolkit is installed already:")
        yield fixes.use_toolkit(torch)
    else:
        yield ASK_TORCH
        yield fixes.use_toolkit()
    release = known.torch_for_cuda(toolkit) if toolkit else None
    if release:
        yield fixes.say(f"or the torch for CUDA {toolkit}:")
        yield fixes.install_torch(release, toolkit)
    if "DeepSpeed" in hit.text:
        yield fixes.say("DeepSpeed goes on in spite of it with:")
        yield fixes.set_env("DS_SKIP_CUDA_CHECK", "1")


def _home(hit: Hit) -> str | None:
    """The CUDA_HOME that was meant by a broken one, as far as it can be told."""
    path = _nvcc(hit).replace("\\\\", "\\")
    home = re.sub(r"[/\\]bin[/\\]nvcc(?:\.exe)?$", "", path)
    parts = [part.strip("\"' =") for part in re.split(r":(?![\\/]{1,2}\w+ Files)|;", home)]
    if hit.context.windows:
        parts = [home.strip("\"' ")]
    for part in parts:
        part = re.sub(r"[/\\](?:bin[/\\]nvcc|bin|lib64|include|nvcc)[/\\]?$", "", part)
        if re.match(r"/\w|[A-Za-z]:", part):
            return part
    return None


def _nvcc(hit: Hit) -> str:
    """nvcc as it was called."""
    name = hit["name"] or "nvcc"
    return hit["path"] + name if hit["path"].endswith(("/", "\\")) else name


_BROKEN = re.compile(r"^[:;]|.:/|[\"'=]|bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin")


def _nvcc_cause(hit: Hit) -> str:
    nvcc, home = _nvcc(hit), _home(hit)
    if "/" not in nvcc and "\\" not in nvcc:
        return (
            "nvcc is not on PATH: no CUDA toolkit is installed (torch's wheels bring none), or its bin "
            "directory is not there."
        )
    if nvcc[:1] in ":;" or re.search(r"(?<=.):/", nvcc):
        return f'CUDA_HOME is a list of paths, or begins or ends with ":", so that "{nvcc}" is run.'
    if re.search(r"[\"'=]", nvcc):
        return f"CUDA_HOME has quotes or an equals sign in its value, so that {nvcc} is run."
    if re.search(r"bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin", nvcc):
        return f"CUDA_HOME names {home or 'something'}'s inside and not the toolkit: {nvcc} is run."
    return f"There is no {nvcc}: CUDA_HOME points where no CUDA toolkit is."


def find_toolkit(hit: Hit, version: str | None = None) -> Iterator[Fix]:
    """Looks for an installed toolkit and makes it the one in use; installs one where there is none."""
    if hit.context.windows:
        yield fixes.command("where", "nvcc")
    elif not hit.context.mac:
        yield fixes.command("sh", "-c", "ls -d /usr/local/cuda*")
    yield fixes.use_toolkit(version)
    if hit.context.container:
        yield fixes.say(
            "an image whose name ends in -runtime or -base has no nvcc: build in the -devel one"
        )
    yield fixes.say("where no toolkit is installed, for the CUDA that torch names:")
    yield ASK_TORCH
    if not hit.context.windows:
        yield fixes.dcnbuild("toolkit", "install", version or "13.0")


def _nvcc_fix(hit: Hit) -> Iterator[Fix]:
    nvcc, home = _nvcc(hit), _home(hit)
    if home and _BROKEN.search(nvcc) and not hit.context.windows:
        yield fixes.use_toolkit(root=home)
        return
    yield from find_toolkit(hit, hit.get("toolkit") if hit.context.windows else None)


_MISSING_NVCC = r"(?:[^\n]{0,300}[/\\])?nvcc(?:\.exe)?"

RULES = (
    LogRule(
        id="cuda-home-unset",
        title="CUDA_HOME is not set",
        patterns=(
            ("is not set", r"(?:CUDA_HOME|CUDA_PATH) environment variable is not set"),
            ("CUDA was not found", r"CUDA was not found on the system, please set the CUDA_HOME"),
            ("is not set", r"[Ee]rror.{0,60}CUDA_HOME is not set"),
            (
                "CUDA toolkit",
                r"(?:No CUDA toolkit found|CUDA toolkit (?:was )?not found|[Cc]ould not find (?:a |the )?CUDA toolkit)",
            ),
            (
                "CUDA_HOME",
                r"(?:MissingCUDAException|CUDA_HOME does not exist|CUDA_HOME (?:is|was) not (?:found|defined))",
            ),
            ("is not availa", r"Error: C(?:uda|UDA) is not availa(?:ble|bel)"),
        ),
        unless=r"^-- |Warning: ",
        cause="torch found no CUDA toolkit: CUDA_HOME is not set and no nvcc is on PATH (torch's "
        "wheels bring the runtime, not the compiler), or torch sees no GPU or is a CPU build.",
        fix=lambda hit: (
            *find_toolkit(hit),
            *(
                (
                    fixes.say("where no GPU is visible while it builds:"),
                    fixes.set_env("FORCE_CUDA", "1"),
                )
                if "vaila" in hit.match.group()
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
                rf"detected CUDA version \({_VERSIONS}\) mismatches the version",
            ),
            (
                "mismatches the version",
                rf"detected CUDA version \((?:%s|\{{0\}})\) mismatches.{{0,200}}?'{_VERSIONS}', '(?P<torch_cuda>\d+\.\d+)'",
            ),
            (
                "does not match",
                r"Cuda extensions are being compiled with a version of Cuda that does not match",
            ),
            (
                "does not match",
                rf"[Ii]nstalled CUDA version {_VERSIONS} does not match the version torch was compiled with (?P<torch_cuda>\d+\.\d+)",
            ),
            (
                "n't match",
                rf"CUDA (?:version )?{_VERSIONS}[^\d\n]{{0,80}}(?:does not|doesn't) match[^\d\n]{{0,60}}(?P<torch_cuda>\d+\.\d+)",
            ),
        ),
        unless=r"\bwarning\b|Warning: ",
        cause=_mismatch_cause,
        fix=_mismatch_fix,
        example="The detected CUDA version (11.8) mismatches the version that was used to compile "
        "PyTorch (13.0). Please make sure to use the same CUDA versions.",
    ),
    LogRule(
        id="nvcc-not-found",
        title="nvcc is not where it is looked for",
        kinds=("missing-command",),
        where={"name": _MISSING_NVCC},
        unless=r"^-- |\bwarning\b ?:",
        cause=_nvcc_cause,
        fix=_nvcc_fix,
        example="/bin/sh: 1: :/usr/local/cuda/bin/nvcc: not found",
    ),
    LogRule(
        id="nvcc-not-found",
        title="nvcc is not where it is looked for",
        patterns=(
            (
                "not found",
                r"(?:^|[\s/])(?:ba|da|z)?sh: (?:line )?(?:\d+: )?(?P<name>[^\s'\"]{0,300}?nvcc): (?:command )?not found",
            ),
            (
                "o such",
                r"(?:^|[\s/])(?:ba|da|z)?sh: (?:line )?(?:\d+: )?(?P<name>[^\s'\"]{0,300}?nvcc): No such",
            ),
            ("o such", r"No such file or directory:? ?'(?P<name>[^'\n]{0,300}?nvcc(?:\.exe)?)'"),
            ("[Errno 20]", r"Not a directory:? ?'(?P<name>[^'\n]{0,300}?nvcc(?:\.exe)?)'"),
            (
                "failed: No",
                r"command '(?P<name>[^'\n]{0,300}?nvcc(?:\.exe)?)' failed: (?:No such|Not a dir)",
            ),
            ("nvcc not found", r"nvcc not found at '(?P<name>[^'\n]{0,300}?nvcc)'"),
            ("Failed to find", r"Failed to find (?P<name>nvcc)\b"),
            ("ould not find nvcc", r"ould not find (?P<name>nvcc)\b"),
            ("annot find nvcc", r"annot find (?P<name>nvcc)\b"),
            ("nvcc was not found", r"(?P<name>nvcc) was not found"),
            ("could be found", r"No CMAKE_CUDA_COMPILER could be found"),
            ("not found or", r"CUDA_TOOLKIT_ROOT_DIR not found or specified"),
            (
                "CUDAToolkit",
                r"Could(?: NOT|n't) find (?:the )?CUDAToolkit|Failed to find the CUDA [Tt]oolkit",
            ),
        ),
        unless=r"^-- |\bwarning\b ?:",
        cause=_nvcc_cause,
        fix=_nvcc_fix,
        example="Failed to find nvcc.",
    ),
)
