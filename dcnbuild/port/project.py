"""Ports a whole project: reads its files, works out what each sees of the others, applies the rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from dcnbuild.port.binding import bindings
from dcnbuild.port.code import Code
from dcnbuild.port.cpp import finds, port_text
from dcnbuild.port.python.port import PythonProject, port_python
from dcnbuild.port.result import FileResult, ProjectResult
from dcnbuild.port.rule import Scope
from dcnbuild.port.source import CPP_SUFFIXES, Unreadable, find_sources, read_source

#: Headers that refuse C++17 since torch 2.13 (measured with torch 2.14.1).
_NEEDS_NEW_STANDARD = re.compile(r"torch/(?:extension|torch|all|python)\.h")


@dataclass(frozen=True)
class Options:
    """What the user asked for: see `dcnbuild port --help`."""

    fix_bugs: bool = False
    deprecated: bool = False


class Project:
    """The C++ and CUDA files of a project, by their path relative to its root."""

    def __init__(self, texts: Mapping[PurePosixPath, str]) -> None:
        self.texts = texts
        self.codes = {path: Code(text) for path, text in texts.items()}

    @cached_property
    def dispatchers(self) -> frozenset[str]:
        """Its macros that hand one of their parameters on to AT_DISPATCH_*."""
        return frozenset(
            macro.name
            for code in self.codes.values()
            for macro in code.layout.macros
            if macro.parameters
            and any(
                token.text.startswith("AT_DISPATCH_")
                and any(word.text in macro.parameters for word in macro.body[index + 1 : index + 8])
                for index, token in enumerate(macro.body)
            )
        )

    @cached_property
    def checks(self) -> frozenset[str]:
        """Its macros and functions that look at the error of a launch."""
        looks = {"cudaGetLastError", "cudaPeekAtLastError", "C10_CUDA_KERNEL_LAUNCH_CHECK"}
        found = set()
        for code in self.codes.values():
            if not any(name in code.text for name in looks):
                continue
            found |= {
                macro.name
                for macro in code.layout.macros
                if any(token.text in looks for token in macro.body)
            }
            found |= {
                function.name
                for function in code.functions
                if any(token.text in looks for token in code.between(*function.body))
            }
        return frozenset(found)

    @cached_property
    def state_parameters(self) -> dict[str, int]:
        """Its functions that take a THCState*, declared or defined, with its position."""
        found: dict[str, int] = {}
        for code in self.codes.values():
            stream = code.live if "THCState" in code.text else []
            for index, token in enumerate(stream):
                if token.text != "THCState" or stream[index + 1 : index + 2] == []:
                    continue
                commas, opening = 0, index - 1
                while opening >= 0 and stream[opening].text not in ("(", ")", ";", "{", "}"):
                    commas += stream[opening].text == ","
                    opening -= 1
                named = opening > 0 and stream[opening].text == "("
                if named and stream[opening - 1].kind == "name":
                    found[stream[opening - 1].text] = commas
        return found

    def included(self, path: PurePosixPath) -> set[PurePosixPath]:
        """The project's files that a file includes, those they include, and so on."""
        seen: set[PurePosixPath] = set()
        waiting = [path]
        while waiting:
            current = waiting.pop()
            for include in self.codes[current].layout.includes:
                found = self._resolve(current, include.header[1:-1])
                if found is not None and found not in seen and found != path:
                    seen.add(found)
                    waiting.append(found)
        return seen

    def _resolve(self, path: PurePosixPath, header: str) -> PurePosixPath | None:
        """The project's file that an #include means: beside it, or else the one that ends so."""
        parts = [part for part in PurePosixPath(header).parts if part not in (".", "..")]
        if not parts:
            return None
        beside = path.parent / PurePosixPath(*parts)
        if beside in self.texts:
            return beside
        ending = [
            p for p in self._by_name.get(parts[-1], ()) if p.parts[-len(parts) :] == tuple(parts)
        ]
        return ending[0] if ending else None

    @cached_property
    def _by_name(self) -> dict[str, list[PurePosixPath]]:
        names: dict[str, list[PurePosixPath]] = {}
        for path in sorted(self.texts):
            names.setdefault(path.name, []).append(path)
        return names

    def scope(self, path: PurePosixPath) -> Scope:
        """What one file sees of the project."""
        seen = self.included(path)
        own = self.codes[path].defined.union(*(self.codes[other].defined for other in seen))
        headers = {
            include.header[1:-1]
            for other in seen
            for include in self.codes[other].layout.includes
            if not include.path
        }
        written = {include.header[1:-1] for include in self.codes[path].layout.includes}
        return Scope(
            suffix=path.suffix,
            own=own,
            headers=frozenset(headers),
            own_headers=frozenset(h for h in written if self._resolve(path, h) is not None),
            dispatchers=self.dispatchers,
            state_parameters=self.state_parameters,
            checks=self.checks,
        )


def port_project(root: Path, options: Options = Options()) -> ProjectResult:
    """Ports every source below a directory, or one file, in memory: nothing is written.

    Raises OSError where a file cannot be read.
    """
    results: list[FileResult] = []
    cpp: dict[PurePosixPath, tuple[str, str]] = {}
    python: dict[PurePosixPath, tuple[str, str]] = {}
    base = root.parent if root.is_file() else root
    for file in find_sources(root):
        relative = PurePosixPath(file.relative_to(base).as_posix())
        try:
            (cpp if file.suffix in CPP_SUFFIXES else python)[relative] = read_source(file)
        except Unreadable as error:
            results.append(FileResult(relative, "", "", note=f"not looked at: {error}"))
    project = Project({path: text for path, (text, _) in cpp.items()})
    scopes = {path: project.scope(path) for path in cpp}
    failing = any(finds(text, scopes[path], "broken") for path, (text, _) in cpp.items())
    deprecated = failing or options.deprecated
    left = 0
    for path, (text, encoding) in cpp.items():
        if path.suffix == ".c":  # torch's headers are C++: nothing that a rule writes would compile
            ported = port_text(text, scopes[path], ())
        else:
            ported = port_text(text, scopes[path], deprecated=deprecated, fix_bugs=options.fix_bugs)
        if not deprecated:
            left += finds(text, scopes[path], "deprecated")
        results.append(
            FileResult(path, text, ported.text, encoding, ported.changes, ported.remarks)
        )
    texts = {result.path: result.new for result in results if result.path in cpp}
    results += bindings(texts)
    results += port_python(PythonProject(python), needs_new_standard(project), options.fix_bugs)
    relevant = [r for r in results if r.changed or r.remarks or r.note or r.path in cpp]
    return ProjectResult(tuple(sorted(relevant, key=lambda r: r.path)), failing, left)


def needs_new_standard(project: Project) -> bool:
    """Whether any source includes a header of torch that refuses an old -std flag."""
    return any(
        _NEEDS_NEW_STANDARD.fullmatch(include.header[1:-1])
        for code in project.codes.values()
        for include in code.layout.includes
    )
