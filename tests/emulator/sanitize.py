"""Runs the emulated kernels under the sanitizers; exits with 0 only if there is no report.

    python tests/emulator/sanitize.py [address [pytest argument ...] | thread]

"address" runs the tests of this directory under AddressSanitizer and UndefinedBehaviorSanitizer with
float-cast-overflow. "thread" runs race_check.cpp under ThreadSanitizer, with two OS threads. Without an
argument, both run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from build import ADDRESS_FLAGS, HERE, ROOT, THREAD_FLAGS, build, build_race_check, compiler  # type: ignore[attr-defined]  # the file beside this script

#: What a sanitizer makes too slow and other tests reach as well.
TOO_SLOW = "not workspace and not larger_than_one_tile and not double_backward and not forward_mode"


def address_environment(module: Path) -> dict[str, str]:
    """Variables under which Python can load `module`, which was built with ADDRESS_FLAGS."""
    runtimes = [
        subprocess.run(
            [compiler(), f"-print-file-name=lib{name}.so"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for name in ("asan", "ubsan")
    ]
    return {
        **os.environ,
        "DCNBUILD_EMULATOR": str(module),
        "LD_PRELOAD": " ".join(runtimes),
        # Python itself leaks at its end.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def address(arguments: Sequence[str]) -> int:
    environment = address_environment(build(ADDRESS_FLAGS))
    chosen = arguments or [str(HERE), "-k", TOO_SLOW]
    command = [sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"]
    return subprocess.run([*command, "-q", *chosen], env=environment).returncode


def race_check(flags: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch, "race_check")
        build_race_check(program, flags)
        return subprocess.run([str(program)]).returncode


def main(arguments: Sequence[str]) -> int:
    which, *rest = arguments or ["all"]
    if which not in ("all", "address", "thread") or (rest and which != "address"):
        print(__doc__, file=sys.stderr)
        return 2
    runs: list[Callable[[], int]] = []
    if which != "address":
        runs.append(lambda: race_check(THREAD_FLAGS))
    if which in ("all", "address"):
        runs.append(lambda: address(rest))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return max(pool.map(lambda run: abs(run()), runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
