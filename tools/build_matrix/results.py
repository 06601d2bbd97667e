"""A row's result as data: result.json of each row, and docs/matrix.json for the rows that passed."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

#: "not tried": something was missing that is not the library's fault (a Python, a wheel, a toolkit).
Verdict = Literal["passed", "failed", "not tried"]


@dataclass
class Build:
    """One build of the library: ahead of time, just in time, or from the wheel.

    Attributes:
        cpu_seconds: user and system time of the build.
        architectures: those of its CUDA library, read from the file; () without a CUDA library.
        sizes: bytes of each library file.
        cpu_tests, gpu_tests: passed, failed and skipped for a reason other than "no GPU"; None if no tests ran.
    """

    verdict: Verdict = "not tried"
    cpu_seconds: float = 0.0
    architectures: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    cpu_tests: tuple[int, int, int] | None = None
    gpu_tests: tuple[int, int, int] | None = None


@dataclass
class Result:
    """One row's result.

    Attributes:
        id: the pair's.
        builds: by "aot" and "jit", or by "wheel". The verdict is "passed" only if every build passed.
        python, toolkit, compiler: the versions that the row used.
        reason, finding: what was missing or failed, and the doctor's finding.
        date, commit: when the row ran, and on which commit; "+" follows the commit if the checkout had changes.
    """

    id: str
    builds: dict[str, Build]
    verdict: Verdict = "not tried"
    python: str | None = None
    toolkit: str | None = None
    compiler: str | None = None
    reason: str | None = None
    finding: dict[str, Any] | None = None
    date: str = ""
    commit: str = ""


def new(name: str, of_wheel: bool) -> Result:
    """Returns an empty result."""
    return Result(name, {kind: Build() for kind in (("wheel",) if of_wheel else ("aot", "jit"))})


def merged(recorded: Iterable[Result], found: Iterable[Result]) -> list[Result]:
    """Returns the rows to record: those that passed. A newer result replaces the recorded row of the same id and
    kind.
    """
    tried = [row for row in found if row.verdict != "not tried"]
    rows = {(row.id, "wheel" in row.builds): row for row in (*recorded, *tried)}
    return [row for row in rows.values() if row.verdict == "passed"]


def write(path: Path, results: Iterable[Result]) -> None:
    """Writes a file of results, whole or not at all."""
    document = {"schema": 2, "rows": [dataclasses.asdict(result) for result in results]}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read(path: Path) -> list[Result]:
    """Returns the results in a file. Raises ValueError if it holds none."""
    try:
        return [_result(row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no results of the build matrix: {error!r}") from error


def _result(row: dict[str, Any]) -> Result:
    builds = {}
    for name, values in row.pop("builds").items():
        tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        builds[name] = Build(**(values | tuples))
    return Result(**row, builds=builds)
