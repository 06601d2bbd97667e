"""What the linker does not find: who has it."""

from __future__ import annotations

import re
from typing import NamedTuple

from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.knowledge import libraries


class Reference(NamedTuple):
    """Who has a function that is not linked, and how it is."""

    owner: str
    remedy: str


def reference(symbol: str) -> Reference | None:
    """The row of tables.yaml for a symbol."""
    symbol = "THPVariable" if "THPVariable" in symbol else symbol.removeprefix("__imp_")
    rows = tables.rows("references").items()
    return next((Reference(*row) for start, row in rows if re.match(start, symbol)), None)


def function(symbol: str) -> str:
    """The bare name of a function, to look for in sources."""
    return re.sub(r"^_Z\d+|\W.*", "", libraries.demangle(symbol))
