"""What the build scripts of packages refuse: each message has its finding, and every row of the table a message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.doctor.logs.lookups.messages import TABLES

_LINES = Path(__file__).with_name("build_refusals.tsv").read_text(encoding="utf-8").splitlines()
_ROWS = [tuple(line.split("\t")) for line in _LINES if line and not line.startswith("#")]
_BODIES = {
    "raises": "Traceback (most recent call last):\n"
    '  File "<string>", line 175, in <module>\n'
    '  File "/tmp/pip-install-x/{package}/setup.py", line 73, in check\n'
    "    raise_it()\n"
    "{said}\n",
    "cmake": "CMake Error at CMakeLists.txt:42 (message):\n  {said}\n\n\n-- Configuring incomplete, errors occurred!\n",
    "distutils": "error: {said}\n",
    "prints": "{said}\n",
}


def _log(package: str, how: str, message: str) -> str:
    """A failed installation by pip, with what the build script says."""
    said = message.replace(" / ", {"prints": "\n", "cmake": "\n\n  "}.get(how, " / "))
    body = _BODIES[how].replace("{package}", package).replace("{said}", said)
    return (
        f"$ pip install {package}\nCollecting {package}\n  Installing build dependencies ... done\n"
        "  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n\n"
        "  × Getting requirements to build wheel did not run successfully.\n  │ exit code: 1\n"
        "  ╰─> [12 lines of output]\n"
        + "".join(f"      {line}\n" for line in body.splitlines())
        + "      [end of output]\n\n  note: This error originates from a subprocess, and is likely not a problem with pip.\n"
    )


@pytest.mark.parametrize(("package", "how", "message", "finding", "part"), _ROWS)
def test_each_refusal_has_its_finding(package: str, how: str, message: str, finding: str, part: str) -> None:
    (found, *_) = explain(_log(package, how, message))
    assert found.id == finding
    assert part in "\n".join((found.title, found.cause, *found.fix))
    assert found.fix


@pytest.mark.parametrize("pattern", [*TABLES.sections["builds"], *TABLES.sections["builds_say"]])
def test_each_row_of_the_table_has_a_message(pattern: str) -> None:
    assert any(re.search(pattern, message) for _, _, message, _, _ in _ROWS)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("RuntimeError: Found empty `transformer-engine` meta package installed.", "transformer-engine[pytorch]"),
        (
            "AssertionError: TransformerEngine package version mismatch. Found transformer-engine v2.2.0",
            "in one release",
        ),
        ("AttributeError: 'NoneType' object has no attribute 'split'", "whl/cu"),
    ],
)
def test_a_traceback_alone_is_explained(message: str, part: str) -> None:
    (found, *_) = explain(
        'Traceback (most recent call last):\n  File "run.py", line 3, in <module>\n'
        f'    torch_binary_major = torch.version.cuda.split(".")[0]\n{message}\n'
    )
    assert part in "\n".join((found.cause, *found.fix))
