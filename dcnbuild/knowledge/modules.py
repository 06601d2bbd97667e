"""Compiled modules: whose they are and how that project is installed today (modules.json)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dcnbuild.knowledge.rows import fits, read


@dataclass(frozen=True)
class Project:
    """One row; the fields are described at the head of tools/knowledge/written/modules.yaml."""

    modules: tuple[str, ...]
    project: str
    repository: str
    install: tuple[tuple[str, ...], ...]
    wheels: bool
    source: str
    source_dir: str = ""
    environment: tuple[str, ...] = ()
    note: str = ""
    page: str = ""

    @property
    def on_index(self) -> bool:
        """Whether it is installed by a name from a package index, and not out of a checkout."""
        return bool(self.package)

    @property
    def package(self) -> str:
        """Its name on a package index, "" where it is installed out of a checkout."""
        names = (words[-1] for words in self.install[::-1] if words[0] in ("pip", "mim"))
        found = (re.match(r"([A-Za-z][\w.-]*)(?:\[|[=<>!~]|$)", name) for name in names)
        return next((match[1] for match in found if match), "")

    @property
    def compiles(self) -> bool:
        """Whether it is compiled as it is installed."""
        return any(not self.on_index or "--no-build-isolation" in words for words in self.install)

    @property
    def inside(self) -> str:
        """Where in its repository setup.py lies, "" for the top."""
        named = (re.search(r"#subdirectory=([\w./-]+)", words[-1]) for words in self.install)
        return next((found[1] for found in named if found), self.source_dir).strip(".")

    def brings(self, package: str) -> bool:
        """Whether an installed package is the project's own, and not one that only uses it."""
        name, tops = package.replace("-", "_"), [item.partition(".")[0] for item in self.modules]
        return bool(name) and any(f"{item}_".startswith(f"{name}_") for item in (self.package.replace("-", "_"), *tops))


def rows() -> tuple[Project, ...]:
    """Every row."""
    return read("modules.json", Project)


def of_package(module: str) -> Project | None:
    """The project whose Python package is called so, in either spelling: "detectron2" is that of "detectron2._C"."""
    name = module.partition(".")[0].replace("-", "_")
    named = (
        row
        for row in rows()
        if row.package.replace("-", "_") == name or any(f"{item}.".startswith(f"{name}.") for item in row.modules)
    )
    return next(named, None) if name else None


def on_index(package: str) -> bool:
    """Whether a package is one of those that PyPI has by this name, and not somebody's own."""
    row = of_package(package)
    return row is not None and row.on_index


def of_repository(address: str) -> Project | None:
    """The project of a repository, by its address, or by its name alone."""
    named = (row for row in rows() if f"/{address.lower()}".endswith(f"/{row.repository.lower()}"))
    alone = (row for row in rows() if row.repository.lower().rpartition("/")[2] == address.lower())
    return next(named, None) or next(alone, None) if address else None


def of_file(path: str) -> Project | None:
    """The project of an installed file, where it is built from a checkout and no index has it by its name.

    Example: ".../site-packages/groundingdino/_C.cpython-311-x86_64-linux-gnu.so" is of "groundingdino._C".
    """
    inside = re.search(r"(?:(?:site|dist)-packages|\.egg)[/\\](?P<name>(?![^/\\]{0,300}\.egg)[^.]{1,300})", path)
    parts = re.split(r"[/\\]", inside["name"].rstrip("/\\")) if inside else []
    names = (".".join(parts), ".".join(parts[-1:]), ".".join(parts[:1]))
    known = (row for name in names if name not in ("", "_C", "_ext") for row in find(name))
    row = next(known, None) or (of_package(parts[0]) if parts else None)
    return None if row is None or row.on_index else row


def find(module: str) -> list[Project]:
    """The projects that have a compiled module of this name, e.g. "mmcv._ext", "amp_C".

    An exact name is preferred to a pattern. A module inside a package that the table knows by its
    last part, like "models.ops.MultiScaleDeformableAttention", is found by that part.
    """
    name = module.strip().strip("\"'")
    wanted = (name, name.rpartition(".")[2])
    exact = ([row for row in rows() if one in row.modules] for one in wanted)
    alike = ([row for row in rows() if any(fits(one, item) for item in row.modules)] for one in wanted)
    return next(filter(None, (*exact, *alike)), [])
