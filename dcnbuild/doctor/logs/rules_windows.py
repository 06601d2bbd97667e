"""Windows: Visual C++ of a version that CUDA does not take, and what cl.exe and link.exe say else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.rule import Hit


def _versions_cause(hit: Hit) -> str:
    toolkit = f"CUDA {hit['toolkit']}" if hit["toolkit"] else "This CUDA toolkit"
    if hit["first"]:
        return f"{toolkit} takes Visual Studio {hit['first']} to {hit['last']} only."
    if hit["cuda"]:
        return (
            f"The installed Visual C++ wants CUDA {hit['cuda']} or newer, and {toolkit} is older."
        )
    return f"{toolkit} does not take the installed version of Visual C++."


def _versions_fix(hit: Hit) -> Iterator[Fix]:
    if hit["cuda"]:
        yield fixes.install_toolkit(hit["cuda"])
        yield fixes.say("or go on with the pair as it is, at your own risk:")
        yield fixes.set_env("NVCC_APPEND_FLAGS", "-D_ALLOW_COMPILER_AND_STL_VERSION_MISMATCH")
        yield fixes.say("or with an older toolset of Visual Studio:")
        yield fixes.command("vcvarsall.bat", "x64", "-vcvars_ver=14.39")
    elif hit["last"]:
        yield fixes.say(f"in a prompt of Visual Studio {hit['last']}, or with its older toolset:")
        yield fixes.command("vcvarsall.bat", "x64", "-vcvars_ver=14.29")
    else:
        yield fixes.command("cl")
        yield fixes.command("nvcc", "--version")


def _msvc_cause(hit: Hit) -> str:
    return (
        f"Visual C++ stopped with {hit['code']}: {hit['what']}"
        if hit["code"]
        else f"{hit['what'].strip(chr(39))} failed, and the C-numbered error that says why stands "
        "above this part of the log."
    )


def _msvc_fix(hit: Hit) -> Iterable[Fix]:
    return (
        ()
        if hit["code"]
        else (
            fixes.set_env("MAX_JOBS", "1"),
            fixes.pip("install", "-v", "--no-build-isolation", "."),
        )
    )
