"""Builds and tests pairs of matrix.yaml, one fresh environment each.

Where pip is constrained so that it cannot see a torch, give it another configuration for this run:
PIP_CONFIG_FILE=/dev/null nox -s build_matrix -- --pair torch-2.15.0-cu132. All of pip's variables are passed on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from build_matrix import processes, report, results
from build_matrix.results import Result
from build_matrix.row import KEPT, Row
from build_matrix.settings import CHECKOUT, Settings, default_work
from dcnbuild import matrix
from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import STABLE_TARGET
from dcnbuild.machine.locking import locked
from dcnbuild.machine.toolkits import find_toolkits
from dcnbuild.matrix import Pair

DATA = CHECKOUT / "docs/matrix.json"
PAGE = CHECKOUT / "docs/matrix.md"


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s build_matrix --",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pair", action="append", default=[], metavar="ID", help="this row (repeatable)"
    )
    parser.add_argument(
        "--tier",
        choices=matrix.TIERS,
        help="the rows of this tier and those before it (default: ci)",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the rows and what each needs, and build nothing"
    )
    parser.add_argument(
        "--github", action="store_true", help="print the rows as a GitHub Actions matrix"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="rows at once (default: 1)"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave each row's environment where it is until that row runs again",
    )
    parser.add_argument(
        "--resume", action="store_true", help="skip rows that have passed with these very sources"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument(
        "--record",
        action="store_true",
        help="put the results into docs/matrix.json and docs/matrix.md",
    )
    parser.add_argument(
        "--wheel",
        type=Path,
        metavar="FILE",
        help="install and test this wheel too, where torch is new enough",
    )
    parser.add_argument(
        "--few-architectures",
        action="store_true",
        help="compile the CUDA half for the oldest and the newest architecture only, in less time",
    )
    parser.add_argument("--no-build", action="store_true", help="with --wheel: build nothing")
    parser.add_argument(
        "--matrix", type=Path, metavar="FILE", help="another list of pairs (default: matrix.yaml)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIRECTORY",
        help="where rows are built (default: the user's cache)",
    )
    parser.add_argument(
        "--at-hand",
        type=Path,
        action="append",
        default=[],
        metavar="SITE_PACKAGES",
        help="use the torch of this environment for a row that names the same, and download nothing",
    )
    parsed = parser.parse_args(argv)
    if parsed.jobs < 1:
        parser.error(f"--jobs {parsed.jobs}: expected 1 or more")
    if parsed.no_build and not parsed.wheel:
        parser.error("--no-build leaves nothing to do without --wheel")
    if parsed.wheel and not parsed.wheel.is_file():
        parser.error(f"--wheel {parsed.wheel}: no such file")
    return parsed  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every row that was asked for has passed, 1 if not, 2 for wrong arguments or a wrong list."""
    args = arguments(sys.argv[1:] if argv is None else argv)
    try:
        known = matrix.load(args.matrix) if args.matrix else matrix.pairs()
        chosen = matrix.select(known, args.pair, args.tier)
    except (matrix.MatrixError, ValueError, OSError) as error:
        print(f"build_matrix: {error}", file=sys.stderr)
        return 2
    if args.list:
        _print_list(chosen if args.pair or args.tier else known)
        return 0
    if args.github:
        print(
            json.dumps({"include": [{"pair": pair.id, "python": pair.python} for pair in chosen]})
        )
        return 0
    if args.no_build:
        chosen = tuple(pair for pair in chosen if numbers(pair.torch)[:2] >= STABLE_TARGET)
    work = (args.work or default_work(os.environ)).absolute()
    settings = Settings(
        work=work,
        env=dict(os.environ),
        parallel=args.jobs,
        keep=args.keep,
        build=not args.no_build,
        few_architectures=args.few_architectures,
        wheel=args.wheel.absolute() if args.wheel else None,
        at_hand=tuple(path.absolute() for path in args.at_hand),
    )
    try:
        found = _run(chosen, settings, args.resume)
    except _AnotherRunError:
        print(
            f"build_matrix: another run works in {work}; wait for it, or give --work another directory",
            file=sys.stderr,
        )
        return 2
    report.terminal(found)
    if args.json:
        results.write(args.json, results.to_json(found))
    if args.record:
        _record(found, known)
    if not args.pair and not args.tier:
        _say_what_full_adds(known)
    return 0 if all(result.verdict == "passed" for result in found) else 1


