"""Tables, colours and progress bars by `rich`, which prints text unchanged."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from dcnbuild.base.printable import OutputStream, printable


class _PrintableConsole(Console):
    """Escapes control characters in all text, from any source, but not rich's own codes."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)  # escaped before a table measures it

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def console(*, stderr: bool = False, file: IO[str] | None = None, **options: Any) -> Console:
    """Returns a rich console that gives no meaning to brackets, colons and numbers; style text with `rich.text.Text`.

    In a table, give cells as str or as `Text(printable(...))`: rich measures columns before it escapes other text.

    Args:
        stderr: print to standard error instead of standard output.
        file: print to this file instead.
        options: further arguments of `rich.console.Console`.
    """
    stream: Any = file or (sys.stderr if stderr else sys.stdout)
    if isinstance(stream, OutputStream):
        stream = stream.unfiltered()
    return _PrintableConsole(file=cast("IO[str]", stream), markup=False, emoji=False, highlight=False, **options)
