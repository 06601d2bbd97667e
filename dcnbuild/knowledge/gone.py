"""Names that went before the generated tables begin, or of which their readers do not see where they are now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dcnbuild.knowledge.rows import read

#: `since` of a name that stands, though the table's reader lost sight of it.
NEVER = "never"


@dataclass(frozen=True)
class Gone:
    """One row of gone.json.

    Attributes:
        product: who had it: "torch", "CUDA", "cuDNN" or "CuPy".
        names: with their scopes.
        source: where that is said.
        since: the first release without them; "" if that is not known; NEVER if they stand.
        use: what to write today; "" if nothing stands for it.
        note: what else to know, or what to do where nothing stands for it.
    """

    product: str
    names: tuple[str, ...]
    source: str
    since: str = ""
    use: str = ""
    note: str = ""


def find(product: str, name: str) -> Gone | None:
    """The row of a name. Functions of cuDNN are found as CUDA's, too."""
    row = _by_name().get(name)
    same = row is not None and (row.product == product or (row.product, product) == ("cuDNN", "CUDA"))
    return row if same else None


@cache
def _by_name() -> dict[str, Gone]:
    return {name: row for row in rows() for name in row.names}


def rows() -> tuple[Gone, ...]:
    """Every row."""
    return read("gone.json", Gone)
