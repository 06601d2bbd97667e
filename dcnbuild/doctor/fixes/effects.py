"""What pasting a fix does, at most: it reads, or changes this environment, the system, or needs root.

Asks effects.yaml, of the steps of a rule's row with all their branches, or of the lines of a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import wording

_TABLE = plain_yaml.beside(__file__, "effects.yaml")
#: Before the name of a program; words that change nothing of what a command does; what is done once and for all.
_BEFORE, _IDLE, _ONCE = wording.patterns("before_program", "idle_words", "done_once")


def of_line(line: str) -> str | None:
    """The effect of one line to paste, "reads" for a comment; None for a program that is not in the table."""
    if line.startswith(("#", "rem ")):
        return "reads"
    line = re.sub(r"^(?:RUN |[!%])|(?<=^sh -c )'", "", line)
    for effect, patterns in _TABLE["programs"].items():
        if any(re.match(pattern, line) for pattern in patterns):
            return str(effect)
    return None


def words_of(command: str) -> frozenset[str]:
    """What a command does, however it is spelled: "sudo -H pip3 install -y 'ninja'" is as "pip install ninja"."""
    words = re.sub(r"[\"']", "", _BEFORE.sub("", command.strip())).split()
    program = re.sub(r"[\d.]*(?:\.exe)?$", "", re.split(r"[/\\]", words[0])[-1]) if words else ""
    return frozenset(word for word in (program, *words[1:]) if not _IDLE.fullmatch(word))


def untried(lines: list[str], done: Iterable[frozenset[str]]) -> list[str]:
    """The lines of a fix without those that begin it and that the log shows to be done, where others are left."""
    vain: list[str] = []
    for line in lines:
        command = re.sub("^(?:#|rem) ", "", line)
        words, reads = words_of(command), of_line(command) == "reads"
        same = any(words <= other and not any(word[0] == "-" for word in other - words) for other in done)
        if same and (reads or (command == line and _ONCE.search(line))):
            vain.append(line)
        elif command == line and not reads:
            return [line for line in lines if line not in vain]
    return lines


def of_step(step: Any) -> Iterator[str | None]:
    """The effects of a step of rules/*.yaml, with all its branches."""
    if isinstance(step, dict):
        for steps in step.values():
            for inner in steps:
                yield from of_step(inner)
        return
    verb, *words = [step] if isinstance(step, str) else map(str, step)
    effect = _TABLE["verbs"].get(verb)
    program = verb.removesuffix("_of") if verb in ("pip", "pip_of", "dcnbuild") else ""
    yield of_line(" ".join([*filter(None, [program]), *words])) if effect == "program" else effect


def worst(effects: Iterable[str | None]) -> str:
    """What people are told; what is not in the table counts as a change of the system."""
    order = list(_TABLE["told"])
    return str(_TABLE["told"][max((effect or "system" for effect in effects), key=order.index, default="reads")])
