"""What a row's fix can ask for beside the functions of `dcnbuild.doctor.fixes`: chosen by the log's machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix, together
from dcnbuild.doctor.logs import project, system_verbs
from dcnbuild.doctor.logs.asked import CHECKOUT, INSTALLS, given, there, wanted
from dcnbuild.doctor.logs.lookups import extensions, tables
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.wheel_verbs import wheel_for, wheel_or
from dcnbuild.doctor.resolver import jetson_torch
from dcnbuild.knowledge import modules
from dcnbuild.machine import beside_torch, installers, prebuilt

#: A line of what pip and conda list, `of` where its release is for one torch, or of no index; what comes with torch.
_LISTED, _WITH_TORCH, _IMPORTED, _REPLACED = wording.patterns("listed", "with_torch", "imported", "replaced")
_BY_PIP, _BY_SETTINGS, _RUNS = wording.patterns("develops_by_pip", "by_settings", "runs_install")
_CACHE, _LISTS = wording.patterns("of_cache", "installs_list")
_IN_CHECKOUT = "In the checkout of the project that fails, next to its setup.py:"


def rebuild(hit: Hit, path: str = "") -> Iterator[Fix]:
    """Builds anew, for the installed torch, what the file at `path` belongs to."""
    found, asked = owner(path, hit.around(60, 60)), hit.context.asked
    imported = _IMPORTED.search("\n".join(hit.log.near(hit.line, before=2)))  # by the program, without a path
    name = re.split(r"[/\\]", path)[-1].partition(".")[0] or (imported[1] if imported else "")
    named = extensions.find(name, path) if found.kind == "own" or not path.strip() else None
    extension = named if named and named.row and named.row.install else None
    if installed := modules.of_file(path):
        extension = extensions.Extension(installed.project, "", installed)
    if extension is not None:
        yield from extensions.build(extension, hit, path, again=True)
    elif found.kind == "torch":
        yield _torch_anew(hit)
    elif cache := _CACHE.match(path):  # compiled anew when it is asked for
        yield fixes.remove(cache[0], recursive=True)
    elif found.package:
        yield from rebuild_of(hit, found.package)
    elif not path.strip() and hit.context.cmake and not (hit.context.of_torch or hit.context.by_pip):
        yield fixes.command("cmake", "--build", system_verbs.build_directory(hit))
    elif not path.strip() and asked and asked.directory:
        said = [line for line in hit.log.near(hit.line, 400) if re.search(r"(?<![\w.-])cd [\w.~/]", line)]
        moved = bool(said) and INSTALLS.search(said[-1]) is None  # since the build in the current directory
        if asked.directory == "." and hit["project"].startswith(("~", "/")) and moved:
            yield from _enter(hit, "")
        yield fixes.rebuild(None, asked.directory, *asked.kept)
    elif found.kind not in ("own", "unknown") or re.search(r"/lib[^/]*\.(?:so|dylib)[\d.]*$", path):  # no setup.py's
        yield fixes.say(f"Install a build of {path.rpartition('/')[2]} that is made for this system")
    elif found.kind in ("own", "unknown") and _place(hit, path):
        yield from _enter(hit, path)
        yield fixes.rebuild()
    else:  # nothing says that the current directory is the one whose build may be deleted
        yield fixes.say(_IN_CHECKOUT)
        yield fixes.by_hand(fixes.rebuild())


def other_wheel(hit: Hit, path: str = "") -> Iterator[Fix]:
    """The wheel for this machine of the installed package that a file is of; builds anew what is the project's own."""
    found = owner(path)
    if found.kind == "torch":
        yield _torch_anew(hit)
    elif found.package and modules.of_file(path) is None:
        yield fixes.pip_install(found.package, options=("--force-reinstall", "--no-cache-dir", "--no-deps"))
    else:
        yield from rebuild(hit, path)


def _torch_anew(hit: Hit) -> Fix:
    """The same torch once more, not out of the cache of pip."""
    release = hit["torch"].partition("+")[0]
    named = f"torch=={release}" if release.count(".") == 2 else "torch"
    return fixes.pip_install(named, options=("--force-reinstall", "--no-cache-dir"))


def _place(hit: Hit, path: str) -> str:
    """The directory of the project, "." where the log is of a build in the current one, "" where nothing shows it."""
    directory = project.of_module(path) if path else hit["project"]
    return directory if directory != "." else "." if hit.context.first(CHECKOUT) else ""


def rebuild_of(hit: Hit, package: str) -> Iterator[Fix]:
    """The wheel of a package, else the package, or the current directory, built anew."""
    anew = ("--force-reinstall", "--no-cache-dir", "--no-deps")
    only = prebuilt.only_wheels(package)
    yield from wheel_or(hit, package, [fixes.pip_install(package, options=anew)] if only else _compiled(hit, package))


