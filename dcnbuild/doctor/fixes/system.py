"""Fixes by the package manager of the system, and compilers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dcnbuild.base import quoting
from dcnbuild.base.versions import numbers
from dcnbuild.doctor.fixes.fix import Target, makes_fix
from dcnbuild.doctor.fixes.places import SHELLS
from dcnbuild.doctor.fixes.python import conda_install
from dcnbuild.doctor.fixes.shell import assignment, command, prepend, set_constant, vs_shell
from dcnbuild.machine.facts import Compiler
from dcnbuild.machine.installers import called


@makes_fix
def system_install(target: Target, package: str, version: str = "") -> Iterator[str]:
    """Installs a package of the system: "g++", "python-dev", or one that is called the same everywhere."""
    if target.conda and package == "g++":
        yield from conda_install("gxx_linux-64").strict(target)
    elif target.manager is None:
        yield quoting.comment(f"Install {package} {version} with the package manager", target.shell)
    else:
        name = SHELLS["packages"].get(target.manager, {}).get(package, package)
        yield from package_install(name.format(version)).strict(target)


@makes_fix
def install_msvc(target: Target) -> Iterator[str]:
    """Installs Visual C++, the compiler of Windows."""
    parts = "--add Microsoft.VisualStudio.Workload.VCTools --includeRecommended --passive"
    words = ("winget", "install", "Microsoft.VisualStudio.2022.BuildTools", "--override", parts)
    yield from command(*words).strict(target)
    yield quoting.comment("Open the x64 Native Tools Command Prompt for VS 2022, or set its variables:", target.shell)
    yield from vs_shell().strict(target)
    yield assignment(target, "DISTUTILS_USE_SDK", "1")


@makes_fix
def package_install(target: Target, name: str) -> Iterator[str]:
    """Installs a package of the system by its name in Debian, or in the distribution that the target has."""
    manager = "winget" if target.windows else target.manager or "apt-get"
    if name in target.there:
        yield quoting.comment(f"{name} is already installed, as the log shows:", target.shell)
        if name.startswith("lib"):  # conda's linker, and a cross compiler, look elsewhere
            yield from prepend("LIBRARY_PATH", f"/usr/lib/{target.architecture}-linux-gnu").strict(target)
        return
    yes = (SHELLS["unattended"].get(manager),) if target.unattended else ()
    words = filter(None, (*SHELLS["installs"].get(manager, (manager, "install")), *yes))
    root, named = manager not in SHELLS["of_users"], called(name, manager) or name
    listless = manager == "apt-get" and target.unattended  # as an image or a runner is
    plain = replace(target, shell="sh") if listless else target
    (line,) = command(*words, operands=(named,), root=root).strict(plain)
    if listless and not target.rootless:
        update = "" if target.root else "sudo "
        line = f"{'RUN ' if target.shell == 'dockerfile' else ''}{update}apt-get update && {line}"
    yield line
    if target.rootless and called(name, "conda"):
        yield quoting.comment("or, without root, install it into a conda environment:", target.shell)
        yield from conda_install(called(name, "conda")).strict(target)


@makes_fix
def install_gcc(target: Target, major: int, cmake: bool = False) -> Iterator[str]:
    """Installs gcc and g++ of a major version, and makes builds use them; Windows has another compiler."""
    if target.windows:
        yield from install_msvc().strict(target)
        return
    fedora = (target.distribution or "").startswith("fedora")
    row = SHELLS["gcc"].get("fedora" if fedora else target.manager)
    if target.conda or target.rootless or row is None or (fedora and major < 13):
        image = target.shell == "dockerfile"
        own = "" if target.conda or image else f"gcc-{major}"
        yield from conda_install(f"gcc_linux-64={major}", f"gxx_linux-64={major}", own=own).strict(target)
        conda = f"$HOME/{own}" if own else "/opt/conda" if image else "$CONDA_PREFIX"
        prefix = f"{conda}/bin/{target.architecture}-conda-linux-gnu"
        for name, value in _variables(f"{prefix}-gcc", f"{prefix}-g++", cmake):
            yield from set_constant(name, str(value)).strict(target)
        return
    if target.manager == "pacman" and major < 14:
        yield quoting.comment(f"Install gcc{major} from the AUR, with an AUR helper such as yay:", target.shell)
        yield from command("yay", "-S", f"gcc{major}").strict(target)
    else:
        yield from package_install(row["package"].format(major)).strict(target)
    c, cxx = (row["program"].format(major, name) for name in ("gcc", "g++"))
    yield from use_compiler(c, cxx, cmake).strict(target)


def _variables(c: str | Path, cxx: str | Path, cmake: bool) -> tuple[tuple[str, str | Path], ...]:
    """torch hands CC on to nvcc, compiles .cpp with CXX; nvcc reads NVCC_CCBIN only in CUDA 12."""
    return ("CC", c), ("CXX", cxx), ("CUDAHOSTCXX", cxx) if cmake else ("NVCC_PREPEND_FLAGS", f"-ccbin={cxx}")


@makes_fix
def use_compiler(target: Target, c: str | Path, cxx: str | Path, cmake: bool | str = False) -> Iterator[str]:
    """Makes builds use a compiler; `cmake` says that CMake runs them. None of Unix on Windows."""
    if target.windows and str(cxx).startswith("/"):
        yield from install_msvc().strict(target)
        return
    for name, value in _variables(c, cxx, bool(cmake)):
        yield assignment(target, name, value)


@makes_fix
def use_gcc(target: Target, major: int | str, cmake: bool | str = False) -> Iterator[str]:
    """Makes builds use gcc of a major version: the one that is there, else one to be installed."""
    for compiler in target.facts.compilers if target.facts else ():
        if compiler.kind == "gcc" and numbers(compiler.version)[:1] == (int(major),) and "++" in compiler.path.name:
            yield from use_compiler(c_compiler(compiler), compiler.path, bool(cmake)).strict(target)
            return
    yield from install_gcc(int(major), bool(cmake)).strict(target)


def c_compiler(cxx: Compiler) -> Path:
    """The C compiler that belongs to a C++ compiler."""
    name = cxx.path.name
    c_name = name.replace("clang++", "clang") if cxx.kind == "clang" else name.replace("g++", "gcc")
    return cxx.path.with_name("cc" if c_name == "c++" else c_name)
