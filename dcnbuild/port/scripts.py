"""Build scripts that are no Python: Makefile, make.sh, CMakeLists.txt. Old flags are raised, line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.result import Change, FileResult, remark
from dcnbuild.port.rule import entries

#: nvcc 13 compiles for nothing older.
OLDEST = 75
#: The C++ standard that headers of torch 2.13 and newer need; older torch takes it too.
STANDARD = 20
_NAMED = re.compile(r"(?<=sm_)\d{2,3}\b|(?<=compute_)\d{2,3}\b|(?<=lto_)\d{2,3}\b")
_LISTS = re.compile(r"(?i)(?:CMAKE_CUDA_ARCHITECTURES|CUDA_ARCHITECTURES|CUDA_ARCH(?:S|_BIN|_LIST)?)\b")
_NUMBER = re.compile(r"(?<![\w.])(?:\d{2,3}(?![\w.])|\d\d?\.\d(?![\w.]))")
_STANDARDS = re.compile(
    r"((?:-std=|/std:|std=)(?:c|gnu)\+\+|(?:CMAKE_)?(?:CXX|CUDA)_STANDARD[ \t]+\"?|cxx_std_)(0x|1y|1z|2a|\d\d)\b"
)
_FACTS = beside(__file__, "script_facts.yaml")
YEARS: Mapping[str, int] = _FACTS["years"]
_ABI = re.compile(r"(?<![ \t])[ \t]*-D_?_?GLIBCXX_USE_CXX11_ABI=0\b")
#: A script that asks which CUDA there is may give old architectures to an old one only.
_ASKS = re.compile(r"(?i)CUDA_?VERSION|CUDAToolkit_VERSION|CUDA_COMPILER_VERSION|nvcc\S{0,40}\s+--?[vV]")


def raised_architectures(text: str) -> str:
    """Flags with each architecture that today's nvcc refuses raised to the oldest that it takes."""
    return _NAMED.sub(lambda match: str(max(int(match[0]), OLDEST)), text)


def raised_standard(text: str) -> str:
    """Flags with an older C++ standard raised to the one that torch's headers need."""

    def newer(match: re.Match[str]) -> str:
        year = YEARS.get(match[2]) or int(match[2])
        return match[0] if STANDARD <= year < 90 else f"{match[1]}{STANDARD}"

    return _STANDARDS.sub(newer, text)


def _raised_list(text: str) -> str:
    """A line with a list of architectures, as CMake and torch write them: 35;52, "3.5 5.2+PTX"."""
    name = _LISTS.search(text)

    def newer(match: re.Match[str]) -> str:
        number, dotted = float(match[0]), "." in match[0]
        old = number < OLDEST / 10 if dotted else 20 <= number < OLDEST
        return match[0] if not old else "7.5" if dotted else str(OLDEST)

    return text[: name.end()] + _NUMBER.sub(newer, text[name.end() :]) if name else text


def made_by_setup(python: Mapping[PurePosixPath, str]) -> frozenset[PurePosixPath]:
    """The Makefiles and CMakeLists.txt beside a setup.py that runs make or cmake: as much of the build as itself."""
    scripts = ((path.parent, re.sub("#.*", "", text)) for path, text in python.items() if path.name == "setup.py")
    asking = (
        (f, names) for f, code in scripts for said, names in _FACTS["builders"].items() if re.search(said, code, re.M)
    )
    return frozenset(folder / name for folder, names in asking for name in names)


def port_scripts(
    scripts: Mapping[PurePosixPath, tuple[str, str]],
    new_standard: bool,
    rewrite: bool = True,
    built: frozenset[PurePosixPath] = frozenset(),
) -> Iterator[FileResult]:
    """The scripts that are changed, or in which something is left.

    Args:
        scripts: path → text and encoding.
        new_standard: whether the project includes headers of torch that refuse C++17.
        rewrite: whether to change them; else they are only named, as is what may hang on a version.
        built: those that setup.py builds with, which are changed all the same.
    """
    rules: dict[str, Callable[[str], str]] = {
        "script-architectures": lambda line: _raised_list(raised_architectures(line)),
        "script-standard": raised_standard if new_standard else str,
        "cxx11-abi": lambda line: _ABI.sub("", line),
    }
    for path, (text, encoding) in scripts.items():
        changes: list[Change] = []
        left: list[int] = []
        asks, wanted = _ASKS.search(text), rewrite or path in built
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            code = new = re.sub(r"(?:^|\s)#.*", "", line.rstrip("\r\n"))
            for rule, change in rules.items():
                before, after = new, change(new)
                if before != after and wanted and not (asks and rule == "script-architectures"):
                    changes.append(Change(rule, number, code.strip(), after.strip()))
                    new = after
                elif before != after:
                    left.append(number)
            lines[number - 1] = new + line[len(code) :]
        remarks = (remark("script-flags", left, oldest=str(OLDEST), standard=str(STANDARD)),) if left else ()
        if changes or left:
            yield FileResult(path, text, "".join(lines), encoding, tuple(changes), remarks)


RULES = entries(__file__)
