"""Makes text from outside safe to print, and has the streams that every command prints to.

A file name, a compiler's message or an environment variable can contain characters that move a terminal's cursor,
change its colours or reverse the order of letters. `printable` shows each of them as an escape:

    >>> print(printable("lib\\x1b[2J.so"))
    lib\\u001b[2J.so

`dcnbuild.cli` runs every command inside `streams`, so `print` and `sys.stderr.write` are safe. For tables, colours and
progress bars use `dcnbuild.base.console.console`, never a `rich.console.Console`.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

#: Control characters except \t and \n, invisible formatting characters (those of Unicode's category Cf that draw
#: nothing), line separators, and lone surrogates, which replace bytes of a file name that are not UTF-8.
_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
_TEXT = re.compile(f"[{_HIDDEN}]|\r(?!\n)")
_LINE = re.compile(f"[{_HIDDEN}\r\n]")


def printable(text: str) -> str:
    """Escapes characters that a terminal would obey or hide, like `\\u001b`; keeps \\t, \\n and \\r\\n.

    The escapes are JSON's, so a JSON document stays valid and keeps its values.
    """
    return _TEXT.sub(_escaped, text)


def one_line(text: str) -> str:
    """Does the same for text that must stay on one line, such as a file's name: escapes line ends too."""
    return _LINE.sub(_escaped, text)


def said(error: Exception) -> str:
    """What an exception says; of the system's errors the file and the reason, without the number."""
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror and not error.filename2:
        return f"{one_line(error.filename)}: {error.strerror}"
    return str(error)


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])


def _escape(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _encode_as_well_as_possible(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that the output's encoding lacks: gcc's quotes by ASCII quotes, all others by escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join("'" if char in "‘’" else _escape(char) for char in text), error.end


#: The name under which `str.encode` finds that.
ERRORS = "dcnbuild.base.printable"
codecs.register_error(ERRORS, _encode_as_well_as_possible)


class OutputError(Exception):
    """Output cannot be written, for example because a pipe is closed or a disk is full.

    It is not an OSError, so that no command mistakes it for a failure of its own work.
    """

    def __init__(self, cause: OSError, stream: OutputStream) -> None:
        super().__init__(f"cannot write the output: {cause.strerror or cause}")
        self.closed_pipe = isinstance(cause, BrokenPipeError)
        self.stream = stream


class OutputStream:
    """A text stream that escapes control characters, or passes them on for `rich`; its failures are OutputErrors.

    Attributes:
        raw: the underlying stream.
    """

    def __init__(self, raw: TextIO, show: Callable[[str], str] = printable) -> None:
        self.raw = raw
        self._show = show

    def write(self, text: str) -> int:
        try:
            self.raw.write(self._show(text))
        except OSError as error:
            raise OutputError(error, self) from error
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self.raw.flush()
        except OSError as error:
            raise OutputError(error, self) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def unfiltered(self) -> OutputStream:
        """Returns the same stream for a program that makes its text printable itself and adds control codes."""
        return OutputStream(self.raw, str)

    def discard(self) -> None:
        """Discards buffered output; otherwise Python would report the error again when it exits."""
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.raw.fileno())
            os.close(null)
        except (OSError, ValueError):
            pass  # the stream is in memory


@contextmanager
def streams() -> Iterator[None]:
    """Makes sys.stdout and sys.stderr OutputStreams that accept every character, inside its `with` block."""
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    for stream in before:
        _reconfigure(stream, ERRORS)
    # Python sets a stream to None if its descriptor is closed
    sys.stdout, sys.stderr = (
        cast(TextIO, OutputStream(stream or io.TextIOWrapper(io.FileIO(os.devnull, "w")))) for stream in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, error in zip(before, errors):
            _reconfigure(stream, error)


def _reconfigure(stream: TextIO | None, errors: str | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None and errors is not None:
        # if flushing earlier output fails, our first write reports the error
        with suppress(OSError, ValueError):
            reconfigure(errors=errors)


def _open_what_is_closed() -> None:
    """Opens /dev/null for each standard descriptor that is closed.

    Otherwise the next file that is opened gets that number, and a compiler writes its messages into the file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
