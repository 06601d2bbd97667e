"""What nvcc itself refuses: its options, its files, its own installation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule
from dcnbuild.doctor.logs.rules_source import port
from dcnbuild.doctor.parse.patterns import SHELL

_FATAL = r"\bfatal\s{0,4}:\s{0,4}"


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


RULES = (
    LogRule(
        id="nvcc-std-value",
        title="nvcc does not know this C++ standard",
        patterns=(
            (
                "is not defined for option",
                r"Value '(?P<name>(?:c|gnu)\+\+\w+)' is not defined for option 'std",
            ),
        ),
        unless=r"\bwarning ?:",
        cause=_std_cause,
        fix=_std_fix,
        example="nvcc fatal   : Value 'c++17' is not defined for option 'std'",
    ),
    LogRule(
        id="nvcc-unknown-option",
        title="nvcc does not know this option",
        patterns=(
            ("nknown option", rf"nvcc {_FATAL}Unknown option '(?P<name>[^']+)'"),
            ("nknown option", r"nvcc.{0,10}[Uu]nknown option ['\"]?(?P<name>-?[\w=+-]+)"),
        ),
        cause=_option_cause,
        fix=lambda hit: (
            fixes.command("grep", "-n", "-e", _dashed(hit), operands=("setup.py",)),
            fixes.say(f"make it: -Xcompiler {_dashed(hit)}"),
        ),
        example="nvcc fatal   : Unknown option '-fopenmp'",
    ),
    LogRule(
        id="nvcc-std-twice",
        title="nvcc is given two C++ standards",
        patterns=(("fatal", rf"{_FATAL}redefinition of argument '(?P<name>[\w-]+)'"),),
        cause="nvcc is given the option {name} twice, once by the project and once by torch.",
        fix=lambda hit: (port(hit),),
        example="nvcc fatal   : redefinition of argument 'std'",
    ),
    LogRule(
        id="nvcc-arguments",
        title="nvcc's command line is torn apart",
        patterns=(
            ("fatal", rf"{_FATAL}A single input file is required(?P<name>)"),
            ("fatal", rf"{_FATAL}Don't know what to do with '(?P<name>[^']*)'"),
            ("fatal", rf"{_FATAL}'(?P<name>[^']*)' is not in 'keyword=value' format"),
            ("fatal", rf"{_FATAL}No input files specified(?P<name>)"),
        ),
        cause=lambda hit: (
            "nvcc's command line is torn apart"
            + (f' at "{hit["name"]}"' if hit["name"] else "")
            + ": a path with a space in it, an empty variable, or an option without its value."
        ),
        fix=(
            fixes.command(
                "printenv", "CUDA_HOME", "CFLAGS", "NVCC_FLAGS", "NVCC_APPEND_FLAGS", "PWD"
            ),
            fixes.say("build in a directory whose path has no spaces"),
        ),
        example="nvcc fatal   : A single input file is required for a non-link phase when an "
        "outputfile is specified",
    ),
    LogRule(
        id="toolkit-incomplete",
        title="The CUDA toolkit lacks parts of nvcc",
        patterns=(
            (
                "not found",
                rf"{SHELL}(?P<name>\S{{0,200}}?\b(?:cicc|cudafe\+\+|ptxas|fatbinary"
                r"|nvlink|bin2c))(?:\.exe)?: (?:command )?not found",
            ),
            (
                "No such file",
                rf"{SHELL}(?P<name>\S{{0,200}}?\b(?:cicc|cudafe\+\+"
                r"|ptxas|fatbinary|nvlink)): No such file",
            ),
            ("fatal", r"(?P<name>libdevice) library not specified"),
            ("is not recognized", r"'(?P<name>(?:cicc|cudafe\+\+|ptxas|fatbinary))' is not recogn"),
        ),
        cause="The nvcc in use finds no {name}: the CUDA toolkit that it belongs to is incomplete, "
        "or nvcc was copied or linked out of it.",
        fix=lambda hit: (
            fixes.command("nvcc", "-dryrun", "-E", "-x", "cu", "/dev/null"),
            fixes.use_toolkit(hit.get("toolkit")),
        ),
        example="sh: 1: cicc: not found",
    ),
    LogRule(
        id="nvcc-temporary-files",
        title="nvcc cannot write its temporary files",
        patterns=(
            (
                "ould not open output file",
                r"Could not open (?:output|input) file '?(?P<name>\S{0,200}?tmpxft\w*)",
            ),
            (
                "Could not open output file",
                rf"{_FATAL}Could not open output file '(?P<name>[^']+)'",
            ),
            ("Failed to create", rf"{_FATAL}Failed to create (?P<name>.{{1,80}})"),
        ),
        cause="nvcc cannot write {name}: the directory is missing, full, or not yours.",
        fix=OTHER_TMP,
        example="nvcc fatal   : Could not open output file '/tmp/tmpxft_00001a2b_00000000-6_a.ii'",
    ),
    LogRule(
        id="nvcc-host-compiler",
        title="nvcc's host compiler does not run",
        level=Level.SYMPTOM,
        patterns=(
            ("Failed to preprocess", r"Failed to preprocess host compiler properties"),
            (
                "fatal",
                rf"{_FATAL}(?:Unsupported host compiler|The version .{{0,60}}host compiler"
                r"|Host compiler targets unsupported)",
            ),
            (
                "does not exist",
                r"compiler specified via option --compiler-bindir .{1,200} does not",
            ),
        ),
        cause="nvcc could not run, or does not take, the C++ compiler that it was told to use.",
        fix=(
            fixes.command("g++", "--version"),
            fixes.use_compiler("/usr/bin/gcc", "/usr/bin/g++"),
        ),
        example="nvcc fatal   : Failed to preprocess host compiler properties.",
    ),
    LogRule(
        id="ptxas-error",
        title="The assembler of the GPU refuses the code",
        level=Level.SYMPTOM,
        patterns=(
            ("error", r"ptxas (?:/.{1,200}?; )?error\s{0,4}:\s{0,4}(?P<name>.{3,160})"),
            ("fatal", r"ptxas (?:/.{1,200}?; )?fatal\s{0,4}:\s{0,4}(?P<name>.{3,160})"),
            ("nvlink error", r"nvlink error\s{0,4}:\s{0,4}(?P<name>.{3,160})"),
        ),
        unless="ptxas info",
        cause="ptxas stopped: {name}",
        fix=_assembler_fix,
        example="ptxas error   : Entry function '_Z4kernelPf' uses too much shared data "
        "(0x10000 bytes, 0xc000 max)",
    ),
    LogRule(
        id="nvcc-fatal",
        title="nvcc stopped",
        level=Level.SYMPTOM,
        patterns=(
            ("fatal", rf"nvcc(?:\.exe)? {_FATAL}(?P<name>.{{3,200}})"),
            ("nvcc error", r"nvcc error\s{0,4}:\s{0,4}(?P<name>.{3,200})"),
            ("nvcc fatal", r"nvcc fatal(?P<name>)"),
        ),
        cause=lambda hit: f"nvcc refused to go on: {hit['name'].strip() or 'it does not say why'}",
        fix=(fixes.command("nvcc", "--version"), fixes.dcnbuild("doctor")),
        example="nvcc fatal   : Option '--ptx (-ptx)' is not allowed when compiling for multiple "
        "GPU code instances",
    ),
)
