"""Makes the table of setuptools and pkg_resources."""

from __future__ import annotations

from pathlib import Path

from tools.knowledge.lifetimes import Release, rows
from tools.knowledge.python_table import add, add_names, module_name, modules_of
from tools.knowledge.table import Source, write
from tools.knowledge.wheels import Wheel, fetch

#: Major releases at which a name was added or removed; each is read in its newest version.
RELEASES = (
    *("40", "45", "50", "57", "58", "59", "60", "62", "65", "66", "67", "68", "69", "70", "71"),
    *("72", "75", "77", "78", "79", "80", "81", "82"),
)
_KEEP = r"^(?:setuptools|pkg_resources)/(?!_vendor|tests|_distutils/tests|extern)\S*\.pyi?$"


def generate(cache: Path, target: Path) -> None:
    """Reads every release and writes the table."""
    releases: dict[str, Release] = {}
    sources = []
    for name in RELEASES:
        python = "3.7" if int(name) < 69 else "3.12"
        archive = fetch(Wheel("setuptools", f"{name}.*", python, platform=""), cache, _KEEP)
        releases[name] = release = Release()
        sources.append(Source(name, "setuptools", archive.name))
        for path in archive.listing():
            module = module_name(path)
            if module and "_vendor" not in module and ".tests" not in module:
                add(release, module, "module", "setuptools")
        modules = modules_of(archive.texts(r"\.pyi?$"))
        add_names(release, modules, "setuptools", lambda name: "._" not in name, lambda name: False)
    write(target, list(RELEASES), sources, rows(releases))
