"""Python's side: modules that are missing, in pip's own environment or in the user's, and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base.versions import numbers, same_minor
from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import asked
from dcnbuild.doctor.logs.lookups import extensions, symbols, tables
from dcnbuild.doctor.logs.lookups.traceback import last, own
from dcnbuild.doctor.logs.owner import package_of
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.wheel_verbs import wheel_or
from dcnbuild.knowledge import families, modules
from dcnbuild.machine import beside_torch, prebuilt, versions
from dcnbuild.machine.compatibility import companions

#: A traceback that runs in pip's, uv's or build's own environment holds one of these.
_ISOLATED, _DIRECT, _SETUP, _BUILDS = wording.patterns("isolated", "direct", "setup", "builds_by")
_ASKED, _REQUIRES, _BESIDE, _LIMITS = wording.patterns("torch_asked_for", "requires_torch", "beside_torch", "limits")
_COMPILED = re.compile(r"_C\w*|_?ext|\w+_cu(?:da)?|\w+_ext|\w+_cpp|C")


def isolated(hit: Hit) -> bool:
    """Whether a module was missing in a build environment and not in the user's own."""
    around, asked = hit.around(before=80, after=25), hit.context.asked
    if asked and "--no-build-isolation" in asked.given:
        return False
    program = bool(hit.context.ran) and not _BUILDS.search(hit.context.ran)
    built = _SETUP.search(around) and not (program or _DIRECT.search(around))
    return bool(_ISOLATED.search(around) or built)


def in_build(hit: Hit) -> bool:
    """Whether something was being built at all."""
    return bool(_SETUP.search(hit.around(before=40, after=15)))


def compiled(hit: Hit) -> extensions.Extension | None:
    """The extension that is missing: by its own name, or by the file that imports it."""
    file, full = last(hit).file, f"{hit['module']}.{hit['name']}"
    if not hit.kind:  # a wording of its own, which may name the module
        return (extensions.find(hit["module"]) if hit["module"] else None) or extensions.find("_C", file)
    if hit.kind != "missing-import":
        return extensions.find(hit["module"] or hit["name"], file)
    known = any(full in row.modules for row in modules.rows())
    return extensions.find(full, file) if known or _COMPILED.fullmatch(hit["name"]) or hit["partial"] else None


def local(hit: Hit) -> bool:
    """Whether the project's own code asks for a module of its own: by its name, or by a directory of its path."""
    name, mine = _module(hit).split(".")[0], own(hit).file
    inside = name in re.split(r"[/\\]", mine)[:-1] and modules.of_package(name) is None
    return bool(mine) and (inside or name in tables.rows("local_modules"))


def build_extension(hit: Hit) -> Iterator[Fix]:
    """How the project of the extension builds it today."""
    if found := compiled(hit):
        yield from extensions.build(found, hit, last(hit).file)


def get(hit: Hit) -> Iterator[Fix]:
    """Installs the package of a module that is missing, from where it is: an index, or its repository."""
    row, top = modules.of_package(_module(hit)), _module(hit).partition(".")[0]
    if row is None or not row.install:
        told = tables.rows("from_repository").get(top)
        plain = fixes.pip("install", operands=(told,)) if told else fixes.pip_install(package_of(top))
        yield from wheel_or(hit, package_of(top), [plain], compiles=False)
    elif row.on_index:
        yield from wheel_or(hit, row.package, [fixes.run(*words) for words in row.install], row.compiles)
    elif row.source_dir in ("", ".") and len(row.install) == 1 and row.repository:
        said = row.install[0][-1]
        url = said if said.startswith("git+") else f"git+https://github.com/{row.repository}"
        yield from wheel_or(hit, top, [fixes.pip("install", "--no-build-isolation", operands=(url,))])
    else:
        yield from extensions.build(extensions.Extension(row.project, "", row), hit, "")


def pythons(hit: Hit) -> str:
    """The Pythons that pip says a release is for, which it left out: of the one that is asked for, else of the last."""
    said = re.findall(r"([\w.]+) Requires-Python ([<>=!~\d., *]{3,60})", hit.around(before=4, after=1))
    exact = [pair for pair in said if pair[0] == hit["wanted"].lstrip("= ")]
    return (exact or said)[-1][1] if said and (exact or not hit["wanted"].startswith("==")) else ""


def callee(hit: Hit) -> str:
    """The package of the compiled module that is called above: "causal_conv1d_cuda.f(" is causal-conv1d's."""
    called = re.findall(rf"\b([A-Za-z_]\w*)\.{re.escape(hit['name'])}\(", hit.around(before=6))
    return package_of(called[-1]) if called else ""


