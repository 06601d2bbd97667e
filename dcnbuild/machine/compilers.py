"""Finds the host C++ compilers, and the one that nvcc would call."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import Compiler

_LAUNCHERS = {"ccache", "sccache", "distcc", "env"}
_CCBIN = re.compile(r"(?:^|\s)(?:-ccbin|--compiler-bindir)[=\s]\s*(\S+)")


def find_compilers(env: Mapping[str, str]) -> list[Compiler]:
    """Returns the compilers that CXX, CC and NVCC_CCBIN name, then those on PATH, best first.

    On PATH it finds c++, g++, gcc, clang++, and each g++-N and clang++-N, newest first. Two names of one file appear
    once, unless a variable names the file.
    """
    found: list[Compiler] = []
    seen: set[Path] = set()
    for label, path in candidates(env):
        real = files.resolve(path)
        if real in seen and label == "PATH":
            continue
        compiler = _read_compiler(path, label, env)
        if compiler is not None:
            seen.add(real)
            found.append(compiler)
    return found


def nvcc_host_compiler(
    env: Mapping[str, str],
    compilers: Sequence[Compiler],
    through_torch: bool = True,
    nvcc: Path | None = None,
) -> Compiler | None:
    """Returns the compiler that nvcc would call, or None if it is not one of `compilers`.

    nvcc obeys -ccbin, which torch's extension builder passes if CC is set, and which NVCC_PREPEND_FLAGS and
    NVCC_APPEND_FLAGS can contain. Next it obeys NVCC_CCBIN. Then it takes `gcc` from its own directory, where Debian
    has a script that chooses a gcc that nvcc accepts, and then from PATH. (Source: the nvcc manual, `nvcc --dryrun` of
    13.0, Debian's nvidia-cuda-toolkit 11.8; for CC, torch/utils/cpp_extension.py of 2.14.1.)

    Args:
        env: the environment variables.
        compilers: the result of `find_compilers`.
        through_torch: whether torch's extension builder calls nvcc.
        nvcc: the nvcc binary; without it, nvcc's own directory is not searched.
    """
    flags = f"{env.get('NVCC_PREPEND_FLAGS', '')} {env.get('NVCC_APPEND_FLAGS', '')}"
    in_flags = _CCBIN.findall(flags)
    if in_flags:
        wanted = _named(in_flags[-1].strip("\"'"), env)
    elif through_torch and env.get("CC"):
        wanted = _named(env["CC"], env)
    elif env.get("NVCC_CCBIN"):
        wanted = _named(env["NVCC_CCBIN"], env)
    elif nvcc is not None and files.is_file(nvcc.parent / "gcc"):
        return _read_compiler(nvcc.parent / "gcc", "beside nvcc", env)
    else:
        wanted = next(files.on_path(env, "gcc"), None)
    if wanted is None:
        return None
    real = files.resolve(wanted)
    return next((compiler for compiler in compilers if files.resolve(compiler.path) == real), None)


def candidates(env: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yields every file that `find_compilers` examines, best first, and where it was found; runs no program."""
    for variable in ("CXX", "CC", "NVCC_CCBIN"):
        path = _named(env.get(variable, ""), env)
        if path is not None:
            yield variable, path
    flags = f"{env.get('NVCC_PREPEND_FLAGS', '')} {env.get('NVCC_APPEND_FLAGS', '')}"
    for text in _CCBIN.findall(flags):
        path = _named(text.strip("\"'"), env)
        if path is not None:
            yield "NVCC_PREPEND_FLAGS", path
    for name in ("c++", "g++", "gcc", "clang++"):
        for path in files.on_path(env, name):
            yield "PATH", path
    numbered = [
        path
        for directory in files.search_path(env)
        for path in files.children(directory, "*++-[0-9]*")
        if re.fullmatch(r"(?:g|clang)\+\+-\d+", path.name)
    ]
    for path in sorted(numbered, key=lambda path: int(path.name.split("-")[-1]), reverse=True):
        yield "PATH", path


def _named(value: str, env: Mapping[str, str]) -> Path | None:
    """Returns the compiler in a variable's value: a path, name or directory, perhaps with launchers and flags."""
    try:
        words = shlex.split(value)
    except ValueError:
        return None
    words = [word for word in words if Path(word).name not in _LAUNCHERS and not word.startswith("-")]
    if not words:
        return None
    path = Path(words[0])
    if files.is_dir(path) and (path / "gcc").exists():  # nvcc accepts a directory
        return path / "gcc"
    if os.sep in words[0]:
        return path if files.is_file(path) else None
    return next(files.on_path(env, words[0]), None)


def _read_compiler(path: Path, label: str, env: Mapping[str, str]) -> Compiler | None:
    output = files.run([os.fspath(path), "--version"], env) or ""
    first_line = output.partition("\n")[0]
    version = re.search(r"(?<![\d.])\d+\.\d+(?:\.\d+)?(?=[\s-]|$)", re.sub(r"\([^)]*\)", "", first_line))
    if version is None:
        return None
    kind = "clang" if "clang" in first_line.lower() else "gcc"
    return Compiler(path=path, kind=kind, version=version[0], found_by=label)
