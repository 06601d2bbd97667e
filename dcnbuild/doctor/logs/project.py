"""Which directory holds the project that a log is about: the one to hand to `dcnbuild port`.

Example: a message about "/home/ada/net/ops/src/cuda/a.cu" is of the project in "/home/ada/net/ops".
"""

from __future__ import annotations

import re
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.knowledge import modules

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.context import Context
    from dcnbuild.doctor.logs.rule import Hit

#: Files of torch, the system and other packages.
NOT_OURS = wording.pattern("not_ours")
#: Directories that hold the sources of a project: the nearest other one above them is the project.
_INNER = {"src", "csrc", "source", "cuda", "cpu", "cpp", "lib", "include", "kernels", "gpu"}
_SHOWN_PROJECT = tuple(map(re.compile, wording.rows("shown_project")))
_PROJECT, _MADE_THERE, COPY, _CLONED, _COPIES = wording.patterns("project", "made_there", "copied", "cloned", "copies")
#: The directory of an archive of a repository, "net-main"; a prompt, with where it is; git, where there is none.
_ARCHIVE, _HERE, _NO_GIT = wording.patterns("archive_directory", "prompt_directory", "no_repository")
_OF_GIT = re.compile(r"(?:[\w.-]+ ?@ ?)?git\+https?://")


def directory(context: Context) -> str:
    """The project's directory, "." where the log shows none that lasts; never the root of a file system."""
    found = context.first(_PROJECT)
    path = (found["pip"] or found["cd"]) if found else ""
    if found and found["cd"]:  # where something was built, rather than where a program was started
        made = _MADE_THERE.search(found.string) or context.first(_MADE_THERE)
        path = made["cd"] if made else path
    if found and found["url"]:  # file:///D:/my%20net
        path = re.sub(r"^/(?=[A-Za-z]:)", "", unquote(path))
        path = path.replace("/", "\\") if path[1:2] == ":" else path
    if path and not COPY.search(path) and not re.search(r"\.(?:whl|zip|gz)$", path):
        return path
    asked = context.asked
    if asked and asked.entered and asked.directory and context.notebook:  # in a shell of that line alone
        return asked.entered if asked.directory == "." else f"{asked.entered}/{asked.directory.removeprefix('./')}"
    if named := (asked.directory if asked else "") or shown(context):
        return named
    if context.source is None or _gone_or_installed(context.source) or NOT_OURS.search(context.source):
        return "."
    path = _path(context.source).parent
    if not path.is_absolute():
        return "."
    roots = [parent for parent in path.parents if re.search(r"^_?(?:ext[-_])?csrc$", parent.name)]
    if path.name == "csrc" or roots:  # whatever lies in it: the project is all around the first
        return str(_checkout((roots[-1] if roots else path).parent))
    if path.parent.name.lower() in _INNER and len(path.parents) > 4:  # src/knnquery/a.cu
        path = path.parent
    while path.name.lower() in _INNER and path.parent.name:
        path = path.parent
    return str(path) if path.name else "."


def outside(context: Context) -> str:
    """The project's directory in the checkout that an image copies and a job has, as far as the log shows it."""
    inside = context.project
    for copied in context.all(_COPIES) if context.dockerfile else ():
        rest = inside.removeprefix(copied["to"].rstrip("/"))
        if inside != rest and rest[:1] in ("", "/"):
            return f"{copied['from'].rstrip('/')}{rest}"
    asked = context.asked.directory if context.asked and not context.asked.entered else ""
    return asked if context.again and asked and not asked.startswith(("/", "..")) else inside


def _checkout(package: PurePath) -> PurePath:
    """The directory of the setup.py of a Python package: one above that is called like it, or like a repository."""
    known = {row.repository.rpartition("/")[2].lower() for row in modules.rows()}
    for place in reversed((package, *package.parents)):
        if {place.name.lower(), place.parent.name.lower()} & {"", "home", "users"}:  # homes are called like anything
            continue
        name = re.sub(r"-(?:v?\d[\w.]*|main|master)$", "", place.name).lower()
        inside = package.relative_to(place).parts
        if name in known or (inside and inside[0].lower() == name.replace("-", "_")):
            return place
    return package


def of_module(path: str) -> str:
    """The directory of the setup.py that built a module in place: beside what it is imported as; "" if not shown."""
    module = _path(path)
    if not module.is_absolute() or _gone_or_installed(path):
        return ""
    inside = re.match(r"_|C\b", module.name) is not None  # "net/ops/_C.so" is the package net.ops
    place = module.parent.parent if inside else module.parent
    place = place.parent if place.name in ("functions", "modules") else place  # Python's, inside what is built
    return "" if place == place.parent else str(place)


