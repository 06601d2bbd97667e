"""Reads matrix.yaml, the list of the torch and CUDA pairs that are built and tested.

noxfile.py makes its sessions from this list, so this module imports neither torch nor a YAML reader. `contradictions`
compares a pair with the facts about torch's wheels in compatibility.yaml. The doctor judges toolkit and compiler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

Tier = Literal["ci", "full", "extended"]
TIERS: tuple[Tier, ...] = get_args(Tier)

_VERSION = r"\d+\.\d+"
_RELEASE = r"\d+\.\d+\.\d+"
_PATTERNS = {
    **{"torch": _RELEASE, "torchvision": _RELEASE, "tier": "|".join(TIERS)},
    **{"cuda": _VERSION, "python": _VERSION, "toolkit": _VERSION},
}


@dataclass(frozen=True)
class Pair:
    """One row of matrix.yaml; the head of that file describes the fields."""

    torch: str
    python: str
    tier: Tier
    download: int
    torchvision: str | None = None
    cuda: str | None = None
    toolkit: str | None = None
    gcc: int | None = None
    pins: tuple[str, ...] = ()
    wheel: bool = False

    @property
    def variant(self) -> str:
        """Returns the PyTorch wheel index's name of this CUDA: "cu130", or "cpu"."""
        return "cu" + self.cuda.replace(".", "") if self.cuda else "cpu"

    @property
    def id(self) -> str:
        """Returns the pair's name in reports and on the command line: "torch-2.14.1-cu130"."""
        return f"torch-{self.torch}-{self.variant}"

    @property
    def on_pypi(self) -> bool:
        """Whether PyPI has exactly this torch; the others are on the PyTorch wheel index."""
        return self.cuda is not None and self.tier != "extended"


def load(path: Path) -> tuple[Pair, ...]:
    """Reads a list of pairs. Raises ValueError that names the file, the pair, the field and the allowed values."""
    try:
        found = tuple(_pair(number, row) for number, row in _rows(path.read_text(encoding="utf-8")))
        ids = [pair.id for pair in found]
        for name in {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"{name} stands there twice")
        if not found:
            raise ValueError("there are no pairs")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields line number and pair of each line below `pairs:`, which is "- " and a JSON object."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines or lines[0][1] != "pairs:":
        raise ValueError("expected 'pairs:' before anything else")
    for number, line in lines[1:]:
        try:
            row = json.loads(line[2:], object_pairs_hook=_once) if line.startswith("- ") else None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f'line {number}: expected a pair as - {{"torch": "2.14.1", …}}, got {line}')
        yield number, row


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields:
        if name in found:
            raise ValueError(f"{name} stands there twice")
        found[name] = value
    return found


def _pair(number: int, row: dict[str, Any]) -> Pair:
    where = f"line {number} (torch {row.get('torch', '?')})"
    known = {item.name: item for item in fields(Pair)}
    for name, value in row.items():
        if name not in known:
            raise ValueError(f"{where}: unknown field {name!r}, expected {', '.join(known)}")
        problem = _problem(name, value)
        if problem:
            raise ValueError(f"{where}: {name} is {value!r}, expected {problem}")
    missing = [name for name, item in known.items() if item.default is MISSING and name not in row]
    if missing:
        raise ValueError(f"{where}: without {', '.join(missing)}")
    pair = Pair(**{**row, "pins": tuple(row.get("pins", ()))})
    if (pair.cuda is None) != (pair.toolkit is None) or (pair.gcc and not pair.cuda):
        raise ValueError(f"{where}: a torch with CUDA needs a toolkit; toolkit and gcc have no meaning without cuda")
    return pair


def _problem(name: str, value: Any) -> str | None:
    """Says what a field's value should be; None if the value is valid."""
    if name in ("download", "gcc"):
        return None if type(value) is int and value > 0 else "a whole number"
    if name == "wheel":
        return None if isinstance(value, bool) else "true or false"
    if name == "pins":
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return None if good else 'a list of requirements, e.g. ["numpy<2"]'
    if isinstance(value, str) and re.fullmatch(_PATTERNS[name], value):
        return None
    if name == "tier":
        return f"one of {', '.join(TIERS)}"
    return f"a version in quotes such as '{'2.14.1' if _PATTERNS[name] == _RELEASE else '13.0'}'"


def select(known: Iterable[Pair], ids: Iterable[str] = (), tier: Tier | None = None) -> tuple[Pair, ...]:
    """Returns the pairs with these ids, or those of a tier and the tiers before it, in the list's order.

    Raises ValueError for an unknown id, and lists the known ids.
    """
    known, wanted = tuple(known), list(ids)
    by_id = {pair.id: pair for pair in known}
    for name in wanted:
        if name not in by_id:
            raise ValueError(f"no pair {name!r}; there are: {', '.join(by_id)}")
    if wanted:
        return tuple(pair for pair in known if pair.id in wanted)
    allowed = TIERS[: TIERS.index(tier or "ci") + 1]
    return tuple(pair for pair in known if pair.tier in allowed)


def contradictions(pair: Pair) -> Iterator[str]:
    """Yields the contradictions between a pair and compatibility.yaml."""
    from dcnbuild.machine import compatibility

    known = compatibility.torch_release(pair.torch)
    if known is None or pair.torch not in known.versions:
        yield f"torch {pair.torch} is not in compatibility.yaml"
        return
    if not known.supports_python(pair.python):
        low, high = known.python
        yield f"python is {pair.python}, torch {pair.torch} has wheels for {low} to {high}"
    if pair.cuda is None:
        return
    if pair.cuda not in known.variants:
        came = ", ".join(known.variants)
        yield f"cuda is {pair.cuda}, torch {pair.torch} came with {came}"
    elif pair.on_pypi != (pair.cuda == known.default):
        yield f"tier is {pair.tier}, and PyPI's torch {pair.torch} is the one for CUDA {known.default}"
