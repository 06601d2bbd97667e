"""What a row's fix can ask of the system: its packages, compilers, driver, and the GPUs of a container."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import libraries
from dcnbuild.machine.installers import called

_BUILD_DIRECTORY = wording.pattern("build_directory")


def system_package(hit: Hit, package: str, file: str = "") -> Iterator[Fix]:
    """Installs a package that Debian calls `package`; elsewhere asks which one brings the file."""
    target, file = hit.target, file or package
    manager = "winget" if target.windows else target.manager or "apt-get"
    if manager == "apt-get" or called(package, manager):
        yield fixes.package_install(package)
    elif target.windows:
        yield fixes.say(f"Install the package that contains {file}")
    else:
        name = file if manager in ("apk", "brew", "pacman", "nix") else f"*/{file}"
        yield fixes.say(f"Install the package that contains {file}. This shows it:")
        yield fixes.command(*tables.rows("search")[manager], operands=(name,))


def named_here(hit: Hit) -> str:
    """What a package of Debian is called by the package manager of the log, "" where that is no other name."""
    name = called(hit["name"], hit.target.manager or "apt-get") or ""
    return "" if name == hit["name"] else name


def library_package(hit: Hit) -> Iterator[Fix]:
    """Installs the package of the system that has the library, by its name in the release of the log."""
    found, target = libraries.library(hit["name"]), hit.target
    if target.manager == "nix" and called(found.apt, "nix"):
        made = f"$(nix-build '<nixpkgs>' -A {called(found.apt, 'nix')} --no-out-link)/lib"
        yield fixes.set_constant("LD_LIBRARY_PATH", f"{made}:$LD_LIBRARY_PATH")
        return
    if not found.releases or target.manager not in (None, "apt-get"):
        yield from system_package(hit, found.apt, found.name)
        return
    named = next((name for name, releases in found.releases.items() if target.distribution in releases), None)
    if named is not None:
        yield fixes.package_install(named)
    elif target.distribution is not None:
        yield fixes.say(f"{target.distribution} has no {found.name}: what needs it was built on another release")
        yield fixes.say(f"Install a build for {target.distribution}, or use an image of the other release:")
        yield fixes.command("apt-file", "search", operands=(found.name,))
    else:
        if found.apt:
            yield fixes.package_install(found.apt)
        else:
            yield fixes.command("apt-cache", "search", "--names-only", re.split(r"[\d.]", found.name)[0].lower())
        for name, releases in found.releases.items():
            yield fixes.say(f"The package {name} of {', '.join(map(str.capitalize, releases))} contains {found.name}")


def build_directory(hit: Hit) -> str:
    """The directory that CMake builds in, which may be deleted: by its name, no other."""
    found = hit.context.first(_BUILD_DIRECTORY)
    return found["path"] if found else "build"
