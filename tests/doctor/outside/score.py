"""Prints how often the doctor's first finding is right, on logs that were not used to write its rules.

    python tests/doctor/outside/score.py [DIRECTORY ...]

A directory holds pairs `NAME.log` and `NAME.json`. The JSON gives `must_match`: regular expressions that
the first finding's id, title, cause and fix must match, all of them and in their spelling; the
evidence does not count, since it is the log's own words. A case whose `cause` is "none" is a healthy
log: it may raise no error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.doctor.logs import read_log

GIVEN = Path(__file__).with_name("given")


@dataclass(frozen=True)
class Score:
    """How one case went: `missing` are the expressions that nothing matches."""

    name: str
    found: str
    missing: tuple[str, ...]

    @property
    def right(self) -> bool:
        return not self.missing


def names(directory: Path) -> list[str]:
    """The cases of a directory."""
    return sorted(path.stem for path in directory.glob("*.json"))


def score(directory: Path, name: str) -> Score:
    """Reads one log and compares its first finding with what is expected."""
    expected = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    findings = read_log((directory / f"{name}.log").read_bytes())
    if expected["cause"] == "none":
        alarms = tuple(f"no {item.id}" for item in findings if item.severity == "error")
        return Score(name, ", ".join(item.id for item in findings) or "nothing", alarms)
    if not findings:
        return Score(name, "nothing", ("a finding",))
    first = findings[0]
    said = {"id": first.id, "title": first.title, "cause": first.cause, "fix": list(first.fix)}
    text = json.dumps(said, ensure_ascii=False)
    wanted: list[str] = expected["must_match"]
    missing = [pattern for pattern in wanted if not re.search(pattern, text)]
    if first.severity != "error":
        missing.append("severity error")
    return Score(name, first.id, tuple(missing))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints every case and the share: 0 where at least 95% are right and no healthy log alarms."""
    given = sys.argv[1:] if arguments is None else arguments
    scores = [
        score(directory, name) for directory in [Path(text) for text in given] or [GIVEN] for name in names(directory)
    ]
    for item in scores:
        lacks = f"   lacks {'; '.join(item.missing)}" if item.missing else ""
        print(f"{'right' if item.right else 'WRONG'}  {item.name:32} {item.found}{lacks}")
    right = sum(item.right for item in scores)
    print(f"{right} of {len(scores)} first findings are right ({100 * right / len(scores):.0f}%)")
    return int(right < 0.95 * len(scores))


if __name__ == "__main__":
    raise SystemExit(main())
