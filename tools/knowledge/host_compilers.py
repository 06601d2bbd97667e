"""Makes the table of host systems that each toolkit's headers accept: Microsoft's compiler and glibc.

gcc and clang are in dcnbuild/machine/compatibility.yaml.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tools.knowledge import toolkits
from tools.knowledge.wheels import Archive


def generate(cache: Path, target: Path) -> None:
    """Reads crt/host_config.h and crt/math_functions.h of every release and writes the table."""
    rows = []
    for release in toolkits.RELEASES:
        archives = toolkits.archives(release, cache)
        archive = archives.get("cuda-crt") or archives.get("cuda-nvcc")
        if archive is not None:
            rows.append(_row(release, archive))
    temporary = target.with_suffix(".new")
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    temporary.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    temporary.replace(target)


def _row(release: str, archive: Archive) -> dict[str, object]:
    texts = {path.rpartition("/")[2]: text for path, text in archive.texts(r"/crt/\w+\.h$")}
    limits = re.search(r"_MSC_VER\s*<\s*(\d+)\s*\|\|\s*_MSC_VER\s*>=\s*(\d+)", texts["host_config.h"])
    guards = re.findall(r"(?:GLIBC|GNUC)_PREREQ\(2,\s*(\d+)\)", texts["math_functions.h"])
    return {
        "cuda": release,
        "msvc_from": int(limits[1]) if limits else None,
        "msvc_below": int(limits[2]) if limits else None,
        "glibc": f"2.{max(map(int, guards))}" if guards else None,
        "source": archive.name,
    }
