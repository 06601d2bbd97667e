"""Writes docs/porting.md from the rules.

python -m tools.docs.porting          writes it
python -m tools.docs.porting --check  exits with 1 if the page is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dcnbuild.port import ffi_project, scripts
from dcnbuild.port.python import port
from dcnbuild.port.rule import Rule
from dcnbuild.port.rules import FAMILIES, LEFTOVERS
from tools.docs import page as pages

PAGE = Path("docs/porting.md")
#: How much is said of one archive below the table.
MOST_SAID = 4
ARCHIVES = Path(__file__).resolve().parents[2] / "docs" / "port_archives.json"

_HEAD = """\
# Porting old extensions

`dcnbuild port PATH` makes the sources of an old CUDA extension compile with the torch and CUDA of today.
The result goes to a new directory, `PATH-ported` or what `--out` names; `--in-place` writes over the files and
keeps the old ones in `PATH-before-port`. Where nothing changes, a copy is written only if `--out` asks for it. `--diff` shows the changes. `--check` compiles each changed file as it was
and as it is, and builds and imports the result where there is a setup.py. `--json` gives the report as data.

```shell
dcnbuild port path/to/old/DCNv2 --check
pip install --no-build-isolation path/to/old/DCNv2-ported
```

`--no-build-isolation`, because an old setup.py imports torch and says so nowhere. Where `--check` could build
the result, it ends with this line as it fits the machine: `CUDA_HOME` where another nvcc would be found, `CPATH`
where the toolkit lacks headers (`cusparse.h`, say) that torch's own CUDA packages hold, and `TORCH_CUDA_ARCH_LIST`
and `FORCE_CUDA` for a machine without a GPU.

What it goes by:

- Rules match tokens. Comments and strings are never touched; the bodies of macros are code like any other.
  What a project defines itself (its own `AT_CHECK`, say) is its own and stays.
- A name that no rule knows and that torch or CUDA has no longer (`dcnbuild.knowledge`) is named as `gone-name`: functions, types,
  macros, headers, and members of what is known to be a tensor, at::Context or a struct of CUDA. So is a public function of at::,
  c10::, torch::, cub:: or thrust:: that no release has, and a call that only an older release takes (`cuCtxCreate` with three arguments).
- A C++ file that includes thrust, cub or libcu++, itself or by a header of the project, is named as `cccl-folder`: CUDA 13 keeps them in
  include/cccl, where nvcc looks and the C++ compiler does not. A kernel launch in such a file is named as `launch-in-cpp`.
- A copy of CUB that a source includes by its path is named as `cub-copy` and stays as it is: the toolkit has its own since CUDA 11.
- `#if` branches that no torch 2 and CUDA 11 or newer compiles, and those for ROCm, stay as they are. In a branch for
  an older torch or CUDA than today's (`CUDA_VERSION < 13000`), what fails today is no failure, and stays too.
- What no source reaches (a header that nobody includes, a branch for ROCm, MUSA or another platform) neither
  makes a project old nor is rewritten.
- Nothing of the tree is run, by git neither; `--check` alone runs its setup.py, and says so. The copy holds every
  file but version control, Python environments and what a setup.py has made; the report names what is left out.
- Exit status 0 says that every source was read and that no form known to fail is left; 1 that something is left
  or could not be read, 2 that nothing was done. A rule that does not understand a file is named; the others go on.
- UTF-16 is written as UTF-8, which compilers read. Otherwise line ends, encoding and layout stay. Names that come in bring their `#include`.
- A **broken** form does not compile, link or run today. A **deprecated** one still compiles; it is rewritten
  only in projects where something is broken, or with `--deprecated`: sources that are modern stay as they are,
  byte for byte. A **bug** is reported, and repaired with `--fix-bugs`.
- C++ and CUDA in a triple-quoted text of a Python file are ported in their place where the project calls `load_inline`. `--check`
  does not compile them.
