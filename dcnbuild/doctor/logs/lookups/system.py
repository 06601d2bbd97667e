"""The machine itself: how many jobs a build ran, and where tools keep their files."""

from __future__ import annotations

import re

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs import asked
from dcnbuild.doctor.logs.lookups import load
from dcnbuild.doctor.logs.owner import package_of
from dcnbuild.doctor.logs.rule import Hit

_JOBS, _MEMORY = wording.patterns("jobs", "memory")
#: What a compiler of templates for GPUs takes, in gigabytes.
_EACH = 8


def beside(hit: Hit) -> str:
    """The directory in which the log shows a program that is not found, by ls, which or pip, "" where it shows none."""
    named = re.split(r"[/\\]", hit["name"])[-1] or next(iter(re.findall("ninja|cmake", hit.text.lower())), "ninja")
    pip = re.compile(rf"already satisfied: {re.escape(named)}(?:==\S+)? in (/\S+?)/lib/python3")
    found = next(filter(None, map(pip.search, hit.log.lines)), None)
    return load.shown(hit, rf"{re.escape(named)}\*?").rpartition("/")[0] or (f"{found[1]}/bin" if found else "")


def pyenv(hit: Hit) -> str:
    """The Python of pyenv, of the release that a verb is given, that the log lists; "" where it lists none."""
    text = "\n".join(hit.log.near(hit.line, 400, 400))
    found = re.search(rf"(?<![\d.]){re.escape(hit['2'])}\.\d+(?![\d.])", text) if "pyenv" in text else None
    return f"~/.pyenv/versions/{found[0]}/bin/python" if found and hit["2"] else ""


def there(hit: Hit) -> bool:
    """Whether the program or the module that is not found is there for whoever typed the command, as the log shows."""
    installed = asked.there(hit.context)
    return bool(beside(hit)) if hit["name"] and not hit["module"] else package_of(hit["module"]) in installed


def _memory(hit: Hit) -> float | None:
    """The memory that the log shows, in gigabytes: what is free of it where it says so."""
    found = hit.context.first(_MEMORY, reach=2000)
    if found is None:
        return None
    if found["kilobytes"]:
        return int(found["kilobytes"]) / 2**20
    if not found["total"]:
        return float(found["gigabytes"] or found["ram"])
    total = float(found["total"])  # without a unit: kilobytes, megabytes of free -m, gigabytes of free -g
    unit = found["unit2"] or found["unit"] or ("G" if total < 2e3 else "M" if total < 2e6 else "K")
    return float(found["free"]) * {"K": 2**-20, "M": 2**-10, "G": 1, "T": 2**10}[unit]


def fewer_jobs(hit: Hit) -> str:
    """As many jobs as the memory of the log holds, at most half of those that were killed; at least one."""
    found, memory = hit.context.first(_JOBS, reach=2000), _memory(hit)
    half = int(found[1]) // 2 if found else 1 if memory is None else 4
    return str(max(1, half if memory is None else min(half, int(memory // _EACH))))
