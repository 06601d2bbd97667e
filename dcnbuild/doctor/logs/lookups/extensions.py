"""Compiled modules that are missing: whose they are, and how that project is built today."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import asked
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.lookups.traceback import Frame, frames, last
from dcnbuild.doctor.logs.owner import Owner, owner, package_of
from dcnbuild.doctor.logs.wheel_verbs import wheel_or
from dcnbuild.knowledge import modules

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit


@dataclass(frozen=True)
class Extension:
    """A compiled module: the row of the table, or what its name and its importer show."""

    project: str
    package: str = ""
    row: modules.Project | None = None


#: What compiled modules are called.
_COMPILED = wording.pattern("compiled")
#: Parts of modules' names that say nothing of what they do.
_USUAL = {"cuda", "ext", "cpp", "gpu", "ops", "kernels", "lib"}
#: Operators that dcnbuild has, so that nothing needs to be compiled for them.
_REPLACED = re.compile(r"(?i)dcn|deform|mmcv")


def find(module: str, frame: str = "") -> Extension | None:
    """The extension that a module or name stands for; None where nothing shows that it is one.

    Args:
        module: "mmcv._ext", "_C", "MultiScaleDeformableAttention".
        frame: the file that imports or uses it.
    """
    module = module.strip(".")
    ending = module.split(".")[-1]
    compiled = bool(_COMPILED.fullmatch(ending))
    alone = ending in ("_C", "csrc") and "." not in module
    # a bare name: the packages that the file lies in say whose it is
    parts = re.split(r"[/\\]", frame.lower())[:-1]
    below = {f"{'.'.join(parts[at:to])}.{ending.lower()}" for at in range(len(parts)) for to in (at + 1, None)}
    beside = [row for row in modules.rows() if compiled and not below.isdisjoint(map(str.lower, row.modules))]
    named = [] if alone else modules.find(tables.rows("names_of_extensions").get(ending, module))
    known = beside or named if "." not in module else named or beside
    if known:  # of copies that of the repository which the file lies in
        row = min(known, key=lambda row: row.source_dir.partition("/")[0].lower() not in parts)
        return Extension(row.project, row.package, row)
    if not compiled:
        return None
    package = owner(frame).package
    return Extension(package or (module.split(".")[0] if "." in module else ""), package)


def build(found: Extension, hit: Hit, frame: str, again: bool = False) -> Iterator[Fix]:
    """How an extension is built, for the installed torch; `again` where objects of an older build may lie there."""
    row = found.row
    if row is None:
        forced = fixes.set_env("FORCE_CUDA", "1")
        if found.package and owner(frame).kind == "package":
            yield from wheel_or(hit, found.package, [forced, fixes.rebuild(found.package)])
        else:
            yield forced
            yield fixes.say("In the directory of its setup.py, which is often called ops:")
            yield fixes.pip("install", "--no-build-isolation", "-v", ".")
        if served(hit):
            yield from stand_in(hit, "or, without compiling it")
        return
    shown, name = checkout(row, hit), row.install[-1][-1] if row.package else row.modules[0].partition(".")[0]
    compiled = _from_source(row, shown, hit, frame, again)
    yield from compiled if shown else wheel_or(hit, name, compiled, row.compiles)
    if row.note:
        yield fixes.say(row.note)
    if row.page or _REPLACED.search(f"{found.project} {hit['module']}") or served(hit):
        yield from stand_in(hit, "or, without compiling it")
    if row.page:
        yield fixes.say(f"docs/{row.page} of dcnbuild lists the operators that it replaces")


def _from_source(row: modules.Project, shown: str, hit: Hit, frame: str, again: bool) -> Iterator[Fix]:
    for setting in row.environment:
        name, _, value = setting.partition("=")
        if value:
            yield fixes.set_env(name, value)
        elif name == "CUDA_HOME":
            yield fixes.use_toolkit(hit["toolkit"] or None)
        elif name == "TORCH_CUDA_ARCH_LIST":
            yield fixes.ask_gpus()
    here = row.source_dir in ("", ".")
    if shown or not here:
        yield fixes.say(f"In {shown}:" if shown else f"In {row.source_dir} of the checkout:")
        yield fixes.command("cd", operands=(shown or row.source_dir,))
    # nobody has a checkout of what was installed: pip fetches one, with its submodules
    owners = (owner(frame), *(shown.owner for shown in frames(hit)))
    maker = next((one for one in owners if one.kind not in ("python", "unknown")), Owner("unknown"))
    fetched = here and not shown and bool(maker.package)
    if again and not fetched and any(words[-1] == "." for words in row.install):
        yield fixes.remove("build", recursive=True)
    if row.brings(maker.package):  # pip takes what is installed for satisfied
        yield fixes.pip("uninstall", "-y", operands=(maker.package,))
    # of operators in directories of their own those that the log shows
    own = [words[-1][2:] for words in row.install if words[-1].startswith("./")]
    inside = rf".*[/\\](?:{'|'.join(map(re.escape, own))})(?=[/\\])"
    place = next(filter(None, (re.match(inside, shown.file) for shown in frames(hit) if own)), None)
    installs = (("pip", "install", "--no-build-isolation", place[0]),) if place else row.install
    for words in installs:
        if shown and words[-1].partition("[")[0] in (row.package, f"git+https://github.com/{row.repository}"):
            words = ("pip", "install", "--no-build-isolation", "-e", ".")
        if fetched and words[-1] == ".":
            words = (*(word for word in words[:-1] if word != "-e"), f"git+https://github.com/{row.repository}")
        if "--no-build-isolation" in words and words[-1] != "." and "--no-cache-dir" not in words:
            words = (*words[:-1], "--no-cache-dir", words[-1])  # pip keeps the wheel of an older build
        yield fixes.run(*words)


def hiding(hit: Hit) -> str:
    """The checkout whose sources hide an installed package: Python looks in the program's directory first."""
    package, frame = package_of(hit["module"]), last(hit)
    top, _, inner = hit["module"].partition(".")
    names = {re.escape(top), package.replace("-", "_")} - {"", "" if inner or hit["name"] else top}  # that is not there
    found = re.match(rf"(?P<path>.+)[/\\](?:{'|'.join(names)})[/\\]", frame.file) if names else None
    ours = package in asked.there(hit.context)
    return found["path"] if found and ours and frame.owner.kind == "own" else ""


