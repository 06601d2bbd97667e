"""Builds, inspects and tests one row of the matrix, run by the interpreter of the row's environment.

Writes result.json and logs to a directory. Exits with 0 if the row passed, otherwise with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from dcnbuild.builder.failure import FINDINGS
from dcnbuild.builder.record import read_record
from dcnbuild.errors import FindingError
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import sorted_names, to_arch_list
from dcnbuild.machine.elf import cuda_architectures
from tools.build_matrix import row_tests
from tools.build_matrix.environment import Environment, Failed, NotTried, build_failed, last_line
from tools.build_matrix.pairs import Pair, contradictions
from tools.build_matrix.results import Build, Result, new, write

CHECKOUT = Path(__file__).resolve().parents[2]

#: The parts of the checkout that a build needs. They are copied, so that the build writes nothing into the checkout.
_NEEDED = (*("csrc", "dcnbuild", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "MANIFEST.in"),)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "*.egg-info", "lib")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", type=lambda text: Pair(**json.loads(text)), help="as JSON")
    parser.add_argument("directory", type=Path, help="for the result and the logs")
    parser.add_argument("--at-hand", type=Path, action="append", default=[], help="see Environment")
    parser.add_argument("--wheel", type=Path, help="test this wheel, and build nothing")
    args = parser.parse_args(argv)
    environment = Environment(args.pair, args.directory, os.environ, args.at_hand)
    result = Row(environment, args.wheel).run()
    write(args.directory / "result.json", [result])
    return 0 if result.verdict == "passed" else 1


class Row:
    """Runs a row's steps."""

    def __init__(self, environment: Environment, wheel: Path | None = None) -> None:
        self.pair = environment.pair
        self.environment = environment
        self.wheel = wheel
        self.result = new(self.pair.id, of_wheel=wheel is not None)

    def run(self) -> Result:
        """Runs all steps; an error of the row is in the result, and never raised."""
        result = self.result
        result.python = ".".join(map(str, sys.version_info[:3]))
        result.date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
        result.commit = commit_of(CHECKOUT)
        steps = {"aot": self._ahead_of_time, "jit": self._just_in_time, "wheel": self._one_wheel}
        try:
            for problem in contradictions(self.pair):
                raise Failed(f"matrix.yaml: {problem}")
            self.environment.make()
            for name, build in result.builds.items():
                build.verdict = "failed"
                steps[name](build)
                build.verdict = "passed"
            result.verdict = "passed"
        except Failed as error:
            result.verdict, result.reason, result.finding = "failed", str(error), error.finding
        except FindingError as error:  # about a toolkit
            result.reason = str(error).partition("\n")[0]
            result.finding = error.finding.to_json()
        except (NotTried, OSError) as error:
            result.reason = str(error)
        return result

    # --- the builds ---

    def _ahead_of_time(self, build: Build) -> None:
        checkout = copy_sources(self.environment.directory / "checkout")
        outcome = self.environment.pip("building ahead of time", ["-v", f"{checkout}[test]"])
        build.cpu_seconds = outcome.cpu_seconds
        if outcome.status != 0:
            raise build_failed("the build ahead of time failed", outcome, checkout / FINDINGS)
        shutil.rmtree(checkout)
        self._inspect(build, "prebuilt", self._all_architectures())
        self._test(build, "prebuilt", *row_tests.PREBUILT_TESTS)

    def _just_in_time(self, build: Build) -> None:
        """Compiles the CUDA kernels for one architecture only: the build before compiled all, by the same commands."""
        env = {"DCNBUILD_ROUTE": "jit"}
        expected = self._all_architectures()[-1:]
        if self.environment.toolkit:
            env["TORCH_CUDA_ARCH_LIST"] = to_arch_list(expected)
            expected = sorted_names([*expected, expected[0].replace("compute", "sm")])
        command = (sys.executable, "-I", "-m", "dcnbuild", "build")
        outcome = self.environment.run("building just in time", command, env)
        build.cpu_seconds = outcome.cpu_seconds
        if outcome.status != 0:
            left = (self.environment.cache / "jit").glob("*.findings.json")
            raise build_failed("the build just in time failed", outcome, *left)
        self._inspect(build, "jit", expected, env)
        self._test(build, "jit", *row_tests.JIT_TESTS, env)

    def _one_wheel(self, build: Build) -> None:
        wheel = self.wheel
        assert wheel is not None  # this step runs only for a row with a wheel
        for what, arguments in (
            (f"installing {wheel.name}", ["--force-reinstall", "--no-deps", str(wheel)]),
            ("installing what it needs, and the tests", [f"{wheel}[test]"]),
        ):
            outcome = self.environment.pip(what, arguments)
            if outcome.status != 0:
                raise build_failed(f"{what} failed", outcome)
        self._inspect(build, "prebuilt", None)
        self._test(build, "prebuilt", *row_tests.PREBUILT_TESTS)

    def _all_architectures(self) -> tuple[str, ...]:
        """Returns the architectures that a build without TORCH_CUDA_ARCH_LIST must contain."""
        if self.environment.toolkit is None or self.pair.cuda is None:
            return ()
        release = compatibility.torch_release(self.pair.torch)
        known = release.variants[self.pair.cuda] if release else ()
        return tuple(compatibility.common_architectures(known, self.environment.toolkit.version))

    def _inspect(
        self,
        build: Build,
        route: str,
        architectures: tuple[str, ...] | None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Loads the libraries and compares their architectures with the expected ones; None expects those of the
        record.
        """
        what = "asking for the libraries"
        command = (sys.executable, "-I", "-m", "dcnbuild", "info", "--json")
        outcome = self.environment.run(what, command, env)
        if outcome.status != 0:
            raise build_failed(f"{what} failed", outcome)
        document = json.loads(outcome.text[outcome.text.index("\n{") :])
        served = {item["device"]: item for item in document["devices"] if item["library"]}
        devices = ["cpu", "cuda"] if self.pair.cuda else ["cpu"]
        if list(served) != devices:
            raise Failed(f"libraries are loaded for {list(served)}, expected {devices}")
        for device, item in served.items():
            if item["route"] != route:
                raise Failed(f"{device} is served by {item['route']}, expected {route}")
        paths = {device: Path(item["library"]) for device, item in served.items()}
        build.sizes = {device: path.stat().st_size for device, path in paths.items()}
        record = read_record(paths[devices[-1]].parent)
        assert record is not None  # dcnbuild loads no library without a record
        self.result.compiler = self.result.compiler or record.compiler
        if "cuda" not in paths:
            return
        library = record.libraries["cuda"]
        self.result.toolkit = self.result.toolkit or library.toolkit
        if architectures is not None and library.toolkit != f"CUDA {self.pair.toolkit}":
            raise Failed(f"compiled by {library.toolkit}, the row names CUDA {self.pair.toolkit}")
        build.architectures = cuda_architectures(paths["cuda"])
        expected = library.architectures if architectures is None else architectures
        if build.architectures != expected or not expected:
            holds = " ".join(build.architectures) or "no code"
            raise Failed(f"the CUDA library holds {holds}, expected {' '.join(expected)}")

    def _test(
        self,
        build: Build,
        route: str,
        names: Sequence[str],
        expression: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        report = self.environment.directory / f"{route}.xml"
        report.unlink(missing_ok=True)
        outcome = self.environment.run(
            f"testing the {route} libraries",
            [
                *(sys.executable, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", *row_tests.WORKERS),
                *(f"--rootdir={CHECKOUT}", f"-c{CHECKOUT / 'pyproject.toml'}"),
                *(f"--junitxml={report}", "--route", route, "-k", expression),
                *(CHECKOUT / "tests" / name for name in names),
            ],
            {**row_tests.THREADS, **(env or {})},
        )
        if not report.is_file():
            raise Failed(f"pytest ended with {outcome.status}: {last_line(outcome.text)}")
        counts = row_tests.count_tests(report)
        build.cpu_tests = counts["cpu"]
        build.gpu_tests = counts["cuda"] if any(counts["cuda"]) else None
        if outcome.status != 0 or not counts["cpu"][0]:
            failed = row_tests.failed_tests(report)
            raise Failed(
                f"{len(failed)} tests failed on the {route} libraries: {', '.join(failed[:3])}"
                if failed
                else f"pytest ended with {outcome.status}: {last_line(outcome.text)}"
            )


def copy_sources(place: Path) -> Path:
    """Copies the files of this checkout that a build needs, without built libraries; returns the copy."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in _NEEDED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, place / name, ignore=_LEFT_OUT)
        else:
            shutil.copy2(CHECKOUT / name, place / name)
    return place


def commit_of(checkout: Path) -> str:
    """Returns the commit, with "+" if tracked files have changes; "unknown" without git."""

    def git(*words: str) -> str:
        command = ["git", "-C", os.fspath(checkout), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        words = ("status", "--porcelain", "--untracked-files=no", "--", "csrc", "dcnbuild", "tests")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git(*words) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
