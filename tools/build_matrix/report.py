"""Shows results: a table on the terminal, and docs/matrix.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dcnbuild.base.printable import one_line
from tools.build_matrix.pairs import Pair
from tools.build_matrix.results import Build, Result

_HEAD = """\
# What was built and tested

Each row is a pair of torch and CUDA, in an environment of its own. There dcnbuild was built ahead of time (AOT,
`pip install`) and just in time (JIT, `dcnbuild build`), its libraries were loaded, and a part of tests/ops was run on
both. On a machine without a GPU the CUDA half is compiled, loaded, and its kernels asked of torch's dispatcher, but not
run ("no GPU"). The architectures, the CPU seconds of compiling and the megabytes of both libraries are those of the AOT
build; the JIT build is for one architecture. Most rows were built for the oldest and the newest architecture that
their torch and toolkit share, the others for all of them.
"""

_WHEEL = """
## One wheel for all of them

The file that `nox -s wheel` makes, installed as it is into each of these:
"""

_COLUMNS = (
    *("pair", "Python", "toolkit", "AOT", "JIT", "CPU tests", "GPU tests", "architectures"),
    *("CPU s", "MB", "date (UTC)", "commit"),
)
_WHEEL_COLUMNS = (
    *("pair", "Python", "result", "CPU tests", "GPU tests", "architectures", "MB"),
    *("date (UTC)", "commit"),
)


def markdown(results: Iterable[Result], pairs: Sequence[Pair]) -> str:
    """Returns the text of docs/matrix.md: the rows that passed, from the oldest torch on, and one line for the
    others.
    """
    known = [pair.id for pair in sorted(pairs, key=_age)]
    rows = sorted((row for row in results if row.id in known), key=lambda row: known.index(row.id))
    built = [row for row in rows if "aot" in row.builds]
    parts = [_HEAD, _table(_COLUMNS, map(_cells, built))]
    untried = [name for name in known if name not in {row.id for row in built}]
    if untried:
        parts.append(f"\nNot tried yet, or not passed: {', '.join(untried)}.")
    wheels = [row for row in rows if "wheel" in row.builds]
    if wheels:
        parts += [_WHEEL, _table(_WHEEL_COLUMNS, map(_wheel_cells, wheels))]
    return "\n".join(parts) + "\n"


def terminal(results: Sequence[Result], logs: str) -> str:
    """Returns a table, then the reason and the fix for each row that did not pass; `logs` is the logs' directory."""
    wheels = "wheel" in results[0].builds
    cells = _wheel_cells if wheels else _cells
    lines = [_table(_WHEEL_COLUMNS if wheels else _COLUMNS, map(cells, results), aligned=True)]
    for row in results:
        if row.verdict == "passed":
            continue
        lines.append(" ".join(f"{row.id}: {row.verdict}: {row.reason}".split()))
        finding = row.finding or {}
        lines += [f"  {line}" for line in finding.get("evidence", ())]
        if finding.get("fix"):
            lines += ["  to fix it:", *(f"    {line}" for line in finding["fix"])]
        lines.append(f"  logs: {logs}/{row.id}")
    passed = sum(row.verdict == "passed" for row in results)
    return "\n".join([lines[0], *map(one_line, lines[1:]), f"{passed} of {len(results)} rows passed"])


def _age(pair: Pair) -> tuple[object, ...]:
    return [int(part) for part in pair.torch.split(".")], pair.variant


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], aligned: bool = False) -> str:
    lines = [columns, *rows]
    widths = [max(map(len, cells)) if aligned else 0 for cells in zip(*lines)]
    lines.insert(1, ["-" * max(3, width) for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(cells, widths)] for cells in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _cells(row: Result) -> list[str]:
    aot, jit = row.builds["aot"], row.builds["jit"]
    toolkit = (row.toolkit or "").removeprefix("CUDA ")
    compiler = " ".join((row.compiler or "").split()[:2])
    return [
        *(row.id, row.python or "", ", ".join(filter(None, (toolkit, compiler)))),
        *(aot.verdict, jit.verdict, _tests(aot), _gpu(aot), " ".join(aot.architectures)),
        *(f"{aot.cpu_seconds:.0f}" if aot.cpu_seconds else "", _megabytes(aot)),
        *(row.date, row.commit),
    ]


def _wheel_cells(row: Result) -> list[str]:
    build = row.builds["wheel"]
    return [
        *(row.id, row.python or "", build.verdict, _tests(build), _gpu(build)),
        *(" ".join(build.architectures), _megabytes(build), row.date, row.commit),
    ]


def _tests(build: Build) -> str:
    return _counts(build.cpu_tests) if build.cpu_tests else ""


def _gpu(build: Build) -> str:
    return _counts(build.gpu_tests) if build.gpu_tests else "no GPU" if build.cpu_tests else ""


def _counts(counts: tuple[int, int, int]) -> str:
    names = ("passed", "failed", "skipped")
    return ", ".join(f"{count} {name}" for count, name in zip(counts, names) if count) or "none"


def _megabytes(build: Build) -> str:
    return f"{sum(build.sizes.values()) / 1e6:.1f}" if build.sizes else ""
