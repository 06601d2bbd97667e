"""A build log as lines: decoded, free of colours and wrappers, safe to search."""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.locales import to_english

#: Longer lines are cut into overlapping pieces, so that no pattern ever runs over megabytes.
LONGEST_LINE = 2000
OVERLAP = 300

#: Colours, titles and links of a terminal; what is left of gcc's colours; what tools put before a line of another tool:
#: tried again and again at the start of the line; a line that a program draws to the full width.
_ESCAPE, _COLOUR_REST, _PREFIX, _RULER = wording.patterns("escapes", "colour_rest", "prefixes", "ruler")
#: Control characters of C0 and C1, invisible marks, marks that turn the direction of text, separators.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_ESCAPED_LETTER, _ESCAPED_QUOTE = wording.patterns("escaped_letter", "escaped_quote")
#: Escaped line ends are real ones, unless the line holds a Windows path such as `C:\new\nvcc`.
_WINDOWS_PATH, _ESCAPED_LINE_END = wording.patterns("windows_path", "escaped_line_end")
_BESIDE_PATHS = wording.pattern("escaped_line_end_beside_paths")
#: A command that a shell or a Dockerfile goes on with in the lines below, or a sentence of uv; where it does.
_CONTINUED, _GOES_ON = wording.patterns("continued", "goes_on")

#: What a traceback begins with; its further lines are looked for so far down.
TRACEBACK = "Traceback (most recent call last)"
_DEEPEST = 400
_TOOL_WORDS = re.compile(r"(?:error|warning|note|fatal):", re.IGNORECASE)


