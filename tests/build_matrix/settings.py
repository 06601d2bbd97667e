"""What holds for all rows of one run: where it works, what is built, from which sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dcnbuild.builder.ninjafile import jobs
from dcnbuild.builder.record import file_digest
from dcnbuild.builder.sources import csrc_dir, source_hash
from dcnbuild.machine.cache import cache_home
from dcnbuild.matrix import Pair

CHECKOUT = Path(__file__).resolve().parents[2]

#: What of the checkout a row builds and tests; it works on a copy, so that nothing is left behind here.
_NEEDED = (
    *("csrc", "dcnbuild", "tests", "pyproject.toml", "matrix.yaml", "README.md", "LICENSE"),
    "MANIFEST.in",
)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "*.egg-info", "cases", "lib")


@dataclass(frozen=True)
class Settings:
    """One run.

    Attributes:
        work: rows, results, logs and the copy of the sources lie under it.
        env: the environment variables of the caller.
        parallel: rows at once.
        keep: leave each row's environment where it is.
        build: build ahead of time and just in time.
        few_architectures: compile the CUDA half for the oldest and the newest architecture only.
        wheel: a wheel to install and test too, where torch is new enough for it.
        at_hand: site-packages directories whose torch may be used instead of a download.
        commit: what is built, as git names it.
    """

    work: Path
    env: Mapping[str, str]
    parallel: int = 1
    keep: bool = False
    build: bool = True
    few_architectures: bool = False
    wheel: Path | None = None
    at_hand: tuple[Path, ...] = ()
    commit: str = field(default_factory=lambda: commit_of(CHECKOUT))

    @property
    def sources(self) -> Path:
        """The copy of the checkout that rows build from."""
        return self.work / "sources"

    @property
    def compile_jobs(self) -> int:
        """Compilers at once in each row."""
        return max(1, jobs(self.env) // self.parallel)

    def copy_sources(self) -> None:
        """Makes the copy anew."""
        shutil.rmtree(self.sources, ignore_errors=True)
        self.sources.mkdir(parents=True)
        for name in _NEEDED:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, self.sources / name, ignore=_LEFT_OUT)
            else:
                shutil.copy2(source, self.sources / name)

    def fingerprint(self, pair: Pair) -> str:
        """Of everything that a row's result rests on here; another one means that the result is out of date."""
        digest = hashlib.blake2b(digest_size=8)
        for library in ("cpu", "cuda"):
            digest.update(source_hash(csrc_dir(), library).encode())
        for path in sorted(
            [*(CHECKOUT / "dcnbuild").rglob("*.py"), *(CHECKOUT / "tests/ops").rglob("*.py")]
        ):
            digest.update(path.read_bytes())
        digest.update(repr((pair, self.build, self.few_architectures)).encode())
        if self.wheel:
            digest.update(file_digest(self.wheel).encode())
        return digest.hexdigest()


def default_work(env: Mapping[str, str]) -> Path:
    """The user's cache."""
    return (cache_home(env) or Path("/tmp/dcnbuild")) / "matrix"


def commit_of(checkout: Path) -> str:
    """The commit, with "+" if files that git knows were changed; "unknown" without git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", os.fspath(checkout), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", "csrc", "dcnbuild", "tests"
        )
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
