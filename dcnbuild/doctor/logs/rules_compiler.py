"""The host compiler is missing, or only half there."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.commands import install_gcc
from dcnbuild.doctor.logs.patterns import QUOTE, SHELL, Pattern
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _missing_cause(hit: Hit) -> str:
    name = hit["name"]
    if name == "cc1plus":
        return "gcc is installed without g++, so that it cannot compile C++ (it finds no cc1plus)."
    if hit["header"]:
        return f"The C++ compiler has no standard library: it finds no <{hit['header']}>."
    return f"There is no {name or 'C++ compiler'} on this machine."


def _missing_fix(hit: Hit) -> tuple[str, ...]:
    found = re.fullmatch(r".*?g(?:cc|\+\+)-(\d{1,2})(?:\.\d)*", hit["name"])
    if found:
        return (
            install_gcc(hit, found[1]),
            "unset CC CXX NVCC_PREPEND_FLAGS  # or take another one",
        )
    if hit["name"] == "cc1plus" and hit["gcc"]:
        return (install_gcc(hit, hit["gcc"]),)
    return ("sudo apt-get install build-essential",)


def _is_conda(hit: Hit) -> bool:
    return "conda" in hit.match.group() or hit.context.conda


_COMPILER = r"(?P<name>(?:/[^\s'\"]{0,200}/)?(?:x86_64-linux-gnu-|aarch64-linux-gnu-)?(?:g\+\+|gcc|c\+\+|clang\+\+|clang|cc)(?:-\d{1,2}(?:\.\d){0,2})?)"

_CONDA_COMPILER = r"(?P<name>[^\s'\"]{0,300}?conda\w{0,20}-linux-gnu-(?:cc|gcc|c\+\+|g\+\+))"

_CC1PLUS = (
    ("cannot exec", rf"cannot execute {QUOTE}?(?P<name>cc1plus){QUOTE}?"),
    ("error trying to exec", rf"error trying to exec {QUOTE}(?P<name>cc1plus){QUOTE}"),
    ("cannot exec", rf"cannot exec {QUOTE}(?P<name>cc1plus){QUOTE}"),
)


def _absent(compiler: str) -> tuple[Pattern, ...]:
    """Patterns for "this compiler does not exist" from shells, distutils, Python and nvcc."""
    return (
        ("not found", rf"{SHELL}{compiler}: (?:command )?not found"),
        ("not found", rf"^{compiler}: command not found"),
        ("No such file", rf"{SHELL}{compiler}: No such file"),
        ("No such file", rf"^{compiler}: No such file or directory"),
        ("unable to execute", rf"unable to execute '{compiler}'"),
        ("failed: No such", rf"command '{compiler}' failed: No such"),
        ("No such file", rf"FileNotFoundError.{{0,60}}: '{compiler}'"),
        ("Cannot find compiler", rf"Cannot find compiler '{compiler}' in PATH"),
    )


RULES = (
    LogRule(
        id="conda-compiler",
        title="conda's compiler is missing or half there",
        patterns=(*_absent(_CONDA_COMPILER), *_CC1PLUS),
        when=_is_conda,
        cause=lambda hit: (
            "conda's gcc is installed without its g++, so that it cannot compile C++."
            if hit["name"] == "cc1plus"
            else f"The environment names {hit['name']} as compiler, which is not installed in it."
        ),
        fix=(
            "conda install -c conda-forge gxx_linux-64",
            "conda deactivate && conda activate "
            '"$CONDA_DEFAULT_ENV"  # sets CC and CXX; without them: unset CC CXX',
        ),
        explains=("compiler-missing", "nvcc-host-compiler"),
        example="/bin/sh: 1: /home/user/miniconda3/envs/dcn/bin/x86_64-conda-linux-gnu-c++: not found",
    ),
    LogRule(
        id="compiler-missing",
        title="No C++ compiler",
        patterns=(
            *_absent(_COMPILER),
            *_CC1PLUS,
            (
                "No such file",
                r"fatal error: (?P<header>iostream|algorithm|cstdlib|cstdint|cmath|string|vector"
                r"|cstddef|utility): No such file",
            ),
            ("could be found", r"No CMAKE_C(?:XX)?_COMPILER could be found(?P<name>)"),
        ),
        when=lambda hit: not (hit["name"] == "cc1plus" and _is_conda(hit)),
        cause=_missing_cause,
        fix=_missing_fix,
        explains=("nvcc-host-compiler",),
        example="error: command 'x86_64-linux-gnu-g++' failed: No such file or directory",
    ),
)
