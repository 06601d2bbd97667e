"""Ports a whole project: reads its files, works out what each sees of the others, applies the rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText, finds, not_understood, port_text
from dcnbuild.port.ffi import WRITTEN, headers_of, port_ffi, ported_source, project_file
from dcnbuild.port.python.port import PythonProject, port_python
from dcnbuild.port.result import Change, FileResult, ProjectResult
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules import RULES
from dcnbuild.port.rules.th_tensors import TYPES as TH_TENSOR
from dcnbuild.port.scripts import port_scripts
from dcnbuild.port.source import (
    COMPILED_SUFFIXES,
    CPP_SUFFIXES,
    PYTHON_SUFFIXES,
    Skipped,
    Unreadable,
    is_script,
    is_source,
    read_source,
    survey,
)

#: Headers that refuse C++17 since torch 2.13 (measured with torch 2.14.1).
_NEEDS_NEW_STANDARD = re.compile(r"torch/(?:extension|torch|all|python)\.h")


#: Headers of other platforms: what includes one is not compiled for CUDA.
_FOREIGN = re.compile(
    r"hip/|rocm|hipcub|musa|mublas|torch_(?:musa|npu|mlu|xpu|mps)/|acl/|cnrt|cnnl|sycl/|level_zero/"
    r"|(?:\w*_)?(?:hip|npu|mlu|musa|xpu|sycl|mps)_helper\.h|Metal/"
)
#: Functions of DCNv1 and DCNv2 and of their poolings, as the copies call them.
_SERVED = re.compile(
    r"(?:modulated_)?deform_conv\w*_(?:forward|backward)\w*|dcn_v2_\w*(?:forward|backward)\w*"
    r"|deform_(?:psroi|roi)_pool\w*_(?:forward|backward)\w*"
)
Progress = Callable[[str], None]
#: No parameter list has so many tokens.
_FAR = 1000


@dataclass(frozen=True)
class Options:
    """What the user asked for: see `dcnbuild port --help`."""

    fix_bugs: bool = False
    deprecated: bool = False


class Project:
    """The C++ and CUDA files of a project, by their path relative to its root.

    Args:
        texts: path → text.
        bound: headers that a build script names, whether or not a source includes them.
    """

    def __init__(
        self, texts: Mapping[PurePosixPath, str], bound: frozenset[PurePosixPath] = frozenset()
    ) -> None:
        self.texts = texts
        self.bound = bound
        self.codes = {path: Code(text) for path, text in texts.items()}
        self._resolved: dict[PurePosixPath, dict[str, PurePosixPath | None]] = {}

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
            if "THCState" not in code.text:
                continue
            stream = code.live
            for index in stream.places.get("THCState", []):
                opening = stream.around[index]
                if opening < 1 or stream[opening].text != "(" or index - opening > _FAR:
                    continue
                if stream[opening - 1].kind == "name":
                    before = stream[opening:index]
                    found[stream[opening - 1].text] = sum(token.text == "," for token in before)
        return found

    def included(self, path: PurePosixPath) -> set[PurePosixPath]:
        """The project's files that a file includes, those they include, and so on."""
        seen: set[PurePosixPath] = set()
        waiting = [path]
        while waiting:
            for found in self._includes(waiting.pop()).values():
                if found is not None and found not in seen and found != path:
                    seen.add(found)
                    waiting.append(found)
        return seen

    @cached_property
    def served(self) -> tuple[str, ...]:
        """Its functions that dcnbuild's operators replace, whatever the copy is called."""
        names = {f.name for path in self.reached for f in self.codes[path].functions}
        return tuple(sorted(name for name in names if _SERVED.fullmatch(name)))

    @cached_property
    def reached(self) -> set[PurePosixPath]:
        """The sources that are compiled for CUDA or the CPU, and what they include.

        All files where nothing is compiled: then it is headers that are to be ported.
        """
        compiled = [path for path in self.texts if path.suffix in COMPILED_SUFFIXES]
        for_this = [path for path in compiled if not self._is_foreign(path)]
        found = set(for_this)
        found |= self.bound & set(self.texts)
        for path in tuple(found):
            found |= self.included(path)
        return found if compiled else set(self.texts)

    def ported_to(self, path: PurePosixPath) -> PurePosixPath:
        """What a file is called when it is ported: C glue that takes tensors becomes C++."""
        glue = path.suffix == ".c" and any(True for _ in self.codes[path].names(TH_TENSOR))
        return ported_source(path) if glue else path

    def _is_foreign(self, path: PurePosixPath) -> bool:
        return any(_FOREIGN.match(i.header[1:-1]) for i in self.codes[path].layout.includes)

    def _includes(self, path: PurePosixPath) -> dict[str, PurePosixPath | None]:
        """Each header that a file includes, and which of the project's files that is."""
        if path not in self._resolved:
            written = {include.header[1:-1] for include in self.codes[path].layout.includes}
            self._resolved[path] = {header: self._resolve(path, header) for header in written}
        return self._resolved[path]

    def _resolve(self, path: PurePosixPath, header: str) -> PurePosixPath | None:
        """The project's file that an #include means: beside it, or else the one that ends so."""
        parts = [part for part in PurePosixPath(header).parts if part not in (".", "..")]
        if not parts:
            return None
        beside = path.parent / PurePosixPath(*parts)
        if beside in self.texts:
            return beside
        named = self._by_name.get(parts[-1], ())
        return next((p for p in named if p.parts[-len(parts) :] == tuple(parts)), None)

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
        return Scope(
            suffix=path.suffix,
            own=own,
            headers=frozenset(headers),
            own_headers=frozenset(h for h, found in self._includes(path).items() if found),
            dispatchers=self.dispatchers,
            state_parameters=self.state_parameters,
            checks=self.checks,
        )


