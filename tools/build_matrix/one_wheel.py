"""Makes the wheel, in an environment with the oldest torch that the wheel works with.

A 12.x toolkit builds its CUDA library: the static runtime of CUDA 13 needs a driver 580, that of 12.x a driver 525.
auditwheel finds the systems that the wheel runs on, and names it accordingly.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from dcnbuild.base.versions import numbers
from dcnbuild.builder.failure import FINDINGS
from dcnbuild.builder.sources import LIBRARIES, library_file
from dcnbuild.errors import FindingError
from tools.build_matrix import wheel_check
from tools.build_matrix.environment import Environment, Failed, NotTried, build_failed, last_line
from tools.build_matrix.pairs import Pair
from tools.build_matrix.row import copy_sources


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", type=lambda text: Pair(**json.loads(text)), help="as JSON")
    parser.add_argument("directory", type=Path, help="where it is built")
    parser.add_argument("out", type=Path, help="where it goes")
    parser.add_argument("--at-hand", type=Path, action="append", default=[], help="see Environment")
    args = parser.parse_args()
    environment = Environment(args.pair, args.directory, os.environ, args.at_hand)
    try:
        print(make(environment, args.out))
    except (NotTried, Failed, FindingError) as error:
        print(f"wheel: {error}\nwhat was built so far is in {args.directory}", file=sys.stderr)
        return 1
    return 0


def make(environment: Environment, out: Path) -> Path:
    """Builds, checks and tags the wheel; returns its path. Raises Failed or NotTried."""
    environment.make()
    toolkit = environment.toolkit
    if toolkit is None or numbers(toolkit.version)[0] != 12:
        raise Failed(f"the wheel needs a CUDA 12 toolkit, {environment.pair.id} got {toolkit}")
    checkout = copy_sources(environment.directory / "checkout")
    built = environment.directory / "wheels"
    what = f"building with torch {environment.pair.torch} and CUDA {toolkit.version}"
    options = ("-v", "--no-deps", "--no-cache-dir", "-w", built)
    command = (sys.executable, "-I", "-m", "pip", "wheel", *options, checkout)
    outcome = environment.run(what, command)
    if outcome.status != 0:
        raise build_failed("building the wheel failed", outcome, checkout / FINDINGS)
    wheel = next(built.glob("*.whl"))
    problems = wheel_check.wheel_problems(wheel, map(library_file, LIBRARIES))
    if problems:
        raise Failed("\n".join(problems))
    return _tag(environment, wheel, out)


def _tag(environment: Environment, wheel: Path, out: Path) -> Path:
    tagged = environment.directory / "tagged"
    command = (
        *(sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--wheel-dir", tagged),
        *("--exclude", "libtorch*.so", "--exclude", "libc10*.so", wheel),
    )
    outcome = environment.run("measuring what systems it runs on", command)
    made = list(tagged.glob("*.whl"))
    if outcome.status != 0 or len(made) != 1:
        raise Failed(f"auditwheel: {last_line(outcome.text)}")
    out.mkdir(parents=True, exist_ok=True)
    new = out / f"{made[0].name}.new"
    shutil.copy(made[0], new)
    return new.replace(out / made[0].name)


if __name__ == "__main__":
    sys.exit(main())
