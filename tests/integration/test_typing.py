"""Tests type checkers on code that uses dcnbuild."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from hang import HANG

import dcnbuild

HERE = Path(__file__).parent
CHECKERS = ["mypy", "pyright"]
FILES = ["typing_accepted.py", "typing_refused.py"]


@functools.cache
def complaints(checker: str) -> tuple[str, dict[str, set[int]]]:
    """All that a checker in its strict mode says about the files, and the lines of each with errors."""
    pytest.importorskip(checker, reason=f"{checker} is not installed")
    assert dcnbuild.__file__ is not None
    package = Path(dcnbuild.__file__).resolve().parents[1]
    installed = package == Path(sysconfig.get_paths()["purelib"]).resolve()
    # away from the checkout, whose settings are ours and not a user's
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            (Path(folder) / name).write_text((HERE / name).read_text())
        (Path(folder) / "pyrightconfig.json").write_text(
            json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(package)]})
        )
        options = {
            "mypy": ["--strict", "--cache-dir=cache"],
            "pyright": ["--pythonpath", sys.executable],
        }
        done = subprocess.run(
            [sys.executable, "-m", checker, *options[checker], *FILES],
            cwd=folder,
            env={**os.environ, "MYPYPATH": "" if installed else str(package)},
            capture_output=True,
            text=True,
            timeout=HANG,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said  # there is a file that has to be refused
    errors: dict[str, set[int]] = {name: set() for name in FILES}
    for name, line in re.findall(r"(typing_\w+\.py):(\d+):.*\berror\b", said):
        errors[name].add(int(line))
    return said, errors


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_right_code_is_accepted(checker: str) -> None:
    said, errors = complaints(checker)
    assert not errors["typing_accepted.py"], said


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_each_mistake_is_found(checker: str) -> None:
    lines = (HERE / "typing_refused.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    said, errors = complaints(checker)
    assert errors["typing_refused.py"] == wrong, said
