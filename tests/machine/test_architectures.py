"""Names of GPU architectures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcnbuild.machine.architectures import (
    GENERATIONS,
    best_match,
    capability,
    gencode_flags,
    parse_arch_list,
    sorted_names,
    to_arch_list,
)
from dcnbuild.machine.torch_install import find_torch


def test_capabilities() -> None:
    assert capability("sm_75") == (7, 5)
    assert capability("compute_120") == (12, 0)
    assert capability("sm_103f") == (10, 3)
    for name in ("", "sm_", "sm_5", "9.0", "sm_90b", "xsm_90", "sm_90 "):
        with pytest.raises(ValueError, match="not a GPU architecture"):
            capability(name)


def test_hundreds_come_after_tens() -> None:
    names = ["sm_100", "compute_120", "sm_90", "sm_120", "sm_86", "sm_90a", "compute_90", "sm_90"]
    assert sorted_names(names) == (
        "sm_86",
        "sm_90",
        "sm_90a",
        "compute_90",
        "sm_100",
        "sm_120",
        "compute_120",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.6", ("sm_86",)),
        ("9.0+PTX;8.6", ("sm_86", "sm_90", "compute_90")),
        ("7.5 8.0,8.6", ("sm_75", "sm_80", "sm_86")),
        ("9.0a", ("sm_90a",)),
        ("12.0a+ptx", ("sm_120a", "compute_120a")),
        ("Ampere;10.0", ("sm_80", "sm_86", "compute_86", "sm_100")),
    ],
)
def test_arch_lists(text: str, expected: tuple[str, ...]) -> None:
    assert parse_arch_list(text) == expected


@pytest.mark.parametrize("text", ["", "sm_86", "8", "8.6+SASS", "Voodoo", "8.6;;9.x", "86"])
def test_what_is_no_arch_list(text: str) -> None:
    with pytest.raises(ValueError, match="is no GPU architecture"):
        parse_arch_list(text)


def test_every_generation_can_be_parsed() -> None:
    for name in GENERATIONS:
        assert parse_arch_list(name)


def test_torch_names_the_same_generations() -> None:
    torch = find_torch()
    assert torch is not None
    source = (torch.root / "utils/cpp_extension.py").read_text()
    block = source[source.index("named_arches = ") :].partition("])")[0]
    in_torch = dict(re.findall(r"\('([^']+)', '([^']+)'\)", block))
    assert in_torch
    assert {name: GENERATIONS.get(name) for name in in_torch} == in_torch


architectures = st.sampled_from(["sm_75", "sm_80", "sm_86", "sm_90", "sm_90a", "sm_100", "sm_120"])


@given(st.sets(architectures), st.booleans())
def test_lists_and_names_are_two_ways_to_write_the_same(names: set[str], ptx: bool) -> None:
    wanted = sorted_names(names)
    if ptx and wanted:
        wanted = sorted_names([*wanted, wanted[-1].replace("sm", "compute")])
    if wanted:
        assert parse_arch_list(to_arch_list(wanted)) == wanted


def test_gencode_flags() -> None:
    assert gencode_flags(["compute_90", "sm_86"]) == [
        "-gencode=arch=compute_86,code=sm_86",
        "-gencode=arch=compute_90,code=compute_90",
    ]


@pytest.mark.parametrize(
    ("names", "gpu", "expected"),
    [
        (["sm_80"], (8, 6), "sm_80"),  # a higher minor of the same major
        (["sm_80", "sm_86"], (8, 6), "sm_86"),
        (["sm_86"], (8, 0), None),  # a lower one
        (["sm_80"], (9, 0), None),
        (["compute_80"], (12, 0), "compute_80"),  # PTX runs on all that is newer
        (["compute_90"], (8, 9), None),
        (["sm_80", "compute_80"], (8, 9), "sm_80"),  # machine code before PTX
        (["sm_90a"], (9, 0), "sm_90a"),
        (["sm_90a"], (10, 0), None),
        (["compute_90a"], (10, 0), None),
        (["sm_100f"], (10, 3), "sm_100f"),  # within the family
        (["compute_100f"], (12, 0), None),
        ([], (8, 6), None),
    ],
)
def test_what_a_gpu_runs(names: list[str], gpu: tuple[int, int], expected: str | None) -> None:
    assert best_match(names, gpu) == expected
