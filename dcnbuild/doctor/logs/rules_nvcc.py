"""What nvcc itself refuses: its options, its files, its own installation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.base.versions import numbers
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.rule import Hit


def _std_cause(hit: Hit) -> str:
    toolkit, path = hit.get("toolkit"), hit.get("nvcc_path")
    nvcc = f"nvcc of CUDA {toolkit}" if toolkit else path or "The nvcc in use"
    return f"{nvcc} is too old to know -std={hit['name']}."


#: The first CUDA whose nvcc knows a C++ standard, and the standard before it.
#: Source: the release notes of CUDA 9.0, 11.0 and 12.0.
_FIRST_WITH = {"14": ("9.0", "11"), "17": ("11.0", "14"), "20": ("12.0", "17")}


def _std_fix(hit: Hit) -> Iterator[Fix]:
    standard = {"1y": "14", "1z": "17", "2a": "20"}.get(hit["name"][-2:], hit["name"][-2:])
    first, lower = _FIRST_WITH.get(standard, ("13.0", "17"))
    yield fixes.say(f"CUDA {first} is the first that knows it, with such a toolkit or a newer one:")
    yield fixes.use_toolkit(first if numbers(first) >= (11,) else None)
    yield fixes.command("nvcc", "--version")
    yield fixes.say(f"or, where the source allows it, compile the .cu files with -std=c++{lower}")
    if hit.get("nvcc_path") == "/usr/bin/nvcc":
        yield fixes.say("/usr/bin/nvcc is the one of the distribution:")
        yield fixes.command("apt-get", "remove", "nvidia-cuda-toolkit", root=True)


def _option_cause(hit: Hit) -> str:
    return (
        f"nvcc was given {_dashed(hit)}, which is an option of the host compiler: "
        "nvcc passes such options on only after -Xcompiler."
    )


def _assembler_fix(hit: Hit) -> Iterator[Fix]:
    wanted = re.search(r"\d{2,3}", hit["arch"] or "")
    if wanted is not None:
        yield fixes.say(f"compile for {hit['arch']} and newer only, older GPUs cannot run it:")
        yield fixes.set_env("TORCH_CUDA_ARCH_LIST", known.listed(int(wanted[0])) + "+PTX")
    else:
        yield fixes.say("compile only for the architectures that the kernel was written for:")
        yield fixes.ask_gpus()
        yield fixes.say(
            "code for sm_90a or sm_100a runs on that architecture alone, wgmma on sm_90a, tcgen05 on sm_100a"
        )
    yield fixes.say("or a newer CUDA toolkit, whose ptxas knows newer instructions:")
    yield fixes.command("nvcc", "--version")
    yield fixes.say("or guard the code: if defined __CUDA_ARCH__ and __CUDA_ARCH__ at least that")


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


def _toolkit_incomplete_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("nvcc", "-dryrun", "-E", "-x", "cu", "/dev/null"),
        fixes.use_toolkit(hit.get("toolkit")),
    )


def _nvcc_temporary_files_fix(hit: Hit) -> Iterable[Fix]:
    return OTHER_TMP


def _nvcc_fatal_cause(hit: Hit) -> str:
    return f"nvcc refused to go on: {hit['name'].strip() or 'it does not say why'}"
