"""Windows: Visual C++ of a version that CUDA does not take, and what cl.exe and link.exe say else."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule


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


RULES = (
    LogRule(
        id="msvc-unsupported",
        title="Visual Studio and CUDA do not fit",
        patterns=(
            (
                "nsupported Microsoft Visual Studio",
                r"nsupported Microsoft Visual Studio version!(?:.{0,60}between (?P<first>\d{4}) and (?P<last>\d{4}))?",
            ),
            ("STL1002", r"STL1002(?:.{0,60}expected CUDA (?P<cuda>\d+\.\d+))?"),
        ),
        cause=_versions_cause,
        fix=_versions_fix,
        example="crt/host_config.h(153): fatal error C1189: #error:  -- unsupported Microsoft Visual "
        "Studio version! Only the versions between 2017 and 2019 (inclusive) are supported!",
    ),
    LogRule(
        id="msvc",
        title="cl.exe or link.exe stopped",
        level=Level.SYMPTOM,
        patterns=(
            ("error C", r"\b(?:fatal )?error (?P<code>C\d{4})\s?: ?(?P<what>.{0,160})"),
            ("error LNK", r"\b(?:fatal )?error (?P<code>LNK\d{4})\s?: ?(?P<what>.{0,160})"),
            (
                "failed with exit",
                r"(?P<what>(?:cl|link)\.exe'?) failed with exit (?:status|code) \d+",
            ),
        ),
        unless=r"\bwarning ",
        cause=lambda hit: (
            f"Visual C++ stopped with {hit['code']}: {hit['what']}"
            if hit["code"]
            else f"{hit['what'].strip(chr(39))} failed, and the C-numbered error that says why stands "
            "above this part of the log."
        ),
        fix=lambda hit: (
            ()
            if hit["code"]
            else (
                fixes.set_env("MAX_JOBS", "1"),
                fixes.pip("install", "-v", "--no-build-isolation", "."),
            )
        ),
        example="error: command 'C:\\\\VS\\\\bin\\\\HostX86\\\\x64\\\\cl.exe' failed with exit code 2",
    ),
)
