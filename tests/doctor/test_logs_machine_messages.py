"""What machines, drivers, schedulers and torch say of their surroundings: machine_messages.tsv has a log for each message.

A message that is new in a release of such a tool is a line of that file, and a row of messages/machine.yaml.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.base import plain_yaml
from dcnbuild.doctor.logs import rule_table
from dcnbuild.errors import Finding
from dcnbuild.machine import xids


def _read(name: str) -> list[list[str]]:
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


_LINES = _read("machine_messages.tsv")
_SECTIONS: dict[str, dict[str, dict[str, str]]] = plain_yaml.beside(rule_table.__file__, "messages/machine.yaml")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


@cache
def _found(log: str) -> Finding | None:
    return next(iter(explain(_unescaped(log) + "\n")), None)


@pytest.mark.parametrize(("id", "part", "log"), _LINES, ids=[f"{i}-{line[0]}" for i, line in enumerate(_LINES)])
def test_a_message_has_its_finding(id: str, part: str, log: str) -> None:
    found = _found(log)
    assert found and found.id == id
    assert _unescaped(part) in "\n".join((found.cause, *found.fix))


@pytest.mark.parametrize("section", _SECTIONS)
def test_each_row_answers_a_message(section: str) -> None:
    causes = "\n".join(found.cause for _, _, log in _LINES if (found := _found(log)))
    assert [name for name, row in _SECTIONS[section].items() if row["means"] not in causes] == []


@pytest.mark.parametrize("number", [str(number) for number in range(1, 173) if xids.of(str(number))])
def test_each_xid_says_what_it_means(number: str) -> None:
    row = xids.of(number)
    if row["of"] == "info":
        assert not explain(f"[ 1.0] NVRM: Xid (PCI:0000:41:00): {number}, pid=3, name=python\n")
    else:
        (found, *_) = explain(f"[ 1.0] NVRM: Xid (PCI:0000:41:00): {number}, pid=3, name=python, Ch 00000008\n")
        assert row["says"] in found.cause
        assert found.id == ("kernel-crash" if row["of"] in ("program", "follows") else "gpu-hardware")


@pytest.mark.parametrize(("name", "text"), _read("nvml_results.tsv"))
def test_no_result_of_nvml_is_told_as_a_missing_driver(name: str, text: str) -> None:
    (found, *_) = explain(f"Traceback (most recent call last):\npynvml.{name}: {text}\n")
    missing = name in ("NVMLError_DriverNotLoaded", "NVMLError_LibraryNotFound", "NVMLError_AlreadyInitialized")
    assert missing or "not installed or not loaded" not in found.cause


def test_what_nccl_warns_of_is_what_the_library_has() -> None:
    package = importlib.util.find_spec("nvidia")
    places = package.submodule_search_locations if package else None
    libraries = [file for place in places or () for file in Path(place).rglob("libnccl.so*")]
    if not libraries:
        pytest.skip("there is no libnccl here")
    strings = libraries[0].read_bytes()
    for said in (
        b"Mismatched NCCL version detected",
        b"P2P is disabled between NVLINK connected",
        b"Could not enable P2P between",
        b"failed to create shared memory file",
        b"Invalid NCCL_COMM_ID",
        b"Could not open XML topology file",
        b"MNNVL (cliqueSize",
        b"Detected mixed local Net device counts",
    ):
        assert said in strings
