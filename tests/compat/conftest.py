"""A directory in which tests of old names write a repository."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcnbuild.compat import importing


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory on sys.path, and no old names; all that is imported in the test is forgotten after it."""
    meta_path, modules = list(sys.meta_path), set(sys.modules)
    monkeypatch.setattr(importing, "_installed", set())
    monkeypatch.setattr(importing, "_left_alone", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield tmp_path
    sys.dont_write_bytecode = before
    sys.meta_path[:] = meta_path
    for name in set(sys.modules) - modules:
        # What torch imports on its way stays: sympy does not know the numbers of a second sympy.
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        elsewhere = origin is not None and not Path(origin).is_relative_to(tmp_path)
        if not elsewhere and name.partition(".")[0] not in ("dcnbuild", "torch", "torchvision"):
            del sys.modules[name]
