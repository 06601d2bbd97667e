"""Fixes that several rules share, chosen by what the log says of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.rule import Hit

#: How package managers are asked for the package that brings a file.
_SEARCH = {
    "dnf": ("dnf", "provides"),
    "yum": ("yum", "provides"),
    "zypper": ("zypper", "what-provides"),
    "pacman": ("pacman", "-F"),
    "apk": ("apk", "search", "--exact"),
    "brew": ("brew", "search"),
}

ASK_TORCH = fixes.command(
    "python", "-c", "import torch; print(torch.__version__, torch.version.cuda)"
)


def system_package(hit: Hit, package: str, file: str) -> Iterator[Fix]:
    """Installs a package that Debian calls `package`; elsewhere asks which one brings the file."""
    target = hit.context.target(hit.facts)
    if target.windows:
        yield fixes.say(f"install what brings {file}")
    elif target.manager in (None, "apt-get"):
        yield fixes.command("apt-get", "install", operands=(package,), root=True)
    else:
        words = _SEARCH[target.manager]
        name = file if target.manager in ("apk", "brew", "pacman") else f"*/{file}"
        yield fixes.command(*words, operands=(name,))


def rebuild(hit: Hit, path: str = "") -> Iterator[Fix]:
    """Builds anew, for the installed torch, what the file at `path` belongs to."""
    found = owner(path)
    if found.kind == "package":
        if hit.context.uv:
            yield from uv_reinstall(found.name)
        else:
            yield fixes.rebuild(found.name)
    else:
        yield fixes.rebuild()


def uv_reinstall(package: str) -> Iterator[Fix]:
    """The same for an environment of uv."""
    options = ("--no-build-isolation", "--no-cache", "--reinstall-package", package)
    yield fixes.command(
        "uv", "pip", "install", *options, "--no-binary", package, operands=(package,)
    )


def install(hit: Hit, *packages: str, isolated: bool = False) -> Fix:
    """Installs packages with what installs in this log: uv, or pip."""
    options = ("--no-build-isolation",) if isolated else ()
    if hit.context.uv:
        return fixes.command("uv", "pip", "install", *options, operands=packages)
    return fixes.pip_install(*packages, options=options)


def build(hit: Hit, editable: bool = False) -> Fix:
    """Builds again what was being built, without build isolation."""
    program = ("uv", "pip") if hit.context.uv else ("pip",)
    package = hit["package"] or "."
    words = (*program, "install", "--no-build-isolation", *(("-e",) if editable else ()))
    return fixes.command(*words, operands=("." if editable else package,))
