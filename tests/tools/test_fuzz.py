"""Each fuzz target for a moment; `python -m tools.fuzz` runs one for longer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.builder.sources import csrc_dir
from tools.fuzz import SEEDS, TARGETS, Bytes, calls, seeds

#: Words of what is read, so that more than noise comes in.
WORDS = st.sampled_from(
    [
        *(
            b"error: ",
            b"fatal error: ",
            b"ImportError: ",
            b"undefined symbol: ",
            b"nvcc fatal   : ",
        ),
        *(b"\n", b"\r", b"\x1b[31m", b"\xff\x00", b"#include <THC/THC.h>\n", b"AT_CHECK(", b");"),
        *(
            b'{"torch": ',
            b'"2.14.1"',
            b"}",
            b"- ",
            b"\x00" * 8,
            b"\xff" * 8,
            b"from setuptools import",
        ),
    ]
)
INPUT = st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=20).map(b"".join)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=40, database=None)
    @given(INPUT)
    def holds(data: bytes) -> None:
        target(data)

    holds()


def test_every_operator_of_the_schema_has_a_call_that_computes() -> None:
    """Each operator of the schema has a valid call; otherwise a changed call could be refused for another reason."""
    schema = (csrc_dir() / "schema.h").read_text(encoding="utf-8")
    assert set(calls()) == set(re.findall(r'R"schema\((\w+)\(', schema))
    for name, arguments in calls().items():
        results = getattr(torch.ops.dcnbuild, name)(*arguments)
        for result in [results] if isinstance(results, torch.Tensor) else results:
            assert result.isfinite().all(), name


def test_choices_end_in_zeros() -> None:
    choose = Bytes(b"\x05\x09")
    assert [choose.below(4), choose.below(10), choose.below(7)] == [1, 9, 0]
    assert choose.of("ab") == "a"


@pytest.mark.parametrize("name", SEEDS)
def test_what_a_target_starts_from_is_there(name: str) -> None:
    """And passes: a seed that fails would be reported as a find."""
    (argument,) = seeds(name)
    paths = argument.removeprefix("-seed_inputs=").split(",")
    for path in paths[:3]:
        TARGETS[name](Path(path).read_bytes())


def test_a_target_without_files_starts_from_nothing() -> None:
    assert seeds("operators") == []
