"""What git has not recorded of a tree, asked without running anything that the tree names."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class GitError(Exception):
    """Git gives no answer; the message says why."""


def unrecorded(base: Path) -> list[str]:
    """The files below a directory that are untracked, or differ from what git has stored of them.

    A repository's own configuration may name programs that git then runs: file system monitors,
    filters, hooks, transports. So git gets a repository of ours, empty but for a copy of the index:
    that and the stored files are all it takes to answer, and nothing in them could be run.

    [] outside a repository. Raises GitError.
    """
    found = _repository(base)
    if found is None:
        return []
    work_tree, repository = found
    git = shutil.which("git", path=os.pathsep.join(filter(os.path.isabs, os.get_exec_path())))
    if git is None:
        raise GitError("there is no git to ask")
    with tempfile.TemporaryDirectory(prefix="dcnbuild-port-") as temporary:
        own = Path(temporary)
        for directory in ("refs", "info"):
            (own / directory).mkdir()
        (own / "HEAD").write_text("ref: refs/heads/none\n")
        for name in ("index", "info/exclude"):
            if (repository / name).is_file():
                shutil.copyfile(repository / name, own / name)
        shared = repository / "commondir"  # of a linked work tree
        common = shared.read_text().strip() if shared.is_file() else "."
        environment = {
            "PATH": os.defpath,
            "HOME": os.environ.get("HOME", ""),  # for the user's own list of ignored files
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_DIR": str(own),
            "GIT_OBJECT_DIRECTORY": str(repository / common / "objects"),  # what links point to
            "GIT_WORK_TREE": str(work_tree),
        }
        try:
            done = subprocess.run(
                [git, "ls-files", "-m", "-o", "-z", "--exclude-standard", "--", "."],
                cwd=base,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(str(error)) from error
    if done.returncode:
        raise GitError(os.fsdecode(done.stderr).strip().splitlines()[-1])
    return sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name})


def _repository(base: Path) -> tuple[Path, Path] | None:
    """The work tree that holds a directory, and its repository."""
    for directory in (base, *base.parents):
        there = directory / ".git"
        if there.is_dir():
            return directory, there
        if there.is_file():  # of a linked work tree or a submodule
            said = there.read_text(errors="replace").strip()
            return directory, directory / said.removeprefix("gitdir:").strip()
    return None
