"""Makes the table of which headers bring which names of C's and C++'s standard library.

The names are those of names.yaml. g++ answers, header by header: a name counts as brought where code that uses it
compiles, so that a class which a header only declares (`std::array` in <utility>) is not. CUDA's and torch's headers
are those of the Python that runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dcnbuild.knowledge.names import is_of_c, rows
from dcnbuild.knowledge.standard import OF_NVCC

#: What nothing includes but a person: headers of C++, C, POSIX, OpenMP, Python, CUDA and torch.
HEADERS = Path(__file__).with_name("written") / "standard_headers.txt"
#: Ways to use a name; the first that compiles with every header is asked of each.
FORMS = (
    "static_assert(sizeof({0}) > 0);",
    "static_assert(sizeof({0}<int>) > 0);",
    "static_assert(sizeof({0}<2>) > 0);",
    "static_assert(sizeof({0}<int, int>) > 0);",
    "static_assert(sizeof({0}<int, 2>) > 0);",
    "static_assert(sizeof({0}<int(int)>) > 0);",
    "static_assert(sizeof({0}<std::string>) > 0);",
    "static_assert(sizeof({0}<std::less<int>>) > 0);",
    "using {0};",
    "using ::{0};",
    "namespace alias = {0};",
    "inline void f() {{ {0}(true); }}",
)
#: A use that does not compile, as g++ and nvcc say it.
_FAILED = re.compile(r"^use[:(](\d+)(?::\d+: (?:error|note: in expansion of macro)|\): error)", re.M)
#: Headers of the standard library in names.yaml.
_OF_STANDARD = re.compile("[a-z_]+")
#: Standards of C++ that extensions for torch 2 are compiled with: what one of them lacks is not brought.
STANDARDS = ("c++17", "c++20")


def generate(cache: Path, target: Path) -> None:
    """Asks g++ and nvcc for every header and writes the table. `cache` is not used: nothing is downloaded."""
    del cache
    headers = [line for line in HEADERS.read_text(encoding="utf-8").split("\n") if line and line[0] != "#"]
    with TemporaryDirectory() as folder:
        forms = _forms(Path(folder) / "probe.cpp")
        found = {header: brought(Path(folder) / "probe.cpp", [header], forms) for header in headers}
        found[OF_NVCC] = brought(Path(folder) / "probe.cu", [], forms)
    write(target, found)


def write(target: Path, found: Mapping[str, Collection[str]]) -> None:
    """Writes the table of the names that each header brings, with names of one home and the same headers in a row."""
    import torch  # only this table needs it

    homes, headers = _homes(), list(found)
    rows_: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name in (name for name in homes if any(name in names for names in found.values())):
        where = tuple(i for i, header in enumerate(headers) if name in found[header])
        rows_.setdefault((homes[name], where), []).append(name)
    version = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    source = f"g++ {version}, torch {torch.__version__}, {' and '.join(STANDARDS)}; tools/knowledge/standard_headers.py"
    lines = [json.dumps([names, home, where]) for (home, where), names in sorted(rows_.items())]
    head = f'{{"source": {json.dumps(source)},\n"headers": {json.dumps(headers)},\n"names": [\n'
    temporary = target.with_suffix(".new")
    temporary.write_text(head + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    temporary.replace(target)


def _homes() -> dict[str, str]:
    """Each name as code has it, `std::` before it unless it is of C, and the header to include for it."""
    homes: dict[str, str] = {}
    for header, names in rows("include").items():
        for name in names if _OF_STANDARD.fullmatch(header) else ():
            homes.setdefault(f"std::{name}", header)
            if is_of_c(header):
                homes.setdefault(name, header)
    return homes


def _forms(source: Path) -> dict[str, str]:
    """How each name is used."""
    homes = _homes()
    everything = sorted(set(homes.values()))
    found: dict[str, str] = {}
    for form in FORMS:
        asked = {name: form for name in homes if name not in found}
        found |= dict.fromkeys(brought(source, everything, asked), form)
    return found


def brought(source: Path, headers: Sequence[str], forms: Mapping[str, str]) -> list[str]:
    """The names whose use compiles behind these headers, by every standard that compiles the headers themselves.

    Args:
        source: the file to write; nvcc compiles it if it is a .cu.
        headers: what it includes.
        forms: name → how it is used.
    """
    from torch.utils import cpp_extension

    packages = Path(cpp_extension.__file__).parents[2].glob("nvidia/*/include")  # of CUDA, that came with torch
    folders = [*cpp_extension.include_paths("cuda"), *packages, sysconfig.get_paths()["include"]]
    compilers = {
        ".cpp": ["g++", "-fsyntax-only", "-fopenmp", "-fmax-errors=0"],
        ".cu": ["nvcc", "-cuda", "-o", os.devnull],
    }
    options = [*compilers[source.suffix], "-w", *(part for item in folders for part in ("-isystem", str(item)))]
    includes = "".join(f"#include <{header}>\n" for header in headers)
    left = list(forms)

    def said(standard: str, names: Sequence[str]) -> str:
        uses = (
            f'#line {i} "use"\nnamespace n{i} {{ {forms[name].format(name)} }}\n' for i, name in enumerate(names, 1)
        )
        source.write_text(includes + "".join(uses), encoding="utf-8")
        command = [*options, f"-std={standard}", str(source)]
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stderr

    wrong = {standard: said(standard, []) for standard in STANDARDS}
    if all(wrong.values()):
        raise SystemExit(f"the compiler cannot read {', '.join(headers)}: {wrong[STANDARDS[-1]][:500]}")
    for standard in (standard for standard in STANDARDS if not wrong[standard]):
        while failed := {int(number) for number in _FAILED.findall(said(standard, left))}:  # nvcc stops after 100
            left = [name for i, name in enumerate(left, 1) if i not in failed]
    return left
