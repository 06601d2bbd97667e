"""Text from outside made safe to print, and the streams that every command prints to.

A file name, a compiler's message or an environment variable can hold characters that move a terminal's cursor,
change its colours or turn the order of letters round. `printable` shows each of them as an escape:

    >>> print(printable("lib\\x1b[2J.so"))
    lib\\u001b[2J.so

`dcnbuild.cli` puts `streams` around every command, so `print` and `sys.stderr.write` are safe as they are. For tables,
colours and progress bars take `dcnbuild.base.console.console`, never a `rich.console.Console`.
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

#: Control characters but \t and \n, invisible formatting characters (Unicode's category Cf as far as it draws nothing),
#: line separators and lone surrogates, which stand for bytes of a file name that are no UTF-8.
_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
_TEXT = re.compile(f"[{_HIDDEN}]|\r(?!\n)")
_LINE = re.compile(f"[{_HIDDEN}\r\n]")


def printable(text: str) -> str:
    """Shows what a terminal would obey or hide as escapes like `\\u001b`; keeps \\t, \\n and \\r\\n.

    The escapes are JSON's, so that a JSON document stays one and keeps its values.
    """
    return _TEXT.sub(_escaped, text)


def one_line(text: str) -> str:
    """The same for what has to stay on its line, such as a file's name: line ends are escaped too."""
    return _LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])


def _escape(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _encode_as_well_as_possible(error: UnicodeError) -> tuple[str, int]:
    """For characters that the output's encoding lacks: gcc's quotes as ASCII has them, escapes for all else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join("'" if char in "‘’" else _escape(char) for char in text), error.end


_ERRORS = "dcnbuild.base.printable"
codecs.register_error(_ERRORS, _encode_as_well_as_possible)


class OutputError(Exception):
    """What was to be printed could not be written: a closed pipe, a full disk.

    Not an OSError, so that no command takes it for a failure of its own work.
    """

    def __init__(self, cause: OSError, stream: OutputStream) -> None:
        super().__init__(f"cannot write the output: {cause.strerror or cause}")
        self.closed_pipe = isinstance(cause, BrokenPipeError)
        self.stream = stream


class OutputStream:
    """A text stream that shows control characters, or lets them through for `rich`; failures are OutputErrors.

    Attributes:
        raw: the stream beneath.
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
        """The same stream for a program that makes its text printable itself and adds control codes to it."""
        return OutputStream(self.raw, str)

    def discard(self) -> None:
        """Sends what is still buffered nowhere, or Python would complain once more when it ends."""
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.raw.fileno())
            os.close(null)
        except (OSError, ValueError):
            pass  # a stream in memory


@contextmanager
def streams() -> Iterator[None]:
    """Makes sys.stdout and sys.stderr OutputStreams that take every character, until it is left."""
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    for stream in before:
        _reconfigure(stream, _ERRORS)
    # Python leaves None where a descriptor was closed
    sys.stdout, sys.stderr = (
        cast(TextIO, OutputStream(stream or io.TextIOWrapper(io.FileIO(os.devnull, "w"))))
        for stream in before
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
        # where flushing what was there before fails, the first write of ours will say so
        with suppress(OSError, ValueError):
            reconfigure(errors=errors)


def _open_what_is_closed() -> None:
    """Opens /dev/null for each standard descriptor that is closed.

    Else the next file that is opened gets its number, and a compiler's messages are written into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
