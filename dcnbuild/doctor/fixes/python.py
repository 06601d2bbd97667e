"""Fixes in a Python environment: pip, conda, torch, dcnbuild itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from dcnbuild.base import quoting
from dcnbuild.base.quoting import UnquotableError
from dcnbuild.base.versions import allows
from dcnbuild.doctor.fixes.fix import Fix, Target, makes_fix
from dcnbuild.doctor.fixes.shell import command, remove, say
from dcnbuild.machine import installers, versions
from dcnbuild.machine.beside_torch import on_arm
from dcnbuild.machine.compatibility import companions
from dcnbuild.machine.facts import Facts

INDEX = "https://download.pytorch.org/whl"
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w,.-]+\])?(?:[=<>!~]=?[\w.*+!,<>=~ -]+)?", re.ASCII)
#: The commands of pip that uv has.
_OF_UV = ("install", "uninstall", "show", "list", "check", "freeze")


def python_of(target: Target) -> list[str]:
    """The Python that the facts are about, whatever `python` on PATH is; [] if there are no facts."""
    if target.facts is None:
        return []
    python = target.facts.python
    active = python.on_path is not None and python.on_path.parent == python.executable.parent
    return ["python"] if active else [str(python.executable)]


@makes_fix
def on(target: Target, facts: Facts, fix: Fix) -> Iterator[str]:
    """Does it with the Python of other facts, e.g. in a new environment."""
    yield from fix.strict(replace(target, facts=facts))


@makes_fix
def pip(target: Target, *words: str | Path, operands: Iterable[str | Path] = ()) -> Iterator[str]:
    """Runs pip, or what stands for it, for the Python that the fix is about."""
    managed = [*installers.instead_of_pip(target.project, [*map(str, words), *map(str, operands)], target.building)]
    for line in managed:
        yield from (say(line) if isinstance(line, str) else command(*line)).strict(target)
    if managed:
        return
    python = python_of(target)
    before = [*python, "-m", "pip"] if python else ["pip"]
    if target.pip != ("pip",) and (target.pip[0] != "uv" or words[0] in _OF_UV):
        before = [*target.pip]
    if before == ["pip"] and target.pip[0] == "uv" and words[0] == "cache":
        before, words = ["uv"], ("cache", "clean")
    if before[0] == "uv":  # which asks nothing
        words = tuple(word for word in words if word != "-y")
        words += ("--python", target.python[0]) if "/" in target.python[0] else ()
    yield from command(*before, *words, operands=tuple(operands)).strict(target)


def run(*words: str) -> Fix:
    """Runs a program, or pip by whatever stands for it."""
    return pip(*words[1:]) if words[0] == "pip" else command(*words)


@makes_fix
def pip_install(
    target: Target, *requirements: str, options: Iterable[str] = (), index: Iterable[str] = ()
) -> Iterator[str]:
    """Installs requirements such as "numpy<2"; refused is what is none. `index` are options that come last."""
    for text in requirements:
        if not _REQUIREMENT.fullmatch(text):
            raise UnquotableError(f"{text}: no requirement that pip could install")
    newer = not index and (not options or (tuple(options) == ("--upgrade",) and re.search("[=<>]", requirements[0])))
    if newer and all("[" not in text and allows(text, target.there) for text in requirements):
        name = re.split(r"[\[=<>!~]", requirements[0])[0].lower().replace("_", "-")
        said = f"{name} {target.there[name]} is already installed, as the log shows"
        yield quoting.comment(f"{said}. The program runs another Python, or finds another copy first:", target.shell)
        words = (*(python_of(target) or ["python"]), "-m", "pip")
        yield from command(*words, "--version").strict(target)
        yield from command(*words, "install", "--force-reinstall", "--no-deps", *requirements).strict(target)
        return
    yield from pip("install", *options, *requirements, *index).strict(target)


@makes_fix
def install_torch(target: Target, version: str | None = None, cuda: str | None = None) -> Iterator[str]:
    """Installs torch, the newest by default, with the CUDA that is asked for ("12.8", "cpu", "rocm6.4"), and with it
    torchvision and torchaudio: each of their releases is made for one torch, and would stay behind.
    """
    if target.architecture == "aarch64" and cuda not in (None, "", "cpu"):
        version, cuda = on_arm(version or None, cuda)
    cuda = versions.within_driver(cuda or "", target.driver, version or "")
    # uv keeps the pin of a bare name
    least = "" if version or target.project != "uv" else versions.first_torch_for(cuda or "")
    wanted = [f"torch=={version.partition('+')[0]}" if version else f"torch=={least}" if least else "torch"]
    wanted += [text for text in companions(version or least) if text.split("=")[0] not in target.without]
    if least:
        wanted = [text.replace("==", ">=").removesuffix(".*") for text in wanted]
    tag = cuda if not cuda or cuda[:1].isalpha() else versions.tag(cuda)
    if tag:
        yield from exchange(*wanted, index=("--index-url", f"{INDEX}/{tag}")).strict(target)
    else:
        yield from pip_install(*wanted, options=("--upgrade",)).strict(target)


@makes_fix
def exchange(target: Target, *requirements: str, index: Iterable[str] = ()) -> Iterator[str]:
    """Installs packages in place of those that are there; what they require stays where it satisfies.

    pip takes a version with another "+cu…" for the same, and --force-reinstall would exchange numpy and others too.
    """
    requirements = tuple(text for text in requirements if text not in target.without)
    names = [re.split(r"[\[=<>!~]", text)[0] for text in requirements]
    if target.project not in installers.MANAGERS:
        yield from pip("uninstall", "-y", *(name for name in names if name.startswith("torch"))).strict(target)
    yield from pip_install(*requirements, index=index).strict(target)


@makes_fix
def rebuild(target: Target, package: str | None = None, directory: str = ".", *more: str) -> Iterator[str]:
    """Builds an extension anew against the installed torch: a package of an index, or a directory."""
    options: tuple[str, ...] = ("--no-build-isolation", "--no-cache-dir", "--no-deps", "--force-reinstall")
    if package is not None:
        named = () if "://" in package else ("--no-binary", re.split(r"[\[=<>~!]", package)[0])
        yield from pip("install", *options, *named, operands=(package,)).strict(target)
        return
    inside = re.sub(r"(?<=.)[/\\]\.?$|^\.[/\\]?$", "", directory)
    build = (f"{inside}/" if inside else "") + "build"
    yield from remove(build.replace("/", "\\") if target.windows else build, recursive=True).strict(target)
    yield from pip("install", *dict.fromkeys((*options, *more)), operands=(directory,)).strict(target)


@makes_fix
def dcnbuild(target: Target, *words: str, operands: Iterable[str | Path] = ()) -> Iterator[str]:
    """Runs a command of dcnbuild, which no image and no runner has: sources are ported where they are edited."""
    outside = "# Outside the image, in the checkout that it copies: " if target.shell == "dockerfile" else ""
    if not outside and target.place and not target.form:
        if words[0] == "port":
            outside = "# In your own checkout, then commit the result: "
        else:
            yield "# Install dcnbuild there first, with pip from its repository, or run this on your machine:"
    shell = replace(target, shell="sh") if outside else target
    for line in command(*dcnbuild_words(target), *words, operands=tuple(operands)).strict(shell):
        yield f"{outside}{line}"


def dcnbuild_words(target: Target) -> list[str]:
    python = python_of(target)
    return ["dcnbuild"] if python in ([], ["python"]) else [*python, "-m", "dcnbuild"]


@makes_fix
def conda_install(target: Target, *packages: str, channel: str = "conda-forge", own: str = "") -> Iterator[str]:
    """Installs packages into the active conda environment, or one of their `own` in the home directory, which takes
    no root; compilers' have x86-64's names, "gxx_linux-64".
    """
    ending = "64" if target.architecture == "x86_64" else target.architecture
    named = tuple(name.replace("_linux-64", f"_linux-{ending}", 1) for name in packages)
    if not own:
        yield from command("conda", "install", "-c", channel, operands=named).strict(target)
        return
    yield quoting.comment("Use conda, or micromamba instead. Neither needs root:", target.shell)
    yield from command("conda", "create", "-c", channel, "-p", operands=(f"~/{own}", *named)).strict(target)
