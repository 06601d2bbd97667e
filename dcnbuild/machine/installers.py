"""What installs: the managers of Python projects, and packages of the system by their names in each distribution.

Asks managers.yaml and packages.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dcnbuild.base import plain_yaml

_PACKAGES: dict[str, dict[str, str]] = plain_yaml.beside(__file__, "packages.yaml")
#: Managers of projects: what pip installs behind their back is gone after their next sync.
MANAGERS = plain_yaml.beside(__file__, "managers.yaml")
_NAMED = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w,.-]+\])?(?:[=<>!~]=?[\w.*+!,<>=~ -]+)?", re.ASCII)


def called(package: str, manager: str) -> str:
    """What a package manager calls a package of Debian's, "" where none is known: ("libgl1", "pacman") → "libglvnd"."""
    return _PACKAGES.get(package, {}).get("dnf" if manager == "yum" else manager, "")


def called_else(package: str, manager: str) -> str:
    """The same where that is another name than Debian's; it is none without a manager."""
    name = called(package, manager)
    return "" if name == package else name


def instead_of_pip(manager: str, words: Sequence[str], building: bool) -> Iterator[str | list[str]]:
    """What the manager of a project is told in place of pip: commands, and comments as one text each.

    Nothing where pip may do it: it installs no package by its name, or a directory.

    Args:
        manager: "uv", "poetry", …; "" for none.
        words: what pip would be told, ["install", "numpy<2"].
        building: whether a build of the manager's has failed, at which it would fail again before the rest is done.
    """
    row = MANAGERS.get(manager, {})
    url = next((word for word in words if word.startswith("https://")), "")
    names = [word for word in dict.fromkeys(words[1:]) if not word.startswith("-") and word != url]
    what = "rebuild" if "--no-build-isolation" in words else "add_from" if url else "add"
    if words[0] != "install" or names in ([], ["pip"]) or not all(map(_NAMED.fullmatch, names)):
        return
    known = {"name": names[0], "url": url, "index": f"pytorch-{url.rpartition('/')[2]}"}
    known["later"] = row.get("later", "") if building else ""
    named = [name if re.search("[=<>]", name) else name + row.get("alone", "") for name in names]
    for line in row.get(what, ()):
        if isinstance(line, str):
            yield line.format(**known)
            continue
        parts = (named if word == "{names}" else [word.format(**known)] for word in line)
        yield [word for part in parts for word in part if word]


def by_settings(words: Sequence[str]) -> tuple[str, ...]:
    """A command of pip with the options of setup.py as today's pip takes them: "--global-option=--cpp_ext" as one of
    --config-settings.
    """
    named = re.sub(r"(?m)^--(?:global|build)-option[=\n]", "--config-settings=--build-option=", "\n".join(words))
    return tuple(named.split("\n"))


def repository(package: str, text: str) -> str:
    """The address that pip took a package from, by its output: a repository called like it, or the only one there is.

    Example: ("net", "Collecting git+https://github.com/ada/net") → "git+https://github.com/ada/net".
    """
    urls = dict.fromkeys(re.findall(r"git\+(?:https?|ssh)://[\w.:/@#=&~-]{1,200}", text) if package else ())
    name = re.sub(r"[-_.]+", "[-_.]+", package)
    named = (one for one in urls if re.search(rf"(?i)[/=]{name}(?:\.git)?(?:$|[@#&])", one))
    alone = len(urls) == 1 and re.search(rf"(?i)\bBuilding wheels? for (?:collected packages: )?{name}(?![\w,-])", text)
    return next(named, next(iter(urls)) if alone else "")
