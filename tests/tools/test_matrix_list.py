"""Tests matrix.yaml: its contents, and the errors of a wrong list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT

from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import STABLE_TARGET
from dcnbuild.machine.compatibility import common_architectures, newest_compiler, torch_release
from tools.build_matrix.pairs import Pair, contradictions, load, select

PAIRS = load(CHECKOUT / "matrix.yaml")
ROW = """\
pairs:
  - {"torch": "2.14.1", "torchvision": "0.29.1", "cuda": "13.0", "toolkit": "13.0", "python": "3.11", "tier": "ci", "download": 2800}
"""

ASKED_FOR = """
2.0.1/cu117 2.1.2/cu121 2.4.1/cu121 2.5.1/cu124 2.6.0/cu124 2.7.1/cu126 2.8.0/cu128 2.9.1/cu128 2.10.0/cu128
2.11.0/cu130 2.12.1/cu130 2.13.0/cu130 2.14.1/cu130 2.15.0/cu132 2.13.0/cpu
"""


def read(tmp_path: Path, text: str) -> tuple[Pair, ...]:
    path = tmp_path / "matrix.yaml"
    path.write_text(text)
    return load(path)


def test_the_list_of_this_project() -> None:
    assert set(ASKED_FOR.split()) <= {f"{pair.torch}/{pair.variant}" for pair in PAIRS}
    assert [pair.tier for pair in PAIRS if not pair.on_pypi and pair.cuda] == ["extended"] * 12
    # the environment that nox shares has the first pair's torch
    assert PAIRS[0].tier == "ci"
    assert PAIRS[0].torchvision is not None


def test_the_one_wheel_is_tested_on_the_oldest_torch_that_it_serves_and_the_newest() -> None:
    served = [pair for pair in PAIRS if numbers(pair.torch)[:2] >= STABLE_TARGET]
    tested = [pair for pair in served if pair.wheel]
    assert tested == [pair for pair in PAIRS if pair.wheel]
    versions = sorted(numbers(pair.torch) for pair in served)
    assert {versions[0], versions[-1]} <= {numbers(pair.torch) for pair in tested}
    assert None in {pair.cuda for pair in tested}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.id)
def test_every_pair_can_be_compiled_for(pair: Pair) -> None:
    """Each pair has an architecture that toolkit and torch share, and a compiler that nvcc accepts."""
    assert list(contradictions(pair)) == []
    if pair.cuda and pair.toolkit:
        release = torch_release(pair.torch)
        assert release is not None
        assert len(common_architectures(release.variants[pair.cuda], pair.toolkit)) > 3
        assert numbers(pair.toolkit)[0] == numbers(pair.cuda)[0]
        assert (pair.gcc or 0) <= (newest_compiler(pair.toolkit, "gcc") or 0)


def test_it_is_yaml() -> None:
    """nox reads matrix.yaml line by line, without a YAML reader; a YAML reader gives the same rows."""
    rows = yaml.safe_load((CHECKOUT / "matrix.yaml").read_text(encoding="utf-8"))["pairs"]
    assert [Pair(**{**row, "pins": tuple(row.get("pins", ()))}) for row in rows] == list(PAIRS)


def test_a_row(tmp_path: Path) -> None:
    (pair,) = read(tmp_path, ROW)
    assert pair == Pair(
        torch="2.14.1",
        python="3.11",
        tier="ci",
        download=2800,
        torchvision="0.29.1",
        cuda="13.0",
        toolkit="13.0",
    )
    assert pair.id == "torch-2.14.1-cu130"
    (cpu,) = read(tmp_path, ROW.replace('"cuda": "13.0", "toolkit": "13.0", ', ""))
    assert (cpu.id, cpu.on_pypi) == ("torch-2.14.1-cpu", False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"tier": "ci"', '"tier": "fast"', "tier is 'fast', expected one of ci, full, extended"),
        ('"3.11"', "3.10", "python is 3.1, expected a version in quotes such as '13.0'"),
        ('"torch": "2.14.1"', '"torch": "2.14"', "torch is '2.14', expected a version in quotes such as '2.14.1'"),
        ('"tier": "ci", ', "", "line 2 (torch 2.14.1): without tier"),
        ('"tier": "ci"', '"tier": "ci", "speed": 1', "unknown field 'speed', expected torch, "),
        ('"tier": "ci"', '"tier": "ci", "pins": "numpy<2"', "expected a list of requirements"),
        ('"tier": "ci"', '"tier": "ci", "wheel": 1', "wheel is 1, expected true or false"),
        ("2800", '"2.8 GB"', "download is '2.8 GB', expected a whole number"),
        (', "toolkit": "13.0"', "", "a torch with CUDA needs a toolkit"),
        (' "cuda": "13.0",', "", "toolkit and gcc have no meaning without cuda"),
        ('"tier": "ci"', '"tier": "ci", "tier": "ci"', "line 2: tier stands there twice"),
        ("pairs", "pair", "expected 'pairs:'"),
        ("}\n", "}\n" + ROW.splitlines()[1] + "\n", "torch-2.14.1-cu130 stands there twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in ROW
    with pytest.raises(ValueError, match=r"matrix\.yaml: ") as caught:
        read(tmp_path, ROW.replace(old, new, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[", "pairs:", "pairs: []", "pairs:\n  - 3", "pairs:\n  - {", "pairs:\n  - torch: 2.14.1"],
)
def test_what_is_no_list(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"matrix\.yaml: "):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"torch": "2.14.9"}, "torch 2.14.9 is not in compatibility.yaml"),
        ({"python": "3.8"}, "wheels for 3.10 to 3.14"),
        ({"cuda": "12.1"}, "came with 12.6, 13.0, 13.2"),
        ({"cuda": "13.2"}, "PyPI's torch 2.14.1 is the one for CUDA 13.0"),
        ({"tier": "extended"}, "tier is extended"),
    ],
)
def test_what_contradicts_what_is_known(changes: dict[str, str], words: str) -> None:
    assert words in " ".join(contradictions(replace(PAIRS[0], **changes)))


def test_selecting() -> None:
    ci, full = select(PAIRS), select(PAIRS, tier="full")
    assert {pair.tier for pair in ci} == {"ci"}
    assert {pair.tier for pair in full} == {"ci", "full"}
    assert select(PAIRS, tier="extended") == PAIRS
    names = [PAIRS[3].id, PAIRS[1].id]
    assert [pair.id for pair in select(PAIRS, names)] == names[::-1]
    with pytest.raises(ValueError, match=r"no pair 'torch-9'; there are: torch-2\.14\.1-cu130"):
        select(PAIRS, ["torch-9"])