def _compiled(hit: Hit, package: str) -> Iterator[Fix]:
    """The build of a package; some fetch a wheel even then, unless a variable forbids it."""
    if forces := tables.rows("forces_build").get(package):
        yield fixes.set_env(forces, "TRUE")
    said = hit.context.asked.named(package) if package and hit.context.asked else ""
    yield fixes.rebuild(installers.repository(package, hit.around(400, 400)) or said or package or None)


def _enter(hit: Hit, path: str) -> Iterator[Fix]:
    """Goes where the project lies that is built, as far as the log shows it."""
    directory = _place(hit, path)
    if directory != ".":
        yield fixes.command("cd", operands=(directory,)) if directory else fixes.say(_IN_CHECKOUT)


def edit_setup(hit: Hit, *edit: str) -> Iterator[Fix]:
    """Rewrites the setup.py of what is built by sed, where the log shows where it lies, and builds it."""
    own = project.own_copy(hit) if hit["project"] == "." else None
    yield from own[1] if own else ()
    yield fixes.command("sed", "-i", "-E", *edit, f"{own[2] if own else hit['project']}/setup.py".removeprefix("./"))
    yield from [fixes.pip("install", "--no-build-isolation", operands=own[2:])] if own else again(hit)


def port(hit: Hit, edit: str = "", files: str = r".*[.](cuh?|cpp|cc|h|hpp)") -> Iterator[Fix]:
    """Rewrites the project's sources where they lie; those of an installed package are its own project's to rewrite.

    An image or a job has no dcnbuild: `edit` is what sed can do there.
    """
    made = owner(hit["source"])
    if made.package and re.search(r"(?:site|dist)-packages", hit["source"]):
        yield fixes.say(f"The source belongs to {made.package}. Install a newer release:")
        yield upgrade(hit, made.package)
        yield fixes.say("or rewrite the source in a clone of its repository:")
    if own := project.own_copy(hit) if hit["project"] == "." else None:
        yield from (*own[1], fixes.dcnbuild("port", "--in-place", operands=own[:1]))
        yield fixes.pip("install", "--no-build-isolation", operands=own[2:])
        return
    if edit and hit.context.again and hit["project"] != "." and not hit.context.windows:
        words = ("-regextype", "posix-extended", "-regex", files, "-exec", "sed", "-i", "-E", edit, "{}", "+")
        yield fixes.command("find", hit["project"], *words)
        yield fixes.say("To make this permanent, change the checkout itself:")
    yield fixes.dcnbuild("port", "--in-place", operands=(project.outside(hit.context),))


def submodules(hit: Hit) -> Iterator[Fix]:
    """Fetches the submodules of the checkout: of one that an image copies outside of it."""
    place, words = hit["project"], ("submodule", "update", "--init", "--recursive")
    if own := project.own_copy(hit):
        yield from (*own[1], fixes.pip("install", "--no-build-isolation", operands=own[2:]))
    elif (taken := project.unpacked(hit)) and not hit.context.again:
        yield fixes.say("An archive, such as a ZIP of GitHub, has no .git and no submodules. Clone the repository:")
        clone = fixes.command("git", "clone", "--recursive", operands=(taken["url"],))
        made = together((clone, fixes.command("cd", operands=(taken["place"],))))
        yield fixes.by_hand(made) if taken["url"].startswith("URL") else made
    elif hit.context.dockerfile and project.outside(hit.context) != place:
        yield fixes.say(f"Outside the image, in the checkout that it copies: git {' '.join(words)}")
    else:
        for line in next((rows for job, rows in tables.rows("checkout_of_job").items() if job in hit.context.ci), ()):
            yield fixes.say(line)
        elsewhere = place.startswith("/") if hit.context.dockerfile else hit.context.notebook and place != "."
        inside = ("-C", place) if elsewhere else ()
        yield fixes.command("git", *inside, *words)


def upgrade(hit: Hit, *packages: str) -> Fix:
    """The newest releases; out of its repository for one that no index has."""
    row = modules.of_package(packages[0])
    if row is not None and row.install and row.install[-1][-1].startswith("git+"):
        return fixes.command(*row.install[-1][:2], "--force-reinstall", "--no-deps", *row.install[-1][2:])
    of_cuda = re.compile(rf"{re.escape(packages[0])}-cu(?:da)?\d+x?")  # as which the log lists it
    first = next(filter(of_cuda.fullmatch, there(hit.context)), packages[0])
    asked = hit.context.asked if hit.context.notebook or hit.context.again else None
    pin = asked.named(first) if asked and not (asked.manager or asked.script) else ""
    if asked and "==" in pin and pin in asked.given:  # what the cell or the image would put back
        words = ("--upgrade" if word == pin else word for word in asked.given)
        return together((fixes.say(f"In place of the line that asks for {pin}:"), fixes.again(asked, *words, first)))
    return fixes.pip_install(first, *packages[1:], options=("--upgrade",))


