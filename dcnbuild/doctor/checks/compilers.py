"""Host compilers against the CUDA toolkit and torch."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.checks.evidence import builds_cuda
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.torch_and_toolkit import chosen_toolkit, nvcc_version
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Compiler, Facts

#: The first gcc major with what torch's headers use of a C++ standard: 9 by c10/util/C++17.h of
#: torch 2.1 to 2.12; for C++20, <compare> of gcc 10.
_FIRST_GCC = {17: 9, 20: 10}


def _cxx(facts: Facts) -> Compiler | None:
    """The compiler of .cpp files."""
    named = [item for item in facts.compilers if item.found_by == "CXX"]
    return next(iter([*named, *(item for item in facts.compilers if "++" in item.path.name)]), None)


def compiler_missing(facts: Facts) -> Iterator[Verdict]:
    if _cxx(facts) is None:
        windows = facts.machine.system == "Windows"
        fix = fixes.install_msvc() if windows else fixes.system_install("g++")
        named = [f"{name}={facts.variables[name]}" for name in ("CXX", "CC") if name in facts.variables]
        yield Verdict(fix, named=named, programs="cl.exe" if windows else "c++, g++, clang++ and g++-N")


def compiler_variable_wrong(facts: Facts) -> Iterator[Verdict]:
    """Builds run the compiler that the variable names, and stop with `No such file or directory`."""
    there = {item.found_by for item in facts.compilers}
    wrong = [name for name in ("CC", "CXX", "NVCC_CCBIN") if facts.variables.get(name) and name not in there]
    if wrong:
        named = [f"{name}={facts.variables[name]}" for name in wrong]
        verb = "names" if len(wrong) == 1 else "name"
        yield Verdict(*map(fixes.unset_env, wrong), wrong=f"{' and '.join(wrong)} {verb}", named=named)


def gcc_too_new(facts: Facts) -> Iterator[Verdict]:
    nvcc, compiler = nvcc_version(facts), facts.nvcc_compiler
    if nvcc is None or compiler is None or facts.wants_cuda is False:
        return
    newest = compatibility.newest_compiler(nvcc, compiler.kind)
    if newest is None or numbers(compiler.version)[0] <= newest:
        return
    alike = (item for item in facts.compilers if item.kind == compiler.kind and "++" in item.path.name)
    older = [item for item in alike if numbers(item.version)[0] <= newest]
    if facts.wants_cuda and older and compiler.found_by == "PATH":
        return  # dcnbuild's own build then hands the older one to nvcc
    fix = (_use(older[0]),) if older else (fixes.install_gcc(newest),) if compiler.kind == "gcc" else ()
    in_use = builds_cuda(facts) and (facts.toolkits or facts.wants_cuda)
    yield Verdict(*fix, nvcc=nvcc, newest=newest, older=older, toolkit=chosen_toolkit(facts), in_use=in_use)


def _use(cxx: Compiler) -> Fix:
    return fixes.use_compiler(fixes.c_compiler(cxx), cxx.path)


def gcc_too_old(facts: Facts) -> Iterator[Verdict]:
    compiler = _cxx(facts)
    standard = compatibility.cxx_standard(facts.torch.version) if facts.torch else None
    first = _FIRST_GCC.get(standard or 0)
    if compiler and compiler.kind == "gcc" and first and numbers(compiler.version)[0] < first:
        yield Verdict(fixes.install_gcc(first), standard=standard, first=first, compiler=compiler)


def compilers_differ(facts: Facts) -> Iterator[Verdict]:
    """nvcc compiles the host code of a .cu file with CC. Everything else is compiled with CXX."""
    named = {item.found_by: item for item in facts.compilers}
    c, cxx = named.get("CC"), named.get("CXX")
    if c and cxx and (c.kind != cxx.kind or numbers(c.version)[:1] != numbers(cxx.version)[:1]):
        yield Verdict(_use(cxx), c=c, cxx=cxx)
