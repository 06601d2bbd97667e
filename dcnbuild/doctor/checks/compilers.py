"""Host compilers against the CUDA toolkit and torch."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda, describe_toolkit, describe_torch
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.torch_and_toolkit import chosen_toolkit, nvcc_version
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Compiler, Facts

#: The first gcc major with what torch's headers use of a C++ standard: 9 by c10/util/C++17.h of
#: torch 2.1 to 2.12; for C++20, <compare> of gcc 10.
_FIRST_GCC = {17: 9, 20: 10}


def _describe(compiler: Compiler) -> str:
    return f"{compiler.kind} {compiler.version}: {compiler.path} (found by {compiler.found_by})"


def _cxx(facts: Facts) -> Compiler | None:
    """The compiler of .cpp files."""
    return next((item for item in facts.compilers if item.found_by == "CXX"), None) or next(
        (item for item in facts.compilers if "++" in item.path.name), None
    )


@check("compiler-missing", "No C++ compiler", builds=True)
def compiler_missing(facts: Facts) -> Iterator[Verdict]:
    if _cxx(facts) is None:
        windows = facts.machine.system == "Windows"
        named = [f"{name}={facts.variables[name]}" for name in ("CXX", "CC") if name in facts.variables]
        yield Verdict(
            "error",
            "No C++ compiler was found, so nothing can be compiled here.",
            (*named, f"looked for CXX, {'cl.exe' if windows else 'c++, g++, clang++ and g++-N'} on PATH"),
            (fixes.install_msvc() if windows else fixes.system_install("g++"),),
        )


@check("compiler-variable-wrong", "CC, CXX or NVCC_CCBIN names no compiler")
def compiler_variable_wrong(facts: Facts) -> Iterator[Verdict]:
    """Builds take what it names, and end in `No such file or directory`."""
    found = {item.found_by for item in facts.compilers}
    wrong = [name for name in ("CC", "CXX", "NVCC_CCBIN") if facts.variables.get(name) and name not in found]
    if wrong:
        yield Verdict(
            "error",
            f"{' and '.join(wrong)} name{'s' * (len(wrong) == 1)} no compiler that runs.",
            tuple(f"{name}={facts.variables[name]}" for name in wrong),
            tuple(map(fixes.unset_env, wrong)),
        )


@check("gcc-too-new", "The C++ compiler is too new for nvcc", builds=True)
def gcc_too_new(facts: Facts) -> Iterator[Verdict]:
    nvcc, toolkit, compiler = nvcc_version(facts), chosen_toolkit(facts), facts.nvcc_compiler
    if nvcc is None or compiler is None or facts.wants_cuda is False:
        return
    newest = compatibility.newest_compiler(nvcc, compiler.kind)
    if newest is None or numbers(compiler.version)[0] <= newest:
        return
    older = [
        item
        for item in facts.compilers
        if item.kind == compiler.kind and "++" in item.path.name and numbers(item.version)[0] <= newest
    ]
    if facts.wants_cuda and older and compiler.found_by == "PATH":
        return  # dcnbuild's own build then hands the older one to nvcc
    yield Verdict(
        "error" if builds_cuda(facts) and (facts.toolkits or facts.wants_cuda) else "warning",
        f"nvcc {nvcc} accepts {compiler.kind} up to {newest}, and would call {compiler.kind} {compiler.version}.",
        (
            describe_toolkit(toolkit) if toolkit else f"CUDA {nvcc}, which fits torch: not installed yet",
            _describe(compiler),
            *map(_describe, older),
        ),
        (_use(older[0]),) if older else (fixes.install_gcc(newest),) if compiler.kind == "gcc" else (),
    )


def _use(cxx: Compiler) -> Fix:
    return fixes.use_compiler(fixes.c_compiler(cxx), cxx.path)


@check("gcc-too-old", "The C++ compiler is too old for torch's headers", builds=True)
def gcc_too_old(facts: Facts) -> Iterator[Verdict]:
    compiler = _cxx(facts)
    standard = compatibility.cxx_standard(facts.torch.version) if facts.torch else None
    if compiler is None or compiler.kind != "gcc" or standard is None:
        return
    first = _FIRST_GCC.get(standard)
    if first and numbers(compiler.version)[0] < first:
        yield Verdict(
            "error",
            f"The headers of this torch need C++{standard}, and gcc has that from {first} on.",
            (describe_torch(facts), _describe(compiler)),
            (fixes.install_gcc(first),),
        )


@check("compilers-differ", "CC and CXX are different compilers")
def compilers_differ(facts: Facts) -> Iterator[Verdict]:
    """nvcc compiles the host half of a .cu with CC, everything else is compiled with CXX."""
    named = {item.found_by: item for item in facts.compilers if item.found_by in ("CC", "CXX")}
    if len(named) < 2:
        return
    c, cxx = named["CC"], named["CXX"]
    if c.kind != cxx.kind or numbers(c.version)[:1] != numbers(cxx.version)[:1]:
        yield Verdict(
            "warning",
            "torch compiles .cpp files with CXX and the host half of .cu files with CC, which are "
            "different compilers here.",
            (_describe(c), _describe(cxx)),
            (_use(cxx),),
        )
