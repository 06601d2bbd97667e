"""What came of a row, as data: kept one file a row, and read again by `--resume` and the report."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

#: "not tried": something that is not the library's fault was missing (a Python, a wheel, a toolkit).
Verdict = Literal["passed", "failed", "not tried"]


@dataclass
class Build:
    """One way in which the library came to be: ahead of time, just in time, or the one wheel.

    Attributes:
        verdict: whether it was built, loaded and passed its tests.
        cpu_seconds: user and system time of building it.
        architectures: what its CUDA library holds, read from the file; () without one.
        sizes: bytes of each library file.
        cpu_tests: passed, failed and skipped for a reason other than "no GPU".
        gpu_tests: the same of the tests on a GPU; None where there is none.
        date, commit: as of the row that it was made in, beside which other rows' builds may be recorded.
    """

    verdict: Verdict = "not tried"
    cpu_seconds: float = 0.0
    architectures: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    cpu_tests: tuple[int, int, int] | None = None
    gpu_tests: tuple[int, int, int] | None = None
    date: str = ""
    commit: str = ""


@dataclass
class Result:
    """One row's result.

    Attributes:
        id: the row's.
        verdict: "passed" only if everything that was to be done was done and passed.
        torch, torch_cuda, python: what the row really got.
        toolkit, compiler: what compiled, as build.json has it.
        builds: by "aot", "jit" and "wheel".
        reason: what was missing or went wrong, in a line.
        finding: the doctor's, where there is one (id, title, cause, evidence, fix).
        seconds: wall time of the whole row; cpu_seconds, of all its programs.
        date, commit: when, and of what; "+" after the commit if the checkout had changes.
        fingerprint: of the row, the sources and the tests, so that a result is known to be out of date.
        log: where the row's logs are, as long as they are kept.
    """

    id: str
    verdict: Verdict = "not tried"
    torch: str | None = None
    torch_cuda: str | None = None
    python: str | None = None
    toolkit: str | None = None
    compiler: str | None = None
    builds: dict[str, Build] = field(default_factory=dict)
    reason: str | None = None
    finding: dict[str, Any] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    date: str = ""
    commit: str = ""
    fingerprint: str = ""
    log: str | None = None


def to_json(results: list[Result]) -> str:
    """Results as the JSON report holds them."""
    document = {"schema": 1, "rows": [dataclasses.asdict(result) for result in results]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Result]:
    """The results of a report. Raises ValueError for what is none."""
    try:
        return [_result(row) for row in json.loads(text)["rows"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no report of the build matrix: {error!r}") from error


def _result(row: dict[str, Any]) -> Result:
    builds = {name: _build(build) for name, build in row.pop("builds").items()}
    return Result(**row, builds=builds)


def _build(values: dict[str, Any]) -> Build:
    tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Build(**(values | tuples))


def without_places(result: Result) -> Result:
    """The same result without the paths of the machine that it was measured on, to be published."""

    def plain(text: str | None) -> str | None:
        return text and re.sub(r" \(/.*\)$", "", text)

    finding = result.finding and {"id": result.finding["id"]}
    reason = result.reason and re.sub(r"/\S*/(?=\S)", "…/", result.reason)
    return dataclasses.replace(
        result,
        log=None,
        toolkit=plain(result.toolkit),
        compiler=plain(result.compiler),
        finding=finding,
        reason=reason,
    )


def write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def stored(path: Path) -> Result | None:
    """The result in a file; None if there is none that can be read."""
    try:
        return from_json(path.read_text(encoding="utf-8"))[0]
    except (OSError, ValueError, IndexError):
        return None
