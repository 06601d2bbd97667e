"""What a row's fix can ask of the system: its packages, compilers, driver, and the GPUs of a container."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.fixes.system import PACKAGES
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import libraries

_BUILD_DIRECTORY = wording.pattern("build_directory")


def system_package(hit: Hit, package: str, file: str = "") -> Iterator[Fix]:
    """Installs a package that Debian calls `package`; elsewhere asks which one brings the file."""
    target, file = hit.context.target(hit.facts), file or package
    manager = "winget" if target.windows else target.manager or "apt-get"
    if manager == "apt-get" or manager in PACKAGES.get(package, ()):
        yield fixes.package_install(package)
    elif target.windows:
        yield fixes.say(f"install what brings {file}")
    else:
        name = file if manager in ("apk", "brew", "pacman", "nix") else f"*/{file}"
        yield fixes.say(f"the package that this shows, which has {file}:")
        yield fixes.command(*tables.rows("search")[manager], operands=(name,))


def called(hit: Hit) -> str:
    """What a package of Debian is called by the package manager of the log, "" where that is no other name."""
    manager = hit.context.target(hit.facts).manager or "apt-get"
    name = PACKAGES.get(hit["name"], {}).get(manager, "")
    return "" if name == hit["name"] else name


def library_package(hit: Hit) -> Iterator[Fix]:
    """Installs the package of the system that has the library, by its name in the release of the log."""
    found, target = libraries.library(hit["name"]), hit.context.target(hit.facts)
    if target.manager == "nix" and found.apt in PACKAGES:
        made = f"$(nix-build '<nixpkgs>' -A {PACKAGES[found.apt]['nix']} --no-out-link)/lib"
        yield fixes.set_constant("LD_LIBRARY_PATH", f"{made}:$LD_LIBRARY_PATH")
        return
    if not found.releases or target.manager not in (None, "apt-get"):
        yield from system_package(hit, found.apt, found.name)
        return
    named = next((name for name, releases in found.releases.items() if target.distribution in releases), None)
    if named is not None:
        yield fixes.package_install(named)
    elif target.distribution is not None:
        yield fixes.say(f"{target.distribution} has no {found.name}: what asks for it was built on another release, so")
        yield fixes.say(f"one that was built for {target.distribution}, or an image or environment of the other:")
        yield fixes.command("apt-file", "search", operands=(found.name,))
    else:
        if found.apt:
            yield fixes.package_install(found.apt)
        else:
            yield fixes.command("apt-cache", "search", "--names-only", re.split(r"[\d.]", found.name)[0].lower())
        for name, releases in found.releases.items():
            yield fixes.say(f"{found.name} is in {name} of {', '.join(map(str.capitalize, releases))}")


def configure(hit: Hit, *definitions: str) -> Iterator[Fix]:
    """Gives CMake definitions, "CMAKE_CXX_FLAGS=-O1": it reads variables such as CXXFLAGS the first time only."""
    words = [f"-D{definition}" for definition in definitions]
    if hit.context.by_pip:
        yield fixes.set_env("CMAKE_ARGS", " ".join(words))
        return
    directory = build_directory(hit)
    yield fixes.say(f"in the directory of the first CMakeLists.txt, {directory} being the directory of the build:")
    yield fixes.command("cmake", "-B", directory, *words)
    yield cmake_build(hit)


def build_directory(hit: Hit) -> str:
    """The directory that CMake builds in, which may be deleted: by its name, no other."""
    found = hit.context.first(_BUILD_DIRECTORY)
    return found["path"] if found else "build"


def cmake_build(hit: Hit) -> Fix:
    """Builds by CMake what is configured already."""
    return fixes.command("cmake", "--build", build_directory(hit))
