"""What a finding tells people to do: one vocabulary of commands for checks, log rules and builds.

A fix is made of arguments and not of text, and is written down for the machine and the shell in which it will be
pasted:

    set_env("CUDA_HOME", path).lines(Target.of(facts))  → ("export CUDA_HOME='/opt/my cuda'",)

Every value from outside is quoted. Where one cannot be, the line says in words what it would have done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from dcnbuild.base.versions import numbers
from dcnbuild.doctor.fixes import quoting
from dcnbuild.doctor.fixes.fix import Fix, Target, makes_fix
from dcnbuild.doctor.fixes.quoting import UnquotableError
from dcnbuild.machine import recipes
from dcnbuild.machine.facts import Compiler, Facts

INDEX = "https://download.pytorch.org/whl"
_INSTALL = {"pacman": ("pacman", "-S"), "apk": ("apk", "add")}
#: What the package managers call the packages that fixes install; {} is a version.
_PACKAGES = {
    "apt-get": {"g++": "g++{}", "python-dev": "python{}-dev"},
    "dnf": {"g++": "gcc{}-c++", "python-dev": "python{}-devel"},
    "yum": {"g++": "gcc{}-c++", "python-dev": "python{}-devel"},
    "zypper": {"g++": "gcc{}-c++", "python-dev": "python3-devel"},
    "pacman": {"g++": "gcc{}", "python-dev": "python"},
    "apk": {"g++": "g++", "python-dev": "python3-dev"},
}
#: The first toolkit in NVIDIA's package repository for a distribution, as far as it was looked up. Source:
#: what that repository lists; for Ubuntu 24.04 also Jimver/cuda-toolkit#375.
_FIRST_IN_REPOSITORY = {"ubuntu 22.04": (11, 7), "ubuntu 24.04": (12, 5), "debian 12": (12, 4)}
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*(?:\[[\w,.-]+\])?(?:[=<>!~]=?[\w.*+!,<>=~ -]+)?", re.ASCII
)
_GPU_QUERY = "nvidia-smi --query-gpu=compute_cap --format=csv,noheader"
_WINDOWS_TOOLKITS = r"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA"


@makes_fix
def say(target: Target, text: str) -> Iterator[str]:
    """What to do, in words: a comment."""
    yield quoting.comment(text, target.shell)


@makes_fix
def command(
    target: Target,
    *words: str | Path,
    operands: Iterable[str | Path] = (),
    root: bool = False,
) -> Iterator[str]:
    """Runs a program.

    Args:
        target: where.
        words: the program and its options, which may be any text.
        operands: file names and the like: refused where the program would take them for options.
        root: whether it takes root to run it.
    """
    shell = target.shell
    written = [quoting.argument(str(word), shell) for word in words]
    written += [quoting.operand(str(word), shell) for word in operands]
    if shell == "powershell" and written[0].startswith("'"):
        written.insert(0, "&")
    if root and not target.root and not target.windows:
        written.insert(0, "sudo")
    yield " ".join(written)


@makes_fix
def set_env(target: Target, name: str, value: str | Path) -> Iterator[str]:
    """Sets an environment variable."""
    yield _set(target, name, value)


def _set(target: Target, name: str, value: str | Path, after: str = "") -> str:
    return quoting.assignment(name, str(value), target.shell, after)


@makes_fix
def unset_env(target: Target, name: str) -> Iterator[str]:
    """Unsets an environment variable."""
    name = quoting.variable_name(name)
    yield {
        "fish": f"set -e {name}",
        "csh": f"unsetenv {name}",
        "cmd": f"set {name}=",
        "powershell": f"Remove-Item Env:{name}",
    }.get(target.shell, f"unset {name}")


@makes_fix
def set_list(target: Target, name: str, entries: Iterable[str | Path]) -> Iterator[str]:
    """Sets a variable that lists directories; unsets it where none is left."""
    texts = list(dict.fromkeys(map(str, entries)))
    if not texts:
        yield from unset_env(name).strict(target)
    else:
        yield _set(target, name, (";" if target.windows else ":").join(texts))


@makes_fix
def prepend(target: Target, name: str, *directories: str | Path) -> Iterator[str]:
    """Puts directories before what a variable like PATH or CPATH lists already."""
    facts = target.facts
    unset = facts is not None and not any(entry.variable == name for entry in facts.paths)
    after = {
        "fish": f" ${name}",
        "cmd": f";%{name}%",
        "powershell": f" + ';' + $env:{name}",
    }.get(target.shell, f':"${name}"')
    texts = (";" if target.windows else ":").join(map(str, directories))
    yield _set(target, name, texts, "" if unset else after)


@makes_fix
def set_env_from(target: Target, name: str, *words: str) -> Iterator[str]:
    """Sets an environment variable to what a command prints."""
    name, written = (
        quoting.variable_name(name),
        [quoting.argument(word, target.shell) for word in words],
    )
    if target.shell in ("csh", "cmd") and written != list(words):  # quotes do not nest there
        raise UnquotableError(f"{' '.join(words)}: cannot stand in a command substitution")
    line = " ".join(written)
    yield {
        "fish": f"set -gx {name} ({line})",
        "csh": f'setenv {name} "`{line}`"',
        "cmd": f"for /f \"delims=\" %i in ('{line}') do set {name}=%i",
        "powershell": f"$env:{name} = ({line})",
    }.get(target.shell, f'export {name}="$({line})"')


@makes_fix
def ask_gpus(target: Target) -> Iterator[str]:
    """Sets TORCH_CUDA_ARCH_LIST to what the GPUs of the machine are."""
    name = "TORCH_CUDA_ARCH_LIST"
    if target.shell == "cmd":
        yield _GPU_QUERY
        yield quoting.comment(f"then: set {name}= to what it prints", target.shell)
        return
    joined = f"{_GPU_QUERY} | sort -u | paste -sd';' -"
    yield {
        "fish": f"set -gx {name} ({_GPU_QUERY} | sort -u | string join ';')",
        "csh": f'setenv {name} "`{joined}`"',
        "powershell": f"$env:{name} = ({_GPU_QUERY} | Sort-Object -Unique) -join ';'",
    }.get(target.shell, f'export {name}="$({joined})"')


def _python(target: Target) -> list[str]:
    """The Python that the facts are about, whatever `python` on PATH is; [] if there are no facts."""
    if target.facts is None:
        return []
    python = target.facts.python
    active = python.on_path is not None and python.on_path.parent == python.executable.parent
    return ["python"] if active else [str(python.executable)]


@makes_fix
def on(target: Target, facts: Facts, fix: Fix) -> Iterator[str]:
    """Does it with the Python of other facts, e.g. in a new environment."""
    yield from fix.strict(replace(target, facts=facts))


@makes_fix
def pip(target: Target, *words: str | Path, operands: Iterable[str | Path] = ()) -> Iterator[str]:
    """Runs pip for the Python that the fix is about."""
    python = _python(target)
    before = [*python, "-m", "pip"] if python else ["pip"]
    yield from command(*before, *words, operands=tuple(operands)).strict(target)


@makes_fix
def pip_install(
    target: Target, *requirements: str, options: Iterable[str] = (), index: Iterable[str] = ()
) -> Iterator[str]:
    """Installs requirements such as "numpy<2"; refused is what is none. `index` are options that come last."""
    for text in requirements:
        if not _REQUIREMENT.fullmatch(text):
            raise UnquotableError(f"{text}: no requirement that pip could install")
    yield from pip("install", *options, *requirements, *index).strict(target)


@makes_fix
def install_torch(
    target: Target, version: str | None = None, cuda: str | None = None
) -> Iterator[str]:
    """Installs torch, by default the newest, with the CUDA that is asked for ("12.8", or "cpu")."""
    tag = "cpu" if cuda == "cpu" else f"cu{cuda.replace('.', '')}" if cuda else None
    package = f"torch=={version.partition('+')[0]}" if version else "torch"
    # pip takes a version with another "+cu…" for the same, and would do nothing
    options = ("--upgrade", "--force-reinstall") if tag else ("--upgrade",)
    index = ("--index-url", f"{INDEX}/{tag}") if tag else ()
    yield from pip_install(package, options=options, index=index).strict(target)


@makes_fix
def dcnbuild(target: Target, *words: str, operands: Iterable[str | Path] = ()) -> Iterator[str]:
    """Runs a command of dcnbuild."""
    yield from command(*_dcnbuild(target), *words, operands=tuple(operands)).strict(target)


def _dcnbuild(target: Target) -> list[str]:
    python = _python(target)
    return ["dcnbuild"] if python in ([], ["python"]) else [*python, "-m", "dcnbuild"]


@makes_fix
def conda_install(target: Target, *packages: str, channel: str = "conda-forge") -> Iterator[str]:
    """Installs packages into the active conda environment."""
    yield from command("conda", "install", "-c", channel, operands=packages).strict(target)


@makes_fix
def system_install(target: Target, package: str, version: str = "") -> Iterator[str]:
    """Installs a package of the system: "g++", "python-dev", or one that is called the same everywhere."""
    manager = target.manager
    if target.conda and package == "g++":
        name = f"gxx_linux-64={version}" if version else "gxx_linux-64"
        yield from conda_install(name).strict(target)
        return
    if manager is None:
        yield quoting.comment(f"install {package} {version} with the package manager", target.shell)
        return
    if version and package == "g++" and manager == "apt-get":
        version = f"-{version}"
    name = _PACKAGES.get(manager, {}).get(package, package).format(version)
    program = _INSTALL.get(manager, (manager, "install"))
    yield from command(*program, operands=(name,), root=True).strict(target)


@makes_fix
def install_gcc(target: Target, major: int) -> Iterator[str]:
    """Installs gcc and g++ of a major version, and makes builds use them."""
    fedora = (target.distribution or "").startswith("fedora")
    if target.conda or target.manager in (None, "apk") or (fedora and major < 13):
        packages = (f"gcc_linux-64={major}", f"gxx_linux-64={major}")
        yield from conda_install(*packages).strict(target)
        prefix = "$CONDA_PREFIX/bin/x86_64-conda-linux-gnu"
        yield from _constant_compilers(target, f"{prefix}-gcc", f"{prefix}-g++")
        return
    if target.manager == "pacman" and major < 14:
        yield quoting.comment(
            f"gcc{major} is in the AUR, and takes an AUR helper such as yay", target.shell
        )
        yield from command("yay", "-S", f"gcc{major}").strict(target)
    elif target.manager in ("dnf", "yum") and not fedora:
        package = f"gcc-toolset-{major}-gcc-c++"  # of Red Hat's AppStream
        yield from system_install(package).strict(target)
        root = f"/opt/rh/gcc-toolset-{major}/root/usr/bin"
        yield from use_compiler(f"{root}/gcc", f"{root}/g++").strict(target)
        return
    else:
        yield from system_install("g++", str(major)).strict(target)
    yield from use_compiler(f"/usr/bin/gcc-{major}", f"/usr/bin/g++-{major}").strict(target)


def _constant_compilers(target: Target, c: str, cxx: str) -> Iterator[str]:
    """Values of ours with a variable in them, which double quotes leave to the shell."""
    verb = {"fish": "set -gx {} ", "csh": "setenv {} "}.get(target.shell, "export {}=")
    for name, value in (("CC", c), ("CXX", cxx), ("NVCC_CCBIN", cxx)):
        yield f'{verb.format(name)}"{value}"'


@makes_fix
def use_compiler(target: Target, c: str | Path, cxx: str | Path) -> Iterator[str]:
    """Makes builds use a compiler: torch hands CC on to nvcc, compiles .cpp with CXX; nvcc asks NVCC_CCBIN."""
    for name, value in (("CC", c), ("CXX", cxx), ("NVCC_CCBIN", cxx)):
        yield _set(target, name, value)


@makes_fix
def use_gcc(target: Target, major: int) -> Iterator[str]:
    """Makes builds use gcc of a major version: the one that is there, else one to be installed."""
    for compiler in target.facts.compilers if target.facts else ():
        found = compiler.kind == "gcc" and numbers(compiler.version)[:1] == (major,)
        if found and "++" in compiler.path.name:
            yield from use_compiler(c_compiler(compiler), compiler.path).strict(target)
            return
    yield from install_gcc(major).strict(target)


def c_compiler(cxx: Compiler) -> Path:
    """The C compiler that belongs to a C++ compiler."""
    name = cxx.path.name
    c_name = name.replace("clang++", "clang") if cxx.kind == "clang" else name.replace("g++", "gcc")
    return cxx.path.with_name("cc" if c_name == "c++" else c_name)


@makes_fix
def use_toolkit(
    target: Target, version: str | None = None, root: str | Path | None = None
) -> Iterator[str]:
    """Makes a toolkit the one in use: that at `root`, else one of the version, where it usually lies."""
    facts = target.facts
    if version is not None:
        _version(version)
    if root is None and facts is not None:
        fitting = (kit for kit in facts.toolkits if version in (None, kit.version))
        root = next((kit.root for kit in fitting), None)
    if root is None and target.windows:
        root = rf"{_WINDOWS_TOOLKITS}\v{version or 'X.Y'}"
    root = str(root or (f"/usr/local/cuda-{version}" if version else "/usr/local/cuda"))
    yield _set(target, "CUDA_HOME", root)
    yield from prepend("PATH", rf"{root}\bin" if target.windows else f"{root}/bin").strict(target)


def _version(text: str) -> None:
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}(?:\.\d{1,4})?", text, re.ASCII):
        raise UnquotableError(f"{text}: no version of CUDA such as 13.0")


def toolkit_source(target: Target, version: str) -> tuple[str, str]:
    """Where a toolkit for a torch of this CUDA version comes from, and which version it will be.

    "dcnbuild", "conda", "repository" (NVIDIA's, of packages) or "archive" (NVIDIA's, of installers). The first is the
    shortest wherever it is possible: it takes no root. Another minor version of the same major does no harm, so that
    a newer one stands in for what a source does not have.
    """
    wanted = numbers(version)[:2]
    if target.system == "Linux" and recipes.from_pypi(version):
        return "dcnbuild", version
    if target.conda:
        return "conda", version
    if (target.distribution or "").startswith("debian"):  # the recipes take Debian's own archive
        known = [name for name in recipes.DEBIAN if numbers(name)[:1] == wanted[:1]]
        newer = [name for name in known if numbers(name) >= wanted]
        if newer:
            return "dcnbuild", min(newer, key=numbers)
    first = _FIRST_IN_REPOSITORY.get(target.distribution or "")
    if first is not None and first[:1] <= wanted[:1]:
        stands_in = first > wanted
        return "repository", ".".join(map(str, first)) if stands_in else version
    return "archive", version


@makes_fix
def install_toolkit(target: Target, version: str) -> Iterator[str]:
    """Installs a CUDA toolkit that serves a torch of this CUDA version, and makes it the one in use."""
    _version(version)
    source, version = toolkit_source(target, version)
    package = f"cuda-toolkit-{version.replace('.', '-')}"
    if source == "dcnbuild":
        yield from dcnbuild("toolkit", "install", version).strict(target)
        # `toolkit path` could name another of this version, which may be the one that lacks something
        again = set_env_from("CUDA_HOME", *_dcnbuild(target), "toolkit", "install", version)
        yield from again.strict(target)
        return
    if source == "conda":
        channel = f"nvidia/label/cuda-{version}.0"
        yield from conda_install("cuda-toolkit", channel=channel).strict(target)
        prefix = target.facts.variables.get("CONDA_PREFIX") if target.facts else None
        if prefix:
            yield _set(target, "CUDA_HOME", prefix)
        return
    if source == "repository":
        yield quoting.comment("from the package repository of NVIDIA:", target.shell)
        yield from system_install(package).strict(target)
    elif target.manager == "apt-get" and target.distribution is None:
        if version in recipes.DEBIAN:
            yield quoting.comment("on Debian:", target.shell)
            yield from dcnbuild("toolkit", "install", version).strict(target)
        yield quoting.comment("on Ubuntu, from the package repository of NVIDIA:", target.shell)
        yield from system_install(package).strict(target)
    else:
        yield from _archive(target, version)
    if target.windows:
        yield from use_toolkit(version).strict(target)
    else:
        yield _set(target, "CUDA_HOME", f"/usr/local/cuda-{version}")


def _archive(target: Target, version: str) -> Iterator[str]:
    page = f"https://developer.nvidia.com/cuda-{version.replace('.', '-')}-0-download-archive"
    yield quoting.comment(f"install CUDA {version} from {page}", target.shell)


@makes_fix
def rebuild(target: Target, package: str | None = None) -> Iterator[str]:
    """Builds an extension anew against the installed torch: a package of an index, or the current directory."""
    options = ("--no-build-isolation", "--no-cache-dir", "--no-deps", "--force-reinstall")
    if package is not None:
        yield from pip_install(package, options=(*options, "--no-binary", package)).strict(target)
        return
    remove_build = {"cmd": "rmdir /s /q build", "powershell": "Remove-Item -Recurse -Force build"}
    yield remove_build.get(target.shell, "rm -rf build")
    yield from pip("install", *options, ".").strict(target)


@makes_fix
def remove(target: Target, path: str | Path, recursive: bool = False) -> Iterator[str]:
    """Deletes a file, or a directory with all that is in it."""
    programs = {
        "cmd": (("del",), ("rmdir", "/s", "/q")),
        "powershell": (("Remove-Item",), ("Remove-Item", "-Recurse", "-Force")),
    }
    one, all_of_it = programs.get(target.shell, (("rm",), ("rm", "-rf")))
    yield from command(*(all_of_it if recursive else one), operands=(path,)).strict(target)


@makes_fix
def make_directory(target: Target, path: str | Path) -> Iterator[str]:
    """Creates a directory."""
    yield from command("mkdir", *(() if target.windows else ("-p",)), operands=(path,)).strict(
        target
    )
