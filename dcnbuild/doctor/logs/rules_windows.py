"""Windows: where cl.exe is, which one, and what it says."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.rule import Hit, Level, LogRule

_NO_CL = "Visual C++'s compiler cl.exe is not installed or not on PATH of this prompt."
_GET_CL = (
    "winget install Microsoft.VisualStudio.2022.BuildTools --override "
    '"--add Microsoft.VisualStudio.Workload.VCTools --includeRecommended --passive"',
    "rem open: x64 Native Tools Command Prompt for VS 2022, and build in it",
    "set DISTUTILS_USE_SDK=1",
)
_FAILED = re.compile(r"\berror(?::| C\d)|Error: |FAILED")


def _versions_cause(hit: Hit) -> str:
    toolkit = f"CUDA {hit['toolkit']}" if hit["toolkit"] else "This CUDA toolkit"
    if hit["first"]:
        return f"{toolkit} takes Visual Studio {hit['first']} to {hit['last']} only."
    if hit["cuda"]:
        return (
            f"The installed Visual C++ wants CUDA {hit['cuda']} or newer, and {toolkit} is older."
        )
    return f"{toolkit} does not take the installed version of Visual C++."


def _versions_fix(hit: Hit) -> tuple[str, ...]:
    if hit["cuda"]:
        return (
            f"conda install -c nvidia/label/cuda-{hit['cuda']}.0 cuda-toolkit",
            r"set NVCC_APPEND_FLAGS=-D_ALLOW_COMPILER_AND_STL_VERSION_MISMATCH",
        )
    if hit["last"]:
        return (
            f"rem in a prompt of Visual Studio {hit['last']}, or with its older toolset:",
            '"%VSINSTALLDIR%\\VC\\Auxiliary\\Build\\vcvarsall.bat" x64 -vcvars_ver=14.29',
        )
    return ("cl", "nvcc --version")


RULES = (
    LogRule(
        id="msvc-not-found",
        title="No cl.exe",
        patterns=(
            ("Cannot find compiler", r"Cannot find compiler 'cl\.exe' in PATH"),
            ("returned non-zero", r"'where', 'cl'"),
            ("is not recognized", r"'cl(?:\.exe)?' is not recognized as an internal"),
            ("is required", r"Microsoft Visual C\+\+ \d+\.\d+ (?:or greater )?is required"),
            ("MSVC is required", r"MSVC is required to load C\+\+ extensions"),
            ("nable to find vcvarsall", r"[Uu]nable to find vcvarsall\.bat"),
            ("Could not set up", r"Could not set up the environment for Microsoft Visual Studio"),
            ("failed: None", r"command '(?:[^']*\\)?cl\.exe' failed: None"),
            ("FileNotFoundError", r"FileNotFoundError.{0,80}cl\.exe"),
            ("not found", r"\bcl: (?:command )?not found"),
        ),
        cause=_NO_CL,
        fix=_GET_CL,
        explains=("nvcc-host-compiler", "nvcc-fatal", "ninja-missing"),
        example="nvcc fatal   : Cannot find compiler 'cl.exe' in PATH",
    ),
    LogRule(
        id="msvc-not-found",
        title="No cl.exe",
        # torch warns of this in builds that then find cl.exe by themselves
        level=Level.SYMPTOM,
        patterns=(
            ("[WinError 2]", r"Error checking compiler version for cl\b.{0,10}\[WinError 2\]"),
        ),
        when=lambda hit: any(
            _FAILED.search(line) for line in hit.log.near(hit.line, after=3000)[1:]
        ),
        cause=_NO_CL,
        fix=_GET_CL,
        example="UserWarning: Error checking compiler version for cl: [WinError 2] "
        "The system cannot find the file specified\n"
        "error: [WinError 2] The system cannot find the file specified",
    ),
    LogRule(
        id="distutils-use-sdk",
        title="DISTUTILS_USE_SDK is not set",
        patterns=(("DISTUTILS_USE_SDK is not set", r"DISTUTILS_USE_SDK is not set"),),
        when=lambda hit: any(
            "Traceback" in line or "error:" in line.lower()
            for line in hit.log.near(hit.line, before=60, after=60)
        ),
        cause="The build runs in a Visual Studio prompt, and setuptools was not told to use it.",
        fix=("set DISTUTILS_USE_SDK=1",),
        example="UserWarning: It seems that the VC environment is activated but DISTUTILS_USE_SDK is "
        "not set.\n[end of output]\nerror: subprocess-exited-with-error",
    ),
    LogRule(
        id="msvc-unsupported",
        title="Visual Studio and CUDA do not fit",
        patterns=(
            (
                "nsupported Microsoft Visual Studio",
                r"nsupported Microsoft Visual Studio version!(?:.{0,60}between (?P<first>\d{4}) and "
                r"(?P<last>\d{4}))?",
            ),
            ("error STL1002", r"STL1002(?:.{0,60}expected CUDA (?P<cuda>\d+\.\d+))?"),
        ),
        cause=_versions_cause,
        fix=_versions_fix,
        example="crt/host_config.h(153): fatal error C1189: #error:  -- unsupported Microsoft Visual "
        "Studio version! Only the versions between 2017 and 2019 (inclusive) are supported!",
    ),
    LogRule(
        id="msvc-std-ambiguous",
        title="cl.exe stumbles over torch's headers",
        patterns=(
            ("error C2872", r"C2872\s?:.{0,10}std\W"),
            ("error C", r"compiled_autograd\.h\(\d+\).{0,20}error C\d{4}"),
        ),
        cause="cl.exe takes std in torch's compiled_autograd.h for ambiguous; the header leaves that "
        "part out when USE_CUDA is defined.",
        fix=("set NVCC_APPEND_FLAGS=-DUSE_CUDA", "set CL=/DUSE_CUDA"),
        example="torch/csrc/dynamo/compiled_autograd.h(1134): error C2872: 'std': ambiguous symbol",
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
                r"(?P<what>(?:cl|link)\.exe'?) failed with exit (?:status|code) \d+(?P<code>)",
            ),
        ),
        unless=r"\bwarning ",
        cause=lambda hit: (
            f"Visual C++ stopped with {hit['code']}: {hit['what'].strip()}"
            if hit["code"]
            else f"{hit['what'].strip(chr(39))} failed, and the C-numbered error that says why stands "
            "above this part of the log."
        ),
        fix=lambda hit: (
            ()
            if hit["code"]
            else ("set MAX_JOBS=1", "pip install -v --no-build-isolation . > build.log 2>&1")
        ),
        example="error: command 'C:\\\\VS\\\\bin\\\\HostX86\\\\x64\\\\cl.exe' failed with exit code 2",
    ),
)