class _AnotherRunError(Exception):
    """Another run works in the same directory."""


def _run(chosen: Sequence[Pair], settings: Settings, resume: bool) -> list[Result]:
    settings.work.mkdir(parents=True, exist_ok=True)

    def give_up() -> None:
        raise _AnotherRunError

    with locked(settings.work / "lock", give_up):
        _clear_leftovers(settings.work)
        settings.copy_sources()
        with ThreadPoolExecutor(max_workers=settings.parallel) as pool:
            try:
                return list(pool.map(lambda pair: _one(pair, settings, resume), chosen))
            except BaseException:
                pool.shutdown(cancel_futures=True, wait=False)
                processes.end_leftovers(settings.work)
                raise
            finally:
                shutil.rmtree(settings.sources, ignore_errors=True)


def _clear_leftovers(work: Path) -> None:
    """What a run that was killed has left: its programs, and the environments they were filling."""
    processes.end_leftovers(work)
    for row in (work / "rows").glob("*"):
        if not (row / KEPT).exists():
            shutil.rmtree(row, ignore_errors=True)


def _one(pair: Pair, settings: Settings, resume: bool) -> Result:
    kind = "build" if settings.build else "wheel"
    place = settings.work / "results" / f"{pair.id}-{kind}.json"
    before = results.stored(place) if resume else None
    if before and before.verdict == "passed" and before.fingerprint == settings.fingerprint(pair):
        _say(pair.id, f"has passed on {before.date}, with these very sources")
        return before
    result = Row(pair, settings, lambda text: _say(pair.id, text)).run()
    results.write(place, results.to_json([result]))
    reason = f": {result.reason}" if result.reason else ""
    _say(pair.id, f"{result.verdict} after {result.seconds:.0f} s{reason}")
    return result


_output = threading.Lock()


def _say(who: str, text: str) -> None:
    with _output:
        print(f"{time.strftime('%H:%M:%S')} {who}: {text}", file=sys.stderr, flush=True)


def _record(found: Sequence[Result], known: Sequence[Pair]) -> None:
    """Puts results beside those that are recorded: what was built in a run replaces what stood there, and only that."""
    recorded = {row.id: row for row in _recorded()}
    for result in map(results.without_places, found):
        before = recorded.get(result.id)
        if before is not None and "aot" not in result.builds and "aot" in before.builds:
            # a run of the wheel alone says nothing about the builds
            before.builds |= result.builds
            continue
        if before is not None:
            result.builds = {
                **{name: build for name, build in before.builds.items() if name == "wheel"},
                **result.builds,
            }
        recorded[result.id] = result
    rows = list(recorded.values())
    results.write(DATA, results.to_json(rows))
    results.write(PAGE, report.markdown(rows, known))


def _recorded() -> list[Result]:
    return results.from_json(DATA.read_text(encoding="utf-8")) if DATA.is_file() else []


def _print_list(pairs: Sequence[Pair]) -> None:
    there = {toolkit.version for toolkit in find_toolkits(os.environ)}
    for pair in pairs:
        toolkit = "no CUDA"
        if pair.toolkit:
            how = "is here" if pair.toolkit in there else f"to be had from {pair.toolkit_from}"
            toolkit = f"CUDA {pair.toolkit} {how}"
        gcc = f", gcc {pair.gcc}" if pair.gcc else ""
        print(
            f"{pair.id:22} {pair.tier:9} Python {pair.python:5} torch from {pair.index:6} "
            f"{pair.download:5} MB   {toolkit}{gcc}"
        )


def _say_what_full_adds(known: Sequence[Pair]) -> None:
    more = [pair for pair in matrix.select(known, tier="full") if pair.tier == "full"]
    gigabytes = sum(pair.download for pair in more) / 1000
    print(f"--tier full adds {len(more)} rows, about {gigabytes:.0f} GB of downloads")


if __name__ == "__main__":
    sys.exit(main())
