"""Tests lines that quote another text: the errors in the quotation did not happen."""

from __future__ import annotations

import pytest

from dcnbuild.doctor.logs import RULES, read_log

MESSAGES = sorted({rule.example.splitlines()[0].strip() for rule in RULES if rule.example.strip()})
WARNING = "src/a.cpp:24:3: warning: 'type' is deprecated [-Wdeprecated-declarations]"


@pytest.mark.parametrize(
    "shown",
    [
        "   24 |   {}\n      |   ^~~~~~",  # gcc since 9, clang since 17
        "  {}\n  ^~~~~~",  # gcc before 9, clang
        "    {}\n    ^",  # nvcc
    ],
    ids=["numbered", "carets", "one caret"],
)
@pytest.mark.parametrize("prefix", ["", "web_1  | ", "#12 34.56 ", "> "])
def test_a_source_line_that_a_warning_shows_is_no_message(shown: str, prefix: str) -> None:
    """A source holds the wording of any message, as CHECK(x.is_cuda(), "x must be a CUDA tensor") does."""
    for message in MESSAGES:
        text = f"{WARNING}\n{shown.format(message)}\nbuilding done\n"
        log = "".join(f"{prefix}{line}\n" for line in text.splitlines())
        assert read_log(log) == [], message