def build(hit: Hit, *options: str) -> Iterator[Fix]:
    """Builds again what was being built, without build isolation: what was asked for, a package, or the project.

    What an image or a job does is done again anyhow, after what comes before it.
    """
    package, asked = "." if "-e" in options else hit["package"] or ".", given(hit)
    apart = () if hit["isolation_works"] or tables.among("builds_isolated", package) else ("--no-build-isolation",)
    if asked is not None and (asked.given or asked.manager) and "-e" not in options:
        listed = any(target.startswith("-r ") for target in asked.targets) and not hit.context.again
        if listed:  # the others as they are
            yield fixes.pip("install", "--no-build-isolation", *options, operands=(wanted(hit),))
        yield from again(hit, *(() if listed else (*apart, *options)))
        return
    mine = asked if asked is not None and asked.directory else None
    kept = mine.kept if mine else asked.options if asked else ()
    if asked is None and package == hit["project"] == "." and (file := hit.context.first(_LISTS)):  # nothing shows "."
        said = fixes.say("Then install what failed again, as the program did, with the option --no-build-isolation")
        yield fixes.pip("install", *options, "--no-build-isolation", "-r", operands=(file[1],)) if file[1] else said
        return
    if package == "." != hit["project"] and mine is None:
        yield from _enter(hit, "")
    words = sorted(dict.fromkeys((*apart, *options, *kept)), key=lambda word: word == "-e")
    yield from _in_place(hit)
    yield fixes.pip("install", *words, operands=(mine.targets[0] if mine else wanted(hit, *options),))


def _in_place(hit: Hit) -> Iterator[Fix]:
    """Says which line of a Dockerfile the command that is given once more replaces, where that is all it does."""
    run, line = hit.context.first(_RUNS), hit.context.place.partition("In the Dockerfile, before ")[2]
    if run and line and not re.search(r"&&|[;|\\]", run["rest"]):
        yield fixes.say(f"In place of {line}")


def needs(hit: Hit, *missing: str) -> Fix:
    """Installs, in one go, what a build without isolation imports: what is missing, and what else the table has."""
    about = hit["maker"] or f"{hit['package']} {hit.context.command} {hit['project']}"
    rows = tables.rows("build_needs").items()
    known = next((words for name, words in rows if re.search(name, about, re.IGNORECASE)), "packaging ninja")
    words = (*filter(None, missing), "setuptools", "wheel", *known.split(), *filter(None, missing))
    named = {re.split("[<>=!~]", word)[0]: word for word in words}.values()
    if hit.context.manager:  # for this build alone: it is no part of the project, where the manager lets pip in
        return fixes.command(*(("pixi", "add") if hit.context.pixi else (*hit.context.pip, "install")), *named)
    return fixes.pip_install(*named)


def again(hit: Hit, *options: str) -> Iterator[Fix]:
    """The command that was given, once more; in an image or a job only if it has to have other options."""
    asked = given(hit)
    if asked and asked.whole and not hit.context.again:
        yield fixes.typed(asked.whole)
        return
    if asked is None or not asked.given:
        yield from build(hit, *options)
        return
    of_pip = not (asked.manager or asked.script)
    at = next(n for n, word in enumerate(asked.given, 1) if not of_pip or word in ("install", "wheel"))
    added = () if not of_pip else tuple(word for word in options if word not in asked.given)
    words = (*asked.given[:at], *added, *asked.given[at:])
    if "develop" in words and hit.context.first(_BY_PIP):  # as setuptools does today, with build isolation
        words = ("pip", "install", "--no-build-isolation", *asked.kept, *asked.targets)
    if "--no-build-isolation" in words and hit.context.first(_BY_SETTINGS):
        words = installers.by_settings(words)
    if hit.context.again and words == asked.given:
        return
    if asked.entered and hit.context.notebook:
        yield fixes.command("cd", operands=(asked.entered,))
    yield from _in_place(hit)
    plain = words[0] == "pip" and not (asked.wrapped or hit.context.again or any(map(_REPLACED.search, words)))
    yield fixes.run(*words) if plain else fixes.again(asked, *words)