def cloned(hit: Hit) -> dict[str, str]:
    """The repository that pip cloned to build this source: its `url`, the `name` of a clone, and where in it setup.py
    lies, `inside`, "/ops" or ""; {} where a checkout is built.

    What pip took from an index as an archive is of the repository that the table has for its name.
    """
    context = hit.context
    found, there = context.first(_CLONED), context.source or hit.text
    of_git = any(map(_OF_GIT.match, context.asked.targets if context.asked else ()))
    cloning = of_git or (found is not None and COPY.search(found.string))
    if not (COPY.search(there) or fetched(hit)) and (context.source or not cloning):
        return {}
    row = modules.of_package(context.package) or modules.of_repository(found["url"] if found else "")
    url = found["url"] if found else f"https://github.com/{row.repository}" if row and row.repository else ""
    if not url:
        return {}
    said = context.first(re.compile(r"#(?:egg=[\w.-]+&)?subdirectory=(?P<inside>[\w./-]{1,100})"))
    inside = said["inside"] if said else row.inside if row else ""
    name = url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return {"url": url, "name": name, "inside": f"/{inside}" if inside not in ("", ".") else ""}


def fetched(hit: Hit) -> bool:
    """Whether a source without its full path is of a package that pip has fetched, beside what was asked for."""
    like = re.sub(r"[-_.]+", "[-_.]", hit["package"])
    copied = re.compile(rf"pip-install-\w+[/\\]{like}(?:_[0-9a-f]{{4,64}})?[/\\]")
    return not _path(hit["source"]).is_absolute() and hit.context.first(copied, 60) is not None


def unpacked(hit: Hit) -> dict[str, str]:
    """Of sources without .git, as "net-main": the `url` of their repository, setup.py's `place` in a clone; or {}."""
    prompts = [hit.log.text(number).removesuffix(said) for number, said in hit.context.typed.items()]
    places = (hit["path"], hit["source"], hit["project"], *reversed(prompts))
    inside = (one for one in places if not (_gone_or_installed(one) or re.match(r"/(?:usr|opt)/", one)))
    found = next((matches[-1] for place in inside if (matches := [*_ARCHIVE.finditer(place)])), None)
    if not found and not hit.log.found(_NO_GIT):
        return {}
    here = next(iter(_HERE.findall(prompts[-1] if prompts else "")), "") if hit["project"] == "." else hit["project"]
    name = found["name"] if found else PurePosixPath(here).name
    row = modules.of_repository(name)
    known = row.repository if row else tables.rows("repositories").get(name)
    url = f"https://github.com/{known}" if known else f"URL_OF_{name.upper()}"
    below = row.inside if row and (not prompts or row.inside in prompts[-1]) else ""  # where the shell is
    return {"url": url, "place": "/".join(filter(None, (name, below)))}


def own_copy(hit: Hit) -> tuple[str, tuple[Fix, ...], str] | None:
    """Of sources that pip has fetched and deleted, a copy of one's own: its name, what fetches it, what to install."""
    said = fixes.say("pip deleted the copy that it built. Fetch a copy of your own:")
    clone, package = cloned(hit), hit["package"]
    if clone:
        fetch = (said, fixes.command("git", "clone", "--recursive", operands=(clone["url"],)))
        return clone["name"], fetch, f"./{clone['name']}{clone['inside']}"
    if package in ("", ".") or not (COPY.search(hit["source"] or hit.text) or fetched(hit)):
        return None
    words = ("--no-deps", "--no-build-isolation", "--no-binary", package, "-d", f"{package}-sdist")
    opens = f"shutil.unpack_archive(glob.glob('{package}-sdist/*.tar.gz')[0], '{package}-sdist')"
    unpack = f"import glob, shutil; {opens}; shutil.move(glob.glob('{package}-sdist/*/')[0], '{package}-source')"
    download = fixes.pip("download", *words, operands=(hit["pinned"] or package,))
    return f"{package}-source", (said, download, fixes.command("python", "-c", unpack)), f"./{package}-source"


def shown(context: Context) -> str | None:
    """The nearest directory that the build names as its own, above the source where that has a full path."""
    source = _path(context.source) if context.source else None
    for text in (found["path"] for pattern in _SHOWN_PROJECT for found in context.all(pattern)):
        if _gone_or_installed(text) or NOT_OURS.search(text + "/"):
            continue
        if source is None or not source.is_absolute() or _path(text) in source.parents:
            return str(text)
    return None


def lasts(source: str | None) -> bool:
    """Whether a source lies in a checkout, by its full path: no copy of pip's, nor an installed package."""
    text = source or ""
    return _path(text).is_absolute() and not (_gone_or_installed(text) or NOT_OURS.search(text))


def _path(text: str) -> PurePosixPath | PureWindowsPath:
    return PureWindowsPath(text) if "\\" in text or re.match(r"[A-Za-z]:/", text) else PurePosixPath(text)


def _gone_or_installed(path: str) -> bool:
    """Whether nobody can port what lies there: pip's copy of a project, or an installed package."""
    return bool(COPY.search(path)) or "site-packages" in path
