"""Blocks of C++ that replacements call. A file that needs one gets it whole, behind its includes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dcnbuild.port.rule import rows


@dataclass(frozen=True)
class Helper:
    """One block of code.

    Attributes:
        name: what it defines; also the include guard around it, so that two headers may hold it.
        text: the code, indented by two spaces, lines ending in "\\n".
        headers: what it includes.
        needs: the helpers it calls.
    """

    name: str
    text: str
    headers: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def guard(self) -> str:
        """The macro that keeps it from being defined twice."""
        return self.name.upper()

    @property
    def guarded(self) -> str:
        """The text inside its guard."""
        return f"#ifndef {self.guard}\n#define {self.guard}\n{self.text}#endif  // {self.guard}\n"


HELPERS = {row["name"]: Helper(**row) for row in rows(Path(__file__).with_suffix(".yaml"))}


def with_needs(names: list[str]) -> list[Helper]:
    """The helpers of these names, each behind what it calls, each once."""
    return [HELPERS[needed] for needed in dict.fromkeys(n for name in names for n in (*HELPERS[name].needs, name))]
