"""What a row's fix can ask of the system: its packages, its toolkits, the image of a container, the build directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dcnbuild.base.versions import numbers, same_major, same_minor
from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import libraries
from dcnbuild.machine.installers import called

_BUILD_DIRECTORY, _NO_NVCC, _STARTED = wording.patterns("build_directory", "no_nvcc", "started")
#: What shows modules of a cluster, and one of a toolkit; a toolkit where installers put it; who found none there.
_CLUSTER, _MODULE, _TOOLKIT = wording.patterns("cluster", "module", "toolkit_there")
_LOOKED, _NONE_THERE, _RELEASE = wording.patterns("toolkit_looked", "toolkit_none", "toolkit_release")
#: How CMake was told to configure, the words of that, and how to build; what runs it to pack a program for a system.
_CONFIGURES, _WORDS, _BUILDS, _PACKS = wording.patterns("configures", "cmake_words", "builds_by_cmake", "packs")


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
        search = ("apt-cache", "search", "--names-only", re.split(r"[\d.]", found.name)[0].lower())
        yield fixes.package_install(found.apt) if found.apt else fixes.command(*search)
        for name, releases in found.releases.items():
            yield fixes.say(f"The package {name} of {', '.join(map(str.capitalize, releases))} contains {found.name}")


def build_directory(hit: Hit) -> str:
    """The directory that CMake builds in, which may be deleted: by its name, no other."""
    found = hit.context.first(_BUILD_DIRECTORY)
    return found["path"] if found else "build"


def cmake(hit: Hit, place: str, *more: str) -> Iterator[Fix]:
    """Configures with these options and those of the log, and builds: other compilers in a new directory, `place`."""
    if hit.context.by_pip:
        had = dict(hit.target.variables).get("CMAKE_ARGS", "")
        yield fixes.set_env("CMAKE_ARGS", " ".join(filter(None, (had, *more))))
        return
    if packed := hit.context.first(_PACKS, len(hit.log)):  # it configures and builds by itself
        yield fixes.run(*str(tables.begins("packs", packed[0])).split())
        return
    said, built = (hit.context.first(pattern, len(hit.log)) for pattern in (_CONFIGURES, _BUILDS))
    if said and hit.context.dockerfile and "RUN " in said.string[: said.start("words")]:
        at, added = len(said.string[: said.end("words")].rstrip()), "".join(f" '{word}'" for word in more)
        yield fixes.say(hit.target.place.replace(" before ", " in place of "))
        yield fixes.typed(said.string[:at].split("RUN ", 1)[1] + added + said.string[at:], "RUN")
        return
    words = [re.sub(r"[\"']|(?<=^-[BDGTAS]) ", "", one) for one in _WORDS.findall(said["words"] if said else "$")]
    names = "|".join(re.escape(one.partition("=")[0]) for one in more) or "(?!)"
    other = re.compile(rf"(?:{names})[=:]|-B|(?:-S)?\.$|.*[$`*]")
    kept = [word for word in words if not other.match(word)]
    inside = any(word.startswith("..") for word in kept) and not any(word.startswith("-B") for word in words)
    if any(re.search("[$`*]", word) for word in words):
        yield fixes.say("Add the other options of the first build, in the directory of the top-level CMakeLists.txt:")
    if inside and place:
        yield from (fixes.remove("CMakeCache.txt"), fixes.remove("CMakeFiles", recursive=True))
    place = "." if inside else place or build_directory(hit)
    yield fixes.command("cmake", *(() if inside else ("-B", place)), *kept, *more)
    yield fixes.command("cmake", "--build", place, *(built["rest"].split() if built else ()))


def devel(hit: Hit) -> dict[str, str]:
    """The `image` with a toolkit for the log's without one, and the command that `started` a container, with it."""
    if not hit.log.found(_NO_NVCC):
        return {"image": "", "started": ""}
    image, begun = (hit.context.first(pattern, len(hit.log)) for pattern in (_NO_NVCC, _STARTED))
    texts = (image[0] if image else "", begun["command"] if begun else "")
    named, other = (_NO_NVCC.sub(lambda one: f"{one['image']}-devel{one['rest'] or ''}", text) for text in texts)
    return {"image": named, "started": other if other != texts[1] else ""}


def module(hit: Hit) -> str:
    """The module of a cluster that has a toolkit of the wanted CUDA, or a newer of its major version."""
    cluster = not hit.target.facts and hit.log.found(_CLUSTER)
    lines = (one.string for one in hit.log.found(_MODULE).values() if cluster and "$ " not in one.string)
    return _suiting(hit, {one["name"]: one["version"] for line in lines for one in _MODULE.finditer(line)})


def there(hit: Hit) -> str:
    """The same of the toolkits that somebody has listed: `ls /usr/local`."""
    listed = [found for one in hit.log.found(_TOOLKIT).values() for found in _RELEASE.findall(one.string)]
    return _suiting(hit, dict(zip(listed, listed)))


def _suiting(hit: Hit, found: Mapping[str, str]) -> str:
    wanted = hit["1"] or hit["cuda_of_it"] or hit["torch_cuda"]
    same = [name for name, had in found.items() if same_minor(had, wanted)]
    newer, alone = numbers(wanted), not hit.context.of_torch  # which takes no other major version
    same += [name for name, had in found.items() if numbers(had) > newer and (alone or same_major(had, wanted))]
    return next(iter(same if wanted else found if len(found) == 1 else ()), "")


def no_toolkit(hit: Hit) -> bool:
    """Whether none lies where the installers of NVIDIA put it: torch and `ls` have looked there."""
    here = hit.target.facts
    looked = _LOOKED.search(hit.text) or hit.log.found(_NONE_THERE)
    return not here.toolkits if here else bool(looked) and not hit.log.found(_TOOLKIT)


def lies(hit: Hit) -> bool:
    """Whether the toolkit {1} is there, as far as this machine or the log shows it."""
    place = re.compile(rf"/cuda-{re.escape(hit['1'])}(?![\w.])(?!.*(?:[Nn]o such|not found|not exist))")
    here = hit.facts is not None and any(kit.version == hit["1"] for kit in hit.facts.toolkits)
    return here or hit.context.first(place) is not None