def twins(hit: Hit) -> dict[str, str]:
    """Listed packages that overwrite each other's files: of which module that fails, their names, which one to keep."""
    there, known = asked.there(hit.context), prebuilt.cuda_of(hit["torch"], hit["torch_cuda"])
    cuda = known.replace(".", "") or "no"
    cuda = "13" if cuda == "no" and "nvidia-cublas" in there else cuda  # names of CUDA 13 have no number
    said, found = hit.around(before=8), []
    bases = (re.sub(r"-(?:cu\d+|gpu|headless|nightly)$", "", name) for name in there)
    usual = {base: tables.rows("any_module") for name, base in zip(there, bases) if name != base}
    for base, row in {**usual, **tables.rows("one_module")}.items() if there else ():
        of, more = (row.get(key, "(?!)").replace("{module}", base) for key in ("of", "said"))
        names = [name for name, release in there.items() if re.fullmatch(of, f"{name}=={release}")]
        module = base.replace("-", "_")
        # ldd may show that the library of neither is loaded
        library = re.escape(module.rpartition("_")[2])
        outside = re.search(rf"(?i)lib{library}\S* => /(?!\S*-packages)", hit.around(60, 60))
        fails = re.search(rf"[/\\'\"]{module}[/\\.'\"]|(?:import|from) {module}\b|{more}", said)
        if len(names) > 1 and fails and not outside:
            likes = (rf".+-cu{cuda}|.+-cu(?:da)?{cuda[:2]}\w*", *row["keep"].split("|"), ".*")
            keep = next(name for like in likes for name in names if re.fullmatch(like, name))
            found.append({"module": module, "names": " ".join(sorted(names)), "keep": f"{keep}=={there[keep]}"})
    return {**found[-1], "names": " ".join(one["names"] for one in found)} if found else {}


def apart(hit: Hit) -> dict[str, str]:
    """Two listed packages that have to be of one release and are not, where one of their family fails."""
    return families.apart(asked.there(hit.context), {package_of(hit["module"]), symbols.loader(hit).package})


def _module(hit: Hit) -> str:
    """The module that is missing, or is in the package that is."""
    return (hit["module"] or hit["name"]).replace("-", "_")


def conflicts(hit: Hit) -> str:
    """What asks for what, up to three."""
    # conda draws a tree, whose branches hold what the line above requires
    text = re.sub(r"\n[ \u2502\u251c\u2514\u2500]*", "\n", hit.around(after=20))
    asks = r"(?:The user requested |^)?([\w.-]+ [\d.+\w]+ (?:depends on|requires|would require) [\w.<>=!~ ,-]+)"
    pairs = re.findall(asks, re.sub(r"(?<=would require)\n", " ", text), re.M)
    return "; ".join(dict.fromkeys(pair.rstrip(", ") for pair in pairs[:3]))


def clash(hit: Hit) -> dict[str, str]:
    """What requires another torch than the one that was asked for: its name and release, both, and what `fits`."""
    text = "\n".join((hit.around(before=6, after=20), hit.context.command))
    asked = _ASKED.search(text)
    torch = next(filter(None, asked.groups()), "") if asked else ""
    others = [one.groupdict() for one in _REQUIRES.finditer(text)] if torch else []
    found = next((one for one in others if numbers(one["torch"]) != numbers(torch)), None)
    for name, release in _BESIDE.findall(text) if torch and not others else ():
        of = beside_torch.torch_of(name, release)
        found = {"name": name, "release": release, "torch": of} if of and not same_minor(of, torch) else found
    return {**found, "asked": torch, "fits": beside_torch.requirement(found["name"], torch)} if found else {}


def at_odds(hit: Hit) -> dict[str, str]:
    """What is asked for in two releases: its name, `who` limits it and how, and what the `asker` has `asked` for."""
    said = [one.groupdict("") for one in _LIMITS.finditer(hit.around(2, 14))]
    pairs = [(a, b) for a in said for b in said if a["who"] and a["name"] == b["name"] and a["limit"] != b["limit"]]
    first, other = min(pairs, key=lambda pair: bool(pair[1]["who"]), default=({}, {}))  # rather what the user asked for
    return {**first, "asked": other["limit"], "asker": other["who"]} if first else {}


def instead(hit: Hit) -> Iterator[Fix]:
    """The torch that the clashing package requires, and what goes along with it."""
    found = clash(hit)
    requirements = [f"{found['name']}=={found['release']}", *companions(found["torch"])] if found else []
    rest = [one for one in requirements[1:] if not one.startswith(f"{found['name']}==")]
    yield fixes.pip_install(f"torch=={found['torch']}", *rest, *requirements[:1])


def with_cuda(hit: Hit) -> versions.Wheel | None:
    """The wheel with CUDA of the very release that the log shows to be the CPU's."""
    found = hit.context.first(re.compile(r"(?<![\w.])([12]\.\d{1,2}\.\d{1,2})\+cpu\b"))
    made_for = re.search(r"\+cu(\d{2})(\d)\b", hit.around(before=60, after=20))
    cuda = f"{made_for[1]}.{made_for[2]}" if made_for else hit["toolkit"] or "12"
    wheel = versions.wheel_for_major(cuda, found[1]) if found else None
    return versions.Wheel(wheel.cuda, found[1]) if found and wheel and found[1].startswith(wheel.torch[:3]) else None


def running(hit: Hit) -> str:
    """The Python that the log shows beside the wheel's, "" if it shows none."""
    found = re.search(r"\b[Pp]ython[ -]?(3\.\d{1,2})|cp(3)(\d{1,2})\b", hit.around(30, 10).replace(hit["name"], ""))
    return (found[1] or f"{found[2]}.{found[3]}") if found else ""
