"""Tests each of our YAML files' readers on YAML that is made to exhaust memory or time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dcnbuild.machine import compatibility

BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefghijklmnopqrstuvw", "bcdefghijklmnopqrstuvwx")
)

READERS = [compatibility.load]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, ":1: .*anchors"),
        ("cuda: &a [*a]\ntorch: *a\n", "anchors"),
        ("pairs: " + "[" * 100_000, "deep|depth"),
        ("pairs: " + "{a: " * 5000 + "}" * 5000, "deep"),
        ("- " * 3000 + "x", "deep"),
        ("pairs: [1, 2", ":1: |expected"),
        ("pairs: 2024-99-99\n", "expected|month"),
        (f"cuda: {'9' * 5000}\ntorch: 1\n", "."),
        ("cuda: [[1]]\ntorch: []\n", "."),
        ("cuda: 3\ntorch: 4\n", "."),
        ("cuda: !!bool foo\ntorch: 1\n", "tags"),
        ("pairs: !!timestamp foo\n", "tags"),
        ("pairs: !!python/name:os.system x\n", "tags"),
        ("!!omap [a: 1]\n", "tags"),
        ("\x00", "."),
        ("pairs: 'é\udc80'", "."),
        ("#" * (5 << 20), "larger than"),
    ],
)
def test_a_hostile_file_is_refused_in_words(
    read: Callable[[Path], object], text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(compatibility.CompatibilityError, match=problem) as raised:
        read(path)
    assert len(str(raised.value)) < 2000
