"""Seeds faults into a copy of the kernels and checks that each is noticed.

    python tests/emulator/mutate.py [words of a fault's name]

One build contains all faults, and DCNBUILD_FAULT activates one by its number, so a fault costs only a run of its check.
First every check runs with no fault awake, race_check.cpp under all three sanitizers among them. Exits with 0 if these
pass, and every fault is caught.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults import ADDRESS, AWAKE, DRIVER, FAULTS, THREAD, seeded

from build import ADDRESS_FLAGS, HERE, ROOT, THREAD_FLAGS, build, build_driven, build_race_check  # type: ignore[attr-defined]  # the file beside this script

SANITIZERS = {THREAD: THREAD_FLAGS, ADDRESS: ADDRESS_FLAGS}

#: CPU seconds, since a faulty kernel may also run for ever. Not wall time: a busy machine is no fault.
LIMIT_S = 600


def seed_all(root: Path) -> None:
    """Copies the emulator's sources, with every fault in them, each inactive."""
    shutil.copytree(ROOT / "csrc", root / "csrc")
    for tests in ("emulator", "nvrtc", "nvcc"):
        kept = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "tests" / tests, root / "tests" / tests, ignore=kept)
    for number, fault in enumerate(FAULTS, 1):
        path = root / "csrc" / fault.file
        path.write_text(seeded(path.read_text(), fault, number))
    (root / "awake.h").write_text(AWAKE)


class Checks:
    """The checks, on programs compiled from the sources under `root`."""

    def __init__(self, root: Path, chosen: Iterable[str]) -> None:
        include = f"-include{root / 'awake.h'}"
        wanted = set(chosen)
        self.programs = {check: root / f"race_check_{check}" for check in (THREAD, ADDRESS) if check in wanted}
        with ThreadPoolExecutor() as pool:
            compiling = [
                pool.submit(build_race_check, program, (*SANITIZERS[check], include), root)
                for check, program in self.programs.items()
            ]
            self.modules: dict[str, str] = {}
            tests = wanted - {THREAD, ADDRESS}
            if any(DRIVER in check for check in tests):
                self.modules["DCNBUILD_DRIVEN"] = str(build_driven((include,), root, root))
            if any(DRIVER not in check for check in tests):
                self.modules["DCNBUILD_EMULATOR"] = str(build((include,), root, root))
            for done in compiling:
                done.result()

    def passed(self, runs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, bool]]:
        """Runs checks, each with one fault awake, as many at a time as there are cores; in no order.

        Raises RuntimeError if pytest comes to no verdict.
        """
        waiting, running = deque(runs), {}
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                number, check = waiting.popleft()
                running[self._start(number, check)] = number, check
            pid, status = os.wait()
            number, check = running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if check not in self.programs and code in (2, 3, 4, 5):
                raise RuntimeError(f"pytest -k '{check}' ended with {code}: no verdict")
            yield number, check, code == 0

    def _start(self, number: int, check: str) -> int:
        """Forks this process, which has torch already, so that a check need not import it."""
        pid = os.fork()
        if pid == 0:
            try:
                self._run(number, check)
            finally:
                os._exit(4)
        return pid

    def _run(self, number: int, check: str) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        os.environ.update(DCNBUILD_FAULT=str(number), TSAN_OPTIONS="halt_on_error=1")
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1), os.dup2(silent, 2)
        if check in self.programs:
            os.execv(self.programs[check], [check])
        os.environ.update(self.modules)
        options = (f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}", "-pno:cacheprovider", "-qx")
        directory = HERE.parent / "nvrtc" if DRIVER in check else HERE
        os._exit(pytest.main([*options, str(directory), "-k", check]))


def main(words: Sequence[str]) -> int:
    chosen = {number: fault for number, fault in enumerate(FAULTS, 1) if all(word in fault.name for word in words)}
    if not chosen:
        print(f"no fault is named {' '.join(words)}", file=sys.stderr)
        return 2
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        seed_all(Path(scratch))
        needed = dict.fromkeys([*(() if words else SANITIZERS), *(fault.check for fault in chosen.values())])
        try:
            checks = Checks(Path(scratch), needed)
        except subprocess.CalledProcessError as error:
            print(f"the seeded kernels do not compile: {error}", file=sys.stderr)
            return 1
        asleep = list(checks.passed((0, check) for check in needed))
        broken = [check for _, check, passed in asleep if not passed]
        if broken:
            print("with no fault awake these fail:", *broken, sep="\n", file=sys.stderr)
            return 1
        for number, _, passed in checks.passed((n, fault.check) for n, fault in chosen.items()):
            print(f"{'MISSED' if passed else 'caught'}  {chosen[number].name}", flush=True)
            missed += [number] * passed
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults caught")
    return 1 if missed else 0


if __name__ == "__main__":
    # What takes long to import, before the forks.
    import hypothesis  # noqa: F401
    import torch  # noqa: F401

    import dcnbuild  # noqa: F401

    sys.exit(main(sys.argv[1:]))
