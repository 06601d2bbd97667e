"""Tests the compatibility table: it is consistent, its answers are right, and a malformed table is refused."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import capability
from dcnbuild.machine.compatibility import CompatibilityError, load, table
from dcnbuild.machine.toolkits import find_toolkits
from dcnbuild.machine.torch_install import find_torch


def test_every_row_has_a_source() -> None:
    assert len(table().cuda) > 20
    assert len(table().torch) > 25
    assert all(row.source for row in table().cuda)
    assert all(row.source for row in table().torch)


def test_newer_toolkits_accept_no_older_compilers_and_ask_for_no_older_drivers() -> None:
    rows = table().cuda
    for older, newer in pairwise(rows):
        assert older.gcc <= newer.gcc
        assert compatibility.numbers(older.driver) < compatibility.numbers(newer.driver)
        assert compatibility.numbers(older.minimum_driver) <= compatibility.numbers(newer.minimum_driver)


def test_wheels_hold_only_what_their_toolkit_compiles() -> None:
    for row in table().torch:
        for cuda, names in row.variants.items():
            unknown = [name for name in names if not compatibility.compiles_for(cuda, name)]
            assert not unknown, f"torch {row.release} with CUDA {cuda}"


def test_the_table_knows_this_machine() -> None:
    """Facts measured on the installed torch and toolkit equal the table's."""
    torch = find_torch()
    assert torch is not None
    row = compatibility.torch_release(torch.version)
    assert row is not None
    if torch.cuda and torch.cuda in row.variants:
        assert torch.architectures == row.variants[torch.cuda]
        assert row.abi(torch.cuda) is torch.cxx11_abi
    for toolkit in find_toolkits(os.environ):
        assert compatibility.cuda_release(toolkit.version) is not None


def test_versions_are_compared_as_numbers() -> None:
    assert compatibility.numbers("2.14.1+cu130") == (2, 14, 1)
    assert compatibility.numbers("535.104.05") == (535, 104, 5)
    assert compatibility.numbers("git") == ()
    release = compatibility.torch_release("2.10.0")
    assert release is not None
    assert release.release == "2.10"


@pytest.mark.parametrize(
    ("version", "exists"),
    [
        ("1.16", False),
        ("1.14.0", False),
        ("2.14.9", False),
        ("2.14.1+cu130", True),
        ("1.6", True),
        ("2", True),
        ("0.4.1", None),
        ("99.0", None),
        ("newest", None),
    ],
)
def test_versions_that_never_were(version: str, exists: bool | None) -> None:
    assert compatibility.torch_exists(version) is exists


@pytest.mark.parametrize(
    ("toolkit", "name", "known"),
    [
        ("11.0", "sm_86", False),
        ("11.1", "sm_86", True),
        ("12.4", "sm_90a", True),
        ("11.8", "sm_90a", False),
        ("13.0", "sm_70", False),
        ("12.8", "sm_120", True),
        ("12.8", "sm_100f", False),
        ("12.9", "sm_100f", True),
        ("13.0", "compute_75", True),
        ("99.0", "sm_75", None),
    ],
)
def test_what_a_toolkit_compiles_for(toolkit: str, name: str, known: bool | None) -> None:
    assert compatibility.compiles_for(toolkit, name) is known


def test_what_torch_and_toolkit_have_in_common() -> None:
    cu128 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
    common = compatibility.common_architectures
    assert common(cu128, "12.4") == ["sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "compute_90"]
    assert common(cu128, "13.0") == [
        "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",
    ]  # fmt: skip
    assert common(("sm_100", "sm_120"), "11.8") == []
    assert common(("sm_90", "sm_90a", "compute_90"), "12.4") == ["sm_90", "compute_90"]
    assert common(("sm_75",), "99.0") == []
    guessed = common((), "13.0")
    assert "sm_80" in guessed
    assert guessed == [*sorted(guessed[:-1], key=capability), "compute_120"]


@pytest.mark.parametrize(
    ("driver", "cuda", "runs"),
    [
        ("525.60.13", "12.9", True),  # any 12.x runs on the first driver of its major
        ("525.60", "12.9", False),
        ("470.82.01", "12.1", False),
        ("470.82.01", "11.8", True),
        ("450.36.06", "11.1", False),
        ("580.65.06", "13.3", True),
        ("575.57.08", "13.0", False),
        ("", "13.0", None),
        ("580", "99.0", None),
    ],
)
def test_drivers(driver: str, cuda: str, runs: bool | None) -> None:
    assert compatibility.driver_runs(driver, cuda) is runs


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("535.104.05", "12.2"),
        ("560.28.03", "12.6"),
        ("999.1", compatibility.table().cuda[-1].version),
        ("304.137", None),
        ("", None),
    ],
)
def test_what_nvidia_smi_shows(driver: str, cuda: str | None) -> None:
    assert compatibility.cuda_of_driver(driver) == cuda


def test_compilers_and_standards() -> None:
    assert compatibility.newest_compiler("12.4", "gcc") == 13
    assert compatibility.newest_compiler("12.4.131", "clang") == 16
    assert compatibility.newest_compiler("12.4", "msvc") is None
    assert compatibility.newest_compiler("99.0", "gcc") is None
    assert compatibility.cxx_standard("2.0.1") == 14
    assert compatibility.cxx_standard("2.13.0") == 20
    assert compatibility.cxx_standard("99.0") is None


def test_the_abi_of_one_variant_can_differ() -> None:
    row = compatibility.torch_release("2.6.0")
    assert row is not None
    assert (row.abi("12.4"), row.abi("12.6"), row.abi(None)) == (False, True, False)


@pytest.fixture
def document() -> Any:
    return yaml.safe_load(compatibility.TABLE.read_text())


def refused(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "table.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(CompatibilityError) as caught:
        load(path)
    return str(caught.value)


def test_a_table_that_is_no_table(tmp_path: Path) -> None:
    for text in ("", "[]", "cuda: []", "{", "cuda: []\ntorch: []\nmore: []"):
        path = tmp_path / "table.yaml"
        path.write_text(text)
        with pytest.raises(CompatibilityError):
            load(path)


@pytest.mark.parametrize("field", ["source", "gcc", "architectures", "minimum_driver"])
def test_a_row_without_a_field(tmp_path: Path, document: Any, field: str) -> None:
    del document["cuda"][3][field]
    message = refused(tmp_path, document)
    assert "CudaRelease 10.1" in message
    assert field in message


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("gcc", "12", "gcc is '12', expected a int"),
        ("version", 12.4, "version is 12.4, expected a str"),
        ("color", "red", "expected only the fields"),
        ("architectures", ["sm_90"], "must be numbers"),
        ("minimum_driver", "999", "minimum_driver is newer than driver"),
        ("version", "9.0", "not in ascending order"),
    ],
)
def test_a_wrong_toolkit_row(tmp_path: Path, document: Any, field: str, value: Any, said: str) -> None:
    document["cuda"][-1][field] = value
    assert said in refused(tmp_path, document)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("default", "99.0", "has no row"),
        ("default", "9.0", "has no row"),
        ("variants", {"13.2": ["80"]}, "not a GPU architecture"),
        ("python", ["3.15", "3.11"], "python must be"),
        ("versions", ["2.1.0"], "versions of another release"),
        ("cxx11_abi", 1, "cxx11_abi is 1, expected a bool"),
    ],
)
def test_a_wrong_torch_row(tmp_path: Path, document: Any, field: str, value: Any, said: str) -> None:
    (row,) = (row for row in document["torch"] if row["release"] == "2.15")
    row[field] = value
    assert said in refused(tmp_path, document)
