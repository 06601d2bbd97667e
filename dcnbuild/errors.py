"""What dcnbuild raises, and what it finds.

`ArgumentError` and `ArgumentTypeError` come from an operator or module whose argument does not fit, `FindingError` from
work that cannot go on: a build without a compiler, a CUDA tensor without kernels. Its `finding` holds the fix.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from dcnbuild.base.printable import one_line


class ArgumentError(ValueError, RuntimeError):
    """An argument does not fit; the message names it, what was given and what was expected.

    It is a ValueError, and a RuntimeError too, because torch's, torchvision's and mmcv's operators raise that, and their
    callers catch it.
    """


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument is of a type, dtype or layout that is not taken."""


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing found on a machine or in a build log.

    Attributes:
        id: stable, kebab-case, e.g. "cuda-mismatch"; documented in docs/findings.md.
        severity: "error" stops builds, "warning" may hurt, "note" explains.
        title: a few words.
        cause: one sentence.
        evidence: the lines or values that show it.
        fix: commands that can be pasted into a shell, in order.
    """

    id: str
    severity: Severity
    title: str
    cause: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The finding as the JSON report holds it."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


class FindingError(RuntimeError):
    """Raised where work cannot go on because of a finding; its text is the finding and its fix."""

    def __init__(self, finding: Finding) -> None:
        lines = [f"{finding.title}: {finding.cause}", *(f"  {line}" for line in finding.evidence)]
        if finding.fix:
            lines += ["to fix it:", *(f"  {line}" for line in finding.fix)]
        super().__init__("\n".join(map(one_line, lines)))
        self.finding = finding
