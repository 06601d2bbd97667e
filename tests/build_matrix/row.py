"""One row: a fresh environment, the builds, their tests; and what came of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from build_matrix import checks
from build_matrix.environment import Environment, Failed, NotTried, build_failed, last_line
from build_matrix.results import Build, Result
from build_matrix.settings import Settings
from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import STABLE_TARGET
from dcnbuild.errors import FindingError
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import sorted_names, to_arch_list
from dcnbuild.matrix import Pair

#: A file that says that a row's directory is to stay until that row runs again.
KEPT = "kept"


class Row:
    """Goes through a row's steps."""

    def __init__(self, pair: Pair, settings: Settings, say: Callable[[str], None]) -> None:
        self.pair = pair
        self.settings = settings
        self.directory = settings.work / "rows" / pair.id
        self.environment = Environment(pair, settings, self.directory, say)
        self.result = Result(
            pair.id, commit=settings.commit, fingerprint=settings.fingerprint(pair)
        )

    def run(self) -> Result:
        """Everything, and the directory removed afterwards unless it is to be kept; never raises for a row's fault."""
        started = time.monotonic()
        result = self.result
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        try:
            self._go_through()
            result.verdict = "passed"
        except NotTried as error:
            result.verdict, result.reason = "not tried", str(error)
        except Failed as error:
            result.verdict, result.reason, result.finding = "failed", str(error), error.finding
            for build in result.builds.values():
                build.verdict = "passed" if build.verdict == "passed" else "failed"
        except FindingError as error:  # of a toolkit
            result.verdict, result.reason = "not tried", str(error).partition("\n")[0]
            result.finding = error.finding.to_json()
        except OSError as error:
            result.verdict, result.reason = "not tried", str(error)
        result.seconds = round(time.monotonic() - started, 1)
        result.cpu_seconds = round(self.environment.cpu_seconds, 1)
        result.date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
        for build in result.builds.values():
            build.date, build.commit = result.date, result.commit
        self._keep_or_remove()
        return result

    def _go_through(self) -> None:
        try:
            self.environment.make()
        finally:
            facts = self.environment.facts
            self.result.torch, self.result.torch_cuda = facts.get("torch"), facts.get("cuda")
            self.result.python = facts.get("python")
        for name, step in self._builds():
            build = self.result.builds[name] = Build()
            step(build)
            build.verdict = "passed"

    def _keep_or_remove(self) -> None:
        if self.settings.keep:
            (self.directory / KEPT).touch()
            self.result.log = str(self.directory)
            return
        if self.result.verdict == "failed":  # the logs are small
            logs = self.settings.work / "logs" / self.pair.id
            shutil.rmtree(logs, ignore_errors=True)
            logs.mkdir(parents=True)
            for log in self.directory.glob("*.log"):
                shutil.copy(log, logs)
            self.result.log = str(logs)
        shutil.rmtree(self.directory)

    # --- the builds ---

    def _builds(self) -> list[tuple[str, Callable[[Build], None]]]:
        steps: list[tuple[str, Callable[[Build], None]]] = []
        if self.settings.build:
            steps += [("aot", self._ahead_of_time), ("jit", self._just_in_time)]
        if self.settings.wheel and numbers(self.pair.torch)[:2] >= STABLE_TARGET:
            steps.append(("wheel", self._one_wheel))
        return steps

    def _ahead_of_time(self, build: Build) -> None:
        checkout = self.directory / "checkout"
        shutil.copytree(self.settings.sources, checkout)
        expected, env = self._all_architectures(), {}
        if self.settings.few_architectures and expected:
            expected = sorted_names([expected[0], *expected[-2:]])
            env["TORCH_CUDA_ARCH_LIST"] = to_arch_list(expected)
        what = "building ahead of time"
        outcome = self.environment.pip(what, ["-v", f"{checkout}[test]"], env)
        build.cpu_seconds = round(outcome.cpu_seconds, 1)
        if outcome.status != 0:
            raise build_failed("the build ahead of time failed", outcome.text)
        shutil.rmtree(checkout)
        self._inspect(build, "prebuilt", expected)
        self._test(build, "prebuilt", *checks.PREBUILT_TESTS)

    def _just_in_time(self, build: Build) -> None:
        """The CUDA half for one architecture: every one was compiled a moment ago, by the same commands."""
        env = {"DCNBUILD_ROUTE": "jit"}
        expected = self._all_architectures()[-1:]
        if self.environment.toolkit:
            env["TORCH_CUDA_ARCH_LIST"] = to_arch_list(expected)
            expected = sorted_names([*expected, expected[0].replace("compute", "sm")])
        outcome = self.environment.run(
            "building just in time",
            [self.environment.python, "-I", "-m", "dcnbuild", "build"],
            env,
        )
        build.cpu_seconds = round(outcome.cpu_seconds, 1)
        if outcome.status != 0:
            raise build_failed("the build just in time failed", outcome.text)
        self._inspect(build, "jit", expected, env)
        self._test(build, "jit", *checks.JIT_TESTS, env)

    def _one_wheel(self, build: Build) -> None:
        wheel = self.settings.wheel
        assert wheel is not None  # or _builds leaves this step out
        pip = self.environment.pip_checked
        pip(f"installing {wheel.name}", ["--force-reinstall", "--no-deps", str(wheel)])
        pip("installing what it needs, and the tests", [f"{wheel}[test]"])
        self._inspect(build, "prebuilt", None)
        self._test(build, "prebuilt", *checks.PREBUILT_TESTS)

    def _all_architectures(self) -> tuple[str, ...]:
        """What a build without TORCH_CUDA_ARCH_LIST is to contain."""
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
        """Loads the libraries, and compares them with what they should be; None: whatever was recorded."""
        devices = ["cpu", "cuda"] if self.pair.cuda else ["cpu"]
        looked = self.environment.look("libraries", *devices, env=env)
        found = looked["libraries"]
        if looked["loaded"] != devices:
            raise Failed(
                f"libraries are loaded for {looked['loaded']}, expected for {devices} and no other"
            )
        build.sizes = {device: found[device]["size"] for device in devices}
        for device in devices:
            library = found[device]
            if library["route"] != route:
                raise Failed(f"{device} is served by {library['route']}, expected {route}")
            if library["without_kernel"]:
                missing = ", ".join(library["without_kernel"])
                raise Failed(f"the dispatcher has no {device} kernel for {missing}")
        self.result.compiler = self.result.compiler or found["cpu"]["compiler"]
        if "cuda" not in found:
            return
        self.result.toolkit = self.result.toolkit or found["cuda"]["toolkit"]
        compiled_by = str(found["cuda"]["toolkit"])
        if architectures is not None and compiled_by != f"CUDA {self.pair.toolkit}":
            raise Failed(f"compiled by {compiled_by}, the row names CUDA {self.pair.toolkit}")
        build.architectures = tuple(found["cuda"]["architectures"])
        expected = tuple(found["cuda"]["recorded"]) if architectures is None else architectures
        if build.architectures != expected or not expected:
            raise Failed(
                f"the CUDA library holds {' '.join(build.architectures) or 'no code'}, "
                f"expected {' '.join(expected)}"
            )

    def _test(
        self,
        build: Build,
        route: str,
        names: Sequence[str],
        expression: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        tests = self.settings.sources / "tests"
        report = self.directory / f"{route}.xml"
        report.unlink(missing_ok=True)
        outcome = self.environment.run(
            f"testing the {route} libraries",
            [
                *(self.environment.python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(f"--rootdir={tests.parent}", f"-c{tests.parent / 'pyproject.toml'}"),
                *(f"--junitxml={report}", "--route", route, "-k", expression),
                *(tests / "ops" / name for name in names),
            ],
            env,
        )
        if not report.is_file():
            raise Failed(f"pytest ended with {outcome.status}: {last_line(outcome.text)}")
        counts = checks.count_tests(report)
        build.cpu_tests = counts["cpu"]
        build.gpu_tests = counts["cuda"] if self.environment.facts["gpu"] else None
        if outcome.status != 0 or not counts["cpu"][0]:
            failed = checks.failed_tests(report)
            raise Failed(
                f"{len(failed)} tests failed on the {route} libraries: {', '.join(failed[:3])}"
                if failed
                else f"pytest ended with {outcome.status}: {last_line(outcome.text)}"
            )
