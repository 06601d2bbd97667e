"""Writes a table in the form that dcnbuild/knowledge/store.py reads (it describes the form)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.knowledge.store import KINDS, META
from tools.knowledge.lifetimes import Row

_BLOCK = 32_000  # characters; smaller blocks read faster and compress worse


@dataclass(frozen=True)
class Source:
    """The wheel that a component of a release was read from, "package version"."""

    release: str
    component: str
    wheel: str


def write(path: Path, releases: Sequence[str], sources: Sequence[Source], rows: list[Row]) -> None:
    """Writes a table; equal rows give equal bytes."""
    headers = sorted({(row.header, row.component) for row in rows if row.kind != "header"})
    numbers = {header: number for number, header in enumerate(headers)}
    components: dict[str, dict[str, str]] = {}
    for source in sources:
        components.setdefault(source.component, {})[source.release] = source.wheel
    names = list(components)
    meta = {
        "releases": list(releases),
        "components": components,
        "headers": [[header, names.index(component)] for header, component in headers],
    }
    temporary = path.with_suffix(".new")
    with zipfile.ZipFile(temporary, "w") as archive:
        _member(archive, META, json.dumps(meta, separators=(",", ":")))
        block: list[str] = []
        size = 0
        key = ""
        for row in sorted(rows, key=lambda row: (row.key, row.scope, row.kind)):
            if size > _BLOCK and row.key != key:
                _member(archive, block[0].split("\t")[0], "\n".join(block))
                block, size = [], 0
            line = _line(row, releases, numbers, names)
            block.append(line)
            size += len(line)
            key = row.key
        _member(archive, block[0].split("\t")[0], "\n".join(block))
    temporary.replace(path)


def _member(archive: zipfile.ZipFile, name: str, text: str) -> None:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, text, compresslevel=9)


def _line(row: Row, releases: Sequence[str], numbers: dict[tuple[str, str], int], names: list[str]) -> str:
    place = names.index(row.component) if row.kind == "header" else numbers[row.header, row.component]
    fields = [
        row.key,
        row.scope,
        KINDS[row.kind],
        str(place),
        str(releases.index(row.first)),
        str(releases.index(row.last)),
        "" if row.parameters is None else "-".join(map(str, dict.fromkeys(row.parameters))),
        "|".join(f"{releases.index(release)}={text}" for release, text in row.changes),
    ]
    assert not any("\t" in item or "\n" in item for item in fields), fields
    return "\t".join(fields).rstrip("\t")
