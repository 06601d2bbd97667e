"""Ports a whole project to the stable ABI, after the ordinary rules: `dcnbuild port --to stable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from dcnbuild.port.cpp import PortedText, not_understood
from dcnbuild.port.result import FileResult, ProjectResult
from dcnbuild.port.rule import Scope
from dcnbuild.port.source import CPP_SUFFIXES
from dcnbuild.port.stable import arithmetic, pointers, setup
from dcnbuild.port.stable.abi import Target
from dcnbuild.port.stable.facts import StableScope, signatures
from dcnbuild.port.stable.text import port_stable
from dcnbuild.port.stable.types import opened
from dcnbuild.port.tree import Project


def port_to_stable(
    result: ProjectResult, python: Mapping[PurePosixPath, tuple[str, str]], target: Target
) -> ProjectResult:
    """What a project comes to when the stable rules follow the ordinary ones.

    Args:
        result: of the ordinary rules. It holds every C++ file.
        python: the Python files as they were: path → text and encoding.
        target: the release whose ABI is meant.
    """
    files = {file.path: file for file in result.files}
    texts = {path: file.new for path, file in files.items() if path.suffix in CPP_SUFFIXES}
    project = Project(texts)
    known = signatures(project.codes)
    base = StableScope(
        target=target,
        signatures=known,
        mutated=pointers.mutated(project.codes, known),
        opaque=pointers.opaque(project.codes),
        signed=arithmetic.signed(project.codes),
    )
    scripts = {path: files[path].new if path in files else text for path, (text, _) in python.items()}
    extensions = setup.extensions(scripts)
    spaces = {path: {space for space, *_ in opened(code)} for path, code in project.codes.items()}
    for path in sorted(texts):
        if path not in project.reached or not files[path].read:
            continue
        scope = _scope(base, project.scope(path), setup.namespace(extensions, path))
        seen = frozenset().union(*(spaces[other] for other in project.included(path)))
        scope = replace(scope, opened=seen, beside=tuple(project.codes[other] for other in project.included(path)))
        project.codes[path] = project.codes[path].with_own(scope.own)
        try:
            ported = port_stable(project.codes[path], scope)
        except Exception as error:
            ported = PortedText(texts[path], (), (not_understood("stable rules", repr(error)),))
        files[path] = _joined(files[path], ported)
    modules = setup.modules(project.codes, base, extensions)
    cuda = any(path.suffix == ".cu" for path in texts)
    for made in setup.port_setup(scripts, extensions, modules, target, cuda):
        old = files.get(made.path)
        if old is None:
            text, encoding = python.get(made.path, ("", "utf-8"))
            old = FileResult(made.path, text, text, encoding)
        files[made.path] = old.then(made.new, made.changes, made.remarks)
    ordered = tuple(sorted(files.values(), key=lambda file: file.path))
    return replace(result, files=ordered, failing=True)


def _scope(base: StableScope, scope: Scope, library: str) -> StableScope:
    fields = {name: getattr(scope, name) for name in Scope.__dataclass_fields__}
    return replace(base, **fields | {"signatures": base.signatures}, library=library)


def _joined(file: FileResult, ported: PortedText) -> FileResult:
    """A file's result after both kinds of rules; what the stable rules name is not named twice."""
    named = {remark.subject.rpartition("::")[2] for remark in ported.remarks}
    old = tuple(r for r in file.remarks if r.subject.rpartition("::")[2] not in named)
    return replace(file, remarks=old).then(ported.text, ported.changes, ported.remarks)
