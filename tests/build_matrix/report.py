"""Results for people: a table on the terminal, and docs/matrix.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from build_matrix.results import Build, Result
from dcnbuild.matrix import Pair, wheel_variant

_HEAD = """\
# What was built and tested

Each row is a pair of matrix.yaml: a fresh environment with that torch (or one that sees the same torch, where the
machine has it installed), dcnbuild built in it ahead of time (AOT, `pip install`) and just in time (JIT, `dcnbuild
build`), its libraries loaded, and a part of tests/ops run on both. On a machine without a GPU the CUDA half is compiled,
loaded, and its kernels asked of torch's dispatcher, but not run ("no GPU"). Which tests are run is in
tests/build_matrix/checks.py. The architectures, the CPU seconds of compiling and the megabytes of both libraries are
those of the AOT build; the JIT build is for one architecture. Most rows were built for the oldest and the newest
architecture that their torch and toolkit share (`--few-architectures`), the others for all of them.

Written by `nox -s build_matrix -- --record` and `nox -s wheel_matrix -- --record`, from docs/matrix.json; a row that
is run again replaces its line. Do not edit.
"""

_WHEEL = """
## One wheel for all of them

The file that `nox -s wheel` makes, installed as it is into each of these:
"""

_COLUMNS = ("pair", "Python", "toolkit", "AOT", "JIT", "CPU tests", "GPU tests", "architectures")


def markdown(results: Iterable[Result], pairs: Sequence[Pair]) -> str:
    """The text of docs/matrix.md, rows in the list's order."""
    order = {pair.id: number for number, pair in enumerate(sorted(pairs, key=_age))}
    rows = sorted(results, key=lambda result: order.get(result.id, len(order)))
    built = [row for row in rows if "aot" in row.builds or row.verdict != "passed"]
    parts = [_HEAD, _table([*_COLUMNS, "CPU s", "MB", "date (UTC)", "commit"], map(_built, built))]
    troubles = [row for row in built if row.verdict != "passed"]
    if troubles:
        parts.append("\n## Not passed\n")
        parts += [f"- **{row.id}** ({row.verdict}): {_why(row)}" for row in troubles]
    wheels = [row for row in rows if "wheel" in row.builds]
    if wheels:
        columns = ["pair", "Python", "result", "CPU tests", "GPU tests", "architectures", "MB"]
        parts += [_WHEEL, _table([*columns, "date (UTC)", "commit"], map(_wheel, wheels))]
    return "\n".join(parts) + "\n"


def _age(pair: Pair) -> tuple[object, ...]:
    return tuple(int(part) for part in pair.torch.split(".")), wheel_variant(pair.cuda)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _built(row: Result) -> list[str]:
    return [*cells(row), row.date, row.commit]


def _wheel(row: Result) -> list[str]:
    build = row.builds["wheel"]
    return [
        *(row.id, row.python or "", build.verdict, _tests(build), _gpu(build)),
        *(" ".join(build.architectures), _megabytes(build), build.date, build.commit),
    ]


def cells(row: Result) -> list[str]:
    """One row's cells under _COLUMNS, CPU seconds and megabytes."""
    aot, jit = row.builds.get("aot", Build()), row.builds.get("jit", Build())
    toolkit = (row.toolkit or "").partition(" (")[0].removeprefix("CUDA ")
    compiler = " ".join((row.compiler or "").split()[:2])
    return [
        *(row.id, row.python or "", ", ".join(filter(None, (toolkit, compiler)))),
        *(_verdict(aot, row), _verdict(jit, row), _tests(aot), _gpu(aot)),
        " ".join(aot.architectures),
        *(f"{aot.cpu_seconds:.0f}" if aot.cpu_seconds else "", _megabytes(aot)),
    ]


def _verdict(build: Build, row: Result) -> str:
    return row.verdict if build.verdict == "not tried" else build.verdict


def _tests(build: Build) -> str:
    return _counts(build.cpu_tests) if build.cpu_tests else ""


def _gpu(build: Build) -> str:
    return _counts(build.gpu_tests) if build.gpu_tests else "no GPU" if build.cpu_tests else ""


def _counts(counts: tuple[int, int, int]) -> str:
    names = ("passed", "failed", "skipped")
    return ", ".join(f"{count} {name}" for count, name in zip(counts, names) if count) or "none"


def _megabytes(build: Build) -> str:
    return f"{sum(build.sizes.values()) / 1e6:.1f}" if build.sizes else ""


def _why(row: Result) -> str:
    reason = " ".join((row.reason or "").split())
    return f"{reason} (finding: {row.finding['id']})" if row.finding else reason


def terminal(results: Iterable[Result]) -> None:
    """Prints a table, and below it why rows did not pass and what helps."""
    from rich.console import Console
    from rich.table import Table

    results = list(results)
    table = Table()
    for column in (*_COLUMNS, "CPU s", "MB"):
        table.add_column(column)
    for row in results:
        table.add_row(*cells(row))
    # as wide as it takes where nobody looks at it, so that logs hold whole words
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table)
    for row in results:
        if row.verdict == "passed":
            continue
        console.print(f"{row.id}: {row.verdict}: {row.reason}", markup=False, highlight=False)
        if row.finding:
            for line in (*row.finding.get("evidence", ()), *_fixes(row.finding)):
                console.print(f"  {line}", markup=False, highlight=False)
        if row.log:
            console.print(f"  logs: {row.log}", markup=False, highlight=False)
    passed = sum(row.verdict == "passed" for row in results)
    console.print(f"{passed} of {len(results)} rows passed", highlight=False)


def _fixes(finding: Mapping[str, object]) -> list[str]:
    lines = finding.get("fix", ())
    assert isinstance(lines, (list, tuple))
    return ["to fix it:", *(f"  {line}" for line in lines)] if lines else []
