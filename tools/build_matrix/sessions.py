"""The sessions of noxfile.py for the pairs of matrix.yaml. Imports only nox and nox's own requirements."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import nox

from dcnbuild.base.own_requirements import RUN
from tools.build_matrix import report, results
from tools.build_matrix.pairs import TIERS, Pair, load, select
from tools.build_matrix.results import Result

ROOT = Path(__file__).resolve().parents[2]
#: The results and logs of each row.
OUT = ROOT / "out" / "matrix"
PAIRS = load(ROOT / "matrix.yaml")
#: The oldest torch that the wheel works with; the wheel is built with it.
WHEEL_BASE = min(
    (pair for pair in PAIRS if pair.wheel and pair.on_pypi),
    key=lambda pair: [int(part) for part in pair.torch.split(".")],
)

# nox finds the Pythons on PATH and uv's; of pyenv's, PATH has only the chosen one
_PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, sorted(_PYENV.glob("3.*/bin")))])


def options(session: nox.Session, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the arguments after `--`; `pairs` are the chosen pairs. Ends nox for wrong arguments."""
    parser = argparse.ArgumentParser(prog=f"nox -s {session.name} --", description=_HELP)
    add = parser.add_argument
    add("--pair", action="append", default=[], metavar="ID", help="this row (repeatable)")
    add("--tier", choices=TIERS, help="the rows of this tier and those before it (default: ci)")
    add("--list", action="store_true", help="print the rows and what each needs, and build nothing")
    add("--github", action="store_true", help="print the rows as a GitHub Actions matrix")
    add("--json", type=Path, metavar="FILE", help="write the results there, too")
    add("--record", action="store_true", help="put them into docs/matrix.json and docs/matrix.md")
    add("--wheel", type=Path, metavar="FILE", help="test this wheel, and build nothing")
    parsed = parser.parse_args(session.posargs if arguments is None else arguments)
    try:
        parsed.pairs = select(PAIRS, parsed.pair, parsed.tier)
    except ValueError as error:
        parser.error(str(error))
    if parsed.wheel and not parsed.wheel.is_file():
        parser.error(f"--wheel {parsed.wheel}: no such file")
    return parsed


_HELP = """Builds and tests pairs of matrix.yaml, each in an environment of its own.

Where pip is constrained so that it cannot see a torch, give it another configuration for this run:
PIP_CONFIG_FILE=/dev/null nox -s build_matrix -- --pair torch-2.15.0-cu132."""


def queue(session: nox.Session, pairs: Sequence[Pair], arguments: Sequence[str]) -> None:
    """Queues a session for each pair, and the report after them. Removes these rows' results of earlier runs."""
    for pair in pairs:
        shutil.rmtree(OUT / pair.id, ignore_errors=True)
        session.notify(f"matrix_row({pair.id})", posargs=arguments)
    session.notify("matrix_report", posargs=arguments)


def print_list(pairs: Sequence[Pair]) -> None:
    """Prints one line for each row, with its needs."""
    for pair in pairs:
        index = "pypi" if pair.on_pypi else pair.variant
        toolkit = f"CUDA {pair.toolkit}" if pair.toolkit else "no CUDA"
        gcc = f", gcc {pair.gcc}" if pair.gcc else ""
        print(
            f"{pair.id:22} {pair.tier:9} Python {pair.python:5} torch from {index:6} "
            f"{pair.download:5} MB   {toolkit}{gcc}{'   one wheel' if pair.wheel else ''}"
        )


def print_github(pairs: Sequence[Pair]) -> None:
    """Prints the rows as the `matrix` of a GitHub Actions job."""
    rows = [{"pair": pair.id, "python": pair.python} for pair in pairs]
    print(json.dumps({"include": rows}))


def row(session: nox.Session, pair: Pair, shared: Path) -> None:
    """Runs one row in the session's environment; the session passes, fails or is skipped like the row."""
    chosen = options(session)
    extra = [f"--wheel={chosen.wheel.absolute()}"] if chosen.wheel else []
    directory = OUT / pair.id
    directory.mkdir(parents=True, exist_ok=True)
    _run_inside(session, "row", pair, shared, directory, *extra, failures=(1,))
    shutil.rmtree(directory / "cache", ignore_errors=True)
    (result,) = results.read(directory / "result.json")
    if result.verdict != "passed":
        end = session.skip if result.verdict == "not tried" else session.error
        end(result.reason)


def make_wheel(session: nox.Session, shared: Path) -> None:
    """Builds the wheel in the session's environment, and puts it into dist/."""
    directory = OUT / "wheel"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _run_inside(session, "one_wheel", WHEEL_BASE, shared, directory, ROOT / "dist")
    shutil.rmtree(directory)


def _run_inside(
    session: nox.Session,
    module: str,
    pair: Pair,
    shared: Path,
    *arguments: str | Path,
    failures: Sequence[int] = (),
) -> None:
    """Runs a module of this package in the session's environment, then removes the environment, which takes about 5 GB.

    If the shared environment or nox's has the pair's torch, the row uses it.
    """
    sites = [sysconfig.get_paths()["purelib"], *map(str, shared.glob("lib/python3*/site-packages"))]
    at_hand = [f"--at-hand={site}" for site in sites if Path(site, "torch").is_dir()]
    try:
        session.install("--quiet", *map(str, RUN))
        session.run(
            *("python", "-m", f"tools.build_matrix.{module}", json.dumps(asdict(pair))),
            *(*map(str, arguments), *at_hand),
            env={"PYTHONPATH": str(ROOT)},
            success_codes=(0, *failures),
        )
    finally:
        shutil.rmtree(session.virtualenv.location)


def finish(session: nox.Session) -> None:
    """Prints the results of the rows; fails unless every requested row passed."""
    chosen = options(session)
    found = [_result_of(pair, chosen.wheel is not None) for pair in chosen.pairs]
    print(report.terminal(found, os.path.relpath(OUT)))
    if chosen.json:
        results.write(chosen.json, found)
    if chosen.record:
        data = ROOT / "docs/matrix.json"
        rows = results.merged(results.read(data), found)
        results.write(data, rows)
        (ROOT / "docs/matrix.md").write_text(report.markdown(rows, PAIRS), encoding="utf-8")
    if not chosen.pair and not chosen.tier:
        more = [pair for pair in PAIRS if pair.tier == "full"]
        gigabytes = sum(pair.download for pair in more) / 1000
        print(f"--tier full adds {len(more)} rows, about {gigabytes:.0f} GB of downloads")
    if any(row.verdict != "passed" for row in found):
        session.error("not every row has passed")


def _result_of(pair: Pair, of_wheel: bool) -> Result:
    """Returns a row's result. If the Python is missing, nox makes no environment, and there is no result file."""
    place = OUT / pair.id / "result.json"
    if place.is_file():
        return results.read(place)[0]
    result = results.new(pair.id, of_wheel)
    result.reason = f"no environment with Python {pair.python} could be made on this machine"
    return result
