"""The runs of a log: from one command, cell or step to the next, and which run tries the same again."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import takewhile

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.text import Log

#: What stands before a command; what a service says of the step that has ended its job; what commands have in common.
_PROMPT, _ENDED, _COMMON, _BUILDS = wording.patterns("prompt", "ended", "common_words", "builds_by")
_WORKS, _FAILS, _SHOWS, _MACHINE = wording.patterns("works", "fails", "shows_log", "machine_of_prompt")
#: Programs that have nothing to do with Python or CUDA; what shows that those have a part in what they do.
_OTHERS, _OURS = wording.patterns("others", "concerns_us")
#: What each line with a prompt has; a word of a command that is no option, nor sets a variable.
_MARK = re.compile(r"[$#%>\u203a\u276f\u279c!] ?[\w./~!\[(-]|\+ [a-z./]|In ?\[|Step \d|\[\d{1,3}\] {1,2}[!%#if]")
_WORD = re.compile(r"(?<![\w$=-])[A-Za-z.~/][\w.+~/-]*(?!\w*=)")
#: A cell has so many lines at most that say what it does.
_CELL = 8


class Runs:
    """The runs by number, 0 is what stands before the first command."""

    def __init__(self, log: Log) -> None:
        self.log = log
        marked = (number for number, line in enumerate(log.lines) if _MARK.search(line, 0, 400))
        self._starts = [number for number in marked if _PROMPT.match(log.text(number))]
        self._bounds = (0, *self._starts, len(log))
        self._others: dict[int, bool] = {}
        #: Those that are named as what ended the job.
        self._ends = set(map(self.of, log.found(_ENDED)))

    def _lines(self, run: int, most: int | None = None) -> list[str]:
        return [self.log.text(number) for number in range(*self._bounds[run : run + 2])[:most]] or [""]

    def of(self, line: int) -> int:
        """The number of the run that a line belongs to."""
        return bisect_right(self._starts, line)

    def ended(self, line: int) -> bool:
        """Whether no other run than that of a line is named as what ended the job."""
        return not self._ends or self.of(line) in self._ends

    def _about(self, run: int) -> tuple[bool, bool, frozenset[str]]:
        """Whether it builds or installs, or only shows something; the words that not all commands have."""
        first, *rest = self._lines(run, _CELL)
        prompt = _PROMPT.match(first)
        cell = prompt is not None and re.match(r"In|\[\d", prompt[0]) is not None
        more = takewhile(lambda line: line[:3] not in ("---", "Tra"), rest if cell else ())
        command = "\n".join((first[prompt.end() if prompt else 0 :], *more))
        words = (word.rstrip("/").rpartition("/")[2] or word for word in _WORD.findall(command))
        telling = {re.sub(r"\d+", "", word.lower()) for word in words if not _COMMON.fullmatch(word)}
        tops = {word.partition(".")[0] for word in telling} - {""}  # "mmdet" of "mmdet.apis"
        return bool(_BUILDS.search(command)), bool(_SHOWS.match(command)), frozenset(telling | tops)

    def of_others(self, line: int) -> bool:
        """Whether a line is of a program that has nothing to do with Python or CUDA, as far as its run says."""
        run = self.of(line)
        if run not in self._others:
            first = self._lines(run, 1)[0]
            prompt = _PROMPT.match(first)
            other = prompt is not None and _OTHERS.match(first, prompt.end()) is not None
            said = (first[prompt.end() :], *self._lines(run)[1:]) if prompt and other else ()
            self._others[run] = other and not any(map(_OURS.search, said))
        return self._others[run]

    def tried_again(self, run: int, later: int) -> bool:
        """Whether a later run is of the same program, or builds the same, as an earlier: also the current directory."""
        if not 0 < run < later:
            return False
        (builds, shows, words), (anew, _, others) = self._about(run), self._about(later)
        gone = any(re.search(r"\bcd ", self._lines(number, 1)[0]) for number in range(run + 1, later + 1))
        other = builds != anew or (shows and words != others)
        return not other and bool((words & others) - ({"."} if gone else set()))

    def mended(self, run: int) -> bool:
        """Whether the same command did its work later, or gave its answer, and nothing else has ended that."""
        first = self._lines(run, 1)[0]
        prompt = _PROMPT.match(first)
        said = f" {first[prompt.end() :]} " if prompt else "\n"
        same = (self._lines(later) for later in range(run + 1, len(self._bounds) - 1))
        here = _MACHINE.findall(first, 0, 200)[:1]
        near = ((line, rest) for line, *rest in same if said in f"{line} ")
        texts = ("\n".join(rest) for line, rest in near if here in ([], _MACHINE.findall(line, 0, 200)[:1] or here))
        return any(_WORKS.search(text) and not _FAILS.search(text) for text in texts)
