"""Makes the wheel for aarch64 and runs the operators' tests on it, under qemu: `nox -s aarch64`. With --source,
installs the sources as a user does, and runs the demo.

Ends with status 3 if something that it needs cannot be fetched, and says what.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.aarch64.root import COMPILER, Root, Unavailable, make, missing_programs, write_compiler
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
    "tests/ops/test_deform_sample.py",
    "tests/ops/test_pool_agreement.py",
)
UNAVAILABLE = 3
#: The instruction set of qemu's CPU "max".
LEVEL = "neon_bf16"
#: Of every call of the root's Python: the checkout is not on its path.
PLAIN = {"PYTHONPATH": ""}
#: pip's options for a Python of Debian's, by root.
_PIP = ("--break-system-packages", "--root-user-action=ignore")


class Failed(Exception):
    """A step failed; the text says which."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--missing", action="store_true", help="only say which programs this machine lacks")
    add("--torch", default="2.10.0", help="the release to build and to test with")
    add("--torchvision", default="0.25.0", help="the release of torchvision to compare with")
    add("--out", type=Path, default=CHECKOUT / "out" / "aarch64", help="for the root and the build")
    add("--dist", type=Path, default=CHECKOUT / "dist", help="where the wheel goes")
    add("--wheel-only", action="store_true", help="run no test")
    add("--source", action="store_true", help="run `pip install .` and the demo; no test but those that are named")
    add("tests", nargs="*", help="pytest's arguments, in the place of the default")
    args = parser.parse_args()
    if args.missing:
        print("\n".join(missing_programs()))
        return 0
    out = args.out.absolute()
    try:
        root = make(out / "root", args.torch, args.torchvision)
        if args.source:
            install_source(root, out)
            show(root, out)
            demo(root, out)
            if args.tests:
                test(root, out, args.tests)
            return 0
        wheel = build(root, out, args.dist)
        print(f"made {wheel}", flush=True)
        if not args.wheel_only:
            install(root, wheel, out)
            show(root, out)
            audit(root, wheel, out)
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
    """Installs the wheel in the root, by the root's own pip."""
    options = ("--no-deps", "--no-index", "--force-reinstall", *_PIP)
    _must(root.run("-m", "pip", "install", *options, wheel, env=PLAIN, cwd=out), "pip install")


def install_source(root: Root, out: Path) -> None:
    """Runs `pip install .` as on a user's machine: pip makes the environment of the build and brings what the demo
    needs, and the build finds its compiler on PATH.
    """
    checkout = copy_sources(out / "checkout")
    write_compiler(out / "compilers")
    _must(root.run("-m", "pip", "uninstall", "-y", *_PIP, "dcnbuild", env=PLAIN, cwd=out), "pip uninstall")
    path = f"{out / 'compilers'}:{os.environ.get('PATH', os.defpath)}"
    env = {**PLAIN, "PATH": path, "CXX": "", "CC": "", "DCNBUILD_CUDA": ""}
    options = ("--no-cache-dir", *_PIP)
    _must(root.run("-m", "pip", "install", *options, f"{checkout}[demo]", env=env, cwd=out), "pip install .")


def show(root: Root, out: Path) -> None:
    """Prints what `dcnbuild info` says; the installed library has to serve, at the best level of qemu's CPU."""
    status, text = root.read("-m", "dcnbuild", "info", env={**PLAIN, "DCNBUILD_CPU_ISA": ""}, cwd=out)
    print(text, flush=True)
    _must(status, "dcnbuild info")
    for line in ("cpu: prebuilt ", f"  instruction set: {LEVEL}\n"):
        if line not in text:
            raise Failed(f"dcnbuild info does not say {line.strip()!r}")


def audit(root: Root, wheel: Path, out: Path) -> None:
    """Prints what `dcnbuild audit` says of the wheel there; the wheel has to bear the tag that it deserves."""
    status, text = root.read("-m", "dcnbuild", "audit", wheel, env=PLAIN, cwd=out)
    print(text, flush=True)
    _must(status, "dcnbuild audit")
    tag = wheel.stem.rpartition("-")[2]
    if f"platform tag  {tag}\n" not in text:
        raise Failed(f"dcnbuild audit does not say that the wheel deserves its tag, {tag}")


def demo(root: Root, out: Path) -> None:
    """Runs the demo on a small photograph."""
    picture = out / "demo.png"
    picture.unlink(missing_ok=True)
    small = ("--size", "128", "--steps", "60", "--output", picture)
    _must(root.run("-m", "dcnbuild", "demo", *small, env=PLAIN, cwd=out), "dcnbuild demo")
    if not picture.is_file():
        raise Failed(f"dcnbuild demo wrote no {picture}")


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
        **PLAIN,
        "DCNBUILD_CACHE": str(out / "cache"),
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
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
