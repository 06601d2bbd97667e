"""Tests the printing of text from outside, and the streams and console that print it."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table

import dcnbuild
from dcnbuild.base.console import console
from dcnbuild.base.printable import OutputError, one_line, printable, streams

#: A colour, a title, C1's CSI and OSC, a bidi override, a line separator, a byte that is no UTF-8, a hidden tag.
HOSTILE = "a\x1b[31m\x1b]0;x\x07b\x9bc\x9d\u202e\u2028\udc80\U000e0041\r[red]z[/]"
SHOWN = "a\\u001b[31m\\u001b]0;x\\u0007b\\u009bc\\u009d\\u202e\\u2028\\udc80\\udb40\\udc41\\u000d[red]z[/]"


def test_every_character_that_is_obeyed_or_hidden_is_shown() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        category = unicodedata.category(char)
        if category in ("Cc", "Cs", "Zl", "Zp"):
            assert (printable(char) == char) == (char in "\t\n"), hex(code)
            assert (one_line(char) == char) == (char == "\t"), hex(code)
        elif category == "Cf" and unicodedata.bidirectional(char) not in ("AN", "AL", "L", "NSM"):
            assert printable(char) != char, hex(code)
        elif category[0] in "LNPS" and char not in "\u115f\u1160\u3164\uffa0":
            assert printable(char) == char, hex(code)


def test_what_is_shown() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable("a\tb\r\nc\n") == "a\tb\r\nc\n"
    assert one_line("a\tb\r\nc") == "a\tb\\u000d\\u000ac"


def test_json_stays_json_and_keeps_its_values() -> None:
    assert json.loads(printable(json.dumps([HOSTILE, "\x7f"], ensure_ascii=False))) == [
        HOSTILE,
        "\x7f",
    ]


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


def test_the_streams_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = stream("latin-1"), stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with streams():
        print(HOSTILE, "‘é’")
        sys.stderr.writelines([HOSTILE, "\n", "‘é’ 図"])
    assert (sys.stdout, sys.stderr, out.errors) == (out, err, "strict")
    assert written(out) == SHOWN + " 'é'\n"
    assert written(err) == SHOWN + "\n'\\u00e9' \\u56f3"


def test_streams_that_were_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with streams():
        print("nowhere")
        print("nowhere", file=sys.stderr)
    assert sys.stdout is None


@pytest.mark.parametrize("terminal", [False, True])
def test_the_console_takes_nothing_for_markup(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = stream("utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    with streams():
        shown = console(force_terminal=terminal, width=250)
        shown.print(f"{HOSTILE} :smile:", style="bold")
        shown.print(table)
    text = written(out)
    assert ("\x1b[1m" in text) == terminal
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert text.count("\\u009bc\\u009d\\u202e\\u2028\\udc80\\udb40\\udc41") == 3
    assert text.count("[red]z[/]") == 3
    assert ":smile:" in text
    assert printable(text) == text


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_failed_write_is_no_failure_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with streams():
        with pytest.raises(OutputError, match="cannot write the output: No space left"):
            print("x")
        with pytest.raises(OutputError):
            console().print("x")
    assert not issubclass(OutputError, OSError)


def test_nobody_makes_a_console_of_his_own() -> None:
    """Nor a progress bar without one: both would print to the terminal what they are given."""
    assert dcnbuild.__file__ is not None
    package = Path(dcnbuild.__file__).parent
    own = [
        f"{path.relative_to(package)}: {call[0]}"
        for path in package.rglob("*.py")
        for call in re.finditer(r"(?<!\w)(?:Console\(|Progress\((?:[^()]|\([^()]*\))*\))", path.read_text("utf-8"))
        if "console=console(" not in call[0]
    ]
    assert own == []
