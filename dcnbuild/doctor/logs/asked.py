"""What whoever made a log ran: a fix does the same again, the same way, at the same place."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes import commands, effects
from dcnbuild.doctor.fixes.commands import Installation
from dcnbuild.doctor.logs import project
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.parse.text import TRACEBACK
from dcnbuild.knowledge import modules
from dcnbuild.machine import wheels

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.context import Context
    from dcnbuild.doctor.logs.rule import Hit

INSTALLS, _BUILDERS, _SETS, _SETS_NONE, _THERE = wording.patterns("installs", "builders", "sets", "sets_none", "there")
_INSTALLED, _INSTALLS_FIRST, _FOREIGN = wording.patterns("installed_now", "installs_first", "foreign_index")
_PROMPT, _FAILS, _SHOWS, _PREPARES, _REFUSED = wording.patterns("prompt", "fails", "shows_log", "prepares", "refused")
_SCRIPT, _BEGUN, _ENV_MADE = wording.patterns("script_typed", "script_begun", "environment_made")
CHECKOUT, _JUST_IN_TIME, FAILED, _MEMBER = wording.patterns("checkout", "just_in_time", "build_failed", "member")


def installation(context: Context, reach: int = 400) -> Installation | None:
    """The nearest command above that installs, else the nearest below; what builds otherwise only by its own run."""
    found = context.first(INSTALLS, reach)
    above = [text for number, text in context.typed.items() if context.line - reach < number <= context.line]
    last = unfinished(context, above[-1]) if above else ""
    found = _BUILDERS.search(last) or (found if last in above or not above else INSTALLS.search(last))
    if found is None or (found.re is INSTALLS and found["manages"]):
        return commands.managed(found["manages"], found["rest"]) if found else None
    made = commands.read(found.string[: found.start("tool")], *found.group("wrapped", "tool", "words"))
    if made is None or not made.script or last not in found.string:
        return made
    several = not made.given or re.search("[&;]", _PREPARES.sub("", last.lstrip("!%")))
    return replace(made, whole=context.ran) if several else made


def built(made: Installation, context: Context) -> str:
    """The package among the targets that the log shows to be built: the only one, or by its extension; else "."."""
    names = [found[0] for one in made.targets if (found := re.match(r"\w[\w.-]*(?![\w.:+/\\-])", one))]
    if len(names) == len(made.targets) == 1 and context.by_pip:
        return names[0]
    for name in names:
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


def beside(context: Context, package: str) -> list[str]:
    """What pip has compiled together with a package, and so for the same torch: "Successfully built a b"."""
    built = [text.split()[2:] for text in context.log.lines if text.startswith("Successfully built ")]
    together = next((names for names in built if package in names), [])
    return [name for name in together if name != package and (row := modules.of_package(name)) and row.install]


def typed(context: Context) -> dict[int, str]:
    """The commands at the prompts near a line, by the numbers of their lines."""
    near = range(max(0, context.line - 400), min(len(context.log), context.line + 400))
    found = ((number, _PROMPT.match(context.log.text(number))) for number in near)
    return {number: one.string[one.end() :].strip() for number, one in found if one}


def ran(context: Context) -> str:
    """The command that has printed a line, without what reads its output; "" where no prompt is shown."""
    above = [text for number, text in context.typed.items() if number <= context.line]
    said = re.split(r" (?:\d?>|\|)", above[-1])[0] if above else ""
    said = unfinished(context, (said.lstrip("!%") if context.notebook else _PREPARES.sub("", said)).strip())
    return "" if _SHOWS.match(said) else said


def script(context: Context) -> str:
    """What Python ran, with its words: as it was typed, else the file that the traceback begins in."""
    begun = [*takewhile(lambda text: TRACEBACK not in text, reversed(context.log.near(context.line, before=400)))][-1:]
    found = next(filter(None, (_SCRIPT.search(context.ran), *map(_BEGUN.search, begun))), None)
    return found[1] if found else ""


def unfinished(context: Context, said: str) -> str:
    """A command without what comes first on its line, "pip install a && ", or was made, where the log shows its end."""
    said = re.sub(r"(?<=conda|mamba) env create\b", " env update", said) if context.first(_ENV_MADE) else said
    first = max((number for number, text in context.typed.items() if number <= context.line), default=context.line)
    ended = any(map(_INSTALLED.match, context.log.lines[first + 1 : context.line]))
    return _INSTALLS_FIRST.sub(r"\g<before>", said) if ended else said


def done(context: Context) -> frozenset[frozenset[str]]:
    """What was run, by its words, and did not help: before the same failed again, failing itself, or only to look."""
    lines, failed = context.log.lines, context.log.text(context.line)
    again = effects.words_of(context.ran.split(" && ")[-1])
    parts = [(n, effects.words_of(part)) for n, text in context.typed.items() for part in re.split(r"&&|[|;]+", text)]
    same = next((n for n in range(len(lines) - 1, -1, -1) if failed in lines[n]), context.line)
    tried = [at for at, (number, words) in enumerate(parts) if number < same or (again and again <= words)]
    ends = dict(zip(context.typed, [*context.typed, len(lines)][1:]))
    vain = [any(map(_FAILS.search, lines[number + 1 : ends[number]])) for number, _ in parts]
    shown = (part.strip() for text in context.typed.values() for part in re.split(r"&&|[|;]+", text))
    looks = {effects.words_of(part) for part in shown if effects.of_line(part) == "reads"}
    last = max(tried, default=0)
    used = {words for at, (_, words) in enumerate(parts) if at < last or vain[at]}
    names = (name for number in context.log.found(_REFUSED) for name in _REFUSED.findall(lines[number]))
    refused = {frozenset(("pip", "install", name)) for name in names}
    return frozenset(used - {again} | looks | refused)


def given(hit: Hit) -> Installation | None:
    """The command that has built what failed, or has asked for it; None where it only stands near."""
    package, asked = hit["package"] or ".", hit.context.asked
    if asked is None or asked.manager or asked.script or hit.context.again or asked.directory:
        return asked
    whole = package != "." or any(re.search(r"[/ ]", target) for target in asked.targets)
    built = (failed(hit) and whole) or hit.kind in ("no-distribution", "network")
    return asked if built or asked.named(package) else None


def wanted(hit: Hit, *options: str) -> str:
    """What was asked for: a release, the repository that it came from, a name, or the project's directory."""
    package, asked = "." if "-e" in options else hit["package"] or ".", hit.context.asked
    name = r"[\w.-]{1,100}" if package == "." else rf"{re.escape(package)}(?:\.git)?"
    address = rf"git\+https?://(?!github\.com/user/)[\w./@-]{{1,200}}/{name}(?:[@#][\w./@#=&-]{{1,200}})?(?![\w-])"
    address = rf"{address}|https?://(?!github\.com/user/)[\w./@-]{{1,200}}/{name}/archive/[\w./-]+"
    given = package != "." or (hit["project"] == "." and "-e" not in options)
    named = hit.context.first(re.compile(address, re.IGNORECASE)) if given else None
    said = asked.named(package) if asked and not asked.manager and package != "." else ""
    more = said if said != package or not hit["pinned"] else ""  # the release that failed, where none was asked for
    return more or (named[0] if named else hit["pinned"] or package)


