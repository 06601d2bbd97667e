"""What nvcc itself refuses: its options, its files, its own installation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import port


def _std_cause(hit: Hit) -> str:
    toolkit, path = hit.get("toolkit"), hit.get("nvcc_path")
    nvcc = f"nvcc of CUDA {toolkit}" if toolkit else path or "The nvcc in use"
    return f"{nvcc} is too old to know -std={hit['name']}."


def _std_fix(hit: Hit) -> Iterator[Fix]:
    yield fixes.command("nvcc", "--version")
    yield fixes.use_toolkit()
    if hit.get("nvcc_path") == "/usr/bin/nvcc":
        yield fixes.say("/usr/bin/nvcc is the one of the distribution:")
        yield fixes.command("apt-get", "remove", "nvidia-cuda-toolkit", root=True)


def _option_cause(hit: Hit) -> str:
    return (
        f"nvcc was given {_dashed(hit)}, which is an option of the host compiler: "
        "nvcc passes such options on only after -Xcompiler."
    )


def _assembler_fix(hit: Hit) -> Iterator[Fix]:
    target = re.search(r"\.target sm_(\d{2,3})\w? or higher", hit.match.group())
    if target is not None:
        yield fixes.set_env("TORCH_CUDA_ARCH_LIST", known.listed(int(target[1])) + "+PTX")


#: Temporary files in a directory of one's own.
OTHER_TMP = (
    fixes.command("df", "-h", "/tmp", "."),
    fixes.set_env_from("TMPDIR", "mktemp", "-d", "-p", "."),
)


def _dashed(hit: Hit) -> str:
    return "-" + hit["name"].lstrip("-")


def _nvcc_unknown_option_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("grep", "-n", "-e", _dashed(hit), operands=("setup.py",)),
        fixes.say(f"make it: -Xcompiler {_dashed(hit)}"),
    )


def _nvcc_std_twice_fix(hit: Hit) -> Iterable[Fix]:
    return (port(hit),)


def _nvcc_arguments_cause(hit: Hit) -> str:
    return (
        "nvcc's command line is torn apart"
        + (f' at "{hit["name"]}"' if hit["name"] else "")
        + ": a path with a space in it, an empty variable, or an option without its value."
    )


def _toolkit_incomplete_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("nvcc", "-dryrun", "-E", "-x", "cu", "/dev/null"),
        fixes.use_toolkit(hit.get("toolkit")),
    )


def _nvcc_temporary_files_fix(hit: Hit) -> Iterable[Fix]:
    return OTHER_TMP


def _nvcc_fatal_cause(hit: Hit) -> str:
    return f"nvcc refused to go on: {hit['name'].strip() or 'it does not say why'}"