def decode(data: bytes) -> str:
    """The text of a log file, whatever encoding its machine used.

    PowerShell's `>` writes UTF-16, a Chinese Windows GB18030; whatever cannot be decoded becomes
    U+FFFD, so this never raises.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    head = data[:4000]
    if head.count(0) > len(head) // 4:
        return data.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le", errors="replace")
    text = data.decode("utf-8", errors="replace")
    if text.count("\ufffd") > 4 and text.encode("utf-8", "surrogatepass") != data:  # the log may hold that sign itself
        chinese = data.decode("gb18030", errors="replace")
        if chinese.count("\ufffd") == 0:
            return chinese
    return text


#: Terminals and consoles are this wide where nobody chose; of another width it takes three broken lines to tell.
_USUAL_WIDTHS = (80, 100, 120, 132)


def split_lines(text: str) -> list[str]:
    """The lines of a log; progress bars, escaped line ends and huge lines are cut up.

    Args:
        text: the whole log.

    Returns:
        Lines of at most LONGEST_LINE characters, colours removed, wrappers still in place.
    """
    if "\x1b" in text or "[" in text and ("^[[" in text or "\\x1b[" in text or "␛[" in text):
        text = _ESCAPE.sub("", text)
    if "\\u" in text:
        text = _ESCAPED_LETTER.sub(lambda found: chr(int(found[1], 16)), text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if "\\n" in text:
        lines = [part for line in lines for part in _escaped_lines(line)]
    if " \\\n" in text or "\u2500\u25b6" in text or "`->" in text:
        lines = _CONTINUED.sub(lambda found: _GOES_ON.sub(" ", found[0]), "\n".join(lines)).split("\n")
    if any(len(line) > LONGEST_LINE for line in lines):
        lines = [piece for line in lines for piece in _pieces(line)]
    return _unwrapped(lines)


def _unwrapped(lines: list[str]) -> list[str]:
    """The lines of a terminal that broke them at its width: no line is longer, and what is broken is as long."""
    width = max(map(len, lines))
    broken = {
        number
        for number, line in enumerate(lines[:-1])
        # a line that begins as the one below it has a logger's or docker's prefix, and is whole
        if len(line) == width
        and line[:4] != lines[number + 1][:4]
        and not (_RULER.search(line) or line[-1] in "\u2502\u2503\u256e\u256f")
    }
    least = 2 if width in _USUAL_WIDTHS else 3
    if not 60 <= width <= 260 or len({lines[number] for number in broken}) < least:
        return lines
    whole: list[str] = []
    for number, line in enumerate(lines):
        if number - 1 in broken and len(whole[-1]) + len(line) <= LONGEST_LINE:
            whole[-1] += line
        else:
            whole.append(line)
    return whole


def _escaped_lines(line: str) -> list[str]:
    if line.count("\\n") < 2:
        return [line]
    return (_BESIDE_PATHS if _WINDOWS_PATH.search(line) else _ESCAPED_LINE_END).split(line)


def _pieces(line: str) -> list[str]:
    if len(line) <= LONGEST_LINE:
        return [line]
    step = LONGEST_LINE - OVERLAP
    return [line[start : start + LONGEST_LINE] for start in range(0, len(line) - OVERLAP, step)]


def clean(line: str) -> str:
    """A line without what terminals, pip, docker, launchers and loggers put around it.

    What is returned is a part of the line as it was, in its own language.
    """
    if "[" in line:
        line = _COLOUR_REST.sub("", line)
        if "\\" in line or "^[" in line:
            line = _ESCAPE.sub("", line)
    line = _CONTROL.sub("", line)
    if "\\" in line:
        line = _ESCAPED_QUOTE.sub(r"\1", line)
    start = 0
    for _ in range(12):
        found = _PREFIX.match(line, start)
        if found is None or found.end() == start or _TOOL_WORDS.match(line, start):
            break
        start = found.end()
    return line[start:].rstrip(" \t│┃║|")


class Log:
    """A log whose lines are cleaned when they are asked for.

    Attributes:
        lines: the lines as `split_lines` cut them.
    """

    def __init__(self, text: str) -> None:
        self.lines = split_lines(text)
        self._clean: dict[int, str] = {}
        self._english: dict[int, str] = {}
        self._found: dict[re.Pattern[str], dict[int, re.Match[str]]] = {}
        self._last: dict[re.Pattern[str], tuple[int, int]] = {}
        #: What is known of the surroundings of a line, by its number, for those who judge it.
        self.contexts: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def found(self, pattern: re.Pattern[str]) -> dict[int, re.Match[str]]:
        """The lines as they stand that have a pattern, by number, with its first match: one search serves all who ask.

        Whoever asks must have made the pattern once, not of what a line holds.
        """
        if pattern not in self._found:
            matches = enumerate(map(pattern.search, self.lines))
            self._found[pattern] = {number: match for number, match in matches if match}
        return self._found[pattern]

    def goes_on(self, pattern: re.Pattern[str], number: int) -> bool:
        """Whether a line below `number` has a pattern, which was made once: no line is searched twice."""
        last, above = self._last.get(pattern, (-1, len(self)))
        if last < 0:
            last = next((at for at in range(above - 1, number, -1) if pattern.search(self.lines[at])), -1)
            self._last[pattern] = (last, min(above, number + 1))
        return last > number

    def text(self, number: int) -> str:
        """Line `number`, cleaned, in its own language; "" outside the log."""
        if not 0 <= number < len(self.lines):
            return ""
        if number not in self._clean:
            self._clean[number] = clean(self.lines[number])
        return self._clean[number]

    def english(self, number: int) -> str:
        """Line `number`, cleaned, with the known phrases of localised tools in English."""
        if number not in self._english:
            self._english[number] = to_english(self.text(number))
        return self._english[number]

    def raised(self, start: int) -> int | None:
        """The line below the frames of the traceback that begins on line `start`, None where there is none."""
        column = self.lines[start].find(TRACEBACK)
        for number in range(start + 1, min(len(self), start + _DEEPEST) if column >= 0 else 0):
            text = self.lines[number][column:]
            if text.strip() and not text[0].isspace() and not self.lines[number - 1].endswith(", in"):  # wrapped
                return None if TRACEBACK in text else number
        return None

    def near(self, number: int, before: int = 0, after: int = 0) -> list[str]:
        """The English lines from `before` lines above `number` to `after` below it."""
        first, last = max(0, number - before), min(len(self.lines) - 1, number + after)
        return [self.english(index) for index in range(first, last + 1)]