def in_place_of(hit: Hit, package: str, other: str) -> Fix:
    """The command that was given with another requirement in place of that of a package, else that one alone."""
    asked = given(hit)
    if asked is None or asked.manager or asked.script or (said := asked.named(package)) not in asked.given:
        return fixes.pip("install", "--no-build-isolation", operands=(other,))
    extras = re.match(r"[\w.-]+\[[\w,.-]+\]", said)
    apart = () if "--no-build-isolation" in asked.given or "://" not in other else ("--no-build-isolation",)
    put = (*apart, f"{extras[0]} @ {other}" if extras and "://" in other else other)
    return fixes.again(asked, *(text for word in asked.given for text in (put if word == said else (word,))))


def exchange(hit: Hit, package: str, *options: str) -> Fix:
    """Another release in place of the one that is there; torch takes torchvision and torchaudio along."""
    if re.match(r"torch(?![\w-])", package) and "--no-deps" not in options:
        return fixes.exchange(package, "torchvision", "torchaudio", index=options)
    return fixes.pip_install(package, options=("--upgrade", "--force-reinstall", *options))


def compiled_anew(hit: Hit, line: str, said: Iterable[str]) -> Iterator[Fix]:
    """What the log lists beside torch and was made for it, for the one that this line of a fix puts in its place."""
    asked, index = re.search(r"(?<![\w-])torch==([\d.]+)", line), re.search(r"(?<=--index-url )\S+", line)
    more = ("--extra-index-url", index[0]) if index else ()
    listed = {one["name"]: one for text in hit.log.lines if (one := _LISTED.fullmatch(text.strip()))}
    ours = {*re.findall(r"([\w.-]+)==", " ".join(said))}  # which this fix installs
    names = [name for name in listed if not (name in ours or _WITH_TORCH.fullmatch(name))]
    version, made = asked[1] if asked else "", beside_torch.rows("made_for_torch").keys() & names
    stays = version == hit["torch"].partition("+")[0]
    fits = ((name, listed[name]["release"] if stays else beside_torch.fitting(name, version)) for name in sorted(made))
    pairs = {name: fit for name, fit in fits if fit}
    if pairs:
        yield fixes.say("Install the releases that are made for this torch:")
        yield fixes.pip_install(*map("==".join, pairs.items()), index=more)
    rows = {name: modules.of_package(name) for name in names if name not in pairs}
    words = {name: row.install[-1] for name, row in rows.items() if row and row.install}
    known = {name: said[-1] for name, said in words.items() if said[0] == "pip" and said[-1] != "."}
    others = {name for name in rows.keys() - known.keys() if listed[name]["of"] or rows[name]}
    if known:
        yield fixes.say("Rebuild what was compiled for the old torch, with the nvcc for the CUDA of the new torch:")
        anew = ("--no-build-isolation", "--no-cache-dir", "--no-deps", "--force-reinstall")
        yield fixes.pip("install", *anew, *more, operands=dict.fromkeys(known.values()))
    if others:
        yield fixes.say(f"Install again what else was compiled for the old torch: {', '.join(sorted(others))}")


def uninstall(hit: Hit, *names: str) -> Fix:
    """Uninstalls packages, those that the log lists: of "cumm*" each whose name begins so, as "cumm-cu117"."""
    asked = [name for text in names for name in re.split("[, ]+", text)]
    listed = [one for one in there(hit.context) if any(fnmatch(one, name) for name in asked)]
    return fixes.pip("uninstall", "-y", operands=listed or [name.rstrip("*") for name in asked])


_NAMED: tuple[Callable[..., Fix | Iterable[Fix]], ...] = (
    *(again, submodules, upgrade, uninstall, exchange, build, rebuild, other_wheel, system_verbs.cmake),
    *(rebuild_of, wheel_for, needs, in_place_of, port, edit_setup, system_verbs.library_package, extensions.stand_in),
)
#: Verb → what makes its fix, or fixes, of a hit and the arguments.
VERBS: dict[str, Callable[..., Fix | Iterable[Fix]]] = {
    **{verb.__name__: verb for verb in _NAMED},
    "use_toolkit": lambda hit, version="", root="": fixes.use_toolkit(version or None, root or None),
    "jetson_torch": lambda hit, release: jetson_torch(release),
    "elsewhere": lambda hit, *words: fixes.by_hand(fixes.run(*words)),
    "line_in": lambda hit, file, table, line: fixes.line_in(file, table, line, f"[{table}]" in hit.log.lines),
    "sudo": lambda hit, *words: fixes.command(*words, root=True),
    "start_with": lambda hit, *options: fixes.restart(hit.context.started, *options),
    "of": lambda hit, *words: fixes.command(*words[:-1], operands=words[-1:]),
    "pip_of": lambda hit, *words: fixes.pip(*words[:-1], operands=words[-1:]),
    "install": lambda hit, *packages: fixes.pip_install(*packages),
    "conda_from": lambda hit, channel, *names: fixes.conda_install(*names, channel=channel),
    "package": system_verbs.system_package,
}
