"""Blocks of C++ over the stable ABI that replacements call. A file gets those it calls."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.port.helpers import Helper
from dcnbuild.port.rule import rows

_ROWS = tuple(rows(Path(__file__).with_suffix(".yaml")))
#: What tells that a text calls a helper, where that is not its name alone.
CALLED_AS: dict[str, str] = {row["name"]: row.pop("called") for row in _ROWS if "called" in row}
HELPERS = tuple(Helper(**row) for row in _ROWS)
