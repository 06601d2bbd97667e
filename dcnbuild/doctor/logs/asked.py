"""What whoever made a log ran: a fix does the same again, the same way, at the same place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes import commands
from dcnbuild.doctor.fixes.commands import Installation

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.context import Context

INSTALLS, _BUILDERS, _PROMPT = wording.patterns("installs", "builders", "prompt")
_SETS, _SETS_NONE, _THERE = wording.patterns("sets", "sets_none", "there")


def installation(context: Context, reach: int = 400) -> Installation | None:
    """The nearest command above that installs, else the nearest below; what builds otherwise only by its own run."""
    found = context.first(INSTALLS, reach)
    for number in range(context.line, max(-1, context.line - reach), -1):
        line = context.log.text(number)
        if _PROMPT.match(line):
            found = _BUILDERS.search(line) or found
            break
    if found and found.re is INSTALLS and found["manages"]:
        return commands.managed(found["manages"], found["rest"])
    return (
        commands.read(found.string[: found.start("tool")], *found.group("wrapped", "tool", "words")) if found else None
    )


def built(made: Installation, context: Context) -> str:
    """The package among the targets that the log shows to be built, by what its extension is called; else "."."""
    for name in (found[0] for target in made.targets if (found := re.match(r"\w[\w.-]*(?![\w.:+/\\-])", target))):
        like = re.sub(r"[-_.]+", "[-_.]+", name)
        if context.first(re.compile(rf"building '_?{like}|pip-install-\w+/{like}")):
            return name
    return "."


def variables(context: Context) -> frozenset[tuple[str, str]]:
    """The variables that the log shows to be set, with their values; none where pip built nothing, and had a wheel."""
    lines = context.log.near(context.line, 400, 400)
    if any(re.search(r"Processing \S+[/\\]pip[/\\](?:[Cc]ache[/\\])?wheels[/\\]", line) for line in lines):
        return frozenset()
    setting = (line for line in lines if not _SETS_NONE.search(line))
    return frozenset((found["name"], found["value"].strip("\"'")) for line in setting for found in _SETS.finditer(line))


def there(context: Context) -> dict[str, str]:
    """The packages of pip and apt that the log shows to be installed, with their releases, the last that it tells."""
    lines = context.log.near(context.line, 400, 400)
    now = [re.sub(r"-(?=\d)", "==", line).split() for line in lines if line.startswith("Successfully installed ")]
    found = _THERE.finditer("\n".join((*lines, *(word for words in now for word in words))))
    pairs = (tuple(filter(None, one.groups())) for one in found)
    return {name.lower().replace("_", "-"): version for name, version in pairs}
