"""The CUDA toolkit that is looked for where none is, and the architecture that a PTX instruction is of."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.machine.versions import number


def nvcc(hit: Hit) -> str:
    """nvcc as it was called."""
    name = hit["name"] or "nvcc"
    return hit["path"] + name if hit["path"].endswith(("/", "\\")) else name


def home(hit: Hit) -> str:
    """The CUDA_HOME that was meant by a broken one, as far as it can be told."""
    path = nvcc(hit).replace("\\\\", "\\")
    whole = re.sub(r"[/\\]bin[/\\]nvcc(?:\.exe)?$", "", path)
    parts = [whole] if hit.context.windows else re.split(r":(?![\\/]{1,2}\w+ Files)|;", whole)
    for part in parts:
        part = part.strip("\"' " if hit.context.windows else "\"' =")
        part = re.sub(r"[/\\](?:bin[/\\]nvcc|bin|lib64|include|nvcc)[/\\]?$", "", part)
        if re.match(r"/\w|[A-Za-z]:", part):
            return part
    return ""


def home_of(instruction: str, name: str) -> str:
    """The architecture that has a PTX instruction: "sm_120a" for one of sm_120, else the first of the others."""
    homes = next((some for like, some in tables.rows("ptx_homes").items() if re.search(like, instruction)), ())
    if number(name) in homes and not name.endswith(("a", "f")):
        return f"sm_{number(name)}a"
    return f"sm_{homes[0]}" if homes else ""
