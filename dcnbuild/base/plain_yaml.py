"""Reads the YAML of dcnbuild's own files: small, flat, without references and tags.

A file of a few hundred bytes can expand to gigabytes (an anchor in a list in a list …) or be nested deeper than Python
can recurse. Such a file is refused while it is a stream of events, before any object is made.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_LARGEST = 4 << 20
_DEEPEST = 16


class PlainYamlError(ValueError):
    """The file is not YAML of this kind.

    Attributes:
        line: the line of the fault, counted from 1.
        problem: the fault.
    """

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: no YAML: {problem}")
        self.line = line
        self.problem = problem


def load(path: Path) -> Any:
    """Returns the file's content as lists, dicts and plain values. Raises PlainYamlError and OSError."""
    import yaml

    return _read(path, yaml.load, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def shipped(path: Path) -> Any:
    """The same of a file that comes with dcnbuild and need not be checked: it is read once, and not to be changed."""
    import yaml  # here: only what asks for such a file pays for it

    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def beside(module: str, name: str) -> Any:
    """The same of a file beside a module, which gives its __file__."""
    return shipped(Path(module).parent / name)


def compose(path: Path) -> Any:
    """Returns the file's content as yaml.Node, which has line numbers. Raises PlainYamlError and OSError."""
    import yaml

    return _read(path, yaml.compose, yaml.SafeLoader)


def _read(path: Path, read: Any, loader: Any) -> Any:
    import yaml

    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise PlainYamlError(path, 1, f"larger than {_LARGEST} bytes")
    try:
        text = content.decode("utf-8")
        _check(path, text)
        return read(text, Loader=loader)
    except PlainYamlError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or error)
        raise PlainYamlError(path, mark.line + 1 if mark else 1, problem) from error
    except ValueError as error:  # not UTF-8; an impossible date or number
        raise PlainYamlError(path, 1, str(error)) from error


def _check(path: Path, text: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if getattr(event, "anchor", None) is not None:  # an alias has one too
            raise PlainYamlError(path, line, "anchors are not taken here")
        if getattr(event, "tag", None) is not None:  # yaml raises KeyError for `!!bool x`
            raise PlainYamlError(path, line, "tags are not taken here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise PlainYamlError(path, line, "nested too deeply")