def checkout(row: modules.Project, hit: Hit) -> str:
    """The directory of the extension's setup.py that a frame of the traceback lies in, "" where none shows it."""
    name, repository = (re.escape(one.rpartition("/")[2]) for one in (row.source_dir, row.repository))
    below, tops = "" if name in ("", r"\.") else f"/{row.source_dir}", (*row.modules, hit["module"] or row.modules[0])
    names = "|".join(sorted({re.escape(one.partition(".")[0]) for one in tops if row.install})) or "(?!)"
    inside = rf".*?[/\\]{name}" if below else rf".*[/\\](?!src[/\\])[^/\\]+(?=(?:[/\\]src)?[/\\](?:{names})[/\\])"
    shapes = {inside: "", rf".*?[/\\]{repository}(?:-main|-master)?": below}
    top = row.source_dir.partition("/")[0]
    if top not in ("", ".", *tables.rows("local_modules")):  # a file of the same checkout
        shapes[rf".*(?=[/\\]{re.escape(top)}[/\\])"] = below
    said = re.findall(r"\(((?:/|[A-Za-z]:)[^()\n]+)\)$", hit.text)  # the file that lacks a name
    for frame in (*map(Frame, said), *frames(hit, before=30)):
        path = re.sub(r"[/\\][^/\\]+[/\\]\.\.(?=[/\\])", "", frame.file)
        found = ((re.match(rf"(?P<path>{shape})[/\\]", path), more) for shape, more in shapes.items())
        place = next((one["path"] + more for one, more in found if one), "")
        if place and frame.owner.kind == "own":
            return place.replace("/", "\\") if "\\" in place else place
    # copies of some lie in a directory of the same name, whose Python file imports them
    words = {word for word in re.split(r"[._]", hit["module"].lower()) if len(word) > 2} - _USUAL
    places = (re.match(r"(?P<path>.*[/\\](?P<name>[^/\\]+))[/\\]", frame.file) for frame in frames(hit))
    near = (found["path"] for found in places if found and any(word in found["name"].lower() for word in words))
    return next((path for path in near if owner(path + "/").kind == "own"), "")


def served(hit: Hit) -> bool:
    """Whether the message or the files of the traceback above it name operators that dcnbuild has."""
    # the last parts of a path: what stands before them names a machine, not an operator
    tails = ("/".join(re.split(r"[/\\]", frame.file)[-4:]) for frame in frames(hit))
    return bool(_REPLACED.search(" ".join((hit.text, *tails))))


def stand_in(hit: Hit, occasion: str) -> Iterator[Fix]:
    """Runs the program on the operators of dcnbuild; `occasion` says when, "or, without compiling it"."""
    yield fixes.say(f"{occasion}, run it with the deformable operators of dcnbuild:")
    words, script = "python -m dcnbuild.compat", hit["script"]
    yield fixes.typed(script, words) if script else fixes.say(f"Start the program by {words} in place of python")
