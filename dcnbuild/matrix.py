"""The pairs of torch and CUDA that are built and tested: the only reader of matrix.yaml.

A row is checked twice: its fields on their own, and against what compatibility.yaml knows about torch's wheels (a
CUDA that this torch never came with, a Python without wheels). Whether toolkit and compiler go with it is for the
build to find out, and for the doctor to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import STABLE_TARGET, FlavourName
from dcnbuild.machine import compatibility

Tier = Literal["ci", "full", "extended"]
TIERS: tuple[Tier, ...] = get_args(Tier)
ToolkitSource = Literal["pypi", "debian"]

PACKAGE = Path(__file__).resolve().parent


class MatrixError(ValueError):
    """matrix.yaml does not hold what it must; the text names file, line, pair, key and what is allowed."""


@dataclass(frozen=True)
class Pair:
    """One row of matrix.yaml, at whose head the fields are described.

    `cuda`, `toolkit` and `toolkit_from` are None for a torch without CUDA, `gcc` where any compiler that the
    toolkit takes will do, `torchvision` where none fits.
    """

    id: str
    torch: str
    cuda: str | None
    python: str
    index: str
    flavour: FlavourName
    cxx: int
    tier: Tier
    download: int
    source: str
    torchvision: str | None = None
    toolkit: str | None = None
    toolkit_from: ToolkitSource | None = None
    gcc: int | None = None
    pins: tuple[str, ...] = ()


@cache
def pairs() -> tuple[Pair, ...]:
    """The pairs of this installation or checkout. Raises MatrixError, or FileNotFoundError without a list."""
    places = (PACKAGE / "matrix.yaml", PACKAGE.parent / "matrix.yaml")
    for place in places:
        if place.is_file():
            return load(place)
    raise FileNotFoundError(f"matrix.yaml is in none of {', '.join(map(str, places))}")


def load(path: Path) -> tuple[Pair, ...]:
    """Reads and checks a list of pairs. Raises MatrixError."""
    import yaml  # here: whoever only imports the types does not pay for it

    try:
        document = plain_yaml.compose(path)
    except plain_yaml.PlainYamlError as error:
        raise MatrixError(str(error)) from error
    rows = _entry(path, document, "pairs")
    if not isinstance(rows, yaml.SequenceNode) or not rows.value:
        raise _wrong(path, rows, "pairs", "expected a list of pairs, one after each '-'")
    found = tuple(_pair(path, node) for node in rows.value)
    seen: dict[str, int] = {}
    for pair, node in zip(found, rows.value):
        if pair.id in seen:
            raise _wrong(path, node, f"pair {pair.id}", f"line {seen[pair.id]} has this id already")
        seen[pair.id] = node.start_mark.line + 1
    return found


def select(
    known: Iterable[Pair], ids: Iterable[str] = (), tier: Tier | None = None
) -> tuple[Pair, ...]:
    """The pairs that are named, or those of a tier and the tiers before it, in the list's order.

    Raises ValueError that lists the ids there are, for one that is none.
    """
    known = tuple(known)
    by_id = {pair.id: pair for pair in known}
    wanted = list(ids)
    for name in wanted:
        if name not in by_id:
            raise ValueError(f"no pair {name!r}; there are: {', '.join(by_id)}")
    if wanted:
        return tuple(pair for pair in known if pair.id in wanted)
    allowed = TIERS[: TIERS.index(tier or "ci") + 1]
    return tuple(pair for pair in known if pair.tier in allowed)


# --- one row: its fields on their own ---


def _like(pattern: str, expected: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return text

    return read


def _one_of(*allowed: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        for value in allowed:
            if text == str(value):
                return value
        raise ValueError("one of " + ", ".join(map(str, allowed)))

    return read


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number")
    return int(text)


def _cuda(text: str) -> str | None:
    if text == "none":
        return None
    if not re.fullmatch(r"\d+\.\d+", text):
        raise ValueError("a version such as '13.0', or none")
    return text


_RELEASE = _like(r"\d+(\.\d+){2,3}", "a version such as '2.14.1'")
_MINOR = _like(r"\d+\.\d+", "a version such as '13.0'")
_FIELDS: Mapping[str, Callable[[str], Any]] = {
    "id": _like(r"[a-z0-9][a-z0-9.-]*", "small letters, digits, '.' and '-'"),
    "torch": _RELEASE,
    "torchvision": _RELEASE,
    "cuda": _cuda,
    "python": _MINOR,
    "index": _like(
        r"pypi|cpu|cu\d{3}", "pypi, or a variant of the PyTorch wheel index: cpu, cu126 …"
    ),
    "toolkit": _MINOR,
    "toolkit_from": _one_of(*get_args(ToolkitSource)),
    "gcc": _number,
    "cxx": _one_of(14, 17, 20),
    "pins": str,
    "flavour": _one_of(*get_args(FlavourName)),
    "tier": _one_of(*TIERS),
    "download": _number,
    "source": str,
}


def _pair(path: Path, node: Any) -> Pair:
    values: dict[str, Any] = {}
    lines: dict[str, Any] = {}
    for key, value in _items(path, node, "a pair"):
        name = key.value
        where = f"pair {values.get('id', '?')}"
        if name not in _FIELDS:
            raise _wrong(path, key, where, f"unknown key {name!r}, expected {', '.join(_FIELDS)}")
        if name in values:
            raise _wrong(path, key, where, f"{name} stands there twice")
        values[name] = _value(path, where, name, value)
        lines[name] = value
    where = f"pair {values.get('id', '?')}"
    missing = [
        item.name for item in fields(Pair) if item.default is MISSING and item.name not in values
    ]
    if missing:
        raise _wrong(path, node, where, f"without {', '.join(missing)}")
    pair = Pair(**values)
    for key_name, problem in _contradictions(pair):
        raise _wrong(path, lines.get(key_name, node), where, problem)
    return pair


def _value(path: Path, where: str, name: str, node: Any) -> Any:
    """A field's value. A scalar's text counts, so that an unquoted 2.10 is no 2.1."""
    import yaml

    if name == "pins":
        if not isinstance(node, yaml.SequenceNode):
            raise _wrong(path, node, where, "pins: expected a list of requirements, e.g. [numpy<2]")
        return tuple(_scalar(path, where, name, item) for item in node.value)
    return _scalar(path, where, name, node)


def _scalar(path: Path, where: str, name: str, node: Any) -> Any:
    import yaml

    if not isinstance(node, yaml.ScalarNode) or not node.value:
        raise _wrong(path, node, where, f"{name}: expected a single value")
    try:
        return _FIELDS[name](node.value)
    except ValueError as error:
        problem = f"{name} is {node.value!r}, expected {error}"
        raise _wrong(path, node, where, problem) from None


def _entry(path: Path, document: Any, name: str) -> Any:
    for key, value in _items(path, document, "the file"):
        if key.value == name:
            return value
        raise _wrong(path, key, "the file", f"unknown key {key.value!r}, expected {name}")
    raise _wrong(path, document, "the file", f"without {name}")


def _items(path: Path, node: Any, what: str) -> Any:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _wrong(path, node, what, "expected keys with values")
    return node.value


def _wrong(path: Path, node: Any, where: str, problem: str) -> MatrixError:
    line = node.start_mark.line + 1 if node is not None else 1
    return MatrixError(f"{path}:{line}: {where}: {problem}")


# --- one row against what is known ---


def _contradictions(pair: Pair) -> Iterable[tuple[str, str]]:
    """(key, what is wrong with it) for what cannot be, first things first."""
    known = compatibility.torch_release(pair.torch)
    if known is None or pair.torch not in known.versions:
        yield "torch", f"torch {pair.torch} is not in compatibility.yaml"
        return
    if not known.supports_python(pair.python):
        low, high = known.python
        yield (
            "python",
            f"python is {pair.python}, torch {pair.torch} has wheels for {low} to {high}",
        )
    if pair.cuda is not None and pair.cuda not in known.variants:
        yield (
            "cuda",
            f"cuda is {pair.cuda}, torch {pair.torch} came with {', '.join(known.variants)}",
        )
    expected = "pypi" if pair.cuda == known.default else wheel_variant(pair.cuda)
    if pair.index != expected:
        yield "index", f"index is {pair.index}, the wheel for this cuda comes from {expected}"
    flavour = "stable" if numbers(pair.torch)[:2] >= STABLE_TARGET else "aten"
    if pair.flavour != flavour:
        yield "flavour", f"flavour is {pair.flavour}, torch {pair.torch} is served by {flavour}"
    if pair.cuda is None:
        for key in ("toolkit", "toolkit_from", "gcc"):
            if getattr(pair, key) is not None:
                yield key, f"{key} has no meaning for a torch without CUDA"
        return
    if pair.toolkit is None or pair.toolkit_from is None:
        yield "id", "a torch with CUDA needs toolkit and toolkit_from"


def wheel_variant(cuda: str | None) -> str:
    """What the PyTorch wheel index calls a CUDA: "13.0" → "cu130", None → "cpu"."""
    return "cu" + cuda.replace(".", "") if cuda else "cpu"
