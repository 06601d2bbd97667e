"""What the C++ and CUDA files of a project see of each other."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.knowledge.standard import OF_NVCC
from dcnbuild.port.code import Code
from dcnbuild.port.ffi import ported_source
from dcnbuild.port.layout import Macro
from dcnbuild.port.parameters import REGISTERS
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules.guards import GUARDS
from dcnbuild.port.rules.th_tensors import TYPES as TH_TENSOR
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.stable.facts import signatures
from dcnbuild.port.tokens import Token

#: Headers that refuse C++17 since torch 2.13 (measured with torch 2.14.1).
_NEEDS_NEW_STANDARD = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]torch/(?:extension|torch|all|python)\.h[>\"]", re.M)
_NAMES = beside(__file__, "tree.yaml")
#: Headers of other platforms: what includes one is not compiled for CUDA.
_FOREIGN = re.compile("|".join(_NAMES["foreign"]))
#: C++ headers: a .c file that includes one is C++, as g++ takes it for.
_OF_CPP = re.compile(r"(?:torch|ATen|c10|pybind11)/.*")
#: A copy of CUB: the toolkit has had its own since CUDA 11, and Thrust of today takes no other.
_CUB = re.compile(r"(?:[\w.-]+/)*cub/[\w/]+\.cuh")
#: Functions that dcnbuild's operators replace.
_SERVED = re.compile("|".join(_NAMES["served"]))
#: No parameter list has so many tokens.
_FAR = 1000


class Project:
    """The C++ and CUDA files of a project, by their path relative to its root.

    Args:
        texts: path → text.
        bound: headers and sources that a build script names, whether or not a source includes the headers.
        inline: texts in Python sources, before which torch puts headers of its own.
    """

    def __init__(
        self,
        texts: Mapping[PurePosixPath, str],
        bound: Set[PurePosixPath] = frozenset(),
        inline: Set[PurePosixPath] = frozenset(),
    ) -> None:
        self.texts, self.bound, self.inline = texts, bound, inline
        self.codes = {path: Code(text) for path, text in texts.items()}
        self._included: dict[PurePosixPath, frozenset[PurePosixPath]] = {}
        self._by_name: dict[str, list[PurePosixPath]] = {}
        for path in sorted(texts):
            self._by_name.setdefault(path.name, []).append(path)

    @cached_property
    def dispatchers(self) -> frozenset[str]:
        """Its macros that hand one of their parameters on to AT_DISPATCH_*, or switch over it."""
        return frozenset(
            macro.name
            for code in self.codes.values()
            if "AT_DISPATCH_" in code.text or "switch" in code.text
            for macro in code.layout.macros
            if any(_dispatches(macro, index) for index in range(len(macro.body)))
        )

    @cached_property
    def functions(self) -> frozenset[str]:
        """The functions that it defines."""
        return frozenset(function.name for code in self.codes.values() for function in code.functions)

    @cached_property
    def checks(self) -> frozenset[str]:
        """Its macros and functions that look at the error of a launch."""
        return self._that_name({"cudaGetLastError", "cudaPeekAtLastError", "C10_CUDA_KERNEL_LAUNCH_CHECK"}, True)

    @cached_property
    def guards(self) -> frozenset[str]:
        """Its macros that choose the GPU."""
        return self._that_name(GUARDS, False)

    def _that_name(self, wanted: Set[str], functions: bool) -> frozenset[str]:
        """Its macros, and perhaps its functions, whose body has any of some names."""
        bodies: list[tuple[str, Sequence[Token]]] = []
        for code in self.codes.values():
            if any(name in code.text for name in wanted):
                bodies += [(macro.name, macro.body) for macro in code.layout.macros]
                bodies += [(f.name, code.between(*f.body)) for f in code.functions] if functions else []
        return frozenset(name for name, body in bodies if any(token.text in wanted for token in body))

    @cached_property
    def state_parameters(self) -> dict[str, int]:
        """Its functions that take a THCState*, declared or defined, with its position."""
        streams = (code.live for code in self.codes.values() if "THCState" in code.text)
        places = ((stream, stream.around[i], i) for stream in streams for i in stream.places.get("THCState", ()))
        return {
            stream[opening - 1].text: sum(token.text == "," for token in stream[opening:index])
            for stream, opening, index in places
            if opening > 0 and stream[opening].text == "(" and index - opening <= _FAR
            if stream[opening - 1].kind == "name"
        }

    def included(self, path: PurePosixPath) -> frozenset[PurePosixPath]:
        """The project's files that a file includes, those they include, and so on."""
        if path not in self._included:
            seen = waiting = {path}
            while waiting:  # whole sets at a time: in a large project every header may reach most others
                waiting = set().union(*(self._direct[found] for found in waiting)) - seen
                seen = seen | waiting
            self._included[path] = frozenset(seen - {path})
        return self._included[path]

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
        includes = {path: self.codes[path].layout.includes for path in compiled}
        found = {path for path in compiled if not any(_FOREIGN.match(i.name) for i in includes[path])}
        found |= self.bound & set(self.texts)
        return found.union(*map(self.included, found)) if compiled else set(self.texts)

    def ported_to(self, path: PurePosixPath) -> PurePosixPath:
        """What a file is called when it is ported: C glue that takes tensors, and what is built with it, becomes C++,
        unless others include it."""
        plain = path in self.bound and not any(header.startswith("TH") for header in self.codes[path].headers)
        glue = self.is_c(path) and (plain or self.codes[path].has(TH_TENSOR))
        return ported_source(path) if glue and not self._is_part(path) else path

    def _is_part(self, path: PurePosixPath) -> bool:
        """Whether others include it."""
        return any(path in included for included in self._direct.values())

    def is_c(self, path: PurePosixPath) -> bool:
        """Whether a file is C, where nothing that a rule writes would compile."""
        return path.suffix == ".c" and not any(map(_OF_CPP.fullmatch, self.codes[path].headers))

    @cached_property
    def _includes(self) -> dict[PurePosixPath, dict[str, PurePosixPath | None]]:
        """Each header that each file includes, and which of the project's files that is."""
        return {path: {h: self._resolve(path, h) for h in code.headers} for path, code in self.codes.items()}

    @cached_property
    def _direct(self) -> dict[PurePosixPath, frozenset[PurePosixPath]]:
        """The project's files that each file includes itself."""
        return {path: frozenset(filter(None, found.values())) for path, found in self._includes.items()}

    def _resolve(self, path: PurePosixPath, header: str) -> PurePosixPath | None:
        """The project's file that an #include means: beside it, or else the nearest that ends so."""
        parts = [part for part in PurePosixPath(header).parts if part not in (".", "..")]
        if not parts or _CUB.fullmatch(header):
            return None
        named = (p for p in self._by_name.get(parts[-1], ()) if p.parts[-len(parts) :] == tuple(parts))
        nearest = max(named, key=lambda p: len(posixpath.commonpath((p, path))), default=None)
        beside = path.parent / PurePosixPath(*parts)
        return beside if beside in self.texts else nearest

    def scope(self, path: PurePosixPath) -> Scope:
        """What one file sees of the project."""
        seen = self.included(path)

        def beside(header: str) -> PurePosixPath:
            return PurePosixPath(posixpath.normpath(path.parent / header))

        own = self.codes[path].defined.union(*(self.codes[other].defined for other in seen))
        return Scope(
            suffix=self._suffix(path),
            is_c=self.is_c(path),
            own=own,
            functions=self.functions,
            within=any(self.codes[other].within for other in (path, *seen)),
            standard=20 if self.bound or self.needs_new_standard else 17,
            headers=frozenset(i.name for other in seen for i in self.codes[other].layout.includes if not i.path),
            own_headers=frozenset(h for h, found in self._includes[path].items() if found),
            surroundings=frozenset(self._surroundings.get(path, ())),
            copied_headers=frozenset(h for h in self._includes[path] if _CUB.fullmatch(h) and beside(h) in self.texts),
            dispatchers=self.dispatchers,
            state_parameters=self.state_parameters,
            checks=self.checks,
            guards=self.guards,
            signatures=signatures({p: self.codes[p] for p in (path, *seen)} if self.codes[path].has(REGISTERS) else {}),
        )

    @cached_property
    def _surroundings(self) -> dict[PurePosixPath, set[frozenset[str]]]:
        """For each file, what is not the project's in each source that compiles it."""
        found: dict[PurePosixPath, set[frozenset[str]]] = {}
        for path in self.reached - self.inline:
            if path.suffix in COMPILED_SUFFIXES and self._suffix(path) == path.suffix and not self.is_c(path):
                seen = (path, *self.included(path))
                headers = {h for other in seen for h, ours in self._includes[other].items() if not ours}
                group = frozenset(headers | ({OF_NVCC} if path.suffix == ".cu" else set()))
                for other in seen:
                    found.setdefault(other, set()).add(group)
        return found

    def _suffix(self, path: PurePosixPath) -> str:
        """The suffix of a file; that of a header for CUDA code that others include."""
        return ".cuh" if path.suffix == ".cu" and self._is_part(path) else path.suffix

    @cached_property
    def needs_new_standard(self) -> bool:
        """Whether any source includes a header of torch that refuses an old -std flag."""
        return any(needs_new_standard(text) for text in self.texts.values())


def needs_new_standard(text: str) -> bool:
    """Whether a text includes a header of torch that refuses an old -std flag."""
    return bool(_NEEDS_NEW_STANDARD.search(text))


def _dispatches(macro: Macro, index: int) -> bool:
    """Whether a macro's body hands a parameter on to AT_DISPATCH_* here, or says `switch (parameter)`."""
    text, parameters = macro.body[index].text, macro.parameters or ()
    behind = [token.text for token in macro.body[index + 1 : index + 8]]
    if text == "switch":
        return behind[:1] == ["("] and behind[2:3] == [")"] and behind[1] in parameters
    return text.startswith("AT_DISPATCH_") and any(name in parameters for name in behind)
