"""The exceptions that dcnbuild raises, and `Finding`, the result of a diagnosis.

Operators and modules raise `ArgumentError` or `ArgumentTypeError` for an argument that does not fit. Work that cannot
go on raises `FindingError`: a build without a compiler, a CUDA tensor without kernels. Its `finding` holds the fix.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from dcnbuild.base.printable import one_line


class ArgumentError(ValueError, RuntimeError):
    """An argument does not fit. The message names it, what was given and what was expected.

    It is a ValueError. It is a RuntimeError too, because torch's, torchvision's and mmcv's operators raise
    RuntimeError, and their callers catch it.
    """


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has an unsupported type, dtype or layout."""


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One fault or fact that the doctor found on a machine or in a build log.

    Attributes:
        id: stable, kebab-case, e.g. "cuda-mismatch"; documented in docs/findings.md.
        severity: "error" stops builds, "warning" may hurt, "note" explains.
        title: the finding in a few words.
        cause: the cause in one sentence.
        evidence: the lines or values that show the cause.
        fix: shell commands to paste, in order.
    """

    id: str
    severity: Severity
    title: str
    cause: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as a dictionary for the JSON report; tuples become lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


class FindingError(RuntimeError):
    """A finding stops the work. The message is the finding and its fix; `finding` is the `Finding`."""

    def __init__(self, finding: Finding) -> None:
        lines = [f"{finding.title}: {finding.cause}", *(f"  {line}" for line in finding.evidence)]
        if finding.fix:
            lines += ["to fix it:", *(f"  {line}" for line in finding.fix)]
        super().__init__("\n".join(map(one_line, lines)))
        self.finding = finding
