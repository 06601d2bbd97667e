"""Names that sources use and their torch, CUDA, Python or compiler does not have, or does not have that way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.fix_verbs import port
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.project import own_copy
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import names, numpy

#: A call; what shows that Cython wrote a C file.
_CALLED, _CYTHON, _SUGGESTED = wording.patterns("called", "cython", "suggested")


def of_dead_environment(hit: Hit) -> bool:
    """Whether what is not there was in the environment of an earlier build, since nothing of this one runs in it."""
    runs = re.compile(rf'(?:File "|^){re.escape(hit["old"])}\S*\.py(?:", line|:)')
    return not any(runs.search(line.strip()) for line in hit.log.lines)


def name(hit: Hit) -> names.Name:
    """The name that the compiler does not know."""
    return names.split(hit["name"], hit["alias"] or hit["owner"])


def maker(hit: Hit) -> Owner:
    """Whose file the message is about: what pip fetched counts as its package's."""
    found = owner(hit["source"])
    return Owner("package", hit["package"]) if found.kind == "own" and hit["package"] != "." else found


def built(hit: Hit) -> str:
    """The package whose sources are compiled, whatever header the message is about; "" for a checkout."""
    return maker(hit).package or str(hit["package"] if hit["package"] != "." else "")


def archive(hit: Hit) -> str:
    """The package whose source archive pip or uv builds, "" where a checkout or a repository is built."""
    fetched = hit.context.first(re.compile(r"git\+(?:https?|ssh|file)|Cloning |Running command git"))
    return "" if fetched or hit["package"] == "." else str(hit["package"])


def gone(hit: Hit) -> names.Gone | None:
    """Since when the name is gone, and what stands for it."""
    return names.gone(name(hit).last, name(hit).scope)


def renamed(hit: Hit) -> str:
    """What torch calls the name today, where it still has the old one."""
    return names.renamed(name(hit).last, name(hit).scope)


def added(hit: Hit) -> str:
    """The first CUDA or torch that has the name, where it is newer than the one in use."""
    return names.added(hit["name"], hit["alias"] or hit["owner"], hit["toolkit"], hit["torch"])


def known(hit: Hit) -> bool:
    """Whether any release has the name."""
    return names.known(hit["name"], hit["alias"] or hit["owner"])


def missing_header(hit: Hit) -> str | None:
    """The header to include for a name that the compiler does not know."""
    if note := re.search(r"is defined in header ['\"‘<]{1,3}([\w./]+)", hit.around(after=5)):
        return note[1]
    if re.search(r"only available (?:from|with) C\+\+", hit.around(after=4)):
        return None
    return names.header_of(hit["name"], hit["alias"] or hit["owner"])


def called(hit: Hit) -> str:
    """The function that takes other arguments: named in the message, or called in the quoted source below it."""
    near = (found[1] for found in _CALLED.finditer(hit.around(before=1, after=3)))
    for function in (hit["name"], *near):
        if function and names.changed(function, hit["toolkit"]):
            return re.sub(r"_v\d+$", "", function)
    return ""


def changed(hit: Hit) -> names.Gone | None:
    """Since when it does, and which."""
    return names.changed(called(hit), hit["toolkit"])


def suggested(hit: Hit) -> str:
    """The name that the compiler itself suggests in place of what it does not know."""
    found = _SUGGESTED.search(hit.around(after=1))
    return found[1] if found else ""


def replace(hit: Hit) -> Iterator[Fix]:
    """What to do about a name that is not there."""
    found = gone(hit)
    yield from _replace(hit, name(hit), found.today if found else renamed(hit))


def replace_called(hit: Hit) -> Iterator[Fix]:
    """The same for a function that takes other arguments."""
    yield from _replace(hit, names.Name("", called(hit)), "")


def _replace(hit: Hit, old: names.Name, today: str) -> Iterator[Fix]:
    """Whoever owns the file decides."""
    from dcnbuild.port.rules import replaced_names  # here: only a log with such a name pays for it

    if package := maker(hit).package:
        yield fixes.say(f"{package} uses it. Install a newer release, or its main branch:")
        yield fixes.pip_install(package, options=("--upgrade", "--no-build-isolation"))
    elif old.full in replaced_names():
        yield from port(hit)
    else:
        own = own_copy(hit) if hit["project"] == "." else None
        yield from own[1] if own else ()
        yield fixes.command("grep", "-rnw", old.last, operands=(own[0] if own else hit["project"],))
        # a comment has no parentheses: what stands in them is said in words
        if other := re.sub(r"&|\(?\)", "", today or suggested(hit)).replace("(", " with "):
            yield fixes.say(f"Replacement for {old.full}: {other}")


def python_name(hit: Hit) -> dict[str, str]:
    """The `name` of Python's C API that is gone or private `since` a Python, "3.11", and the minor `before`, "10"."""
    known = [(hit[key], names.without_in_python(hit[key])) for key in ("owner", "name", "header")]
    other = changed(hit)
    if other and other.since.startswith("Python"):
        known.append((called(hit), other.since.split()[1]))
    name, since = next(((name, since) for name, since in known if since), ("", ""))
    return {"name": name, "since": since, "before": str(int(since.split(".")[1]) - 1)} if since else {}


def bound(hit: Hit) -> str:
    """What it is that does not know the Python."""
    text = hit.around(before=12, after=3)
    if re.search(r"torch[/\\]include|pybind11", text):
        return "the installed torch (its pybind11)" if "torch" in text else "pybind11"
    return "the C code that Cython generated" if _CYTHON.search(text) else "the source"


def gone_from_numpy(hit: Hit) -> bool:
    """Whether a name of numpy's C interface, or a member of its PyArray_Descr, is gone."""
    if hit["owner"] or not re.match(r"_?(?:Py|NPY|npy)", hit["name"]):
        return "PyArray_Descr" in f"{hit['owner']} {hit['alias']}"
    return any(entry.removed for entry in numpy.C_TABLE.find(hit["name"]))
