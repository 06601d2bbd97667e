"""Ports a whole project: reads its files, works out what each sees of the others, applies the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dcnbuild.port import source
from dcnbuild.port.cpp import PortedText, finds, not_understood, port_text
from dcnbuild.port.ffi import extensions
from dcnbuild.port.ffi_project import port_ffi, project_file, replaced_scripts
from dcnbuild.port.inline import folded, joined, places_in
from dcnbuild.port.python.port import TRIGGERS, PythonProject, port_python
from dcnbuild.port.python.statements import as_python3
from dcnbuild.port.result import Change, FileResult, ProjectResult
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules import RULES
from dcnbuild.port.scripts import made_by_setup, port_scripts
from dcnbuild.port.stable.abi import Target
from dcnbuild.port.stable.project import port_to_stable
from dcnbuild.port.tree import Project, needs_new_standard

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the user asked for: see `dcnbuild port --help`."""

    fix_bugs: bool = False
    deprecated: bool = False
    stable: Target | None = None


def port_project(root: Path, options: Options = Options(), progress: Progress = lambda text: None) -> ProjectResult:
    """Ports every source below a directory, or one file, in memory: nothing is written.

    Args:
        root: the directory or file.
        options: what the user asked for.
        progress: is told how far it has come, once a file.
    """
    if options.stable:  # its rules start from the ATen of today
        options = replace(options, deprecated=True)
    sources, unread, skipped = _read(root, progress)
    cpp, python = (
        {path: found for path, found in sources.items() if path.suffix in suffixes}
        for suffixes in (source.CPP_SUFFIXES, source.PYTHON_SUFFIXES)
    )
    hidden = {path for path in sources if any(part.startswith(".") for part in path.parts)}
    # scripts in hidden directories are for machines that test many versions
    scripts = {path: found for path, found in sources.items() if source.is_script(path) and path not in hidden}
    stated = {path: as_python3(text) for path, (text, _) in python.items() if TRIGGERS.search(text)}
    python |= {path: (text, python[path][1]) for path, (text, changes) in stated.items() if changes}
    scripts_in_python = PythonProject(python)
    # what build scripts bind: torch's builds take its sources in C for C++
    bound = {e.script.parent / name for e in extensions(scripts_in_python.modules) for name in (*e.headers, *e.sources)}
    places = places_in(scripts_in_python.modules)
    inline = {name: (python[path][0][start:end], python[path][1]) for name, (path, start, end) in places.items()}
    project = Project({path: text for path, (text, _) in (cpp | inline).items()}, bound, inline.keys())
    ported, failing, left = _port_cpp(project, cpp | inline, options, progress)
    ported, holders = folded(ported, places, python)
    for path, (text, changes) in stated.items():
        if changes:
            held = holders.get(path) or FileResult(path, text, text, python[path][1])
            holders[path] = replace(held, old=sources[path][0], changes=(*changes, *held.changes))
    added: list[FileResult] = []
    with suppress(Exception):  # then the build script is named
        texts = {result.path: result.new for result in ported}
        added = port_ffi(scripts_in_python.modules, texts, root.resolve().name)
    written = (result.new for result in (*ported, *added) if result.changed)
    new_standard = project.needs_new_standard or any(map(needs_new_standard, written))
    results = [*unread, *ported, *added]
    done = replaced_scripts(dict(scripts_in_python.modules.texts) | {result.path: result.new for result in added})
    old = failing or options.deprecated
    if places:
        scripts_in_python = PythonProject(python | {path: (held.new, held.encoding) for path, held in holders.items()})
    results += joined(port_python(scripts_in_python, new_standard, done, old), holders)
    built = made_by_setup({path: text for path, (text, _) in python.items()})
    results += port_scripts(scripts, new_standard, old, built)
    if failing and root.is_dir() and not (root / "pyproject.toml").exists():
        texts = {path: text for path, (text, _) in sources.items()} | {result.path: result.new for result in results}
        results += project_file(texts.get(PurePosixPath("setup.py"), ""))
    relevant = [r for r in results if r.changed or r.remarks or r.note or r.path in cpp or r.path in holders]
    files = tuple(sorted(relevant, key=lambda r: r.path))
    result = ProjectResult(files, failing, left, skipped=tuple(skipped), served=project.served)
    return port_to_stable(result, python, options.stable) if options.stable else result


def _read(
    root: Path, progress: Progress
) -> tuple[dict[PurePosixPath, tuple[str, str]], list[FileResult], list[source.Skipped]]:
    """The sources with their encodings, those that cannot be read, and what is not looked at."""
    base = root.parent if root.is_file() else root
    sources: dict[PurePosixPath, tuple[str, str]] = {}
    unread: list[FileResult] = []
    skipped: list[source.Skipped] = []
    for found in source.survey(root):
        left = found if isinstance(found, source.Skipped) else source.Skipped(found, "")
        path = PurePosixPath(left.path.relative_to(base).as_posix())
        if isinstance(found, source.Skipped):
            skipped.append(replace(found, path=Path(path)))
        else:
            progress(f"reading sources: {len(sources):,}")
            try:
                sources[path] = source.read_source(found)
            except (source.Unreadable, OSError) as error:
                left = replace(left, reason=source.reason_of(error))
        if left.reason and source.is_source(left.path) and not left.copied:
            unread.append(FileResult(path, "", "", note=f"not looked at: {left.reason}", read=False))
    return sources, unread, skipped


def _port_cpp(
    project: Project, sources: Mapping[PurePosixPath, tuple[str, str]], options: Options, progress: Progress
) -> tuple[list[FileResult], bool, int]:
    """The C++ files, whether any fails today, and how many deprecated forms were left for that."""
    scopes: dict[PurePosixPath, Scope] = {}
    failing = False
    for path, (_, encoding) in sources.items():
        progress(f"looking for what fails: {len(scopes):,} of {len(sources):,}")
        scopes[path] = project.scope(path)
        project.codes[path] = project.codes[path].with_own(scopes[path].own)
        target = project.ported_to(path)
        done = target != path and target in sources
        if path in project.reached and not failing and not done:
            failing = bool(source.is_wide(encoding) or finds(project.codes[path], scopes[path], "broken"))
    deprecated = failing or options.deprecated
    results: list[FileResult] = []
    left = 0
    for path, (text, encoding) in sources.items():
        progress(f"porting: {len(results):,} of {len(sources):,}")
        code = project.codes[path]
        target = project.ported_to(path)
        if path not in project.reached or target in sources and target != path:
            results.append(FileResult(path, text, text, encoding))
            continue
        rules = () if target == path and project.is_c(path) else RULES
        try:
            ported = port_text(code, scopes[path], rules, deprecated=deprecated, fix_bugs=options.fix_bugs)
        except Exception as error:
            ported = PortedText(text, (), (not_understood("all rules", repr(error)),))
        left += 0 if deprecated else finds(code, scopes[path], "deprecated")
        changes = ported.changes
        if source.is_wide(encoding):  # gcc, clang and nvcc read nothing of the kind
            changes = (Change("source-encoding", 1, encoding, "utf-8"), *changes)
            encoding = "utf-8"
        if target != path:
            results.append(FileResult(path, text, text, note=f"nothing builds it any more: its port is {target.name}"))
        old = text if target == path else ""
        results.append(FileResult(target, old, ported.text, encoding, changes, ported.remarks))
    return results, failing, left
