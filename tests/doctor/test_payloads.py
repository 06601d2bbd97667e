"""Tests that no fix runs text from the facts, whether from the environment or from another machine's report."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.machine.facts import Facts

PAYLOADS = (
    ";touch pwned;",
    "$(touch pwned)",
    "`touch pwned`",
    "'\"; touch pwned #",
    "\ntouch pwned\n",
    "&touch pwned&",
)
#: Fields whose text decides which check speaks.
_DECIDE = {
    "version",
    "cuda",
    "variable",
    "kind",
    "system",
    "architecture",
    "package_manager",
    "architectures",
}
_DECIDE |= {
    "listable",
    "hip",
    "missing",
    "headers",
    "channel",
    "container",
    "undefined",
    "headers_version",
}
#: Of these, what still has to be right for most checks to speak; a file with other architectures is refused.
_SHOW = frozenset({"variable", "kind", "system", "architecture", "package_manager", "channel", "architectures"})
#: What lines of ours have that is no plain word: they hold no value from outside.
_OURS = re.compile(
    r':"\$\w+"|"\$\((?:python|\S+) -m dcnbuild toolkit install [\d.]+\)"|"\$\(dcnbuild toolkit install [\d.]+\)"'
    r'|"\$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-\w[\w+]*"'
)


def poisoned(value: Any, payload: str, keep: frozenset[str], name: str = "") -> Any:
    """Facts with the payload at the end of every path and text, but for the fields to keep."""
    if name in keep or name.startswith(("wants", "wanted")):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return type(value)(**{f.name: poisoned(getattr(value, f.name), payload, keep, f.name) for f in fields})
    if isinstance(value, Path):
        return Path(f"{value}{payload}")
    if isinstance(value, Mapping):
        return {key: f"{item}{payload}" if key != "SHELL" else item for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(poisoned(item, payload, keep, name) for item in value)
    return f"{value}{payload}" if isinstance(value, str) else value


def harmless(line: str) -> bool:
    """Whether a POSIX shell takes the line for one command without expansions, or for a comment."""
    if line.startswith("#"):
        return re.fullmatch(r"[\w .,:/+=@-]*", line[1:]) is not None
    lexer = shlex.shlex(_OURS.sub("", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = list(lexer)
    bare = re.sub(r"'[^']*'|\\'", "", _OURS.sub("", line))
    return words == shlex.split(_OURS.sub("", line)) and not re.search(r"[$`;&|<>(){}*?!\n\x1b\"]", bare)


@pytest.mark.parametrize("id", sorted(EXAMPLES))
def test_no_value_becomes_a_command(id: str) -> None:
    for keep, payload in product((frozenset(_DECIDE), _SHOW), PAYLOADS):
        facts: Facts = poisoned(EXAMPLES[id], payload, keep)
        for finding in examine(facts):
            for line in finding.fix:
                assert harmless(line), (finding.id, line)


def test_payloads_reach_the_lines() -> None:
    """Or the test above would show nothing."""
    facts = (poisoned(item, PAYLOADS[0], frozenset(_DECIDE)) for item in EXAMPLES.values())
    lines = {line for item in facts for finding in examine(item) for line in finding.fix}
    assert sum("pwned" in line for line in lines) >= 8


@pytest.mark.parametrize("line", ["rm /x;id", "export A=$(id)", "ls `id`", "a && b", "# x; id", 'ls "$HOME"', "ls *"])
def test_the_test_itself_sees_a_payload(line: str) -> None:
    assert not harmless(line)
