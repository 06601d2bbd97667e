"""Writes docs/port-to-stable.md from the rules.

python -m tools.docs.port_to_stable          writes it
python -m tools.docs.port_to_stable --check  exits with 1 if the page is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from dcnbuild.port.stable import leftovers
from dcnbuild.port.stable.operators import OPERATORS
from dcnbuild.port.stable.text import FAMILIES
from tools.docs import page as pages
from tools.docs.porting import left_to_you, rule_entry

PAGE = Path("docs/port-to-stable.md")

_HEAD = """\
# Porting to the stable ABI

`dcnbuild port PATH --to stable` rewrites an extension for the LibTorch stable ABI: one build of it works with
torch 2.10 and every later torch, on every Python from 3.10 on.

```shell
dcnbuild port path/to/extension --to stable
pip install --no-build-isolation path/to/extension-ported
```

The [ordinary rules](porting.md) run first, with `--deprecated`; the rules below start from the ATen of today. The
result goes where `dcnbuild port` puts it, and the report is the same: exit status 0 says that every source was read and
that no name is left that the target's headers lack; 1 that something is left, with its file, line, reason and advice. A
file that is refused in part is ported in its other parts.

`--target 2.11` names the oldest torch that the result has to work with, 2.10 unless you say otherwise. What a
release has is read from the tables of its headers (`dcnbuild.knowledge`): a name that only newer headers hold, such as
`torch::stable::permute` of 2.14, is not written for an older target. There the dispatcher is called instead.

What becomes of a project:

- `PYBIND11_MODULE` becomes a library of operators. The schema of each is read from the signature of its function;
  a tensor that the function is known to write to is marked `Tensor(a!)`. An argument is known to be written to
  where the text says so: a method such as `zero_()`, or a pointer that goes to a `T*` parameter of a function of
  the project. Where you know more, add the mark.
- `TORCH_BOX` hands over an `int64_t` and a `double`. A function with an `int` or `float` gets a wrapper, which
  checks that the number fits.
- In setup.py, the extension `NAME` becomes `NAME_library`, with `TORCH_TARGET_VERSION` and `py_limited_api`. A new
  module `NAME.py` loads the library and has its functions, so that `import NAME` and `NAME.forward(…)` stay as they
  are; `torch.ops.NAME.forward` is the same operator. In a package, the namespace is the dotted name with `_`.
- Where there is no setup.py, compile with `-DTORCH_TARGET_VERSION=0x020a000000000000`, for CUDA with `-DUSE_CUDA` too,
  and call `torch.ops.load_library(path)`.
- A function that reaches a tensor's memory is registered for CompositeExplicitAutograd: like the function of
  pybind11, it has no derivative of its own, and `torch.compile` breaks the graph there until you register a fake
  kernel (`torch.library.register_fake`). A function of torch's operators alone is registered for
  CompositeImplicitAutograd, and derivatives go through them.
- Every error is a RuntimeError: STD_TORCH_CHECK has no other kind.
- Blocks that the new code calls, `ported_call` for instance, are written into each file that calls them. You may move
  them into a header.

Measured in November 2026 with the headers of torch 2.10, g++ 12 and nvcc 13.0:

| project | left | C++ | CUDA | library |
|---|---|---|---|---|
| in the manner of Deformable DETR's operators | nothing | compiles | compiles | loads in torch 2.13.0 and 2.14.1; on the CPU equal to its original in every bit (torch 2.14.1), and to grid_sample within 5e-16 |
| in the manner of GroundingDINO's operators | nothing | compiles | – | loads in torch 2.13.0 and 2.14.1; on the CPU equal to the formulas in plain torch |
@TABLE@

In each library, torch-abi-audit 0.3.0 finds no unstable name, and 2.10 as the oldest torch; `dcnbuild audit` says
the same of those it was asked about: the first two and warp_rnnt. No GPU has run any of them.
`nox -s port_stable_archives` ports the archives and compiles them again.
"""
#: The archives' rows, as `nox -s port_stable_archives` prints them.
_ROWS: tuple[str, ...] = (
    "| DCNv2 0.4 from PyPI | nothing | compiles | 3 of 3 pass nvcc | not run: it is for GPUs only |",
    "| DCNv4 1.0.0.post2 from PyPI | nothing | compiles | 2 of 2 pass nvcc | not run: it is for GPUs only |",
    "| chamferdist 1.0.3 from PyPI | nothing | compiles | 1 of 1 passes nvcc | not run |",
    "| warp_rnnt 0.4.0 from PyPI | nothing | compiles | 2 of 2 pass nvcc | not run: it is for GPUs only |",
)


def page() -> str:
    """Returns the text of docs/port-to-stable.md."""
    parts = [
        pages.written_by("tools.docs.port_to_stable"),
        _HEAD.replace("@TABLE@\n", "".join(f"{row}\n" for row in _ROWS)),
        "## What is rewritten\n\nEach line is a form of code, and opens to show what becomes of it.\n",
    ]
    for family, rules in FAMILIES.items():
        parts.append(f"## {family}\n")
        parts += [rule_entry(rule) for rule in rules]
    names = ", ".join(f"`{name}`" for name in sorted(OPERATORS))
    parts.append(f"## Operators that the dispatcher calls\n\nWhere the target has no function for them: {names}.\n")
    parts.append("## What is refused\n\nNamed with file and line, not rewritten.\n")
    parts += [left_to_you(it.id, it.reason, it.advice, it.example) for it in leftovers.ALL]
    return "\n".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit status."""
    return pages.main(PAGE, page, "tools.docs.port_to_stable", argv)


if __name__ == "__main__":
    sys.exit(main())