- Running it twice changes nothing more.
- `--to stable` goes on to the LibTorch stable ABI: [porting to the stable ABI](port-to-stable.md).
- A tree that is a copy of DCNv2 or of deformable attention is told that `python -m dcnbuild.compat SCRIPT` serves it
  without compiling anything.

The C++ standards in `cxx-standard` are measured: torch 2.14.1's `torch/extension.h` stops with an error below
C++20, and 2.1 to 2.12 want C++17.
"""


_ARCHIVES = """\
## What came of real projects

Source archives from PyPI, ported without a look at what comes out: how many of their C++ and CUDA files do not compile with the torch
and CUDA named, and how many of those compile after. A modern one has to stay as it is, byte for byte. The table is what
`python tests/port/archives.py --record` wrote (`nox -s port_archives -- --record`); with `--front-end` the compilers stop before they
generate code. What could not be compiled for want of another library's headers is not counted.

DCNv2 0.4 is also installed with pip and imported there, and its kernels, with `--fix-bugs`, agree with dcnbuild's operator within
1.2e-6 on the CPU (November 2026).

| archive | kind | failed before | of these compile after | files changed or added | with | by | on |
|---|---|---|---|---|---|---|---|
"""


def _archives() -> str:
    """The table of docs/port_archives.json, with what is wrong below it."""
    results = json.loads(ARCHIVES.read_text(encoding="utf-8"))
    rows, wrong = [], []
    for name, found in sorted(results.items(), key=lambda item: (item[1]["modern"], item[0].lower())):
        counts = f"{found['failed']} | {found['compile']}"
        if found["modern"]:
            counts = "modern | "
        tried = (found["with"], "" if found["modern"] else found["by"], found["date"])
        rows.append(f"| {name} | {found['kind']} | {counts} | {found['changed']} | {' | '.join(tried)} |")
        said = [*found["problems"], *found.get("left", ())]
        wrong += [f"- {name}: {problem}" for problem in said[:MOST_SAID]]
        wrong += [f"- {name}: {len(said) - MOST_SAID} more of the kind"] if len(said) > MOST_SAID else []
    return _ARCHIVES + "\n".join([*rows, "", *wrong, ""] if wrong else [*rows, ""])


def page() -> str:
    """Returns the text of docs/porting.md."""
    families = {
        **FAMILIES,
        "Python": port.RULES,
        "Build scripts": scripts.RULES,
        "torch.utils.ffi": ffi_project.RULES,
    }
    parts = [
        pages.written_by("tools.docs.porting"),
        _HEAD,
        _archives(),
        "## What is rewritten\n\nEach line is a form of old code, and opens to show what becomes of it.\n",
    ]
    for family, rules in families.items():
        parts.append(f"## {family}\n")
        parts += [rule_entry(rule) for rule in rules]
    parts.append("## What is named and left to you\n\nFound and reported with file and line, not rewritten.\n")
    parts += [left_to_you(it.id, it.reason, it.advice, it.example) for it in LEFTOVERS]
    return "\n".join(parts)


def rule_entry(rule: Rule) -> str:
    """Returns the entry of a rule."""
    language = "python" if rule.language == "Python" else "cpp"
    why = f"\n{rule.why}\n" if rule.why else ""
    body = (
        f"- {rule.need}; gone: {rule.gone}; the replacement is in: {rule.since}\n"
        f"- from: `{rule.pattern}`\n- to: `{rule.replacement}`\n{why}\n"
        f"```{language}\n{rule.before}```\n\nbecomes\n\n```{language}\n{rule.after}```\n"
    )
    return pages.entry(rule.id, f"`{rule.pattern}`", body)


def left_to_you(id: str, reason: str, advice: str, example: str) -> str:
    """Returns the entry of what is named and not rewritten."""
    return pages.entry(id, f"{reason[0].upper()}{reason[1:]}", f"What to do: {advice}.\n\n```cpp\n{example}```\n")


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit status."""
    return pages.main(PAGE, page, "tools.docs.porting", argv)


if __name__ == "__main__":
    sys.exit(main())