def requirer(hit: Hit) -> str:
    """What limits the release of the package that a verb was given, or is built: a file of requirements, or another."""
    package = hit["1"] or hit["package"]
    name, who = "[-_.]+".join(map(re.escape, re.split(r"[-_.]+", package))), r"([\w./\\-]{1,100}\w)"
    limits = rf"\b{name}\s?[=<>!~][^\s(]* (?:from \S+ )?\(from (?!versions)(?:-r )?{who}"
    limit = re.compile(rf"(?i){limits}|`{who}` \([^)]*\) depends on `{name}==")
    said = next(filter(None, found.groups())) if (found := next(hit.context.all(limit), None)) else ""
    asked = hit.context.asked if not said and package != "." else None
    outer = asked.targets[0] if asked and len(asked.targets) == 1 and not asked.named(package) else ""
    return said or (outer.partition("==")[0] if re.fullmatch(r"(?!pip$)[A-Za-z][\w.-]*(?:==[\w.]+)?", outer) else "")


def compiled(hit: Hit) -> dict[str, str]:
    """The `release` of the package that is compiled because it is older than the Python that runs; {} for any other."""
    name = re.sub(r"[-_.]+", "[-_.]", hit["package"])
    source = re.compile(rf"(?i)(?:Downloading|Using cached) \S*?{name}-(\d[\w.]*?)\.(?:tar\.gz|zip)")
    found = next(hit.context.all(source), None) if failed(hit) and hit["package"] != "." else None
    had = hit["pinned"].partition("==")[2] or (found[1] if found else "")
    old = failed(hit) and wheels.newer(hit["package"], had, hit["python"])
    return {"release": had} if old else {}


def member(hit: Hit) -> str:
    """The package that the manager of a project builds, by its name, also where that is the project itself."""
    found = hit.context.first(_MEMBER)
    return found[1] if found and hit["package"] == "." else hit["package"]


def others(hit: Hit) -> str:
    """The command of a manager without the package that it cannot build, "uv add torch", "" where that leaves none."""
    left = re.sub(rf" [\"']?{re.sub('[-_.]+', '[-_.]', member(hit))}(?![\w.-])\S*", "", hit.context.ran)
    return left if left != hit.context.ran and re.search(r" add (?:.* )?\w", left) else ""


def builds(hit: Hit) -> bool:
    """Whether the command that the log shows builds something: a directory, or a package that comes as source."""
    asked, context = hit.context.asked, hit.context
    if asked is None:
        known = project.shown(context) is not None and hit["package"] == "." and not context.first(_JUST_IN_TIME)
        indexed = modules.on_index(hit["package"]) or tables.among("builds_isolated", hit["package"])
        return (known and context.first(CHECKOUT) is not None) or (failed(hit) and bool(indexed))
    program = re.match(r"\S*python[\d.]* (?:-c |(?!\S*setup\.py)\S+\.py)", context.ran)  # which compiles by itself
    made = asked.directory or asked.manager or context.source or context.by_pip or context.first(CHECKOUT)
    return bool(made and not program)


def failed(hit: Hit) -> bool:
    """Whether it is a build that failed, and not a program."""
    return any(map(FAILED.search, hit.log.near(hit.line, before=40, after=200)))


def foreign(hit: Hit) -> bool:
    """Whether the command that failed names an index, which may be somebody else's."""
    return _FOREIGN.search(hit.context.ran) is not None


def in_environment(hit: Hit) -> str:
    """The command of pip that failed, for the pip of an environment that is active: not of the system, nor by root."""
    found = re.match(r"(?:sudo (?:-\w+ )*)?(?:\S*python[\d.]* -m )?\S*pip[\d.]* (install .*)", hit.context.ran)
    said = f"pip {found[1]}" if found and not foreign(hit) else ""
    return re.sub(r" --(?:user|break-system-packages)(?= |$)", "", said)
