"""Compiles what was ported, and builds and imports it where there is a setup.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.builder.plan import CudaPlan
from dcnbuild.port.build_flags import BuildFlags, build_flags
from dcnbuild.port.output import copy_tree
from dcnbuild.port.result import Build, ProjectResult
from dcnbuild.port.source import COMPILED_SUFFIXES, CPP_SUFFIXES, find_sources
from dcnbuild.port.toolchain import Toolchain, compile_command
from dcnbuild.port.tree import Project

Progress = Callable[[str], None]
#: Whether a source compiles, what the compiler said, and why it was not tried.
Outcome = tuple[bool | None, str, str]

_TABLE = beside(__file__, "check.yaml")
_MISSING = re.compile(r"fatal error: ([\w./+-]+): No such file|cannot open source file \"([^\"]+)\"")
#: Headers that a port must have dealt with, C's own, and those by which a copy of pybind11 or CUB is known.
_OURS, _STANDARD, _COPY = (re.compile(_TABLE[key]) for key in ("ours", "of_c", "copies"))


def check_project(
    root: Path,
    result: ProjectResult,
    tools: Toolchain,
    jobs: int,
    progress: Progress,
    setup: bool = True,
    everything: bool = False,
    before: bool = True,
) -> ProjectResult:
    """The result with what compiled before and what does now, and with the build of its setup.py.

    Args:
        root: the ported project, as it is on disk. It is not written to.
        result: what was ported.
        tools: what to compile with.
        jobs: how many compilers at a time.
        progress: is told what happens.
        setup: whether to build its setup.py, and those in its directories, where there are any.
        everything: whether to compile the sources that porting did not touch, too.
        before: whether to compile them as they were, too.
    """
    wanted = _affected(result, everything)
    built: set[PurePosixPath] = set()
    build = None
    with tempfile.TemporaryDirectory(prefix="dcnbuild-port-") as temporary:
        scripts = (path for path in find_sources(root) if path.name == "setup.py") if setup else ()
        building = (path for path in scripts if "ext_modules" in path.read_text(errors="replace"))
        for number, script in enumerate(sorted(building)):
            progress(f"running {script}")
            folder = script.parent.relative_to(root)
            one, made = _build(root, Path(temporary, str(number)), tools, wanted, folder)
            one = replace(one, variables=dict(tools.added), folders=(str(folder),))
            build, built = build.and_also(one) if build else one, built | made
        rest = [path for path in wanted if path not in built]
        found: dict[PurePosixPath, Outcome] = {p: (True, "", "") for p in wanted if p in built}
        flags = build_flags(root)

        def compile_all(root: Path, paths: Sequence[PurePosixPath], what: str) -> dict[PurePosixPath, Outcome]:
            includes = _include_directories(root, result)

            def compile_one(path: PurePosixPath) -> Outcome:
                progress(f"compiling {path}{what}")
                return _compile(root, path, Path(temporary, path.name + ".o"), tools, includes, flags)

            with ThreadPoolExecutor(jobs) as pool:
                return dict(zip(paths, pool.map(compile_one, paths), strict=True))

        found |= compile_all(root, rest, "")
        there = {file.path for file in result.files if file.old} if before else ()
        touched = set(_affected(result, False))  # the others compile as they did
        old = [path for path in wanted if path in there and path in touched]
        compiled = {path: found[path][0] for path in wanted if path in there and path not in touched}
        if old:
            as_it_was = Path(temporary, "before")
            copy_tree(root, as_it_was)
            for file in result.changed:
                (as_it_was / file.path).unlink()
                if file.old:
                    (as_it_was / file.path).write_bytes(file.old.encode(file.encoding))
            outcomes = compile_all(as_it_was, old, " as it was")
            compiled |= {path: did for path, (did, _, _) in outcomes.items()}
    files = {file.path: file for file in result.files}
    for path, (compiles, output, note) in found.items():
        file = replace(files[path], compiled=compiled.get(path), compiles=compiles)
        files[path] = replace(file, output=output, note=note or file.note)
    return replace(result, files=tuple(files.values()), build=build)


def _affected(result: ProjectResult, everything: bool) -> list[PurePosixPath]:
    """The sources that changed, or that include a file that did; or all sources."""
    texts = {f.path: f.new for f in result.files if f.path.suffix in CPP_SUFFIXES}
    project = Project(texts)
    changed = {file.path for file in result.changed}
    return [
        path
        for path in texts
        if path.suffix in COMPILED_SUFFIXES
        and (project.ported_to(path) == path or project.ported_to(path) not in texts)
        and (everything or ({path} | project.included(path)) & changed)
    ]


def _compile(
    root: Path, path: PurePosixPath, output: Path, tools: Toolchain, includes: Sequence[Path], flags: BuildFlags
) -> Outcome:
    if path.suffix == ".cu" and not isinstance(tools.cuda, CudaPlan):
        return None, "", f"not tried: {tools.cuda.title}"
    here = (root / path).parent
    near = sorted(includes, key=lambda folder: len(os.path.commonpath((folder, here))), reverse=True)
    done = _run(compile_command(tools, root / path, output, [here, *near], flags), tools)
    output.unlink(missing_ok=True)
    said = done.stderr + done.stdout
    missing = _MISSING.search(said) if done.returncode else None
    header = next(filter(None, missing.groups()), "") if missing else ""
    if header and not _OURS.match(header):
        return None, "", f"not tried: it includes {header}, which is not installed here"
    return (False, _first_errors(said), "") if done.returncode else (True, "", "")


def _run(command: Sequence[str], tools: Toolchain, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(tools.environment)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", env=environment)


def _first_errors(said: str) -> str:
    """The lines that say what is wrong, or else the end of the output."""
    lines = [line for line in said.splitlines() if re.search(r"\b(?:error|undefined)\b", line)]
    return "\n".join((lines or said.splitlines()[-5:])[:5])


def _include_directories(root: Path, result: ProjectResult) -> list[Path]:
    """The project itself, what its setup.py names, and every directory with headers; a source asks the nearest first.

    But one with a `math.h`, and one that would put a copy of pybind11 or CUB before torch's and the toolkit's.
    """
    headers = {".h", ".hh", ".hpp", ".hxx", ".cuh", ".inl", ".ipp"}
    folders = {file.path.parent for file in result.files if file.path.suffix in headers}
    roots = {root, root / "src", root / "csrc", root / "include"}
    hiding = {file.path.parent for file in result.files if _STANDARD.fullmatch(file.path.name)}
    hiding |= {file.path.parent.parent for file in result.files if _COPY.fullmatch(file.path.as_posix())}
    parents = {root / parent for folder in folders for parent in (folder, *folder.parents) if parent not in hiding}
    return sorted(path for path in roots | parents if path.is_dir())


def _build(
    root: Path, temporary: Path, tools: Toolchain, wanted: Iterable[PurePosixPath], folder: Path
) -> tuple[Build, set[PurePosixPath]]:
    """Runs a folder's setup.py in a copy, and imports what it makes; also which sources came to objects."""
    copy = temporary / "project"
    copy_tree(root, copy)
    objects, libraries = temporary / "objects", temporary / "libraries"
    places = ("--build-temp", str(objects), "--build-lib", str(libraries))
    done = _run([sys.executable, "setup.py", "build_ext", *places], tools, copy / folder)
    made = tuple(path.as_posix() for path in objects.rglob("*.o"))
    inside = {path: path.relative_to(folder).with_suffix(".o") for path in wanted if path.is_relative_to(folder)}
    built = {path for path, o in inside.items() if any(name.endswith(f"/{o.as_posix()}") for name in made)}
    if done.returncode:
        return Build(False, {}, _first_errors(done.stdout + done.stderr)), built
    modules = {path.name.split(".")[0]: str(path) for path in libraries.rglob("*.so")}
    imported = _run([sys.executable, "-c", _TABLE["imports"], json.dumps(modules)], tools, temporary)
    if imported.returncode:
        return Build(True, dict.fromkeys(modules, imported.stderr[-500:])), built
    if not modules:
        return Build(False, {}, "setup.py made no extension module"), built
    return Build(True, json.loads(imported.stdout)), built