def port_project(
    root: Path, options: Options = Options(), progress: Progress = lambda text: None
) -> ProjectResult:
    """Ports every source below a directory, or one file, in memory: nothing is written.

    Args:
        root: the directory or file.
        options: what the user asked for.
        progress: is told how far it has come, once a file.
    """
    sources, unread, skipped = _read(root, progress)
    cpp, python = (
        {path: found for path, found in sources.items() if path.suffix in suffixes}
        for suffixes in (CPP_SUFFIXES, PYTHON_SUFFIXES)
    )
    scripts = {  # those in hidden directories are for machines that test many versions
        path: found
        for path, found in sources.items()
        if is_script(path) and not any(part.startswith(".") for part in path.parts)
    }
    scripts_in_python = PythonProject(python)
    bound = headers_of(scripts_in_python.modules)
    project = Project({path: text for path, (text, _) in cpp.items()}, bound)
    ported, failing, left = _port_cpp(project, cpp, options, progress)
    try:
        added = port_ffi(scripts_in_python.modules, {result.path: result.new for result in ported})
    except Exception:  # then the build script is named
        added = []
    new_standard = needs_new_standard(project)
    results = [*unread, *ported, *added]
    setup = PurePosixPath("setup.py")
    done = bool(added) or WRITTEN in sources.get(setup, ("", ""))[0]
    old = failing or options.deprecated
    results += port_python(scripts_in_python, new_standard, done, old)
    results += port_scripts(scripts, new_standard, old)
    if failing and root.is_dir() and not (root / "pyproject.toml").exists():
        new = {result.path: result.new for result in results}
        results += project_file(new.get(setup, sources.get(setup, ("", ""))[0]))
    relevant = [r for r in results if r.changed or r.remarks or r.note or r.path in cpp]
    files = tuple(sorted(relevant, key=lambda r: r.path))
    return ProjectResult(
        files, failing, left, skipped=tuple(skipped), served=project.served if failing else ()
    )


def _read(
    root: Path, progress: Progress
) -> tuple[dict[PurePosixPath, tuple[str, str]], list[FileResult], list[Skipped]]:
    """The sources with their encodings, those that cannot be read, and what is not looked at."""
    base = root.parent if root.is_file() else root
    sources: dict[PurePosixPath, tuple[str, str]] = {}
    unread: list[FileResult] = []
    skipped: list[Skipped] = []
    for found in survey(root):
        file, reason = (found.path, found.reason) if isinstance(found, Skipped) else (found, "")
        path = PurePosixPath(file.relative_to(base).as_posix())
        if isinstance(found, Skipped):
            skipped.append(replace(found, path=Path(path)))
        else:
            progress(f"reading sources: {len(sources):,}")
            try:
                sources[path] = read_source(file)
            except Unreadable as error:
                reason = str(error)
            except OSError as error:
                reason = error.strerror or "it cannot be read"
        if reason and is_source(file) and not (isinstance(found, Skipped) and found.copied):
            note = f"not looked at: {reason}"
            unread.append(FileResult(path, "", "", note=note, read=False))
    return sources, unread, skipped


def _port_cpp(
    project: Project,
    sources: Mapping[PurePosixPath, tuple[str, str]],
    options: Options,
    progress: Progress,
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
            failing = bool(_wide(encoding) or finds(project.codes[path], scopes[path], "broken"))
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
        # torch's headers are C++: in a .c file nothing that a rule writes would compile
        rules = () if target.suffix == ".c" else RULES
        try:
            ported = port_text(
                code, scopes[path], rules, deprecated=deprecated, fix_bugs=options.fix_bugs
            )
        except Exception as error:
            ported = PortedText(text, (), (not_understood("all rules", repr(error)),))
        if not deprecated:
            left += finds(code, scopes[path], "deprecated")
        changes = ported.changes
        if _wide(encoding):  # gcc, clang and nvcc read nothing of the kind
            changes = (Change("source-encoding", 1, encoding, "utf-8"), *changes)
            encoding = "utf-8"
        if target != path:
            note = f"it stays as it is: its port is {target.name}"
            results.append(FileResult(path, text, text, note=note))
        old = text if target == path else ""
        results.append(FileResult(target, old, ported.text, encoding, changes, ported.remarks))
    return results, failing, left


def _wide(encoding: str) -> bool:
    return encoding.startswith(("utf-16", "utf-32"))


def needs_new_standard(project: Project) -> bool:
    """Whether any source includes a header of torch that refuses an old -std flag."""
    return any(
        _NEEDS_NEW_STANDARD.fullmatch(include.header[1:-1])
        for code in project.codes.values()
        for include in code.layout.includes
    )
